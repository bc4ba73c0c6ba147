package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"medvault/storage"
)

// Repair puts body in the place of what was found bad. With versions the bad bytes
// stay as the older one, locked if they were, and the new version is locked as long.
// Without, the service copies them to quarantine first, and where it cannot read them
// any more, or they are more than the 5 GiB it copies, the repair fails and changes
// nothing: deleting such an object is a decision of its own.
func (b *Bucket) Repair(ctx context.Context, key string, bad storage.Info, body storage.Body) error {
	if err := storage.CheckKey(key); err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	if err := b.repair(ctx, key, bad, body); err != nil {
		return fmt.Errorf("repair %s: %w", key, err)
	}
	return nil
}

func (b *Bucket) repair(ctx context.Context, key string, bad storage.Info, body storage.Body) error {
	// Before anything is moved.
	if err := checkBody(ctx, body); err != nil {
		return err
	}
	can, err := b.caps(ctx)
	if err != nil {
		return err
	}
	now, err := b.driver.Head(ctx, key, "")
	if err != nil {
		return err
	}
	done, err := b.repaired(ctx, key, now.version(can.Versioning), bad, body)
	if done || err != nil {
		return err
	}
	if !can.Versioning {
		if err := b.driver.Copy(ctx, key, storage.QuarantineKey(key, time.Now())); err != nil {
			return fmt.Errorf("quarantine: %w", err)
		}
	}
	var unchanged Condition
	if can.ConditionalReplace {
		unchanged.ETag = now.ETag
	}
	written, _, err := b.send(ctx, can, key, body, unchanged)
	if errors.Is(err, ErrPrecondition) || errors.Is(err, ErrConflict) {
		return fmt.Errorf("not what was found damaged: %w", storage.ErrExist)
	}
	if err != nil {
		return err
	}
	if err := storage.Verify(ctx, b, key, body.Size, body.SHA256); err != nil {
		return err
	}
	return b.relock(ctx, key, now, written)
}

// relock looks whether the version that was written is the current one, and locks it as
// long as the one it stands for.
func (b *Bucket) relock(ctx context.Context, key string, bad Object, written string) error {
	if written == "" {
		return nil // a bucket without versions, and so without locks
	}
	now, err := b.driver.Head(ctx, key, "")
	if err != nil {
		return fmt.Errorf("repaired: %w", err)
	}
	if now.Version != written {
		return fmt.Errorf("repaired, and overwritten since: %w", storage.ErrExist)
	}
	if !bad.LockedUntil.After(time.Now()) || now.lockedFor(bad.LockedUntil, bad.LockMode) {
		return nil
	}
	if err := b.retain(ctx, key, written, bad.LockedUntil, bad.LockMode); err != nil {
		return fmt.Errorf("repaired, and not locked: %w", err)
	}
	return nil
}

// repaired checks the condition: what lies there must be what was found bad. It is
// done when the good bytes lie there already.
func (b *Bucket) repaired(ctx context.Context, key, version string, bad storage.Info, body storage.Body) (done bool, err error) {
	size, sum, err := storage.Sum(ctx, b, key)
	readable := err == nil
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if readable && size == body.Size && sum == body.SHA256 {
		return true, nil
	}
	switch {
	case bad.Version != "":
		if bad.Version == version {
			return false, nil
		}
	case bad.SHA256 != [32]byte{}:
		if readable && bad.SHA256 == sum {
			return false, nil
		}
	default:
		return false, errors.New("neither version nor sha256 of the damage is given")
	}
	return false, fmt.Errorf("not what was found damaged: %w", storage.ErrExist)
}
