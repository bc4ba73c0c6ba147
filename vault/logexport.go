package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"medvault/storage"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// The log goes to the regions: every minute a signed checkpoint to each of them, and
// before it to those at home the tiles and leaves it covers, since leaves carry patient
// tokens. Once a day each region gets a signed manifest of what it must hold; one abroad,
// which has no leaves to tell it, whenever that has changed. What lies in a region
// decides how much it lacks, so one that was away or was emptied catches up by itself.

const (
	jobLogExport  = "log-export" // one for each region, for ever
	manifestEvery = 24 * time.Hour
	regionTimeout = time.Minute // for one object to be written, or a region's log to be looked at
)

// LogStatus is how far the log has got into a region.
type LogStatus struct {
	Size       int64     `json:"size"`                // leaves of the newest checkpoint there
	At         time.Time `json:"at,omitzero"`         // when the region last had all there was; zero: never
	ManifestAt time.Time `json:"manifestAt,omitzero"` // when its newest manifest was made
	Problem    string    `json:"problem,omitempty"`   // why the last try failed
}

func logStatus(e catalog.LogExport) LogStatus {
	return LogStatus{Size: e.Size, At: e.At, ManifestAt: e.ManifestAt, Problem: e.Problem}
}

// exportLogs keeps the regions' logs up to date until ctx ends. Any number of gateways
// share the work, each region's at one of them at a time; no region waits for another.
func (v *Vault) exportLogs(ctx context.Context) {
	if v.cfg.LogExport < 0 {
		return
	}
	owner := string(record.NewObjectID())
	var running sync.WaitGroup
	defer running.Wait()
	for {
		jobs, err := v.leaseLogExports(ctx, owner, false)
		if err != nil && ctx.Err() == nil {
			v.cfg.Log.Error("export the log", "err", err)
		}
		for _, job := range jobs {
			running.Go(func() { _ = v.runLogExport(ctx, job, owner, false) }) // logged and kept there
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(v.cfg.LogExport / 10):
		}
	}
}

// leaseLogExports takes the exports that are due; with hurry all that wait.
func (v *Vault) leaseLogExports(ctx context.Context, owner string, hurry bool) ([]catalog.Job, error) {
	regions := v.cfg.Regions.Regions()
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		for _, r := range regions {
			if err := tx.Enqueue(ctx, catalog.Job{Kind: jobLogExport, Key: r.Name}); err != nil {
				return err
			}
		}
		if hurry {
			return tx.Hurry(ctx, jobLogExport)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return v.cfg.Catalog.Lease(ctx, []string{jobLogExport}, len(regions), v.cfg.Lease, owner)
}

// runLogExport does one region's export and makes it due again.
func (v *Vault) runLogExport(ctx context.Context, job catalog.Job, owner string, snapshot bool) error {
	r, ok := v.cfg.Regions.Region(job.Key)
	if !ok { // a region that was here once
		return v.cfg.Catalog.Finish(ctx, job, owner, nil)
	}
	held, stop := v.keepLease(ctx, job, owner)
	err := v.exportLog(held, r, snapshot)
	stop()
	if err != nil && ctx.Err() == nil {
		v.cfg.Log.Warn("log not exported", "region", r.Name, "err", err)
	}
	next := v.cfg.Now().Add(max(v.cfg.LogExport, 0))
	if err := v.cfg.Catalog.Retry(context.WithoutCancel(ctx), job, owner, next, ""); err != nil && !errors.Is(err, catalog.ErrChanged) {
		v.cfg.Log.Error("put a log export back", "region", r.Name, "err", err)
	}
	return err
}

// ActionLogRepair is the leaf of files of the log that were put right in a region.
const ActionLogRepair record.Action = "log.repaired"

// ExportLog brings every region's log up to date now and gives each a new manifest. What
// it finds lost or damaged of the log there it puts right: what each file must hold is
// known from the signed tree, and the bad bytes are kept as Store.Repair says. The error
// names each region that did not get all, or had lost something.
func (v *Vault) ExportLog(ctx context.Context, a record.Actor) error {
	if _, err := v.perform(ctx, act{Actor: a, Action: record.ActionRepair}, nil); err != nil {
		return err
	}
	if err := v.log.Flush(ctx); err != nil {
		return unavailable("log", err)
	}
	left := make(map[string]bool)
	for _, r := range v.cfg.Regions.Regions() {
		left[r.Name] = true
	}
	var mu sync.Mutex
	var without []string
	var errs []error
	for owner := string(record.NewObjectID()); len(left) > 0; {
		jobs, err := v.leaseLogExports(ctx, owner, true)
		if err != nil {
			return unavailable("catalog", err)
		}
		var running sync.WaitGroup
		for _, job := range jobs {
			delete(left, job.Key)
			running.Go(func() {
				if err := v.runLogExport(ctx, job, owner, true); err != nil {
					mu.Lock()
					defer mu.Unlock()
					without = append(without, job.Key)
					errs = append(errs, fmt.Errorf("export the log to region %s: %w", job.Key, err))
				}
			})
		}
		running.Wait()
		if len(jobs) > 0 {
			continue
		}
		select { // another gateway is at it
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	if len(errs) == 0 {
		return nil
	}
	slices.Sort(without)
	told := record.Refuse(record.ErrUnavailable, "log-not-exported", "not well with the log in "+strings.Join(without, ", ")+"; the state of the regions says more")
	return fmt.Errorf("%w: %w", told, errors.Join(errs...))
}

// exportLog brings one region's log up to date and notes how that went.
func (v *Vault) exportLog(ctx context.Context, r storage.Region, snapshot bool) error {
	var e catalog.LogExport
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		all, err := tx.LogExports(ctx)
		e = all[r.Name]
		return err
	})
	if err != nil {
		return err
	}
	e.Region = r.Name
	x := &logExporter{v: v, r: r, atHome: r.Jurisdiction == v.cfg.Home, state: &e, repair: snapshot}
	x.get, x.list = bucketFiles(r.Data)
	began := v.cfg.Now()
	if x.lost, err = v.lostHeads(ctx, r.Name); err != nil {
		return err
	}
	failed := x.export(ctx, snapshot)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e.Problem = logProblem(failed); failed == nil {
		e.At = began
	}
	return errors.Join(failed, v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.SetLogExport(ctx, e) }))
}

