package audit

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Proof shows that a leaf is in the log, to anyone who has the log's public key.
type Proof struct {
	Number     int64            `json:"number"`
	Leaf       []byte           `json:"leaf"`
	Path       tlog.RecordProof `json:"path"`
	Checkpoint []byte           `json:"checkpoint"`
}

// ProveInclusion proves leaf number n under the present head. The proof is checked
// before it is returned.
func ProveInclusion(ctx context.Context, tree Tree, v note.Verifier, n int64) (Proof, error) {
	p, err := proveInclusion(ctx, tree, v, n)
	if err != nil {
		return Proof{}, fmt.Errorf("prove leaf %d: %w", n, err)
	}
	return p, nil
}

func proveInclusion(ctx context.Context, tree Tree, v note.Verifier, n int64) (Proof, error) {
	head, err := tree.LogHead(ctx)
	if err != nil {
		return Proof{}, err
	}
	if n < 0 || n >= head.Size {
		return Proof{}, fmt.Errorf("the log has %d leaves", head.Size)
	}
	leaves, err := tree.LogLeaves(ctx, n, 1)
	if err != nil {
		return Proof{}, err
	}
	if len(leaves) != 1 || leaves[0].Number != n {
		return Proof{}, fmt.Errorf("the leaf is missing")
	}
	path, err := tlog.ProveRecord(head.Size, n, reader(ctx, tree))
	if err != nil {
		return Proof{}, err
	}
	p := Proof{Number: n, Leaf: leaves[0].Data, Path: path, Checkpoint: head.Checkpoint}
	return p, p.Check(v)
}

// ProveLeaves proves several leaves under one and the same present head, which is in
// every Proof. Each proof is checked before it is returned.
func ProveLeaves(ctx context.Context, tree Tree, v note.Verifier, leaves []StoredLeaf) ([]Proof, error) {
	head, err := tree.LogHead(ctx)
	if err != nil {
		return nil, fmt.Errorf("prove leaves: %w", err)
	}
	known := make(map[int64]tlog.Hash) // the ways up meet
	hashes := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			if _, ok := known[index]; !ok {
				read, err := tree.LogHashes(ctx, []int64{index})
				if err != nil {
					return nil, err
				}
				known[index] = read[0]
			}
			out[i] = known[index]
		}
		return out, nil
	})
	proofs := make([]Proof, len(leaves))
	for i, leaf := range leaves {
		path, err := tlog.ProveRecord(head.Size, leaf.Number, hashes)
		if err != nil {
			return nil, fmt.Errorf("prove leaf %d: %w", leaf.Number, err)
		}
		proofs[i] = Proof{Number: leaf.Number, Leaf: leaf.Data, Path: path, Checkpoint: head.Checkpoint}
		if err := proofs[i].Check(v); err != nil {
			return nil, fmt.Errorf("prove leaf %d: %w", leaf.Number, err)
		}
	}
	return proofs, nil
}

// Check is nil when the leaf is in the log that v's key signs.
func (p Proof) Check(v note.Verifier) error {
	tree, err := OpenCheckpoint(p.Checkpoint, v)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(p.Path, tree.N, tree.Hash, p.Number, tlog.RecordHash(p.Leaf)); err != nil {
		return fmt.Errorf("inclusion of leaf %d: %w", p.Number, err)
	}
	return nil
}
