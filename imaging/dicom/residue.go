package dicom

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"

	"medvault/imaging/subject"
)

// residue is the second line of defence: what was taken out must not be found in
// what was written, whatever the profile has missed: in the bytes in every character
// set that the document declares, and in the texts that stay.
type residue struct {
	scanner *subject.Scanner
}

func newResidue(s *subject.Subject, charset Charset) *residue {
	return &residue{scanner: s.Scanner(charset.encoders()...)}
}

// bytes looks at a stretch of the content.
func (r *residue) bytes(written []byte) {
	_, _ = r.scanner.Write(written) // never fails
}

// value looks at a value that stays as it is.
func (r *residue) value(vr VR, value []byte, charset Charset) {
	if !vr.text() {
		return
	}
	// Every other picture is number 1 of something.
	number := vr == IS || vr == DS
	text := charset.Text(value)
	if vr == PN {
		text = charset.Name(value)
	}
	for part := range strings.SplitSeq(text, `\`) {
		r.scanner.Value(trimmed(part), number)
	}
}

func (r *residue) found() bool { return len(r.scanner.Found()) > 0 }

// encoders write a text as the bytes that stand for it in each declared set, between
// escape sequences where there are any.
func (c Charset) encoders() []subject.Encoder {
	switch {
	case c.utf8:
		return nil
	case c.whole != nil:
		return []subject.Encoder{encoderOf(c.whole)}
	case !c.switches:
		return []subject.Encoder{encoderOf(charmap.Windows1252)} // see guess
	}
	var all []subject.Encoder
	for _, n := range c.declared {
		if x, ok := extensionOf(n); ok {
			all = append(all, x.text)
		}
	}
	return all
}

func encoderOf(set encoding.Encoding) subject.Encoder {
	return func(text string) []byte {
		b, err := set.NewEncoder().Bytes([]byte(text))
		if err != nil {
			return nil
		}
		return b
	}
}

// text writes a text between two escape sequences; nil where the set lacks a
// character.
func (x extension) text(text string) []byte {
	var out []byte
	for _, r := range text {
		if r < utf8.RuneSelf {
			out = append(out, byte(r))
			continue
		}
		b := x.encode(r)
		if b == nil {
			return nil
		}
		out = append(out, b...)
	}
	return out
}
