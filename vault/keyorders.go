package vault

import (
	"context"

	"medvault/keys"
	"medvault/vault/catalog"
)

// jobRenew carries out an order to renew a shard.
const jobRenew = "renew-keys"

// renewPayload names the shard of a jobRenew.
type renewPayload struct {
	Service string    `json:"service"`
	Kind    keys.Kind `json:"kind"`
	Shard   string    `json:"shard"`
}

func (p renewPayload) key() string { return p.Service + "/" + string(p.Kind) + "/" + p.Shard }

// orderRenewal orders, with the caller's transaction, that a shard be rotated after it,
// that all wraps that are to live be moved, and that what is older be trimmed as soon as
// every region that depends on the key service holds what it must. why is a code that
// `keys status` shows. Whoever destroys a wrap deletes its row in the same transaction:
// what the catalog does not have, and whose patient or generation is dead or may not lie
// there, is not moved and dies with the trim.
func (v *Vault) orderRenewal(ctx context.Context, tx *catalog.Tx, service string, kind keys.Kind, shard, why string) error {
	if err := tx.OrderRenewal(ctx, service, kind, shard, why); err != nil {
		return err
	}
	p := renewPayload{service, kind, shard}
	return tx.Enqueue(ctx, newJob(jobRenew, p.key(), p, v.cfg.Now()))
}
