package vault

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"medvault/storage"
)

// persistent reads from a store that may break off now and then, as a connection does
// that was idle for too long: it tries again where it was before it gives up, so that
// verification accuses no healthy region.
type persistent struct{ storage.Store }

const (
	tries   = 3
	tryWait = 100 * time.Millisecond // before the second try; longer before the next
)

// again waits before try number n, from 1. It is false when there have been enough.
func again(ctx context.Context, n int, err error) bool {
	if n >= tries || errors.Is(err, storage.ErrNotExist) || errors.Is(err, storage.ErrRange) {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(tryWait << n):
		return true
	}
}

func (p persistent) Head(ctx context.Context, key string) (info storage.Info, err error) {
	for n := 1; ; n++ {
		if info, err = p.Store.Head(ctx, key); err == nil || !again(ctx, n, err) {
			return info, err
		}
	}
}

// OwnSum implements storage.Summer.
func (p persistent) OwnSum(ctx context.Context, key string) (sum [32]byte, ok bool, err error) {
	for n := 1; ; n++ {
		if sum, ok, err = storage.OwnSum(ctx, p.Store, key); err == nil || !again(ctx, n, err) {
			return sum, ok, err
		}
	}
}

func (p persistent) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		for n := 1; ; n++ {
			var broken error
			for info, err := range p.Store.List(ctx, prefix, after) {
				if broken = err; err != nil {
					break
				}
				if !yield(info, nil) {
					return
				}
				after, n = info.Key, 1
			}
			if broken == nil {
				return
			}
			if !again(ctx, n, broken) {
				yield(storage.Info{}, broken)
				return
			}
		}
	}
}

// Get reads an object from offset to its end; length must be -1.
func (p persistent) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if length != -1 {
		return p.Store.Get(ctx, key, offset, length)
	}
	r := &persistentReader{ctx: ctx, store: p.Store, key: key, at: offset}
	if err := r.open(nil); err != nil {
		return nil, err
	}
	return r, nil
}

type persistentReader struct {
	ctx   context.Context
	store storage.Store
	key   string
	at    int64
	n     int // failures since the last byte
	r     io.ReadCloser
}

// open asks for the rest of the object, after a failure or for the first time.
func (p *persistentReader) open(failure error) error {
	for {
		if failure != nil {
			if p.n++; !again(p.ctx, p.n, failure) {
				return failure
			}
		}
		r, err := p.store.Get(p.ctx, p.key, p.at, -1)
		if err == nil {
			p.r = r
			return nil
		}
		failure = err
	}
}

func (p *persistentReader) Read(b []byte) (int, error) {
	for {
		n, err := p.r.Read(b)
		p.at += int64(n)
		if n > 0 {
			p.n = 0
		}
		if err == nil || err == io.EOF {
			return n, err
		}
		if n > 0 {
			return n, nil // the failure comes again, or the next read goes on
		}
		p.r.Close() // it has failed: what counts was said by Read
		if err := p.open(err); err != nil {
			return 0, err
		}
	}
}

func (p *persistentReader) Close() error { return p.r.Close() }
