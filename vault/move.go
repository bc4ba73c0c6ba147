package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"medvault/imaging"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
)

// Documents that lie under one patient and are another's: two Patient IDs of one person
// (all documents move, and what comes later under the one goes to the other), or a
// document that was stored under a wrong one. Each is sealed anew under the keys of whom
// it belongs to, and shown with their name, id, birth date and sex from then on.

const (
	recordMove = "move"
	jobMove    = "move"
	originMove = "move"
)

// NewMove says what of a patient is another's.
type NewMove struct {
	To        record.PatientToken `json:"to"`
	Documents []record.ObjectID   `json:"documents,omitempty"` // left out: all, and what comes later under the Patient ID they came with
	Case      string              `json:"case,omitempty"`
	Reason    string              `json:"reason"`
}

// Move is an order to move documents; it is carried out in the background.
type Move struct {
	ID        record.ObjectID     `json:"id"`
	From      record.PatientToken `json:"from"`
	To        record.PatientToken `json:"to"`
	Documents []record.ObjectID   `json:"documents,omitempty"`
	Case      string              `json:"case,omitempty"`
	By        string              `json:"by"`
	Recorded  time.Time           `json:"recorded"`
}

type moveWords struct {
	Reason string `json:"reason"`
}

// MoveDocuments orders that documents of a patient become another's, of whom documents are
// stored. Moving them back undoes it. While a hold, a restriction or a refusal stands on
// the first, which would not hold for the second: ErrConflict. Acts of the guard:
// correction.add, for both.
func (v *Vault) MoveDocuments(ctx context.Context, a record.Actor, from record.PatientToken, n NewMove) (Move, error) {
	m := Move{ID: record.NewObjectID(), From: from, To: n.To, Documents: n.Documents, Case: n.Case, By: a.ID, Recorded: v.cfg.Now().UTC().Truncate(time.Millisecond)}
	refuse := func(code, advice string) (Move, error) { return m, record.Refuse(record.ErrInvalid, code, advice) }
	switch {
	case n.To == "" || n.To == from:
		return refuse("bad-target", "name another patient by their token")
	case len(n.Documents) > 1000:
		return refuse("too-many", "move at most 1000 documents at once, or all")
	case utf8.RuneCountInString(n.Reason) < 3 || utf8.RuneCountInString(n.Reason) > 1000 || !utf8.ValidString(n.Reason):
		return refuse("missing-reason", "say why, in 3 to 1000 characters")
	case !name(n.Case, 0, 64):
		return refuse("bad-case", "case is the id of the case in which it was decided")
	}
	if err := v.may(ctx, act{Actor: a, Action: record.ActionCorrect, Patient: n.To}); err != nil {
		return m, err
	}
	put := recordPut{act: act{Actor: a, Action: record.ActionCorrect, Patient: from, Object: m.ID, Origin: originMove}, id: m.ID, recordType: recordMove, value: m, identity: moveWords{n.Reason},
		change: func(ctx context.Context, tx *catalog.Tx) error { return v.takeMove(ctx, tx, m) }}
	return m, v.putRecords(ctx, from, []recordPut{put}, nil)
}

// takeMove makes an order count, in the transaction of its record.
func (v *Vault) takeMove(ctx context.Context, tx *catalog.Tx, m Move) error {
	to, err := tx.Patient(ctx, m.To)
	if errors.Is(err, catalog.ErrNotFound) || err == nil && to.State != catalog.Active {
		return record.Refuse(record.ErrConflict, "patient-unknown", "no documents are stored of the patient they are to move to: store one first")
	}
	if err != nil {
		return err
	}
	if err := v.movable(ctx, tx, m); err != nil {
		return err
	}
	for _, id := range m.Documents {
		current, err := tx.Current(ctx, id)
		if err != nil {
			return documentUnknown(err)
		}
		if d, err := tx.Document(ctx, current); err != nil || d.Patient != m.From {
			return documentUnknown(errors.Join(catalog.ErrNotFound, err))
		}
	}
	if err := v.redirect(ctx, tx, m); err != nil {
		return err
	}
	return tx.Enqueue(ctx, newJob(jobMove, string(m.ID), m, v.cfg.Now()))
}

