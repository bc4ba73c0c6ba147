package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"medvault/storage"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Levels of verification. LevelRead and LevelDecrypt include LevelList.
const (
	LevelList     = "list"     // names and sizes, and what nobody put there
	LevelChecksum = "checksum" // the SHA-256 that the store itself took
	LevelRead     = "read"     // every byte
	LevelDecrypt  = "decrypt"  // every part opened with its patient's keys: pass or fail
	LevelLog      = "log"      // names and sizes against the region's own log, without the catalog; with a sample, its bytes
)

// Levels lists them.
func Levels() []string {
	return []string{LevelList, LevelChecksum, LevelRead, LevelDecrypt, LevelLog}
}

// VerifyOptions chooses what to prove.
type VerifyOptions struct {
	Level  string `json:"level"`
	Region string `json:"region,omitempty"` // "" is all
	// Sample says which objects are looked at beyond level list: "" is all, "n/t" those
	// of group n of t, so that t runs cover everything, "N" so many at random in every
	// region.
	Sample string `json:"sample,omitempty"`
	Limit  int64  `json:"limit,omitempty"` // bytes a second; 0 is none
	// Resume names a verification that was cut; it goes on where it stopped, and all
	// else here is not read.
	Resume record.ObjectID `json:"resume,omitempty"`

	Begun func(id record.ObjectID) `json:"-"` // called first, when set: by this name it can be resumed
}

// Types of findings.
const (
	FindingMissing       = "missing"
	FindingWrongSize     = "wrong-size"
	FindingDamaged       = "damaged"
	FindingWrongChecksum = "wrong-checksum" // the store's own sum is not ours
	FindingOrphan        = "orphan"         // sealed, for a day at least, and no record names it
	FindingForeign       = "foreign"        // nothing of this vault
	FindingForbidden     = "forbidden"      // where its patient's data may not lie
	FindingWrapMissing   = "wrap-missing"
	FindingWrapDamaged   = "wrap-damaged"
	FindingIndexDamaged  = "index-damaged" // the catalog's copy of an object's end
	FindingLogMissing    = "log-missing"
	FindingLogDamaged    = "log-damaged" // the region's copy of the log does not hold
	FindingUnreachable   = "unreachable"
	FindingListing       = "listing"  // the region does not list what it holds: strays there cannot be found
	FindingUnlocked      = "unlocked" // not locked as its region's terms say; from level checksum on
)

// Types of notes.
const (
	NoteYoungOrphan  = "young-orphan"  // may belong to an upload under way
	NoteNotSupported = "not-supported" // the store cannot tell: neither a pass nor a finding
	NoteUnsteady     = "unsteady"      // its bytes came wrong once, and right when they were read again
	NoteLocked       = "locked"        // superseded, and kept by a lock
)

// Finding is one thing that is not as it must be.
type Finding struct {
	Type     string `json:"type"`
	Region   string `json:"region"` // or "catalog"
	Object   string `json:"object"` // object id, or the key where there is none
	Evidence string `json:"evidence"`
	Repair   string `json:"repair"` // what would follow
}

// Note is something worth knowing that is no finding.
type Note struct {
	Type     string `json:"type"`
	Region   string `json:"region"`
	Object   string `json:"object,omitempty"`
	Evidence string `json:"evidence"`
	Count    int64  `json:"count,omitempty"` // of objects, when it is about many
}

// Coverage says how much of a region a level above list has looked at, and what that
// is worth.
type Coverage struct {
	Region  string `json:"region"`
	Objects int64  `json:"objects"` // that lie there
	Proven  int64  `json:"proven"`  // of them
	// Detection is the probability that at least one damaged object would have been
	// among those proven, had one in a thousand been damaged.
	Detection float64 `json:"detection"`
}

