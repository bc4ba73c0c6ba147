package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"medvault/storage"
)

// Repair links the bad file into quarantine, where it stays, and puts the new one
// in its place. One repair at a time in a process; two processes must not repair
// one key at once (a job's lease sees to that).
func (s *Store) Repair(ctx context.Context, key string, bad storage.Info, body storage.Body) error {
	if err := s.admit(ctx, key); err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	s.repairs.Lock()
	defer s.repairs.Unlock()
	if done, err := s.repaired(ctx, key, bad, body); done || err != nil {
		return err
	}
	if err := s.exchange(ctx, key, body); err != nil {
		return fmt.Errorf("repair %s: %w", key, translate(err))
	}
	if err := storage.Verify(ctx, s, key, body.Size, body.SHA256); err != nil {
		return fmt.Errorf("repair %s: %w", key, err)
	}
	return nil
}

// repaired checks the condition: what lies there must be what was found bad. It
// is done when the good bytes lie there already.
func (s *Store) repaired(ctx context.Context, key string, bad storage.Info, body storage.Body) (done bool, err error) {
	now, err := s.Head(ctx, key)
	if err != nil {
		return false, fmt.Errorf("repair %s: %w", key, err)
	}
	size, sum, err := storage.Sum(ctx, s, key)
	readable := err == nil // a disk that cannot read its sectors is a reason for a repair
	if readable && size == body.Size && sum == body.SHA256 {
		return true, nil
	}
	switch {
	case bad.Version != "":
		if bad.Version == now.Version {
			return false, nil
		}
	case bad.SHA256 != [32]byte{}:
		if readable && bad.SHA256 == sum {
			return false, nil
		}
	default:
		return false, fmt.Errorf("repair %s: neither version nor sha256 of the damage is given", key)
	}
	return false, fmt.Errorf("repair %s: not what was found damaged: %w", key, storage.ErrExist)
}

// exchange keeps the bad file in quarantine and renames the new one over it.
func (s *Store) exchange(ctx context.Context, key string, body storage.Body) (err error) {
	tmp, err := s.write(ctx, body)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeIfThere(tmp))
		}
	}()
	// The bad bytes have a second name on disk before the first is taken away.
	quarantine := storage.QuarantineKey(key, time.Now())
	if err := s.place(quarantine, func(path string) error { return os.Link(s.path(key), path) }); err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	return s.place(key, func(path string) error { return os.Rename(tmp, path) })
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
