package pixel_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"medvault/imaging/pixel"
)

// lsVector is a line of testdata/jpegls.txt.
type lsVector struct {
	name, syntax string
	shape        pixel.Shape
	frame        []byte
	sum          string
}

func lsVectors(tb testing.TB) (vectors []lsVector) {
	tb.Helper()
	data, err := os.ReadFile("testdata/jpegls.txt")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSpace(line), " | ")
		if len(f) != 5 {
			tb.Fatalf("%d fields; want 5", len(f))
		}
		v := lsVector{name: f[0], syntax: f[2], sum: f[4], shape: pixel.Shape{Rows: 24, Columns: 37, Frames: 1, Samples: 1}}
		if _, err := fmt.Sscan(f[1], &v.shape.Allocated, &v.shape.Stored, &v.shape.Photometric); err != nil {
			tb.Fatal(err)
		}
		v.shape.High = v.shape.Stored - 1
		if v.shape.Photometric == "RGB" {
			v.shape.Samples = 3
		}
		if v.frame, err = hex.DecodeString(f[3]); err != nil {
			tb.Fatal(err)
		}
		vectors = append(vectors, v)
	}
	return vectors
}

func TestJPEGLS(t *testing.T) {
	vectors := lsVectors(t)
	if len(vectors) < 12 {
		t.Errorf("%d vectors; want at least 12", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			samples, err := pixel.Decode(v.syntax, v.shape, v.frame)
			if err != nil {
				t.Fatal(err)
			}
			if sum := sha256.Sum256(samples); hex.EncodeToString(sum[:]) != v.sum {
				t.Error("decoded something else")
			}
			for cut := 0; cut < len(v.frame)-8; cut += 11 {
				if _, err := pixel.Decode(v.syntax, v.shape, v.frame[:cut]); !errors.Is(err, pixel.ErrDecode) {
					t.Fatalf("cut at %d of %d: %v; want ErrDecode", cut, len(v.frame), err)
				}
			}
			for name, change := range map[string]func(*pixel.Shape){
				"rows":      func(s *pixel.Shape) { s.Rows++ },
				"columns":   func(s *pixel.Shape) { s.Columns-- },
				"more bits": func(s *pixel.Shape) { s.High++; s.Stored++; s.Allocated = 16 },
			} {
				other := v.shape
				if change(&other); name == "more bits" && v.shape.Allocated != 8 {
					continue // the encoder may have written more than are stored
				}
				if _, err := pixel.Decode(v.syntax, other, v.frame); !errors.Is(err, pixel.ErrDecode) {
					t.Errorf("other %s: %v; want ErrDecode", name, err)
				}
			}
		})
	}
}

func FuzzJPEGLS(f *testing.F) {
	for i, v := range lsVectors(f) {
		f.Add(v.frame, uint8(i), uint8(24), uint8(37))
	}
	vectors := lsVectors(f)
	f.Fuzz(func(t *testing.T, frame []byte, which, rows, columns uint8) {
		v := vectors[int(which)%len(vectors)]
		v.shape.Rows, v.shape.Columns = int(rows), int(columns)
		samples, err := pixel.Decode(v.syntax, v.shape, frame)
		if err == nil && int64(len(samples))*8 != v.shape.FrameBits() {
			t.Errorf("%d bytes; want %d bits", len(samples), v.shape.FrameBits())
		}
	})
}
