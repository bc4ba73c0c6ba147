package dicom_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/dicom/profile"
	"medvault/imaging/imagingtest"
)

// scrubAs takes identity out by one set of options, from whoever's document.
func scrubAs(options profile.Set, data []byte) (out imaging.Scrubbed, content, script []byte, err error) {
	s := dicom.With(dicom.Config{Profile: "test", Options: options})
	_, out, content, script, err = scrubFrom(func(r io.Reader) (imaging.Incoming, error) { return dicom.BeginAs(s, r) }, bytes.NewReader(data))
	return out, content, script, err
}

// said are the values in what dciodvfy says; names of elements and modules are none.
var said = regexp.MustCompile(`([^=])<[^>]*>|[0-9][0-9.]*|'[^']*'|"[^"]*"`)

// complaints are the errors that dciodvfy has about a document, values left out.
func complaints(t *testing.T, dir string, data []byte) map[string]int {
	t.Helper()
	path := filepath.Join(dir, "document.dcm")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	output, _ := exec.Command("dciodvfy", path).CombinedOutput() // its exit code is that of the worst line
	list := make(map[string]int)
	for line := range strings.Lines(string(output)) {
		if strings.HasPrefix(line, "Error") {
			list[said.ReplaceAllString(strings.TrimSpace(line), "$1…")]++
		}
	}
	return list
}

// TestContentIsAsValidAsTheOriginal asks dciodvfy of dicom3tools about both.
func TestContentIsAsValidAsTheOriginal(t *testing.T) {
	if _, err := exec.LookPath("dciodvfy"); err != nil {
		t.Skip("install dicom3tools, which has dciodvfy")
	}
	documents := make(map[string][]byte)
	for i, m := range []string{"CT", "MR", "PT", "CR", "DX", "MG", "US", "SC", "XA", "RF", "NM", "SR", "PR", "RTSTRUCT", "XC", "ECG"} {
		documents[m] = imagingtest.CT(imagingtest.NewPatient(uint64(i)), imagingtest.Options{Modality: m, Rows: 16, Columns: 16})
	}
	t.Run("synthetic", func(t *testing.T) { noNewComplaints(t, documents) })
	t.Run("corpus", func(t *testing.T) {
		documents := make(map[string][]byte)
		for i, path := range corpus(t) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			in, err := dicom.New().Begin(bytes.NewReader(data))
			if err != nil || in.Identity().TransferSyntax == imagingtest.Deflated {
				continue // refused, or not read by dciodvfy
			}
			if len(data) < 1<<20 && i%validityStep == 0 {
				documents[fmt.Sprintf("file %d", i)] = data
			}
		}
		noNewComplaints(t, documents)
	})
}

// validityStep is how many files of the corpus stand for one another.
const validityStep = 8

// unread is what dciodvfy says of a file that it does not understand.
const unread = "Error - Tags out of order - trailing garbage, wrong transfer syntax, or not valid DICOM"

// noNewComplaints compares what dciodvfy says before and after.
func noNewComplaints(t *testing.T, documents map[string][]byte) {
	dir := t.TempDir()
	for _, options := range []profile.Set{profile.Default, 0} {
		introduced := make(map[string]int)
		checked := 0
		for _, data := range documents {
			_, content, _, err := scrubAs(options, data)
			before := complaints(t, dir, data)
			if err != nil || before[unread] > 0 {
				continue
			}
			checked++
			for c, n := range complaints(t, dir, content) {
				if n > before[c] {
					introduced[c]++
				}
			}
		}
		for c, n := range introduced {
			t.Errorf("%v: %d of %d documents: %s", options.Names(), n, checked, c)
		}
	}
}