// logProblem says in a few words why a region's log is not what it must be.
func logProblem(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, audit.ErrAhead):
		return "the region's log is ahead of the catalog's: the catalog was put back"
	case errors.Is(err, audit.ErrForked):
		return "the region's log and the catalog's differ"
	case errors.Is(err, errRegionLost):
		return "the region had lost a part of its log, and has it again"
	case errors.Is(err, storage.ErrExist):
		return "other bytes lie in the region where the log belongs"
	case errors.Is(err, storage.ErrFull):
		return "the region is full"
	case errors.Is(err, storage.ErrDenied):
		return "the region refuses to be written to"
	}
	return "the log did not get to the region"
}

// errRegionLost: a region has less of the log than it was seen to have.
var errRegionLost = errors.New("the region has lost a part of its log")

// logExporter brings one region's log up to date.
type logExporter struct {
	v      *Vault
	r      storage.Region
	atHome bool
	state  *catalog.LogExport
	repair bool        // put right what lies there with other bytes
	lost   []tlog.Tree // heads there that are known to be lost
	mended int         // how often that was
	get    func(ctx context.Context, key string) (io.ReadCloser, error)
	list   func(ctx context.Context, prefix string) iter.Seq2[string, error]
}

func (x *logExporter) export(ctx context.Context, snapshot bool) error {
	there, err := x.compared(ctx)
	if err != nil {
		return err
	}
	head, err := x.v.cfg.Catalog.LogHead(ctx)
	if err != nil || head.Size == 0 {
		return err
	}
	tree, err := audit.OpenCheckpoint(head.Checkpoint, x.v.logKey)
	if err != nil {
		return fmt.Errorf("log head: %w", err)
	}
	var lost error
	if there < x.state.Size { // it gets it again, and whoever watches hears of it
		lost = fmt.Errorf("%w: it has %d leaves, had %d", errRegionLost, there, x.state.Size)
	}
	if there < tree.N {
		if err := x.grow(ctx, tree, there, head.Checkpoint); err != nil {
			return err
		}
	}
	x.state.Size = tree.N
	due := snapshot || x.v.cfg.Now().Sub(x.state.ManifestAt) >= manifestEvery
	if due && x.atHome {
		n, err := audit.ExportMissing(ctx, x.v.cfg.Catalog, tree, x.list, x.put)
		if err != nil {
			return err
		}
		if n > 0 {
			lost = errors.Join(lost, fmt.Errorf("%w: %d tiles", errRegionLost, n))
		}
	}
	if snapshot && x.atHome {
		if err := x.mend(ctx, tree); err != nil {
			return err
		}
	}
	if due || !x.atHome && x.state.Manifest < tree.N {
		if err := x.manifest(ctx, tree, due); err != nil {
			return err
		}
	}
	return errors.Join(lost, x.sayMended(ctx))
}

