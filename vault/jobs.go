package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"medvault/storage/replica"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

const (
	jobCopy  = "copy"
	jobLease = 3 * time.Minute // renewed while a copy lasts
	sweep    = 10 * time.Minute
)

type copyPayload struct {
	Object record.ObjectID `json:"object"`
	Region string          `json:"region"`
}

// copyJob is the promise that an object will lie in a region.
func copyJob(id record.ObjectID, region string, at time.Time) catalog.Job {
	payload, err := json.Marshal(copyPayload{id, region})
	if err != nil {
		panic(err) // two strings
	}
	return catalog.Job{Kind: jobCopy, Key: string(id) + "@" + region, Payload: payload, NotBefore: at}
}

// work makes copies until ctx ends. Any number of gateways share the job table.
func (v *Vault) work(ctx context.Context) {
	owner := string(record.NewObjectID())
	for ctx.Err() == nil {
		jobs, err := v.cfg.Catalog.Lease(ctx, []string{jobCopy}, 1, jobLease, owner)
		if err != nil && ctx.Err() == nil {
			v.cfg.Log.Error("lease a job", "err", err)
		}
		if len(jobs) == 0 {
			select {
			case <-ctx.Done():
			case <-time.After(v.cfg.Poll):
			}
			continue
		}
		for _, job := range jobs {
			v.runCopy(ctx, job, owner)
		}
	}
}

// tidy forgets what is over and takes away what crashes left, now and then.
func (v *Vault) tidy(ctx context.Context) {
	for {
		if err := v.recover(ctx); err != nil && ctx.Err() == nil {
			v.cfg.Log.Error("take away unfinished objects", "err", err)
		}
		err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.SweepReadWindows(ctx, v.cfg.Now()) })
		if err != nil && ctx.Err() == nil {
			v.cfg.Log.Error("sweep read windows", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweep):
		}
	}
}

// runCopy does one copy; what fails is tried again later, at growing distances.
func (v *Vault) runCopy(ctx context.Context, job catalog.Job, owner string) {
	var c copyPayload
	err := json.Unmarshal(job.Payload, &c)
	if err == nil {
		stop := v.keepLease(ctx, job, owner)
		err = v.copyObject(ctx, job, owner, c)
		stop()
	}
	if err == nil {
		return
	}
	v.cfg.Log.Warn("copy not made yet", "object", c.Object, "region", c.Region, "attempt", job.Attempt, "err", err)
	at := v.cfg.Now().Add(backoff(job.Attempt))
	if err := v.cfg.Catalog.Retry(context.WithoutCancel(ctx), job, owner, at, "copy not made"); err != nil {
		v.cfg.Log.Error("put a job back", "err", err)
	}
}

// keepLease renews a job's lease until stop, which waits for it to end.
func (v *Vault) keepLease(ctx context.Context, job catalog.Job, owner string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(jobLease / 3):
			}
			if err := v.cfg.Catalog.Renew(ctx, job, owner, jobLease); err != nil && ctx.Err() == nil {
				v.cfg.Log.Warn("lease not renewed", "job", job.ID, "err", err)
			}
		}
	}()
	return func() { cancel(); <-done }
}

func backoff(attempt int) time.Duration {
	return min(time.Second<<min(attempt, 9), 5*time.Minute)
}

// copyObject copies a sealed object, with its patient's wraps, to a region that was
// promised it. No key opens anything but the wraps on the way.
func (v *Vault) copyObject(ctx context.Context, job catalog.Job, owner string, c copyPayload) error {
	var o catalog.Object
	var p catalog.Patient
	var from []string
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if o, err = tx.Object(ctx, c.Object); err != nil {
			return err
		}
		if p, err = tx.Patient(ctx, o.Patient); err != nil {
			return err
		}
		placed, err := tx.Placements(ctx, c.Object)
		for region, there := range placed {
			if there {
				from = append(from, region)
			}
		}
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) {
		return v.cfg.Catalog.Finish(ctx, job, owner, func(*catalog.Tx) error { return nil }) // removed since
	}
	if err != nil {
		return err
	}
	if !slices.Contains(v.permitted(p), c.Region) {
		return fmt.Errorf("region %s may not hold this patient's documents", c.Region)
	}
	k, err := v.openKeys(ctx, p)
	if err != nil {
		return err
	}
	if err := v.placeWraps(ctx, k, c.Region); err != nil {
		return err
	}
	if err := v.cfg.Regions.Copy(ctx, o.ID.Key(o.Class), replica.Sum{Size: o.Size, SHA256: o.SHA256}, from, c.Region); err != nil {
		return err
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
		if err := tx.Placed(ctx, o.ID, c.Region, v.cfg.Now()); err != nil {
			return err
		}
		return appendLeaf(ctx, tx, audit.Leaf{
			Time: v.cfg.Now(), Actor: "medvault", Role: record.RoleOperator, Purpose: record.PurposeSystem, Action: "object.copied",
			Patient: o.Patient, Object: o.ID, Decision: audit.Allow, Commit: &audit.Commit{Kind: o.Kind, Size: o.Size, SHA256: o.SHA256, Generation: o.Generation, Seal: o.Seal, Regions: []string{c.Region}},
		})
	})
}
