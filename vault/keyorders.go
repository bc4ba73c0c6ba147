package vault

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"medvault/keys"
	"medvault/storage"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// What the log says of a shard that is renewed; the origin names the shard and the version.
const (
	ActionKeysRotated record.Action = "keys.rotated" // from now on no wrap of an older version is stored
	ActionKeysTrimmed record.Action = "keys.trimmed" // before the act: what is older never opens again
)

// jobRenew carries out an order to renew a shard.
const jobRenew = "renew-keys"

// renewPayload names the shard of a jobRenew.
type renewPayload struct {
	Service string    `json:"service"`
	Kind    keys.Kind `json:"kind"`
	Shard   string    `json:"shard"`
}

func (p renewPayload) String() string { return p.Service + "/" + string(p.Kind) + "/" + p.Shard }

// orderRenewal orders, with the caller's transaction, that a shard be rotated after it,
// that all wraps that are to live be moved, and that what is older be trimmed as soon as
// every region that depends on the key service holds what it must. why is a code that
// `keys status` shows. Whoever destroys a wrap deletes its row in the same transaction:
// what the catalog does not have, and whose patient or generation is dead or may not lie
// there, is not moved and dies with the trim.
func (v *Vault) orderRenewal(ctx context.Context, tx *catalog.Tx, service string, kind keys.Kind, shard, why string) error {
	if err := tx.OrderRenewal(ctx, service, kind, shard, why); err != nil {
		return err
	}
	return v.enqueueRenewal(ctx, tx, renewPayload{service, kind, shard})
}

func (v *Vault) enqueueRenewal(ctx context.Context, tx *catalog.Tx, p renewPayload) error {
	return tx.Enqueue(ctx, newJob(jobRenew, p.String(), p, v.cfg.Now()))
}

// resumeRenewals sees to it that every order has its job.
func (v *Vault) resumeRenewals(ctx context.Context) error {
	return v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		orders, err := tx.Renewals(ctx)
		if err != nil {
			return err
		}
		for _, o := range orders {
			if err := v.enqueueRenewal(ctx, tx, renewPayload{o.Service, o.Kind, o.Shard}); err != nil {
				return err
			}
		}
		return nil
	})
}

const (
	renewLease      = verifyLease      // how long a shard is its worker's, renewed
	credentialAgain = 15 * time.Minute // until a gateway that may not rotate looks again
)

// renewJob carries out an order as far as it goes.
func (v *Vault) renewJob(ctx context.Context, job catalog.Job, owner string) error {
	var p renewPayload
	if err := json.Unmarshal(job.Payload, &p); err != nil {
		return err
	}
	done, err := v.renewShard(ctx, v.self(), p)
	switch {
	case errors.Is(err, errRenewing):
		return v.cfg.Catalog.Retry(ctx, job, owner, v.cfg.Now().Add(renewLease/2), "")
	case err != nil:
		return err
	case len(done.pending) == 1 && done.pending[0].Reason == pendingCredential:
		return v.cfg.Catalog.Retry(ctx, job, owner, v.cfg.Now().Add(credentialAgain), pendingCredential)
	case len(done.pending) > 0:
		return fmt.Errorf("renew %s: pending: %v", p, done.pending)
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
		_, err := tx.Renewal(ctx, p.Service, p.Kind, p.Shard)
		if errors.Is(err, catalog.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return v.enqueueRenewal(ctx, tx, p) // ordered again meanwhile
	})
}

// renewed is how far a renewal has come.
type renewed struct {
	rotated   bool
	rewrapped int
	trimmed   bool
	pending   []obstacle // what stood in the way; empty: nothing is left to do
}

// errRenewing: somebody else renews the shard now.
var errRenewing = errors.New("somebody else renews this shard")

// renewShard carries out the order about a shard, from wherever it was cut, as far as it
// goes now. Without an order there is nothing to do.
func (v *Vault) renewShard(ctx context.Context, a record.Actor, p renewPayload) (done renewed, err error) {
	lease, owner := "renew/"+p.String(), string(record.NewObjectID())
	err = v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.TakeLease(ctx, lease, owner, renewLease) })
	if errors.Is(err, catalog.ErrChanged) {
		return done, errRenewing
	}
	if err != nil {
		return done, err
	}
	defer v.dropLease(lease, owner)
	stop := v.renewLease(ctx, lease, owner)
	defer stop()
	for {
		order, err := v.renewalOf(ctx, p)
		if errors.Is(err, catalog.ErrNotFound) {
			return done, nil
		}
		if err != nil {
			return done, err
		}
		n := shardRenewal{v: v, by: a, order: order, done: &done}
		if err := n.carryOut(ctx, p); err != nil || ctx.Err() != nil {
			return done, cmp.Or(err, ctx.Err())
		}
		if len(done.pending) > 0 {
			return done, n.notePending(ctx)
		}
	}
}

