package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"
)

// buffers for whole-object reads, shared by all stores of the process.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

const bufferSize = 1 << 20

// Sum reads all of key from s and returns what it found: size and SHA-256 of the
// bytes that came, whatever they are.
func Sum(ctx context.Context, s Store, key string) (size int64, sum [32]byte, err error) {
	r, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return 0, sum, err
	}
	defer r.Close() // reading: everything that counts was said by Read
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	h := sha256.New()
	for {
		n, err := r.Read(buf[:])
		h.Write(buf[:n])
		size += int64(n)
		if errors.Is(err, io.EOF) {
			return size, [32]byte(h.Sum(nil)), nil
		}
		if err != nil {
			return size, sum, err
		}
	}
}

// Verify reads key back from s. Other bytes than size and sum are ErrCorrupt;
// absent is ErrNotExist.
func Verify(ctx context.Context, s Store, key string, size int64, sum [32]byte) error {
	n, got, err := Sum(ctx, s, key)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if n != size {
		return fmt.Errorf("read back: %w: %d bytes, sent %d", ErrCorrupt, n, size)
	}
	if got != sum {
		return fmt.Errorf("read back: %w: sha256 differs", ErrCorrupt)
	}
	return nil
}

// Comparer is a Store that can tell better than through Get what it holds: from its
// disk, and not from the memory of what was just written.
type Comparer interface {
	// Compare is the function Compare for this store.
	Compare(ctx context.Context, key string, body Body) error
}

// Compare reads key back from s and compares it with body byte by byte, which proves
// more than a hash and costs less. Other bytes are ErrCorrupt; absent is ErrNotExist.
func Compare(ctx context.Context, s Store, key string, body Body) error {
	if c, ok := s.(Comparer); ok {
		return c.Compare(ctx, key, body)
	}
	r, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	defer r.Close() // reading: everything that counts was said by Read
	return CompareReader(r, body)
}

// CompareReader is Compare for what r gives up to its end.
func CompareReader(r io.Reader, body Body) error {
	lent, err := body.Lend(func(all []byte) error {
		return compare(r, body.Size, func(at int64, n int) ([]byte, error) { return all[at:][:n], nil })
	})
	if lent || err != nil {
		return err
	}
	want := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(want)
	return compare(r, body.Size, func(at int64, n int) ([]byte, error) {
		if m, err := body.ReadAt(want[:n], at); m < n {
			return nil, fmt.Errorf("read body: %w", err)
		}
		return want[:n], nil
	})
}

// compare compares what r gives with size bytes, of which want gives n from at on.
func compare(r io.Reader, size int64, want func(at int64, n int) ([]byte, error)) error {
	got := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(got)
	for at := int64(0); ; {
		n, err := io.ReadFull(r, got[:])
		ended := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !ended {
			return fmt.Errorf("read back: %w", err)
		}
		if int64(n) > size-at {
			return fmt.Errorf("read back: %w: more than the %d bytes sent", ErrCorrupt, size)
		}
		sent, err := want(at, n)
		if err != nil {
			return err
		}
		if !bytes.Equal(got[:n], sent) {
			return fmt.Errorf("read back: %w: other bytes from %d on", ErrCorrupt, at)
		}
		at += int64(n)
		if ended {
			if at != size {
				return fmt.Errorf("read back: %w: %d bytes, sent %d", ErrCorrupt, at, size)
			}
			return nil
		}
	}
}
