package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// takeBirth takes in the birth date that a document states, so that a child is one again
// before any of the documents is promised to a region.
func (r *rebuild) takeBirth(ctx context.Context, tx *catalog.Tx, t taken) error {
	p, err := tx.LockPatient(ctx, t.object.Patient)
	if err != nil {
		return err
	}
	return r.v.noteBirth(ctx, tx, p, t.birth, t.id)
}

// takeGuardians writes what a record says of whose identity acts for a patient, of an
// emergency, or of a legal hold.
func takeGuardians(ctx context.Context, tx *catalog.Tx, t taken) error {
	var err error
	switch t.stored.Type {
	case recordGuardian:
		var g Guardian
		if err := json.Unmarshal(t.value, &g); err != nil {
			return fmt.Errorf("%w: %w", errNotWhole, err)
		}
		err = tx.InsertGuardian(ctx, g.row())
	case recordBreakglass:
		var b Breakglass
		if err := json.Unmarshal(t.value, &b); err != nil {
			return fmt.Errorf("%w: %w", errNotWhole, err)
		}
		err = tx.InsertBreakglass(ctx, b.row())
	case recordHold:
		var h Hold
		if err := json.Unmarshal(t.value, &h); err != nil {
			return fmt.Errorf("%w: %w", errNotWhole, err)
		}
		err = tx.InsertHold(ctx, h.row())
	}
	if errors.Is(err, catalog.ErrExist) {
		return nil
	}
	return err
}

// applyGuardians applies the end of one, the review of an emergency, or the end of a hold.
func applyGuardians(ctx context.Context, tx *catalog.Tx, kind string, p record.PatientToken, value json.RawMessage) error {
	if kind == recordGuardianEnd {
		var end guardianEnd
		if err := json.Unmarshal(value, &end); err != nil {
			return err
		}
		return tx.EndGuardian(ctx, p, end.Guardian, end.Ended, end.By)
	}
	if kind == recordHoldEnd {
		var end holdEnd
		if err := json.Unmarshal(value, &end); err != nil {
			return err
		}
		return tx.LiftHold(ctx, p, end.Hold, end.Lifted, end.By)
	}
	var done breakglassReviewed
	if err := json.Unmarshal(value, &done); err != nil {
		return err
	}
	return tx.ReviewBreakglass(ctx, done.Breakglass, done.At, done.By, done.Outcome)
}
