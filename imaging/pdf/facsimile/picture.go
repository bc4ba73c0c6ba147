package facsimile

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
)

// Picture is how a page looks: an image.Gray or an image.RGBA.
type Picture struct {
	Image image.Image
	Photo bool // written as JPEG; otherwise without loss but for its shades: 16 of grey, 216 colours
}

// A photo is written in the better quality unless that takes very many bytes, as noise
// does.
const (
	quality   = 80
	sparing   = 50
	manyBytes = 300 << 10
)

var errPicture = errors.New("write facsimile: a picture is neither grey nor RGBA")

// encode returns the dictionary and the bytes of the picture's object.
func (p Picture) encode() (dict string, data []byte, err error) {
	w, h := p.Image.Bounds().Dx(), p.Image.Bounds().Dy()
	space, bits, filter := "/DeviceGray", 8, "/DCTDecode"
	switch m := p.Image.(type) {
	case *image.Gray:
		if p.Photo {
			data, err = photo(m)
		} else {
			bits, filter, data = 4, "/FlateDecode", deflate(greys(m))
		}
	case *image.RGBA:
		if p.Photo {
			space = "/DeviceRGB"
			data, err = photo(m)
		} else {
			space, filter, data = paletteSpace, "/FlateDecode", deflate(colours(m))
		}
	default:
		return "", nil, errPicture
	}
	return fmt.Sprintf("<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace %s /BitsPerComponent %d /Filter %s /Length %d >>",
		w, h, space, bits, filter, len(data)), data, err
}

func photo(m image.Image) ([]byte, error) {
	var b bytes.Buffer
	for _, q := range []int{quality, sparing} {
		b.Reset()
		if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: q}); err != nil {
			return nil, fmt.Errorf("write facsimile: %w", err)
		}
		if b.Len() < manyBytes {
			break
		}
	}
	return b.Bytes(), nil
}

// greys packs two pixels of 16 shades a byte, each row from a byte of its own.
func greys(m *image.Gray) []byte {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	out := make([]byte, 0, (w+1)/2*h)
	for y := range h {
		row := m.Pix[y*m.Stride:][:w]
		for x := 0; x < w; x += 2 {
			b := shade(row[x]) << 4
			if x+1 < w {
				b |= shade(row[x+1])
			}
			out = append(out, b)
		}
	}
	return out
}

func shade(v byte) byte { return byte((int(v) + 8) / 17) }

// paletteSpace has six steps of each of red, green and blue.
var paletteSpace = func() string {
	b := []byte("[/Indexed /DeviceRGB 215 <")
	for i := range 216 {
		c := colourOf(byte(i))
		b = fmt.Appendf(b, "%02X%02X%02X", c.R, c.G, c.B)
	}
	return string(append(b, ">]"...))
}()

func colourOf(i byte) color.RGBA {
	return color.RGBA{i / 36 * 51, i / 6 % 6 * 51, i % 6 * 51, 0xFF}
}

func colours(m *image.RGBA) []byte {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	out := make([]byte, 0, w*h)
	for y := range h {
		row := m.Pix[y*m.Stride:][:4*w]
		for x := 0; x < len(row); x += 4 {
			out = append(out, step(row[x])*36+step(row[x+1])*6+step(row[x+2]))
		}
	}
	return out
}

func step(v byte) byte { return byte((int(v) + 25) / 51) }
