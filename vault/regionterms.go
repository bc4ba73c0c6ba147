package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// RegionTerms are the terms on which a region is used.
type RegionTerms struct {
	Role          RegionRole    // default RolePrimary
	Lock          RegionLock    // default none
	Certification Certification // the zero value is none
	// KeySnapshots is for how long snapshots of the region's key service are kept: as long
	// as a certificate of destruction has to name a way back. 0: the vault is not told.
	KeySnapshots time.Duration
}

// RegionRole says what a region is for.
type RegionRole string

const (
	// RolePrimary takes part in every upload and counts toward the quorum. It is read
	// first.
	RolePrimary RegionRole = "primary"
	// RoleReplica takes part and counts likewise, and is read when no primary answers.
	RoleReplica RegionRole = "replica"
	// RoleArchive gets its copies by background jobs alone, never counts toward the
	// quorum, and is read last.
	RoleArchive RegionRole = "archive"
)

// RegionRoles lists them in the order in which regions are read.
func RegionRoles() []RegionRole { return []RegionRole{RolePrimary, RoleReplica, RoleArchive} }

// Certification says by what a region is certified to hold medical data, as MLPS level 3.
type Certification struct {
	Name     string
	Document string    // id, path or URL of the document
	SHA256   string    // of the document, in hex
	Expires  time.Time // from then on nothing new is placed in the region
}

func (c Certification) lastDay() string {
	return c.Expires.UTC().Add(-time.Second).Format(time.DateOnly)
}

// certificationWarning is how long before its end a certification is warned of.
const certificationWarning = 30 * 24 * time.Hour

// CertificationStatus is what the state of a region says of its certification.
type CertificationStatus struct {
	Name     string    `json:"name"`
	Document string    `json:"document"`
	SHA256   string    `json:"sha256"`
	Expires  time.Time `json:"expires"`
	Expired  bool      `json:"expired"`
}

// checkTerms refuses terms of regions that are none, and what no region may be used on.
func checkTerms(cfg Config) error {
	counting := 0
	for _, r := range cfg.Regions.Regions() {
		t := cfg.Terms[r.Name]
		if t.Role != "" && !slices.Contains(RegionRoles(), t.Role) {
			return fmt.Errorf("region %s: no such role: %s", r.Name, t.Role)
		}
		if err := t.Lock.check(r.Jurisdiction == cfg.Home); err != nil {
			return fmt.Errorf("region %s: %w", r.Name, err)
		}
		if r.Jurisdiction == cfg.Home && t.Role != RoleArchive {
			counting++
		}
	}
	if counting == 0 {
		return errors.New("every region at home is an archive: nothing could be acknowledged")
	}
	return nil
}

func (v *Vault) roleOf(region string) RegionRole {
	return cmp.Or(v.cfg.Terms[region].Role, RolePrimary)
}

// counting keeps the regions that count toward a quorum.
func (v *Vault) counting(regions []string) (names []string) {
	for _, r := range regions {
		if v.roleOf(r) != RoleArchive {
			names = append(names, r)
		}
	}
	return names
}

// byRole sorts regions by their roles, and otherwise leaves them in their order.
func (v *Vault) byRole(regions []string) []string {
	roles := RegionRoles()
	slices.SortStableFunc(regions, func(a, b string) int {
		return slices.Index(roles, v.roleOf(a)) - slices.Index(roles, v.roleOf(b))
	})
	return regions
}

// readOrder names all regions in the order in which they are read.
func (v *Vault) readOrder() (names []string) {
	for _, r := range v.cfg.Regions.Regions() {
		names = append(names, r.Name)
	}
	return v.byRole(names)
}

// expired says that a region's certification is over.
func (v *Vault) expired(region string) bool {
	c := v.cfg.Terms[region].Certification
	return !c.Expires.IsZero() && !v.cfg.Now().Before(c.Expires)
}

