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

func TestExportGivesEachRecipientFilesOfItsOwn(t *testing.T) {
	dev := newDev(t)
	patient := imagingtest.NewPatient(3)
	up := asked[uploadResult](t, exitClean, "upload", "--dev", dev, "--patient="+patient.Issuer+"^^"+patient.ID, writeStudy(t, patient, 2))
	token := string(up.Documents[0].Patient)
	var found struct{ Studies []struct{ Study string } }
	if err := json.Unmarshal([]byte(command(t, exitClean, "studies", "--dev", dev, "--as", "quality", "--json")), &found); err != nil || len(found.Studies) != 1 {
		t.Fatalf("studies as quality: %d, %v; want 1", len(found.Studies), err)
	}
	study := found.Studies[0].Study
	out := t.TempDir()
	to := func(recipient, dir string, more ...string) exportResult {
		args := append([]string{"export", "--dev", dev, "--deidentified", "--recipient", recipient, "-o", filepath.Join(out, dir)}, more...)
		return asked[exportResult](t, exitClean, args...)
	}
	a, b := to("University A", "a", "--study", study), to("University B", "b", "--study", study)
	if len(a.Written) != 3 || len(a.Manifest.Instances) != 2 || a.Manifest.Withheld != 0 {
		t.Fatalf("export = %+v; want two instances and a manifest", a)
	}
	if again := to("University A", "a", "--study", study); len(again.Written) != 0 || len(again.Present) != 3 {
		t.Errorf("again to the same recipient: wrote %v; want the same bytes as before", again.Written)
	}
	whole := to("University A", "whole", "--patient", token)
	if len(whole.Manifest.Instances) != 2 || whole.Manifest.Withheld != 1 {
		t.Errorf("the patient's export holds %d and withholds %d; want 2 images, and 1 report", len(whole.Manifest.Instances), whole.Manifest.Withheld)
	}
	for i, e := range a.Manifest.Instances {
		h, err := hashFile(filepath.Join(out, "a", e.Instance+".dcm"))
		if err != nil || h.SHA256 != e.SHA256 || h.Size != e.Size {
			t.Errorf("a file has %+v, %v; the manifest says %+v", h, err, e)
		}
		if other := b.Manifest.Instances[i]; other.Instance == e.Instance || other.Study == e.Study || e.Study == study {
			t.Errorf("A and B, or A and the vault, share a UID")
		}
	}
	if hits, err := imagingtest.LeaksUnder(out, append(patient.Identifiers(), token, study)); err != nil || len(hits) > 0 {
		t.Errorf("the exports hold %d identifiers or names of the vault, %v", len(hits), err)
	}
	var manifest vault.ExportManifest
	if data, err := os.ReadFile(filepath.Join(out, "a", "manifest.json")); err != nil || json.Unmarshal(data, &manifest) != nil || len(manifest.Instances) != 2 {
		t.Errorf("manifest.json: %v, %d instances; want 2", err, len(manifest.Instances))
	}

	ask := []string{"export", "--dev", dev, "--recipient", "A", "-o", out, "--patient", token}
	command(t, exitUsage, ask...)
	ask = append(ask, "--deidentified")
	command(t, exitRefused, append(ask, "--as", "researcher")...)
	command(t, exitRefused, append(ask, "--as", "clinician")...)
	command(t, exitUsage, append(ask, "--study", study)...)
	command(t, exitUsage, append(ask, "--recipient", "")...)
	command(t, exitUsage, append(ask, "--patient", "nobody")...)
	command(t, exitRefused, append(ask, "--recipient", strings.Repeat("x", 65))...)
	command(t, exitRefused, append(ask, "--patient", "p"+strings.Repeat("a", 26))...)
}
