package vault

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"

	"medvault/keys"
	"medvault/storage"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/residency"
)

const (
	repairObject = "copy from a region that passes read"
	repairWrap   = "put the catalog's wrap there again"
)

// copyGrace is how long a promised copy may be on its way before its absence counts.
const copyGrace = time.Minute

// objects walks the listing of a region's data and what must lie there side by side,
// both sorted by key, from a key on, in constant memory.
func (c *verification) objects(ctx context.Context, r storage.Region, from string) error {
	prove := func(e catalog.Account) error {
		err := errors.Join(c.prove(ctx, r, e), c.proveLock(ctx, r.Name, r.Data, e.Object))
		c.checked(r.Name)
		return err
	}
	return atOnce(c, prove, func(read func(catalog.Account)) error { return c.compare(ctx, r, from, read) })
}

func (c *verification) compare(ctx context.Context, r storage.Region, from string, read func(catalog.Account)) error {
	next, stop := iter.Pull2(r.Data.List(ctx, "", from))
	defer stop()
	there, listErr, more := next()
	for e, err := range c.accounts(ctx, r.Name, from) {
		if err != nil {
			return err
		}
		for ; more && listErr == nil && there.Key < e.Key(); there, listErr, more = next() {
			if err := c.unexpected(ctx, r, there); err != nil {
				return err
			}
		}
		if listErr != nil {
			return ofRegion(listErr)
		}
		var listed *storage.Info
		if more && there.Key == e.Key() {
			info := there
			listed = &info
			there, listErr, more = next()
		}
		if err := c.meet(ctx, r, e, listed, read); err != nil {
			return err
		}
		if err := c.advance(ctx, r, "objects", e.Key()); err != nil {
			return err
		}
	}
	for ; more && listErr == nil; there, listErr, more = next() {
		if err := c.unexpected(ctx, r, there); err != nil {
			return err
		}
	}
	if listErr != nil {
		return ofRegion(listErr)
	}
	return nil
}

// meet judges one object that the region must hold by its place in the listing (nil:
// none), and has it read when it belongs to the sample.
func (c *verification) meet(ctx context.Context, r storage.Region, e catalog.Account, listed *storage.Info, read func(catalog.Account)) error {
	if e.Leaves { // a job takes it away, or just has
		if e.Placed {
			c.spared()
		}
		if listed != nil {
			return c.leaving(ctx, r, e)
		}
		return nil
	}
	if listed != nil {
		may, err := c.v.mayHold(ctx, r, e.Patient, e.Country)
		if err != nil {
			return err
		}
		if !may {
			c.checked(r.Name)
			return c.mustGo(ctx, r, e)
		}
	}
	present := listed != nil && listed.Size == e.Size
	if !present {
		var err error
		if present, err = c.lookAgain(ctx, r, e); err != nil {
			return err
		}
		if present && listed == nil {
			if err := c.unlisted(ctx, r, e.Key(), string(e.ID)); err != nil {
				return err
			}
		}
	}
	if !present {
		if e.Placed {
			c.checked(r.Name)
		}
		return nil
	}
	s := c.of(r.Name)
	taken := c.state.Asked.Level != LevelList && c.sample.takes(c.state.Seed, string(e.ID), s)
	s.Met++
	if !taken {
		c.checked(r.Name)
		return nil
	}
	s.Taken++
	read(e)
	return nil
}

// leaving tells of a superseded object that a lock keeps.
func (c *verification) leaving(ctx context.Context, r storage.Region, e catalog.Account) error {
	info, err := r.Data.Head(ctx, e.Key())
	if errors.Is(err, storage.ErrNotExist) {
		return nil
	}
	if err != nil {
		return ofRegion(err)
	}
	if info.LockedUntil.After(c.v.cfg.Now()) {
		c.note(Note{Type: NoteLocked, Region: r.Name, Object: string(e.ID), Evidence: "superseded, and locked until " + info.LockedUntil.Format(time.DateOnly)})
	}
	return nil
}

// mustGo tells of an object that lies where it may not: when a lock keeps it there, and
// no key of the region opens it any more, that is known and no finding.
func (c *verification) mustGo(ctx context.Context, r storage.Region, e catalog.Account) error {
	info, err := r.Data.Head(ctx, e.Key())
	if errors.Is(err, storage.ErrNotExist) {
		return nil // taken away since it was listed
	}
	if err != nil {
		return ofRegion(err)
	}
	if info.LockedUntil.After(c.v.cfg.Now()) {
		c.note(Note{Type: NoteLocked, Region: r.Name, Object: string(e.ID), Evidence: "consent is withdrawn, and it is locked until " + info.LockedUntil.Format(time.DateOnly)})
		return nil
	}
	c.forbidden(r, string(e.ID))
	return nil
}

