package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"medvault/keys/envelope"
	"medvault/storage"
	"medvault/storage/replica"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/residency"
)

// Drilled is what a drill came to: how long it takes to come back from one region, and
// that what comes back can be read.
type Drilled struct {
	Rebuild Rebuilt           `json:"rebuild"`
	Sampled int               `json:"sampled"` // documents that were opened whole
	Failed  []record.ObjectID `json:"failed"`  // of them, that did not restore to what came in
	Seconds float64           `json:"seconds"` // all of it
	// Signed is a note under the log's key that names this report; see CheckDrill.
	Signed string `json:"signed,omitempty"`
}

// Lacks counts what would not have come back.
func (d Drilled) Lacks() (n int) {
	for _, f := range d.Rebuild.Findings {
		if f.Lacks() {
			n++
		}
	}
	return n + len(d.Failed)
}

// ActionDrill is the leaf of a drill on schedule.
const ActionDrill record.Action = "drill.done"

// Drill makes a catalog anew from one region in a scratch place below the spool, opens a
// sample of documents whole, and takes the scratch place away. It writes nothing into the
// region, and touches no other catalog: cfg.Catalog is not read.
func Drill(ctx context.Context, cfg RebuildConfig, sample int) (d Drilled, err error) {
	began := time.Now()
	scratch, err := os.MkdirTemp(cfg.Spool, "drill-")
	if err != nil {
		return d, fmt.Errorf("drill: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	index, err := catalog.Open(ctx, catalog.Config{DSN: "sqlite:" + filepath.Join(scratch, "catalog.db"), Now: cfg.Now})
	if err != nil {
		return d, fmt.Errorf("drill: %w", err)
	}
	defer func() { err = errors.Join(err, index.Close()) }()
	cfg.Catalog, cfg.Spool = index, scratch
	r, err := beginRebuild(ctx, cfg)
	if err != nil {
		return d, fmt.Errorf("drill: %w", err)
	}
	if d.Rebuild, err = r.run(ctx); err != nil {
		return d, fmt.Errorf("drill: %w", err)
	}
	if err := r.openSample(ctx, sample, &d); err != nil {
		return d, fmt.Errorf("drill: %w", err)
	}
	d.Seconds = time.Since(began).Seconds()
	return d, r.v.signDrill(&d)
}

// openSample restores documents and compares them with what is sealed of the originals.
func (r *rebuild) openSample(ctx context.Context, n int, d *Drilled) error {
	d.Failed = []record.ObjectID{}
	if n <= 0 {
		return nil
	}
	var sample []catalog.Document
	err := r.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		sample, err = tx.Sample(ctx, n)
		return err
	})
	if err != nil {
		return err
	}
	for _, doc := range sample {
		err := r.openWhole(ctx, doc)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if d.Sampled++; err != nil {
			r.v.cfg.Log.Error("drill: a document does not come back", "object", doc.ID, "err", err)
			d.Failed = append(d.Failed, doc.ID)
		}
	}
	return nil
}

func (r *rebuild) openWhole(ctx context.Context, doc catalog.Document) error {
	k, err := r.v.openKeys(ctx, catalog.Patient{Token: doc.Patient, Generation: doc.Generation})
	if err != nil {
		return err
	}
	o, err := r.v.open(ctx, doc.Object, k, record.ViewOriginal)
	if err != nil {
		return err
	}
	var w who
	if err := readPart(ctx, o, envelope.Who, &w); err != nil {
		return err
	}
	sum, err := hex.DecodeString(w.SHA256)
	if err != nil || len(sum) != sha256.Size {
		return errNotWhole
	}
	return restoresTo(ctx, o, w.Size, [32]byte(sum))
}

// DrillEvery is the schedule of drills.
type DrillEvery struct {
	Every   time.Duration // 0: never
	Region  string
	Sample  int
	Reports string // directory where reports are kept; "" keeps their sum in the log only
}

// drillOnSchedule drills when it is due until ctx ends. Of several gateways one does it.
func (v *Vault) drillOnSchedule(ctx context.Context, e DrillEvery) {
	for {
		if err := v.drillWhenDue(ctx, e); err != nil && ctx.Err() == nil {
			v.cfg.Log.Error("drill on schedule", "region", e.Region, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(scheduleTick, v.cfg.Poll*15)):
		}
	}
}

func (v *Vault) drillWhenDue(ctx context.Context, e DrillEvery) error {
	lease, owner := "drill/"+e.Region, string(record.NewObjectID())
	var s catalog.VerifySchedule
	due := false
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
		if s, err = tx.VerifySchedule(ctx, lease); err != nil {
			return err
		}
		if due = !v.cfg.Now().Before(s.Next); !due {
			return nil
		}
		return tx.TakeLease(ctx, lease, owner, verifyLease)
	})
	if errors.Is(err, catalog.ErrChanged) || err == nil && !due {
		return nil // another gateway does it, or nobody need
	}
	if err != nil {
		return err
	}
	defer v.dropLease(lease, owner)
	stop := v.renewLease(ctx, lease, owner)
	defer stop()
	// The next is due from now on, so that one that fails is not begun again at once.
	s.Next, s.Runs = v.cfg.Now().Add(e.Every), s.Runs+1
	if err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.SetVerifySchedule(ctx, s) }); err != nil {
		return err
	}
	return v.drillNow(ctx, e)
}

// drillNow drills, keeps the report and writes the leaf.
func (v *Vault) drillNow(ctx context.Context, e DrillEvery) error {
	cfg, err := v.rebuildConfig(e.Region)
	if err != nil {
		return err
	}
	began := v.cfg.Now().UTC()
	d, err := Drill(ctx, cfg, e.Sample)
	if err != nil {
		return err
	}
	report, err := d.File()
	if err != nil {
		return err
	}
	digest, err := d.digest()
	if err != nil {
		return err
	}
	if e.Reports != "" {
		if err := os.MkdirAll(e.Reports, 0o700); err != nil {
			return err
		}
		name := filepath.Join(e.Reports, fmt.Sprintf("drill-%s-%s.json", e.Region, began.Format("20060102T150405Z")))
		if err := os.WriteFile(name, report, 0o600); err != nil {
			return err
		}
	}
	if n := d.Lacks(); n > 0 {
		v.cfg.Log.Error("drill: not everything would come back", "region", e.Region, "findings", n)
	}
	leaf := audit.Leaf{Time: v.cfg.Now(), Actor: "medvault", Role: record.RoleOperator, Purpose: record.PurposeSystem, Action: ActionDrill,
		Decision: audit.Allow, Check: &audit.Check{Level: "drill", Regions: []string{e.Region}, Checked: d.Rebuild.Objects,
			Findings: int64(d.Lacks()), Report: digest}}
	return v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return appendLeaf(ctx, tx, leaf) })
}

// rebuildConfig is what a drill of this vault needs.
func (v *Vault) rebuildConfig(region string) (cfg RebuildConfig, err error) {
	r, ok := v.cfg.Regions.Region(region)
	if !ok {
		return cfg, fmt.Errorf("no region %s", region)
	}
	cfg.Config = v.cfg
	if cfg.Config.Regions, err = replica.New(replica.Config{Regions: []storage.Region{r}, Spool: v.cfg.Spool}); err != nil {
		return cfg, err
	}
	for _, r := range v.cfg.Regions.Regions() {
		cfg.Places = append(cfg.Places, residency.Region{Name: r.Name, Jurisdiction: r.Jurisdiction})
	}
	return cfg, nil
}