// takes says whether anything may be promised to a region as far as that is the region's
// own matter: what its patients' law says is residency's.
func (v *Vault) takes(region string) bool { return !v.leaving(region) && !v.expired(region) }

// errTooFew: a document would be acknowledged with fewer copies than the vault is for.
var errTooFew = errors.New("fewer than two regions may take anything new")

// enough refuses to store in a single region where more were configured: what an operator
// may not order must not happen by a date that passes either.
func (v *Vault) enough(now []string) error {
	configured := 0
	for _, r := range v.homeRegions() {
		if v.roleOf(r.Name) != RoleArchive {
			configured++
		}
	}
	if len(now) < min(2, configured) {
		return errTooFew
	}
	return nil
}

// tellTerms adds to the state of a region on what terms it is used, and what is wrong
// with them.
func (s *RegionStatus) tellTerms(v *Vault) {
	t := v.cfg.Terms[s.Name]
	s.Role = v.roleOf(s.Name)
	s.Lock.Mode, s.Lock.Days = t.Lock.mode(), t.Lock.For.Hours()/24
	c, now := t.Certification, v.cfg.Now()
	if c == (Certification{}) {
		if !v.cfg.Uncertified {
			s.warn("no certification is on record")
		}
		return
	}
	s.Certification = &CertificationStatus{Name: c.Name, Document: c.Document, SHA256: c.SHA256, Expires: c.Expires.UTC(), Expired: v.expired(s.Name)}
	switch {
	case s.Certification.Expired:
		s.add("certification expired on " + c.lastDay() + ": nothing new is placed there")
	case !c.Expires.IsZero() && c.Expires.Sub(now) < certificationWarning:
		s.warn("certification expires on " + c.lastDay())
	}
}

func (s *RegionStatus) warn(what string) { s.Warnings = append(s.Warnings, what) }

// noteLapses writes down which certifications have expired, so that what is not placed
// meanwhile comes to the region once it is certified again: at the first start with a
// certification that holds. Gateways with older configurations write it down again.
func (v *Vault) noteLapses(ctx context.Context, starting bool) error {
	var ended, renewed []string
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		ended, renewed = nil, nil
		states, err := tx.LockRegionStates(ctx)
		if err != nil {
			return err
		}
		for _, r := range v.cfg.Regions.Regions() {
			s, met := states[r.Name]
			switch expired := v.expired(r.Name); {
			case !met:
			case expired && s.Lapsed.IsZero():
				ended = append(ended, r.Name)
				err = v.lapse(ctx, tx, s)
			case !expired && !s.Lapsed.IsZero() && starting:
				renewed = append(renewed, r.Name)
				err = v.renew(ctx, tx, s)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	for _, name := range ended {
		v.cfg.Log.Warn("certification expired: nothing new is placed in the region", "region", name, "expires", v.cfg.Terms[name].Certification.Expires)
	}
	for _, name := range renewed {
		v.cfg.Log.Info("certification renewed: the region gets what it missed", "region", name)
	}
	return err
}

func (v *Vault) lapse(ctx context.Context, tx *catalog.Tx, s catalog.RegionState) error {
	s.Lapsed = v.cfg.Now()
	if err := tx.SetRegionState(ctx, s); err != nil {
		return err
	}
	return appendLeaf(ctx, tx, v.leaf(act{Actor: v.self(), Action: record.ActionRegionsManage, Origin: orderExpired + " " + s.Region}, allowed))
}

func (v *Vault) renew(ctx context.Context, tx *catalog.Tx, s catalog.RegionState) error {
	s.Lapsed = time.Time{}
	leaf := v.leaf(act{Actor: v.self(), Action: record.ActionRegionsManage, Origin: orderRenewed + " " + s.Region}, allowed)
	if err := appendLeaf(ctx, tx, leaf); err != nil {
		return err
	}
	switch s.State {
	case catalog.RegionDraining, catalog.RegionDrained:
		return tx.SetRegionState(ctx, s)
	}
	return v.beginWalk(ctx, tx, s, catalog.WalkBackfill)
}
