package vault

import (
	"context"
	"errors"
	"fmt"

	"medvault/keys/envelope"
	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// A house record is a record about no single patient: who belongs to the staff, which
// institution is bound by which agreement. It is sealed like a patient's record, with
// record.House in the place of the token, under a key of the house, so that no erasure
// of a patient takes it away. It lies in every home region and in none abroad: what it
// says of people is nobody's business there, and foreign regions hold no house key.

// putHouseRecord seals a record about no patient, places it in the home regions and
// commits it with what it changes and its leaf, in one transaction. The guard decides
// before anything is written, and again in that transaction; change may run more than
// once, and its error undoes everything. The act's object is the record.
func (v *Vault) putHouseRecord(ctx context.Context, a act, id record.ObjectID, recordType string, value any, change func(tx *catalog.Tx) error) error {
	a.Object = id
	var d access.Decision
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		d, err = v.decide(ctx, tx, a)
		return err
	})
	if err != nil {
		return unavailable("catalog", err)
	}
	if !d.Allow {
		return v.refuse(ctx, a)
	}
	return v.sealHouseRecord(ctx, id, recordType, value, func(o catalog.Object, permitted, placed []string) error {
		_, err := v.perform(ctx, a, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
			return v.commitHouseRecord(ctx, tx, recordType, o, leaf, permitted, placed, change)
		})
		return err
	})
}

// putOwnHouseRecord is putHouseRecord for what the vault does by itself: nobody is asked.
func (v *Vault) putOwnHouseRecord(ctx context.Context, a act, id record.ObjectID, recordType string, value any, change func(tx *catalog.Tx) error) error {
	a.Object = id
	return v.sealHouseRecord(ctx, id, recordType, value, func(o catalog.Object, permitted, placed []string) error {
		committing := false
		err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			committing = false
			leaf := v.leaf(a, allowed)
			if err := v.commitHouseRecord(ctx, tx, recordType, o, &leaf, permitted, placed, change); err != nil {
				return err
			}
			if err := appendLeaf(ctx, tx, leaf); err != nil {
				return unavailable("log", err)
			}
			committing = true
			return nil
		})
		if err != nil && committing {
			err = fmt.Errorf("%w: %w", errUncertain, unavailable("catalog", err))
		}
		return err
	})
}

// sealHouseRecord seals a record about no patient and places it in the home regions;
// commit makes it count.
func (v *Vault) sealHouseRecord(ctx context.Context, id record.ObjectID, recordType string, value any, commit func(o catalog.Object, permitted, placed []string) error) error {
	k, err := v.houseKeys()
	if err != nil {
		return err
	}
	house := v.house()
	s, err := v.sealRecord(k, id, label{Type: recordType, At: v.cfg.Now().UTC(), Country: house.Country}, value, nil)
	if err != nil {
		return err
	}
	defer s.close()
	permitted := v.permitted(house)
	placed, err := v.place(ctx, s, k, permitted)
	if err != nil {
		return err
	}
	// A crash before this line leaves only unreferenced objects.
	err = commit(v.row(s, record.KindRecord, nil), permitted, placed)
	switch {
	case err == nil:
		v.settle(s)
	case !errors.Is(err, errUncertain): // otherwise the objects stay until the intent is looked at
		v.discard(ctx, s)
	}
	return err
}

func (v *Vault) commitHouseRecord(ctx context.Context, tx *catalog.Tx, recordType string, o catalog.Object, leaf *audit.Leaf, permitted, placed []string, change func(tx *catalog.Tx) error) error {
	if err := tx.InsertRecord(ctx, o, recordType); err != nil {
		return err
	}
	if err := change(tx); err != nil {
		return err
	}
	leaf.Patient = record.House
	describeCommit(leaf, o, permitted)
	return v.promise(ctx, tx, o, permitted, placed)
}

// readHouseRecord opens a house record into value. Who may was asked before.
func (v *Vault) readHouseRecord(ctx context.Context, id record.ObjectID, value any) error {
	var o catalog.Object
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		current, err := tx.Current(ctx, id) // it may lie under other keys by now
		if err == nil {
			o, err = tx.Object(ctx, current)
		}
		return err
	})
	if err != nil {
		return notFound(err)
	}
	k, err := v.openKeys(ctx, catalog.Patient{Token: o.Patient, Generation: o.Generation})
	if err != nil {
		return err
	}
	sealed, err := v.open(ctx, o, k, record.ViewDeidentified)
	if err != nil {
		return err
	}
	return readPart(ctx, sealed, envelope.Content, value)
}

// owner is the patient an object belongs to, or the house, told as if it were one.
// Unknown: catalog.ErrNotFound.
func (v *Vault) owner(ctx context.Context, tx *catalog.Tx, token record.PatientToken) (catalog.Patient, error) {
	if token == record.House {
		return v.house(), nil
	}
	return tx.Patient(ctx, token)
}

// house is no row of the catalog: nothing freezes or erases it, and no search meets it.
func (v *Vault) house() catalog.Patient {
	return catalog.Patient{Token: record.House, Generation: houseGeneration, State: catalog.Active, Country: v.cfg.Home}
}

// houseKeys are what house records are sealed under: one key, of which the sealed format
// derives one for every part of every object.
func (v *Vault) houseKeys() (patientKeys, error) {
	if v.records.IsZero() {
		return patientKeys{}, errNoWraps
	}
	return patientKeys{Token: record.House, Generation: houseGeneration, Content: v.records, Identity: v.records}, nil
}
