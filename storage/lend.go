package storage

import "io"

// Memory is bytes in memory as the ReaderAt of a Body. Whoever finds a Lender reads
// them where they lie.
type Memory []byte

var _ Lender = Memory(nil)

// Lender is a ReaderAt whose bytes may lie in memory.
type Lender interface {
	io.ReaderAt
	// Lend calls use with all bytes, which it may neither change nor keep. False: they
	// do not lie in memory, and use was not called.
	Lend(use func(all []byte) error) (lent bool, err error)
}

// ReadAt implements io.ReaderAt.
func (m Memory) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(m)) {
		return 0, io.EOF
	}
	n := copy(p, m[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Lend implements Lender.
func (m Memory) Lend(use func([]byte) error) (bool, error) { return true, use(m) }

// Lend is the Lend of the body's ReaderAt, when that is a Lender with as many bytes as
// the body has.
func (b Body) Lend(use func(all []byte) error) (lent bool, err error) {
	l, ok := b.ReaderAt.(Lender)
	if !ok {
		return false, nil
	}
	return l.Lend(func(all []byte) error {
		if int64(len(all)) != b.Size {
			return io.ErrUnexpectedEOF
		}
		return use(all)
	})
}
