package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"medvault/keys"
	"medvault/storage"
	"medvault/storage/replica"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/residency"
)

// A lost catalog is made anew from one region and its key service. What each table comes
// from:
//
//	patients       token: prefix of a sealed object, name of a wrap. generation: the highest
//	               of both. country: sealed (label). created_at: first commit leaf. state:
//	               erased by leaf; frozen where a record is missing
//	tombstones     their leaves, and tombstones that prove themselves, before anything else
//	erasures       the same, and house records of erasures, approvals and certificates; what
//	               no certificate ends begins again in every region
//	holds          records of types hold and hold-end
//	generations    the wraps
//	wraps          wraps/ and house/ of the region, under its own key service; those of
//	               other regions are found there, or made, when something is copied there
//	shards         nothing: they only guard a rotation that is under way
//	objects        id, class: the name. patient, generation, seal, kind: prefix. size,
//	               sha256: the bytes, compared with the commit leaf. footer: the bytes.
//	               record_type: sealed (label). created_at: the commit leaf, or sealed.
//	               superseded_by: commit leaves
//	documents      study, series, instance: mapped from the restored header. fingerprint:
//	               who. held, rules, review: facts, and records of type review. category,
//	               stored_by: sealed (label)
//	terms          the restored header, and who
//	placements     this region, because it was read; others because residency permits them
//	jobs           a copy for each other permitted region, a removal of what is superseded
//	cares          records of types care and care-end
//	regions_state  the leaves of orders about regions; a drain begins again
//	log_breaks     their leaves
//	audit_leaves   log/ of a region, as far as its newest checkpoint; audit_hashes,
//	               audit_head and audit_commits are computed from them
//
// What is not made anew, and why nothing is lost with it: read_windows (the next read has
// a leaf of its own), rederivations (their leaves remain; what is still to be done they
// are proposed for again), verifications (their leaves remain, with the sum of the
// report), locked_objects (each is found locked again when it is to be removed),
// log_exports and the other tables that say how far something is (each is
// looked up in the region, or begins again).

// RebuildConfig is what a catalog is made anew from.
type RebuildConfig struct {
	// Config of the vault. Catalog is empty, or one that a rebuild has left and no gateway
	// has used since. Regions holds the one region it is made from, Services its key
	// service. Spool must not be a gateway's.
	Config
	// Places are all regions of the vault: where objects may lie. Required.
	Places []residency.Region
	// Logs are further home regions that answer. Their logs are read, and nothing else: the
	// longest is taken, so that the new log never parts from one that goes on elsewhere.
	Logs []storage.Region
	// Abroad are foreign regions that answer. Of these only the signed heads of the log are
	// read: one beyond what the logs at home have is stated to be lost.
	Abroad []storage.Region
	// Progress is told now and then how far it is; nil: nobody.
	Progress func(RebuildProgress)
}

// RebuildProgress is how far a rebuild is.
type RebuildProgress struct {
	Phase   string
	Objects int64 // objects and records read
	Bytes   int64
}

// Rebuilt is what a rebuild came to.
type Rebuilt struct {
	Region    string     `json:"region"`
	Started   time.Time  `json:"started"`
	Seconds   float64    `json:"seconds"` // over all runs, when it was cut
	Resumed   bool       `json:"resumed"`
	Log       RebuiltLog `json:"log"`
	Size      int64      `json:"size"` // leaves of the new catalog's log
	Root      string     `json:"root"` // of it, base64
	Patients  int64      `json:"patients"`
	Documents int64      `json:"documents"`
	Records   int64      `json:"records"`
	Wraps     int64      `json:"wraps"`
	Objects   int64      `json:"objects"` // read from the region
	Bytes     int64      `json:"bytes"`
	// MinutesPer100000 objects at this pace.
	MinutesPer100000 float64 `json:"minutesPer100000"`

	Adopted    int64 `json:"adopted"`    // that no leaf named: recovered, unconfirmed
	Missing    int64 `json:"missing"`    // that the log names and this region lacks
	Unreadable int64 `json:"unreadable"` // damaged here, or without a key that opens them

	Findings []RebuildFinding `json:"findings"`
}

