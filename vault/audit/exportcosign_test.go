package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"medvault/vault/audit"
)

func newCosigner(t testing.TB, name string, seed byte) *audit.Cosigner {
	t.Helper()
	c, err := audit.NewCosigner(name, bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestACosignatureIsOfOneCheckpointAndKey(t *testing.T) {
	checkpoint, err := newSigner(t).Checkpoint(12, tlog.Hash{1})
	if err != nil {
		t.Fatal(err)
	}
	other, err := newSigner(t).Checkpoint(13, tlog.Hash{1})
	if err != nil {
		t.Fatal(err)
	}
	c := newCosigner(t, "regulator.example", 9)
	at := time.Unix(1_790_000_000, 0).UTC()
	line, err := c.Cosign(checkpoint, at)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := audit.OpenCosignature(checkpoint, line, c.VerifierKey()); err != nil || !got.Equal(at) {
		t.Errorf("OpenCosignature = %v, %v; want %v", got, err, at)
	}
	if _, err := audit.OpenCheckpoint(append(bytes.Clone(checkpoint), line...), newSigner(t).Verifier()); err != nil {
		t.Errorf("a checkpoint with the line behind it = %v; want it to open as before", err)
	}
	later := bytes.Clone(line)
	copy(later[len("— regulator.example AAAAAAA"):], "x")
	for name, bad := range map[string]struct {
		checkpoint, line []byte
		key              string
	}{
		"another checkpoint":  {other, line, c.VerifierKey()},
		"another key":         {checkpoint, line, newCosigner(t, "regulator.example", 8).VerifierKey()},
		"another name":        {checkpoint, line, newCosigner(t, "someone.example", 9).VerifierKey()},
		"another time":        {checkpoint, later, c.VerifierKey()},
		"cut":                 {checkpoint, line[:len(line)-9], c.VerifierKey()},
		"written otherwise":   {checkpoint, bytes.Replace(line, []byte("\n"), []byte("\r\n"), 1), c.VerifierKey()},
		"not a note":          {[]byte("x"), line, c.VerifierKey()},
		"the log's key":       {checkpoint, line, newSigner(t).VerifierKey()},
		"a key of other hash": {checkpoint, line, strings.Replace(c.VerifierKey(), "example+", "example+0", 1)},
	} {
		if _, err := audit.OpenCosignature(bad.checkpoint, bad.line, bad.key); err == nil {
			t.Errorf("%s: OpenCosignature = nil; want an error", name)
		}
	}
}

// TestACosignatureIsWhatC2SPWrites holds the bytes that are signed to the text of the
// standard, put together here by hand.
func TestACosignatureIsWhatC2SPWrites(t *testing.T) {
	c := newCosigner(t, "w.example", 3)
	text := "medvault-test\n12\nAQ==\n"
	line, err := c.Cosign([]byte(text+"\n— medvault-test AAAA\n"), time.Unix(1679315147, 0))
	if err != nil {
		t.Fatal(err)
	}
	encoded := strings.TrimSuffix(strings.TrimPrefix(string(line), "— w.example "), "\n")
	sig, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(sig) != 4+8+64 || binary.BigEndian.Uint64(sig[4:]) != 1679315147 {
		t.Fatalf("the line %q is not a key hash, a time and a signature: %v", line, err)
	}
	public := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32)).Public().(ed25519.PublicKey)
	if !ed25519.Verify(public, []byte("cosignature/v1\ntime 1679315147\n"+text), sig[12:]) {
		t.Error("the signature is not over the time and the note's text")
	}
	again, err := c.Cosign([]byte(text+"\n— other BBBB\n— medvault-test CCCC\n"), time.Unix(1679315147, 0))
	if err != nil || !bytes.Equal(line, again) {
		t.Errorf("other signatures on the note change the cosignature: %v", err)
	}
	if want := fmt.Sprintf("log/cosignatures/%016d/%s", 12, strings.Split(c.VerifierKey(), "+")[1]); c.Key(12) != want {
		t.Errorf("Key = %s; want %s", c.Key(12), want)
	}
}

func TestOnlyALogThatHasGrownIsCosigned(t *testing.T) {
	c := openCatalog(t, filepath.Join(t.TempDir(), "catalog.db"))
	s := newSequencer(t, audit.SequencerConfig{Tree: c, Signer: newSigner(t)})
	key := newSigner(t).Verifier()
	grow(t, c, s, 0, 100)
	b := bucket{}
	export(t, c, b, 0)
	first := readRegion(t, b)
	grow(t, c, s, 100, 200)
	export(t, c, b, 100)
	second := readRegion(t, b)
	for _, last := range []*audit.RegionLog{first, second} {
		if err := second.GrownFrom(t.Context(), last.Checkpoint, key); err != nil {
			t.Errorf("from %d to %d leaves = %v; want nil", last.Size, second.Size, err)
		}
	}
	if err := first.GrownFrom(t.Context(), second.Checkpoint, key); !errors.Is(err, audit.ErrRolledBack) {
		t.Errorf("from %d to %d leaves = %v; want ErrRolledBack", second.Size, first.Size, err)
	}
	fork, err := newSigner(t).Checkpoint(100, tlog.Hash{})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.GrownFrom(t.Context(), fork, key); !errors.Is(err, audit.ErrForked) {
		t.Errorf("from a fork = %v; want ErrForked", err)
	}
	if err := second.GrownFrom(t.Context(), []byte("x"), key); err == nil {
		t.Error("from no checkpoint = nil; want an error")
	}
}
