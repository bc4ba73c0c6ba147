// Package s3 is a bucket of an S3 service as a storage.Store: what is stored once,
// compared, kept before a repair and deleted with all its versions is decided
// here, so that it is the same whichever client library makes the calls. The
// libraries are the Drivers of storage/minio and storage/aws.
package s3

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"medvault/storage"
)

// Errors a Driver speaks beside those of package storage.
var (
	ErrPrecondition = errors.New("condition not met")
	ErrConflict     = errors.New("another request for the same key is under way")
	ErrUnsupported  = errors.New("the service does not know this call")
)

// errStale is of a listing that is older than what was said before it.
var errStale = fmt.Errorf("%w with its latest state: the listing is stale", storage.ErrAway)

// Condition is what must hold for a put to happen. The zero value is nothing.
type Condition struct {
	Absent bool   // no object under the key
	ETag   string // this object under the key
}

// Object is what a driver's head tells.
type Object struct {
	Size    int64
	Sums    Sums
	ETag    string // without quotes
	Version string // empty in a bucket without versions

	LockedUntil time.Time // UTC; zero is not locked
	LockMode    storage.LockMode
	Held        bool // locked without a date, by whoever
}

// locked tells whether the version may not be deleted now.
func (o Object) locked() bool { return o.Held || o.LockedUntil.After(time.Now()) }

// Driver makes single calls to one bucket. It translates its library's errors with
// Translate or as that does; no error holds credentials or a URL.
type Driver interface {
	// Put sends the body in one request, its SHA-256 in the header
	// x-amz-checksum-sha256 and in the metadata. The version is empty in a bucket
	// without any.
	Put(ctx context.Context, key string, body storage.Body, c Condition) (version string, err error)
	// Get streams a range, without a Range header when it is the whole object.
	// n is how many bytes come, start where they begin.
	Get(ctx context.Context, key string, offset, length int64) (body io.ReadCloser, start, n int64, err error)
	// Head describes a version; empty is the current one.
	Head(ctx context.Context, key, version string) (Object, error)
	// List yields key, size and, as Version, the ETag. first is the first version of
	// the call, for services that do not know the second.
	List(ctx context.Context, prefix, after string, first bool) iter.Seq2[storage.Info, error]
	// Versions returns up to a page of the version ids of exactly this key,
	// delete markers among them.
	Versions(ctx context.Context, key string) ([]string, error)
	// Delete removes one version; empty is the object of a bucket without any.
	Delete(ctx context.Context, key, version string) error
	// Copy makes a copy within the bucket, on the service's side.
	Copy(ctx context.Context, from, to string) error
	// Retain locks a version until a whole second.
	Retain(ctx context.Context, key, version string, until time.Time, mode storage.LockMode) error
	// Retention is until when a version is locked; zero is not.
	Retention(ctx context.Context, key, version string) (until time.Time, err error)
	// Versioning is the bucket's status: "Enabled", "Suspended" or "".
	Versioning(ctx context.Context) (string, error)
	// Locks tells whether objects can be locked, and whether the bucket locks each on
	// its own.
	Locks(ctx context.Context) (can, byDefault bool, err error)

	PartsDriver
}

// Bucket is one bucket. Create with Open.
type Bucket struct {
	driver Driver
	limits Limits
	probes probes
}

var (
	_ storage.Store  = (*Bucket)(nil)
	_ storage.Locker = (*Bucket)(nil)
	_ storage.Prober = (*Bucket)(nil)
	_ storage.Summer = (*Bucket)(nil)
)

// Limits of a bucket. The zero value is the defaults.
type Limits struct {
	PartsAbove int64         // bytes above which a body is sent in parts; default 1 GiB, at most 5 GiB
	PartSize   int64         // default 64 MiB, at least 5 MiB; more for bodies of more than 10,000 parts
	Leftover   time.Duration // age at which an unfinished upload in parts counts as cut off; default 24 h

	MaxRetention time.Duration // longest lock from now on that Lock sets; zero: none at all

	// Known says that the bucket was opened before, and found good: that it refuses us now
	// is a trouble as any other, and no reason not to open it.
	Known bool
}

func (l Limits) withDefaults() (Limits, error) {
	if l.PartsAbove == 0 {
		l.PartsAbove = 1 << 30
	}
	if l.PartSize == 0 {
		l.PartSize = 64 << 20
	}
	if l.Leftover == 0 {
		l.Leftover = 24 * time.Hour
	}
	if l.PartsAbove < 0 || l.PartsAbove > maxPut || l.PartSize < minPart || l.PartSize > maxPut || l.Leftover < 0 || l.MaxRetention < 0 {
		return l, errors.New("limits: parts above at most 5 GiB, part size of 5 MiB to 5 GiB, no negative time")
	}
	return l, nil
}

