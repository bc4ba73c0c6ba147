package envelope

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Sealer writes one sealed object. Parts follow one another; a detached part is
// sealed aside meanwhile and attached later. An object that was not closed has
// no footer and cannot be opened. Not safe for concurrent use, but writers of
// different parts may run in different goroutines.
type Sealer struct {
	w        io.Writer
	header   Header
	keys     Keys
	prefix   []byte
	offset   int64
	parts    []*part // in the order they lie in the object
	aside    map[string]*partWriter
	open     *partWriter
	err      error // sticky: what was written so far is of no use
	finished bool
}

// part is one line of the part table.
type part struct {
	name             string
	offset           int64
	length           int64 // sealed, with head
	plain            int64
	salt, commitment [32]byte
}

// NewSealer starts an object on w. It draws the seal id itself; h.Seal must be
// zero, and Header tells it.
func NewSealer(w io.Writer, h Header, k Keys) (*Sealer, error) {
	switch {
	case h.Patient == "" || len(h.Patient) > maxPatient:
		return nil, fmt.Errorf("seal: patient token of %d bytes; want 1 to %d", len(h.Patient), maxPatient)
	case h.Seal != [16]byte{}:
		return nil, errors.New("seal: the seal id is drawn here, and must be zero")
	case k.Content.IsZero():
		return nil, errors.New("seal: no content key given")
	}
	rand.Read(h.Seal[:])

	s := &Sealer{w: w, header: h, keys: k, prefix: appendPrefix(nil, h), aside: map[string]*partWriter{}}
	s.write(s.prefix)
	return s, s.err
}

// Header is what the object says of itself, with the seal id.
func (s *Sealer) Header() Header { return s.header }

// Part starts a part. Close of the returned writer ends it and must come before
// the next Part, Attach or Close of the sealer. Its ReadFrom seals without
// copying.
func (s *Sealer) Part(name string) (io.WriteCloser, error) {
	if err := s.between(); err != nil {
		return nil, err
	}
	w, err := s.newPart(name, sealerOutput{s})
	if err != nil {
		return nil, err
	}
	w.entry.offset = s.offset - headSize
	w.done = func() {
		s.open = nil
		s.parts = append(s.parts, &w.entry)
	}
	s.open = w
	return w, nil
}

// Detached starts a part that is written to side, only ever as ciphertext, while
// another part is being written. Attach puts it in its place once it is closed.
func (s *Sealer) Detached(name string, side io.Writer) (io.WriteCloser, error) {
	if s.finished {
		return nil, errClosed
	}
	w, err := s.newPart(name, side)
	if err != nil {
		return nil, err
	}
	s.aside[name] = w
	return w, nil
}

// Attach copies a closed detached part from side into its place. What side holds
// is not authenticated here; reading does that.
func (s *Sealer) Attach(name string, side io.Reader) error {
	if err := s.between(); err != nil {
		return err
	}
	w := s.aside[name]
	if w == nil || !w.closed || w.err != nil {
		return fmt.Errorf("attach %s: no such part was sealed aside", name)
	}
	delete(s.aside, name)
	w.entry.offset = s.offset
	s.parts = append(s.parts, &w.entry)
	if n, err := io.CopyN(sealerOutput{s}, side, w.entry.length); err != nil {
		s.err = fmt.Errorf("attach %s: %d of %d bytes: %w", name, n, w.entry.length, err)
		return s.err
	}
	return nil
}

// Close writes the footer. It does not close the underlying writer.
func (s *Sealer) Close() error {
	if err := s.between(); err != nil {
		return err
	}
	if len(s.aside) > 0 {
		return errors.New("seal: a detached part was not attached")
	}
	s.finished = true
	footer, err := s.footer()
	if err != nil {
		return err
	}
	footer = binary.BigEndian.AppendUint32(footer, uint32(len(footer)))
	s.write(append(footer, endMagic...))
	return s.err
}

var errClosed = errors.New("seal: the object is already closed")

// between says whether the sealer stands between two parts.
func (s *Sealer) between() error {
	switch {
	case s.err != nil:
		return s.err
	case s.finished:
		return errClosed
	case s.open != nil:
		return fmt.Errorf("seal: part %s is still open", s.open.entry.name)
	}
	return nil
}

func (s *Sealer) write(b []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(b)
	s.offset += int64(n)
	if err != nil {
		s.err = fmt.Errorf("write sealed object at %d: %w", s.offset, err)
	}
	return n, s.err
}

// sealerOutput is the object being written, as a writer.
type sealerOutput struct{ s *Sealer }

func (o sealerOutput) Write(b []byte) (int, error) { return o.s.write(b) }

// footer builds the footer up to and with its HMAC.
func (s *Sealer) footer() ([]byte, error) {
	var salt [32]byte
	rand.Read(salt[:])
	key, commitment, err := derive(s.keys.Content, salt, s.prefix, footerName)
	if err != nil {
		return nil, err
	}
	b := append(salt[:], commitment[:]...)
	b = append(b, s.prefix...)
	b = append(b, byte(len(s.parts)))
	for _, p := range s.parts {
		b = append(b, byte(len(p.name)))
		b = append(b, p.name...)
		b = binary.BigEndian.AppendUint64(b, uint64(p.offset))
		b = binary.BigEndian.AppendUint64(b, uint64(p.length))
		b = binary.BigEndian.AppendUint64(b, uint64(p.plain))
		b = append(b, p.salt[:]...)
		b = append(b, p.commitment[:]...)
	}
	mac := hmac.New(sha256.New, key[:])
	mac.Write(b)
	return mac.Sum(b), nil
}

