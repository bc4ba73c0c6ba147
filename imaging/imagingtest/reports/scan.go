package reports

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"

	"golang.org/x/image/font"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// quality is what a scanner makes of a page.
type quality struct {
	name  string
	dpi   int
	noise int // added to each pixel, up to
	blur  int // pixels around one that are averaged
	fax   bool
	jpeg  int // quality; 0 for none
}

func qualities() []quality {
	return []quality{
		{name: "clean", dpi: 200},
		{name: "noise", dpi: 200, noise: 40},
		{name: "blur", dpi: 200, noise: 15, blur: 1, jpeg: 40},
		{name: "fax", dpi: 100, fax: true},
		{name: "poor", dpi: 75, jpeg: 30},
	}
}

// scanned draws the report into a picture, and takes that for a page.
func (w *writer) scanned(q quality) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	m := image.NewGray(image.Rect(0, 0, int(pageWidth)*q.dpi/72, int(pageHeight)*q.dpi/72))
	for i := range m.Pix {
		m.Pix[i] = 255
	}
	c.draw = func(_ *canvas, p part, x, y, size float64) { ink(m, p.text, x, y, size, q.dpi) }
	all := w.lines()
	w.noteLines(all)
	c.lines(all, margin, pageHeight-70, pageWidth-2*margin)
	degrade(m, q, w.r)
	content := fmt.Sprintf("q %.0f 0 0 %.0f 0 0 cm /X0 Do Q", pageWidth, pageHeight)
	d.extra = fmt.Sprintf("/XObject << /X0 %d 0 R >>", d.picture(m, q))
	d.pageOf(d.f.stream("", []byte(content), true), "")
	d.fonts.codes('x')
	d.end()
}

// picture writes an image as scanners do.
func (d *document) picture(m *image.Gray, q quality) int {
	size := fmt.Sprintf("/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray", m.Rect.Dx(), m.Rect.Dy())
	switch {
	case q.jpeg > 0:
		var b bytes.Buffer
		if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: q.jpeg}); err != nil {
			panic(err) // a bytes.Buffer does not fail
		}
		return d.f.stream(size+" /BitsPerComponent 8 /Filter /DCTDecode", b.Bytes(), false)
	case q.fax:
		stride := (m.Rect.Dx() + 7) / 8
		bits := make([]byte, stride*m.Rect.Dy())
		for y := range m.Rect.Dy() {
			for x := range m.Rect.Dx() {
				if m.GrayAt(x, y).Y > 127 {
					bits[y*stride+x/8] |= 0x80 >> (x % 8)
				}
			}
		}
		return d.f.stream(size+" /BitsPerComponent 1", bits, true)
	}
	return d.f.stream(size+" /BitsPerComponent 8", m.Pix, true)
}

// ink draws a text; x and y are points from the lower left corner.
func ink(m *image.Gray, text string, x, y, size float64, dpi int) {
	scale := float64(dpi) / 72
	dot := fixed.Point26_6{X: fixed.Int26_6(x * scale * 64), Y: fixed.Int26_6((pageHeight - y) * scale * 64)}
	faces := map[bool]font.Face{}
	for _, c := range text {
		han := isHan(c)
		if faces[han] == nil {
			faces[han] = face(han, size*scale)
		}
		dr, mask, at, _, ok := faces[han].Glyph(dot, c)
		if ok {
			darken(m, dr, mask, at)
		}
		dot.X += fixed.Int26_6(width(string(c), size) * scale * 64)
	}
}

func darken(m *image.Gray, to image.Rectangle, mask image.Image, at image.Point) {
	for y := to.Min.Y; y < to.Max.Y; y++ {
		for x := to.Min.X; x < to.Max.X; x++ {
			_, _, _, a := mask.At(at.X+x-to.Min.X, at.Y+y-to.Min.Y).RGBA()
			if (image.Point{X: x, Y: y}).In(m.Rect) {
				m.SetGray(x, y, color.Gray{Y: uint8(uint32(m.GrayAt(x, y).Y) * (0xFFFF - a) / 0xFFFF)})
			}
		}
	}
}

func face(han bool, pixels float64) font.Face {
	var f *sfnt.Font = latinFont()
	if han {
		f = chineseFont()
	}
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: pixels, DPI: 72})
	if err != nil {
		panic(err) // the fonts are whole
	}
	return face
}

func degrade(m *image.Gray, q quality, r *rand.Rand) {
	if q.blur > 0 {
		blurred(m, q.blur)
	}
	if q.noise > 0 {
		for i, v := range m.Pix {
			m.Pix[i] = uint8(min(255, max(0, int(v)+r.IntN(2*q.noise+1)-q.noise)))
		}
	}
	if q.fax {
		for i, v := range m.Pix {
			m.Pix[i] = 0
			if v > 150 {
				m.Pix[i] = 255
			}
		}
	}
}

func blurred(m *image.Gray, by int) {
	from := append([]byte(nil), m.Pix...)
	for y := by; y < m.Rect.Dy()-by; y++ {
		for x := by; x < m.Rect.Dx()-by; x++ {
			sum := 0
			for j := -by; j <= by; j++ {
				for i := -by; i <= by; i++ {
					sum += int(from[(y+j)*m.Stride+x+i])
				}
			}
			m.Pix[y*m.Stride+x] = uint8(sum / ((2*by + 1) * (2*by + 1)))
		}
	}
}
