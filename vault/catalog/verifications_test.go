package catalog_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

func TestAVerificationIsSavedAndEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		at := time.UnixMilli(1_700_000_000_000).UTC()
		v := catalog.Verification{ID: string(record.NewObjectID()), Actor: "op", Started: at, State: []byte("0")}
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.InsertVerification(ctx, v) })
		for i, found := range [][][]byte{{[]byte("a"), []byte("b")}, nil, {[]byte("c")}} {
			from := []int64{0, 2, 2}[i]
			update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
				return tx.SaveVerification(ctx, v.ID, []byte{byte('1' + i)}, from, found)
			})
		}
		// Saved, cut, and found again: the later word counts.
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			return tx.SaveVerification(ctx, v.ID, []byte("4"), 2, [][]byte{[]byte("d")})
		})
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			found, err := tx.VerificationFindings(ctx, v.ID, 1, 10)
			if err != nil || len(found) != 2 || string(found[0]) != "b" || string(found[1]) != "d" {
				t.Errorf("findings from 1 on = %q, %v; want b and d", found, err)
			}
			return nil
		})
		verified := catalog.Verified{Region: "north", Level: "list", At: at, Checked: 7, Findings: 3, Verification: v.ID}
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			return errors.Join(tx.EndVerification(ctx, v.ID, []byte("signed"), at.Add(time.Second)), tx.SetVerified(ctx, catalog.Verified{Region: "north", Level: "list"}), tx.SetVerified(ctx, verified))
		})
		for what, again := range map[string]func(ctx context.Context, tx *catalog.Tx) error{
			"saved": func(ctx context.Context, tx *catalog.Tx) error {
				return tx.SaveVerification(ctx, v.ID, []byte("5"), 0, nil)
			},
			"ended": func(ctx context.Context, tx *catalog.Tx) error { return tx.EndVerification(ctx, v.ID, nil, at) },
		} {
			err := c.Update(t.Context(), func(tx *catalog.Tx) error { return again(t.Context(), tx) })
			if !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("%s after its end: %v; want ErrNotFound", what, err)
			}
		}
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.SweepFindings(ctx, at.Add(time.Hour)) })
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			list, err := tx.Verifications(ctx, at.Add(time.Millisecond), 10)
			if err != nil || len(list) != 1 || string(list[0].State) != "4" || string(list[0].Report) != "signed" || !list[0].Ended.Equal(at.Add(time.Second)) {
				t.Errorf("Verifications = %+v, %v", list, err)
			}
			if list, err = tx.Verifications(ctx, at, 10); err != nil || len(list) != 0 {
				t.Errorf("Verifications before the first = %+v, %v", list, err)
			}
			if last, err := tx.LastVerified(ctx); err != nil || !slices.Equal(last, []catalog.Verified{verified}) {
				t.Errorf("LastVerified = %+v, %v; want %+v", last, err, verified)
			}
			if found, err := tx.VerificationFindings(ctx, v.ID, 0, 10); err != nil || len(found) > 0 {
				t.Errorf("swept findings = %q, %v", found, err)
			}
			_, err = tx.Verification(ctx, "unknown")
			if !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("an unknown verification = %v; want ErrNotFound", err)
			}
			return nil
		})
	})
}

func TestALeaseIsOneOwners(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		take := func(owner string, lease time.Duration) error {
			return c.Update(t.Context(), func(tx *catalog.Tx) error { return tx.TakeLease(t.Context(), "verify", owner, lease) })
		}
		for i, row := range []struct {
			owner string
			lease time.Duration
			want  error
		}{{"a", time.Hour, nil}, {"b", time.Hour, catalog.ErrChanged}, {"a", -time.Second, nil}, {"b", time.Hour, nil}, {"a", time.Hour, catalog.ErrChanged}} {
			if err := take(row.owner, row.lease); !errors.Is(err, row.want) {
				t.Errorf("%d: %s takes it: %v; want %v", i, row.owner, err, row.want)
			}
		}
		held := func() (held bool) {
			view(t, c, func(ctx context.Context, tx *catalog.Tx) (err error) {
				held, err = tx.Leased(ctx, "verify")
				return err
			})
			return held
		}
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.DropLease(ctx, "verify", "a") })
		if !held() {
			t.Error("a stranger has ended the lease")
		}
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.DropLease(ctx, "verify", "b") })
		if held() {
			t.Error("the lease has not ended")
		}
	})
}

