package vault

import (
	"context"
	"errors"
	"slices"
	"time"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/rights"
)

// Restriction keeps what is stored of a patient to storage and legal claims, as a decided
// case says: a record, sealed and replicated like a document. Uploads are stored; nobody
// reads, finds or gives out anything but the patient, their guardian, and whom the law
// gives it to.
type Restriction struct {
	ID       record.ObjectID     `json:"id"`
	Patient  record.PatientToken `json:"patient"`
	Case     record.ObjectID     `json:"case"`
	From     time.Time           `json:"from"`
	By       string              `json:"by"`
	Lifted   *time.Time          `json:"lifted,omitempty"`
	LiftedBy string              `json:"liftedBy,omitempty"`
	LiftCase record.ObjectID     `json:"liftCase,omitempty"`
}

// Types of records about restrictions.
const (
	recordRestriction    = "restriction"
	recordRestrictionEnd = "restriction-end"
)

// restrictionEnd is the record of a lifting.
type restrictionEnd struct {
	Restriction record.ObjectID `json:"restriction"`
	Case        record.ObjectID `json:"case"`
	Ended       time.Time       `json:"ended"`
	By          string          `json:"by"`
}

// Restrict limits the processing of a patient's documents, as a case of that kind that was
// granted says. It acts on the next request in every gateway. Acts of the guard:
// restriction.set.
func (v *Vault) Restrict(ctx context.Context, a record.Actor, p record.PatientToken, decided record.ObjectID) (Restriction, error) {
	now := v.cfg.Now().UTC().Truncate(time.Millisecond)
	r := Restriction{ID: record.NewObjectID(), Patient: p, Case: decided, From: now, By: a.ID}
	err := v.putRecord(ctx, act{Actor: a, Action: record.ActionRestrict, Patient: p, Object: r.ID}, r.ID, recordRestriction, r, func(tx *catalog.Tx) error {
		if err := grantedRestriction(ctx, tx, p, decided); err != nil {
			return err
		}
		all, err := tx.Restrictions(ctx, p)
		if err != nil {
			return err
		}
		for _, before := range all {
			if before.Case == decided || before.EndedCase == decided {
				return errCaseUsed()
			}
		}
		return tx.InsertRestriction(ctx, r.row())
	})
	return r, err
}

// Unrestrict lifts a restriction, as another case of that kind that was granted says.
// Unknown or lifted already: ErrNotFound. Acts of the guard: restriction.lift.
func (v *Vault) Unrestrict(ctx context.Context, a record.Actor, p record.PatientToken, id, decided record.ObjectID) error {
	end := restrictionEnd{Restriction: id, Case: decided, Ended: v.cfg.Now().UTC().Truncate(time.Millisecond), By: a.ID}
	return v.putRecord(ctx, act{Actor: a, Action: record.ActionUnrestrict, Patient: p, Object: id}, record.NewObjectID(), recordRestrictionEnd, end, func(tx *catalog.Tx) error {
		if err := grantedRestriction(ctx, tx, p, decided); err != nil {
			return err
		}
		all, err := tx.Restrictions(ctx, p)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(r catalog.Restriction) bool { return r.Case == decided || r.EndedCase == decided }) {
			return errCaseUsed()
		}
		return tx.EndRestriction(ctx, p, id, end.Ended, a.ID, decided)
	})
}

// grantedRestriction is nil when a case grants that the processing of the patient's
// documents is limited, or is no more.
func grantedRestriction(ctx context.Context, tx *catalog.Tx, p record.PatientToken, id record.ObjectID) error {
	c, err := tx.Case(ctx, id)
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return err
	}
	if err != nil || c.Patient != p || c.Kind != string(rights.Restriction) || c.State != string(rights.Decided) || !rights.Outcome(c.Outcome).Executes() {
		return record.Refuse(record.ErrInvalid, "case-needed", "name a case of this patient about a restriction that was granted and is not executed yet")
	}
	return nil
}

func errCaseUsed() error {
	return record.Refuse(record.ErrConflict, "case-used", "this case has set or lifted a restriction already: what is new is another case")
}

// restrictedBy is nil when a case of restriction has set or lifted one.
func (v *Vault) restrictedBy(ctx context.Context, c Case) error {
	done := false
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		p, err := tx.Patient(ctx, c.Patient)
		if err != nil {
			return err
		}
		if done = p.State == catalog.Erased; done { // nothing is left to be restricted
			return nil
		}
		all, err := tx.Restrictions(ctx, c.Patient)
		done = slices.ContainsFunc(all, func(r catalog.Restriction) bool { return r.Case == c.ID || r.EndedCase == c.ID })
		return err
	})
	if err != nil {
		return unavailable("catalog", err)
	}
	if !done {
		return record.Refuse(record.ErrConflict, "not-done", "restrict the patient, or lift a restriction, by this case first")
	}
	return nil
}

// Restrictions lists a patient's, the oldest first, those that were lifted included. Acts
// of the guard: restriction.list.
func (v *Vault) Restrictions(ctx context.Context, a record.Actor, p record.PatientToken) ([]Restriction, error) {
	list := []Restriction{}
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionRestricted, Patient: p}, func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) error {
		rows, err := tx.Restrictions(ctx, p)
		list = list[:0]
		for _, r := range rows {
			list = append(list, Restriction{ID: r.ID, Patient: r.Patient, Case: r.Case, From: r.From.UTC(), By: r.By, Lifted: r.Ended, LiftedBy: r.EndedBy, LiftCase: r.EndedCase})
		}
		return err
	})
	return list, err
}

func (r Restriction) row() catalog.Restriction {
	return catalog.Restriction{ID: r.ID, Patient: r.Patient, Case: r.Case, From: r.From, By: r.By, Ended: r.Lifted, EndedBy: r.LiftedBy, EndedCase: r.LiftCase}
}
