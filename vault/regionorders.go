package vault

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Orders about a region.
const (
	OrderFreeze   = "freeze"   // copy nothing there until it is thawed; read from it
	OrderThaw     = "thaw"     // take it back into use; what it missed comes there
	OrderDrain    = "drain"    // promise it nothing; give the others what it holds
	OrderBackfill = "backfill" // promise it all that it may hold
)

// OrderRegion changes what is done with a region, on every gateway within a second or
// two. Refused when fewer than two regions at home would be left to store in: ErrConflict.
func (v *Vault) OrderRegion(ctx context.Context, a record.Actor, region, order string) error {
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionRegionsManage}, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		leaf.Origin = order + " " + region
		return v.order(ctx, tx, region, order)
	})
	if err != nil {
		return err
	}
	return v.readStates(ctx)
}

func (v *Vault) order(ctx context.Context, tx *catalog.Tx, region, order string) error {
	states, err := tx.LockRegionStates(ctx)
	if err != nil {
		return err
	}
	s, met := states[region]
	if r, ok := v.cfg.Regions.Region(region); !ok || !met {
		return record.Refuse(record.ErrInvalid, "no-such-region", "there is no region of this name: name one that `medvault regions` lists")
	} else if (order == OrderFreeze || order == OrderDrain) && r.Jurisdiction == v.cfg.Home && v.homeInUse(states, region) < 2 {
		return record.Refuse(record.ErrConflict, "too-few-regions", "fewer than two regions at home would be left to store in: thaw another or add one first")
	}
	was := s.State
	switch order {
	case OrderFreeze:
		if was != catalog.RegionActive {
			return record.Refuse(record.ErrConflict, "not-in-use", "the region is "+was+" already")
		}
		s.State = catalog.RegionFrozen
	case OrderThaw:
		if was == catalog.RegionActive {
			return record.Refuse(record.ErrConflict, "in-use", "the region is in use already")
		}
		s.State = catalog.RegionActive
	case OrderDrain:
		if was == catalog.RegionDraining || was == catalog.RegionDrained {
			return record.Refuse(record.ErrConflict, "not-in-use", "the region is "+was+" already")
		}
		s.State = catalog.RegionDraining
	case OrderBackfill:
		if was == catalog.RegionDraining || was == catalog.RegionDrained {
			return record.Refuse(record.ErrConflict, "not-in-use", "the region is "+was+": thaw it, and it is filled again")
		}
	default:
		return record.Refuse(record.ErrInvalid, "no-such-order", "order is freeze, thaw, drain or backfill")
	}
	if s.State != was {
		s.Since = v.cfg.Now()
	}
	switch {
	case order == OrderDrain:
		return v.beginWalk(ctx, tx, s, catalog.WalkDrain)
	case order == OrderBackfill, order == OrderThaw && was != catalog.RegionFrozen: // it was promised nothing meanwhile
		return v.beginWalk(ctx, tx, s, catalog.WalkBackfill)
	}
	return tx.SetRegionState(ctx, s)
}

// homeInUse counts the home regions that would be stored in without one.
func (v *Vault) homeInUse(states map[string]catalog.RegionState, without string) (n int) {
	for _, r := range v.homeRegions() {
		if r.Name != without && v.roleOf(r.Name) != RoleArchive && !v.expired(r.Name) && (states[r.Name].State == catalog.RegionActive || states[r.Name].State == "") {
			n++
		}
	}
	return n
}

func (v *Vault) beginWalk(ctx context.Context, tx *catalog.Tx, s catalog.RegionState, walk string) (err error) {
	s.Walk, s.Began, s.Ended, s.Position, s.Seen, s.Promised, s.Lacking = walk, v.cfg.Now(), time.Time{}, "", 0, 0, 0
	if s.Total, err = tx.CountWalk(ctx); err != nil {
		return err
	}
	if err := tx.SetRegionState(ctx, s); err != nil {
		return err
	}
	return tx.Enqueue(ctx, newJob(jobWalk, s.Region, walkPayload{s.Region}, v.cfg.Now()))
}

