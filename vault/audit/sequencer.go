package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// SequencerConfig says what a Sequencer works on.
type SequencerConfig struct {
	Tree     Tree             // required
	Signer   *Signer          // required
	Interval time.Duration    // between looks at the pending list; default 200 ms, which is also the most
	Now      func() time.Time // clock of the lease, the tree's own; default time.Now
	Report   func(error)      // told of each failure that Run gets over; default: nobody
}

// Sequencer appends pending leaves to the tree and signs the head. Any number may
// run on one tree: the lease lets one work while the others wait to take over, and
// the tree itself refuses a second head.
type Sequencer struct {
	cfg   SequencerConfig
	owner string

	mu sync.Mutex // one append at a time within this sequencer
}

const (
	maxInterval = 200 * time.Millisecond
	leaseTime   = 2 * time.Second
	batchSize   = 1024
)

// NewSequencer makes a sequencer; Run sets it to work.
func NewSequencer(cfg SequencerConfig) (*Sequencer, error) {
	if cfg.Tree == nil || cfg.Signer == nil {
		return nil, errors.New("sequencer: tree and signer are required")
	}
	if cfg.Interval == 0 {
		cfg.Interval = maxInterval
	}
	if cfg.Interval < 0 || cfg.Interval > maxInterval {
		return nil, fmt.Errorf("sequencer: interval must be within %s", maxInterval)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Report == nil {
		cfg.Report = func(error) {}
	}
	return &Sequencer{cfg: cfg, owner: rand.Text()}, nil
}

// Run appends what is pending, first what an earlier run left behind, until ctx is
// done, and then once more what came in meanwhile. It returns nil then, or the error
// of that last append.
func (s *Sequencer) Run(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.Interval)
	defer tick.Stop()
	for {
		if err := s.drain(ctx); err != nil && !errors.Is(err, ErrNotLeading) && ctx.Err() == nil {
			s.cfg.Report(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTime)
			defer cancel()
			if err := s.drain(last); err != nil && !errors.Is(err, ErrNotLeading) {
				return err
			}
			return nil
		}
	}
}

// Flush returns when everything that was pending at the call is in the tree: it
// appends itself, or waits for the sequencer that leads.
func (s *Sequencer) Flush(ctx context.Context) error {
	for {
		err := s.drain(ctx)
		if err == nil || !errors.Is(err, ErrNotLeading) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.cfg.Interval / 4):
		}
	}
}

// drain appends batch after batch until all is appended that was pending at the
// call. ErrNotLeading when something is pending and another sequencer leads.
func (s *Sequencer) drain(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		pending, err := s.cfg.Tree.LogPending(ctx, batchSize)
		if err != nil || len(pending) == 0 {
			return err
		}
		if err := s.append(ctx, pending); err != nil || len(pending) < batchSize {
			return err
		}
	}
}

func (s *Sequencer) append(ctx context.Context, pending []Pending) error {
	head, err := s.cfg.Tree.LogHead(ctx)
	if err != nil {
		return err
	}
	return s.appendTo(ctx, head, pending)
}

func (s *Sequencer) appendTo(ctx context.Context, head Head, pending []Pending) error {
	now := s.cfg.Now()
	if head.Owner != s.owner && head.Lease.After(now) {
		return ErrNotLeading
	}
	// What is not the tree that was signed last is not built upon.
	if err := s.checkHead(ctx, head); err != nil {
		return err
	}
	hashes, root, err := s.grow(ctx, head.Size, pending)
	if err != nil {
		return err
	}
	checkpoint, err := s.cfg.Signer.Checkpoint(head.Size+int64(len(pending)), root)
	if err != nil {
		return err
	}
	return s.cfg.Tree.LogAppend(ctx, Batch{Owner: s.owner, Lease: now.Add(leaseTime), Size: head.Size,
		Leaves: pending, Hashes: hashes, Checkpoint: checkpoint})
}

// Import appends leaves that were appended to this log before, as read back from a
// region, behind its first size leaves; those with an ID leave the pending list. They
// become leaves again only where they were: if the log has not just that size, nothing
// is written.
func (s *Sequencer) Import(ctx context.Context, size int64, leaves []Pending) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		head, err := s.cfg.Tree.LogHead(ctx)
		if err != nil {
			return err
		}
		if head.Size != size {
			return fmt.Errorf("import leaves from %d on: the log has %d: somebody else appends to it", size, head.Size)
		}
		if err = s.appendTo(ctx, head, leaves); !errors.Is(err, ErrNotLeading) {
			return err
		}
		select { // the lease of whoever appended last
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.cfg.Interval):
		}
	}
}

// checkHead compares the signed head with the stored hashes it covers.
func (s *Sequencer) checkHead(ctx context.Context, head Head) error {
	if head.Size == 0 && len(head.Checkpoint) == 0 {
		return nil
	}
	signed, err := OpenCheckpoint(head.Checkpoint, s.cfg.Signer.Verifier())
	if err != nil {
		return fmt.Errorf("log head: %w", err)
	}
	root, err := tlog.TreeHash(head.Size, reader(ctx, s.cfg.Tree))
	if err != nil {
		return fmt.Errorf("log head: %w", err)
	}
	if signed.N != head.Size || signed.Hash != root {
		return errors.New("log head: the signed checkpoint is not of the stored tree; audit verify tells where")
	}
	return nil
}

// grow computes the stored hashes and the root of the tree with the leaves appended.
func (s *Sequencer) grow(ctx context.Context, size int64, leaves []Pending) (hashes []tlog.Hash, root tlog.Hash, err error) {
	first := tlog.StoredHashCount(size)
	stored := reader(ctx, s.cfg.Tree)
	both := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		var old, at []int64
		for i, index := range indexes {
			if index >= first {
				out[i] = hashes[index-first]
				continue
			}
			old, at = append(old, index), append(at, int64(i))
		}
		if len(old) == 0 {
			return out, nil
		}
		read, err := stored.ReadHashes(old)
		if err != nil {
			return nil, err
		}
		for i, h := range read {
			out[at[i]] = h
		}
		return out, nil
	})
	for i, leaf := range leaves {
		more, err := tlog.StoredHashes(size+int64(i), leaf.Data, both)
		if err != nil {
			return nil, root, fmt.Errorf("hash leaf %d: %w", size+int64(i), err)
		}
		hashes = append(hashes, more...)
	}
	root, err = tlog.TreeHash(size+int64(len(leaves)), both)
	if err != nil {
		return nil, root, fmt.Errorf("tree hash: %w", err)
	}
	return hashes, root, nil
}

func reader(ctx context.Context, tree Tree) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return tree.LogHashes(ctx, indexes) })
}
