package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"medvault/storage"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// RegionLock says how the objects of a region's data bucket are locked against deletion.
// A lock is set on each object by a job after its commit, never by the bucket on its own,
// so that what no record names can be taken away. Wraps and house keys are never locked:
// a patient's erasure is their end, whatever ciphertext a lock keeps.
type RegionLock struct {
	Mode storage.LockMode // "" is none
	For  time.Duration    // counted from the time at which the object was stored; at most MaxLock
}

// MaxLock bounds how long an object may be locked: longer than a store lives is longer than
// anybody can answer for.
const MaxLock = 3653 * 24 * time.Hour // ten years

// ErrCannotLock: a region is to lock its objects, and its store cannot.
var ErrCannotLock = errors.New("the store has no object lock")

func (l RegionLock) check(home bool) error {
	switch {
	case l == (RegionLock{}):
		return nil
	case l.Mode != storage.Governance && l.Mode != storage.Compliance:
		return fmt.Errorf("lock: no such mode: %s", l.Mode)
	case l.For <= 0 || l.For > MaxLock:
		return fmt.Errorf("lock: for %s, want up to %d days", l.For, int(MaxLock.Hours()/24))
	case l.Mode == storage.Compliance && !home:
		return errors.New("lock: compliance abroad: what consent no longer covers could not be removed there")
	}
	return nil
}

func (l RegionLock) mode() string {
	if l.Mode == "" {
		return "none"
	}
	return string(l.Mode)
}

// until is when the lock of an object ends. The clock of whoever committed it may be ahead.
func (l RegionLock) until(o catalog.Object, now time.Time) time.Time {
	if stored := o.Created.Add(l.For); stored.Before(now.Add(l.For)) {
		return stored
	}
	return now.Add(l.For)
}

// LockStatus says how a region locks, and what its locks hold up.
type LockStatus struct {
	Mode      string     `json:"mode"` // "none", "governance" or "compliance"
	Days      float64    `json:"days,omitempty"`
	Pending   int64      `json:"pending,omitempty"`   // objects that are still to be locked
	Dead      int64      `json:"dead,omitempty"`      // superseded objects that a lock keeps
	DeadUntil *time.Time `json:"deadUntil,omitempty"` // when the last of them may go; left out: none, or held without a date
}

// checkLocks refuses to begin with a region that is to lock and cannot. One that does not
// answer is passed over: its jobs say so then.
func (v *Vault) checkLocks(ctx context.Context) error {
	var errs []error
	for _, r := range v.cfg.Regions.Regions() {
		lock := v.cfg.Terms[r.Name].Lock
		if lock.Mode == "" {
			continue
		}
		can, err := storage.Probe(ctx, r.Data)
		switch {
		case err != nil:
			v.cfg.Log.Warn("not known whether the region can lock", "region", r.Name, "err", err)
		case !can.ObjectLock:
			errs = append(errs, fmt.Errorf("region %s: lock %s: %w: make its data bucket with object lock, or configure lock mode none", r.Name, lock.Mode, ErrCannotLock))
		}
	}
	return errors.Join(errs...)
}

// lockLater leaves the jobs that lock an object where it lies now.
func (v *Vault) lockLater(ctx context.Context, tx *catalog.Tx, id record.ObjectID, placed ...string) error {
	for _, region := range placed {
		if v.cfg.Terms[region].Lock.Mode == "" {
			continue
		}
		if err := tx.Enqueue(ctx, objectJob(jobLock, id, region, v.cfg.Now())); err != nil {
			return err
		}
	}
	return nil
}

// lockObject locks an object in a region, unless it is on its way out or as old as the
// lock is long.
func (v *Vault) lockObject(ctx context.Context, job catalog.Job, owner string, at objectPayload) error {
	o, goes, err := v.goes(ctx, at.Object, at.Region)
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return err
	}
	if err == nil && !goes {
		if err := v.setLock(ctx, at.Region, o); err != nil {
			return err
		}
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, nil)
}

// goes says whether an object is on its way out of a region, or does not lie there.
func (v *Vault) goes(ctx context.Context, id record.ObjectID, region string) (o catalog.Object, goes bool, err error) {
	r, ok := v.cfg.Regions.Region(region)
	if !ok {
		return o, false, fmt.Errorf("no region %s", region)
	}
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if o, err = tx.Object(ctx, id); err != nil {
			return err
		}
		placed, err := tx.Placements(ctx, id)
		if err != nil {
			return err
		}
		why, err := v.whyRemove(ctx, tx, o, r)
		goes = why != "" || !placed[region]
		return err
	})
	return o, goes, err
}

