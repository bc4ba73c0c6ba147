package catalog_test

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

func TestANewDocumentTakesThePlaceOfAnOldOne(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		old := newDocument(1, "1.1", "1.1.1", 1, catalog.Term{Level: catalog.LevelInstance, Value: "one"}, catalog.Term{Level: catalog.LevelStudy, Value: "study"})
		insert(t, c, old)
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.Promise(ctx, old.ID, []string{"a", "b"}) })
		next, last := old, old
		next.ID, last.ID = record.NewObjectID(), record.NewObjectID()
		next.Held, last.Rules = "held-for-review", "rules-2"
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.Supersede(ctx, old.ID, next) })
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.Supersede(ctx, next.ID, last) })
		again := old
		again.ID = record.NewObjectID()
		if err := c.Update(t.Context(), func(tx *catalog.Tx) error { return tx.Supersede(t.Context(), old.ID, again) }); !errors.Is(err, catalog.ErrChanged) {
			t.Errorf("Supersede of what was superseded = %v; want ErrChanged", err)
		}
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			for _, id := range []record.ObjectID{old.ID, next.ID, last.ID} {
				if current, err := tx.Current(ctx, id); current != last.ID || err != nil {
					t.Errorf("Current(%s) = %s, %v; want the newest", id, current, err)
				}
			}
			if _, err := tx.Document(ctx, old.ID); !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("the old document = %v; want ErrNotFound", err)
			}
			if d, err := tx.DocumentByInstance(ctx, old.Instance); d.ID != last.ID || d.Rules != "rules-2" || err != nil {
				t.Errorf("by instance: %s, %v; want the newest", d.ID, err)
			}
			if o, err := tx.Object(ctx, old.ID); len(o.Footer) != 0 || o.SupersededBy != last.ID || err != nil {
				t.Errorf("the old object keeps %d bytes, superseded by %s, %v; want nothing but the newest id", len(o.Footer), o.SupersededBy, err)
			}
			found, total, err := tx.Search(ctx, catalog.Search{Level: catalog.LevelInstance, AllOf: [][]string{{"one"}}})
			if err != nil || total != 1 || found[0].Sample != last.ID {
				t.Errorf("search finds %+v, %v; want the newest", found, err)
			}
			expected, err := tx.Accounts(ctx, "a", "", false, 10)
			if err != nil || len(expected) != 1 || !expected[0].Leaves {
				t.Errorf("Accounts = %+v, %v; want the old object, leaving", expected, err)
			}
			return nil
		})
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.Removed(ctx, old.ID, "a") })
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			if at, err := tx.Placements(ctx, old.ID); err != nil || len(at) != 1 {
				t.Errorf("placements = %v, %v; want only b", at, err)
			}
			return nil
		})
	})
}

func TestHeldDocumentsNewestFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		var want []record.ObjectID
		for n := range 5 {
			d := newDocument(1, "1.1", "1.1.1", n)
			d.Created = start.Add(time.Duration(n/2) * time.Minute) // some at the same time
			if d.Held = "held-for-review"; n == 0 {
				d.Held = ""
			}
			insert(t, c, d)
			if n == 1 {
				update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.Review(ctx, d.ID, record.NewObjectID()) })
			} else if n > 1 {
				want = append(want, d.ID)
			}
		}
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			var got []record.ObjectID
			var last time.Time
			for behind := (catalog.Place{}); ; {
				page, err := tx.Held(ctx, false, behind, 1)
				if err != nil || len(page) == 0 {
					if !sameIDs(got, want) {
						t.Errorf("held = %v, %v; want %v", got, err, want)
					}
					break
				}
				if got = append(got, page[0].ID); !last.IsZero() && page[0].Created.After(last) {
					t.Error("an older one came first")
				}
				last, behind = page[0].Created, catalog.Place{Time: page[0].Created, ID: page[0].ID}
			}
			if refused, err := tx.Held(ctx, true, catalog.Place{}, 10); err != nil || len(refused) != 1 {
				t.Errorf("refused = %v, %v; want one", refused, err)
			}
			return nil
		})
	})
}

func sameIDs(a, b []record.ObjectID) bool {
	count := make(map[record.ObjectID]int)
	for _, id := range a {
		count[id]++
	}
	for _, id := range b {
		count[id]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestARederivationListsWhatOtherRulesMade(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		rules := map[record.Kind]string{record.KindDICOM: "new", record.KindPDF: "pdf"}
		for n := range 3 {
			d := newDocument(1, "1.1", "1.1.1", n)
			if d.Rules = "old"; n == 2 {
				d.Rules = "new"
			}
			insert(t, c, d)
		}
		proposed := catalog.Rederivation{ID: string(record.NewObjectID()), Rules: "new", Reason: "table 2026e", ProposedBy: "dpo-1", Proposed: start}
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.InsertRederivation(ctx, proposed) })
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			return tx.ApproveRederivation(ctx, proposed.ID, "admin-1", start.Add(time.Hour))
		})
		for _, again := range []func(tx *catalog.Tx) error{
			func(tx *catalog.Tx) error { return tx.ApproveRederivation(t.Context(), proposed.ID, "admin-2", start) },
			func(tx *catalog.Tx) error {
				r := proposed
				r.Position = "elsewhere"
				return tx.AdvanceRederivation(t.Context(), r, nil)
			},
		} {
			if err := c.Update(t.Context(), again); !errors.Is(err, catalog.ErrChanged) {
				t.Errorf("again = %v; want ErrChanged", err)
			}
		}
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			r, err := tx.Rederivation(ctx, proposed.ID)
			if err != nil {
				return err
			}
			stale, err := tx.Stale(ctx, rules, r.Position, 10)
			if err != nil || len(stale) != 2 {
				t.Fatalf("stale = %v, %v; want two", stale, err)
			}
			if err := tx.AdvanceRederivation(ctx, r, stale); err != nil {
				return err
			}
			if err := tx.CountRederived(ctx, r.ID, 1, 1, 0); err != nil {
				return err
			}
			return tx.ByRules(ctx, stale[0], "new")
		})
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			r, err := tx.Rederivation(ctx, proposed.ID)
			if err != nil || r.Total != 2 || r.Superseded != 1 || r.Unchanged != 1 || r.Listed || r.ApprovedBy != "admin-1" {
				t.Errorf("rederivation = %+v, %v", r, err)
			}
			list, err := tx.Rederivations(ctx, 10)
			if err != nil || !reflect.DeepEqual(list, []catalog.Rederivation{r}) {
				t.Errorf("list = %+v, %v", list, err)
			}
			stale, err := tx.Stale(ctx, rules, "", 10)
			if err != nil || len(stale) != 1 {
				t.Errorf("still stale: %v, %v; want one", stale, err)
			}
			return nil
		})
	})
}
