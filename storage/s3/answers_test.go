package s3_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"medvault/storage"
	"medvault/storage/s3"
)

// TestTranslate: what services answer, in the words of storage.Store.
func TestTranslate(t *testing.T) {
	for _, c := range []struct {
		code   string
		status int
		want   error // nil is none of the known
	}{
		{"NoSuchKey", 404, storage.ErrNotExist},
		{"NotFound", 404, storage.ErrNotExist},
		{"", 404, storage.ErrNotExist},
		{"NoSuchVersion", 404, storage.ErrNotExist},
		{"NoSuchBucket", 404, nil},
		{"PreconditionFailed", 412, s3.ErrPrecondition},
		{"ConditionalRequestConflict", 409, s3.ErrConflict},
		{"BucketAlreadyExists", 409, nil},
		{"InvalidRange", 416, storage.ErrRange},
		{"BadDigest", 400, storage.ErrCorrupt},
		{"XAmzContentChecksumMismatch", 400, storage.ErrCorrupt},
		{"NotImplemented", 501, s3.ErrUnsupported},
		{"NoSuchUpload", 404, storage.ErrNotExist},
		{"AccessDenied", 403, storage.ErrDenied},
		{"InvalidRequest", 400, nil},
		{"ExpiredToken", 400, storage.ErrDenied},
		{"MethodNotAllowed", 405, storage.ErrDenied},
		{"RequestTimeTooSkewed", 403, storage.ErrClock},
		{"QuotaExceeded", 403, storage.ErrFull},
		{"XMinioStorageFull", 507, storage.ErrFull},
		{"", 507, storage.ErrFull},
		{"SlowDown", 503, storage.ErrAway},
		{"InternalError", 500, storage.ErrAway},
		{"", 502, storage.ErrAway},
		{"", 429, storage.ErrAway},
		{"InvalidAccessKeyId", 403, storage.ErrDenied},
	} {
		err := s3.Translate(c.code, c.status)
		for _, known := range []error{storage.ErrNotExist, storage.ErrCorrupt, storage.ErrRange, storage.ErrExist, s3.ErrPrecondition, s3.ErrConflict, s3.ErrUnsupported, storage.ErrAway, storage.ErrDenied, storage.ErrFull, storage.ErrClock} {
			if got := errors.Is(err, known); got != (known == c.want) {
				t.Errorf("Translate(%s, %d) = %v; is %v: %v", c.code, c.status, err, known, got)
			}
		}
	}
}

func FuzzRangeStart(f *testing.F) {
	for _, header := range []string{"", "bytes 0-0/1", "bytes 65536-131071/524295", "bytes */10", "bytes -1-5/9", "items 0-1/2"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		start, err := s3.RangeStart(header)
		if err == nil && start < 0 {
			t.Errorf("RangeStart(%q) = %d", header, start)
		}
	})
}

// FuzzReadSums: a sum is the service's own only when it is told in full and in the
// standard spelling.
func FuzzReadSums(f *testing.F) {
	var sum [32]byte
	sum[0] = 7
	f.Add(s3.Base64(sum), "", "07")
	f.Add(s3.Base64(sum)+"-3", "COMPOSITE", "")
	f.Fuzz(func(t *testing.T, checksum, kind, metadata string) {
		s := s3.ReadSums(checksum, kind, metadata)
		if s.Own != [32]byte{} && (s.OfParts != "" || strings.Contains(checksum, "-") || strings.Trim(checksum, "\r\n") == "") {
			t.Errorf("ReadSums(%q, %q) = %+v; want none of the whole", checksum, kind, s)
		}
		if s.Meta != [32]byte{} && !strings.EqualFold(metadata, fmt.Sprintf("%x", s.Meta)) {
			t.Errorf("ReadSums with metadata %q = %x", metadata, s.Meta)
		}
	})
}
