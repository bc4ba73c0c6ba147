package reports

import (
	"fmt"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/oned"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// qrCode has the patient's number and name in a QR code, as rectangles or as a picture.
func qrCode(w *writer) {
	p := w.person
	w.code(qrcode.NewQRCodeWriter(), gozxing.BarcodeFormat_QR_CODE, fmt.Sprintf("MRN=%s;NAME=%s %s", p.mrn, p.family, p.given), 29, 29, 90, 90)
}

// barcode has the accession number in a Code 128.
func barcode(w *writer) {
	w.code(oned.NewCode128Writer(), gozxing.BarcodeFormat_CODE_128, w.person.accession, 1, 1, 220, 36)
}

func (w *writer) code(writer gozxing.Writer, format gozxing.BarcodeFormat, text string, columns, rows int, wide, high float64) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	w.body(c)
	bits, err := writer.Encode(latin(text), format, columns, rows, nil)
	if err != nil {
		panic(fmt.Sprintf("write a code: %v", err)) // of what this package made up
	}
	x, y := 330.0, 120.0
	if w.r.IntN(2) == 0 {
		dx, dy := wide/float64(bits.GetWidth()), high/float64(bits.GetHeight())
		for j := range bits.GetHeight() {
			for i := range bits.GetWidth() {
				if bits.Get(i, j) {
					fmt.Fprintf(c, "%.3f %.3f %.3f %.3f re ", x+float64(i)*dx, y+high-float64(j+1)*dy, dx+0.01, dy+0.01)
				}
			}
		}
		c.WriteString("f\n")
	} else {
		raw := make([]byte, 0, bits.GetWidth()*bits.GetHeight())
		for j := range bits.GetHeight() {
			for i := range bits.GetWidth() {
				shade := byte(255)
				if bits.Get(i, j) {
					shade = 0
				}
				raw = append(raw, shade)
			}
		}
		image := d.f.stream(fmt.Sprintf("/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8", bits.GetWidth(), bits.GetHeight()), raw, true)
		d.extra = fmt.Sprintf("/XObject << /X0 %d 0 R >>", image)
		fmt.Fprintf(c, "q %.1f 0 0 %.1f %.1f %.1f cm /X0 Do Q\n", wide, high, x, y)
	}
	d.page(c, "")
	d.end()
}

// latin drops what a code cannot say.
func latin(s string) string {
	var b []byte
	for _, c := range s {
		if c < 127 {
			b = append(b, byte(c))
		}
	}
	return string(b)
}
