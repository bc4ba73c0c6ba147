package dir_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"medvault/storage"
	"medvault/storage/storetest"
)

// inMemory is a body as the vault sends it: hashed, and lying in memory.
func inMemory(b []byte) storage.Body {
	return storage.Body{ReaderAt: storage.Memory(b), Size: int64(len(b)), SHA256: sha256.Sum256(b), Hashed: true}
}

// TestBodiesInMemory: whole blocks, the rest of one, and memory that begins anywhere.
func TestBodiesInMemory(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	for i, size := range []int{0, 1, 4095, 4096, 4097, 8192, 525<<10 + 77, 1 << 20, 1<<20 + 4096, 2<<20 + 1} {
		for _, from := range []int{0, 1} {
			body := inMemory(storetest.Bytes(from + size)[from:])
			key := fmt.Sprintf("objects/%d/%d", i, from)
			if err := s.Put(t.Context(), key, body); err != nil {
				t.Fatalf("Put of %d bytes = %v", size, err)
			}
			if got, err := os.ReadFile(filepath.Join(root, key)); err != nil || sha256.Sum256(got) != body.SHA256 {
				t.Errorf("%d bytes: other bytes lie on the disk, %v", size, err)
			}
			if err := storage.Compare(t.Context(), s, key, body); err != nil {
				t.Errorf("Compare of %d bytes = %v", size, err)
			}
			if err := s.Put(t.Context(), key, body); err != nil {
				t.Errorf("Put of %d bytes again = %v", size, err)
			}
			other := inMemory(storetest.Bytes(size + 1))
			if err := s.Put(t.Context(), key, other); !errors.Is(err, storage.ErrExist) {
				t.Errorf("Put of other bytes = %v; want ErrExist", err)
			}
		}
	}
}

func TestCompareSeesEveryDifference(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	body := storetest.Bytes(1<<20 + 5000)
	for name, damage := range map[string]func(b []byte) []byte{
		"first byte":       func(b []byte) []byte { b[0] ^= 1; return b },
		"last byte":        func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"in the middle":    func(b []byte) []byte { b[1<<20] ^= 1; return b },
		"one byte missing": func(b []byte) []byte { return b[:len(b)-1] },
		"cut at a block":   func(b []byte) []byte { return b[:1<<20] },
		"empty":            func(b []byte) []byte { return nil },
		"one byte more":    func(b []byte) []byte { return append(b, 0) },
		"a block more":     func(b []byte) []byte { return append(b, make([]byte, 8192)...) },
	} {
		if err := os.WriteFile(filepath.Join(root, "x"), damage(append([]byte(nil), body...)), 0o600); err != nil {
			t.Fatal(err)
		}
		for kind, b := range map[string]storage.Body{"memory": inMemory(body), "reader": storetest.Body(body)} {
			if err := storage.Compare(t.Context(), s, "x", b); !errors.Is(err, storage.ErrCorrupt) {
				t.Errorf("%s, body as %s: Compare = %v; want ErrCorrupt", name, kind, err)
			}
		}
	}
	if err := storage.Compare(t.Context(), s, "y", inMemory(body)); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("Compare of what is absent = %v; want ErrNotExist", err)
	}
}
