package pixel

import (
	"encoding/binary"
	"errors"
	"slices"
)

// errLossless is a frame that is not JPEG of process 14 (ITU-T T.81 Annex H), or not
// of the shape asked for. The caller says it in its own words.
var errLossless = errors.New("not lossless JPEG")

// lossless decodes one frame of lossless JPEG with Huffman coding.
type lossless struct {
	shape Shape
	data  []byte
	at    int

	precision  int
	components []byte // ids, in the order of the frame header
	tables     [4]*huffman
	restart    int // MCUs
	scans      []bool
	planes     [][]uint16 // samples a component

	bits uint64 // not given out yet, the next one on top
	have uint
}

// scan is what a scan header says.
type scan struct {
	components []int // indices
	tables     []*huffman
	predictor  byte
	shift      uint // point transform
}

// decodeLossless returns the samples in little endian, by pixel.
func decodeLossless(s Shape, frame []byte) ([]byte, error) {
	l := &lossless{shape: s, data: frame}
	if err := l.frame(); err != nil {
		return nil, err
	}
	return interleaved(s, l.planes), nil
}

// interleaved puts planes of samples together by pixel, little endian.
func interleaved(s Shape, planes [][]uint16) []byte {
	width := s.Allocated / 8
	out := make([]byte, s.Rows*s.Columns*s.Samples*width)
	for c, plane := range planes {
		at := c * width
		for _, v := range plane {
			out[at] = byte(v)
			if width > 1 {
				out[at+1] = byte(v >> 8)
			}
			at += s.Samples * width
		}
	}
	return out
}

