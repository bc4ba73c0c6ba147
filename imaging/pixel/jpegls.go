package pixel

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math/bits"
)

// errJPEGLS is a frame that is not JPEG-LS (ITU-T T.87) without tables, or not of the
// shape asked for. The caller says it in its own words.
var errJPEGLS = errors.New("not JPEG-LS")

// jpegLS decodes one frame. Names in comments are those of the standard.
type jpegLS struct {
	shape Shape
	data  []byte
	at    int

	maximum    int    // MAXVAL
	told       [4]int // T1, T2, T3 and RESET, 0 for the default
	t1, t2, t3 int
	reset      int
	components []byte
	done       []bool
	planes     [][]uint16

	near, scale, span int // NEAR, 2 NEAR + 1, RANGE
	quantized, limit  int // qbpp, LIMIT
	contexts          [367]lsContext

	bits uint64 // the next one on top
	have uint
	last byte // byte read last
}

// lsContext is A, B, C and N of a context; in the two of run interruptions b is Nn.
type lsContext struct{ a, b, c, n int }

// lsLine is two lines of one component, with a sample more on the left and on the right.
type lsLine struct {
	above, line []int
	run         int // RUNindex
}

// decodeJPEGLS returns the samples in little endian, by pixel.
func decodeJPEGLS(s Shape, frame []byte) ([]byte, error) {
	d := &jpegLS{shape: s, data: frame}
	if len(frame) < 4 || frame[0] != 0xFF || frame[1] != 0xD8 {
		return nil, errJPEGLS
	}
	d.at = 2
	for !complete(d.done) {
		if err := d.segment(); err != nil {
			return nil, err
		}
	}
	return interleaved(s, d.planes), nil
}

// segment reads a marker and what belongs to it.
func (d *jpegLS) segment() error {
	for d.at+1 < len(d.data) && d.data[d.at] == 0xFF && d.data[d.at+1] == 0xFF {
		d.at++ // fill bytes
	}
	if d.at+4 > len(d.data) || d.data[d.at] != 0xFF {
		return errJPEGLS
	}
	code := d.data[d.at+1]
	n := int(binary.BigEndian.Uint16(d.data[d.at+2:]))
	if n < 2 || d.at+2+n > len(d.data) {
		return errJPEGLS
	}
	b := d.data[d.at+4 : d.at+2+n]
	d.at += 2 + n
	switch {
	case code == 0xF7:
		return d.header(b)
	case code == 0xF8 && d.planes != nil:
		return d.parameters(b)
	case code == 0xDA:
		return d.scan(b)
	case code >= 0xE0 && code <= 0xEF, code == 0xFE: // applications' own, comments
		return nil
	}
	return errJPEGLS
}

// header reads the frame header and takes memory for what the attributes say as well.
func (d *jpegLS) header(b []byte) error {
	s := d.shape
	if d.planes != nil || len(b) != 6+3*s.Samples || int(b[5]) != s.Samples ||
		int(binary.BigEndian.Uint16(b[1:])) != s.Rows || int(binary.BigEndian.Uint16(b[3:])) != s.Columns {
		return errJPEGLS
	}
	precision := int(b[0])
	if precision < 2 || precision > 16 || precision > s.Allocated || precision <= s.High {
		return errJPEGLS
	}
	d.maximum = 1<<precision - 1
	for c := b[6:]; len(c) > 0; c = c[3:] {
		if c[1] != 0x11 {
			return errJPEGLS
		}
		d.components = append(d.components, c[0])
		d.planes = append(d.planes, make([]uint16, s.Rows*s.Columns))
	}
	d.done = make([]bool, s.Samples)
	return nil
}

