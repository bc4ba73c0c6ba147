package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"medvault/keys"
	"medvault/keys/envelope"
	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// A single document shares its patient's keys with all others, so it dies with a
// generation of keys: with the approval the patient gets new ones, the document is gone
// from the catalog, and jobPrepare seals whatever else is the patient's under the new keys,
// documents by supersede, records as they are. When nothing counts any more that the old
// keys open, they are buried like a patient's (erasejobs.go).
const jobPrepare = "erase-prepare"

// approvePreparing approves what has to be prepared before keys can die: a document's
// erasure by new keys for the others, or a patient's by copies without identity.
func (v *Vault) approvePreparing(ctx context.Context, approving act, e catalog.Erasure) (catalog.Erasure, error) {
	const tries = 5
	for try := 1; ; try++ {
		done, err := v.tryApprovePreparing(ctx, approving, e)
		if !errors.Is(err, catalog.ErrChanged) || try == tries {
			if errors.Is(err, errChanged) || errors.Is(err, catalog.ErrChanged) {
				err = unavailable("patient", err)
			}
			return done, err
		}
		// A shard was rotated meanwhile.
	}
}

func (v *Vault) tryApprovePreparing(ctx context.Context, approving act, e catalog.Erasure) (catalog.Erasure, error) {
	said, p, err := v.approval(ctx, approving, e)
	if err != nil {
		return e, err
	}
	var rows []catalog.WrapRow
	if e.Document != "" {
		if rows, err = v.wrapNew(ctx, p.Token, p.Generation+1); err != nil {
			return e, err
		}
	}
	e.State, e.Approval, e.ApprovedBy, e.Approved, e.Generation = catalog.ErasureResealing, record.NewObjectID(), said.ApprovedBy, said.At, said.Generation
	return e, v.putHouseRecord(ctx, approving, e.Approval, recordErasureApproval, said, func(tx *catalog.Tx) error {
		if err := v.stillApproved(ctx, tx, e, p); err != nil {
			return err
		}
		if e.Document != "" {
			if err := v.giveUp(ctx, tx, e, p, rows); err != nil {
				return err
			}
		}
		leaf := v.leaf(approving, allowed)
		leaf.Object, leaf.Reason, leaf.Persons = e.Document, e.Basis, []string{e.ProposedBy, e.ApprovedBy}
		return errors.Join(appendLeaf(ctx, tx, leaf), tx.PutErasure(ctx, e),
			tx.Enqueue(ctx, newJob(jobPrepare, string(e.ID), erasePayload{Erasure: e.ID}, v.cfg.Now())))
	})
}

// wrapNew makes keys of a new generation, wrapped by every home service that answers.
func (v *Vault) wrapNew(ctx context.Context, token record.PatientToken, generation uint32) (rows []catalog.WrapRow, err error) {
	k := patientKeys{Token: token, Generation: generation, Content: keys.NewDEK(), Identity: keys.NewDEK()}
	var errs []error
	for _, s := range v.homeServices() {
		items := k.bound(s)
		wrapped, err := s.Wrap(ctx, items)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.Name(), err))
			continue
		}
		for i, b := range items {
			rows = append(rows, catalog.WrapRow{Binding: b.Binding, Service: s.Name(), Wrap: wrapped[i]})
		}
	}
	if len(rows) == 0 {
		return nil, unavailable("keys", fmt.Errorf("wrap new keys: %w", errors.Join(errs...)))
	}
	return rows, nil
}

// giveUp takes a document out of the catalog and gives its patient new keys.
func (v *Vault) giveUp(ctx context.Context, tx *catalog.Tx, e catalog.Erasure, p catalog.Patient, rows []catalog.WrapRow) error {
	d, err := tx.Document(ctx, e.Document)
	if errors.Is(err, catalog.ErrNotFound) {
		return record.Refuse(record.ErrConflict, "superseded", "another object stands in the document's place by now: propose it anew")
	}
	if err != nil {
		return err
	}
	if _, _, err := tx.FixWraps(ctx, rows); err != nil {
		return err
	}
	gone := d.Object
	gone.SupersededBy = e.Approval
	p.Generation++
	return errors.Join(tx.UpdatePatient(ctx, p), tx.Leave(ctx, gone), tx.DropFooter(ctx, gone.ID))
}

// prepareErasure does what has to be done before keys die, page by page, and then buries
// them. It may be cut anywhere: what is done already is not found again.
func (v *Vault) prepareErasure(ctx context.Context, job catalog.Job, owner string) error {
	var payload erasePayload
	if err := json.Unmarshal(job.Payload, &payload); err != nil {
		return err
	}
	var e catalog.Erasure
	var p catalog.Patient
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if e, err = tx.Erasure(ctx, payload.Erasure); err != nil {
			return err
		}
		p, err = tx.Patient(ctx, e.Patient)
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) || err == nil && e.State != catalog.ErasureResealing {
		return v.cfg.Catalog.Finish(ctx, job, owner, nil)
	}
	if err != nil {
		return err
	}
	if p.State == catalog.Active {
		prepare := v.resealAll
		if e.Anonymize {
			prepare = v.anonymizeAll
		}
		if err := prepare(ctx, e); err != nil {
			return err
		}
	}
	err = v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
		if _, err := tx.LockPatient(ctx, e.Patient); err != nil {
			return err
		}
		if err := v.nothingCounts(ctx, tx, e); err != nil {
			return err
		}
		return v.bury(ctx, tx, &e)
	})
	if err == nil {
		v.deks.drop(e.Patient)
	}
	return err
}

