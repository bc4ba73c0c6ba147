package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"medvault/storage"
)

// Placement says where an object goes.
type Placement struct {
	Regions []string // the permitted regions; nil is all
	Quorum  int      // how many must hold it; required

	// Ready, when set, makes sure that the region holds what the object needs to
	// be opened from that region alone. It is called once the object is there.
	Ready func(ctx context.Context, region string) error
}

// Put stores body in all regions of p at once. A region counts when it has
// stored the object, has given it back with the right SHA-256, and is Ready.
//
// With a quorum it returns the regions that count and no error. Regions that lag
// get a short grace, are then cancelled and waited for, and are not in placed: a
// copy is the caller's job. A region that failed or lagged lately gets no grace.
//
// Below the quorum the error is ErrQuorum and names what happened in each region;
// what was written stays, and placed names the regions that count.
//
// Once Put has returned, body is not read any more.
func (s *Set) Put(ctx context.Context, key string, body storage.Body, p Placement) (placed []string, err error) {
	regions, err := s.pick(p.Regions)
	if err != nil {
		return nil, fmt.Errorf("put %s: %w", key, err)
	}
	if p.Quorum < 1 || p.Quorum > len(regions) {
		return nil, fmt.Errorf("put %s: %w: quorum %d of %d regions", key, ErrQuorum, p.Quorum, len(regions))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	type result struct {
		region string
		err    error
	}
	results := make(chan result)
	waiting := map[string]bool{}
	for _, r := range regions {
		waiting[r.Name] = true
		go func() { results <- result{r.Name, s.place(ctx, r, key, body, p.Ready)} }()
	}

	var failures []error
	var grace <-chan time.Time
	hurried := false // the rest has been cancelled: its errors say nothing
	hurry := func() { hurried = true; cancel() }
	for len(waiting) > 0 { // every goroutine started above is waited for here
		select {
		case r := <-results:
			delete(waiting, r.region)
			switch {
			case r.err == nil:
				placed = append(placed, r.region)
			case hurried && errors.Is(r.err, context.Canceled):
				s.health.lag(r.region)
				failures = append(failures, fmt.Errorf("region %s: cancelled", r.region))
			default:
				switch {
				case ctx.Err() != nil: // the caller has left
				case errors.Is(r.err, errNotReady):
					s.health.lag(r.region) // the store itself answers: it can be read from
				case sick(r.err):
					s.health.fail(r.region)
				}
				failures = append(failures, fmt.Errorf("region %s: %w", r.region, r.err))
			}
		case <-grace:
			hurry()
		}
		switch {
		case hurried:
		case len(placed)+len(waiting) < p.Quorum:
			hurry() // it cannot succeed any more
		case len(placed) >= p.Quorum && !s.anyPrompt(waiting):
			hurry()
		case len(placed) >= p.Quorum && grace == nil:
			timer := time.NewTimer(s.cfg.Grace)
			defer timer.Stop()
			grace = timer.C
		}
	}
	if len(placed) < p.Quorum {
		return placed, fmt.Errorf("put %s: %w: %d of %d needed: %w", key, ErrQuorum, len(placed), p.Quorum, errors.Join(failures...))
	}
	return placed, nil
}

func (s *Set) anyPrompt(regions map[string]bool) bool {
	for name := range regions {
		if s.health.prompt(name) {
			return true
		}
	}
	return false
}

var errNotReady = errors.New("not ready")

// place brings body into one region and proves it.
func (s *Set) place(ctx context.Context, r storage.Region, key string, body storage.Body, ready func(context.Context, string) error) error {
	if err := s.write(ctx, body, func(ctx context.Context, body storage.Body) error {
		return r.Data.Put(ctx, key, body)
	}); err != nil {
		return err
	}
	if err := s.readBack(ctx, r, key, body); err != nil {
		return err
	}
	if ready == nil {
		return nil
	}
	if err := ready(ctx, r.Name); err != nil {
		return fmt.Errorf("%w: %w", errNotReady, err)
	}
	return nil
}

// write runs a call that reads body, and cancels it when the store takes nothing
// of it for WriteIdle. Once it has returned nobody reads body any more: an HTTP
// client may still be sending when the answer is there.
func (s *Set) write(ctx context.Context, body storage.Body, call func(context.Context, storage.Body) error) error {
	w := newWatch(ctx, s.cfg.WriteIdle)
	defer w.end()
	lent := &lentReaderAt{inner: body.ReaderAt, watch: w}
	defer lent.takeBack()
	body.ReaderAt = lent
	return w.explain(call(w.ctx, body))
}

var errTakenBack = errors.New("the write is over")

// lentReaderAt reads from inner until it is taken back.
type lentReaderAt struct {
	inner io.ReaderAt
	watch *watch

	mu   sync.RWMutex // held for reading during a read, for writing to take back
	back bool
}

func (r *lentReaderAt) ReadAt(p []byte, off int64) (int, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.back {
		return 0, errTakenBack
	}
	r.watch.touch()
	return r.inner.ReadAt(p, off)
}

// Lend implements storage.Lender, as far as inner is one.
func (r *lentReaderAt) Lend(use func(all []byte) error) (lent bool, err error) {
	inner, ok := r.inner.(storage.Lender)
	if !ok {
		return false, nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.back {
		return false, errTakenBack
	}
	r.watch.touch()
	return inner.Lend(use)
}

func (r *lentReaderAt) takeBack() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.back = true
}

// readBack compares what the region gives back with what it was sent.
func (s *Set) readBack(ctx context.Context, r storage.Region, key string, body storage.Body) error {
	return storage.Compare(ctx, watchedStore{r.Data, s.cfg.ReadIdle}, key, body)
}

// verify reads an object back.
func (s *Set) verify(ctx context.Context, r storage.Region, key string, want Sum) error {
	return storage.Verify(ctx, watchedStore{r.Data, s.cfg.ReadIdle}, key, want.Size, want.SHA256)
}
