package vault

import (
	"context"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// erasedBy finds the erasure by which a deletion that was granted is done: one that two
// persons agreed on since the request arrived, or by which the patient is erased anyway.
func (v *Vault) erasedBy(ctx context.Context, c *Case) error {
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		p, err := tx.Patient(ctx, c.Patient)
		if err != nil {
			return err
		}
		all, err := tx.Erasures(ctx, catalog.ErasureFilter{Patient: c.Patient}) // the newest first
		for _, e := range all {
			whole := p.State == catalog.Erased && e.Document == ""
			if !e.Approved.IsZero() && (whole || !e.Approved.Before(c.Received)) {
				c.Erasure = e.ID
				break
			}
		}
		return err
	})
	if err != nil {
		return unavailable("catalog", err)
	}
	if c.Erasure == "" {
		return record.Refuse(record.ErrConflict, "not-done", "erase the patient, or the documents that were granted, first: one person proposes it, another approves (medvault erase)")
	}
	return nil
}
