package vault

import (
	"context"
	"encoding/json"
	"fmt"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// takeHouseRecord writes what a house record says into the catalog. Each holds its entry
// whole, with its revision, so that they may come in any order.
func takeHouseRecord(ctx context.Context, tx *catalog.Tx, id record.ObjectID, recordType string, value json.RawMessage) error {
	switch recordType {
	case recordStaffPerson:
		var p StaffPerson
		if err := json.Unmarshal(value, &p); err != nil {
			return fmt.Errorf("%w: %w", errNotWhole, err)
		}
		return tx.PutStaffPerson(ctx, p.row(id), true)
	case recordStaffInstitution:
		var i StaffInstitution
		if err := json.Unmarshal(value, &i); err != nil {
			return fmt.Errorf("%w: %w", errNotWhole, err)
		}
		return tx.PutStaffInstitution(ctx, i.row(id), true)
	}
	if err := takeDossiers(ctx, tx, id, recordType, value); err != nil {
		return err
	}
	return takeErasures(ctx, tx, id, recordType, value)
}
