package wire_test

import (
	"bytes"
	"errors"
	"image"
	"io"
	"reflect"
	"testing"

	"medvault/imaging/pdf/wire"
)

func sample() wire.Page {
	m := image.NewRGBA(image.Rect(0, 0, 3, 2))
	for i := range m.Pix {
		m.Pix[i] = byte(i * 9)
		if i%4 == 3 {
			m.Pix[i] = 0xFF
		}
	}
	return wire.Page{Width: 595, Height: 842,
		Chars: []wire.Char{
			{Rune: '张', Angle: 1.5, Tight: wire.Rect{X0: 1, Y0: 2, X1: 3, Y1: 4}, Loose: wire.Rect{X1: 5, Y1: 6}},
			{Rune: ' ', Generated: true}, {Unmapped: true},
		},
		Images: []wire.Rect{{X0: -1, Y0: -2, X1: 10, Y1: 20}}, Pixels: m}
}

func TestPageComesBack(t *testing.T) {
	for _, p := range []wire.Page{sample(), {Width: 1, Height: 1, Chars: []wire.Char{}, Images: []wire.Rect{}, Pixels: image.NewRGBA(image.Rectangle{})}} {
		got, err := wire.DecodePage(p.Encode())
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("DecodePage = %+v, %v; want %+v", got, err, p)
		}
	}
	r := wire.Request{Page: 7, DPI: 150, Text: true}
	if got, err := wire.DecodeRequest(r.Encode()); err != nil || got != r {
		t.Errorf("DecodeRequest = %+v, %v; want %+v", got, err, r)
	}
}

func TestLongFramesAreNotBelieved(t *testing.T) {
	for name, frame := range map[string]string{
		"unknown kind": "x\x00\x00\x00\x00", "longer than any page": "p\xff\xff\xff\xff", "a long code": "e\x00\x00\x01\x00",
	} {
		if _, _, err := wire.Read(bytes.NewReader([]byte(frame))); !errors.Is(err, wire.ErrFrame) {
			t.Errorf("%s: %v; want ErrFrame", name, err)
		}
	}
	if _, _, err := wire.Read(bytes.NewReader([]byte("p\x02\x00\x00\x00abc"))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a frame that breaks off: %v; want io.ErrUnexpectedEOF", err)
	}
	if _, _, err := wire.Read(bytes.NewReader(nil)); err != io.EOF {
		t.Errorf("nothing: %v; want io.EOF", err)
	}
}

func TestSize(t *testing.T) {
	for _, c := range []struct {
		width, height float32
		columns, rows int
	}{{595, 842, 1240, 1754}, {0.1, 0.1, 1, 1}, {200000, 200000, 0, 0}, {0, 10, 0, 0}, {1e6, 1, 0, 0}} {
		columns, rows := wire.Page{Width: c.width, Height: c.height}.Size(150)
		if columns != c.columns || rows != c.rows {
			t.Errorf("%v by %v points: %d by %d pixels; want %d by %d", c.width, c.height, columns, rows, c.columns, c.rows)
		}
	}
	if w, h := (wire.Page{Width: 5000, Height: 5000}).Size(150); w*h > wire.MaxPixels || w < 2000 {
		t.Errorf("a poster is %d by %d pixels", w, h)
	}
}

func FuzzFrames(f *testing.F) {
	var b bytes.Buffer
	if err := wire.Write(&b, wire.Leaf, sample().Encode()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("o\x00\x00\x00\x0b{\"pages\":1}"))
	f.Add([]byte("h\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		kind, payload, err := wire.Read(bytes.NewReader(in))
		if err != nil {
			return
		}
		switch kind {
		case wire.Leaf:
			p, err := wire.DecodePage(payload)
			if err != nil {
				return
			}
			if len(p.Chars) > wire.MaxChars || p.Pixels.Rect.Dx()*p.Pixels.Rect.Dy() > wire.MaxPixels {
				t.Fatalf("%d characters and %v pixels are taken", len(p.Chars), p.Pixels.Rect)
			}
			if again, err := wire.DecodePage(p.Encode()); err != nil || len(again.Chars) != len(p.Chars) {
				t.Fatalf("what was taken is not taken again: %v", err)
			}
		case wire.Document:
			_, _ = wire.DecodeFacts(payload)
		case wire.Fetch:
			_, _ = wire.DecodeRequest(payload)
		case wire.Hello:
			_, _ = wire.DecodeEnclosure(payload)
		}
	})
}
