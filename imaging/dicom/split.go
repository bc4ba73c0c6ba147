package dicom

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"medvault/imaging"
)

// Limits of what a document may ask for. Memory grows by bytes received, never by
// a length claimed.
const (
	maxHeld     = 64 << 20 // bytes of one segment
	maxDepth    = 64       // sequences in sequences
	maxElements = 512 << 10
	maxInflated = 1 << 30 // bytes a deflated document may become
	bulkFrom    = 1 << 20 // longer top-level values after group 0020 stream

	firstRead    = 16 << 10
	streamBuffer = 64 << 10
)

// Syntax is how a data set is encoded, as found; the promise of the file meta is
// UID.
type Syntax struct {
	UID       string // (0002,0010), "" when absent
	Implicit  bool
	BigEndian bool
	Deflated  bool
}

// Transfer syntaxes whose pixels are plain.
const (
	uidImplicitLE = "1.2.840.10008.1.2"
	uidExplicitLE = "1.2.840.10008.1.2.1"
	uidDeflated   = "1.2.840.10008.1.2.1.99"
	uidBigEndian  = "1.2.840.10008.1.2.2"
)

// native reports whether pixel data is not compressed; without file meta it is not.
func (s Syntax) native() bool {
	switch s.UID {
	case "", uidImplicitLE, uidExplicitLE, uidDeflated, uidBigEndian:
		return true
	}
	return false
}

// order is the byte order of the data set.
func (s Syntax) order() binary.ByteOrder {
	if s.BigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// Splitter reads a document as segments of elements and, between them, values too
// long to hold. It reads no further ahead than its buffer.
type Splitter struct {
	Syntax   Syntax // valid after the first Next
	Preamble bool   // the document began with 128 bytes and DICM; valid after the first Next
	Meta     bool   // the document has group 0002; valid after the first Next

	src     io.Reader
	readErr error  // why src ended; io.EOF when it just ended
	buf     []byte // bytes from offset base on
	pos     int    // next byte to look at, index into buf
	base    int64
	raw     *tee // what a deflated document was before inflating

	elements []Element
	counted  int
	started  bool
	bulk     *Element // value that has to be copied before the next segment
	stream   []byte   // buffer of bulk values, so that a segment handed out stays as it is
}

// Split prepares to read a document from r.
func Split(r io.Reader) *Splitter { return &Splitter{src: r} }

// Next reads up to the next bulk value or to the end. It returns nil and io.EOF
// when the document has ended, a *imaging.Refusal when the document is at fault,
// and the reader's own error otherwise. A bulk value must be copied first.
func (s *Splitter) Next() (*Segment, error) {
	if s.bulk != nil {
		return nil, errors.New("bulk value not read yet")
	}
	s.base += int64(s.pos)
	s.buf = append(make([]byte, 0, max(firstRead, 2*(len(s.buf)-s.pos))), s.buf[s.pos:]...)
	s.pos = 0
	s.elements = make([]Element, 0, 128)
	if !s.started {
		s.started = true
		if err := s.begin(); err != nil {
			return nil, err
		}
	} else if !s.need(1) {
		return nil, s.end()
	}
	bulk, err := s.topLevel()
	if err != nil {
		return nil, err
	}
	if bulk {
		s.bulk = &s.elements[len(s.elements)-1]
	}
	return &Segment{Raw: s.buf[:s.pos:s.pos], Base: s.base, Elements: s.elements, Bulk: bulk}, nil
}

// need makes sure that n bytes wait at pos; false when the input ends before.
func (s *Splitter) need(n int) bool {
	for len(s.buf)-s.pos < n {
		if s.readErr != nil {
			return false
		}
		if len(s.buf) == cap(s.buf) {
			s.buf = append(make([]byte, 0, 2*cap(s.buf)), s.buf...)
		}
		m, err := s.src.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+m]
		s.readErr = err
	}
	return true
}

func (s *Splitter) offset() int64 { return s.base + int64(s.pos) }

