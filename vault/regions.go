package vault

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"medvault/storage"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// RegionStatus is what the vault knows of one region.
type RegionStatus struct {
	Name         string `json:"name"`
	Jurisdiction string `json:"jurisdiction"`
	Reachable    bool   `json:"reachable"`
	KeyService   bool   `json:"keyService"` // it can wrap and unwrap now
	Objects      int64  `json:"objects"`    // the catalog says it holds
	Bytes        int64  `json:"bytes"`
	Problem      string `json:"problem,omitempty"`

	Role          RegionRole           `json:"role"`
	Lock          LockStatus           `json:"lock"`
	Certification *CertificationStatus `json:"certification,omitempty"` // left out: none is on record
	Warnings      []string             `json:"warnings,omitempty"`      // what is no problem yet

	State string      `json:"state"` // "active", "frozen", "draining" or "drained"
	Since *time.Time  `json:"since,omitempty"`
	Walk  *RegionWalk `json:"walk,omitempty"` // left out: never

	// What it was promised and does not hold yet.
	Pending      int64   `json:"pending"`
	PendingBytes int64   `json:"pendingBytes"`
	RPO          float64 `json:"rpoSeconds"` // age of the oldest of it: what would be lost with all other regions; 0 when it holds all

	// Clearing counts the jobs that take away what may not lie there any more, because
	// consent was withdrawn or another object stands in its place.
	Clearing int64 `json:"clearing"`

	Lag        Lag    `json:"lag"`
	Failures   int64  `json:"failures"`             // attempts to copy or remove that failed in the last hour
	LastFailed string `json:"lastFailed,omitempty"` // why the last did, within a day

	Verified []RegionVerified `json:"verified"` // the last verification of each level; empty: never
	Log      LogStatus        `json:"log"`      // how much of the log it has
}

// Lag is how long it took, in seconds, from the promise of a copy to its placement: of
// the last Count within 24 hours, at most 10,000. Half took P50 or less.
type Lag struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50Seconds"`
	P95   float64 `json:"p95Seconds"`
	P99   float64 `json:"p99Seconds"`
}

const (
	lagSpan  = 24 * time.Hour
	lagCount = 10_000
)

func lagOf(took []time.Duration) Lag {
	if len(took) == 0 {
		return Lag{}
	}
	slices.Sort(took)
	at := func(percent int) float64 { return took[(len(took)*percent+99)/100-1].Seconds() }
	return Lag{Count: len(took), P50: at(50), P95: at(95), P99: at(99)}
}

// Regions tells the state of every region.
func (v *Vault) Regions(ctx context.Context, a record.Actor) ([]RegionStatus, error) {
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionRegions}, nil); err != nil {
		return nil, err
	}
	return v.State(ctx)
}

// State is Regions for monitoring: as Ready it asks no actor and writes no leaf.
func (v *Vault) State(ctx context.Context) ([]RegionStatus, error) {
	regions := v.cfg.Regions.Regions()
	states := make([]RegionStatus, len(regions))
	var wg sync.WaitGroup
	for i, r := range regions {
		wg.Go(func() { states[i] = v.probe(ctx, r) })
	}
	wg.Wait()
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		logs, err := tx.LogExports(ctx)
		if err != nil {
			return err
		}
		verified, err := tx.LastVerified(ctx)
		if err != nil {
			return err
		}
		orders, err := tx.RegionStates(ctx)
		if err != nil {
			return err
		}
		for i := range states {
			s := &states[i]
			s.Log = logStatus(logs[s.Name])
			s.tellState(orders[s.Name])
			s.tellTerms(v)
			s.Verified = verifiedOf(verified, s.Name)
			if err := v.recall(ctx, tx, s); err != nil {
				return err
			}
		}
		return nil
	})
	return states, err
}

// rpoAlarm is how far a region may be behind without being unwell.
const rpoAlarm = 15 * time.Minute

