package vault

import (
	"context"
	"maps"
	"slices"
	"time"

	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Gateway says which gateway this is, and by what it is configured.
type Gateway struct {
	Name string // of the machine and its listener; "" leaves no leaves of starts and stops
	// Settings are hex SHA-256 digests by name: of the effective configuration, of the
	// policies. They tell that something has changed, never what it is.
	Settings map[string]string
}

// Actions of a gateway's own leaves.
const (
	ActionStarted record.Action = "gateway.started"
	ActionStopped record.Action = "gateway.stopped"
	ActionConfig  record.Action = "config.changed" // since this gateway last started
	ActionUnwrap  record.Action = "keys.unwrapped"
)

// writeStart writes down that the gateway starts, and what of its settings is not as it
// was. A start that leaves no stop behind it was ended by a crash.
func (v *Vault) writeStart(ctx context.Context) error {
	if v.cfg.Gateway.Name == "" {
		return nil
	}
	return v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if err := appendLeaf(ctx, tx, v.ownLeaf(ActionStarted, v.cfg.Gateway.Name)); err != nil {
			return err
		}
		for _, leaf := range v.dataLeaves() {
			if err := appendLeaf(ctx, tx, leaf); err != nil {
				return err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(v.cfg.Gateway.Settings)) {
			now := v.cfg.Gateway.Settings[name]
			before, err := tx.SwapSetting(ctx, v.cfg.Gateway.Name, name, now)
			if err != nil {
				return err
			}
			if before == now {
				continue
			}
			if err := appendLeaf(ctx, tx, v.ownLeaf(ActionConfig, v.cfg.Gateway.Name+": "+name+" sha256:"+now)); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeStop writes down that the gateway has ended by itself, and appends it.
func (v *Vault) writeStop(ctx context.Context) error {
	if v.cfg.Gateway.Name == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		return appendLeaf(ctx, tx, v.ownLeaf(ActionStopped, v.cfg.Gateway.Name))
	})
	if err != nil {
		return err
	}
	return v.log.Flush(ctx)
}

// ownLeaf begins a leaf of something the vault does by itself.
func (v *Vault) ownLeaf(action record.Action, origin string) audit.Leaf {
	return v.leaf(act{Actor: v.self(), Action: action, Origin: origin}, allowed)
}

// writeUnwrap writes down that a patient's keys are taken into this gateway's memory,
// where they stay for Config.KeyLife: before they are.
func (v *Vault) writeUnwrap(ctx context.Context, p catalog.Patient) error {
	leaf := v.ownLeaf(ActionUnwrap, v.cfg.Gateway.Name)
	leaf.Patient, leaf.Window = p.Token, v.cfg.KeyLife.Truncate(time.Second)
	return v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return appendLeaf(ctx, tx, leaf) })
}
