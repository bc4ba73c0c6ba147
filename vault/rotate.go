package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"medvault/keys"
	"medvault/storage"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// KeyStatus tells the age of one kind of KEK at one key service.
type KeyStatus struct {
	Service string       `json:"service"`
	Kind    string       `json:"kind"`
	Shards  int          `json:"shards"`
	Newest  int          `json:"newest"`            // highest current version of any shard
	Oldest  int          `json:"oldest"`            // oldest version that still opens a wrap of any shard
	Problem string       `json:"problem,omitempty"` // "keys": the service does not answer, and nothing else is known
	Pending []KeyPending `json:"pending"`           // renewals that are ordered and not done
}

// KeyPending is why shards of one kind are not renewed yet, though that was ordered.
type KeyPending struct {
	Region string     `json:"region,omitempty"` // "" is none: the key service, or this gateway's credential
	Reason string     `json:"reason"`           // "ordered", "rotation-credential", "missing", "unknown-wraps", "other-key", "service-behind", "no-such-service", "not-configured", or what region or service fail with
	Shards int        `json:"shards"`
	Wraps  int        `json:"wraps,omitempty"` // concerned, as far as that is known
	Since  *time.Time `json:"since,omitempty"` // when the oldest was ordered
}

var keyKinds = [...]keys.Kind{keys.Content, keys.Identity, keys.House}

// KeyStatus lists the KEKs of every key service, and the renewals that are pending.
func (v *Vault) KeyStatus(ctx context.Context, a record.Actor) ([]KeyStatus, error) {
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionKeysStatus}, nil); err != nil {
		return nil, err
	}
	orders, err := v.renewals(ctx)
	if err != nil {
		return nil, unavailable("catalog", err)
	}
	var list []KeyStatus
	for _, s := range v.services() {
		for _, kind := range keyKinds {
			status := KeyStatus{Service: s.Name(), Kind: string(kind), Oldest: math.MaxInt, Pending: pendingOf(orders, s.Name(), kind)}
			for _, shard := range keys.ShardNames(kind, maxShards) {
				current, oldest, err := s.Version(ctx, kind, shard)
				if errors.Is(err, keys.ErrNoKey) {
					break // fewer shards than there may be
				}
				if err != nil {
					v.cfg.Log.Warn("key status", "service", s.Name(), "err", err)
					status.Problem = failedKeys
					break
				}
				status.Shards++
				status.Newest, status.Oldest = max(status.Newest, current), min(status.Oldest, oldest)
			}
			if status.Shards == 0 {
				status.Oldest = 0
			}
			if status.Shards > 0 || status.Problem != "" {
				list = append(list, status)
			}
		}
	}
	return list, nil
}

func (v *Vault) renewals(ctx context.Context) (orders []catalog.Renewal, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		orders, err = tx.Renewals(ctx)
		return err
	})
	return orders, err
}

// pendingOf sums up the orders about one kind of KEK at one key service.
func pendingOf(orders []catalog.Renewal, service string, kind keys.Kind) []KeyPending {
	list := []KeyPending{}
	for _, o := range orders {
		if o.Service != service || o.Kind != kind {
			continue
		}
		var why []obstacle
		if json.Unmarshal(o.Pending, &why) != nil || len(why) == 0 { // nothing is written down before the first try
			why = []obstacle{{Reason: pendingOrdered}}
		}
		for _, w := range why {
			list = addPending(list, w, o.Ordered)
		}
	}
	return list
}

// addPending adds what stands in one shard's way to what stands in the others'.
func addPending(list []KeyPending, o obstacle, since time.Time) []KeyPending {
	since = since.UTC()
	for i, p := range list {
		if p.Region == o.Region && p.Reason == o.Reason {
			list[i].Shards++
			list[i].Wraps += o.Wraps
			if p.Since == nil || since.Before(*p.Since) {
				list[i].Since = &since
			}
			return list
		}
	}
	return append(list, KeyPending{Region: o.Region, Reason: o.Reason, Shards: 1, Wraps: o.Wraps, Since: &since})
}

// Rotation is what rotating one kind of KEK at one key service did.
type Rotation struct {
	Service   string       `json:"service"`
	Kind      string       `json:"kind"`
	Shards    int          `json:"shards"`    // that got a new version
	Rewrapped int          `json:"rewrapped"` // wraps that moved to it
	Trimmed   int          `json:"trimmed"`   // shards whose older versions open nothing any more
	Pending   []KeyPending `json:"pending"`   // why others are not trimmed yet; the old wraps still open, and the work goes on by itself
}

