package vault

import (
	"context"
	"errors"
	"strings"
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
	Pending      int64  `json:"pending"` // copies still to be made
	Problem      string `json:"problem,omitempty"`

	Log LogStatus `json:"log"` // how much of the log it has
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
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		logs, err := tx.LogExports(ctx)
		if err != nil {
			return err
		}
		for i := range states {
			s := &states[i]
			s.Log = logStatus(logs[s.Name])
			if s.Objects, s.Bytes, s.Pending, err = tx.RegionStats(ctx, s.Name); err != nil {
				return err
			}
		}
		return nil
	})
	return states, err
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
		s.Problem = strings.TrimPrefix(s.Problem+"; key service does not answer", "; ")
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
	for _, s := range states {
		if s.Problem != "" {
			missing = append(missing, s.Name+": "+s.Problem)
		}
	}
	return len(home)-len(missing) >= v.cfg.Quorum(len(home)), missing
}