// mend reads the region's whole log, and writes it whole again when that does not hold.
func (x *logExporter) mend(ctx context.Context, tree tlog.Tree) error {
	there, err := x.v.regionLog(ctx, x.r)
	if err != nil {
		return err
	}
	for _, err = range there.Leaves(ctx, 0) {
		if err != nil {
			break
		}
	}
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return audit.ExportTiles(ctx, x.v.cfg.Catalog, tree, 0, x.put)
}

// sayMended writes down that files were put right.
func (x *logExporter) sayMended(ctx context.Context) error {
	if x.mended == 0 {
		return nil
	}
	leaf := audit.Leaf{Time: x.v.cfg.Now(), Actor: "medvault", Role: record.RoleOperator, Purpose: record.PurposeSystem, Action: ActionLogRepair,
		Decision: audit.Allow, Reason: fmt.Sprintf("%d files of region %s", x.mended, x.r.Name)}
	err := x.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return appendLeaf(ctx, tx, leaf) })
	return errors.Join(fmt.Errorf("%w: %d files were damaged", errRegionLost, x.mended), err)
}

// grow brings a region from a size of the log to that of tree.
func (x *logExporter) grow(ctx context.Context, tree tlog.Tree, from int64, checkpoint []byte) error {
	if x.atHome {
		if err := audit.ExportTiles(ctx, x.v.cfg.Catalog, tree, from, x.put); err != nil {
			return err
		}
	}
	// After every tile it covers, or a reader would miss some.
	if err := x.put(ctx, audit.CheckpointKey(tree.N), checkpoint); err != nil {
		return err
	}
	// Only now: until then the older parts are what the newest checkpoint needs.
	return x.tidy(ctx, func(ctx context.Context) ([]string, error) {
		return audit.LapsedCheckpoints(ctx, tree.N, x.list, x.v.logDay)
	})
}

// compared tells how many leaves the region's newest checkpoint covers, after comparing
// it with the catalog's log.
func (x *logExporter) compared(ctx context.Context) (size int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, regionTimeout)
	defer cancel()
	there, err := x.v.regionLog(ctx, x.r)
	if errors.Is(err, audit.ErrNoLog) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if len(there.Strange) > 0 {
		x.v.cfg.Log.Warn("checkpoints in a region that this vault has not signed", "region", x.r.Name, "names", there.Strange)
	}
	return there.Size, audit.CompareRegion(ctx, x.v.cfg.Catalog, x.v.logKey, there)
}

// put writes one small object of the log. The same bytes again are success.
func (x *logExporter) put(ctx context.Context, key string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, regionTimeout)
	defer cancel()
	body := storage.Body{ReaderAt: bytes.NewReader(data), Size: int64(len(data)), SHA256: sha256.Sum256(data), Hashed: true}
	err := x.r.Data.Put(ctx, key, body)
	lost := x.ofLostHead(key)
	if !errors.Is(err, storage.ErrExist) || !x.repair && !lost {
		return err
	}
	bad, err := x.r.Data.Head(ctx, key)
	if err != nil {
		return err
	}
	if err := x.r.Data.Repair(ctx, key, bad, body); err != nil {
		return err
	}
	if !lost {
		x.mended++
	}
	return nil
}

// ofLostHead says whether a key is where a lost head may lie: what the log that goes on
// has of that size comes in its place.
func (x *logExporter) ofLostHead(key string) bool {
	return slices.ContainsFunc(x.lost, func(head tlog.Tree) bool {
		return key == audit.CheckpointKey(head.N) || key == audit.ManifestKey(head.N)
	})
}

