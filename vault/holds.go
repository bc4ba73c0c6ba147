package vault

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Types of records about legal holds. Reason and authority are sealed under the patient's
// keys: they may name the patient.
const (
	recordHold    = "hold"
	recordHoldEnd = "hold-end"
)

// Hold is a legal hold: while it stands, nothing of the patient is destroyed. It does not
// end by itself.
type Hold struct {
	ID        record.ObjectID     `json:"id"`
	Patient   record.PatientToken `json:"patient"`
	Reason    string              `json:"reason,omitempty"`
	Authority string              `json:"authority,omitempty"` // court, prosecutor, insurer: who asked for it
	Reference string              `json:"reference,omitempty"` // of the authority
	Review    time.Time           `json:"review"`              // when somebody looks whether it is still needed
	Overdue   bool                `json:"overdue,omitempty"`   // the review is
	By        string              `json:"by"`
	Placed    time.Time           `json:"placed"`
	Lifted    *time.Time          `json:"lifted,omitempty"`
	LiftedBy  string              `json:"liftedBy,omitempty"`
}

// NewHold is a hold that is to be placed. All but Reference is required.
type NewHold struct {
	Reason    string    `json:"reason"`
	Authority string    `json:"authority"`
	Reference string    `json:"reference,omitempty"`
	Review    time.Time `json:"review"`
}

type holdEnd struct {
	Hold   record.ObjectID `json:"hold"`
	Lifted time.Time       `json:"lifted"`
	By     string          `json:"by"`
	Reason string          `json:"reason"`
}

// AddHold puts a legal hold on a patient. Acts of the guard: hold.add.
func (v *Vault) AddHold(ctx context.Context, a record.Actor, p record.PatientToken, n NewHold) (Hold, error) {
	now := v.cfg.Now().UTC().Truncate(time.Millisecond)
	h := Hold{ID: record.NewObjectID(), Patient: p, Reason: n.Reason, Authority: n.Authority, Reference: n.Reference, Review: n.Review.UTC().Truncate(time.Millisecond), By: a.ID, Placed: now}
	refuse := func(code, advice string) (Hold, error) { return Hold{}, record.Refuse(record.ErrInvalid, code, advice) }
	switch {
	case !wordsWithin(n.Reason, 3, 1000):
		return refuse("bad-reason", "say in 3 to 1000 characters why nothing may be destroyed")
	case !wordsWithin(n.Authority, 2, 200):
		return refuse("bad-authority", "name in 2 to 200 characters who asked for it")
	case n.Reference != "" && !wordsWithin(n.Reference, 1, 200):
		return refuse("bad-reference", "a reference has at most 200 characters")
	case !n.Review.After(now):
		return refuse("bad-review", "review is when somebody looks again whether the hold is needed: a time in the future")
	}
	err := v.putRecord(ctx, act{Actor: a, Action: record.ActionHoldAdd, Patient: p, Object: h.ID}, h.ID, recordHold, h, func(tx *catalog.Tx) error {
		return tx.InsertHold(ctx, h.row())
	})
	return h, err
}

// wordsWithin says whether a text of people has so many characters.
func wordsWithin(text string, least, most int) bool {
	n := utf8.RuneCountInString(text)
	return utf8.ValidString(text) && text == strings.TrimSpace(text) && n >= least && n <= most
}

func (h Hold) row() catalog.Hold {
	return catalog.Hold{ID: h.ID, Patient: h.Patient, Review: h.Review, By: h.By, Placed: h.Placed, Lifted: h.Lifted, LiftedBy: h.LiftedBy}
}

// LiftHold ends a hold, with a reason that is sealed with its end. Unknown or lifted
// already: ErrNotFound. Acts of the guard: hold.lift.
func (v *Vault) LiftHold(ctx context.Context, a record.Actor, p record.PatientToken, id record.ObjectID, reason string) error {
	if !wordsWithin(reason, 3, 1000) {
		return record.Refuse(record.ErrInvalid, "bad-reason", "say in 3 to 1000 characters why the hold is lifted")
	}
	end := holdEnd{Hold: id, Lifted: v.cfg.Now().UTC().Truncate(time.Millisecond), By: a.ID, Reason: reason}
	return v.putRecord(ctx, act{Actor: a, Action: record.ActionHoldLift, Patient: p, Object: id}, record.NewObjectID(), recordHoldEnd, end, func(tx *catalog.Tx) error {
		return tx.LiftHold(ctx, p, id, end.Lifted, a.ID)
	})
}

// Holds lists a patient's holds with their reasons, lifted ones included. Acts of the
// guard: hold.list.
func (v *Vault) Holds(ctx context.Context, a record.Actor, p record.PatientToken) ([]Hold, error) {
	var rows []catalog.Hold
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionHoldList, Patient: p}, func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) (err error) {
		rows, err = tx.Holds(ctx, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	list := make([]Hold, len(rows))
	for i, row := range rows {
		if err := v.readHouseRecord(ctx, row.ID, &list[i]); err != nil {
			return nil, err
		}
		list[i].Lifted, list[i].LiftedBy = row.Lifted, row.LiftedBy
		list[i].Overdue = row.Lifted == nil && !v.cfg.Now().Before(row.Review)
	}
	return list, nil
}

// notHeld refuses while a hold stands on a patient.
func (v *Vault) notHeld(ctx context.Context, tx *catalog.Tx, p record.PatientToken) error {
	all, err := tx.Holds(ctx, p)
	if err != nil {
		return err
	}
	var last time.Time
	for _, h := range all {
		if h.Lifted == nil && h.Review.After(last) {
			last = h.Review
		}
	}
	if last.IsZero() {
		return nil
	}
	return record.Refuse(record.ErrConflict, "legal-hold", "a legal hold stands, to be reviewed on "+last.In(v.zone).Format(time.DateOnly)+": it has to be lifted first (medvault hold)")
}
