package storetest

import (
	"context"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"medvault/storage"
)

// Fault is what goes wrong with a call. The zero Op and Key match every call.
type Fault struct {
	Op     string // "put", "get", "head", "list", "delete", "repair", "lock", "sum"
	Key    string // prefix of the key
	Err    error  // what the call answers
	After  int64  // get: so many bytes are delivered first, and then Err
	Stall  bool   // instead of Err: nothing happens until the call's context ends
	Damage bool   // get: instead of Err the byte at After has one bit flipped
	Late   bool   // put: the store does the work and answers Err all the same
	Times  int    // how often; 0 is until Heal
}

// Call is one call that reached a Faulty store.
type Call struct{ Op, Key string }

// Faulty is a Store that fails on command and remembers its calls. Safe for
// concurrent use. Create with NewFaulty.
type Faulty struct {
	inner storage.Store

	mu     sync.Mutex
	faults []*Fault
	calls  []Call
}

var (
	_ storage.Store  = (*Faulty)(nil)
	_ storage.Locker = (*Faulty)(nil)
	_ storage.Prober = (*Faulty)(nil)
	_ storage.Summer = (*Faulty)(nil)
)

// NewFaulty decorates s. Without faults it behaves as s does.
func NewFaulty(s storage.Store) *Faulty { return &Faulty{inner: s} }

// Inject adds a fault; of several that match, the first counts.
func (f *Faulty) Inject(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, &fault)
}

// Heal removes all faults.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// Calls returns the calls so far, in the order they came.
func (f *Faulty) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Count tells how many calls of op came.
func (f *Faulty) Count(op string) (n int) {
	for _, c := range f.Calls() {
		if c.Op == op {
			n++
		}
	}
	return n
}

// note remembers the call and returns the fault that applies, or nil.
func (f *Faulty) note(op, key string) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, Call{op, key})
	for i, fault := range f.faults {
		if fault.Op != "" && fault.Op != op || !strings.HasPrefix(key, fault.Key) {
			continue
		}
		hit := *fault
		if fault.Times > 0 {
			if fault.Times--; fault.Times == 0 {
				f.faults = slices.Delete(f.faults, i, i+1)
			}
		}
		return &hit
	}
	return nil
}

// strike is what a fault does to a call without a stream.
func (f *Faulty) strike(ctx context.Context, op, key string) error {
	fault := f.note(op, key)
	if fault == nil {
		return nil
	}
	return fault.answer(ctx)
}

func (fault *Fault) answer(ctx context.Context) error {
	if fault.Stall {
		<-ctx.Done()
		return ctx.Err()
	}
	return fault.Err
}

// Put fails before or, when Late, after the store has done the work.
func (f *Faulty) Put(ctx context.Context, key string, body storage.Body) error {
	fault := f.note("put", key)
	if fault != nil && !fault.Late {
		if err := fault.answer(ctx); err != nil {
			return err
		}
	}
	if err := f.inner.Put(ctx, key, body); err != nil || fault == nil {
		return err
	}
	return fault.answer(ctx)
}

// Get fails at once, or its reader does after so many bytes.
func (f *Faulty) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	fault := f.note("get", key)
	if fault != nil && fault.After == 0 && !fault.Damage {
		if err := fault.answer(ctx); err != nil {
			return nil, err
		}
	}
	r, err := f.inner.Get(ctx, key, offset, length)
	if err != nil || fault == nil {
		return r, err
	}
	return &faultyReader{ReadCloser: r, ctx: ctx, fault: *fault, left: fault.After}, nil
}

type faultyReader struct {
	io.ReadCloser
	ctx   context.Context
	fault Fault
	left  int64 // bytes before the fault
	done  bool  // the damage
}

func (r *faultyReader) Read(p []byte) (int, error) {
	if r.left == 0 && !r.fault.Damage {
		return 0, r.fault.answer(r.ctx)
	}
	if r.left > 0 {
		p = p[:min(int64(len(p)), r.left)]
	}
	n, err := r.ReadCloser.Read(p)
	if r.left == 0 && r.fault.Damage && !r.done && n > 0 {
		p[0] ^= 1
		r.done = true
	}
	r.left -= min(r.left, int64(n))
	return n, err
}

// Head fails or asks the store.
func (f *Faulty) Head(ctx context.Context, key string) (storage.Info, error) {
	if err := f.strike(ctx, "head", key); err != nil {
		return storage.Info{}, err
	}
	return f.inner.Head(ctx, key)
}

// List fails at its first object or asks the store.
func (f *Faulty) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	if err := f.strike(ctx, "list", prefix); err != nil {
		return func(yield func(storage.Info, error) bool) { yield(storage.Info{}, err) }
	}
	return f.inner.List(ctx, prefix, after)
}

// Delete fails before the store does anything.
func (f *Faulty) Delete(ctx context.Context, key string) error {
	if err := f.strike(ctx, "delete", key); err != nil {
		return err
	}
	return f.inner.Delete(ctx, key)
}

// Repair fails before the store does anything.
func (f *Faulty) Repair(ctx context.Context, key string, bad storage.Info, body storage.Body) error {
	if err := f.strike(ctx, "repair", key); err != nil {
		return err
	}
	return f.inner.Repair(ctx, key, bad, body)
}

// Lock fails before the store does anything.
func (f *Faulty) Lock(ctx context.Context, key string, until time.Time, mode storage.LockMode) error {
	if err := f.strike(ctx, "lock", key); err != nil {
		return err
	}
	return storage.Lock(ctx, f.inner, key, until, mode)
}

// OwnSum fails or asks the store.
func (f *Faulty) OwnSum(ctx context.Context, key string) (sum [32]byte, ok bool, err error) {
	if err := f.strike(ctx, "sum", key); err != nil {
		return sum, false, err
	}
	return storage.OwnSum(ctx, f.inner, key)
}

// Probe asks the store.
func (f *Faulty) Probe(ctx context.Context) (storage.Capabilities, error) {
	return storage.Probe(ctx, f.inner)
}
