package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"medvault/vault"
)

// read reads documents at a steady rate. A read counts from the moment it was due, not
// from when somebody found time for it.
func (s *site) read(ctx context.Context, t task) (answer, error) {
	if err := s.treat(ctx, t.Docs); err != nil {
		return answer{}, err
	}
	var ids []string
	for id := range t.Docs {
		ids = append(ids, id)
	}
	var mu sync.Mutex
	var a answer
	var failed error
	var under sync.WaitGroup
	use := beginUsage()
	for n := range int(t.Seconds * t.Rate) {
		due := use.began.Add(time.Duration(float64(n) / t.Rate * float64(time.Second)))
		time.Sleep(time.Until(due))
		under.Go(func() {
			err := s.fetch(ctx, ids[rand.IntN(len(ids))], io.Discard)
			took := time.Since(due)
			mu.Lock()
			defer mu.Unlock()
			a.Millis = append(a.Millis, took.Seconds()*1e3)
			failed = errors.Join(failed, err)
		})
	}
	under.Wait()
	took := use.end()
	a.Seconds, a.CPU, a.PeakMiB, a.Count = took.Seconds, took.CPU, took.PeakMiB, int64(len(a.Millis))
	return a, failed
}

// measureGateways has two processes serve reads over one catalog while a third verifies
// every byte of every region, and prints what that does to the reads. Rounds alternate.
func measureGateways(ctx context.Context, b *backends, dir string, o options) (rows []row, err error) {
	h := b.house(filepath.Join(dir, "gateways"))
	if b.postgres == "" {
		fmt.Fprintln(os.Stderr, "bench: no PostgreSQL: the gateways share an SQLite file")
	} else if h.DSN, err = b.database(ctx); err != nil {
		return nil, err
	}
	h.AckAll = true
	fmt.Fprintf(os.Stderr, "bench: two gateways, and a verifier beside them\n")
	stored, err := once(ctx, h, task{Do: "store", Count: o.regionDocs, Parallel: o.parallel, Side: 512})
	if err != nil {
		return nil, err
	}
	h.AckAll = false
	var gateways []*worker
	for range 2 {
		w, err := startWorker(ctx, h)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, w.close()) }()
		gateways = append(gateways, w)
	}
	serve := func(seconds float64) ([]float64, error) {
		return serveReads(gateways, stored.Docs, seconds, o.readRate)
	}
	if _, err := serve(3); err != nil { // every first is slower
		return nil, err
	}
	var quiet, full, limited, verified row
	quiet.Name, full.Name = "reads, two gateways", "reads, and a full verify beside them"
	limited.Name, verified.Name = fmt.Sprintf("reads, and a verify limited to %d MB/s", verifyLimit/1_000_000), "that full verify"
	millis := make([][]float64, 3)
	for range readRounds {
		for i, limit := range []int64{-1, 0, verifyLimit} {
			var verifier *verifying
			if limit >= 0 {
				if verifier, err = beginVerifying(ctx, h, limit); err != nil {
					return nil, err
				}
			}
			took, err := serve(8)
			if verifier != nil {
				a, ended := verifier.end()
				if err = errors.Join(err, ended); err == nil && limit == 0 {
					verified.best(a)
				}
			}
			if err != nil {
				return nil, err
			}
			millis[i] = append(millis[i], took...)
		}
	}
	for i, r := range []*row{&quiet, &full, &limited} {
		r.spread(millis[i])
	}
	return []row{quiet, full, limited, verified}, nil
}

// verifyLimit is what the third row of the gateways gives a verification, in bytes a
// second.
const verifyLimit = 50_000_000

func serveReads(gateways []*worker, docs map[string]int, seconds, rate float64) (all []float64, err error) {
	for _, w := range gateways {
		if err := w.send(task{Do: "read", Docs: docs, Seconds: seconds, Rate: rate}); err != nil {
			return nil, err
		}
	}
	for _, w := range gateways {
		a, failed := w.receive()
		all, err = append(all, a.Millis...), errors.Join(err, failed)
	}
	return all, err
}

// verifying is a process that verifies, again and again, until it is told to end.
type verifying struct {
	stop func()
	done chan struct{}
	last answer
	err  error
}

func beginVerifying(ctx context.Context, h house, limit int64) (*verifying, error) {
	w, err := startWorker(ctx, h)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	v := &verifying{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(v.done)
		for ctx.Err() == nil && v.err == nil {
			v.last, v.err = w.do(task{Do: "verify", Level: vault.LevelRead, Limit: limit})
		}
		v.err = errors.Join(v.err, w.close())
	}()
	return v, nil
}

// end lets the one under way come to its end, which is the answer.
func (v *verifying) end() (answer, error) {
	v.stop()
	<-v.done
	return v.last, v.err
}

// spread fills in how long single ones took.
func (r *row) spread(millis []float64) {
	slices.Sort(millis)
	at := func(share float64) float64 { return millis[min(int(share*float64(len(millis))), len(millis)-1)] }
	r.Count, r.P50ms, r.P95ms, r.P99ms = len(millis), at(0.50), at(0.95), at(0.99)
}
