package vault

import (
	"cmp"
	"context"
	"errors"
	"time"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
)

// Care is one care relationship: a record, sealed and replicated like a document.
type Care struct {
	ID        record.ObjectID     `json:"id"`
	Patient   record.PatientToken `json:"patient"`
	Clinician string              `json:"clinician"`
	Role      string              `json:"role,omitempty"`      // as what: "attending", "nurse", a code of the sender's
	Essential bool                `json:"essential,omitempty"` // the treatment cannot go on without them
	From      time.Time           `json:"from"`
	Until     *time.Time          `json:"until,omitempty"`
	Ended     *time.Time          `json:"ended,omitempty"`
	Origin    string              `json:"origin"` // "manual", "dev-auto-care", "fhir-care-team", "fhir-encounter"
	By        string              `json:"by"`
}

// AddCare states that a clinician treats a patient from now until then (zero: open).
// Acts of the guard: care.add. Unknown patient: ErrNotFound.
func (v *Vault) AddCare(ctx context.Context, a record.Actor, p record.PatientToken, clinician string, until time.Time) (Care, error) {
	return v.StateCare(ctx, a, p, NewCare{Clinician: clinician, Until: until})
}

// NewCare is a care relationship that somebody states.
type NewCare struct {
	Clinician string    // required: the subject of their identity
	Role      string    // as what
	Essential bool      // the treatment cannot go on without them
	From      time.Time // zero: now; it may lie before or after that
	Until     time.Time // zero: open
	Origin    string    // default "manual"
}

// StateCare is AddCare with everything that can be said.
func (v *Vault) StateCare(ctx context.Context, a record.Actor, p record.PatientToken, n NewCare) (Care, error) {
	now := v.cfg.Now()
	c := Care{ID: record.NewObjectID(), Patient: p, Clinician: n.Clinician, Role: n.Role, Essential: n.Essential, From: n.From,
		Origin: cmp.Or(n.Origin, "manual"), By: a.ID}
	if c.From.IsZero() {
		c.From = now
	}
	switch {
	case !name(c.Clinician, 1, 255):
		return Care{}, record.Refuse(record.ErrInvalid, "missing-clinician", "name the clinician by the subject of their identity")
	case !name(c.Role, 0, 64):
		return Care{}, record.Refuse(record.ErrInvalid, "bad-role", "a role in the care has at most 64 characters")
	case n.Until.IsZero():
	case !n.Until.After(now):
		return Care{}, record.Refuse(record.ErrInvalid, "until-in-the-past", "until must lie in the future")
	case !n.Until.After(c.From):
		return Care{}, record.Refuse(record.ErrInvalid, "until-before-from", "until must lie behind from")
	default:
		c.Until = &n.Until
	}
	return c, v.addCare(ctx, act{Actor: a, Action: record.ActionCareAdd, Patient: p, Object: c.ID}, c)
}

// errTreated: an automatic relationship is not needed any more.
var errTreated = errors.New("somebody treats the patient already")

func (v *Vault) addCare(ctx context.Context, a act, c Care) error {
	return v.putRecord(ctx, a, c.ID, "care", c, func(tx *catalog.Tx) error {
		if c.Origin == originAutoCare { // two first uploads may come at once
			cares, err := tx.Cares(ctx, c.Patient)
			if err != nil {
				return err
			}
			if len(cares) > 0 {
				return errTreated
			}
		}
		return tx.InsertCare(ctx, c.row())
	})
}

func (c Care) row() catalog.Care {
	return catalog.Care{ID: c.ID, Patient: c.Patient, Clinician: c.Clinician, Role: c.Role, Essential: c.Essential,
		From: c.From, Until: c.Until, Ended: c.Ended, Origin: c.Origin, By: c.By}
}

// EndCare ends a care relationship now. The next read by that clinician is refused.
// The end is a record of its own; the relationship's first record stays.
func (v *Vault) EndCare(ctx context.Context, a record.Actor, p record.PatientToken, id record.ObjectID) error {
	end := careEnd{Care: id, Ended: v.cfg.Now(), By: a.ID}
	return v.putRecord(ctx, act{Actor: a, Action: record.ActionCareEnd, Patient: p, Object: id}, record.NewObjectID(), "care-end", end, func(tx *catalog.Tx) error {
		return tx.EndCare(ctx, p, id, end.Ended, a.ID)
	})
}

type careEnd struct {
	Care  record.ObjectID `json:"care"`
	Ended time.Time       `json:"ended"`
	By    string          `json:"by"`
}

