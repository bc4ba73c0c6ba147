package pixel

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// Samples reads numbers of so many bits each, little endian, the lowest bit first.
type Samples struct {
	r     *bufio.Reader
	bytes int    // of a sample; 0 when it is no whole number of them
	bits  uint   // of a sample
	held  uint64 // bits read and not given out
	have  uint
}

// NewSamples reads samples of 1 to 64 bits.
func NewSamples(r io.Reader, bits int) *Samples {
	in := &Samples{r: bufio.NewReaderSize(r, 64<<10), bits: uint(bits)}
	if bits%8 == 0 {
		in.bytes = bits / 8
	}
	return in
}

// Next is the next sample, io.ErrUnexpectedEOF where there is none, or the reader's
// error.
func (s *Samples) Next() (uint64, error) {
	switch s.bytes {
	case 1:
		b, err := s.r.ReadByte()
		return uint64(b), short(err)
	case 0:
		return s.loose()
	}
	b, err := s.r.Peek(s.bytes)
	if err != nil {
		return 0, short(err)
	}
	var v [8]byte
	copy(v[:], b)
	_, err = s.r.Discard(s.bytes)
	return binary.LittleEndian.Uint64(v[:]), err
}

// loose reads a sample that begins or ends inside a byte.
func (s *Samples) loose() (v uint64, err error) {
	for got := uint(0); got < s.bits; {
		if s.have == 0 {
			b, err := s.r.ReadByte()
			if err != nil {
				return 0, short(err)
			}
			s.held, s.have = uint64(b), 8
		}
		n := min(s.have, s.bits-got)
		v |= (s.held & (1<<n - 1)) << got
		s.held >>= n
		s.have -= n
		got += n
	}
	return v, nil
}

// short is the error of an input that ended too early.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
