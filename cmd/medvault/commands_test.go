package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
)

// newDev runs an empty dev vault until the test ends and returns its directory.
func newDev(t *testing.T) (dir string) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // upload journals
	dir = t.TempDir()
	ctx, stop := context.WithCancel(context.Background())
	said, ended := new(lockedBuffer), make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"dev", "--dir", dir, "--listen", "127.0.0.1:0", "--no-sample"}, said, said)
	}()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitClean {
			t.Errorf("dev ended with %d; want %d; it said\n%s", code, exitClean, said)
		}
	})
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "dev.json")); err == nil {
			return dir
		}
	}
	t.Fatalf("dev was not ready within a minute; it said\n%s", said)
	return ""
}

// command runs one command and wants an exit code; it returns what was printed.
func command(t *testing.T, wantCode int, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), args, &stdout, &stderr); code != wantCode {
		t.Fatalf("medvault %s: exit %d; want %d\n%s%s", strings.Join(args, " "), code, wantCode, stdout.String(), stderr.String())
	}
	if wantCode != exitClean && strings.Count(stderr.String(), "\n") != 1 {
		t.Errorf("medvault %s: standard error %q; want one line", strings.Join(args, " "), stderr.String())
	}
	return stdout.String()
}

// asked is command with --json, decoded.
func asked[T any](t *testing.T, wantCode int, args ...string) (v T) {
	t.Helper()
	out := command(t, wantCode, append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("medvault %s: %v in\n%s", strings.Join(args, " "), err, out)
	}
	return v
}

// writeStudy writes n CT instances and a PDF of a patient into a new folder.
func writeStudy(t *testing.T, patient imagingtest.Patient, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "ct"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		writeFile(t, filepath.Join(dir, "ct", "slice"+string(rune('a'+i))), imagingtest.CT(patient, imagingtest.Options{Study: 1, Series: 1, Instance: i + 1, Rows: 64, Columns: 64}))
	}
	writeFile(t, filepath.Join(dir, "report.pdf"), imagingtest.Report(patient))
	return dir
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestUploadAndFetchBringBackTheSameBytes(t *testing.T) {
	dev := newDev(t)
	patient := imagingtest.NewPatient(1)
	dir := writeStudy(t, patient, 3)
	whose := "--patient=" + patient.Issuer + "^^" + patient.ID

	first := asked[uploadResult](t, exitClean, "upload", "--dev", dev, whose, dir)
	if first.Stored != 4 || first.Present != 0 || len(first.Refused) != 0 {
		t.Fatalf("upload: stored %d, present %d, refused %v; want 4, 0 and none", first.Stored, first.Present, first.Refused)
	}
	again := asked[uploadResult](t, exitClean, "upload", "--dev", dev, whose, dir)
	if again.Stored != 0 || again.Present != 4 || len(again.Documents) != 0 {
		t.Errorf("second upload: stored %d, present %d, sent %d; want 0, 4 and nothing sent", again.Stored, again.Present, len(again.Documents))
	}
	sent := asked[uploadResult](t, exitClean, "upload", "--dev", dev, whose, "--no-resume", dir)
	if sent.Stored != 0 || sent.Present != 4 || len(sent.Documents) != 4 {
		t.Errorf("upload --no-resume: stored %d, present %d, sent %d; want 0, 4, 4", sent.Stored, sent.Present, len(sent.Documents))
	}

	study := patient.StudyUID(imagingtest.Options{Study: 1})
	out := filepath.Join(t.TempDir(), "out")
	if got := asked[fetched](t, exitClean, "fetch", "--dev", dev, study, "-o", out); len(got.Written) != 3 || got.Partial {
		t.Errorf("fetch = %+v; want 3 files, not partial", got)
	}
	sameFiles(t, out, filepath.Join(dir, "ct"))
	for _, d := range first.Documents {
		if d.Study == "" {
			command(t, exitClean, "fetch", "--dev", dev, string(d.ID), "-o", out)
			sameBytes(t, filepath.Join(out, string(d.ID)+".pdf"), filepath.Join(dir, "report.pdf"))
		}
	}
}

