package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"medvault/imaging/imagingtest"
)

func TestConformanceSpeaksFromTheTables(t *testing.T) {
	s := asked[statement](t, exitClean, "conformance")
	if len(s.Attributes) != 657 || len(s.Outside) < 547 || len(s.Private) != 479 || len(s.Pixels) == 0 || len(s.CharacterSets) < 10 {
		t.Errorf("%d rows, %d outside, %d private, %d rules for pictures, %d character sets; want 657, at least 547, 479, some, at least 10",
			len(s.Attributes), len(s.Outside), len(s.Private), len(s.Pixels), len(s.CharacterSets))
	}
	done := make(map[string]string)
	for _, a := range s.Attributes {
		done[a.Tag] = a.Action
	}
	for tag, want := range map[string]string{"0008,0018": "map UID", "0008,0020": "shift", "0008,1030": "remove", "0032,4000": "remove"} {
		if done[tag] != want {
			t.Errorf("(%s): %q; want %q", tag, done[tag], want)
		}
	}
	var services []string
	for _, one := range s.Services {
		services = append(services, one.Name)
	}
	if want := []string{"Capabilities", "QIDO-RS", "STOW-RS", "WADO-RS"}; !slices.Equal(services, want) {
		t.Errorf("services %v; want %v", services, want)
	}
	for _, uid := range []string{"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.5"} {
		found := false
		for _, syntax := range s.TransferSyntaxes {
			found = found || syntax.UID == uid
		}
		if !found {
			t.Errorf("transfer syntax %s is missing", uid)
		}
	}

	teaching := asked[statement](t, exitClean, "conformance", "--profile", "teaching")
	if teaching.Rules.Profile != "teaching" || teaching.Rules.Digest == s.Rules.Digest || len(teaching.Codes) <= len(s.Codes) {
		t.Errorf("the profile teaching is %+v with %d codes; want its own rules and more codes", teaching.Rules, len(teaching.Codes))
	}
	command(t, exitUsage, "conformance", "--profile", "nobody's")
	command(t, exitUsage, "conformance", "--config", filepath.Join(t.TempDir(), "absent.yaml"))

	example, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rules, config := filepath.Join(dir, "own.rules"), filepath.Join(dir, "medvault.yaml")
	writeFile(t, rules, []byte("# ours\nmask 0,0,64,48 when modality=US model=E9 # the bar\n"))
	own := strings.Replace(string(example), "profile: clinical-trial", "profile: clinical-trial\n  pixelRulesFile: "+rules, 1)
	writeFile(t, config, []byte(own))
	deployed := asked[statement](t, exitClean, "conformance", "--config", config)
	if deployed.Rules.Profile != "clinical-trial" || deployed.Profiles["archive"] == nil || deployed.Pixels[0] != "mask 0,0,64,48 when modality=US model=E9" ||
		len(deployed.Pixels) != len(s.Pixels)+1 {
		t.Errorf("the deployment's statement is of %s, with rules %q first; want its profile and its own rule", deployed.Rules.Profile, deployed.Pixels[0])
	}

	page := command(t, exitClean, "conformance")
	for _, want := range []string{"# DICOM conformance statement", "(c) NEMA", "113107", s.Rules.Digest, "| (0010,0020) | Patient ID |", "GEMS_"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// TestConformanceIsWhatIsAttested: the statement speaks of the rules that a document
// is attested to be treated by.
func TestConformanceIsWhatIsAttested(t *testing.T) {
	dev := newDev(t)
	patient := imagingtest.NewPatient(6)
	up := asked[uploadResult](t, exitClean, "upload", "--dev", dev, "--patient="+patient.Issuer+"^^"+patient.ID, writeStudy(t, patient, 1))
	said := asked[statement](t, exitClean, "conformance")
	for _, d := range up.Documents {
		if d.Study == "" {
			continue // a report
		}
		a := asked[attestPage](t, exitClean, "attest", "--dev", dev, string(d.ID))
		if a.Rules != said.Rules.Digest || a.Edition != said.Rules.Edition || a.Profile != said.Rules.Profile || !slices.Equal(a.Options, said.Rules.Options) {
			t.Errorf("attested by %s %s %v %s; the statement is of %+v", a.Edition, a.Profile, a.Options, a.Rules, said.Rules)
		}
		if a.Residual == "" || a.Pixels == "" || a.Actions["remove"] == 0 || a.Actions["uid"] == 0 {
			t.Errorf("the attestation lacks what was done: %+v", a)
		}
	}
}
