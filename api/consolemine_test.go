package api_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

func TestPromise9_3TheConsoleShowsGuardiansTheChildsDataUntilTheBirthday(t *testing.T) {
	t.Parallel()
	g := newConsoles(t)
	radiology, dpo := vaulttest.Actor(record.RoleRadiology), vaulttest.Actor(record.RoleDPO)
	beijing := time.FixedZone("Beijing", 8*3600)
	child := imagingtest.NewPatient(511)
	child.BirthDate = time.Now().In(beijing).AddDate(-18, 0, 2).Format("20060102") // of age the day after tomorrow
	image, err := g.vault.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(imagingtest.CT(child, imagingtest.Options{Study: 1, Series: 1, Instance: 1, Rows: 32, Columns: 32}))})
	if err != nil {
		t.Fatal(err)
	}
	paper, err := g.vault.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(imagingtest.Report(child)), PatientID: child.ID, Issuer: child.Issuer})
	if err != nil {
		t.Fatal(err)
	}
	for _, acting := range []vault.NewGuardian{{Subject: "guardian-1", Relation: "mother", Evidence: paper.ID}, {Subject: "patient-1", Relation: "self"}} {
		if _, err := g.vault.AddGuardian(t.Context(), dpo, image.Patient, acting); err != nil {
			t.Fatal(err)
		}
	}
	mother := newBrowser(t)
	mother.login(g.one.URL, g.tokens[record.RoleGuardian])
	token := string(image.Patient)
	shows := func(b browser, what string, words ...string) page {
		t.Helper()
		p := b.get(g.one.URL + "/console/mine")
		for _, word := range words {
			if p.StatusCode != http.StatusOK || !strings.Contains(p.text, word) {
				t.Errorf("%s: %d, lacks %q:\n%s", what, p.StatusCode, word, p.text)
			}
		}
		return p
	}
	send := func(b browser, path string, form url.Values) {
		t.Helper()
		form.Set("csrf", csrfOf(t, b.get(g.one.URL+"/console/mine")))
		form.Set("patient", token)
		if p := b.do(http.MethodPost, g.one.URL+path, form); p.StatusCode != http.StatusSeeOther {
			t.Errorf("POST %s: %d %s", path, p.StatusCode, p.text)
		}
	}
	// In quarantine there is the consent to give, and nothing to see.
	if p := shows(mother, "before the consent", token, "As mother of"); strings.Contains(p.text, string(image.ID)) {
		t.Error("a document in quarantine is listed")
	}
	send(mother, "/console/mine/consents", url.Values{"purpose": {"TREAT"}, "decision": {"permit"}, "evidence": {string(paper.ID)}})
	shows(mother, "with consent", string(image.ID), "agreed", "Fetch")
	if p := mother.get(g.one.URL + "/api/v1/documents/" + string(image.ID)); p.StatusCode != http.StatusOK {
		t.Errorf("fetching: %d %s", p.StatusCode, p.text)
	}
	send(mother, "/console/mine/cases", url.Values{"type": {"correction"}, "text": {"the address is wrong"}})
	shows(mother, "with a request", "Correction", "open")
	send(mother, "/console/mine/consents", url.Values{"purpose": {"HQUALIMP"}, "decision": {"refuse"}})
	log := url.Values{"csrf": {csrfOf(t, mother.get(g.one.URL+"/console/mine"))}, "patient": {token}}
	if p := mother.do(http.MethodPost, g.one.URL+"/console/access-log", log); p.StatusCode != http.StatusOK || !strings.Contains(p.text, "guardian-1") {
		t.Errorf("the access log: %d %s", p.StatusCode, p.text)
	}

	g.wait(72 * time.Hour)
	mother.login(g.one.URL, g.tokens[record.RoleGuardian])
	if p := shows(mother, "after the birthday", "Nothing to show"); strings.Contains(p.text, token) {
		t.Error("the guardian still sees who has come of age")
	}
	own := newBrowser(t)
	own.login(g.one.URL, g.tokens[record.RolePatient])
	shows(own, "the patient", token, string(image.ID), "Myself", "Correction")
}
