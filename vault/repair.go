package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"medvault/storage"
	"medvault/storage/replica"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// RepairOptions chooses what to mend.
type RepairOptions struct {
	Level  string          `json:"level,omitempty"`  // of the verification before it; default LevelRead
	Region string          `json:"region,omitempty"` // "" is all
	Object record.ObjectID `json:"object,omitempty"` // only this one; "" is all
	DryRun bool            `json:"dryRun,omitempty"` // tell what would be done, and do nothing
}

// Outcomes of a repair.
const (
	OutcomeRepaired    = "repaired"
	OutcomeQuarantined = "quarantined" // put aside; two persons delete it
	OutcomeRemoved     = "removed"     // from where it may not lie
	OutcomeLeft        = "left"        // for a person
	OutcomeFailed      = "failed"
	OutcomePlanned     = "planned" // a dry run
)

// RepairStep is what was done about one finding.
type RepairStep struct {
	Finding
	Outcome string `json:"outcome"`
	Detail  string `json:"detail,omitempty"`
}

// RepairReport says what a repair found and did.
type RepairReport struct {
	Verification string       `json:"verification,omitempty"` // whose findings these are; "" for one object
	Level        string       `json:"level"`
	DryRun       bool         `json:"dryRun"`
	Regions      []string     `json:"regions"`
	Checked      int64        `json:"checked"`
	Steps        []RepairStep `json:"steps"`
	Left         int64        `json:"left"` // findings that are still there
}

// Repair verifies, and mends what it finds: objects are copied from a region whose bytes
// are right, and the bad ones kept until the new ones were read back; wraps are put back
// once they are seen to open; what nobody recorded is put aside; what may not lie where
// it lies is removed there. Every step is a leaf. One repair runs at a time; findings
// beyond those that a report lists are for the next.
func (v *Vault) Repair(ctx context.Context, a record.Actor, o RepairOptions, progress func(done, total int64)) (RepairReport, error) {
	if o.Level == "" {
		o.Level = LevelRead
	}
	regions, err := v.checkVerify(VerifyOptions{Level: o.Level, Region: o.Region})
	if err != nil {
		return RepairReport{}, err
	}
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionRepair, Object: o.Object}, nil); err != nil {
		return RepairReport{}, err
	}
	if !o.DryRun {
		done, err := v.onlyOne(ctx, "repair")
		if err != nil {
			return RepairReport{}, err
		}
		defer done()
	}
	report := RepairReport{Level: o.Level, DryRun: o.DryRun, Regions: regions, Steps: []RepairStep{}}
	found, omitted, err := v.toRepair(ctx, a, o, &report, progress)
	if err != nil {
		return report, err
	}
	report.Left = omitted
	for _, f := range found {
		if ctx.Err() != nil {
			return report, ctx.Err()
		}
		step := v.repair(ctx, a, f, o.DryRun)
		if slices.Contains([]string{OutcomeLeft, OutcomeFailed, OutcomePlanned}, step.Outcome) {
			report.Left++
		}
		report.Steps = append(report.Steps, step)
	}
	return report, nil
}

// onlyOne takes the lease of what only one may do at a time.
func (v *Vault) onlyOne(ctx context.Context, name string) (done func(), err error) {
	owner := string(record.NewObjectID())
	err = v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.TakeLease(ctx, name, owner, verifyLease) })
	if errors.Is(err, catalog.ErrChanged) {
		return nil, record.Refuse(record.ErrConflict, name+"-running", "another one is under way: wait for it, or a minute after it was cut")
	}
	if err != nil {
		return nil, err
	}
	stop := v.renewLease(ctx, name, owner)
	return func() { stop(); v.dropLease(name, owner) }, nil
}

// toRepair finds what is to be mended, freshly.
func (v *Vault) toRepair(ctx context.Context, a record.Actor, o RepairOptions, report *RepairReport, progress func(done, total int64)) (found []Finding, omitted int64, err error) {
	if o.Object != "" {
		found, err := v.examine(ctx, o, report.Regions)
		report.Checked = int64(len(report.Regions))
		return found, 0, err
	}
	verified, err := v.Verify(ctx, a, VerifyOptions{Level: o.Level, Region: o.Region}, progress)
	report.Verification, report.Checked = verified.ID, verified.Checked
	return verified.Findings, verified.Omitted, err
}

