package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"medvault/keys"
	"medvault/storage"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Why a renewal is not done yet, besides the codes of a region's own troubles (lane.go).
const (
	pendingOrdered    = "ordered"             // not tried yet
	pendingCredential = "rotation-credential" // this gateway's may not rotate: medvault keys rotate --pending
	pendingMissing    = "missing"             // wraps that must lie in the region do not, or do not open
	pendingUnknown    = "unknown-wraps"       // the region holds wraps that open, of patients the catalog does not know
	pendingOther      = "other-key"           // the region holds another key under the name of one of ours
	pendingBehind     = "service-behind"      // the key service has forgotten versions: it was put back
	pendingService    = "no-such-service"     // the configuration has no key service of this name
	pendingElsewhere  = "not-configured"      // another gateway has had a region in its configuration lately that this one lacks
)

// obstacle is what stands in the way of a trim. Region "" is none: the key service.
type obstacle struct {
	Region string `json:"region,omitempty"`
	Reason string `json:"reason"`
	Wraps  int    `json:"wraps,omitempty"` // concerned, as far as that is known
}

// shardKeys is one shard of one service, with the version that its wraps move to.
type shardKeys struct {
	v      *Vault
	s      keys.Wrapper
	kind   keys.Kind
	shard  string
	target int
}

// regions that depend on the key service: at home and abroad, frozen and draining too.
func (k shardKeys) regions() (regions []storage.Region) {
	for _, r := range k.v.cfg.Regions.Regions() {
		if k.v.cfg.Services[r.Name].Name() == k.s.Name() {
			regions = append(regions, r)
		}
	}
	return regions
}

func (k shardKeys) prefix() string {
	if k.kind == keys.House {
		return "house/"
	}
	return "wraps/" + string(k.kind) + "/" + k.shard + "/"
}

// lying is what a region's listing shows of a shard.
type lying map[keys.Binding]map[int]bool // versions of each wrap

func (l lying) has(row catalog.WrapRow) bool { return l[row.Binding][row.Version] }

// newest version of a key's wrap; 0: none.
func (l lying) newest(b keys.Binding) (newest int) {
	for version := range l[b] {
		newest = max(newest, version)
	}
	return newest
}

func (k shardKeys) list(ctx context.Context, r storage.Region) (lying, error) {
	there := make(lying)
	for info, err := range r.Keys.List(ctx, k.prefix(), "") {
		if err != nil {
			return nil, fmt.Errorf("list %s of region %s: %w", k.prefix(), r.Name, err)
		}
		if b, w, ok := parseWrapKey(info.Key); ok && b.Kind == k.kind && w.Shard == k.shard {
			if there[b] == nil {
				there[b] = make(map[int]bool)
			}
			there[b][w.Version] = true
		}
	}
	return there, nil
}

// adopt takes wraps that a region holds and the catalog lacks: after a rebuild from
// another region it knows those of one service only. It returns how many open although
// the catalog knows nothing of their patient; those hold a trim up.
func (k shardKeys) adopt(ctx context.Context, r storage.Region, there lying) (unknown int, err error) {
	for b := range there {
		rows, err := k.v.wraps(ctx, b.Token, b.Generation)
		if err != nil {
			return unknown, err
		}
		var ours bool
		var others []catalog.WrapRow
		for _, row := range rows {
			switch {
			case row.Kind != b.Kind:
			case row.Service == k.s.Name():
				ours = true
			default:
				others = append(others, row)
			}
		}
		if ours {
			continue
		}
		state, err := k.standing(ctx, r, b)
		if err != nil {
			return unknown, err
		}
		if state == wrapDead {
			continue
		}
		opens, err := k.take(ctx, r, b, there.newest(b), state, others)
		if err != nil {
			return unknown, err
		}
		if opens && state == wrapUnknown {
			unknown++
		}
	}
	return unknown, nil
}

// take looks whether a wrap that the catalog lacks opens, and records that of a living
// key under the current version.
func (k shardKeys) take(ctx context.Context, r storage.Region, b keys.Binding, version int, state standing, others []catalog.WrapRow) (opens bool, err error) {
	row := catalog.WrapRow{Binding: b, Service: k.s.Name(), Wrap: keys.Wrap{Shard: k.shard, Version: version}}
	if row.Blob, err = readWrap(ctx, r, row); err != nil {
		return false, err
	}
	deks, err := k.s.Unwrap(ctx, []keys.Bound{{Binding: b, Wrap: row.Wrap}})
	if errors.Is(err, keys.ErrRefused) {
		return false, nil // it opens for nobody any more
	}
	if err != nil || state == wrapUnknown {
		return err == nil, err
	}
	if len(others) > 0 {
		known, err := k.v.unwrap(ctx, others, b.Kind)
		if err != nil {
			return true, err
		}
		if !bytes.Equal(known.Bytes(), deks[0].Bytes()) {
			return true, fmt.Errorf("region %s: %w: it holds another %s key under this name", r.Name, record.ErrTampered, b.Kind)
		}
	}
	if row.Wrap, err = k.current(ctx, row); err != nil {
		return true, err
	}
	return true, k.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.AddWraps(ctx, []catalog.WrapRow{row}) })
}