// end is the reader's error, io.EOF when there was none.
func (s *Splitter) end() error {
	var corrupt flate.CorruptInputError
	if errors.As(s.readErr, &corrupt) {
		return s.refuse("broken-deflate", "the deflated data set is damaged; send the file again")
	}
	if s.Syntax.Deflated && errors.Is(s.readErr, io.ErrUnexpectedEOF) {
		return s.truncated()
	}
	return s.readErr
}

// short is the error of an input that ended inside something.
func (s *Splitter) short() error {
	if err := s.end(); err != io.EOF {
		return err
	}
	return s.truncated()
}

func (s *Splitter) truncated() error {
	return s.refuse("truncated", "the file ends before its last element is complete; send it again")
}

func (s *Splitter) refuse(code, advice string) *imaging.Refusal {
	return &imaging.Refusal{Code: code, Offset: s.offset(), Advice: advice}
}

func (s *Splitter) unreadable() error {
	return s.refuse("unreadable", "an element cannot be read as DICOM; export the file again and send that")
}

// begin reads preamble and file meta and finds out how the data set is encoded.
func (s *Splitter) begin() error {
	if s.need(132) && string(s.buf[128:132]) == "DICM" {
		s.Preamble = true
		s.pos = 132
	} else if s.readErr != nil && s.readErr != io.EOF {
		return s.readErr
	}
	if !s.need(8) {
		if err := s.end(); err != io.EOF {
			return err
		}
		return s.notDICOM()
	}
	if err := s.fileMeta(); err != nil {
		return err
	}
	if !s.need(8) {
		if err := s.end(); err != io.EOF {
			return err
		}
		if !s.Meta {
			return s.notDICOM()
		}
		return s.truncated()
	}
	return s.detect()
}

func (s *Splitter) notDICOM() error {
	return s.refuse("not-dicom", "this is not a DICOM file; send DICOM Part 10 files or PDFs")
}

// fileMeta reads group 0002, always explicit little endian (PS3.10 7.1), and
// switches to the inflated stream where the transfer syntax says so.
func (s *Splitter) fileMeta() error {
	for s.need(8) && binary.LittleEndian.Uint16(s.buf[s.pos:]) == 2 {
		first := len(s.elements)
		if _, err := s.element(coding{}, -1, 0); errors.Is(err, errMalformed) {
			return s.unreadable()
		} else if err != nil {
			return err
		}
		s.Meta = true
		if e := &s.elements[first]; e.Tag == tagTransferSyntax {
			s.Syntax.UID = string(bytes.TrimRight(s.buf[e.Value-s.base:e.End-s.base], "\x00 "))
		}
	}
	switch s.Syntax.UID {
	case uidImplicitLE:
		s.Syntax.Implicit = true
	case uidBigEndian:
		s.Syntax.BigEndian = true
	case uidDeflated:
		s.inflate()
	}
	return nil
}

