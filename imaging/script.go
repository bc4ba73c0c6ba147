package imaging

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A restore script says how the original comes back from the content. It is one
// zstd frame of operations, followed by a skippable frame that pads it:
//
//	1 n        copy n bytes of the content
//	2 n        drop n bytes of the content
//	3 n bytes  put n bytes of the original
//	0 n sum    end: the original has n bytes and this SHA-256
//
// n is an unsigned varint. The padding hides the length of what was put: sealed
// length is all that shows, and Padmé classes let it tell little.
const (
	opEnd  = 0
	opCopy = 1
	opDrop = 2
	opPut  = 3
)

const (
	scriptWindow = 1 << 20  // zstd window, the memory a reader needs
	putDirect    = 4 << 10  // a Put from this size on is not gathered
	putGather    = 32 << 10 // smaller ones are, up to this size
	smallestPart = 1 << 10  // sizes below are not told apart
)

// ErrNotRestored is returned by Restore when script and content do not give the
// original: damaged, of different documents, or not a script.
var ErrNotRestored = errors.New("the original does not come back from content and script")

// Encoders and decoders are costly to make and hold no state between documents.
var (
	encoders = sync.Pool{New: func() any {
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(scriptWindow),
			zstd.WithLowerEncoderMem(true), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderCRC(false))
		if err != nil {
			panic(err) // the options are constants
		}
		return z
	}}
	decoders = sync.Pool{New: func() any {
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(scriptWindow), zstd.WithDecoderMaxMemory(8*scriptWindow))
		if err != nil {
			panic(err) // the options are constants
		}
		return z
	}}
)

// ScriptWriter writes a restore script. Neighbouring operations of one kind become
// one. The first error is kept and returned by End.
type ScriptWriter struct {
	out      counter
	z        *zstd.Encoder
	err      error
	op       byte  // pending copy or drop
	n        int64 // its bytes
	gathered bytes.Buffer
}

// NewScriptWriter begins a script on w.
func NewScriptWriter(w io.Writer) *ScriptWriter {
	s := &ScriptWriter{out: counter{w: w}, z: encoders.Get().(*zstd.Encoder)}
	s.z.Reset(&s.out)
	return s
}

// Copy takes the next n bytes of the content into the original.
func (s *ScriptWriter) Copy(n int64) { s.pend(opCopy, n) }

// Drop leaves out the next n bytes of the content.
func (s *ScriptWriter) Drop(n int64) { s.pend(opDrop, n) }

// Put writes p into the original. p is not kept.
func (s *ScriptWriter) Put(p []byte) {
	if len(p) == 0 {
		return
	}
	s.pend(opPut, 0)
	if len(p) < putDirect {
		s.gathered.Write(p)
		if s.gathered.Len() >= putGather {
			s.flush()
		}
		return
	}
	s.flush()
	s.emit(opPut, int64(len(p)), p)
}

// Write is Put for an io.Writer.
func (s *ScriptWriter) Write(p []byte) (int, error) {
	s.Put(p)
	return len(p), s.err
}

// End closes the script with size and SHA-256 of the original and pads it. The
// writer cannot be used after it.
func (s *ScriptWriter) End(size int64, sum [sha256.Size]byte) error {
	if s.z == nil {
		return errors.New("end restore script: ended before")
	}
	s.flush()
	s.emit(opEnd, size, sum[:])
	if err := s.z.Close(); s.err == nil {
		s.err = err
	}
	if s.err == nil {
		s.err = s.pad()
	}
	s.z.Reset(nil)
	encoders.Put(s.z)
	s.z = nil
	if s.err != nil {
		return fmt.Errorf("write restore script: %w", s.err)
	}
	return nil
}

// pend remembers n more bytes of op; what was pending of another kind is written.
func (s *ScriptWriter) pend(op byte, n int64) {
	if s.op != op {
		s.flush()
		s.op = op
	}
	s.n += n
}

func (s *ScriptWriter) flush() {
	if s.n > 0 {
		s.emit(s.op, s.n, nil)
		s.n = 0
	}
	if s.gathered.Len() > 0 {
		s.emit(opPut, int64(s.gathered.Len()), s.gathered.Bytes())
		s.gathered.Reset()
	}
}

