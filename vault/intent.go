package vault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// intent says that this gateway is placing an object which no record names yet. It is
// an empty file, locked for as long as the process lives: after a crash the next start
// finds it free and takes the object away. An acknowledged object has none.
type intent struct{ file *os.File }

// intend is called before the first region is written to.
func (v *Vault) intend(key string) (*intent, error) {
	name := filepath.Join(v.intents, strings.ReplaceAll(key, "/", "."))
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("intent: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("intent: %w", err), f.Close(), os.Remove(name))
	}
	return &intent{f}, nil
}

// settle ends an intent: the object has its record, or is gone from every region.
func (i *intent) settle() error {
	if i == nil || i.file == nil {
		return nil
	}
	err := errors.Join(os.Remove(i.file.Name()), i.file.Close())
	i.file = nil
	return err
}

// leave ends an intent whose outcome is not known; the next start looks.
func (i *intent) leave() error {
	if i == nil || i.file == nil {
		return nil
	}
	err := i.file.Close()
	i.file = nil
	return err
}

// recoverTime bounds how long a start waits for regions that are down; their
// leftovers are looked at again by tidy.
const recoverTime = 5 * time.Second

// recover takes away what crashed gateways of this spool left unrecorded in regions.
func (v *Vault) recover(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recoverTime)
	defer cancel()
	entries, err := os.ReadDir(v.intents)
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	for _, e := range entries {
		f, err := os.OpenFile(filepath.Join(v.intents, e.Name()), os.O_RDWR, 0)
		if errors.Is(err, os.ErrNotExist) {
			continue // settled meanwhile
		}
		if err != nil {
			return fmt.Errorf("recover: %w", err)
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			f.Close()
			continue // its gateway lives
		}
		if err := v.unwind(ctx, &intent{f}, strings.ReplaceAll(e.Name(), ".", "/")); err != nil {
			v.cfg.Log.Warn("unfinished object left", "object", e.Name(), "err", err)
		}
	}
	return nil
}

// unwind removes the object of an intent unless a record names it after all.
func (v *Vault) unwind(ctx context.Context, i *intent, key string) error {
	id, err := record.ParseObjectID(key[strings.LastIndexByte(key, '/')+1:])
	if err != nil {
		return errors.Join(err, i.leave())
	}
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		_, err := tx.Object(ctx, id)
		return err
	})
	if err == nil {
		return i.settle()
	}
	if errors.Is(err, catalog.ErrNotFound) {
		err = v.cfg.Regions.Delete(ctx, key)
	}
	if err != nil {
		return errors.Join(err, i.leave())
	}
	return i.settle()
}
