package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"medvault/imaging/imagingtest"
)

func TestAttestProvesWithAndWithoutTheVault(t *testing.T) {
	dev := newDev(t)
	patient := imagingtest.NewPatient(2)
	dir := writeStudy(t, patient, 2)
	up := asked[uploadResult](t, exitClean, "upload", "--dev", dev, "--patient="+patient.Issuer+"^^"+patient.ID, dir)
	var ids []string
	for _, d := range up.Documents {
		if d.Study != "" {
			ids = append(ids, string(d.ID))
		}
	}
	proof := filepath.Join(t.TempDir(), "proof.json")
	original := filepath.Join(dir, "ct", "slicea")
	first := asked[attestPage](t, exitClean, "attest", "--dev", dev, ids[0], "-o", proof)
	if h, err := hashFile(original); err != nil || *first.Original != h {
		if h, err = hashFile(filepath.Join(dir, "ct", "sliceb")); err != nil || *first.Original != h {
			t.Fatalf("attested original %+v, %v; want one of the files sent", first.Original, err)
		}
		original = filepath.Join(dir, "ct", "sliceb")
	}
	if !first.Verified || first.Log.Trusted || first.Log.Leaves == 0 {
		t.Errorf("attest = %+v; want it verified, by the vault's own key", first)
	}

	// What quality reads is the view that is attested.
	view := filepath.Join(t.TempDir(), "view.dcm")
	command(t, exitClean, "fetch", "--dev", dev, "--as", "quality", ids[0], "-o", filepath.Dir(view))
	view = filepath.Join(filepath.Dir(view), ids[0]+".dcm")

	offline := []string{"attest", "--offline", proof, "--key", first.Log.Key}
	again := asked[attestPage](t, exitClean, append(offline, ids[0], "--original", original, "--view", view)...)
	if !again.Verified || !again.Log.Trusted || len(again.Files) != 2 {
		t.Errorf("attest --offline = %+v; want it verified and both files compared", again)
	}
	page := command(t, exitClean, offline...)
	if hits := imagingtest.Leaks([]byte(page), patient.Identifiers()); len(hits) > 0 || !strings.Contains(page, first.View.SHA256) {
		t.Errorf("the page shows %d identifiers, or not the hash of the view:\n%s", len(hits), page)
	}
	command(t, exitFindings, append(offline, "--original", view)...)
	command(t, exitFindings, append(offline, "--view", original)...)
	command(t, exitFindings, append(offline, ids[1])...)
	command(t, exitUsage, "attest", "--offline", proof)
	command(t, exitUsage, "attest")
	command(t, exitUsage, "attest", "../x")
	command(t, exitFindings, "attest", "--offline", original, "--key", first.Log.Key)

	data, err := os.ReadFile(proof)
	if err != nil {
		t.Fatal(err)
	}
	forged := filepath.Join(t.TempDir(), "forged.json")
	for _, change := range [][2]string{{`\"generation\":1`, `\"generation\":2`}, {ids[0], ids[1]}} {
		changed := strings.ReplaceAll(string(data), change[0], change[1])
		if changed == string(data) {
			t.Fatalf("%s is not in the proof", change[0])
		}
		writeFile(t, forged, []byte(changed))
		command(t, exitFindings, "attest", "--offline", forged, "--key", first.Log.Key)
	}

	// For quality the original stays behind its commitment.
	if q := asked[attestPage](t, exitClean, "attest", "--dev", dev, "--as", "quality", ids[0]); q.Original != nil || q.View.SHA256 != first.View.SHA256 {
		t.Errorf("attest for quality = %+v; want the view's hash alone", q)
	}
	command(t, exitFindings, "attest", "--dev", dev, "--as", "quality", ids[0], "--original", original)
	command(t, exitRefused, "attest", "--dev", dev, "--as", "operator", ids[0])
	command(t, exitRefused, "attest", "--dev", dev, strings.Repeat("0", 32))
}
