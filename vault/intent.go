package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// intents says which objects this gateway is placing that no record names yet. Each is
// one line in a file that is locked for as long as the process lives: after a crash the
// next start, with the same spool, finds the lock free and takes the object away. The
// files are kept and used again; zeros in place of the line say that there is none.
type intents struct {
	dir string

	mu   sync.Mutex
	free []*os.File // locked by this process, without a line
}

// intent is the line about one object.
type intent struct {
	of   *intents
	file *os.File
	line int // its length
}

// newIntents opens the folder of intents in a spool.
func newIntents(spool string) (*intents, error) {
	dir := filepath.Join(spool, "unfinished")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("intents: %w", err)
	}
	return &intents{dir: dir}, nil
}

// begin is called before the first region is written to.
func (i *intents) begin(key string) (*intent, error) {
	f, err := i.take()
	if err != nil {
		return nil, fmt.Errorf("intent: %w", err)
	}
	if _, err := f.WriteAt([]byte(key), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("intent: %w", err), f.Close())
	}
	return &intent{i, f, len(key)}, nil
}

func (i *intents) take() (*os.File, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if n := len(i.free); n > 0 {
		f := i.free[n-1]
		i.free = i.free[:n-1]
		return f, nil
	}
	for {
		f, err := os.CreateTemp(i.dir, "intent-")
		if err != nil {
			return nil, err
		}
		// Until it is locked another gateway's recover may take it for a leftover, and
		// being empty remove it.
		if lock(f) == nil && stillThere(f) {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

func stillThere(f *os.File) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(mine, there)
}

func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// settle ends an intent: the object has its record, or is gone from every region.
func (i *intent) settle() error {
	if i == nil || i.file == nil {
		return nil
	}
	f := i.file
	i.file = nil
	// Not Truncate: a disk is told of every block that is given back.
	if _, err := f.WriteAt(make([]byte, i.line), 0); err != nil {
		return errors.Join(fmt.Errorf("intent: %w", err), f.Close())
	}
	i.of.mu.Lock()
	defer i.of.mu.Unlock()
	i.of.free = append(i.of.free, f)
	return nil
}

// leave ends an intent whose outcome is not known; recover looks at it.
func (i *intent) leave() error {
	if i == nil || i.file == nil {
		return nil
	}
	err := i.file.Close()
	i.file = nil
	return err
}

// close gives the files back. What is free is removed, so that a spool at rest is empty.
func (i *intents) close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	var errs []error
	for _, f := range i.free {
		errs = append(errs, os.Remove(f.Name()), f.Close())
	}
	i.free = nil
	return errors.Join(errs...)
}

// recoverTime bounds how long one object may take to be looked at; those of regions
// that are down are looked at again by tidy.
const recoverTime = 5 * time.Second

// recover takes away what crashed gateways of this spool left unrecorded in regions.
func (v *Vault) recover(ctx context.Context) error {
	entries, err := os.ReadDir(v.intents.dir)
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	for _, e := range entries {
		f, err := os.OpenFile(filepath.Join(v.intents.dir, e.Name()), os.O_RDWR, 0)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("recover: %w", err)
		}
		if lock(f) != nil {
			f.Close()
			continue // its gateway lives
		}
		if err := v.unwind(ctx, f); err != nil {
			v.cfg.Log.Warn("unfinished object left", "err", err)
		}
		f.Close()
	}
	return nil
}

// unwind removes the object that an intent names, unless a record names it after all,
// and then the intent. Where the catalog was lost since, the record may have been lost
// with it: then the object stays.
func (v *Vault) unwind(ctx context.Context, f *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, recoverTime)
	defer cancel()
	line, err := os.ReadFile(f.Name())
	if err != nil {
		return err
	}
	key := string(bytes.Trim(line, "\x00"))
	if key == "" {
		return os.Remove(f.Name())
	}
	id, err := record.ParseObjectID(key[strings.LastIndexByte(key, '/')+1:])
	if err != nil {
		return fmt.Errorf("intent: %w", err)
	}
	recorded, err := v.recorded(ctx, id)
	if err != nil {
		return err
	}
	before, err := v.beforeRebuild(ctx, f)
	if err != nil {
		return err
	}
	if !recorded && before {
		v.cfg.Log.Warn("object left that the lost catalog may have known", "object", id)
	} else if !recorded {
		if err := v.cfg.Regions.Delete(ctx, key); err != nil {
			return err
		}
	}
	return os.Remove(f.Name())
}

// beforeRebuild says whether an intent is older than the catalog, which was made anew
// after the one that was lost.
func (v *Vault) beforeRebuild(ctx context.Context, f *os.File) (before bool, err error) {
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		all, err := tx.Rebuilds(ctx)
		for _, r := range all {
			before = before || info.ModTime().Before(r.Ended)
		}
		return err
	})
	return before, err
}

// recorded says whether a record names an object. It asks by trying to write one: where
// the commit of a crashed gateway is still on its way, that waits for it.
func (v *Vault) recorded(ctx context.Context, id record.ObjectID) (yes bool, err error) {
	undo := errors.New("only asking")
	probe := catalog.Object{ID: id, Class: catalog.ClassRecords, Patient: "probe", Seal: "probe", Kind: record.KindRecord, Created: v.cfg.Now()}
	err = v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if err := tx.InsertRecord(ctx, probe, "probe"); err != nil {
			return err
		}
		return undo
	})
	switch {
	case errors.Is(err, undo):
		return false, nil
	case errors.Is(err, catalog.ErrExist):
		return true, nil
	}
	return false, err
}