// nothingCounts is nil when nothing that is to stay is sealed under keys that are to die.
func (v *Vault) nothingCounts(ctx context.Context, tx *catalog.Tx, e catalog.Erasure) error {
	if e.Document == "" {
		return nil
	}
	p, err := tx.Patient(ctx, e.Patient)
	if err != nil || p.State == catalog.Erased {
		return err
	}
	left, err := tx.Counting(ctx, e.Patient, e.Generation, "", 1)
	if err == nil && len(left) > 0 {
		err = errors.New("something was stored under the old keys meanwhile")
	}
	return err
}

// resealPage is how many objects are listed at once.
const resealPage = 64

// resealAll brings whatever counts of a patient under the new keys.
func (v *Vault) resealAll(ctx context.Context, e catalog.Erasure) error {
	for after := record.ObjectID(""); ; {
		var page []catalog.Object
		err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
			page, err = tx.Counting(ctx, e.Patient, e.Generation, after, resealPage)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, o := range page {
			if err := v.reseal(ctx, e, o); err != nil {
				return fmt.Errorf("seal %s under new keys: %w", o.ID, err)
			}
		}
		after = page[len(page)-1].ID
	}
}

func (v *Vault) reseal(ctx context.Context, e catalog.Erasure, o catalog.Object) error {
	if o.Class == catalog.ClassRecords {
		return v.resealRecord(ctx, e, o)
	}
	var d catalog.Document
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		d, err = tx.Document(ctx, o.ID)
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) {
		return nil // superseded or erased meanwhile
	}
	if err != nil {
		return err
	}
	_, err = v.supersede(ctx, supersession{old: d, persons: []string{e.ProposedBy, e.ApprovedBy},
		act: act{Actor: v.self(), Action: record.ActionSupersede, Patient: e.Patient, Object: o.ID, Origin: originErasure, Kind: d.Kind}})
	if errors.Is(err, record.ErrConflict) {
		return nil // by somebody else
	}
	return err
}

// resealRecord seals a record as it is under new keys. What the catalog knows of it names
// the old id, which leads to the new.
func (v *Vault) resealRecord(ctx context.Context, e catalog.Erasure, o catalog.Object) error {
	var p catalog.Patient
	var recordType string
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if p, err = tx.Patient(ctx, o.Patient); err == nil {
			recordType, err = tx.RecordType(ctx, o.ID)
		}
		return err
	})
	if err != nil {
		return err
	}
	was, err := v.openKeys(ctx, sealedFor(p, o))
	if err != nil {
		return err
	}
	k, err := v.openKeys(ctx, p)
	if err != nil {
		return err
	}
	opened, err := v.open(ctx, o, was, record.ViewOriginal)
	if err != nil {
		return err
	}
	var value map[string]json.RawMessage
	if err := readPart(ctx, opened, envelope.Content, &value); err != nil {
		return err
	}
	s := &sealed{id: record.NewObjectID(), class: catalog.ClassRecords, spool: v.spools.open(), keys: k}
	defer s.close()
	var identity any // what only the identity key opens, if there is anything
	var words json.RawMessage
	if err := readPart(ctx, opened, envelope.Who, &words); err == nil {
		identity = words
	} else if !errors.Is(err, envelope.ErrNoPart) {
		return err
	}
	if err := sealRecordInto(s, value, identity); err != nil {
		return err
	}
	said, err := v.said(ctx, p.Token)
	if err != nil {
		return err
	}
	permitted := v.permitted(p, said...)
	placed, err := v.place(ctx, s, k, v.near(p, permitted))
	if err != nil {
		return err
	}
	// A crash before this line leaves only unreferenced objects.
	row := v.row(s, record.KindRecord, nil)
	if identity != nil {
		if row.Footer, err = s.tail(); err != nil {
			return err
		}
	}
	row.Created = o.Created
	err = v.commitResealed(ctx, e, o, row, recordType, permitted, placed)
	switch {
	case err == nil:
		v.settle(s)
	case !errors.Is(err, errUncertain): // otherwise the objects stay until the intent is looked at
		v.discard(ctx, s)
	}
	if errors.Is(err, errSuperseded) {
		return nil
	}
	return err
}

func (v *Vault) commitResealed(ctx context.Context, e catalog.Erasure, old, row catalog.Object, recordType string, permitted, placed []string) error {
	what := act{Actor: v.self(), Action: record.ActionSupersede, Patient: e.Patient, Object: row.ID, Origin: originErasure, Kind: record.KindRecord}
	_, err := v.perform(ctx, what, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		now, err := tx.LockPatient(ctx, e.Patient)
		if err != nil {
			return err
		}
		still, err := tx.Object(ctx, old.ID)
		if err != nil {
			return err
		}
		if now.State != catalog.Active || now.Generation != row.Generation || still.SupersededBy != "" {
			return errSuperseded
		}
		old.SupersededBy = row.ID
		if err := errors.Join(tx.InsertRecord(ctx, row, recordType), tx.Leave(ctx, old)); err != nil {
			return err
		}
		describeCommit(leaf, row, permitted)
		leaf.Commit.Supersedes, leaf.Persons = old.ID, []string{e.ProposedBy, e.ApprovedBy}
		return v.promise(ctx, tx, row, permitted, placed)
	})
	return err
}
