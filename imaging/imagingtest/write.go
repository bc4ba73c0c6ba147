package imagingtest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// Element is one data element. Value is a string (text VRs; multiple values with
// a backslash), []byte, []uint16, []uint32, []float32, []float64, []Tag (AT) or
// []Item (SQ).
type Element struct {
	Tag   uint32 // 0xGGGGEEEE
	VR    string
	Value any
}

// Item is one item of a sequence, its elements in any order.
type Item []Element

// Tag is a value of VR AT.
type Tag uint32

// encoder turns elements into bytes of one transfer syntax and character set.
type encoder struct {
	order     binary.ByteOrder
	implicit  bool
	undefined bool // sequences and items of undefined length
	text      func(vr, s string) ([]byte, bool)
}

// items appends elements in ascending order of their tags.
func (e *encoder) items(b []byte, elements []Element) []byte {
	sorted := slices.Clone(elements)
	slices.SortStableFunc(sorted, func(x, y Element) int { return int(int64(x.Tag) - int64(y.Tag)) })
	for _, el := range sorted {
		b = e.element(b, el)
	}
	return b
}

func (e *encoder) element(b []byte, el Element) []byte {
	if seq, ok := el.Value.([]Item); ok {
		return e.sequence(b, el.Tag, seq)
	}
	value, ok := e.value(el)
	if !ok {
		return b // the character set cannot say it
	}
	if len(value)%2 == 1 {
		pad := byte(' ')
		if el.VR == "UI" || el.VR == "OB" || el.VR == "UN" {
			pad = 0
		}
		value = append(value, pad)
	}
	return append(e.head(b, el.Tag, el.VR, uint32(len(value))), value...)
}

// head appends tag, VR and length.
func (e *encoder) head(b []byte, tag uint32, vr string, length uint32) []byte {
	b = e.tag(b, tag)
	if e.implicit {
		return e.u32(b, length)
	}
	b = append(b, vr...)
	if longVR(vr) {
		return e.u32(append(b, 0, 0), length)
	}
	if length > 0xFFFF {
		panic(fmt.Sprintf("value of %08X does not fit VR %s", tag, vr)) // a mistake in this package or its caller
	}
	return e.u16(b, uint16(length))
}

func longVR(vr string) bool {
	switch vr {
	case "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV":
		return true
	}
	return false
}

func (e *encoder) sequence(b []byte, tag uint32, seq []Item) []byte {
	var body []byte
	for _, item := range seq {
		content := e.items(nil, item)
		if e.undefined {
			body = e.u32(e.tag(body, 0xFFFEE000), 0xFFFFFFFF)
			body = append(body, content...)
			body = e.u32(e.tag(body, 0xFFFEE00D), 0)
			continue
		}
		body = e.u32(e.tag(body, 0xFFFEE000), uint32(len(content)))
		body = append(body, content...)
	}
	if e.undefined {
		b = append(e.head(b, tag, "SQ", 0xFFFFFFFF), body...)
		return e.u32(e.tag(b, 0xFFFEE0DD), 0)
	}
	return append(e.head(b, tag, "SQ", uint32(len(body))), body...)
}

func (e *encoder) value(el Element) (v []byte, ok bool) {
	switch x := el.Value.(type) {
	case nil:
		return nil, true
	case string:
		return e.text(el.VR, x)
	case []byte:
		return slices.Clone(x), true
	case []Tag:
		for _, t := range x {
			v = e.tag(v, uint32(t))
		}
		return v, true
	}
	v, err := binary.Append(nil, e.order, el.Value)
	if err != nil {
		panic(err) // an Element with a value this package does not know
	}
	return v, true
}

func (e *encoder) tag(b []byte, tag uint32) []byte {
	return e.u16(e.u16(b, uint16(tag>>16)), uint16(tag))
}

func (e *encoder) u16(b []byte, n uint16) []byte {
	var v [2]byte
	e.order.PutUint16(v[:], n)
	return append(b, v[:]...)
}

