// Package render draws a frame of a de-identified image as PNG, for a person to look
// at. It is a preview: scaled down, in eight bits, not for diagnosis.
package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"

	"medvault/imaging"
	"medvault/imaging/pixel"
)

const (
	maxPixels = 64 << 20 // of the frame
	maxWidth  = 1024     // of the picture
	maxHeight = 2048
)

// ErrNoPreview is returned, before the first byte is written, for what this package
// does not draw: another transfer syntax, pixels that are not described or not there,
// frames of more than 64 million pixels. It is an imaging.ErrCannotConvert.
var ErrNoPreview = fmt.Errorf("no preview for this syntax: %w", imaging.ErrCannotConvert)

// PNG writes a picture of one frame to w. attributes are the image's in DICOM JSON
// (imaging.Facts), syntax is its transfer syntax, and frame yields the bytes of the
// frame, native ones in little endian. The masks are painted black, whatever frame
// they are for. The picture is at most width pixels wide, and 1024 where width is 0 or
// more.
//
// Errors are ErrNoPreview or those of frame and w.
func PNG(w io.Writer, attributes json.RawMessage, syntax string, frame io.Reader, masks []imaging.Mask, width int) error {
	var a facts
	if err := json.Unmarshal(attributes, &a); err != nil {
		return fmt.Errorf("%w: attributes are not DICOM JSON", ErrNoPreview)
	}
	s := a.shape()
	switch {
	case int64(s.Rows)*int64(s.Columns) > maxPixels:
		return fmt.Errorf("%w: too large", ErrNoPreview)
	case s.Photometric == "HSV" || s.Samples > 3:
		return fmt.Errorf("%w: retired colours", ErrNoPreview)
	}
	if width <= 0 || width > maxWidth {
		width = maxWidth
	}
	s, frame, err := open(syntax, s, frame)
	if err != nil {
		return err
	}
	p := newPicture(s, width)
	p.hide(masks)
	if s.Photometric == "PALETTE COLOR" {
		p.palette = a.palette()
	}
	switch err := p.read(frame); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: the frame is shorter than its attributes say", ErrNoPreview)
	case err != nil:
		return fmt.Errorf("read frame: %w", err)
	}
	encoder := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := encoder.Encode(w, p.draw(a.window())); err != nil {
		return fmt.Errorf("write preview: %w", err)
	}
	return nil
}

// open yields the samples of a frame in little endian, and how they lie.
func open(syntax string, s pixel.Shape, frame io.Reader) (pixel.Shape, io.Reader, error) {
	switch syntax {
	case "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2":
		if err := s.Check(); err != nil {
			return s, nil, fmt.Errorf("%w: %w", ErrNoPreview, err)
		}
		return s, frame, nil
	}
	as, err := pixel.Decodes(syntax, s)
	if err != nil {
		return s, nil, fmt.Errorf("%w: %w", ErrNoPreview, err)
	}
	coded, err := io.ReadAll(io.LimitReader(frame, pixel.MaxFrame+1))
	if err != nil {
		return s, nil, fmt.Errorf("read frame: %w", err)
	}
	if len(coded) > pixel.MaxFrame {
		return s, nil, fmt.Errorf("%w: too large", ErrNoPreview)
	}
	samples, err := pixel.Decode(syntax, s, coded)
	if err != nil {
		return s, nil, fmt.Errorf("%w: %w", ErrNoPreview, err)
	}
	return as, bytes.NewReader(samples), nil
}

// picture is the frame scaled down: every cell is the mean of step × step pixels. It
// is made while the frame streams.
type picture struct {
	shape         pixel.Shape
	step          int
	width, height int
	channels      int
	sums          []float32 // channels a cell
	seen          []int32   // pixels a cell that are not masked
	masks         [][4]int  // x0, y0, x1, y1
	palette       func(index uint64) [3]float64
}

func newPicture(s pixel.Shape, width int) *picture {
	step := max((s.Columns+width-1)/width, (s.Rows+maxHeight-1)/maxHeight)
	p := &picture{shape: s, step: step, width: (s.Columns + step - 1) / step, height: (s.Rows + step - 1) / step, channels: s.Samples}
	if s.Photometric == "PALETTE COLOR" {
		p.channels = 3
	}
	p.sums = make([]float32, p.width*p.height*p.channels)
	p.seen = make([]int32, p.width*p.height)
	return p
}

// hide leaves what lies under masks out of the picture.
func (p *picture) hide(masks []imaging.Mask) {
	for _, m := range masks {
		x0, y0 := max(m.X, 0), max(m.Y, 0)
		x1 := min(min(m.X, p.shape.Columns)+min(m.Width, p.shape.Columns), p.shape.Columns)
		y1 := min(min(m.Y, p.shape.Rows)+min(m.Height, p.shape.Rows), p.shape.Rows)
		if x0 < x1 && y0 < y1 {
			p.masks = append(p.masks, [4]int{x0, y0, x1, y1})
		}
	}
}

