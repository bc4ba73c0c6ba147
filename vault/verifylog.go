package vault

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"medvault/storage"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

const repairLog = "export the log to the region again"

// promise is what the log says of one object of a region.
type promise struct {
	audit.Entry
	id      record.ObjectID
	at      time.Time // of the leaf; zero when it is from the manifest
	gone    bool      // must not lie there any more
	leaving bool      // superseded: whether it still lies there does not matter
}

// byLog compares a region with what its own log says that it must hold, and asks the
// catalog nothing. Names and sizes always; the bytes of those that are in the sample,
// when there is one. What the region got since the log was last exported to it is young.
func (c *verification) byLog(ctx context.Context, r storage.Region, _ string) error {
	promised, err := c.promisedByLog(ctx, r)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, probe := r.Data.Head(ctx, "probe/none"); probe != nil && !errors.Is(probe, storage.ErrNotExist) {
			return ofRegion(err)
		}
		c.logFinding(r, err)
		return nil
	}
	for _, class := range []string{catalog.ClassObjects, catalog.ClassRecords} {
		if err := c.compareWithLog(ctx, r, class+"/", promised); err != nil {
			return err
		}
	}
	return nil
}

func (c *verification) logFinding(r storage.Region, err error) {
	f := Finding{Type: FindingLogDamaged, Region: r.Name, Evidence: "what lies there is not the log that its checkpoint signs", Repair: repairLog}
	switch {
	case errors.Is(err, audit.ErrNoLog):
		f.Type, f.Evidence = FindingLogMissing, "no checkpoint that the log's key has signed"
	case errors.Is(err, audit.ErrNoManifest):
		f.Type, f.Evidence = FindingLogMissing, "no manifest that the log's key has signed"
	}
	c.found(f)
}

