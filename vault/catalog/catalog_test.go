package catalog_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"medvault/keys"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

var start = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func token(n int) record.PatientToken {
	const digits = "abcdefghijklmnopqrstuvwxyz234567"
	s := []byte("p" + strings.Repeat("a", 26))
	for i := len(s) - 1; n > 0; i-- {
		s[i] = digits[n%32]
		n /= 32
	}
	return record.PatientToken(s)
}

func newPatient(n int) catalog.Patient {
	return catalog.Patient{Token: token(n), Generation: 1, State: catalog.Active, Country: "CN", Created: start}
}

// newDocument makes instance number n of a series of a study of a patient.
func newDocument(patient int, study, series string, n int, terms ...catalog.Term) catalog.Document {
	id := record.NewObjectID()
	return catalog.Document{
		Object: catalog.Object{ID: id, Class: catalog.ClassObjects, Patient: token(patient), Generation: 1, Seal: "seal", Kind: record.KindDICOM,
			Size: int64(1000 + n), SHA256: sha256.Sum256([]byte(id)), Footer: []byte("footer"), Created: start},
		Study: study, Series: series, Instance: fmt.Sprintf("%s.%d", series, n),
		Fingerprint: "fp-" + string(id), Category: "imaging", Terms: terms, By: "someone",
	}
}

func insert(t testing.TB, c *catalog.Catalog, docs ...catalog.Document) {
	t.Helper()
	update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
		for _, d := range docs {
			if err := tx.InsertDocument(ctx, d); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestPatientIsEnsuredOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		p := newPatient(1)
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			if _, err := tx.Patient(ctx, p.Token); !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("unknown patient: %v; want ErrNotFound", err)
			}
			got, created, err := tx.EnsurePatient(ctx, p)
			if got != p || !created {
				t.Errorf("EnsurePatient = %+v, %t; want %+v, true", got, created, p)
			}
			return err
		})
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			other := p
			other.Generation, other.Country = 9, "SG"
			got, created, err := tx.EnsurePatient(ctx, other)
			if got != p || created {
				t.Errorf("again = %+v, %t; want %+v, false", got, created, p)
			}
			return err
		})
		p.Generation, p.State = 2, catalog.Erased
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.UpdatePatient(ctx, p) })
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			got, err := tx.LockPatient(ctx, p.Token)
			if got != p {
				t.Errorf("after UpdatePatient = %+v; want %+v", got, p)
			}
			return err
		})
	})
}

func TestFailedUpdateLeavesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		broken := errors.New("broken")
		err := c.Update(t.Context(), func(tx *catalog.Tx) error {
			if _, _, err := tx.EnsurePatient(t.Context(), newPatient(1)); err != nil {
				return err
			}
			return broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("Update = %v; want the function's own error", err)
		}
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			if _, err := tx.Patient(ctx, token(1)); !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("Patient = %v; want ErrNotFound", err)
			}
			return nil
		})
		err = c.View(t.Context(), func(tx *catalog.Tx) error {
			_, _, err := tx.EnsurePatient(t.Context(), newPatient(1))
			return err
		})
		if err == nil {
			t.Error("a View wrote")
		}
	})
}

func TestViewIsOneSnapshot(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c, other := db.open(t), db.open(t)
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			tx.Patient(ctx, token(1)) // the snapshot begins
			update(t, other, func(ctx context.Context, tx *catalog.Tx) error {
				_, _, err := tx.EnsurePatient(ctx, newPatient(1))
				return err
			})
			if _, err := tx.Patient(ctx, token(1)); !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("Patient = %v within the older snapshot; want ErrNotFound", err)
			}
			return nil
		})
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			_, err := tx.Patient(ctx, token(1))
			return err
		})
	})
}

