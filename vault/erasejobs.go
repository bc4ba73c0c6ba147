package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"medvault/keys"
	"medvault/storage"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// What an erasure orders in the regions, by jobs that outlive a gateway:
//
//	jobErase    in each region: the tombstone is placed (at home), the patient's wraps are
//	            deleted and the renewal of their shards is ordered; when these are trimmed,
//	            all objects are ordered to go, each by its own jobRemove
//	jobCertify  once, when every region is done and no gateway can hold a key any more
//
// The order is the safety: the wraps are gone from the catalog with the approval, so that
// no renewal moves them; when an object is deleted, or is found to be locked, no key opens
// it any more. What a region that is down still holds dies with the others' trim as far as
// it depends on the same key service, and its own is trimmed when it is back: trim.go sees
// to it that no other patient of the shard is put at risk.
const (
	jobErase   = "erase"
	jobCertify = "erase-certify"
	whyErasure = "erasure" // of a renewal
)

type erasePayload struct {
	Erasure record.ObjectID `json:"erasure"`
	Region  string          `json:"region,omitempty"`
}

// orderBurial leaves the jobs of an erasure for every region that there is.
func (v *Vault) orderBurial(ctx context.Context, tx *catalog.Tx, e catalog.Erasure, services []string) error {
	states, err := tx.RegionStates(ctx)
	if err != nil {
		return err
	}
	places := make(map[string]catalog.ErasureRegion)
	for _, r := range v.cfg.Regions.Regions() {
		service := v.cfg.Services[r.Name].Name()
		// At home wraps may lie wherever any did.
		places[r.Name] = catalog.ErasureRegion{Service: service, Held: r.Jurisdiction == v.cfg.Home || slices.Contains(services, service)}
	}
	for name, s := range states { // that another gateway has in its configuration
		if _, ok := places[name]; !ok && v.cfg.Now().Sub(s.Met) < regionGone {
			places[name] = catalog.ErasureRegion{Held: true}
		}
	}
	for name, r := range places {
		r.Erasure, r.Region = e.ID, name
		job := newJob(jobErase, string(e.ID)+"@"+name, erasePayload{e.ID, name}, v.cfg.Now())
		job.Region = name
		if err := errors.Join(tx.PutErasureRegion(ctx, r), tx.Enqueue(ctx, job)); err != nil {
			return err
		}
	}
	return tx.Enqueue(ctx, newJob(jobCertify, string(e.ID), erasePayload{Erasure: e.ID}, v.cfg.Now()))
}

// burial is an erasure as it is carried out in one region.
type burial struct {
	v      *Vault
	r      storage.Region
	s      keys.Wrapper
	e      catalog.Erasure
	at     catalog.ErasureRegion
	others []catalog.ErasureRegion
}

func (v *Vault) burialIn(ctx context.Context, p erasePayload) (b burial, err error) {
	b.v = v
	var ok bool
	if b.r, ok = v.cfg.Regions.Region(p.Region); !ok {
		return b, fmt.Errorf("no region %s", p.Region)
	}
	b.s = v.cfg.Services[p.Region]
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if b.e, err = tx.Erasure(ctx, p.Erasure); err != nil {
			return err
		}
		all, err := tx.ErasureRegions(ctx, p.Erasure)
		b.others = nil
		for _, one := range all {
			if one.Region == p.Region {
				b.at = one
			} else {
				b.others = append(b.others, one)
			}
		}
		return err
	})
	b.at.Erasure, b.at.Region, b.at.Service = p.Erasure, p.Region, b.s.Name()
	return b, err
}

// eraseThere carries an erasure out in a region, from wherever it was cut.
func (v *Vault) eraseThere(ctx context.Context, job catalog.Job, owner string) error {
	var p erasePayload
	if err := json.Unmarshal(job.Payload, &p); err != nil {
		return err
	}
	b, err := v.burialIn(ctx, p)
	if errors.Is(err, catalog.ErrNotFound) {
		return v.cfg.Catalog.Finish(ctx, job, owner, nil)
	}
	if err != nil {
		return err
	}
	if b.at.Tombstone.IsZero() && b.r.Jurisdiction == v.cfg.Home {
		if err := b.placeTombstone(ctx); err != nil {
			return err
		}
	}
	if b.at.Wraps.IsZero() {
		if err := b.deleteWraps(ctx); err != nil {
			return err
		}
	}
	if b.at.Keys.IsZero() {
		dead, err := b.keysDead(ctx)
		if err != nil {
			return err
		}
		if !dead {
			again := min(v.cfg.Poll<<min(job.Attempt, 5), trimAgain)
			return v.cfg.Catalog.Retry(ctx, job, owner, v.cfg.Now().Add(again), "")
		}
	}
	// From here on nothing opens what lies there.
	if err := b.sendAway(ctx); err != nil {
		return err
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, nil)
}

