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
	t.Run("synthetic", func(t *testing.T) {
		documents := make(map[string][]byte)
		for o := range imagingtest.Set(3, 90, imagingtest.DefaultOptions()...) {
			documents[fmt.Sprint(len(documents))] = o.Data
		}
		noNewComplaints(t, documents)
	})
	t.Run("corpus", func(t *testing.T) {
		documents := make(map[string][]byte)
		for i, path := range corpus(t) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if len(data) < 1<<20 && i%validityStep == 0 {
				documents[fmt.Sprint(i)] = data
			}
		}
		noNewComplaints(t, documents)
	})
}

// validityStep is how many files of the corpus one stands for.
const validityStep = 12

// unread is what dciodvfy says of a file that it does not understand.
const unread = "Error - Tags out of order - trailing garbage, wrong transfer syntax, or not valid DICOM"

// accepted is what dciodvfy says where a table of numbers hid the patient: it goes,
// though the object needs it.
const accepted = "Error - Missing attribute Type … Required Element=<LUTData> Module=<ModalityLUTMacro>"

// noNewComplaints compares what dciodvfy says before and after, by several sets.
func noNewComplaints(t *testing.T, documents map[string][]byte) {
	dir := t.TempDir()
	everything := profile.Named()["clinical-trial"] | profile.RetainInstitution | profile.RetainUIDs
	for name, data := range documents {
		in, err := dicom.New().Begin(bytes.NewReader(data))
		if err != nil || in.Identity().TransferSyntax == imagingtest.Deflated {
			continue // refused, or not read by dciodvfy
		}
		before := complaints(t, dir, data)
		if before[unread] > 0 {
			continue
		}
		for _, options := range []profile.Set{profile.Default, 0, everything} {
			_, content, _, err := scrubAs(options, data)
			if err != nil {
				t.Fatal(err)
			}
			for c, n := range complaints(t, dir, content) {
				if n > before[c] && c != accepted {
					t.Errorf("document %s by %v: %s", name, options.Names(), c)
				}
			}
		}
	}
}