// RotateKeys gives every KEK of every key service a new version, moves all wraps to it
// and trims what is older. No document is touched, no new key is made. A shard is trimmed
// only when every region that depends on it holds what it must; until then it is pending,
// and a gateway goes on by itself. A key service that refuses this gateway's credential
// is refused: rotation-credential.
func (v *Vault) RotateKeys(ctx context.Context, a record.Actor) ([]Rotation, error) {
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionKeysRotate, Origin: "key-rotation"}, nil); err != nil {
		return nil, err
	}
	var done []Rotation
	for _, s := range v.services() {
		for _, kind := range keyKinds {
			r := Rotation{Service: s.Name(), Kind: string(kind), Pending: []KeyPending{}}
			for _, shard := range keys.ShardNames(kind, maxShards) {
				_, _, err := s.Version(ctx, kind, shard)
				if errors.Is(err, keys.ErrNoKey) {
					break
				}
				if err != nil {
					v.cfg.Log.Warn("keys not rotated", "service", s.Name(), "kind", kind, "err", err)
					r.Pending = addPending(r.Pending, obstacle{Reason: failedKeys}, v.cfg.Now())
					break // its other shards would wait as long
				}
				if err := v.rotateShard(ctx, a, renewPayload{s.Name(), kind, shard}, &r); err != nil {
					return done, err
				}
			}
			if r.Shards > 0 || len(r.Pending) > 0 {
				done = append(done, r)
			}
		}
	}
	return done, nil
}

// rotateShard orders the renewal of a shard and carries it out. Refused by the service:
// the order is taken back.
func (v *Vault) rotateShard(ctx context.Context, a record.Actor, p renewPayload, r *Rotation) error {
	// No job yet: we do it. Should we die, a worker is told by the order.
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.OrderRenewal(ctx, p.Service, p.Kind, p.Shard, "rotation") })
	if err != nil {
		return fmt.Errorf("rotate %s: %w", p, err)
	}
	done, err := v.renewNow(ctx, a, p)
	if err != nil {
		return fmt.Errorf("rotate %s: %w", p, err)
	}
	if len(done.pending) == 1 && done.pending[0].Reason == pendingCredential && !done.rotated {
		if err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.WithdrawRenewal(ctx, p.Service, p.Kind, p.Shard) }); err != nil {
			return fmt.Errorf("rotate %s: %w", p, err)
		}
		return record.Refuse(record.ErrDenied, "rotation-credential",
			"this gateway's credential may not rotate keys: run medvault keys rotate --config on its host")
	}
	r.add(done, v.cfg.Now())
	if len(done.pending) == 0 {
		return nil
	}
	return v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return v.enqueueRenewal(ctx, tx, p) })
}

// renewNow is renewShard that waits for whoever is at it.
func (v *Vault) renewNow(ctx context.Context, a record.Actor, p renewPayload) (done renewed, err error) {
	for {
		done, err = v.renewShard(ctx, a, p)
		if !errors.Is(err, errRenewing) {
			return done, err
		}
		if wait(ctx, v.cfg.Poll); ctx.Err() != nil {
			return done, ctx.Err()
		}
	}
}

func (r *Rotation) add(done renewed, now time.Time) {
	r.Shards++
	r.Rewrapped += done.rewrapped
	if len(done.pending) == 0 {
		r.Trimmed++
	}
	for _, o := range done.pending {
		r.Pending = addPending(r.Pending, o, now)
	}
}

// RenewKeys carries out the renewals that are pending, and rotates nothing else.
func (v *Vault) RenewKeys(ctx context.Context, a record.Actor) ([]Rotation, error) {
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionKeysRotate, Origin: "pending-renewals"}, nil); err != nil {
		return nil, err
	}
	orders, err := v.renewals(ctx)
	if err != nil {
		return nil, unavailable("catalog", err)
	}
	var done []Rotation
	for _, o := range orders { // by service and kind
		if n := len(done); n == 0 || done[n-1].Service != o.Service || done[n-1].Kind != string(o.Kind) {
			done = append(done, Rotation{Service: o.Service, Kind: string(o.Kind), Pending: []KeyPending{}})
		}
		p := renewPayload{o.Service, o.Kind, o.Shard}
		one, err := v.renewNow(ctx, a, p)
		if err != nil {
			return done, fmt.Errorf("renew %s: %w", p, err)
		}
		done[len(done)-1].add(one, o.Ordered)
	}
	return done, nil
}

// rewrapPage is how many wraps are moved at once.
const rewrapPage = 200

// regionsOf lists the home regions of a key service.
func (v *Vault) regionsOf(s keys.Wrapper) (regions []storage.Region) {
	for _, r := range v.homeRegions() {
		if v.cfg.Services[r.Name].Name() == s.Name() {
			regions = append(regions, r)
		}
	}
	return regions
}
