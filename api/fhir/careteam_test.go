package fhir_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/api/fhir"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

func TestCareTeamsAndEncountersStateWhoTreats(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(func(c *gin.Context) { answer.SetActor(c, vaulttest.Actor(record.Role(c.GetHeader("Role")))) })
	fhir.Register(router.Group("/fhir"), fhir.Config{Vault: h.Vault})
	server := httptest.NewServer(router)
	t.Cleanup(server.Close)

	p := imagingtest.NewPatient(5)
	stored, err := h.Put(t.Context(), vaulttest.Actor(record.RoleRadiology), vault.Upload{Body: bytes.NewReader(imagingtest.Report(p)), PatientID: p.ID, Issuer: "TEST"})
	if err != nil {
		t.Fatal(err)
	}
	reads := func() bool {
		_, err := h.Open(t.Context(), vaulttest.Actor(record.RoleClinician), vault.Ref{Document: stored.ID})
		return err == nil
	}
	clinician := vaulttest.Actor(record.RoleClinician).ID
	by := func(id string) string { return `"subject":{"identifier":` + id + `}` }
	known := by(`{"system":"urn:medvault:issuer:TEST","value":"` + p.ID + `"}`)
	member := `"participant":[{"role":[{"coding":[{"code":"attending"}]}],"member":{"reference":"Practitioner/` + clinician + `"}`
	individual := `"participant":[{"type":[{"coding":[{"code":"ATND"}]}],"individual":{"identifier":{"value":"` + clinician + `"}}`
	for _, row := range []struct {
		name, kind string
		role       record.Role
		body       string
		status     int
		treats     bool // afterwards
	}{
		{"a clinician states nothing", "CareTeam", "clinician", `{"resourceType":"CareTeam","status":"active",` + known + `,` + member + `}]}`, 404, false},
		{"not active", "CareTeam", "admin", `{"resourceType":"CareTeam","status":"inactive",` + known + `,` + member + `}]}`, 400, false},
		{"another resource", "CareTeam", "admin", `{"resourceType":"Encounter","status":"active",` + known + `,` + member + `}]}`, 400, false},
		{"nobody", "CareTeam", "admin", `{"resourceType":"CareTeam","status":"active",` + known + `,"participant":[]}`, 400, false},
		{"an organization as a whole", "CareTeam", "admin", `{"resourceType":"CareTeam","status":"active",` + known + `,"participant":[{"member":{"reference":"Organization/test-hospital"}}]}`, 400, false},
		{"a patient of another issuer", "CareTeam", "admin", `{"resourceType":"CareTeam","status":"active",` + by(`{"system":"urn:medvault:issuer:X","value":"`+p.ID+`"}`) + `,` + member + `}]}`, 404, false},
		{"a system that is no issuer", "CareTeam", "admin", `{"resourceType":"CareTeam","status":"active",` + by(`{"system":"http://x","value":"1"}`) + `,` + member + `}]}`, 400, false},
		{"a later time", "CareTeam", "admin", `{"resourceType":"CareTeam","status":"proposed","period":{"start":"2126-01-01T00:00:00Z"},` + known + `,` + member + `}]}`, 201, false},
		{"over", "Encounter", "admin", `{"resourceType":"Encounter","status":"finished",` + known + `,` + individual + `}]}`, 400, false},
		{"ended before now", "Encounter", "admin", `{"resourceType":"Encounter","status":"in-progress","period":{"end":"2020-01-01T00:00:00Z"},` + known + `,` + individual + `}]}`, 400, false},
		{"one of two ends before now", "Encounter", "admin", `{"resourceType":"Encounter","status":"in-progress",` + known + `,` + individual + `},{"individual":{"reference":"Practitioner/other"},"period":{"end":"2020-01-01T00:00:00Z"}}]}`, 400, false},
		{"now, by the institution's issuer", "Encounter", "admin", `{"resourceType":"Encounter","status":"in-progress",` + by(`{"value":"`+p.ID+`"}`) + `,` + individual + `,"period":{"start":"2020-01-01T00:00:00Z"}}]}`, 201, true},
	} {
		req, err := http.NewRequest(http.MethodPost, server.URL+"/fhir/"+row.kind, strings.NewReader(row.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Role", string(row.role))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != row.status || strings.Contains(string(answer), p.ID) {
			t.Errorf("%s: %d %s, %v; want %d without the patient's id", row.name, resp.StatusCode, answer, err, row.status)
		}
		if got := reads(); got != row.treats {
			t.Errorf("%s: the clinician reads: %v; want %v", row.name, got, row.treats)
		}
	}
	team, err := h.ListCare(t.Context(), vaulttest.Actor(record.RoleAdmin), stored.Patient)
	if err != nil || len(team) != 2 || team[0].Role != "ATND" || team[0].Origin != "fhir-encounter" || team[1].Role != "attending" {
		t.Errorf("care team = %+v, %v", team, err)
	}
}

// A coding beside the role says that the treatment cannot go on without somebody: of a
// CareTeam in the role, of an Encounter in the type, and nowhere else.
func TestTheCodingSaysWhoIsEssential(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.Use(func(c *gin.Context) { answer.SetActor(c, vaulttest.Actor(record.RoleAdmin)) })
	fhir.Register(router.Group("/fhir"), fhir.Config{Vault: h.Vault})
	server := httptest.NewServer(router)
	t.Cleanup(server.Close)
	p := imagingtest.NewPatient(6)
	stored, err := h.Put(t.Context(), vaulttest.Actor(record.RoleRadiology), vault.Upload{Body: bytes.NewReader(imagingtest.Report(p)), PatientID: p.ID, Issuer: "TEST"})
	if err != nil {
		t.Fatal(err)
	}
	const essential = `{"system":"urn:medvault:care","code":"essential"}`
	for i, row := range []struct {
		kind, coded string // what of the participant says as what they treat
		role        string
		essential   bool
	}{
		{"CareTeam", `"role":[{"coding":[{"code":"attending"},` + essential + `]}]`, "attending", true},
		{"CareTeam", `"role":[{"coding":[` + essential + `,{"code":"attending"}]}]`, "attending", true},
		{"CareTeam", `"role":[{"coding":[{"code":"nurse"}]},{"coding":[` + essential + `]}]`, "nurse", true},
		{"CareTeam", `"role":[{"coding":[` + essential + `],"text":"physiotherapist"}]`, "physiotherapist", true},
		{"CareTeam", `"role":[{"coding":[{"code":"essential"}]}]`, "essential", false},
		{"CareTeam", `"role":[{"coding":[{"system":"urn:medvault:care","code":"other"},{"code":"nurse"}]}]`, "nurse", false},
		{"CareTeam", `"role":[{"coding":[{"code":"nurse"}]}],"type":[{"coding":[` + essential + `]}]`, "nurse", false},
		{"Encounter", `"type":[{"coding":[{"code":"ATND"},` + essential + `]}]`, "ATND", true},
		{"Encounter", `"type":[{"coding":[{"code":"CON"}]}]`, "CON", false},
		{"Encounter", `"type":[{"coding":[{"code":"CON"}]}],"role":[{"coding":[` + essential + `]}]`, "CON", false},
	} {
		who, status := fmt.Sprintf("clinician-%d", 10+i), "active"
		person := `"member":{"reference":"Practitioner/` + who + `"}`
		if row.kind == "Encounter" {
			person, status = `"individual":{"reference":"Practitioner/`+who+`"}`, "in-progress"
		}
		body := fmt.Sprintf(`{"resourceType":%q,"status":%q,"subject":{"identifier":{"value":%q}},"participant":[{%s,%s}]}`, row.kind, status, p.ID, row.coded, person)
		resp, err := http.Post(server.URL+"/fhir/"+row.kind, "application/fhir+json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			t.Fatalf("%s: %d; want 201", body, resp.StatusCode)
		}
		team, err := h.ListCare(t.Context(), vaulttest.Actor(record.RoleAdmin), stored.Patient)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(team, func(c vault.Care) bool { return c.Clinician == who })
		if at < 0 || team[at].Essential != row.essential || team[at].Role != row.role {
			t.Errorf("%s %s: %+v; want role %s, essential %v", row.kind, row.coded, team, row.role, row.essential)
		}
	}
}
