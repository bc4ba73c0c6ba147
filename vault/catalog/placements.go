package catalog

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"medvault/vault/catalog/internal/query"
	"medvault/vault/record"
)

// Promise says in which regions an object must lie. Regions promised before stay as
// they are. Unknown object: ErrNotFound.
func (t *Tx) Promise(ctx context.Context, id record.ObjectID, regions []string) error {
	for _, region := range regions {
		n, err := t.q.PromiseRegion(ctx, query.PromiseRegionParams{ID: string(id), Region: region, At: millis(t.c.now())})
		if err == nil && n == 0 { // promised before, or no such object
			_, err = t.q.GetObject(ctx, string(id))
		}
		if err != nil {
			return attempt(err, "promise %s to %s", id, region)
		}
	}
	return nil
}

// PlaceNew is Promise and Placed, in one, for an object that was inserted by this
// transaction: it must lie in the regions promised and does lie in placed.
func (t *Tx) PlaceNew(ctx context.Context, o Object, promised, placed []string, at time.Time) error {
	err := t.c.placements.exec(ctx, t.tx.Tx, len(promised), func(args []any, i int) []any {
		since := int64(0)
		if slices.Contains(placed, promised[i]) {
			since = millis(at)
		}
		return append(args, o.Key(), promised[i], string(o.ID), o.Size, since, millis(at), millis(o.Created))
	})
	return attempt(err, "place %s", o.ID)
}

// Placed says that an object lies in a region, read back and verified. Not promised:
// ErrNotFound.
func (t *Tx) Placed(ctx context.Context, id record.ObjectID, region string, at time.Time) error {
	n, err := t.q.MarkPlaced(ctx, query.MarkPlacedParams{At: millis(at), Region: region,
		ObjectKey: id.Key(ClassObjects), RecordKey: id.Key(ClassRecords)})
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return attempt(err, "placed %s in %s", id, region)
}

// Placements tells the regions an object was promised to, and whether it lies there.
func (t *Tx) Placements(ctx context.Context, id record.ObjectID) (map[string]bool, error) {
	rows, err := t.q.ListPlacements(ctx, query.ListPlacementsParams{ObjectKey: id.Key(ClassObjects), RecordKey: id.Key(ClassRecords)})
	if err != nil {
		return nil, attempt(err, "placements of %s", id)
	}
	placed := make(map[string]bool, len(rows))
	for _, r := range rows {
		placed[r.Region] = r.PlacedAt != 0
	}
	return placed, nil
}

// RegionStats counts the objects and bytes that lie in a region and the copies that
// are still to be made.
func (t *Tx) RegionStats(ctx context.Context, region string) (objects, bytes, pending int64, err error) {
	r, err := t.q.RegionStats(ctx, region)
	return r.Objects, r.Bytes, r.Pending, attempt(err, "stats of %s", region)
}

// Waiting is what a region was promised and does not hold yet.
type Waiting struct {
	Objects, Bytes int64
	Oldest         time.Time // when the oldest of the objects was stored; zero: none waits
}

// Waiting tells what a region waits for. What was superseded meanwhile counts until the
// region is rid of it, but is not the oldest: nothing is lost with it.
func (t *Tx) Waiting(ctx context.Context, region string) (w Waiting, err error) {
	err = t.tx.QueryRowContext(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM placements
WHERE region = $1 AND placed_at = 0`, region).Scan(&w.Objects, &w.Bytes)
	if err != nil || w.Objects == 0 {
		return w, attempt(err, "what waits for %s", region)
	}
	var created int64
	err = t.tx.QueryRowContext(ctx, `SELECT p.stored_at FROM placements p JOIN objects o ON o.id = p.object
WHERE p.region = $1 AND p.placed_at = 0 AND o.superseded_by = '' ORDER BY p.stored_at LIMIT 1`, region).Scan(&created)
	w.Oldest = fromMillis(created)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return w, attempt(err, "what waits for %s", region)
}

// Lags lists how long it took from promise to placement, of the last placements in a
// region since a time, up to limit.
func (t *Tx) Lags(ctx context.Context, region string, since time.Time, limit int) (lags []time.Duration, err error) {
	rows, err := t.tx.QueryContext(ctx, `SELECT placed_at - promised_at FROM placements
WHERE region = $1 AND placed_at > $2 AND promised_at <> 0 ORDER BY placed_at DESC LIMIT $3`, region, max(millis(since), 0), limit32(limit))
	if err != nil {
		return nil, attempt(err, "lags of %s", region)
	}
	defer rows.Close()
	for rows.Next() {
		var ms int64
		if err := rows.Scan(&ms); err != nil {
			return nil, attempt(err, "lags of %s", region)
		}
		lags = append(lags, time.Duration(ms)*time.Millisecond)
	}
	return lags, attempt(rows.Err(), "lags of %s", region)
}
