package fhir_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
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

func TestConsentGoesInAndOut(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	gin.SetMode(gin.TestMode)
	engine := gin.New()
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	fhir.Register(engine.Group("/fhir", func(c *gin.Context) {
		answer.SetActor(c, vaulttest.Actor(record.Role(c.GetHeader("As"))))
	}), fhir.Config{Vault: h.Vault})
	ask := func(role record.Role, method, path, body string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/fhir/"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("As", string(role))
		resp, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(data)
	}
	p := imagingtest.NewPatient(7)
	r, err := h.Put(t.Context(), vaulttest.Actor(record.RoleRadiology), vault.Upload{Body: bytes.NewReader(imagingtest.Report(p)), PatientID: p.ID, Title: "consent"})
	if err != nil {
		t.Fatal(err)
	}
	resource := strings.NewReplacer("TOKEN", string(r.Patient), "EVIDENCE", string(r.ID)).Replace(`{
		"resourceType": "Consent", "status": "active",
		"scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
		"category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
		"patient": {"type": "Patient", "identifier": {"system": "urn:medvault:patient-token", "value": "TOKEN"}},
		"sourceReference": {"identifier": {"system": "urn:medvault:object", "value": "EVIDENCE"}},
		"provision": {"type": "permit", "extension": [{"url": "urn:medvault:country", "valueCode": "SG"}, {"url": "urn:medvault:reading", "valueBoolean": true}],
			"actor": [{"role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
				"reference": {"identifier": {"system": "urn:medvault:institution", "value": "Clinic"}}}],
			"purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}]}}`)
	for name, change := range map[string][2]string{
		"a nested provision":      {`"type": "permit"`, `"type": "permit", "provision": [{"type": "deny"}]`},
		"another extension":       {"urn:medvault:country", "urn:example:county"},
		"another code system":     {"v3-ActReason", "v3-Other"},
		"withdrawn already":       {`"active"`, `"inactive"`},
		"another type":            {`"permit"`, `"perhaps"`},
		"no patient":              {"urn:medvault:patient-token", "urn:example:mrn"},
		"evidence somewhere else": {"urn:medvault:object", "urn:example:file"},
		"no evidence of theirs":   {string(r.ID), strings.Repeat("0", 32)},
		"a recipient by name":     {"urn:medvault:institution", "urn:example:name"},
	} {
		if status, body := ask(record.RoleDPO, "POST", "Consent", strings.Replace(resource, change[0], change[1], 1)); status != http.StatusBadRequest {
			t.Errorf("POST with %s = %d %s; want 400", name, status, body)
		}
	}
	if status, _ := ask(record.RoleRadiology, "POST", "Consent", resource); status != http.StatusForbidden && status != http.StatusNotFound {
		t.Errorf("POST as radiology = %d; want refused", status)
	}
	status, made := ask(record.RoleDPO, "POST", "Consent", resource)
	if status != http.StatusCreated {
		t.Fatalf("POST = %d %s; want 201", status, made)
	}
	list, err := h.ListConsents(t.Context(), vaulttest.Actor(record.RoleDPO), r.Patient)
	if err != nil || len(list) != 1 || list[0].Country != "SG" || !list[0].Reading || list[0].Recipient != "Clinic" ||
		list[0].Purpose != record.PurposeTreat || list[0].Evidence != r.ID || list[0].Decision != "permit" {
		t.Fatalf("ListConsents = %+v, %v; want what was sent", list, err)
	}
	if _, err := h.AddConsent(t.Context(), vaulttest.Actor(record.RoleDPO), r.Patient, vault.NewConsent{Purpose: "*", Decision: "restrict"}); err != nil {
		t.Fatal(err)
	}
	if err := h.WithdrawConsent(t.Context(), vaulttest.Actor(record.RoleDPO), r.Patient, list[0].ID); err != nil {
		t.Fatal(err)
	}
	status, found := ask(record.RoleDPO, "GET", "Consent?patient="+string(r.Patient), "")
	var bundle struct {
		Entry []struct {
			Resource struct {
				ResourceType, Status string
				Provision            struct {
					Type      string
					Extension []struct{ URL, ValueCode string }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(found), &bundle); err != nil || status != http.StatusOK || len(bundle.Entry) != 2 {
		t.Fatalf("GET = %d %s, %v; want both", status, found, err)
	}
	one, two := bundle.Entry[0].Resource, bundle.Entry[1].Resource
	if one.ResourceType != "Consent" || one.Status != "inactive" || one.Provision.Type != "permit" || two.Status != "active" ||
		two.Provision.Type != "deny" || len(two.Provision.Extension) != 1 || two.Provision.Extension[0].ValueCode != "restrict" {
		t.Errorf("GET = %s; want the first withdrawn, the second a restriction", found)
	}
	for _, path := range []string{"Consent", "Consent?patient=x", "Consent?patient=" + string(r.Patient) + "&status=active"} {
		if status, _ := ask(record.RoleDPO, "GET", path, ""); status != http.StatusBadRequest {
			t.Errorf("GET %s = %d; want 400", path, status)
		}
	}
}
