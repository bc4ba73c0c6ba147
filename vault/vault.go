// Package vault is the front door: every act on a patient's documents passes here.
//
// Two flows. Put (put.go) stores: the identity is taken out of a document, both
// halves are sealed under that patient's keys, the sealed object is placed in the
// permitted regions and recorded. Open (open.go) returns: what lies under a name is
// found, the guard decides which view the actor gets, and the bytes come back from
// the nearest healthy region. Everything else asks about documents (find.go), says
// who treats whom (care.go), proves what the regions hold (verify.go), or keeps
// promises made earlier (jobs.go). Every act passes the guard (guard.go).
package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"medvault/imaging"
	"medvault/keys"
	"medvault/keys/token"
	"medvault/storage/replica"
	"medvault/vault/access"
	"medvault/vault/atna"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/residency"
	"medvault/vault/retention"
	"medvault/vault/workday"
)

// Config is what a Vault is made of. Parts go in finished: the caller opens and
// closes them, and closes them only after the Vault's Run has returned.
type Config struct {
	Catalog   *catalog.Catalog                 // required
	Regions   *replica.Set                     // required
	Services  map[string]keys.Wrapper          // required: key service by region name; regions may share one
	Scrubbers map[record.Kind]imaging.Scrubber // required: one for each kind of document that is taken
	Access    *access.Engine                   // required
	Home      string                           // required: ISO 3166 code of the home jurisdiction
	Spool     string                           // required: directory for ciphertext too large for memory
	Quorum    func(permitted int) int          // how many regions must hold a document before it is acknowledged; default the majority, at least two where there are two
	Render    Render                           // draws frames for those who review; without it there are no previews
	Registers residency.Registers              // whom patients' data may go to abroad, and who may be given them; default nobody
	AutoCare  string                           // dev only: the clinician who treats every new patient; "" is nobody
	CareFrom  CareFromDICOM                    // which physicians of a document treat its patient; default none
	Links     map[string]Link                  // by region: how much of it background copies may take
	Terms     map[string]RegionTerms           // by region: its role, its lock and by what it is certified
	Workers   int                              // jobs about no region that are done at once; default 4
	Poll      time.Duration                    // how often an idle worker looks for work; default 1 s
	Lease     time.Duration                    // how long a job is one gateway's after its last word; default 3 min
	LogExport time.Duration                    // how often the log goes to the regions; default 1 min, negative: only when asked to
	Linger    time.Duration                    // how long a superseded object stays for those who are reading it; default 30 s
	Verify    []VerifyEvery                    // what to verify without being asked, and how often
	Log       *slog.Logger                     // default: discarded
	Now       func() time.Time                 // default time.Now
	Drill     DrillEvery                       // how often it is tried whether everything would come back; default never
	Gateway   Gateway                          // which gateway this is; default nameless, and its starts leave no leaf
	ATNA      *atna.Receiver                   // audit record repository that is given every leaf; default none

	InsecureActors bool // only for tests of something else: no register is asked, everybody is who they say

	RenderPage RenderPage // draws pages for those who review; without it there are no previews of them

	Attachments Attachments // what becomes of files found inside documents; default AttachmentsStore

	Calendar *workday.Calendar // of working days; default workday.China()
	Alarms   AlarmConfig       // how people are told what they have to look at
	Officer  Officer           // whom patients and authorities reach

	Retention retention.Table // until when documents are kept; default retention.Default()
	KeyLife   time.Duration   // how long an unwrapped key may stay in memory; default 5 min

	ContentOnly bool // this gateway has the content keys alone: it serves the de-identified view and nothing else

	Uncertified bool // dev only: a region without a certification is nothing to be warned of
}

// Vault is the front door. Build it with New; safe for concurrent use.
type Vault struct {
	cfg     Config
	id      string
	intents *intents
	tokens  *token.Tokens
	log     *audit.Sequencer
	signer  *audit.Signer // of the log and of reports
	logKey  note.Verifier
	logVKey string   // the same in text
	records keys.DEK // of house records
	deks    *dekCache
	fresh   freshKeys
	windows *windows
	spools  *spools
	held    *placedWraps
	copiers map[string]*replica.Set // by region: what brings copies there
	counts  regionCounts
	states  atomic.Pointer[map[string]catalog.RegionState] // by region, as last read
	zone    *time.Location                                 // in which the days are counted at home
	grownUp atomic.Pointer[string]                         // the day on which it was last looked who has come of age
	names   sync.Map                                       // record.ObjectID of an entry of the register → []string, see namesOf
	cared   sync.Map                                       // dev only: record.PatientToken → true, of patients somebody treats or has treated

	credentialKey keys.DEK // of pseudonyms in the log; zero in a gateway of content keys alone
}

// readWindow is how long one leaf stands for repeated reads of the same object by
// the same actor for the same purpose in the same view.
const readWindow = 15 * time.Minute

