package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"medvault/storage"
	"medvault/vault/access"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// verification is one run over regions, under a lease, by one goroutine and its readers.
type verification struct {
	v        *Vault
	id       string
	owner    string // of the lease
	actor    record.Actor
	schedule string
	started  time.Time
	progress func(done, total int64)
	sample   sample
	limit    *limiter

	strays  []stray        // met since the last save, to be looked at again
	reading sync.WaitGroup // what readers were handed and are not done with
	buffers sync.Pool      // of readers
	since   int            // objects met since the last save
	saved   time.Time

	mu      sync.Mutex
	state   verifyState
	fresh   []Finding                // since the last save
	failed  error                    // a reader's first
	badRows map[record.ObjectID]bool // of the catalog
}

// verifyState is what a verification that was cut goes on from. It is stored as JSON.
type verifyState struct {
	Asked       VerifyOptions           `json:"asked"`
	Regions     []string                `json:"regions"`
	Seed        string                  `json:"seed"` // of the sample
	At          position                `json:"at"`
	Total       int64                   `json:"total"`
	Checked     int64                   `json:"checked"`
	Quarantined int64                   `json:"quarantined"`
	Counts      map[string]int64        `json:"counts"`
	Kept        int64                   `json:"kept"` // findings that are stored
	Notes       []Note                  `json:"notes,omitempty"`
	ByRegion    map[string]*regionState `json:"byRegion"`
}

// position is where a verification stands: everything before it is done.
type position struct {
	Region int    `json:"region"`
	Phase  string `json:"phase,omitempty"` // "" is the first
	After  string `json:"after,omitempty"`
}

// regionState counts what concerns one region.
type regionState struct {
	Total    int64 `json:"total"` // objects that lie there, when the run began
	Wraps    int64 `json:"wraps"` // likewise
	Met      int64 `json:"met"`   // objects found by name and size
	Taken    int64 `json:"taken"` // of them into the sample
	Proven   int64 `json:"proven"`
	Checked  int64 `json:"checked"`
	Findings int64 `json:"findings"`
	Mute     int64 `json:"mute"` // whose sum the store cannot tell
	Broken   bool  `json:"broken,omitempty"`
}

const (
	verifyLease = time.Minute
	saveEvery   = 5 * time.Second
	saveAfter   = 1000   // objects, when they are looked into
	saveListed  = 50_000 // when only listed, which takes about a second
)

// prepare takes the lease and counts what there is to check; fresh writes the first row.
func (c *verification) prepare(ctx context.Context, fresh bool) (err error) {
	c.owner, c.badRows, c.saved = string(record.NewObjectID()), make(map[record.ObjectID]bool), time.Now()
	if c.sample, err = parseSample(c.state.Asked.Sample); err != nil {
		return err
	}
	c.limit = newLimiter(c.state.Asked.Limit)
	if fresh {
		if err := c.count(ctx); err != nil {
			return err
		}
	}
	data, err := json.Marshal(c.state)
	if err != nil {
		return err
	}
	return c.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if fresh {
			row := catalog.Verification{ID: c.id, Schedule: c.schedule, Actor: c.actor.ID, Started: c.started, State: data}
			if err := tx.InsertVerification(ctx, row); err != nil {
				return err
			}
		}
		return tx.TakeLease(ctx, leaseOf(c.id), c.owner, verifyLease)
	})
}

func leaseOf(verification string) string { return "verification/" + verification }

// count tells what there is to check: the objects that regions hold and the wraps of
// their key services.
func (c *verification) count(ctx context.Context) error {
	return c.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		c.state.Total = 0 // a view may run again
		for _, name := range c.state.Regions {
			s := c.of(name)
			var err error
			if s.Total, _, _, err = tx.RegionStats(ctx, name); err != nil {
				return err
			}
			if s.Wraps, err = tx.CountWraps(ctx, c.v.cfg.Services[name].Name()); err != nil {
				return err
			}
			c.state.Total += s.Total + s.Wraps
		}
		return nil
	})
}

// of is the state of one region. Met, Taken and Broken belong to whoever walks the
// region, the other counts need the lock.
func (c *verification) of(region string) *regionState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.locked(region)
}

// locked is of for whoever has the lock.
func (c *verification) locked(region string) *regionState {
	s := c.state.ByRegion[region]
	if s == nil {
		s = new(regionState)
		c.state.ByRegion[region] = s
	}
	return s
}

// resumeVerification goes on with one that was cut. Ended: ErrConflict; under way
// elsewhere: ErrConflict as well.
func (v *Vault) resumeVerification(ctx context.Context, a record.Actor, id record.ObjectID, schedule string) (*verification, error) {
	var row catalog.Verification
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		row, err = tx.Verification(ctx, string(id))
		return err
	})
	if err != nil {
		return nil, notFound(err)
	}
	c := &verification{v: v, id: row.ID, schedule: schedule, actor: a, started: row.Started}
	if err := json.Unmarshal(row.State, &c.state); err != nil {
		return nil, fmt.Errorf("verification %s: %w", id, err)
	}
	if _, err := v.perform(ctx, verifyAct(a, c.state.Asked.Level, id, schedule), nil); err != nil {
		return nil, err
	}
	if !row.Ended.IsZero() {
		return nil, record.Refuse(record.ErrConflict, "verification-ended", "it has ended: read its report")
	}
	err = c.prepare(ctx, false)
	if errors.Is(err, catalog.ErrChanged) {
		return nil, record.Refuse(record.ErrConflict, "verification-running", "it is under way: wait for it, or a minute after it was cut")
	}
	return c, err
}

