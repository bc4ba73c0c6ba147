package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
)

func TestConsentOnTheCommandLine(t *testing.T) {
	dev := newDev(t)
	patient := imagingtest.NewPatient(3)
	name := "--patient=" + patient.Issuer + "^^" + patient.ID
	up := asked[uploadResult](t, exitClean, "upload", "--dev", dev, name, writeStudy(t, patient, 2))
	token, evidence := string(up.Documents[0].Patient), ""
	for _, d := range up.Documents { // the study comes with a report
		if strings.HasSuffix(d.Path, ".pdf") {
			evidence = string(d.ID)
		}
	}
	abroad := func() (n int) {
		for _, class := range []string{"objects", "records", "wraps"} {
			err := filepath.WalkDir(filepath.Join(dev, "regions", "sg-1", class), func(_ string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					n++
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	wait := func(what string, holds func() bool) {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(100 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("did not become so: %s", what)
			}
		}
	}
	search := []string{"studies", "--dev", dev, "--as", "researcher", "--json"}

	command(t, exitRefused, "consent", "give", "--dev", dev, token, "HRESCH")
	command(t, exitRefused, "consent", "give", "--dev", dev, token, "HRESCH", "--evidence", strings.Repeat("0", 32))
	command(t, exitRefused, "consent", "give", "--dev", dev, "--as", "clinician", token, "HRESCH", "--evidence", evidence)
	command(t, exitUsage, "consent", "give", "--dev", dev, "nobody", "HRESCH")
	command(t, exitUsage, "consent", "give", "--dev", dev, token, "HRESCH", "--until", "tomorrow")
	type said struct {
		ID, Decision, Said, Purpose, Country string
		Reading                              bool
	}
	research := asked[said](t, exitClean, "consent", "give", "--dev", dev, token, "HRESCH", "--evidence", evidence)
	if !strings.Contains(command(t, exitClean, search...), "2.25.") {
		t.Error("a researcher does not find the study of a patient who consents")
	}
	asked[withdrawnConsent](t, exitClean, "consent", "withdraw", "--dev", dev, token, research.ID)
	if strings.Contains(command(t, exitClean, search...), "2.25.") {
		t.Error("a researcher finds the study of a patient who has withdrawn")
	}
	there := asked[said](t, exitClean, "consent", "give", "--dev", dev, token, "TREAT", "--country", "SG", "--reading", "--evidence", evidence)
	wait("everything abroad", func() bool { return abroad() >= 5 })
	asked[withdrawnConsent](t, exitClean, "consent", "withdraw", "--dev", dev, token, there.ID)
	wait("nothing abroad", func() bool { return abroad() == 0 })
	command(t, exitClean, "verify", "--dev", dev, "--level", "list")
	asked[said](t, exitClean, "consent", "restrict", "--dev", dev, token, "TREAT")
	command(t, exitRefused, "consent", "withdraw", "--dev", dev, token, there.ID)

	list := asked[struct{ Consents []said }](t, exitClean, "consent", "list", "--dev", dev, token).Consents
	want := []said{
		{Decision: "withdrawn", Said: "permit", Purpose: "HRESCH"},
		{Decision: "withdrawn", Said: "permit", Purpose: "TREAT", Country: "SG", Reading: true},
		{Decision: "restrict", Purpose: "TREAT"},
	}
	for i := range list {
		list[i].ID = ""
	}
	if !slices.Equal(list, want) {
		t.Errorf("consent list = %+v; want %+v", list, want)
	}
}
