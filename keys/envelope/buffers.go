package envelope

import "sync"

// buffer is scratch space for one chunk, plain or sealed. Plaintext and
// ciphertext always lie in two buffers: GCM panics on inexact overlap.
type buffer struct{ b []byte }

const (
	smallBuffer = 4 << 10
	largeBuffer = chunkSize + overhead + 1 // one more byte, to see whether a chunk is the last
)

// Pools are caches: nothing is kept in them that anyone relies on.
var (
	small = sync.Pool{New: func() any { return &buffer{make([]byte, smallBuffer)} }}
	large = sync.Pool{New: func() any { return &buffer{make([]byte, largeBuffer)} }}
)

// newBuffer returns a buffer of at least n bytes, at most largeBuffer.
func newBuffer(n int) *buffer {
	if n <= smallBuffer {
		return small.Get().(*buffer)
	}
	return large.Get().(*buffer)
}

// free gives b back. Nothing may use it afterwards.
func (b *buffer) free() {
	switch {
	case b == nil:
	case len(b.b) == smallBuffer:
		small.Put(b)
	default:
		large.Put(b)
	}
}