func (e *encoder) u32(b []byte, n uint32) []byte {
	var v [4]byte
	e.order.PutUint32(v[:], n)
	return append(b, v[:]...)
}

// textEncoder returns how text is written under a Specific Character Set
// (PS3.3 C.12.1.1.2); ok is false for what the set cannot say.
func textEncoder(charset string) func(vr, s string) ([]byte, bool) {
	var set func(string) ([]byte, bool)
	if one, ok := oneByteSets[charset]; ok {
		set = with(one)
	} else {
		set = manyByteSet(charset)
	}
	return func(vr, s string) ([]byte, bool) {
		switch vr {
		case "PN":
			// Each group on its own: a set without ideographs leaves that group out.
			var groups [][]byte
			for _, g := range strings.Split(s, "=") {
				b, ok := set(g)
				if !ok {
					break
				}
				groups = append(groups, b)
			}
			return join(groups, '='), len(groups) > 0
		case "LO", "SH", "LT", "ST", "UT", "UC":
			return set(s)
		}
		return ascii(s)
	}
}

// oneByteSets are the sets of one byte a character, by their defined terms.
var oneByteSets = map[string]encoding.Encoding{
	"ISO_IR 100": charmap.ISO8859_1, "ISO_IR 101": charmap.ISO8859_2, "ISO_IR 144": charmap.ISO8859_5,
	"ISO_IR 127": charmap.ISO8859_6, "ISO_IR 126": charmap.ISO8859_7, "ISO_IR 138": charmap.ISO8859_8,
	"ISO_IR 148": charmap.ISO8859_9, "ISO_IR 166": charmap.Windows874,
}

func manyByteSet(charset string) (set func(string) ([]byte, bool)) {
	switch charset {
	case "ISO_IR 192":
		set = func(s string) ([]byte, bool) { return []byte(s), true }
	case "":
		set = ascii
	case "GB18030":
		set = with(simplifiedchinese.GB18030)
	case "GBK":
		set = with(simplifiedchinese.GBK)
	case `\ISO 2022 IR 87`:
		set = byComponent(with(japanese.ISO2022JP))
	case `\ISO 2022 IR 149`:
		set = byComponent(designated("\x1B$)C", korean.EUCKR))
	case `\ISO 2022 IR 58`:
		set = byComponent(designated("\x1B$)A", simplifiedchinese.GBK))
	default:
		panic("character set not built in: " + charset)
	}
	return set
}

func join(parts [][]byte, sep byte) []byte {
	var out []byte
	for i, p := range parts {
		if i > 0 {
			out = append(out, sep)
		}
		out = append(out, p...)
	}
	return out
}

func ascii(s string) ([]byte, bool) {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return nil, false
		}
	}
	return []byte(s), true
}

func with(enc encoding.Encoding) func(string) ([]byte, bool) {
	return func(s string) ([]byte, bool) {
		b, err := enc.NewEncoder().Bytes([]byte(s))
		return b, err == nil
	}
}

// designated writes a set of two-byte characters in G1 (PS3.5 6.1.2.5.2): the escape
// sequence goes before the first of them in a line or component.
func designated(escape string, enc encoding.Encoding) func(string) ([]byte, bool) {
	encode := with(enc)
	return func(s string) ([]byte, bool) {
		b, ok := encode(s)
		if _, plain := ascii(s); !ok || plain {
			return b, ok
		}
		return append([]byte(escape), b...), true
	}
}

// byComponent encodes each component of a name by itself, because every delimiter
// ends what escape sequences have begun (PS3.5 6.1.2.5.3).
func byComponent(set func(string) ([]byte, bool)) func(string) ([]byte, bool) {
	return func(s string) ([]byte, bool) {
		var parts [][]byte
		for _, component := range strings.Split(s, "^") {
			b, ok := set(component)
			if !ok {
				return nil, false
			}
			parts = append(parts, b)
		}
		return join(parts, '^'), true
	}
}
