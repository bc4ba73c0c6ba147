package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"medvault/storage"
	"medvault/vault/audit"
	"medvault/vault/catalog"
)

// bucket is a region in memory: what is put stays as it is.
type bucket map[string][]byte

func (b bucket) put(_ context.Context, key string, data []byte) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	if !audit.IsLogName(key, true) {
		return fmt.Errorf("%s is no name of an export", key)
	}
	if old, ok := b[key]; ok && !bytes.Equal(old, data) {
		return fmt.Errorf("%s: %w", key, storage.ErrExist)
	}
	b[key] = bytes.Clone(data)
	return nil
}

func (b bucket) get(_ context.Context, key string) (io.ReadCloser, error) {
	data, ok := b[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (b bucket) list(_ context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(b)) {
			if strings.HasPrefix(key, prefix) && !yield(key, nil) {
				return
			}
		}
	}
}

// head opens the catalog's signed head.
func head(t testing.TB, c *catalog.Catalog) (tlog.Tree, []byte) {
	t.Helper()
	h, err := c.LogHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tree, err := audit.OpenCheckpoint(h.Checkpoint, newSigner(t).Verifier())
	if err != nil {
		t.Fatal(err)
	}
	return tree, h.Checkpoint
}

// export brings b, which has the log's first from leaves, up to the head.
func export(t testing.TB, c *catalog.Catalog, b bucket, from int64) tlog.Tree {
	t.Helper()
	tree, checkpoint := head(t, c)
	if err := audit.ExportTiles(t.Context(), c, tree, from, b.put); err != nil {
		t.Fatalf("ExportTiles(%d, %d) = %v", from, tree.N, err)
	}
	if err := b.put(t.Context(), audit.CheckpointKey(tree.N), checkpoint); err != nil {
		t.Fatal(err)
	}
	return tree
}

func readRegion(t testing.TB, b bucket) *audit.RegionLog {
	t.Helper()
	l, err := audit.ReadRegion(t.Context(), b.get, b.list, newSigner(t).Verifier())
	if err != nil {
		t.Fatalf("ReadRegion = %v", err)
	}
	return l
}

// leavesOf reads all leaves of a region's log from a number on.
func leavesOf(l *audit.RegionLog, from int64) (leaves [][]byte, err error) {
	for leaf, err := range l.Leaves(context.Background(), from) {
		if err != nil {
			return leaves, err
		}
		leaves = append(leaves, leaf)
	}
	return leaves, nil
}

// grow appends n leaves to a catalog's log.
func grow(t testing.TB, c *catalog.Catalog, s *audit.Sequencer, from, n int) {
	t.Helper()
	write(t, c, from, n)
	flush(t, s)
}

func TestALogComesBackFromARegion(t *testing.T) {
	c := openCatalog(t, filepath.Join(t.TempDir(), "catalog.db"))
	s := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)})
	b := bucket{}
	if _, err := audit.ReadRegion(t.Context(), b.get, b.list, newSigner(t).Verifier()); !errors.Is(err, audit.ErrNoLog) {
		t.Errorf("ReadRegion of an empty region = %v; want ErrNoLog", err)
	}
	size, roots := int64(0), map[int64]tlog.Hash{}
	for _, n := range []int{1, 2, 252, 1, 1, 255, 1, 300} { // around the ends of tiles
		grow(t, c, s, int(size), n)
		tree := export(t, c, b, size)
		size, roots[tree.N] = tree.N, tree.Hash
		l := readRegion(t, b)
		if l.Size != tree.N || l.Root != tree.Hash || len(l.Strange) > 0 {
			t.Errorf("ReadRegion = %d leaves, root %s, strange %v; want %d, %s", l.Size, l.Root, l.Strange, tree.N, tree.Hash)
		}
		want, err := c.LogLeaves(t.Context(), 0, int(size))
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range []int64{0, 1, size / 2, size - 1, size} {
			got, err := leavesOf(l, from)
			if err != nil || int64(len(got)) != size-from {
				t.Fatalf("Leaves(%d) of %d = %d leaves, %v", from, size, len(got), err)
			}
			for i, leaf := range got {
				if !bytes.Equal(leaf, want[int(from)+i].Data) {
					t.Fatalf("leaf %d differs", from+int64(i))
				}
			}
		}
		for at, root := range roots {
			if got, err := l.RootAt(t.Context(), at); err != nil || got != root {
				t.Errorf("RootAt(%d) of %d = %s, %v; want %s", at, size, got, err, root)
			}
		}
	}
	whole := bucket{}
	export(t, c, whole, 0)
	for key := range whole {
		if !bytes.Equal(b[key], whole[key]) {
			t.Errorf("%s differs from an export in one go", key)
		}
	}
}

