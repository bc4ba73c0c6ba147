package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// applyCorrection writes a correction of which a record is left, or its end.
func applyCorrection(ctx context.Context, tx *catalog.Tx, kind string, p record.PatientToken, value json.RawMessage) error {
	if kind == recordCorrectionUndo {
		var undo correctionUndo
		if err := json.Unmarshal(value, &undo); err != nil {
			return err
		}
		return tx.UndoCorrection(ctx, p, undo.Correction, undo.At, undo.By)
	}
	var c correctionRecord
	if err := json.Unmarshal(value, &c); err != nil {
		return err
	}
	row := catalog.Correction{ID: c.ID, Patient: p, Document: c.Document, Category: c.Category, By: c.By, Recorded: c.Recorded}
	if c.Category != "" { // no category is corrected yet: the document has its first
		current, err := tx.Current(ctx, c.Document)
		if err != nil {
			return err
		}
		d, err := tx.Document(ctx, current)
		if err != nil {
			return err
		}
		row.Before = d.Category
	}
	if err := tx.InsertCorrection(ctx, row); errors.Is(err, catalog.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	if c.Alias == "" || c.Alias == p {
		return nil
	}
	if err := tx.PutAlias(ctx, c.Alias, p, c.ID); !errors.Is(err, catalog.ErrExist) {
		return err
	}
	return nil
}

// settleMoves makes what comes later follow the documents that moved, and orders again
// the last move between two patients: what has moved already is there no more.
func (r *rebuild) settleMoves(ctx context.Context) error {
	var moves []Move
	for after := record.ObjectID(""); ; {
		var page []catalog.Object
		err := r.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
			page, err = tx.Records(ctx, recordMove, after, rebuildPage)
			return err
		})
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, o := range page {
			value, err := r.recordOf(ctx, o)
			if err != nil {
				return err
			}
			var m Move
			if err := json.Unmarshal(value, &m); err != nil {
				return fmt.Errorf("record %s: %w: %w", o.ID, errNotWhole, err)
			}
			moves, after = append(moves, m), o.ID
		}
	}
	slices.SortFunc(moves, func(a, b Move) int { return a.Recorded.Compare(b.Recorded) })
	last := make(map[[2]record.PatientToken]Move)
	return r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		for _, m := range moves {
			if err := r.v.redirect(ctx, tx, m); err != nil && !errors.Is(err, record.ErrConflict) {
				return err
			}
			last[[2]record.PatientToken{min(m.From, m.To), max(m.From, m.To)}] = m
		}
		for _, m := range last {
			if err := tx.Enqueue(ctx, newJob(jobMove, string(m.ID), m, r.v.cfg.Now())); err != nil {
				return err
			}
		}
		return nil
	})
}

// settleCorrections makes what holds count: categories, birth dates, and what the patients
// are found by.
func (r *rebuild) settleCorrections(ctx context.Context) error {
	for after := record.PatientToken(""); ; {
		var page []record.PatientToken
		err := r.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
			page, err = tx.Corrected(ctx, after, rebuildPage)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		after = page[len(page)-1]
		for _, p := range page {
			if err := r.settleCorrected(ctx, p); err != nil {
				return err
			}
		}
	}
}

func (r *rebuild) settleCorrected(ctx context.Context, token record.PatientToken) error {
	var p catalog.Patient
	err := r.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		p, err = tx.Patient(ctx, token)
		return err
	})
	if err != nil {
		return err
	}
	known, err := r.v.correctionsOf(ctx, p)
	if err != nil {
		return err
	}
	return r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.LockPatient(ctx, token); err != nil {
			return err
		}
		rows, err := tx.Corrections(ctx, token)
		if err != nil {
			return err
		}
		for _, c := range rows {
			if c.Category == "" || c.Undone != nil {
				continue
			}
			current, err := tx.Current(ctx, c.Document)
			if err == nil {
				err = tx.SetCategory(ctx, current, c.Category)
			}
			if err != nil && !errors.Is(err, catalog.ErrNotFound) {
				return err
			}
		}
		for _, c := range known {
			if birth, ok := c.Values["PatientBirthDate"]; ok {
				if err := r.v.correctBirth(ctx, tx, token, birth, ""); err != nil {
					return err
				}
			}
		}
		return r.v.reindexLater(ctx, tx, token)
	})
}