// ListCare lists a patient's care relationships, ended ones included.
func (v *Vault) ListCare(ctx context.Context, a record.Actor, p record.PatientToken) ([]Care, error) {
	var rows []catalog.Care
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionCareList, Patient: p},
		func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) (err error) {
			if _, err := tx.Patient(ctx, p); err != nil {
				return notFound(err)
			}
			rows, err = tx.Cares(ctx, p)
			return err
		})
	if err != nil {
		return nil, err
	}
	list := make([]Care, 0, len(rows))
	for _, c := range rows {
		list = append(list, Care{ID: c.ID, Patient: c.Patient, Clinician: c.Clinician, Role: c.Role, Essential: c.Essential, From: c.From,
			Until: c.Until, Ended: c.Ended, Origin: c.Origin, By: c.By})
	}
	return list, nil
}

// putRecord seals a record about a patient, places it like a document and commits it
// with what it changes. The guard decides before anything is written, and again in
// the transaction that makes the record count. An act on another object than the
// record has a leaf of its own beside the record's.
func (v *Vault) putRecord(ctx context.Context, a act, id record.ObjectID, recordType string, value any, change func(tx *catalog.Tx) error) error {
	var p catalog.Patient
	var said []consent.Statement
	var d access.Decision
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if d, err = v.decide(ctx, tx, a); err != nil || !d.Allow {
			return err
		}
		if p, err = tx.Patient(ctx, a.Patient); err != nil {
			return notFound(err)
		}
		if !aboutConsent(recordType) {
			said, err = tx.Consents(ctx, a.Patient)
		}
		return err
	})
	if err != nil {
		return err
	}
	if !d.Allow {
		return v.refuse(ctx, a)
	}
	k, err := v.openKeys(ctx, p)
	if errors.Is(err, errNoWraps) {
		return record.ErrNotFound // a patient nothing is stored of
	}
	if err != nil {
		return err
	}
	s, err := v.sealRecord(k, id, label{Type: recordType, At: v.cfg.Now().UTC(), Country: p.Country}, value)
	if err != nil {
		return err
	}
	defer s.close()
	permitted := v.permitted(p, said...)
	placed, err := v.place(ctx, s, k, v.near(p, permitted))
	if err != nil {
		return err
	}
	// A crash before this line leaves only unreferenced objects.
	o := v.row(s, record.KindRecord, nil)
	_, err = v.perform(ctx, a, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		if now, err := tx.LockPatient(ctx, a.Patient); err != nil || now.State != p.State || now.Generation != p.Generation {
			return errors.Join(errChanged, err)
		}
		if !aboutConsent(recordType) { // which may change that, and lies at home alone
			if err := v.stillReaches(ctx, tx, p, said); err != nil {
				return err
			}
		}
		if err := tx.InsertRecord(ctx, o, recordType); err != nil {
			return err
		}
		if err := change(tx); err != nil {
			return notFound(err)
		}
		if id == a.Object {
			describeCommit(leaf, o, permitted)
		} else {
			stored := *leaf
			stored.Action, stored.Object = "record.stored", id
			describeCommit(&stored, o, permitted)
			if err := appendLeaf(ctx, tx, stored); err != nil {
				return err
			}
		}
		return v.promise(ctx, tx, o, permitted, placed)
	})
	switch {
	case err == nil:
		v.settle(s)
	case !errors.Is(err, errUncertain): // otherwise the objects stay until the intent is looked at
		v.discard(ctx, s)
	}
	if errors.Is(err, errChanged) {
		return unavailable("patient", err)
	}
	return err
}

// autoCare writes, in dev only, the relationship of the dev clinician with a patient
// nobody treats yet. serve never sets Config.AutoCare.
func (v *Vault) autoCare(ctx context.Context, p record.PatientToken) error {
	if v.cfg.AutoCare == "" {
		return nil
	}
	if _, ok := v.cared.Load(p); ok {
		return nil
	}
	var cares []catalog.Care
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		cares, err = tx.Cares(ctx, p)
		return err
	})
	if err != nil {
		return err
	}
	if len(cares) > 0 {
		v.cared.Store(p, true) // one that has ended stays in the list
		return nil
	}
	c := Care{ID: record.NewObjectID(), Patient: p, Clinician: v.cfg.AutoCare, From: v.cfg.Now(), Origin: originAutoCare, By: "medvault"}
	err = v.addCare(ctx, act{
		Actor:  record.Actor{ID: "medvault", Role: record.RoleAdmin, Country: v.cfg.Home, Purpose: record.PurposeSystem, Inside: true},
		Action: record.ActionCareAdd, Patient: p, Object: c.ID, Origin: originAutoCare,
	}, c)
	if errors.Is(err, errTreated) {
		return nil
	}
	return err
}

const originAutoCare = "dev-auto-care"

// notFound gives the catalog's word for absent in the vault's.
func notFound(err error) error {
	if errors.Is(err, catalog.ErrNotFound) {
		return record.ErrNotFound
	}
	return err
}
