package vault

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
)

// recordLabel tells the label of a record; of one that was sealed before there were
// labels only the type, by its fields.
func recordLabel(value json.RawMessage) label {
	var v struct {
		Stored    label           `json:"stored"`
		Clinician string          `json:"clinician"`
		Care      record.ObjectID `json:"care"`
		Decision  string          `json:"decision"`
	}
	_ = json.Unmarshal(value, &v) // another form is another type
	if v.Stored.Type == "" {
		switch {
		case v.Clinician != "":
			v.Stored.Type = recordCare
		case v.Care != "":
			v.Stored.Type = recordCareEnd
		case v.Decision != "":
			v.Stored.Type = recordReview
		default:
			v.Stored.Type = "unknown"
		}
	}
	return v.Stored
}

// Types of records.
const (
	recordCare    = "care"
	recordCareEnd = "care-end"
	recordReview  = "review"
)

// take writes what was found out about one name.
func (r *rebuild) take(ctx context.Context, tx *catalog.Tx, t taken, waited string) error {
	if waited != "" {
		if err := tx.DropRebuildFinding(ctx, r.from.Name, t.key, waited); err != nil {
			return err
		}
	}
	switch {
	case t.finding != nil:
		return r.found(ctx, tx, t.key, *t.finding)
	case t.id == "":
		return nil
	case t.later != "":
		return r.found(ctx, tx, t.key, RebuildFinding{Type: t.later, Object: string(t.id), Class: classOf(t.key)})
	case t.leaving && !t.returns:
		return tx.Promise(ctx, t.id, []string{r.from.Name}) // to be taken away at the end
	case t.known && !t.returns:
		return r.lies(ctx, tx, t.id)
	}
	if strings.HasSuffix(r.at.Phase, " again") {
		if err := r.tookAgain(ctx, tx, t); err != nil {
			return err
		}
	}
	if t.returns {
		if err := r.comeBack(ctx, tx, t); err != nil {
			return err
		}
	}
	err := r.patient(ctx, tx, t.object.Patient, func(p *catalog.Patient) {
		p.Generation = max(p.Generation, t.object.Generation)
		p.Country = cmp.Or(t.stored.Country, p.Country)
	}, t.object.Created)
	if err != nil {
		return err
	}
	if t.document != nil {
		if err := r.takeBirth(ctx, tx, t); err != nil {
			return err
		}
		return r.takeDocument(ctx, tx, t)
	}
	if err := tx.InsertRecord(ctx, t.object, t.stored.Type); err != nil {
		return err
	}
	if t.stored.Type == recordConsent {
		var c Consent
		if err := json.Unmarshal(t.value, &c); err != nil {
			return fmt.Errorf("%w: %w", errNotWhole, err)
		}
		if err := tx.InsertConsent(ctx, c.statement()); err != nil && !errors.Is(err, catalog.ErrExist) {
			return err
		}
	}
	if err := errors.Join(takeGuardians(ctx, tx, t), takeCases(ctx, tx, t.id, t.stored.Type, t.value)); err != nil {
		return err
	}
	if t.stored.Type == recordCare {
		var c Care
		if err := json.Unmarshal(t.value, &c); err != nil {
			return fmt.Errorf("%w: %w", errNotWhole, err)
		}
		if err := tx.InsertCare(ctx, c.row()); err != nil && !errors.Is(err, catalog.ErrExist) {
			return err
		}
	}
	if t.object.Patient == record.House {
		if err := takeHouseRecord(ctx, tx, t.id, t.stored.Type, t.value); err != nil {
			return err
		}
	}
	return r.keepTaken(ctx, tx, t)
}

// comeBack makes room for a document that was superseded by one that is lost.
func (r *rebuild) comeBack(ctx context.Context, tx *catalog.Tx, t taken) error {
	if err := tx.Return(ctx, t.id); err != nil {
		return err
	}
	leaf := r.leaf(ActionReturned)
	leaf.Patient, leaf.Object = t.object.Patient, t.id
	if err := appendLeaf(ctx, tx, leaf); err != nil {
		return err
	}
	return r.found(ctx, tx, t.key, RebuildFinding{Type: RebuildEarlier, Object: string(t.id), Class: t.object.Class, Patient: t.object.Patient,
		Evidence: "the log says that another stands in its place, which is not here", Repair: "rebuild from a region that has the other; or look whether this one is as it should be"})
}

