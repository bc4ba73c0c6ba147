package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"medvault/api/portable"
	"medvault/imaging/imagingtest"
	"medvault/vault/record"
)

// asPatient makes the dev patient's identity that of a stored patient.
func asPatient(t *testing.T, dev, token string) {
	t.Helper()
	command(t, exitClean, "guardians", "add", "--dev", dev, token, "dev-patient", "--relation", "self")
}

// unpacked is what lies in a zip file, by path.
func unpacked(t *testing.T, path string) map[string][]byte {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := make(map[string][]byte)
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		r.Close()
	}
	return files
}

func TestPromise5_1APackageHoldsEverythingAndVerifiesElsewhere(t *testing.T) {
	dev := newDev(t)
	patient := imagingtest.NewPatient(5)
	dir := writeStudy(t, patient, 3)
	// One of each kind of record of a DICOMDIR.
	for i, modality := range []string{"SR", "PR", "RTSTRUCT", "ECG", "US", "MR"} {
		writeFile(t, filepath.Join(dir, "ct", modality), imagingtest.CT(patient, imagingtest.Options{Modality: modality, Study: 2, Series: i + 1, Instance: 1, Rows: 32, Columns: 32}))
	}
	up := asked[uploadResult](t, exitClean, "upload", "--dev", dev, "--patient="+patient.Issuer+"^^"+patient.ID, dir)
	token := string(up.Documents[0].Patient)
	out := t.TempDir()
	file := filepath.Join(out, "mine.zip")
	ask := []string{"export", "--dev", dev, "--patient", token, "-o", file}
	command(t, exitRefused, append(ask, "--insecure-plain")...) // nobody's own yet
	asPatient(t, dev, token)
	command(t, exitUsage, ask...) // for whom is it encrypted?
	command(t, exitRefused, append(ask, "--insecure-plain", "--as", "clinician")...)
	command(t, exitRefused, append(ask, "--insecure-plain", "--as", "quality")...)
	if _, err := os.Stat(file + ".parts"); err == nil {
		t.Error("a refused export leaves something behind")
	}

	got := asked[packageResult](t, exitClean, append(ask, "--insecure-plain")...)
	files := unpacked(t, file)
	if got.Files != len(files) || got.Withheld != 0 || got.Encrypted != "no" {
		t.Errorf("export = %+v with %d files in it", got, len(files))
	}
	want := make(map[string]int)
	for _, name := range listFiles(t, dir) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want[string(data)]++
	}
	originals := 0
	for path, data := range files {
		if strings.HasPrefix(path, "DICOM/") || strings.HasPrefix(path, "DOCUMENTS/") {
			originals++
			want[string(data)]--
		}
	}
	for _, n := range want {
		if n != 0 {
			t.Error("an original is missing, or not what was sent")
		}
	}
	if originals != 10 {
		t.Errorf("%d originals; want 10", originals)
	}
	if strings.Contains(string(files["INDEX.HTM"]), "<script") || !strings.Contains(string(files["INDEX.HTM"]), patient.ID) {
		t.Error("the index page has a script, or does not name the patient")
	}
	toolsRead(t, files)
	fhirValidates(t, files)
	logProves(t, files, dev)

	// Offline: the gateway is not asked.
	var m portable.Manifest
	if err := json.Unmarshal(files[portable.ManifestName], &m); err != nil {
		t.Fatal(err)
	}
	if c := asked[packageCheck](t, exitClean, "export", "verify", file, "--log-key", m.LogKey); !c.Trusted || c.Files != len(files)-2 || len(c.Findings) != 0 {
		t.Errorf("verify = %+v", c)
	}
	for name, change := range map[string]func(map[string][]byte){
		"a changed image": func(f map[string][]byte) { f[m.Files[len(m.Files)-1].Path][5] ^= 1 },
		"a missing file":  func(f map[string][]byte) { delete(f, "DICOMDIR") },
		"a file beside":   func(f map[string][]byte) { f["MORE.TXT"] = []byte("x") },
		"a changed manifest": func(f map[string][]byte) {
			f[portable.ManifestName] = bytes.Replace(f[portable.ManifestName], []byte("patient"), []byte("Patient"), 1)
		},
		"no signature":        func(f map[string][]byte) { delete(f, portable.SignatureName) },
		"another's signature": func(f map[string][]byte) { f[portable.SignatureName] = []byte("medvault package v1\n") },
	} {
		changed := unpacked(t, file)
		change(changed)
		c := asked[packageCheck](t, exitFindings, "export", "verify", pack(t, changed))
		if len(c.Findings) == 0 {
			t.Errorf("%s: no finding", name)
		}
	}

	sealedPackages(t, ask, out, files)
}

