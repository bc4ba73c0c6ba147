package vault

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"medvault/storage"
	"medvault/vault/audit"
	"medvault/vault/catalog"
)

// Errors of a start that would go on where the regions say something else happened.
var (
	// ErrCatalogBehind: a region holds more of the log than the catalog, as after a
	// restore of the catalog.
	ErrCatalogBehind = errors.New("the catalog is older than a region")
	// ErrLogForked: a region holds another log, signed with the same key.
	ErrLogForked = errors.New("the catalog's log and a region's differ")
)

// startTimeout bounds how long a start waits for a region's log; each export looks again.
const startTimeout = 10 * time.Second

// checkLogs refuses to begin on a catalog whose log is not the one that the home regions
// hold. A region that does not answer is passed over.
func (v *Vault) checkLogs(ctx context.Context) error {
	regions := v.homeRegions()
	errs := make([]error, len(regions))
	var wg sync.WaitGroup
	for i, r := range regions {
		wg.Go(func() { errs[i] = v.checkLog(ctx, r) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (v *Vault) checkLog(ctx context.Context, r storage.Region) error {
	looking, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	there, err := v.regionLog(looking, r)
	if err == nil {
		err = audit.CompareRegion(looking, v.cfg.Catalog, v.logKey, there)
	}
	switch {
	case err == nil, errors.Is(err, audit.ErrNoLog):
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, audit.ErrAhead):
		return fmt.Errorf("%w: region %s: %w; take over what it has with `medvault audit import --from %s`, or make a new catalog with `medvault rebuild --from %s`",
			ErrCatalogBehind, r.Name, err, r.Name, r.Name)
	case errors.Is(err, audit.ErrForked):
		return fmt.Errorf("%w: region %s: %w; find out which is the true one, and make a new catalog with `medvault rebuild --from REGION` from a region that has it",
			ErrLogForked, r.Name, err)
	}
	v.cfg.Log.Warn("region's log not compared", "region", r.Name, "err", err)
	return nil
}

// RegionLog is what a check of the log found in one region.
type RegionLog struct {
	Region string `json:"region"`
	Size   int64  `json:"size"` // leaves of its newest checkpoint; 0: none
	// Problem is what keeps it from being a beginning of the log; or that it could not
	// be looked at, and then it is no finding.
	Problem string `json:"problem,omitempty"`
	Finding bool   `json:"finding"`
	// Cosigned are the checkpoints there that verifiers with keys of their own have signed
	// too, as their lines say: Cosignature.Check proves it.
	Cosigned []audit.Cosignature `json:"cosigned,omitempty"`
}

// compareLogs compares every region's newest checkpoint with the catalog's log.
func (v *Vault) compareLogs(ctx context.Context) ([]RegionLog, error) {
	var exports map[string]catalog.LogExport
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		exports, err = tx.LogExports(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	regions := v.cfg.Regions.Regions()
	logs := make([]RegionLog, len(regions))
	var wg sync.WaitGroup
	for i, r := range regions {
		wg.Go(func() { logs[i] = v.compareLog(ctx, r, exports[r.Name].Size) })
	}
	wg.Wait()
	return logs, ctx.Err()
}

func (v *Vault) compareLog(ctx context.Context, r storage.Region, exported int64) RegionLog {
	ctx, cancel := context.WithTimeout(ctx, regionTimeout)
	defer cancel()
	l := RegionLog{Region: r.Name}
	there, err := v.regionLog(ctx, r)
	if there != nil {
		l.Size = there.Size
	}
	switch {
	case errors.Is(err, audit.ErrNoLog):
		err = nil
	case err == nil:
		err = audit.CompareRegion(ctx, v.cfg.Catalog, v.logKey, there)
	}
	if err == nil && l.Size < exported {
		err = fmt.Errorf("%w: it has %d leaves, had %d", errRegionLost, l.Size, exported)
	}
	if err == nil {
		l.Cosigned, err = v.cosigned(ctx, r)
	}
	switch {
	case err == nil:
	case errors.Is(err, audit.ErrAhead), errors.Is(err, audit.ErrForked), errors.Is(err, errRegionLost):
		l.Problem, l.Finding = err.Error(), true
	default:
		v.cfg.Log.Warn("region's log not compared", "region", r.Name, "err", err)
		l.Problem = "the region's log could not be read"
	}
	return l
}
