package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"medvault/keys"
	"medvault/storage"
	"medvault/storage/replica"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Link says how much of a region one gateway's background copies may take. Uploads and
// reads are not held back.
type Link struct {
	Concurrency int   // copies and removals at once; default 4
	Bandwidth   int64 // bytes a second of the copies that go there, over any few objects; 0 is no limit
}

// lane does the copies to one region and the removals from it, so that a region that is
// down or slow stands in no other's way.
type lane struct {
	v      *Vault
	region storage.Region
	owner  string
	slots  chan struct{} // one for each job under way

	mu    sync.Mutex
	down  bool // nothing is tried before the region answers again
	tries int  // how often it has been down since a job succeeded
}

func newLane(v *Vault, r storage.Region) *lane {
	// Down, so that what failed before this gateway started does not wait any longer.
	return &lane{v: v, region: r, owner: string(record.NewObjectID()), down: true,
		slots: make(chan struct{}, cmp.Or(v.cfg.Links[r.Name].Concurrency, 4))}
}

// run works until ctx ends, and returns after its jobs have.
func (l *lane) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for ctx.Err() == nil {
		if !l.up(ctx) {
			continue
		}
		jobs, err := l.lease(ctx)
		if err != nil && ctx.Err() == nil {
			l.v.cfg.Log.Error("lease a job", "region", l.region.Name, "err", err)
		}
		for _, job := range jobs {
			running.Go(func() {
				defer func() { <-l.slots }()
				l.note(l.v.run(ctx, job, l.owner))
			})
		}
		if len(jobs) == 0 {
			wait(ctx, l.v.cfg.Poll)
		}
	}
}

// lease takes as many due jobs as there are free slots, and a slot for each.
func (l *lane) lease(ctx context.Context) ([]catalog.Job, error) {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	free := 1
	for full := false; !full; {
		select {
		case l.slots <- struct{}{}:
			free++
		default:
			full = true
		}
	}
	// What is erased, or what consent no longer covers, goes first, and from a frozen region too.
	kinds := append(regionConsentJobs(), jobErase, jobCopy, jobRemove, jobLock)
	switch {
	case l.v.regionIs(l.region.Name, catalog.RegionFrozen):
		kinds = []string{jobKeysOut, jobObjectsOut, jobErase, jobRemove}
	case l.v.expired(l.region.Name): // what was promised before waits until it is certified again
		kinds = []string{jobKeysOut, jobObjectsOut, jobErase, jobRemove, jobLock}
	}
	jobs, err := l.v.cfg.Catalog.LeaseIn(ctx, l.region.Name, kinds, free, l.v.cfg.Lease, l.owner)
	for range free - len(jobs) {
		<-l.slots
	}
	return jobs, err
}

// note takes in what came of a job.
func (l *lane) note(code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case code == "":
		l.tries = 0
	case regionTrouble(code):
		l.down = true
	}
}

// lanePause is the longest a region that was down is left alone before it is asked again.
const lanePause = 30 * time.Second

// up says whether jobs may be tried. A region that was down is asked after a pause that
// grows; when it answers, all that failed because of it is due at once.
func (l *lane) up(ctx context.Context) bool {
	l.mu.Lock()
	down, tries := l.down, l.tries
	if down {
		l.tries++
	}
	l.mu.Unlock()
	if !down {
		return true
	}
	if tries > 0 {
		pause := min(l.v.cfg.Poll<<min(tries, 10), lanePause)
		wait(ctx, pause/2+rand.N(pause/2))
	}
	s := l.v.probe(ctx, l.region)
	if ctx.Err() != nil {
		return false
	}
	err := l.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		switch {
		case !s.Reachable:
			return tx.Failed(ctx, l.region.Name, failedAway)
		case !s.KeyService:
			return tx.Failed(ctx, l.region.Name, failedKeys)
		}
		return tx.HurryRegion(ctx, l.region.Name, regionTroubles())
	})
	if err != nil && ctx.Err() == nil {
		l.v.cfg.Log.Error("note whether a region answers", "region", l.region.Name, "err", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = err != nil || !s.Reachable || !s.KeyService
	return !l.down
}

// Codes of what stood in the way of a job.
const (
	failedAway         = "away"    // the region does not answer
	failedRefused      = "refused" // it refuses us
	failedFull         = "full"
	failedClock        = "clock"
	failedKeys         = "keys" // the key service
	failedBytes        = "bytes-differ"
	failedNotPermitted = "not-permitted"
	failedOther        = "failed" // the gateway's log says what
)

// regionTroubles are the codes that tell of the region, not of one job.
func regionTroubles() []string {
	return []string{failedAway, failedRefused, failedFull, failedClock, failedKeys}
}

func regionTrouble(code string) bool {
	switch code {
	case failedAway, failedRefused, failedFull, failedClock, failedKeys:
		return true
	}
	return false
}

var errNotPermitted = errors.New("not permitted")

func failureCode(err error) string {
	for _, of := range []struct {
		err  error
		code string
	}{
		{errNotPermitted, failedNotPermitted},
		{storage.ErrFull, failedFull}, {storage.ErrDenied, failedRefused}, {storage.ErrClock, failedClock}, {storage.ErrAway, failedAway},
		{keys.ErrUnavailable, failedKeys}, {record.ErrUnavailable, failedKeys},
		{storage.ErrCorrupt, failedBytes}, {storage.ErrExist, failedBytes},
		{context.DeadlineExceeded, failedAway},
	} {
		if errors.Is(err, of.err) {
			return of.code
		}
	}
	return failedOther
}

// wrapsTime bounds how long a region and its key service may take over one patient's wraps.
const wrapsTime = time.Minute

func (v *Vault) placeWrapsInTime(ctx context.Context, k patientKeys, region string) error {
	ctx, cancel := context.WithTimeout(ctx, wrapsTime)
	defer cancel()
	return v.placeWraps(ctx, k, region)
}

// copiers are the sets of regions that bring copies to each region. Where its bandwidth
// is limited the bytes are fetched no faster, so that nothing is read to wait.
func copiers(cfg Config) (map[string]*replica.Set, error) {
	sets := make(map[string]*replica.Set)
	for _, to := range cfg.Regions.Regions() {
		sets[to.Name] = cfg.Regions
		rate := cfg.Links[to.Name].Bandwidth
		if rate == 0 {
			continue
		}
		limit, slowed := newLimiter(rate), cfg.Regions.Regions()
		for i, r := range slowed {
			if r.Name != to.Name {
				slowed[i].Data = limited{r.Data, limit}
			}
		}
		var err error
		if sets[to.Name], err = replica.New(replica.Config{Regions: slowed, Spool: cfg.Spool}); err != nil {
			return nil, fmt.Errorf("copies to %s: %w", to.Name, err)
		}
	}
	return sets, nil
}