func listFiles(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func pack(t *testing.T, files map[string][]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "changed.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := zip.NewWriter(f)
	for name, data := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// toolsRead lets dcmtk and dicom3tools read the directory.
func toolsRead(t *testing.T, files map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, data)
	}
	if tool, err := exec.LookPath("dcmdump"); err != nil {
		t.Log("dcmdump is not installed: the DICOMDIR was not read by another tool")
	} else {
		said, err := exec.Command(tool, filepath.Join(dir, "DICOMDIR")).CombinedOutput()
		if err != nil || bytes.Contains(said, []byte("E: ")) || bytes.Contains(said, []byte("W: ")) {
			t.Errorf("dcmdump DICOMDIR: %v\n%s", err, said)
		}
		for _, kind := range []string{"IMAGE", "SR DOCUMENT", "PRESENTATION", "RT STRUCTURE SET", "WAVEFORM"} {
			if !bytes.Contains(said, []byte("["+kind+"]")) {
				t.Errorf("dcmdump finds no record of type %s", kind)
			}
		}
	}
	if tool, err := exec.LookPath("dciodvfy"); err == nil {
		said, _ := exec.Command(tool, filepath.Join(dir, "DICOMDIR")).CombinedOutput() // it says all in words
		for line := range strings.Lines(string(said)) {
			// Synthetic patients have UIDs under the example root, on purpose, and their
			// presentation states refer to nothing.
			if strings.HasPrefix(line, "Error") && !strings.Contains(line, "example root") && !strings.Contains(line, "Module=<PresentationDirectoryRecord>") {
				t.Errorf("dciodvfy DICOMDIR: %s", line)
			}
		}
	}
}

// fhirValidates has a validator of another make look at every resource.
func fhirValidates(t *testing.T, files map[string][]byte) {
	t.Helper()
	script := os.Getenv("MEDVAULT_TEST_FHIR")
	if script == "" {
		t.Log("set MEDVAULT_TEST_FHIR to scripts/backends/fhir/validate.js, installed, to have the resources validated")
		return
	}
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "bundle.json"), files["FHIR/BUNDLE.JSON"])
	writeFile(t, filepath.Join(dir, "audit.ndjson"), files["FHIR/AUDIT.NDJSON"])
	if said, err := exec.Command("node", script, filepath.Join(dir, "bundle.json"), filepath.Join(dir, "audit.ndjson")).CombinedOutput(); err != nil {
		t.Errorf("the FHIR resources do not validate: %v\n%s", err, said)
	}
}

// logProves wants the package's own reads and the export in its log, proved.
func logProves(t *testing.T, files map[string][]byte, dev string) {
	t.Helper()
	acts := make(map[string]int)
	for line := range bytes.Lines(files["FHIR/AUDIT.NDJSON"]) {
		var e struct {
			Subtype   []struct{ Code string }
			Extension []struct {
				Extension []struct{ URL, ValueString string }
			}
		}
		if err := json.Unmarshal(line, &e); err != nil || len(e.Extension) != 1 || len(e.Extension[0].Extension) != 5 {
			t.Fatalf("an AuditEvent without a proof: %v", err)
		}
		acts[e.Subtype[1].Code]++
	}
	if acts["document.export"] == 0 || acts["document.read"] != 10 || acts["document.store"] < 10 {
		t.Errorf("the log tells %v; want the export, ten reads, ten uploads", acts)
	}
}

// sealedPackages exports to a key and with a passphrase, and opens both with age.
func sealedPackages(t *testing.T, ask []string, out string, plain map[string][]byte) {
	t.Helper()
	var key *age.X25519Identity
	if err := outside(func() (err error) { key, err = age.GenerateX25519Identity(); return err }); err != nil {
		t.Fatal(err)
	}
	identity, word := filepath.Join(out, "key.txt"), filepath.Join(out, "word.txt")
	writeFile(t, identity, []byte(key.String()+"\n"))
	writeFile(t, word, []byte("a long enough passphrase\n"))
	for _, way := range []struct{ name, give, open, with string }{
		{"key.zip.age", "--age-recipient=" + key.Recipient().String(), "--identity-file", identity},
		{"word.zip.age", "--passphrase-file=" + word, "--passphrase-file", word},
	} {
		file := filepath.Join(out, way.name)
		to := append([]string{}, ask...)
		to[len(to)-1] = file
		command(t, exitClean, append(to, way.give, "--outside-fips")...)
		c := asked[packageCheck](t, exitClean, "export", "verify", file, way.open, way.with, "--outside-fips")
		if len(c.Findings) != 0 || c.Files != len(plain)-2 {
			t.Errorf("%s: %+v", way.name, c)
		}
		command(t, exitUsage, "export", "verify", file, "--outside-fips") // by which key?
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("DICOMDIR")) || bytes.Contains(data, []byte("PK\x03\x04")) {
			t.Errorf("%s is not encrypted", way.name)
		}
		if left, err := filepath.Glob(filepath.Join(out, "*.parts")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// breaker stands before a vault and breaks the ways of documents.
type breaker struct {
	mu       sync.Mutex
	asked    int // for documents
	ranges   int // of those, from somewhere on
	refuse   int // from the how-manieth on they are refused; 0: none
	cutAfter int64
}

func (b *breaker) ServeHTTP(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.URL.Path, "/documents/") {
		next.ServeHTTP(w, r)
		return
	}
	b.mu.Lock()
	b.asked++
	if r.Header.Get("Range") != "" {
		b.ranges++
	}
	refused, cut := b.refuse > 0 && b.asked >= b.refuse, b.cutAfter
	b.mu.Unlock()
	switch {
	case refused:
		http.Error(w, "{}", http.StatusForbidden)
	case cut > 0:
		next.ServeHTTP(&cutting{ResponseWriter: w, left: cut}, r)
	default:
		next.ServeHTTP(w, r)
	}
}

type cutting struct {
	http.ResponseWriter
	left int64
}

func (c *cutting) Write(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		c.ResponseWriter.Write(p[:c.left])
		panic(http.ErrAbortHandler)
	}
	c.left -= int64(len(p))
	return c.ResponseWriter.Write(p)
}

