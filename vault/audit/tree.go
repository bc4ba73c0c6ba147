package audit

import (
	"context"
	"errors"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrNotLeading is what Tree.LogAppend answers when the head has moved or another
// sequencer holds the lease: nothing was written.
var ErrNotLeading = errors.New("another sequencer leads")

// Head is the end of the log as the tree keeps it. The zero Head is an empty log.
type Head struct {
	Size       int64     // leaves
	Checkpoint []byte    // signed note; empty while Size is 0
	Owner      string    // sequencer that wrote last
	Lease      time.Time // until then no other sequencer may append
}

// Pending is a leaf that an act has written and no sequencer has appended yet.
type Pending struct {
	ID   string
	Data []byte
}

// Batch is one append: everything of it is written in one transaction, or nothing.
type Batch struct {
	Owner      string
	Lease      time.Time // the lease after this append
	Size       int64     // leaves before
	Leaves     []Pending // become leaves Size, Size+1, …; those with an ID leave the pending list
	Hashes     []tlog.Hash
	Checkpoint []byte // signed over Size+len(Leaves)
}

// Tree is where the log is kept; the catalog is one. Safe for concurrent use.
type Tree interface {
	// LogHead reads the head.
	LogHead(ctx context.Context) (Head, error)
	// LogPending reads up to limit pending leaves in their order.
	LogPending(ctx context.Context, limit int) ([]Pending, error)
	// LogWaiting counts the pending leaves.
	LogWaiting(ctx context.Context) (int64, error)
	// LogHashes reads stored hashes by tlog index, in the order asked. One that is
	// missing is an error.
	LogHashes(ctx context.Context, indexes []int64) ([]tlog.Hash, error)
	// LogAppend writes b, whose Hashes begin at tlog index StoredHashCount(b.Size).
	// ErrNotLeading unless the head still has size b.Size and its lease is b.Owner's
	// or over.
	LogAppend(ctx context.Context, b Batch) error
	// LogLeaves reads up to limit leaves in ascending order, from number first on,
	// as they lie there: numbers may be missing.
	LogLeaves(ctx context.Context, first int64, limit int) ([]StoredLeaf, error)
	// LogHashRows reads up to limit stored hashes from index first on, likewise.
	LogHashRows(ctx context.Context, first int64, limit int) ([]StoredHash, error)
}

// StoredLeaf is a leaf as it lies in the tree.
type StoredLeaf struct {
	Number int64
	Data   []byte
}

// StoredHash is a hash as it lies in the tree; Hash may have any length there.
type StoredHash struct {
	Index int64
	Hash  []byte
}
