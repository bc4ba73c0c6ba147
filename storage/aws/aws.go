// Package aws is a bucket of Amazon S3, in whichever partition, through
// aws-sdk-go-v2.
package aws

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"medvault/storage"
	"medvault/storage/s3"
)

// attempts is how often a request is sent before its error is the answer.
const attempts = 3

// longestPause between attempts: a region that is away must not hold up the others.
const longestPause = 500 * time.Millisecond

// Config names a bucket and how to reach it.
type Config struct {
	Region string // required: eu-central-1, cn-north-1, …
	Bucket string // required

	AccessKey string // default: the SDK's chain of environment, profile, SSO and instance role
	SecretKey string // required with AccessKey, at least 10 bytes

	Endpoint     string // default: the region's own; https://host[:port] for a private endpoint
	Insecure     bool   // allows an http:// endpoint on loopback, and nothing else
	PathStyle    bool   // bucket in the path instead of the host name
	CreateBucket bool   // make the bucket where it is missing, with versions if Versioning is set
	Versioning   bool   // for CreateBucket: keep versions
	ObjectLock   bool   // for CreateBucket: allow locks, which includes versions

	Limits    s3.Limits         // default: see there
	TLS       *tls.Config       // default: the system's roots, or those AWS_CA_BUNDLE names
	Transport http.RoundTripper // default: a transport of its own with TLS
}

// Store is a bucket. Create with New.
type Store struct{ *s3.Bucket }

var _ storage.Store = (*Store)(nil)

// New connects, makes the bucket if asked to, and probes what it can do.
func New(ctx context.Context, cfg Config) (*Store, error) {
	d, err := dial(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("aws: %w", err)
	}
	if cfg.CreateBucket {
		if err := d.create(ctx, cfg); err != nil {
			return nil, fmt.Errorf("aws: bucket %s: %w", cfg.Bucket, err)
		}
	}
	b, err := s3.Open(ctx, d, cfg.Limits)
	if err != nil {
		return nil, fmt.Errorf("aws: bucket %s: %w", cfg.Bucket, err)
	}
	return &Store{b}, nil
}

func dial(ctx context.Context, cfg Config) (*driver, error) {
	if cfg.Region == "" || cfg.Bucket == "" {
		return nil, errors.New("region and bucket are required")
	}
	load := []func(*config.LoadOptions) error{
		config.WithRegion(cfg.Region),
		config.WithHTTPClient(httpClient(cfg.TLS)),
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = attempts, longestPause })
		}),
		// Checksums are given by us: a trailer of the SDK's own is what other
		// services refuse.
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
	}
	if cfg.AccessKey != "" || cfg.SecretKey != "" {
		if cfg.AccessKey == "" {
			return nil, errors.New("access key: required with a secret key")
		}
		if err := s3.CheckSecret(cfg.SecretKey); err != nil {
			return nil, err
		}
		load = append(load, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(cfg.AccessKey, cfg.SecretKey, "")))
	}
	var endpoint *string
	if cfg.Endpoint != "" {
		u, err := s3.ParseEndpoint(cfg.Endpoint, cfg.Insecure)
		if err != nil {
			return nil, err
		}
		endpoint = aws.String(u.String())
	}
	loaded, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, errors.New("the SDK's configuration in environment or profile is not understood") // it may quote a file with keys
	}
	client := sdk.NewFromConfig(loaded, func(o *sdk.Options) {
		o.BaseEndpoint = endpoint
		o.UsePathStyle = cfg.PathStyle
		if cfg.Transport != nil {
			o.HTTPClient = &http.Client{Transport: cfg.Transport}
		}
	})
	return &driver{client: client, bucket: aws.String(cfg.Bucket)}, nil
}

// httpClient is of the SDK's own kind: another one it refuses to give the roots
// that AWS_CA_BUNDLE names.
func httpClient(tls *tls.Config) aws.HTTPClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		if tls != nil {
			t.TLSClientConfig = tls.Clone()
		}
		s3.Tune(t)
	}).WithDialerOptions(func(d *net.Dialer) { d.Timeout = 5 * time.Second })
}

// driver makes the calls.
type driver struct {
	client *sdk.Client
	bucket *string
}

var _ s3.Driver = (*driver)(nil)

