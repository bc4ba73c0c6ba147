package dicom_test

import (
	"slices"
	"strings"
	"testing"

	"medvault/imaging/dicom"
	"medvault/imaging/imagingtest"
)

// TestStatedCharacterSetsAreRead with a letter of each. Two of them are read only.
func TestStatedCharacterSetsAreRead(t *testing.T) {
	letters := map[string]string{"192": "張", "GB18030": "张", "GBK": "张", "13": "ｱ", "6": "A", "100": "é", "101": "ł", "109": "ħ", "110": "ģ",
		"144": "Ж", "127": "ع", "126": "Ω", "138": "ש", "148": "ş", "203": "€", "166": "ก", "87": "山", "159": "鷗", "149": "한", "58": "王"}
	terms := dicom.CharacterSets()
	for _, term := range terms {
		number := term[strings.LastIndexByte(term, ' ')+1:]
		letter := letters[number]
		if letter == "" {
			t.Fatalf("no letter for %s", term)
		}
		declared := term
		if strings.HasPrefix(term, "ISO 2022") {
			declared = `\` + term // beside the default repertoire
		}
		set := dicom.NewCharset([]byte(declared))
		value := set.Encode("A" + letter)
		switch number {
		case "13":
			value = []byte("A\xB1")
		case "159":
			value = []byte("A\x1B$(D\x6C\x3F")
		}
		if got := set.Text(value); got != "A"+letter {
			t.Errorf("%s: A%s came back as %q", term, letter, got)
		}
	}
	if len(terms) < 20 {
		t.Errorf("%d character sets; want those of PS3.3 C.12.1.1.2", len(terms))
	}
}

func TestStatedTransferSyntaxesAreThoseThatAreMet(t *testing.T) {
	var stated []string
	for _, s := range dicom.TransferSyntaxes() {
		stated = append(stated, s.UID)
	}
	for o := range imagingtest.Set(1, 430) {
		if !slices.Contains(stated, o.Syntax) {
			t.Errorf("%s is not stated", o.Syntax)
		}
	}
	if slices.Contains(stated, "1.2.840.10008.1.1") || len(stated) < 40 {
		t.Errorf("%d transfer syntaxes, or one that is none", len(stated))
	}
}
