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
	stated, err := v.StateCares(ctx, a, p, []NewCare{n})
	if err != nil {
		return Care{}, err
	}
	return stated[0], nil
}

// StateCares states several relationships with one patient, all of them or none. Nobody
// states one of their own.
func (v *Vault) StateCares(ctx context.Context, a record.Actor, p record.PatientToken, list []NewCare) ([]Care, error) {
	cares := make([]Care, len(list))
	puts := make([]recordPut, len(list))
	for i, n := range list {
		c, err := n.care(a, p, v.cfg.Now())
		if err != nil {
			return nil, err
		}
		cares[i], puts[i] = c, c.put(a)
		if c.Clinician != a.ID {
			continue
		}
		// The register may give one person two roles: by one they would let themselves in.
		if err := v.may(ctx, puts[i].act); err != nil {
			return nil, err
		}
		return nil, v.turnDown(ctx, puts[i].act, ownCare)
	}
	return cares, v.putRecords(ctx, p, puts, nil)
}

var ownCare = &record.Refusal{Kind: record.ErrDenied, Code: "own-entry", Advice: "nobody states to treat a patient themselves: another person has to"}

// care is the relationship that is stated, or why it cannot be meant.
func (n NewCare) care(a record.Actor, p record.PatientToken, now time.Time) (Care, error) {
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
	return c, nil
}

// put is the record of a relationship.
func (c Care) put(a record.Actor) recordPut {
	return recordPut{act: act{Actor: a, Action: record.ActionCareAdd, Patient: c.Patient, Object: c.ID}, id: c.ID, recordType: recordCare, value: c,
		change: func(ctx context.Context, tx *catalog.Tx) error { return tx.InsertCare(ctx, c.row()) }}
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

// recordPut is one record on its way in: the act that makes it, and what the catalog
// learns with it. change may run more than once.
type recordPut struct {
	act        act
	id         record.ObjectID
	recordType string
	value      any
	identity   any // what only the identity key opens; nil for nothing
	change     func(ctx context.Context, tx *catalog.Tx) error
}

// putRecord seals a record about a patient, places it like a document and commits it
// with what it changes. The guard decides before anything is written, and again in
// the transaction that makes the record count. An act on another object than the
// record has a leaf of its own beside the record's.
func (v *Vault) putRecord(ctx context.Context, a act, id record.ObjectID, recordType string, value any, change func(tx *catalog.Tx) error) error {
	one := recordPut{act: a, id: id, recordType: recordType, value: value, change: func(_ context.Context, tx *catalog.Tx) error { return change(tx) }}
	return v.putRecords(ctx, a.Patient, []recordPut{one}, nil)
}

// putRecords is putRecord for several records about one patient: all of them count, or
// none. first, which may be nil, runs in the transaction before any of them, with the
// patient's row locked; its error undoes everything.
func (v *Vault) putRecords(ctx context.Context, p record.PatientToken, list []recordPut, first func(tx *catalog.Tx) error) error {
	if len(list) == 0 {
		return nil
	}
	known, said, err := v.mayRecord(ctx, p, list)
	if err != nil {
		return err
	}
	k, err := v.openKeys(ctx, known)
	if errors.Is(err, errNoWraps) {
		return v.inVain(ctx, list[0].act, record.ErrNotFound) // a patient nothing is stored of
	}
	if err != nil {
		return err
	}
	permitted := v.permitted(known, said...)
	sealed, err := v.sealRecords(ctx, k, known, permitted, list)
	for _, s := range sealed {
		defer s.close()
	}
	if err == nil {
		// A crash before this line leaves only unreferenced objects.
		err = v.commitRecords(ctx, known, said, permitted, sealed, list, first)
	}
	for _, s := range sealed {
		switch {
		case err == nil:
			v.settle(s.sealed)
		case !errors.Is(err, errUncertain): // otherwise the objects stay until the intent is looked at
			v.discard(ctx, s.sealed)
		}
	}
	if errors.Is(err, errChanged) {
		return unavailable("patient", err)
	}
	return err
}

// mayRecord asks the guard about every record, and reads the patient and, where it
// matters, what they said.
func (v *Vault) mayRecord(ctx context.Context, token record.PatientToken, list []recordPut) (p catalog.Patient, said []consent.Statement, err error) {
	var d access.Decision
	var refused act
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		for _, r := range list {
			if d, err = v.decide(ctx, tx, r.act); err != nil || !d.Allow {
				refused = r.act
				return err
			}
		}
		if p, err = tx.Patient(ctx, token); err != nil {
			return notFound(err)
		}
		if !aboutConsent(list[0].recordType) {
			said, err = v.consents(ctx, tx, token)
		}
		return err
	})
	if err == nil && !d.Allow {
		err = v.refuse(ctx, refused)
	} else {
		err = v.inVain(ctx, list[0].act, err)
	}
	return p, said, err
}