// stillMovable looks again when a document is about to move: the patient may have been
// frozen, restricted or put on hold since the order.
func (v *Vault) stillMovable(ctx context.Context, tx *catalog.Tx, from, to record.PatientToken) error {
	owner, err := tx.Patient(ctx, from)
	if err != nil {
		return err
	}
	if owner.State == catalog.Frozen {
		return fmt.Errorf("%w: patient is frozen", errChanged)
	}
	return v.movable(ctx, tx, Move{From: from, To: to})
}

// movable refuses while something protects the documents where they lie that would not
// where they go.
func (v *Vault) movable(ctx context.Context, tx *catalog.Tx, m Move) error {
	if err := v.notHeld(ctx, tx, m.From); err != nil {
		return err
	}
	restricted, err := tx.Restricted(ctx, m.From)
	if err != nil {
		return err
	}
	said, err := tx.Consents(ctx, m.From)
	if err != nil {
		return err
	}
	theirs, err := tx.Consents(ctx, m.To)
	if err != nil {
		return err
	}
	unsaid := func(s consent.Statement) bool {
		return s.Decision != consent.Permit && s.Ended == nil && !slices.ContainsFunc(theirs, func(t consent.Statement) bool {
			return t.Decision == s.Decision && t.Ended == nil && t.Purpose == s.Purpose && t.Country == s.Country && t.Recipient == s.Recipient
		})
	}
	if restricted || slices.ContainsFunc(said, unsaid) {
		return record.Refuse(record.ErrConflict, "protected", "a restriction or a refusal stands for this patient: state it for the other first, and end it here if it is a restriction")
	}
	return nil
}

// redirect makes what comes later follow, when all documents move; moved to whom was
// redirected, they are that patient's own again.
func (v *Vault) redirect(ctx context.Context, tx *catalog.Tx, m Move) error {
	if now, err := tx.AliasOf(ctx, m.To); err != nil {
		return err
	} else if now == m.From {
		if err := tx.DropAlias(ctx, m.To); err != nil {
			return err
		}
	} else if now != m.To {
		return record.Refuse(record.ErrConflict, "redirected", "all documents of that patient have moved to another: name that one")
	}
	if len(m.Documents) > 0 {
		return nil
	}
	// Counted as a correction: an upload that was under way looks again.
	err := errors.Join(tx.CountCorrection(ctx, m.From), tx.PutAlias(ctx, m.From, m.To, m.ID))
	if errors.Is(err, catalog.ErrExist) {
		return record.Refuse(record.ErrConflict, "redirected", "all documents of this patient are on their way to another already")
	}
	return err
}

// moveJob moves what an order names and is still there.
func (v *Vault) moveJob(ctx context.Context, job catalog.Job, owner string) error {
	var m Move
	if err := json.Unmarshal(job.Payload, &m); err != nil {
		return err
	}
	for {
		docs, to, err := v.toMove(ctx, m)
		if err != nil {
			return err
		}
		if to.State == catalog.Frozen && len(docs) > 0 { // they follow when the other is thawed
			return unavailable("patient", errChanged)
		}
		if to.State != catalog.Active || len(docs) == 0 {
			return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
				return errors.Join(v.reindexLater(ctx, tx, m.From), v.reindexLater(ctx, tx, m.To), v.lookAtReportsLater(ctx, tx, m.To))
			})
		}
		values, err := v.shownAs(ctx, to)
		if err != nil {
			return err
		}
		for _, d := range docs {
			if err := v.moveDocument(ctx, m, d, to, values); err != nil {
				return fmt.Errorf("move %s: %w", d.ID, err)
			}
		}
	}
}