// New checks the parts, loads the house keys (making them when both catalog and
// regions are empty) and returns a vault that can decide, store and open. A catalog
// whose log is not the one that the regions hold is refused: ErrCatalogBehind,
// ErrLogForked. Run keeps the vault's promises in the background.
func New(ctx context.Context, cfg Config) (*Vault, error) {
	v, err := assemble(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := checkTerms(cfg); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	if cfg.ContentOnly {
		return v, nil // it takes nothing away, and has nothing to compare a log with
	}
	// Before anything is taken away: what a catalog that was put back does not know of
	// may have been acknowledged.
	if err := errors.Join(v.checkLogs(ctx), v.checkRebuilt(ctx), v.checkLocks(ctx)); err != nil {
		return nil, err
	}
	// Each waits for a region that hangs as long as it may; they do so together.
	records := make(chan error, 1)
	go func() { records <- v.loadRecordsKey(ctx) }()
	if err := errors.Join(v.obeyTombstones(ctx), <-records); err != nil {
		return nil, err
	}
	return v, v.recover(ctx)
}

// assemble is New up to where a vault first acts.
func assemble(ctx context.Context, cfg Config) (*Vault, error) {
	if cfg.Catalog == nil || cfg.Regions == nil || cfg.Access == nil || len(cfg.Scrubbers) == 0 || cfg.Home == "" || cfg.Spool == "" {
		return nil, errors.New("vault: Catalog, Regions, Scrubbers, Access, Home and Spool are required")
	}
	for _, r := range cfg.Regions.Regions() {
		if cfg.Services[r.Name] == nil {
			return nil, fmt.Errorf("vault: region %s has no key service", r.Name)
		}
	}
	if cfg.Quorum == nil {
		cfg.Quorum = majority
	}
	if err := cfg.Registers.Check(); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	for i, e := range cfg.Verify {
		if err := e.Check(); err != nil {
			return nil, fmt.Errorf("vault: verification %d: %w", i, err)
		}
	}
	if cfg.Retention.Version == "" {
		cfg.Retention = retention.Default()
	}
	cfg.KeyLife = cmp.Or(cfg.KeyLife, dekTTL)
	cfg.Workers = cmp.Or(cfg.Workers, 4)
	cfg.Poll = cmp.Or(cfg.Poll, time.Second)
	cfg.Lease = cmp.Or(cfg.Lease, 3*time.Minute)
	cfg.Linger = cmp.Or(cfg.Linger, 30*time.Second)
	cfg.LogExport = cmp.Or(cfg.LogExport, time.Minute)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Calendar == nil {
		cfg.Calendar = workday.China()
	}
	cfg.Alarms.Every = cmp.Or(cfg.Alarms.Every, time.Minute)
	v := &Vault{cfg: cfg, deks: newDEKCache(cfg.Now, cfg.KeyLife), windows: newWindows(cfg.Now), spools: newSpools(cfg.Spool), held: new(placedWraps)}
	var err error
	if v.zone, err = zoneOf(cfg.Home); err != nil {
		return nil, err
	}
	if v.copiers, err = copiers(cfg); err != nil {
		return nil, err
	}
	if v.intents, err = newIntents(cfg.Spool); err != nil {
		return nil, err
	}
	if cfg.ContentOnly {
		return v, v.withoutHouse()
	}
	house, err := v.loadHouse(ctx)
	if err != nil {
		return nil, err
	}
	if v.id, err = identityOf(house[houseLog]); err != nil {
		return nil, err
	}
	if v.tokens, err = token.New(house[houseToken], house[houseIndex]); err != nil {
		return nil, err
	}
	if v.credentialKey, err = credentialKeyOf(house[houseLog]); err != nil {
		return nil, err
	}
	signer, err := audit.NewSigner("medvault", house[houseLog].Bytes())
	if err != nil {
		return nil, err
	}
	v.signer = signer
	v.logKey, v.logVKey = signer.Verifier(), signer.VerifierKey()
	v.log, err = audit.NewSequencer(audit.SequencerConfig{Tree: cfg.Catalog, Signer: signer, Now: cfg.Now,
		Report: func(err error) { cfg.Log.Error("append to the log", "err", err) }})
	return v, err
}

// ID names this vault: 32 hex digits that tell nothing, the same for every gateway of
// one vault and for as long as its house keys last.
func (v *Vault) ID() string { return v.id }

// majority of the permitted regions, at least two where there are two.
func majority(permitted int) int { return min(permitted, max(2, permitted/2+1)) }

// Run keeps the vault's promises until ctx ends: it appends pending leaves to the
// log and makes the copies that uploads left to be made. It returns after its
// workers have.
func (v *Vault) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, v.intents.close()) }()
	if v.cfg.ContentOnly {
		v.watchStates(ctx)
		return nil
	}
	if err := v.writeStart(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.writeStop(ctx)) }() // after everything below has ended
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := v.meetRegions(ctx); err != nil {
		return err
	}
	wg.Go(func() { v.watchStates(ctx) })
	for range v.cfg.Workers {
		wg.Go(func() { v.work(ctx) })
	}
	for _, r := range v.cfg.Regions.Regions() {
		wg.Go(func() { newLane(v, r).run(ctx) })
	}
	wg.Go(func() { v.tidy(ctx) })
	for _, e := range v.cfg.Verify {
		wg.Go(func() { v.verifyOnSchedule(ctx, e) })
	}
	if v.cfg.Drill.Every > 0 {
		wg.Go(func() { v.drillOnSchedule(ctx, v.cfg.Drill) })
	}
	wg.Go(func() { v.exportLogs(ctx) })
	wg.Go(func() { v.watchClocks(ctx) })
	if v.cfg.ATNA != nil {
		wg.Go(func() { v.forwardLog(ctx, *v.cfg.ATNA) })
	}
	return v.log.Run(ctx)
}

// Ready says whether the vault can store and open now, and names the home regions,
// key services and the catalog that do not answer. With a quorum of regions it is
// ready although some are missing.
func (v *Vault) Ready(ctx context.Context) (ready bool, missing []string) {
	ready, missing = v.health(ctx)
	if err := v.cfg.Catalog.Ping(ctx); err != nil {
		return false, append(missing, "catalog")
	}
	return ready, missing
}
