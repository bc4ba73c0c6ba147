package vault

import (
	"cmp"
	"context"
	"slices"
	"time"

	"medvault/keys/envelope"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// recordPush is the receipt of what was sent to another institution.
const recordPush = "push-receipt"

// PushRequest says what of whom goes to which institution, at the patient's own request.
type PushRequest struct {
	PackageRequest
	Study     string // original or mapped Study Instance UID; "": everything
	Recipient string // institution, as the register names it; required
	To        string // DICOMweb root of the institution; "": the one of the register
}

// Push is what goes to another institution: decided, and in the log. Nothing of it is sent
// by the vault: whoever sends opens the instances one after the other, and hands the
// receipt back.
type Push struct {
	Receipt   PushReceipt
	Instances []PushInstance // grouped by study

	vault  *Vault
	giving giving
}

// PushInstance is one DICOM instance that is to be sent.
type PushInstance struct {
	Object          record.ObjectID
	Study, Instance string // original UIDs
}

// PushReceipt says what another institution answered to what it was sent: a record, sealed
// under the patient's keys, of which the log has a leaf with the institution.
type PushReceipt struct {
	ID        record.ObjectID     `json:"id"`
	Patient   record.PatientToken `json:"patient"`
	Recipient string              `json:"recipient"`
	To        string              `json:"to"`
	By        string              `json:"by"`
	Role      record.Role         `json:"role"`
	Began     time.Time           `json:"began"`
	Ended     time.Time           `json:"ended"`
	Stored    int                 `json:"stored"`   // instances that it says to have
	Failed    int                 `json:"failed"`   // that it refused, or did not answer for
	Withheld  int                 `json:"withheld"` // documents that exist and were not to be given
	Unsent    int                 `json:"unsent"`   // documents that are no DICOM: DICOMweb takes none
	Instances []PushAnswer        `json:"instances"`
}

// PushAnswer is what became of one instance.
type PushAnswer struct {
	Object   record.ObjectID `json:"object"`
	Instance string          `json:"instance"` // original SOP Instance UID
	Stored   bool            `json:"stored"`
	Reason   int             `json:"reason,omitempty"` // Failure or Warning Reason (PS3.18 10.5.3); 0: none given
	Error    string          `json:"error,omitempty"`  // where no answer came: "unreachable", "refused", "no-answer" or "damaged"
}

// Push decides whether a patient's originals may go to an institution: by the patient's or
// the guardian's own request, to a recipient in the register with a live agreement, and
// abroad with written consent. It writes the leaves, one of the export with the recipient
// and one a document; they are committed before anything is sent. Acts of the guard:
// document.export and document.read, in the original.
func (v *Vault) Push(ctx context.Context, a record.Actor, req PushRequest) (*Push, error) {
	if !institution(req.Recipient) {
		return nil, record.Refuse(record.ErrInvalid, "bad-recipient", "name the recipient, an institution: at most 64 characters, no control characters, no spaces around it")
	}
	patient, err := v.packaged(a, req.PackageRequest)
	if err != nil {
		return nil, err
	}
	p := &Push{vault: v, Receipt: PushReceipt{ID: record.NewObjectID(), Patient: patient, Recipient: req.Recipient, By: a.ID, Role: a.Role,
		Began: v.cfg.Now().UTC().Truncate(time.Millisecond), Instances: []PushAnswer{}}}
	if p.giving, err = v.on(ctx, a, req.Ground, patient, req.Recipient); err != nil {
		return nil, err
	}
	if err := v.permit(ctx, p.giving, p.Receipt.ID, nil); err != nil {
		return nil, err
	}
	// After the decision: who may not push learns nothing of the register.
	if p.Receipt.To, err = v.endpoint(req); err != nil {
		return nil, v.turnDown(ctx, p.giving.act(p.Receipt.ID), err.(*record.Refusal))
	}
	_, p.Receipt.Withheld, err = v.give(ctx, p.giving, func(d PackagedDocument) bool {
		switch {
		case req.Study != "" && req.Study != d.Study && req.Study != d.Mapped:
			return false
		case d.Kind != record.KindDICOM:
			p.Receipt.Unsent++
			return false
		}
		p.Instances = append(p.Instances, PushInstance{Object: d.Object, Study: d.Study, Instance: d.Instance})
		return true
	})
	if err != nil {
		return nil, err
	}
	if len(p.Instances) == 0 {
		return nil, record.Refuse(record.ErrNotFound, "nothing-to-push", "nothing of this is there that DICOMweb takes: reports go by a package")
	}
	if p.giving.Disclosure != "" {
		d := p.giving.disclosed
		d.Revision, d.Given = d.Revision+1, append(d.Given, GivenOut{p.Receipt.Began, a.ID})
		if err := v.putGiven(ctx, v.disclosing(a, record.ActionDiscloseGive, d), d, nil); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(p.Instances, func(a, b PushInstance) int { return cmp.Compare(a.Study, b.Study) })
	return p, nil
}

// endpoint is where a push goes. What the register says is not argued with: a patient's
// request must not make the vault call any address that somebody likes.
func (v *Vault) endpoint(req PushRequest) (string, error) {
	registered, anywhere := v.cfg.Registers.EndpointOf(req.Recipient)
	switch {
	case registered == "" && !anywhere:
		return "", record.Refuse(record.ErrDenied, "endpoint-unregistered", "the register of recipients has no DICOMweb address of this institution: ask for it to be entered, or take a package")
	case registered == "" && req.To == "":
		return "", record.Refuse(record.ErrInvalid, "missing-endpoint", "name the DICOMweb address of the institution")
	case registered != "" && req.To != "" && req.To != registered:
		return "", record.Refuse(record.ErrDenied, "endpoint-elsewhere", "the register of recipients has another DICOMweb address of this institution")
	}
	return cmp.Or(registered, req.To), nil
}

// Open opens the original of an instance, as it was corrected: nobody is sent what is known
// to be wrong. It is decided anew as long as the push lasts, so
// that what is frozen, withdrawn or erased meanwhile is not sent.
func (p *Push) Open(ctx context.Context, i PushInstance) (*Handle, error) {
	return p.vault.openGiven(ctx, p.giving, Ref{Document: i.Object})
}

// End puts on record what the institution answered. It is called once, also after a push
// that was broken off: what was given was given.
func (p *Push) End(ctx context.Context, answers []PushAnswer) (PushReceipt, error) {
	r := &p.Receipt
	r.Ended, r.Instances = p.vault.cfg.Now().UTC().Truncate(time.Millisecond), answers
	for _, answer := range answers {
		if answer.Stored {
			r.Stored++
		} else {
			r.Failed++
		}
	}
	// The receipt names the patient's own UIDs: it is for whoever has the identity key.
	one := recordPut{act: p.giving.act(r.ID), id: r.ID, recordType: recordPush, value: pushed{r.ID, r.Recipient}, identity: *r,
		change: func(context.Context, *catalog.Tx) error { return nil }}
	return *r, p.vault.putRecords(ctx, r.Patient, []recordPut{one}, nil)
}

// pushed is what the content key alone opens of a receipt.
type pushed struct {
	Push      record.ObjectID `json:"push"`
	Recipient string          `json:"recipient"`
}

// Pushes lists the receipts of what was sent of a patient, the oldest first. Acts of the
// guard: document.export.
func (v *Vault) Pushes(ctx context.Context, a record.Actor, p record.PatientToken) ([]PushReceipt, error) {
	var records []catalog.Object
	err := v.permitOriginals(ctx, act{Actor: a, Action: record.ActionExport, Patient: p}, func(tx *catalog.Tx) (err error) {
		if _, err := tx.Patient(ctx, p); err != nil {
			return notFound(err)
		}
		records, err = tx.RecordsOf(ctx, p, recordPush)
		return err
	})
	if err != nil {
		return nil, err
	}
	list := make([]PushReceipt, len(records))
	for i, o := range records {
		k, err := v.openKeys(ctx, catalog.Patient{Token: o.Patient, Generation: o.Generation})
		if err != nil {
			return nil, err
		}
		sealed, err := v.open(ctx, o, k, record.ViewOriginal)
		if err != nil {
			return nil, err
		}
		if err := readPart(ctx, sealed, envelope.Who, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}
