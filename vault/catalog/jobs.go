package catalog

import (
	"cmp"
	"context"
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
		Attempt: int64(j.Attempt), NotBefore: millis(j.NotBefore)})
	return attempt(err, "enqueue %s", j.Kind)
}

// Lease takes up to n due jobs of the kinds, which come in order of preference, for
// a while; until then nobody else gets them. owner names the taker.
func (c *Catalog) Lease(ctx context.Context, kinds []string, n int, lease time.Duration, owner string) ([]Job, error) {
	var leased []Job
	err := c.Update(ctx, func(t *Tx) error {
		leased = nil
		now := c.now()
		for _, kind := range kinds {
			if len(leased) >= n {
				return nil
			}
			rows, err := t.q.LeaseJobs(ctx, query.LeaseJobsParams{Kind: kind, Now: millis(now), Until: millis(now.Add(lease)),
				MaxRows: limit32(n - len(leased)), Owner: owner})
			if err != nil {
				return err
			}
			slices.SortFunc(rows, func(a, b query.Job) int { return cmp.Compare(a.ID, b.ID) })
			for _, r := range rows {
				leased = append(leased, Job{ID: r.ID, Kind: r.Kind, Key: r.Key, Payload: r.Payload, Attempt: int(r.Attempt), NotBefore: fromMillis(r.NotBefore)})
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

// Retry gives a leased job back, due again at the given time. reason is kept with
// it and must hold no patient data. ErrChanged when the lease is over.
func (c *Catalog) Retry(ctx context.Context, j Job, owner string, at time.Time, reason string) error {
	err := c.Update(ctx, func(t *Tx) error {
		if err := t.holdJob(ctx, j, owner); err != nil {
			return err
		}
		_, err := t.q.RetryJob(ctx, query.RetryJobParams{ID: j.ID, At: millis(at), Reason: reason})
		return err
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