// RebuiltLog is what was taken over of the log. What was written after Newest is lost
// with the catalog, however much it was: no region has it.
type RebuiltLog struct {
	Region string    `json:"region"` // whose log it is; "" when there is none
	Size   int64     `json:"size"`   // leaves
	Root   string    `json:"root"`   // of them, base64, as the region's checkpoint says
	Newest time.Time `json:"newest,omitzero"`
	// Lost are the heads in foreign regions that cover leaves which no log at home has.
	Lost []audit.LostHead `json:"lost,omitempty"`
}

// Types of a RebuildFinding.
const (
	RebuildAdopted      = "adopted"            // no leaf names it, it verifies, and it was taken in
	RebuildLostHere     = "lost-here"          // the log says that this region was to hold it
	RebuildElsewhere    = "elsewhere"          // the log names it, and never promised it to this region
	RebuildDamaged      = "damaged"            // its bytes are not those that the log names
	RebuildUnreadable   = "unreadable"         // nothing here opens it
	RebuildTwin         = "twin"               // the same original is known under another id
	RebuildSameInstance = "same-instance"      // another document has the same SOP Instance UID; both are kept
	RebuildEarlier      = "earlier-version"    // what the log says stands in its place is not here: it is taken back
	RebuildErased       = "erased"             // of a patient who was erased: left where it is, not taken in
	RebuildFrozen       = "frozen"             // a patient of whom a record is missing
	RebuildTombstone    = "tombstone-unproven" // says that a patient was erased, and no leaf does
	RebuildForeign      = "foreign"            // no name of ours
	RebuildListing      = "listing"            // the region's listing left out what lies there
)

// RebuildFinding is one thing that is not as the log or the region says.
type RebuildFinding struct {
	Type     string              `json:"type"`
	Region   string              `json:"region"`
	Object   string              `json:"object"` // object id; a patient's token, or another name, where it is about none
	Class    string              `json:"class,omitempty"`
	Patient  record.PatientToken `json:"patient,omitempty"`
	Promised []string            `json:"promised,omitempty"` // regions that the log says were to hold it
	Evidence string              `json:"evidence"`
	Repair   string              `json:"repair,omitempty"`
}

// Lacks says whether the finding is about something that did not come back.
func (f RebuildFinding) Lacks() bool {
	switch f.Type {
	case RebuildAdopted, RebuildTwin, RebuildEarlier, RebuildErased, RebuildForeign: // what is lost is named itself
		return false
	}
	return true
}

// Errors of a rebuild that does not begin.
var (
	// ErrCatalogInUse: the catalog is another one's, or has been used since it was made.
	ErrCatalogInUse = errors.New("the catalog is not empty")
	// ErrNoHouseKeys: the region is none of the vault's home regions, or has lost its keys.
	ErrNoHouseKeys = errors.New("the region holds no house keys")
	// ErrListing: the region does not list something that it holds. Begin again when it does.
	ErrListing = errors.New("the region's listing is not whole")
)

// Actions of a rebuild's leaves.
const (
	ActionRecovered record.Action = "recovered-unconfirmed" // of an object that no leaf named
	ActionReturned  record.Action = "object.returned"       // of one whose successor was lost
	ActionFrozen    record.Action = "patient.frozen"
	ActionThawed    record.Action = "patient.thawed"
	ActionErased    record.Action = "patient.erased"
	ActionRebuilt   record.Action = "catalog.rebuilt"
)

const originRebuild = "rebuild"

// Rebuild makes a catalog anew from one region and its key service. Nothing is written
// into the region. When it is cut the same call goes on where it was. It returns what it
// found; an error says that it has not come to its end.
func Rebuild(ctx context.Context, cfg RebuildConfig) (Rebuilt, error) {
	r, err := beginRebuild(ctx, cfg)
	if err != nil {
		return Rebuilt{}, fmt.Errorf("rebuild: %w", err)
	}
	return r.run(ctx)
}

