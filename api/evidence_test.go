package api_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"medvault/vault"
	"medvault/vault/record"
)

// The evidence of a quarter with planted findings names them, verifies offline, and each
// line says what produced it.
func TestPromise3_6EvidenceOfAQuarter(t *testing.T) {
	t.Parallel()
	w := newWard(t, 1)
	w.clock.Store(time.Date(2026, 11, 20, 2, 0, 0, 0, time.UTC).UnixNano())
	h := w.gateways[0]
	w.must(0, w.dpo, "POST", "/api/v1/findings", `{"title":"weak cipher on the old gateway","severity":"high","owner":"admin-1","due":"2026-11-01T00:00:00Z"}`)
	closed := w.must(0, w.dpo, "POST", "/api/v1/findings", `{"title":"open port","severity":"low","owner":"admin-1","due":"2026-12-01T00:00:00Z"}`)
	if got := h.ask("POST", "/api/v1/findings/"+closed["id"].(string)+"/close", w.dpo.token, `{}`); got.Code != 400 {
		t.Errorf("a finding was closed without proof: %d", got.Code)
	}
	w.must(0, w.dpo, "POST", "/api/v1/findings/"+closed["id"].(string)+"/close", `{"proof":"retest 7"}`)
	if got := h.ask("GET", "/api/v1/findings", w.dpo.token, ""); !strings.Contains(got.Body.String(), `"overdue":true`) || strings.Contains(got.Body.String(), "open port") {
		t.Errorf("open findings: %s", got.Body)
	}
	w.must(0, w.dpo, "POST", "/api/v1/incidents", `{"what":"a drill of the quarter","drill":true}`)
	review := w.reviewAccess(t)

	got := h.ask("GET", "/api/v1/evidence?quarter=2026Q4", w.dpo.token, "")
	if got.Code != 200 {
		t.Fatalf("evidence: %d %s", got.Code, got.Body)
	}
	r, err := vault.CheckEvidence(got.Body.Bytes(), w.logKey())
	if err != nil {
		t.Fatalf("evidence does not verify: %v", err)
	}
	for _, s := range r.Sections {
		if len(s.Lines) == 0 && s.Name != "certifications" {
			t.Errorf("section %s is empty", s.Name)
		}
		for _, l := range s.Lines {
			if l.Source == "" {
				t.Errorf("%s: %q does not say what produced it", s.Name, l.What)
			}
		}
	}
	var page, pdf bytes.Buffer
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if err := r.WritePDF(&pdf); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{"weak cipher", "overdue", "retest 7", "Drill", "access-review show " + review} {
		if !strings.Contains(page.String(), says) {
			t.Errorf("the evidence lacks %q", says)
		}
	}
	if !bytes.HasPrefix(pdf.Bytes(), []byte("%PDF-1.4")) || !strings.Contains(pdf.String(), "weak cipher") {
		t.Error("the PDF lacks what the page has")
	}
	forged := bytes.Replace(got.Body.Bytes(), []byte("retest 7"), []byte("retest 8"), 1)
	if _, err := vault.CheckEvidence(forged, w.logKey()); err == nil {
		t.Error("a changed report verifies")
	}
	if got := h.ask("GET", "/api/v1/evidence?quarter=2027Q1", w.dpo.token, ""); got.Code != 400 {
		t.Errorf("a quarter to come: %d", got.Code)
	}
}

// logKey is the verifier key of the log, as the vault tells it.
func (w *ward) logKey() string {
	return w.must(0, w.dpo, "GET", "/api/v1/evidence?quarter=2026Q4", "")["logKey"].(string)
}

// reviewAccess has two persons decide and sign who has access; it returns the review's id.
func (w *ward) reviewAccess(t *testing.T) string {
	t.Helper()
	h := w.gateways[0]
	begun := w.must(0, w.dpo, "POST", "/api/v1/access-reviews", `{}`)
	id := begun["id"].(string)
	at := "/api/v1/access-reviews/" + id
	if got := h.ask("POST", at+"/decisions", w.dpo.token, `{"subjects":["dpo-1"],"decision":"keep"}`); got.Code != 403 {
		t.Errorf("somebody decided on their own access: %d", got.Code)
	}
	w.must(0, w.dpo, "POST", at+"/decisions", `{"subjects":["quality-abroad"],"decision":"remove"}`)
	w.must(0, w.dpo, "POST", at+"/decisions", `{"all":true,"decision":"keep"}`)
	if got := h.ask("POST", at+"/sign", w.dpo.token, ""); got.Code != 409 {
		t.Errorf("signed with a line open: %d %s", got.Code, got.Body)
	}
	w.must(0, w.admin, "POST", at+"/decisions", `{"subjects":["dpo-1"],"decision":"keep"}`)
	w.must(0, w.dpo, "POST", at+"/sign", "")
	file := h.ask("GET", at, w.dpo.token, "").Body.Bytes()
	r, err := vault.CheckAccessReview(file, w.logKey())
	if err != nil {
		t.Fatalf("the review does not verify: %v", err)
	}
	for _, line := range r.Lines {
		if line.Privileged != (line.Roles[0] == record.RoleAdmin || line.Roles[0] == record.RoleDPO || line.Roles[0] == record.RoleOperator || line.Roles[0] == record.RoleAuditor) {
			t.Errorf("%s: privileged %v", line.Subject, line.Privileged)
		}
	}
	return id
}

// One report a quarter, for every role that may read it and for none else.
func TestPromise2_1EvidenceIsForStewards(t *testing.T) {
	t.Parallel()
	w := newWard(t, 1)
	w.clock.Store(time.Date(2026, 11, 20, 2, 0, 0, 0, time.UTC).UnixNano())
	for _, p := range w.people {
		may := p.role == "dpo" || p.role == "admin" || p.role == "auditor"
		got := w.gateways[0].ask("GET", "/api/v1/evidence?quarter=2026Q4", p.token, "")
		if (got.Code == 200) != may {
			t.Errorf("%s: %d", p.id, got.Code)
		}
	}
}