// parameters reads those that are not the default (T.87 C.2.4.1.1).
func (d *jpegLS) parameters(b []byte) error {
	if len(b) != 11 || b[0] != 1 {
		return errJPEGLS
	}
	n := func(i int) int { return int(binary.BigEndian.Uint16(b[1+2*i:])) }
	if n(0) > d.maximum {
		return errJPEGLS
	}
	if n(0) > 0 {
		d.maximum = n(0)
	}
	d.told = [4]int{n(1), n(2), n(3), n(4)}
	return nil
}

// scan reads a scan header and the data behind it.
func (d *jpegLS) scan(b []byte) error {
	if d.planes == nil || len(b) < 1 || b[0] < 1 || len(b) != 4+2*int(b[0]) || int(b[0]) > len(d.components) {
		return errJPEGLS
	}
	var components []int
	for k := range int(b[0]) {
		c := -1
		for i, known := range d.components {
			if known == b[1+2*k] && !d.done[i] {
				c = i
				break
			}
		}
		if c < 0 || b[2+2*k] != 0 {
			return errJPEGLS
		}
		d.done[c] = true
		components = append(components, c)
	}
	near, interleave, transform := int(b[len(b)-3]), b[len(b)-2], b[len(b)-1]
	if transform != 0 || interleave > 2 || (len(components) > 1) != (interleave > 0) || near > d.maximum/2 {
		return errJPEGLS
	}
	if err := d.begin(near); err != nil {
		return err
	}
	return d.lines(components, interleave == 2)
}

// begin sets the variables of a scan (T.87 A.2).
func (d *jpegLS) begin(near int) error {
	d.near, d.scale = near, 2*near+1
	d.span = (d.maximum+2*near)/d.scale + 1
	d.quantized = bits.Len(uint(d.span - 1))
	depth := max(2, bits.Len(uint(d.maximum)))
	d.limit = 2 * (depth + max(8, depth))
	t1, t2, t3 := d.defaults()
	d.t1, d.t2, d.t3, d.reset = cmp.Or(d.told[0], t1), cmp.Or(d.told[1], t2), cmp.Or(d.told[2], t3), cmp.Or(d.told[3], 64)
	if d.t1 <= near || d.t2 < d.t1 || d.t3 < d.t2 || d.t3 > d.maximum || d.reset < 3 {
		return errJPEGLS
	}
	for i := range d.contexts {
		d.contexts[i] = lsContext{a: max(2, (d.span+32)/64), n: 1}
	}
	d.bits, d.have, d.last = 0, 0, 0
	return nil
}

// defaults are the thresholds of T.87 C.2.4.1.1.1.
func (d *jpegLS) defaults() (t1, t2, t3 int) {
	clamp := func(v, least int) int {
		if v > d.maximum || v < least {
			return least
		}
		return v
	}
	if d.maximum >= 128 {
		factor := (min(d.maximum, 4095) + 128) / 256
		t1 = clamp(factor+2+3*d.near, d.near+1)
		t2 = clamp(4*factor+3+5*d.near, t1)
		return t1, t2, clamp(17*factor+4+7*d.near, t2)
	}
	factor := 256 / (d.maximum + 1)
	t1 = clamp(max(2, 3/factor+3*d.near), d.near+1)
	t2 = clamp(max(3, 7/factor+5*d.near), t1)
	return t1, t2, clamp(max(4, 21/factor+7*d.near), t2)
}

// lines decodes the lines of a scan: of one component, of several in turn, or sample by
// sample.
func (d *jpegLS) lines(components []int, bySample bool) error {
	columns := d.shape.Columns
	state := make([]*lsLine, len(components))
	for i := range state {
		state[i] = &lsLine{above: make([]int, columns+2), line: make([]int, columns+2)}
	}
	for y := range d.shape.Rows {
		for _, l := range state {
			l.above, l.line = l.line, l.above
			l.above[columns+1] = l.above[columns]
			l.line[0] = l.above[1]
		}
		if bySample {
			if err := d.line(state); err != nil {
				return err
			}
		}
		for i, l := range state {
			if !bySample {
				if err := d.line(state[i : i+1]); err != nil {
					return err
				}
			}
			row := d.planes[components[i]][y*columns:]
			for x, v := range l.line[1 : columns+1] {
				row[x] = uint16(v)
			}
		}
	}
	// The bytes that are left of the last one read belong to no marker.
	if d.last == 0xFF && d.at < len(d.data) && d.data[d.at] < 0x80 {
		d.at++
	}
	return nil
}

