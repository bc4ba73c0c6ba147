package render

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"medvault/imaging/pixel"
)

// samples reads numbers of so many bits each, the lowest bit first.
type samples struct {
	r     *bufio.Reader
	bytes int    // of a sample; 0 when it is no whole number of them
	bits  uint   // of a sample
	held  uint64 // bits read and not given out
	have  uint
}

func newSamples(r io.Reader, s pixel.Shape) *samples {
	in := &samples{r: bufio.NewReaderSize(r, 64<<10), bits: uint(s.Allocated)}
	if s.Allocated%8 == 0 {
		in.bytes = s.Allocated / 8
	}
	return in
}

func (s *samples) next() (uint64, error) {
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
func (s *samples) loose() (v uint64, err error) {
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

func short(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: the frame is shorter than its attributes say", ErrNoPreview)
	}
	return fmt.Errorf("read frame: %w", err)
}