func TestLockPatientKeepsOthersOut(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c, other := db.open(t), db.open(t)
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			_, _, err := tx.EnsurePatient(ctx, newPatient(1))
			return err
		})
		const each = 20
		var wg sync.WaitGroup
		for _, c := range []*catalog.Catalog{c, other, c, other} {
			wg.Go(func() {
				for range each {
					err := c.Update(t.Context(), func(tx *catalog.Tx) error {
						p, err := tx.LockPatient(t.Context(), token(1))
						if err != nil {
							return err
						}
						p.Generation++
						return tx.UpdatePatient(t.Context(), p)
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			p, err := tx.Patient(ctx, token(1))
			if p.Generation != 1+4*each {
				t.Errorf("generation %d; want %d: an update was lost", p.Generation, 1+4*each)
			}
			return err
		})
	})
}

func wrapRow(n int, kind keys.Kind, service string, version int, blob string) catalog.WrapRow {
	return catalog.WrapRow{Binding: keys.Binding{Kind: kind, Token: string(token(n)), Generation: 1}, Service: service,
		Wrap: keys.Wrap{Shard: "00", Version: version, Blob: blob}}
}

func TestAVaultHasBegunWithItsFirstKey(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		state := func() (begun bool, wraps int64) {
			view(t, c, func(ctx context.Context, tx *catalog.Tx) (err error) {
				if begun, err = tx.Begun(ctx); err == nil {
					wraps, err = tx.CountWraps(ctx, "east")
				}
				return err
			})
			return begun, wraps
		}
		if begun, wraps := state(); begun || wraps != 0 {
			t.Errorf("a new catalog: begun = %v, %d wraps; want neither", begun, wraps)
		}
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			_, _, err := tx.FixWraps(ctx, []catalog.WrapRow{wrapRow(1, keys.Content, "east", 1, "blob"), wrapRow(1, keys.Content, "north", 1, "blob")})
			return err
		})
		if begun, wraps := state(); !begun || wraps != 1 {
			t.Errorf("with a key: begun = %v, %d wraps of east; want true, 1", begun, wraps)
		}
	})
}

func TestFixWrapsHasOneWinner(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		catalogs := []*catalog.Catalog{db.open(t), db.open(t)}
		for n := range 10 {
			var wg sync.WaitGroup
			var winners atomic.Int32
			const racers = 6
			seen := make([][]catalog.WrapRow, racers)
			for i := range racers {
				wg.Go(func() {
					blob := fmt.Sprintf("racer %d", i)
					// Different services, so that rows of two racers could mix.
					mine := []catalog.WrapRow{wrapRow(n, keys.Content, "a", 1, blob), wrapRow(n, keys.Identity, fmt.Sprintf("b%d", i), 1, blob)}
					var won bool
					err := catalogs[i%2].Update(t.Context(), func(tx *catalog.Tx) (err error) {
						won, seen[i], err = tx.FixWraps(t.Context(), mine)
						return err
					})
					if err != nil {
						t.Error(err)
					}
					if won {
						winners.Add(1)
						if !reflect.DeepEqual(seen[i], mine) {
							t.Errorf("the winner reads %v; want %v", seen[i], mine)
						}
					}
				})
			}
			wg.Wait()
			if winners.Load() != 1 {
				t.Fatalf("%d winners; want 1", winners.Load())
			}
			for i := range seen {
				if !reflect.DeepEqual(seen[i], seen[0]) {
					t.Fatalf("racers read different wraps: %v and %v", seen[0], seen[i])
				}
			}
		}
	})
}

func TestWrapBelowTheShardsVersionIsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			_, _, err := tx.FixWraps(ctx, []catalog.WrapRow{wrapRow(1, keys.Content, "a", 1, "old")})
			return errors.Join(err, tx.SetShard(ctx, "a", keys.Content, "00", 2))
		})
		attempts := map[string]func(context.Context, *catalog.Tx) error{
			"fix": func(ctx context.Context, tx *catalog.Tx) error {
				_, _, err := tx.FixWraps(ctx, []catalog.WrapRow{wrapRow(2, keys.Content, "a", 1, "x")})
				return err
			},
			"add": func(ctx context.Context, tx *catalog.Tx) error {
				return tx.AddWraps(ctx, []catalog.WrapRow{wrapRow(3, keys.Content, "a", 1, "x")})
			},
			"replace": func(ctx context.Context, tx *catalog.Tx) error {
				return tx.ReplaceWrap(ctx, wrapRow(1, keys.Content, "a", 1, "x"))
			},
			"lower the shard": func(ctx context.Context, tx *catalog.Tx) error {
				return tx.SetShard(ctx, "a", keys.Content, "00", 1)
			},
		}
		for name, try := range attempts {
			err := c.Update(t.Context(), func(tx *catalog.Tx) error { return try(t.Context(), tx) })
			if !errors.Is(err, catalog.ErrChanged) {
				t.Errorf("%s: %v; want ErrChanged", name, err)
			}
		}
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			if err := tx.AddWraps(ctx, []catalog.WrapRow{wrapRow(1, keys.Content, "b", 1, "other service")}); err != nil {
				return err
			}
			return tx.ReplaceWrap(ctx, wrapRow(1, keys.Content, "a", 2, "new"))
		})
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			got, err := tx.Wraps(ctx, string(token(1)), 1)
			want := []catalog.WrapRow{wrapRow(1, keys.Content, "a", 2, "new"), wrapRow(1, keys.Content, "b", 1, "other service")}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("Wraps = %v; want %v", got, want)
			}
			for service, want := range map[string]int{"a": 2, "b": 0, "none": 0} {
				if v, err := tx.Shard(ctx, service, keys.Content, "00"); v != want || err != nil {
					t.Errorf("Shard(%s) = %d, %v; want %d", service, v, err, want)
				}
			}
			return err
		})
		err := c.Update(t.Context(), func(tx *catalog.Tx) error {
			return tx.ReplaceWrap(t.Context(), wrapRow(7, keys.Content, "a", 2, "x"))
		})
		if !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("replace an absent wrap: %v; want ErrNotFound", err)
		}
	})
}

