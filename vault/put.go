package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"medvault/storage/replica"
	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
)

// Upload is one document on its way in.
type Upload struct {
	Kind      record.Kind // zero: told from the first bytes
	Body      io.Reader   // read once, to its end
	Study     string      // DICOM: when set, the instance must belong to it
	PatientID string      // PDF: required
	Issuer    string      // PDF: Issuer of Patient ID; default the actor's institution's
	Category  string      // policy 1.1; default "imaging" for DICOM, "report" for PDF
	Title     string      // PDF: sealed with it
	BirthDate string      // PDF: the patient's, YYYYMMDD, sealed with it; "" says nothing

	PatientName string // of what does not say it itself: DICOM's form with ^, or as it is written; sealed with it
}

// Receipt tells the sender what became of an upload. The UIDs are the sender's
// own and are filled as far as they were read, also when Put failed.
type Receipt struct {
	ID                                   record.ObjectID
	Patient                              record.PatientToken
	Present                              bool // the same bytes were here already
	SOPClass, SOPInstance, Study, Series string
	Regions                              []string // that hold it now
}

// Put stores a document. When it returns nil the document is durable: a quorum of
// regions holds it with its patient's wraps, it was restored from the sealed spool
// byte for byte, and its record is committed. The same bytes again are Present;
// other bytes under a stored SOP Instance UID are ErrConflict.
func (v *Vault) Put(ctx context.Context, a record.Actor, up Upload) (Receipt, error) {
	if err := v.MayStore(ctx, a); err != nil {
		return Receipt{}, err
	}
	in, err := v.receive(a, up)
	if err != nil {
		return in.receipt(), err
	}
	return v.putReceived(ctx, a, in)
}

// putReceived is Put from where the document's header has been read.
func (v *Vault) putReceived(ctx context.Context, a record.Actor, in *incoming) (Receipt, error) {
	patient, known, err := v.admit(ctx, a, in)
	if err != nil {
		return in.receipt(), err
	}
	if known != nil {
		r, err := v.again(ctx, a, in, *known)
		return v.acknowledge(ctx, r, err)
	}
	in.country = patient.Country
	keys, done, err := v.sealingKeys(ctx, patient)
	if err != nil {
		return in.receipt(), err
	}
	defer done()
	sealed, err := v.seal(ctx, in, keys)
	if err != nil {
		return in.receipt(), err
	}
	defer sealed.close()
	if err := v.proveRestorable(ctx, sealed, keys); err != nil {
		return in.receipt(), err
	}
	if err := v.fixKeys(ctx, patient, keys); err != nil {
		return in.receipt(), err
	}
	said, err := v.said(ctx, patient.Token)
	if err != nil {
		return in.receipt(), unavailable("catalog", err)
	}
	permitted := v.permitted(patient, v.heard(said, in.stated().BirthDate)...)
	placed, err := v.place(ctx, sealed, keys, v.near(patient, permitted))
	if err != nil {
		return in.receipt(), err
	}
	// A crash before this line leaves only unreferenced objects.
	r, err := v.commit(ctx, a, in, patient, said, sealed, permitted, placed)
	return v.acknowledge(ctx, r, err)
}

// acknowledge ends an upload. In dev a new patient gets a care relationship first.
func (v *Vault) acknowledge(ctx context.Context, r Receipt, err error) (Receipt, error) {
	if err != nil {
		return r, err
	}
	return r, v.autoCare(ctx, r.Patient)
}

// MayStore refuses whoever may store nothing at all, before a byte of a body is
// read. Whoever passes may still be refused for a patient.
func (v *Vault) MayStore(ctx context.Context, a record.Actor) error {
	store := act{Actor: a, Action: record.ActionStore}
	var d access.Decision
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		d, err = v.decide(ctx, tx, store)
		return err
	})
	switch {
	case err != nil:
		return unavailable("catalog", err)
	case d.Allow:
		return nil
	}
	return v.refuse(ctx, store)
}

// admit asks the guard about this patient, and the catalog whether the instance is
// known. A patient seen for the first time gets a row and keys with the first document
// that proves good.
func (v *Vault) admit(ctx context.Context, a record.Actor, in *incoming) (p catalog.Patient, known *catalog.Document, err error) {
	var store act
	var d access.Decision
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if p, err = v.recognise(ctx, tx, in); err != nil {
			return err
		}
		store = act{Actor: a, Action: record.ActionStore, Patient: in.patient, Kind: in.kind, Birth: in.stated().BirthDate, Origin: in.origin}
		if d, err = v.decide(ctx, tx, store); err != nil || !d.Allow {
			return err
		}
		if known = nil; in.instance == "" {
			return nil
		}
		found, err := tx.DocumentByInstance(ctx, in.instance)
		if errors.Is(err, catalog.ErrNotFound) {
			return nil
		}
		known = &found
		return err
	})
	if errors.Is(err, errCorrected) {
		if in.corrections, err = v.correctionsOf(ctx, p); err == nil {
			in.correctedAs = p.Corrected
			return v.admit(ctx, a, in)
		}
	}
	if err == nil && !d.Allow {
		err = v.refuse(ctx, store)
	}
	if err == nil && in.aliased {
		err = v.nameAs(ctx, in, p)
	}
	return p, known, err
}