// promisedByLog folds the leaves behind the region's manifest over it. A foreign region
// has no leaves: there the manifest is all.
func (c *verification) promisedByLog(ctx context.Context, r storage.Region) (func(prefix string) iter.Seq2[promise, error], error) {
	log, err := c.v.regionLog(ctx, r)
	if err != nil {
		return nil, err
	}
	get, list := bucketFiles(r.Data)
	lost, err := c.v.lostHeads(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	manifest, err := audit.ReadManifest(ctx, r.Name, get, list, c.v.logKey, lost...)
	atHome := r.Jurisdiction == c.v.cfg.Home
	if errors.Is(err, audit.ErrNoManifest) && atHome {
		manifest, err = &audit.RegionManifest{}, nil // from the first leaf on
	}
	if err != nil {
		return nil, err
	}
	later := make(map[string]promise)
	if atHome {
		for data, err := range log.Leaves(ctx, manifest.Tree.N) {
			if err != nil {
				return nil, err
			}
			leaf, err := audit.ParseLeaf(data)
			if err != nil {
				return nil, err
			}
			foldLeaf(later, leaf, r.Name)
		}
	}
	return func(prefix string) iter.Seq2[promise, error] { return merged(ctx, manifest, later, prefix) }, nil
}

// foldLeaf notes what a leaf says of a region: what must lie there from now on, what must
// not, and what somebody else has taken the place of.
func foldLeaf(later map[string]promise, leaf audit.Leaf, region string) {
	if leaf.Decision != audit.Allow || leaf.Commit == nil {
		return
	}
	class := func(k record.Kind) string {
		if k == record.KindRecord {
			return catalog.ClassRecords
		}
		return catalog.ClassObjects
	}(leaf.Commit.Kind)
	if old := leaf.Commit.Supersedes; old != "" {
		later[old.Key(class)] = promise{Entry: audit.Entry{Key: old.Key(class)}, id: old, leaving: true}
	}
	if !slices.Contains(leaf.Commit.Regions, region) {
		return
	}
	key := leaf.Object.Key(class)
	if later[key].leaving && leaf.Action != actionRemoved && leaf.Action != actionAbandoned {
		return // a copy that was on its way
	}
	later[key] = promise{Entry: audit.Entry{Key: key, Size: leaf.Commit.Size, SHA256: leaf.Commit.SHA256, Generation: leaf.Commit.Generation},
		id: leaf.Object, at: leaf.Time, gone: leaf.Action == actionRemoved || leaf.Action == actionAbandoned}
}

// actionRemoved is a leaf that says that a region does not hold an object any more.
const actionRemoved record.Action = "object.removed"

// merged yields the promises below a prefix in order of key; of two about one object the
// later counts.
func merged(ctx context.Context, m *audit.RegionManifest, later map[string]promise, prefix string) iter.Seq2[promise, error] {
	return func(yield func(promise, error) bool) {
		keys := slices.Sorted(maps.Keys(later))
		turn := func(before string, all bool) bool {
			for len(keys) > 0 && (all || keys[0] <= before) {
				p := later[keys[0]]
				keys = keys[1:]
				if strings.HasPrefix(p.Key, prefix) && !yield(p, nil) {
					return false
				}
			}
			return true
		}
		for e, err := range m.Entries(ctx) {
			if err != nil {
				yield(promise{}, err)
				return
			}
			if !turn(e.Key, false) {
				return
			}
			if _, again := later[e.Key]; again || !strings.HasPrefix(e.Key, prefix) {
				continue
			}
			id, _ := objectAt(e.Key)
			if !yield(promise{Entry: e, id: id}, nil) {
				return
			}
		}
		turn("", true)
	}
}

// compareWithLog walks the listing below a prefix and the promises side by side.
func (c *verification) compareWithLog(ctx context.Context, r storage.Region, prefix string, promised func(string) iter.Seq2[promise, error]) error {
	next, stop := iter.Pull2(r.Data.List(ctx, prefix, ""))
	defer stop()
	there, listErr, more := next()
	for p, err := range promised(prefix) {
		if err != nil {
			c.logFinding(r, err)
			return nil
		}
		for ; more && listErr == nil && there.Key < p.Key; there, listErr, more = next() {
			c.unpromised(r, there)
		}
		if listErr != nil {
			return ofRegion(listErr)
		}
		var listed *storage.Info
		if more && there.Key == p.Key {
			info := there
			listed = &info
			there, listErr, more = next()
		}
		if err := c.meetPromise(ctx, r, p, listed); err != nil {
			return err
		}
	}
	for ; more && listErr == nil; there, listErr, more = next() {
		c.unpromised(r, there)
	}
	if listErr != nil {
		return ofRegion(listErr)
	}
	return nil
}

// unpromised names what lies in a region and its log does not know.
func (c *verification) unpromised(r storage.Region, info storage.Info) {
	name := printable(info.Key)
	if id, ok := objectAt(info.Key); ok {
		name = string(id)
	}
	if age := c.age(info); age < orphanAge {
		c.note(Note{Type: NoteYoungOrphan, Region: r.Name, Object: name, Evidence: fmt.Sprintf("the region's log does not name it; it lies there for %s", age.Round(time.Second))})
		return
	}
	c.found(Finding{Type: FindingOrphan, Region: r.Name, Object: name, Evidence: "the region's log does not name it", Repair: "quarantine, unless the catalog names it"})
}

func (c *verification) meetPromise(ctx context.Context, r storage.Region, p promise, listed *storage.Info) error {
	switch {
	case p.leaving, p.gone && listed == nil:
		return nil
	case p.gone:
		if c.v.cfg.Now().Sub(p.at) > copyGrace {
			c.unpromised(r, *listed)
		}
		return nil
	}
	c.checked(r.Name)
	if listed == nil || listed.Size != p.Size {
		info, err := r.Data.Head(ctx, p.Key) // a page of the listing may be old
		switch {
		case errors.Is(err, storage.ErrNotExist):
			if p.at.IsZero() || c.v.cfg.Now().Sub(p.at) > copyGrace {
				c.found(Finding{Type: FindingMissing, Region: r.Name, Object: string(p.id), Evidence: "not there; the region's log promises it", Repair: repairObject})
			}
			return nil
		case err != nil:
			return ofRegion(err)
		case info.Size != p.Size:
			c.found(Finding{Type: FindingWrongSize, Region: r.Name, Object: string(p.id), Evidence: fmt.Sprintf("%d bytes, the region's log says %d", info.Size, p.Size), Repair: repairObject})
			return nil
		case listed == nil:
			if err := c.unlisted(ctx, r, p.Key, string(p.id)); err != nil {
				return err
			}
		}
	}
	s := c.of(r.Name)
	taken := !c.sample.all() && c.sample.takes(c.state.Seed, string(p.id), s)
	s.Met++
	if !taken {
		return nil
	}
	s.Taken++
	_, sum, err := storage.Sum(ctx, r.Data, p.Key)
	if err != nil {
		if _, probe := r.Data.Head(ctx, "probe/none"); ctx.Err() != nil || probe != nil && !errors.Is(probe, storage.ErrNotExist) {
			return errors.Join(ctx.Err(), ofRegion(err))
		}
		sum = [32]byte{} // what cannot be read is damaged
	}
	c.proven(r.Name)
	if sum != p.SHA256 {
		c.found(Finding{Type: FindingDamaged, Region: r.Name, Object: string(p.id), Evidence: fmt.Sprintf("SHA-256 is %x, the region's log says %x", sum, p.SHA256), Repair: repairObject})
	}
	return nil
}
