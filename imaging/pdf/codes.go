package pdf

import (
	"image"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/aztec"
	"github.com/makiuchi-d/gozxing/datamatrix"
	multi "github.com/makiuchi-d/gozxing/multi/qrcode"
	"github.com/makiuchi-d/gozxing/oned"
)

// kindCode is the kind of a box over a barcode. What it says is not looked at: a
// code that can be read by machines says who somebody is, or nothing of use.
const kindCode = "barcode"

// mayHaveCodes reports a row that ink which is no text changes as often as bars do, or
// much of it in one place, as squares of a code are.
func (p *page) mayHaveCodes() bool {
	const bars, rows = 20, 6
	ink := p.unexplained()
	w, h := ink.Rect.Dx(), ink.Rect.Dy()
	dense, columns := 0, make([]int, w)
	for y := range h {
		changes := 0
		for x := 1; x < w; x++ {
			if ink.Pix[y*w+x] != ink.Pix[y*w+x-1] {
				changes++
			}
			if y > 0 && ink.Pix[y*w+x] != ink.Pix[(y-1)*w+x] {
				columns[x]++
			}
		}
		if changes >= bars {
			dense++
		}
	}
	upright := 0
	for _, n := range columns {
		if n >= bars {
			upright++
		}
	}
	return dense >= rows || upright >= rows
}

// findCodes notes where barcodes and QR codes are. Each that is found is painted white
// before the next is looked for.
func (p *page) findCodes() {
	const most = 24
	m := image.NewGray(p.grey.Rect)
	copy(m.Pix, p.grey.Pix)
	for range most {
		r, ok := decode(m)
		if !ok {
			return
		}
		r = grown(m, r)
		p.codes = append(p.codes, box{Box: p.points(r), kind: kindCode, pixels: true, first: true})
		fill(m, r, 255)
	}
}

// decode finds one code. The decoder is not ours: what it cannot bear is not found.
func decode(m *image.Gray) (r image.Rectangle, ok bool) {
	defer func() {
		if recover() != nil {
			r, ok = image.Rectangle{}, false
		}
	}()
	source := gozxing.NewLuminanceSourceFromImage(m)
	bitmap, err := gozxing.NewBinaryBitmap(gozxing.NewHybridBinarizer(source))
	if err != nil {
		return r, false
	}
	hard := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true}
	if found, err := multi.NewQRCodeMultiReader().DecodeMultiple(bitmap, hard); err == nil && len(found) > 0 {
		return around(found[0].GetResultPoints(), m.Rect, true)
	}
	for _, read := range []gozxing.Reader{oned.NewCode128Reader(), oned.NewCode39Reader(), oned.NewEAN13Reader(), oned.NewITFReader(), oned.NewCodaBarReader(), oned.NewCode93Reader()} {
		if found, err := read.Decode(bitmap, hard); err == nil {
			return around(found.GetResultPoints(), m.Rect, false)
		}
	}
	for _, read := range []gozxing.Reader{datamatrix.NewDataMatrixReader(), aztec.NewAztecReader()} {
		if found, err := read.Decode(bitmap, hard); err == nil {
			return around(found.GetResultPoints(), m.Rect, true)
		}
	}
	return r, false
}

// around is the rectangle of some points of a code. Those of a square code lie
// within it: it is taken to be larger by a third on each side.
func around(points []gozxing.ResultPoint, page image.Rectangle, square bool) (image.Rectangle, bool) {
	var r image.Rectangle
	for i, at := range points {
		dot := image.Rect(int(at.GetX()), int(at.GetY()), int(at.GetX())+1, int(at.GetY())+1)
		if i == 0 {
			r = dot
		}
		r = r.Union(dot)
	}
	if square {
		by := max(r.Dx(), r.Dy())/3 + 4
		r = r.Inset(-by)
	} else {
		r = r.Inset(-12)
	}
	r = r.Intersect(page)
	return r, !r.Empty()
}

// grown takes in what is joined to the rectangle: the whole height of bars of which one
// row was read, and the quiet zone.
func grown(m *image.Gray, r image.Rectangle) image.Rectangle {
	const quiet, wide, most = 4, 6, 300 // pixels: without ink they end it; and never more than most
	limit := r.Inset(-most).Intersect(m.Rect)
	busy := func(s image.Rectangle) bool {
		s = s.Intersect(m.Rect)
		for y := s.Min.Y; y < s.Max.Y; y++ {
			for x := s.Min.X; x < s.Max.X; x++ {
				if m.Pix[m.PixOffset(x, y)] < 128 {
					return true
				}
			}
		}
		return false
	}
	for r.Min.Y > limit.Min.Y && busy(image.Rect(r.Min.X, r.Min.Y-quiet, r.Max.X, r.Min.Y)) {
		r.Min.Y--
	}
	for r.Max.Y < limit.Max.Y && busy(image.Rect(r.Min.X, r.Max.Y, r.Max.X, r.Max.Y+quiet)) {
		r.Max.Y++
	}
	for r.Min.X > limit.Min.X && busy(image.Rect(r.Min.X-wide, r.Min.Y, r.Min.X, r.Max.Y)) {
		r.Min.X--
	}
	for r.Max.X < limit.Max.X && busy(image.Rect(r.Max.X, r.Min.Y, r.Max.X+wide, r.Max.Y)) {
		r.Max.X++
	}
	return r
}

func fill(m *image.Gray, r image.Rectangle, v byte) {
	r = r.Intersect(m.Rect)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			m.Pix[m.PixOffset(x, y)] = v
		}
	}
}
