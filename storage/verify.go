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
var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// Sum reads all of key from s and returns what it found: size and SHA-256 of the
// bytes that came, whatever they are.
func Sum(ctx context.Context, s Store, key string) (size int64, sum [32]byte, err error) {
	r, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return 0, sum, err
	}
	defer r.Close() // reading: everything that counts was said by Read
	buf := buffers.Get().(*[256 << 10]byte)
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

// Compare reads key back from s and compares it with body byte by byte, which proves
// more than a hash and costs less. Other bytes are ErrCorrupt; absent is ErrNotExist.
func Compare(ctx context.Context, s Store, key string, body Body) error {
	r, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	defer r.Close() // reading: everything that counts was said by Read
	got, want := buffers.Get().(*[256 << 10]byte), buffers.Get().(*[256 << 10]byte)
	defer buffers.Put(got)
	defer buffers.Put(want)
	var at int64
	for {
		n, err := io.ReadFull(r, got[:])
		ended := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !ended {
			return fmt.Errorf("read back: %w", err)
		}
		if int64(n) > body.Size-at {
			return fmt.Errorf("read back: %w: more than the %d bytes sent", ErrCorrupt, body.Size)
		}
		if m, err := body.ReadAt(want[:n], at); m < n {
			return fmt.Errorf("read body: %w", err)
		}
		if !bytes.Equal(got[:n], want[:n]) {
			return fmt.Errorf("read back: %w: other bytes from %d on", ErrCorrupt, at)
		}
		at += int64(n)
		if ended {
			if at != body.Size {
				return fmt.Errorf("read back: %w: %d bytes, sent %d", ErrCorrupt, at, body.Size)
			}
			return nil
		}
	}
}
