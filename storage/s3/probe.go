package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"medvault/storage"
)

// probe tries each capability on an object of its own and removes it again.
func (b *Bucket) probe(ctx context.Context) (err error) {
	status, err := b.driver.Versioning(ctx)
	if err != nil {
		return fmt.Errorf("versioning: %w", err)
	}
	b.versions = status != ""
	b.caps.Versioning = status == "Enabled"
	if b.caps.ObjectLock, err = b.driver.Locked(ctx); err != nil {
		return fmt.Errorf("object lock: %w", err)
	}
	id := make([]byte, 16)
	rand.Read(id) // never fails
	key := fmt.Sprintf("probe/%x", id)
	defer func() {
		if gone := b.deleteAll(ctx, key); gone != nil {
			err = errors.Join(err, fmt.Errorf("remove %s: %w", key, gone))
		}
	}()

	body := storage.Body{ReaderAt: bytes.NewReader(id), Size: int64(len(id)), SHA256: sha256.Sum256(id)}
	wrong := body
	wrong.SHA256[0] ^= 1
	if b.caps.ChecksumSHA256, err = refuses(b.driver.Put(ctx, key, wrong, Condition{}), storage.ErrCorrupt); err != nil {
		return fmt.Errorf("put with a wrong sha256: %w", err)
	}
	if err := b.driver.Put(ctx, key, body, Condition{}); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	if b.caps.ConditionalPut, err = refuses(b.driver.Put(ctx, key, body, Condition{Absent: true}), ErrPrecondition); err != nil {
		return fmt.Errorf("conditional put: %w", err)
	}
	if b.caps.ConditionalReplace, err = refuses(b.driver.Put(ctx, key, body, Condition{ETag: "00000000000000000000000000000000"}), ErrPrecondition); err != nil {
		return fmt.Errorf("conditional replace: %w", err)
	}
	return nil
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
