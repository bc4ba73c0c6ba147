package dir

import (
	"context"
	"fmt"
	"io"
	"os"
	"unsafe"

	"medvault/storage"
)

// An object is written once, and read back from the disk and not from the memory of
// what was just written: both go past the page cache where the file system lets them.

// block is what pieces, places and buffers of direct reads and writes are multiples of.
const block = 4096

// writeDirectly writes p, which is all of a new file.
func writeDirectly(f *os.File, p []byte) error {
	whole := p[:len(p)&^(block-1)]
	if len(whole) > 0 && aligned(p) && direct(f, true) == nil {
		n, err := f.Write(whole)
		if err != nil && !unaligned(err) {
			return err
		}
		if err := direct(f, false); err != nil {
			return err
		}
		p = p[n:]
	}
	_, err := f.Write(p)
	return err
}

func aligned(p []byte) bool { return uintptr(unsafe.Pointer(unsafe.SliceData(p)))%block == 0 }

// Compare implements storage.Comparer.
func (s *Store) Compare(ctx context.Context, key string, body storage.Body) error {
	if err := s.admit(ctx, key); err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	f, size, err := s.open(key)
	if err != nil {
		return fmt.Errorf("read back %s: %w", key, err)
	}
	defer f.Close() // reading: everything that counts was said by Read
	return storage.CompareReader(&directReader{ctx: ctx, f: f, left: size, direct: direct(f, true) == nil}, body)
}

// directReader reads a file from its beginning, and tells when it is longer than left.
type directReader struct {
	ctx    context.Context
	f      *os.File
	left   int64 // as the file was when it was opened
	direct bool
	ended  bool
}

func (r *directReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.ended {
		return 0, io.EOF
	}
	if !r.direct {
		return r.f.Read(p)
	}
	// No more blocks than there are: the kernel would fill the rest of p with zeros.
	blocks := max(1, (r.left+block-1)/block)
	p = p[:min(int64(len(p)), blocks*block)]
	n, err := r.f.Read(p)
	if err != nil && err != io.EOF && unaligned(err) {
		r.direct = false
		if err := direct(r.f, false); err != nil {
			return 0, err
		}
		return r.f.Read(p)
	}
	r.left -= int64(n)
	r.ended = n%block != 0 // only the end of a file is no whole block
	return n, err
}