// sameFiles wants the contents of two folders to be equal, whatever the names.
func sameFiles(t *testing.T, got, want string) {
	t.Helper()
	if a, b := contents(t, got), contents(t, want); !slices.Equal(a, b) {
		t.Errorf("%s and %s hold different bytes", got, want)
	}
}

func contents(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(data))
	}
	slices.Sort(all)
	return all
}

func sameBytes(t *testing.T, got, want string) {
	t.Helper()
	a, err := os.ReadFile(got)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("%s differs from %s", got, want)
	}
}

func TestUploadListsWhatIsNotStored(t *testing.T) {
	dev := newDev(t)
	dir := writeStudy(t, imagingtest.NewPatient(2), 1)
	writeFile(t, filepath.Join(dir, "notes.txt"), []byte("no document"))
	if err := os.Symlink("notes.txt", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	got := asked[uploadResult](t, exitRefused, "upload", "--dev", dev, dir) // the PDF lacks --patient
	var refused []string
	for _, r := range got.Refused {
		refused = append(refused, filepath.Base(r.Path))
		if r.Reason == "" {
			t.Errorf("%s is refused without a reason", r.Path)
		}
	}
	slices.Sort(refused)
	if want := []string{"link", "notes.txt", "report.pdf"}; got.Stored != 1 || !slices.Equal(refused, want) {
		t.Errorf("upload: stored %d, refused %v; want 1 and %v", got.Stored, refused, want)
	}
}

func TestFetchNeverOverwrites(t *testing.T) {
	dev := newDev(t)
	patient := imagingtest.NewPatient(4)
	command(t, exitClean, "upload", "--dev", dev, filepath.Join(writeStudy(t, patient, 2), "ct"))
	study, out := patient.StudyUID(imagingtest.Options{Study: 1}), t.TempDir()
	command(t, exitClean, "fetch", "--dev", dev, study, "-o", out)
	if got := asked[fetched](t, exitClean, "fetch", "--dev", dev, study, "-o", out); len(got.Written) != 0 || len(got.Present) != 2 {
		t.Errorf("second fetch = %+v; want nothing written, 2 present", got)
	}
	mine := filepath.Join(out, patient.InstanceUID(imagingtest.Options{Study: 1, Series: 1, Instance: 1})+".dcm")
	writeFile(t, mine, []byte("mine"))
	command(t, exitFailed, "fetch", "--dev", dev, study, "-o", out)
	if got, err := os.ReadFile(mine); err != nil || string(got) != "mine" {
		t.Errorf("the file that was there holds %d bytes now (%v); want it left alone", len(got), err)
	}
	left, err := filepath.Glob(filepath.Join(out, ".fetch-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v; want nothing", left, err)
	}
}

func TestOperatorsCommands(t *testing.T) {
	dev := newDev(t)
	patient := imagingtest.NewPatient(5)
	command(t, exitClean, "upload", "--dev", dev, filepath.Join(writeStudy(t, patient, 2), "ct"))

	if got := asked[listedRegions](t, exitClean, "regions", "--dev", dev); len(got.Regions) != 4 {
		t.Errorf("regions = %+v; want 4", got.Regions)
	}
	command(t, exitClean, "audit", "verify", "--dev", dev)
	command(t, exitRefused, "audit", "verify", "--dev", dev, "--as", "researcher")
	command(t, exitRefused, "verify", "--dev", dev, "--as", "clinician")
	if got := asked[listedStudies](t, exitClean, "studies", "--dev", dev, "--patient", patient.Issuer+"^^"+patient.ID); len(got.Studies) != 1 {
		t.Errorf("studies = %+v; want 1", got.Studies)
	}

	// Copies to the third region are made in the background.
	for deadline := time.Now().Add(time.Minute); pending(t, dev) > 0 && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	command(t, exitClean, "verify", "--dev", dev, "--level", "read")
	object := anObject(t, filepath.Join(dev, "regions", "cn-east", "objects"))
	command(t, exitClean, "inspect", object)
	damage(t, object)
	report := asked[struct {
		Level    string
		Checked  int64
		Findings []struct{ Type, Region, Object string }
	}](t, exitFindings, "verify", "--dev", dev, "--level", "read")
	if len(report.Findings) != 1 || report.Findings[0].Object != filepath.Base(object) || report.Findings[0].Region != "cn-east" {
		t.Errorf("verify found %+v; want the damaged object %s in cn-east", report.Findings, filepath.Base(object))
	}
}

func pending(t *testing.T, dev string) (n int64) {
	t.Helper()
	for _, r := range asked[listedRegions](t, exitClean, "regions", "--dev", dev).Regions {
		n += r.Pending
	}
	return n
}

func anObject(t *testing.T, under string) (found string) {
	t.Helper()
	err := filepath.WalkDir(under, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			found = path
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("no object under %s: %v", under, err)
	}
	return found
}

func damage(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, data)
}

