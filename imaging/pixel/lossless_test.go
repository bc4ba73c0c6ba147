package pixel_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"

	"medvault/imaging/pixel"
)

// losslessEncoder writes JPEG of process 14 with one table, whose codes are all of
// five bits.
type losslessEncoder struct {
	shape     pixel.Shape
	precision int
	predictor int
	shift     int
	lines     int  // of a restart interval; 0 for none
	apart     bool // a scan for every component

	out  []byte
	acc  uint64
	have uint
}

func (e *losslessEncoder) encode(planes [][]uint16) []byte {
	s := e.shape
	e.out = []byte("\xFF\xD8\xFF\xFE\x00\x06word\xFF\xC3")
	e.u16(8 + 3*s.Samples)
	e.out = append(e.out, byte(e.precision))
	e.u16(s.Rows)
	e.u16(s.Columns)
	e.out = append(e.out, byte(s.Samples))
	for c := range s.Samples {
		e.out = append(e.out, byte(c+1), 0x11, 0)
	}
	e.out = append(e.out, 0xFF, 0xC4)
	e.u16(2 + 17 + 17)
	e.out = append(e.out, 1, 0, 0, 0, 0, 17)
	e.out = append(e.out, make([]byte, 11)...)
	for i := range 17 {
		e.out = append(e.out, byte(i))
	}
	if e.lines > 0 {
		e.out = append(e.out, 0xFF, 0xDD, 0, 4)
		e.u16(e.lines * s.Columns)
	}
	if e.apart {
		for c := range planes {
			e.scan(planes, c)
		}
	} else {
		e.scan(planes, -1)
	}
	return append(e.out, 0xFF, 0xD9)
}

func (e *losslessEncoder) scan(planes [][]uint16, only int) {
	components := []int{only}
	if only < 0 {
		components = components[:0]
		for c := range planes {
			components = append(components, c)
		}
	}
	e.out = append(e.out, 0xFF, 0xDA)
	e.u16(6 + 2*len(components))
	e.out = append(e.out, byte(len(components)))
	for _, c := range components {
		e.out = append(e.out, byte(c+1), 0x10)
	}
	e.out = append(e.out, byte(e.predictor), 0, byte(e.shift))
	first := 0
	for y := range e.shape.Rows {
		if e.lines > 0 && y > 0 && y%e.lines == 0 {
			e.flush()
			e.out = append(e.out, 0xFF, 0xD0+byte((y/e.lines-1)%8))
			first = y
		}
		for x := range e.shape.Columns {
			for _, c := range components {
				e.put(int(int16(int(e.at(planes[c], x, y)) - e.predict(planes[c], x, y, first))))
			}
		}
	}
	e.flush()
}

func (e *losslessEncoder) at(plane []uint16, x, y int) uint16 {
	return plane[y*e.shape.Columns+x] >> e.shift
}

func (e *losslessEncoder) predict(plane []uint16, x, y, first int) int {
	v := func(dx, dy int) int { return int(e.at(plane, x-dx, y-dy)) }
	switch {
	case x == 0 && y == first:
		return 1 << (e.precision - e.shift - 1)
	case y == first:
		return v(1, 0)
	case x == 0:
		return v(0, 1)
	}
	return []int{v(1, 0), v(0, 1), v(1, 1), v(1, 0) + v(0, 1) - v(1, 1), v(1, 0) + (v(0, 1)-v(1, 1))>>1,
		v(0, 1) + (v(1, 0)-v(1, 1))>>1, (v(1, 0) + v(0, 1)) >> 1}[e.predictor-1]
}

func (e *losslessEncoder) put(difference int) {
	if difference == -1<<15 {
		e.write(16, 5)
		return
	}
	size := difference
	if size < 0 {
		size = -size
	}
	n := uint(bits.Len(uint(size)))
	e.write(uint64(n), 5)
	if difference < 0 {
		difference += 1<<n - 1
	}
	e.write(uint64(difference), n)
}

func (e *losslessEncoder) write(v uint64, n uint) {
	e.acc, e.have = e.acc<<n|v, e.have+n
	for e.have >= 8 {
		b := byte(e.acc >> (e.have - 8))
		if e.out = append(e.out, b); b == 0xFF {
			e.out = append(e.out, 0)
		}
		e.have -= 8
	}
}

// flush fills the last byte with ones.
func (e *losslessEncoder) flush() {
	if e.have > 0 {
		e.write(1<<(8-e.have)-1, 8-e.have)
	}
	e.acc, e.have = 0, 0
}

func (e *losslessEncoder) u16(v int) { e.out = binary.BigEndian.AppendUint16(e.out, uint16(v)) }

