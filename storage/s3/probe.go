package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"medvault/storage"
)

// capabilities are what a probe saw.
type capabilities struct {
	storage.Capabilities
	versions bool // there are, or may still be from earlier, several versions of a key
}

// probeTime bounds a probe of some fifteen requests: a service that takes longer is away.
const probeTime = 20 * time.Second

// probeRest is how long a service that was seen away is not asked again: one answer
// serves all who come by together, as at a start.
const probeRest = time.Second

// probes are the probes of one bucket, made until one succeeds.
type probes struct {
	seen     atomic.Pointer[capabilities]
	versions atomic.Pointer[bool] // whether the bucket keeps them: known before the rest, without writing

	turn   chan struct{} // held by the one who probes; guards what follows
	failed time.Time
	err    error // of the probe that failed then
}

func newProbes() probes { return probes{turn: make(chan struct{}, 1)} }

// caps returns what the bucket can do, probing it unless that was seen before.
// Those who wait while another probes, or come soon after, share how that went.
func (b *Bucket) caps(ctx context.Context) (capabilities, error) {
	if seen := b.probes.seen.Load(); seen != nil {
		return *seen, nil
	}
	select {
	case b.probes.turn <- struct{}{}:
		defer func() { <-b.probes.turn }()
	case <-ctx.Done():
		return capabilities{}, fmt.Errorf("probe bucket: %w", ctx.Err())
	}
	if seen := b.probes.seen.Load(); seen != nil {
		return *seen, nil
	}
	if b.probes.err != nil && time.Since(b.probes.failed) < probeRest {
		return capabilities{}, b.probes.err
	}
	can, err := b.probeInTime(ctx)
	if err == nil {
		b.probes.seen.Store(&can)
		return can, nil
	}
	err = fmt.Errorf("probe bucket: %w", err)
	if ctx.Err() == nil { // not the caller's own impatience
		b.probes.failed, b.probes.err = time.Now(), err
	}
	return capabilities{}, err
}

// keepsVersions tells whether overwritten objects stay. It is all that reading calls
// need to know, and known also of a service that is full.
func (b *Bucket) keepsVersions(ctx context.Context) (bool, error) {
	if known := b.probes.versions.Load(); known != nil {
		return *known, nil
	}
	can, err := b.caps(ctx)
	if known := b.probes.versions.Load(); known != nil {
		return *known, nil
	}
	return can.Versioning, err
}

// listsFirst tells whether only the first version of the listing call is understood.
func (b *Bucket) listsFirst() bool {
	seen := b.probes.seen.Load()
	return seen != nil && !seen.ListAfter
}

func (b *Bucket) probeInTime(ctx context.Context) (capabilities, error) {
	inTime, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	can, err := b.probe(inTime)
	if err != nil && ctx.Err() == nil && inTime.Err() != nil {
		err = fmt.Errorf("%w: not done in %v", storage.ErrAway, probeTime)
	}
	return can, err
}

// probe tries each capability on an object of its own and removes it again.
func (b *Bucket) probe(ctx context.Context) (can capabilities, err error) {
	status, err := b.driver.Versioning(ctx)
	if err != nil {
		return can, fmt.Errorf("versioning: %w", err)
	}
	can.versions = status != ""
	can.Versioning = status == "Enabled"
	b.probes.versions.Store(&can.Versioning)
	var byDefault bool
	if can.ObjectLock, byDefault, err = b.driver.Locks(ctx); err != nil {
		return can, fmt.Errorf("object lock: %w", err)
	}
	if byDefault {
		return can, errors.New("object lock: the bucket has a default retention; remove it, since locks are set object by object")
	}
	if err := b.probeUploads(ctx, &can); err != nil {
		return can, err
	}
	id := make([]byte, 16)
	rand.Read(id) // never fails
	key := fmt.Sprintf("probe/%x", id)
	defer func() {
		// Also when the caller has given up: nobody else knows this name.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
		defer cancel()
		if gone := b.deleteAll(ctx, can, key); gone != nil {
			err = errors.Join(err, fmt.Errorf("remove %s: %w", key, gone))
		}
	}()
	body := storage.Body{ReaderAt: bytes.NewReader(id), Size: int64(len(id)), SHA256: sha256.Sum256(id)}
	if err := b.probePut(ctx, &can, key, body); err != nil {
		return can, err
	}
	if err := b.probeParts(ctx, &can, key, body); err != nil {
		return can, err
	}
	return can, b.probeRead(ctx, &can, key, body)
}

