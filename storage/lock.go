package storage

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors of locks.
var (
	// ErrLocked: the object, or an older version of it, must stay. See LockedError.
	ErrLocked = errors.New("object is locked")
	// ErrNoLock: the store cannot lock, or not as long as was asked for.
	ErrNoLock = errors.New("object cannot be locked")
)

// LockedError is what Delete answers when all was deleted that could be, and versions
// are left that are locked. It is ErrLocked.
type LockedError struct {
	Until    time.Time // when the last of them may be deleted; zero: held without a date
	Versions int       // that are left
}

func (e *LockedError) Error() string {
	if e.Until.IsZero() {
		return fmt.Sprintf("%v: %d versions held without a date", ErrLocked, e.Versions)
	}
	return fmt.Sprintf("%v: %d versions until %s", ErrLocked, e.Versions, e.Until.UTC().Format(time.RFC3339))
}

// Is makes a LockedError ErrLocked.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

// LockMode says who may take a lock away before its date.
type LockMode string

const (
	Governance LockMode = "governance" // whoever has a permission of its own for that
	Compliance LockMode = "compliance" // nobody
)

// Locker is a Store that can lock objects.
type Locker interface {
	// Lock is the function Lock for this store.
	Lock(ctx context.Context, key string, until time.Time, mode LockMode) error
}

// Lock keeps the current version of key from being deleted before until. When it
// returns nil the store has said that the lock is there, until then or longer, in this
// mode or the stricter one; an existing lock is never shortened. Absent: ErrNotExist. A
// store that cannot lock, or is configured not to lock for so long, answers ErrNoLock.
func Lock(ctx context.Context, s Store, key string, until time.Time, mode LockMode) error {
	if l, ok := s.(Locker); ok {
		return l.Lock(ctx, key, until, mode)
	}
	return fmt.Errorf("lock: %w: the store has no locks", ErrNoLock)
}