// recall fills in what the catalog knows of a region.
func (v *Vault) recall(ctx context.Context, tx *catalog.Tx, s *RegionStatus) (err error) {
	if s.Objects, s.Bytes, err = v.counts.of(ctx, tx, s.Name); err != nil {
		return err
	}
	waiting, err := tx.Waiting(ctx, s.Name)
	if err != nil {
		return err
	}
	s.Pending, s.PendingBytes = waiting.Objects, waiting.Bytes
	now := v.cfg.Now()
	if s.RPO = 0; !waiting.Oldest.IsZero() {
		s.RPO = max(now.Sub(waiting.Oldest), time.Millisecond).Seconds()
	}
	if s.RPO > rpoAlarm.Seconds() {
		s.add("region is behind")
	}
	took, err := tx.Lags(ctx, s.Name, now.Add(-lagSpan), lagCount)
	if err != nil {
		return err
	}
	s.Lag = lagOf(took)
	if s.Clearing, err = tx.DueJobs(ctx, s.Name, jobKeysOut, jobObjectsOut, jobRemove); err != nil {
		return err
	}
	if err := s.recallLocks(ctx, tx); err != nil {
		return err
	}
	s.Failures, s.LastFailed, err = tx.Failures(ctx, s.Name)
	return err
}

func verifiedOf(all []catalog.Verified, region string) []RegionVerified {
	of := []RegionVerified{}
	for _, one := range all {
		if one.Region == region {
			of = append(of, RegionVerified{Region: one.Region, Level: one.Level, At: one.At, Checked: one.Checked, Findings: one.Findings})
		}
	}
	return of
}

// regionCounts keeps how much lies in each region: all rows of it are counted, so that
// with millions of them it is not done for every scrape.
type regionCounts struct {
	mu    sync.Mutex
	known map[string]regionCount
}

type regionCount struct {
	objects, bytes int64
	until          time.Time
}

// countCheap is how long counting may take to be done every time; what takes longer is
// done in a twentieth of the time at most.
const countCheap = 50 * time.Millisecond

func (c *regionCounts) of(ctx context.Context, tx *catalog.Tx, region string) (objects, bytes int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	began := time.Now()
	if k := c.known[region]; began.Before(k.until) {
		return k.objects, k.bytes, nil
	}
	objects, bytes, _, err = tx.RegionStats(ctx, region)
	if err != nil {
		return 0, 0, err
	}
	if took := time.Since(began); took > countCheap {
		if c.known == nil {
			c.known = make(map[string]regionCount)
		}
		c.known[region] = regionCount{objects, bytes, time.Now().Add(20 * took)}
	}
	return objects, bytes, nil
}

// probeTimeout bounds how long a region or key service may take to answer a probe.
const probeTimeout = 3 * time.Second

// probe asks a region and its key service for a sign of life.
func (v *Vault) probe(ctx context.Context, r storage.Region) RegionStatus {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	s := RegionStatus{Name: r.Name, Jurisdiction: r.Jurisdiction, Reachable: true, KeyService: true}
	for _, bucket := range []storage.Store{r.Data, r.Keys} {
		if _, err := bucket.Head(ctx, "probe/none"); err != nil && !errors.Is(err, storage.ErrNotExist) {
			s.Reachable, s.Problem = false, "region does not answer"
		}
	}
	if err := v.cfg.Services[r.Name].Health(ctx); err != nil {
		s.KeyService = false
		s.add("key service does not answer")
	}
	return s
}

// health says whether enough home regions with their key services answer to store
// and open, and names those that do not.
func (v *Vault) health(ctx context.Context) (ready bool, missing []string) {
	home := v.homeRegions()
	states := make([]RegionStatus, len(home))
	var wg sync.WaitGroup
	for i, r := range home {
		wg.Go(func() { states[i] = v.probe(ctx, r) })
	}
	wg.Wait()
	var now []string // where an upload would be placed
	well := 0
	for _, s := range states {
		if v.expired(s.Name) {
			s.add("certification has expired")
		}
		if s.Problem != "" {
			missing = append(missing, s.Name+": "+s.Problem)
		}
		if !v.takes(s.Name) || len(v.counting(v.notFrozen([]string{s.Name}))) == 0 {
			continue // nothing waits for it
		}
		if now = append(now, s.Name); s.Problem == "" {
			well++
		}
	}
	return v.enough(now) == nil && well >= v.cfg.Quorum(len(now)), missing
}