// setLock locks an object as the region's terms say.
func (v *Vault) setLock(ctx context.Context, region string, o catalog.Object) error {
	ctx, cancel := context.WithTimeout(ctx, removeTime)
	defer cancel()
	r, ok := v.cfg.Regions.Region(region)
	if !ok {
		return fmt.Errorf("no region %s", region)
	}
	lock, now := v.cfg.Terms[region].Lock, v.cfg.Now()
	until := lock.until(o, now)
	if lock.Mode == "" || !until.After(now) {
		return nil
	}
	if err := storage.Lock(ctx, r.Data, o.Key(), until, lock.Mode); err != nil {
		return fmt.Errorf("region %s: %w", region, err)
	}
	return nil
}

// actionLockedDead is a leaf of an object that was to go and that a lock keeps.
const actionLockedDead record.Action = "object.locked-dead"

// heldAgain is how long after a try an object that is held without a date is tried again.
const heldAgain = 24 * time.Hour

// keepLocked writes down that an object which nobody may read any more is kept by a lock,
// and tries to remove it again when that ends. The region has not failed.
func (v *Vault) keepLocked(ctx context.Context, job catalog.Job, owner string, o catalog.Object, region, why string, until time.Time) error {
	again, reason := until.Add(time.Second), "until "+until.UTC().Format(time.RFC3339)
	if until.IsZero() {
		again, reason = v.cfg.Now().Add(heldAgain), "without a date"
	}
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		fresh, err := tx.KeepLocked(ctx, o.ID, region, until)
		if err != nil || !fresh {
			return err
		}
		leaf := v.leaf(act{Actor: v.self(), Action: actionLockedDead, Patient: o.Patient, Object: o.ID, Origin: why}, allowed)
		leaf.Reason = reason
		leaf.Commit = &audit.Commit{Kind: o.Kind, Size: o.Size, SHA256: o.SHA256, Generation: o.Generation, Seal: o.Seal, Regions: []string{region}}
		return appendLeaf(ctx, tx, leaf)
	})
	if err != nil {
		return err
	}
	v.cfg.Log.Info("object is dead and kept by a lock", "object", o.ID, "region", region, "lock", reason)
	return v.cfg.Catalog.Retry(ctx, job, owner, again, "")
}

// recallLocks fills in what the catalog knows of a region's locks.
func (s *RegionStatus) recallLocks(ctx context.Context, tx *catalog.Tx) (err error) {
	if s.Lock.Pending, err = tx.CountJobs(ctx, s.Name, jobLock); err != nil {
		return err
	}
	var last time.Time
	if s.Lock.Dead, last, err = tx.LockedDead(ctx, s.Name); err == nil && !last.IsZero() {
		last = last.UTC()
		s.Lock.DeadUntil = &last
	}
	return err
}

// proveLock names an object that must be locked and is not. One whose job has only just
// been left is none.
func (c *verification) proveLock(ctx context.Context, region string, data storage.Store, o catalog.Object) error {
	lock, now := c.v.cfg.Terms[region].Lock, c.v.cfg.Now()
	until := lock.until(o, now)
	if lock.Mode == "" || !until.After(now) {
		return nil
	}
	info, err := data.Head(ctx, o.Key())
	if errors.Is(err, storage.ErrNotExist) {
		return nil // named by whoever reads it
	}
	if err != nil {
		return ofRegion(err)
	}
	evidence := "not locked"
	switch {
	case info.LockedUntil.IsZero():
	case info.LockMode != lock.Mode && info.LockMode != storage.Compliance:
		evidence = "locked in mode " + string(info.LockMode)
	case info.LockedUntil.Before(until.Truncate(time.Second)):
		evidence = "locked until " + info.LockedUntil.Format(time.RFC3339)
	default:
		return nil
	}
	var waits bool
	err = c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		waits, err = tx.JobFresh(ctx, jobLock, string(o.ID)+"@"+region)
		return err
	})
	if err != nil || waits {
		return err
	}
	c.found(Finding{Type: FindingUnlocked, Region: region, Object: string(o.ID),
		Evidence: evidence + ", must be in mode " + string(lock.Mode) + " until " + until.UTC().Format(time.RFC3339), Repair: "lock it"})
	return nil
}

// repairLock locks an object that a verification found without its lock.
func (v *Vault) repairLock(ctx context.Context, a record.Actor, r storage.Region, f Finding) (string, error) {
	o, goes, err := v.goes(ctx, record.ObjectID(f.Object), r.Name)
	if err != nil {
		return "", err
	}
	if goes {
		return "", fmt.Errorf("%s is on its way out", o.ID)
	}
	if err := v.setLock(ctx, r.Name, o); err != nil {
		return "", err
	}
	return "locked", v.writeStep(ctx, v.repairLeaf(a, "object.locked", f, o, r.Name))
}
