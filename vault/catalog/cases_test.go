package catalog_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

func TestCasesRestrictionsAndDisclosures(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		c := db.open(t)
		first := catalog.Case{ID: record.NewObjectID(), Revision: 1, Record: record.NewObjectID(), Patient: token(1), Kind: "access", State: "open", Received: start, OpenedBy: "dpo-1"}
		second := catalog.Case{ID: record.NewObjectID(), Revision: 1, Record: record.NewObjectID(), Kind: "inquiry", State: "open", Received: start.Add(time.Hour), OpenedBy: "dpo-1"}
		closed := start.Add(2 * time.Hour)
		update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
			if err := errors.Join(tx.PutCase(ctx, first, false), tx.PutCase(ctx, second, false)); err != nil {
				return err
			}
			again := second
			again.Revision, again.State, again.Outcome, again.Closed = 2, "closed", "answered", &closed
			if err := tx.PutCase(ctx, again, false); err != nil {
				return err
			}
			if err := tx.PutCase(ctx, again, false); !errors.Is(err, catalog.ErrChanged) {
				t.Errorf("the same revision again: %v; want ErrChanged", err)
			}
			if err := tx.PutCase(ctx, second, true); err != nil { // an earlier one, from a region
				t.Errorf("an earlier revision: %v", err)
			}
			got, err := tx.Case(ctx, second.ID)
			if err != nil || got.State != "closed" || got.Closed == nil || !got.Closed.Equal(closed) {
				t.Errorf("Case = %+v, %v; want the later revision", got, err)
			}
			for name, row := range map[string]struct {
				filter catalog.CaseFilter
				want   int
			}{
				"open":             {catalog.CaseFilter{Limit: 10}, 1},
				"all":              {catalog.CaseFilter{Limit: 10, Closed: true}, 2},
				"the next page":    {catalog.CaseFilter{Limit: 10, Closed: true, After: first.ID}, 1},
				"of a patient":     {catalog.CaseFilter{Limit: 10, Closed: true, Patients: []record.PatientToken{token(1)}}, 1},
				"of nobody at all": {catalog.CaseFilter{Limit: 10, Closed: true, Patients: []record.PatientToken{}}, 0},
			} {
				if list, err := tx.Cases(ctx, row.filter); err != nil || len(list) != row.want {
					t.Errorf("%s: %d cases, %v; want %d", name, len(list), err, row.want)
				}
			}
			note := catalog.CaseNote{ID: record.NewObjectID(), Case: first.ID, Shown: true, At: start, By: "dpo-1"}
			if err := tx.InsertCaseNote(ctx, note); err != nil {
				return err
			}
			notes, err := tx.CaseNotes(ctx, first.ID)
			if err != nil || len(notes) != 1 || !notes[0].Shown || notes[0].ID != note.ID {
				t.Errorf("CaseNotes = %+v, %v", notes, err)
			}

			limit := catalog.Restriction{ID: record.NewObjectID(), Patient: token(1), Case: first.ID, From: start, By: "dpo-1"}
			if err := tx.InsertRestriction(ctx, limit); err != nil {
				return err
			}
			if on, err := tx.Restricted(ctx, token(1)); err != nil || !on {
				t.Errorf("Restricted = %v, %v", on, err)
			}
			if err := tx.EndRestriction(ctx, token(2), limit.ID, start, "dpo-1", first.ID); !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("another patient's restriction: %v; want ErrNotFound", err)
			}
			if err := tx.EndRestriction(ctx, token(1), limit.ID, closed, "dpo-1", first.ID); err != nil {
				return err
			}
			if on, err := tx.Restricted(ctx, token(1)); err != nil || on {
				t.Errorf("Restricted when lifted = %v, %v", on, err)
			}

			given := catalog.Disclosure{ID: record.NewObjectID(), Revision: 1, Record: record.NewObjectID(), Patient: token(1), State: "proposed", Proposed: start}
			if err := tx.PutDisclosure(ctx, given, false); err != nil {
				return err
			}
			given.Revision, given.State = 2, "approved"
			if err := tx.PutDisclosure(ctx, given, false); err != nil {
				return err
			}
			list, err := tx.Disclosures(ctx, "", 10)
			if err != nil || len(list) != 1 || list[0].State != "approved" {
				t.Errorf("Disclosures = %+v, %v", list, err)
			}

			for _, want := range []bool{true, false} {
				if once, err := tx.NoteAlarm(ctx, "case-overdue x", "case-overdue", "x", start); err != nil || once != want {
					t.Errorf("NoteAlarm = %v, %v; want %v", once, err, want)
				}
			}
			return nil
		})
	})
}
