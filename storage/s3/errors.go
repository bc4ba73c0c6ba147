package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"medvault/storage"
)

// Translate turns a service's answer, its error code and HTTP status, into the
// errors of this package and of package storage. The message a service sends is
// left out: it may repeat the request.
func Translate(code string, status int) error {
	said := "status " + fmt.Sprint(status)
	if code != "" && len(code) < 64 {
		said += " " + code
	}
	if known := meaning(code, status); known != nil {
		return fmt.Errorf("%w: %s", known, said)
	}
	return errors.New(said)
}

// NoSetting reads the answer to a question about a bucket's settings: it has none, or the
// service does not know such settings. A refusal is no such answer.
func NoSetting(code string, status int) bool {
	switch status {
	case http.StatusNotFound:
		return code != "NoSuchBucket"
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}

// meaning is by code first: services differ in the status they send with one.
func meaning(code string, status int) error {
	switch code {
	case "NoSuchBucket":
		return nil // not an absent object
	case "NoSuchKey", "NoSuchVersion", "NoSuchUpload", "NotFound":
		return storage.ErrNotExist
	case "BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch":
		return storage.ErrCorrupt
	case "ConditionalRequestConflict", "OperationAborted":
		return ErrConflict
	case "RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture":
		return storage.ErrClock
	case "QuotaExceeded", "XMinioAdminBucketQuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "InsufficientCapacity":
		return storage.ErrFull
	case "AccessDenied", "AccountProblem", "ExpiredToken", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "MethodNotAllowed":
		return storage.ErrDenied
	}
	switch {
	case code == "" && status == http.StatusNotFound:
		return storage.ErrNotExist
	case status == http.StatusPreconditionFailed:
		return ErrPrecondition
	case status == http.StatusRequestedRangeNotSatisfiable:
		return storage.ErrRange
	case status == http.StatusNotImplemented:
		return ErrUnsupported
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusMethodNotAllowed:
		return storage.ErrDenied
	case status == http.StatusInsufficientStorage:
		return storage.ErrFull
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		return storage.ErrAway
	}
	return nil
}

// Transport reduces an error of a request that got no answer to what went wrong,
// without the URL. It is storage.ErrAway unless waiting would not mend it: a certificate
// that is not believed, or no common TLS version or suite.
func Transport(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		if err = u.Err; strings.Contains(err.Error(), u.URL) { // minio-go says so of a connection that broke off
			err = io.ErrUnexpectedEOF
		}
	}
	if wrongForGood(err) {
		return err
	}
	return fmt.Errorf("%w: %w", storage.ErrAway, err)
}

func wrongForGood(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		noTLS       tls.RecordHeaderError
		alert       *net.OpError
	)
	return errors.As(err, &certificate) || errors.As(err, &noTLS) || errors.As(err, &alert) && alert.Op == "remote error"
}