func TestExportedAgainNothingIsNew(t *testing.T) {
	c := openCatalog(t, filepath.Join(t.TempDir(), "catalog.db"))
	s := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)})
	grow(t, c, s, 0, 300)
	b := bucket{}
	export(t, c, b, 0)
	before := maps.Clone(b)
	export(t, c, b, 0)
	export(t, c, b, 300)
	if len(b) != len(before) {
		t.Errorf("%d files after the second export; want %d", len(b), len(before))
	}
	grow(t, c, s, 300, 10)
	export(t, c, b, 300)
	for key := range b {
		if _, old := before[key]; !old && key != audit.CheckpointKey(310) && !strings.HasSuffix(key, ".p/54") {
			t.Errorf("10 more leaves also wrote %s", key)
		}
	}
}

// TestWidthsThatAreGone: what a checkpoint needs may lie in a wider file of a tile.
func TestWidthsThatAreGone(t *testing.T) {
	c := openCatalog(t, filepath.Join(t.TempDir(), "catalog.db"))
	s := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)})
	grow(t, c, s, 0, 10)
	b := bucket{}
	export(t, c, b, 0)
	grow(t, c, s, 10, 20)
	export(t, c, b, 10)
	maps.DeleteFunc(b, func(key string, _ []byte) bool {
		return strings.HasSuffix(key, ".p/10") || key == audit.CheckpointKey(30)
	})
	if got, err := leavesOf(readRegion(t, b), 0); err != nil || len(got) != 10 {
		t.Errorf("Leaves beside a wider part = %d, %v; want 10", len(got), err)
	}
	grow(t, c, s, 30, 300)
	export(t, c, b, 30)
	maps.DeleteFunc(b, func(key string, _ []byte) bool {
		return strings.HasSuffix(key, ".p/30") || key == audit.CheckpointKey(330)
	})
	if got, err := leavesOf(readRegion(t, b), 0); err != nil || len(got) != 10 {
		t.Errorf("Leaves beside the full tile = %d, %v; want 10", len(got), err)
	}
}

func TestEveryFlippedBitOfAnExportIsFound(t *testing.T) {
	c := openCatalog(t, filepath.Join(t.TempDir(), "catalog.db"))
	s := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)})
	grow(t, c, s, 0, 700)
	b := bucket{}
	export(t, c, b, 0)
	for key, whole := range b {
		for _, at := range []int{0, len(whole) / 2, len(whole) - 1} {
			b[key] = bytes.Clone(whole)
			b[key][at] ^= 1
			l, err := audit.ReadRegion(t.Context(), b.get, b.list, newSigner(t).Verifier())
			if err == nil {
				_, err = leavesOf(l, 0)
			}
			if err == nil {
				t.Errorf("%s with byte %d changed reads as a whole log", key, at)
			}
		}
		b[key] = whole[:len(whole)-1]
		if l, err := audit.ReadRegion(t.Context(), b.get, b.list, newSigner(t).Verifier()); err == nil {
			if _, err = leavesOf(l, 0); err == nil {
				t.Errorf("%s cut short reads as a whole log", key)
			}
		}
		b[key] = whole
	}
}

// TestAStrangersCheckpointIsPassedOver: who can write into a bucket can not hide the
// log's own checkpoint behind a greater number.
func TestAStrangersCheckpointIsPassedOver(t *testing.T) {
	c := openCatalog(t, filepath.Join(t.TempDir(), "catalog.db"))
	s := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)})
	grow(t, c, s, 0, 5)
	b := bucket{}
	export(t, c, b, 0)
	stranger, err := audit.NewSigner("medvault-test", bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	if b[audit.CheckpointKey(99)], err = stranger.Checkpoint(99, tlog.Hash{}); err != nil {
		t.Fatal(err)
	}
	b[audit.CheckpointKey(7)] = b[audit.CheckpointKey(5)]
	l := readRegion(t, b)
	if want := []string{audit.CheckpointKey(99), audit.CheckpointKey(7)}; l.Size != 5 || !slices.Equal(l.Strange, want) {
		t.Errorf("ReadRegion = %d leaves, strange %v; want 5, %v", l.Size, l.Strange, want)
	}
}

