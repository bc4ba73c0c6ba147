package storage_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"medvault/storage"
)

// FuzzCheckKey: what is accepted stays below any folder it is joined to, is its own
// shortest spelling, and needs no escaping in a URL.
func FuzzCheckKey(f *testing.F) {
	for _, key := range []string{"a", "objects/0a/x", "a..b/c", ".../x", "..", "a/../b", "a//b", "/", "", "A", "a\\b", "~tmp", "a/.", strings.Repeat("a", 201)} {
		f.Add(key)
	}
	plain := regexp.MustCompile(`^[a-z0-9._-]+(/[a-z0-9._-]+)*$`)
	f.Fuzz(func(t *testing.T, key string) {
		if err := storage.CheckKey(key); err != nil {
			if err := storage.CheckPrefix(key + "/"); err == nil {
				t.Errorf("CheckPrefix(%q/) accepts what is no key", key)
			}
			return
		}
		if !plain.MatchString(key) || len(key) > 900 {
			t.Errorf("CheckKey(%q) accepts what the contract does not", key)
		}
		if !filepath.IsLocal(key) || filepath.Clean(key) != key {
			t.Errorf("CheckKey(%q) accepts a path that leads elsewhere", key)
		}
		if err := storage.CheckPrefix(key); err != nil {
			if len(key) < 199 {
				t.Errorf("CheckPrefix(%q) = %v; want nil for a key", key, err)
			}
		}
	})
}

func TestQuarantineOf(t *testing.T) {
	at := time.Unix(0, 1790000000000000000)
	for _, c := range []struct {
		key, name string
		want      bool
	}{
		{"objects/a", storage.QuarantineKey("objects/a", at), true},
		{"objects/a", "quarantine/objects/a.1790000000000000000", true},
		{"objects/a", storage.QuarantineKey("objects/a.5", at), false},
		{"objects/a.5", storage.QuarantineKey("objects/a.5", at), true},
		{"objects/a", "quarantine/objects/a.", false},
		{"objects/a", "quarantine/objects/ab.1", false},
		{"objects/a", "objects/a.1", false},
	} {
		if got := storage.IsQuarantineOf(c.key, c.name); got != c.want {
			t.Errorf("IsQuarantineOf(%s, %s) = %v; want %v", c.key, c.name, got, c.want)
		}
	}
	longest := strings.Repeat(strings.Repeat("a", 199)+"/", 4) + strings.Repeat("a", 100)
	if err := storage.CheckKey(longest); err != nil {
		t.Fatalf("CheckKey = %v", err)
	}
	if q := storage.QuarantineKey(longest, at); len(q) > 1024 {
		t.Errorf("a quarantine key of %d bytes is more than S3 takes", len(q))
	}
}
