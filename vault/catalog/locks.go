package catalog

import (
	"context"
	"time"

	"medvault/vault/record"
)

// KeepLocked notes that a lock keeps a dead object in a region until a time; zero is
// without a date. fresh: it was not noted with this time before.
func (t *Tx) KeepLocked(ctx context.Context, id record.ObjectID, region string, until time.Time) (fresh bool, err error) {
	var b builder
	b.add(`INSERT INTO locked_objects (object, region, locked_until) VALUES (?, ?, ?)
ON CONFLICT (region, object) DO UPDATE SET locked_until = excluded.locked_until WHERE locked_objects.locked_until <> excluded.locked_until`,
		string(id), region, millis(until))
	n, err := t.exec(ctx, &b)
	return n > 0, attempt(err, "locked %s in %s", id, region)
}

// Unlocked forgets that a lock keeps an object in a region.
func (t *Tx) Unlocked(ctx context.Context, id record.ObjectID, region string) error {
	var b builder
	b.add("DELETE FROM locked_objects WHERE region = ? AND object = ?", region, string(id))
	_, err := t.exec(ctx, &b)
	return attempt(err, "unlocked %s in %s", id, region)
}

// LockedDead counts the dead objects that locks keep in a region, and tells when the last
// of these locks ends; zero: none, or all of them have no date.
func (t *Tx) LockedDead(ctx context.Context, region string) (n int64, last time.Time, err error) {
	var until int64
	err = t.tx.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(MAX(locked_until), 0) FROM locked_objects WHERE region = $1", region).Scan(&n, &until)
	return n, fromMillis(until), attempt(err, "locked in %s", region)
}

// CountJobs counts the jobs of a kind that wait for a region, leased ones included.
func (t *Tx) CountJobs(ctx context.Context, region, kind string) (n int64, err error) {
	err = t.tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM jobs WHERE region = $1 AND kind = $2", region, kind).Scan(&n)
	return n, attempt(err, "count jobs of %s", region)
}

// JobFresh says whether a job waits or is under way, and has not failed.
func (t *Tx) JobFresh(ctx context.Context, kind, key string) (fresh bool, err error) {
	err = t.tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM jobs WHERE kind = $1 AND key = $2 AND reason = '')", kind, key).Scan(&fresh)
	return fresh, attempt(err, "job %s", key)
}