// save writes how far the region is, with more in the same transaction.
func (b *burial) save(ctx context.Context, more func(*catalog.Tx) error) error {
	return b.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if err := tx.PutErasureRegion(ctx, b.at); err != nil || more == nil {
			return err
		}
		return more(tx)
	})
}

// deleteWraps deletes the wraps of the dead generations and orders what makes every copy of
// them useless. Regions of one key service order it once.
func (b *burial) deleteWraps(ctx context.Context) error {
	deleted, err := b.deleteDead(ctx)
	if err != nil {
		return err
	}
	b.at.Held = b.at.Held || deleted > 0
	b.at.Wraps = b.v.cfg.Now()
	ordered := false
	for _, o := range b.others {
		if o.Service == b.at.Service && o.Versions != "" {
			b.at.Versions, ordered = o.Versions, true
		}
	}
	if !b.at.Held || ordered {
		return b.save(ctx, nil)
	}
	versions, err := shardVersions(ctx, b.s, b.e.Patient, true)
	if err != nil {
		return err
	}
	data, err := json.Marshal(versions)
	if err != nil {
		return err
	}
	b.at.Versions = string(data)
	// A crash before this line orders it anew, of newer versions.
	return b.save(ctx, func(tx *catalog.Tx) error {
		for _, kind := range patientKinds {
			if versions[kind] == 0 {
				continue // nothing was ever wrapped under it
			}
			if err := b.v.orderRenewal(ctx, tx, b.s.Name(), kind, b.shard(kind), whyErasure); err != nil {
				return err
			}
		}
		return b.write(ctx, tx, ActionWrapsRemoved)
	})
}

func (b *burial) shard(kind keys.Kind) string {
	return b.s.Shard(keys.Binding{Kind: kind, Token: string(b.e.Patient), Generation: b.e.Generation})
}

func (b *burial) write(ctx context.Context, tx *catalog.Tx, action record.Action) error {
	leaf := b.v.leaf(act{Actor: b.v.self(), Action: action, Patient: b.e.Patient, Object: b.e.Approval, Origin: originErasure}, allowed)
	leaf.Reason, leaf.Generation = "in "+b.r.Name, b.e.Generation
	return appendLeaf(ctx, tx, leaf)
}

// deleteDead deletes what lies there of the dead generations, and looks whether it is gone.
func (b *burial) deleteDead(ctx context.Context) (deleted int, err error) {
	ctx, cancel := context.WithTimeout(ctx, removeTime)
	defer cancel()
	for again := false; ; again = true {
		all, err := wrapsThere(ctx, b.r, b.s, b.e.Patient)
		if err != nil {
			return deleted, err
		}
		dead := slices.DeleteFunc(all, func(key string) bool {
			of, _, ok := parseWrapKey(key)
			return !ok || of.Generation > b.e.Generation
		})
		if len(dead) == 0 {
			return deleted, nil
		}
		if again {
			return deleted, fmt.Errorf("region %s: wraps are still listed after they were deleted", b.r.Name)
		}
		for _, key := range dead {
			if err := b.r.Keys.Delete(ctx, key); err != nil {
				return deleted, fmt.Errorf("region %s: %w", b.r.Name, err)
			}
			deleted++
		}
	}
}

// keysDead says whether no copy of a wrap opens any more by the region's key service, and
// writes that down.
func (b *burial) keysDead(ctx context.Context) (bool, error) {
	var versions map[keys.Kind]int
	if b.at.Versions != "" {
		if err := json.Unmarshal([]byte(b.at.Versions), &versions); err != nil {
			return false, err
		}
	}
	for kind, was := range versions {
		_, oldest, err := b.s.Version(ctx, kind, b.shard(kind))
		if err != nil {
			return false, err
		}
		if oldest <= was {
			return false, nil
		}
	}
	// A copy that was under way may have brought one, under a version that is dead by now.
	if _, err := b.deleteDead(ctx); err != nil {
		return false, err
	}
	b.at.Keys = b.v.cfg.Now()
	return true, b.save(ctx, func(tx *catalog.Tx) error {
		if len(versions) == 0 {
			return nil
		}
		return b.write(ctx, tx, ActionKeysGone)
	})
}

