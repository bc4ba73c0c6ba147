package vault

import (
	"context"
	"errors"
	"fmt"
	"math"

	"medvault/keys"
	"medvault/storage"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// KeyStatus tells the age of one kind of KEK at one key service.
type KeyStatus struct {
	Service string `json:"service"`
	Kind    string `json:"kind"`
	Shards  int    `json:"shards"`
	Newest  int    `json:"newest"` // highest current version of any shard
	Oldest  int    `json:"oldest"` // oldest version that still opens a wrap of any shard
}

// KeyStatus lists the KEKs of every key service.
func (v *Vault) KeyStatus(ctx context.Context, a record.Actor) ([]KeyStatus, error) {
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionKeys}, nil); err != nil {
		return nil, err
	}
	var list []KeyStatus
	for _, s := range v.services() {
		for _, kind := range []keys.Kind{keys.Content, keys.Identity, keys.House} {
			status := KeyStatus{Service: s.Name(), Kind: string(kind), Oldest: math.MaxInt}
			for _, shard := range keys.ShardNames(kind, maxShards) {
				current, oldest, err := s.Version(ctx, kind, shard)
				if errors.Is(err, keys.ErrNoKey) {
					break // fewer shards than there may be
				}
				if err != nil {
					return nil, unavailable("keys", fmt.Errorf("%s: %w", s.Name(), err))
				}
				status.Shards++
				status.Newest, status.Oldest = max(status.Newest, current), min(status.Oldest, oldest)
			}
			if status.Shards > 0 {
				list = append(list, status)
			}
		}
	}
	return list, nil
}

// Rotation is what rotating one key service did.
type Rotation struct {
	Service   string `json:"service"`
	Shards    int    `json:"shards"`    // that got a new version
	Rewrapped int    `json:"rewrapped"` // wraps that moved to it
	Pending   int    `json:"pending"`   // wraps whose region did not take the new one; the old one still opens
}

// RotateKeys gives every KEK of every key service a new version and moves all wraps
// to it. No document is touched, no DEK is seen. Old versions open until they are
// trimmed. A region that is down keeps its old wraps, counted as pending; rotating
// again moves them.
func (v *Vault) RotateKeys(ctx context.Context, a record.Actor) ([]Rotation, error) {
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionKeys, Origin: "key-rotation"}, nil); err != nil {
		return nil, err
	}
	var done []Rotation
	for _, s := range v.services() {
		r := Rotation{Service: s.Name()}
		for _, kind := range []keys.Kind{keys.Content, keys.Identity, keys.House} {
			for _, shard := range keys.ShardNames(kind, maxShards) {
				version, err := s.Rotate(ctx, kind, shard)
				if errors.Is(err, keys.ErrNoKey) {
					break
				}
				if errors.Is(err, keys.ErrRefused) {
					return done, fmt.Errorf("%w: rotate %s/%s/%s: %w", record.Refuse(record.ErrDenied, "rotation-credential",
						"this gateway's credential may not rotate keys: run medvault keys rotate --config on its host"), s.Name(), kind, shard, err)
				}
				if err != nil {
					return done, unavailable("keys", fmt.Errorf("rotate %s/%s/%s: %w", s.Name(), kind, shard, err))
				}
				r.Shards++
				if err := v.rewrapShard(ctx, s, kind, shard, version, &r); err != nil {
					return done, err
				}
			}
		}
		done = append(done, r)
	}
	return done, nil
}

// rewrapPage is how many wraps are moved at once.
const rewrapPage = 200

func (v *Vault) rewrapShard(ctx context.Context, s keys.Wrapper, kind keys.Kind, shard string, version int, r *Rotation) error {
	// From here on no wrap of an older version is recorded, so the pages below see
	// every one there is.
	if err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		return tx.SetShard(ctx, s.Name(), kind, shard, version)
	}); err != nil {
		return fmt.Errorf("rotate %s/%s/%s: %w", s.Name(), kind, shard, err)
	}
	for after := ""; ; {
		var rows []catalog.WrapRow
		err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
			rows, err = tx.ShardWraps(ctx, s.Name(), kind, shard, version, after, rewrapPage)
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].After()
		if err := v.rewrap(ctx, s, rows, r); err != nil {
			return err
		}
	}
}

// rewrap moves one page of wraps: first into the regions, read back, then in the
// catalog. Until then the old ones count.
func (v *Vault) rewrap(ctx context.Context, s keys.Wrapper, rows []catalog.WrapRow, r *Rotation) error {
	items := make([]keys.Bound, len(rows))
	for i, row := range rows {
		items[i] = keys.Bound{Binding: row.Binding, Wrap: row.Wrap}
	}
	moved, err := s.Rewrap(ctx, items)
	if err != nil {
		return unavailable("keys", fmt.Errorf("rewrap by %s: %w", s.Name(), err))
	}
	for i, row := range rows {
		row.Wrap = moved[i]
		if err := v.putWrapEverywhere(ctx, s, row); err != nil {
			v.cfg.Log.Warn("wrap not moved yet", "service", s.Name(), "err", err)
			r.Pending++
			continue
		}
		if err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.ReplaceWrap(ctx, row) }); err != nil {
			return fmt.Errorf("rewrap by %s: %w", s.Name(), err)
		}
		r.Rewrapped++
	}
	return nil
}

// putWrapEverywhere stores a wrap in all home regions of its service.
func (v *Vault) putWrapEverywhere(ctx context.Context, s keys.Wrapper, row catalog.WrapRow) error {
	var errs []error
	for _, region := range v.regionsOf(s) {
		if err := putWrap(ctx, region, row); err != nil {
			errs = append(errs, fmt.Errorf("region %s: %w", region.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (v *Vault) regionsOf(s keys.Wrapper) (regions []storage.Region) {
	for _, r := range v.homeRegions() {
		if v.cfg.Services[r.Name].Name() == s.Name() {
			regions = append(regions, r)
		}
	}
	return regions
}