func TestLosslessJPEG(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for predictor := 1; predictor <= 7; predictor++ {
		for _, c := range []struct {
			samples, allocated, precision, shift, lines int
			apart                                       bool
		}{
			{1, 8, 8, 0, 0, false}, {1, 16, 12, 0, 0, false}, {1, 16, 16, 0, 0, false}, {1, 16, 16, 0, 2, false},
			{1, 16, 12, 3, 0, false}, {3, 8, 8, 0, 0, false}, {3, 8, 8, 0, 3, true}, {1, 16, 2, 0, 1, false},
		} {
			t.Run(fmt.Sprint(predictor, c), func(t *testing.T) {
				s := pixel.Shape{Rows: 9, Columns: 13, Frames: 1, Samples: c.samples, Allocated: c.allocated, Stored: c.precision,
					High: c.precision - 1, Photometric: map[int]string{1: "MONOCHROME2", 3: "RGB"}[c.samples]}
				planes := make([][]uint16, c.samples)
				var want []byte
				for i := range planes {
					planes[i] = make([]uint16, s.Rows*s.Columns)
					for k := range planes[i] {
						planes[i][k] = uint16(r.Uint32()) & uint16(1<<c.precision-1) >> c.shift << c.shift
					}
				}
				for k := range planes[0] {
					for _, plane := range planes {
						want = append(want, byte(plane[k]))
						if c.allocated == 16 {
							want = append(want, byte(plane[k]>>8))
						}
					}
				}
				e := &losslessEncoder{shape: s, precision: c.precision, predictor: predictor, shift: c.shift, lines: c.lines, apart: c.apart}
				frame := e.encode(planes)
				got, err := pixel.Decode(pixel.JPEGLossless, s, frame)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("decoded something else (%v)", err)
				}
				for cut := 0; cut < len(frame)-3; cut += 7 {
					if _, err := pixel.Decode(pixel.JPEGFirst, s, frame[:cut]); !errors.Is(err, pixel.ErrDecode) {
						t.Fatalf("cut at %d of %d: %v; want ErrDecode", cut, len(frame), err)
					}
				}
			})
		}
	}
}

func TestLosslessJPEGOfAnotherShape(t *testing.T) {
	s := pixel.Shape{Rows: 3, Columns: 4, Frames: 1, Samples: 1, Allocated: 16, Stored: 12, High: 11, Photometric: "MONOCHROME2"}
	frame := string((&losslessEncoder{shape: s, precision: 12, predictor: 1}).encode([][]uint16{make([]uint16, 12)}))
	for name, c := range map[string]struct {
		change func(*pixel.Shape)
		frame  string
	}{
		"rows":               {func(s *pixel.Shape) { s.Rows = 4 }, frame},
		"columns":            {func(s *pixel.Shape) { s.Columns = 3 }, frame},
		"samples":            {func(s *pixel.Shape) { s.Samples, s.Photometric = 3, "RGB" }, frame},
		"more bits":          {func(s *pixel.Shape) { s.Stored, s.High = 14, 13 }, frame},
		"other process":      {nil, strings.Replace(frame, "\xFF\xC3", "\xFF\xC0", 1)},
		"no table":           {nil, strings.Replace(frame, "\xFF\xC4", "\xFF\xE4", 1)},
		"no frame":           {nil, strings.Replace(frame, "\xFF\xC3", "\xFF\xE3", 1)},
		"too many codes":     {nil, strings.Replace(frame, "\x01\x00\x00\x00\x00\x11", "\x01\x03\x00\x00\x00\x0E", 1)},
		"no such predictor":  {nil, strings.Replace(frame, "\x01\x10\x01\x00\x00", "\x01\x10\x08\x00\x00", 1)},
		"no such component":  {nil, strings.Replace(frame, "\x01\x10\x01\x00\x00", "\x07\x10\x01\x00\x00", 1)},
		"half sized":         {nil, strings.Replace(frame, "\x01\x11\x00", "\x01\x22\x00", 1)},
		"restart in a line":  {nil, strings.Replace(frame, "\xFF\xDA", "\xFF\xDD\x00\x04\x00\x03\xFF\xDA", 1)},
		"words for a marker": {nil, strings.Replace(frame, "\xFF\xC4", "abcd", 1)},
	} {
		s := s
		if c.change != nil {
			c.change(&s)
		}
		if _, err := pixel.Decode(pixel.JPEGLossless, s, []byte(c.frame)); !errors.Is(err, pixel.ErrDecode) {
			t.Errorf("%s: %v; want ErrDecode", name, err)
		}
	}
}
