package catalog

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"medvault/vault/catalog/internal/query"
	"medvault/vault/record"
)

// Job is work to be done after a transaction: a copy, a repair. It is done at least
// once, so doing it twice must be harmless.
type Job struct {
	ID        string // given by Enqueue when empty
	Kind      string
	Key       string // one job of a kind and key waits at a time
	Region    string // the region that it waits for; "" is none
	Payload   []byte
	Attempt   int       // how often it was leased
	NotBefore time.Time // due from then on; zero: at once. While leased: the end of the lease
}

// Enqueue puts a job in the queue with this transaction. While one of the same kind
// and key is there, waiting or leased, it does nothing.
func (t *Tx) Enqueue(ctx context.Context, j Job) error {
	if j.ID == "" {
		j.ID = string(record.NewObjectID())
	}
	payload := j.Payload
	if payload == nil {
		payload = []byte{} // NULL is not stored
	}
	_, err := t.q.Enqueue(ctx, query.EnqueueParams{ID: j.ID, Kind: j.Kind, Key: j.Key, Payload: payload,
		Attempt: int64(j.Attempt), NotBefore: millis(j.NotBefore), Region: j.Region})
	return attempt(err, "enqueue %s", j.Kind)
}

// Lease takes up to n due jobs of the kinds, which come in order of preference, for
// a while; until then nobody else gets them. owner names the taker. Jobs that wait for
// a region are not among them.
func (c *Catalog) Lease(ctx context.Context, kinds []string, n int, lease time.Duration, owner string) ([]Job, error) {
	return c.LeaseIn(ctx, "", kinds, n, lease, owner)
}

// LeaseIn is Lease among the jobs that wait for a region.
func (c *Catalog) LeaseIn(ctx context.Context, region string, kinds []string, n int, lease time.Duration, owner string) ([]Job, error) {
	var leased []Job
	err := c.Update(ctx, func(t *Tx) error {
		leased = nil
		now := c.now()
		for _, kind := range kinds {
			if len(leased) >= n {
				return nil
			}
			rows, err := t.q.LeaseJobs(ctx, query.LeaseJobsParams{Region: region, Kind: kind, Now: millis(now), Until: millis(now.Add(lease)),
				MaxRows: limit32(n - len(leased)), Owner: owner})
			if err != nil {
				return err
			}
			slices.SortFunc(rows, func(a, b query.Job) int { return cmp.Compare(a.ID, b.ID) })
			for _, r := range rows {
				leased = append(leased, Job{ID: r.ID, Kind: r.Kind, Key: r.Key, Region: r.Region, Payload: r.Payload, Attempt: int(r.Attempt), NotBefore: fromMillis(r.NotBefore)})
			}
		}
		return nil
	})
	if err != nil {
		return nil, attempt(err, "lease jobs")
	}
	return leased, nil
}

// Finish removes a leased job and runs fn (which may be nil) in the same
// transaction. ErrChanged when the lease is over or the job someone else's: then fn
// has not run.
func (c *Catalog) Finish(ctx context.Context, j Job, owner string, fn func(*Tx) error) error {
	return c.Update(ctx, func(t *Tx) error {
		if err := t.holdJob(ctx, j, owner); err != nil {
			return attempt(err, "finish job %s", j.ID)
		}
		if _, err := t.q.DeleteJob(ctx, j.ID); err != nil {
			return attempt(err, "finish job %s", j.ID)
		}
		if fn == nil {
			return nil
		}
		return fn(t)
	})
}

// Retry gives a leased job back, due again at the given time. reason is a code that is
// kept with it, and with its region counts as a failed attempt. ErrChanged when the lease
// is over.
func (c *Catalog) Retry(ctx context.Context, j Job, owner string, at time.Time, reason string) error {
	err := c.Update(ctx, func(t *Tx) error {
		if err := t.holdJob(ctx, j, owner); err != nil {
			return err
		}
		if _, err := t.q.RetryJob(ctx, query.RetryJobParams{ID: j.ID, At: millis(at), Reason: reason}); err != nil {
			return err
		}
		if j.Region == "" || reason == "" {
			return nil
		}
		return t.Failed(ctx, j.Region, reason)
	})
	return attempt(err, "retry job %s", j.ID)
}