func (s *ScriptWriter) emit(op byte, n int64, p []byte) {
	var head [1 + binary.MaxVarintLen64]byte
	head[0] = op
	k := 1 + binary.PutUvarint(head[1:], uint64(n))
	for _, b := range [][]byte{head[:k], p} {
		if s.err == nil && len(b) > 0 {
			_, s.err = s.z.Write(b)
		}
	}
}

// pad fills up to the next size class with a skippable frame (RFC 8878 3.1.2).
func (s *ScriptWriter) pad() error {
	fill := padded(s.out.n+8) - s.out.n - 8
	var head [8]byte
	binary.LittleEndian.PutUint32(head[:], 0x184D2A50)
	binary.LittleEndian.PutUint32(head[4:], uint32(fill))
	if _, err := s.out.Write(head[:]); err != nil {
		return err
	}
	_, err := io.CopyN(&s.out, zeros{}, fill)
	return err
}

// padded is the Padmé size class of n: at most 12 % more, and as few classes as the
// bits of the exponent allow.
func padded(n int64) int64 {
	n = max(n, smallestPart)
	e := bits.Len64(uint64(n)) - 1
	mask := int64(1)<<(e-bits.Len(uint(e))) - 1
	return (n + mask) &^ mask
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Restore writes the original to w, in constant memory. Content is read only where
// the script copies from it, so a header put at the front comes out before any of
// it is needed. Any difference from the original is ErrNotRestored, but told only at
// the end: what was written before must not be trusted until Restore returns nil.
// Errors of w and content are returned as they are, wrapped.
func Restore(w io.Writer, content, script io.Reader) error {
	hash := sha256.New()
	_, sum, err := Replay(io.MultiWriter(w, hash), content, script)
	if err == nil && sum != [sha256.Size]byte(hash.Sum(nil)) {
		err = ErrNotRestored
	}
	return err
}

// Replay is Restore for a caller who has the original to compare with: what was written
// has the size that the script tells, but is not hashed. It returns size and SHA-256
// that the script tells.
func Replay(w io.Writer, content, script io.Reader) (size int64, sum [sha256.Size]byte, err error) {
	z := decoders.Get().(*zstd.Decoder)
	defer func() {
		if z.Reset(nil) == nil {
			decoders.Put(z)
		}
	}()
	if err := z.Reset(script); err != nil {
		return 0, sum, fmt.Errorf("%w: script: %w", ErrNotRestored, err)
	}
	r := restorer{script: bufio.NewReaderSize(z, 4<<10), buffer: make([]byte, 32<<10)}
	original := counter{w: w}
	var dropped int64
	for {
		op, n, err := r.next()
		switch {
		case err != nil:
		case op == opDrop:
			dropped += n // only read past when something is copied after it
		case op == opCopy:
			if err = r.move(io.Discard, content, dropped); err == nil {
				dropped, err = 0, r.move(&original, content, n)
			}
		case op == opPut:
			err = r.move(&original, r.script, n)
		case op == opEnd:
			if sum, err = r.end(); err == nil && n != original.n {
				err = ErrNotRestored
			}
			return n, sum, err
		default:
			err = errors.New("unknown operation")
		}
		if err != nil {
			return 0, sum, fmt.Errorf("%w: %w", ErrNotRestored, err)
		}
	}
}

type restorer struct {
	script *bufio.Reader
	buffer []byte
}

func (r *restorer) next() (op byte, n int64, err error) {
	op, err = r.script.ReadByte()
	if err != nil {
		return 0, 0, fmt.Errorf("script: %w", unexpected(err))
	}
	u, err := binary.ReadUvarint(r.script)
	if err != nil {
		return 0, 0, fmt.Errorf("script: %w", unexpected(err))
	}
	if u > 1<<56 {
		return 0, 0, errors.New("script: absurd length")
	}
	return op, int64(u), nil
}

func (r *restorer) move(w io.Writer, from io.Reader, n int64) error {
	moved, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(from, n), r.buffer)
	if err == nil && moved < n {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// end reads the sum, behind which nothing may come.
func (r *restorer) end() (sum [sha256.Size]byte, err error) {
	if _, err := io.ReadFull(r.script, sum[:]); err != nil {
		return sum, fmt.Errorf("%w: script: %w", ErrNotRestored, unexpected(err))
	}
	if _, err := r.script.ReadByte(); err != io.EOF {
		return sum, fmt.Errorf("%w: script goes on after its end", ErrNotRestored)
	}
	return sum, nil
}

// unexpected turns a plain end into an early one.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