// meetRegions writes down regions that were not seen before; one that joins a vault with
// objects is filled.
func (v *Vault) meetRegions(ctx context.Context) error {
	for _, r := range v.cfg.Regions.Regions() {
		err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			fresh, err := tx.MeetRegion(ctx, r.Name)
			if err == nil {
				err = tx.SeeRegion(ctx, r.Name)
			}
			if err != nil || !fresh {
				return err
			}
			states, err := tx.RegionStates(ctx)
			if err != nil {
				return err
			}
			if err := v.beginWalk(ctx, tx, states[r.Name], catalog.WalkBackfill); err != nil {
				return err
			}
			leaf := v.leaf(act{Actor: v.self(), Action: record.ActionRegionsManage, Origin: OrderBackfill + " " + r.Name}, allowed)
			return appendLeaf(ctx, tx, leaf)
		})
		if err != nil {
			return err
		}
	}
	if err := v.noteLapses(ctx, true); err != nil {
		return err
	}
	return v.readStates(ctx)
}

// readStates brings what this gateway knows of the regions' states up to date.
func (v *Vault) readStates(ctx context.Context) error {
	return v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		states, err := tx.RegionStates(ctx)
		if err == nil {
			v.states.Store(&states)
		}
		return err
	})
}

// watchStates takes in what was ordered at other gateways.
func (v *Vault) watchStates(ctx context.Context) {
	for ctx.Err() == nil {
		if err := v.watchState(ctx); err != nil && ctx.Err() == nil {
			v.cfg.Log.Error("read the states of regions", "err", err)
		}
		v.deks.expire()
		wait(ctx, v.cfg.Poll)
	}
}

// watchState is one look. It writes only when a certification has just expired.
func (v *Vault) watchState(ctx context.Context) error {
	if err := v.readStates(ctx); err != nil {
		return err
	}
	for _, s := range *v.states.Load() {
		if v.expired(s.Region) && s.Lapsed.IsZero() {
			return v.noteLapses(ctx, false)
		}
	}
	return nil
}

func (v *Vault) regionIs(region string, states ...string) bool {
	known := v.states.Load()
	return known != nil && slices.Contains(states, (*known)[region].State)
}

// leaving says that nothing more is promised to a region.
func (v *Vault) leaving(region string) bool {
	return v.regionIs(region, catalog.RegionDraining, catalog.RegionDrained)
}

// notFrozen keeps the regions to which something may be copied now.
func (v *Vault) notFrozen(regions []string) (names []string) {
	for _, r := range regions {
		if !v.regionIs(r, catalog.RegionFrozen) {
			names = append(names, r)
		}
	}
	return names
}

type walkPayload struct {
	Region string `json:"region"`
}

const (
	walkPage  = 200
	walkAgain = 3 // polls between two looks at what others do not hold yet
)

// walk goes over all objects on a region's account, page by page: a page is one
// transaction with its promises and its position, so that it goes on where it was cut.
func (v *Vault) walk(ctx context.Context, job catalog.Job, owner string) error {
	var p walkPayload
	if err := json.Unmarshal(job.Payload, &p); err != nil {
		return err
	}
	if err := v.readStates(ctx); err != nil { // what was ordered elsewhere just now
		return err
	}
	for {
		var done, waits bool
		err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			states, err := tx.LockRegionStates(ctx)
			if err != nil {
				return err
			}
			s := states[p.Region]
			if done, waits = s.Walk == "" || !s.Ended.IsZero(), false; done {
				return nil
			}
			done, waits, err = v.walkOn(ctx, tx, s)
			return err
		})
		switch {
		case err != nil:
			return err
		case waits:
			return v.cfg.Catalog.Retry(ctx, job, owner, v.cfg.Now().Add(walkAgain*v.cfg.Poll), "")
		case done:
			if err := v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error { return v.walkAnew(ctx, tx, p.Region) }); err != nil {
				return err
			}
			return v.readStates(ctx)
		}
	}
}

// walkAnew leaves a job for a walk that was ordered while the last one was ending.
func (v *Vault) walkAnew(ctx context.Context, tx *catalog.Tx, region string) error {
	states, err := tx.LockRegionStates(ctx)
	if s := states[region]; err != nil || s.Walk == "" || !s.Ended.IsZero() {
		return err
	}
	return tx.Enqueue(ctx, newJob(jobWalk, region, walkPayload{region}, v.cfg.Now()))
}

