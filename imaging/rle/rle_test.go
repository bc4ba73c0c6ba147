package rle_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"medvault/imaging/rle"
)

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ planes, rows, columns, colours int }{
		{1, 1, 1, 2}, {1, 7, 5, 2}, {2, 3, 129, 1}, {3, 16, 128, 3}, {6, 9, 300, 256}, {15, 2, 2, 4}, {2, 64, 257, 2},
	} {
		planes := make([]byte, c.planes*c.rows*c.columns)
		for i := range planes {
			planes[i] = byte(r.IntN(c.colours))
		}
		frame, err := rle.Encode(planes, c.planes, c.columns)
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		if len(frame)%2 == 1 {
			t.Errorf("%v: odd length", c)
		}
		back, err := rle.Decode(frame, c.planes, c.rows*c.columns)
		if err != nil || !bytes.Equal(back, planes) {
			t.Errorf("%v: decoded something else (%v)", c, err)
		}
	}
}

func TestMalformedFramesAreRefused(t *testing.T) {
	good, err := rle.Encode(bytes.Repeat([]byte{1, 2, 2, 2}, 64), 2, 16)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		frame        []byte
		planes, size int
	}{
		"no table":             {good[:40], 2, 128},
		"another plane count":  {good, 1, 128},
		"cut":                  {good[:len(good)-4], 2, 128},
		"larger than the data": {good, 2, 256},
		"a run beyond the end": {good, 2, 127},
		"no pixels":            {good, 2, 0},
		"far larger":           {good, 2, 1 << 40},
	} {
		if _, err := rle.Decode(c.frame, c.planes, c.size); !errors.Is(err, rle.ErrMalformed) {
			t.Errorf("%s: %v; want ErrMalformed", name, err)
		}
	}
	if _, err := rle.Encode(make([]byte, 7), 1, 2); !errors.Is(err, rle.ErrMalformed) {
		t.Errorf("half a row: %v; want ErrMalformed", err)
	}
}

func FuzzDecode(f *testing.F) {
	good, _ := rle.Encode(bytes.Repeat([]byte{1, 2, 2, 2}, 64), 2, 16)
	f.Add(good, 2, 128)
	f.Add(make([]byte, 64), 1, 1)
	f.Fuzz(func(t *testing.T, frame []byte, planes, size int) {
		out, err := rle.Decode(frame, planes, size)
		if err != nil {
			return
		}
		again, err := rle.Encode(out, planes, size)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := rle.Decode(again, planes, size); err != nil || !bytes.Equal(back, out) {
			t.Errorf("decoded something else (%v)", err)
		}
	})
}