// Report of a verification.
type Report struct {
	ID       string           `json:"id"`
	Level    string           `json:"level"`
	Sample   string           `json:"sample,omitempty"`
	Started  time.Time        `json:"started"`
	Ended    time.Time        `json:"ended"`
	Regions  []string         `json:"regions"`
	Checked  int64            `json:"checked"` // objects and wraps
	Coverage []Coverage       `json:"coverage,omitempty"`
	Findings []Finding        `json:"findings"`
	Counts   map[string]int64 `json:"counts"`            // of findings, by type
	Omitted  int64            `json:"omitted,omitempty"` // findings that are counted and not listed
	Notes    []Note           `json:"notes,omitempty"`
	// Quarantined counts the bad bytes that repairs have put aside.
	Quarantined int64 `json:"quarantined"`
	// Signed is a note under the log's key that names this report; see CheckReport.
	Signed string `json:"signed,omitempty"`
}

// Verify compares regions with what the catalog says they hold, and names what nobody
// put there or what may not lie there. Below LevelDecrypt it touches no key; there it
// says of every object whether it opens, and nothing else. progress may be nil.
func (v *Vault) Verify(ctx context.Context, a record.Actor, o VerifyOptions, progress func(done, total int64)) (Report, error) {
	c, err := v.beginVerification(ctx, a, o, "")
	if err != nil {
		return Report{}, err
	}
	c.progress = progress
	if o.Begun != nil {
		o.Begun(record.ObjectID(c.id))
	}
	return c.run(ctx)
}

// beginVerification checks what is asked, has it permitted and written down, and makes
// it ready to run: a new one, or one that was cut.
func (v *Vault) beginVerification(ctx context.Context, a record.Actor, o VerifyOptions, schedule string) (*verification, error) {
	if o.Resume != "" {
		return v.resumeVerification(ctx, a, o.Resume, schedule)
	}
	regions, err := v.checkVerify(o)
	if err != nil {
		return nil, err
	}
	if _, err := v.perform(ctx, verifyAct(a, o.Level, "", schedule), nil); err != nil {
		return nil, err
	}
	c := &verification{v: v, id: string(record.NewObjectID()), schedule: schedule, actor: a, started: v.cfg.Now().UTC().Truncate(time.Millisecond),
		state: verifyState{Asked: o, Regions: regions, Seed: string(record.NewObjectID()), Counts: make(map[string]int64), ByRegion: make(map[string]*regionState)}}
	return c, c.prepare(ctx, true)
}

func verifyAct(a record.Actor, level string, id record.ObjectID, schedule string) act {
	what := act{Actor: a, Action: record.ActionVerify, Object: id}
	if level == LevelDecrypt {
		what.Action = record.ActionDecrypt
	}
	if schedule != "" {
		what.Origin = "schedule"
	}
	return what
}

// checkVerify refuses what cannot be asked, and names the regions.
func (v *Vault) checkVerify(o VerifyOptions) (regions []string, err error) {
	if !slices.Contains(Levels(), o.Level) {
		return nil, record.Refuse(record.ErrInvalid, "unknown-level", "level is list, checksum, read, decrypt or log")
	}
	s, err := parseSample(o.Sample)
	if err != nil {
		return nil, record.Refuse(record.ErrInvalid, "bad-sample", "sample is a number of objects, or n/t with n from 1 to t")
	}
	if o.Level == LevelList && !s.all() {
		return nil, record.Refuse(record.ErrInvalid, "bad-sample", "level list looks at everything")
	}
	if o.Limit < 0 {
		return nil, record.Refuse(record.ErrInvalid, "bad-limit", "limit is a number of bytes a second")
	}
	if o.Region == "" {
		for _, r := range v.cfg.Regions.Regions() {
			regions = append(regions, r.Name)
		}
		return regions, nil
	}
	if _, ok := v.cfg.Regions.Region(o.Region); !ok {
		return nil, record.Refuse(record.ErrInvalid, "unknown-region", "see the list of regions")
	}
	return []string{o.Region}, nil
}

// run verifies from where it stands to the end.
func (c *verification) run(ctx context.Context) (Report, error) {
	defer c.letGo()
	stop := c.v.renewLease(ctx, leaseOf(c.id), c.owner)
	defer stop()
	for c.state.At.Region < len(c.state.Regions) {
		r, ok := c.v.cfg.Regions.Region(c.state.Regions[c.state.At.Region])
		if !ok {
			return Report{}, record.Refuse(record.ErrConflict, "unknown-region", "a region of this verification is not configured any more")
		}
		if err := c.region(ctx, r); err != nil {
			return Report{}, err
		}
	}
	return c.end(ctx)
}

