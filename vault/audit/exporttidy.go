package audit

import (
	"context"
	"io"
	"iter"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	keptCheckpoints = 8 // the newest; and the last of each day
	keptManifests   = 2 // likewise; pages only of the newest
)

// LapsedCheckpoints names what a region's log needs no more, in an order in which it may
// be taken away: all checkpoints but the newest and the last of each day, and the
// cosignatures and parts of tiles that belong to those alone. size is that of the log, of
// which day tells on which day it had a size. What an older checkpoint needs may lie in a
// wider part then.
func LapsedCheckpoints(ctx context.Context, size int64, list func(ctx context.Context, prefix string) iter.Seq2[string, error],
	day func(ctx context.Context, size int64) (string, error)) (keys []string, err error) {
	gone, kept, err := lapsed(ctx, files{list: list}, CheckpointPrefix, size, keptCheckpoints, day)
	if err != nil {
		return nil, err
	}
	needed := make(map[string]bool)
	for _, size := range kept {
		for _, key := range parts(size) {
			needed[key] = true
		}
	}
	for _, size := range gone {
		for _, key := range parts(size) {
			if !needed[key] {
				keys = append(keys, key)
			}
		}
		for key, err := range list(ctx, CosignaturePrefix+sizeName(size)+"/") {
			if err != nil {
				return nil, err
			}
			keys = append(keys, key)
		}
		keys = append(keys, CheckpointKey(size)) // last, so that a cut leaves it to be found again
	}
	return keys, nil
}

// LapsedManifests is LapsedCheckpoints of manifests, and of pages that none of the newest
// needs.
func LapsedManifests(ctx context.Context, size int64, get func(ctx context.Context, key string) (io.ReadCloser, error),
	list func(ctx context.Context, prefix string) iter.Seq2[string, error],
	day func(ctx context.Context, size int64) (string, error)) (keys []string, err error) {
	f := files{get, list}
	gone, kept, err := lapsed(ctx, f, ManifestPrefix, size, keptManifests, day)
	if err != nil {
		return nil, err
	}
	needed := make(map[string]bool)
	for _, size := range kept[:min(keptManifests, len(kept))] {
		signed, err := f.read(ctx, ManifestKey(size), maxManifest)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(signed)) {
			_, sum, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			needed[PagePrefix+sum] = true // whoever signed it: a page too many does no harm
		}
	}
	for key, err := range f.list(ctx, PagePrefix) {
		if err != nil {
			return nil, err
		}
		if !needed[key] && isSHA256(strings.TrimPrefix(key, PagePrefix)) {
			keys = append(keys, key)
		}
	}
	for _, size := range gone {
		keys = append(keys, ManifestKey(size))
	}
	return keys, nil
}

// lapsed parts the sizes below prefix into those to go and those to stay, of which the
// newest come first. It goes back from the newest, and not past a few that stay: those
// before were parted when they were as young.
func lapsed(ctx context.Context, f files, prefix string, size int64, newest int, day func(ctx context.Context, size int64) (string, error)) (gone, kept []int64, err error) {
	const enough = 3
	sizes, err := f.sizes(ctx, prefix)
	if err != nil {
		return nil, nil, err
	}
	sizes = slices.DeleteFunc(sizes, func(s int64) bool { return s > size }) // not of this log
	split := max(0, len(sizes)-newest)
	kept = slices.Clone(sizes[split:])
	if split == 0 {
		return nil, kept, nil
	}
	later, err := day(ctx, sizes[split])
	if err != nil {
		return nil, nil, err
	}
	for stayed := 0; split > 0; split-- {
		size := sizes[split-1]
		if stayed == enough {
			kept = append(kept, size)
			continue
		}
		today, err := day(ctx, size)
		if err != nil {
			return nil, nil, err
		}
		if today == later {
			gone = append(gone, size)
			continue
		}
		kept, later = append(kept, size), today
		stayed++
	}
	return gone, kept, nil
}

// parts names the tiles of a tree that are not full.
func parts(size int64) (keys []string) {
	for level, n := 0, size; n > 0; level, n = level+1, n>>tileHeight {
		if width := n & (tileWidth - 1); width > 0 {
			t := tlog.Tile{H: tileHeight, L: level, N: n >> tileHeight, W: int(width)}
			if keys = append(keys, tileKey(t)); level == 0 {
				keys = append(keys, entriesKey(t))
			}
		}
	}
	return keys
}