// manifest writes what the region must hold as of tree, which was read before: what
// changes from now on is in the leaves behind it. Unless it is due one that says nothing
// new is not written.
func (x *logExporter) manifest(ctx context.Context, tree tlog.Tree, due bool) error {
	reading, cancel := context.WithTimeout(ctx, regionTimeout)
	defer cancel()
	before, err := audit.ReadManifest(reading, x.r.Name, x.get, x.list, x.v.logKey, x.lost...)
	known := make(map[string]bool)
	switch {
	case errors.Is(err, audit.ErrNoManifest):
		before, due = new(audit.RegionManifest), true
	case err != nil:
		return err
	}
	for _, p := range before.Pages {
		known[p.Key()] = !due // once a day each page is looked after
	}
	m, err := audit.WritePages(ctx, x.r.Name, tree, x.promised(ctx), func(ctx context.Context, key string, data []byte) error {
		if known[key] {
			return nil
		}
		return x.put(ctx, key, data)
	})
	if err != nil {
		return err
	}
	if before.Tree.N != tree.N && (due || !m.SameObjects(before.Manifest)) {
		signed, err := x.v.signer.Manifest(m)
		if err != nil {
			return err
		}
		// After its pages.
		if err := x.put(ctx, audit.ManifestKey(tree.N), signed); err != nil {
			return err
		}
		err = x.tidy(ctx, func(ctx context.Context) ([]string, error) {
			return audit.LapsedManifests(ctx, tree.N, x.get, x.list, x.v.logDay)
		})
		if err != nil {
			return err
		}
	}
	if x.state.Manifest = tree.N; due {
		x.state.ManifestAt = x.v.cfg.Now()
	}
	return nil
}

// promised yields what the region is to hold, in order of key.
func (x *logExporter) promised(ctx context.Context) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for after := ""; ; {
			var page []audit.Entry
			err := x.v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
				page, err = tx.Promised(ctx, x.r.Name, after, 1000)
				return err
			})
			if err != nil {
				yield(audit.Entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
				after = e.Key
			}
			if len(page) == 0 {
				return
			}
		}
	}
}

// tidy takes away what has lapsed. What is locked stays.
func (x *logExporter) tidy(ctx context.Context, lapsed func(context.Context) ([]string, error)) error {
	ctx, cancel := context.WithTimeout(ctx, regionTimeout)
	defer cancel()
	keys, err := lapsed(ctx)
	if err != nil {
		return fmt.Errorf("tidy the log: %w", err)
	}
	for _, key := range keys {
		if !audit.IsLogName(key, x.atHome) {
			continue // a tile, of which there is none abroad
		}
		if err := x.r.Data.Delete(ctx, key); err != nil && !errors.Is(err, storage.ErrLocked) {
			return fmt.Errorf("tidy the log: %w", err)
		}
	}
	return nil
}

// logDay is the day on which the log had a size.
func (v *Vault) logDay(ctx context.Context, size int64) (string, error) {
	leaves, err := v.cfg.Catalog.LogLeaves(ctx, size-1, 1)
	if err != nil {
		return "", err
	}
	if len(leaves) != 1 || leaves[0].Number != size-1 {
		return "", fmt.Errorf("leaf %d is missing", size-1)
	}
	leaf, err := audit.ParseLeaf(leaves[0].Data)
	if err != nil {
		return "", err
	}
	return leaf.Time.UTC().Format(time.DateOnly), nil
}

// regionLog reads the newest checkpoint of a region that is not known to be lost.
func (v *Vault) regionLog(ctx context.Context, r storage.Region) (*audit.RegionLog, error) {
	lost, err := v.lostHeads(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	get, list := bucketFiles(r.Data)
	return audit.ReadRegion(ctx, get, list, v.logKey, lost...)
}

// ReadRegionLog reads the log in a region's data bucket as somebody does who has nothing
// of the vault but the log's public key.
func ReadRegionLog(ctx context.Context, bucket storage.Store, key note.Verifier) (*audit.RegionLog, error) {
	get, list := bucketFiles(bucket)
	return audit.ReadRegion(ctx, get, list, key)
}

// VerifyRegionLog verifies the log in a region's data bucket likewise; see
// audit.VerifyRegion.
func VerifyRegionLog(ctx context.Context, bucket storage.Store, key note.Verifier, known ...[]byte) (audit.RegionReport, error) {
	get, list := bucketFiles(bucket)
	return audit.VerifyRegion(ctx, func(ctx context.Context, key string) (io.ReadCloser, error) {
		r, err := get(ctx, key)
		if errors.Is(err, storage.ErrNotExist) {
			err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
		}
		return r, err
	}, list, key, known...)
}

// bucketFiles reads a bucket as a reader of logs wants it.
func bucketFiles(bucket storage.Store) (get func(context.Context, string) (io.ReadCloser, error), list func(context.Context, string) iter.Seq2[string, error]) {
	s := persistent{bucket}
	get = func(ctx context.Context, key string) (io.ReadCloser, error) { return s.Get(ctx, key, 0, -1) }
	list = func(ctx context.Context, prefix string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for info, err := range s.List(ctx, prefix, "") {
				if !yield(info.Key, err) || err != nil {
					return
				}
			}
		}
	}
	return get, list
}
