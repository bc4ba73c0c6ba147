package audit

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Report is what Verify found.
type Report struct {
	Size     int64     // leaves under the signed head
	Root     tlog.Hash // recomputed from the leaves
	Pending  int64     // not appended yet
	Intact   bool
	Evidence string // the first place that does not hold; "" when Intact
}

// Verify recomputes the whole log from its leaves and compares every stored hash and
// the signed head with it. known are signed checkpoints of the same log from
// elsewhere, as from a region: each must be of a beginning of this log, which is the
// only way to see that the newest leaves were taken away together with their head.
//
// What does not hold is no error: the report names the first such place. An error
// means that the log could not be read.
func Verify(ctx context.Context, tree Tree, v note.Verifier, known ...[]byte) (Report, error) {
	r := Report{}
	var err error
	if r.Pending, err = tree.LogWaiting(ctx); err == nil {
		r.Evidence, err = r.verify(ctx, tree, v, known)
	}
	if err != nil {
		return r, fmt.Errorf("verify log: %w", err)
	}
	r.Intact = r.Evidence == ""
	return r, nil
}

func (r *Report) verify(ctx context.Context, tree Tree, v note.Verifier, known [][]byte) (evidence string, err error) {
	head, err := tree.LogHead(ctx)
	if err != nil {
		return "", err
	}
	r.Size = head.Size
	if head.Size < 0 {
		return fmt.Sprintf("head: a size of %d leaves", head.Size), nil
	}
	signed := tlog.Tree{}
	if head.Size != 0 || len(head.Checkpoint) != 0 {
		if signed, err = OpenCheckpoint(head.Checkpoint, v); err != nil {
			// A bad signature must not hide where the tree itself is broken.
			evidence = fmt.Sprintf("head: %v", err)
		} else if signed.N != head.Size {
			evidence = fmt.Sprintf("head: the tree says %d leaves, the signature says %d", head.Size, signed.N)
		}
	}
	earlier, bad := openKnown(known, v)

	w := walk{ctx: ctx, tree: tree}
	for n := int64(0); n < head.Size; n++ {
		for len(earlier) > 0 && earlier[0].N <= n {
			if place, err := w.compare(earlier[0], "known checkpoint"); place != "" || err != nil {
				return place, err
			}
			earlier = earlier[1:]
		}
		if place, err := w.step(n); place != "" || err != nil {
			return place, err
		}
	}
	if r.Root, err = tlog.TreeHash(head.Size, &w.frontier); err != nil {
		return "", err
	}
	if evidence != "" {
		return evidence, nil
	}
	if head.Size > 0 && signed.Hash != r.Root {
		return fmt.Sprintf("head: the %d leaves have tree hash %s, the signature is of %s", head.Size, r.Root, signed.Hash), nil
	}
	if place, err := w.nothingBeyond(head.Size); place != "" || err != nil {
		return place, err
	}
	if bad != "" {
		return bad, nil
	}
	for _, e := range earlier {
		if e.N > head.Size {
			return fmt.Sprintf("leaf %d: missing; a known checkpoint covers %d leaves", head.Size, e.N), nil
		}
		if place, err := w.compare(e, "known checkpoint"); place != "" || err != nil {
			return place, err
		}
	}
	return "", nil
}

// openKnown opens checkpoints from elsewhere, by size.
func openKnown(known [][]byte, v note.Verifier) (trees []tlog.Tree, bad string) {
	for i, k := range known {
		t, err := OpenCheckpoint(k, v)
		if err != nil {
			bad = cmp.Or(bad, fmt.Sprintf("known checkpoint %d: %v", i, err))
			continue
		}
		trees = append(trees, t)
	}
	slices.SortFunc(trees, func(a, b tlog.Tree) int { return cmp.Compare(a.N, b.N) })
	return trees, bad
}

// walk goes once through leaves and stored hashes side by side, in constant memory.
type walk struct {
	ctx      context.Context
	tree     Tree
	next     int64 // tlog index of the next stored hash
	leaves   []StoredLeaf
	hashes   []StoredHash
	frontier frontier
}

