package catalog

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"medvault/vault/audit"
	"medvault/vault/catalog/internal/query"
	"medvault/vault/record"
)

var _ audit.Tree = (*Catalog)(nil)

// AppendLeaf writes an encoded leaf into the pending list with this transaction; the
// sequencer appends it to the tree within a moment. What does not parse as a leaf is
// refused, because it could never be taken out of the log again.
func (t *Tx) AppendLeaf(ctx context.Context, data []byte) error {
	if _, err := audit.ParseLeaf(data); err != nil {
		return attempt(err, "append leaf")
	}
	err := t.q.InsertPending(ctx, query.InsertPendingParams{ID: t.c.pendingOrder.next(), Data: data})
	return attempt(err, "append leaf")
}

// sequence makes ids that ascend: wall-clock nanoseconds, never twice the same, and
// a random tail that keeps processes apart.
type sequence struct {
	mu   sync.Mutex
	last int64
}

func (s *sequence) next() string {
	s.mu.Lock()
	s.last = max(s.last+1, time.Now().UnixNano())
	n := s.last
	s.mu.Unlock()
	var tail [6]byte
	rand.Read(tail[:])
	return fmt.Sprintf("%016x%s", n, hex.EncodeToString(tail[:]))
}

// maxWindow bounds how long one read leaf may stand for further reads.
const maxWindow = 15 * time.Minute

// ReadWindow answers for which of the objects a read by actor, for purpose and in
// view needs a leaf of its own, because none stands for it at now; and marks them as
// having one from now for the length of window, at most 15 minutes. It is to be
// called in the transaction that writes those leaves.
func (t *Tx) ReadWindow(ctx context.Context, actor, purpose, view string, objects []record.ObjectID, now time.Time, window time.Duration) (fresh []record.ObjectID, err error) {
	if window <= 0 || window > maxWindow {
		return nil, fmt.Errorf("read window: %s is not within %s", window, maxWindow)
	}
	sorted := slices.Clone(objects)
	slices.Sort(sorted) // one order for everyone, or two transactions would wait for each other
	for chunk := range slices.Chunk(slices.Compact(sorted), 500) {
		var b builder
		b.add("INSERT INTO read_windows (actor, purpose, view, object, until_at) VALUES ")
		for i, id := range chunk {
			if i > 0 {
				b.add(", ")
			}
			b.add("(?, ?, ?, ?, ?)", actor, purpose, view, string(id), millis(now.Add(window)))
		}
		// Rows whose window lasts are not touched and therefore not returned.
		b.add(" ON CONFLICT (actor, purpose, view, object) DO UPDATE SET until_at = excluded.until_at"+
			" WHERE read_windows.until_at <= ? RETURNING object", millis(now))
		ids, err := t.objectIDs(ctx, &b)
		if err != nil {
			return nil, attempt(err, "read window")
		}
		fresh = append(fresh, ids...)
	}
	slices.Sort(fresh)
	return fresh, nil
}

