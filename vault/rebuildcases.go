package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// takeCases writes what a record says of requests, restrictions and disclosures. Cases and
// disclosures hold themselves whole with their revision, so that they may come in any
// order.
func takeCases(ctx context.Context, tx *catalog.Tx, id record.ObjectID, recordType string, value json.RawMessage) (err error) {
	read := func(into any) error {
		if err := json.Unmarshal(value, into); err != nil {
			return fmt.Errorf("%w: %w", errNotWhole, err)
		}
		return nil
	}
	switch recordType {
	case recordCase:
		var c Case
		if err := read(&c); err != nil {
			return err
		}
		return tx.PutCase(ctx, c.row(id), true)
	case recordDisclosure:
		var d Disclosure
		if err := read(&d); err != nil {
			return err
		}
		return tx.PutDisclosure(ctx, d.row(id), true)
	case recordCaseNote:
		var n sealedNote
		if err := read(&n); err != nil {
			return err
		}
		err = tx.InsertCaseNote(ctx, n.row(id))
	case recordRestriction:
		var r Restriction
		if err := read(&r); err != nil {
			return err
		}
		err = tx.InsertRestriction(ctx, r.row())
	}
	if errors.Is(err, catalog.ErrExist) {
		return nil
	}
	return err
}

// applyRestrictionEnd lifts a restriction.
func applyRestrictionEnd(ctx context.Context, tx *catalog.Tx, p record.PatientToken, value json.RawMessage) error {
	var end restrictionEnd
	if err := json.Unmarshal(value, &end); err != nil {
		return err
	}
	return tx.EndRestriction(ctx, p, end.Restriction, end.Ended, end.By, end.Case)
}
