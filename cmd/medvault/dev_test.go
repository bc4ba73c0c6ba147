package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
)

// running is a dev vault in this process.
type running struct {
	t    *testing.T
	dir  string
	log  *lockedBuffer // its standard output and error
	stop func() int
}

// lockedBuffer is written by the vault while the test looks.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func runDev(t *testing.T, dir string, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, dir: dir, log: new(lockedBuffer)}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"dev", "--dir", dir, "--listen", "127.0.0.1:0", "--withhold-reports"}, args...), r.log, r.log)
	}()
	r.stop = sync.OnceValue(func() int { cancel(); return <-code })
	t.Cleanup(func() { r.stop() })
	for range 400 {
		if _, err := os.Stat(filepath.Join(dir, "dev.json")); err == nil {
			return r
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("dev did not become ready: %s", r.log)
	return nil
}

// as runs a command against the vault and returns its exit code and standard output.
func (r *running) as(role string, args ...string) (code int, stdout string) {
	r.t.Helper()
	var out, stderr bytes.Buffer
	code = run(r.t.Context(), append(args, "--dev", r.dir, "--as", role), &out, &stderr)
	if code != exitClean {
		r.t.Logf("medvault %s: exit %d: %s", args[0], code, &stderr)
	}
	return code, out.String()
}

// uploadAnswer is what `upload --json` tells.
type uploadAnswer struct {
	Stored, Present int
	Refused         []struct {
		Status int
		Reason string
	}
}

func (r *running) upload(folder string, args ...string) (code int, up uploadAnswer) {
	r.t.Helper()
	code, out := r.as("radiology", append([]string{"upload", folder, "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &up); err != nil {
		r.t.Fatalf("upload: exit %d, %v", code, err)
	}
	return code, up
}

// writeDocuments puts documents of a synthetic patient into a folder.
func writeDocuments(t *testing.T, p imagingtest.Patient, n int) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for i := range n {
		doc := imagingtest.CT(p, imagingtest.Options{Study: 1, Series: 1, Instance: i + 1, Rows: 128, Columns: 128, Preamble: true, Nesting: 4})
		if err := os.WriteFile(filepath.Join(folder, string(rune('a'+i))), doc, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestDevFromUploadToFetch(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := t.TempDir()
	vault := runDev(t, dir)
	if page := vault.log.String(); strings.Count(page, "\n") > 10 || !strings.Contains(page, "medvault\" ") && !strings.Contains(page, "$M ") {
		t.Errorf("the page is %q; want ten lines of what to try", page)
	}
	p := imagingtest.NewPatient(31)
	folder := writeDocuments(t, p, 5)

	if code, up := vault.upload(folder); code != exitClean || up.Stored != 5 {
		t.Fatalf("upload: exit %d, %+v; want 5 stored", code, up)
	}
	for _, flag := range []string{"--json", "--no-resume"} { // from the journal, and by sending them again
		if code, up := vault.upload(folder, flag); code != exitClean || up.Stored != 0 || up.Present != 5 {
			t.Errorf("second upload with %s: exit %d, %+v; want 5 present", flag, code, up)
		}
	}
	into := t.TempDir()
	study := p.StudyUID(imagingtest.Options{Study: 1})
	if code, _ := vault.as("clinician", "fetch", study, "-o", into); code != exitClean {
		t.Fatalf("fetch: exit %d", code)
	}
	want := make(map[string]bool)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		b, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		want[string(b)] = true
	}
	got, err := filepath.Glob(filepath.Join(into, "*"))
	if err != nil || len(got) != 5 {
		t.Fatalf("fetched %d files, %v; want 5", len(got), err)
	}
	for _, path := range got {
		b, err := os.ReadFile(path)
		if err != nil || !want[string(b)] {
			t.Errorf("%s is not one of the files sent, %v", filepath.Base(path), err)
		}
	}
	for _, refused := range []string{"quality", "researcher", "operator", "radiology"} {
		if code, _ := vault.as(refused, "fetch", study, "-o", t.TempDir()); code == exitClean {
			t.Errorf("fetch of the original study as %s: exit 0; want refused", refused)
		}
	}
	if code, out := vault.as("operator", "verify", "--level", "read", "--json"); code != exitClean {
		t.Errorf("verify: exit %d, %s", code, out)
	}
	objects, err := filepath.Glob(filepath.Join(dir, "regions", "cn-east", "objects", "*", "*"))
	if err != nil || len(objects) == 0 {
		t.Fatalf("no objects in cn-east: %v", err)
	}
	if err := os.Truncate(objects[0], 100); err != nil {
		t.Fatal(err)
	}
	if code, out := vault.as("operator", "verify", "--level", "list", "--json"); code != exitFindings || !strings.Contains(out, filepath.Base(objects[0])) {
		t.Errorf("verify after damage: exit %d, %s; want 3 and the object named", code, out)
	}
	if code, out := vault.as("auditor", "audit", "verify"); code != exitClean {
		t.Errorf("audit verify: exit %d, %s", code, out)
	}
	if code := vault.stop(); code != exitClean {
		t.Errorf("dev ended with exit %d: %s", code, vault.log)
	}
	if _, err := os.Stat(filepath.Join(dir, "dev.json")); err == nil {
		t.Error("dev.json is still there after the end")
	}

	again := runDev(t, dir)
	if code, _ := again.as("clinician", "fetch", study, "-o", t.TempDir()); code != exitClean {
		t.Errorf("fetch after the restart: exit %d", code)
	}
	if code, out := again.as("clinician", "studies", "--json"); code != exitClean || strings.Count(out, `"study"`) != 2 {
		t.Errorf("studies after the restart: exit %d, %s; want the sample and the upload", code, out)
	}
}

func TestTwoDevsDoNotShareADirectory(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := t.TempDir()
	first := runDev(t, dir, "--no-sample")
	said := new(lockedBuffer)
	code := run(t.Context(), []string{"dev", "--dir", dir, "--listen", "127.0.0.1:0", "--no-sample"}, said, said)
	if code != exitFailed || !strings.Contains(said.String(), "another medvault dev runs on this directory") {
		t.Errorf("a second dev: exit %d, %s; want 1 and the reason", code, said)
	}
	if code, up := first.upload(writeDocuments(t, imagingtest.NewPatient(33), 1)); code != exitClean || up.Stored != 1 {
		t.Errorf("upload to the first after that: exit %d, %+v; want 1 stored", code, up)
	}
	if code := first.stop(); code != exitClean {
		t.Errorf("the first ended with exit %d", code)
	}
	if code := runDev(t, dir, "--no-sample").stop(); code != exitClean {
		t.Errorf("the next ended with exit %d", code)
	}
}

// Address and tokens are the same; the vault is another, and holds nothing.
func TestAJournalSpeaksForOneVaultOnly(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	listen, err := freePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	folder := writeDocuments(t, imagingtest.NewPatient(34), 2)
	old, fresh := t.TempDir(), t.TempDir()
	vault := runDev(t, old, "--no-sample", "--listen", listen)
	if code, up := vault.upload(folder); code != exitClean || up.Stored != 2 {
		t.Fatalf("upload: exit %d, %+v; want 2 stored", code, up)
	}
	vault.stop()
	tokens, err := os.ReadFile(filepath.Join(old, "tokens.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(fresh, "tokens.json"), tokens, 0o600); err != nil {
		t.Fatal(err)
	}
	vault = runDev(t, fresh, "--no-sample", "--listen", listen)
	if code, up := vault.upload(folder); code != exitClean || up.Stored != 2 || up.Present != 0 {
		t.Errorf("upload to a new vault: exit %d, %+v; want 2 stored", code, up)
	}
	vault.stop()
	vault = runDev(t, old, "--no-sample", "--listen", listen)
	if code, up := vault.upload(folder); code != exitClean || up.Present != 2 {
		t.Errorf("upload to the old vault again: exit %d, %+v; want 2 present", code, up)
	}
}

func TestAReportOfAnotherPatientIsSentAgain(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	vault := runDev(t, t.TempDir(), "--no-sample")
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "report.pdf"), imagingtest.Report(imagingtest.NewPatient(35)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, patient := range []string{"P-1", "P-2"} {
		if code, up := vault.upload(folder, "--patient", patient); code != exitClean || up.Stored != 1 {
			t.Errorf("upload for %s: exit %d, %+v; want 1 stored", patient, code, up)
		}
	}
}

func TestDevWithoutAutoCareShowsNobodyAnything(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	vault := runDev(t, t.TempDir(), "--no-auto-care", "--no-sample")
	p := imagingtest.NewPatient(32)
	if code, up := vault.upload(writeDocuments(t, p, 1)); code != exitClean {
		t.Fatalf("upload: exit %d, %+v", code, up)
	}
	study := p.StudyUID(imagingtest.Options{Study: 1})
	if code, _ := vault.as("clinician", "fetch", study, "-o", t.TempDir()); code == exitClean {
		t.Error("fetch without a care relationship: exit 0; want refused")
	}
}

// TestNothingLeaks stores documents full of planted identifiers, reads them in every
// view, and then searches all that the vault keeps, writes and says for them: regions,
// catalog, keys, spool, temporary files, caches, log, answers to those who may not
// know.
func TestNothingLeaks(t *testing.T) {
	dir, temp, cache := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("XDG_CACHE_HOME", cache)
	vault := runDev(t, dir, "--no-sample")
	var planted []string
	answers := new(strings.Builder)
	for seed := uint64(41); seed < 44; seed++ {
		p := imagingtest.NewPatient(seed)
		planted = append(planted, p.Identifiers()...)
		planted = append(planted, p.StudyUID(imagingtest.Options{Study: 1}))
		folder := writeDocuments(t, p, 3)
		for i, bad := range append(imagingtest.Hostile(p), imagingtest.HostilePDFs(p)...) {
			if err := os.WriteFile(filepath.Join(folder, "bad"+string(rune('a'+i))), bad.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(folder, "report.pdf"), imagingtest.Report(p), 0o600); err != nil {
			t.Fatal(err)
		}
		_, up := vault.upload(folder, "--patient", p.ID, "--title", "Report of "+p.Latin())
		if up.Stored != 4 || len(up.Refused) == 0 {
			t.Errorf("upload: %d stored, %d refused; want 4, and every hostile file", up.Stored, len(up.Refused))
		}
		for _, refused := range up.Refused {
			answers.WriteString(refused.Reason + "\n")
		}
		vault.as("clinician", "fetch", p.StudyUID(imagingtest.Options{Study: 1}), "-o", t.TempDir())
		vault.as("clinician", "studies", "--patient", p.ID)
	}
	for _, role := range []string{"quality", "researcher"} {
		_, out := vault.as(role, "studies", "--json")
		answers.WriteString(out)
	}
	answers.WriteString(metrics(t, dir))
	vault.as("operator", "verify", "--level", "read")
	vault.stop()

	for name, folder := range map[string]string{"vault": dir, "temporary files": temp, "cache": cache} {
		hits, err := imagingtest.LeaksUnder(folder, planted)
		if err != nil {
			t.Errorf("search %s: %v", name, err)
		}
		if len(hits) > 0 {
			t.Errorf("%s: %d planted identifiers, first: %s", name, len(hits), hits[0])
		}
	}
	for name, text := range map[string]string{"log": vault.log.String(), "answers": answers.String()} {
		if hits := imagingtest.Leaks([]byte(text), planted); len(hits) > 0 {
			t.Errorf("%s: %d planted identifiers, first: %s", name, len(hits), hits[0])
		}
	}
}

func metrics(t *testing.T, dir string) string {
	t.Helper()
	var info devInfo
	data, err := os.ReadFile(filepath.Join(dir, "dev.json"))
	if err == nil {
		err = json.Unmarshal(data, &info)
	}
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(info.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("metrics: %d, %v", resp.StatusCode, err)
	}
	return b.String()
}