func (r *rebuild) run(ctx context.Context) (Rebuilt, error) {
	steps := []rebuildStep{
		{"log", r.importLog},
		{"leaves", r.readLeaves},
		{"lost heads", r.stateLost},
		{"wraps", r.takeWraps},
		// Documents before records, which speak of them.
		{"objects", func(ctx context.Context) error { return r.takeObjects(ctx, catalog.ClassObjects) }},
		{"records", func(ctx context.Context) error { return r.takeObjects(ctx, catalog.ClassRecords) }},
		{"objects again", func(ctx context.Context) error { return r.takeAgain(ctx, catalog.ClassObjects) }},
		{"records again", func(ctx context.Context) error { return r.takeAgain(ctx, catalog.ClassRecords) }},
		// What is in its place goes before what another superseded, and what a leaf names
		// before what none does.
		{"leaving", func(ctx context.Context) error { return r.takeWaiting(ctx, rebuildLeaving) }},
		{"unconfirmed", func(ctx context.Context) error { return r.takeWaiting(ctx, rebuildUnconfirmed) }},
		{"settle", r.settle},
		{"missing", r.nameMissing},
	}
	begun := max(0, slices.IndexFunc(steps, func(s rebuildStep) bool { return s.phase == r.at.Phase }))
	for _, s := range steps[begun:] {
		if s.phase != r.at.Phase {
			if err := r.turn(ctx, s.phase); err != nil {
				return Rebuilt{}, fmt.Errorf("rebuild: %w", err)
			}
		}
		if err := s.run(ctx); err != nil {
			return Rebuilt{}, errors.Join(fmt.Errorf("rebuild, %s: %w", s.phase, err), r.keep(context.WithoutCancel(ctx)))
		}
	}
	return r.end(ctx)
}

type rebuildStep struct {
	phase string
	run   func(context.Context) error
}

// rebuild is one run.
type rebuild struct {
	v       *Vault
	cfg     RebuildConfig
	from    storage.Region
	service keys.Wrapper
	at      catalog.Rebuild
	state   rebuildState
	resumed bool
	began   time.Time // this run

	houseRecords bool // the region has their key
}

// rebuildState is what a cut rebuild needs to know beside its place.
type rebuildState struct {
	Log     RebuiltLog `json:"log"`
	Objects int64      `json:"objects"`
	Bytes   int64      `json:"bytes"`
	Seconds float64    `json:"seconds"` // of earlier runs

	Orders map[string]regionOrder `json:"orders,omitempty"` // by region, as the log's leaves say
}

// beginRebuild looks whether the catalog may be written, and gets the house keys.
func beginRebuild(ctx context.Context, cfg RebuildConfig) (*rebuild, error) {
	regions := cfg.Regions.Regions()
	if len(regions) != 1 || len(cfg.Places) == 0 {
		return nil, errors.New("one region to make the catalog from, and the places of all, are required")
	}
	from := regions[0]
	if from.Jurisdiction != cfg.Home {
		return nil, fmt.Errorf("%w: region %s lies abroad", ErrNoHouseKeys, from.Name)
	}
	r := &rebuild{cfg: cfg, from: from, service: cfg.Services[from.Name], began: time.Now()}
	if err := r.find(ctx); err != nil {
		return nil, err
	}
	if err := r.takeHouse(ctx); err != nil {
		return nil, err
	}
	// From here on nothing is written to the region.
	from.Data, from.Keys = unwritten{persistent{from.Data}}, unwritten{persistent{from.Keys}}
	set, err := replica.New(replica.Config{Regions: []storage.Region{from}, Spool: cfg.Spool})
	if err != nil {
		return nil, err
	}
	cfg.Config.Regions, r.from = set, from
	cfg.Linger = time.Millisecond // nobody is reading
	if r.v, err = assemble(ctx, cfg.Config); err != nil {
		return nil, err
	}
	if r.houseRecords {
		if err := r.v.loadRecordsKey(ctx); err != nil {
			return nil, err
		}
	}
	return r, r.v.intents.close() // nothing is placed anywhere
}

