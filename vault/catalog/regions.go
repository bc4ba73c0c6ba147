package catalog

import (
	"context"
	"time"

	"medvault/vault/record"
)

// States of a region.
const (
	RegionActive   = "active"
	RegionFrozen   = "frozen"   // nothing is copied there; it is still read, and still promised
	RegionDraining = "draining" // nothing is promised there; the others get what it holds
	RegionDrained  = "drained"  // the others hold it all
)

// Walks over all objects on a region's account.
const (
	WalkBackfill = "backfill" // promise it what it may hold
	WalkDrain    = "drain"    // promise to others what it holds
	WalkCheck    = "check"    // see whether enough others hold it, after WalkDrain
)

// RegionState is what was ordered about a region, and the last walk on its account.
type RegionState struct {
	Region string
	State  string
	Since  time.Time

	Walk         string // "" when there was none
	Began, Ended time.Time
	Position     record.ObjectID // the last object that was seen
	Seen, Total  int64
	Promised     int64
	Lacking      int64 // objects that may lie nowhere else

	Lapsed time.Time // since when nothing was placed there for want of a certification; zero: it is
	Met    time.Time // when a gateway that has it in its configuration said so last
}

const regionStateColumns = "SELECT region, state, since, walk, began_at, ended_at, position, seen, total, promised, lacking, lapsed_at, seen_at FROM regions_state"

// RegionStates reads all.
func (t *Tx) RegionStates(ctx context.Context) (map[string]RegionState, error) {
	return t.regionStates(ctx, regionStateColumns)
}

// LockRegionStates is RegionStates, and nobody else changes one until this transaction
// has ended.
func (t *Tx) LockRegionStates(ctx context.Context) (map[string]RegionState, error) {
	return t.regionStates(ctx, t.c.dialect.adapt(regionStateColumns+" ORDER BY region FOR UPDATE"))
}

func (t *Tx) regionStates(ctx context.Context, text string) (map[string]RegionState, error) {
	rows, err := t.tx.QueryContext(ctx, text)
	if err != nil {
		return nil, attempt(err, "states of regions")
	}
	defer rows.Close()
	states := make(map[string]RegionState)
	for rows.Next() {
		var s RegionState
		var since, began, ended, lapsed, met int64
		if err := rows.Scan(&s.Region, &s.State, &since, &s.Walk, &began, &ended, &s.Position, &s.Seen, &s.Total, &s.Promised, &s.Lacking, &lapsed, &met); err != nil {
			return nil, attempt(err, "states of regions")
		}
		s.Since, s.Began, s.Ended = fromMillis(since), fromMillis(began), fromMillis(ended)
		s.Lapsed, s.Met = fromMillis(lapsed), fromMillis(met)
		states[s.Region] = s
	}
	return states, attempt(rows.Err(), "states of regions")
}

// MeetRegion writes down an active region that was not seen before. fresh: nothing was
// promised to it yet although there are objects.
func (t *Tx) MeetRegion(ctx context.Context, region string) (fresh bool, err error) {
	var b builder
	b.add(`INSERT INTO regions_state (region, state, since, walk, began_at, ended_at, position, seen, total, promised, lacking, seen_at)
VALUES (?, 'active', ?, '', 0, 0, '', 0, 0, 0, 0, ?) ON CONFLICT (region) DO NOTHING`, region, millis(t.c.now()), millis(t.c.now()))
	n, err := t.exec(ctx, &b)
	if err != nil || n == 0 {
		return false, attempt(err, "meet region %s", region)
	}
	err = t.tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM objects) AND NOT EXISTS (SELECT 1 FROM placements WHERE region = $1)`, region).Scan(&fresh)
	return fresh, attempt(err, "meet region %s", region)
}

// SetRegionState writes the state of a region that was met. Not met: ErrNotFound.
func (t *Tx) SetRegionState(ctx context.Context, s RegionState) error {
	var b builder
	b.add(`UPDATE regions_state SET state = ?, since = ?, walk = ?, began_at = ?, ended_at = ?, position = ?, seen = ?, total = ?, promised = ?, lacking = ?, lapsed_at = ?
WHERE region = ?`, s.State, millis(s.Since), s.Walk, millis(s.Began), millis(s.Ended), string(s.Position), s.Seen, s.Total, s.Promised, s.Lacking, millis(s.Lapsed), s.Region)
	return attempt(t.one(ctx, &b), "state of region %s", s.Region)
}

// SeeRegion notes that a gateway has the region in its configuration.
func (t *Tx) SeeRegion(ctx context.Context, region string) error {
	var b builder
	b.add("UPDATE regions_state SET seen_at = ? WHERE region = ?", millis(t.c.now()), region)
	_, err := t.exec(ctx, &b)
	return attempt(err, "see region %s", region)
}

// Walked is an object on a walk, with its patient's country, "" when it is about none.
type Walked struct {
	ID      record.ObjectID
	Patient record.PatientToken
	Country string
}

// Walk lists up to limit objects behind one, in the order of their ids. What was
// superseded is left out.
func (t *Tx) Walk(ctx context.Context, after record.ObjectID, limit int) (page []Walked, err error) {
	rows, err := t.tx.QueryContext(ctx, `SELECT o.id, o.patient, COALESCE(p.country, '') FROM objects o LEFT JOIN patients p ON p.token = o.patient
WHERE o.id > $1 AND o.superseded_by = '' ORDER BY o.id LIMIT $2`, string(after), limit32(limit))
	if err != nil {
		return nil, attempt(err, "walk over objects")
	}
	defer rows.Close()
	for rows.Next() {
		var w Walked
		if err := rows.Scan(&w.ID, &w.Patient, &w.Country); err != nil {
			return nil, attempt(err, "walk over objects")
		}
		page = append(page, w)
	}
	return page, attempt(rows.Err(), "walk over objects")
}

// CountWalk tells how many objects a walk goes over.
func (t *Tx) CountWalk(ctx context.Context) (n int64, err error) {
	err = t.tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM objects WHERE superseded_by = ''").Scan(&n)
	return n, attempt(err, "count objects")
}

// Unpromise forgets that an object was promised to a region that does not hold it.
func (t *Tx) Unpromise(ctx context.Context, id record.ObjectID, region string) error {
	var b builder
	b.add("DELETE FROM placements WHERE key IN (?, ?) AND region = ? AND placed_at = 0", id.Key(ClassObjects), id.Key(ClassRecords), region)
	_, err := t.exec(ctx, &b)
	return attempt(err, "unpromise %s to %s", id, region)
}
