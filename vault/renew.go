package vault

import (
	"context"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// renewal is what it takes to follow a document that is superseded while somebody holds
// a handle: a study of thousands is read for minutes, an old object lies for less.
type renewal struct {
	vault *Vault
	found lookedUp
	seen  time.Time // when the handle's object was last known to count
}

// renew looks where the document lies, unless that was known a moment ago. A view that
// has been withheld since is refused.
func (h *Handle) renew(ctx context.Context) error {
	r := h.renewal
	if r.vault == nil || r.vault.cfg.Now().Sub(r.seen) < r.vault.cfg.Linger/2 {
		return nil
	}
	now := r.vault.cfg.Now()
	var docs []catalog.Document
	err := r.vault.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		docs, err = r.vault.documents(ctx, tx, catalog.Scope{Document: h.ID})
		return err
	})
	switch {
	case err != nil:
		return unavailable("catalog", err)
	case len(docs) == 0:
		return record.ErrNotFound
	case docs[0].ID == h.ID:
		h.renewal.seen = now
		return nil
	case docs[0].Held != "" && h.View == record.ViewDeidentified:
		return record.Refuse(record.ErrDenied, "held-for-review", "the de-identified view waits for a person's review")
	}
	newer, err := r.vault.handle(ctx, docs[0], r.found)
	if err != nil {
		return err
	}
	newer.renewal.seen = now
	*h = *newer
	return nil
}
