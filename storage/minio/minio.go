// Package minio is a bucket of an S3-compatible service (MinIO, Ceph, versitygw,
// and the clouds that speak S3) through minio-go.
package minio

import (
	"context"
	"crypto/fips140"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"medvault/storage"
	"medvault/storage/s3"
)

// attempts is how often a request is sent before its error is the answer.
const attempts = 3

// Config names a bucket and how to reach it.
type Config struct {
	Endpoint  string // required: https://host[:port]
	AccessKey string // required
	SecretKey string // required, at least 10 bytes
	Region    string // required, as the service calls it; us-east-1 where it has none
	Bucket    string // required

	Insecure     bool // allows http:// to loopback, and nothing else
	PathStyle    bool // bucket in the path instead of the host name
	CreateBucket bool // make the bucket where it is missing, with versions if Versioning is set
	Versioning   bool // for CreateBucket: keep versions
	ObjectLock   bool // for CreateBucket: allow locks, which includes versions

	Limits    s3.Limits         // default: see there
	TLS       *tls.Config       // default: the system's roots
	Transport http.RoundTripper // default: a transport of its own with TLS
}

// Store is a bucket. Create with New.
type Store struct{ *s3.Bucket }

var _ storage.Store = (*Store)(nil)

// New connects, makes the bucket if asked to, and probes what it can do.
func New(ctx context.Context, cfg Config) (*Store, error) {
	d, err := dial(cfg)
	if err != nil {
		return nil, fmt.Errorf("minio: %w", err)
	}
	if cfg.CreateBucket {
		if err := d.create(ctx, cfg); err != nil {
			return nil, fmt.Errorf("minio: bucket %s: %w", cfg.Bucket, err)
		}
	}
	b, err := s3.Open(ctx, d, cfg.Limits)
	if err != nil {
		return nil, fmt.Errorf("minio: bucket %s: %w", cfg.Bucket, err)
	}
	return &Store{b}, nil
}

func dial(cfg Config) (*driver, error) {
	endpoint, err := s3.ParseEndpoint(cfg.Endpoint, cfg.Insecure)
	if err != nil {
		return nil, err
	}
	if err := s3.CheckSecret(cfg.SecretKey); err != nil {
		return nil, err
	}
	if cfg.AccessKey == "" || cfg.Region == "" || cfg.Bucket == "" {
		return nil, errors.New("access key, region and bucket are required")
	}
	if cfg.Transport == nil {
		cfg.Transport = s3.NewTransport(cfg.TLS)
	}
	lookup := minio.BucketLookupDNS
	if cfg.PathStyle {
		lookup = minio.BucketLookupPath
	}
	core, err := minio.NewCore(endpoint.Host, &minio.Options{
		Creds:        credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""),
		Secure:       endpoint.Scheme == "https",
		Region:       cfg.Region,
		BucketLookup: lookup,
		Transport:    cfg.Transport,
		MaxRetries:   attempts,
	})
	if err != nil {
		return nil, errors.New("endpoint: not accepted") // the library quotes what it was given
	}
	return &driver{core: core, bucket: cfg.Bucket, transport: cfg.Transport}, nil
}

// driver makes the calls.
type driver struct {
	core      *minio.Core
	bucket    string
	transport http.RoundTripper // of core
}

var _ s3.Driver = (*driver)(nil)

func (d *driver) create(ctx context.Context, cfg Config) error {
	there, err := d.core.BucketExists(ctx, d.bucket)
	if err != nil || there {
		return translate(ctx, err)
	}
	err = d.core.MakeBucket(ctx, d.bucket, minio.MakeBucketOptions{Region: cfg.Region, ObjectLocking: cfg.ObjectLock})
	if err != nil {
		return translate(ctx, err)
	}
	if cfg.Versioning {
		// The library sends this setting of the bucket with a Content-MD5, which
		// GODEBUG=fips140=only would panic on. It guards a request against
		// transmission errors, inside TLS, and no object.
		fips140.WithoutEnforcement(func() { err = d.core.EnableVersioning(ctx, d.bucket) })
		return translate(ctx, err)
	}
	return nil
}

// Put sends the plain checksum header and an unsigned payload: what every service
// understands, over TLS or loopback.
func (d *driver) Put(ctx context.Context, key string, body storage.Body, c s3.Condition) (string, error) {
	opts := conditional(c)
	opts.DisableContentSha256 = true
	opts.UserMetadata = map[string]string{
		checksumHeader: s3.Base64(body.SHA256),
		s3.MetaSHA256:  fmt.Sprintf("%x", body.SHA256),
	}
	info, err := d.core.PutObject(ctx, d.bucket, key, body.Reader(), body.Size, "", "", opts)
	return info.VersionID, translate(ctx, err)
}

const checksumHeader = "X-Amz-Checksum-Sha256"

