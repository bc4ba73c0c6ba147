package vault

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/consent"
	"medvault/vault/record"
)

// A patient is erased by the destruction of their keys. One person proposes it, another
// approves, and with the approval's transaction it has happened for every gateway: the
// patient is erased, the wraps are gone from the catalog and none is stored again. What
// follows in the regions is done by jobs that outlive a gateway (erasejobs.go): a tombstone
// at home, the wraps deleted, the shards rotated, rewrapped and trimmed, and only then the
// objects removed. When all that is done, and no gateway can hold a key any more, it is
// certified (certificate.go).

// Types of house records about erasures: they outlive the patient, and name a token only.
const (
	recordErasure         = "erasure"
	recordErasureApproval = "erasure-approval"
	recordCertificate     = "certificate-of-destruction"
)

// ActionKeysErased is in the leaf that destroys a generation of keys whose patient lives.
// That of a patient is ActionErased.
const ActionKeysErased record.Action = "generation.erased"

// Bases are the legal bases on which documents may be destroyed although the law or the
// promise would keep them longer, with what each needs.
const (
	EraseRetentionEnded  = "retention-ended"  // no early one: nothing keeps them any more
	ErasePatientRequest  = "patient-request"  // the patient asks for it, and the law allows it
	EraseConsentRevoked  = "consent-revoked"  // what they were kept on is withdrawn
	EraseGuardianRefused = "guardian-refused" // a child's guardian has refused consent, as is on record
	EraseCourtOrder      = "court-order"
	EraseStatute         = "statute"
	EraseStoredInError   = "stored-in-error" // another patient's, or nobody's
)

// EarlyBases lists the bases of an early erasure.
func EarlyBases() []string {
	return []string{ErasePatientRequest, EraseConsentRevoked, EraseGuardianRefused, EraseCourtOrder, EraseStatute, EraseStoredInError}
}

// NewErasure is what is proposed to be destroyed.
type NewErasure struct {
	Patient   record.PatientToken `json:"patient,omitempty"`
	Document  record.ObjectID     `json:"document,omitempty"`  // only this one; then Patient may be left out
	Anonymize bool                `json:"anonymize,omitempty"` // what can be shown without identity stays, under names that lead to nobody
	Early     string              `json:"early,omitempty"`     // legal basis, while retention has not ended
	Evidence  string              `json:"evidence,omitempty"`  // where it is written: a document's id, a case, a file number; no name
	Reason    string              `json:"reason,omitempty"`    // sealed
}

// Erasure is one order to destroy documents.
type Erasure struct {
	ID         record.ObjectID     `json:"id"`
	Patient    record.PatientToken `json:"patient"`
	Document   record.ObjectID     `json:"document,omitempty"`
	Anonymize  bool                `json:"anonymize,omitempty"`
	Basis      string              `json:"basis"`
	Sweep      record.ObjectID     `json:"sweep,omitempty"`
	Evidence   string              `json:"evidence,omitempty"` // sealed; left out of lists
	Reason     string              `json:"reason,omitempty"`   // sealed; left out of lists
	State      string              `json:"state"`              // "proposed", "resealing", "burying" or "done"
	ProposedBy string              `json:"proposedBy"`
	Proposed   time.Time           `json:"proposed"`
	ApprovedBy string              `json:"approvedBy,omitempty"`
	Approved   *time.Time          `json:"approved,omitempty"`
	Generation uint32              `json:"generation,omitempty"` // up to which keys die
	ReadsEnd   *time.Time          `json:"readsEnd,omitempty"`   // from then on no gateway can hold a key any more: no certificate before; left out of lists
	Certified  *time.Time          `json:"certified,omitempty"`
	Regions    []ErasedRegion      `json:"regions,omitempty"`
}

// erasureApproval is the record of the second person's word.
type erasureApproval struct {
	Erasure    record.ObjectID     `json:"erasure"`
	Patient    record.PatientToken `json:"patient"`
	Document   record.ObjectID     `json:"document,omitempty"`
	Basis      string              `json:"basis"`
	Generation uint32              `json:"generation"`
	ProposedBy string              `json:"proposedBy"`
	ApprovedBy string              `json:"approvedBy"`
	At         time.Time           `json:"at"`
}

// evidenceForm is what may be named as evidence: a reference, no words about somebody.
var evidenceForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/#-]{0,127}$`)