// mayHold says whether a patient's objects may lie in a region. What they have said is
// read only where it matters: abroad.
func (v *Vault) mayHold(ctx context.Context, r storage.Region, patient record.PatientToken, country string) (bool, error) {
	verdict := v.mayLie(r.Jurisdiction, country, nil)
	if verdict.Reason != residency.NoConsentAbroad {
		return verdict.Permit, nil
	}
	said, err := v.said(ctx, patient)
	return v.mayLie(r.Jurisdiction, country, said).Permit, err
}

// mayUnlock says whether a patient's wraps may lie in a region.
func (v *Vault) mayUnlock(ctx context.Context, tx *catalog.Tx, r storage.Region, patient record.PatientToken, country string) (bool, error) {
	verdict := v.mayOpen(r.Jurisdiction, country, nil)
	if verdict.Reason != residency.NoConsentAbroad {
		return verdict.Permit, nil
	}
	said, err := v.consents(ctx, tx, patient)
	return v.mayOpen(r.Jurisdiction, country, said).Permit, err
}

func (c *verification) forbidden(r storage.Region, object string) {
	c.found(Finding{Type: FindingForbidden, Region: r.Name, Object: object,
		Evidence: "its patient's data may not lie in " + r.Jurisdiction, Repair: "remove it there, once a permitted region has it"})
}

// unlisted tells an object that was put there since its page of the listing was made from
// a listing that is not whole, which would hide what nobody put there: it lists that one
// name again. One such finding says all about a region.
func (c *verification) unlisted(ctx context.Context, r storage.Region, key, object string) error {
	s := c.of(r.Name)
	if s.Broken {
		return nil
	}
	for info, err := range r.Data.List(ctx, key, "") {
		if err != nil {
			return ofRegion(err)
		}
		if info.Key == key {
			return nil
		}
	}
	s.Broken = true
	c.found(Finding{Type: FindingListing, Region: r.Name, Object: object, Evidence: "it lies there, and the listing leaves it out",
		Repair: "verify again once the region lists what it holds: what nobody put there would be left out as well"})
	return nil
}

// lookAgain asks for an object itself before it is accused: a page of the listing may
// be older than the manifest. It says whether the object lies there in its size, and
// names what does not.
func (c *verification) lookAgain(ctx context.Context, r storage.Region, e catalog.Account) (present bool, err error) {
	info, err := r.Data.Head(ctx, e.Key())
	if errors.Is(err, storage.ErrNotExist) {
		return false, c.absent(ctx, r, e)
	}
	if err != nil {
		return false, ofRegion(err)
	}
	if info.Size != e.Size {
		c.found(Finding{Type: FindingWrongSize, Region: r.Name, Object: string(e.ID),
			Evidence: fmt.Sprintf("%d bytes, must be %d", info.Size, e.Size), Repair: repairObject})
		return false, nil
	}
	return true, nil
}

// absent names an object that is not there, unless its copy is on its way or it may not
// be there.
func (c *verification) absent(ctx context.Context, r storage.Region, e catalog.Account) error {
	evidence := "not there"
	if !e.Placed {
		if c.v.cfg.Now().Sub(e.Created) < copyGrace {
			return nil
		}
		evidence = "its copy is still to be made"
	}
	may, err := c.v.mayHold(ctx, r, e.Patient, e.Country)
	if err == nil && may {
		c.found(Finding{Type: FindingMissing, Region: r.Name, Object: string(e.ID), Evidence: evidence, Repair: repairObject})
	}
	return err
}

// accounts yields what a region must hold, in order of key, behind a key.
func (c *verification) accounts(ctx context.Context, region, after string) iter.Seq2[catalog.Account, error] {
	tails, limit := c.state.Asked.Level == LevelRead, 1000
	if tails {
		limit = 250 // of up to maxTail bytes each
	}
	return func(yield func(catalog.Account, error) bool) {
		for {
			var page []catalog.Account
			err := c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
				page, err = tx.Accounts(ctx, region, after, tails, limit)
				return err
			})
			if err != nil {
				yield(catalog.Account{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
				after = e.Key()
			}
			if len(page) == 0 {
				return
			}
		}
	}
}

