package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Agreement is the signed document by which an institution is bound: a house record, sealed
// under the house's key in every home region. The leaf of the act holds its SHA-256.
type Agreement struct {
	ID          record.ObjectID `json:"id"`
	Institution string          `json:"institution"`
	Expires     string          `json:"expires"` // last day on which it binds, YYYY-MM-DD by the calendar at home
	SHA256      string          `json:"sha256"`  // hex, of the document
	Document    []byte          `json:"document"`
	By          string          `json:"by"`
}

// MaxAgreement bounds the document of an agreement in bytes.
const MaxAgreement = 8 << 20

const recordAgreement = "staff-agreement"

// agreementRef begins StaffInstitution.Agreement where it names a stored document.
const agreementRef = "evidence:"

// SetAgreement stores the signed agreement of an institution, a PDF, and has it bind until
// the end of that last day. Two records: should the second fail, the first is a document
// that nothing refers to, and the act is repeated. Acts of the guard: staff.manage. Unknown
// institution: ErrNotFound.
func (v *Vault) SetAgreement(ctx context.Context, a record.Actor, institution, expires string, document io.Reader) (StaffInstitution, error) {
	act := act{Actor: a, Action: record.ActionStaffManage}
	if err := v.may(ctx, act); err != nil {
		return StaffInstitution{}, err
	}
	until, err := v.lastDay(expires)
	if err != nil {
		return StaffInstitution{}, err
	}
	signed, err := io.ReadAll(io.LimitReader(document, MaxAgreement+1))
	if err != nil {
		return StaffInstitution{}, fmt.Errorf("read agreement: %w", err)
	}
	if len(signed) > MaxAgreement || !bytes.HasPrefix(signed, []byte("%PDF-")) {
		return StaffInstitution{}, record.Refuse(record.ErrInvalid, "bad-agreement", "send the signed agreement as a PDF of at most 8 MiB")
	}
	var i StaffInstitution
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err := tx.StaffInstitution(ctx, institution)
		i = institutionOf(row)
		return notFound(err)
	})
	if err != nil {
		return i, err
	}
	sum := sha256.Sum256(signed)
	stored := Agreement{ID: record.NewObjectID(), Institution: institution, Expires: expires, SHA256: hex.EncodeToString(sum[:]), Document: signed, By: a.ID}
	act.Evidence = stored.SHA256
	if err := v.putHouseRecord(ctx, act, stored.ID, recordAgreement, stored, func(*catalog.Tx) error { return nil }); err != nil {
		return i, err
	}
	i.Agreement, i.AgreementUntil = agreementRef+string(stored.ID), &until
	return i, v.putInstitution(ctx, act, &i, false)
}

// lastDay is the end of a day by the calendar at home.
func (v *Vault) lastDay(day string) (time.Time, error) {
	at, err := time.ParseInLocation(time.DateOnly, day, v.zone)
	if err != nil {
		return at, record.Refuse(record.ErrInvalid, "bad-date", "name the last day on which the agreement binds as YYYY-MM-DD")
	}
	if at = at.AddDate(0, 0, 1).UTC(); !at.After(v.cfg.Now()) {
		return at, record.Refuse(record.ErrInvalid, "expired", "the agreement has expired already")
	}
	return at, nil
}

// AgreementOf gives back the document by which an institution is bound now. None on record,
// or one told in words alone: ErrNotFound. Acts of the guard: staff.list.
func (v *Vault) AgreementOf(ctx context.Context, a record.Actor, institution string) (signed Agreement, err error) {
	var id record.ObjectID
	_, err = v.perform(ctx, act{Actor: a, Action: record.ActionStaffList}, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		i, err := tx.StaffInstitution(ctx, institution)
		ref, stored := strings.CutPrefix(i.Agreement, agreementRef)
		if err == nil && !stored {
			err = catalog.ErrNotFound
		}
		id, leaf.Object = record.ObjectID(ref), record.ObjectID(ref)
		return notFound(err)
	})
	if err != nil {
		return signed, err
	}
	if err := v.readHouseRecord(ctx, id, &signed); err != nil {
		return signed, err
	}
	if sum := sha256.Sum256(signed.Document); hex.EncodeToString(sum[:]) != signed.SHA256 || signed.Institution != institution {
		return signed, fmt.Errorf("%w: agreement %s", record.ErrTampered, id)
	}
	return signed, nil
}

var agreementNeedsDocument = &record.Refusal{Kind: record.ErrInvalid, Code: "agreement-document", Advice: "an agreement is entered with its signed document (medvault staff agreement); without one it can only end sooner"}

// keepsAgreement says whether i is bound by no other agreement than before, and no longer.
func (i StaffInstitution) keepsAgreement(before StaffInstitution) bool {
	switch {
	case i.AgreementUntil == nil:
		return i.Agreement == "" || i.Agreement == before.Agreement
	case i.Agreement != before.Agreement || before.AgreementUntil == nil:
		return false
	}
	return !i.AgreementUntil.Truncate(time.Millisecond).After(*before.AgreementUntil)
}
