package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"medvault/vault"
)

// A prescription in FHIR goes in by upload, is listed by category, and comes back: without
// the patient to quality control, byte for byte to the clinician.
func TestDocumentsByCategory(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dev := runDev(t, t.TempDir(), "--no-sample")
	folder := t.TempDir()
	const resource = `{"resourceType":"MedicationRequest","status":"active","intent":"order","subject":{"reference":"Patient/1","identifier":{"value":"RX-4417"},"display":"Odalys Wetherby"},"medicationCodeableConcept":{"text":"aspirin"},"authoredOn":"2024-03-15"}`
	if err := os.WriteFile(filepath.Join(folder, "rx.json"), []byte(resource), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, up := dev.upload(folder); code != exitClean || up.Stored != 1 {
		t.Fatalf("upload: exit %d, %+v", code, up)
	}
	list := func(role string, args ...string) (page vault.DocumentPage) {
		code, out := dev.as(role, append([]string{"documents", "--json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &page); err != nil || code != exitClean {
			t.Fatalf("documents as %s: exit %d, %s", role, code, out)
		}
		return page
	}
	var shown vault.DocumentPage
	for range 600 {
		if shown = list("quality", "--category", "prescription"); len(shown.Documents) == 1 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if len(shown.Documents) != 1 || shown.Documents[0].ResourceType != "MedicationRequest" || shown.Documents[0].MediaType != "application/fhir+json" {
		t.Fatalf("prescriptions that quality control finds: %+v", shown.Documents)
	}
	if other := list("quality", "--category", "allergy"); len(other.Documents) != 0 {
		t.Errorf("allergies: %+v; want none", other.Documents)
	}
	id := string(shown.Documents[0].ID)
	for role, whole := range map[string]bool{"quality": false, "clinician": true} {
		out := t.TempDir()
		if code, said := dev.as(role, "fetch", id, "-o", out); code != exitClean {
			t.Fatalf("fetch as %s: exit %d, %s", role, code, said)
		}
		got, err := os.ReadFile(filepath.Join(out, id+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if (string(got) == resource) != whole || len(got) == 0 {
			t.Errorf("%s got %s", role, got)
		}
	}
	if mine := list("clinician", "--patient", "RX-4417"); len(mine.Documents) != 1 || mine.Documents[0].View != "original" {
		t.Errorf("the clinician's list: %+v", mine.Documents)
	}
	if code, _ := dev.as("clinician", "documents"); code != exitRefused {
		t.Errorf("a clinician who names no patient: exit %d; want %d", code, exitRefused)
	}
}
