// Package storage holds sealed objects under names. It knows no patient and no
// key: what it is given is opaque bytes whose size and SHA-256 are known.
package storage

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Errors every Store speaks. Adapters translate their vendor's errors into these
// (wrapped) at their own border.
var (
	ErrNotExist = errors.New("object does not exist")
	ErrExist    = errors.New("object exists with other bytes")
	ErrCorrupt  = errors.New("stored bytes differ from what was sent")

	ErrAway   = errors.New("the store does not answer")           // for now
	ErrDenied = errors.New("the store refuses us")                // credentials, permission, or it is read-only
	ErrFull   = errors.New("the store has no room left")          // or its quota is used up
	ErrClock  = errors.New("the store's clock differs from ours") // by more than it takes
)

// Info describes a stored object.
type Info struct {
	Key     string
	Size    int64
	SHA256  [32]byte // as the store or the object's metadata says: see OwnSum; zero when neither does
	Version string   // version id or ETag, for Repair; empty when unknown

	Modified time.Time // when it was written, as the store says; zero when it does not

	// Head alone tells these, of the version it describes.
	LockedUntil time.Time // UTC; zero is not locked, or a store without locks
	LockMode    LockMode  // empty when not locked
}

// Body is what Put stores: random access, so that a retry or a second region
// starts over without a second encryption.
type Body struct {
	io.ReaderAt
	Size   int64
	SHA256 [32]byte

	// Hashed says that SHA256 was taken in this process of the very bytes that
	// ReaderAt gives. A store that would only guard against a wrong sum need not hash
	// them again; whoever sets it compares what was stored (see Compare).
	Hashed bool
}

// Reader returns a fresh reader over the whole body.
func (b Body) Reader() *io.SectionReader { return io.NewSectionReader(b, 0, b.Size) }

// Store is one bucket.
//
// Keys are slash-separated names of [a-z0-9._-] segments; anything else is
// refused before it reaches a path. All methods are safe for concurrent use and
// honour ctx. Whoever opens a store closes what it was opened on; a Store has no
// Close of its own.
type Store interface {
	// Put stores body once. When it returns nil the object is durable and what
	// lies there has body's size and SHA-256. The same bytes again are success;
	// other bytes under the key are ErrExist and what lies there stays.
	Put(ctx context.Context, key string, body Body) error

	// Get streams length bytes from offset; length < 0 means to the end. A range
	// outside the object is an error. Absent: ErrNotExist. The reader fails
	// (never ends cleanly) when the store breaks off early.
	Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)

	// Head tells what the store says of an object. It proves nothing about bytes.
	Head(ctx context.Context, key string) (Info, error)

	// List yields everything under prefix whose key is greater than after, in
	// ascending byte order of key, in constant memory.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]

	// Delete removes all versions of a key. Absent is success. Where some are locked
	// it deletes the others and answers a LockedError.
	Delete(ctx context.Context, key string) error

	// Repair replaces a damaged object: bad is what was found there (Version is
	// the condition). The bad bytes are kept, as an older version or under
	// quarantine/, until the new ones have been read back. A lock on the bad version
	// stays, and the new one is locked as long.
	Repair(ctx context.Context, key string, bad Info, body Body) error
}

// Region is one bucket pair in one jurisdiction. Data holds objects, records and
// log; Keys holds wraps and house keys and is never versioned or locked.
type Region struct {
	Name         string
	Jurisdiction string // ISO 3166-1 alpha-2
	Data, Keys   Store
	OneBucket    bool // Data and Keys are one directory: each lists the other's names too
}