// walkOn does one page. waits: the next object is not yet where it must be.
func (v *Vault) walkOn(ctx context.Context, tx *catalog.Tx, s catalog.RegionState) (done, waits bool, err error) {
	page, err := tx.Walk(ctx, s.Position, walkPage)
	if err != nil {
		return false, false, err
	}
	for _, o := range page {
		placed, err := tx.Placements(ctx, o.ID)
		if err != nil {
			return false, false, err
		}
		said, err := v.consents(ctx, tx, o.Patient)
		if err != nil {
			return false, false, err
		}
		may := v.permitted(catalog.Patient{Token: o.Patient, Country: cmp.Or(o.Country, v.cfg.Home)}, said...)
		may = slices.DeleteFunc(may, func(r string) bool { return s.Walk != catalog.WalkBackfill && r == s.Region })
		_, concerned := placed[s.Region]
		switch {
		case s.Walk == catalog.WalkBackfill && slices.Contains(may, s.Region):
			err = v.promiseLater(ctx, tx, o.ID, placed, []string{s.Region}, &s)
		case s.Walk == catalog.WalkDrain && concerned:
			if len(may) == 0 {
				s.Lacking++
			}
			err = v.promiseLater(ctx, tx, o.ID, placed, may, &s)
		case s.Walk == catalog.WalkCheck && concerned:
			held := 0
			count := v.counting(may)
			for _, r := range count {
				if placed[r] {
					held++
				}
			}
			waits = held < max(v.cfg.Quorum(len(count)), 1)
		}
		if err != nil {
			return false, false, err
		}
		if waits {
			return false, true, tx.SetRegionState(ctx, s)
		}
		s.Position = o.ID
		s.Seen++
	}
	if len(page) < walkPage {
		done, err = v.walked(ctx, tx, &s)
		if err != nil {
			return false, false, err
		}
	}
	return done, false, tx.SetRegionState(ctx, s)
}

// walked ends a walk, or begins the next that belongs to it.
func (v *Vault) walked(ctx context.Context, tx *catalog.Tx, s *catalog.RegionState) (done bool, err error) {
	s.Total = max(s.Total, s.Seen)
	if s.Walk == catalog.WalkDrain {
		s.Walk, s.Position, s.Seen = catalog.WalkCheck, "", 0
		return false, nil
	}
	s.Ended = v.cfg.Now()
	if s.Walk != catalog.WalkCheck || s.State != catalog.RegionDraining {
		return true, nil
	}
	s.State, s.Since = catalog.RegionDrained, v.cfg.Now()
	return true, appendLeaf(ctx, tx, v.leaf(act{Actor: v.self(), Action: record.ActionRegionsManage, Origin: orderDrained + " " + s.Region}, allowed))
}

// promiseLater promises an object to the regions that were not promised it.
func (v *Vault) promiseLater(ctx context.Context, tx *catalog.Tx, id record.ObjectID, placed map[string]bool, to []string, s *catalog.RegionState) error {
	for _, region := range to {
		if _, ok := placed[region]; ok {
			continue
		}
		if err := tx.Promise(ctx, id, []string{region}); err != nil {
			return err
		}
		if err := tx.Enqueue(ctx, copyJob(id, region, v.cfg.Now())); err != nil {
			return err
		}
		s.Promised++
	}
	return nil
}

// RegionWalk is how far all objects were gone through on a region's account.
type RegionWalk struct {
	Kind     string     `json:"kind"` // "backfill", "drain", or "check" after it: whether enough others hold what it holds
	Began    time.Time  `json:"began"`
	Ended    *time.Time `json:"ended,omitempty"`
	Seen     int64      `json:"seen"`
	Total    int64      `json:"total"`
	Promised int64      `json:"promised"` // copies
	Lacking  int64      `json:"lacking"`  // objects of a drain that may lie nowhere else: it cannot end
}

// tellState adds what was ordered about a region.
func (s *RegionStatus) tellState(of catalog.RegionState) {
	s.State = of.State
	if s.State == "" {
		s.State = catalog.RegionActive
	}
	if !of.Since.IsZero() {
		s.Since = &of.Since
	}
	if of.Walk != "" {
		s.Walk = &RegionWalk{Kind: of.Walk, Began: of.Began, Seen: of.Seen, Total: of.Total, Promised: of.Promised, Lacking: of.Lacking}
		if !of.Ended.IsZero() {
			s.Walk.Ended = &of.Ended
		}
	}
	switch {
	case s.State == catalog.RegionFrozen:
		s.add("region is frozen")
	case s.State == catalog.RegionDraining && of.Lacking > 0:
		s.add(fmt.Sprintf("%d objects may lie nowhere else", of.Lacking))
	}
}

func (s *RegionStatus) add(problem string) {
	s.Problem = strings.TrimPrefix(s.Problem+"; "+problem, "; ")
}