func (k shardKeys) current(ctx context.Context, row catalog.WrapRow) (keys.Wrap, error) {
	moved, err := k.s.Rewrap(ctx, []keys.Bound{{Binding: row.Binding, Wrap: row.Wrap}})
	if err != nil {
		return keys.Wrap{}, err
	}
	return moved[0], nil
}

// standing says what a wrap in a region is to become.
type standing int

const (
	wrapDead    standing = iota // its patient or generation was destroyed, or may not lie there
	wrapLiving                  // it must survive
	wrapUnknown                 // the catalog has never heard of the key
)

// standing judges a wrap of the region, whether or not the catalog has it.
func (k shardKeys) standing(ctx context.Context, r storage.Region, b keys.Binding) (state standing, err error) {
	if b.Kind == keys.House {
		if r.Jurisdiction != k.v.cfg.Home {
			return wrapDead, nil
		}
		rows, err := k.v.wraps(ctx, b.Token, b.Generation)
		if err != nil || len(rows) == 0 {
			return wrapUnknown, err
		}
		return wrapLiving, nil
	}
	err = k.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		state = wrapUnknown
		p, err := tx.Patient(ctx, record.PatientToken(b.Token))
		if errors.Is(err, catalog.ErrNotFound) {
			may, err := k.v.mayUnlock(ctx, tx, r, record.PatientToken(b.Token), "")
			if !may {
				state = wrapDead
			}
			return err
		}
		if err != nil {
			return err
		}
		may, err := k.v.mayUnlock(ctx, tx, r, p.Token, p.Country)
		if err != nil || p.State == catalog.Erased || !may {
			state = wrapDead
			return err
		}
		if b.Generation > p.Generation {
			return nil
		}
		used, err := tx.InUse(ctx, p, b.Generation)
		if state = wrapDead; used {
			state = wrapLiving
		}
		return err
	})
	return state, err
}

// must says whether a wrap that the catalog has must lie in a region: at home always,
// abroad and in a region that is given up when it lies there already or opens something
// there.
func (k shardKeys) must(ctx context.Context, r storage.Region, row catalog.WrapRow, there lying) (bool, error) {
	state, err := k.standing(ctx, r, row.Binding)
	if err != nil || state == wrapDead {
		return false, err
	}
	if there.newest(row.Binding) > 0 || row.Kind == keys.House || r.Jurisdiction == k.v.cfg.Home && !k.v.leaving(r.Name) {
		return true, nil
	}
	var holds bool
	err = k.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		holds, err = tx.HoldsAny(ctx, r.Name, record.PatientToken(row.Token))
		return err
	})
	return holds, err
}

// wrapsAtOnce is how many wraps of a region are read or written at a time.
const wrapsAtOnce = 8