func (v *Vault) renewalOf(ctx context.Context, p renewPayload) (order catalog.Renewal, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		order, err = tx.Renewal(ctx, p.Service, p.Kind, p.Shard)
		return err
	})
	return order, err
}

// shardRenewal is one order under way.
type shardRenewal struct {
	v     *Vault
	by    record.Actor
	order catalog.Renewal
	done  *renewed
}

// carryOut does an order: every step may be cut, and is harmless when done again. What
// stands in the way is in done.pending; an error is the catalog's.
func (n *shardRenewal) carryOut(ctx context.Context, p renewPayload) error {
	k := shardKeys{v: n.v, kind: p.Kind, shard: p.Shard}
	for _, s := range n.v.services() {
		if s.Name() == p.Service {
			k.s = s
		}
	}
	if k.s == nil {
		n.pend(obstacle{Reason: pendingService})
		return nil
	}
	if n.order.Target == 0 {
		if err := n.rotate(ctx, k); err != nil || len(n.done.pending) > 0 {
			return err
		}
	}
	k.target = n.order.Target
	there := n.listAll(ctx, k)
	n.adoptAll(ctx, k, there)
	if err := n.move(ctx, k); err != nil {
		return err
	}
	n.settleAll(ctx, k, there)
	if err := n.lookElsewhere(ctx); err != nil {
		return err
	}
	if len(n.done.pending) > 0 {
		return nil
	}
	// From here on every region has shown what it must hold under the new version, and
	// no wrap of an older one can be stored.
	if err := n.trim(ctx, k); err != nil || len(n.done.pending) > 0 {
		return err
	}
	n.eachRegion(ctx, k, func(ctx context.Context, r storage.Region) []obstacle { return n.trouble(r, k.deleteOld(ctx, r)) })
	if len(n.done.pending) > 0 {
		return nil
	}
	n.done.trimmed = true
	return n.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		_, err := tx.EndRenewal(ctx, n.order)
		return err
	})
}

func (n *shardRenewal) pend(o ...obstacle) {
	n.done.pending = append(n.done.pending, o...)
}

// rotate makes the new version, once: the version there was before is written down
// first, so that a newer one shows that it was made.
func (n *shardRenewal) rotate(ctx context.Context, k shardKeys) error {
	current, _, err := k.s.Version(ctx, k.kind, k.shard)
	if err != nil {
		return n.serviceTrouble(ctx, err)
	}
	if n.order.Base == 0 {
		was := n.order
		n.order.Base, n.order.Covered = current, n.order.Orders
		if err := n.save(ctx, was, nil); err != nil {
			return err
		}
	}
	if current <= n.order.Base {
		if current, err = k.s.Rotate(ctx, k.kind, k.shard); err != nil {
			return n.serviceTrouble(ctx, err)
		}
	}
	was := n.order
	n.order.Target = current
	err = n.save(ctx, was, func(tx *catalog.Tx) error {
		// From here on no wrap of an older version is recorded, so that whoever goes
		// through them sees every one there is.
		if err := tx.SetShard(ctx, k.s.Name(), k.kind, k.shard, current); err != nil {
			return errors.Join(errBehind, err)
		}
		return n.write(ctx, tx, ActionKeysRotated, current)
	})
	if errors.Is(err, errBehind) && errors.Is(err, catalog.ErrChanged) {
		n.order = was
		n.pend(obstacle{Reason: pendingBehind})
		return nil
	}
	n.done.rotated = err == nil
	return err
}

var errBehind = errors.New("the key service is behind the catalog")

func (n *shardRenewal) save(ctx context.Context, was catalog.Renewal, more func(*catalog.Tx) error) error {
	return n.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if more != nil {
			if err := more(tx); err != nil {
				return err
			}
		}
		return tx.SaveRenewal(ctx, was, n.order)
	})
}

