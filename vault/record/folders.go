package record

import "fmt"

// Folders lists the folders that the keys of a class lie in; see ObjectID.Key.
func Folders(class string) []string {
	folders := make([]string, 256)
	for i := range folders {
		folders[i] = fmt.Sprintf("%s/%02x", class, i)
	}
	return folders
}
