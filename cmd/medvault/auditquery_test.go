package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"medvault/imaging/imagingtest"
	"medvault/vault"
)

// The log is asked, a patient's access log proves itself without the vault, and so does
// the log of a region: on another machine there is nothing but files and a public key.
func TestTheLogIsAskedAndVerifiedWithoutTheVault(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dev := runDev(t, t.TempDir(), "--no-sample")
	p := imagingtest.NewPatient(1)
	if code, up := dev.upload(writeDocuments(t, p, 2)); code != exitClean || up.Stored != 2 {
		t.Fatalf("upload = %d, %+v", code, up)
	}
	key := asked[vault.AuditReport](t, exitClean, "audit", "verify", "--dev", dev.dir).Key

	stored := asked[vault.AuditPage](t, exitClean, "audit", "query", "--dev", dev.dir, "--action", "document.store", "--decision", "allow")
	if len(stored.Leaves) != 2 {
		t.Fatalf("audit query = %+v; want two", stored)
	}
	var leaf struct{ Patient string }
	if err := json.Unmarshal(stored.Leaves[0].Leaf, &leaf); err != nil || leaf.Patient == "" {
		t.Fatalf("%s, %v", stored.Leaves[0].Leaf, err)
	}
	if one := asked[vault.AuditPage](t, exitClean, "audit", "list", "--dev", dev.dir, "--patient", leaf.Patient, "-n", "1"); len(one.Leaves) != 1 || one.Next == "" {
		t.Errorf("audit list -n 1 = %+v", one)
	}
	command(t, exitRefused, "audit", "query", "--dev", dev.dir, "--as", "clinician")
	command(t, exitUsage, "audit", "query", "--dev", dev.dir, "--from", "yesterday")
	command(t, exitUsage, "audit", "query", "--dev", dev.dir, "--patient", p.ID)

	text := command(t, exitClean, "audit", "access-log", "--dev", dev.dir, "--patient", leaf.Patient, "--language", "zh")
	if !strings.Contains(text, "存入了") || strings.Contains(text, p.ID) {
		t.Errorf("access-log:\n%s", text)
	}
	log := command(t, exitClean, "audit", "access-log", "--dev", dev.dir, "--patient", leaf.Patient, "--json")
	file := filepath.Join(t.TempDir(), "access.json")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(log)
	command(t, exitRefused, "audit", "access-log", "--dev", dev.dir, "--as", "patient", "--patient", leaf.Patient) // whose token is not known
	command(t, exitClean, "audit", "snapshot", "--dev", dev.dir)
	export := filepath.Join(t.TempDir(), "export")
	command(t, exitClean, "audit", "export", "--dev", dev.dir, "-o", export)
	stopped(t, dev)

	command(t, exitClean, "audit", "verify-line", file, "--log-key", key)
	command(t, exitUsage, "audit", "verify-line", file)
	write(strings.Replace(log, "radiology", "cardiology", 1))
	command(t, exitFindings, "audit", "verify-line", file, "--log-key", key)
	write("{}")
	command(t, exitUsage, "audit", "verify-line", file, "--log-key", key)

	verify := func(code int, args ...string) tilesVerified {
		t.Helper()
		return asked[tilesVerified](t, code, append([]string{"audit", "verify", "--log-key", key}, args...)...)
	}
	north, east := filepath.Join(dev.dir, "regions", "cn-north"), filepath.Join(dev.dir, "regions", "cn-east")
	for _, args := range [][]string{{"--tiles", north}, {"--tiles", export}, {"--dev", dev.dir, "--region", "cn-south"}, {"--tiles", north, "--tiles", export, "--tiles", east}} {
		if r := verify(exitClean, args...); !r.Intact || r.Logs[0].Size < 5 {
			t.Errorf("audit verify %v = %+v", args, r)
		}
	}
	checkpoint := verify(exitClean, "--tiles", north).Logs[0].Checkpoint
	write(checkpoint)
	verify(exitClean, "--tiles", north, "--known", file)

	// A bit, and then the newest leaves with their checkpoint.
	bundles, err := filepath.Glob(filepath.Join(north, "log", "tile", "entries", "000.p", "*"))
	if err != nil || len(bundles) == 0 {
		t.Fatalf("bundles %v, %v", bundles, err)
	}
	for _, bundle := range bundles {
		data, err := os.ReadFile(bundle)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(bundle, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := verify(exitFindings, "--tiles", north, "--tiles", east); r.Intact || !strings.HasPrefix(r.Logs[0].Evidence, "leaf ") || !r.Logs[1].Intact {
		t.Errorf("a changed bit: %+v", r)
	}
	command(t, exitUsage, "audit", "verify", "--tiles", filepath.Join(dev.dir, "nowhere"), "--log-key", key)
	command(t, exitUsage, "audit", "verify", "--tiles", east)
	if r := verify(exitFindings, "--tiles", t.TempDir()); r.Logs[0].Evidence == "" {
		t.Errorf("an empty directory: %+v", r)
	}
}
