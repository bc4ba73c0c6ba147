package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

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
	switch {
	case code == "NoSuchBucket":
		return errors.New(said) // not an absent object
	case code == "NoSuchKey", code == "NoSuchVersion", code == "NotFound", code == "" && status == http.StatusNotFound:
		return fmt.Errorf("%w: %s", storage.ErrNotExist, said)
	case code == "BadDigest", code == "InvalidDigest", code == "XAmzContentChecksumMismatch", code == "XAmzContentSHA256Mismatch":
		return fmt.Errorf("%w: %s", storage.ErrCorrupt, said)
	case code == "ConditionalRequestConflict", code == "OperationAborted":
		return fmt.Errorf("%w: %s", ErrConflict, said)
	case status == http.StatusPreconditionFailed:
		return fmt.Errorf("%w: %s", ErrPrecondition, said)
	case status == http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("%w: %s", storage.ErrRange, said)
	case status == http.StatusNotImplemented:
		return fmt.Errorf("%w: %s", ErrUnsupported, said)
	case status >= http.StatusInternalServerError, status == http.StatusTooManyRequests:
		return fmt.Errorf("%w: %s", ErrAway, said)
	}
	return errors.New(said)
}

// Transport reduces an error of a request that got no answer to what went wrong,
// without the URL. It is ErrAway unless waiting would not mend it: a certificate
// that is not believed, or no common TLS version or suite.
func Transport(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if wrongForGood(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

func wrongForGood(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		noTLS       tls.RecordHeaderError
		alert       *net.OpError
	)
	return errors.As(err, &certificate) || errors.As(err, &noTLS) || errors.As(err, &alert) && alert.Op == "remote error"
}
