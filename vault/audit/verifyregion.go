package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// RegionReport is what VerifyRegion found.
type RegionReport struct {
	Size       int64     `json:"size"` // leaves under the newest checkpoint
	Root       tlog.Hash `json:"root"`
	Checkpoint string    `json:"checkpoint,omitempty"` // signed note; keep it, as a known one of the next time
	Compared   int       `json:"compared"`             // earlier and known checkpoints that were compared
	Intact     bool      `json:"intact"`
	Evidence   string    `json:"evidence,omitempty"` // the first place that does not hold
}

// VerifyRegion recomputes a log from the files of one region, as ReadRegion reads them,
// and compares it with the newest checkpoint there, every earlier one, and the known
// ones, which are signed checkpoints of the same log from elsewhere. It needs nothing
// else of the vault, and of keys only the log's public one. Without a known checkpoint it
// cannot see that the newest leaves were taken away together with their checkpoint.
//
// What does not hold is no error: the report names the first such place. An error means
// that the files could not be read; that one is absent get says with fs.ErrNotExist.
func VerifyRegion(ctx context.Context, get func(ctx context.Context, key string) (io.ReadCloser, error),
	list func(ctx context.Context, prefix string) iter.Seq2[string, error], key note.Verifier, known ...[]byte) (RegionReport, error) {
	var unread error
	hold := func(err error) error {
		if err != nil && !errors.Is(err, fs.ErrNotExist) && unread == nil {
			unread = err
		}
		return err
	}
	reading := files{
		get: func(ctx context.Context, key string) (io.ReadCloser, error) {
			r, err := get(ctx, key)
			return r, hold(err)
		},
		list: func(ctx context.Context, prefix string) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) {
				for key, err := range list(ctx, prefix) {
					if !yield(key, hold(err)) {
						return
					}
				}
			}
		},
	}
	var r RegionReport
	err := r.verify(ctx, reading, key, known)
	if unread != nil {
		return r, fmt.Errorf("verify log: %w", unread)
	}
	if err != nil {
		r.Evidence = err.Error()
	}
	r.Intact = err == nil
	return r, nil
}

func (r *RegionReport) verify(ctx context.Context, from files, key note.Verifier, known [][]byte) error {
	l, err := ReadRegion(ctx, from.get, from.list, key)
	if err != nil {
		return err
	}
	r.Size, r.Root, r.Checkpoint = l.Size, l.Root, string(l.Checkpoint)
	n := int64(0)
	for data, err := range l.Leaves(ctx, 0) {
		if err != nil {
			return err
		}
		if _, err := ParseLeaf(data); err != nil {
			return fmt.Errorf("leaf %d: %w", n, err)
		}
		n++
	}
	if len(l.Strange) > 0 {
		return fmt.Errorf("%s: the log's key has not signed it", l.Strange[0])
	}
	sizes, err := from.sizes(ctx, CheckpointPrefix)
	if err != nil {
		return err
	}
	for _, size := range sizes {
		if size >= l.Size {
			continue
		}
		signed, err := from.read(ctx, CheckpointKey(size), maxCheckpoint)
		if err != nil {
			return err
		}
		if err := r.compare(ctx, l, CheckpointKey(size), signed, key); err != nil {
			return err
		}
	}
	for i, signed := range known {
		if err := r.compare(ctx, l, fmt.Sprintf("known checkpoint %d", i+1), signed, key); err != nil {
			return err
		}
	}
	return nil
}

// compare compares the log with another checkpoint of it.
func (r *RegionReport) compare(ctx context.Context, l *RegionLog, name string, signed []byte, key note.Verifier) error {
	tree, err := OpenCheckpoint(signed, key)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.Compared++
	if tree.N > l.Size {
		return fmt.Errorf("leaf %d: missing; %s covers %d leaves: %w", l.Size, name, tree.N, ErrRolledBack)
	}
	root, err := l.RootAt(ctx, tree.N)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if root != tree.Hash {
		return fmt.Errorf("%s: %w within its %d leaves", name, ErrForked, tree.N)
	}
	return nil
}