func (d *driver) create(ctx context.Context, cfg Config) error {
	_, err := d.client.HeadBucket(ctx, &sdk.HeadBucketInput{Bucket: d.bucket})
	if err == nil {
		return nil
	}
	if status(err) != http.StatusNotFound {
		return translate(ctx, err)
	}
	in := &sdk.CreateBucketInput{Bucket: d.bucket}
	if cfg.ObjectLock {
		in.ObjectLockEnabledForBucket = aws.Bool(true)
	}
	if cfg.Region != "us-east-1" { // the one region S3 wants unsaid
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(cfg.Region)}
	}
	if _, err := d.client.CreateBucket(ctx, in); err != nil {
		return translate(ctx, err)
	}
	if cfg.Versioning {
		_, err := d.client.PutBucketVersioning(ctx, &sdk.PutBucketVersioningInput{
			Bucket:                  d.bucket,
			VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
		})
		return translate(ctx, err)
	}
	return nil
}

// Put sends the plain checksum header and an unsigned payload, as package minio
// does.
func (d *driver) Put(ctx context.Context, key string, body storage.Body, c s3.Condition) (string, error) {
	in := &sdk.PutObjectInput{
		Bucket:         d.bucket,
		Key:            aws.String(key),
		Body:           body.Reader(),
		ContentLength:  aws.Int64(body.Size),
		ContentType:    aws.String("application/octet-stream"),
		ChecksumSHA256: aws.String(s3.Base64(body.SHA256)),
		Metadata:       map[string]string{s3.MetaSHA256: fmt.Sprintf("%x", body.SHA256)},
	}
	in.IfNoneMatch, in.IfMatch = conditions(c)
	out, err := d.client.PutObject(ctx, in, unsigned)
	if err != nil {
		return "", translate(ctx, err)
	}
	return aws.ToString(out.VersionId), nil
}

// unsigned leaves the payload out of the signature: TLS and the checksum guard it.
func unsigned(o *sdk.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}

// conditions are the headers If-None-Match and If-Match; nil is none.
func conditions(c s3.Condition) (none, match *string) {
	if c.Absent {
		none = aws.String("*")
	}
	if c.ETag != "" {
		match = aws.String(`"` + c.ETag + `"`)
	}
	return none, match
}

func (d *driver) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, int64, int64, error) {
	in := &sdk.GetObjectInput{Bucket: d.bucket, Key: aws.String(key)}
	if r := s3.Range(offset, length); r != "" {
		in.Range = aws.String(r)
	}
	out, err := d.client.GetObject(ctx, in)
	if err != nil {
		return nil, 0, 0, translate(ctx, err)
	}
	start, err := s3.RangeStart(aws.ToString(out.ContentRange))
	if err == nil && out.ContentLength == nil {
		err = errors.New("answer without a length")
	}
	if err != nil {
		out.Body.Close() // its bytes are not wanted
		return nil, 0, 0, err
	}
	return out.Body, start, *out.ContentLength, nil
}

func (d *driver) Head(ctx context.Context, key, version string) (s3.Object, error) {
	in := &sdk.HeadObjectInput{Bucket: d.bucket, Key: aws.String(key), ChecksumMode: types.ChecksumModeEnabled}
	if version != "" {
		in.VersionId = aws.String(version)
	}
	out, err := d.client.HeadObject(ctx, in)
	if err != nil {
		return s3.Object{}, translate(ctx, err)
	}
	o := s3.Object{
		Size:    aws.ToInt64(out.ContentLength),
		Sums:    s3.ReadSums(aws.ToString(out.ChecksumSHA256), string(out.ChecksumType), out.Metadata[s3.MetaSHA256]),
		ETag:    s3.ETag(aws.ToString(out.ETag)),
		Version: aws.ToString(out.VersionId),
	}
	o.ReadLock(string(out.ObjectLockMode), aws.ToTime(out.ObjectLockRetainUntilDate), string(out.ObjectLockLegalHoldStatus))
	return o, nil
}

func (d *driver) List(ctx context.Context, prefix, after string, first bool) iter.Seq2[storage.Info, error] {
	if first {
		return d.listFirst(ctx, prefix, after)
	}
	return func(yield func(storage.Info, error) bool) {
		in := &sdk.ListObjectsV2Input{Bucket: d.bucket, Prefix: aws.String(prefix)}
		if after != "" {
			in.StartAfter = aws.String(after)
		}
		for pages := sdk.NewListObjectsV2Paginator(d.client, in); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(storage.Info{}, translate(ctx, err))
				return
			}
			if !yieldAll(page.Contents, yield) {
				return
			}
		}
	}
}

// listFirst lists with the first version of the call, whose pages begin after a key.
func (d *driver) listFirst(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		for {
			page, err := d.client.ListObjects(ctx, &sdk.ListObjectsInput{Bucket: d.bucket, Prefix: aws.String(prefix), Marker: aws.String(after)})
			if err != nil {
				yield(storage.Info{}, translate(ctx, err))
				return
			}
			if !yieldAll(page.Contents, yield) || !aws.ToBool(page.IsTruncated) || len(page.Contents) == 0 {
				return
			}
			after = aws.ToString(page.Contents[len(page.Contents)-1].Key)
		}
	}
}

