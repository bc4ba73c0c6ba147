package catalog_test

import (
	"context"
	"testing"
	"time"

	"medvault/vault/catalog"
)

// Jobs of one region are leased apart from those of another, and hurried for a reason.
func TestJobsWaitForTheirRegion(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		var clock clock
		db.now = clock.now
		c := db.open(t)
		enqueue(t, c, catalog.Job{Kind: "copy", Key: "a@north", Region: "north"}, catalog.Job{Kind: "copy", Key: "b@north", Region: "north"},
			catalog.Job{Kind: "copy", Key: "a@south", Region: "south"})
		if got := lease(t, c, "me", 10, "copy"); len(got) != 0 {
			t.Errorf("leased %v, which wait for regions", got)
		}
		in := func(region string) []catalog.Job {
			t.Helper()
			jobs, err := c.LeaseIn(t.Context(), region, []string{"copy"}, 10, time.Minute, "me")
			if err != nil {
				t.Fatal(err)
			}
			return jobs
		}
		jobs := in("north")
		if len(jobs) != 2 || jobs[0].Region != "north" {
			t.Fatalf("leased %+v in north; want its two", jobs)
		}
		if got := in("south"); len(got) != 1 {
			t.Errorf("leased %+v in south; want its one", got)
		}
		for i, code := range []string{"away", "bytes-differ"} {
			if err := c.Retry(t.Context(), jobs[i], "me", clock.now().Add(time.Hour), code); err != nil {
				t.Fatal(err)
			}
		}
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			return tx.HurryRegion(ctx, "north", []string{"away", "full"})
		})
		if got := in("north"); len(got) != 1 || got[0].ID != jobs[0].ID {
			t.Errorf("after the hurry leased %+v; want only the one that failed because the region was away", got)
		}
		failures := func() (n int64, code string) {
			view(t, c, func(ctx context.Context, tx *catalog.Tx) (err error) {
				n, code, err = tx.Failures(ctx, "north")
				return err
			})
			return n, code
		}
		if n, code := failures(); n != 2 || code != "bytes-differ" {
			t.Errorf("failures = %d, %q; want 2, the last of other bytes", n, code)
		}
		clock.advance(2 * time.Hour)
		if n, code := failures(); n != 0 || code != "bytes-differ" {
			t.Errorf("two hours later failures = %d, %q", n, code)
		}
		clock.advance(23 * time.Hour)
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.SweepFailures(ctx) })
		if n, code := failures(); n != 0 || code != "" {
			t.Errorf("a day later failures = %d, %q", n, code)
		}
	})
}

func TestWhatARegionWaitsFor(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		var clock clock
		db.now = clock.now
		c := db.open(t)
		var docs []catalog.Document
		for n := range 4 {
			d := newDocument(1, "2.25.1", "2.25.11", n)
			d.Created = start.Add(-time.Duration(n) * time.Hour) // the last is the oldest
			insert(t, c, d)
			docs = append(docs, d)
			update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.Promise(ctx, d.ID, []string{"north"}) })
		}
		waiting := func() (w catalog.Waiting) {
			view(t, c, func(ctx context.Context, tx *catalog.Tx) (err error) {
				w, err = tx.Waiting(ctx, "north")
				return err
			})
			return w
		}
		if w := waiting(); w.Objects != 4 || w.Bytes == 0 || !w.Oldest.Equal(docs[3].Created) {
			t.Errorf("waiting = %+v; want 4 and the oldest of %v", w, docs[3].Created)
		}
		for i, d := range docs {
			update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
				return tx.Placed(ctx, d.ID, "north", start.Add(time.Duration(i+1)*time.Second))
			})
		}
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error { // repaired: it was there before
			return tx.Placed(ctx, docs[0].ID, "north", start.Add(time.Hour))
		})
		if w := waiting(); w != (catalog.Waiting{}) {
			t.Errorf("waiting = %+v; want nothing", w)
		}
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			lags, err := tx.Lags(ctx, "north", start.Add(-time.Hour), 3)
			if err == nil && (len(lags) != 3 || lags[0] != 4*time.Second || lags[2] != 2*time.Second) {
				t.Errorf("lags = %v; want the last three, 4 s to 2 s", lags)
			}
			return err
		})
	})
}