// probeUploads looks for what an earlier process has left behind.
func (b *Bucket) probeUploads(ctx context.Context, can *capabilities) error {
	err := b.sweep(ctx)
	if errors.Is(err, ErrUnsupported) || errors.Is(err, storage.ErrDenied) {
		return nil
	}
	can.UploadsListed = err == nil
	return err
}

// probePut leaves body under key.
func (b *Bucket) probePut(ctx context.Context, can *capabilities, key string, body storage.Body) (err error) {
	put := func(body storage.Body, c Condition) error {
		_, err := b.driver.Put(ctx, key, body, c)
		return err
	}
	wrong := body
	wrong.SHA256[0] ^= 1
	if can.ChecksumSHA256, err = refuses(put(wrong, Condition{}), storage.ErrCorrupt); err != nil {
		return fmt.Errorf("put with a wrong sha256: %w", err)
	}
	if err := put(body, Condition{}); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if can.ConditionalPut, err = refuses(put(body, Condition{Absent: true}), ErrPrecondition); err != nil {
		return fmt.Errorf("conditional put: %w", err)
	}
	if can.ConditionalReplace, err = refuses(put(body, Condition{ETag: "00000000000000000000000000000000"}), ErrPrecondition); err != nil {
		return fmt.Errorf("conditional replace: %w", err)
	}
	return nil
}

// probeParts sends body in one part and completes it where there is an object already.
func (b *Bucket) probeParts(ctx context.Context, can *capabilities, key string, body storage.Body) error {
	upload, err := b.driver.Begin(ctx, key, body.SHA256)
	if errors.Is(err, ErrUnsupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("begin parts: %w", err)
	}
	etag, err := b.driver.PutPart(ctx, key, upload, 1, body)
	if err == nil {
		_, err = b.driver.Complete(ctx, key, upload, []Part{{etag, body.SHA256}}, Condition{Absent: true})
		can.ConditionalComplete, err = refuses(err, ErrPrecondition)
	}
	if can.ConditionalComplete || err != nil {
		if stays := b.driver.Abort(ctx, key, upload); stays != nil && !errors.Is(stays, storage.ErrNotExist) {
			err = errors.Join(err, stays)
		}
	}
	if err != nil {
		return fmt.Errorf("complete parts: %w", err)
	}
	return nil
}

// probeRead reads back in the ways there are.
func (b *Bucket) probeRead(ctx context.Context, can *capabilities, key string, body storage.Body) error {
	if !can.ConditionalPut || !can.ConditionalComplete { // something else may lie there by now
		if _, err := b.driver.Put(ctx, key, body, Condition{}); err != nil {
			return fmt.Errorf("put: %w", err)
		}
	}
	o, err := b.driver.Head(ctx, key, "")
	if err != nil {
		return fmt.Errorf("head: %w", err)
	}
	can.StoredSHA256 = o.Sums.Own == body.SHA256
	part, start, n, err := b.driver.Get(ctx, key, 4, 8)
	if err != nil {
		return fmt.Errorf("get a range: %w", err)
	}
	can.Ranges = start == 4 && n == 8
	part.Close() // its bytes are not wanted
	there, err := b.lists(ctx, key, "")
	if err != nil {
		return err
	}
	after, err := b.lists(ctx, key, key)
	if err != nil {
		return err
	}
	can.ListAfter = there && !after
	return nil
}

// lists tells whether key is in the listing after another one.
func (b *Bucket) lists(ctx context.Context, key, after string) (bool, error) {
	for info, err := range b.driver.List(ctx, key, after, false) {
		if errors.Is(err, ErrUnsupported) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("list: %w", err)
		}
		if info.Key == key {
			return true, nil
		}
	}
	return false, nil
}

// refuses reads the answer to a put that should not succeed.
func refuses(answer, want error) (bool, error) {
	switch {
	case answer == nil, errors.Is(answer, ErrUnsupported):
		return false, nil
	case errors.Is(answer, want):
		return true, nil
	}
	return false, answer
}
