package imaging_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"medvault/imaging"
)

func script(t testing.TB, original []byte, write func(*imaging.ScriptWriter)) []byte {
	t.Helper()
	var out bytes.Buffer
	s := imaging.NewScriptWriter(&out)
	write(s)
	if err := s.End(int64(len(original)), sha256.Sum256(original)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRestoreIsExact(t *testing.T) {
	content := []byte("de-identified header|pixels|trailer")
	original := []byte("the header as it came|pixels|padding")
	s := script(t, original, func(s *imaging.ScriptWriter) {
		s.Put([]byte("the header "))
		s.Put([]byte("as it came"))
		s.Drop(10)
		s.Drop(10)
		s.Copy(3)
		s.Copy(5)
		s.Drop(7)
		s.Put([]byte("padding"))
	})
	var out bytes.Buffer
	if err := imaging.Restore(&out, bytes.NewReader(content), bytes.NewReader(s)); err != nil {
		t.Fatal(err)
	}
	if out.String() != string(original) {
		t.Errorf("restored %q; want %q", out.String(), original)
	}
}

func TestRestoreRefusesAnyDifference(t *testing.T) {
	content, original := []byte("0123456789"), []byte("head456789")
	good := script(t, original, func(s *imaging.ScriptWriter) {
		s.Put([]byte("head"))
		s.Drop(4)
		s.Copy(6)
	})
	other := script(t, original, func(s *imaging.ScriptWriter) { s.Put([]byte("head")); s.Copy(6) })
	for name, c := range map[string]struct{ content, script []byte }{
		"content changed":  {[]byte("0123456780"), good},
		"content cut":      {content[:9], good},
		"script cut":       {content, good[:20]},
		"empty script":     {content, nil},
		"not a script":     {content, []byte("0123456789abcdef")},
		"another script":   {content, other},
		"second script":    {content, append(bytes.Clone(good), good...)},
		"script with tail": {content, append(bytes.Clone(good), 1, 2, 3)},
	} {
		t.Run(name, func(t *testing.T) {
			err := imaging.Restore(io.Discard, bytes.NewReader(c.content), bytes.NewReader(c.script))
			if !errors.Is(err, imaging.ErrNotRestored) {
				t.Errorf("Restore = %v; want ErrNotRestored", err)
			}
		})
	}
}

type untouchable struct{ t *testing.T }

func (u untouchable) Read([]byte) (int, error) {
	u.t.Error("content was read for what only needs the script")
	return 0, io.EOF
}

// enough fails once it has seen n bytes.
type enough struct {
	bytes.Buffer
	n int
}

var errEnough = errors.New("enough")

func (e *enough) Write(p []byte) (int, error) {
	if _, err := e.Buffer.Write(p); err != nil || e.Len() >= e.n {
		return 0, errEnough
	}
	return len(p), nil
}

func TestRestoreGivesTheHeaderWithoutContent(t *testing.T) {
	head := bytes.Repeat([]byte("header "), 1000)
	s := script(t, nil, func(s *imaging.ScriptWriter) { s.Put(head); s.Drop(10); s.Copy(10) })
	w := &enough{n: len(head)}
	if err := imaging.Restore(w, untouchable{t}, bytes.NewReader(s)); !errors.Is(err, errEnough) {
		t.Errorf("Restore = %v; want the writer's error", err)
	}
	if !bytes.Equal(w.Bytes(), head) {
		t.Error("the header is not what was put")
	}
}

func TestRestoreOfAllPutNeedsNoContent(t *testing.T) {
	original := []byte("the whole original")
	s := script(t, original, func(s *imaging.ScriptWriter) { s.Put(original); s.Drop(1 << 30) })
	if err := imaging.Restore(io.Discard, untouchable{t}, bytes.NewReader(s)); err != nil {
		t.Error(err)
	}
}

func TestScriptSizesFallIntoClasses(t *testing.T) {
	sizes := map[int]bool{}
	noise := make([]byte, 40_000)
	source := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(source.Uint32())
	}
	for n := range 1000 {
		s := script(t, nil, func(s *imaging.ScriptWriter) { s.Put(noise[:n*40]) })
		if len(s) > 1100 && float64(len(s)) > 1.13*float64(n*40+60) {
			t.Fatalf("%d bytes became %d", n*40, len(s))
		}
		sizes[len(s)] = true
	}
	if len(sizes) > 100 {
		t.Errorf("1000 lengths have %d sizes; want at most 100", len(sizes))
	}
}

// TestRestoreOfALargePut puts more than any window or buffer holds.
func TestRestoreOfALargePut(t *testing.T) {
	original := make([]byte, 20<<20)
	source := rand.New(rand.NewPCG(1, 2))
	for i := range original {
		original[i] = byte(source.Uint32()) & 0x1F
	}
	for _, step := range []int{len(original), 64 << 10, 3000} {
		s := script(t, original, func(s *imaging.ScriptWriter) {
			for p := range slices.Chunk(original, step) {
				s.Put(p)
			}
		})
		var out bytes.Buffer
		if err := imaging.Restore(&out, bytes.NewReader(nil), bytes.NewReader(s)); err != nil || !bytes.Equal(out.Bytes(), original) {
			t.Errorf("in steps of %d: %v", step, err)
		}
	}
}

// FuzzRestore looks for a script that makes Restore panic, or return nil for
// something that is not what the script's hash says.
func FuzzRestore(f *testing.F) {
	original := []byte("head456789")
	f.Add([]byte("0123456789"), script(f, original, func(s *imaging.ScriptWriter) {
		s.Put([]byte("head"))
		s.Drop(4)
		s.Copy(6)
	}))
	f.Fuzz(func(t *testing.T, content, s []byte) {
		_ = imaging.Restore(io.Discard, bytes.NewReader(content), bytes.NewReader(s))
	})
}

func BenchmarkScriptOfAHeader(b *testing.B) {
	head := make([]byte, 6000)
	source := rand.New(rand.NewPCG(1, 2))
	for i := range head {
		head[i] = "0123456789. abcdef"[source.IntN(18)]
	}
	b.ReportAllocs()
	for b.Loop() {
		s := imaging.NewScriptWriter(io.Discard)
		s.Put(head)
		s.Drop(5000)
		s.Copy(500_000)
		if err := s.End(506_000, [32]byte{}); err != nil {
			b.Fatal(err)
		}
	}
}
