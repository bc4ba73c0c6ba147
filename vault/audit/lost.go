package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// LostHead is a head of the log that a region holds signed, and whose last leaves no place
// has any more: the log goes on behind Kept leaves of it. A leaf that says so makes the
// one break in the log a known one, and no other.
type LostHead struct {
	Region string `json:"region"`
	Size   int64  `json:"size"` // leaves that the head covers
	Root   string `json:"root"` // tree hash of them, base64
	Kept   int64  `json:"kept"` // leaves that are not lost
	Lost   int64  `json:"lost"` // Size - Kept
}

// Tree is the head.
func (l LostHead) Tree() (tlog.Tree, error) {
	root, err := tlog.ParseHash(l.Root)
	if err != nil {
		return tlog.Tree{}, errors.New("the root of a lost head is no tree hash")
	}
	return tlog.Tree{N: l.Size, Hash: root}, nil
}

func (l LostHead) check() error {
	if l.Region == "" || l.Kept < 0 || l.Size <= l.Kept || l.Lost != l.Size-l.Kept {
		return errors.New("a lost head without a region or a loss")
	}
	_, err := l.Tree()
	return err
}

// HeadsBeyond lists, in ascending order of size, the heads of more than size leaves that a
// region holds signed by the key: of checkpoints, and of manifests of that region.
func HeadsBeyond(ctx context.Context, region string, size int64, get func(ctx context.Context, key string) (io.ReadCloser, error),
	list func(ctx context.Context, prefix string) iter.Seq2[string, error], key note.Verifier) (heads []tlog.Tree, err error) {
	f := files{get, list}
	for _, kind := range []struct {
		prefix string
		limit  int
		open   func(signed []byte) (tlog.Tree, error)
	}{
		{CheckpointPrefix, maxCheckpoint, func(signed []byte) (tlog.Tree, error) { return OpenCheckpoint(signed, key) }},
		{ManifestPrefix, maxManifest, func(signed []byte) (tlog.Tree, error) {
			m, err := OpenManifest(signed, key)
			if err == nil && m.Region != region {
				err = ErrNoManifest
			}
			return m.Tree, err
		}},
	} {
		sizes, err := f.sizes(ctx, kind.prefix)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", kind.prefix, err)
		}
		for _, n := range sizes {
			if n <= size {
				continue
			}
			signed, err := f.read(ctx, kind.prefix+sizeName(n), kind.limit)
			if err != nil {
				return nil, fmt.Errorf("%s of %d leaves: %w", kind.prefix, n, err)
			}
			if head, err := kind.open(signed); err == nil && head.N == n && !slices.Contains(heads, head) {
				heads = append(heads, head)
			}
		}
	}
	slices.SortFunc(heads, func(a, b tlog.Tree) int { return int(a.N - b.N) })
	return heads, nil
}
