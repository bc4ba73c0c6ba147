package audit_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"medvault/vault/audit"
)

func entries(n int) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for i := range n {
			e := audit.Entry{Key: fmt.Sprintf("objects/%02x/%08d", i>>16, i), Size: int64(i), SHA256: sha256.Sum256([]byte{byte(i)}), Generation: uint32(i % 3)}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// snapshot writes a manifest of n entries into b.
func snapshot(t *testing.T, b bucket, size int64, n int) audit.Manifest {
	t.Helper()
	m, err := audit.WritePages(t.Context(), "cn-north", tlog.Tree{N: size, Hash: tlog.Hash{byte(size)}}, entries(n), b.put)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := newSigner(t).Manifest(m)
	if err == nil {
		err = b.put(t.Context(), audit.ManifestKey(size), signed)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func readManifest(b bucket) (*audit.RegionManifest, error) {
	s, err := audit.NewSigner("medvault-test", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		return nil, err
	}
	return audit.ReadManifest(context.Background(), "cn-north", b.get, b.list, s.Verifier())
}

func TestAManifestComesBack(t *testing.T) {
	for _, n := range []int{0, 1, 8192, 20_000} {
		b := bucket{}
		snapshot(t, b, 41, n/2)
		want := snapshot(t, b, 42, n)
		m, err := readManifest(b)
		if err != nil || m.Objects != int64(n) || m.Tree != want.Tree || !m.SameObjects(want) {
			t.Fatalf("ReadManifest of %d entries = %+v, %v", n, m, err)
		}
		next, stop := iter.Pull2(entries(n))
		defer stop()
		read := 0
		for e, err := range m.Entries(t.Context()) {
			if w, _, _ := next(); err != nil || e != w {
				t.Fatalf("entry %d = %+v, %v; want %+v", read, e, err, w)
			}
			read++
		}
		if read != n {
			t.Errorf("%d entries came back; want %d", read, n)
		}
	}
}

func TestAManifestIsOfItsSignerAndRegion(t *testing.T) {
	b := bucket{}
	if _, err := readManifest(b); !errors.Is(err, audit.ErrNoManifest) {
		t.Errorf("ReadManifest of nothing = %v; want ErrNoManifest", err)
	}
	snapshot(t, b, 42, 100)
	signer := newSigner(t)
	if _, err := audit.ReadManifest(t.Context(), "cn-east", b.get, b.list, signer.Verifier()); !errors.Is(err, audit.ErrNoManifest) {
		t.Errorf("another region's manifest = %v; want ErrNoManifest", err)
	}
	for key, whole := range b {
		for _, at := range []int{0, len(whole) / 2, len(whole) - 2} {
			b[key] = bytes.Clone(whole)
			b[key][at] ^= 1
			m, err := readManifest(b)
			if err == nil {
				for _, err = range m.Entries(t.Context()) {
					if err != nil {
						break
					}
				}
			}
			if err == nil {
				t.Errorf("%s with byte %d changed reads as a whole manifest", key, at)
			}
		}
		b[key] = whole
	}
	// A checkpoint is no manifest, and the other way round.
	checkpoint, err := signer.Checkpoint(42, tlog.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := audit.OpenManifest(checkpoint, signer.Verifier()); err == nil {
		t.Error("a checkpoint opens as a manifest")
	}
	if _, err := audit.OpenCheckpoint(b[audit.ManifestKey(42)], signer.Verifier()); err == nil {
		t.Error("a manifest opens as a checkpoint")
	}
}

func TestEntriesOutOfOrderAreNoManifest(t *testing.T) {
	twice := func(yield func(audit.Entry, error) bool) {
		_ = yield(audit.Entry{Key: "objects/b"}, nil) && yield(audit.Entry{Key: "objects/a"}, nil)
	}
	if _, err := audit.WritePages(t.Context(), "cn-north", tlog.Tree{}, twice, bucket{}.put); err == nil {
		t.Error("WritePages of entries out of order = nil; want an error")
	}
}

// TestTheLastOfEachDayStays takes three checkpoints an hour over days.
func TestTheLastOfEachDayStays(t *testing.T) {
	b := bucket{}
	day := func(_ context.Context, size int64) (string, error) { return fmt.Sprintf("day-%03d", size/72), nil }
	for size := int64(1); size <= 72*6+10; size++ {
		b[audit.CheckpointKey(size)] = []byte("x")
		b[fmt.Sprintf("log/cosignatures/%016d/00000000", size)] = []byte("x")
		snapshot(t, b, size, int(size)) // always other pages
		for _, lapsed := range []func() ([]string, error){
			func() ([]string, error) { return audit.LapsedCheckpoints(t.Context(), size, b.list, day) },
			func() ([]string, error) { return audit.LapsedManifests(t.Context(), size, b.get, b.list, day) },
		} {
			keys, err := lapsed()
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range keys {
				delete(b, key)
			}
		}
	}
	var got, manifests, pages, cosignatures []string
	for key := range b.list(t.Context(), "") {
		for prefix, into := range map[string]*[]string{audit.CheckpointPrefix: &got, audit.ManifestPrefix: &manifests, audit.PagePrefix: &pages, audit.CosignaturePrefix: &cosignatures} {
			if name, ok := strings.CutPrefix(key, prefix); ok {
				*into = append(*into, strings.TrimLeft(name, "0"))
			}
		}
	}
	if want := []string{"71", "143", "215", "287", "359", "431", "435", "436", "437", "438", "439", "440", "441", "442"}; !slices.Equal(got, want) {
		t.Errorf("checkpoints %v; want %v", got, want)
	}
	if want := []string{"71", "143", "215", "287", "359", "431", "441", "442"}; !slices.Equal(manifests, want) {
		t.Errorf("manifests %v; want %v", manifests, want)
	}
	if len(pages) != 2 || len(cosignatures) != len(got) {
		t.Errorf("%d pages and %d cosignatures; want 2 and %d", len(pages), len(cosignatures), len(got))
	}
	// One that nobody of this log has written stays for verification to name.
	b[audit.CheckpointKey(9999)] = []byte("x")
	if keys, err := audit.LapsedCheckpoints(t.Context(), 442, b.list, day); err != nil || slices.Contains(keys, audit.CheckpointKey(9999)) {
		t.Errorf("LapsedCheckpoints = %v, %v", keys, err)
	}
}
