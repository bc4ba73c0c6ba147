package staff

// What an import is read by.
var (
	ReadCSV    = readCSV
	ReadBundle = readBundle
)