// errCorrected: what the patient's record was corrected to has to be opened first.
var errCorrected = errors.New("the patient's record was corrected")

// recognise reads the patient of an upload, whom a corrected Patient ID may have led to;
// one who is not known yet as they will be.
func (v *Vault) recognise(ctx context.Context, tx *catalog.Tx, in *incoming) (catalog.Patient, error) {
	p, err := tx.Patient(ctx, in.patient)
	if errors.Is(err, catalog.ErrNotFound) {
		named := in.patient
		if in.patient, err = tx.AliasOf(ctx, named); err != nil {
			return p, err
		}
		if in.aliased = in.patient != named; !in.aliased {
			return catalog.Patient{Token: in.patient, Generation: 1, State: catalog.Active, Country: v.cfg.Home, Created: v.cfg.Now()}, nil
		}
		p, err = tx.Patient(ctx, in.patient)
	}
	if err == nil && p.Corrected > 0 { // all of their documents may have moved to another
		named := in.patient
		if in.patient, err = tx.AliasOf(ctx, named); err == nil && in.patient != named {
			in.aliased = true
			p, err = tx.Patient(ctx, in.patient)
		}
	}
	if err == nil && p.Corrected != in.correctedAs {
		err = errCorrected
	}
	return p, err
}

// again takes an instance that is known by its UID. It reads the rest of the body,
// without sealing it, to see whether these are the same bytes.
func (v *Vault) again(ctx context.Context, a record.Actor, in *incoming, known catalog.Document) (Receipt, error) {
	if _, err := io.Copy(io.Discard, in.body); err != nil {
		return in.receipt(), uploadError(err)
	}
	return v.same(ctx, a, in, known)
}

func (v *Vault) byInstance(ctx context.Context, mapped string) (d catalog.Document, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		d, err = tx.DocumentByInstance(ctx, mapped)
		return err
	})
	return d, err
}

// same compares an upload that was read to its end with a stored document, and writes
// down what came of it.
func (v *Vault) same(ctx context.Context, a record.Actor, in *incoming, known catalog.Document) (Receipt, error) {
	r, again := in.receipt(), act{Actor: a, Action: record.ActionStore, Patient: in.patient, Kind: in.kind, Origin: in.origin}
	if known.Patient == in.patient {
		again.Object = known.ID
	}
	var err error
	if known.Patient != in.patient || known.Fingerprint != v.fingerprint(in) {
		err = record.Refuse(record.ErrConflict, "instance-exists", "another document is stored under this SOP Instance UID: give a changed document a new one")
	} else {
		err = v.sameLabels(ctx, in, known)
	}
	var conflict *record.Refusal
	if errors.As(err, &conflict) && conflict.Kind == record.ErrConflict {
		return r, v.turnDown(ctx, again, conflict)
	}
	if err == nil {
		_, err = v.perform(ctx, again, nil)
	}
	if err != nil {
		return r, err
	}
	r.ID, r.Present = known.ID, true
	return r, nil
}

func (v *Vault) fingerprint(in *incoming) string {
	_, sum := in.tap.original()
	return v.tokens.Fingerprint(sum)
}

// place writes a sealed object to the permitted regions and returns those that hold
// it together with its patient's wraps, read back. Fewer than the quorum:
// ErrUnavailable, and what was written is taken away again.
func (v *Vault) place(ctx context.Context, s *sealed, k patientKeys, permitted []string) (placed []string, err error) {
	if s.intent, err = v.intents.begin(s.key()); err != nil {
		return nil, err
	}
	now := v.counting(v.notFrozen(permitted))
	if err := v.enough(now); err != nil {
		v.discard(ctx, s)
		return nil, unavailable("quorum", err)
	}
	placed, err = v.cfg.Regions.Put(ctx, s.key(), s.spool.body(), replica.Placement{
		Regions: now,
		Quorum:  v.cfg.Quorum(len(now)),
		Ready:   func(ctx context.Context, region string) error { return v.placeWraps(ctx, k, region) },
	})
	if err != nil {
		v.discard(ctx, s)
		return nil, unavailable("quorum", err)
	}
	return placed, nil
}

// discard removes an object that no record names. What it cannot remove now is left
// to the next start.
func (v *Vault) discard(ctx context.Context, s *sealed) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recoverTime)
	defer cancel()
	if err := v.cfg.Regions.Delete(ctx, s.key()); err != nil {
		v.cfg.Log.Warn("unfinished object left", "object", s.id, "err", err)
		return
	}
	v.settle(s)
}

func (v *Vault) settle(s *sealed) {
	if err := s.intent.settle(); err != nil {
		v.cfg.Log.Warn("intent not settled", "object", s.id, "err", err)
	}
}

