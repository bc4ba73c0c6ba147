package dicom

import (
	"fmt"
	"sort"

	"medvault/imaging"
	"medvault/imaging/pixel"
)

// canvas knows which bits of native pixels lie under masks, and what black is there.
// The pixels of all frames are one row of bits, the lowest of each byte first (PS3.5
// 8.1.1, D); words may be turned round on top of that.
type canvas struct {
	shape pixel.Shape
	word  int
	every []band           // of the masks for every frame
	frame map[int64][]band // of the frames that have masks of their own, those of every frame included

	unit    int64    // bits of what is painted at once: a pixel, of one plane, or a pair that shares chroma
	pixels  int      // in a unit
	pattern [][]byte // black units, one a plane; nil when a unit is no whole number of bytes
	black   []uint64 // sample values
}

func newCanvas(shape pixel.Shape, word int, palette uint64, masks []imaging.Mask) *canvas {
	c := &canvas{shape: shape, word: word, frame: map[int64][]band{}, pixels: 1, black: shape.Black(palette)}
	var every []imaging.Mask
	own := map[int64][]imaging.Mask{}
	for _, m := range masks {
		if m.Frame == 0 {
			every = append(every, m)
		} else {
			own[int64(m.Frame-1)] = append(own[int64(m.Frame-1)], m)
		}
	}
	c.every = bands(every)
	for f, list := range own {
		c.frame[f] = bands(append(list, every...))
	}
	c.units()
	return c
}

// units makes the patterns.
func (c *canvas) units() {
	s := c.shape
	samples := [][]uint64{c.black}
	switch {
	case s.Subsampled():
		c.pixels = 2
		samples = [][]uint64{{c.black[0], c.black[0], c.black[1], c.black[2]}}
	case s.Planar:
		samples = nil
		for _, b := range c.black {
			samples = append(samples, []uint64{b})
		}
	}
	c.unit = int64(len(samples[0]) * s.Allocated)
	if s.Allocated%8 != 0 {
		return
	}
	for _, plane := range samples {
		var p []byte
		for _, v := range plane {
			for range s.Allocated / 8 {
				p = append(p, byte(v))
				v >>= 8
			}
		}
		c.pattern = append(c.pattern, p)
	}
}

func (c *canvas) bands(frame int64) []band {
	if b, ok := c.frame[frame]; ok {
		return b
	}
	return c.every
}

// paint blackens what lies under masks in out, the bytes of the pixel data from at on,
// and returns the stretches it may have changed, in order and apart.
func (c *canvas) paint(out []byte, at int64) (touched [][2]int) {
	rowBits, rows := c.shape.RowBits(), int64(c.shape.Rows)
	perFrame := rows * int64(c.shape.Planes())
	word := int64(c.word)
	end := at + int64(len(out))
	row := at / word * word * 8 / rowBits
	last := min((end+word-1)/word*word*8/rowBits, perFrame*int64(c.shape.Frames)-1)
	for row <= last {
		frame := row / perFrame
		list := c.bands(frame)
		y := int(row % rows)
		i := sort.Search(len(list), func(i int) bool { return list[i].to > y })
		if i == len(list) { // nothing below in this plane
			row += rows - row%rows
			continue
		}
		if list[i].from > y {
			row += int64(list[i].from - y)
			continue
		}
		plane := int(row % perFrame / rows)
		for _, s := range list[i].spans {
			from := row*rowBits + int64(s.from/c.pixels)*c.unit
			to := row*rowBits + int64((s.to+c.pixels-1)/c.pixels)*c.unit
			if a, b := c.stretch(out, at, from, to, plane); a < b {
				if n := len(touched); n > 0 && a <= touched[n-1][1] {
					touched[n-1][1] = max(touched[n-1][1], b)
				} else {
					touched = append(touched, [2]int{a, b})
				}
			}
		}
		row++
	}
	return touched
}

// stretch blackens the bits from … to and returns the bytes of out that they lie in.
func (c *canvas) stretch(out []byte, at, from, to int64, plane int) (a, b int) {
	word := int64(c.word)
	first := max(from/8/word*word, at)
	behind := min(((to+7)/8+word-1)/word*word, at+int64(len(out)))
	for i := first; i < behind; i++ {
		logical := i
		if word > 1 {
			logical = i - i%word + word - 1 - i%word
		}
		low, high := max(8*logical, from), min(8*logical+8, to)
		switch {
		case low >= high: // the rest of a word
		case c.pattern != nil:
			p := c.pattern[plane]
			out[i-at] = p[(logical-from/8)%int64(len(p))]
		default:
			for bit := low; bit < high; bit++ {
				value := byte(c.black[0]>>((bit-from)%c.unit)) & 1
				out[i-at] = out[i-at]&^(1<<(bit%8)) | value<<(bit%8)
			}
		}
	}
	return int(first - at), int(behind - at)
}

// nativePainter paints native pixels on their way into the content; the script gets
// what lay there.
type nativePainter struct {
	canvas  *canvas
	at      int64 // bytes of the value that went through
	content *hashed
	patch   *imaging.ScriptWriter // nil: the script has the original whole
	out     []byte
}

func (n *nativePainter) Write(p []byte) (int, error) {
	n.out = append(n.out[:0], p...)
	touched := n.canvas.paint(n.out, n.at)
	n.at += int64(len(p))
	if _, err := n.content.Write(n.out); err != nil {
		return 0, fmt.Errorf("write content: %w", err)
	}
	if n.patch == nil {
		return len(p), nil
	}
	at := 0
	for _, t := range touched {
		n.patch.Copy(int64(t[0] - at))
		n.patch.Drop(int64(t[1] - t[0]))
		n.patch.Put(p[t[0]:t[1]])
		at = t[1]
	}
	n.patch.Copy(int64(len(p) - at))
	return len(p), nil
}