func (t *Tx) objectIDs(ctx context.Context, b *builder) (ids []record.ObjectID, err error) {
	rows, err := t.query(ctx, b)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id record.ObjectID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// SweepReadWindows forgets the windows that are over; how often is only a matter of
// space.
func (t *Tx) SweepReadWindows(ctx context.Context, now time.Time) error {
	_, err := t.q.SweepReadWindows(ctx, millis(now))
	return attempt(err, "sweep read windows")
}

// LogHead implements audit.Tree.
func (c *Catalog) LogHead(ctx context.Context) (audit.Head, error) {
	r, err := c.reads.GetHead(ctx)
	return audit.Head{Size: r.Size, Checkpoint: r.Checkpoint, Owner: r.Owner, Lease: fromMillis(r.LeaseUntil)}, attempt(err, "log head")
}

// LogPending implements audit.Tree.
func (c *Catalog) LogPending(ctx context.Context, limit int) ([]audit.Pending, error) {
	rows, err := c.reads.ListPending(ctx, limit32(limit))
	if err != nil {
		return nil, attempt(err, "pending leaves")
	}
	pending := make([]audit.Pending, len(rows))
	for i, r := range rows {
		pending[i] = audit.Pending{ID: r.ID, Data: r.Data}
	}
	return pending, nil
}

// LogWaiting implements audit.Tree.
func (c *Catalog) LogWaiting(ctx context.Context) (int64, error) {
	n, err := c.reads.CountPending(ctx)
	return n, attempt(err, "count pending leaves")
}

// LogLeaves implements audit.Tree.
func (c *Catalog) LogLeaves(ctx context.Context, first int64, limit int) ([]audit.StoredLeaf, error) {
	rows, err := c.reads.ListLeaves(ctx, query.ListLeavesParams{First: first, MaxRows: limit32(limit)})
	if err != nil {
		return nil, attempt(err, "leaves from %d", first)
	}
	leaves := make([]audit.StoredLeaf, len(rows))
	for i, r := range rows {
		leaves[i] = audit.StoredLeaf{Number: r.N, Data: r.Data}
	}
	return leaves, nil
}

// LogHashRows implements audit.Tree.
func (c *Catalog) LogHashRows(ctx context.Context, first int64, limit int) ([]audit.StoredHash, error) {
	rows, err := c.reads.ListHashes(ctx, query.ListHashesParams{First: first, MaxRows: limit32(limit)})
	if err != nil {
		return nil, attempt(err, "log hashes from %d", first)
	}
	hashes := make([]audit.StoredHash, len(rows))
	for i, r := range rows {
		hashes[i] = audit.StoredHash{Index: r.I, Hash: r.Hash}
	}
	return hashes, nil
}

// LogHashes implements audit.Tree.
func (c *Catalog) LogHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		raw, err := c.reads.GetHash(ctx, index)
		if err != nil {
			return nil, attempt(err, "log hash %d", index)
		}
		if len(raw) != tlog.HashSize {
			return nil, fmt.Errorf("log hash %d: %w: %d bytes", index, record.ErrTampered, len(raw))
		}
		hashes[i] = tlog.Hash(raw)
	}
	return hashes, nil
}

// LogAppend implements audit.Tree.
func (c *Catalog) LogAppend(ctx context.Context, batch audit.Batch) error {
	err := c.Update(ctx, func(t *Tx) error { return t.logAppend(ctx, batch) })
	return attempt(err, "append %d leaves to the log", len(batch.Leaves))
}

func (t *Tx) logAppend(ctx context.Context, batch audit.Batch) error {
	// First the head: it is the lock that keeps sequencers apart.
	n, err := t.q.AdvanceHead(ctx, query.AdvanceHeadParams{NewSize: batch.Size + int64(len(batch.Leaves)), Checkpoint: batch.Checkpoint,
		Owner: batch.Owner, LeaseUntil: millis(batch.Lease), OldSize: batch.Size, Now: millis(t.c.now())})
	if err != nil {
		return err
	}
	if n == 0 {
		return audit.ErrNotLeading
	}
	leaves := make([][]byte, len(batch.Leaves))
	var ids []string
	for i, leaf := range batch.Leaves {
		if leaves[i] = leaf.Data; leaf.ID != "" {
			ids = append(ids, leaf.ID)
		}
	}
	if err := t.insertNumbered(ctx, "audit_leaves (n, data)", batch.Size, leaves); err != nil {
		return err
	}
	if err := t.indexCommits(ctx, batch.Size, leaves); err != nil {
		return err
	}
	if err := t.indexLeaves(ctx, batch.Size, leaves); err != nil {
		return err
	}
	hashes := make([][]byte, len(batch.Hashes))
	for i := range batch.Hashes {
		hashes[i] = batch.Hashes[i][:]
	}
	if err := t.insertNumbered(ctx, "audit_hashes (i, hash)", tlog.StoredHashCount(batch.Size), hashes); err != nil {
		return err
	}
	for chunk := range slices.Chunk(ids, 500) {
		var b builder
		b.add("DELETE FROM audit_pending WHERE id IN ")
		list(&b, chunk)
		n, err := t.exec(ctx, &b)
		if err != nil {
			return err
		}
		if n != int64(len(chunk)) {
			return errors.New("pending leaves have gone without being appended")
		}
	}
	return nil
}

// insertNumbered inserts rows of a number, ascending from first, and bytes.
func (t *Tx) insertNumbered(ctx context.Context, table string, first int64, rows [][]byte) error {
	for chunk := range slices.Chunk(rows, 500) {
		var b builder
		b.add("INSERT INTO " + table + " VALUES ")
		for i, data := range chunk {
			if i > 0 {
				b.add(", ")
			}
			b.add("(?, ?)", first, data)
			first++
		}
		if _, err := t.exec(ctx, &b); err != nil {
			return err
		}
	}
	return nil
}
