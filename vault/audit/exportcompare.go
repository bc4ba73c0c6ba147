package audit

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// What a log and its copy in a region may be to each other, when the copy is not a
// beginning of the log.
var (
	// ErrAhead: the log is a beginning of the copy. It was put back to an earlier state.
	ErrAhead = errors.New("the region's log goes on where this one ends")
	// ErrForked: both were signed, and neither is a beginning of the other.
	ErrForked = errors.New("the region's log and this one differ")
)

// CompareRegion is nil when l, as it was read before the call, is a beginning of log.
// ErrAhead and ErrForked are wrapped with the sizes. It goes by the hashes that log
// keeps, without reading a leaf; Verify tells whether these hold.
func CompareRegion(ctx context.Context, log Tree, v note.Verifier, l *RegionLog) error {
	// Read after the region was, or a log that grows meanwhile would seem behind.
	head, err := log.LogHead(ctx)
	if err != nil {
		return err
	}
	tree := tlog.Tree{}
	if head.Size > 0 {
		if tree, err = OpenCheckpoint(head.Checkpoint, v); err != nil {
			return fmt.Errorf("log head: %w", err)
		}
	}
	if l.Size <= tree.N {
		root, err := tlog.TreeHash(l.Size, reader(ctx, log))
		if err != nil {
			return fmt.Errorf("tree hash of %d leaves: %w", l.Size, err)
		}
		if root != l.Root {
			return fmt.Errorf("%w: at %d leaves, of which this one has %d", ErrForked, l.Size, tree.N)
		}
		return nil
	}
	if tree.N > 0 {
		root, err := l.RootAt(ctx, tree.N)
		if err != nil {
			return fmt.Errorf("%w, or differs: it has %d leaves, this one %d: %w", ErrAhead, l.Size, tree.N, err)
		}
		if root != tree.Hash {
			return fmt.Errorf("%w: within the %d leaves of this one; it has %d", ErrForked, tree.N, l.Size)
		}
	}
	return fmt.Errorf("%w: it has %d leaves, this one %d", ErrAhead, l.Size, tree.N)
}