// Open probes what the bucket can do, which writes and deletes one small object
// under probe/, and fails when it cannot be read, written and deleted from, or locks
// whatever is put into it: then nothing that must go could be deleted in time. A
// service that is away or full now, or refuses us as to a bucket that is known, may be well
// later: its bucket is opened all the same and probed at the first call that depends on it, which fails until then.
//
// The credentials need, in the words of AWS, on the bucket: ListBucket,
// ListBucketVersions, ListBucketMultipartUploads, GetBucketVersioning,
// GetBucketObjectLockConfiguration; on its objects: GetObject, GetObjectVersion,
// PutObject, DeleteObject, DeleteObjectVersion, AbortMultipartUpload, and for locks
// GetObjectRetention and PutObjectRetention. BypassGovernanceRetention they never need.
func Open(ctx context.Context, d Driver, l Limits) (*Bucket, error) {
	l, err := l.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Bucket{driver: d, limits: l, probes: newProbes()}
	_, err = b.caps(ctx)
	passing := errors.Is(err, storage.ErrAway) || errors.Is(err, storage.ErrFull) ||
		l.Known && (errors.Is(err, storage.ErrDenied) || errors.Is(err, storage.ErrClock))
	if err != nil && !passing {
		return nil, err
	}
	return b, nil
}

// Probe returns what was seen when the bucket was opened, or tries now when the
// service was away then.
func (b *Bucket) Probe(ctx context.Context) (storage.Capabilities, error) {
	can, err := b.caps(ctx)
	return can.Capabilities, err
}

// Put sends body on the condition that the key is free. Where the service knows
// no such condition it looks first, which leaves a gap that only names nobody
// else writes can close.
func (b *Bucket) Put(ctx context.Context, key string, body storage.Body) error {
	if err := storage.CheckKey(key); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if body.Size > maxObject {
		return fmt.Errorf("put %s: %d bytes, allowed %d", key, body.Size, int64(maxObject))
	}
	can, err := b.caps(ctx)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	if !can.ChecksumSHA256 {
		if err := checkBody(ctx, body); err != nil {
			return fmt.Errorf("put %s: %w", key, err)
		}
	}
	for wait := 20 * time.Millisecond; ; wait *= 2 {
		err := b.putOnce(ctx, can, key, body)
		if !errors.Is(err, ErrConflict) || wait > time.Second {
			if err != nil {
				return fmt.Errorf("put %s: %w", key, err)
			}
			return nil
		}
		// Another writer has the key and is not done: wait for what it makes.
		select {
		case <-ctx.Done():
			return fmt.Errorf("put %s: %w", key, ctx.Err())
		case <-time.After(wait):
		}
	}
}

func (b *Bucket) putOnce(ctx context.Context, can capabilities, key string, body storage.Body) error {
	inParts := body.Size > b.limits.PartsAbove
	conditional := can.ConditionalPut
	if inParts {
		conditional = can.ConditionalComplete
	}
	if !conditional || inParts { // many parts are not sent to be refused
		_, err := b.driver.Head(ctx, key, "")
		if err == nil {
			return b.same(ctx, key, body)
		}
		if !errors.Is(err, storage.ErrNotExist) {
			return err
		}
	}
	_, checked, err := b.send(ctx, can, key, body, Condition{Absent: conditional})
	if errors.Is(err, ErrPrecondition) || errors.Is(err, errUnknownEnd) {
		return b.same(ctx, key, body)
	}
	if err != nil {
		return err
	}
	if conditional && checked {
		return nil // the service has compared the bytes with their sums and with nothing else there
	}
	return storage.Verify(ctx, b, key, body.Size, body.SHA256)
}

// send puts body in one request, or in parts where it is large. checked is true when
// the service has compared what it holds with our sums.
func (b *Bucket) send(ctx context.Context, can capabilities, key string, body storage.Body, c Condition) (version string, checked bool, err error) {
	if body.Size > b.limits.PartsAbove {
		return b.putParts(ctx, can, key, body, c)
	}
	version, err = b.driver.Put(ctx, key, body, c)
	return version, can.ChecksumSHA256, err
}

// same answers for a key that is taken: only the bytes, read back, are evidence.
func (b *Bucket) same(ctx context.Context, key string, body storage.Body) error {
	err := storage.Verify(ctx, b, key, body.Size, body.SHA256)
	switch {
	case errors.Is(err, storage.ErrCorrupt):
		return storage.ErrExist
	case errors.Is(err, storage.ErrNotExist):
		return fmt.Errorf("%w: taken and yet absent", ErrConflict)
	}
	return err
}