// ErasurePreview is what an erasure would destroy, and what stands against it.
type ErasurePreview struct {
	Patient   record.PatientToken `json:"patient"`
	Document  record.ObjectID     `json:"document,omitempty"`
	Documents int64               `json:"documents"`
	Objects   int64               `json:"objects"` // with records, and what is on its way out
	Keys      uint32              `json:"keys"`    // generations of keys
	Retention RetentionStatus     `json:"retention"`
	Refused   string              `json:"refused,omitempty"` // code of why it would be refused now
	Advice    string              `json:"advice,omitempty"`
}

// PreviewErasure says what a proposal would come to, and changes nothing. Acts of the
// guard: erasure.propose.
func (v *Vault) PreviewErasure(ctx context.Context, a record.Actor, n NewErasure) (p ErasurePreview, err error) {
	if err := v.erasable(ctx, &n); err != nil {
		return p, v.erasureUnknown(ctx, a, err)
	}
	_, err = v.perform(ctx, act{Actor: a, Action: record.ActionErasePropose, Patient: n.Patient}, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		leaf.Reason = "dry-run"
		patient, err := tx.Patient(ctx, n.Patient)
		if err != nil {
			return notFound(err)
		}
		p = ErasurePreview{Patient: n.Patient, Document: n.Document, Keys: patient.Generation}
		if p.Retention, err = v.retention(ctx, tx, patient); err != nil {
			return err
		}
		if p.Documents = 1; n.Document == "" {
			p.Documents = p.Retention.Documents
		}
		if p.Objects, err = tx.CountObjects(ctx, n.Patient); err != nil {
			return err
		}
		_, err = v.allowed(ctx, tx, patient, n)
		if no := new(record.Refusal); errors.As(err, &no) {
			p.Refused, p.Advice, err = no.Code, no.Advice, nil
		}
		return err
	})
	return p, err
}

// ProposeErasure puts on record that a patient's documents, or one of them, are to be
// destroyed. Nothing is before another person approves. While a legal hold stands, or the
// law or the promise keeps them and no basis is named: ErrConflict with the date. Acts of
// the guard: erasure.propose.
func (v *Vault) ProposeErasure(ctx context.Context, a record.Actor, n NewErasure) (Erasure, error) {
	if err := v.erasable(ctx, &n); err != nil {
		return Erasure{}, v.erasureUnknown(ctx, a, err)
	}
	proposing := act{Actor: a, Action: record.ActionErasePropose, Patient: n.Patient}
	e := Erasure{ID: record.NewObjectID(), Patient: n.Patient, Document: n.Document, Anonymize: n.Anonymize, Basis: n.Early, Evidence: n.Evidence, Reason: n.Reason,
		State: catalog.ErasureProposed, ProposedBy: a.ID, Proposed: v.cfg.Now().UTC().Truncate(time.Millisecond)}
	if err := v.mayErase(ctx, proposing, n, &e); err != nil {
		return Erasure{}, err
	}
	err := v.putHouseRecord(ctx, proposing, e.ID, recordErasure, e, func(tx *catalog.Tx) error {
		p, err := tx.LockPatient(ctx, n.Patient)
		if err != nil {
			return notFound(err)
		}
		if _, err := v.allowed(ctx, tx, p, n); err != nil {
			return err
		}
		if err := v.onlyErasure(ctx, tx, n); err != nil {
			return err
		}
		leaf := v.leaf(proposing, allowed)
		leaf.Object, leaf.Reason = e.ID, e.Basis
		return errors.Join(tx.PutErasure(ctx, e.row()), appendLeaf(ctx, tx, leaf))
	})
	if no := new(record.Refusal); errors.As(err, &no) && no.Kind == record.ErrConflict {
		return Erasure{}, v.turnDown(ctx, proposing, no)
	}
	return e, err
}

// mayErase asks the guard and the rules before anything is sealed, and fills in the basis.
func (v *Vault) mayErase(ctx context.Context, proposing act, n NewErasure, e *Erasure) error {
	if err := v.may(ctx, proposing); err != nil {
		return err
	}
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		p, err := tx.Patient(ctx, n.Patient)
		if err != nil {
			return notFound(err)
		}
		if e.Basis, err = v.allowed(ctx, tx, p, n); err != nil {
			return err
		}
		return v.onlyErasure(ctx, tx, n)
	})
	if no := new(record.Refusal); errors.As(err, &no) && no.Kind == record.ErrConflict {
		return v.turnDown(ctx, proposing, no)
	}
	return err
}