const pageSize = 2048

// step checks leaf n and the hashes that its append stored.
func (w *walk) step(n int64) (evidence string, err error) {
	if len(w.leaves) == 0 {
		if w.leaves, err = w.tree.LogLeaves(w.ctx, n, pageSize); err != nil {
			return "", err
		}
	}
	if len(w.leaves) == 0 || w.leaves[0].Number != n {
		return fmt.Sprintf("leaf %d: missing", n), nil
	}
	data := w.leaves[0].Data
	w.leaves = w.leaves[1:]
	computed, err := tlog.StoredHashes(n, data, &w.frontier)
	if err != nil {
		return "", err
	}
	for i, want := range computed {
		got, err := w.nextHash()
		if err != nil {
			return "", err
		}
		switch {
		case got.Index != w.next:
			return fmt.Sprintf("leaf %d: stored hash %d is missing", n, w.next), nil
		case string(got.Hash) != string(want[:]) && i == 0:
			return fmt.Sprintf("leaf %d: its bytes do not have the stored hash", n), nil
		case string(got.Hash) != string(want[:]):
			return fmt.Sprintf("leaf %d: stored hash %d above it is wrong", n, w.next), nil
		}
		level, at := tlog.SplitStoredHashIndex(w.next)
		w.frontier[level].at, w.frontier[level].hash = at, want
		w.next++
	}
	if _, err := ParseLeaf(data); err != nil {
		return fmt.Sprintf("leaf %d: %v", n, err), nil
	}
	return "", nil
}

// nextHash takes the next stored hash; one of index -1 when there is none.
func (w *walk) nextHash() (h StoredHash, err error) {
	if len(w.hashes) == 0 {
		if w.hashes, err = w.tree.LogHashRows(w.ctx, w.next, pageSize); err != nil {
			return h, err
		}
	}
	if len(w.hashes) == 0 {
		return StoredHash{Index: -1}, nil
	}
	h, w.hashes = w.hashes[0], w.hashes[1:]
	return h, nil
}

// compare checks a tree of as many leaves as were walked.
func (w *walk) compare(t tlog.Tree, what string) (evidence string, err error) {
	root, err := tlog.TreeHash(t.N, &w.frontier)
	if err != nil {
		return "", err
	}
	if t.N == 0 || root == t.Hash {
		return "", nil
	}
	return fmt.Sprintf("%s of %d leaves: the first %d leaves have tree hash %s, it says %s", what, t.N, t.N, root, t.Hash), nil
}

// nothingBeyond looks for leaves and hashes that no signature covers, unless the
// log has grown meanwhile.
func (w *walk) nothingBeyond(size int64) (evidence string, err error) {
	leaves, err := w.tree.LogLeaves(w.ctx, size, 1)
	if err != nil {
		return "", err
	}
	hashes, err := w.tree.LogHashRows(w.ctx, w.next, 1)
	if err != nil {
		return "", err
	}
	// Read after the rows: an append writes both in one transaction, so rows of an
	// honest append are covered by the head that is read now.
	head, err := w.tree.LogHead(w.ctx)
	if err != nil {
		return "", err
	}
	if len(leaves) > 0 && leaves[0].Number >= head.Size {
		return fmt.Sprintf("leaf %d: beyond the head of %d leaves", leaves[0].Number, head.Size), nil
	}
	if len(hashes) > 0 && hashes[0].Index >= tlog.StoredHashCount(head.Size) {
		return fmt.Sprintf("stored hash %d: beyond the head of %d leaves", hashes[0].Index, head.Size), nil
	}
	return "", nil
}

// frontier keeps the last hash of every level: all that a growing tree asks for.
type frontier [64]struct {
	at   int64 // its number within the level
	hash tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (f *frontier) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, at := tlog.SplitStoredHashIndex(index)
		if f[level].at != at {
			return nil, fmt.Errorf("hash %d is not at the edge of the tree", index)
		}
		out[i] = f[level].hash
	}
	return out, nil
}
