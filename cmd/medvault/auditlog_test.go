package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/audit"
)

// stopped leaves a dev vault as it lies when its process has ended.
func stopped(t *testing.T, r *running) {
	t.Helper()
	if code := r.stop(); code != exitClean {
		t.Fatalf("dev ended with %d: %s", code, r.log)
	}
}

func TestTheLogIsExportedAndCosigned(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dev := runDev(t, t.TempDir(), "--no-sample")
	if code, up := dev.upload(writeDocuments(t, imagingtest.NewPatient(1), 2)); code != exitClean || up.Stored != 2 {
		t.Fatalf("upload = %d, %+v", code, up)
	}
	command(t, exitClean, "audit", "snapshot", "--dev", dev.dir)
	command(t, exitRefused, "audit", "snapshot", "--dev", dev.dir, "--as", "researcher")
	report := asked[vault.AuditReport](t, exitClean, "audit", "verify", "--dev", dev.dir)
	if !report.Intact || len(report.Regions) != 4 {
		t.Fatalf("audit verify = %+v; want it intact, over four regions", report)
	}
	for _, r := range report.Regions {
		if r.Size < 3 || r.Problem != "" {
			t.Errorf("%+v; want the log there", r)
		}
	}
	command(t, exitClean, "verify", "--dev", dev.dir)

	out := filepath.Join(t.TempDir(), "log")
	done := asked[auditExported](t, exitClean, "audit", "export", "--dev", dev.dir, "-o", out)
	for _, name := range []string{"checkpoint", "tile/0", "tile/entries"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Errorf("audit export: %v", err)
		}
	}
	files := 0
	err := filepath.WalkDir(out, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files != done.Files || !strings.HasPrefix(done.Checkpoint, "medvault\n") {
		t.Errorf("audit export = %+v", done)
	}
	command(t, exitClean, "audit", "export", "--dev", dev.dir, "-o", out)
	command(t, exitUsage, "audit", "export", "--dev", dev.dir)
	command(t, exitRefused, "audit", "export", "--dev", dev.dir, "--as", "operator", "-o", out)

	// Somebody else watches, with a key of their own.
	own := t.TempDir()
	key, state := filepath.Join(own, "key"), filepath.Join(own, "seen")
	public := strings.TrimSpace(command(t, exitClean, "audit", "cosign", "--new-key", "regulator.example", "--key", key))
	command(t, exitFailed, "audit", "cosign", "--new-key", "regulator.example", "--key", key) // it is there
	cosign := []string{"audit", "cosign", "--dev", dev.dir, "--region", "cn-east", "--log-key", report.Key, "--key", key, "--state", state}
	first := asked[cosignedLog](t, exitClean, cosign...)
	again := asked[cosignedLog](t, exitClean, cosign...)
	if first.Size < 3 || first != again {
		t.Errorf("cosign = %+v, then %+v; want the same signature", first, again)
	}
	lines, err := filepath.Glob(filepath.Join(dev.dir, "regions", "cn-east", "log", "cosignatures", "*", "*"))
	if err != nil || len(lines) != 1 {
		t.Fatalf("cosignatures %v, %v; want one", lines, err)
	}
	line, err := os.ReadFile(lines[0])
	if err != nil {
		t.Fatal(err)
	}
	seen, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	if at, err := audit.OpenCosignature(seen, line, public); err != nil || !at.Equal(first.At) {
		t.Errorf("OpenCosignature = %v, %v; want %v", at, err, first.At)
	}
	command(t, exitClean, "audit", "snapshot", "--dev", dev.dir)
	if later := asked[cosignedLog](t, exitClean, cosign...); later.Size <= first.Size {
		t.Errorf("cosign of the grown log = %+v; want more than %d leaves", later, first.Size)
	}
	command(t, exitClean, "verify", "--dev", dev.dir) // a cosignature is where it belongs
	told := asked[vault.AuditReport](t, exitClean, "audit", "verify", "--dev", dev.dir, "--cosigner", public)
	var sizes []int64
	for _, r := range told.Regions {
		for _, c := range r.Cosigned {
			if r.Region != "cn-east" || c.Name != "regulator.example" || c.Check(public) != nil {
				t.Errorf("cosigned in %s = %+v", r.Region, c)
			}
			sizes = append(sizes, c.Size)
		}
	}
	if len(sizes) != 2 || sizes[0] != first.Size {
		t.Errorf("co-signed sizes %v; want that of %d leaves and the later one", sizes, first.Size)
	}
	other := strings.TrimSpace(command(t, exitClean, "audit", "cosign", "--new-key", "other.example", "--key", key+".other"))
	command(t, exitFindings, "audit", "verify", "--dev", dev.dir, "--cosigner", other)

	// The region is put back to what it was.
	newest, err := filepath.Glob(filepath.Join(dev.dir, "regions", "cn-east", "log", "checkpoints", "*"))
	if err != nil {
		t.Fatal(err)
	}
	stopped(t, dev)
	for _, path := range newest[1:] {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	command(t, exitFindings, cosign...)
	if after, err := os.ReadFile(state); err != nil || string(after) != string(before) {
		t.Errorf("the state did not stay as evidence: %v", err)
	}
	command(t, exitUsage, "audit", "cosign", "--dev", dev.dir, "--region", "cn-east")
	command(t, exitUsage, "audit", "cosign", "--dev", dev.dir, "--region", "nowhere", "--log-key", report.Key, "--key", key, "--state", state)
}

func TestADevThatWasPutBackIsRefusedUntilItImports(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := t.TempDir()
	dev := runDev(t, dir, "--no-sample")
	command(t, exitClean, "audit", "snapshot", "--dev", dir)
	stopped(t, dev)
	catalog := filepath.Join(dir, "catalog.db")
	backup, err := os.ReadFile(catalog)
	if err != nil {
		t.Fatal(err)
	}
	dev = runDev(t, dir, "--no-sample")
	if code, up := dev.upload(writeDocuments(t, imagingtest.NewPatient(1), 1)); code != exitClean || up.Stored != 1 {
		t.Fatalf("upload = %d, %+v", code, up)
	}
	command(t, exitClean, "audit", "snapshot", "--dev", dir)
	command(t, exitFailed, "audit", "import", "--dev", dir, "--from", "cn-east") // it runs
	stopped(t, dev)
	if err := os.WriteFile(catalog, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	said := new(lockedBuffer)
	if code := run(t.Context(), []string{"dev", "--dir", dir, "--listen", "127.0.0.1:0", "--no-sample"}, said, said); code != exitFailed || !strings.Contains(said.String(), "medvault audit import") {
		t.Errorf("dev on a catalog that was put back: exit %d, %s; want %d and what to do", code, said, exitFailed)
	}
	done := asked[vault.LogImport](t, exitFindings, "audit", "import", "--dev", dir, "--from", "cn-east")
	if done.Leaves < 2 || len(done.Unknown) == 0 {
		t.Errorf("audit import = %+v; want the upload's leaves, and the document named", done)
	}
	runDev(t, dir, "--no-sample")
	command(t, exitClean, "audit", "verify", "--dev", dir)
	command(t, exitUsage, "audit", "import", "--from", "cn-east")
	command(t, exitUsage, "audit", "import", "--dev", dir)
}