func TestShardWrapsWalksAShard(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		var want []string
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			for n := range 5 {
				for g := range 2 {
					row := wrapRow(n, keys.Content, "a", 1+n%2, "x")
					row.Generation = uint32(9 + g) // 9 and 10: by number, not by letter
					if _, _, err := tx.FixWraps(ctx, []catalog.WrapRow{row}); err != nil {
						return err
					}
					if row.Version < 2 {
						want = append(want, row.After())
					}
				}
			}
			return nil
		})
		var got []string
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			got = nil
			for after := ""; ; {
				rows, err := tx.ShardWraps(ctx, "a", keys.Content, "00", 2, after, 2)
				if err != nil || len(rows) == 0 {
					return err
				}
				for _, r := range rows {
					after = r.After()
					got = append(got, after)
				}
			}
		})
		if !slices.Equal(got, want) {
			t.Errorf("ShardWraps = %v; want %v", got, want)
		}
	})
}

func TestDocumentComesBack(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		d := newDocument(1, "2.25.1", "2.25.11", 1, catalog.Term{Level: catalog.LevelPatient, Value: "name"})
		d.Held = "held-for-review"
		insert(t, c, d)
		want := d
		want.Terms = nil
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			byID, err1 := tx.Document(ctx, d.ID)
			byInstance, err2 := tx.DocumentByInstance(ctx, d.Instance)
			byFingerprint, err3 := tx.DocumentByFingerprint(ctx, d.Patient, d.Fingerprint)
			for _, got := range []catalog.Document{byID, byInstance, byFingerprint} {
				if !reflect.DeepEqual(got, want) {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
			}
			if obj, err := tx.Object(ctx, d.ID); !reflect.DeepEqual(obj, d.Object) {
				t.Errorf("Object = %+v, %v; want %+v", obj, err, d.Object)
			}
			return errors.Join(err1, err2, err3)
		})
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			_, err1 := tx.Document(ctx, record.NewObjectID())
			_, err2 := tx.DocumentByInstance(ctx, "")
			_, err3 := tx.DocumentByFingerprint(ctx, token(2), d.Fingerprint) // another patient's
			for _, err := range []error{err1, err2, err3} {
				if !errors.Is(err, catalog.ErrNotFound) {
					t.Errorf("got %v; want ErrNotFound", err)
				}
			}
			return nil
		})
	})
}

func TestTakenInstanceOrFingerprintIsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		first := newDocument(1, "2.25.1", "2.25.11", 1)
		pdf := newDocument(1, "", "", 0)
		pdf.Instance = ""
		insert(t, c, first, pdf)

		sameInstance := newDocument(2, "2.25.2", "2.25.11", 1)
		sameBytes := newDocument(1, "", "", 0)
		sameBytes.Instance, sameBytes.Fingerprint = "", pdf.Fingerprint
		for name, d := range map[string]catalog.Document{"instance": sameInstance, "fingerprint": sameBytes, "id": first} {
			update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
				if err := tx.InsertDocument(ctx, d); !errors.Is(err, catalog.ErrExist) {
					t.Errorf("%s taken: %v; want ErrExist", name, err)
				}
				// The transaction goes on.
				_, err := tx.DocumentByInstance(ctx, first.Instance)
				return err
			})
		}
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			if _, err := tx.Object(ctx, sameBytes.ID); !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("a refused document left its object: %v", err)
			}
			return nil
		})
		// Another PDF without UIDs, and another patient's with the same bytes, are fine.
		other, otherPatient := newDocument(1, "", "", 0), newDocument(2, "", "", 0)
		other.Instance, otherPatient.Instance, otherPatient.Fingerprint = "", "", pdf.Fingerprint
		insert(t, c, other, otherPatient)
	})
}

