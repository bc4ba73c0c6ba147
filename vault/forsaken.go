package vault

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// regionGone is how long no gateway has had a region in its configuration before what was
// to be removed there is given up: gateways are not all given a new one at once.
const regionGone = time.Hour

// actionAbandoned is a leaf of an object that was to be removed from a region which is no
// part of the vault any more: nobody has seen it go.
const actionAbandoned record.Action = "object.abandoned"

// forsake ends removals from regions that were taken out of the configuration, which
// nobody could ever do, each with a leaf. Should the region come back, what lies there
// then and no record names is an orphan. Copies that were promised to it wait: with the
// region they would come back.
func (v *Vault) forsake(ctx context.Context) error {
	var states map[string]catalog.RegionState
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		for _, r := range v.cfg.Regions.Regions() {
			if err := tx.SeeRegion(ctx, r.Name); err != nil {
				return err
			}
		}
		states, err = tx.RegionStates(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for name, s := range states {
		if _, ok := v.cfg.Regions.Region(name); ok || v.cfg.Now().Sub(s.Met) < regionGone {
			continue
		}
		if err := v.abandon(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) abandon(ctx context.Context, region string) error {
	owner := string(record.NewObjectID())
	for {
		jobs, err := v.cfg.Catalog.LeaseIn(ctx, region, []string{jobRemove, jobLock}, walkPage, v.cfg.Lease, owner)
		if err != nil || len(jobs) == 0 {
			return err
		}
		for _, job := range jobs {
			if err := v.abandonJob(ctx, job, owner); err != nil {
				return err
			}
		}
		v.cfg.Log.Warn("removals given up: the region is configured no more", "region", region, "jobs", len(jobs))
	}
}

func (v *Vault) abandonJob(ctx context.Context, job catalog.Job, owner string) error {
	var at objectPayload
	if err := json.Unmarshal(job.Payload, &at); err != nil {
		return err
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
		o, err := tx.Object(ctx, at.Object)
		if errors.Is(err, catalog.ErrNotFound) || err == nil && job.Kind == jobLock {
			return nil
		}
		if err != nil {
			return err
		}
		if err := errors.Join(tx.Removed(ctx, o.ID, at.Region), tx.Unlocked(ctx, o.ID, at.Region)); err != nil {
			return err
		}
		why, err := whyGone(ctx, tx, o)
		if err != nil {
			return err
		}
		if o.SupersededBy == "" {
			why = originWithdrawal
		}
		leaf := v.leaf(act{Actor: v.self(), Action: actionAbandoned, Patient: o.Patient, Object: o.ID, Origin: why}, allowed)
		leaf.Reason = "region-not-configured"
		leaf.Commit = &audit.Commit{Kind: o.Kind, Size: o.Size, SHA256: o.SHA256, Generation: o.Generation, Seal: o.Seal, Regions: []string{at.Region}}
		return appendLeaf(ctx, tx, leaf)
	})
}
