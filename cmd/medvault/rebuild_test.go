package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"medvault/api/transport"
	"medvault/imaging/imagingtest"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/record"
)

func TestADevThatLostItsCatalogComesBackFromOneRegion(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dev := runDev(t, t.TempDir(), "--no-sample")
	p := imagingtest.NewPatient(1)
	if code, up := dev.upload(writeDocuments(t, p, 2)); code != exitClean || up.Stored != 2 {
		t.Fatalf("upload = %d, %+v", code, up)
	}
	command(t, exitClean, "audit", "snapshot", "--dev", dev.dir)
	until(t, "every copy made", func() bool {
		return len(asked[vault.Report](t, exitClean, "verify", "--dev", dev.dir).Notes) == 0
	})
	report := filepath.Join(t.TempDir(), "drill.json")
	drilled := asked[vault.Drilled](t, exitClean, "drill", "--dev", dev.dir, "--from", "cn-south", "--report", report) // while it runs
	if drilled.Sampled != 2 || drilled.Lacks() != 0 || drilled.Seconds == 0 {
		t.Errorf("drill = %+v; want both documents opened", drilled)
	}
	if kept, err := os.ReadFile(report); err != nil || !bytes.Contains(kept, []byte("minutesPer100000")) {
		t.Errorf("the drill's report: %v", err)
	}
	logKey := asked[vault.AuditReport](t, exitClean, "audit", "verify", "--dev", dev.dir).Key
	command(t, exitClean, "drill", "--check-report", report, "--key", logKey)
	command(t, exitUsage, "drill", "--check-report", report)
	command(t, exitFailed, "rebuild", "--dev", dev.dir, "--from", "cn-east") // it runs
	stopped(t, dev)
	command(t, exitRefused, "rebuild", "--dev", dev.dir, "--from", "cn-east") // its catalog is there
	command(t, exitUsage, "rebuild", "--dev", dev.dir)
	command(t, exitUsage, "rebuild", "--dev", dev.dir, "--from", "nowhere")
	command(t, exitUsage, "rebuild", "--from", "cn-east")

	names, err := filepath.Glob(filepath.Join(dev.dir, "catalog.db*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	command(t, exitRefused, "rebuild", "--dev", dev.dir, "--from", "sg-1") // no region of home
	lost, err := filepath.Glob(filepath.Join(dev.dir, "regions", "cn-east", "objects", "*", "*"))
	if err != nil || len(lost) != 2 {
		t.Fatal("cn-east holds", lost, err)
	}
	if err := os.Rename(lost[0], filepath.Join(t.TempDir(), "lost")); err != nil {
		t.Fatal(err)
	}
	done := asked[vault.Rebuilt](t, exitFindings, "rebuild", "--dev", dev.dir, "--from", "cn-east")
	if done.Documents != 1 || done.Missing != 1 || len(done.Findings) != 1 || done.Findings[0].Object != filepath.Base(lost[0]) {
		t.Errorf("rebuild = %+v; want one document back and %s named", done, lost[0])
	}
	done = asked[vault.Rebuilt](t, exitClean, "rebuild", "--dev", dev.dir, "--from", "cn-north")
	if done.Documents != 2 || len(done.Findings) != 0 {
		t.Errorf("rebuild from another region too = %+v; want both", done)
	}
	dev = runDev(t, dev.dir, "--no-sample")
	until(t, "every region whole", func() bool {
		code, _ := dev.as("operator", "verify", "--level", "read")
		return code == exitClean
	})
	command(t, exitClean, "audit", "verify", "--dev", dev.dir)
	if code, _ := dev.as("clinician", "fetch", p.StudyUID(imagingtest.Options{Study: 1}), "-o", t.TempDir()); code != exitClean {
		t.Errorf("fetch = %d", code)
	}
}

// The catalog, two of three regions and their key services are lost.
func TestADisasterOnRealServers(t *testing.T) {
	d := newDeployment(t, transport.AES256, false)
	g := d.serve("before")
	patients := []*patientStory{g.store(t, 1), g.store(t, 2)}
	for _, p := range patients {
		g.treat(t, p)
	}
	until(t, "no copies wait", func() bool { return g.pending(t, "cn-south")+g.pending(t, "cn-north") == 0 })
	if err := g.as(record.RoleOperator).AuditSnapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code := g.stop(); code != exitClean {
		t.Fatalf("gateway ended with %d", code)
	}

	d.loseDatabase()
	for i, name := range []string{"cn-north", "cn-east"} {
		r := d.regions[i]
		r.bucket, r.keys = storetest.BucketName(), storetest.BucketName()
		r.makeBuckets(t)
		d.cfg.Regions[i].Bucket, d.cfg.Regions[i].KeysBucket = r.bucket, r.keys
		d.cfg.Keys.Services[i] = d.engine(name)
	}
	config, _ := d.write("rebuild", nil)
	done := asked[vault.Rebuilt](t, exitClean, "rebuild", "--config", config, "--from", "cn-south")
	// Two care relationships, and one record for each of the staff who were enlisted.
	if want := int64(8); done.Documents != want || done.Records <= 2 || done.Missing != 0 || done.Patients != 2 || len(done.Findings) > 0 {
		t.Errorf("rebuild = %+v; want %d documents of two patients, records of them and of the staff, and no finding", done, want)
	}
	t.Logf("%d objects: %.2f minutes per 100,000", done.Objects, done.MinutesPer100000)
	drilled := asked[vault.Drilled](t, exitClean, "drill", "--config", config, "--from", "cn-south")
	if drilled.Sampled != 8 || drilled.Lacks() != 0 {
		t.Errorf("drill = %+v; want eight documents opened", drilled)
	}

	g = d.serve("after")
	for _, p := range patients {
		g.readsBack(t, p)
	}
	until(t, "the new regions hold everything", func() bool { return g.pending(t, "cn-north")+g.pending(t, "cn-east") == 0 })
	g.clean(t)
	g.store(t, 3)
}

// loseDatabase puts an empty database in the place of the catalog.
func (d *deployment) loseDatabase() {
	d.t.Helper()
	_, drop := d.admin.Exec("DROP DATABASE " + d.db + " WITH (FORCE)")
	_, create := d.admin.Exec("CREATE DATABASE " + d.db)
	if err := errors.Join(drop, create); err != nil {
		d.t.Fatal(err)
	}
}