// checkBody reads a body before it is sent to a service that would take anything.
func checkBody(ctx context.Context, body storage.Body) error {
	h := sha256.New()
	r := storage.ExactReader(ctx, io.NopCloser(body.Reader()), body.Size)
	if _, err := io.Copy(h, r); err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if [32]byte(h.Sum(nil)) != body.SHA256 {
		return fmt.Errorf("%w: the body has another sha256 than announced", storage.ErrCorrupt)
	}
	return nil
}

// Get streams a range.
func (b *Bucket) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if err := storage.CheckKey(key); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	if offset < 0 {
		return nil, fmt.Errorf("get %s: %w", key, storage.ErrRange)
	}
	if length == 0 {
		return b.nothing(ctx, key, offset)
	}
	body, start, n, err := b.driver.Get(ctx, key, offset, length)
	if errors.Is(err, storage.ErrRange) && length < 0 {
		return b.nothing(ctx, key, offset) // S3 has no empty range
	}
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	if start != offset || length > 0 && n != length {
		body.Close() // its bytes are not wanted
		return nil, fmt.Errorf("get %s: %d bytes from %d, came %d from %d: %w", key, length, offset, n, start, storage.ErrRange)
	}
	return storage.ExactReader(ctx, answerBody{body, ctx}, n), nil
}

// answerBody translates what breaks off an answer.
type answerBody struct {
	io.ReadCloser
	ctx context.Context
}

func (a answerBody) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = Transport(a.ctx, err)
	}
	return n, err
}

// nothing is the empty range at offset.
func (b *Bucket) nothing(ctx context.Context, key string, offset int64) (io.ReadCloser, error) {
	o, err := b.driver.Head(ctx, key, "")
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	if offset > o.Size {
		return nil, fmt.Errorf("get %s: from %d of %d: %w", key, offset, o.Size, storage.ErrRange)
	}
	return io.NopCloser(strings.NewReader("")), nil
}

// Head tells what the service says. Version is the version id, or the ETag in a
// bucket without versions.
func (b *Bucket) Head(ctx context.Context, key string) (storage.Info, error) {
	if err := storage.CheckKey(key); err != nil {
		return storage.Info{}, fmt.Errorf("head: %w", err)
	}
	versions, err := b.keepsVersions(ctx)
	if err != nil {
		return storage.Info{}, fmt.Errorf("head %s: %w", key, err)
	}
	o, err := b.driver.Head(ctx, key, "")
	if err != nil {
		return storage.Info{}, fmt.Errorf("head %s: %w", key, err)
	}
	info := storage.Info{Key: key, Size: o.Size, SHA256: o.Sums.any(), Version: o.version(versions)}
	if o.LockedUntil.After(time.Now()) {
		info.LockedUntil, info.LockMode = o.LockedUntil, o.LockMode
	}
	return info, nil
}

// OwnSum is what the service says it has computed, of an object that was put in one
// request into a service that was seen to compute it.
func (b *Bucket) OwnSum(ctx context.Context, key string) (sum [32]byte, ok bool, err error) {
	if err := storage.CheckKey(key); err != nil {
		return sum, false, fmt.Errorf("own sum: %w", err)
	}
	can, err := b.caps(ctx)
	if err != nil {
		return sum, false, fmt.Errorf("own sum %s: %w", key, err)
	}
	o, err := b.driver.Head(ctx, key, "")
	if err != nil {
		return sum, false, fmt.Errorf("own sum %s: %w", key, err)
	}
	if !can.ChecksumSHA256 || !can.StoredSHA256 || o.Sums.Own == [32]byte{} || sentInParts(o.ETag) {
		return sum, false, nil
	}
	return o.Sums.Own, true, nil
}

// sentInParts reads an ETag: that of an object sent in parts ends in their number.
func sentInParts(etag string) bool { return strings.Contains(etag, "-") }

func (o Object) version(versions bool) string {
	if versions && o.Version != "" {
		return o.Version
	}
	return o.ETag
}

// List pages through the bucket. Version is empty in a bucket with versions: a
// listing does not tell it. A service that lists out of order is an error, since
// whoever merges the listing with a manifest would take objects for missing.
func (b *Bucket) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		fail := func(err error) { yield(storage.Info{}, fmt.Errorf("list: %w", err)) }
		if err := storage.CheckPrefix(prefix); err != nil {
			fail(err)
			return
		}
		versions, err := b.keepsVersions(ctx)
		if err != nil {
			fail(err)
			return
		}
		last := ""
		for info, err := range b.driver.List(ctx, prefix, after, b.listsFirst()) {
			if err != nil {
				fail(err)
				return
			}
			if info.Key <= last {
				fail(errors.New("the service lists out of order"))
				return
			}
			last = info.Key
			if info.Key <= after || !strings.HasPrefix(info.Key, prefix) {
				continue
			}
			if versions {
				info.Version = ""
			}
			if !yield(info, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil { // a library may end its listing silently
			fail(err)
		}
	}
}
