package catalog_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

func TestReadWindow(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		var ids []record.ObjectID
		for range 3 {
			ids = append(ids, record.NewObjectID())
		}
		slices.Sort(ids)
		ask := func(actor, purpose, view string, at time.Time, objects ...record.ObjectID) (fresh []record.ObjectID) {
			update(t, c, func(ctx context.Context, tx *catalog.Tx) (err error) {
				fresh, err = tx.ReadWindow(ctx, actor, purpose, view, objects, at, 10*time.Minute)
				return err
			})
			return fresh
		}
		steps := []struct {
			name                 string
			actor, purpose, view string
			at                   time.Duration
			objects, want        []record.ObjectID
		}{
			{"first", "a", "TREAT", "original", 0, ids[:2], ids[:2]},
			{"within", "a", "TREAT", "original", 9 * time.Minute, ids, ids[2:]},
			{"repeated in one call", "b", "TREAT", "original", 0, []record.ObjectID{ids[0], ids[0]}, ids[:1]},
			{"other purpose", "a", "ETREAT", "original", 0, ids[:1], ids[:1]},
			{"other view", "a", "TREAT", "deidentified", 0, ids[:1], ids[:1]},
			{"over", "a", "TREAT", "original", 10 * time.Minute, ids, ids[:2]},
			{"renewed", "a", "TREAT", "original", 11 * time.Minute, ids, nil},
			{"none", "a", "TREAT", "original", 0, nil, nil},
		}
		for _, s := range steps {
			if got := ask(s.actor, s.purpose, s.view, start.Add(s.at), s.objects...); !slices.Equal(got, s.want) {
				t.Errorf("%s: fresh %v; want %v", s.name, got, s.want)
			}
		}
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			return tx.SweepReadWindows(ctx, start.Add(10*time.Minute))
		})
		if got := ask("a", "TREAT", "original", start.Add(11*time.Minute), ids[0]); got != nil {
			t.Error("the sweep took a window that lasts")
		}
		err := c.Update(t.Context(), func(tx *catalog.Tx) error {
			_, err := tx.ReadWindow(t.Context(), "a", "TREAT", "original", ids, start, 16*time.Minute)
			return err
		})
		if err == nil {
			t.Error("a window of 16 minutes was granted")
		}
	})
}

func TestPendingLeavesKeepTheirOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		var want []string
		for i := range 30 {
			update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
				for j := range 3 {
					leaf := encodedLeaf(t, fmt.Sprintf("%d.%d", i, j))
					want = append(want, string(leaf))
					if err := tx.AppendLeaf(ctx, leaf); err != nil {
						return err
					}
				}
				return nil
			})
		}
		pending, err := c.LogPending(t.Context(), 1000)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range pending {
			got = append(got, string(p.Data))
		}
		if !slices.Equal(got, want) {
			t.Errorf("pending %v; want %v", got, want)
		}
		if n, err := c.LogWaiting(t.Context()); n != int64(len(want)) || err != nil {
			t.Errorf("LogWaiting = %d, %v; want %d", n, err, len(want))
		}
	})
}

func TestWhatIsNoLeafIsRefused(t *testing.T) {
	c := sqliteDatabase(t).open(t)
	err := c.Update(t.Context(), func(tx *catalog.Tx) error { return tx.AppendLeaf(t.Context(), []byte(`{"name":"x"}`)) })
	if err == nil {
		t.Error("it is pending now, for good")
	}
}

func encodedLeaf(t testing.TB, actor string) []byte {
	t.Helper()
	leaf, err := audit.Leaf{Time: start, Actor: actor, Role: record.RoleRadiology, Purpose: record.PurposeTreat, Action: record.ActionStore,
		Patient: token(1), Object: record.NewObjectID(), Decision: audit.Allow, Policies: []string{"radiology-stores"},
		Commit: &audit.Commit{Kind: record.KindDICOM, Size: 526336, Generation: 1, Seal: "000102030405060708090a0b0c0d0e0f",
			Regions: []string{"cn-north", "cn-east", "cn-south"}}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func BenchmarkStore(b *testing.B) {
	// What the last transaction of a store does: one document with the terms of its
	// patient, study and series, one leaf, three placements, one job.
	c := sqliteDatabase(b).open(b)
	var terms []catalog.Term
	for i := range 20 {
		terms = append(terms, catalog.Term{Level: catalog.LevelPatient, Value: fmt.Sprintf("patient-term-%026d", i)})
	}
	for i := range 4 {
		terms = append(terms, catalog.Term{Level: catalog.LevelStudy, Value: fmt.Sprintf("study-term-%026d", i)})
	}
	terms = append(terms, catalog.Term{Level: catalog.LevelSeries, Value: "modality"}, catalog.Term{Level: catalog.LevelInstance, Value: "class"})
	leaf := encodedLeaf(b, "modality-1")
	n := 0
	for b.Loop() {
		n++
		d := newDocument(n/200, fmt.Sprintf("2.25.%d", n/200), fmt.Sprintf("2.25.%d.1", n/200), n, terms...)
		err := c.Update(b.Context(), func(tx *catalog.Tx) error {
			ctx := b.Context()
			if _, _, err := tx.EnsurePatient(ctx, newPatient(n/200)); err != nil {
				return err
			}
			if err := tx.InsertDocument(ctx, d); err != nil {
				return err
			}
			if err := tx.Promise(ctx, d.ID, []string{"cn-north", "cn-east", "cn-south"}); err != nil {
				return err
			}
			for _, region := range []string{"cn-north", "cn-east"} {
				if err := tx.Placed(ctx, d.ID, region, start); err != nil {
					return err
				}
			}
			if err := tx.AppendLeaf(ctx, leaf); err != nil {
				return err
			}
			return tx.Enqueue(ctx, catalog.Job{Kind: "copy", Key: "cn-south/" + string(d.ID)})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func TestTwoGatewaysMakeOneLog(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		signer, err := audit.NewSigner("medvault-test", make([]byte, 32))
		if err != nil {
			t.Fatal(err)
		}
		const each = 60
		ctx, stop := context.WithCancel(t.Context())
		var running, writing sync.WaitGroup
		var last *audit.Sequencer
		var tree *catalog.Catalog
		for range 2 {
			tree = db.open(t)
			last, err = audit.NewSequencer(audit.SequencerConfig{Tree: tree, Signer: signer, Interval: 5 * time.Millisecond,
				Report: func(err error) { t.Error(err) }})
			if err != nil {
				t.Fatal(err)
			}
			s, c := last, tree
			running.Go(func() {
				if err := s.Run(ctx); err != nil {
					t.Error(err)
				}
			})
			writing.Go(func() {
				for i := range each {
					leaf := encodedLeaf(t, fmt.Sprint(i))
					if err := c.Update(t.Context(), func(tx *catalog.Tx) error { return tx.AppendLeaf(t.Context(), leaf) }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		writing.Wait()
		if err := last.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		stop()
		running.Wait()
		r, err := audit.Verify(t.Context(), tree, signer.Verifier())
		if err != nil || !r.Intact || r.Size != 2*each || r.Pending != 0 {
			t.Errorf("Verify = %+v, %v; want %d leaves, intact", r, err, 2*each)
		}
		if _, err := audit.ProveInclusion(t.Context(), tree, signer.Verifier(), each); err != nil {
			t.Error(err)
		}
	})
}