// line decodes one line of components that go sample by sample.
func (d *jpegLS) line(state []*lsLine) error {
	columns := d.shape.Columns
	for x := 1; x <= columns; {
		if d.flat(state, x) {
			n, err := d.run(state, x)
			if err != nil {
				return err
			}
			x += n
			continue
		}
		for _, l := range state {
			if err := d.regular(l, x); err != nil {
				return err
			}
		}
		x++
	}
	return nil
}

// flat reports whether a run begins: no gradient in any component.
func (d *jpegLS) flat(state []*lsLine, x int) bool {
	for _, l := range state {
		a, b, c, right := l.line[x-1], l.above[x], l.above[x-1], l.above[x+1]
		if d.gradient(right-b) != 0 || d.gradient(b-c) != 0 || d.gradient(c-a) != 0 {
			return false
		}
	}
	return true
}

// gradient quantizes a difference (T.87 A.3.3).
func (d *jpegLS) gradient(v int) int {
	sign := 1
	if v < 0 {
		v, sign = -v, -1
	}
	switch {
	case v <= d.near:
		return 0
	case v < d.t1:
		return sign
	case v < d.t2:
		return 2 * sign
	case v < d.t3:
		return 3 * sign
	}
	return 4 * sign
}

// regular decodes a sample by its context (T.87 A.4 to A.6).
func (d *jpegLS) regular(l *lsLine, x int) error {
	a, b, c, right := l.line[x-1], l.above[x], l.above[x-1], l.above[x+1]
	q, sign := (d.gradient(right-b)*9+d.gradient(b-c))*9+d.gradient(c-a), 1
	if q < 0 {
		q, sign = -q, -1
	}
	t := &d.contexts[q]
	predicted := a + b - c
	switch {
	case c >= max(a, b):
		predicted = min(a, b)
	case c <= min(a, b):
		predicted = max(a, b)
	}
	predicted = min(max(predicted+sign*t.c, 0), d.maximum)
	k := t.golomb(t.a)
	mapped, err := d.number(k, d.limit)
	if err != nil {
		return err
	}
	e := mapped >> 1
	if mapped&1 == 1 {
		e = -e - 1
	}
	if d.near == 0 && k == 0 && 2*t.b <= -t.n {
		e = -e - 1
	}
	t.update(e, d.scale, d.reset)
	l.line[x] = d.value(predicted + sign*e*d.scale)
	return nil
}

// golomb is the parameter of the code (T.87 A.5.1).
func (t *lsContext) golomb(a int) (k uint) {
	for t.n<<k < a && k < 24 {
		k++
	}
	return k
}

// update adapts a context to an error (T.87 A.6).
func (t *lsContext) update(e, scale, reset int) {
	t.b += e * scale
	t.a += max(e, -e)
	if t.n == reset {
		t.a >>= 1
		t.b >>= 1
		t.n >>= 1
	}
	t.n++
	switch {
	case t.b <= -t.n:
		t.b = max(t.b+t.n, 1-t.n)
		t.c = max(t.c-1, -128)
	case t.b > 0:
		t.b = min(t.b-t.n, 0)
		t.c = min(t.c+1, 127)
	}
}

// value brings a sum back into the range (T.87 A.4.4, A.8).
func (d *jpegLS) value(v int) int {
	if v < -d.near {
		v += d.span * d.scale
	} else if v > d.maximum+d.near {
		v -= d.span * d.scale
	}
	return min(max(v, 0), d.maximum)
}