func yieldAll(page []types.Object, yield func(storage.Info, error) bool) bool {
	for _, o := range page {
		if !yield(storage.Info{Key: aws.ToString(o.Key), Size: aws.ToInt64(o.Size), Version: s3.ETag(aws.ToString(o.ETag)), Modified: aws.ToTime(o.LastModified)}, nil) {
			return false
		}
	}
	return true
}

func (d *driver) Versions(ctx context.Context, key string) ([]string, error) {
	page, err := d.client.ListObjectVersions(ctx, &sdk.ListObjectVersionsInput{Bucket: d.bucket, Prefix: aws.String(key)})
	if err != nil {
		return nil, translate(ctx, err)
	}
	// The key itself is the first of those that begin with it.
	var versions []string
	for _, v := range page.Versions {
		if aws.ToString(v.Key) == key {
			versions = append(versions, aws.ToString(v.VersionId))
		}
	}
	for _, v := range page.DeleteMarkers {
		if aws.ToString(v.Key) == key {
			versions = append(versions, aws.ToString(v.VersionId))
		}
	}
	return versions, nil
}

func (d *driver) Delete(ctx context.Context, key, version string) error {
	in := &sdk.DeleteObjectInput{Bucket: d.bucket, Key: aws.String(key)}
	if version != "" {
		in.VersionId = aws.String(version)
	}
	_, err := d.client.DeleteObject(ctx, in)
	return translate(ctx, err)
}

func (d *driver) Copy(ctx context.Context, from, to string) error {
	_, err := d.client.CopyObject(ctx, &sdk.CopyObjectInput{
		Bucket:     d.bucket,
		Key:        aws.String(to),
		CopySource: aws.String(*d.bucket + "/" + from), // a key has nothing to escape
	})
	return translate(ctx, err)
}

func (d *driver) Versioning(ctx context.Context) (string, error) {
	out, err := d.client.GetBucketVersioning(ctx, &sdk.GetBucketVersioningInput{Bucket: d.bucket})
	if s3.NoSetting(code(err), status(err)) {
		return "", nil
	}
	if err != nil {
		return "", translate(ctx, err)
	}
	return string(out.Status), nil
}

func (d *driver) Retain(ctx context.Context, key, version string, until time.Time, mode storage.LockMode) error {
	retention := types.ObjectLockRetentionModeGovernance
	if mode == storage.Compliance {
		retention = types.ObjectLockRetentionModeCompliance
	}
	in := &sdk.PutObjectRetentionInput{
		Bucket:            d.bucket,
		Key:               aws.String(key),
		Retention:         &types.ObjectLockRetention{Mode: retention, RetainUntilDate: aws.Time(until)},
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	}
	if version != "" {
		in.VersionId = aws.String(version)
	}
	_, err := d.client.PutObjectRetention(ctx, in)
	return translate(ctx, err)
}

func (d *driver) Retention(ctx context.Context, key, version string) (time.Time, error) {
	in := &sdk.GetObjectRetentionInput{Bucket: d.bucket, Key: aws.String(key)}
	if version != "" {
		in.VersionId = aws.String(version)
	}
	out, err := d.client.GetObjectRetention(ctx, in)
	if code(err) == "NoSuchObjectLockConfiguration" {
		return time.Time{}, nil
	}
	if err != nil || out.Retention == nil {
		return time.Time{}, translate(ctx, err)
	}
	return aws.ToTime(out.Retention.RetainUntilDate).UTC(), nil
}

func (d *driver) Locks(ctx context.Context) (can, byDefault bool, err error) {
	out, err := d.client.GetObjectLockConfiguration(ctx, &sdk.GetObjectLockConfigurationInput{Bucket: d.bucket})
	if s3.NoSetting(code(err), status(err)) {
		return false, false, nil
	}
	if err != nil || out.ObjectLockConfiguration == nil {
		return false, false, translate(ctx, err)
	}
	c := out.ObjectLockConfiguration
	return c.ObjectLockEnabled == types.ObjectLockEnabledEnabled, c.Rule != nil && c.Rule.DefaultRetention != nil, nil
}

// translate is this library's border: nothing of it, nor of the request, is in
// what it returns.
func translate(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if code(err) != "" || status(err) != 0 {
		return s3.Translate(code(err), status(err))
	}
	var sent *smithyhttp.RequestSendError
	if ctx.Err() == nil && !errors.As(err, &sent) {
		return errors.New("request not made") // credentials or endpoint; the library quotes them
	}
	return s3.Transport(ctx, err)
}

func code(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorCode()
	}
	return ""
}

func status(err error) int {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}