func TestOneOfManyStoresOfAnInstanceWins(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		catalogs := []*catalog.Catalog{db.open(t), db.open(t)}
		var wg sync.WaitGroup
		var stored, refused atomic.Int32
		for i := range 8 {
			wg.Go(func() {
				terms := []catalog.Term{{Level: catalog.LevelPatient, Value: "a"}, {Level: catalog.LevelStudy, Value: "b"}}
				if i%2 == 0 {
					slices.Reverse(terms)
				}
				d := newDocument(1, "2.25.1", "2.25.11", 1, terms...)
				err := catalogs[i%2].Update(t.Context(), func(tx *catalog.Tx) error { return tx.InsertDocument(t.Context(), d) })
				switch {
				case err == nil:
					stored.Add(1)
				case errors.Is(err, catalog.ErrExist):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if stored.Load() != 1 || refused.Load() != 7 {
			t.Errorf("%d stored, %d refused; want 1 and 7", stored.Load(), refused.Load())
		}
	})
}

func TestTermNeedsItsOwner(t *testing.T) {
	c := sqliteDatabase(t).open(t)
	pdf := newDocument(1, "", "", 0, catalog.Term{Level: catalog.LevelStudy, Value: "x"})
	wrong := newDocument(1, "2.25.1", "2.25.2", 0, catalog.Term{Level: "hospital", Value: "x"})
	for _, d := range []catalog.Document{pdf, wrong} {
		if err := c.Update(t.Context(), func(tx *catalog.Tx) error { return tx.InsertDocument(t.Context(), d) }); err == nil {
			t.Errorf("a term of level %q was stored", d.Terms[0].Level)
		}
	}
}

func TestDocumentsOfAScope(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		a := newDocument(1, "2.25.1", "2.25.11", 1)
		b := newDocument(1, "2.25.1", "2.25.12", 1)
		d := newDocument(2, "2.25.2", "2.25.21", 1)
		pdf := newDocument(1, "", "", 0)
		pdf.Instance = ""
		insert(t, c, d, b, a, pdf)
		tests := []struct {
			scope catalog.Scope
			want  []record.ObjectID
		}{
			{catalog.Scope{Study: "2.25.1"}, []record.ObjectID{a.ID, b.ID}},
			{catalog.Scope{Study: "2.25.1", Series: "2.25.12"}, []record.ObjectID{b.ID}},
			{catalog.Scope{Study: "2.25.1", Series: "2.25.11", Instance: a.Instance}, []record.ObjectID{a.ID}},
			{catalog.Scope{Instance: d.Instance}, []record.ObjectID{d.ID}},
			{catalog.Scope{Study: "2.25.1", Instance: d.Instance}, nil},
			{catalog.Scope{Document: pdf.ID}, []record.ObjectID{pdf.ID}},
			{catalog.Scope{Patient: token(1)}, []record.ObjectID{pdf.ID, a.ID, b.ID}},
			{catalog.Scope{Patient: token(2), Study: "2.25.1"}, nil},
		}
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			for _, test := range tests {
				docs, err := tx.Documents(ctx, test.scope)
				if err != nil {
					return err
				}
				var got []record.ObjectID
				for _, d := range docs {
					got = append(got, d.ID)
					if len(d.Footer) == 0 || d.SHA256 == [32]byte{} {
						t.Errorf("%s has no footer or hash", d.ID)
					}
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("Documents(%+v) = %v; want %v", test.scope, got, test.want)
				}
			}
			if _, err := tx.Documents(ctx, catalog.Scope{}); err == nil {
				t.Error("the empty scope listed everything")
			}
			return nil
		})
	})
}

// placed is what a region must hold of one object.
type placed struct {
	Key    string
	ID     record.ObjectID
	Size   int64
	SHA256 [32]byte
	Placed bool
}

