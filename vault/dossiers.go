package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"medvault/vault/alarm"
	"medvault/vault/breach"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Kinds of dossiers, which are the types of their records: house records that hold each
// revision whole.
const (
	recordIncident     = "incident"
	recordFinding      = "finding"
	recordAccessReview = "access-review"
	recordFreeze       = "freeze"

	recordBreachNotices = "breach-notices" // who was told of a breach
)

// States of dossiers.
const (
	DossierOpen   = "open"
	DossierTold   = "told" // of an incident: everybody was told who must be
	DossierClosed = "closed"
)

// dossier is what has a row and a record of every revision.
type dossier interface {
	row() catalog.Dossier // without its record
}

// putDossier writes a revision of a dossier, with the leaf that tells what was done; did is
// a code. change may add to it in the same transaction.
func (v *Vault) putDossier(ctx context.Context, doing act, d dossier, did string, change func(tx *catalog.Tx) error) error {
	id, row := record.NewObjectID(), d.row()
	row.Record = id
	err := v.putHouseRecord(ctx, doing, id, row.Kind, d, func(tx *catalog.Tx) error {
		if err := tx.PutDossier(ctx, row, false); err != nil {
			return err
		}
		if change != nil {
			if err := change(tx); err != nil {
				return err
			}
		}
		leaf := v.leaf(doing, allowed)
		leaf.Patient, leaf.Object, leaf.Reason = row.About, row.ID, did
		return appendLeaf(ctx, tx, leaf)
	})
	return outrun(err)
}

// readDossier opens one of a kind into value. The guard decides; unknown: ErrNotFound.
func (v *Vault) readDossier(ctx context.Context, reading act, kind string, id record.ObjectID, value any) error {
	if err := v.may(ctx, reading); err != nil {
		return err
	}
	var row catalog.Dossier
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		row, err = tx.Dossier(ctx, id)
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) || err == nil && row.Kind != kind {
		return v.absent(ctx, reading.Actor, reading.Action)
	}
	if err != nil {
		return unavailable("catalog", err)
	}
	return v.readHouseRecord(ctx, row.Record, value)
}

// listDossiers opens all of a kind, the newest first. The guard decides.
func listDossiers[T any](ctx context.Context, v *Vault, reading act, f catalog.DossierFilter) ([]T, error) {
	if _, err := v.perform(ctx, reading, nil); err != nil {
		return nil, err
	}
	return openDossiers[T](ctx, v, f)
}

func openDossiers[T any](ctx context.Context, v *Vault, f catalog.DossierFilter) ([]T, error) {
	var rows []catalog.Dossier
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		rows, err = tx.Dossiers(ctx, f)
		return err
	})
	if err != nil {
		return nil, unavailable("catalog", err)
	}
	list := make([]T, len(rows))
	for i, row := range rows {
		if err := v.readHouseRecord(ctx, row.Record, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// nowMillis is the time as records keep it.
func (v *Vault) nowMillis() time.Time { return v.cfg.Now().UTC().Truncate(time.Millisecond) }

// dueDossiers are the alarms of breaches of which not everybody was told who must be, and
// of findings and reviews of access that are late.
func (v *Vault) dueDossiers(ctx context.Context, tx *catalog.Tx, today string) (all []due, err error) {
	now := v.cfg.Now()
	rows, err := tx.Dossiers(ctx, catalog.DossierFilter{DueBefore: now.Add(breach.SoonBefore)})
	for _, row := range rows {
		a, late := alarm.Alarm{About: string(row.ID), Due: row.Due.UTC()}, !now.Before(row.Due)
		switch {
		case row.Kind == recordIncident && late:
			a.Kind = alarm.BreachOverdue
			all = append(all, due{a, today})
		case row.Kind == recordIncident:
			a.Kind = alarm.BreachDueSoon
			all = append(all, due{a, ""})
		case row.Kind == recordFinding && late:
			a.Kind = alarm.FindingOverdue
			all = append(all, due{a, today})
		case row.Kind == recordAccessReview && late:
			a.Kind = alarm.AccessReviewOverdue
			all = append(all, due{a, today})
		}
	}
	return all, err
}

// takeDossiers writes what a house record says of a dossier into a catalog that is rebuilt.
// Each holds itself whole with its revision, so that they may come in any order.
func takeDossiers(ctx context.Context, tx *catalog.Tx, id record.ObjectID, recordType string, value json.RawMessage) error {
	var d dossier
	var err error
	switch recordType {
	case recordIncident:
		d, err = readAs[Incident](value)
	case recordFinding:
		d, err = readAs[SecurityFinding](value)
	case recordAccessReview:
		d, err = readAs[AccessReview](value)
	case recordFreeze:
		d, err = readAs[Freeze](value)
	case recordBreachNotices:
		sent, err := readAs[sentNotices](value)
		if err != nil {
			return err
		}
		return tx.InsertBreachNotices(ctx, sent.rows(id))
	default:
		return nil
	}
	if err != nil {
		return err
	}
	row := d.row()
	row.Record = id
	return tx.PutDossier(ctx, row, true)
}

func readAs[T any](value json.RawMessage) (read T, err error) {
	if err := json.Unmarshal(value, &read); err != nil {
		return read, fmt.Errorf("%w: %w", errNotWhole, err)
	}
	return read, nil
}
