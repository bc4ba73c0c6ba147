package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// takeBurial takes in a leaf that destroys keys, or that lets a patient in again.
func (r *rebuild) takeBurial(ctx context.Context, tx *catalog.Tx, leaf audit.Leaf) error {
	change := func(p *catalog.Patient) { p.Generation = max(p.Generation, leaf.Generation) }
	switch leaf.Action {
	case ActionErased:
		change = func(p *catalog.Patient) {
			p.State, p.Generation = catalog.Erased, max(p.Generation, leaf.Generation)
		}
	case record.ActionReadmit:
		change = func(p *catalog.Patient) {
			p.State, p.Generation = catalog.Active, max(p.Generation, leaf.Generation)
		}
	}
	if err := r.patient(ctx, tx, leaf.Patient, change, leaf.Time); err != nil || leaf.Action == record.ActionReadmit {
		return err
	}
	_, err := tx.Bury(ctx, catalog.Tombstone{Patient: leaf.Patient, Generation: leaf.Generation, Erasure: leaf.Object, Buried: leaf.Time})
	if err != nil {
		return err
	}
	e, err := buried(ctx, tx, leaf)
	if err != nil {
		return err
	}
	return tx.PutErasure(ctx, e)
}

// obeyTombstone obeys a tombstone whose leaf is lost with the end of the log, when it
// proves that there was one, and writes that leaf again.
func (r *rebuild) obeyTombstone(ctx context.Context, key string) (proved bool, err error) {
	t, err := readTombstone(ctx, r.from.Data, key)
	if err != nil {
		return false, nil // what cannot be read proves nothing, and is named
	}
	leaf, err := t.check(r.v)
	if err != nil || tombstones+t.name() != key {
		return false, nil
	}
	return true, r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if dead, err := tx.Dead(ctx, leaf.Patient, leaf.Generation); err != nil || dead {
			return err
		}
		if err := r.takeBurial(ctx, tx, leaf); err != nil {
			return err
		}
		return appendLeaf(ctx, tx, leaf)
	})
}

// takeErasures takes in what a house record says of an erasure.
func takeErasures(ctx context.Context, tx *catalog.Tx, id record.ObjectID, recordType string, value json.RawMessage) error {
	switch recordType {
	case recordErasure:
		var e Erasure
		if err := json.Unmarshal(value, &e); err != nil {
			return fmt.Errorf("%w: %w", errNotWhole, err)
		}
		row := e.row()
		row.ID = id
		if _, err := tx.Erasure(ctx, id); !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		return tx.PutErasure(ctx, row)
	case recordErasureApproval:
		var said erasureApproval
		if err := json.Unmarshal(value, &said); err != nil {
			return fmt.Errorf("%w: %w", errNotWhole, err)
		}
		return takeApproval(ctx, tx, id, said)
	case recordCertificate:
		var c Certificate
		if err := json.Unmarshal(value, &c); err != nil {
			return fmt.Errorf("%w: %w", errNotWhole, err)
		}
		data, err := json.Marshal(c)
		if err != nil {
			return err
		}
		return tx.PutErasure(ctx, catalog.Erasure{ID: c.Erasure, Patient: c.Patient, Document: c.Document, Anonymize: c.Anonymized, Basis: c.Basis, ProposedBy: c.ProposedBy, Proposed: c.Approved,
			State: catalog.ErasureDone, Approval: c.Approval, ApprovedBy: c.ApprovedBy, Approved: c.Approved, Generation: c.Generation, Certified: c.Issued, Certificate: data})
	}
	return nil
}