// examine verifies one object in some regions.
func (v *Vault) examine(ctx context.Context, o RepairOptions, regions []string) ([]Finding, error) {
	var e catalog.Account
	var placed map[string]bool
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		row, err := tx.Object(ctx, o.Object)
		if err != nil {
			return notFound(err)
		}
		e = catalog.Account{Object: row, Leaves: row.SupersededBy != ""}
		p, err := tx.Patient(ctx, row.Patient)
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		e.Country = p.Country
		placed, err = tx.Placements(ctx, row.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	c := &verification{v: v, badRows: make(map[record.ObjectID]bool),
		state: verifyState{Asked: VerifyOptions{Level: o.Level}, Counts: make(map[string]int64), ByRegion: make(map[string]*regionState)}}
	for _, name := range regions {
		r, _ := v.cfg.Regions.Region(name)
		r.Data, r.Keys = persistent{r.Data}, persistent{r.Keys}
		var promised bool
		if e.Placed, promised = placed[name]; !promised || e.Leaves {
			continue
		}
		err := c.examineIn(ctx, r, e)
		if errors.Is(err, errRegion) {
			c.found(Finding{Type: FindingUnreachable, Region: name, Object: string(e.ID), Evidence: "the region broke off", Repair: "bring the region back and try again"})
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return c.fresh, nil
}

func (c *verification) examineIn(ctx context.Context, r storage.Region, e catalog.Account) error {
	there, err := c.lookAgain(ctx, r, e)
	if err != nil || !there {
		return err
	}
	may, err := c.v.mayHold(ctx, r, e.Patient, e.Country)
	switch {
	case err != nil:
		return err
	case !may:
		return c.mustGo(ctx, r, e)
	case c.state.Asked.Level == LevelList:
		return nil
	}
	return errors.Join(c.prove(ctx, r, e), c.proveLock(ctx, r.Name, r.Data, e.Object))
}

// repair mends one finding.
func (v *Vault) repair(ctx context.Context, a record.Actor, f Finding, dryRun bool) RepairStep {
	mend, outcome := v.remedy(f)
	step := RepairStep{Finding: f, Outcome: outcome}
	switch {
	case mend == nil:
		step.Detail = f.Repair
		return step
	case dryRun:
		step.Outcome, step.Detail = OutcomePlanned, outcome
		return step
	}
	r, ok := v.cfg.Regions.Region(f.Region)
	if !ok && f.Region != regionCatalog {
		return RepairStep{f, OutcomeFailed, "the region is not configured"}
	}
	r.Data, r.Keys = persistent{r.Data}, persistent{r.Keys}
	detail, err := mend(ctx, a, r, f)
	step.Detail = detail
	if err != nil {
		v.cfg.Log.Warn("not repaired", "type", f.Type, "region", f.Region, "object", f.Object, "err", err)
		step.Outcome, step.Detail = OutcomeFailed, whyNotRepaired(err)
	}
	return step
}

// regionCatalog is the region of findings about the catalog.
const regionCatalog = "catalog"

// remedy is what mends a finding, and what has become of it then.
func (v *Vault) remedy(f Finding) (mend func(context.Context, record.Actor, storage.Region, Finding) (string, error), outcome string) {
	switch f.Type {
	case FindingMissing, FindingWrongSize, FindingDamaged, FindingWrongChecksum:
		return v.repairObject, OutcomeRepaired
	case FindingWrapMissing, FindingWrapDamaged:
		if f.Region != regionCatalog {
			return v.repairWrap, OutcomeRepaired
		}
	case FindingIndexDamaged:
		return v.repairIndex, OutcomeRepaired
	case FindingOrphan:
		return v.quarantine, OutcomeQuarantined
	case FindingForeign:
		// Of other folders a person must say what they are.
		if _, err := record.ParseObjectID(f.Object); err == nil || strings.HasPrefix(f.Object, catalog.ClassObjects+"/") || strings.HasPrefix(f.Object, catalog.ClassRecords+"/") {
			return v.quarantine, OutcomeQuarantined
		}
	case FindingUnlocked:
		return v.repairLock, OutcomeRepaired
	case FindingForbidden:
		return v.removeForbidden, OutcomeRemoved
	}
	return nil, OutcomeLeft
}

// whyNotRepaired is what may be told of an error; the log has the rest.
func whyNotRepaired(err error) string {
	var locked *storage.LockedError
	switch {
	case errors.As(err, &locked):
		return locked.Error()
	case errors.Is(err, storage.ErrNotExist), errors.Is(err, replica.ErrNoCopy):
		return replica.ErrNoCopy.Error()
	case errors.Is(err, storage.ErrExist):
		return "it has changed since it was looked at: verify again"
	case errors.Is(err, storage.ErrAway), errors.Is(err, storage.ErrFull), errors.Is(err, storage.ErrDenied):
		return "the region does not take it"
	case errors.Is(err, errMayNotLie):
		return "its patient's data may not lie there"
	}
	return "see the gateway's log"
}

var errMayNotLie = errors.New("the patient's data may not lie there")

// repairObject makes an object in a region what it must be.
func (v *Vault) repairObject(ctx context.Context, a record.Actor, r storage.Region, f Finding) (string, error) {
	o, err := v.repairable(ctx, r, record.ObjectID(f.Object))
	if err != nil {
		return "", err
	}
	if err := v.cfg.Regions.Repair(ctx, o.Key(), replica.Sum{Size: o.Size, SHA256: o.SHA256}, r.Name); err != nil {
		return "", err
	}
	if f.Type == FindingWrongChecksum {
		if sum, told, err := storage.OwnSum(ctx, r.Data, o.Key()); err != nil || told && sum != o.SHA256 {
			return "", errors.Join(errors.New("the bytes are right, and the store's own sum is not"), err)
		}
	}
	gone := false
	err = v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if gone, err = v.brought(ctx, tx, o.Patient, r, false); err != nil || gone {
			return errors.Join(err, tx.Promise(ctx, o.ID, []string{r.Name}))
		}
		if err := tx.Placed(ctx, o.ID, r.Name, v.cfg.Now()); err != nil {
			return err
		}
		if err := v.lockLater(ctx, tx, o.ID, r.Name); err != nil {
			return err
		}
		return appendLeaf(ctx, tx, v.repairLeaf(a, "object.repaired", f, o, r.Name))
	})
	if err == nil && gone {
		err = errMayNotLie
	}
	return "copied and read back", err
}

// brought is straggles for what a repair has brought to a region.
func (v *Vault) brought(ctx context.Context, tx *catalog.Tx, token record.PatientToken, r storage.Region, keysCame bool) (gone bool, err error) {
	p, err := v.owner(ctx, tx, token)
	if errors.Is(err, catalog.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return v.straggles(ctx, tx, p, r, keysCame, string(record.NewObjectID()))
}

// repairable reads an object that counts and may lie in the region.
func (v *Vault) repairable(ctx context.Context, r storage.Region, id record.ObjectID) (o catalog.Object, err error) {
	var country string
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if o, err = tx.Object(ctx, id); err != nil {
			return err
		}
		if o.SupersededBy != "" {
			return fmt.Errorf("%s is superseded: it is on its way out", id)
		}
		p, err := tx.Patient(ctx, o.Patient)
		if errors.Is(err, catalog.ErrNotFound) {
			return nil
		}
		country = p.Country
		return err
	})
	if err != nil {
		return o, err
	}
	may, err := v.mayHold(ctx, r, o.Patient, country)
	if err == nil && !may {
		err = errMayNotLie
	}
	return o, err
}

// repairLeaf says what a repair did to an object in a region, and on whose word.
func (v *Vault) repairLeaf(a record.Actor, action record.Action, f Finding, o catalog.Object, region string) audit.Leaf {
	leaf := v.stepLeaf(a, action, f)
	leaf.Patient, leaf.Object = o.Patient, o.ID
	leaf.Commit = &audit.Commit{Kind: o.Kind, Size: o.Size, SHA256: o.SHA256, Generation: o.Generation, Seal: o.Seal, Regions: []string{region}}
	return leaf
}

// stepLeaf is a step of a repair that is about no recorded object.
func (v *Vault) stepLeaf(a record.Actor, action record.Action, f Finding) audit.Leaf {
	leaf := v.leaf(act{Actor: a, Action: action, Origin: "repair"}, allowed)
	leaf.Reason = f.Type + " in " + f.Region
	if id, err := record.ParseObjectID(f.Object); err == nil {
		leaf.Object = id
	}
	return leaf
}

func (v *Vault) writeStep(ctx context.Context, leaf audit.Leaf) error {
	return v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return appendLeaf(ctx, tx, leaf) })
}
