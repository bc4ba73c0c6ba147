package dicom

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/unicode/norm"
)

// Encode writes text in the set it was read in. A character the set does not have is
// written without its marks where that helps, and left out where it does not: a
// value never says something in a set that is not declared.
func (c Charset) Encode(text string) []byte {
	switch {
	case ascii(text):
		return []byte(text)
	case c.utf8:
		return []byte(strings.ToValidUTF8(text, ""))
	case c.whole != nil:
		return encodeRunes(c.whole, text)
	case c.switches:
		return c.encodeExtended(text)
	}
	return []byte(bare(text))
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// bare is text in ASCII: letters without marks, the rest left out.
func bare(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return -1
		}
		return r
	}, norm.NFKD.String(text))
}

func encodeRunes(set encoding.Encoding, text string) []byte {
	if b, err := set.NewEncoder().Bytes([]byte(text)); err == nil {
		return b
	}
	var out []byte
	for _, r := range text {
		b, err := set.NewEncoder().Bytes([]byte(string(r)))
		if err != nil {
			b = []byte(bare(string(r)))
		}
		out = append(out, b...)
	}
	return out
}

// extension is a declared set that an escape sequence switches to.
type extension struct {
	escape string // after ESC
	g1     bool   // its bytes have the upper bit
	set    encoding.Encoding
}

func extensionOf(number string) (extension, bool) {
	switch number {
	case "87":
		return extension{escape: "$B", set: japanese.EUCJP}, true
	case "149":
		return extension{escape: "$)C", g1: true, set: korean.EUCKR}, true
	case "58":
		return extension{escape: "$)A", g1: true, set: simplifiedchinese.GBK}, true
	}
	set, ok := oneByte(number)
	if !ok {
		return extension{}, false
	}
	for _, d := range []designation{{sequence: "-A", set: "100"}, {sequence: "-B", set: "101"}, {sequence: "-C", set: "109"},
		{sequence: "-D", set: "110"}, {sequence: "-L", set: "144"}, {sequence: "-G", set: "127"}, {sequence: "-F", set: "126"},
		{sequence: "-H", set: "138"}, {sequence: "-M", set: "148"}, {sequence: "-T", set: "166"}, {sequence: "-b", set: "203"}} {
		if d.set == number {
			return extension{escape: d.sequence, g1: true, set: set}, true
		}
	}
	return extension{}, false
}

// encode writes a character, nothing where the set lacks it.
func (x extension) encode(r rune) []byte {
	b, err := x.set.NewEncoder().Bytes([]byte(string(r)))
	if err != nil || len(b) == 0 || slices.ContainsFunc(b, func(c byte) bool { return c < 0x80 }) {
		return nil
	}
	if x.g1 {
		return b
	}
	if len(b) != 2 || b[0] == 0x8E || b[0] == 0x8F { // half-width kana and the supplement are other sets
		return nil
	}
	return []byte{b[0] & 0x7F, b[1] & 0x7F}
}

// encodeExtended switches to the first declared set that has the character, and back
// to the start where the value, the line or a part of a name ends (PS3.5 6.1.2.5.3).
func (c Charset) encodeExtended(text string) []byte {
	var declared []extension
	for _, n := range c.declared {
		if x, ok := extensionOf(n); ok {
			declared = append(declared, x)
		}
	}
	var out []byte
	now := "" // escape sequence in force
	ascii := func() {
		if strings.HasPrefix(now, "$B") {
			out = append(out, escape, '(', 'B')
			now = ""
		}
	}
	for _, r := range text {
		if r < utf8.RuneSelf {
			ascii()
			out = append(out, byte(r))
			if unicode.IsControl(r) || strings.ContainsRune(`\^=`, r) {
				now = ""
			}
			continue
		}
		i := slices.IndexFunc(declared, func(x extension) bool { return x.encode(r) != nil })
		if i < 0 {
			ascii()
			out = append(out, bare(string(r))...)
			continue
		}
		if x := declared[i]; now != x.escape {
			ascii()
			out = append(append(out, escape), x.escape...)
			now = x.escape
		}
		out = append(out, declared[i].encode(r)...)
	}
	ascii()
	return out
}