// find finds where an earlier run was cut, or begins.
func (r *rebuild) find(ctx context.Context) error {
	return r.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		all, err := tx.Rebuilds(ctx)
		if err != nil {
			return err
		}
		for _, b := range all {
			switch {
			case b.Ended.IsZero() && b.Region == r.from.Name:
				r.at, r.resumed = b, true
				return json.Unmarshal(b.State, &r.state)
			case b.Ended.IsZero():
				return fmt.Errorf("%w: a rebuild from region %s has not ended", ErrCatalogInUse, b.Region)
			}
		}
		if err := r.unused(ctx, tx, len(all) > 0); err != nil {
			return err
		}
		r.at = catalog.Rebuild{Region: r.from.Name, Started: time.Now(), State: []byte("{}")}
		return errors.Join(tx.ForgetRebuild(ctx, r.from.Name), tx.SetRebuild(ctx, r.at))
	})
}

// unused refuses a catalog that holds more than rebuilds have brought into it.
func (r *rebuild) unused(ctx context.Context, tx *catalog.Tx, rebuilt bool) error {
	blank, err := tx.Blank(ctx)
	if err != nil || blank {
		return err
	}
	if rebuilt { // completed from one more region, as long as the last leaf is a rebuild's
		head, err := r.cfg.Catalog.LogHead(ctx)
		if err != nil {
			return err
		}
		leaves, err := r.cfg.Catalog.LogLeaves(ctx, head.Size-1, 1)
		if err != nil {
			return err
		}
		waiting, err := r.cfg.Catalog.LogWaiting(ctx)
		if err != nil {
			return err
		}
		if len(leaves) == 1 && waiting == 0 {
			if last, err := audit.ParseLeaf(leaves[0].Data); err == nil && last.Action == ActionRebuilt {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: a rebuild needs an empty one", ErrCatalogInUse)
}

// turn goes on to a phase.
func (r *rebuild) turn(ctx context.Context, phase string) error {
	r.at.Phase, r.at.Position = phase, ""
	return r.keep(ctx)
}

// keep writes down how far it is.
func (r *rebuild) keep(ctx context.Context) error {
	return r.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return r.note(ctx, tx, r.at.Position) })
}

// note is keep within the transaction that has brought it to a position.
func (r *rebuild) note(ctx context.Context, tx *catalog.Tx, position string) error {
	state := r.state
	state.Seconds += time.Since(r.began).Seconds()
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	at := r.at
	at.Position, at.State = position, data
	return tx.SetRebuild(ctx, at)
}

func (r *rebuild) tell() {
	if r.cfg.Progress != nil {
		r.cfg.Progress(RebuildProgress{Phase: r.at.Phase, Objects: r.state.Objects, Bytes: r.state.Bytes})
	}
}

// takeHouse takes the region's house keys into the catalog. A vault that has never kept
// a house record may lack the key of these.
func (r *rebuild) takeHouse(ctx context.Context) error {
	for _, name := range append(slices.Clone(houseNames), houseRecords) {
		newest, listed, err := newestHouseWrap(ctx, persistent{r.from.Keys}, r.from, r.service, name)
		if name == houseRecords && errors.Is(err, ErrNoHouseKeys) {
			continue
		}
		if err != nil {
			return err
		}
		if !listed { // then what else?
			return fmt.Errorf("%w: region %s: %s", ErrListing, r.from.Name, newest.Wrap.Key(newest.Binding))
		}
		if err := r.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.TakeWrap(ctx, newest) }); err != nil {
			return err
		}
		r.houseRecords = name == houseRecords
	}
	return nil
}

// maxWrap bounds a wrap in bytes.
const maxWrap = 64 << 10

