package dir_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"medvault/storage/storetest"
)

const instance = 512 << 10 // a CT instance

// BenchmarkRaw is what the disk takes for the same bytes with nothing around
// them, without and with the folder that names them brought to disk: the measure
// of BenchmarkPut.
func BenchmarkRaw(b *testing.B) {
	for _, folder := range []bool{false, true} {
		b.Run(fmt.Sprintf("folder=%v", folder), func(b *testing.B) {
			root, bytes := b.TempDir(), storetest.Bytes(instance)
			b.SetBytes(instance)
			for i := 0; b.Loop(); i++ {
				writeSync(b, filepath.Join(root, fmt.Sprint(i)), bytes)
				if folder {
					syncFolder(b, root)
				}
			}
		})
	}
}

func writeSync(b *testing.B, path string, bytes []byte) {
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := f.Write(bytes); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}

func syncFolder(b *testing.B, path string) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkRawHash(b *testing.B) {
	bytes := storetest.Bytes(instance)
	b.SetBytes(instance)
	for b.Loop() {
		sha256.Sum256(bytes)
	}
}

func BenchmarkPut(b *testing.B) {
	s, body := open(b, b.TempDir()), storetest.Body(storetest.Bytes(instance))
	b.SetBytes(instance)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := s.Put(b.Context(), fmt.Sprintf("objects/%02x/%d", i%16, i), body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	s := open(b, b.TempDir())
	if err := s.Put(b.Context(), "objects/00/x", storetest.Body(storetest.Bytes(instance))); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(instance)
	b.ReportAllocs()
	buf := make([]byte, 64<<10)
	for b.Loop() {
		r, err := s.Get(b.Context(), "objects/00/x", 0, -1)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, buf); err != nil || n != instance {
			b.Fatalf("read %d bytes, %v", n, err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
