package dicom

import (
	"encoding/binary"
	"fmt"
	"io"

	"medvault/imaging"
)

// Convert rewrites a document into a Part 10 file in Explicit VR Little Endian. One
// that is so already is copied as it is. Implicit, big endian and deflated data
// sets, and those without preamble or file meta, are written anew: values
// unchanged but for byte order, group lengths left out, sequence lengths of the
// kind they had. Everything else is imaging.ErrCannotConvert before the first byte.
func (Scrubber) Convert(w io.Writer, r io.Reader) error {
	s := Split(r)
	segment, err := s.Next()
	if err != nil {
		return err
	}
	if onlyGroupLengths(segment) {
		return s.notDICOM() // written anew it would have no data set at all
	}
	if !s.Syntax.native() || endsEncapsulated(segment) {
		return imaging.ErrCannotConvert
	}
	if asIs(s) {
		return s.copyAll(w, segment)
	}
	c := &converter{syntax: s.Syntax}
	c.fileMeta(segment, s.Preamble)
	for {
		if err := c.segment(w, segment, s); err != nil {
			return err
		}
		segment, err = s.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func onlyGroupLengths(s *Segment) bool {
	for i := 0; i < len(s.Elements); i = int(s.Elements[i].Next) {
		if t := s.Elements[i].Tag; t.Group() != 2 && t.Element() != 0 {
			return false
		}
	}
	return true
}

func endsEncapsulated(s *Segment) bool {
	return s.Bulk && s.Elements[len(s.Elements)-1].Length == Undefined
}

func asIs(s *Splitter) bool {
	return s.Preamble && s.Syntax == Syntax{UID: uidExplicitLE}
}

// copyAll sends the first segment and all that follows it, unread.
func (s *Splitter) copyAll(w io.Writer, first *Segment) error {
	for _, b := range [][]byte{first.Raw, s.buf[s.pos:]} {
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("convert: %w", err)
		}
	}
	if s.readErr != nil {
		if s.readErr == io.EOF {
			return nil
		}
		return s.readErr
	}
	if _, err := io.Copy(w, s.src); err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	return nil
}

// converter writes elements in Explicit VR Little Endian.
type converter struct {
	buf    []byte
	syntax Syntax
	signed bool // Pixel Representation
}

// fileMeta begins the file: preamble, and group 0002 with the new transfer syntax
// and its right length.
func (c *converter) fileMeta(s *Segment, preamble bool) {
	if preamble {
		c.buf = append(c.buf, s.Raw[:128]...)
	} else {
		c.buf = append(c.buf, make([]byte, 128)...)
	}
	c.buf = append(c.buf, "DICM\x02\x00\x00\x00UL\x04\x00"...)
	length := len(c.buf)
	c.buf = append(c.buf, 0, 0, 0, 0)
	required := []Tag{0x0002_0001, 0x0002_0002, 0x0002_0003, tagTransferSyntax}
	fillUpTo := func(t Tag) {
		for len(required) > 0 && required[0] <= t {
			c.required(s, required[0])
			required = required[1:]
		}
	}
	for i := int32(0); i < int32(len(s.Elements)); i = s.Elements[i].Next {
		e := &s.Elements[i]
		if e.Tag.Group() != 2 || e.Tag.Element() == 0 {
			continue
		}
		fillUpTo(e.Tag)
		if e.Tag != tagTransferSyntax {
			c.element(s, i, coding{})
		}
	}
	fillUpTo(0x0002_FFFF)
	binary.LittleEndian.PutUint32(c.buf[length:], uint32(len(c.buf)-length-4))
}

// required writes a file meta element that every file has: always the transfer
// syntax, the others where they are missing.
func (c *converter) required(s *Segment, t Tag) {
	from := map[Tag]Tag{0x0002_0002: 0x0008_0016, 0x0002_0003: 0x0008_0018}[t]
	e := s.Find(from)
	switch {
	case t == tagTransferSyntax:
		c.buf = append(c.buf, "\x02\x00\x10\x00UI\x14\x00"+uidExplicitLE+"\x00"...)
	case s.Find(t) != nil:
	case t == 0x0002_0001:
		c.buf = append(c.buf, "\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01"...)
	case e != nil && len(s.Bytes(e)) <= 64:
		c.tag(t)
		c.buf = append(c.buf, 'U', 'I', byte(len(s.Bytes(e))), 0)
		c.buf = append(c.buf, s.Bytes(e)...)
	}
}

// segment writes the data set's elements of a segment, and the bulk value after it.
func (c *converter) segment(w io.Writer, s *Segment, from *Splitter) error {
	last := int32(len(s.Elements))
	if s.Bulk {
		last--
	}
	for i := int32(0); i < last; i = s.Elements[i].Next {
		e := &s.Elements[i]
		if e.Tag.Group() == 2 {
			continue
		}
		c.element(s, i, coding{big: c.syntax.BigEndian})
	}
	if s.Bulk {
		e := &s.Elements[last]
		if e.Length == Undefined {
			return &imaging.Refusal{Code: "unexpected-fragments", Offset: e.Offset, Advice: "pixel data is in fragments although the transfer syntax has none; send the file with the right transfer syntax"}
		}
		c.head(e, c.vr(e), e.Length)
	}
	if _, err := w.Write(c.buf); err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	c.buf = c.buf[:0]
	if !s.Bulk {
		return nil
	}
	e := &s.Elements[last]
	if word := swapSize(c.vr(e)); c.syntax.BigEndian && word > 1 {
		w = &swapper{w: w, word: word}
	}
	_, err := from.CopyBulk(w, nil)
	if err != nil {
		return err
	}
	if sw, ok := w.(*swapper); ok {
		return sw.flush()
	}
	return nil
}

// element writes element i with everything in it.
func (c *converter) element(s *Segment, i int32, in coding) {
	e := &s.Elements[i]
	if e.Tag.Element() == 0 {
		return // group lengths are retired, and would be wrong now
	}
	if e.Tag == 0x0028_0103 {
		v := s.Bytes(e)
		c.signed = len(v) == 2 && v[0]|v[1] == 1
	}
	implicit := e.Flags&Implicit != 0
	if e.Container() && (e.VR == SQ || implicit) {
		c.sequence(s, i, in)
		return
	}
	vr := c.vr(e)
	value := s.Bytes(e)
	if e.Length == Undefined {
		// UN holding items, which are implicit little endian in every syntax, or
		// fragments: delimited as they were.
		c.head(e, vr, Undefined)
		c.buf = append(c.buf, value...)
		return
	}
	c.head(e, vr, uint32(len(value)))
	start := len(c.buf)
	c.buf = append(c.buf, value...)
	if word := swapSize(vr); in.big && word > 1 {
		swap(c.buf[start:], word)
	}
}

// sequence writes items; lengths that were undefined stay so, others are counted.
func (c *converter) sequence(s *Segment, i int32, in coding) {
	e := &s.Elements[i]
	body := c.open(e, SQ)
	signed := c.signed
	for item := i + 1; item < e.Next; item = s.Elements[item].Next {
		it := &s.Elements[item]
		content := c.open(it, 0)
		for child := item + 1; child < it.Next; child = s.Elements[child].Next {
			c.element(s, child, in)
		}
		c.close(it, content, tagItemDelim)
		c.signed = signed // an item's own ends with it
	}
	c.close(e, body, tagSequenceDelim)
}

// open writes the head of a sequence or item and returns where its contents begin.
func (c *converter) open(e *Element, vr VR) (body int) {
	c.head(e, vr, Undefined)
	return len(c.buf)
}

func (c *converter) close(e *Element, body int, delimiter Tag) {
	if e.Length == Undefined {
		c.tag(delimiter)
		c.buf = append(c.buf, 0, 0, 0, 0)
		return
	}
	binary.LittleEndian.PutUint32(c.buf[body-4:], uint32(len(c.buf)-body))
}

// head writes tag, VR (0: none, an item) and length.
func (c *converter) head(e *Element, vr VR, length uint32) {
	c.tag(e.Tag)
	short := !vr.long() && (vr.known() || e.Value-e.Offset == 8)
	switch {
	case vr == 0:
	case short:
		c.buf = append(c.buf, byte(vr>>8), byte(vr))
		c.buf = binary.LittleEndian.AppendUint16(c.buf, uint16(length))
		return
	default:
		c.buf = append(c.buf, byte(vr>>8), byte(vr), 0, 0)
	}
	c.buf = binary.LittleEndian.AppendUint32(c.buf, length)
}

func (c *converter) tag(t Tag) {
	c.buf = binary.LittleEndian.AppendUint16(c.buf, t.Group())
	c.buf = binary.LittleEndian.AppendUint16(c.buf, t.Element())
}

// vr is the VR to write: the element's own, or what the dictionary's means here.
func (c *converter) vr(e *Element) VR {
	vr := e.VR
	if e.Flags&Implicit != 0 {
		vr = implied(e.Tag, vr, c.signed)
	}
	switch {
	case e.Flags&Opaque != 0:
		return UN
	case vr == SQ:
		return vr
	case vr.known() && !vr.long() && e.Length > 0xFFFF:
		return UN // the length does not fit (PS3.5 6.2.2 note 4)
	}
	return vr
}

// implied is the VR of an element that came without one, where the dictionary
// leaves a choice.
func implied(t Tag, vr VR, signed bool) VR {
	switch {
	case t == tagPixelData, t == 0x0028_3006, t >= 0x0028_1201 && t <= 0x0028_1203,
		t&0xFF01_FFFF == 0x6000_3000: // pixels, LUTs and overlays are words (PS3.5 A.1)
		return OW
	case vr == US && signed && eitherSign(t):
		return SS
	}
	return vr
}

// swapSize is how many bytes turn round together.
func swapSize(vr VR) int {
	if vr == AT {
		return 2 // group and element each
	}
	return wordSize(vr)
}

// swapper turns words round on their way to w.
type swapper struct {
	w    io.Writer
	word int
	buf  []byte
	held int // bytes of a word not complete yet, at the start of buf
}

func (s *swapper) Write(p []byte) (int, error) {
	s.buf = append(s.buf[:s.held], p...)
	whole := len(s.buf) - len(s.buf)%s.word
	swap(s.buf[:whole], s.word)
	if _, err := s.w.Write(s.buf[:whole]); err != nil {
		return 0, err
	}
	s.held = copy(s.buf, s.buf[whole:])
	return len(p), nil
}

// flush writes the bytes of half a word as they are.
func (s *swapper) flush() error {
	_, err := s.w.Write(s.buf[:s.held])
	return err
}
