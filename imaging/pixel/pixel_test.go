package pixel_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"medvault/imaging/pixel"
)

func grey(allocated, stored, high int) pixel.Shape {
	return pixel.Shape{Rows: 5, Columns: 7, Frames: 1, Samples: 1, Allocated: allocated, Stored: stored, High: high, Photometric: "MONOCHROME2"}
}

func TestBlack(t *testing.T) {
	with := func(s pixel.Shape, photometric string, samples int, signed bool) pixel.Shape {
		s.Photometric, s.Samples, s.Signed = photometric, samples, signed
		return s
	}
	for _, c := range []struct {
		name  string
		shape pixel.Shape
		want  []uint64
	}{
		{"unsigned", grey(16, 12, 11), []uint64{0}},
		{"signed", with(grey(16, 12, 11), "MONOCHROME2", 1, true), []uint64{0x800}},
		{"inverted", with(grey(16, 12, 11), "MONOCHROME1", 1, false), []uint64{0xFFF}},
		{"inverted, signed", with(grey(16, 12, 11), "MONOCHROME1", 1, true), []uint64{0x7FF}},
		{"inverted, in the upper bits", with(grey(16, 12, 15), "MONOCHROME1", 1, false), []uint64{0xFFF0}},
		{"inverted, one bit", with(grey(1, 1, 0), "MONOCHROME1", 1, false), []uint64{1}},
		{"inverted, 64 bits", with(grey(64, 64, 63), "MONOCHROME1", 1, false), []uint64{1<<64 - 1}},
		{"RGB", with(grey(8, 8, 7), "RGB", 3, false), []uint64{0, 0, 0}},
		{"YBR", with(grey(8, 8, 7), "YBR_FULL", 3, false), []uint64{0, 128, 128}},
		{"YBR of studio levels", with(grey(8, 8, 7), "YBR_PARTIAL_422", 3, false), []uint64{16, 128, 128}},
		{"CMYK", with(grey(8, 8, 7), "CMYK", 4, false), []uint64{0, 0, 0, 255}},
		{"palette", with(grey(8, 8, 7), "PALETTE COLOR", 1, false), []uint64{9}},
	} {
		if got := c.shape.Black(9); !slices.Equal(got, c.want) {
			t.Errorf("%s: black is %#x; want %#x", c.name, got, c.want)
		}
	}
}

func TestShapesThatCannotBe(t *testing.T) {
	for name, change := range map[string]func(*pixel.Shape){
		"no rows":           func(s *pixel.Shape) { s.Rows = 0 },
		"no bits":           func(s *pixel.Shape) { s.Allocated = 0 },
		"more bits stored":  func(s *pixel.Shape) { s.Stored = 17 },
		"high bit too low":  func(s *pixel.Shape) { s.High = 3 },
		"three of grey":     func(s *pixel.Shape) { s.Samples = 3 },
		"one of colour":     func(s *pixel.Shape) { s.Photometric = "RGB" },
		"unknown colours":   func(s *pixel.Shape) { s.Photometric = "XYZ" },
		"shared, 16 bits":   func(s *pixel.Shape) { s.Photometric, s.Samples = "YBR_FULL_422", 3 },
		"colours of 12 bit": func(s *pixel.Shape) { s.Photometric, s.Samples, s.Allocated = "RGB", 3, 12 },
	} {
		s := grey(16, 12, 11)
		change(&s)
		if err := s.Check(); !errors.Is(err, pixel.ErrShape) {
			t.Errorf("%s: %v; want ErrShape", name, err)
		}
	}
}

func TestRLEBothWays(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		photometric        string
		samples, allocated int
	}{{"MONOCHROME2", 1, 8}, {"MONOCHROME2", 1, 16}, {"MONOCHROME1", 1, 32}, {"RGB", 3, 8}, {"RGB", 3, 16}, {"YBR_FULL", 3, 8}} {
		s := pixel.Shape{Rows: 9, Columns: 11, Frames: 1, Samples: c.samples, Allocated: c.allocated, Stored: c.allocated,
			High: c.allocated - 1, Photometric: c.photometric, Planar: c.samples == 3}
		samples := make([]byte, 9*11*c.samples*c.allocated/8)
		for i := range samples {
			samples[i] = byte(r.Uint32())
		}
		frame, err := pixel.EncodeRLE(s, samples)
		if err != nil {
			t.Fatal(err)
		}
		back, err := pixel.Decode(pixel.RLE, s, frame)
		if err != nil || !bytes.Equal(back, samples) {
			t.Errorf("%+v: decoded something else (%v)", c, err)
		}
	}
}

