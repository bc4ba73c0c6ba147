package vault

import (
	"context"
	"io"
	"sync"
	"time"

	"medvault/storage"
)

// limiter lets so many bytes a second pass. A nil limiter lets all pass.
type limiter struct {
	rate int64

	mu   sync.Mutex
	next time.Time // when what was let pass so far is paid for
}

func newLimiter(rate int64) *limiter {
	if rate == 0 {
		return nil
	}
	return &limiter{rate: rate}
}

// pass waits until n bytes may have come.
func (l *limiter) pass(ctx context.Context, n int) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	now := time.Now()
	if l.next.Before(now) {
		l.next = now
	}
	l.next = l.next.Add(time.Duration(float64(n) / float64(l.rate) * float64(time.Second)))
	wait := l.next.Sub(now)
	l.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

// limited is a store that is read no faster than its limiter lets pass.
type limited struct {
	storage.Store
	limit *limiter
}

func (l limited) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	r, err := l.Store.Get(ctx, key, offset, length)
	if err != nil || l.limit == nil {
		return r, err
	}
	return &limitedReader{ctx, r, l.limit}, nil
}

// OwnSum implements storage.Summer.
func (l limited) OwnSum(ctx context.Context, key string) ([32]byte, bool, error) {
	return storage.OwnSum(ctx, l.Store, key)
}

type limitedReader struct {
	ctx   context.Context
	r     io.ReadCloser
	limit *limiter
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p[:min(len(p), 64<<10)])
	if waited := l.limit.pass(l.ctx, n); waited != nil && err == nil {
		err = waited
	}
	return n, err
}

func (l *limitedReader) Close() error { return l.r.Close() }
