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

// maxPut is what S3 takes in one request. Bodies are sent in one, since only then
// does the service check the SHA-256 of the whole; multipart is for later.
const maxPut = 5 << 30

// Errors a Driver speaks beside those of package storage.
var (
	ErrPrecondition = errors.New("condition not met")
	ErrConflict     = errors.New("another request for the same key is under way")
	ErrUnsupported  = errors.New("the service does not know this call")
	ErrAway         = errors.New("the service does not answer") // for now
)

// Condition is what must hold for a put to happen. The zero value is nothing.
type Condition struct {
	Absent bool   // no object under the key
	ETag   string // this object under the key
}

// Object is what a driver's head tells.
type Object struct {
	Size    int64
	SHA256  [32]byte // as the service or the object's metadata say; zero when neither does
	ETag    string   // without quotes
	Version string   // empty in a bucket without versions
}

// Driver makes single calls to one bucket. It translates its library's errors with
// Translate or as that does; no error holds credentials or a URL.
type Driver interface {
	// Put sends the body in one request, its SHA-256 in the header
	// x-amz-checksum-sha256 and in the metadata.
	Put(ctx context.Context, key string, body storage.Body, c Condition) error
	// Get streams a range, without a Range header when it is the whole object.
	// n is how many bytes come, start where they begin.
	Get(ctx context.Context, key string, offset, length int64) (body io.ReadCloser, start, n int64, err error)
	Head(ctx context.Context, key string) (Object, error)
	// List yields key, size and, as Version, the ETag.
	List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error]
	// Versions returns up to a page of the version ids of exactly this key,
	// delete markers among them.
	Versions(ctx context.Context, key string) ([]string, error)
	// Delete removes one version; empty is the object of a bucket without any.
	Delete(ctx context.Context, key, version string) error
	// Copy makes a copy within the bucket, on the service's side.
	Copy(ctx context.Context, from, to string) error
	// Versioning is the bucket's status: "Enabled", "Suspended" or "".
	Versioning(ctx context.Context) (string, error)
	// Locked tells whether objects can be locked.
	Locked(ctx context.Context) (bool, error)
}

// Bucket is one bucket. Create with Open.
type Bucket struct {
	driver Driver
	probes probes
}

var _ storage.Store = (*Bucket)(nil)

// Open probes what the bucket can do, which writes and deletes one small object
// under probe/, and fails when it cannot be read, written and deleted from. A
// service that is away now may be back later: its bucket is opened all the same and
// probed at the first call that depends on it, which fails until the service is back.
func Open(ctx context.Context, d Driver) (*Bucket, error) {
	b := &Bucket{driver: d, probes: newProbes()}
	if _, err := b.caps(ctx); err != nil && !errors.Is(err, ErrAway) {
		return nil, err
	}
	return b, nil
}

// Capabilities returns what the probe saw; none while the service has been away
// since the bucket was opened.
func (b *Bucket) Capabilities() Capabilities {
	if seen := b.probes.seen.Load(); seen != nil {
		return seen.Capabilities
	}
	return Capabilities{}
}

// Put sends body on the condition that the key is free. Where the service knows
// no such condition it looks first, which leaves a gap that only names nobody
// else writes can close. A body of more than 5 GiB is refused.
func (b *Bucket) Put(ctx context.Context, key string, body storage.Body) error {
	if err := storage.CheckKey(key); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if body.Size > maxPut {
		return fmt.Errorf("put %s: %d bytes, allowed %d in one request", key, body.Size, int64(maxPut))
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
	if !can.ConditionalPut {
		_, err := b.driver.Head(ctx, key)
		if err == nil {
			return b.same(ctx, key, body)
		}
		if !errors.Is(err, storage.ErrNotExist) {
			return err
		}
	}
	err := b.driver.Put(ctx, key, body, Condition{Absent: can.ConditionalPut})
	if errors.Is(err, ErrPrecondition) {
		return b.same(ctx, key, body)
	}
	if err != nil {
		return err
	}
	if can.ConditionalPut && can.ChecksumSHA256 {
		return nil // the service has compared the bytes with their sum and with nothing else there
	}
	return storage.Verify(ctx, b, key, body.Size, body.SHA256)
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
	return storage.ExactReader(ctx, body, n), nil
}

// nothing is the empty range at offset.
func (b *Bucket) nothing(ctx context.Context, key string, offset int64) (io.ReadCloser, error) {
	o, err := b.driver.Head(ctx, key)
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
	can, err := b.caps(ctx)
	if err != nil {
		return storage.Info{}, fmt.Errorf("head %s: %w", key, err)
	}
	o, err := b.driver.Head(ctx, key)
	if err != nil {
		return storage.Info{}, fmt.Errorf("head %s: %w", key, err)
	}
	return storage.Info{Key: key, Size: o.Size, SHA256: o.SHA256, Version: can.version(o)}, nil
}

func (can capabilities) version(o Object) string {
	if can.Versioning && o.Version != "" {
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
		can, err := b.caps(ctx)
		if err != nil {
			fail(err)
			return
		}
		last := ""
		for info, err := range b.driver.List(ctx, prefix, after) {
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
			if can.Versioning {
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

// Delete removes all versions and delete markers of the key, and what Repair has
// put in quarantine of it, and looks whether they are gone. A version that is
// locked stays and is an error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := storage.CheckKey(key); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	can, err := b.caps(ctx)
	if err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	// Quarantine first: whoever sees the object gone may rely on its copies
	// being gone too.
	for info, err := range b.List(ctx, storage.QuarantinePrefix(key), "") {
		if err != nil {
			return fmt.Errorf("delete %s: quarantine: %w", key, err)
		}
		if storage.IsQuarantineOf(key, info.Key) {
			if err := b.deleteAll(ctx, info.Key, can.versions); err != nil {
				return fmt.Errorf("delete %s: quarantine: %w", key, err)
			}
		}
	}
	if err := b.deleteAll(ctx, key, can.versions); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

// deleteAll deletes every version where there are any.
func (b *Bucket) deleteAll(ctx context.Context, key string, anyVersions bool) error {
	if !anyVersions {
		if err := b.driver.Delete(ctx, key, ""); err != nil && !errors.Is(err, storage.ErrNotExist) {
			return err
		}
		return nil
	}
	deleted := map[string]bool{}
	for {
		versions, err := b.driver.Versions(ctx, key)
		if err != nil {
			return err
		}
		if len(versions) == 0 {
			return nil
		}
		for _, v := range versions {
			if deleted[v] {
				return errors.New("a deleted version is still there")
			}
			if err := b.driver.Delete(ctx, key, v); err != nil && !errors.Is(err, storage.ErrNotExist) {
				return err
			}
			deleted[v] = true
		}
	}
}
