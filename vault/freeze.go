package vault

import (
	"context"
	"errors"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Freeze stops everything that could be done with a patient's documents, in every gateway
// from the next request on, until it is lifted: the guard reads the patient's state in the
// transaction of each decision. It is a house record, so that a rebuild freezes again.
type Freeze struct {
	ID       record.ObjectID     `json:"id"`
	Revision int64               `json:"revision"`
	Patient  record.PatientToken `json:"patient"`
	Reason   string              `json:"reason"` // a code, as "breach"
	Incident record.ObjectID     `json:"incident,omitempty"`
	Made     time.Time           `json:"made"`
	By       string              `json:"by"`
	Lifted   *time.Time          `json:"lifted,omitempty"`
	LiftedBy string              `json:"liftedBy,omitempty"`
}

func (f Freeze) row() catalog.Dossier {
	d := catalog.Dossier{ID: f.ID, Revision: f.Revision, Kind: recordFreeze, About: f.Patient, State: DossierOpen, Opened: f.Made, Closed: f.Lifted}
	if f.Lifted != nil {
		d.State = DossierClosed
	}
	return d
}

// FreezePatient freezes a patient; reason is a code, incident may be "". Frozen already:
// ErrConflict; unknown: ErrNotFound. Acts of the guard: patient.freeze, decided about the
// house, so that it can be done and undone whatever the patient's state.
func (v *Vault) FreezePatient(ctx context.Context, a record.Actor, p record.PatientToken, reason string, incident record.ObjectID) (Freeze, error) {
	freezing := act{Actor: a, Action: record.ActionFreeze}
	f := Freeze{ID: record.NewObjectID(), Revision: 1, Patient: p, Reason: reason, Incident: incident, Made: v.nowMillis(), By: a.ID}
	switch {
	case !isToken(p):
		return f, record.Refuse(record.ErrInvalid, "bad-patient", "name the patient by their token")
	case !code(reason):
		return f, record.Refuse(record.ErrInvalid, "bad-reason", "give a reason in lower-case words with hyphens, as breach: at most 40 characters")
	}
	if err := v.may(ctx, freezing); err != nil {
		return f, err
	}
	if err := v.mustKnow(ctx, a, record.ActionFreeze, p); err != nil {
		return f, err
	}
	err := v.putDossier(ctx, freezing, f, reason, func(tx *catalog.Tx) error {
		row, err := tx.LockPatient(ctx, p)
		if err != nil {
			return notFound(err)
		}
		if row.State != catalog.Active {
			return record.Refuse(record.ErrConflict, "not-active", "this patient is "+row.State+" already")
		}
		row.State = catalog.Frozen
		return tx.UpdatePatient(ctx, row)
	})
	return f, err
}

// ThawPatient lifts a freeze. A patient of whom records are lost stays frozen: a rebuild
// alone settles that. Not frozen by anybody: ErrNotFound.
func (v *Vault) ThawPatient(ctx context.Context, a record.Actor, p record.PatientToken) (f Freeze, err error) {
	thawing := act{Actor: a, Action: record.ActionThaw}
	if !isToken(p) {
		return f, record.Refuse(record.ErrInvalid, "bad-patient", "name the patient by their token")
	}
	if err := v.may(ctx, thawing); err != nil {
		return f, err
	}
	open, err := openDossiers[Freeze](ctx, v, catalog.DossierFilter{Kind: recordFreeze, About: p, Open: true})
	if err != nil {
		return f, err
	}
	if len(open) == 0 {
		return f, v.absent(ctx, a, record.ActionThaw)
	}
	f = open[0]
	now := v.nowMillis()
	f.Revision, f.Lifted, f.LiftedBy = f.Revision+1, &now, a.ID
	return f, v.putDossier(ctx, thawing, f, f.Reason, func(tx *catalog.Tx) error {
		row, err := tx.LockPatient(ctx, p)
		if err != nil {
			return notFound(err)
		}
		lost, err := lostRecords(ctx, tx, p)
		if err != nil || lost || row.State != catalog.Frozen {
			return err
		}
		row.State = catalog.Active
		return tx.UpdatePatient(ctx, row)
	})
}

// Freezes lists the patients who are frozen, the newest first; all: lifted ones too. Acts
// of the guard: incident.read.
func (v *Vault) Freezes(ctx context.Context, a record.Actor, all bool) ([]Freeze, error) {
	return listDossiers[Freeze](ctx, v, act{Actor: a, Action: record.ActionIncidentRead}, catalog.DossierFilter{Kind: recordFreeze, Open: !all})
}

// lostRecords says whether a rebuild found that records of a patient are missing.
func lostRecords(ctx context.Context, tx *catalog.Tx, p record.PatientToken) (bool, error) {
	lost, err := tx.RebuildFindings(ctx, everyRebuild, RebuildFrozen, catalog.RebuildFinding{}, 0)
	for _, f := range lost {
		if f.Patient == p {
			return true, err
		}
	}
	return false, err
}

// frozenByPerson says whether somebody has frozen the patient.
func frozenByPerson(ctx context.Context, tx *catalog.Tx, p record.PatientToken) (bool, error) {
	open, err := tx.Dossiers(ctx, catalog.DossierFilter{Kind: recordFreeze, About: p, Open: true})
	return len(open) > 0, err
}

// freezeAgain freezes whom somebody had frozen, after a rebuild has taken in every record.
func (r *rebuild) freezeAgain(ctx context.Context) error {
	return r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		open, err := tx.Dossiers(ctx, catalog.DossierFilter{Kind: recordFreeze, Open: true})
		if err != nil {
			return err
		}
		for _, f := range open {
			p, err := tx.Patient(ctx, f.About)
			if errors.Is(err, catalog.ErrNotFound) || err == nil && p.State != catalog.Active {
				continue
			}
			if err != nil {
				return err
			}
			p.State = catalog.Frozen
			leaf := r.leaf(ActionFrozen)
			leaf.Patient, leaf.Reason = p.Token, "frozen-by-person"
			if err := errors.Join(tx.UpdatePatient(ctx, p), appendLeaf(ctx, tx, leaf)); err != nil {
				return err
			}
		}
		return nil
	})
}
