package vault

import (
	"context"
	"strings"
	"time"

	"medvault/vault/audit"
	"medvault/vault/catalog"
)

// regionOrder is what was ordered about a region last, as the log's leaves say.
type regionOrder struct {
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
	Lapsed time.Time `json:"lapsed,omitzero"` // since when nothing was placed there for want of a certification
}

const (
	orderDrained = "drained" // not ordered: what a drain has come to
	orderExpired = "certification-expired"
	orderRenewed = "certification-renewed"
)

// replay takes in one leaf about a region. Doing it twice changes nothing.
func (r *rebuild) replay(leaf audit.Leaf) {
	order, region, _ := strings.Cut(leaf.Origin, " ")
	states := map[string]string{OrderFreeze: catalog.RegionFrozen, OrderThaw: catalog.RegionActive, OrderDrain: catalog.RegionDraining, orderDrained: catalog.RegionDrained}
	o := r.state.Orders[region]
	switch state, known := states[order]; {
	case known:
		o.State, o.Since = state, leaf.Time
	case order == orderExpired:
		o.Lapsed = leaf.Time
	case order == orderRenewed:
		o.Lapsed = time.Time{}
	default:
		return // a backfill: all is promised anew anyway
	}
	if r.state.Orders == nil {
		r.state.Orders = make(map[string]regionOrder)
	}
	r.state.Orders[region] = o
}

// takes says whether anything may be promised to a region.
func (r *rebuild) takes(region string) bool {
	switch r.state.Orders[region].State {
	case catalog.RegionDraining, catalog.RegionDrained:
		return false
	}
	return !r.v.expired(region)
}

// applyOrders gives the regions the states in which they were. A drain begins again: what
// the others hold is not known any more.
func (r *rebuild) applyOrders(ctx context.Context, tx *catalog.Tx) error {
	for _, place := range r.cfg.Places {
		o, ordered := r.state.Orders[place.Name]
		if !ordered {
			continue
		}
		if _, err := tx.MeetRegion(ctx, place.Name); err != nil {
			return err
		}
		states, err := tx.LockRegionStates(ctx)
		if err != nil {
			return err
		}
		s := states[place.Name]
		if s.Lapsed = o.Lapsed; o.State != "" {
			s.State, s.Since = o.State, o.Since
		}
		again := s.State == catalog.RegionDraining || s.State == catalog.RegionDrained && place.Name == r.from.Name
		if !again {
			err = tx.SetRegionState(ctx, s)
		} else {
			s.State = catalog.RegionDraining
			err = r.v.beginWalk(ctx, tx, s, catalog.WalkDrain)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
