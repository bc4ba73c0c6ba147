package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ErrRange is what Get answers, wrapped, to a range outside the object.
var ErrRange = errors.New("range outside the object")

// ExactReader gives n bytes of r and then io.EOF. It keeps the promise of
// Store.Get: when r ends early it fails with io.ErrUnexpectedEOF, and once ctx is
// done it fails with ctx's error. Close closes r.
func ExactReader(ctx context.Context, r io.ReadCloser, n int64) io.ReadCloser {
	return &exactReader{ctx: ctx, r: r, left: n}
}

type exactReader struct {
	ctx  context.Context
	r    io.ReadCloser
	left int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	if e.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > e.left {
		p = p[:e.left]
	}
	n, err := e.r.Read(p)
	e.left -= int64(n)
	if err == io.EOF {
		if e.left > 0 {
			return n, fmt.Errorf("%w: %d bytes missing", io.ErrUnexpectedEOF, e.left)
		}
		err = nil // the next Read says EOF
	}
	return n, err
}

func (e *exactReader) Close() error { return e.r.Close() }
