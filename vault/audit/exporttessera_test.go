package audit_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"medvault/vault/audit"
)

// TestTesseraReadsTheExport has another implementation of C2SP tiles read an export
// whole, make proofs from it, and find one flipped bit in any kind of file.
func TestTesseraReadsTheExport(t *testing.T) {
	tessera := os.Getenv("MEDVAULT_TEST_TESSERA")
	if tessera == "" {
		t.Skip("set MEDVAULT_TEST_TESSERA to scripts/backends/tessera as built (scripts/test builds it)")
	}
	c := openCatalog(t, filepath.Join(t.TempDir(), "catalog.db"))
	s := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)})
	b, size := bucket{}, int64(0)
	for _, n := range []int{1, 254, 2, 700, 43} { // as by the minute
		grow(t, c, s, int(size), n)
		size = export(t, c, b, size).N
	}
	dir := t.TempDir()
	for key, data := range b {
		name := strings.TrimPrefix(key, audit.LogPrefix)
		if key == audit.CheckpointKey(size) {
			name = "checkpoint"
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func() ([]byte, error) {
		return exec.CommandContext(t.Context(), tessera, dir, newSigner(t).VerifierKey()).CombinedOutput()
	}
	if out, err := check(); err != nil || !bytes.Contains(out, []byte("1000 leaves")) {
		t.Fatalf("tessera = %v, %s; want 1000 leaves found whole", err, out)
	}
	for _, name := range []string{"checkpoint", "tile/0/000", "tile/0/003.p/232", "tile/1/000.p/3", "tile/entries/002", "tile/entries/003.p/232"} {
		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		flipped := slices.Clone(whole)
		flipped[len(flipped)/2] ^= 4
		if err := os.WriteFile(path, flipped, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := check(); err == nil {
			t.Errorf("%s with one bit flipped: tessera found nothing: %s", name, out)
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
