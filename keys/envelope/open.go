package envelope

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Object is an open sealed object. Safe for concurrent use.
type Object struct {
	footer footer
	fetch  Fetch
	keys   Keys
	opened [maxParts]opened // one for each line of the part table
}

// opened is the cipher of a part, derived when first needed.
type opened struct {
	once sync.Once
	aead cipher.AEAD
	err  error
}

// Open checks that footer was sealed under k and is want's. A zero want.Seal
// accepts any sealing. It fetches nothing: errors are ErrWrongKey and
// ErrTampered.
func Open(footer []byte, fetch Fetch, want Header, k Keys) (*Object, error) {
	// What Open keeps points into the footer, which remains the caller's.
	f, err := parseFooter(bytes.Clone(footer))
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	if other := f.header.differs(want); other != "" {
		return nil, fmt.Errorf("open: another %s than asked for: %w", other, ErrTampered)
	}
	if k.Content.IsZero() {
		return nil, fmt.Errorf("open: no content key given: %w", ErrWrongKey)
	}
	key, commitment, err := derive(k.Content, f.salt, f.prefix, footerName)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(commitment[:], f.commitment[:]) == 0 {
		return nil, fmt.Errorf("open: footer: %w", ErrWrongKey)
	}
	mac := hmac.New(sha256.New, key[:])
	mac.Write(f.signed)
	if !hmac.Equal(mac.Sum(nil), f.mac) {
		return nil, fmt.Errorf("open: footer: %w", ErrTampered)
	}
	return &Object{footer: f, fetch: fetch, keys: k}, nil
}

// differs names the first field of h that is not want's.
func (h Header) differs(want Header) string {
	switch {
	case h.Object != want.Object:
		return "object"
	case h.Patient != want.Patient:
		return "patient"
	case h.Generation != want.Generation:
		return "generation"
	case h.Seal != want.Seal && want.Seal != [16]byte{}:
		return "sealing"
	case h.Kind != want.Kind:
		return "kind"
	}
	return ""
}

// Header is what the object says of itself, authenticated.
func (o *Object) Header() Header { return o.footer.header }

// Parts lists the names of the parts in the order they lie in the object.
func (o *Object) Parts() []string {
	names := make([]string, len(o.footer.parts))
	for i, p := range o.footer.parts {
		names[i] = p.name
	}
	return names
}

// Size is the plain length of a part.
func (o *Object) Size(name string) (int64, error) {
	p, _, err := o.part(name)
	if err != nil {
		return 0, err
	}
	return p.plain, nil
}