// erasable checks the form of a proposal, and finds the patient of a document.
func (v *Vault) erasable(ctx context.Context, n *NewErasure) error {
	refuse := func(code, advice string) error { return record.Refuse(record.ErrInvalid, code, advice) }
	switch {
	case n.Patient == "" && n.Document == "":
		return refuse("what", "name the patient, or the document")
	case n.Early != "" && !slices.Contains(EarlyBases(), n.Early):
		return refuse("bad-basis", "the bases of an early erasure are patient-request, consent-revoked, guardian-refused, court-order, statute and stored-in-error")
	case n.Early != "" && n.Early != EraseGuardianRefused && n.Evidence == "":
		return refuse("evidence-required", "name as evidence where the basis is written: the id of a stored document, a case, a file number")
	case n.Evidence != "" && !evidenceForm.MatchString(n.Evidence):
		return refuse("bad-evidence", "evidence is a reference of letters, digits and ._:/#-, at most 128 characters, and no name")
	case n.Reason != "" && !wordsWithin(n.Reason, 1, 1000):
		return refuse("bad-reason", "a reason has at most 1000 characters")
	case n.Anonymize && n.Document != "":
		return refuse("anonymize-all", "a patient is anonymized as a whole")
	}
	if n.Document == "" {
		return nil
	}
	return v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		current, err := tx.Current(ctx, n.Document)
		if err != nil {
			return notFound(err)
		}
		d, err := tx.Document(ctx, current)
		if err != nil {
			return notFound(err)
		}
		if n.Patient != "" && n.Patient != d.Patient {
			return record.ErrNotFound
		}
		n.Document, n.Patient = current, d.Patient
		return nil
	})
}

// erasureUnknown writes down that a document was named that is not there.
func (v *Vault) erasureUnknown(ctx context.Context, a record.Actor, err error) error {
	if errors.Is(err, record.ErrNotFound) {
		return v.absent(ctx, a, record.ActionErasePropose)
	}
	return err
}

// allowed says on which basis a patient's documents may be destroyed now. A hold always
// keeps them; retention unless the law or the patient's own word says otherwise.
func (v *Vault) allowed(ctx context.Context, tx *catalog.Tx, p catalog.Patient, n NewErasure) (basis string, err error) {
	if err := v.notHeld(ctx, tx, p.Token); err != nil {
		return "", err
	}
	if n.Early == EraseGuardianRefused {
		return n.Early, v.guardianRefused(ctx, tx, p.Token)
	}
	if n.Early != "" {
		return n.Early, nil
	}
	kept, err := v.retention(ctx, tx, p)
	if err != nil {
		return "", err
	}
	if v.cfg.Now().Before(kept.Until) {
		return "", record.Refuse(record.ErrConflict, "retention", "kept until "+kept.Until.In(v.zone).Format(time.DateOnly)+
			" at least: before that it takes a legal basis with its evidence (--early BASIS --evidence REFERENCE)")
	}
	return EraseRetentionEnded, nil
}

// guardianRefused says whether consent was refused for a child: then nothing is kept that
// the law does not keep.
func (v *Vault) guardianRefused(ctx context.Context, tx *catalog.Tx, p record.PatientToken) error {
	minor, err := v.minor(ctx, tx, p)
	if err != nil {
		return err
	}
	said, err := tx.Consents(ctx, p)
	if err != nil {
		return err
	}
	refused := slices.ContainsFunc(said, func(s consent.Statement) bool {
		return s.Guardian != "" && s.Ended == nil && s.Decision == consent.Refuse
	})
	if minor && refused && !consent.Guarded(said, v.cfg.Now()) {
		return nil
	}
	return record.Refuse(record.ErrConflict, "not-refused", "the patient is no child whose guardian has refused consent, as far as is on record")
}

// onlyErasure refuses a second proposal for what one is on its way for.
func (v *Vault) onlyErasure(ctx context.Context, tx *catalog.Tx, n NewErasure) error {
	all, err := tx.Erasures(ctx, catalog.ErasureFilter{Patient: n.Patient})
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.State == catalog.ErasureResealing || e.State == catalog.ErasureProposed && e.Document == n.Document {
			return record.Refuse(record.ErrConflict, "erasure-under-way", "an erasure of this patient is under way: "+string(e.ID))
		}
	}
	return nil
}

func (e Erasure) row() catalog.Erasure {
	return catalog.Erasure{ID: e.ID, Patient: e.Patient, Document: e.Document, Anonymize: e.Anonymize, Basis: e.Basis, Sweep: e.Sweep,
		ProposedBy: e.ProposedBy, Proposed: e.Proposed, State: e.State}
}

func erasureOf(row catalog.Erasure) Erasure {
	e := Erasure{ID: row.ID, Patient: row.Patient, Document: row.Document, Anonymize: row.Anonymize, Basis: row.Basis, Sweep: row.Sweep, State: row.State,
		ProposedBy: row.ProposedBy, Proposed: row.Proposed.UTC(), ApprovedBy: row.ApprovedBy, Generation: row.Generation}
	if !row.Approved.IsZero() {
		e.Approved = &row.Approved
	}
	if !row.Certified.IsZero() {
		e.Certified = &row.Certified
	}
	return e
}