// takeApproval joins an approval with what the log says of it, under the erasure's own id.
func takeApproval(ctx context.Context, tx *catalog.Tx, id record.ObjectID, said erasureApproval) error {
	e, err := tx.Erasure(ctx, said.Erasure)
	if errors.Is(err, catalog.ErrNotFound) {
		e, err = catalog.Erasure{ID: said.Erasure, Patient: said.Patient, Document: said.Document, Basis: said.Basis, ProposedBy: said.ProposedBy, Proposed: said.At}, nil
	}
	if err != nil || e.State == catalog.ErasureDone {
		return err
	}
	e.Approval, e.ApprovedBy, e.Approved, e.Generation = id, said.ApprovedBy, said.At, said.Generation
	e.State = catalog.ErasureResealing
	if dead, err := tx.Dead(ctx, said.Patient, said.Generation); err != nil {
		return err
	} else if dead {
		e.State = catalog.ErasureBurying
	}
	return errors.Join(tx.DropErasure(ctx, id), tx.PutErasure(ctx, e)) // the log knew it by its approval
}

// resumeErasures leaves the jobs of erasures that no certificate ends: what was under way
// when the catalog was lost begins again, and what is done already finds nothing to do.
// What the log commits under dead keys is taken away wherever it was promised.
func (r *rebuild) resumeErasures(ctx context.Context) error {
	var open []catalog.Erasure
	err := r.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		open = nil
		for _, state := range []string{catalog.ErasureResealing, catalog.ErasureBurying} {
			some, err := tx.Erasures(ctx, catalog.ErasureFilter{State: state})
			if err != nil {
				return err
			}
			open = append(open, some...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, e := range open {
		err := r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			if e.State == catalog.ErasureResealing {
				return tx.Enqueue(ctx, newJob(jobPrepare, string(e.ID), erasePayload{Erasure: e.ID}, r.v.cfg.Now()))
			}
			for _, place := range r.cfg.Places {
				row := catalog.ErasureRegion{Erasure: e.ID, Region: place.Name, Held: true}
				job := newJob(jobErase, string(e.ID)+"@"+place.Name, erasePayload{e.ID, place.Name}, r.v.cfg.Now())
				job.Region = place.Name
				if err := errors.Join(tx.PutErasureRegion(ctx, row), tx.Enqueue(ctx, job)); err != nil {
					return err
				}
			}
			return tx.Enqueue(ctx, newJob(jobCertify, string(e.ID), erasePayload{Erasure: e.ID}, r.v.cfg.Now()))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// leaveDead writes what remains of an object whose keys are dead, so that it is taken away
// wherever the log promised it.
func (r *rebuild) leaveDead(ctx context.Context, tx *catalog.Tx, o catalog.Object, promised []string) error {
	stone, err := tx.Tombstone(ctx, o.Patient)
	if err != nil {
		return err
	}
	certified, err := tx.Certified(ctx, o.Patient, o.Generation)
	if err != nil || certified {
		return err // it is gone
	}
	o.SupersededBy = stone.Erasure
	if err := tx.Leave(ctx, o); err != nil {
		return err
	}
	var places []string
	for _, place := range r.cfg.Places {
		for _, name := range promised {
			if name == place.Name {
				places = append(places, name)
			}
		}
	}
	return tx.Promise(ctx, o.ID, places)
}

// readTombstones names tombstones that no leaf stands behind: whoever can write into the
// region could have put them there.
func (r *rebuild) readTombstones(ctx context.Context) error {
	for info, err := range r.from.Data.List(ctx, "tombstones/", "") {
		if err != nil {
			return err
		}
		token, generation, ok := graveOf(info.Key)
		if !ok {
			continue
		}
		if proved, err := r.obeyTombstone(ctx, info.Key); err != nil || proved {
			if err != nil {
				return err
			}
			continue
		}
		err := r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			if dead, err := tx.Dead(ctx, token, generation); err != nil || dead {
				return err
			}
			return r.found(ctx, tx, info.Key, RebuildFinding{Type: RebuildTombstone, Object: printable(info.Key), Patient: token,
				Evidence: "no leaf of the log says that this patient was erased", Repair: "find out who put it there"})
		})
		if err != nil {
			return err
		}
	}
	return nil
}
