// Package wire is what the gateway and the process that opens PDFs say to each other,
// over two pipes.
//
// The process is given one document and asked for its pages. It knows no patient: it
// never learns what is looked for. What it answers is not trusted: lengths are bounded
// before they are believed, and numbers that make no sense are an error.
//
//	frame     kind u8 | length u32 (big endian) | payload
//	ask       'O' the document, a PDF or a picture of paper · 'P' page u32, pixels an inch u32 (0: none), text u8
//	first     'h' what encloses the process, as JSON
//	answer    'o' facts as JSON · 'p' page (see Page) · 'e' code as text
//
// Floating point numbers are float32, big endian.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Kinds of frames.
const (
	Open     = 'O' // ask: payload is the document
	Fetch    = 'P' // ask: payload is a Request
	Hello    = 'h' // first of all: payload is Enclosure
	Document = 'o' // answer to Open: payload is Facts
	Leaf     = 'p' // answer to Fetch: payload is a Page
	Fault    = 'e' // answer to either: payload is one of the codes below
)

// Codes of faults. The document is at fault, not the process.
const (
	Password = "pdf-password"    // opens only with one
	Broken   = "pdf-broken"      // cannot be read, or a page of it
	XFA      = "pdf-xfa"         // a dynamic form: its pages hold nothing
	Large    = "pdf-page-large"  // a page is too large to be drawn
	Many     = "pdf-many-pages"  // more pages than are taken
	Dense    = "pdf-too-complex" // more characters or objects on a page than are taken
	Picture  = "scan-unreadable" // a picture of paper that cannot be opened, or is too large
)

// Limits of what is taken.
const (
	MaxDocument = 256 << 20
	MaxPages    = 2000
	MaxPixels   = 16 << 20 // of one page
	MaxChars    = 200_000  // of one page
	MaxImages   = 4096     // of one page
	maxFacts    = 160 << 20
	maxPage     = 64 + MaxChars*charBytes + MaxImages*16 + 3*MaxPixels
)

// ErrFrame is returned for a frame that is not what may come.
var ErrFrame = errors.New("pdf worker: a frame makes no sense")

// Write sends a frame.
func Write(w io.Writer, kind byte, payload ...[]byte) error {
	n := 0
	for _, p := range payload {
		n += len(p)
	}
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(n))
	for _, p := range append([][]byte{head}, payload...) {
		if _, err := w.Write(p); err != nil {
			return fmt.Errorf("pdf worker: write: %w", err)
		}
	}
	return nil
}

// Read takes the next frame. A kind's longest payload is known; no more is read and
// nothing is set aside for what has not arrived. io.EOF means that the other side has
// ended between two frames.
func Read(r io.Reader) (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := int64(binary.BigEndian.Uint32(head[1:]))
	if n > longest(head[0]) {
		return 0, nil, ErrFrame
	}
	payload, err = readAll(r, n)
	return head[0], payload, err
}

func longest(kind byte) int64 {
	switch kind {
	case Open:
		return MaxDocument
	case Fetch:
		return requestBytes
	case Document:
		return maxFacts
	case Leaf:
		return maxPage
	case Fault:
		return 64
	case Hello:
		return 4096
	}
	return -1
}

// readAll grows with what arrives.
func readAll(r io.Reader, n int64) ([]byte, error) {
	const step = 1 << 20
	out := make([]byte, 0, min(n, step))
	for int64(len(out)) < n {
		at := len(out)
		out = append(out, make([]byte, min(n-int64(at), max(step, int64(at))))...)
		if _, err := io.ReadFull(r, out[at:]); err != nil {
			return nil, fmt.Errorf("pdf worker: read: %w", noEOF(err))
		}
	}
	return out, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
