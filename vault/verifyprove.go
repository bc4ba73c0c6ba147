package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"medvault/keys"
	"medvault/keys/envelope"
	"medvault/storage"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// prove looks at one object as closely as the level asks. Its error is the catalog's, a
// key service's or, as errRegion, that of a region that is away.
func (c *verification) prove(ctx context.Context, r storage.Region, e catalog.Account) error {
	switch c.state.Asked.Level {
	case LevelChecksum:
		return c.proveSum(ctx, r, e)
	case LevelDecrypt:
		return c.proveOpens(ctx, r, e)
	}
	return c.proveBytes(ctx, r, e)
}

// accuse names what is wrong with an object, unless it was removed or superseded since
// the catalog was read.
func (c *verification) accuse(ctx context.Context, e catalog.Account, f Finding) error {
	o, err := c.object(ctx, e.ID)
	if errors.Is(err, catalog.ErrNotFound) || err == nil && o.SupersededBy != "" {
		return nil
	}
	if err == nil {
		c.found(f)
	}
	return err
}

func (c *verification) object(ctx context.Context, id record.ObjectID) (o catalog.Object, err error) {
	err = c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		o, err = tx.Object(ctx, id)
		return err
	})
	return o, err
}

// proveSum compares the store's own sum. A store that has none proves nothing.
func (c *verification) proveSum(ctx context.Context, r storage.Region, e catalog.Account) error {
	sum, told, err := storage.OwnSum(ctx, r.Data, e.Key())
	switch {
	case errors.Is(err, storage.ErrNotExist):
		if err := c.absent(ctx, r, e); err != nil {
			return err
		}
	case err != nil:
		return c.unread(ctx, r, e, err)
	case !told:
		c.mute(r.Name)
		return nil
	case sum != e.SHA256:
		c.proven(r.Name)
		return c.accuse(ctx, e, Finding{Type: FindingWrongChecksum, Region: r.Name, Object: string(e.ID),
			Evidence: fmt.Sprintf("the store's SHA-256 is %x, must be %x", sum, e.SHA256), Repair: repairObject})
	}
	c.proven(r.Name)
	return nil
}

// proveBytes streams an object and compares its hash, and its last bytes with those that
// the catalog keeps.
func (c *verification) proveBytes(ctx context.Context, r storage.Region, e catalog.Account) error {
	sum, last, err := c.bytesOf(ctx, r, e)
	if err == nil && sum != e.SHA256 { // as it lies there, or as it came?
		if sum, last, err = c.bytesOf(ctx, r, e); err == nil && sum == e.SHA256 {
			c.note(Note{Type: NoteUnsteady, Region: r.Name, Object: string(e.ID), Evidence: "its bytes came wrong, and right when they were read again"})
		}
	}
	if err != nil {
		return c.unread(ctx, r, e, err)
	}
	c.proven(r.Name)
	if sum != e.SHA256 {
		return c.accuse(ctx, e, Finding{Type: FindingDamaged, Region: r.Name, Object: string(e.ID),
			Evidence: fmt.Sprintf("SHA-256 is %x, must be %x", sum, e.SHA256), Repair: repairObject})
	}
	if !bytes.Equal(last, e.Footer) {
		return c.indexDamaged(ctx, e)
	}
	return nil
}

// bytesOf reads an object whole: the hash of its bytes, and the last of them, as many as
// the catalog keeps.
func (c *verification) bytesOf(ctx context.Context, r storage.Region, e catalog.Account) (sum [32]byte, end []byte, err error) {
	body, err := r.Data.Get(ctx, e.Key(), 0, -1)
	if err != nil {
		return sum, nil, err
	}
	all, last := sha256.New(), &lastBytes{n: len(e.Footer)}
	buf, giveBack := c.buffer()
	_, err = io.CopyBuffer(io.MultiWriter(all, last), struct{ io.Reader }{body}, buf[:])
	giveBack()
	return [32]byte(all.Sum(nil)), last.kept, errors.Join(err, body.Close())
}

// unread tells an object that cannot be read from a region that is away.
func (c *verification) unread(ctx context.Context, r storage.Region, e catalog.Account, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, storage.ErrNotExist) { // listed, or there a moment ago
		return c.absent(ctx, r, e)
	}
	if _, probe := r.Data.Head(ctx, "probe/none"); probe != nil && !errors.Is(probe, storage.ErrNotExist) {
		return ofRegion(err)
	}
	c.proven(r.Name)
	return c.accuse(ctx, e, Finding{Type: FindingDamaged, Region: r.Name, Object: string(e.ID), Evidence: "cannot be read to its end", Repair: repairObject})
}

// proveOpens opens every part of an object, as the region holds it, with its patient's
// keys. What comes out is compared with its tags and let go: nobody learns more than
// whether it opened.
func (c *verification) proveOpens(ctx context.Context, r storage.Region, e catalog.Account) error {
	k, err := c.v.openKeys(ctx, catalog.Patient{Token: e.Patient, Generation: e.Generation})
	if errors.Is(err, errNoWraps) {
		return c.accuse(ctx, e, Finding{Type: FindingWrapMissing, Region: regionCatalog, Object: string(e.ID),
			Evidence: "no key of its patient is on record", Repair: "rebuild the catalog's wraps from a region"})
	}
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		if err = opens(ctx, r.Data, e.Object, k); err == nil || errors.Is(err, record.ErrTampered) || !again(ctx, n, err) {
			break
		}
	}
	if err != nil && !errors.Is(err, record.ErrTampered) {
		return c.unread(ctx, r, e, err)
	}
	c.proven(r.Name)
	if err != nil {
		return c.accuse(ctx, e, Finding{Type: FindingDamaged, Region: r.Name, Object: string(e.ID), Evidence: "does not open under its patient's keys", Repair: repairObject})
	}
	return nil
}