// TestDamageInTheCatalogIsNotExported: a region never gets what no signature covers.
func TestDamageInTheCatalogIsNotExported(t *testing.T) {
	for name, attack := range map[string]func(t *testing.T, path string){
		"leaf": func(t *testing.T, path string) {
			attack(t, path, "UPDATE audit_leaves SET data = CAST(REPLACE(CAST(data AS TEXT), 'dr-299', 'dr-298') AS BLOB) WHERE n = 299")
		},
		"missing leaf": func(t *testing.T, path string) { attack(t, path, "DELETE FROM audit_leaves WHERE n = 17") },
		"hash": func(t *testing.T, path string) {
			attack(t, path, fmt.Sprintf("UPDATE audit_hashes SET hash = x'%064d' WHERE i = %d", 0, tlog.StoredHashIndex(8, 0)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "catalog.db")
			c := openCatalog(t, path)
			grow(t, c, newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)}), 0, 300)
			attack(t, path)
			tree, _ := head(t, c)
			b := bucket{}
			if err := audit.ExportTiles(t.Context(), c, tree, 0, b.put); err == nil {
				t.Errorf("ExportTiles = nil; want an error, it wrote %v", slices.Sorted(maps.Keys(b)))
			}
		})
	}
}

func TestOnlyNamesOfExportsAreLogNames(t *testing.T) {
	for key, want := range map[string]bool{
		"log/tile/0/000": true, "log/tile/0/x001/x234/067": true, "log/tile/0/x001/x234/067.p/8": true, "log/tile/entries/000.p/255": true,
		"log/tile/7/000.p/1": true, "log/checkpoints/0000000000000012": true, "log/cosignatures/0000000000000012/0123abcd": true,
		"log/manifests/0000000000000012": true,
		"log/checkpoint":                 false, "log/tile/0/0": false, "log/tile/0/1000": false, "log/tile/0/x000/000": false, "log/tile/0/x001/x002": false,
		"log/tile/0/000.p/0": false, "log/tile/0/000.p/256": false, "log/tile/00/000": false, "log/tile/8/000": false, "log/tile/-1/000": false,
		"log/tile/entries": false, "log/checkpoints/12": false, "log/checkpoints/0000000000000000": false, "log/checkpoints/+000000000000012": false,
		"log/cosignatures/0000000000000012": false, "log/x": false, "log": false, "objects/log/tile/0/000": false,
	} {
		if got := audit.IsLogName(key, true); got != want {
			t.Errorf("IsLogName(%q) = %v; want %v", key, got, want)
		}
		if strings.HasPrefix(key, "log/tile/") && audit.IsLogName(key, false) {
			t.Errorf("IsLogName(%q) abroad = true", key)
		}
	}
}

func TestFilesThatWereLostAreWrittenAgain(t *testing.T) {
	c := openCatalog(t, filepath.Join(t.TempDir(), "catalog.db"))
	s := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)})
	grow(t, c, s, 0, 300)
	b := bucket{}
	export(t, c, b, 0)
	grow(t, c, s, 300, 400) // the parts of 300 leaves stay, and serve nobody
	tree := export(t, c, b, 300)
	whole := maps.Clone(b)
	b["log/tile/0/999"] = []byte("not of this log")
	for _, lost := range [][]string{nil, {"log/tile/0/001"}, {"log/tile/entries/000"}, {"log/tile/0/002.p/188"}, {"log/tile/entries/002.p/188"},
		{"log/tile/1/000.p/2"}, {"log/tile/0/000", "log/tile/entries/000", "log/tile/entries/001"}} {
		tiles := make(map[string]bool)
		for _, key := range lost {
			if _, ok := b[key]; !ok {
				t.Fatalf("%s is not there", key)
			}
			delete(b, key)
			tiles[strings.Replace(key, "entries", "0", 1)] = true
		}
		n, err := audit.ExportMissing(t.Context(), c, tree, b.list, b.put)
		if err != nil || n != len(tiles) {
			t.Errorf("ExportMissing without %v = %d, %v; want %d", lost, n, err, len(tiles))
		}
		for key := range whole {
			if !bytes.Equal(b[key], whole[key]) {
				t.Errorf("without %v: %s is not back", lost, key)
			}
		}
	}
}