// TestJPEGGivesTheCodedSamples compares with what the standard library decodes.
func TestJPEGGivesTheCodedSamples(t *testing.T) {
	const rows, columns = 21, 35
	colour := image.NewRGBA(image.Rect(0, 0, columns, rows))
	mono := image.NewGray(colour.Rect)
	for y := range rows {
		for x := range columns {
			colour.Set(x, y, color.RGBA{uint8(9 * x), uint8(7 * y), uint8(x * y), 255})
			mono.Set(x, y, color.Gray{uint8(5 * x)})
		}
	}
	shape := pixel.Shape{Rows: rows, Columns: columns, Frames: 1, Samples: 3, Allocated: 8, Stored: 8, High: 7, Photometric: "YBR_FULL_422"}
	shape.Columns--
	if _, err := pixel.Decode(pixel.JPEGBaseline, shape, encode(t, colour)); !errors.Is(err, pixel.ErrDecode) {
		t.Errorf("another size: %v; want ErrDecode", err)
	}
	shape.Columns++
	got, err := pixel.Decode(pixel.JPEGBaseline, shape, encode(t, colour))
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := jpeg.Decode(bytes.NewReader(encode(t, colour)))
	if err != nil {
		t.Fatal(err)
	}
	for y := range rows {
		for x := range columns {
			c := decoded.(*image.YCbCr).YCbCrAt(x, y)
			if s := got[3*(y*columns+x):]; s[0] != c.Y || s[1] != c.Cb || s[2] != c.Cr {
				t.Fatalf("pixel %d,%d is %v; want %v", x, y, s[:3], c)
			}
		}
	}
	shape.Photometric = "RGB"
	if _, err := pixel.Decode(pixel.JPEGBaseline, shape, encode(t, colour)); !errors.Is(err, pixel.ErrDecode) {
		t.Errorf("RGB that is YBR: %v; want ErrDecode", err)
	}
	shape.Photometric, shape.Samples = "MONOCHROME2", 1
	if got, err = pixel.Decode(pixel.JPEGExtended, shape, encode(t, mono)); err != nil || len(got) != rows*columns {
		t.Errorf("grey: %d bytes, %v", len(got), err)
	}
	if _, err := pixel.Decode(pixel.JPEGBaseline, shape, encode(t, colour)); !errors.Is(err, pixel.ErrDecode) {
		t.Errorf("colour for grey: %v; want ErrDecode", err)
	}
	shape.Stored = 7
	if _, err := pixel.Decodes(pixel.JPEGBaseline, shape); !errors.Is(err, pixel.ErrNoDecoder) {
		t.Errorf("seven bits: %v; want ErrNoDecoder", err)
	}
	if _, err := pixel.Decodes("1.2.840.10008.1.2.4.90", grey(16, 12, 11)); !errors.Is(err, pixel.ErrNoDecoder) {
		t.Errorf("JPEG 2000: %v; want ErrNoDecoder", err)
	}
}

func encode(t *testing.T, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func FuzzDecode(f *testing.F) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 7, 5)), nil); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes(), uint16(5), uint16(7), uint8(1), uint8(8), "MONOCHROME2", pixel.JPEGBaseline)
	lossless := pixel.Shape{Rows: 3, Columns: 4, Samples: 1}
	f.Add((&losslessEncoder{shape: lossless, precision: 12, predictor: 4, lines: 1}).encode([][]uint16{{1, 2, 3, 4, 1, 2, 3, 4, 9, 8, 7, 6}}),
		uint16(3), uint16(4), uint8(1), uint8(16), "MONOCHROME2", pixel.JPEGFirst)
	f.Add(make([]byte, 80), uint16(5), uint16(7), uint8(1), uint8(16), "MONOCHROME1", pixel.RLE)
	f.Fuzz(func(t *testing.T, frame []byte, rows, columns uint16, samples, bits uint8, photometric, syntax string) {
		s := pixel.Shape{Rows: int(rows), Columns: int(columns), Frames: 1, Samples: int(samples), Allocated: int(bits), Stored: int(bits),
			High: int(bits) - 1, Photometric: photometric}
		s.Stored, s.High = min(s.Stored, 12), min(s.High, 11)
		out, err := pixel.Decode(syntax, s, frame)
		if err != nil {
			return
		}
		as, err := pixel.Decodes(syntax, s)
		if err != nil || int64(len(out))*8 != as.FrameBits() {
			t.Errorf("%d bytes, want a frame of %d bits (%v)", len(out), as.FrameBits(), err)
		}
	})
}

func TestGrey(t *testing.T) {
	shape := func(photometric string, samples, bits int, planar bool) pixel.Shape {
		return pixel.Shape{Rows: 1, Columns: 2, Frames: 1, Samples: samples, Allocated: bits, Stored: bits, High: bits - 1, Photometric: photometric, Planar: planar}
	}
	for name, c := range map[string]struct {
		shape pixel.Shape
		frame []byte
		want  [2]uint8
	}{
		"16 bit":        {shape("MONOCHROME2", 1, 16, false), []byte{0, 4, 0, 8}, [2]uint8{0, 255}},
		"1 bit":         {shape("MONOCHROME2", 1, 1, false), []byte{1}, [2]uint8{255, 0}},
		"RGB":           {shape("RGB", 3, 8, false), []byte{0, 0, 9, 0, 90, 0}, [2]uint8{0, 255}},
		"RGB by plane":  {shape("RGB", 3, 8, true), []byte{0, 0, 9, 80, 0, 0}, [2]uint8{0, 255}},
		"YBR":           {shape("YBR_FULL", 3, 8, false), []byte{9, 200, 0, 8, 100, 255}, [2]uint8{255, 0}},
		"shared chroma": {shape("YBR_FULL_422", 3, 8, false), []byte{9, 20, 200, 100}, [2]uint8{0, 255}},
		"all the same":  {shape("MONOCHROME2", 1, 8, false), []byte{7, 7}, [2]uint8{0, 0}},
	} {
		m, err := pixel.Grey(c.shape, c.frame)
		if err != nil || [2]uint8(m.Pix) != c.want {
			t.Errorf("%s: %v, %v; want %v", name, m, err, c.want)
		}
	}
	if _, err := pixel.Grey(shape("MONOCHROME2", 1, 16, false), make([]byte, 3)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("too short: %v; want io.ErrUnexpectedEOF", err)
	}
}
