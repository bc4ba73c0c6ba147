package mention

import (
	"crypto/sha256"
	"encoding/hex"

	"medvault/imaging/descriptor"
)

// version changes with what this package and subject look for in code.
const version = "2"

// Digest is the hex SHA-256 of the labels and words by which people are told from other
// words, for imaging.Rules.
func Digest() string {
	sum := sha256.New()
	for _, part := range []string{version, labelText, wordsAndNames, familyNames, descriptor.Digest()} {
		sum.Write([]byte(part + "\n"))
	}
	return hex.EncodeToString(sum.Sum(nil))
}
