package vault

import (
	"context"
	"errors"
	"fmt"

	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// LogImport is what a catalog took over of a region's log.
type LogImport struct {
	Region string `json:"region"`
	Before int64  `json:"before"` // leaves the catalog had
	Leaves int64  `json:"leaves"` // taken over
	// Unknown are the objects that these leaves committed and that the catalog has no
	// row of: a rebuild or a repair brings those back.
	Unknown []record.ObjectID `json:"unknown"`
}

// ActionLogImport is the leaf behind an import.
const ActionLogImport record.Action = "audit.import"

// ImportLog takes the leaves into a catalog that a home region has behind the catalog's
// own, as after the catalog was restored from a backup; no gateway may run. It refuses
// with ErrLogForked when the catalog's log is not a beginning of the region's. Every
// leaf is compared with the region's signed checkpoint first. Cut off it goes on where
// it was.
func ImportLog(ctx context.Context, cfg Config, region string, a record.Actor) (done LogImport, err error) {
	v, err := assemble(ctx, cfg)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, v.intents.close()) }()
	r, ok := cfg.Regions.Region(region)
	if !ok || r.Jurisdiction != cfg.Home {
		return done, record.Refuse(record.ErrInvalid, "unknown-region", "the log lies in the regions of the home jurisdiction")
	}
	there, err := v.regionLog(ctx, r)
	if err != nil {
		return done, fmt.Errorf("region %s: %w", region, err)
	}
	done = LogImport{Region: region, Unknown: []record.ObjectID{}}
	if done.Before, err = v.beginningOf(ctx, there); err != nil || done.Before >= there.Size {
		return done, err
	}
	if err := v.importLeaves(ctx, there, &done); err != nil {
		return done, fmt.Errorf("import from region %s: %w", region, err)
	}
	if err := audit.CompareRegion(ctx, cfg.Catalog, v.logKey, there); err != nil {
		return done, err
	}
	leaf := audit.Leaf{Time: v.cfg.Now(), Actor: a.ID, Role: a.Role, Purpose: a.Purpose, Action: ActionLogImport, Decision: audit.Allow,
		Reason: fmt.Sprintf("%d leaves from %d on, of region %s", done.Leaves, done.Before, region)}
	if err := cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return appendLeaf(ctx, tx, leaf) }); err != nil {
		return done, err
	}
	return done, v.log.Flush(ctx)
}

// beginningOf tells the size of the catalog's log, which must be a beginning of the
// region's or the other way round.
func (v *Vault) beginningOf(ctx context.Context, there *audit.RegionLog) (size int64, err error) {
	head, err := v.cfg.Catalog.LogHead(ctx)
	if err != nil || head.Size == 0 {
		return 0, err
	}
	if head.Size >= there.Size {
		if err = audit.CompareRegion(ctx, v.cfg.Catalog, v.logKey, there); errors.Is(err, audit.ErrForked) {
			err = fmt.Errorf("%w: %w", ErrLogForked, err)
		}
		return head.Size, err
	}
	tree, err := audit.OpenCheckpoint(head.Checkpoint, v.logKey)
	if err != nil {
		return 0, fmt.Errorf("log head: %w", err)
	}
	root, err := there.RootAt(ctx, tree.N)
	if err == nil && root != tree.Hash {
		err = fmt.Errorf("%w within the %d leaves of the catalog's", ErrLogForked, tree.N)
	}
	return tree.N, err
}

// importLeaves appends what the region has behind done.Before.
func (v *Vault) importLeaves(ctx context.Context, there *audit.RegionLog, done *LogImport) error {
	pending, err := v.pendingLeaves(ctx)
	if err != nil {
		return err
	}
	const batchSize = 1024
	seen := make(map[record.ObjectID]bool)
	var batch []audit.Pending
	flush := func() error {
		if err := v.log.Import(ctx, done.Before+done.Leaves, batch); err != nil {
			return err
		}
		done.Leaves += int64(len(batch))
		batch = batch[:0]
		return nil
	}
	for data, err := range there.Leaves(ctx, done.Before) {
		if err != nil {
			return err
		}
		// What the catalog was about to append when it was saved is in the region's log
		// by now, and must not come a second time.
		leaf := audit.Pending{Data: data}
		if ids := pending[string(data)]; len(ids) > 0 {
			leaf.ID, pending[string(data)] = ids[0], ids[1:]
		}
		if batch = append(batch, leaf); len(batch) == batchSize {
			if err := flush(); err != nil {
				return err
			}
		}
		object, err := v.unknownCommit(ctx, data)
		if err != nil {
			return err
		}
		if object != "" && !seen[object] {
			seen[object] = true
			done.Unknown = append(done.Unknown, object)
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return flush()
}

// pendingLeaves finds the ids of pending leaves by their bytes.
func (v *Vault) pendingLeaves(ctx context.Context) (map[string][]string, error) {
	n, err := v.cfg.Catalog.LogWaiting(ctx)
	if err != nil || n == 0 {
		return nil, err
	}
	all, err := v.cfg.Catalog.LogPending(ctx, int(n))
	if err != nil {
		return nil, err
	}
	pending := make(map[string][]string)
	for _, p := range all {
		pending[string(p.Data)] = append(pending[string(p.Data)], p.ID)
	}
	return pending, nil
}

// unknownCommit names the object that a leaf commits, when the catalog does not know it.
func (v *Vault) unknownCommit(ctx context.Context, data []byte) (record.ObjectID, error) {
	leaf, err := audit.ParseLeaf(data)
	if err != nil || leaf.Commit == nil {
		return "", err
	}
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		_, err := tx.Object(ctx, leaf.Object)
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) {
		return leaf.Object, nil
	}
	return "", err
}
