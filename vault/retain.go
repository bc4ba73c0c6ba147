package vault

import (
	"context"
	"errors"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// RetentionStatus says until when a patient's documents are kept, and from what that is
// counted: all of it times of acts, none of it clinical.
type RetentionStatus struct {
	Patient    record.PatientToken `json:"patient"`
	Last       time.Time           `json:"lastTreatment"`     // the last document stored, or the end of the last care relationship
	Ongoing    bool                `json:"ongoing,omitempty"` // somebody treats them now: it is counted anew every day
	Until      time.Time           `json:"until"`
	Categories []string            `json:"categories"`
	Documents  int64               `json:"documents"`
	Table      string              `json:"table"` // version of the table that says for how long
}

// retention works out until when a patient's documents are kept: from what was stored and
// from who treated them. Whatever is stored or ends later moves it.
func (v *Vault) retention(ctx context.Context, tx *catalog.Tx, p catalog.Patient) (RetentionStatus, error) {
	s := RetentionStatus{Patient: p.Token, Categories: []string{}, Table: v.cfg.Retention.Version}
	tr, err := tx.Treatment(ctx, p.Token, v.cfg.Now())
	if errors.Is(err, catalog.ErrNotFound) { // nothing is kept of them but that they were here
		tr, err = catalog.Treatment{Last: p.Created}, nil
	}
	if err != nil {
		return s, err
	}
	home := p.Country
	if home == "" {
		home = v.cfg.Home
	}
	s.Last, s.Ongoing, s.Documents = tr.Last.UTC(), tr.Ongoing, tr.Documents
	s.Categories = append(s.Categories, tr.Categories...)
	s.Until = v.cfg.Retention.Rule(home).Until(tr.Last.In(v.zone), tr.Categories...)
	return s, nil
}

// Sweep is one look at whose retention has ended.
type Sweep struct {
	ID        record.ObjectID       `json:"id,omitempty"` // names what was proposed; "" of a dry run
	Anonymize bool                  `json:"anonymize,omitempty"`
	Due       []RetentionStatus     `json:"due"`
	Held      []record.PatientToken `json:"held"` // whose retention has ended, and whom a legal hold keeps
	More      bool                  `json:"more,omitempty"`
}

// sweepMost is how many patients one sweep proposes.
const sweepMost = 500

// SweepRetention looks for patients whose retention has ended and proposes to erase, or to
// anonymize them, all with one record; with a dry run it only tells. Another person approves
// the whole. Whom a hold keeps, or somebody treats, is left alone. Acts of the guard:
// erasure.sweep.
func (v *Vault) SweepRetention(ctx context.Context, a record.Actor, dryRun, anonymize bool) (Sweep, error) {
	sweeping := act{Actor: a, Action: record.ActionEraseSweep}
	if err := v.may(ctx, sweeping); err != nil {
		return Sweep{}, err
	}
	s, err := v.due(ctx)
	if err != nil {
		return s, unavailable("catalog", err)
	}
	s.Anonymize = anonymize
	if dryRun || len(s.Due) == 0 {
		_, err := v.perform(ctx, sweeping, nil)
		return s, err
	}
	s.ID = record.NewObjectID()
	now := v.cfg.Now().UTC().Truncate(time.Millisecond)
	err = v.putHouseRecord(ctx, sweeping, s.ID, recordSweep, s, func(tx *catalog.Tx) error {
		for _, d := range s.Due {
			e := catalog.Erasure{ID: record.NewObjectID(), Patient: d.Patient, Anonymize: anonymize, Basis: EraseRetentionEnded, Sweep: s.ID,
				ProposedBy: a.ID, Proposed: now, State: catalog.ErasureProposed}
			if err := tx.PutErasure(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
	return s, err
}

// due lists whose retention has ended.
func (v *Vault) due(ctx context.Context) (Sweep, error) {
	s := Sweep{Due: []RetentionStatus{}, Held: []record.PatientToken{}}
	now := v.cfg.Now()
	// Whatever the category, nothing that came later can be due.
	before := now.AddDate(-v.cfg.Retention.Least(), 0, 0)
	for after := record.PatientToken(""); !s.More; {
		var page []record.PatientToken
		err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
			if page, err = tx.StoredBefore(ctx, before, after, rebuildPage); err != nil {
				return err
			}
			for _, token := range page {
				if err := v.dueOne(ctx, tx, token, now, &s); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || len(page) == 0 {
			return s, err
		}
		after, s.More = page[len(page)-1], len(s.Due) >= sweepMost
	}
	return s, nil
}

func (v *Vault) dueOne(ctx context.Context, tx *catalog.Tx, token record.PatientToken, now time.Time, s *Sweep) error {
	p, err := tx.Patient(ctx, token)
	if err != nil {
		return err
	}
	status, err := v.retention(ctx, tx, p)
	if err != nil || now.Before(status.Until) {
		return err
	}
	under, err := tx.Erasures(ctx, catalog.ErasureFilter{Patient: token})
	if err != nil {
		return err
	}
	for _, e := range under {
		if e.State == catalog.ErasureProposed || e.State == catalog.ErasureResealing {
			return nil // it waits for somebody, or is on its way
		}
	}
	err = v.notHeld(ctx, tx, token)
	if errors.Is(err, record.ErrConflict) {
		s.Held = append(s.Held, token)
		return nil
	}
	if err == nil {
		s.Due = append(s.Due, status)
	}
	return err
}

// recordSweep is the type of the house record of a sweep.
const recordSweep = "retention-sweep"

// SweepApproval is what came of approving a sweep.
type SweepApproval struct {
	Sweep    record.ObjectID `json:"sweep"`
	Approved []Erasure       `json:"approved"`
	Left     []SweepLeft     `json:"left"` // that are not due any more, or that something stands against by now
}

// SweepLeft is a patient of a sweep who was left alone, and why.
type SweepLeft struct {
	Erasure record.ObjectID     `json:"erasure"`
	Patient record.PatientToken `json:"patient"`
	Reason  string              `json:"reason"`
}

// ApproveSweep is the second person's word for all that a sweep proposed. Each patient is
// looked at once more. Acts of the guard: erasure.approve, for each of them.
func (v *Vault) ApproveSweep(ctx context.Context, a record.Actor, sweep record.ObjectID) (SweepApproval, error) {
	done := SweepApproval{Sweep: sweep, Approved: []Erasure{}, Left: []SweepLeft{}}
	if err := v.may(ctx, act{Actor: a, Action: record.ActionEraseSweep}); err != nil {
		return done, err
	}
	var rows []catalog.Erasure
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		rows, err = tx.Erasures(ctx, catalog.ErasureFilter{Sweep: sweep, State: catalog.ErasureProposed})
		return err
	})
	if err != nil {
		return done, unavailable("catalog", err)
	}
	if len(rows) == 0 {
		return done, record.Refuse(record.ErrNotFound, "no-sweep", "no erasure of this sweep waits for a second person")
	}
	for _, row := range rows {
		e, err := v.ApproveErasure(ctx, a, row.ID)
		refused := new(record.Refusal)
		switch {
		case err == nil:
			done.Approved = append(done.Approved, e)
		case errors.As(err, &refused) && refused.Code == "second-person":
			return done, err
		case errors.As(err, &refused) && refused.Kind != record.ErrUnavailable:
			done.Left = append(done.Left, SweepLeft{row.ID, row.Patient, refused.Code})
		default:
			return done, err
		}
	}
	return done, nil
}