// Renew makes the lease of a job last for the given time from now. ErrChanged when it
// is over already.
func (c *Catalog) Renew(ctx context.Context, j Job, owner string, lease time.Duration) error {
	err := c.Update(ctx, func(t *Tx) error {
		if err := t.holdJob(ctx, j, owner); err != nil {
			return err
		}
		var b builder
		b.add("UPDATE jobs SET not_before = ? WHERE id = ?", millis(c.now().Add(lease)), j.ID)
		_, err := t.exec(ctx, &b)
		return err
	})
	return attempt(err, "renew job %s", j.ID)
}

// holdJob locks a job's row and checks that this very lease of it still lasts.
func (t *Tx) holdJob(ctx context.Context, j Job, owner string) error {
	row, err := t.q.LockJob(ctx, j.ID)
	if errors.Is(attempt(err, "job"), ErrNotFound) {
		return fmt.Errorf("the job is gone: %w", ErrChanged)
	}
	if err != nil {
		return err
	}
	if row.Owner != owner || row.Attempt != int64(j.Attempt) || row.NotBefore <= millis(t.c.now()) {
		return fmt.Errorf("the lease is over: %w", ErrChanged)
	}
	return nil
}

// Pending counts the jobs of a kind, leased ones included.
func (c *Catalog) Pending(ctx context.Context, kind string) (int64, error) {
	n, err := c.reads.PendingJobs(ctx, kind)
	return n, attempt(err, "pending jobs")
}

// HurryRegion makes the jobs that failed in a region for one of these reasons, and wait
// to be tried again, due now.
func (t *Tx) HurryRegion(ctx context.Context, region string, reasons []string) error {
	now := millis(t.c.now())
	var b builder
	b.add("UPDATE jobs SET not_before = ? WHERE region = ? AND not_before > ? AND owner = '' AND reason IN ", now, region, now)
	list(&b, reasons)
	_, err := t.exec(ctx, &b)
	return attempt(err, "hurry the jobs of %s", region)
}

// Failed counts an attempt that failed in a region, with its code.
func (t *Tx) Failed(ctx context.Context, region, code string) error {
	var b builder
	b.add(`INSERT INTO region_failures (region, minute, failed, code) VALUES (?, ?, 1, ?)
ON CONFLICT (region, minute) DO UPDATE SET failed = region_failures.failed + 1, code = excluded.code`, region, minute(t.c.now()), code)
	_, err := t.exec(ctx, &b)
	return attempt(err, "count a failure in %s", region)
}

func minute(t time.Time) int64 { return t.Unix() / 60 }

// Failures tells how many attempts failed in a region in the last hour, and the code of
// the last that did, however long ago that was up to a day; "" when none.
func (t *Tx) Failures(ctx context.Context, region string) (lastHour int64, code string, err error) {
	now := t.c.now()
	err = t.tx.QueryRowContext(ctx, "SELECT CAST(COALESCE(SUM(failed), 0) AS BIGINT) FROM region_failures WHERE region = $1 AND minute > $2",
		region, minute(now.Add(-time.Hour))).Scan(&lastHour)
	if err != nil {
		return 0, "", attempt(err, "failures of %s", region)
	}
	err = t.tx.QueryRowContext(ctx, "SELECT code FROM region_failures WHERE region = $1 AND minute > $2 ORDER BY minute DESC LIMIT 1",
		region, minute(now.Add(-24*time.Hour))).Scan(&code)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return lastHour, code, attempt(err, "failures of %s", region)
}

// SweepFailures forgets the attempts that failed more than a day ago.
func (t *Tx) SweepFailures(ctx context.Context) error {
	var b builder
	b.add("DELETE FROM region_failures WHERE minute <= ?", minute(t.c.now().Add(-24*time.Hour)))
	_, err := t.exec(ctx, &b)
	return attempt(err, "sweep failures")
}
