package dicom

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"

	"medvault/imaging"
)

var _ imaging.Corrector = Scrubber{}

// correctable are the elements a correction may change, by tag.
func correctable() []correctedElement {
	return []correctedElement{
		{tagPatientName, PN, "PatientName"}, {tagPatientID, LO, "PatientID"}, {0x0010_0021, LO, "IssuerOfPatientID"},
		{0x0010_0030, DA, "PatientBirthDate"}, {0x0010_0040, CS, "PatientSex"}, {0x0010_1040, LO, "PatientAddress"},
	}
}

type correctedElement struct {
	tag     Tag
	vr      VR
	keyword string
}

const (
	tagOriginalAttributes Tag = 0x0400_0561
	tagModifiedAttributes Tag = 0x0400_0550
)

// Correct writes corrections into a document, see imaging.Corrector. Only the top level
// is changed: what a sequence says of a patient it says of another document. Text is in
// the document's character set where that has all of the new values, and otherwise all of
// it is written anew in UTF-8 (ISO_IR 192). A deflated document is written inflated.
func (Scrubber) Correct(w io.Writer, original io.Reader, corrections []imaging.Correction) error {
	s := Split(original)
	segment, err := s.Next()
	if err != nil {
		return fmt.Errorf("correct: %w", err)
	}
	c := newCorrector(s, segment, corrections)
	for err == nil {
		c.out = c.out[:0]
		if err := c.segment(segment); err != nil {
			return err
		}
		if _, err := w.Write(c.out); err != nil {
			return fmt.Errorf("correct: %w", err)
		}
		if segment.Bulk {
			if _, err := s.CopyBulk(w, nil); err != nil {
				return fmt.Errorf("correct: %w", err)
			}
		}
		segment, err = s.Next()
	}
	if err != io.EOF {
		return fmt.Errorf("correct: %w", err)
	}
	c.out = c.out[:0]
	c.insertBefore(0xFFFF_FFFF)
	if _, err := w.Write(c.out); err != nil {
		return fmt.Errorf("correct: %w", err)
	}
	return nil
}

// CorrectedSyntax is the same, but for what was deflated.
func (Scrubber) CorrectedSyntax(original string) string {
	if original == uidDeflated {
		return uidExplicitLE
	}
	return original
}

// corrector writes the elements of a document with those values that were corrected.
type corrector struct {
	recopier
	coding   coding
	source   Charset // of the data set
	toUTF8   bool    // all text is written in UTF-8
	inflated bool
	before   []modified // one for each correction
	after    map[Tag][]byte
	pending  []Tag // that have not been written yet, ascending
	begun    bool
}

// modified is what one correction found, as it is written in the document.
type modified struct {
	imaging.Correction
	values []correctedElement
	were   [][]byte
}

func newCorrector(s *Splitter, header *Segment, corrections []imaging.Correction) *corrector {
	charset := NewCharset([]byte(header.text(tagCharset)))
	c := &corrector{coding: s.Syntax.coding(), source: charset, inflated: s.Syntax.Deflated, after: make(map[Tag][]byte)}
	c.recopier = recopier{change: c.value, big: s.Syntax.BigEndian, charset: charset}
	c.toUTF8 = slices.ContainsFunc(corrections, func(k imaging.Correction) bool {
		for _, v := range k.Values {
			if charset.Text(charset.Encode(v)) != v {
				return true
			}
		}
		return false
	})
	encode := charset.Encode
	if c.toUTF8 {
		encode = func(text string) []byte { return []byte(text) }
	}
	for _, k := range corrections {
		m := modified{Correction: k}
		for _, e := range correctable() {
			value, ok := k.Values[e.keyword]
			if !ok {
				continue
			}
			was, corrected := c.after[e.tag]
			if found := header.Find(e.tag); !corrected && found != nil && !found.Container() {
				was = c.text(e.vr, header.Bytes(found))
			}
			m.values, m.were = append(m.values, e), append(m.were, was)
			c.after[e.tag] = padded(e.vr, encode(value))
		}
		if len(m.values) > 0 {
			c.before = append(c.before, m)
		}
	}
	for _, e := range correctable() {
		if _, ok := c.after[e.tag]; ok {
			c.pending = append(c.pending, e.tag)
		}
	}
	if c.toUTF8 {
		c.after[tagCharset] = []byte("ISO_IR 192")
		c.pending = append([]Tag{tagCharset}, c.pending...)
	}
	if len(c.before) > 0 {
		c.pending = append(c.pending, tagOriginalAttributes)
	}
	return c
}

