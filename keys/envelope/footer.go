package envelope

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Fetch streams length bytes of an object from offset. Where the bytes come
// from, and going on from another region when one dies, lies below it.
type Fetch func(ctx context.Context, offset, length int64) (io.ReadCloser, error)

// FetchFrom fetches from a file, such as the spool. It leaves r open.
func FetchFrom(r io.ReaderAt) Fetch {
	return func(_ context.Context, offset, length int64) (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(r, offset, length)), nil
	}
}

// overRead is more than the longest footer and tail, so one read gets both.
const overRead = 4 << 10

// ReadFooter gets the footer of an object of size bytes in one ranged read. What
// it returns may be kept and given to Open any number of times. Nothing is
// authenticated yet.
func ReadFooter(ctx context.Context, fetch Fetch, size int64) ([]byte, error) {
	n := min(size, overRead)
	if n < int64(tailSize) {
		return nil, fmt.Errorf("read footer: object of %d bytes: %w", size, ErrTruncated)
	}
	body, err := fetch(ctx, size-n, n)
	if err != nil {
		return nil, fmt.Errorf("read footer: %w", err)
	}
	defer body.Close()
	end := make([]byte, n)
	if _, err := io.ReadFull(body, end); err != nil {
		return nil, fmt.Errorf("read footer: %w", short(err))
	}
	footer, err := cutFooter(end, size)
	if err != nil {
		return nil, fmt.Errorf("read footer: %w", err)
	}
	return slices.Clone(footer), nil
}

// cutFooter finds the footer in the last bytes of an object of size bytes, and
// checks that it lies where the part table says the parts end.
func cutFooter(end []byte, size int64) ([]byte, error) {
	tail := end[len(end)-tailSize:]
	if string(tail[4:]) != endMagic {
		return nil, fmt.Errorf("no footer at the end, or no sealed object at all: %w", ErrTruncated)
	}
	length := int64(binary.BigEndian.Uint32(tail))
	if length > int64(len(end)-tailSize) {
		return nil, fmt.Errorf("footer of %d bytes: %w", length, ErrTampered)
	}
	footer := end[int64(len(end)-tailSize)-length : len(end)-tailSize]
	f, err := parseFooter(footer)
	if err != nil {
		return nil, err
	}
	if start := size - int64(tailSize) - length; f.end != start {
		return nil, fmt.Errorf("footer lies at %d, the parts end at %d: %w", start, f.end, ErrTampered)
	}
	return footer, nil
}

// footer is a footer taken apart.
type footer struct {
	salt, commitment [32]byte
	header           Header
	prefix           []byte
	parts            []part
	end              int64  // of the last part
	signed, mac      []byte // what the HMAC covers, and the HMAC
}

// parseFooter takes b apart and checks that its part table is one that sealing
// could have written. It authenticates nothing.
func parseFooter(b []byte) (f footer, err error) {
	if len(b) < headSize+macSize {
		return f, fmt.Errorf("footer of %d bytes: %w", len(b), ErrTampered)
	}
	f.signed, f.mac = b[:len(b)-macSize], b[len(b)-macSize:]
	r := scanner{b: f.signed}
	copy(f.salt[:], r.take(32))
	copy(f.commitment[:], r.take(32))
	start := len(f.signed) - len(r.b)
	f.header = r.header()
	f.prefix = f.signed[start : len(f.signed)-len(r.b)]
	count := int(r.byte())
	if r.bad || count > maxParts {
		return f, fmt.Errorf("footer cannot be read: %w", ErrTampered)
	}
	f.end = int64(len(f.prefix))
	for range count {
		p := part{name: string(r.take(r.length(maxName)))}
		p.offset, p.length, p.plain = r.number(), r.number(), r.number()
		copy(p.salt[:], r.take(32))
		copy(p.commitment[:], r.take(32))
		twice := slices.ContainsFunc(f.parts, func(q part) bool { return q.name == p.name })
		if r.bad || twice || p.offset != f.end || p.length != sealedSize(p.plain) {
			return f, fmt.Errorf("part table, line %d: %w", len(f.parts), ErrTampered)
		}
		f.end += p.length
		f.parts = append(f.parts, p)
	}
	if len(r.b) > 0 {
		return f, fmt.Errorf("%d bytes after the part table: %w", len(r.b), ErrTampered)
	}
	return f, nil
}

// parsePrefix reads the prefix at the start of b and tells its length.
func parsePrefix(b []byte) (Header, int, error) {
	r := scanner{b: b}
	h := r.header()
	if r.bad {
		return h, 0, fmt.Errorf("prefix cannot be read: %w", ErrTampered)
	}
	return h, len(b) - len(r.b), nil
}

// scanner takes fields off the front of b; bad once b was too short or a field
// out of bounds.
type scanner struct {
	b   []byte
	bad bool
}

func (r *scanner) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return nil
	}
	field := r.b[:n]
	r.b = r.b[n:]
	return field
}

func (r *scanner) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// length reads a length byte that must be 1 to limit.
func (r *scanner) length(limit int) int {
	n := int(r.byte())
	if n == 0 || n > limit {
		r.bad = true
	}
	return n
}

// number reads an offset or length. It stays far below the largest int64, so that
// the sums of a part table never overflow.
func (r *scanner) number() int64 {
	b := r.take(8)
	if b == nil {
		return 0
	}
	n := binary.BigEndian.Uint64(b)
	if n > 1<<56 {
		r.bad = true
		return 0
	}
	return int64(n)
}

func (r *scanner) header() (h Header) {
	if string(r.take(len(magic))) != magic {
		r.bad = true
	}
	copy(h.Object[:], r.take(16))
	h.Patient = string(r.take(r.length(maxPatient)))
	if b := r.take(4); b != nil {
		h.Generation = binary.BigEndian.Uint32(b)
	}
	copy(h.Seal[:], r.take(16))
	h.Kind = r.byte()
	return h
}

// short turns the end of a stream that should have gone on into ErrTruncated.
// Other errors are the fetch's own.
func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrTruncated, err)
	}
	return err
}