// toMove lists what of an order is still where it was. What came in under both Patient
// IDs, byte for byte, is the other's already: the second copy stays.
func (v *Vault) toMove(ctx context.Context, m Move) (docs []catalog.Document, to catalog.Patient, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		docs = nil
		if to, err = tx.Patient(ctx, m.To); err != nil {
			return err
		}
		if len(m.Documents) == 0 {
			if docs, err = tx.Documents(ctx, catalog.Scope{Patient: m.From}); err != nil {
				return err
			}
			docs, err = withoutTwins(ctx, tx, docs, m.To)
			return err
		}
		for _, id := range m.Documents {
			current, err := tx.Current(ctx, id)
			if err != nil {
				return err
			}
			d, err := tx.Document(ctx, current)
			if err == nil && d.Patient == m.From {
				docs = append(docs, d)
			}
			if err != nil && !errors.Is(err, catalog.ErrNotFound) { // erased meanwhile
				return err
			}
		}
		docs, err = withoutTwins(ctx, tx, docs, m.To)
		return err
	})
	return docs, to, err
}

// withoutTwins leaves out what a patient has the same bytes of.
func withoutTwins(ctx context.Context, tx *catalog.Tx, docs []catalog.Document, of record.PatientToken) (left []catalog.Document, err error) {
	for _, d := range docs {
		switch _, err := tx.DocumentByFingerprint(ctx, of, d.Fingerprint); {
		case errors.Is(err, catalog.ErrNotFound):
			left = append(left, d)
		case err != nil:
			return nil, err
		}
	}
	return left, nil
}

// shownAs is what moved documents say of the patient they are moved to.
func (v *Vault) shownAs(ctx context.Context, p catalog.Patient) (map[string]string, error) {
	var ids []record.ObjectID
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		ids, err = tx.Witnesses(ctx, p.Token, maxWitnesses)
		return err
	})
	if err != nil {
		return nil, err
	}
	known, err := v.correctionsOf(ctx, p)
	if err != nil {
		return nil, err
	}
	values := make(map[string]string)
	for _, id := range ids {
		own, err := v.identityOfDocument(ctx, id)
		if err != nil {
			return nil, err
		}
		own = known.identity(id, own)
		for keyword, value := range map[string]string{"PatientName": own.PatientName, "PatientID": own.PatientID, "IssuerOfPatientID": own.Issuer,
			"PatientBirthDate": own.BirthDate, "PatientSex": own.Sex} {
			if values[keyword] == "" && value != "" {
				values[keyword] = value
			}
		}
		if len(values) == 5 {
			break
		}
	}
	return values, nil
}

// moving is what a supersession needs to know of a move.
type moving struct {
	to     catalog.Patient
	values map[string]string
}

func (v *Vault) moveDocument(ctx context.Context, m Move, d catalog.Document, to catalog.Patient, values map[string]string) error {
	_, err := v.supersede(ctx, supersession{old: d, persons: []string{m.By}, moved: &moving{to, values},
		act: act{Actor: v.self(), Action: record.ActionSupersede, Patient: m.To, Object: d.ID, Origin: originMove, Kind: d.Kind}})
	if errors.Is(err, record.ErrConflict) {
		return unavailable("document", err) // by somebody else: it is looked at again
	}
	return err
}

// nameAs makes an upload that came under another's Patient ID say whose it is.
func (v *Vault) nameAs(ctx context.Context, in *incoming, p catalog.Patient) error {
	values, err := v.shownAs(ctx, p)
	if err != nil {
		return err
	}
	if values["PatientID"] != in.identity.PatientID || values["IssuerOfPatientID"] != in.identity.Issuer {
		in.moved = &imaging.Correction{At: v.cfg.Now().UTC().Truncate(time.Second), System: "Medvault", Values: values}
	}
	return nil
}

// arrive makes a document on its way in again that of whom it is moved to.
func (in *incoming) arrive(v *Vault, m moving) {
	in.patient = m.to.Token
	own := record.PatientToken(v.tokens.Patient(in.identity.Issuer, in.identity.PatientID)) == m.to.Token
	in.aliased, in.moved = !own, nil
	if !own {
		in.moved = &imaging.Correction{At: v.cfg.Now().UTC().Truncate(time.Second), System: "Medvault", Values: m.values}
	}
}

// lockOwners locks the patients of a document that moves, everywhere in the same order.
func lockOwners(ctx context.Context, tx *catalog.Tx, tokens ...record.PatientToken) error {
	slices.Sort(tokens)
	for _, token := range slices.Compact(tokens) {
		if _, err := tx.LockPatient(ctx, token); err != nil {
			return err
		}
	}
	return nil
}