func TestAnInterruptedExportGoesOn(t *testing.T) {
	dev := newDev(t)
	patient := imagingtest.NewPatient(6)
	dir := t.TempDir()
	const slices = 4
	for i := range slices {
		writeFile(t, filepath.Join(dir, string(rune('a'+i))), imagingtest.CT(patient, imagingtest.Options{Study: 1, Series: 1, Instance: i + 1, Rows: 400, Columns: 400}))
	}
	up := asked[uploadResult](t, exitClean, "upload", "--dev", dev, dir)
	token := string(up.Documents[0].Patient)
	asPatient(t, dev, token)
	var at devFile
	data, err := os.ReadFile(filepath.Join(dev, "dev.json"))
	if err != nil || json.Unmarshal(data, &at) != nil {
		t.Fatal(err)
	}
	real, err := url.Parse(at.URL)
	if err != nil {
		t.Fatal(err)
	}
	way, proxy := new(breaker), httputil.NewSingleHostReverseProxy(real)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { way.ServeHTTP(proxy, w, r) }))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "mine.zip")
	ask := []string{"export", "--url", server.URL, "--token", at.Tokens["patient"], "--patient", token, "-o", file, "--insecure-plain"}

	way.refuse = 3 // the vault refuses what is asked for third, as if it had been frozen
	command(t, exitRefused, ask...)
	parts := listFiles(t, file+".parts")
	for _, part := range parts {
		data, err := os.ReadFile(part)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(patient.ID)) || bytes.Contains(data, []byte("DICM")) {
			t.Errorf("%s holds plaintext", filepath.Base(part))
		}
	}
	way.mu.Lock()
	before := way.asked
	way.refuse, way.cutAfter = 0, 150<<10 // every answer is cut in the middle
	way.mu.Unlock()
	got := asked[packageResult](t, exitClean, ask...)
	if way.ranges == 0 || way.asked-before > slices*4 {
		t.Errorf("%d requests more, %d from the middle; want each to go on where it was cut", way.asked-before, way.ranges)
	}
	if c := asked[packageCheck](t, exitClean, "export", "verify", file); c.Package != got.Package || len(c.Findings) != 0 {
		t.Errorf("verify = %+v", c)
	}
}

func TestPromise9_3PackagesOfChildrenAreTheGuardians(t *testing.T) {
	dev := newDev(t)
	up := asked[uploadResult](t, exitClean, "upload", "--dev", dev, writeStudy(t, imagingtest.NewPatient(7), 1), "--patient=X^^CHILD-1", "--birth-date", "20200203")
	var child string
	for _, d := range up.Documents {
		if strings.HasSuffix(d.Path, ".pdf") {
			child = string(d.Patient)
		}
	}
	evidence := ""
	for _, d := range up.Documents {
		if string(d.Patient) == child {
			evidence = string(d.ID)
		}
	}
	file := filepath.Join(t.TempDir(), "child.zip")
	ask := []string{"export", "--dev", dev, "--patient", child, "-o", file, "--insecure-plain"}
	asPatient(t, dev, child)
	command(t, exitRefused, ask...) // the guardian acts for a child
	command(t, exitClean, "guardians", "add", "--dev", dev, child, "dev-guardian", "--relation", "mother", "--evidence", evidence)
	command(t, exitRefused, append(ask, "--as", "guardian")...) // and has not agreed yet
	command(t, exitClean, "consent", "give", "--dev", dev, "--as", "guardian", child, "TREAT", "--evidence", evidence)
	got := asked[packageResult](t, exitClean, append(ask, "--as", "guardian")...)
	var m portable.Manifest
	if err := json.Unmarshal(unpacked(t, file)[portable.ManifestName], &m); err != nil || m.Role != record.RoleGuardian || m.Patient != record.PatientToken(child) {
		t.Errorf("the manifest says %s for %s; want the guardian for %s (%v, %+v)", m.Role, m.Patient, child, err, got)
	}
}
