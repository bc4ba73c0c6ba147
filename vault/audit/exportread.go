package audit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrNoLog says that a region holds no checkpoint that the key has signed.
var ErrNoLog = errors.New("no checkpoint of the log")

// RegionLog is a log as it lies in a region, under the newest checkpoint there that the
// log's key has signed. Nothing of it is believed that this checkpoint does not cover.
type RegionLog struct {
	Size       int64 // leaves
	Root       tlog.Hash
	Checkpoint []byte   // signed note
	Strange    []string // names of newer checkpoints that the key has not signed
	files      files
}

// files reads what lies in a region.
type files struct {
	get  func(ctx context.Context, key string) (io.ReadCloser, error)
	list func(ctx context.Context, prefix string) iter.Seq2[string, error]
}

const (
	maxCheckpoint = 64 << 10                  // bytes
	maxBundle     = tileWidth * (2 + MaxLeaf) // bytes
)

// ReadRegion finds the newest checkpoint of a region. No catalog is needed, and of keys
// only the log's public one. get opens the object of a key; list names the keys that
// begin with a prefix, in any order. Heads that are known to be lost are passed over.
// Where there is none: ErrNoLog.
func ReadRegion(ctx context.Context, get func(ctx context.Context, key string) (io.ReadCloser, error),
	list func(ctx context.Context, prefix string) iter.Seq2[string, error], key note.Verifier, lost ...tlog.Tree) (*RegionLog, error) {
	l := &RegionLog{files: files{get, list}}
	sizes, err := l.files.sizes(ctx, CheckpointPrefix)
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	for _, size := range slices.Backward(sizes) {
		signed, err := l.files.read(ctx, CheckpointKey(size), maxCheckpoint)
		if err != nil {
			return nil, fmt.Errorf("checkpoint of %d leaves: %w", size, err)
		}
		tree, err := OpenCheckpoint(signed, key)
		if err != nil || tree.N != size {
			l.Strange = append(l.Strange, CheckpointKey(size))
			continue
		}
		if slices.Contains(lost, tree) {
			continue
		}
		l.Size, l.Root, l.Checkpoint = tree.N, tree.Hash, signed
		return l, nil
	}
	return nil, ErrNoLog
}

// Ahead names the checkpoints that a log of size leaves may have by the time its next
// tile is full, and that tile: whoever does not believe a listing asks for them by name.
// next is the size to go on from when the tile is there.
func Ahead(size int64) (checkpoints []string, tile string, next int64) {
	n := size >> tileHeight
	next = (n + 1) << tileHeight
	for s := size + 1; s <= next; s++ {
		checkpoints = append(checkpoints, CheckpointKey(s))
	}
	return checkpoints, tileKey(tlog.Tile{H: tileHeight, N: n, W: tileWidth}), next
}

// sizes lists the objects below prefix that are named by a size, ascending.
func (f files) sizes(ctx context.Context, prefix string) (sizes []int64, err error) {
	for key, err := range f.list(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		if size, ok := parseSize(strings.TrimPrefix(key, prefix)); ok {
			sizes = append(sizes, size)
		}
	}
	slices.Sort(sizes)
	return sizes, nil
}

// Leaves yields the leaves from number from on, in order and in constant memory; each
// was compared with the checkpoint before it is yielded. It ends after an error, which
// says where the region's copy does not hold.
func (l *RegionLog) Leaves(ctx context.Context, from int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		a := l.authentic(ctx)
		for n := from >> tileHeight; n<<tileHeight < l.Size; n++ {
			t := tlog.Tile{H: tileHeight, N: n, W: int(min(tileWidth, l.Size-n<<tileHeight))}
			leaves, err := l.bundle(ctx, a, t)
			if err != nil {
				yield(nil, err)
				return
			}
			for i, leaf := range leaves {
				if n<<tileHeight+int64(i) >= from && !yield(leaf, nil) {
					return
				}
			}
		}
	}
}

// RootAt is the tree hash of the log's first size leaves. Compared with a root that was
// known before, it is the proof that the log has only grown.
func (l *RegionLog) RootAt(ctx context.Context, size int64) (tlog.Hash, error) {
	if size < 0 || size > l.Size {
		return tlog.Hash{}, fmt.Errorf("tree hash of %d leaves: the log has %d", size, l.Size)
	}
	root, err := l.authentic(ctx).root(size)
	if err != nil {
		return root, fmt.Errorf("tree hash of %d leaves: %w", size, err)
	}
	return root, nil
}

func (l *RegionLog) authentic(ctx context.Context) *authentic {
	return newAuthentic(tlog.Tree{N: l.Size, Hash: l.Root}, func(t tlog.Tile) ([]byte, error) {
		want := t.W * tlog.HashSize
		data, whole, err := l.files.part(ctx, t, tileKey, tileWidth*tlog.HashSize)
		if err == nil && (len(data) < want || whole && len(data) != want) {
			err = fmt.Errorf("%s: %d bytes, must be %d", tileKey(t), len(data), want)
		}
		if err != nil {
			return nil, err
		}
		return data[:want], nil
	})
}

// bundle reads the leaves of a tile and compares them with its hashes.
func (l *RegionLog) bundle(ctx context.Context, a *authentic, t tlog.Tile) ([][]byte, error) {
	hashes, err := a.tile(t)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tileKey(t), err)
	}
	data, whole, err := l.files.part(ctx, t, entriesKey, maxBundle)
	if err != nil {
		return nil, err
	}
	leaves := make([][]byte, 0, len(hashes)/tlog.HashSize)
	for i := range cap(leaves) {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("leaf %d: %s is cut off in it", t.N<<tileHeight+int64(i), entriesKey(t))
		}
		var leaf []byte
		end := 2 + int(binary.BigEndian.Uint16(data))
		leaf, data = data[2:end:end], data[end:]
		if tlog.RecordHash(leaf) != hashAt(hashes, i) {
			return nil, fmt.Errorf("leaf %d: its bytes in %s do not have the signed hash", t.N<<tileHeight+int64(i), entriesKey(t))
		}
		leaves = append(leaves, leaf)
	}
	if whole && len(data) > 0 {
		return nil, fmt.Errorf("%s: %d bytes after its last leaf", entriesKey(t), len(data))
	}
	return leaves, nil
}

// part reads the file of a tile, or where that is gone one of a greater width, which
// begins alike: once a tile has grown, its narrow files are taken away. whole says that
// it is the very one.
func (f files) part(ctx context.Context, t tlog.Tile, key func(tlog.Tile) string, limit int) (data []byte, whole bool, err error) {
	data, err = f.read(ctx, key(t), limit)
	if err == nil || t.W == tileWidth || ctx.Err() != nil {
		return data, true, err
	}
	wider := t
	wider.W = tileWidth
	if data, err := f.read(ctx, key(wider), limit); err == nil {
		return data, false, nil
	}
	folder := key(wider) + ".p/"
	for name, listErr := range f.list(ctx, folder) {
		if listErr != nil {
			break // the first failure tells more
		}
		w, bad := strconv.Atoi(strings.TrimPrefix(name, folder))
		if wider.W = w; bad != nil || w <= t.W || w >= tileWidth || key(wider) != name {
			continue
		}
		if data, err := f.read(ctx, name, limit); err == nil {
			return data, false, nil
		}
	}
	return nil, false, err
}

// read reads a file whole.
func (f files) read(ctx context.Context, key string, limit int) (data []byte, err error) {
	r, err := f.get(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	defer r.Close() // reading: everything that counts was said by Read
	data, err = io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("longer than %d bytes", limit)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return data, nil
}
