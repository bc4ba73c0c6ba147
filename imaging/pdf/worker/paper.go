package worker

import (
	"bytes"
	"compress/zlib"
	"image"
	"image/color"
	"strings"
)

// writer writes a PDF whose pages are pictures.
type writer struct {
	b       bytes.Buffer
	offsets []int // of objects from 3 on
	pages   []string
}

// Long sides of pages: A4, and as many points as pixels are drawn from.
const (
	longSide = 842.0
	perPixel = 72.0 / 150
)

// picture adds a page with a decoded picture.
func (w *writer) picture(m image.Image) {
	bounds := m.Bounds()
	row := make([]byte, 0, 3*bounds.Dx())
	var data bytes.Buffer
	z := zlib.NewWriter(&data)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		row = row[:0]
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			// What is see-through is seen on white.
			c := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
			for _, v := range [...]uint8{c.R, c.G, c.B} {
				row = append(row, uint8((int(v)*int(c.A)+255*(255-int(c.A)))/255))
			}
		}
		z.Write(row) // into memory
	}
	z.Close()
	w.page(bounds.Dx(), bounds.Dy(), 0, "/DeviceRGB", "/FlateDecode", data.Bytes())
}

// page adds a page with a picture of eight bits a sample, turned clockwise by degrees.
func (w *writer) page(width, height, turn int, space, filter string, data []byte) {
	if w.b.Len() == 0 {
		w.b.WriteString("%PDF-1.7\n")
	}
	scale := min(perPixel, longSide/float64(max(width, height)))
	x, y := float64(width)*scale, float64(height)*scale
	picture := w.object()
	say(&w.b, "<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace%s/BitsPerComponent 8/Filter%s/Length %d>>stream\n", width, height, space, filter, len(data))
	w.b.Write(data)
	w.b.WriteString("\nendstream endobj\n")
	drawn := w.object()
	var draw bytes.Buffer
	say(&draw, "%.2f 0 0 %.2f 0 0 cm /P Do", x, y)
	say(&w.b, "<</Length %d>>stream\n%s\nendstream endobj\n", draw.Len(), draw.String())
	page := w.object()
	say(&w.b, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 %.2f %.2f]/Rotate %d/Contents %d 0 R/Resources<</XObject<</P %d 0 R>>>>>> endobj\n", x, y, turn, drawn, picture)
	w.pages = append(w.pages, ref(page))
}

func (w *writer) object() int {
	w.offsets = append(w.offsets, w.b.Len())
	n := len(w.offsets) + 2
	say(&w.b, "%d 0 obj ", n)
	return n
}

func ref(n int) string {
	var b bytes.Buffer
	say(&b, "%d 0 R", n)
	return b.String()
}

// end writes the catalog and returns the document.
func (w *writer) end() []byte {
	catalog := w.b.Len()
	w.b.WriteString("1 0 obj <</Type/Catalog/Pages 2 0 R>> endobj\n")
	pages := w.b.Len()
	say(&w.b, "2 0 obj <</Type/Pages/Count %d/Kids[%s]>> endobj\n", len(w.pages), strings.Join(w.pages, " "))
	table := w.b.Len()
	say(&w.b, "xref\n0 %d\n0000000000 65535 f \n", len(w.offsets)+3)
	for _, at := range append([]int{catalog, pages}, w.offsets...) {
		say(&w.b, "%010d 00000 n \n", at)
	}
	say(&w.b, "trailer <</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(w.offsets)+3, table)
	return w.b.Bytes()
}