func TestASchedulesRunAndAProposalAreKept(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		at := time.UnixMilli(1_700_000_000_000).UTC()
		want := catalog.VerifySchedule{Name: "read  1/30", Next: at, Runs: 3, Verification: "x"}
		for _, s := range []catalog.VerifySchedule{{Name: want.Name}, want} {
			update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.SetVerifySchedule(ctx, s) })
		}
		proposal := catalog.Proposal{Item: "item", By: "one", At: at}
		for _, by := range []string{"one", "two"} {
			update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
				return tx.Propose(ctx, catalog.Proposal{Item: "item", By: by, At: at})
			})
		}
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			if got, err := tx.VerifySchedule(ctx, want.Name); err != nil || got != want {
				t.Errorf("VerifySchedule = %+v, %v; want %+v", got, err, want)
			}
			if got, err := tx.VerifySchedule(ctx, "new"); err != nil || got != (catalog.VerifySchedule{Name: "new"}) {
				t.Errorf("one that never ran = %+v, %v", got, err)
			}
			if got, err := tx.Proposal(ctx, "item"); err != nil || got != proposal {
				t.Errorf("Proposal = %+v, %v; want the first", got, err)
			}
			return nil
		})
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error { return tx.DropProposal(ctx, "item") })
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			if _, err := tx.Proposal(ctx, "item"); !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("a dropped proposal = %v; want ErrNotFound", err)
			}
			return nil
		})
	})
}

func TestAccountsSayWhatProvesAnObject(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		p := newPatient(1)
		about := catalog.Object{ID: record.NewObjectID(), Class: catalog.ClassRecords, Patient: p.Token, Generation: 2, Seal: "seal", Kind: record.KindRecord,
			Size: 9, SHA256: [32]byte{1}, Footer: []byte("tail"), Created: time.UnixMilli(1_700_000_000_000).UTC()}
		nobody := about
		nobody.ID, nobody.Patient = record.NewObjectID(), "house-records"
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			if _, _, err := tx.EnsurePatient(ctx, p); err != nil {
				return err
			}
			for _, o := range []catalog.Object{about, nobody} {
				if err := errors.Join(tx.InsertRecord(ctx, o, "test"), tx.PlaceNew(ctx, o, []string{"north", "east"}, []string{"north"}, about.Created)); err != nil {
					return err
				}
			}
			return tx.SetFooter(ctx, about.ID, []byte("other tail"))
		})
		view(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			for _, region := range []string{"north", "east"} {
				list, err := tx.Accounts(ctx, region, "", true, 10)
				if err != nil || len(list) != 2 || list[0].Key() >= list[1].Key() {
					t.Fatalf("Accounts of %s = %+v, %v; want two in order of key", region, list, err)
				}
				for _, a := range list {
					if a.Placed != (region == "north") || a.Leaves || a.Generation != 2 || a.Seal != "seal" || !a.Created.Equal(about.Created) {
						t.Errorf("%s: account %+v", region, a)
					}
					want, tail := p.Country, "other tail"
					if a.ID == nobody.ID {
						want, tail = "", "tail"
					}
					if a.Country != want || string(a.Footer) != tail {
						t.Errorf("%s: country %q, tail %q; want %q, %q", region, a.Country, a.Footer, want, tail)
					}
				}
				behind, err := tx.Accounts(ctx, region, list[0].Key(), false, 10)
				if err != nil || len(behind) != 1 || behind[0].ID != list[1].ID || len(behind[0].Footer) != 0 {
					t.Errorf("Accounts behind the first = %+v, %v; want the second without its tail", behind, err)
				}
			}
			return nil
		})
	})
}