// letGo ends the lease, so that a verification that was cut can go on at once.
func (c *verification) letGo() { c.v.dropLease(leaseOf(c.id), c.owner) }

// advance says that everything in the region up to a key was met, and saves that now
// and then.
func (c *verification) advance(ctx context.Context, r storage.Region, phase, after string) error {
	c.since++
	enough := saveAfter
	if c.state.Asked.Level == LevelList {
		enough = saveListed
	}
	if c.since < enough && time.Since(c.saved) < saveEvery {
		return nil
	}
	return c.saveAt(ctx, r, phase, after)
}

func (c *verification) saveAt(ctx context.Context, r storage.Region, phase, after string) error {
	if err := c.drain(); err != nil {
		return err
	}
	if err := c.settleStrays(ctx, r); err != nil {
		return err
	}
	return c.save(ctx, position{c.state.At.Region, phase, after})
}

// drain waits for the readers, and returns the first error of any.
func (c *verification) drain() error {
	c.reading.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// save writes down where the verification stands. No reader is busy.
func (c *verification) save(ctx context.Context, at position) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.At = at
	from := c.state.Kept
	var found [][]byte
	for _, f := range c.fresh {
		data, err := json.Marshal(f)
		if err != nil {
			return err
		}
		found = append(found, data)
	}
	c.state.Kept += int64(len(found))
	data, err := json.Marshal(c.state)
	if err != nil {
		return err
	}
	err = c.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		// Whoever lost the lease must not write over what the next one does.
		if err := tx.TakeLease(ctx, leaseOf(c.id), c.owner, verifyLease); err != nil {
			return err
		}
		return tx.SaveVerification(ctx, c.id, data, from, found)
	})
	if err != nil {
		return fmt.Errorf("save verification: %w", err)
	}
	c.fresh, c.since, c.saved = nil, 0, time.Now()
	return nil
}

func (c *verification) found(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Counts[f.Type]++
	c.locked(f.Region).Findings++
	if c.state.Kept+int64(len(c.fresh)) < maxFindings {
		c.fresh = append(c.fresh, f)
	}
}

func (c *verification) note(n Note) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.state.Notes) < maxNotes {
		c.state.Notes = append(c.state.Notes, n)
	}
}

// fail ends the verification with a reader's error; nil is none.
func (c *verification) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
}

func (c *verification) checked(region string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Checked++
	c.locked(region).Checked++
	c.tell()
}

func (c *verification) proven(region string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.locked(region).Proven++
}

func (c *verification) mute(region string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.locked(region).Mute++
}

// spared says that one of those counted is not to be checked.
func (c *verification) spared() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Total--
	c.tell()
}

func (c *verification) quarantined() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Quarantined++
}

// tell reports the progress; c.mu is held.
func (c *verification) tell() {
	c.state.Total = max(c.state.Total, c.state.Checked) // uploads go on meanwhile
	if c.progress != nil {
		c.progress(c.state.Checked, c.state.Total)
	}
}

// reportOf is the report of a verification as its state and its findings tell it.
func reportOf(ctx context.Context, tx *catalog.Tx, row catalog.Verification, s *verifyState) (Report, error) {
	r := Report{ID: row.ID, Level: s.Asked.Level, Sample: s.Asked.Sample, Started: row.Started, Ended: row.Ended, Regions: s.Regions, Checked: s.Checked,
		Findings: []Finding{}, Counts: maps.Clone(s.Counts), Notes: slices.Clone(s.Notes), Quarantined: s.Quarantined, Signed: string(row.Report)}
	for _, name := range s.Regions {
		of := s.ByRegion[name]
		if of == nil || s.Asked.Level == LevelList || s.Asked.Level == LevelLog && s.Asked.Sample == "" {
			continue
		}
		r.Coverage = append(r.Coverage, Coverage{name, of.Met, of.Proven, Detection(of.Met, of.Proven, 0.001)})
		if of.Mute > 0 {
			r.Notes = append(r.Notes, Note{Type: NoteNotSupported, Region: name, Count: of.Mute,
				Evidence: "the store tells no SHA-256 of its own: only reading proves these"})
		}
	}
	for from := int64(0); from < s.Kept; {
		page, err := tx.VerificationFindings(ctx, row.ID, from, 1000)
		if err != nil {
			return r, err
		}
		if len(page) == 0 {
			break // swept
		}
		for _, data := range page {
			var f Finding
			if err := json.Unmarshal(data, &f); err != nil {
				return r, fmt.Errorf("findings of %s: %w", row.ID, err)
			}
			r.Findings = append(r.Findings, f)
		}
		from += int64(len(page))
	}
	r.Omitted = r.found() - int64(len(r.Findings))
	return r, nil
}

// allowed is the decision of what the vault writes down about an act that was decided
// when it began.
var allowed = access.Decision{Allow: true}