// settle puts what the catalog has of the shard where a region must hold it, and sees for
// itself that it is there: in a fresh listing, byte for byte, and opened by the service.
// It returns what is still amiss.
func (k shardKeys) settle(ctx context.Context, r storage.Region, first lying) (amiss []obstacle, err error) {
	there, err := k.list(ctx, r)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var put []catalog.WrapRow
	missing, other := 0, 0
	err = k.pages(ctx, 0, func(rows []catalog.WrapRow) error {
		group, together := errgroup.WithContext(ctx)
		group.SetLimit(wrapsAtOnce)
		lie := make([]keys.Bound, len(rows))
		for i, row := range rows {
			group.Go(func() error {
				// A region abroad owes what it held when the rotation began, too.
				seen := there
				if first != nil && seen.newest(row.Binding) == 0 {
					seen = first
				}
				must, err := k.must(together, r, row, seen)
				if err != nil || !must {
					return err
				}
				fresh, err := k.settleWrap(together, r, row, there.has(row))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case errors.Is(err, record.ErrTampered):
					other++
					return nil
				case errors.Is(err, storage.ErrCorrupt):
					missing++
					return nil
				case err != nil:
					return err
				}
				lie[i] = keys.Bound{Binding: row.Binding, Wrap: row.Wrap}
				if fresh {
					put = append(put, row)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		shut, err := k.shut(ctx, lie)
		missing += shut
		return err
	})
	if err == nil && len(put) > 0 {
		if there, err = k.list(ctx, r); err == nil {
			for _, row := range put {
				if !there.has(row) {
					missing++
				}
			}
		}
	}
	if missing > 0 {
		amiss = append(amiss, obstacle{r.Name, pendingMissing, missing})
	}
	if other > 0 {
		amiss = append(amiss, obstacle{r.Name, pendingOther, other})
	}
	return amiss, err
}

// settleWrap makes one wrap of the catalog lie in a region, read back. put: it was not
// there as it is. Bytes that open to another key are ErrTampered and stay.
func (k shardKeys) settleWrap(ctx context.Context, r storage.Region, row catalog.WrapRow, listed bool) (put bool, err error) {
	if listed {
		blob, err := readWrap(ctx, r, row)
		if err == nil && blob == row.Blob {
			return false, nil
		}
		if err != nil && !errors.Is(err, storage.ErrNotExist) && !errors.Is(err, storage.ErrCorrupt) {
			return false, err
		}
	}
	err = putWrap(ctx, r, row)
	if !errors.Is(err, storage.ErrExist) {
		return true, err
	}
	if err := k.sameKey(ctx, r, row); err != nil {
		return false, err
	}
	// Ours opens, and so may what lies there: until the trim the older one does too.
	if err := r.Keys.Delete(ctx, row.Wrap.Key(row.Binding)); err != nil {
		return false, err
	}
	return true, putWrap(ctx, r, row)
}

// sameKey fails unless what lies in a region under a wrap's name opens to the same key,
// or to none.
func (k shardKeys) sameKey(ctx context.Context, r storage.Region, row catalog.WrapRow) error {
	ours, err := k.s.Unwrap(ctx, []keys.Bound{{Binding: row.Binding, Wrap: row.Wrap}})
	if errors.Is(err, keys.ErrRefused) {
		return fmt.Errorf("%w: the catalog's wrap does not open", storage.ErrCorrupt)
	}
	if err != nil {
		return err
	}
	found := row
	found.Blob, err = readWrap(ctx, r, row)
	if errors.Is(err, storage.ErrCorrupt) || errors.Is(err, storage.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	theirs, err := k.s.Unwrap(ctx, []keys.Bound{{Binding: found.Binding, Wrap: found.Wrap}})
	if errors.Is(err, keys.ErrRefused) {
		return nil
	}
	if err == nil && !bytes.Equal(ours[0].Bytes(), theirs[0].Bytes()) {
		err = fmt.Errorf("region %s: %w: it holds another %s key under this name", r.Name, record.ErrTampered, row.Kind)
	}
	return err
}

// shut counts the wraps that the service does not open.
func (k shardKeys) shut(ctx context.Context, all []keys.Bound) (shut int, err error) {
	var items []keys.Bound
	for _, item := range all {
		if item.Token != "" {
			items = append(items, item)
		}
	}
	if len(items) == 0 {
		return 0, nil
	}
	_, err = k.s.Unwrap(ctx, items)
	if !errors.Is(err, keys.ErrRefused) {
		return 0, err
	}
	for _, item := range items { // the batch does not tell which
		if _, err := k.s.Unwrap(ctx, []keys.Bound{item}); errors.Is(err, keys.ErrRefused) {
			shut++
		} else if err != nil {
			return shut, err
		}
	}
	return shut, nil
}

// pages calls do with what the catalog has of the shard, under versions below below (0:
// all), page by page.
func (k shardKeys) pages(ctx context.Context, below int, do func([]catalog.WrapRow) error) error {
	if below == 0 {
		below = 1 << 31
	}
	for after := ""; ; {
		var rows []catalog.WrapRow
		err := k.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
			rows, err = tx.ShardWraps(ctx, k.s.Name(), k.kind, k.shard, below, after, rewrapPage)
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].After()
		if err := do(rows); err != nil {
			return err
		}
	}
}

// deleteOld deletes from a region what lies there under versions that open nothing any
// more.
func (k shardKeys) deleteOld(ctx context.Context, r storage.Region) error {
	there, err := k.list(ctx, r)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(wrapsAtOnce)
	for b, versions := range there {
		for version := range versions {
			if version >= k.target {
				continue
			}
			key := keys.Wrap{Shard: k.shard, Version: version}.Key(b)
			group.Go(func() error { return r.Keys.Delete(ctx, key) })
		}
	}
	return group.Wait()
}

// troubleOf is the obstacle that a region's failure is.
func troubleOf(r storage.Region, err error) obstacle {
	if errors.Is(err, record.ErrTampered) {
		return obstacle{Region: r.Name, Reason: pendingOther}
	}
	if errors.Is(err, keys.ErrUnavailable) {
		return obstacle{Reason: failedKeys}
	}
	return obstacle{Region: r.Name, Reason: failureCode(err)}
}

// olderLies says whether a region holds an older wrap in the place of one that a renewal
// under way has moved in the catalog. Until the trim it opens, so nothing is amiss.
func (c *verification) olderLies(ctx context.Context, r storage.Region, row catalog.WrapRow) (bool, error) {
	s := c.v.cfg.Services[r.Name]
	order, err := c.v.renewalOf(ctx, renewPayload{row.Service, row.Kind, row.Shard})
	if errors.Is(err, catalog.ErrNotFound) || err == nil && order.Target == 0 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, oldest, err := s.Version(ctx, row.Kind, row.Shard)
	if err != nil {
		return false, nil // then nothing opens, and that is said
	}
	for older := row; older.Version > oldest; {
		older.Version--
		_, err := r.Keys.Head(ctx, older.Wrap.Key(older.Binding))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, storage.ErrNotExist) {
			return false, ofRegion(err)
		}
	}
	return false, nil
}