func TestCareBeginsAndEnds(t *testing.T) {
	dev := newDev(t)
	dir := filepath.Join(writeStudy(t, imagingtest.NewPatient(6), 1), "ct")
	token := string(asked[uploadResult](t, exitClean, "upload", "--dev", dev, dir).Documents[0].Patient)

	added := asked[struct{ ID, Clinician string }](t, exitClean, "care", "add", "--dev", dev, token, "dr-li", "--until", "2099-01-01T00:00:00Z")
	if added.Clinician != "dr-li" {
		t.Errorf("care add = %+v; want dr-li", added)
	}
	command(t, exitClean, "care", "end", "--dev", dev, token, added.ID)
	for _, c := range asked[listedCare](t, exitClean, "care", "list", "--dev", dev, token).CareTeam {
		if c.Clinician == "dr-li" && c.Ended == nil {
			t.Errorf("care list = %+v; want dr-li's ended", c)
		}
	}
	command(t, exitRefused, "care", "add", "--dev", dev, "--as", "researcher", token, "dr-li")
}

func TestWrongCallsAreUsageErrors(t *testing.T) {
	t.Setenv("MEDVAULT_URL", "")
	t.Setenv("MEDVAULT_TOKEN", "")
	for _, args := range [][]string{
		{"no-such-command"},
		{"care", "no-such-command"},
		{"fetch"},
		{"fetch", "1.2.3"},
		{"fetch", "../../etc/passwd", "-o", "out", "--url", "http://127.0.0.1:1", "--token", "t"},
		{"upload"},
		{"upload", "."},
		{"upload", ".", "--parallel", "0", "--url", "http://127.0.0.1:1", "--token", "t"},
		{"studies", "--no-such-flag"},
		{"studies", "--url", "http://127.0.0.1:1"},
		{"studies", "--url", "http://192.0.2.1", "--token", "t"},
		{"studies", "--url", "http://127.0.0.1:1", "--token", "t", "--purpose", "CURIOSITY"},
		{"studies", "--url", "http://127.0.0.1:1", "--token", "t", "--tls", "none"},
		{"studies", "--dev", "no-such-directory"},
		{"verify", "--level", "guess", "--url", "http://127.0.0.1:1", "--token", "t"},
		{"care", "add", "not-a-token", "dr-li", "--url", "http://127.0.0.1:1", "--token", "t"},
		{"inspect", "no-such-file"},
		{"serve"},
	} {
		command(t, exitUsage, args...)
	}
	command(t, exitFailed, "studies", "--url", "http://127.0.0.1:1", "--token", "t")
}

func TestHelpNamesEveryFlag(t *testing.T) {
	for _, args := range [][]string{{}, {"upload"}, {"fetch"}, {"studies"}, {"care"}, {"care", "add"}, {"regions"}, {"verify"}, {"audit", "verify"}, {"inspect"}, {"dev"}, {"serve"}} {
		out := command(t, exitClean, append(args, "--help")...)
		if !strings.Contains(out, "--json") || !strings.Contains(out, "Usage:") {
			t.Errorf("help of %v = %q; want usage and --json", args, out)
		}
	}
}
