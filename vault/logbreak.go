package vault

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"medvault/storage"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// When every home copy of the log's last leaves is lost with the catalog, a region abroad,
// which has no leaves, may still hold a signed head that covers them. A rebuild states
// each such head in a leaf of its own: from there on the log has another history than the
// one that was lost, and checks take that head for what it is, and none besides.

// ActionLogBroken is the leaf that states a lost head of the log.
const ActionLogBroken record.Action = "log.leaves-lost"

// lostHeads are the heads in a region that are known to be lost.
func (v *Vault) lostHeads(ctx context.Context, region string) (heads []tlog.Tree, err error) {
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		heads = nil
		breaks, err := tx.LogBreaks(ctx, region)
		for _, b := range breaks {
			head, err := b.Tree()
			if err != nil {
				return err
			}
			heads = append(heads, head)
		}
		return err
	})
	return heads, err
}

// stateLost writes down, once, which heads that foreign regions hold are lost. One that is
// no more than what is known and differs is no loss: ErrLogForked.
func (r *rebuild) stateLost(ctx context.Context) error {
	for _, abroad := range r.cfg.Abroad {
		if err := r.stateLostIn(ctx, abroad); err != nil {
			return fmt.Errorf("region %s: %w", abroad.Name, err)
		}
	}
	return nil
}

func (r *rebuild) stateLostIn(ctx context.Context, abroad storage.Region) error {
	kept := r.state.Log.Size
	get, list := bucketFiles(abroad.Data)
	beyond, err := audit.HeadsBeyond(ctx, abroad.Name, kept, get, list, r.v.logKey)
	if err != nil {
		r.v.cfg.Log.Warn("region's log not compared", "region", abroad.Name, "err", err)
		return nil
	}
	known, err := r.v.lostHeads(ctx, abroad.Name)
	if err != nil {
		return err
	}
	older, err := audit.ReadRegion(ctx, get, list, r.v.logKey, append(known, beyond...)...)
	if err == nil {
		err = audit.CompareRegion(ctx, r.v.cfg.Catalog, r.v.logKey, older)
	}
	switch {
	case errors.Is(err, audit.ErrForked):
		return fmt.Errorf("%w: %w", ErrLogForked, err)
	case err != nil && !errors.Is(err, audit.ErrNoLog):
		return err
	}
	return r.v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		for _, head := range beyond {
			leaf := r.leaf(ActionLogBroken)
			leaf.Lost = &audit.LostHead{Region: abroad.Name, Size: head.N, Root: head.Hash.String(), Kept: kept, Lost: head.N - kept}
			data, err := leaf.Encode()
			if err != nil {
				return err
			}
			fresh, err := tx.AddLogBreak(ctx, catalog.LogBreak{LostHead: *leaf.Lost, Leaf: data})
			if err == nil && fresh {
				err = appendLeaf(ctx, tx, leaf)
			}
			if err != nil {
				return err
			}
		}
		return r.note(ctx, tx, r.at.Position)
	})
}

// lostAgain notes a break that a leaf of the log states.
func lostAgain(ctx context.Context, tx *catalog.Tx, leaf audit.Leaf, data []byte) error {
	_, err := tx.AddLogBreak(ctx, catalog.LogBreak{LostHead: *leaf.Lost, Leaf: data})
	return err
}

// breaks lists the known breaks of the log, and says what is wrong with them: one that no
// leaf of the log states would hide a fork.
func (v *Vault) breaks(ctx context.Context) (heads []audit.LostHead, evidence string, err error) {
	var known []catalog.LogBreak
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		known, err = tx.LogBreaks(ctx, "")
		return err
	})
	if err != nil || len(known) == 0 {
		return nil, "", err
	}
	stated := make(map[string]bool)
	from := known[0].Kept
	for _, b := range known {
		stated[string(b.Leaf)] = false
		from = min(from, b.Kept) // its leaf comes later
		heads = append(heads, b.LostHead)
	}
	for {
		leaves, err := v.cfg.Catalog.LogLeaves(ctx, from, 4*rebuildPage)
		if err != nil {
			return nil, "", err
		}
		for _, l := range leaves {
			if _, is := stated[string(l.Data)]; is {
				stated[string(l.Data)] = true
			}
			from = l.Number + 1
		}
		if len(leaves) == 0 {
			break
		}
	}
	for _, b := range known {
		if !stated[string(b.Leaf)] {
			evidence = fmt.Sprintf("a head of %d leaves in region %s is taken for lost, and no leaf says so", b.Size, b.Region)
		}
	}
	return heads, evidence, nil
}