// wraps checks that a region holds the wraps its own key service made, as far as it
// holds anything that they open.
func (c *verification) wraps(ctx context.Context, r storage.Region, from string) error {
	prove := func(row catalog.WrapRow) error { return c.wrap(ctx, r, row) }
	return atOnce(c, prove, func(look func(catalog.WrapRow)) error {
		for at, row := range c.serviceWraps(ctx, c.v.cfg.Services[r.Name].Name(), from) {
			if row.err != nil {
				return row.err
			}
			look(row.WrapRow)
			if err := c.advance(ctx, r, "wraps", at); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *verification) wrap(ctx context.Context, r storage.Region, row catalog.WrapRow) error {
	key := row.Wrap.Key(row.Binding)
	if c.state.Asked.Level == LevelRead && c.takesWrap(r, key) {
		// One request where all is well; what is not is looked into below.
		if got, err := wrapBytes(ctx, r, key, len(row.Blob)); err == nil && got == row.Blob {
			c.checked(r.Name)
			return nil
		}
	}
	info, err := r.Keys.Head(ctx, key)
	if errors.Is(err, storage.ErrNotExist) {
		needed, err := c.needsWrap(ctx, r, row)
		if err != nil {
			return err
		}
		if !needed {
			c.spared()
			return nil
		}
		// An upload may have put it there between the two questions, or a rotation have
		// moved it on.
		info, err = r.Keys.Head(ctx, key)
		if errors.Is(err, storage.ErrNotExist) {
			c.checked(r.Name)
			if moved, err := c.moved(ctx, row); moved || err != nil {
				return err
			}
			if older, err := c.olderLies(ctx, r, row); older || err != nil {
				return err
			}
			c.found(Finding{Type: FindingWrapMissing, Region: r.Name, Object: key, Evidence: "the wrap is not there", Repair: repairWrap})
			return nil
		}
		if err != nil {
			return ofRegion(err)
		}
	} else if err != nil {
		return ofRegion(err)
	}
	c.checked(r.Name)
	if info.Size != int64(len(row.Blob)) {
		c.found(Finding{Type: FindingWrapDamaged, Region: r.Name, Object: key,
			Evidence: fmt.Sprintf("%d bytes, must be %d", info.Size, len(row.Blob)), Repair: repairWrap})
		return nil
	}
	return c.proveWrap(ctx, r, key, row)
}

// moved says whether a wrap is another one by now.
func (c *verification) moved(ctx context.Context, row catalog.WrapRow) (moved bool, err error) {
	err = c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		rows, err := tx.Wraps(ctx, row.Token, row.Generation)
		moved = true
		for _, now := range rows {
			if now == row {
				moved = false
			}
		}
		return err
	})
	return moved, err
}

// maxShards is the most KEK shards a key service may have of one kind.
const maxShards = 256

type wrapRow struct {
	catalog.WrapRow
	err error
}

// serviceWraps yields all wraps of one key service, shard by shard, each with the place
// from which it goes on.
func (c *verification) serviceWraps(ctx context.Context, service, from string) iter.Seq2[string, wrapRow] {
	const page = 500
	type shardOf struct {
		kind  keys.Kind
		shard string
	}
	var shards []shardOf
	for _, kind := range []keys.Kind{keys.House, keys.Content, keys.Identity} {
		for _, shard := range keys.ShardNames(kind, maxShards) {
			shards = append(shards, shardOf{kind, shard})
		}
	}
	return func(yield func(string, wrapRow) bool) {
		number, after, _ := strings.Cut(from, "/")
		first, err := strconv.Atoi(number)
		if err != nil {
			first, after = 0, ""
		}
		for i := first; i < len(shards); i, after = i+1, "" {
			for more := true; more; {
				var rows []catalog.WrapRow
				err := c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
					rows, err = tx.ShardWraps(ctx, service, shards[i].kind, shards[i].shard, math.MaxInt, after, page)
					return err
				})
				if err != nil {
					yield("", wrapRow{err: err})
					return
				}
				for _, row := range rows {
					after = row.After()
					if !yield(fmt.Sprintf("%d/%s", i, after), wrapRow{WrapRow: row}) {
						return
					}
				}
				more = len(rows) == page
			}
		}
	}
}

// mayUnlockOf is mayUnlock for a patient of whom only the token is known.
func (v *Vault) mayUnlockOf(ctx context.Context, tx *catalog.Tx, r storage.Region, patient record.PatientToken) (bool, error) {
	p, err := tx.Patient(ctx, patient)
	if err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return false, err
	}
	return v.mayUnlock(ctx, tx, r, patient, p.Country)
}

// needsWrap says whether the region holds anything that the wrap opens. An upload
// that found no quorum leaves wraps that no region was ever given.
func (c *verification) needsWrap(ctx context.Context, r storage.Region, row catalog.WrapRow) (needed bool, err error) {
	if row.Kind == keys.House {
		return r.Jurisdiction == c.v.cfg.Home, nil
	}
	err = c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if may, err := c.v.mayUnlockOf(ctx, tx, r, record.PatientToken(row.Token)); err != nil || !may {
			return err
		}
		docs, err := tx.Documents(ctx, catalog.Scope{Patient: record.PatientToken(row.Token)})
		if err != nil {
			return err
		}
		for _, d := range docs {
			placed, err := tx.Placements(ctx, d.ID)
			if err != nil || placed[r.Name] {
				needed = placed[r.Name]
				return err
			}
		}
		return nil
	})
	return needed, err
}
