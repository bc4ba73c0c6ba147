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
	Capabilities
	versions bool // there are, or may still be from earlier, several versions of a key
}

// probeTime bounds a probe: a service that takes longer is away.
const probeTime = 10 * time.Second

// probeRest is how long a service that was seen away is not asked again: one answer
// serves all who come by together, as at a start.
const probeRest = time.Second

// probes are the probes of one bucket, made until one succeeds.
type probes struct {
	seen atomic.Pointer[capabilities]

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

func (b *Bucket) probeInTime(ctx context.Context) (capabilities, error) {
	inTime, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	can, err := b.probe(inTime)
	if err != nil && ctx.Err() == nil && inTime.Err() != nil {
		err = fmt.Errorf("%w: nothing in %v", ErrAway, probeTime)
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
	if can.ObjectLock, err = b.driver.Locked(ctx); err != nil {
		return can, fmt.Errorf("object lock: %w", err)
	}
	id := make([]byte, 16)
	rand.Read(id) // never fails
	key := fmt.Sprintf("probe/%x", id)
	defer func() {
		// Also when the caller has given up: nobody else knows this name.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
		defer cancel()
		if gone := b.deleteAll(ctx, key, can.versions); gone != nil {
			err = errors.Join(err, fmt.Errorf("remove %s: %w", key, gone))
		}
	}()

	body := storage.Body{ReaderAt: bytes.NewReader(id), Size: int64(len(id)), SHA256: sha256.Sum256(id)}
	wrong := body
	wrong.SHA256[0] ^= 1
	if can.ChecksumSHA256, err = refuses(b.driver.Put(ctx, key, wrong, Condition{}), storage.ErrCorrupt); err != nil {
		return can, fmt.Errorf("put with a wrong sha256: %w", err)
	}
	if err := b.driver.Put(ctx, key, body, Condition{}); err != nil {
		return can, fmt.Errorf("put: %w", err)
	}
	if can.ConditionalPut, err = refuses(b.driver.Put(ctx, key, body, Condition{Absent: true}), ErrPrecondition); err != nil {
		return can, fmt.Errorf("conditional put: %w", err)
	}
	if can.ConditionalReplace, err = refuses(b.driver.Put(ctx, key, body, Condition{ETag: "00000000000000000000000000000000"}), ErrPrecondition); err != nil {
		return can, fmt.Errorf("conditional replace: %w", err)
	}
	return can, nil
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
