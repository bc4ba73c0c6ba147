package s3

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"time"

	"medvault/storage"
)

// What S3 takes.
const (
	maxPut    = 5 << 30 // bytes in one request
	minPart   = 5 << 20 // bytes of each part but the last
	maxParts  = 10_000
	maxObject = 5 << 40
)

// abortTime bounds the cleaning up after an upload that failed, which may have failed
// because the caller's time was up.
const abortTime = 10 * time.Second

// errUnknownEnd is of an upload whose parts are gone: an earlier attempt to complete it
// may have come through.
var errUnknownEnd = errors.New("the upload is not known any more")

// Part is one part of an upload that the service has taken.
type Part struct {
	ETag   string
	SHA256 [32]byte
}

// Upload is an upload in parts that was begun and neither completed nor aborted.
type Upload struct {
	Key, ID string
	Begun   time.Time
}

// PartsDriver are the calls of a Driver for objects that are sent in parts.
type PartsDriver interface {
	// Begin announces SHA-256 as the checksum of the parts; sum goes to the metadata.
	Begin(ctx context.Context, key string, sum [32]byte) (upload string, err error)
	// PutPart sends one part, numbered from 1, with its checksum as Put does.
	PutPart(ctx context.Context, key, upload string, number int, part storage.Body) (etag string, err error)
	// Complete makes the object. An upload that is not there is storage.ErrNotExist.
	Complete(ctx context.Context, key, upload string, parts []Part, c Condition) (version string, err error)
	Abort(ctx context.Context, key, upload string) error
	// Uploads yields those under prefix.
	Uploads(ctx context.Context, prefix string) iter.Seq2[Upload, error]
}

// putParts sends a large body. What it has begun and not completed it aborts.
func (b *Bucket) putParts(ctx context.Context, can capabilities, key string, body storage.Body, c Condition) (version string, checked bool, err error) {
	upload, err := b.driver.Begin(ctx, key, body.SHA256)
	if err != nil {
		return "", false, fmt.Errorf("begin parts: %w", err)
	}
	done := false
	defer func() {
		if done {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
		defer cancel()
		if stays := b.driver.Abort(ctx, key, upload); stays != nil && !errors.Is(stays, storage.ErrNotExist) {
			err = fmt.Errorf("%w (and its parts stay: %v)", err, stays)
		}
	}()
	parts, err := b.sendParts(ctx, key, upload, body)
	if err != nil {
		return "", false, err
	}
	version, err = b.driver.Complete(ctx, key, upload, parts, c)
	if errors.Is(err, storage.ErrNotExist) {
		err = errUnknownEnd
	}
	if err != nil {
		return "", false, fmt.Errorf("complete parts: %w", err)
	}
	done = true
	o, err := b.driver.Head(ctx, key, version)
	if err != nil {
		return "", false, fmt.Errorf("completed: %w", err)
	}
	if o.Size != body.Size || o.Sums.OfParts != "" && o.Sums.OfParts != sumOfParts(parts) {
		return "", false, fmt.Errorf("completed: %w: size or checksum differs", storage.ErrCorrupt)
	}
	return version, can.ChecksumSHA256 && o.Sums.OfParts != "", nil
}

// sendParts sends one part after the other. The service checks each; that together they
// are the body is checked here, before there is an object.
func (b *Bucket) sendParts(ctx context.Context, key, upload string, body storage.Body) ([]Part, error) {
	size := max(b.limits.PartSize, (body.Size+maxParts-1)/maxParts)
	whole := sha256.New()
	var parts []Part
	for offset := int64(0); offset < body.Size; offset += size {
		part := storage.Body{ReaderAt: io.NewSectionReader(body, offset, min(size, body.Size-offset)), Size: min(size, body.Size-offset)}
		var err error
		if part.SHA256, err = sumPart(ctx, part, whole); err != nil {
			return nil, err
		}
		number := len(parts) + 1
		etag, err := b.driver.PutPart(ctx, key, upload, number, part)
		if err != nil {
			return nil, fmt.Errorf("part %d: %w", number, err)
		}
		parts = append(parts, Part{ETag: etag, SHA256: part.SHA256})
	}
	if [32]byte(whole.Sum(nil)) != body.SHA256 {
		return nil, fmt.Errorf("%w: the body has another sha256 than announced", storage.ErrCorrupt)
	}
	return parts, nil
}

func sumPart(ctx context.Context, part storage.Body, whole hash.Hash) (sum [32]byte, err error) {
	h := sha256.New()
	r := storage.ExactReader(ctx, io.NopCloser(part.Reader()), part.Size)
	if _, err := io.Copy(io.MultiWriter(h, whole), r); err != nil {
		return sum, fmt.Errorf("read body: %w", err)
	}
	return [32]byte(h.Sum(nil)), nil
}

// sumOfParts is the checksum a service has of an object sent in parts: the sum of their
// sums, and how many there are.
func sumOfParts(parts []Part) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p.SHA256[:])
	}
	return fmt.Sprintf("%s-%d", Base64([32]byte(h.Sum(nil))), len(parts))
}

// abortUploads aborts what was begun under prefix and is wanted gone.
func (b *Bucket) abortUploads(ctx context.Context, prefix string, unwanted func(Upload) bool) error {
	for u, err := range b.driver.Uploads(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("list unfinished uploads: %w", err)
		}
		if !unwanted(u) {
			continue
		}
		if err := b.driver.Abort(ctx, u.Key, u.ID); err != nil && !errors.Is(err, storage.ErrNotExist) {
			return fmt.Errorf("abort an unfinished upload: %w", err)
		}
	}
	return nil
}

// sweep aborts what a crash left begun, here or in another process, long enough ago
// that nobody is still sending it.
func (b *Bucket) sweep(ctx context.Context) error {
	before := time.Now().Add(-b.limits.Leftover)
	return b.abortUploads(ctx, "", func(u Upload) bool { return u.Begun.Before(before) })
}
