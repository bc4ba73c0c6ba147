package staff

// What an import is read by.
var (
	ReadCSV    = readCSV
	ReadBundle = readBundle
)

// MaxLines is how many lines an import may have.
const MaxLines = maxLines