// run decodes a run and the sample that interrupts it, and returns how many samples
// that is (T.87 A.7). The components share the length of the run.
func (d *jpegLS) run(state []*lsLine, x int) (int, error) {
	// J of T.87 A.7.1.1
	lengths := [32]uint{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	index := &state[0].run
	left := d.shape.Columns + 1 - x
	n := 0
	for {
		more, err := d.take(1)
		if err != nil {
			return 0, err
		}
		if more == 0 {
			break
		}
		block := 1 << lengths[*index]
		if block <= left-n && *index < 31 {
			*index++
		}
		if n += block; n >= left {
			n = left
			break
		}
	}
	full := n == left
	if !full {
		rest, err := d.take(lengths[*index])
		if err != nil {
			return 0, err
		}
		if n += int(rest); n >= left {
			return 0, errJPEGLS
		}
	}
	for _, l := range state {
		for i := range n {
			l.line[x+i] = l.line[x-1]
		}
	}
	if full {
		return n, nil
	}
	for _, l := range state {
		if err := d.interruption(l, x+n, len(state) > 1, d.limit-int(lengths[*index])-1); err != nil {
			return 0, err
		}
	}
	*index = max(*index-1, 0)
	return n + 1, nil
}

// interruption decodes the sample that ends a run (T.87 A.7.2). Among components that
// go sample by sample it is always taken as unlike its neighbour.
func (d *jpegLS) interruption(l *lsLine, x int, bySample bool, limit int) error {
	a, b := l.line[x-1], l.above[x]
	t, alike, sum, predicted, sign := &d.contexts[365], 0, d.contexts[365].a, b, 1
	switch {
	case !bySample && max(a-b, b-a) <= d.near:
		t, alike, predicted = &d.contexts[366], 1, a
		sum = t.a + t.n>>1
	case a > b:
		sign = -1
	}
	k := t.golomb(sum)
	mapped, err := d.number(k, limit)
	if err != nil {
		return err
	}
	odd := (mapped + alike) & 1
	e := (mapped + alike + odd) / 2
	if (k != 0 || 2*t.b >= t.n) == (odd == 1) {
		e = -e
	}
	if e < 0 {
		t.b++
	}
	t.a += (mapped + 1 - alike) >> 1
	if t.n == d.reset {
		t.a >>= 1
		t.n >>= 1
		t.b >>= 1
	}
	t.n++
	l.line[x] = d.value(predicted + sign*e*d.scale)
	return nil
}

// number reads a value of the limited code (T.87 A.5.3).
func (d *jpegLS) number(k uint, limit int) (int, error) {
	high := 0
	for {
		one, err := d.take(1)
		if err != nil {
			return 0, err
		}
		if one == 1 {
			break
		}
		if high++; high > limit {
			return 0, errJPEGLS
		}
	}
	if high < limit-d.quantized-1 {
		low, err := d.take(k)
		return high<<k | int(low), err
	}
	v, err := d.take(uint(d.quantized))
	return int(v) + 1, err
}

// take reads n bits, at most 24. Behind a byte FF the next has seven (T.87 A.1).
func (d *jpegLS) take(n uint) (uint64, error) {
	for d.have < n {
		if d.at >= len(d.data) {
			return 0, errJPEGLS
		}
		b, width := d.data[d.at], uint(8)
		if d.last == 0xFF {
			if b >= 0x80 {
				return 0, errJPEGLS // a marker
			}
			width = 7
		}
		if b == 0xFF && d.at+1 < len(d.data) && d.data[d.at+1] >= 0x80 {
			return 0, errJPEGLS
		}
		d.bits |= uint64(b) << (64 - width - d.have)
		d.have += width
		d.last = b
		d.at++
	}
	if n == 0 {
		return 0, nil
	}
	v := d.bits >> (64 - n)
	d.bits <<= n
	d.have -= n
	return v, nil
}