// end signs the report, and writes down what came of it.
func (c *verification) end(ctx context.Context) (Report, error) {
	v, at := c.v, c.v.cfg.Now().UTC().Truncate(time.Millisecond)
	var report Report
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		report, err = reportOf(ctx, tx, catalog.Verification{ID: c.id, Started: c.started, Ended: at}, &c.state)
		return err
	})
	if err != nil {
		return Report{}, err
	}
	digest, err := v.signReport(&report)
	if err != nil {
		return Report{}, err
	}
	leaf := v.leaf(verifyAct(c.actor, report.Level, record.ObjectID(c.id), c.schedule), allowed)
	leaf.Action = actionVerified
	leaf.Check = &audit.Check{Level: report.Level, Regions: report.Regions, Checked: report.Checked, Findings: report.found(), Report: digest}
	err = v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if err := tx.EndVerification(ctx, c.id, []byte(report.Signed), at); err != nil {
			return err
		}
		for _, name := range report.Regions {
			s := c.state.ByRegion[name]
			if s == nil || s.Broken {
				continue
			}
			if err := tx.SetVerified(ctx, catalog.Verified{Region: name, Level: report.Level, At: at, Checked: s.Checked, Findings: s.Findings, Verification: c.id}); err != nil {
				return err
			}
		}
		if err := tx.SweepFindings(ctx, at.Add(-keepFindings)); err != nil {
			return err
		}
		return appendLeaf(ctx, tx, leaf)
	})
	if err != nil {
		return Report{}, fmt.Errorf("end verification %s: %w", c.id, err)
	}
	return report, nil
}

const (
	// actionVerified is a verification that has ended; its beginning is a leaf of its own.
	actionVerified record.Action = "regions.verified"
	// keepFindings is how long the findings of a verification are kept one by one.
	keepFindings = 90 * 24 * time.Hour
	// maxFindings is how many findings are kept; more are only counted.
	maxFindings = 100_000
	maxNotes    = 1000
)

// found is how many findings there were, listed or not.
func (r Report) found() (n int64) {
	for _, count := range r.Counts {
		n += count
	}
	return n
}

// phase is one walk over a region, from behind a name on.
type phase struct {
	name  string
	check func(ctx context.Context, r storage.Region, after string) error
}

// region checks what is left to check of one region. A region that breaks off is a
// finding, not an error.
func (c *verification) region(ctx context.Context, r storage.Region) error {
	r.Data, r.Keys = persistent{limited{r.Data, c.limit}}, persistent{limited{r.Keys, c.limit}}
	phases := []phase{{"objects", c.objects}, {"wraps", c.wraps}, {"names", c.keyNames}}
	if c.state.Asked.Level == LevelLog {
		phases = []phase{{"log", c.byLog}}
	}
	for i, phase := range phases {
		if at := c.state.At; at.Phase != "" && at.Phase != phase.name {
			continue // done before it was cut
		}
		err := phase.check(ctx, r, c.state.At.After)
		if err == nil {
			err = c.settleStrays(ctx, r)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, errRegion) {
			c.strays = nil
			c.of(r.Name).Broken = true
			c.found(Finding{Type: FindingUnreachable, Region: r.Name, Evidence: "the region broke off", Repair: "bring the region back and verify again"})
			break
		}
		if err != nil {
			return err
		}
		if i+1 < len(phases) {
			if err := c.save(ctx, position{c.state.At.Region, phases[i+1].name, ""}); err != nil {
				return err
			}
		}
	}
	return c.save(ctx, position{Region: c.state.At.Region + 1})
}

// errRegion marks errors of a region's store, as against the catalog's.
var errRegion = errors.New("region")

func ofRegion(err error) error { return fmt.Errorf("%w: %w", errRegion, err) }
