package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"medvault/storage"
)

var errStalled = errors.New("stalled")

// watch is a context that ends when nothing is heard for a while.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	idle   time.Duration
	timer  *time.Timer
}

// newWatch starts watching; the caller calls end.
func newWatch(ctx context.Context, idle time.Duration) *watch {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{ctx: ctx, cancel: cancel, idle: idle}
	w.timer = time.AfterFunc(idle, func() { cancel(fmt.Errorf("%w: nothing for %v", errStalled, idle)) })
	return w
}

func (w *watch) touch() { w.timer.Reset(w.idle) } // something was heard
func (w *watch) pause() { w.timer.Stop() }        // nothing is waited for

func (w *watch) end() {
	w.timer.Stop()
	w.cancel(context.Canceled)
}

// explain says that it was the watch that ended a call.
func (w *watch) explain(err error) error {
	if cause := context.Cause(w.ctx); err != nil && errors.Is(cause, errStalled) {
		return cause
	}
	return err
}

// watchedStore is a Store whose Get fails when nothing comes for a while. The
// time between two Reads does not count: that is the reader's own.
type watchedStore struct {
	storage.Store
	idle time.Duration
}

func (s watchedStore) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	w := newWatch(ctx, s.idle)
	r, err := s.Store.Get(w.ctx, key, offset, length)
	if err != nil {
		err = w.explain(err)
		w.end()
		return nil, err
	}
	w.pause()
	return &watchedReader{r, w}, nil
}

// Compare implements storage.Comparer, where the store does.
func (s watchedStore) Compare(ctx context.Context, key string, body storage.Body) error {
	if c, ok := s.Store.(storage.Comparer); ok {
		return c.Compare(ctx, key, body)
	}
	type getter struct{ storage.Store } // without this method
	return storage.Compare(ctx, getter{s}, key, body)
}

type watchedReader struct {
	io.ReadCloser
	watch *watch
}

func (r *watchedReader) Read(p []byte) (int, error) {
	r.watch.touch()
	n, err := r.ReadCloser.Read(p)
	r.watch.pause()
	if err != nil && err != io.EOF {
		err = r.watch.explain(err)
	}
	return n, err
}

func (r *watchedReader) Close() error {
	r.watch.end()
	return r.ReadCloser.Close()
}