// sendAway orders that the dead objects go from the region.
func (b *burial) sendAway(ctx context.Context) error {
	for after := record.ObjectID(""); ; {
		var page []catalog.Object
		err := b.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
			if page, err = tx.ObjectsOf(ctx, b.e.Patient, b.r.Name, after, consentPage); err != nil {
				return err
			}
			for _, o := range page {
				if o.Generation > b.e.Generation {
					continue // of a patient who has returned, or sealed anew
				}
				if err := tx.Enqueue(ctx, removeJob(o.ID, b.r.Name, b.v.cfg.Now())); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].ID
	}
	b.at.Objects = b.v.cfg.Now()
	return b.save(ctx, nil)
}

// readsEnd is when no gateway can hold a key any more that it had when a patient was
// erased: unwrapped keys stay in memory for Config.KeyLife, and whoever reads is looked at
// again within stillAlive.
func (v *Vault) readsEnd(e catalog.Erasure) time.Time {
	return e.Approved.Add(v.cfg.KeyLife + 2*stillAlive)
}

// certifyJob issues the certificate once there is nothing left to do.
func (v *Vault) certifyJob(ctx context.Context, job catalog.Job, owner string) error {
	var p erasePayload
	if err := json.Unmarshal(job.Payload, &p); err != nil {
		return err
	}
	var e catalog.Erasure
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		e, err = tx.Erasure(ctx, p.Erasure)
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) || err == nil && e.State == catalog.ErasureDone {
		return v.cfg.Catalog.Finish(ctx, job, owner, nil)
	}
	if err != nil {
		return err
	}
	said, err := v.certify(ctx, e)
	if err != nil {
		return err
	}
	if said.State != CertificateComplete {
		again := min(v.cfg.Poll<<min(job.Attempt, 5), trimAgain)
		return v.cfg.Catalog.Retry(ctx, job, owner, v.cfg.Now().Add(again), "")
	}
	if err := v.putCertificate(ctx, e, said); err != nil {
		return err
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, nil)
}

// whyGone names in the log why an object that another thing stands in the place of goes.
func whyGone(ctx context.Context, tx *catalog.Tx, o catalog.Object) (string, error) {
	dead, err := tx.Dead(ctx, o.Patient, o.Generation)
	if err != nil || !dead {
		return "superseded", err
	}
	return originErasure, nil
}

// stillAlive is how often it is looked at, while a document is read, whether its patient
// has been erased.
const stillAlive = 15 * time.Second

// living ends a read of a document whose keys were destroyed meanwhile.
func (h *Handle) living(ctx context.Context, r readCloser) readCloser {
	if h.renewal.vault == nil {
		return r
	}
	return &livingReader{readCloser: r, ctx: ctx, h: h, seen: h.renewal.vault.cfg.Now()}
}

type readCloser = interface {
	Read([]byte) (int, error)
	Close() error
}

type livingReader struct {
	readCloser
	ctx  context.Context // of the read
	h    *Handle
	seen time.Time
}

func (l *livingReader) Read(p []byte) (int, error) {
	v := l.h.renewal.vault
	if now := v.cfg.Now(); now.Sub(l.seen) >= stillAlive {
		var dead bool
		err := v.cfg.Catalog.View(l.ctx, func(tx *catalog.Tx) (err error) {
			dead, err = tx.Dead(l.ctx, l.h.Patient, l.h.object.header.Generation)
			return err
		})
		if err != nil {
			return 0, unavailable("catalog", err)
		}
		if dead {
			return 0, record.ErrErased
		}
		l.seen = now
	}
	return l.readCloser.Read(p)
}

// drop forgets a patient's keys at once.
func (c *dekCache) drop(p record.PatientToken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for under := range c.keys {
		if under.patient == p {
			delete(c.keys, under)
		}
	}
}

// expire takes keys out of memory whose time is over, asked for or not.
func (c *dekCache) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for p, k := range c.keys {
		if now.After(k.until) {
			delete(c.keys, p)
		}
	}
}

// graveOf reads the token and the generation of a tombstone's name.
func graveOf(key string) (p record.PatientToken, generation uint32, ok bool) {
	name, found := strings.CutPrefix(key, tombstones)
	if !found {
		return "", 0, false
	}
	token, number, found := strings.Cut(name, ".")
	if !found {
		return "", 0, false
	}
	p, err := record.ParsePatientToken(token)
	if err != nil {
		return "", 0, false
	}
	if _, err := fmt.Sscanf(number, "%d", &generation); err != nil || fmt.Sprint(generation) != number || generation == 0 {
		return "", 0, false
	}
	return p, generation, true
}
