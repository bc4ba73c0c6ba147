package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"medvault/vault"
)

// An agreement is entered with its signed document, binds to its last day, and comes back
// as it was; without one an institution can only be bound for less.
func TestAgreementOnTheCommandLine(t *testing.T) {
	dev, dir := newDev(t), t.TempDir()
	signed := []byte("%PDF-1.7 signed by both\n")
	pdf, text, out := filepath.Join(dir, "signed.pdf"), filepath.Join(dir, "signed.txt"), filepath.Join(dir, "stored.pdf")
	for name, content := range map[string][]byte{pdf: signed, text: []byte("we agree")} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command(t, exitClean, "staff", "institution", "put", "--dev", dev, "north-clinic", "--country", "CN", "--issuer", "NORTH")
	expires := time.Now().AddDate(2, 0, 0).Format(time.DateOnly)
	put := []string{"staff", "agreement", "--dev", dev, "north-clinic"}
	with := func(more ...string) []string { return append(put[:len(put):len(put)], more...) }

	command(t, exitUsage, put...)
	command(t, exitUsage, with("--document", pdf)...)
	command(t, exitUsage, with("--document", pdf, "--expires", expires, "-o", out)...)
	command(t, exitUsage, with("--document", filepath.Join(dir, "nothing.pdf"), "--expires", expires)...)
	command(t, exitRefused, with("-o", out)...) // none yet
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("no agreement leaves a file behind: %v", err)
	}
	command(t, exitRefused, with("--document", text, "--expires", expires)...)
	command(t, exitRefused, with("--document", pdf, "--expires", "2020-01-01")...)
	command(t, exitRefused, with("--document", pdf, "--expires", "soon")...)
	command(t, exitRefused, with("--document", pdf, "--expires", expires, "--as", "clinician")...)
	command(t, exitRefused, "staff", "agreement", "--dev", dev, "nobody-knows", "--document", pdf, "--expires", expires)

	bound := asked[vault.StaffInstitution](t, exitClean, with("--document", pdf, "--expires", expires)...)
	if !strings.HasPrefix(bound.Agreement, "evidence:") || bound.AgreementUntil == nil || bound.AgreementUntil.Before(time.Now().AddDate(2, 0, -2)) {
		t.Errorf("bound: %+v; want a stored document, until %s", bound, expires)
	}
	command(t, exitClean, with("-o", out)...)
	if stored, err := os.ReadFile(out); err != nil || string(stored) != string(signed) {
		t.Errorf("it comes back as %q, %v", stored, err)
	}
	command(t, exitUsage, with("-o", out)...) // what is there is not overwritten

	// What else is said of the institution leaves it bound as it is.
	command(t, exitClean, "staff", "institution", "put", "--dev", dev, "north-clinic", "--country", "CN", "--issuer", "NORTH", "--name", "North")
	command(t, exitRefused, "staff", "institution", "put", "--dev", dev, "north-clinic", "--country", "CN", "--issuer", "NORTH", "--own")
	for _, i := range asked[listedInstitutions](t, exitClean, "staff", "institution", "list", "--dev", dev).Institutions {
		if i.ID == "north-clinic" && (i.Name != "North" || i.Agreement != bound.Agreement || !i.AgreementUntil.Equal(*bound.AgreementUntil) || i.Own) {
			t.Errorf("renamed: %+v; want it bound as before", i)
		}
	}
	sum := sha256.Sum256(signed)
	if log := command(t, exitClean, "audit", "query", "--dev", dev, "--action", "staff.manage", "--json"); !strings.Contains(log, hex.EncodeToString(sum[:])) {
		t.Error("the log does not hold the SHA-256 of the agreement")
	}
}