// commit makes the document known: its row, its terms, its leaf and the copies still
// to be made, in one transaction. State, generation and consent are read again under the
// patient's row lock, so that nothing is acknowledged under a dead key, or promised where
// it may not lie.
func (v *Vault) commit(ctx context.Context, a record.Actor, in *incoming, p catalog.Patient, said []consent.Statement, s *sealed, permitted, placed []string) (Receipt, error) {
	doc, err := v.document(a, in, s)
	if err != nil {
		v.discard(ctx, s)
		return in.receipt(), err
	}
	attest, err := v.attest(s, placed)
	if err != nil {
		v.discard(ctx, s)
		return in.receipt(), err
	}
	var twin catalog.Document
	_, err = v.perform(ctx, act{Actor: a, Action: record.ActionStore, Patient: in.patient, Object: s.id, Kind: in.kind, Birth: in.stated().BirthDate, Origin: in.origin},
		func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
			now, err := tx.LockPatient(ctx, in.patient)
			if err != nil {
				return err
			}
			if now.State != "active" || now.Generation != p.Generation || now.Corrected != p.Corrected {
				return fmt.Errorf("%w: patient changed during the upload", errChanged)
			}
			if err := v.noteBirth(ctx, tx, now, in.stated().BirthDate, s.id); err != nil {
				return err
			}
			if err := v.stillReaches(ctx, tx, p, v.heard(said, in.stated().BirthDate)); err != nil {
				return err
			}
			err = tx.InsertDocument(ctx, doc)
			if errors.Is(err, catalog.ErrExist) { // why?
				if twin, err = tx.DocumentByFingerprint(ctx, in.patient, doc.Fingerprint); err == nil {
					return errTwin
				} else if errors.Is(err, catalog.ErrNotFound) {
					return catalog.ErrExist
				}
			}
			if err != nil {
				return err
			}
			if err := v.noteReport(ctx, tx, in, s.id); err != nil {
				return err
			}
			describeCommit(leaf, doc.Object, permitted)
			leaf.Commit.Attest = attest
			if in.parent != "" {
				leaf.Origin = originAttachment + " of " + string(in.parent)
			}
			if err := v.careLater(ctx, tx, a, in); err != nil {
				return err
			}
			return v.promise(ctx, tx, doc.Object, permitted, placed)
		})
	switch {
	case err == nil:
		v.settle(s)
		r := in.receipt()
		r.ID, r.Regions = s.id, placed
		return r, nil
	case errors.Is(err, errTwin): // the same bytes came in twice at once
		v.discard(ctx, s)
		return v.same(ctx, a, in, twin)
	case errors.Is(err, catalog.ErrExist): // other bytes under the same UID came in at once
		v.discard(ctx, s)
		known, err := v.byInstance(ctx, in.instance)
		if err != nil {
			return in.receipt(), err
		}
		return v.same(ctx, a, in, known)
	case errors.Is(err, errUncertain): // the objects stay until the intent is looked at
		return in.receipt(), err
	}
	v.discard(ctx, s)
	if errors.Is(err, errChanged) {
		err = unavailable("patient", err)
	}
	return in.receipt(), err
}

var (
	errChanged = errors.New("state changed")
	errTwin    = errors.New("the same bytes are stored")
)

func (v *Vault) document(a record.Actor, in *incoming, s *sealed) (catalog.Document, error) {
	terms, err := v.terms(in.stated(), in.patient)
	if err != nil {
		return catalog.Document{}, err
	}
	tail, err := s.tail()
	return catalog.Document{
		Object: v.row(s, in.kind, tail),
		Study:  in.study, Series: in.series, Instance: in.instance,
		Fingerprint: v.fingerprint(in), Category: in.category, Held: s.scrubbed.Held, Terms: terms, By: in.by,
		Rules: in.scrubber.Rules().Digest,
	}, err
}

// describeCommit adds to a leaf what makes the log the manifest of the regions.
func describeCommit(l *audit.Leaf, o catalog.Object, regions []string) {
	l.Commit = &audit.Commit{Kind: o.Kind, Size: o.Size, SHA256: o.SHA256, Generation: o.Generation, Seal: o.Seal, Regions: regions}
}

// promise notes where an object must lie and leaves jobs for the regions that do not
// hold it yet.
func (v *Vault) promise(ctx context.Context, tx *catalog.Tx, o catalog.Object, permitted, placed []string) error {
	if err := tx.PlaceNew(ctx, o, permitted, placed, v.cfg.Now()); err != nil {
		return err
	}
	if err := v.lockLater(ctx, tx, o.ID, placed...); err != nil {
		return err
	}
	for _, r := range permitted {
		if slices.Contains(placed, r) {
			continue
		}
		if err := tx.Enqueue(ctx, copyJob(o.ID, r, v.cfg.Now())); err != nil {
			return err
		}
	}
	return nil
}