func conditional(c s3.Condition) (opts minio.PutObjectOptions) {
	if c.Absent {
		opts.SetMatchETagExcept("*")
	}
	if c.ETag != "" {
		opts.SetMatchETag(c.ETag)
	}
	return opts
}

func (d *driver) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, int64, int64, error) {
	var opts minio.GetObjectOptions
	if r := s3.Range(offset, length); r != "" {
		opts.Set("Range", r)
	}
	body, info, header, err := d.core.GetObject(ctx, d.bucket, key, opts)
	if err != nil {
		return nil, 0, 0, translate(ctx, err)
	}
	start, err := s3.RangeStart(header.Get("Content-Range"))
	if err == nil && info.Size < 0 {
		err = errors.New("answer without a length")
	}
	if err != nil {
		body.Close() // its bytes are not wanted
		return nil, 0, 0, err
	}
	return body, start, info.Size, nil
}

func (d *driver) Head(ctx context.Context, key, version string) (s3.Object, error) {
	info, err := d.core.StatObject(ctx, d.bucket, key, minio.StatObjectOptions{Checksum: true, VersionID: version})
	if err != nil {
		return s3.Object{}, translate(ctx, err)
	}
	o := s3.Object{
		Size:    info.Size,
		Sums:    s3.ReadSums(info.ChecksumSHA256, info.Headers.Get("X-Amz-Checksum-Type"), info.Metadata.Get("X-Amz-Meta-"+s3.MetaSHA256)),
		ETag:    info.ETag,
		Version: info.VersionID,
	}
	var until time.Time
	if at := info.Headers.Get("X-Amz-Object-Lock-Retain-Until-Date"); at != "" {
		if until, err = time.Parse(time.RFC3339, at); err != nil {
			return s3.Object{}, errors.New("date of a lock: not understood")
		}
	}
	o.ReadLock(info.Headers.Get("X-Amz-Object-Lock-Mode"), until, info.Headers.Get("X-Amz-Object-Lock-Legal-Hold"))
	return o, nil
}

func (d *driver) List(ctx context.Context, prefix, after string, first bool) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		owner := false
		for o := range d.core.ListObjectsIter(ctx, d.bucket, minio.ListObjectsOptions{
			Prefix: prefix, StartAfter: after, Recursive: true, FetchOwner: &owner, UseV1: first,
		}) {
			if o.Err != nil {
				yield(storage.Info{}, translate(ctx, o.Err))
				return
			}
			if !yield(storage.Info{Key: o.Key, Size: o.Size, Version: o.ETag, Modified: o.LastModified}, nil) {
				return
			}
		}
	}
}

func (d *driver) Versions(ctx context.Context, key string) ([]string, error) {
	var versions []string
	for o := range d.core.ListObjectsIter(ctx, d.bucket, minio.ListObjectsOptions{Prefix: key, Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			return nil, translate(ctx, o.Err)
		}
		// The key itself is the first of those that begin with it.
		if o.Key != key || len(versions) == 1000 {
			break
		}
		versions = append(versions, o.VersionID)
	}
	return versions, ctx.Err() // a cancelled listing ends silently
}

func (d *driver) Delete(ctx context.Context, key, version string) error {
	return translate(ctx, d.core.RemoveObject(ctx, d.bucket, key, minio.RemoveObjectOptions{VersionID: version}))
}

func (d *driver) Copy(ctx context.Context, from, to string) error {
	_, err := d.core.Client.CopyObject(ctx, minio.CopyDestOptions{Bucket: d.bucket, Object: to}, minio.CopySrcOptions{Bucket: d.bucket, Object: from})
	return translate(ctx, err)
}

func (d *driver) Versioning(ctx context.Context) (string, error) {
	v, err := d.core.GetBucketVersioning(ctx, d.bucket)
	if noSetting(err) {
		return "", nil
	}
	return v.Status, translate(ctx, err)
}

func (d *driver) Locks(ctx context.Context) (can, byDefault bool, err error) {
	lock, mode, _, _, err := d.core.GetObjectLockConfig(ctx, d.bucket)
	if noSetting(err) {
		return false, false, nil
	}
	return lock == "Enabled", mode != nil && *mode != "", translate(ctx, err)
}

// noSetting is also said of an answer to another question: some services overlook in
// the URL what they do not know.
func noSetting(err error) bool {
	var other xml.UnmarshalError
	if errors.As(err, &other) {
		return true
	}
	answer := minio.ToErrorResponse(err)
	return s3.NoSetting(answer.Code, answer.StatusCode)
}

// translate is this library's border: nothing of it, nor of the request, is in
// what it returns.
func translate(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var answer minio.ErrorResponse
	if errors.As(err, &answer) {
		return s3.Translate(answer.Code, answer.StatusCode)
	}
	var other xml.UnmarshalError
	if errors.As(err, &other) {
		return fmt.Errorf("%w: it answers another", s3.ErrUnsupported)
	}
	return s3.Transport(ctx, err)
}
