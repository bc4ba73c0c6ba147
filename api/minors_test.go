package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"medvault/api"
	"medvault/api/identity"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// emergency is a GET for emergency treatment, with its reason unless that is "".
func (h house) emergency(path, token, reason string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Purpose-Of-Use", "ETREAT")
	if reason != "" {
		r.Header.Set("Reason", reason)
	}
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, r)
	return w
}

func TestAChildOverHTTP(t *testing.T) {
	h := newHouse(t, vaulttest.Options{}, nil)
	child := imagingtest.NewPatient(97)
	child.BirthDate = time.Now().AddDate(-9, 0, 0).Format("20060102")
	radiology := vaulttest.Actor(record.RoleRadiology)
	image, err := h.vault.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(imagingtest.CT(child, imagingtest.Options{Study: 1, Series: 1, Instance: 1, Rows: 64, Columns: 64}))})
	if err != nil {
		t.Fatal(err)
	}
	paper, err := h.vault.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(imagingtest.Report(child)), PatientID: child.ID, Issuer: child.Issuer})
	if err != nil {
		t.Fatal(err)
	}
	patient, document := "/api/v1/patients/"+string(image.Patient), "/api/v1/documents/"+string(image.ID)
	want := func(w *httptest.ResponseRecorder, status int, code string) {
		t.Helper()
		if w.Code != status || !strings.Contains(w.Body.String(), code) {
			t.Errorf("answer = %d %s; want %d %s", w.Code, w.Body, status, code)
		}
	}
	studies := func(role record.Role, n int) {
		t.Helper()
		w := h.ask("GET", "/dicomweb/studies", h.tokens[role], "")
		var found []any
		if w.Code == 200 {
			if err := json.Unmarshal(w.Body.Bytes(), &found); err != nil {
				t.Fatal(err)
			}
		}
		if len(found) != n || strings.Contains(w.Header().Get("Warning"), "results") {
			t.Errorf("%s finds %d, %q; want %d and no word of more", role, len(found), w.Header().Get("Warning"), n)
		}
	}
	dpo, guardian, clinician := h.tokens[record.RoleDPO], h.tokens[record.RoleGuardian], h.tokens[record.RoleClinician]

	want(h.ask("POST", patient+"/care-team", dpo, `{"clinician":"clinician-1","essential":true}`), 201, "")
	for _, role := range record.Roles() {
		studies(role, 0)
	}
	want(h.ask("GET", document, clinician, ""), 403, "guardian-consent-missing")
	want(h.ask("GET", "/api/v1/cases", dpo, ""), 200, string(image.Patient))
	want(h.ask("POST", patient+"/guardians", dpo, `{"subject":"guardian-1","relation":"mother"}`), 400, "evidence-required")
	want(h.ask("POST", patient+"/guardians", guardian, fmt.Sprintf(`{"subject":"somebody","relation":"mother","evidence":%q}`, paper.ID)), 404, "")
	want(h.ask("POST", patient+"/guardians", dpo, fmt.Sprintf(`{"subject":"guardian-1","relation":"mother","evidence":%q}`, paper.ID)), 201, "mother")
	want(h.ask("GET", document, guardian, ""), 403, "guardian-consent-missing")
	want(h.ask("POST", patient+"/consents", guardian, fmt.Sprintf(`{"purpose":"TREAT","evidence":%q}`, paper.ID)), 201, `"guardian":"guardian-1"`)
	// The next request is open, to these alone.
	want(h.ask("GET", document, clinician, ""), 200, "")
	want(h.ask("GET", document, guardian, ""), 200, "")
	want(h.ask("GET", document, h.tokens[record.RoleQuality], ""), 403, "essential-staff-only")
	for role, n := range map[record.Role]int{record.RoleClinician: 1, record.RoleGuardian: 1, record.RoleQuality: 0, record.RoleResearcher: 0, record.RolePatient: 0} {
		studies(role, n)
	}
	want(h.ask("GET", patient+"/access-log", guardian, ""), 200, "guardian-1")
	want(h.ask("GET", "/api/v1/cases", dpo, ""), 200, `"cases":[]`)
}

func TestBreakingTheGlassOverHTTP(t *testing.T) {
	tokens, people := make(map[record.Role]string), make(map[string]record.Actor)
	for _, role := range record.Roles() { // whose tokens name no purpose
		a := vaulttest.Actor(role)
		a.Purpose = ""
		tokens[role] = identity.NewToken()
		people[tokens[role]] = a
	}
	auth, err := identity.NewStatic(people)
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, vaulttest.Options{}, func(c *api.Config) { c.Auth = auth })
	h.tokens = tokens
	there, absent := h.stored(t)
	clinician, dpo := h.tokens[record.RoleClinician], h.tokens[record.RoleDPO]
	document := "/api/v1/documents/" + there["id"]
	const why = "unconscious%EF%BC%8C allergies unknown" // percent-encoded UTF-8
	for _, row := range []struct {
		name, path, token, reason string
		status                    int
	}{
		{"without a reason", document, clinician, "", 404},
		{"a reason that is none", document, clinician, "urgent", 400},
		{"nothing there", "/api/v1/documents/" + absent["id"], clinician, why, 404},
		{"a role that never treats", document, h.tokens[record.RoleRadiology], why, 404},
		{"with a reason", document, clinician, why, 200},
		{"as long as it is open", document, clinician, "", 200},
	} {
		if w := h.emergency(row.path, row.token, row.reason); w.Code != row.status {
			t.Errorf("%s = %d %s; want %d", row.name, w.Code, w.Body, row.status)
		}
	}
	w := h.ask("GET", "/api/v1/breakglass?waiting=true", dpo, "")
	var list struct{ Breakglass []vault.Breakglass }
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || len(list.Breakglass) != 1 || strings.Contains(w.Body.String(), "allergies") {
		t.Fatalf("list = %d %s; want one, without its reason", w.Code, w.Body)
	}
	one := "/api/v1/breakglass/" + string(list.Breakglass[0].ID)
	if w := h.ask("GET", one, dpo, ""); w.Code != 200 || !strings.Contains(w.Body.String(), "allergies") {
		t.Errorf("show = %d %s; want the reason", w.Code, w.Body)
	}
	if w := h.ask("GET", one, clinician, ""); w.Code != 403 {
		t.Errorf("show to a clinician = %d; want 403", w.Code)
	}
	if w := h.ask("POST", one+"/review", dpo, `{"outcome":"justified","note":"seen"}`); w.Code != 204 {
		t.Errorf("review = %d %s; want 204", w.Code, w.Body)
	}
	if w := h.ask("POST", one+"/review", dpo, `{"outcome":"justified"}`); w.Code != 409 {
		t.Errorf("review again = %d; want 409", w.Code)
	}
}
