package dicom

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// Charset decodes text by a Specific Character Set (0008,0005), PS3.3 C.12.1.1.2
// and PS3.5 6.1.2. It never fails: bytes that mean nothing become U+FFFD, and what
// the set does not say is taken for UTF-8 where it is valid and for Windows-1252
// where it is not. The zero value is the default repertoire. Safe for concurrent
// use.
//
// A value is decoded whole, before it is split at backslashes: in some sets that
// byte is half a character.
type Charset struct {
	whole    encoding.Encoding // one set without code extensions; nil: UTF-8 or guessed
	utf8     bool              // ISO_IR 192: no guess
	switches bool              // ISO 2022 code extensions
	first    graphic           // G1 at the start and after a reset
	fallback graphic           // G1 where nothing was designated: the first set with one that is listed
	declared []string          // numbers of the sets that are listed; for writing
}

// NewCharset reads the raw value of (0008,0005). Terms are recognised in the
// spellings that are met in the field, "ISO-IR 100" or "UTF-8".
func NewCharset(value []byte) Charset {
	terms := strings.Split(strings.ToUpper(strings.Trim(string(value), " \x00")), `\`)
	number, extends := term(terms[0])
	switch {
	case strings.HasPrefix(number, "GB") || number == "192":
		// These stand alone: they take no code extensions.
		return single(number)
	case len(terms) == 1 && !extends:
		return single(number)
	}
	c := Charset{switches: true, first: graphicOf(number)}
	for _, t := range terms {
		n, _ := term(t)
		c.declared = append(c.declared, n)
		if g := graphicOf(n); c.fallback == nil && g != nil && n != "87" && n != "159" {
			c.fallback = g
		}
	}
	return c
}

// term is the number of a defined term, or its name where it has none, and whether
// it asks for code extensions.
func term(t string) (name string, extends bool) {
	t = strings.TrimSpace(t)
	switch strings.Map(alphanumeric, t) {
	case "UTF8":
		return "192", false
	case "GB18030", "GBK", "GB2312":
		return strings.Map(alphanumeric, t), false
	case "ISO2022GBK":
		return "GBK", false
	}
	extends = strings.HasPrefix(strings.Map(alphanumeric, t), "ISO2022")
	digits := len(t)
	for digits > 0 && t[digits-1] >= '0' && t[digits-1] <= '9' {
		digits--
	}
	return t[digits:], extends
}

func alphanumeric(r rune) rune {
	if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return -1
}

func single(number string) Charset {
	switch number {
	case "192":
		return Charset{utf8: true}
	case "GB18030":
		return Charset{whole: simplifiedchinese.GB18030}
	case "GBK", "GB2312":
		return Charset{whole: simplifiedchinese.GBK}
	case "13":
		return Charset{switches: true, first: katakana, fallback: katakana}
	}
	if set, ok := oneByte(number); ok {
		return Charset{whole: set}
	}
	return Charset{}
}

// oneByte are the sets of one byte a character; their lower half is ASCII.
func oneByte(number string) (encoding.Encoding, bool) {
	switch number {
	case "100":
		return charmap.ISO8859_1, true
	case "101":
		return charmap.ISO8859_2, true
	case "109":
		return charmap.ISO8859_3, true
	case "110":
		return charmap.ISO8859_4, true
	case "144":
		return charmap.ISO8859_5, true
	case "127":
		return charmap.ISO8859_6, true
	case "126":
		return charmap.ISO8859_7, true
	case "138":
		return charmap.ISO8859_8, true
	case "148":
		return charmap.ISO8859_9, true
	case "203":
		return charmap.ISO8859_15, true
	case "166":
		return charmap.Windows874, true // ISO 8859-11 and a few more
	}
	return nil, false
}

// Text decodes the value of LO, LT, SH, ST, UC or UT.
func (c Charset) Text(b []byte) string { return c.decode(b, false) }

// Name decodes a person name, where code extensions end at ^ and = too.
func (c Charset) Name(b []byte) string { return c.decode(b, true) }

func (c Charset) decode(b []byte, name bool) string {
	switch {
	case plain(b):
		return string(b)
	case c.utf8:
		return strings.ToValidUTF8(string(b), "\uFFFD")
	case c.switches:
		return c.extended(b, name)
	case c.whole != nil:
		return decodeAll(c.whole, b)
	}
	return guess(b)
}

// plain reports ASCII without escape sequences.
func plain(b []byte) bool {
	for _, x := range b {
		if x >= 0x80 || x == escape {
			return false
		}
	}
	return true
}

// decodeAll never fails: decoders of golang.org/x/text put U+FFFD for what they
// cannot read.
func decodeAll(set encoding.Encoding, b []byte) string {
	s, err := set.NewDecoder().Bytes(b)
	if err != nil {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	return string(s)
}

func guess(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return decodeAll(charmap.Windows1252, b)
}

const escape = 0x1B

// graphic decodes a run of bytes of one graphic set.
type graphic func(b []byte) string

// graphicOf is the set of a defined term's number (PS3.3 tables C.12-3 and
// C.12-4); nil is ASCII.
func graphicOf(number string) graphic {
	var set encoding.Encoding
	switch number {
	case "13":
		return katakana
	case "87":
		return func(b []byte) string { return jis(b, false) }
	case "159":
		return func(b []byte) string { return jis(b, true) }
	case "149":
		set = korean.EUCKR
	case "58":
		set = simplifiedchinese.GBK
	default:
		var ok bool
		if set, ok = oneByte(number); !ok {
			return nil
		}
	}
	return func(b []byte) string { return decodeAll(set, b) }
}

// katakana is the upper half of JIS X 0201.
func katakana(b []byte) string {
	var out strings.Builder
	for _, x := range b {
		switch {
		case x < 0x80:
			out.WriteByte(x)
		case x >= 0xA1 && x <= 0xDF:
			out.WriteRune(0xFF61 + rune(x-0xA1))
		default:
			out.WriteRune(utf8.RuneError)
		}
	}
	return out.String()
}

// jis decodes the two-byte sets JIS X 0208 and, as supplement, JIS X 0212, by way
// of EUC-JP.
func jis(b []byte, supplement bool) string {
	euc := make([]byte, 0, len(b)*3/2)
	for len(b) >= 2 {
		if b[0] <= ' ' { // no first byte of a pair
			euc = append(euc, b[0])
			b = b[1:]
			continue
		}
		if supplement {
			euc = append(euc, 0x8F)
		}
		euc = append(euc, b[0]|0x80, b[1]|0x80)
		b = b[2:]
	}
	s := decodeAll(japanese.EUCJP, euc)
	if len(b) == 1 {
		s += "\uFFFD" // half a character
	}
	return s
}

// designation is what an escape sequence asks for (PS3.3 tables C.12-3, C.12-4).
type designation struct {
	sequence string // after ESC
	set      string // for graphicOf; "" is ASCII
	g1       bool
}

func designated(b []byte) (designation, bool) {
	for _, d := range []designation{
		{"(B", "", false}, {"(J", "", false}, // JIS X 0201 romaji is read as ASCII, so that a backslash stays one
		{"$(D", "159", false}, {"$B", "87", false}, {"$@", "87", false},
		{")I", "13", true}, {"$)C", "149", true}, {"$)A", "58", true},
		{"-A", "100", true}, {"-B", "101", true}, {"-C", "109", true}, {"-D", "110", true},
		{"-L", "144", true}, {"-G", "127", true}, {"-F", "126", true}, {"-H", "138", true},
		{"-M", "148", true}, {"-T", "166", true}, {"-b", "203", true},
	} {
		if len(b) >= len(d.sequence) && string(b[:len(d.sequence)]) == d.sequence {
			return d, true
		}
	}
	return designation{}, false
}

// extended follows the escape sequences of ISO 2022. At a line end, a backslash
// and, in names, at ^ and =, everything is as at the start again (PS3.5
// 6.1.2.5.3). A delimiter inside a two-byte set is half a character and no
// delimiter.
func (c Charset) extended(b []byte, name bool) string {
	var out strings.Builder
	var g0 graphic // nil: ASCII
	g1 := c.first
	for len(b) > 0 {
		if b[0] == escape {
			d, ok := designated(b[1:])
			if !ok {
				out.WriteRune(utf8.RuneError)
				b = b[1:]
				continue
			}
			if d.g1 {
				g1 = graphicOf(d.set)
			} else {
				g0 = graphicOf(d.set)
			}
			b = b[1+len(d.sequence):]
			continue
		}
		if resets(b[0], g0 != nil, name) {
			g0, g1 = nil, c.first
			out.WriteByte(b[0])
			b = b[1:]
			continue
		}
		n := run(b, g0 != nil, name)
		out.WriteString(c.decodeRun(b[:n], g0, g1))
		b = b[n:]
	}
	return out.String()
}

func resets(x byte, twoByte, name bool) bool {
	switch x {
	case '\n', '\r', '\f':
		return true
	case '\\':
		return !twoByte
	case '^', '=':
		return name && !twoByte
	}
	return false
}

// run is how many bytes belong to the same half: the lower, or the upper.
func run(b []byte, twoByte, name bool) int {
	upper := b[0] >= 0x80
	n := 1
	for n < len(b) && b[n] != escape && b[n] >= 0x80 == upper && !resets(b[n], twoByte, name) {
		n++
	}
	return n
}

func (c Charset) decodeRun(b []byte, g0, g1 graphic) string {
	switch {
	case b[0] < 0x80 && g0 != nil:
		return g0(b)
	case b[0] < 0x80:
		return string(b)
	case g1 != nil:
		return g1(b)
	case c.fallback != nil:
		return c.fallback(b)
	}
	return guess(b)
}
