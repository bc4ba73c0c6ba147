package storage

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrKey refuses a name that is no key. Adapters check before a name reaches a
// path or a URL.
var ErrKey = errors.New("not a storage key")

const (
	maxKey     = 900 // bytes; S3 takes 1024, a quarantined key is longer by 31
	maxSegment = 200 // bytes; file systems take 255
)

// CheckKey refuses what is no key: slash-separated segments of [a-z0-9._-], none
// empty, none "." or "..". The error does not quote the name.
func CheckKey(key string) error {
	if len(key) > maxKey {
		return fmt.Errorf("%w: %d bytes, allowed %d", ErrKey, len(key), maxKey)
	}
	for segment := range strings.SplitSeq(key, "/") {
		switch {
		case segment == "":
			return fmt.Errorf("%w: empty segment", ErrKey)
		case segment == "." || segment == "..":
			return fmt.Errorf("%w: relative segment", ErrKey)
		case len(segment) > maxSegment:
			return fmt.Errorf("%w: segment of %d bytes, allowed %d", ErrKey, len(segment), maxSegment)
		}
		for i := range len(segment) {
			if !keyByte(segment[i]) {
				return fmt.Errorf("%w: byte %#02x", ErrKey, segment[i])
			}
		}
	}
	return nil
}

func keyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// CheckPrefix refuses a prefix no key can begin with. Empty is every key.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return CheckKey(prefix + "x")
}

// QuarantineKey is where Repair keeps the bad bytes of key in a store without
// versions: quarantine/<key>.<unix-nanos>.
func QuarantineKey(key string, at time.Time) string {
	return fmt.Sprintf("%s%d", QuarantinePrefix(key), at.UnixNano())
}

// QuarantinePrefix begins every quarantine key of key (and, since keys may hold
// dots, of some others: see IsQuarantineOf).
func QuarantinePrefix(key string) string { return "quarantine/" + key + "." }

// IsQuarantineOf tells whether name holds bad bytes of key.
func IsQuarantineOf(key, name string) bool {
	nanos, ok := strings.CutPrefix(name, QuarantinePrefix(key))
	return ok && nanos != "" && strings.Trim(nanos, "0123456789") == ""
}
