package render_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"testing"
	"testing/iotest"

	"medvault/imaging"
	"medvault/imaging/pixel"
	"medvault/imaging/render"
)

const explicitLE = "1.2.840.10008.1.2.1"

type values map[string]any

// facts are the attributes of an image of rows × columns, with more.
func facts(rows, columns int, more values) json.RawMessage {
	all := values{"00280002": 1, "00280004": "MONOCHROME2", "00280010": rows, "00280011": columns,
		"00280100": 8, "00280101": 8, "00280102": 7, "00280103": 0}
	for k, v := range more {
		all[k] = v
	}
	out := map[string]any{}
	for k, v := range all {
		switch v := v.(type) {
		case []byte:
			out[k] = map[string]any{"vr": "OW", "InlineBinary": base64.StdEncoding.EncodeToString(v)}
		case []int:
			out[k] = map[string]any{"vr": "US", "Value": v}
		default:
			out[k] = map[string]any{"vr": "US", "Value": []any{v}}
		}
	}
	b, err := json.Marshal(out)
	if err != nil {
		panic(err) // values of this file
	}
	return b
}

func draw(t *testing.T, attributes json.RawMessage, syntax string, frame []byte, masks []imaging.Mask, width int) image.Image {
	t.Helper()
	var b bytes.Buffer
	if err := render.PNG(&b, attributes, syntax, bytes.NewReader(frame), masks, width); err != nil {
		t.Fatal(err)
	}
	m, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func words(v ...uint16) (b []byte) {
	for _, w := range v {
		b = binary.LittleEndian.AppendUint16(b, w)
	}
	return b
}

// TestPixelsAsTheyShow draws two pixels of every kind and looks at both.
func TestPixelsAsTheyShow(t *testing.T) {
	grey16 := values{"00280100": 16, "00280101": 12, "00280102": 11}
	with := func(base, more values) values {
		all := values{}
		for _, m := range []values{base, more} {
			for k, v := range m {
				all[k] = v
			}
		}
		return all
	}
	colour := func(photometric string, planar int) values {
		return values{"00280002": 3, "00280004": photometric, "00280006": planar}
	}
	palette := values{"00280004": "PALETTE COLOR", "00281101": []int{2, 5, 16}, "00281102": []int{2, 5, 16}, "00281103": []int{2, 5, 16},
		"00281201": words(0, 0xFFFF), "00281202": words(0xFFFF, 0), "00281203": words(0, 0)}
	black, white := color.Gray{0}, color.Gray{255}
	red, green := color.RGBA{255, 0, 0, 255}, color.RGBA{0, 255, 0, 255}
	for name, c := range map[string]struct {
		more        values
		frame       []byte
		left, right color.Color
	}{
		"8 bit":                     {nil, []byte{10, 20}, black, white},
		"8 bit, inverted":           {values{"00280004": "MONOCHROME1"}, []byte{10, 20}, white, black},
		"8 bit, all the same":       {nil, []byte{10, 10}, black, black},
		"1 bit":                     {values{"00280100": 1, "00280101": 1, "00280102": 0}, []byte{0b10}, black, white},
		"12 bit packed":             {values{"00280100": 12, "00280101": 12, "00280102": 11}, []byte{0xFF, 0x1F, 0x00}, white, black},
		"12 in 16 bit, spare bits":  {grey16, words(0xF001, 0x0002), black, white},
		"signed":                    {with(grey16, values{"00280103": 1}), words(0x0FFF, 0x0001), black, white},
		"window":                    {with(grey16, values{"00281050": 100, "00281051": 10, "00281052": -1000, "00281053": 1}), words(1000, 1200), black, white},
		"window, middle":            {with(grey16, values{"00281050": 100, "00281051": 200}), words(100, 200), color.Gray{128}, white},
		"RGB by pixel":              {colour("RGB", 0), []byte{255, 0, 0, 0, 255, 0}, red, green},
		"RGB by plane":              {colour("RGB", 1), []byte{255, 0, 0, 255, 0, 0}, red, green},
		"YBR":                       {colour("YBR_FULL", 0), []byte{76, 85, 255, 150, 44, 21}, color.RGBA{254, 0, 0, 255}, color.RGBA{0, 255, 1, 255}},
		"YBR, shared chroma":        {colour("YBR_FULL_422", 0), []byte{0, 255, 128, 128}, color.RGBA{0, 0, 0, 255}, color.RGBA{255, 255, 255, 255}},
		"palette":                   {palette, []byte{6, 5}, red, green},
		"palette, beside the table": {palette, []byte{9, 0}, red, green},
		"float":                     {values{"00280100": 32, "7FE00008": "bulk", "00280101": 32, "00280102": 31}, []byte{0, 0, 128, 191, 0, 0, 128, 63}, black, white},
	} {
		t.Run(name, func(t *testing.T) {
			m := draw(t, facts(1, 2, c.more), explicitLE, c.frame, nil, 0)
			for x, want := range []color.Color{c.left, c.right} {
				if got := color.RGBAModel.Convert(m.At(x, 0)); got != color.RGBAModel.Convert(want) {
					t.Errorf("pixel %d is %v; want %v", x, got, want)
				}
			}
		})
	}
}

func TestMasksAndScale(t *testing.T) {
	frame := bytes.Repeat([]byte{200}, 100*300)
	more := values{"00281050": 100, "00281051": 200}
	masks := []imaging.Mask{{X: 0, Y: 0, Width: 150, Height: 50}, {X: 149, Y: 0, Width: 1, Height: 1}, {X: 290, Y: 90, Width: 1 << 62, Height: 1 << 62}, {X: -5, Y: -5, Width: 3, Height: 3}}
	m := draw(t, facts(100, 300, more), explicitLE, frame, masks, 100)
	if b := m.Bounds(); b.Dx() != 100 || b.Dy() != 34 {
		t.Errorf("drawn %v; want 100 × 34", b)
	}
	for at, want := range map[image.Point]uint8{{0, 0}: 0, {49, 15}: 0, {50, 0}: 255, {0, 20}: 255, {99, 33}: 0, {96, 0}: 255, {0, 16}: 85} {
		if got := color.GrayModel.Convert(m.At(at.X, at.Y)).(color.Gray).Y; got != want {
			t.Errorf("%v is %d; want %d", at, got, want)
		}
	}
	if m := draw(t, facts(2, 3000, nil), explicitLE, make([]byte, 6000), nil, 5000); m.Bounds().Dx() > 1024 {
		t.Errorf("%d pixels wide", m.Bounds().Dx())
	}
	if m := draw(t, facts(10000, 2, nil), explicitLE, make([]byte, 20000), nil, 0); m.Bounds().Dy() > 2048 {
		t.Errorf("%d pixels high", m.Bounds().Dy())
	}
}

func TestCompressedFrames(t *testing.T) {
	s := pixel.Shape{Rows: 4, Columns: 6, Frames: 1, Samples: 1, Allocated: 16, Stored: 16, High: 15, Photometric: "MONOCHROME2"}
	samples := make([]byte, 48)
	copy(samples[46:], words(500))
	coded, err := pixel.EncodeRLE(s, samples)
	if err != nil {
		t.Fatal(err)
	}
	m := draw(t, facts(4, 6, values{"00280100": 16, "00280101": 16, "00280102": 15}), pixel.RLE, coded, nil, 0)
	if got := color.GrayModel.Convert(m.At(5, 3)); got != (color.Gray{255}) {
		t.Errorf("RLE: the last pixel is %v; want white", got)
	}
	picture := image.NewRGBA(image.Rect(0, 0, 16, 16))
	for i := range 256 {
		picture.SetRGBA(i%16, i/16, color.RGBA{0, 0, 255, 255})
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture, nil); err != nil {
		t.Fatal(err)
	}
	m = draw(t, facts(16, 16, values{"00280002": 3, "00280004": "YBR_FULL_422"}), pixel.JPEGBaseline, b.Bytes(), nil, 0)
	if r, g, b, _ := m.At(8, 8).RGBA(); r > 0x400 || g > 0x400 || b < 0xFC00 {
		t.Errorf("JPEG: %x %x %x; want blue", r, g, b)
	}
}

func TestNoPreview(t *testing.T) {
	for name, c := range map[string]struct {
		attributes json.RawMessage
		syntax     string
		frame      []byte
	}{
		"JPEG 2000":     {facts(2, 2, nil), "1.2.840.10008.1.2.4.90", make([]byte, 4)},
		"short frame":   {facts(2, 2, nil), explicitLE, make([]byte, 3)},
		"broken RLE":    {facts(2, 2, nil), pixel.RLE, make([]byte, 70)},
		"no pixels":     {json.RawMessage(`{}`), explicitLE, nil},
		"not JSON":      {json.RawMessage(`[`), explicitLE, nil},
		"CMYK":          {facts(1, 1, values{"00280002": 4, "00280004": "CMYK"}), explicitLE, make([]byte, 4)},
		"far too large": {facts(65535, 65535, nil), explicitLE, nil},
	} {
		var b bytes.Buffer
		err := render.PNG(&b, c.attributes, c.syntax, bytes.NewReader(c.frame), nil, 0)
		if !errors.Is(err, render.ErrNoPreview) || b.Len() > 0 {
			t.Errorf("%s: %v and %d bytes; want ErrNoPreview and none", name, err, b.Len())
		}
	}
	broken := errors.New("storage")
	for _, syntax := range []string{explicitLE, pixel.RLE} {
		if err := render.PNG(io.Discard, facts(2, 2, nil), syntax, iotest.ErrReader(broken), nil, 0); !errors.Is(err, broken) {
			t.Errorf("%s: %v; want the reader's error", syntax, err)
		}
	}
}

func FuzzPNG(f *testing.F) {
	f.Add([]byte(facts(2, 3, nil)), explicitLE, []byte{1, 2, 3, 4, 5, 6}, 0, 0, 1, 1)
	f.Add([]byte(facts(2, 2, values{"00280002": 3, "00280004": "YBR_FULL_422"})), explicitLE, make([]byte, 12), -1, 0, 1<<40, 1)
	f.Add([]byte(facts(2, 3, values{"00280004": "PALETTE COLOR", "00281101": []int{2, 5, 16}, "00281201": words(1, 2)})), pixel.RLE, make([]byte, 80), 1, 1, 1, 1)
	f.Fuzz(func(t *testing.T, attributes []byte, syntax string, frame []byte, x, y, width, height int) {
		var b bytes.Buffer
		if err := render.PNG(&b, attributes, syntax, bytes.NewReader(frame), []imaging.Mask{{X: x, Y: y, Width: width, Height: height}}, 64); err != nil {
			return
		}
		if _, err := png.Decode(&b); err != nil {
			t.Error(fmt.Errorf("not a PNG: %w", err))
		}
	})
}
