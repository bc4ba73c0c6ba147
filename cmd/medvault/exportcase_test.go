package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
)

// TestOfficersGiveByCaseOrDisclosure: the officer gives a patient's originals away by a case
// of that patient in which it was made sure who asks, and a third party what an approved
// disclosure names.
func TestOfficersGiveByCaseOrDisclosure(t *testing.T) {
	dev := newDev(t)
	stored := func(n uint64) uploadResult {
		p := imagingtest.NewPatient(n)
		return asked[uploadResult](t, exitClean, "upload", "--dev", dev, "--patient="+p.Issuer+"^^"+p.ID, writeStudy(t, p, 2))
	}
	mine, other := stored(31), stored(32)
	token, stranger := string(mine.Documents[0].Patient), string(other.Documents[0].Patient)
	open := func(kind, patient string, more ...string) string {
		c := asked[vault.Case](t, exitClean, append([]string{"cases", "open", "--dev", dev, kind, "--patient", patient}, more...)...)
		return string(c.ID)
	}
	verified := []string{"--verified", "id-document"}
	access, portability := open("access", token, verified...), open("portability", token, verified...)
	refused := open("access", token, verified...)
	command(t, exitClean, "cases", "decide", "--dev", dev, refused, "refused", "--basis", "PIPL-45")

	out := t.TempDir()
	export := func(code int, name string, more ...string) string {
		return command(t, code, append([]string{"export", "--dev", dev, "--patient", token, "--insecure-plain", "-o", filepath.Join(out, name)}, more...)...)
	}
	for name, by := range map[string]string{"unverified": open("access", token), "of another": open("access", stranger, verified...), "refused": refused,
		"of another kind": open("correction", token, verified...), "unknown": string(record.NewObjectID())} {
		export(exitRefused, "refused.zip", "--case", by)
		if files, err := filepath.Glob(filepath.Join(out, "*")); err != nil || len(files) != 0 {
			t.Fatalf("by a case that is %s: %v lies there, %v", name, files, err)
		}
	}
	export(exitRefused, "refused.zip", "--as", "dpo") // on no ground at all
	for _, role := range []string{"admin", "clinician", "patient", "auditor"} {
		export(exitRefused, "refused.zip", "--case", access, "--as", role)
	}
	file := filepath.Join(out, "theirs.zip")
	export(exitClean, "theirs.zip", "--case", access)
	command(t, exitClean, "export", "verify", file)
	files := unpacked(t, file)
	for path, data := range files {
		if strings.Contains(string(data), stranger) {
			t.Errorf("%s names another patient", path)
		}
	}

	to, answered := pacs(t)
	push := []string{"push", "--dev", dev, "--patient", token, "--recipient", "Hospital B", "--to", to}
	command(t, exitRefused, append(push, "--case", access)...) // that is for the patient
	all := asked[vault.PushReceipt](t, exitClean, append(push, "--case", portability)...)
	if all.Stored != 2 {
		t.Fatalf("push by a case = %+v; want two stored", all)
	}
	image := all.Instances[0].Object
	d := asked[vault.Disclosure](t, exitClean, "disclose", "propose", "--dev", dev, token, "Hospital B", "--basis", "treating-hospital", "--reference", "R-1",
		"--document", string(image), "--as", "admin")
	push = append(push, "--disclosure", string(d.ID))
	command(t, exitRefused, push...)
	command(t, exitClean, "disclose", "approve", "--dev", dev, string(d.ID), "--as", "dpo")
	command(t, exitRefused, "push", "--dev", dev, "--patient", token, "--recipient", "Hospital C", "--to", to, "--disclosure", string(d.ID))
	command(t, exitRefused, "push", "--dev", dev, "--patient", stranger, "--recipient", "Hospital B", "--to", to, "--disclosure", string(d.ID))
	if r := asked[vault.PushReceipt](t, exitClean, push...); r.Stored != 1 || r.Instances[0].Object != image {
		t.Errorf("push by a disclosure = %+v; want the one document that it names", r)
	}
	if n := len(answered()); n != 2 {
		t.Errorf("%d instances arrived; want two", n)
	}

	asPatient(t, dev, token)
	log := command(t, exitClean, "audit", "access-log", "--dev", dev, "--as", "patient", "--patient", token, "--json")
	for _, word := range []string{"case " + access, "case " + portability, "treating-hospital"} {
		if !strings.Contains(log, word) {
			t.Errorf("the patient's access log does not name %s", word)
		}
	}
	// A case that is over gives nothing any more, nor does the key of its package.
	command(t, exitClean, "cases", "decide", "--dev", dev, access, "refused", "--basis", "PIPL-45")
	export(exitRefused, "late.zip", "--case", access)
}

// TestPushGoesNowhereElse: what another institution's server points to is not followed: no
// byte and no token goes there, and what answers there is no receipt.
func TestPushGoesNowhereElse(t *testing.T) {
	var followed atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	t.Cleanup(elsewhere.Close)
	dev := newDev(t)
	p := imagingtest.NewPatient(33)
	up := asked[uploadResult](t, exitClean, "upload", "--dev", dev, "--patient="+p.Issuer+"^^"+p.ID, writeStudy(t, p, 1))
	asPatient(t, dev, string(up.Documents[0].Patient))
	for _, status := range []int{301, 302, 303, 307, 308} {
		points := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/dicomweb/studies", status)
		}))
		t.Cleanup(points.Close)
		r := asked[vault.PushReceipt](t, exitFindings, "push", "--dev", dev, "--patient", string(up.Documents[0].Patient), "--recipient", "Hospital B", "--to", points.URL+"/dicomweb")
		if r.Stored != 0 || r.Failed != 1 || r.Instances[0].Error != "refused" {
			t.Errorf("%d: %+v; want it refused", status, r)
		}
	}
	if n := followed.Load(); n != 0 {
		t.Errorf("%d requests went elsewhere", n)
	}
}