// readWrap reads a wrap's blob from a region.
func readWrap(ctx context.Context, r storage.Region, row catalog.WrapRow) (string, error) {
	body, err := (persistent{r.Keys}).Get(ctx, row.Wrap.Key(row.Binding), 0, -1)
	if err != nil {
		return "", fmt.Errorf("read wrap from region %s: %w", r.Name, err)
	}
	defer body.Close() // reading: everything that counts was said by Read
	blob, err := io.ReadAll(io.LimitReader(body, maxWrap+1))
	if err == nil && len(blob) > maxWrap {
		err = storage.ErrCorrupt
	}
	if err != nil {
		return "", fmt.Errorf("read wrap from region %s: %w", r.Name, err)
	}
	return string(blob), nil
}

// patient writes what is found of a patient. The house is none.
func (r *rebuild) patient(ctx context.Context, tx *catalog.Tx, token record.PatientToken, change func(*catalog.Patient), seen time.Time) error {
	if token == record.House {
		return nil
	}
	p, _, err := tx.EnsurePatient(ctx, catalog.Patient{Token: token, Generation: 1, State: catalog.Active, Country: r.cfg.Home, Created: seen})
	if err != nil {
		return err
	}
	now := p
	if change(&now); now == p {
		return nil
	}
	return tx.UpdatePatient(ctx, now)
}

// objectOf is the row that a commit leaf tells of.
func objectOf(l audit.Leaf) catalog.Object {
	class := catalog.ClassObjects
	if l.Commit.Kind == record.KindRecord {
		class = catalog.ClassRecords
	}
	return catalog.Object{ID: l.Object, Class: class, Patient: l.Patient, Generation: l.Commit.Generation, Seal: l.Commit.Seal,
		Kind: l.Commit.Kind, Size: l.Commit.Size, SHA256: l.Commit.SHA256, Created: l.Time}
}

// found writes a finding down.
func (r *rebuild) found(ctx context.Context, tx *catalog.Tx, key string, f RebuildFinding) error {
	f.Region = r.from.Name
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return tx.AddRebuildFinding(ctx, r.from.Name, catalog.RebuildFinding{Key: key, Type: f.Type, Patient: f.Patient, Data: data})
}

// takeWraps takes the region's wraps of patients into the catalog.
func (r *rebuild) takeWraps(ctx context.Context) error {
	return r.pages(ctx, r.from.Keys.List(ctx, "wraps/", r.at.Position), func(ctx context.Context, infos []storage.Info) (func(*catalog.Tx) error, error) {
		rows := make([]catalog.WrapRow, len(infos))
		err := r.each(ctx, len(infos), func(ctx context.Context, i int) (err error) {
			b, w, ok := parseWrapKey(infos[i].Key)
			if !ok {
				return nil
			}
			row := catalog.WrapRow{Binding: b, Service: r.service.Name(), Wrap: w}
			if row.Blob, err = readWrap(ctx, r.from, row); errors.Is(err, storage.ErrNotExist) {
				return nil
			}
			rows[i] = row
			return err
		})
		return func(tx *catalog.Tx) error {
			for _, row := range rows {
				if err := r.takeWrap(ctx, tx, row); err != nil {
					return err
				}
			}
			return nil
		}, err
	})
}

func (r *rebuild) takeWrap(ctx context.Context, tx *catalog.Tx, row catalog.WrapRow) error {
	token, err := record.ParsePatientToken(row.Token)
	if row.Blob == "" || err != nil {
		return nil // a name of nobody's; verify finds it
	}
	if dead, err := tx.Dead(ctx, token, row.Generation); err != nil || dead {
		return err
	}
	raise := func(p *catalog.Patient) { p.Generation = max(p.Generation, row.Generation) }
	if err := r.patient(ctx, tx, token, raise, r.v.cfg.Now()); err != nil {
		return err
	}
	return tx.TakeWrap(ctx, row)
}