// write appends the leaf of a step.
func (n *shardRenewal) write(ctx context.Context, tx *catalog.Tx, action record.Action, version int) error {
	origin := fmt.Sprintf("%s/%s/%s v%d %s", n.order.Service, n.order.Kind, n.order.Shard, version, n.order.Why)
	return appendLeaf(ctx, tx, n.v.leaf(act{Actor: n.by, Action: action, Origin: origin}, allowed))
}

// serviceTrouble makes an obstacle of what a key service answers.
func (n *shardRenewal) serviceTrouble(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	n.v.cfg.Log.Warn("key service", "shard", renewPayload{n.order.Service, n.order.Kind, n.order.Shard}.String(), "err", err)
	if errors.Is(err, keys.ErrRefused) {
		n.pend(obstacle{Reason: pendingCredential})
	} else {
		n.pend(obstacle{Reason: failedKeys})
	}
	return nil
}

// eachRegion does something with every region of the service, all at once, and notes
// what stands in the way.
func (n *shardRenewal) eachRegion(ctx context.Context, k shardKeys, do func(context.Context, storage.Region) []obstacle) {
	regions := k.regions()
	found := make([][]obstacle, len(regions))
	var wg sync.WaitGroup
	for i, r := range regions {
		wg.Go(func() { found[i] = do(ctx, r) })
	}
	wg.Wait() // what a region answers to the end of ctx is no trouble of its own: renewShard looks
	for _, of := range found {
		n.pend(of...)
	}
}

func (n *shardRenewal) trouble(r storage.Region, err error) []obstacle {
	if err == nil {
		return nil
	}
	n.v.cfg.Log.Warn("keys of a region", "region", r.Name, "err", err)
	return []obstacle{troubleOf(r, err)}
}

// listAll lists the shard in every region. One that does not answer is not among them,
// and stands in the way.
func (n *shardRenewal) listAll(ctx context.Context, k shardKeys) map[string]lying {
	var mu sync.Mutex
	all := make(map[string]lying)
	n.eachRegion(ctx, k, func(ctx context.Context, r storage.Region) []obstacle {
		there, err := k.list(ctx, r)
		if err != nil {
			return n.trouble(r, err)
		}
		mu.Lock()
		defer mu.Unlock()
		all[r.Name] = there
		return nil
	})
	return all
}

// adoptAll takes what only the regions know, one region after the other: they may hold
// the same.
func (n *shardRenewal) adoptAll(ctx context.Context, k shardKeys, there map[string]lying) {
	for _, r := range k.regions() {
		lie, ok := there[r.Name]
		if !ok {
			continue
		}
		unknown, err := k.adopt(ctx, r, lie)
		if err != nil {
			n.pend(n.trouble(r, err)...)
		}
		if unknown > 0 {
			n.pend(obstacle{r.Name, pendingUnknown, unknown})
		}
	}
}

// settleAll is settle in every region that was listed.
func (n *shardRenewal) settleAll(ctx context.Context, k shardKeys, there map[string]lying) {
	n.eachRegion(ctx, k, func(ctx context.Context, r storage.Region) []obstacle {
		first, ok := there[r.Name]
		if !ok {
			return nil // said already
		}
		amiss, err := k.settle(ctx, r, first)
		return append(amiss, n.trouble(r, err)...)
	})
}

// lookElsewhere finds regions that only other gateways have in their configuration: what
// they hold may depend on this key service, and nobody here can look.
func (n *shardRenewal) lookElsewhere(ctx context.Context) error {
	var states map[string]catalog.RegionState
	err := n.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		states, err = tx.RegionStates(ctx)
		return err
	})
	for _, name := range slices.Sorted(maps.Keys(states)) {
		if _, ok := n.v.cfg.Regions.Region(name); !ok && n.v.cfg.Now().Sub(states[name].Met) < regionGone {
			n.pend(obstacle{Region: name, Reason: pendingElsewhere})
		}
	}
	return err
}

