package vault

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"medvault/imaging/subject"
	"medvault/keys/envelope"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Bounds of what is gathered about one patient.
const (
	maxWitnesses   = 500 // documents that are opened for it
	maxKnownValues = 200 // of one kind
)

// acquaintance is what the vault knows of a patient from all of their documents.
type acquaintance struct {
	subject.Known
	digest string // keyed: it tells nothing, and changes when more is known
	seen   int    // documents that told of it
}

// acquainted gathers what is known of a patient from what is sealed beside their
// documents under the identity key.
func (v *Vault) acquainted(ctx context.Context, p catalog.Patient, k patientKeys) (acquaintance, error) {
	var rows []catalog.Object
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		rows = rows[:0]
		ids, err := tx.Witnesses(ctx, p.Token, maxWitnesses)
		for _, id := range ids {
			row, err := tx.Object(ctx, id)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return err
	})
	if err != nil {
		return acquaintance{}, fmt.Errorf("what is known of a patient: %w", err)
	}
	var all subject.Known
	for _, row := range rows {
		var w who
		o, err := v.open(ctx, row, k, record.ViewOriginal)
		if err == nil {
			err = readPart(ctx, o, envelope.Who, &w)
		}
		if errors.Is(err, record.ErrTampered) {
			v.cfg.Log.Error("tells nothing of its patient", "object", row.ID, "err", err)
			continue // one damaged document must not keep all reports waiting
		}
		if err != nil {
			return acquaintance{}, fmt.Errorf("what is known of a patient: %w", err)
		}
		if err := w.tell(&all); err != nil {
			return acquaintance{}, fmt.Errorf("open %s: %w", row.ID, err)
		}
	}
	said, err := v.correctionsOf(ctx, p)
	if err != nil {
		return acquaintance{}, fmt.Errorf("what is known of a patient: %w", err)
	}
	for _, c := range said {
		all.Names, all.IDs = append(all.Names, c.Values["PatientName"]), append(all.IDs, c.Values["PatientID"])
		all.Dates, all.Addresses = append(all.Dates, c.Values["PatientBirthDate"]), append(all.Addresses, c.Values["PatientAddress"])
	}
	who := v.acquaintanceOf(all)
	who.seen = len(rows)
	return who, nil
}

// both is what is known of two patients.
func both(a, b subject.Known) subject.Known {
	a.Names, a.IDs, a.Dates = append(a.Names, b.Names...), append(a.IDs, b.IDs...), append(a.Dates, b.Dates...)
	a.Phones, a.Addresses = append(a.Phones, b.Phones...), append(a.Addresses, b.Addresses...)
	a.Emails, a.Others = append(a.Emails, b.Emails...), append(a.Others, b.Others...)
	return a
}

func (v *Vault) acquaintanceOf(all subject.Known) acquaintance {
	for _, list := range []*[]string{&all.Names, &all.IDs, &all.Dates, &all.Phones, &all.Addresses, &all.Emails, &all.Others} {
		slices.Sort(*list)
		*list = slices.DeleteFunc(slices.Compact(*list), func(s string) bool { return s == "" })
		*list = (*list)[:min(len(*list), maxKnownValues)]
	}
	all.UIDs, all.Raw = nil, nil
	data, err := json.Marshal(all)
	if err != nil {
		panic(err) // strings
	}
	return acquaintance{Known: all, digest: v.tokens.Fingerprint(sha256.Sum256(data))}
}

// tell adds what a document says of its patient. Of its dates only the birth date is the
// patient's own.
func (w who) tell(all *subject.Known) error {
	k, err := w.known()
	if err != nil {
		return err
	}
	all.Names = append(append(all.Names, k.Names...), w.PatientName)
	all.IDs = append(all.IDs, k.IDs...)
	all.Phones, all.Addresses = append(all.Phones, k.Phones...), append(all.Addresses, k.Addresses...)
	all.Emails, all.Others = append(all.Emails, k.Emails...), append(all.Others, k.Others...)
	all.Dates = append(all.Dates, w.BirthDate)
	var attributes map[string]json.RawMessage
	if len(w.Attributes) > 0 && json.Unmarshal(w.Attributes, &attributes) == nil { // known has seen that it can be read
		all.Dates = append(all.Dates, text(attributes["00100030"]))
	}
	return nil
}
