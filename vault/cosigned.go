package vault

import (
	"context"
	"fmt"
	"slices"

	"medvault/storage"
	"medvault/vault/audit"
)

// cosigned lists who says to have co-signed which head in a region. Each of these heads
// must be a beginning of the log, or one that is known to be lost: whoever co-signs has
// seen it.
func (v *Vault) cosigned(ctx context.Context, r storage.Region) ([]audit.Cosignature, error) {
	get, list := bucketFiles(r.Data)
	found, err := audit.Cosignatures(ctx, get, list)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	lost, err := v.lostHeads(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	head, err := v.cfg.Catalog.LogHead(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range found {
		tree, err := audit.OpenCheckpoint([]byte(c.Checkpoint), v.logKey)
		switch {
		case err != nil || slices.Contains(lost, tree):
			continue // not the log's own, which is nobody's head; or known
		case tree.N > head.Size:
			return found, fmt.Errorf("%w: a head of %d leaves was co-signed there, this log has %d", audit.ErrAhead, tree.N, head.Size)
		}
		if err := audit.CompareRegion(ctx, v.cfg.Catalog, v.logKey, &audit.RegionLog{Size: tree.N, Root: tree.Hash}); err != nil {
			return found, fmt.Errorf("co-signed there: %w", err)
		}
	}
	return found, nil
}
