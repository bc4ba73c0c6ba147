package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"medvault/storage"
)

// Delete removes all versions and delete markers of the key, its unfinished uploads,
// and what Repair has put in quarantine of it, and looks whether they are gone. What is
// locked stays, and is a storage.LockedError once the rest is gone.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := storage.CheckKey(key); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	can, err := b.caps(ctx)
	if err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	// Quarantine first: whoever sees the object gone may rely on its copies
	// being gone too.
	for info, err := range b.List(ctx, storage.QuarantinePrefix(key), "") {
		if err != nil {
			return fmt.Errorf("delete %s: quarantine: %w", key, err)
		}
		if storage.IsQuarantineOf(key, info.Key) {
			if err := b.deleteAll(ctx, can, info.Key); err != nil {
				return fmt.Errorf("delete %s: quarantine: %w", key, err)
			}
		}
	}
	if err := b.deleteAll(ctx, can, key); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

// deleteAll deletes all there is under one name.
func (b *Bucket) deleteAll(ctx context.Context, can capabilities, key string) error {
	if can.UploadsListed {
		everyAge := func(u Upload) bool { return u.Key == key }
		if err := b.abortUploads(ctx, key, everyAge); err != nil {
			return err
		}
	}
	if !can.versions {
		if err := b.driver.Delete(ctx, key, ""); err != nil && !errors.Is(err, storage.ErrNotExist) {
			return err
		}
		return nil
	}
	return b.deleteVersions(ctx, can, key)
}

func (b *Bucket) deleteVersions(ctx context.Context, can capabilities, key string) error {
	deleted, locked := map[string]bool{}, map[string]bool{}
	var kept storage.LockedError
	for {
		versions, err := b.driver.Versions(ctx, key)
		if err != nil {
			return err
		}
		left := 0
		for _, v := range versions {
			if locked[v] {
				continue
			}
			left++
			if deleted[v] {
				return fmt.Errorf("a deleted version is still there: %w", errStale)
			}
			err := b.driver.Delete(ctx, key, v)
			if err != nil && !errors.Is(err, storage.ErrNotExist) {
				if !b.isLocked(ctx, can, key, v, &kept) {
					return err
				}
				locked[v] = true
				continue
			}
			deleted[v] = true
		}
		if left > 0 {
			continue
		}
		if kept.Versions > 0 {
			return &kept
		}
		// A listing alone may be older than what was put a moment ago.
		_, err = b.driver.Head(ctx, key, "")
		if err == nil {
			return fmt.Errorf("not listed and yet there: %w", errStale)
		}
		if !errors.Is(err, storage.ErrNotExist) {
			return err
		}
		return nil
	}
}

// isLocked asks why a version could not be deleted, and adds it to kept when it was for
// a lock: services refuse with many different codes.
func (b *Bucket) isLocked(ctx context.Context, can capabilities, key, version string, kept *storage.LockedError) bool {
	if !can.ObjectLock {
		return false
	}
	o, err := b.driver.Head(ctx, key, version)
	if err == nil && !o.locked() { // versitygw shows in a head the lock of the current version alone
		o.LockedUntil, err = b.driver.Retention(ctx, key, version)
	}
	if err != nil || !o.locked() {
		return false // the refusal of the deletion says more
	}
	kept.Versions++
	if o.LockedUntil.After(kept.Until) {
		kept.Until = o.LockedUntil
	}
	return true
}

// Lock sets the retention of the current version. A lock in another mode that is in
// force is changed only from governance to compliance, and never to an earlier date.
func (b *Bucket) Lock(ctx context.Context, key string, until time.Time, mode storage.LockMode) error {
	if err := storage.CheckKey(key); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if err := b.lock(ctx, key, wholeSecond(until), mode); err != nil {
		return fmt.Errorf("lock %s: %w", key, err)
	}
	return nil
}

func (b *Bucket) lock(ctx context.Context, key string, until time.Time, mode storage.LockMode) error {
	if mode != storage.Governance && mode != storage.Compliance {
		return fmt.Errorf("%w: unknown mode", storage.ErrNoLock)
	}
	switch ahead := time.Until(until); {
	case ahead <= 0:
		return fmt.Errorf("%w: the date is past", storage.ErrNoLock)
	case ahead > b.limits.MaxRetention+time.Second: // which rounding may have added
		return fmt.Errorf("%w: for %v, allowed %v", storage.ErrNoLock, ahead.Round(time.Second), b.limits.MaxRetention)
	}
	can, err := b.caps(ctx)
	if err != nil {
		return err
	}
	if !can.ObjectLock {
		return fmt.Errorf("%w: the bucket has no object lock", storage.ErrNoLock)
	}
	now, err := b.driver.Head(ctx, key, "")
	if err != nil {
		return err
	}
	if now.lockedFor(until, mode) {
		return nil
	}
	if now.LockedUntil.After(time.Now()) && (now.LockMode == storage.Compliance && mode != storage.Compliance || now.LockedUntil.After(until)) {
		return fmt.Errorf("%w: locked in mode %s until %s", storage.ErrNoLock, now.LockMode, now.LockedUntil.Format(time.RFC3339))
	}
	return b.retain(ctx, key, now.Version, until, mode)
}

// retain locks a version and asks whether it is locked.
func (b *Bucket) retain(ctx context.Context, key, version string, until time.Time, mode storage.LockMode) error {
	if err := b.driver.Retain(ctx, key, version, until, mode); err != nil {
		return err
	}
	after, err := b.driver.Head(ctx, key, version)
	if err != nil {
		return err
	}
	if !after.lockedFor(until, mode) {
		return errors.New("the service took the lock and does not show it")
	}
	return nil
}

// lockedFor tells whether the version is locked at least so long and so strictly.
func (o Object) lockedFor(until time.Time, mode storage.LockMode) bool {
	return !o.LockedUntil.Before(until) && (o.LockMode == mode || o.LockMode == storage.Compliance)
}

// wholeSecond rounds up: services keep no more of a date.
func wholeSecond(t time.Time) time.Time {
	return t.Add(time.Second - time.Nanosecond).Truncate(time.Second).UTC()
}