// segment writes a segment, up to and with the header of the bulk value that ends it.
func (c *corrector) segment(s *Segment) error {
	if len(s.Elements) == 0 {
		return nil
	}
	if !c.begun {
		c.begun = true
		c.out = append(c.out, s.Raw[:s.Elements[0].Offset-s.Base]...) // preamble
	}
	groupLength := -1
	for i := int32(0); int(i) < len(s.Elements); i = s.Elements[i].Next {
		e := &s.Elements[i]
		if e.Tag.Group() > 2 && e.Tag.Element() == 0 {
			continue // group lengths are retired (PS3.5 7.2), and would not be true
		}
		if e.Tag.Group() > 2 {
			c.insertBefore(e.Tag)
		}
		if err := c.topLevel(s, i); err != nil {
			return err
		}
		if e.Tag == 0x0002_0000 && len(s.Bytes(e)) == 4 {
			groupLength = len(c.out)
		}
		if e.Tag.Group() == 2 && groupLength >= 4 {
			binary.LittleEndian.PutUint32(c.out[groupLength-4:], uint32(len(c.out)-groupLength))
		}
	}
	return nil
}

// topLevel writes an element, or what stands in its place.
func (c *corrector) topLevel(s *Segment, i int32) error {
	e := &s.Elements[i]
	waits := slices.Index(c.pending, e.Tag)
	if _, corrected := c.after[e.Tag]; corrected && waits < 0 {
		return nil // written already: the document is out of order, or says it twice
	}
	if waits < 0 {
		return c.element(s, i)
	}
	c.pending = slices.Delete(c.pending, waits, waits+1)
	if e.Tag != tagOriginalAttributes || !e.Container() || e.Flags&Opaque != 0 {
		c.insert(e.Tag)
		return nil
	}
	c.out = c.coding.appendHeader(c.out, e.Tag, SQ, Undefined)
	c.path = append(c.path, uint32(e.Tag))
	if err := c.inside(s, i); err != nil {
		return err
	}
	c.path = c.path[:0]
	c.items()
	return nil
}

// insertBefore writes what the document has no element for.
func (c *corrector) insertBefore(t Tag) {
	for len(c.pending) > 0 && c.pending[0] < t {
		c.insert(c.pending[0])
		c.pending = c.pending[1:]
	}
}

func (c *corrector) insert(t Tag) {
	if t == tagOriginalAttributes {
		c.out = c.coding.appendHeader(c.out, t, SQ, Undefined)
		c.items()
		return
	}
	vr := CS // Specific Character Set
	for _, e := range correctable() {
		if e.tag == t {
			vr = e.vr
		}
	}
	c.add(t, vr, c.after[t])
}

func (c *corrector) add(t Tag, vr VR, value []byte) {
	c.out = append(c.coding.appendHeader(c.out, t, vr, uint32(len(value))), value...)
}

// items writes an item of Original Attributes Sequence for each correction (PS3.3
// C.12.1.1.9) and ends the sequence.
func (c *corrector) items() {
	for _, m := range c.before {
		c.begin(tagItem)
		c.out = c.coding.appendHeader(c.out, tagModifiedAttributes, SQ, Undefined)
		c.begin(tagItem)
		for n, e := range m.values {
			c.add(e.tag, e.vr, m.were[n])
		}
		c.end(tagItemDelim)
		c.end(tagSequenceDelim)
		c.add(0x0400_0562, DT, padText(DT, m.At.UTC().Format("20060102150405")+"+0000"))
		c.add(0x0400_0563, LO, padText(LO, bare(cut(m.System, maxLength(LO)))))
		c.add(0x0400_0564, LO, nil) // Source of Previous Values: the document itself
		c.add(0x0400_0565, CS, padText(CS, "CORRECT"))
		c.end(tagItemDelim)
	}
	c.end(tagSequenceDelim)
}

func (c *corrector) begin(t Tag) { c.out = c.coding.appendHeader(c.out, t, 0, Undefined) }
func (c *corrector) end(t Tag)   { c.out = c.coding.appendHeader(c.out, t, 0, 0) }

// value is what an element that was not corrected holds: another character set may be
// all that changes.
func (c *corrector) value(e *Element, value []byte) ([]byte, bool) {
	switch {
	case e.Tag == tagTransferSyntax && c.inflated:
		return padText(UI, uidExplicitLE), true
	case e.Tag == tagCharset && c.toUTF8:
		return []byte("ISO_IR 192"), true // of an item
	}
	if !c.toUTF8 || e.Tag.Group() == 2 {
		return nil, false
	}
	text := c.text(e.VR, value)
	return text, len(text) != len(value) || string(text) != string(value)
}

// text is a value in the character set that is written.
func (c *corrector) text(vr VR, value []byte) []byte {
	if !c.toUTF8 {
		return value
	}
	switch vr {
	case PN:
		return padded(vr, []byte(c.charset.Name(value)))
	case LO, LT, SH, ST, UC, UT:
		return padded(vr, []byte(c.charset.Text(value)))
	}
	return value
}

func padded(vr VR, value []byte) []byte {
	return padText(vr, strings.TrimRight(string(value), " \x00"))
}
