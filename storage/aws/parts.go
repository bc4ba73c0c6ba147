package aws

import (
	"context"
	"fmt"
	"iter"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"medvault/storage"
	"medvault/storage/s3"
)

// Begin names the checksum's algorithm and its kind: of SHA-256 there is no other.
func (d *driver) Begin(ctx context.Context, key string, sum [32]byte) (string, error) {
	out, err := d.client.CreateMultipartUpload(ctx, &sdk.CreateMultipartUploadInput{
		Bucket:            d.bucket,
		Key:               aws.String(key),
		ContentType:       aws.String("application/octet-stream"),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		ChecksumType:      types.ChecksumTypeComposite,
		Metadata:          map[string]string{s3.MetaSHA256: fmt.Sprintf("%x", sum)},
	})
	if err != nil {
		return "", translate(ctx, err)
	}
	return aws.ToString(out.UploadId), nil
}

func (d *driver) PutPart(ctx context.Context, key, upload string, number int, part storage.Body) (string, error) {
	out, err := d.client.UploadPart(ctx, &sdk.UploadPartInput{
		Bucket:         d.bucket,
		Key:            aws.String(key),
		UploadId:       aws.String(upload),
		PartNumber:     aws.Int32(int32(number)), // 10,000 at most
		Body:           part.Reader(),
		ContentLength:  aws.Int64(part.Size),
		ChecksumSHA256: aws.String(s3.Base64(part.SHA256)),
	}, unsigned)
	if err != nil {
		return "", translate(ctx, err)
	}
	return aws.ToString(out.ETag), nil
}

func (d *driver) Complete(ctx context.Context, key, upload string, parts []s3.Part, c s3.Condition) (string, error) {
	list := make([]types.CompletedPart, len(parts))
	for i, p := range parts {
		list[i] = types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: aws.String(p.ETag), ChecksumSHA256: aws.String(s3.Base64(p.SHA256))}
	}
	in := &sdk.CompleteMultipartUploadInput{
		Bucket:          d.bucket,
		Key:             aws.String(key),
		UploadId:        aws.String(upload),
		ChecksumType:    types.ChecksumTypeComposite,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: list},
	}
	in.IfNoneMatch, in.IfMatch = conditions(c)
	out, err := d.client.CompleteMultipartUpload(ctx, in)
	if err != nil {
		return "", translate(ctx, err)
	}
	return aws.ToString(out.VersionId), nil
}

func (d *driver) Abort(ctx context.Context, key, upload string) error {
	_, err := d.client.AbortMultipartUpload(ctx, &sdk.AbortMultipartUploadInput{Bucket: d.bucket, Key: aws.String(key), UploadId: aws.String(upload)})
	return translate(ctx, err)
}

func (d *driver) Uploads(ctx context.Context, prefix string) iter.Seq2[s3.Upload, error] {
	return func(yield func(s3.Upload, error) bool) {
		in := &sdk.ListMultipartUploadsInput{Bucket: d.bucket, Prefix: aws.String(prefix)}
		for pages := sdk.NewListMultipartUploadsPaginator(d.client, in); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(s3.Upload{}, translate(ctx, err))
				return
			}
			for _, u := range page.Uploads {
				if !yield(s3.Upload{Key: aws.ToString(u.Key), ID: aws.ToString(u.UploadId), Begun: aws.ToTime(u.Initiated)}, nil) {
					return
				}
			}
		}
	}
}