func TestPlacementsAndAccounts(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		var want []placed
		for n := range 7 {
			d := newDocument(1, "2.25.1", "2.25.11", n)
			insert(t, c, d)
			want = append(want, placed{Key: d.Key(), ID: d.ID, Size: d.Size, SHA256: d.SHA256, Placed: n%2 == 0})
		}
		rec := newDocument(1, "", "", 90).Object
		rec.Class, rec.Kind = catalog.ClassRecords, record.KindRecord
		want = append(want, placed{Key: rec.Key(), ID: rec.ID, Size: rec.Size, SHA256: rec.SHA256})
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			if err := tx.InsertRecord(ctx, rec, "care"); err != nil {
				return err
			}
			for _, e := range want {
				if err := tx.Promise(ctx, e.ID, []string{"north", "east"}); err != nil {
					return err
				}
				if e.Placed {
					if err := tx.Placed(ctx, e.ID, "north", start); err != nil {
						return err
					}
				}
			}
			return tx.Promise(ctx, want[0].ID, []string{"north"}) // again: stays placed
		})
		slices.SortFunc(want, func(a, b placed) int { return strings.Compare(a.Key, b.Key) })

		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			var got []placed
			for after := ""; ; after = got[len(got)-1].Key {
				page, err := tx.Accounts(ctx, "north", after, false, 3)
				if err != nil {
					return err
				}
				if len(page) == 0 {
					break
				}
				for _, e := range page {
					got = append(got, placed{e.Key(), e.ID, e.Size, e.SHA256, e.Placed})
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("Accounts = %v; want %v", got, want)
			}
			var bytes int64
			for _, e := range want {
				if e.Placed {
					bytes += e.Size
				}
			}
			objects, size, pending, err := tx.RegionStats(ctx, "north")
			if objects != 4 || size != bytes || pending != 4 {
				t.Errorf("RegionStats = %d, %d, %d; want 4, %d, 4", objects, size, pending, bytes)
			}
			if objects, size, pending, _ := tx.RegionStats(ctx, "nowhere"); objects != 0 || size != 0 || pending != 0 {
				t.Error("a region without objects has some")
			}
			placed, err2 := tx.Placements(ctx, rec.ID)
			if !reflect.DeepEqual(placed, map[string]bool{"north": false, "east": false}) {
				t.Errorf("Placements = %v", placed)
			}
			return errors.Join(err, err2)
		})
		for name, try := range map[string]func(*catalog.Tx) error{
			"promise an unknown object": func(tx *catalog.Tx) error { return tx.Promise(t.Context(), record.NewObjectID(), []string{"north"}) },
			"placed where not promised": func(tx *catalog.Tx) error { return tx.Placed(t.Context(), rec.ID, "sg-1", start) },
		} {
			if err := c.Update(t.Context(), try); !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("%s: %v; want ErrNotFound", name, err)
			}
		}
	})
}

func TestCare(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		until := start.Add(time.Hour)
		open := catalog.Care{ID: record.NewObjectID(), Patient: token(1), Clinician: "dr", From: start, Origin: "manual", By: "admin"}
		bounded := catalog.Care{ID: record.NewObjectID(), Patient: token(2), Clinician: "dr", From: start.Add(time.Second), Until: &until, Origin: "manual", By: "admin"}
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			return errors.Join(tx.InsertCare(ctx, open), tx.InsertCare(ctx, bounded))
		})
		ask := func(at time.Time) (got []record.PatientToken) {
			view(t, c, func(ctx context.Context, tx *catalog.Tx) (err error) {
				if got, err = tx.TreatedBy(ctx, "dr", at); err != nil {
					return err
				}
				for n := range 3 {
					treats, err := tx.Treats(ctx, "dr", token(n), at)
					if err != nil || treats != slices.Contains(got, token(n)) {
						t.Errorf("Treats(%d) = %t, %v; TreatedBy says %v", n, treats, err, got)
					}
				}
				return nil
			})
			return got
		}
		end := start.Add(30 * time.Minute)
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			if err := tx.EndCare(ctx, token(2), open.ID, end, "admin"); !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("EndCare under another patient: %v; want ErrNotFound", err)
			}
			return tx.EndCare(ctx, token(1), open.ID, end, "admin")
		})
		for _, test := range []struct {
			at   time.Time
			want []record.PatientToken
		}{
			{start.Add(-time.Second), nil},
			{start, []record.PatientToken{token(1)}},
			{start.Add(time.Minute), []record.PatientToken{token(1), token(2)}},
			{end, []record.PatientToken{token(2)}},
			{until, nil},
		} {
			if got := ask(test.at); !slices.Equal(got, test.want) {
				t.Errorf("treated at %s: %v; want %v", test.at.Format(time.TimeOnly), got, test.want)
			}
		}
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			got, err := tx.Cares(ctx, token(1))
			open.Ended = &end
			if !reflect.DeepEqual(got, []catalog.Care{open}) {
				t.Errorf("Cares = %+v; want %+v", got, open)
			}
			return err
		})
	})
}
