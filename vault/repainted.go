package vault

import (
	"context"
	"errors"
	"fmt"
	"io"

	"medvault/imaging"
	"medvault/vault/record"
)

// Words of imaging.Report.Pixels for content whose pixels are not the original's.
const (
	pixelsMasked  = "masked"
	pixelsRecoded = "recoded"
)

// unlike says that the content's frames are not this view's: they have masks painted
// over them, which whoever may see the original must not be shown in its place.
func (h *Handle) unlike() bool { return h.repaint != "" && h.View == record.ViewOriginal }

// originalFrame streams frame n out of the restored original. Native frames are read
// from the value, which knows deflation and word order; compressed ones by a table that
// a first pass makes.
func (h *Handle) originalFrame(ctx context.Context, n int) (io.ReadCloser, error) {
	if !h.Encapsulated() {
		value, err := h.originalPixels(ctx)
		if err != nil {
			return nil, err
		}
		return &sliced{ReadCloser: value, parts: []stretch{{int64(n-1) * h.facts.Frames.Length, h.facts.Frames.Length}}}, nil
	}
	table, err := h.originalTable(ctx)
	if err != nil {
		return nil, err
	}
	if n > len(table.Fragments) {
		return nil, record.Refuse(record.ErrNotFound, "no-such-frame", "the instance has fewer frames")
	}
	r, err := h.Reader(ctx)
	if err != nil {
		return nil, err
	}
	var parts []stretch
	for _, f := range table.Fragments[n-1] {
		parts = append(parts, stretch{f[0], f[1]})
	}
	return &sliced{ReadCloser: r, parts: parts}, nil
}

// originalPixels is the value of the original's native pixel data, in little endian.
func (h *Handle) originalPixels(ctx context.Context) (io.ReadCloser, error) {
	r, err := h.Reader(ctx)
	if err != nil {
		return nil, err
	}
	value, err := h.scrubber.Value(r, pixelData)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pixels of %s: %w", h.ID, err), r.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{value, r}, nil
}

func (h *Handle) originalTable(ctx context.Context) (*imaging.Frames, error) {
	r, err := h.Reader(ctx)
	if err != nil {
		return nil, err
	}
	table, err := h.scrubber.Frames(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("frames of %s: %w", h.ID, err)
	}
	return table, nil
}

// stretch is a piece of a stream.
type stretch struct{ offset, length int64 }

// sliced reads pieces of a stream, which must follow each other in it.
type sliced struct {
	io.ReadCloser
	at    int64
	parts []stretch
}

func (s *sliced) Read(p []byte) (int, error) {
	for len(s.parts) > 0 && s.parts[0].length == 0 {
		s.parts = s.parts[1:]
	}
	if len(s.parts) == 0 {
		return 0, io.EOF
	}
	next := &s.parts[0]
	if next.offset < s.at {
		return 0, fmt.Errorf("%w: fragments are out of order", record.ErrTampered)
	}
	if skip := next.offset - s.at; skip > 0 {
		n, err := io.CopyN(io.Discard, s.ReadCloser, skip)
		if s.at += n; err != nil {
			return 0, whole(err)
		}
	}
	n, err := s.ReadCloser.Read(p[:min(int64(len(p)), next.length)])
	s.at, next.offset, next.length = s.at+int64(n), next.offset+int64(n), next.length-int64(n)
	if err == io.EOF && next.length == 0 {
		err = nil // the next read says so
	}
	return n, whole(err)
}

// whole is err, where the end of a stream that must go on is an early one.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
