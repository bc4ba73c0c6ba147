package s3

import (
	"context"
	"errors"
	"fmt"
	"time"

	"medvault/storage"
)

// Repair puts body in the place of what was found bad. With versions the bad bytes
// stay as the older one. Without, the service copies them to quarantine first, and
// where it cannot read them any more the repair fails and changes nothing: deleting
// such an object is a decision of its own.
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
	now, err := b.driver.Head(ctx, key)
	if err != nil {
		return err
	}
	done, err := b.repaired(ctx, key, can.version(now), bad, body)
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
	err = b.driver.Put(ctx, key, body, unchanged)
	if errors.Is(err, ErrPrecondition) || errors.Is(err, ErrConflict) {
		return fmt.Errorf("not what was found damaged: %w", storage.ErrExist)
	}
	if err != nil {
		return err
	}
	return storage.Verify(ctx, b, key, body.Size, body.SHA256)
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