// inflate goes on reading from the inflated stream. What was read ahead goes
// through the inflater first.
func (s *Splitter) inflate() {
	s.Syntax.Deflated = true
	ahead := bytes.Clone(s.buf[s.pos:])
	rest := s.src
	if s.readErr != nil {
		rest = failing{s.readErr}
	}
	s.raw = &tee{src: io.MultiReader(bytes.NewReader(ahead), rest), prefix: bytes.Clone(s.buf[:s.pos])}
	s.buf, s.readErr = s.buf[:s.pos], nil
	s.src = &inflater{z: flate.NewReader(s.raw)}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// inflater bounds what a deflated document may become.
type inflater struct {
	z    io.Reader
	size int64
}

func (i *inflater) Read(p []byte) (int, error) {
	n, err := i.z.Read(p)
	if i.size += int64(n); i.size > maxInflated {
		return n, &imaging.Refusal{Code: "inflated-too-large", Offset: -1, Advice: "the deflated data set inflates to more than 1 GiB; send it uncompressed"}
	}
	return n, err
}

// tee keeps what an inflater reads, first in memory, later in a writer.
type tee struct {
	src    io.Reader
	prefix []byte
	to     io.Writer // nil: prefix
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.src.Read(p)
	if t.to != nil {
		if _, werr := t.to.Write(p[:n]); werr != nil {
			return 0, werr
		}
		return n, err
	}
	if t.prefix = append(t.prefix, p[:n]...); len(t.prefix) > maxHeld {
		return 0, &imaging.Refusal{Code: "header-too-large", Offset: maxHeld, Advice: "more than 64 MiB come before the pixel data; the vault does not take such files"}
	}
	return n, err
}

// pourInto sends what was kept and all that follows to w.
func (t *tee) pourInto(w io.Writer) error {
	_, err := w.Write(t.prefix)
	t.prefix, t.to = nil, w
	return err
}

// detect trusts the first element of the data set more than the promise.
func (s *Splitter) detect() error {
	b := s.buf[s.pos:]
	little, big := binary.LittleEndian.Uint16(b), binary.BigEndian.Uint16(b)
	if little != big {
		s.Syntax.BigEndian = big < little
	}
	vr := VR(binary.BigEndian.Uint16(b[4:]))
	s.Syntax.Implicit = !vr.known()
	if s.Preamble || s.Meta {
		return nil
	}
	// A bare data set begins with group 0008 and a first length that fits.
	order := s.Syntax.order()
	if order.Uint16(b) != 8 || s.Syntax.Implicit && order.Uint32(b[4:]) > 1<<16 {
		return s.notDICOM()
	}
	return nil
}

// coding is how a data set inside the document is written.
type coding struct{ implicit, big bool }

func (c coding) uint16(b []byte) uint16 {
	if c.big {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (c coding) uint32(b []byte) uint32 {
	if c.big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (c coding) tag(b []byte) Tag {
	return Tag(c.uint16(b))<<16 | Tag(c.uint16(b[2:]))
}

// errMalformed marks an inside that cannot be read; a container of known length
// around it becomes opaque.
var errMalformed = errors.New("malformed")

// topLevel reads elements up to a bulk value (true) or the end (false).
func (s *Splitter) topLevel() (bulk bool, err error) {
	c := coding{implicit: s.Syntax.Implicit, big: s.Syntax.BigEndian}
	for s.need(1) {
		if !s.need(8) {
			return false, s.short()
		}
		switch t := c.tag(s.buf[s.pos:]); {
		case t == tagItemDelim || t == tagSequenceDelim: // stray
			s.pos += 8
			continue
		case t == 0:
			if err := s.onlyZeros(); err != nil {
				return false, err
			}
			continue
		}
		bulk, err := s.element(c, -1, 0)
		if errors.Is(err, errMalformed) {
			return false, s.unreadable()
		}
		if err != nil || bulk {
			return bulk, err
		}
	}
	if err := s.end(); err != io.EOF {
		return false, err
	}
	return false, nil
}

// onlyZeros steps over zero bytes, which some writers fill a file with up to its end.
func (s *Splitter) onlyZeros() error {
	for s.need(1) {
		rest := s.buf[s.pos:]
		zeros := len(rest) - len(bytes.TrimLeft(rest, "\x00"))
		if s.pos += zeros; zeros < len(rest) || s.pos > maxHeld {
			return s.unreadable()
		}
	}
	return nil
}

// element reads one element and what it contains. end is where the container
// ends, as an offset, or -1. True means that the value is left in the stream.
func (s *Splitter) element(c coding, end int64, depth int) (bulk bool, err error) {
	if err := s.room(8, end); err != nil {
		return false, err
	}
	if s.counted++; s.counted > maxElements {
		return false, s.refuse("too-many-elements", "the header has more than 512 k elements; the vault does not take such files")
	}
	at := s.pos
	e := Element{Tag: c.tag(s.buf[at:]), Offset: s.offset()}
	if err := s.head(&e, c, end); err != nil {
		return false, err
	}
	e.Value = s.offset()
	index := len(s.elements)
	top := depth == 0 && e.Tag.Group() != 2
	s.elements = append(s.elements, e)

	if top && (e.Tag == tagPixelData || e.Tag == tagFloatPixels || e.Tag == tagDoublePixels ||
		e.Length != Undefined && e.Length > bulkFrom && e.Tag.Group() > 0x20 && e.VR != SQ) {
		s.elements[index].Flags |= Bulk
		s.elements[index].Next = int32(index + 1)
		return true, nil
	}
	inner := coding{implicit: c.implicit || e.Flags&Implicit != 0, big: c.big}
	if e.VR == UN {
		inner = coding{implicit: true} // PS3.5 6.2.2 note 2: implicit little endian
	}
	switch {
	case e.Length == Undefined && fragmented(e.VR):
		s.elements[index].Flags |= Fragments
		err = s.fragments(c, end)
	case e.Length == Undefined:
		s.elements[index].Flags |= Items
		err = s.items(inner, end, true, depth)
	default:
		err = s.defined(index, inner, end, depth)
	}
	if err != nil {
		return false, err
	}
	s.elements[index].Next = int32(len(s.elements))
	s.elements[index].End = s.offset()
	return false, nil
}

// fragmented reports whether an undefined length of this VR holds fragments.
func fragmented(v VR) bool { return v == OB || v == OW || v == OF || v == OD || v == OL || v == OV }

// head reads VR and length and steps to the value.
func (s *Splitter) head(e *Element, c coding, end int64) error {
	b := s.buf[s.pos:]
	vr := VR(binary.BigEndian.Uint16(b[4:]))
	// Some writers drop into implicit inside an explicit data set; letters tell.
	if c.implicit || !letters(vr) {
		e.VR, e.Length = vrOf(e.Tag), c.uint32(b[4:])
		e.Flags |= Implicit
		s.pos += 8
		return nil
	}
	e.VR = vr
	// An unknown VR is of the long form (PS3.5 6.2) unless the reserved bytes are used.
	if vr.long() || !vr.known() && b[6] == 0 && b[7] == 0 {
		if err := s.room(12, end); err != nil {
			return err
		}
		e.Length = c.uint32(s.buf[s.pos+8:])
		s.pos += 12
		return nil
	}
	e.Length = uint32(c.uint16(b[6:]))
	s.pos += 8
	return nil
}

func letters(v VR) bool {
	a, b := byte(v>>8), byte(v)
	return a >= 'A' && a <= 'Z' && b >= 'A' && b <= 'Z'
}

// room asks for n bytes before end.
func (s *Splitter) room(n int64, end int64) error {
	if end >= 0 && s.offset()+n > end {
		return errMalformed
	}
	if int64(s.pos)+n > maxHeld {
		if n > maxHeld {
			return s.refuse("absurd-length", "an element claims a length no header has; send the file again")
		}
		return s.refuse("header-too-large", "more than 64 MiB come before the pixel data; the vault does not take such files")
	}
	if !s.need(int(n)) {
		return s.short()
	}
	return nil
}

// defined reads a value whose length is given, and into it where it holds items.
func (s *Splitter) defined(index int, inner coding, end int64, depth int) error {
	e := s.elements[index]
	if err := s.room(int64(e.Length), end); err != nil {
		return err
	}
	until := e.Value + int64(e.Length)
	holds := e.VR == SQ || e.VR == UN && !e.Tag.Private() && vrOf(e.Tag) == SQ
	if !holds || e.Length == 0 {
		s.pos += int(e.Length)
		return nil
	}
	s.elements[index].Flags |= Items
	err := s.items(inner, until, false, depth)
	if errors.Is(err, errMalformed) {
		s.elements = s.elements[:index+1]
		s.elements[index].Flags = s.elements[index].Flags&^Items | Opaque
		s.pos = int(until - s.base)
		return nil
	}
	return err
}

// items reads a sequence: up to its delimiter, or up to end.
func (s *Splitter) items(c coding, end int64, delimited bool, depth int) error {
	if depth >= maxDepth {
		return s.refuse("too-deep", "sequences lie more than 64 deep in each other; the vault does not take such files")
	}
	for delimited || s.offset() < end {
		if err := s.room(8, end); err != nil {
			return err
		}
		b := s.buf[s.pos:]
		switch c.tag(b) {
		case tagItem:
			if err := s.item(c, end, depth+1); err != nil {
				return err
			}
		case tagSequenceDelim:
			s.pos += 8
			if delimited {
				return nil
			}
		case tagItemDelim: // stray
			s.pos += 8
		default:
			if delimited {
				return nil // the delimiter is missing, the next element follows
			}
			return errMalformed
		}
	}
	return nil
}

// item reads one item with its header.
func (s *Splitter) item(c coding, end int64, depth int) error {
	if s.counted++; s.counted > maxElements {
		return s.refuse("too-many-elements", "the header has more than 512 k elements; the vault does not take such files")
	}
	index := len(s.elements)
	e := Element{Tag: tagItem, Length: c.uint32(s.buf[s.pos+4:]), Offset: s.offset(), Value: s.offset() + 8}
	s.elements = append(s.elements, e)
	s.pos += 8
	delimited := e.Length == Undefined
	if !delimited {
		if err := s.room(int64(e.Length), end); err != nil {
			return err
		}
		end = e.Value + int64(e.Length)
	}
	if err := s.itemElements(c, end, delimited, depth); err != nil {
		return err
	}
	s.elements[index].Next = int32(len(s.elements))
	s.elements[index].End = s.offset()
	return nil
}

func (s *Splitter) itemElements(c coding, end int64, delimited bool, depth int) error {
	for delimited || s.offset() < end {
		if err := s.room(8, end); err != nil {
			return err
		}
		switch c.tag(s.buf[s.pos:]) {
		case tagItemDelim:
			s.pos += 8
			if delimited {
				return nil
			}
			continue // stray
		case tagSequenceDelim, tagItem:
			if delimited {
				return nil // the item's delimiter is missing
			}
			return errMalformed
		}
		if _, err := s.element(c, end, depth); err != nil {
			return err
		}
	}
	return nil
}

// fragments steps over pixel fragments held in memory.
func (s *Splitter) fragments(c coding, end int64) error {
	for {
		if err := s.room(8, end); err != nil {
			return err
		}
		b := s.buf[s.pos:]
		length := c.uint32(b[4:])
		switch c.tag(b) {
		case tagSequenceDelim:
			s.pos += 8
			return nil
		case tagItem:
			if err := s.room(8+int64(length), end); err != nil {
				return err
			}
			s.pos += 8 + int(length)
		default:
			return errMalformed
		}
	}
}

// CopyBulk sends the bulk value that ended the last segment to w: for an undefined
// length fragments with their headers and the delimiter. Each fragment is told to
// seen (which may be nil) with its place in the document; the first is the basic
// offset table. It returns how many bytes it sent.
func (s *Splitter) CopyBulk(w io.Writer, seen func(offset, length int64)) (int64, error) {
	if s.bulk == nil {
		return 0, errors.New("no bulk value to read")
	}
	e := s.bulk
	s.bulk = nil
	start := s.offset()
	if e.Length != Undefined {
		err := s.copyOut(w, int64(e.Length))
		return s.offset() - start, err
	}
	c := coding{big: s.Syntax.BigEndian}
	for {
		if !s.refill(8) {
			return s.offset() - start, s.short()
		}
		t, length := c.tag(s.buf[s.pos:]), int64(c.uint32(s.buf[s.pos+4:]))
		switch {
		case t == tagSequenceDelim:
			err := s.copyOut(w, 8)
			return s.offset() - start, err
		case t != tagItem || length == Undefined:
			return s.offset() - start, s.unreadable()
		}
		if seen != nil {
			seen(s.offset()+8, length)
		}
		if err := s.copyOut(w, 8+length); err != nil {
			return s.offset() - start, err
		}
	}
}

// copyOut sends n bytes to w and forgets them.
func (s *Splitter) copyOut(w io.Writer, n int64) error {
	for n > 0 {
		if !s.refill(1) {
			return s.short()
		}
		part := s.buf[s.pos:min(int64(len(s.buf)), int64(s.pos)+n)]
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("copy bulk value: %w", err)
		}
		s.pos += len(part)
		n -= int64(len(part))
	}
	return nil
}

// refill makes n bytes wait, in the buffer of bulk values when they are not there
// yet; false when the input has ended.
func (s *Splitter) refill(n int) bool {
	if len(s.buf)-s.pos >= n {
		return true
	}
	if s.stream == nil {
		s.stream = make([]byte, streamBuffer)
	}
	s.base += int64(s.pos)
	s.buf, s.pos = s.stream[:copy(s.stream, s.buf[s.pos:])], 0
	return s.need(n)
}