// hidden marks the pixels of row y that masks cover. edges has room for one more.
func (p *picture) hidden(row []bool, edges []int32, y int) {
	clear(edges)
	for _, m := range p.masks {
		if y >= m[1] && y < m[3] {
			edges[m[0]]++
			edges[m[2]]--
		}
	}
	var depth int32
	for x := range row {
		depth += edges[x]
		row[x] = depth > 0
	}
}

// read takes the samples of the frame in the order they are stored.
func (p *picture) read(frame io.Reader) error {
	s := p.shape
	in := pixel.NewSamples(frame, s.Allocated)
	masked, edges := make([]bool, s.Columns), make([]int32, s.Columns+1)
	for plane := range s.Planes() {
		for y := range s.Rows {
			p.hidden(masked, edges, y)
			var err error
			switch {
			case s.Subsampled():
				err = p.pairs(in, y, masked)
			case s.Planar:
				err = p.row(in, y, plane, 1, masked)
			default:
				err = p.row(in, y, 0, s.Samples, masked)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// row reads samples of one row, those of n channels from first on.
func (p *picture) row(in *pixel.Samples, y, first, n int, masked []bool) error {
	for x, hide := range masked {
		for c := first; c < first+n; c++ {
			raw, err := in.Next()
			if err != nil {
				return err
			}
			if !hide {
				p.add(x, y, c, raw)
			}
		}
		if !hide && first == 0 {
			p.seen[y/p.step*p.width+x/p.step]++
		}
	}
	return nil
}

// pairs reads a row of pixels that share their chroma in pairs.
func (p *picture) pairs(in *pixel.Samples, y int, masked []bool) error {
	var v [4]uint64
	for x := 0; x+1 < len(masked); x += 2 {
		for i := range v {
			var err error
			if v[i], err = in.Next(); err != nil {
				return err
			}
		}
		for k := range 2 {
			if !masked[x+k] {
				p.add(x+k, y, 0, v[k])
				p.add(x+k, y, 1, v[2])
				p.add(x+k, y, 2, v[3])
				p.seen[y/p.step*p.width+(x+k)/p.step]++
			}
		}
	}
	return nil
}

func (p *picture) add(x, y, channel int, raw uint64) {
	cell := (y/p.step*p.width + x/p.step) * p.channels
	if p.palette != nil {
		for c, v := range p.palette(raw) {
			p.sums[cell+c] += float32(v)
		}
		return
	}
	p.sums[cell+channel] += float32(p.shape.Number(raw))
}

// draw turns the means into colours, masks into black.
func (p *picture) draw(w window) image.Image {
	for i, n := range p.seen {
		for c := range p.channels {
			p.sums[i*p.channels+c] /= float32(max(n, 1))
		}
	}
	if p.channels == 1 {
		return p.grey(w)
	}
	out := image.NewRGBA(image.Rect(0, 0, p.width, p.height))
	full := math.Exp2(float64(p.shape.Stored)) - 1
	if p.palette != nil {
		full = 1
	}
	for i := range p.seen {
		c := p.sums[i*p.channels:]
		r, g, b := float64(c[0])/full*255, float64(c[1])/full*255, float64(c[2])/full*255
		if p.palette == nil && p.shape.Photometric != "RGB" {
			r, g, b = rgb(r, g, b)
		}
		share := p.share(i)
		out.SetRGBA(i%p.width, i/p.width, color.RGBA{eight(r * share), eight(g * share), eight(b * share), 255})
	}
	return out
}

// share is how much of a cell is not masked.
func (p *picture) share(i int) float64 {
	x, y := i%p.width*p.step, i/p.width*p.step
	return float64(p.seen[i]) / float64((min(x+p.step, p.shape.Columns)-x)*(min(y+p.step, p.shape.Rows)-y))
}

// grey draws one channel through the window, or from the least to the greatest value
// where there is none.
func (p *picture) grey(w window) image.Image {
	if !w.given {
		w.low, w.high = math.Inf(1), math.Inf(-1)
		for i, mean := range p.sums {
			if v := float64(mean); p.seen[i] > 0 && !math.IsNaN(v) && !math.IsInf(v, 0) {
				w.low, w.high = min(w.low, v), max(w.high, v)
			}
		}
	}
	out := image.NewGray(image.Rect(0, 0, p.width, p.height))
	for i, mean := range p.sums {
		v := (float64(mean) - w.low) / max(w.high-w.low, math.SmallestNonzeroFloat64)
		v = min(max(v, 0), 1)
		if p.shape.Photometric == "MONOCHROME1" {
			v = 1 - v
		}
		out.Pix[i/p.width*out.Stride+i%p.width] = eight(v * 255 * p.share(i))
	}
	return out
}

func eight(v float64) uint8 {
	if !(v > 0) { // and not a number
		return 0
	}
	return uint8(min(v, 255) + 0.5)
}

// rgb turns YBR of eight bits into RGB (PS3.3 C.7.6.3.1.2).
func rgb(y, b, r float64) (float64, float64, float64) {
	b, r = b-128, r-128
	return y + 1.402*r, y - 0.344136*b - 0.714136*r, y + 1.772*b
}