// end writes the last leaf and sums up.
func (r *rebuild) end(ctx context.Context) (done Rebuilt, err error) {
	r.state.Seconds += time.Since(r.began).Seconds()
	done = Rebuilt{Region: r.from.Name, Started: r.at.Started.UTC(), Resumed: r.resumed, Seconds: r.state.Seconds, Log: r.state.Log,
		Objects: r.state.Objects, Bytes: r.state.Bytes, Findings: []RebuildFinding{}}
	if done.Objects > 0 {
		done.MinutesPer100000 = done.Seconds / 60 * 100_000 / float64(done.Objects)
	}
	if err := r.gather(ctx, &done); err != nil {
		return done, err
	}
	if done.Log.Lost, _, err = r.v.breaks(ctx); err != nil {
		return done, err
	}
	report, err := json.Marshal(done)
	if err != nil {
		return done, err
	}
	sum := sha256.Sum256(report)
	leaf := r.leaf(ActionRebuilt)
	leaf.Check = &audit.Check{Level: originRebuild, Regions: []string{r.from.Name}, Checked: done.Objects, Findings: int64(len(done.Findings)), Report: hex.EncodeToString(sum[:])}
	err = r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		r.at.Phase, r.at.Position, r.at.Ended = "done", "", time.Now()
		r.at.State = []byte("{}")
		if err := errors.Join(tx.SetRebuild(ctx, r.at), r.applyOrders(ctx, tx)); err != nil {
			return err
		}
		return appendLeaf(ctx, tx, leaf)
	})
	if err != nil {
		return done, fmt.Errorf("rebuild: %w", err)
	}
	if err := r.v.log.Flush(ctx); err != nil {
		return done, fmt.Errorf("rebuild: %w", err)
	}
	head, err := r.v.cfg.Catalog.LogHead(ctx)
	if err != nil {
		return done, err
	}
	tree, err := audit.OpenCheckpoint(head.Checkpoint, r.v.logKey)
	done.Size, done.Root = tree.N, tree.Hash.String()
	return done, err
}

// gather counts what the catalog holds and collects the findings.
func (r *rebuild) gather(ctx context.Context, done *Rebuilt) error {
	return r.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		n, err := tx.Count(ctx)
		if err != nil {
			return err
		}
		done.Patients, done.Documents, done.Records, done.Wraps = n.Patients, n.Documents, n.Records, n.Wraps
		done.Findings = done.Findings[:0]
		done.Adopted, done.Missing, done.Unreadable = 0, 0, 0
		for after := (catalog.RebuildFinding{}); ; {
			page, err := tx.RebuildFindings(ctx, r.from.Name, "", after, 1000)
			if err != nil || len(page) == 0 {
				return err
			}
			after = page[len(page)-1]
			for _, row := range page {
				var f RebuildFinding
				if err := json.Unmarshal(row.Data, &f); err != nil {
					return err
				}
				switch f.Type {
				case RebuildAdopted:
					done.Adopted++
				case RebuildLostHere, RebuildElsewhere:
					done.Missing++
				case RebuildDamaged, RebuildUnreadable:
					done.Unreadable++
				}
				done.Findings = append(done.Findings, f)
			}
		}
	})
}

// leaf begins a leaf of the rebuild's own.
func (r *rebuild) leaf(action record.Action) audit.Leaf {
	return audit.Leaf{Time: r.v.cfg.Now(), Actor: "medvault", Role: record.RoleOperator, Purpose: record.PurposeSystem,
		Action: action, Decision: audit.Allow, Origin: originRebuild}
}

// ErrRebuildCut: the catalog was not made to its end, and knows only a part.
var ErrRebuildCut = errors.New("the catalog is not whole: its rebuild was cut")

// checkRebuilt refuses to begin on a catalog that is made only in part.
func (v *Vault) checkRebuilt(ctx context.Context) error {
	return v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		all, err := tx.Rebuilds(ctx)
		for _, r := range all {
			if r.Ended.IsZero() {
				return fmt.Errorf("%w: go on with medvault rebuild --from %s", ErrRebuildCut, r.Region)
			}
		}
		return err
	})
}
