package vault

import (
	"context"
	"errors"
	"slices"
	"time"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
)

// Types of records about who acts for a patient.
const (
	recordGuardian    = "guardian"
	recordGuardianEnd = "guardian-end"
)

// Guardian is an identity that acts for a patient: a record, sealed and replicated like a
// document. A guardian acts for a child until the birthday on which it comes of age;
// relation "self" is the patient's own identity, which acts from then on.
type Guardian struct {
	ID       record.ObjectID     `json:"id"`
	Patient  record.PatientToken `json:"patient"`
	Subject  string              `json:"subject"`            // of their identity
	Relation string              `json:"relation"`           // "mother", "father", "guardian" or "self"
	Evidence record.ObjectID     `json:"evidence,omitempty"` // the document, of this patient, that proves it
	From     time.Time           `json:"from"`
	Until    *time.Time          `json:"until,omitempty"`
	By       string              `json:"by"`
	Recorded time.Time           `json:"recorded"`
	Ended    *time.Time          `json:"ended,omitempty"`
	EndedBy  string              `json:"endedBy,omitempty"`
}

// NewGuardian is what is to be put on record.
type NewGuardian struct {
	Subject  string          `json:"subject"`
	Relation string          `json:"relation"`
	Evidence record.ObjectID `json:"evidence,omitempty"` // required but for "self"
	From     *time.Time      `json:"from,omitempty"`     // default now
	Until    *time.Time      `json:"until,omitempty"`
}

// AddGuardian puts on record whose identity acts for a patient. Nobody puts themselves
// there. Acts of the guard: guardian.add.
func (v *Vault) AddGuardian(ctx context.Context, a record.Actor, p record.PatientToken, n NewGuardian) (Guardian, error) {
	now := v.cfg.Now().UTC().Truncate(time.Millisecond)
	g := Guardian{ID: record.NewObjectID(), Patient: p, Subject: n.Subject, Relation: n.Relation, Evidence: n.Evidence, From: now, Until: n.Until, By: a.ID, Recorded: now}
	if n.From != nil {
		g.From = *n.From
	}
	refuse := func(code, advice string) (Guardian, error) {
		return g, record.Refuse(record.ErrInvalid, code, advice)
	}
	switch {
	case !name(g.Subject, 1, 255):
		return refuse("missing-subject", "name the guardian by the subject of their identity")
	case !slices.Contains([]string{"mother", "father", "guardian", catalog.RelationSelf}, g.Relation):
		return refuse("bad-relation", "relation is mother, father, guardian (appointed) or self (the patient's own identity)")
	case g.Until != nil && (!g.Until.After(g.From) || !g.Until.After(now)):
		return refuse("until-in-the-past", "until must lie in the future, behind from")
	case g.Evidence == "" && g.Relation != catalog.RelationSelf:
		return refuse("evidence-required", "store the document that proves it as a document of this patient first, and name its id as evidence")
	}
	if g.Evidence != "" {
		if _, err := record.ParseObjectID(string(g.Evidence)); err != nil {
			return refuse("bad-evidence", "evidence is the id of a stored document")
		}
	}
	adding := act{Actor: a, Action: record.ActionGuardianAdd, Patient: p, Object: g.ID}
	if g.Subject == a.ID {
		if err := v.may(ctx, adding); err != nil {
			return g, err
		}
		return g, v.turnDown(ctx, adding, ownGuardian)
	}
	err := v.putRecord(ctx, adding, g.ID, recordGuardian, g, func(tx *catalog.Tx) error {
		if err := evidenceOf(ctx, tx, p, g.Evidence); err != nil {
			return err
		}
		return tx.InsertGuardian(ctx, g.row())
	})
	return g, err
}

var ownGuardian = &record.Refusal{Kind: record.ErrDenied, Code: "own-entry", Advice: "nobody puts themselves on record: another person has to"}

func (g Guardian) row() catalog.Guardian {
	return catalog.Guardian{ID: g.ID, Patient: g.Patient, Subject: g.Subject, Relation: g.Relation, Evidence: g.Evidence, From: g.From, Until: g.Until,
		By: g.By, Recorded: g.Recorded, Ended: g.Ended, EndedBy: g.EndedBy}
}

// EndGuardian ends what one of them may do, now; what they have said stays. Unknown or
// ended already: ErrNotFound. Acts of the guard: guardian.end.
func (v *Vault) EndGuardian(ctx context.Context, a record.Actor, p record.PatientToken, id record.ObjectID) error {
	end := guardianEnd{Guardian: id, Ended: v.cfg.Now().UTC().Truncate(time.Millisecond), By: a.ID}
	return v.putRecord(ctx, act{Actor: a, Action: record.ActionGuardianEnd, Patient: p, Object: id}, record.NewObjectID(), recordGuardianEnd, end, func(tx *catalog.Tx) error {
		return tx.EndGuardian(ctx, p, id, end.Ended, a.ID)
	})
}

