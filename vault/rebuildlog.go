package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"medvault/storage"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// importLog takes over the longest log there is, which all others must begin.
func (r *rebuild) importLog(ctx context.Context) error {
	longest, err := r.v.regionLog(ctx, r.from)
	owner := r.from.Name
	switch {
	case errors.Is(err, audit.ErrNoLog):
		longest, owner = nil, ""
	case err != nil:
		return fmt.Errorf("region %s: %w", r.from.Name, err)
	}
	if err := r.noNewer(ctx, longest); err != nil {
		return err
	}
	for _, other := range r.cfg.Logs {
		l, err := r.v.regionLog(ctx, other)
		if err != nil {
			r.v.cfg.Log.Warn("region's log not read", "region", other.Name, "err", err)
			continue
		}
		if longest, owner, err = r.longer(ctx, longest, owner, l, other.Name); err != nil {
			return err
		}
	}
	if longest == nil {
		return nil
	}
	r.state.Log = RebuiltLog{Region: owner, Size: longest.Size, Root: longest.Root.String()}
	size, err := r.v.beginningOf(ctx, longest)
	if err != nil {
		return err
	}
	for batch, err := range batches(longest.Leaves(ctx, size), 4*rebuildPage) {
		if err != nil {
			return fmt.Errorf("log of region %s: %w", owner, err)
		}
		leaves := make([]audit.Pending, len(batch))
		for i, data := range batch {
			leaves[i].Data = data
		}
		if err := r.v.log.Import(ctx, size, leaves); err != nil {
			return err
		}
		size += int64(len(batch))
		r.tell()
	}
	// The roots agree, or this is not that log.
	if err := audit.CompareRegion(ctx, r.v.cfg.Catalog, r.v.logKey, longest); err != nil {
		return err
	}
	return r.newestLeaf(ctx, longest.Size)
}

// noNewer refuses a listing that leaves out a newer checkpoint than it shows: a catalog
// made from an older log would go on differently than the one that was lost.
func (r *rebuild) noNewer(ctx context.Context, listed *audit.RegionLog) error {
	size := int64(0)
	if listed != nil {
		size = listed.Size
	}
	for {
		checkpoints, tile, next := audit.Ahead(size)
		names := append(checkpoints, tile)
		there := make([]bool, len(names))
		err := r.each(ctx, len(names), func(ctx context.Context, i int) error {
			_, err := r.from.Data.Head(ctx, names[i])
			if errors.Is(err, storage.ErrNotExist) {
				return nil
			}
			there[i] = err == nil
			return err
		})
		if err != nil {
			return err
		}
		if i := slices.Index(there[:len(checkpoints)], true); i >= 0 {
			return fmt.Errorf("%w: region %s: %s", ErrListing, r.from.Name, checkpoints[i])
		}
		if !there[len(checkpoints)] {
			return nil
		}
		size = next
	}
}

// longer chooses between two logs, of which one must begin with the other.
func (r *rebuild) longer(ctx context.Context, a *audit.RegionLog, of string, b *audit.RegionLog, other string) (*audit.RegionLog, string, error) {
	if a == nil {
		return b, other, nil
	}
	short, long, owner := b, a, of
	if b.Size > a.Size {
		short, long, owner = a, b, other
	}
	root, err := long.RootAt(ctx, short.Size)
	if err != nil {
		return nil, "", fmt.Errorf("log of region %s: %w", owner, err)
	}
	if root != short.Root {
		return nil, "", fmt.Errorf("%w: regions %s and %s", ErrLogForked, of, other)
	}
	return long, owner, nil
}

func (r *rebuild) newestLeaf(ctx context.Context, size int64) error {
	leaves, err := r.v.cfg.Catalog.LogLeaves(ctx, size-1, 1)
	if err != nil || len(leaves) != 1 {
		return errors.Join(fmt.Errorf("leaf %d is missing", size-1), err)
	}
	newest, err := audit.ParseLeaf(leaves[0].Data)
	r.state.Log.Newest = newest.Time
	return err
}

// rebuildPage is how much is done in one transaction.
const rebuildPage = 256

// readLeaves writes down what the log says of patients and of superseded objects.
func (r *rebuild) readLeaves(ctx context.Context) error {
	next, err := strconv.ParseInt(cmp.Or(r.at.Position, "0"), 10, 64)
	if err != nil {
		return err
	}
	for {
		leaves, err := r.v.cfg.Catalog.LogLeaves(ctx, next, 4*rebuildPage)
		if err != nil {
			return err
		}
		if len(leaves) == 0 {
			break
		}
		next = leaves[len(leaves)-1].Number + 1
		err = r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
			for _, l := range leaves {
				if err := r.readLeaf(ctx, tx, l); err != nil {
					return fmt.Errorf("leaf %d: %w", l.Number, err)
				}
			}
			return r.note(ctx, tx, strconv.FormatInt(next, 10))
		})
		if err != nil {
			return err
		}
		r.at.Position = strconv.FormatInt(next, 10)
		r.tell()
	}
	return r.readTombstones(ctx)
}

func (r *rebuild) readLeaf(ctx context.Context, tx *catalog.Tx, l audit.StoredLeaf) error {
	leaf, err := audit.ParseLeaf(l.Data)
	if err != nil {
		return err
	}
	if leaf.Decision == audit.Allow && (leaf.Action == record.ActionRevoke || leaf.Action == record.ActionReinstate) {
		return revokedAgain(ctx, tx, leaf)
	}
	if leaf.Decision == audit.Allow && leaf.Action == ActionLogBroken && leaf.Lost != nil {
		return lostAgain(ctx, tx, leaf, l.Data)
	}
	if leaf.Decision == audit.Allow && leaf.Action == record.ActionRegionsManage {
		r.replay(leaf)
		return nil
	}
	if leaf.Decision != audit.Allow || leaf.Patient == "" {
		return nil
	}
	switch {
	case buries(leaf), readmitted(leaf):
		return r.takeBurial(ctx, tx, leaf)
	case leaf.Commit == nil:
		return nil
	case leaf.Action == actionRemoved, leaf.Action == actionAbandoned:
		for _, region := range leaf.Commit.Regions {
			if err := tx.Removed(ctx, leaf.Object, region); err != nil {
				return err
			}
		}
		return nil
	}
	c := leaf.Commit
	err = r.patient(ctx, tx, leaf.Patient, func(p *catalog.Patient) { p.Generation = max(p.Generation, c.Generation) }, leaf.Time)
	if err != nil || c.Supersedes == "" {
		return err
	}
	data, err := tx.CommitOf(ctx, c.Supersedes)
	if errors.Is(err, catalog.ErrNotFound) {
		return nil // it was never promised to anyone
	}
	if err != nil {
		return err
	}
	old, err := audit.ParseLeaf(data)
	if err != nil {
		return err
	}
	o := objectOf(old)
	o.SupersededBy = leaf.Object
	if err := tx.Leave(ctx, o); err != nil {
		return err
	}
	var places []string // where it is to be taken away, unless a later leaf says that it was
	for _, place := range r.cfg.Places {
		if slices.Contains(old.Commit.Regions, place.Name) {
			places = append(places, place.Name)
		}
	}
	return tx.Promise(ctx, o.ID, places)
}