// newPart draws the salt of a part and writes its head to w.
func (s *Sealer) newPart(name string, w io.Writer) (*partWriter, error) {
	dek, err := s.keys.keyOf(name)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if s.aside[name] != nil || slices.ContainsFunc(s.parts, func(p *part) bool { return p.name == name }) ||
		s.open != nil && s.open.entry.name == name {
		return nil, fmt.Errorf("seal: part %s exists already", name)
	}
	p := &partWriter{w: w, entry: part{name: name}}
	rand.Read(p.entry.salt[:])
	key, commitment, err := derive(dek, p.entry.salt, s.prefix, name)
	if err != nil {
		return nil, err
	}
	p.entry.commitment = commitment
	if p.aead, err = newAEAD(key); err != nil {
		return nil, err
	}
	head := append(p.entry.salt[:len(p.entry.salt):len(p.entry.salt)], commitment[:]...)
	p.output(head)
	return p, p.err
}

// partWriter seals what is written to it. It always holds back the last chunk,
// because only Close knows that it is final.
type partWriter struct {
	w      io.Writer
	aead   cipher.AEAD
	aad    [9]byte
	entry  part
	index  int64
	plain  *buffer // holds n bytes; nil when n is 0
	n      int
	sealed *buffer
	closed bool
	done   func()
	err    error
}

const (
	moreChunks = false
	finalChunk = true
)

func (p *partWriter) Write(b []byte) (int, error) {
	if err := p.usable(); err != nil {
		return 0, err
	}
	written := 0
	for p.n+len(b) > chunkSize {
		if p.n == 0 { // a whole chunk, and more behind it: no copy
			p.seal(b[:chunkSize], moreChunks)
			b, written = b[chunkSize:], written+chunkSize
		} else {
			k := p.hold(b[:chunkSize-p.n])
			b, written = b[k:], written+k
			p.seal(p.plain.b[:chunkSize], moreChunks)
			p.n = 0
		}
		if p.err != nil {
			return written, p.err
		}
	}
	return written + p.hold(b), nil
}

// ReadFrom seals everything r gives. When r fails the part cannot be closed any
// more, so a broken source never becomes a shorter document.
func (p *partWriter) ReadFrom(r io.Reader) (total int64, err error) {
	if err := p.usable(); err != nil {
		return 0, err
	}
	p.grow(chunkSize + 1)
	for {
		n, err := r.Read(p.plain.b[p.n : chunkSize+1])
		p.n += n
		total += int64(n)
		if p.n > chunkSize { // one byte more than a chunk: the chunk is not the last
			p.seal(p.plain.b[:chunkSize], moreChunks)
			p.plain.b[0], p.n = p.plain.b[chunkSize], 1
		}
		if err == io.EOF {
			return total, p.err
		}
		if err != nil && p.err == nil {
			p.err = fmt.Errorf("part %s, chunk %d: read source: %w", p.entry.name, p.index, err)
		}
		if p.err != nil {
			return total, p.err
		}
	}
}

// Close seals the final chunk.
func (p *partWriter) Close() error {
	if err := p.usable(); err != nil {
		return err
	}
	p.closed = true
	var last []byte
	if p.n > 0 {
		last = p.plain.b[:p.n]
	}
	p.seal(last, finalChunk)
	p.plain.free()
	p.sealed.free()
	p.plain, p.sealed = nil, nil
	if p.err == nil && p.done != nil {
		p.done()
	}
	return p.err
}

func (p *partWriter) usable() error {
	if p.closed && p.err == nil {
		return fmt.Errorf("part %s is closed", p.entry.name)
	}
	return p.err
}

// hold copies b behind what is held already.
func (p *partWriter) hold(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	p.grow(p.n + len(b))
	copy(p.plain.b[p.n:], b)
	p.n += len(b)
	return len(b)
}

// grow makes room for n bytes of plaintext.
func (p *partWriter) grow(n int) {
	if p.plain != nil && len(p.plain.b) >= n {
		return
	}
	bigger := newBuffer(n)
	if p.plain != nil {
		copy(bigger.b, p.plain.b[:p.n])
		p.plain.free()
	}
	p.plain = bigger
}

func (p *partWriter) seal(plain []byte, final bool) {
	if p.sealed == nil || len(p.sealed.b) < len(plain)+overhead {
		p.sealed.free()
		p.sealed = newBuffer(len(plain) + overhead)
	}
	p.output(p.aead.Seal(p.sealed.b[:0], nil, plain, additional(&p.aad, p.index, final)))
	p.index++
	p.entry.plain += int64(len(plain))
}

func (p *partWriter) output(b []byte) {
	n, err := p.w.Write(b)
	p.entry.length += int64(n)
	if err != nil {
		p.err = fmt.Errorf("part %s, chunk %d: %w", p.entry.name, p.index, err)
	}
}
