package fhir_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/api/fhir"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// newHouse is a whole vault behind the face; the header As says who asks.
func newHouse(t *testing.T) (h *vaulttest.House, get func(role record.Role, path string) (int, map[string]any)) {
	h = vaulttest.New(t, vaulttest.Options{})
	gin.SetMode(gin.TestMode)
	engine := gin.New()
	server := httptest.NewServer(engine)
	t.Cleanup(server.Close)
	fhir.Register(engine.Group("/fhir", func(c *gin.Context) {
		answer.SetActor(c, vaulttest.Actor(record.Role(c.GetHeader("As"))))
	}), fhir.Config{Vault: h.Vault})
	return h, func(role record.Role, path string) (int, map[string]any) {
		t.Helper()
		if !strings.HasPrefix(path, "/") {
			path = "/fhir/" + path
		}
		request, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+path, nil)
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
		var body map[string]any
		if err := json.Unmarshal(data, &body); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if resp.StatusCode == 200 && resp.Header.Get("Content-Type") != "application/fhir+json" {
			t.Errorf("Content-Type %q", resp.Header.Get("Content-Type"))
		}
		return resp.StatusCode, body
	}
}

// at finds a value by a path of names and numbers.
func at(t *testing.T, v any, path string) any {
	t.Helper()
	for name := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func TestTheAccessLogAsAuditEvents(t *testing.T) {
	h, get := newHouse(t)
	p := imagingtest.NewPatient(3)
	r, err := h.Put(t.Context(), vaulttest.Actor(record.RoleRadiology), vault.Upload{Body: bytes.NewReader(imagingtest.CT(p, imagingtest.Options{Study: 1, Series: 1, Instance: 1, Rows: 16, Columns: 16}))})
	if err != nil {
		t.Fatal(err)
	}
	dpo, clinician := vaulttest.Actor(record.RoleDPO), vaulttest.Actor(record.RoleClinician)
	if _, err := h.AddCare(t.Context(), dpo, r.Patient, clinician.ID, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Open(t.Context(), clinician, vault.Ref{Document: r.ID}); err != nil {
		t.Fatal(err)
	}
	status, b := get(record.RoleAuditor, "AuditEvent?_count=2&patient="+string(r.Patient))
	if status != 200 || b["resourceType"] != "Bundle" || b["type"] != "searchset" {
		t.Fatalf("%d %v", status, b)
	}
	next, _ := at(t, b, "link.1.url").(string)
	status, rest := get(record.RoleAuditor, next)
	if status != 200 {
		t.Fatalf("next page %q: %d %v", next, status, rest)
	}
	entries := append(b["entry"].([]any), rest["entry"].([]any)...)
	events := make(map[string]any) // by the vault's action
	for _, e := range entries {
		event := at(t, e, "resource")
		events[at(t, event, "subtype.1.code").(string)] = event
		checkAuditEvent(t, event)
	}
	for action, want := range map[string]map[string]any{
		"document.read": {"subtype.0.code": "read", "action": "R", "meta.profile.0": "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead",
			"agent.0.type.coding.0.code": "110152", "agent.1.type.coding.0.code": "110153", "agent.2.type.coding.0.code": "IRCP", "agent.2.who.identifier.value": clinician.ID,
			"agent.2.purposeOfUse.0.coding.0.code": "TREAT", "entity.0.what.identifier.value": string(r.Patient), "entity.1.what.identifier.value": string(r.ID), "outcome": "0"},
		"document.store": {"subtype.0.code": "create", "action": "C", "meta.profile.0": "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientCreate",
			"agent.0.type.coding.0.code": "110153", "agent.1.type.coding.0.code": "110152", "agent.2.type.coding.0.code": "INF"},
		"care.add": {"action": "C", "meta": nil},
	} {
		for path, value := range want {
			if got := at(t, events[action], path); got != value {
				t.Errorf("%s: %s = %v; want %v", action, path, got, value)
			}
		}
	}
	text, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{p.ID, p.Name} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("the bundle holds %q", secret)
		}
	}

	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	if _, b := get(record.RoleDPO, "AuditEvent?date=ge"+later+"&patient="+string(r.Patient)); b["entry"] != nil {
		t.Errorf("events of the future: %v", b["entry"])
	}
	if _, b := get(record.RoleDPO, "AuditEvent?date=lt"+later+"&patient=Patient/"+string(r.Patient)); len(b["entry"].([]any)) < 3 {
		t.Errorf("%v; want at least three", b["entry"])
	}
	for path, want := range map[string]int{
		"AuditEvent":           400,
		"AuditEvent?patient=x": 400,
		"AuditEvent?agent=x&patient=" + string(r.Patient):   400,
		"AuditEvent?date=2026&patient=" + string(r.Patient): 400,
		"AuditEvent?_count=0&patient=" + string(r.Patient):  400,
		"AuditEvent?patient=p" + strings.Repeat("a", 26):    404,
	} {
		if status, b := get(record.RoleDPO, path); status != want {
			t.Errorf("%s = %d %v; want %d", path, status, b, want)
		}
	}
	if status, _ := get(record.RoleClinician, "AuditEvent?patient="+string(r.Patient)); status != 403 {
		t.Errorf("a clinician: %d; want 403", status)
	}
	if status, _ := get(record.RolePatient, "AuditEvent?patient="+string(r.Patient)); status != 404 {
		t.Errorf("a patient whose token is not known: %d; want 404", status)
	}
}

// checkAuditEvent checks what R4 requires of AuditEvent, and BALP of those that claim a
// profile of it.
func checkAuditEvent(t *testing.T, event any) {
	t.Helper()
	for _, path := range []string{"id", "type.system", "type.code", "recorded", "agent.0.requestor", "source.observer.identifier.value", "text.status", "text.div", "extension.0.extension.4.valueString"} {
		if at(t, event, path) == nil {
			t.Errorf("AuditEvent %v without %s", at(t, event, "id"), path)
		}
	}
	if !slices.Contains([]any{"C", "R", "U", "D", "E"}, at(t, event, "action")) || !slices.Contains([]any{"0", "4", "8", "12"}, at(t, event, "outcome")) {
		t.Errorf("action %v, outcome %v", at(t, event, "action"), at(t, event, "outcome"))
	}
	if _, err := time.Parse(time.RFC3339, at(t, event, "recorded").(string)); err != nil {
		t.Error(err)
	}
	if at(t, event, "meta.profile.0") == nil {
		return
	}
	for i := range 2 { // client and server
		if at(t, event, fmt.Sprintf("agent.%d.network", i)) == nil || at(t, event, fmt.Sprintf("agent.%d.who", i)) == nil {
			t.Errorf("agent %d without who or network", i)
		}
	}
	if at(t, event, "agent.2.requestor") != true || at(t, event, "agent.2.network") != nil || at(t, event, "entity.1.role.code") != "4" || at(t, event, "entity.0.role.code") != "1" ||
		at(t, event, "entity.0.what.type") != "Patient" || at(t, event, "outcome") != "0" {
		t.Errorf("not as BALP has it: %v", event)
	}
}