// ApproveErasure is the second person's word, and begins the erasure: from now on the
// patient is erased in every gateway, and there is no way back. Whoever proposed it cannot;
// a hold or a treatment that came meanwhile stands against it still. Acts of the guard:
// erasure.approve.
func (v *Vault) ApproveErasure(ctx context.Context, a record.Actor, id record.ObjectID) (Erasure, error) {
	var e catalog.Erasure
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		e, err = tx.Erasure(ctx, id)
		return notFound(err)
	})
	if errors.Is(err, record.ErrNotFound) {
		return Erasure{}, v.absent(ctx, a, record.ActionEraseApprove)
	}
	if err != nil {
		return Erasure{}, unavailable("catalog", err)
	}
	approving := act{Actor: a, Action: record.ActionEraseApprove, Patient: e.Patient}
	if err := v.may(ctx, approving); err != nil {
		return Erasure{}, err
	}
	switch {
	case e.ProposedBy == a.ID:
		return Erasure{}, v.turnDown(ctx, approving, &record.Refusal{Kind: record.ErrDenied, Code: "second-person", Advice: "another person than the one who proposed it has to approve"})
	case e.State != catalog.ErasureProposed:
		return Erasure{}, v.turnDown(ctx, approving, approvedAlready)
	}
	if e.Document != "" || e.Anonymize {
		e, err = v.approvePreparing(ctx, approving, e)
	} else {
		e, err = v.approveBurial(ctx, approving, e)
	}
	if no := new(record.Refusal); errors.As(err, &no) && no.Kind == record.ErrConflict {
		return Erasure{}, v.turnDown(ctx, approving, no)
	}
	if err != nil {
		return Erasure{}, err
	}
	return erasureOf(e), nil
}

var approvedAlready = &record.Refusal{Kind: record.ErrConflict, Code: "approved-already", Advice: "somebody has approved it already"}

// approveBurial approves and buries the patient in one transaction.
func (v *Vault) approveBurial(ctx context.Context, approving act, e catalog.Erasure) (catalog.Erasure, error) {
	said, p, err := v.approval(ctx, approving, e)
	if err != nil {
		return e, err
	}
	e.Approval, e.ApprovedBy, e.Approved, e.Generation = record.NewObjectID(), said.ApprovedBy, said.At, said.Generation
	err = v.putHouseRecord(ctx, approving, e.Approval, recordErasureApproval, said, func(tx *catalog.Tx) error {
		if err := v.stillApproved(ctx, tx, e, p); err != nil {
			return err
		}
		return v.bury(ctx, tx, &e)
	})
	if errors.Is(err, errChanged) {
		return e, unavailable("patient", err)
	}
	if err == nil {
		v.deks.drop(e.Patient)
	}
	return e, err
}

// approval says what is approved, of the patient as they are now.
func (v *Vault) approval(ctx context.Context, approving act, e catalog.Erasure) (said erasureApproval, p catalog.Patient, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if p, err = tx.Patient(ctx, e.Patient); err != nil {
			return err
		}
		_, err = v.allowed(ctx, tx, p, asProposed(e))
		return err
	})
	said = erasureApproval{Erasure: e.ID, Patient: e.Patient, Document: e.Document, Basis: e.Basis, Generation: p.Generation,
		ProposedBy: e.ProposedBy, ApprovedBy: approving.Actor.ID, At: v.cfg.Now().UTC().Truncate(time.Millisecond)}
	return said, p, err
}

// asProposed is what was proposed, to be judged again.
func asProposed(e catalog.Erasure) NewErasure {
	n := NewErasure{Patient: e.Patient, Document: e.Document, Anonymize: e.Anonymize, Early: e.Basis}
	if e.Basis == EraseRetentionEnded {
		n.Early = ""
	}
	return n
}

// stillApproved looks again, under the patient's row lock, whether what is approved may be
// done.
func (v *Vault) stillApproved(ctx context.Context, tx *catalog.Tx, e catalog.Erasure, p catalog.Patient) error {
	now, err := tx.LockPatient(ctx, e.Patient)
	if err != nil {
		return err
	}
	if now.State != catalog.Active || now.Generation != p.Generation {
		return fmt.Errorf("%w: patient changed meanwhile", errChanged)
	}
	still, err := tx.Erasure(ctx, e.ID)
	if err != nil {
		return err
	}
	if still.State != catalog.ErasureProposed {
		return approvedAlready
	}
	_, err = v.allowed(ctx, tx, now, asProposed(e))
	return err
}

