package minio

import (
	"context"
	"crypto/fips140"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7"

	"medvault/storage"
	"medvault/storage/s3"
)

// Retain sets a retention. The library sends it with a Content-MD5, as it does the
// versioning of a bucket.
func (d *driver) Retain(ctx context.Context, key, version string, until time.Time, mode storage.LockMode) (err error) {
	retention := minio.Governance
	if mode == storage.Compliance {
		retention = minio.Compliance
	}
	fips140.WithoutEnforcement(func() {
		err = d.core.PutObjectRetention(ctx, d.bucket, key, minio.PutObjectRetentionOptions{Mode: &retention, RetainUntilDate: &until, VersionID: version})
	})
	return translate(ctx, err)
}

// Retention reads the answer itself: the library takes only one name of the element
// that holds the date, and versitygw sends another.
func (d *driver) Retention(ctx context.Context, key, version string) (time.Time, error) {
	query := url.Values{"retention": {""}}
	if version != "" {
		query.Set("versionId", version)
	}
	signed, err := d.core.Presign(ctx, http.MethodGet, d.bucket, key, time.Minute, query)
	if err != nil {
		return time.Time{}, translate(ctx, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, signed.String(), nil)
	if err != nil {
		return time.Time{}, errors.New("retention: request not made") // the URL is signed
	}
	response, err := d.transport.RoundTrip(request)
	if err != nil {
		return time.Time{}, s3.Transport(ctx, err)
	}
	defer response.Body.Close() // reading: everything that counts was said by Decode
	var answer struct {
		Code            string
		RetainUntilDate time.Time
	}
	err = xml.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&answer)
	switch {
	case answer.Code == "NoSuchObjectLockConfiguration":
		return time.Time{}, nil
	case response.StatusCode != http.StatusOK:
		return time.Time{}, s3.Translate(answer.Code, response.StatusCode)
	case err != nil:
		return time.Time{}, errors.New("retention: answer not understood")
	}
	return answer.RetainUntilDate.UTC(), nil
}
