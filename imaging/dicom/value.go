package dicom

import (
	"bytes"
	"io"
	"strconv"

	"medvault/imaging"
)

// Value finds a top-level element, named by eight hex digits, and returns a reader
// over its value in little endian, as bulk data is given out (PS3.18 8.7.3.3.2). A
// sequence, an encapsulated value or an absent element is imaging.ErrNoValue. It
// reads r no further than the value.
func (Scrubber) Value(r io.Reader, tag string) (io.Reader, error) {
	number, err := strconv.ParseUint(tag, 16, 32)
	if err != nil || len(tag) != 8 {
		return nil, imaging.ErrNoValue
	}
	s := Split(r)
	for {
		segment, err := s.Next()
		if err == io.EOF {
			return nil, imaging.ErrNoValue
		}
		if err != nil {
			return nil, err
		}
		if e := segment.Find(Tag(number)); e != nil {
			return s.value(segment, e)
		}
		if segment.Bulk {
			if _, err := s.CopyBulk(io.Discard, nil); err != nil {
				return nil, err
			}
		}
	}
}

func (s *Splitter) value(segment *Segment, e *Element) (io.Reader, error) {
	if e.Container() || e.Length == Undefined {
		return nil, imaging.ErrNoValue
	}
	word := 1
	if s.Syntax.BigEndian && e.Tag.Group() != 2 {
		word = wordSize(e.VR)
	}
	if e.Flags&Bulk == 0 {
		v := bytes.Clone(segment.Bytes(e))
		swap(v, word)
		return bytes.NewReader(v), nil
	}
	s.bulk = nil
	return &bulkValue{s: s, rest: int64(e.Length), word: word}, nil
}

// bulkValue reads a long value of defined length out of the splitter.
type bulkValue struct {
	s    *Splitter
	rest int64
	word int
	part []byte
}

func (b *bulkValue) Read(p []byte) (int, error) {
	if len(b.part) == 0 {
		if b.rest == 0 {
			return 0, io.EOF
		}
		if !b.s.refill(int(min(b.rest, int64(b.word)))) {
			return 0, b.s.short()
		}
		n := int(min(b.rest, int64(len(b.s.buf)-b.s.pos)))
		if n > b.word {
			n -= n % b.word
		}
		b.part = b.s.buf[b.s.pos:][:n]
		swap(b.part, b.word)
		b.s.pos += n
		b.rest -= int64(n)
	}
	n := copy(p, b.part)
	b.part = b.part[n:]
	return n, nil
}