// bury makes a patient's keys dead up to a generation, with the caller's transaction, and
// leaves the jobs that carry it out in the regions. The patient's row is locked. From here
// on there is no way back.
func (v *Vault) bury(ctx context.Context, tx *catalog.Tx, e *catalog.Erasure) error {
	action := ActionKeysErased
	if e.Document == "" {
		action = ActionErased
	}
	services, err := v.buryKeys(ctx, tx, *e)
	if err != nil {
		return err
	}
	leaf := v.leaf(act{Actor: v.self(), Action: action, Patient: e.Patient, Object: e.Approval, Origin: originErasure}, allowed)
	leaf.Reason, leaf.Generation, leaf.Persons = e.Basis, e.Generation, []string{e.ProposedBy, e.ApprovedBy}
	if err := appendLeaf(ctx, tx, leaf); err != nil {
		return err
	}
	e.State = catalog.ErasureBurying
	if err := tx.PutErasure(ctx, *e); err != nil {
		return err
	}
	return v.orderBurial(ctx, tx, *e, services)
}

const originErasure = "erasure"

// buryKeys is what an erasure means for the catalog. It tells which key services had
// wraps.
func (v *Vault) buryKeys(ctx context.Context, tx *catalog.Tx, e catalog.Erasure) (services []string, err error) {
	if e.Document == "" {
		p, err := tx.LockPatient(ctx, e.Patient)
		if err != nil {
			return nil, err
		}
		p.State = catalog.Erased
		if err := errors.Join(tx.UpdatePatient(ctx, p), tx.Forget(ctx, e.Patient)); err != nil {
			return nil, err
		}
	}
	return tx.Bury(ctx, catalog.Tombstone{Patient: e.Patient, Generation: e.Generation, Erasure: e.Approval, Buried: e.Approved})
}

// Erasures lists the newest erasures; with an id only that one, with how far it is in every
// region, its reason and its evidence. Acts of the guard: erasure.list.
func (v *Vault) Erasures(ctx context.Context, a record.Actor, id record.ObjectID, of record.PatientToken) ([]Erasure, error) {
	var rows []catalog.Erasure
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionEraseList}, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) (err error) {
		leaf.Patient, leaf.Object = of, id
		if id == "" {
			rows, err = tx.Erasures(ctx, catalog.ErasureFilter{Patient: of, Limit: 500})
			return err
		}
		e, err := tx.Erasure(ctx, id)
		rows = []catalog.Erasure{e}
		return notFound(err)
	})
	if err != nil {
		return nil, err
	}
	list := make([]Erasure, len(rows))
	for i, row := range rows {
		list[i] = erasureOf(row)
	}
	if id == "" {
		return list, nil
	}
	return list, v.tellErasure(ctx, rows[0], &list[0])
}

// tellErasure fills in what lists leave out.
func (v *Vault) tellErasure(ctx context.Context, row catalog.Erasure, e *Erasure) (err error) {
	if e.Regions, err = v.erasedRegions(ctx, row); err != nil {
		return err
	}
	if row.State == catalog.ErasureBurying || row.State == catalog.ErasureDone {
		end := v.readsEnd(row).UTC()
		e.ReadsEnd = &end
	}
	if row.Sweep != "" {
		return nil // it was proposed with others, without words
	}
	var sealed Erasure
	if err := v.readHouseRecord(ctx, row.ID, &sealed); err != nil {
		return err
	}
	e.Reason, e.Evidence = sealed.Reason, sealed.Evidence
	return nil
}

// Readmit lets a patient in again who was erased: what is stored from now on lies under new
// keys, and nothing of before comes back. Acts of the guard: patient.readmit. Not erased:
// ErrConflict.
func (v *Vault) Readmit(ctx context.Context, a record.Actor, p record.PatientToken) error {
	readmitting := act{Actor: a, Action: record.ActionReadmit}
	_, err := v.perform(ctx, readmitting, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		row, err := tx.LockPatient(ctx, p)
		if err != nil {
			return notFound(err)
		}
		if row.State != catalog.Erased {
			return record.Refuse(record.ErrConflict, "not-erased", "this patient is not erased")
		}
		dead, err := tx.Tombstone(ctx, p)
		if err != nil {
			return err
		}
		row.State, row.Generation = catalog.Active, max(row.Generation, dead.Generation)+1
		leaf.Patient, leaf.Generation = p, row.Generation
		return tx.UpdatePatient(ctx, row)
	})
	return err
}