// frame walks the markers up to the end of the image.
func (l *lossless) frame() error {
	if len(l.data) < 4 || l.data[0] != 0xFF || l.data[1] != 0xD8 {
		return errLossless
	}
	l.at = 2
	for !complete(l.scans) {
		code, segment, err := l.segment()
		if err != nil {
			return err
		}
		switch {
		case code == 0xC3:
			err = l.header(segment)
		case code == 0xC4:
			err = l.huffman(segment)
		case code == 0xDD && len(segment) == 2:
			l.restart = int(binary.BigEndian.Uint16(segment))
		case code == 0xDA:
			err = l.scan(segment)
		case code >= 0xE0 || code == 0xDB: // applications' own, comments, tables of no use here
		default:
			err = errLossless
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// complete reports whether every component has had its scan.
func complete(done []bool) bool { return len(done) > 0 && !slices.Contains(done, false) }

// segment reads a marker and what belongs to it.
func (l *lossless) segment() (code byte, segment []byte, err error) {
	for l.at+1 < len(l.data) && l.data[l.at] == 0xFF && l.data[l.at+1] == 0xFF {
		l.at++ // fill bytes
	}
	if l.at+4 > len(l.data) || l.data[l.at] != 0xFF {
		return 0, nil, errLossless
	}
	code = l.data[l.at+1]
	n := int(binary.BigEndian.Uint16(l.data[l.at+2:]))
	if n < 2 || l.at+2+n > len(l.data) {
		return 0, nil, errLossless
	}
	segment = l.data[l.at+4 : l.at+2+n]
	l.at += 2 + n
	return code, segment, nil
}

// header reads the frame header and takes memory for what the attributes say as well.
func (l *lossless) header(b []byte) error {
	s := l.shape
	if l.planes != nil || len(b) != 6+3*s.Samples || int(b[5]) != s.Samples ||
		int(binary.BigEndian.Uint16(b[1:])) != s.Rows || int(binary.BigEndian.Uint16(b[3:])) != s.Columns {
		return errLossless
	}
	l.precision = int(b[0])
	if l.precision < 2 || l.precision > 16 || l.precision > s.Allocated || l.precision <= s.High {
		return errLossless
	}
	for c := b[6:]; len(c) > 0; c = c[3:] {
		if c[1] != 0x11 { // of full size
			return errLossless
		}
		l.components = append(l.components, c[0])
		l.planes = append(l.planes, make([]uint16, s.Rows*s.Columns))
	}
	l.scans = make([]bool, s.Samples)
	return nil
}

// huffman reads tables (T.81 B.2.4.2).
func (l *lossless) huffman(b []byte) error {
	for len(b) > 0 {
		if len(b) < 17 || b[0] > 3 {
			return errLossless
		}
		t := &huffman{}
		code, n := 0, 0
		for i, count := range b[1:17] {
			t.first[i], t.index[i] = code, n
			n += int(count)
			code += int(count)
			t.behind[i] = code
			if code > 1<<(i+1) {
				return errLossless
			}
			code <<= 1
		}
		if n > 17 || len(b) < 17+n {
			return errLossless
		}
		copy(t.values[:], b[17:17+n])
		l.tables[b[0]] = t
		b = b[17+n:]
	}
	return nil
}

// huffman is a canonical code: by length less one, its first code, the one behind its
// last, and the index of its first value.
type huffman struct {
	first, behind, index [16]int
	values               [17]byte
}

// scan reads a scan header and the data behind it.
func (l *lossless) scan(b []byte) error {
	if l.planes == nil || len(b) < 1 || len(b) != 4+2*int(b[0]) || b[0] < 1 || int(b[0]) > len(l.components) {
		return errLossless
	}
	sc := scan{predictor: b[len(b)-3], shift: uint(b[len(b)-1] & 15)}
	if sc.predictor < 1 || sc.predictor > 7 || int(sc.shift) >= l.precision {
		return errLossless
	}
	for k := range int(b[0]) {
		id, table := b[1+2*k], b[2+2*k]>>4
		c := -1
		for i, known := range l.components {
			if known == id && !l.scans[i] {
				c = i
				break
			}
		}
		if c < 0 || table > 3 || l.tables[table] == nil {
			return errLossless
		}
		l.scans[c] = true
		sc.components = append(sc.components, c)
		sc.tables = append(sc.tables, l.tables[table])
	}
	if l.restart%l.shape.Columns != 0 {
		return errLossless // only whole lines may begin anew
	}
	return l.samples(&sc)
}

// samples decodes the data of a scan.
func (l *lossless) samples(sc *scan) error {
	l.bits, l.have = 0, 0
	columns := l.shape.Columns
	first := 0 // row of the restart interval
	for y := range l.shape.Rows {
		if l.restart > 0 && y > 0 && y*columns%l.restart == 0 {
			if err := l.begin(); err != nil {
				return err
			}
			first = y
		}
		for x := range columns {
			for k, c := range sc.components {
				difference, err := l.difference(sc.tables[k])
				if err != nil {
					return err
				}
				v := uint16(l.predict(sc, c, x, y, first) + difference)
				if v>>(uint(l.precision)-sc.shift) != 0 && l.precision < 16 {
					return errLossless
				}
				l.planes[c][y*columns+x] = v
			}
		}
	}
	if sc.shift > 0 {
		for _, c := range sc.components {
			for i := range l.planes[c] {
				l.planes[c][i] <<= sc.shift
			}
		}
	}
	return nil
}

// begin steps over a restart marker.
func (l *lossless) begin() error {
	l.bits, l.have = 0, 0
	if l.at+2 > len(l.data) || l.data[l.at] != 0xFF || l.data[l.at+1]&0xF8 != 0xD0 {
		return errLossless
	}
	l.at += 2
	return nil
}

// predict is the value expected of a sample (T.81 H.1.2.1).
func (l *lossless) predict(sc *scan, c, x, y, first int) int {
	plane, at, columns := l.planes[c], y*l.shape.Columns+x, l.shape.Columns
	switch {
	case x == 0 && y == first:
		return 1 << (l.precision - int(sc.shift) - 1)
	case y == first:
		return int(plane[at-1])
	case x == 0:
		return int(plane[at-columns])
	}
	a, b, diagonal := int(plane[at-1]), int(plane[at-columns]), int(plane[at-columns-1])
	switch sc.predictor {
	case 1:
		return a
	case 2:
		return b
	case 3:
		return diagonal
	case 4:
		return a + b - diagonal
	case 5:
		return a + (b-diagonal)>>1
	case 6:
		return b + (a-diagonal)>>1
	}
	return (a + b) >> 1
}

// difference reads a category and so many bits (T.81 H.1.2.2).
func (l *lossless) difference(t *huffman) (int, error) {
	l.fill()
	code := 0
	for i := range 16 {
		if l.have == 0 {
			return 0, errLossless
		}
		code = code<<1 | int(l.take(1))
		if code < t.behind[i] && code >= t.first[i] {
			return l.magnitude(uint(t.values[t.index[i]+code-t.first[i]]))
		}
	}
	return 0, errLossless
}

func (l *lossless) magnitude(category uint) (int, error) {
	switch {
	case category == 0:
		return 0, nil
	case category == 16:
		return 1 << 15, nil
	case category > 16 || l.have < category:
		return 0, errLossless
	}
	v := int(l.take(category))
	if v < 1<<(category-1) {
		v -= 1<<category - 1
	}
	return v, nil
}

func (l *lossless) take(n uint) uint64 {
	v := l.bits >> (64 - n)
	l.bits <<= n
	l.have -= n
	return v
}

// fill reads bytes until no more fit or a marker comes. A sample needs 31 bits.
func (l *lossless) fill() {
	for l.have <= 56 && l.at < len(l.data) {
		b := l.data[l.at]
		if b == 0xFF {
			if l.at+1 >= len(l.data) || l.data[l.at+1] != 0 {
				return
			}
			l.at++
		}
		l.at++
		l.bits |= uint64(b) << (56 - l.have)
		l.have += 8
	}
}