type guardianEnd struct {
	Guardian record.ObjectID `json:"guardian"`
	Ended    time.Time       `json:"ended"`
	By       string          `json:"by"`
}

// Guardians lists whose identity acts or has acted for a patient. Acts of the guard:
// guardian.list.
func (v *Vault) Guardians(ctx context.Context, a record.Actor, p record.PatientToken) ([]Guardian, error) {
	list := []Guardian{}
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionGuardianList, Patient: p}, func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) error {
		if _, err := tx.Patient(ctx, p); err != nil {
			return notFound(err)
		}
		rows, err := tx.Guardians(ctx, p)
		list = list[:0]
		for _, r := range rows {
			list = append(list, Guardian{ID: r.ID, Patient: r.Patient, Subject: r.Subject, Relation: r.Relation, Evidence: r.Evidence, From: r.From.UTC(),
				Until: r.Until, By: r.By, Recorded: r.Recorded.UTC(), Ended: r.Ended, EndedBy: r.EndedBy})
		}
		return err
	})
	return list, err
}

// actsFor says in what way an actor who is no staff acts for a patient, as it is on record:
// what their token claims bounds its scopes and gives nothing.
func (v *Vault) actsFor(ctx context.Context, tx *catalog.Tx, a record.Actor, p record.PatientToken) (own, guardian bool, err error) {
	if a.Role != record.RolePatient && a.Role != record.RoleGuardian {
		return false, false, nil
	}
	all, err := tx.ActsFor(ctx, a.ID, v.cfg.Now())
	for _, g := range all {
		switch {
		case g.Patient != p:
		case g.Relation == catalog.RelationSelf:
			own = own || a.Role == record.RolePatient
		default:
			guardian = guardian || a.Role == record.RoleGuardian
		}
	}
	return own, guardian, err
}

// theirs lists the patients whose documents an actor who is no staff may look for; none is
// an empty list.
func (v *Vault) theirs(ctx context.Context, tx *catalog.Tx, a record.Actor) ([]record.PatientToken, error) {
	patients := []record.PatientToken{}
	all, err := tx.ActsFor(ctx, a.ID, v.cfg.Now())
	if err != nil {
		return nil, err
	}
	for _, g := range all {
		if slices.Contains(patients, g.Patient) || (g.Relation == catalog.RelationSelf) != (a.Role == record.RolePatient) {
			continue
		}
		// Left out here, not only refused later: not even the number of what is found is told.
		if minor, err := v.minor(ctx, tx, g.Patient); err != nil {
			return nil, err
		} else if minor == (a.Role == record.RoleGuardian) {
			patients = append(patients, g.Patient)
		}
	}
	return patients, nil
}

// errNoGuardian: a consent is said to be a guardian's who is none.
var errNoGuardian = &record.Refusal{Kind: record.ErrInvalid, Code: "guardian-unknown",
	Advice: "nobody with this subject is this patient's guardian now: put them on record first"}

// mayPermit checks that who is said to have said something about a patient may: of a child
// a guardian on record, of anybody else themselves.
func (v *Vault) mayPermit(ctx context.Context, tx *catalog.Tx, s consent.Statement) error {
	minor, err := v.minor(ctx, tx, s.Patient)
	switch {
	case err != nil:
		return err
	case s.Guardian == "" && minor && s.Decision == consent.Permit:
		return record.Refuse(record.ErrInvalid, "guardian-needed", "the patient is under age: name the guardian who agrees")
	case s.Guardian == "":
		return nil
	case !minor:
		return record.Refuse(record.ErrInvalid, "no-minor", "the patient is of age, or not known to be a child: they say it themselves")
	}
	all, err := tx.ActsFor(ctx, s.Guardian, v.cfg.Now())
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(g catalog.Guardian) bool { return g.Patient == s.Patient && g.Relation != catalog.RelationSelf }) {
		return errNoGuardian
	}
	return nil
}

// emergency says whether an actor has broken the glass for a patient.
func (v *Vault) emergency(ctx context.Context, tx *catalog.Tx, a record.Actor, p record.PatientToken) (bool, error) {
	if a.Purpose != record.PurposeETreat {
		return false, nil
	}
	_, err := tx.LiveBreakglass(ctx, a.ID, p, v.cfg.Now())
	if errors.Is(err, catalog.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