// takeDocument writes a document's row. Where another has its place, both are kept.
func (r *rebuild) takeDocument(ctx context.Context, tx *catalog.Tx, t taken) error {
	d := *t.document
	err := tx.InsertDocument(ctx, d)
	if err == nil {
		return r.keepTaken(ctx, tx, t)
	}
	if !errors.Is(err, catalog.ErrExist) {
		return err
	}
	twin, err := tx.DocumentByFingerprint(ctx, d.Patient, d.Fingerprint)
	if err == nil {
		if newer, err := r.supersedes(ctx, tx, t, twin.ID); err != nil {
			return err
		} else if newer {
			if err := tx.Supersede(ctx, twin.ID, d); err != nil {
				return err
			}
			return r.keepTaken(ctx, tx, t)
		}
		// The same original: what came first leads.
		o := t.object
		o.SupersededBy = twin.ID
		if err := errors.Join(tx.Leave(ctx, o), r.lies(ctx, tx, o.ID)); err != nil {
			return err
		}
		return r.found(ctx, tx, t.key, RebuildFinding{Type: RebuildTwin, Object: string(t.id), Class: t.object.Class, Patient: d.Patient,
			Evidence: "the same original is stored as " + string(twin.ID), Repair: "look whether that one is as it should be"})
	}
	if !errors.Is(err, catalog.ErrNotFound) {
		return err
	}
	other, err := tx.DocumentByInstance(ctx, d.Instance)
	if err != nil {
		return err
	}
	d.Instance = "" // it is found by all else
	if err := tx.InsertDocument(ctx, d); err != nil {
		return err
	}
	if err := r.found(ctx, tx, t.key, RebuildFinding{Type: RebuildSameInstance, Object: string(t.id), Class: t.object.Class, Patient: d.Patient,
		Evidence: "has the SOP Instance UID of " + string(other.ID) + " and other bytes", Repair: "a person has to say which is the right one"}); err != nil {
		return err
	}
	return r.keepTaken(ctx, tx, t)
}

// supersedes says whether the log says that t stands in the place of an earlier object,
// directly or with others between.
func (r *rebuild) supersedes(ctx context.Context, tx *catalog.Tx, t taken, earlier record.ObjectID) (bool, error) {
	leaf := t.leaf
	for leaf != nil && leaf.Commit.Supersedes != "" && leaf.Commit.Supersedes != earlier {
		data, err := tx.CommitOf(ctx, leaf.Commit.Supersedes)
		if errors.Is(err, catalog.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		before, err := audit.ParseLeaf(data)
		if err != nil {
			return false, err
		}
		leaf = &before
	}
	return leaf != nil && leaf.Commit.Supersedes == earlier, nil
}

// keepTaken promises a new row to the regions and, when no leaf commits it, writes one.
func (r *rebuild) keepTaken(ctx context.Context, tx *catalog.Tx, t taken) error {
	if t.facts.Known != "" || t.facts.Parent != "" {
		if err := tx.SetReport(ctx, catalog.Report{ID: t.id, Known: t.facts.Known, Parent: t.facts.Parent}); err != nil {
			return err
		}
	}
	p, err := r.v.owner(ctx, tx, t.object.Patient)
	if err != nil {
		return err
	}
	said, err := r.v.consents(ctx, tx, p.Token)
	if err != nil {
		return err
	}
	permitted := r.permitted(p, said)
	if err := r.v.promise(ctx, tx, t.object, permitted, []string{r.from.Name}); err != nil {
		return err
	}
	if err := r.lies(ctx, tx, t.id); err != nil || t.leaf != nil {
		return err
	}
	leaf := r.leaf(ActionRecovered)
	leaf.Patient, leaf.Object = t.object.Patient, t.id
	describeCommit(&leaf, t.object, permitted)
	if old := t.facts.Supersedes; old != "" {
		leaf.Commit.Supersedes = old
		if err := r.leaveBehind(ctx, tx, old, t.id); err != nil {
			return err
		}
	}
	if err := appendLeaf(ctx, tx, leaf); err != nil {
		return err
	}
	return r.found(ctx, tx, t.key, RebuildFinding{Type: RebuildAdopted, Object: string(t.id), Class: t.object.Class, Patient: t.object.Patient,
		Promised: permitted, Evidence: "no leaf names it; it opens whole, under this patient's keys", Repair: "ask whether it was acknowledged"})
}

// leaveBehind puts an unconfirmed document in the place of the one it says it supersedes,
// which is not here any more: its removal was the next step of that supersession.
func (r *rebuild) leaveBehind(ctx context.Context, tx *catalog.Tx, old, by record.ObjectID) error {
	data, err := tx.CommitOf(ctx, old)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	leaf, err := audit.ParseLeaf(data)
	if err != nil {
		return err
	}
	o := objectOf(leaf)
	o.SupersededBy = by
	return tx.Leave(ctx, o)
}

// permitted names the regions, of all, where a patient's objects may lie, as far as is
// known yet: followConsents promises them what records of consent add.
func (r *rebuild) permitted(p catalog.Patient, said []consent.Statement) (names []string) {
	for _, place := range r.cfg.Places {
		if !r.takes(place.Name) {
			continue
		}
		if r.v.mayLie(place.Jurisdiction, p.Country, said).Permit {
			names = append(names, place.Name)
		}
	}
	return names
}

// lies notes that the object was read in this region.
func (r *rebuild) lies(ctx context.Context, tx *catalog.Tx, id record.ObjectID) error {
	if err := tx.Promise(ctx, id, []string{r.from.Name}); err != nil {
		return err
	}
	return tx.Placed(ctx, id, r.from.Name, time.Now())
}
