package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"medvault/vault/catalog"
)

func enqueue(t testing.TB, c *catalog.Catalog, jobs ...catalog.Job) {
	t.Helper()
	update(t, c, func(ctx context.Context, tx *catalog.Tx) error {
		for _, j := range jobs {
			if err := tx.Enqueue(ctx, j); err != nil {
				return err
			}
		}
		return nil
	})
}

func lease(t testing.TB, c *catalog.Catalog, owner string, n int, kinds ...string) []catalog.Job {
	t.Helper()
	jobs, err := c.Lease(t.Context(), kinds, n, time.Minute, owner)
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}

// clock is a clock that a test moves.
type clock struct{ ms atomic.Int64 }

func (c *clock) now() time.Time          { return start.Add(time.Duration(c.ms.Load()) * time.Millisecond) }
func (c *clock) advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

func TestJobLivesThroughLeaseRetryAndFinish(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		var clock clock
		db.now = clock.now
		c := db.open(t)
		enqueue(t, c, catalog.Job{Kind: "copy", Key: "a", Payload: []byte("first")}, catalog.Job{Kind: "copy", Key: "a", Payload: []byte("second")},
			catalog.Job{Kind: "copy", Key: "later", NotBefore: start.Add(time.Hour)}, catalog.Job{Kind: "lock", Key: "a"})

		if got := lease(t, c, "me", 10, "repair"); len(got) != 0 {
			t.Errorf("leased %v of a kind that has none", got)
		}
		got := lease(t, c, "me", 10, "copy")
		if len(got) != 1 || string(got[0].Payload) != "first" || got[0].Attempt != 1 {
			t.Fatalf("leased %+v; want the first job once", got)
		}
		job := got[0]
		if got := lease(t, c, "you", 10, "copy"); len(got) != 0 {
			t.Errorf("a leased job was handed out again: %v", got)
		}
		if err := c.Finish(t.Context(), job, "you", nil); !errors.Is(err, catalog.ErrChanged) {
			t.Errorf("finish by another owner: %v; want ErrChanged", err)
		}
		if err := c.Retry(t.Context(), job, "me", clock.now().Add(time.Second), "region away"); err != nil {
			t.Fatal(err)
		}
		if got := lease(t, c, "you", 10, "copy"); len(got) != 0 {
			t.Errorf("a job was leased before its time: %v", got)
		}
		clock.advance(time.Second)
		job = lease(t, c, "you", 10, "copy")[0]
		if job.Attempt != 2 {
			t.Errorf("attempt %d; want 2", job.Attempt)
		}

		// The lease runs out; the same owner takes it again; the older lease is dead.
		clock.advance(time.Minute)
		if err := c.Finish(t.Context(), job, "you", nil); !errors.Is(err, catalog.ErrChanged) {
			t.Errorf("finish after the lease: %v; want ErrChanged", err)
		}
		again := lease(t, c, "you", 10, "copy")[0]
		ran := false
		if err := c.Finish(t.Context(), job, "you", func(*catalog.Tx) error { ran = true; return nil }); !errors.Is(err, catalog.ErrChanged) || ran {
			t.Errorf("finish with an older lease: %v, ran %t; want ErrChanged", err, ran)
		}
		broken := errors.New("broken")
		if err := c.Finish(t.Context(), again, "you", func(*catalog.Tx) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("Finish = %v; want the function's own error", err)
		}
		if n, err := c.Pending(t.Context(), "copy"); n != 2 || err != nil {
			t.Errorf("Pending = %d, %v; want 2: the failed finish kept the job", n, err)
		}
		err := c.Finish(t.Context(), again, "you", func(tx *catalog.Tx) error {
			return tx.Enqueue(t.Context(), catalog.Job{Kind: "copy", Key: "a", Payload: []byte("next")})
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := lease(t, c, "me", 1, "lock", "copy"); len(got) != 1 || got[0].Kind != "lock" {
			t.Errorf("leased %v; want the preferred kind", got)
		}
		if got := lease(t, c, "me", 5, "lock", "copy"); len(got) != 1 || string(got[0].Payload) != "next" {
			t.Errorf("leased %v; want the job enqueued while finishing", got)
		}
	})
}

func TestLeaseIsNeverHandedOutTwice(t *testing.T) {
	onBoth(t, func(t *testing.T, db database) {
		catalogs := []*catalog.Catalog{db.open(t), db.open(t)}
		const jobs = 300
		var batch []catalog.Job
		for i := range jobs {
			batch = append(batch, catalog.Job{Kind: "copy", Key: fmt.Sprint(i)})
		}
		enqueue(t, catalogs[0], batch...)
		var mu sync.Mutex
		taken := map[string]int{}
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				owner := fmt.Sprint("worker ", w)
				for {
					got, err := catalogs[w%2].Lease(t.Context(), []string{"copy"}, 7, time.Minute, owner)
					if err != nil {
						t.Error(err)
						return
					}
					if len(got) > 7 {
						t.Errorf("leased %d; want at most 7", len(got))
					}
					for _, j := range got {
						mu.Lock()
						taken[j.Key]++
						mu.Unlock()
						if err := catalogs[w%2].Finish(t.Context(), j, owner, nil); err != nil {
							t.Error(err)
						}
					}
					if len(got) == 0 {
						if n, err := catalogs[w%2].Pending(t.Context(), "copy"); n == 0 || err != nil {
							return
						}
					}
				}
			})
		}
		wg.Wait()
		if len(taken) != jobs {
			t.Errorf("%d jobs were done; want %d", len(taken), jobs)
		}
		for key, n := range taken {
			if n != 1 {
				t.Errorf("job %s was handed out %d times", key, n)
			}
		}
	})
}
