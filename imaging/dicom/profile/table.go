package profile

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	// Acknowledgement names edition and owner of the tables.
	Acknowledgement = "DICOM PS3.15 2026d, (c) NEMA"
	// RowsSHA256 is the digest of the rows of table E.1-1, see Digest.
	RowsSHA256 = "e257bc5e1cfecb3156ad3b871c43e6d73581cba6e80df460f4a4a87694e89442"
	// OddGroups is the Tag of the row that stands for all private attributes.
	OddGroups = "gggg,eeee"
)

// Row is one row of table E.1-1.
type Row struct {
	Tag      string // "0010,0010", "50xx,xxxx", OddGroups
	VR       string // "" where the source does not know it
	Keyword  string
	Name     string
	Retired  bool
	Standard bool       // in a standard composite IOD
	Basic    string     // action code of the basic profile
	Options  [10]string // codes of the option columns in the order of Options
}

// Digest is the SHA-256 of the rows in canonical JSON, by which copies of the table
// are compared: keys sorted, no spaces, only the options that have a code.
func Digest(rows []Row) string {
	list := make([]map[string]any, len(rows))
	for i, r := range rows {
		options := map[string]string{}
		for k, name := range Options() {
			if r.Options[k] != "" {
				options[name] = r.Options[k]
			}
		}
		tag := "(" + r.Tag + ")"
		if r.Tag == OddGroups {
			tag = "(gggg,eeee) where gggg is odd"
		}
		list[i] = map[string]any{"name": r.Name, "tag": tag, "retired": r.Retired,
			"in_standard_iod": r.Standard, "basic_profile": r.Basic, "options": options}
	}
	data, err := json.Marshal(list)
	if err != nil {
		panic(err) // strings and booleans
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

//go:embed e1_1.tsv
var e1_1 string

// Rows gives table E.1-1, all rows in the order of the standard.
func Rows() []Row { return slices.Clone(allRows()) }

var allRows = sync.OnceValue(func() []Row {
	var rows []Row
	for _, f := range fields(e1_1) {
		r := Row{Tag: f[0], VR: f[1], Keyword: f[2], Name: f[3], Retired: f[4] == "Y", Standard: f[5] == "Y", Basic: f[6]}
		copy(r.Options[:], f[7:])
		rows = append(rows, r)
	}
	return rows
})

func fields(table string) [][]string {
	var list [][]string
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "#") {
			list = append(list, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
		}
	}
	return list
}

func mustTag(s string) uint32 {
	n, err := strconv.ParseUint(s[:4]+s[5:], 16, 32)
	if err != nil {
		panic(fmt.Sprintf("tag %q in an embedded table", s)) // the tables are tested
	}
	return uint32(n)
}
