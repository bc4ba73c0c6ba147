package vault

import (
	"context"
	"time"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Represented is somebody whose rights an identity exercises: the patient's own, or a
// child's.
type Represented struct {
	Patient  record.PatientToken `json:"patient"`
	Relation string              `json:"relation"` // "self", "mother", "father" or "guardian"
}

// Mine lists for whom a patient or guardian acts now, by what is on record of their
// identity. It needs no right but to be there. Guardians of who has come of age, and
// children by themselves, act for nobody.
func (v *Vault) Mine(ctx context.Context, a record.Actor) ([]Represented, error) {
	list := []Represented{}
	if a.Role != record.RolePatient && a.Role != record.RoleGuardian {
		return list, nil
	}
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		list = list[:0]
		theirs, err := v.theirs(ctx, tx, a)
		if err != nil {
			return err
		}
		all, err := tx.ActsFor(ctx, a.ID, v.cfg.Now())
		if err != nil {
			return err
		}
		for _, p := range theirs {
			for _, g := range all {
				if g.Patient == p && (g.Relation == catalog.RelationSelf) == (a.Role == record.RolePatient) {
					list = append(list, Represented{p, g.Relation})
					break
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, unavailable("catalog", err)
	}
	return list, nil
}

// OwnDocument is a document in the list of a patient's.
type OwnDocument struct {
	ID       record.ObjectID `json:"id"`
	Kind     string          `json:"kind"`
	Category string          `json:"category"`
	Title    string          `json:"title,omitempty"`
	Size     int64           `json:"size"` // of the original, in bytes
	Stored   time.Time       `json:"stored"`
}

// OwnDocuments lists up to limit documents of a patient behind an id, for whoever may see
// the originals: patients themselves, guardians, those who treat. next is the last id where
// there may be more. Acts of the guard: document.search.
func (v *Vault) OwnDocuments(ctx context.Context, a record.Actor, p record.PatientToken, after record.ObjectID, limit int) (list []OwnDocument, next record.ObjectID, err error) {
	if limit <= 0 || limit > maxResults {
		limit = 100
	}
	found := lookedUp{view: record.ViewOriginal, patients: make(map[record.PatientToken]catalog.Patient), asked: v.cfg.Now(), by: a}
	_, err = v.perform(ctx, act{Actor: a, Action: record.ActionSearch, Patient: p}, func(tx *catalog.Tx, d access.Decision, _ *audit.Leaf) error {
		if d.View != record.ViewOriginal {
			return record.Refuse(record.ErrDenied, "originals-only", "this list shows originals: search for de-identified views")
		}
		owner, err := tx.Patient(ctx, p)
		if err != nil {
			return notFound(err)
		}
		found.patients[p] = owner
		found.docs, err = tx.Documents(ctx, catalog.Scope{Patient: p})
		return err
	})
	if err != nil {
		return nil, "", err
	}
	list = []OwnDocument{}
	begun := after == ""
	for _, d := range found.docs {
		if !begun {
			begun = d.ID == after
			continue
		}
		if len(list) == limit {
			return list, list[limit-1].ID, nil
		}
		h, err := v.handle(ctx, d, found)
		if err != nil {
			return nil, "", err
		}
		list = append(list, OwnDocument{ID: d.ID, Kind: d.Kind.String(), Category: d.Category, Title: h.Title, Size: h.Size, Stored: d.Created.UTC()})
	}
	return list, "", nil
}
