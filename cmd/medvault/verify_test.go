package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"medvault/imaging/imagingtest"
	"medvault/vault"
)

// TestVerifyRepairAndTheSignedReport walks the operator's day: a clean look, damage, a
// report kept and checked without the vault, a repair, and a clean look again.
func TestVerifyRepairAndTheSignedReport(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dev := runDev(t, t.TempDir(), "--no-sample")
	if code, up := dev.upload(writeDocuments(t, imagingtest.NewPatient(1), 3)); code != exitClean || up.Stored != 3 {
		t.Fatalf("upload = %d, %+v", code, up)
	}
	dir, kept := dev.dir, filepath.Join(t.TempDir(), "report.json")
	clean := asked[vault.Report](t, exitClean, "verify", "--dev", dir, "--level", "decrypt")
	if len(clean.Coverage) != 4 || clean.Coverage[0].Objects == 0 || clean.Coverage[0].Proven != clean.Coverage[0].Objects || clean.Coverage[0].Detection != 1 {
		t.Errorf("coverage = %+v; want everything in cn-north proven", clean.Coverage)
	}
	sampled := asked[vault.Report](t, exitClean, "verify", "--dev", dir, "--level", "read", "--sample", "2", "--limit", "50MiB", "--region", "cn-south")
	if len(sampled.Coverage) != 1 || sampled.Coverage[0].Proven != 2 {
		t.Errorf("coverage of two = %+v", sampled.Coverage)
	}
	unsure := asked[vault.Report](t, exitClean, "verify", "--dev", dir, "--level", "checksum")
	if len(unsure.Notes) < 3 || unsure.Notes[0].Type != vault.NoteNotSupported || unsure.Coverage[0].Proven != 0 {
		t.Errorf("a directory has no sums of its own: notes %+v, coverage %+v", unsure.Notes, unsure.Coverage)
	}

	objects, err := filepath.Glob(filepath.Join(dir, "regions", "cn-east", "objects", "*", "*"))
	if err != nil || len(objects) == 0 {
		t.Fatalf("cn-east holds %v, %v", objects, err)
	}
	b, err := os.ReadFile(objects[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 4
	if err := os.WriteFile(objects[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	report := asked[vault.Report](t, exitFindings, "verify", "--dev", dir, "--level", "read", "--report", kept)
	if report.Counts[vault.FindingDamaged] != 1 || len(report.Findings) != 1 {
		t.Errorf("findings = %+v; want one damaged", report.Findings)
	}
	key := asked[vault.AuditReport](t, exitClean, "audit", "verify", "--dev", dir).Key
	command(t, exitFindings, "verify", "--check-report", kept, "--key", key)
	text, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	for name, forged := range map[string]string{
		"one finding less": strings.Replace(string(text), `"damaged": 1`, `"damaged": 0`, 1),
		"another object":   strings.Replace(string(text), report.Findings[0].Object, clean.ID, 1),
		"a field more":     strings.Replace(string(text), `"level"`, `"note": "all is well", "level"`, 1),
	} {
		path := filepath.Join(t.TempDir(), "forged.json")
		if forged == string(text) {
			t.Fatalf("%s: nothing was forged", name)
		}
		if err := os.WriteFile(path, []byte(forged), 0o600); err != nil {
			t.Fatal(err)
		}
		command(t, exitFailed, "verify", "--check-report", path, "--key", key)
	}

	if plan := asked[vault.RepairReport](t, exitFindings, "repair", "--dev", dir, "--dry-run"); len(plan.Steps) != 1 || plan.Steps[0].Outcome != vault.OutcomePlanned {
		t.Errorf("dry run = %+v; want one step planned", plan)
	}
	command(t, exitRefused, "repair", "--dev", dir, "--as", "clinician")
	if done := asked[vault.RepairReport](t, exitClean, "repair", "--dev", dir, "--region", "cn-east"); len(done.Steps) != 1 || done.Steps[0].Outcome != vault.OutcomeRepaired {
		t.Errorf("repair = %+v; want one step done", done)
	}
	command(t, exitClean, "verify", "--dev", dir, "--level", "read")

	item := asked[inQuarantine](t, exitClean, "repair", "--quarantine", "list", "--dev", dir).Quarantine
	if len(item) != 1 {
		t.Fatalf("quarantine = %+v; want what was bad", item)
	}
	command(t, exitClean, "repair", "--quarantine", "delete:"+item[0].ID, "--dev", dir)
	command(t, exitRefused, "repair", "--quarantine", "delete:"+item[0].ID, "--dev", dir)
	if gone := asked[discarded](t, exitClean, "repair", "--quarantine", "delete:"+item[0].ID, "--dev", dir, "--as", "admin"); !gone.Deleted {
		t.Errorf("a second person = %+v; want it deleted", gone)
	}
	if past := asked[history](t, exitClean, "verify", "--history", "--dev", dir); len(past.Verifications) < 7 || past.Verifications[0].State != "done" || len(past.Last) == 0 {
		t.Errorf("history = %+v", past)
	}
	for _, args := range [][]string{{"--limit", "fast"}, {"--resume", "x"}, {"--level", "guess"}, {"--check-report", kept}} {
		command(t, exitUsage, append([]string{"verify", "--dev", dir}, args...)...)
	}
	command(t, exitRefused, "verify", "--dev", dir, "--level", "read", "--sample", "31/30")
	command(t, exitUsage, "repair", "--dev", dir, "--quarantine", "empty")
}