// move brings the catalog's wraps of the shard to the current version. The catalog comes
// first: it says which of two wraps of one version is the one. Until the trim the older
// ones in the regions open as well.
func (n *shardRenewal) move(ctx context.Context, k shardKeys) error {
	shut := 0
	err := k.pages(ctx, k.target, func(rows []catalog.WrapRow) error {
		var living []catalog.WrapRow
		for _, row := range rows {
			keep, err := k.kept(ctx, row)
			if err != nil {
				return err
			}
			if keep {
				living = append(living, row)
				continue
			}
			err = n.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.DeleteWrap(ctx, row.Binding, row.Service) })
			if err != nil {
				return err
			}
		}
		moved, lost, err := k.rewrap(ctx, living)
		if err != nil {
			return err
		}
		shut += lost
		n.done.rewrapped += len(moved)
		return n.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			for _, row := range moved {
				if err := tx.MoveWrap(ctx, row); err != nil && !errors.Is(err, catalog.ErrChanged) { // moved or gone already
					return err
				}
			}
			return nil
		})
	})
	if errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrRefused) || errors.Is(err, keys.ErrNoKey) {
		n.v.cfg.Log.Warn("wraps not moved yet", "service", k.s.Name(), "err", err)
		n.pend(obstacle{Reason: failedKeys})
		return nil
	}
	if shut > 0 {
		n.pend(obstacle{Reason: pendingMissing, Wraps: shut})
	}
	return err
}

// kept says whether any region of the service may hold what a wrap of the catalog opens.
func (k shardKeys) kept(ctx context.Context, row catalog.WrapRow) (bool, error) {
	for _, r := range k.regions() {
		if state, err := k.standing(ctx, r, row.Binding); err != nil || state != wrapDead {
			return true, err
		}
	}
	return false, nil
}

// rewrap has the service move wraps. One that does not open is moved by another that
// does; those of which there is none are counted.
func (k shardKeys) rewrap(ctx context.Context, rows []catalog.WrapRow) (moved []catalog.WrapRow, lost int, err error) {
	if len(rows) == 0 {
		return nil, 0, nil
	}
	items := make([]keys.Bound, len(rows))
	for i, row := range rows {
		items[i] = keys.Bound{Binding: row.Binding, Wrap: row.Wrap}
	}
	wraps, err := k.s.Rewrap(ctx, items)
	if err == nil {
		for i, row := range rows {
			row.Wrap = wraps[i]
			moved = append(moved, row)
		}
		return moved, 0, nil
	}
	if !errors.Is(err, keys.ErrRefused) {
		return nil, 0, err
	}
	for _, row := range rows { // the batch does not tell which
		w, err := k.current(ctx, row)
		if errors.Is(err, keys.ErrRefused) {
			w, err = k.remade(ctx, row)
			if err != nil && ctx.Err() == nil {
				k.v.cfg.Log.Warn("a wrap does not open", "service", k.s.Name(), "err", err)
				lost++
				continue
			}
		}
		if err != nil {
			return moved, lost, err
		}
		row.Wrap = w
		moved = append(moved, row)
	}
	return moved, lost, nil
}

// remade makes a current wrap in the place of one that does not open.
func (k shardKeys) remade(ctx context.Context, row catalog.WrapRow) (keys.Wrap, error) {
	rows, err := k.v.wraps(ctx, row.Token, row.Generation)
	if err != nil {
		return keys.Wrap{}, err
	}
	good, err := k.v.openingWrap(ctx, k.s, row, rows)
	if err != nil {
		return keys.Wrap{}, err
	}
	return k.current(ctx, good)
}

// trim ends the older versions for good. What cannot be logged does not happen.
func (n *shardRenewal) trim(ctx context.Context, k shardKeys) error {
	was := n.order
	n.order.Logged = true
	err := n.save(ctx, was, func(tx *catalog.Tx) error {
		rows, err := tx.ShardWraps(ctx, k.s.Name(), k.kind, k.shard, k.target, "", 1)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			return errNotMoved
		}
		if was.Logged {
			return nil
		}
		return n.write(ctx, tx, ActionKeysTrimmed, k.target)
	})
	if errors.Is(err, errNotMoved) {
		n.pend(obstacle{Reason: pendingMissing, Wraps: 1})
		return nil
	}
	if err != nil {
		return err
	}
	if err := k.s.Trim(ctx, k.kind, k.shard, k.target); err != nil {
		return n.serviceTrouble(ctx, err)
	}
	return nil
}

var errNotMoved = errors.New("the catalog holds a wrap of an older version")

// notePending writes down what stands in the way.
func (n *shardRenewal) notePending(ctx context.Context) error {
	data, err := json.Marshal(n.done.pending)
	if err != nil {
		return err
	}
	if bytes.Equal(data, n.order.Pending) {
		return nil
	}
	was := n.order
	n.order.Pending = data
	err = n.save(ctx, was, nil)
	if errors.Is(err, catalog.ErrChanged) {
		return nil
	}
	return err
}
