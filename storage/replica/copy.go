package replica

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"medvault/storage"
)

// ErrNoCopy means that no region that was asked has the right bytes of an object.
var ErrNoCopy = errors.New("no region has the right bytes")

// Copy brings an object into region to from the first of the regions from (nil is
// all others) whose bytes are the right ones, and reads it back. Right bytes that
// are there already are success; other bytes there are storage.ErrExist, and
// Repair is what replaces them.
func (s *Set) Copy(ctx context.Context, key string, want Sum, from []string, to string) error {
	target, sources, err := s.route(from, to)
	if err != nil {
		return fmt.Errorf("copy %s: %w", key, err)
	}
	if s.verify(ctx, target, key, want) == nil {
		return nil
	}
	spool, err := s.fetch(ctx, key, want, sources)
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w", key, to, err)
	}
	defer spool.Close() // unlinked already, and read only
	if err := s.place(ctx, target, key, body(spool, want), nil); err != nil {
		return fmt.Errorf("copy %s to %s: %w", key, to, err)
	}
	return nil
}

// Repair makes an object in a region what it must be, with bytes from another
// region: put back when absent, replaced when damaged (storage.Store.Repair keeps
// the bad bytes), left alone when right.
func (s *Set) Repair(ctx context.Context, key string, want Sum, region string) error {
	target, sources, err := s.route(nil, region)
	if err != nil {
		return fmt.Errorf("repair %s: %w", key, err)
	}
	bad, err := s.examine(ctx, target, key, want)
	if err == nil && bad == nil {
		return nil
	}
	if errors.Is(err, storage.ErrNotExist) {
		return s.Copy(ctx, key, want, nil, region)
	}
	if err != nil {
		return fmt.Errorf("repair %s in %s: %w", key, region, err)
	}
	spool, err := s.fetch(ctx, key, want, sources)
	if err != nil {
		return fmt.Errorf("repair %s in %s: %w", key, region, err)
	}
	defer spool.Close() // unlinked already, and read only
	err = s.write(ctx, body(spool, want), func(ctx context.Context, body storage.Body) error {
		return target.Data.Repair(ctx, key, *bad, body)
	})
	if err == nil {
		err = s.verify(ctx, target, key, want)
	}
	if err != nil {
		return fmt.Errorf("repair %s in %s: %w", key, region, err)
	}
	return nil
}

// examine describes what is wrong with an object; nil when nothing is. What cannot
// be read is bad as well: its version is the condition of the repair.
func (s *Set) examine(ctx context.Context, r storage.Region, key string, want Sum) (*storage.Info, error) {
	bad, err := r.Data.Head(ctx, key)
	if err != nil {
		return nil, err
	}
	// Head's word on the bytes is not evidence; the version it gives, taken before
	// the bytes are read, is the condition.
	bad.SHA256 = [32]byte{}
	size, sum, err := storage.Sum(ctx, watchedStore{r.Data, s.cfg.ReadIdle}, key)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err == nil {
		if size == want.Size && sum == want.SHA256 {
			return nil, nil
		}
		bad.SHA256 = sum
	}
	return &bad, nil
}

// route resolves where from and where to; a region is no source for itself.
func (s *Set) route(from []string, to string) (target storage.Region, sources []storage.Region, err error) {
	target, ok := s.Region(to)
	if !ok {
		return target, nil, fmt.Errorf("no region %q", to)
	}
	all, err := s.pick(from)
	if err != nil {
		return target, nil, err
	}
	var unwell []storage.Region
	for _, r := range all {
		switch {
		case r.Name == to:
		case s.health.well(r.Name):
			sources = append(sources, r)
		default:
			unwell = append(unwell, r)
		}
	}
	sources = append(sources, unwell...)
	if len(sources) == 0 {
		return target, nil, errors.New("no region to read from")
	}
	return target, sources, nil
}

func body(spool *os.File, want Sum) storage.Body {
	return storage.Body{ReaderAt: spool, Size: want.Size, SHA256: want.SHA256}
}

// fetch brings the bytes of the first region that has the right ones into a file
// that has no name any more. The caller closes it. ErrNotExist means that no
// source has the object.
func (s *Set) fetch(ctx context.Context, key string, want Sum, sources []storage.Region) (*os.File, error) {
	spool, err := os.CreateTemp(s.cfg.Spool, "copy-*")
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	// No name: nothing is left by a crash.
	if err := os.Remove(spool.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("spool: %w", err), spool.Close())
	}
	absent := true
	var errs []error
	for _, r := range sources {
		err := s.fill(ctx, spool, r, key, want)
		if err == nil {
			return spool, nil
		}
		if ctx.Err() == nil && sick(err) {
			s.health.fail(r.Name)
		}
		absent = absent && errors.Is(err, storage.ErrNotExist)
		errs = append(errs, fmt.Errorf("region %s: %w", r.Name, err))
	}
	err = errors.Join(errs...)
	if !absent && ctx.Err() == nil {
		err = fmt.Errorf("%w: %v", ErrNoCopy, err) // hides ErrNotExist
	}
	return nil, errors.Join(err, spool.Close())
}

// fill reads one region's bytes into spool, from its beginning, and checks them.
func (s *Set) fill(ctx context.Context, spool *os.File, r storage.Region, key string, want Sum) error {
	if err := spool.Truncate(0); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	src, err := watchedStore{r.Data, s.cfg.ReadIdle}.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer src.Close() // reading: everything that counts was said by Read
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(h, spool), io.LimitReader(src, want.Size+1))
	if err != nil {
		return err
	}
	if n != want.Size || [32]byte(h.Sum(nil)) != want.SHA256 {
		return fmt.Errorf("%w: size or sha256 differs", storage.ErrCorrupt)
	}
	return nil
}
