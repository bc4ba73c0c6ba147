package minio

import (
	"context"
	"fmt"
	"iter"
	"net/http"

	"github.com/minio/minio-go/v7"

	"medvault/storage"
	"medvault/storage/s3"
)

// Begin names the checksum's algorithm and its kind: of SHA-256 there is no other.
func (d *driver) Begin(ctx context.Context, key string, sum [32]byte) (string, error) {
	upload, err := d.core.NewMultipartUpload(ctx, d.bucket, key, minio.PutObjectOptions{UserMetadata: map[string]string{
		"X-Amz-Checksum-Algorithm": "SHA256",
		"X-Amz-Checksum-Type":      "COMPOSITE",
		s3.MetaSHA256:              fmt.Sprintf("%x", sum),
	}})
	return upload, translate(ctx, err)
}

func (d *driver) PutPart(ctx context.Context, key, upload string, number int, part storage.Body) (string, error) {
	sent, err := d.core.PutObjectPart(ctx, d.bucket, key, upload, number, part.Reader(), part.Size, minio.PutObjectPartOptions{
		DisableContentSha256: true,
		CustomHeader:         http.Header{checksumHeader: {s3.Base64(part.SHA256)}},
	})
	return sent.ETag, translate(ctx, err)
}

func (d *driver) Complete(ctx context.Context, key, upload string, parts []s3.Part, c s3.Condition) (string, error) {
	list := make([]minio.CompletePart, len(parts))
	for i, p := range parts {
		list[i] = minio.CompletePart{PartNumber: i + 1, ETag: p.ETag, ChecksumSHA256: s3.Base64(p.SHA256)}
	}
	info, err := d.core.CompleteMultipartUpload(ctx, d.bucket, key, upload, list, conditional(c))
	return info.VersionID, translate(ctx, err)
}

func (d *driver) Abort(ctx context.Context, key, upload string) error {
	return translate(ctx, d.core.AbortMultipartUpload(ctx, d.bucket, key, upload))
}

func (d *driver) Uploads(ctx context.Context, prefix string) iter.Seq2[s3.Upload, error] {
	return func(yield func(s3.Upload, error) bool) {
		for keyMarker, idMarker := "", ""; ; {
			page, err := d.core.ListMultipartUploads(ctx, d.bucket, prefix, keyMarker, idMarker, "", 1000)
			if err != nil {
				yield(s3.Upload{}, translate(ctx, err))
				return
			}
			for _, u := range page.Uploads {
				if !yield(s3.Upload{Key: u.Key, ID: u.UploadID, Begun: u.Initiated}, nil) {
					return
				}
			}
			if !page.IsTruncated || page.NextKeyMarker == "" {
				return
			}
			keyMarker, idMarker = page.NextKeyMarker, page.NextUploadIDMarker
		}
	}
}
