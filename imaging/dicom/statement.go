package dicom

import (
	"embed"
	"fmt"
	"strings"

	"github.com/suyashkumar/dicom/pkg/uid"
)

// What a conformance statement says of this package, from the tables it works by.

// Implementation is what every content says of its writer: Implementation Class UID
// and Version Name.
func Implementation() (classUID, versionName string) { return implementationUID, implementationName }

// TransferSyntax is one that is taken.
type TransferSyntax struct {
	UID    string `json:"uid"`
	Name   string `json:"name,omitempty"` // "" for those that are newer than the dictionary
	Native bool   `json:"native"`         // rewritten into Explicit VR Little Endian when asked; others are given as stored
}

// TransferSyntaxes are those of the standard, by UID.
func TransferSyntaxes() []TransferSyntax {
	var list []TransferSyntax
	add := func(format string, numbers ...any) {
		u := fmt.Sprintf(format, numbers...)
		if !transferSyntax(u) {
			return
		}
		t := TransferSyntax{UID: u, Native: Syntax{UID: u}.native()}
		if info, err := uid.Lookup(u); err == nil {
			t.Name = info.Name
		}
		list = append(list, t)
	}
	// All under the root of transfer syntaxes (PS3.6 A), as far as numbers are given.
	add("1.2.840.10008.1.2")
	for i := 1; i < 10; i++ {
		add("1.2.840.10008.1.2.%d", i)
		for j := 1; j < 256; j++ {
			add("1.2.840.10008.1.2.%d.%d", i, j)
			add("1.2.840.10008.1.2.%d.%d.1", i, j)
		}
	}
	return list
}

// CharacterSets are the defined terms of Specific Character Set (0008,0005) that text
// is read in (PS3.3 C.12.1.1.2). Without one, text is UTF-8 where it can be, and
// otherwise Windows-1252.
func CharacterSets() []string {
	terms := []string{"ISO_IR 192", "GB18030", "GBK", "ISO_IR 13", "ISO 2022 IR 6", "ISO 2022 IR 13"}
	for _, number := range strings.Fields("100 101 109 110 144 127 126 138 148 203 166") {
		if _, ok := oneByte(number); ok {
			terms = append(terms, "ISO_IR "+number, "ISO 2022 IR "+number)
		}
	}
	for _, number := range strings.Fields("87 159 149 58") {
		if graphicOf(number) != nil {
			terms = append(terms, "ISO 2022 IR "+number)
		}
	}
	return terms
}

// PixelRuleLines are the lines of pixel rules without comments, in the order in which
// they are asked: a deployment's own, as ParsePixelRules reads them, then pixels.rules.
func PixelRuleLines(own []byte) []string {
	var lines []string
	for line := range strings.Lines(string(own) + "\n" + string(builtInRules)) {
		if line, _, _ = strings.Cut(line, "#"); strings.TrimSpace(line) != "" {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// Score is the result of the last scoring (see score_test.go) as JSON; nil when there
// is none.
func Score() []byte {
	data, err := tables.ReadFile("score.json")
	if err != nil {
		return nil
	}
	return data
}

// pixels.rules and score.json; the pattern lets the latter be absent, as it is between
// a change of the rules and the next scoring.
//
//go:embed [ps]*.[rj]*
var tables embed.FS
