package catalog_test

import (
	"context"
	"testing"
	"time"

	"medvault/vault/audit"
	"medvault/vault/catalog"
)

func TestHowFarTheLogHasGot(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		first := catalog.LogExport{Region: "cn-north", Size: 12, At: start.Add(time.Minute), Manifest: 10, ManifestAt: start}
		later := catalog.LogExport{Region: "cn-north", Size: 13, At: start.Add(2 * time.Minute), Manifest: 13, ManifestAt: start.Add(time.Minute), Problem: "full"}
		other := catalog.LogExport{Region: "sg-1", Problem: "away"}
		for _, e := range []catalog.LogExport{first, other, later} {
			update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.SetLogExport(ctx, e) })
		}
		var got map[string]catalog.LogExport
		err := c.View(t.Context(), func(tx *catalog.Tx) (err error) {
			got, err = tx.LogExports(t.Context())
			return err
		})
		if err != nil || len(got) != 2 || got["cn-north"] != later || got["sg-1"] != other {
			t.Errorf("LogExports = %+v, %v; want %+v and %+v", got, err, later, other)
		}
	})
}

func TestWhatIsPromisedToARegion(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		docs := []catalog.Document{newDocument(1, "s", "e", 1), newDocument(1, "s", "e", 2), newDocument(2, "t", "f", 3)}
		insert(t, c, docs...)
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			for i, d := range docs {
				if err := tx.Promise(ctx, d.ID, []string{"cn-north", "cn-east"}[:1+i%2]); err != nil {
					return err
				}
			}
			return nil
		})
		for region, want := range map[string]int{"cn-north": 3, "cn-east": 1, "sg-1": 0} {
			after, n := "", 0
			for {
				entries, err := promised(t, c, region, after)
				if err != nil {
					t.Fatal(err)
				}
				if len(entries) == 0 {
					break
				}
				e := entries[0]
				if e.Key <= after {
					t.Errorf("%s comes after %s", e.Key, after)
				}
				for _, d := range docs {
					if d.Key() == e.Key && e.Size == d.Size && e.SHA256 == d.SHA256 && e.Generation == d.Generation {
						n++
					}
				}
				after = e.Key
			}
			if n != want {
				t.Errorf("%d objects promised to %s; want %d", n, region, want)
			}
		}
	})
}

func TestHurriedJobsAreDue(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		enqueue(t, c, catalog.Job{Kind: "log", Key: "a", NotBefore: time.Now().Add(time.Hour)}, catalog.Job{Kind: "log", Key: "b"},
			catalog.Job{Kind: "copy", Key: "a", NotBefore: time.Now().Add(time.Hour)})
		if got := lease(t, c, "me", 10, "log", "copy"); len(got) != 1 || got[0].Key != "b" {
			t.Fatalf("leased %+v; want b alone", got)
		}
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.Hurry(ctx, "log") })
		if got := lease(t, c, "you", 10, "log", "copy"); len(got) != 1 || got[0].Key != "a" || got[0].Kind != "log" {
			t.Errorf("leased %+v; want the hurried one, and not the one that is leased", got)
		}
	})
}

// promised reads a page of one.
func promised(t *testing.T, c *catalog.Catalog, region, after string) (entries []audit.Entry, err error) {
	t.Helper()
	err = c.View(t.Context(), func(tx *catalog.Tx) error {
		entries, err = tx.Promised(t.Context(), region, after, 1)
		return err
	})
	return entries, err
}