// placedRecord is a sealed record and the regions that hold it.
type placedRecord struct {
	*sealed
	regions []string
}

// sealRecords seals and places records, one after the other; those that were placed are
// returned also when one fails.
func (v *Vault) sealRecords(ctx context.Context, k patientKeys, p catalog.Patient, permitted []string, list []recordPut) (done []placedRecord, err error) {
	for _, r := range list {
		s, err := v.sealRecord(k, r.id, label{Type: r.recordType, At: v.cfg.Now().UTC(), Country: p.Country}, r.value, r.identity)
		if err != nil {
			return done, err
		}
		regions, err := v.place(ctx, s, k, v.near(p, permitted))
		if err != nil {
			s.close()
			return done, err
		}
		done = append(done, placedRecord{s, regions})
	}
	return done, nil
}

// commitRecords makes sealed records count, with what they change and their leaves.
func (v *Vault) commitRecords(ctx context.Context, p catalog.Patient, said []consent.Statement, permitted []string, sealed []placedRecord, list []recordPut, first func(tx *catalog.Tx) error) error {
	_, err := v.perform(ctx, list[0].act, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		if now, err := tx.LockPatient(ctx, p.Token); err != nil || now.State != p.State || now.Generation != p.Generation {
			return errors.Join(errChanged, err)
		}
		if !aboutConsent(list[0].recordType) { // which may change that, and lies at home alone
			if err := v.stillReaches(ctx, tx, p, said); err != nil {
				return err
			}
		}
		if first != nil {
			if err := first(tx); err != nil {
				return err
			}
		}
		for i, r := range list {
			own := leaf // of the first, which perform writes
			if i > 0 {
				d, err := v.decide(ctx, tx, r.act)
				if err != nil || !d.Allow {
					return errors.Join(errChanged, err)
				}
				l := v.leaf(r.act, d)
				own = &l
			}
			if err := v.commitRecord(ctx, tx, r, sealed[i], permitted, own); err != nil {
				return err
			}
			if i > 0 {
				if err := appendLeaf(ctx, tx, *own); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return err
}

// commitRecord writes one record, and describes it in the leaf of its act, or in one of
// its own.
func (v *Vault) commitRecord(ctx context.Context, tx *catalog.Tx, r recordPut, s placedRecord, permitted []string, leaf *audit.Leaf) error {
	o := v.row(s.sealed, record.KindRecord, nil)
	if r.identity != nil { // read with every document of the patient: it is kept whole
		var err error
		if o.Footer, err = s.tail(); err != nil {
			return err
		}
	}
	if err := tx.InsertRecord(ctx, o, r.recordType); err != nil {
		return err
	}
	if err := r.change(ctx, tx); err != nil {
		return notFound(err)
	}
	if r.id == r.act.Object {
		describeCommit(leaf, o, permitted)
	} else {
		stored := *leaf
		stored.Action, stored.Object = "record.stored", r.id
		describeCommit(&stored, o, permitted)
		if err := appendLeaf(ctx, tx, stored); err != nil {
			return err
		}
	}
	return v.promise(ctx, tx, o, permitted, s.regions)
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
