package audit_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"medvault/vault/audit"
	"medvault/vault/catalog"
)

func newSigner(t testing.TB) *audit.Signer {
	t.Helper()
	s, err := audit.NewSigner("medvault-test", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openCatalog(t testing.TB, path string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), catalog.Config{DSN: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func newSequencer(t testing.TB, cfg audit.SequencerConfig) *audit.Sequencer {
	t.Helper()
	s, err := audit.NewSequencer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// write puts n leaves into the pending list, in one transaction.
func write(t testing.TB, c *catalog.Catalog, from, n int) {
	t.Helper()
	err := c.Update(t.Context(), func(tx *catalog.Tx) error {
		for i := range n {
			l := readLeaf()
			l.Actor = fmt.Sprintf("dr-%d", from+i)
			data, err := l.Encode()
			if err != nil {
				return err
			}
			if err := tx.AppendLeaf(t.Context(), data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func flush(t testing.TB, s *audit.Sequencer) {
	t.Helper()
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func verify(t testing.TB, tree audit.Tree, known ...[]byte) audit.Report {
	t.Helper()
	r, err := audit.Verify(t.Context(), tree, newSigner(t).Verifier(), known...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLogGrowsAndVerifies(t *testing.T) {
	c := openCatalog(t, filepath.Join(t.TempDir(), "c.db"))
	s := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)})
	flush(t, s)
	if r := verify(t, c); !r.Intact || r.Size != 0 {
		t.Errorf("empty log: %+v", r)
	}
	var checkpoints [][]byte
	total := 0
	for _, n := range []int{1, 1, 2, 3, 57, 1, 2500, 13} {
		write(t, c, total, n)
		if r := verify(t, c); !r.Intact || r.Pending != int64(n) {
			t.Fatalf("with %d pending: %+v", n, r)
		}
		flush(t, s)
		total += n
		if r := verify(t, c, checkpoints...); !r.Intact || r.Size != int64(total) || r.Pending != 0 {
			t.Fatalf("after %d leaves: %+v", total, r)
		}
		head, err := c.LogHead(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		checkpoints = append(checkpoints, head.Checkpoint)
	}
	// The leaves stand in the order in which they were written.
	leaves, err := c.LogLeaves(t.Context(), 0, total)
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range leaves {
		if want := fmt.Sprintf(`"actor":"dr-%d"`, i); !strings.Contains(string(l.Data), want) {
			t.Fatalf("leaf %d is %s; want %s", i, l.Data, want)
		}
	}
	// The root is the one that the library computes from scratch.
	var stored []tlog.Hash
	all := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i, l := range leaves {
		hashes, err := tlog.StoredHashes(int64(i), l.Data, all)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	want, err := tlog.TreeHash(int64(total), all)
	if err != nil {
		t.Fatal(err)
	}
	if r := verify(t, c); r.Root != want {
		t.Errorf("root %s; want %s", r.Root, want)
	}
}

func TestInclusionIsProved(t *testing.T) {
	c := openCatalog(t, filepath.Join(t.TempDir(), "c.db"))
	write(t, c, 0, 100)
	flush(t, newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)}))
	v := newSigner(t).Verifier()
	for _, n := range []int64{0, 1, 63, 64, 99} {
		p, err := audit.ProveInclusion(t.Context(), c, v, n)
		if err != nil {
			t.Fatal(err)
		}
		p.Leaf[10] ^= 1
		if p.Check(v) == nil {
			t.Errorf("leaf %d: the proof holds for other bytes", n)
		}
		p.Leaf[10] ^= 1
		p.Number ^= 1
		if p.Check(v) == nil {
			t.Errorf("leaf %d: the proof holds for another number", n)
		}
	}
	for _, n := range []int64{-1, 100} {
		if _, err := audit.ProveInclusion(t.Context(), c, v, n); err == nil {
			t.Errorf("leaf %d was proved", n)
		}
	}
}

func TestRunFinishesWhatIsPending(t *testing.T) {
	c := openCatalog(t, filepath.Join(t.TempDir(), "c.db"))
	write(t, c, 0, 10) // left behind by an earlier run
	run := func(fn func()) {
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		s := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t), Report: func(err error) { t.Error(err) }})
		go func() { done <- s.Run(ctx) }()
		fn()
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	run(func() {
		for deadline := time.Now().Add(5 * time.Second); verify(t, c).Size < 10; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("pending leaves were not appended")
			}
		}
		write(t, c, 10, 5) // still pending when it is stopped
	})
	if r := verify(t, c); !r.Intact || r.Size != 15 || r.Pending != 0 {
		t.Errorf("after the stop: %+v; want 15 leaves and none pending", r)
	}
}

func TestManySequencersMakeOneLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.db")
	const sequencers, writers, each = 4, 3, 40
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range sequencers {
		c := openCatalog(t, path)
		s := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t), Interval: 5 * time.Millisecond, Report: func(err error) { t.Error(err) }})
		running.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	c := openCatalog(t, path)
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				write(t, c, w*each+i, 1)
			}
		})
	}
	// A log that grows meanwhile verifies, too.
	for range 10 {
		if r := verify(t, c); !r.Intact {
			t.Errorf("while it grows: %+v", r)
		}
	}
	writing.Wait()
	flush(t, newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)}))
	stop()
	running.Wait()
	if r := verify(t, c); !r.Intact || r.Size != writers*each {
		t.Errorf("%+v; want %d leaves", r, writers*each)
	}
	leaves, err := c.LogLeaves(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, l := range leaves {
		if seen[string(l.Data)] {
			t.Errorf("appended twice: %s", l.Data)
		}
		seen[string(l.Data)] = true
	}
}

func TestOnlyTheLeaderAppends(t *testing.T) {
	c := openCatalog(t, filepath.Join(t.TempDir(), "c.db"))
	write(t, c, 0, 1)
	flush(t, newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)}))
	write(t, c, 1, 1)
	pending, err := c.LogPending(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	head, err := c.LogHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, batch := range map[string]audit.Batch{
		"while another leads": {Owner: "intruder", Size: 1, Leaves: pending},
		"at an older size":    {Owner: head.Owner, Size: 0, Leaves: pending},
	} {
		if err := c.LogAppend(t.Context(), batch); !errors.Is(err, audit.ErrNotLeading) {
			t.Errorf("append %s: %v; want ErrNotLeading", name, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	other := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)})
	if err := other.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Flush beside a leader: %v; want to wait", err)
	}
	later := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t), Now: func() time.Time { return time.Now().Add(time.Minute) }})
	if err := later.Flush(ctx); err == nil {
		t.Error("the tree let another in before the lease was over")
	}
	flush(t, other) // takes over when the lease is over
	if r := verify(t, c); !r.Intact || r.Size != 2 {
		t.Errorf("%+v; want 2 leaves", r)
	}
}

// attack opens the database file past the catalog.
func attack(t testing.TB, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}