// Part streams the whole of a part. The reader releases only authenticated
// bytes and ends only after the final chunk; its WriteTo copies nothing. A wrong
// key is found before the first byte is asked for. The caller closes it.
func (o *Object) Part(ctx context.Context, name string) (io.ReadCloser, error) {
	p, aead, err := o.cipher(name)
	if err != nil {
		return nil, err
	}
	body, err := o.fetch(ctx, p.offset, p.length)
	if err != nil {
		return nil, fmt.Errorf("part %s: %w", name, err)
	}
	r := newPartReader(p, aead, body, 0, p.plain)
	if err := r.head(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Range streams n bytes of a part from offset off, with one fetch of just the
// chunks they lie in. A range that is not inside the part is an error.
func (o *Object) Range(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	p, aead, err := o.cipher(name)
	if err != nil {
		return nil, err
	}
	if off < 0 || n < 0 || n > p.plain-off {
		return nil, fmt.Errorf("part %s: range %d+%d is outside its %d bytes", name, off, n, p.plain)
	}
	if n == 0 {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	first, last := off/chunkSize, (off+n-1)/chunkSize
	start := headSize + first*(chunkSize+overhead)
	end := min(headSize+(last+1)*(chunkSize+overhead), p.length)
	body, err := o.fetch(ctx, p.offset+start, end-start)
	if err != nil {
		return nil, fmt.Errorf("part %s: %w", name, err)
	}
	return newPartReader(p, aead, body, off, n), nil
}

// Verify reads the whole object and checks every byte of it. Without the
// identity key, parts under it are checked no further than their head.
func (o *Object) Verify(ctx context.Context) error {
	if err := o.verifyPrefix(ctx); err != nil {
		return fmt.Errorf("prefix: %w", err)
	}
	for _, p := range o.footer.parts {
		if err := o.verifyPart(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (o *Object) verifyPrefix(ctx context.Context) error {
	body, err := o.fetch(ctx, 0, int64(len(o.footer.prefix)))
	if err != nil {
		return err
	}
	defer body.Close()
	prefix := make([]byte, len(o.footer.prefix))
	if _, err := io.ReadFull(body, prefix); err != nil {
		return short(err)
	}
	if !bytes.Equal(prefix, o.footer.prefix) {
		return ErrTampered
	}
	return nil
}

func (o *Object) verifyPart(ctx context.Context, p part) error {
	r, err := o.Part(ctx, p.name)
	if errors.Is(err, ErrNoIdentityKey) {
		return o.verifyHead(ctx, p)
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}

func (o *Object) verifyHead(ctx context.Context, p part) error {
	body, err := o.fetch(ctx, p.offset, headSize)
	if err != nil {
		return fmt.Errorf("part %s: %w", p.name, err)
	}
	r := newPartReader(p, nil, body, 0, 0)
	return errors.Join(r.head(), r.Close())
}

// part finds a part and its line in the part table.
func (o *Object) part(name string) (part, int, error) {
	for i, p := range o.footer.parts {
		if p.name == name {
			return p, i, nil
		}
	}
	return part{}, 0, fmt.Errorf("part %q: %w", name, ErrNoPart)
}

// cipher finds a part and the cipher that opens it.
func (o *Object) cipher(name string) (part, cipher.AEAD, error) {
	p, line, err := o.part(name)
	if err != nil {
		return p, nil, err
	}
	c := &o.opened[line]
	c.once.Do(func() { c.aead, c.err = o.derive(p) })
	return p, c.aead, c.err
}

func (o *Object) derive(p part) (cipher.AEAD, error) {
	dek, err := o.keys.keyOf(p.name)
	if err != nil {
		return nil, err
	}
	key, commitment, err := derive(dek, p.salt, o.footer.prefix, p.name)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(commitment[:], p.commitment[:]) == 0 {
		return nil, fmt.Errorf("part %s: %w", p.name, ErrWrongKey)
	}
	return newAEAD(key)
}

// partReader opens chunks one after another.
type partReader struct {
	part   part
	aead   cipher.AEAD
	aad    [9]byte
	body   io.ReadCloser
	index  int64 // of the next chunk
	skip   int64 // plain bytes of that chunk in front of what was asked for
	left   int64 // plain bytes still to release
	ended  bool
	plain  *buffer
	sealed *buffer
	ready  []byte // authenticated, not yet released
	err    error
}

// newPartReader reads n plain bytes from off; body starts at the chunk off lies
// in, or at the head of the part.
func newPartReader(p part, aead cipher.AEAD, body io.ReadCloser, off, n int64) *partReader {
	space := int(min(p.plain, chunkSize))
	return &partReader{part: p, aead: aead, body: body, index: off / chunkSize, skip: off % chunkSize, left: n,
		plain: newBuffer(space), sealed: newBuffer(space + overhead)}
}

// head reads salt and commitment, which must be those of the footer.
func (r *partReader) head() error {
	head := r.sealed.b[:headSize]
	if _, err := io.ReadFull(r.body, head); err != nil {
		return fmt.Errorf("part %s, head: %w", r.part.name, short(err))
	}
	if !bytes.Equal(head[:32], r.part.salt[:]) || !bytes.Equal(head[32:], r.part.commitment[:]) {
		return fmt.Errorf("part %s, head: %w", r.part.name, ErrTampered)
	}
	return nil
}

func (r *partReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.ready) == 0 {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

// WriteTo writes what is left, chunk by chunk.
func (r *partReader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if len(r.ready) > 0 {
			n, err := w.Write(r.ready)
			r.ready = r.ready[n:]
			total += int64(n)
			if err != nil {
				return total, err
			}
		}
		if err := r.next(); err == io.EOF {
			return total, nil
		} else if err != nil {
			return total, err
		}
	}
}

// next opens one more chunk. io.EOF comes only after the chunk that ends what
// was asked for has been authenticated, also when nothing was in it.
func (r *partReader) next() error {
	if r.err != nil {
		return r.err
	}
	if r.ended {
		r.err = io.EOF
		return r.err
	}
	final := r.index == chunks(r.part.plain)-1
	length := int64(chunkSize)
	if final {
		length = r.part.plain - r.index*chunkSize
	}
	sealed := r.sealed.b[:length+overhead]
	if _, err := io.ReadFull(r.body, sealed); err != nil {
		return r.fail(short(err))
	}
	plain, err := r.aead.Open(r.plain.b[:0], nil, sealed, additional(&r.aad, r.index, final))
	if err != nil {
		return r.fail(ErrTampered) // err says nothing more
	}
	r.ready = plain[r.skip:min(length, r.skip+r.left)]
	r.left -= int64(len(r.ready))
	r.skip = 0
	r.index++
	r.ended = r.left == 0
	return nil
}

func (r *partReader) fail(err error) error {
	r.err = fmt.Errorf("part %s, chunk %d: %w", r.part.name, r.index, err)
	return r.err
}

// Close closes the fetched stream. Reading afterwards fails.
func (r *partReader) Close() error {
	if r.body == nil {
		return nil
	}
	err := r.body.Close()
	r.plain.free()
	r.sealed.free()
	r.body, r.plain, r.sealed, r.ready = nil, nil, nil, nil
	r.err = errReadClosed
	return err
}

var errReadClosed = errors.New("read of a closed part")