// opens opens every part of a sealed object in one store. What does not open is
// ErrTampered.
func opens(ctx context.Context, from storage.Store, o catalog.Object, k patientKeys) error {
	id, err := o.ID.Bytes()
	if err != nil {
		return err
	}
	want := envelope.Header{Object: id, Patient: string(o.Patient), Generation: o.Generation, Kind: uint8(o.Kind)}
	if _, err := hex.Decode(want.Seal[:], []byte(o.Seal)); err != nil {
		return fmt.Errorf("%w: seal id of %s", record.ErrTampered, o.ID)
	}
	fetch := func(ctx context.Context, offset, length int64) (io.ReadCloser, error) {
		return from.Get(ctx, o.Key(), offset, length)
	}
	footer, err := envelope.ReadFooter(ctx, fetch, o.Size)
	if err != nil {
		return tampered(err)
	}
	sealed, err := envelope.Open(footer, fetch, want, envelope.Keys{Content: k.Content, Identity: k.Identity})
	if err != nil {
		return tampered(err)
	}
	return tampered(sealed.Verify(ctx))
}

// indexDamaged names a row of the catalog once, however many regions show it.
func (c *verification) indexDamaged(ctx context.Context, e catalog.Account) error {
	c.mu.Lock()
	known := c.badRows[e.ID]
	if len(c.badRows) < maxFindings {
		c.badRows[e.ID] = true
	}
	c.mu.Unlock()
	if known {
		return nil
	}
	return c.accuse(ctx, e, Finding{Type: FindingIndexDamaged, Region: regionCatalog, Object: string(e.ID),
		Evidence: "the tail it keeps is not the end of the object", Repair: "read it again from a good region"})
}

// lastBytes keeps the last n bytes of what is written to it.
type lastBytes struct {
	n    int
	kept []byte
}

func (l *lastBytes) Write(p []byte) (int, error) {
	if excess := len(l.kept) + len(p) - l.n; excess > 0 {
		l.kept = l.kept[min(excess, len(l.kept)):]
	}
	l.kept = append(l.kept, p[max(0, len(p)-l.n):]...)
	return len(p), nil
}

// proveWrap looks at a wrap as closely as the level asks.
func (c *verification) proveWrap(ctx context.Context, r storage.Region, key string, row catalog.WrapRow) error {
	if level := c.state.Asked.Level; level == LevelList || !c.takesWrap(r, key) {
		return nil
	} else if level == LevelChecksum {
		sum, told, err := storage.OwnSum(ctx, r.Keys, key)
		switch {
		case err != nil && !errors.Is(err, storage.ErrNotExist):
			return ofRegion(err)
		case told && err == nil && sum != sha256.Sum256([]byte(row.Blob)):
			c.wrapDamaged(r, key, "the store's SHA-256 is not that of what its key service made")
		}
		return nil
	}
	got, err := wrapBytes(ctx, r, key, len(row.Blob))
	if errors.Is(err, storage.ErrNotExist) {
		return nil // trimmed since
	}
	if err != nil {
		return c.wrapUnread(ctx, r, key, err)
	}
	if got != row.Blob {
		c.wrapDamaged(r, key, "the wrap is not what its key service made")
		return nil
	}
	if c.state.Asked.Level != LevelDecrypt {
		return nil
	}
	_, err = c.v.cfg.Services[r.Name].Unwrap(ctx, []keys.Bound{{Binding: row.Binding, Wrap: row.Wrap}})
	if errors.Is(err, keys.ErrUnavailable) {
		return unavailable("keys", err)
	}
	if err != nil {
		c.wrapDamaged(r, key, "its key service does not open it")
	}
	return nil
}

// takesWrap says whether a wrap belongs to the sample: of wraps, a sample at random
// takes the same share as of objects.
func (c *verification) takesWrap(r storage.Region, key string) bool {
	switch s := c.of(r.Name); {
	case c.sample.all():
		return true
	case c.sample.groups > 0:
		return c.sample.takes("", key, s)
	default:
		return s.Total <= c.sample.number || hashOf(c.state.Seed, key)%uint64(s.Total) < uint64(c.sample.number)
	}
}

func (c *verification) wrapDamaged(r storage.Region, key, evidence string) {
	c.found(Finding{Type: FindingWrapDamaged, Region: r.Name, Object: key, Evidence: evidence, Repair: repairWrap})
}

func (c *verification) wrapUnread(ctx context.Context, r storage.Region, key string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, probe := r.Keys.Head(ctx, "probe/none"); probe != nil && !errors.Is(probe, storage.ErrNotExist) {
		return ofRegion(err)
	}
	c.wrapDamaged(r, key, "cannot be read to its end")
	return nil
}

// wrapBytes reads a wrap that should have so many bytes.
func wrapBytes(ctx context.Context, r storage.Region, key string, size int) (string, error) {
	body, err := r.Keys.Get(ctx, key, 0, -1)
	if err != nil {
		return "", err
	}
	got, err := io.ReadAll(io.LimitReader(body, int64(size)+1))
	return string(got), errors.Join(err, body.Close())
}
