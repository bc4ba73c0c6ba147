package audit_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"medvault/storage"
	"medvault/vault/audit"
)

// FuzzLogNames: whatever passes for a name of the log is a key, and a tile abroad never
// passes.
func FuzzLogNames(f *testing.F) {
	for _, name := range []string{"log/tile/0/x001/x234/067.p/8", "log/tile/entries/000", "log/checkpoints/0000000000000012", "log/cosignatures/0000000000000012/0123abcd", "log/tile/0/000.p/.p/1"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !audit.IsLogName(name, true) {
			if audit.IsLogName(name, false) {
				t.Errorf("%q passes abroad and not at home", name)
			}
			return
		}
		if err := storage.CheckKey(name); err != nil {
			t.Errorf("%q passes and is no key: %v", name, err)
		}
		if strings.Contains(name, "tile") == audit.IsLogName(name, false) {
			t.Errorf("%q: IsLogName abroad = %v", name, audit.IsLogName(name, false))
		}
	})
}

// FuzzOpenCosignature: no line but the cosigner's own opens.
func FuzzOpenCosignature(f *testing.F) {
	c, err := audit.NewCosigner("w.example", bytes.Repeat([]byte{3}, 32))
	if err != nil {
		f.Fatal(err)
	}
	checkpoint := []byte("medvault-test\n12\nAQ==\n\n— medvault-test AAAA\n")
	line, err := c.Cosign(checkpoint, time.Unix(1_790_000_000, 0))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte("— w.example "))
	f.Fuzz(func(t *testing.T, other []byte) {
		_, err := audit.OpenCosignature(checkpoint, other, c.VerifierKey())
		if own := strings.TrimSuffix(string(other), "\n") == strings.TrimSuffix(string(line), "\n"); err == nil && !own {
			t.Errorf("%q opens", other)
		}
	})
}

// FuzzReadRegion: whatever lies in a region, a reader ends, and believes nothing.
func FuzzReadRegion(f *testing.F) {
	f.Add("log/checkpoints/0000000000000012", []byte("medvault-test\n12\nAQ==\n\n— medvault-test AAAA\n"))
	f.Add("log/manifests/0000000000000012", []byte("medvault-manifest/v1\n"))
	s, err := audit.NewSigner("medvault-test", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, key string, data []byte) {
		b := bucket{key: data}
		if l, err := audit.ReadRegion(context.Background(), b.get, b.list, s.Verifier()); err == nil {
			t.Errorf("%q with %q reads as a log of %d leaves", key, data, l.Size)
		}
		if m, err := audit.ReadManifest(context.Background(), "cn-north", b.get, b.list, s.Verifier()); err == nil {
			t.Errorf("%q with %q reads as a manifest of %d objects", key, data, m.Objects)
		}
	})
}
