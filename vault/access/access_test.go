package access_test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"medvault/vault/access"
	"medvault/vault/record"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

const token = record.PatientToken("paaaaaaaaaaaaaaaaaaaaaaaaaa")

func engine(t testing.TB) *access.Engine {
	t.Helper()
	e, err := access.New(nil)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return e
}

// right is one line of the table a hospital would sign: who may do what, for which
// purposes, to whom, and what is seen.
type right struct {
	role     record.Role
	actions  string
	purposes string
	to       string // "house", "any" patient, "own" patients, "consented" patients
	view     record.View
}

// rights is the whole of what is permitted, written without looking at the policies.
var rights = []right{
	{"radiology", "document.store", "TREAT", "house any", ""},
	{"clinician", "document.store", "TREAT", "house any", ""},
	{"clinician", "document.read document.search", "TREAT ETREAT", "own", "original"},
	{"clinician", "document.read document.search", "HQUALIMP HOPERAT", "own", "deidentified"},
	{"clinician", "document.search", "TREAT ETREAT", "house", "original"},
	{"clinician", "document.search", "HQUALIMP HOPERAT", "house", "deidentified"},
	{"clinician", "care.list", "TREAT ETREAT", "own", ""},
	{"clinician", "breakglass.open", "ETREAT", "any", ""},
	{"patient", "document.search", "PATRQT", "house", "original"},
	{"guardian", "document.search", "PATRQT", "house", "original"},
	{"admin", "guardian.add guardian.end guardian.list", "HSYSADMIN HOPERAT", "any", ""},
	{"dpo", "guardian.add guardian.end guardian.list", "HCOMPL", "any", ""},
	{"auditor", "guardian.list", "HCOMPL", "any", ""},
	{"dpo", "breakglass.review", "HCOMPL", "house any", ""},
	{"dpo", "breakglass.list case.list", "HCOMPL", "house", ""},
	{"auditor", "breakglass.list case.list", "HCOMPL", "house", ""},
	{"admin", "case.list disclosure.list", "HSYSADMIN HOPERAT", "house", ""},
	{"admin", "case.request case.read case.work", "HSYSADMIN HOPERAT", "house any", ""},
	{"dpo", "disclosure.list", "HCOMPL", "house", ""},
	{"dpo", "case.request case.read case.work", "HCOMPL", "house any", ""},
	{"auditor", "disclosure.list", "HCOMPL", "house", ""},
	{"dpo", "incident.work patient.freeze patient.thaw finding.work accessreview.work incident.read finding.list accessreview.read evidence.read", "HCOMPL", "house", ""},
	{"admin", "incident.work patient.freeze patient.thaw finding.work accessreview.work incident.read finding.list accessreview.read evidence.read", "HSYSADMIN HOPERAT", "house", ""},
	{"auditor", "incident.read finding.list accessreview.read evidence.read", "HCOMPL", "house", ""},
	{"dpo", "restriction.set restriction.lift restriction.list", "HCOMPL", "any", ""},
	{"admin", "restriction.list", "HSYSADMIN HOPERAT", "any", ""},
	{"auditor", "restriction.list", "HCOMPL", "any", ""},
	{"quality", "document.read", "HQUALIMP HOPERAT", "any", "deidentified"},
	{"quality", "document.search", "HQUALIMP HOPERAT", "house any", "deidentified"},
	{"reviewer", "document.read", "HQUALIMP HOPERAT", "any", "deidentified"},
	{"reviewer", "document.search", "HQUALIMP HOPERAT", "house any", "deidentified"},
	{"researcher", "document.read", "HRESCH", "consented", "deidentified"},
	{"researcher", "document.search", "HRESCH", "house consented", "deidentified"},
	{"operator", "regions.list regions.verify regions.repair regions.decrypt regions.discard regions.manage", "HSYSADMIN HOPERAT", "house", ""},
	{"admin", "regions.list regions.verify regions.repair regions.decrypt regions.discard regions.manage keys.status keys.rotate", "HSYSADMIN HOPERAT", "house", ""},
	{"admin", "care.add care.end care.list", "HSYSADMIN HOPERAT", "any", ""},
	{"dpo", "care.add care.end care.list", "HCOMPL", "any", ""},
	{"dpo", "audit.read", "HCOMPL", "house any", ""},
	{"auditor", "care.list", "HCOMPL", "any", ""},
	{"auditor", "audit.read", "HCOMPL", "house any", ""},
	{"dpo", "accesslog.read", "HCOMPL", "house any", ""},
	{"auditor", "accesslog.read", "HCOMPL", "house any", ""},
	{"dpo", "attest.read", "HCOMPL", "any", "original"},
	{"auditor", "attest.read", "HCOMPL", "any", "original"},
	{"quality", "attest.read", "HQUALIMP HOPERAT", "any", "deidentified"},
	{"clinician", "attest.read", "TREAT ETREAT", "own", "original"},
	{"clinician", "attest.read", "HQUALIMP HOPERAT", "own", "deidentified"},
	{"reviewer", "review.list", "HQUALIMP HOPERAT", "house any", "deidentified"},
	{"reviewer", "review.read review.release review.refuse", "HQUALIMP HOPERAT", "any", "deidentified"},
	{"admin", "staff.manage staff.list", "HSYSADMIN HOPERAT", "house", ""},
	{"dpo", "staff.list", "HCOMPL", "house", ""},
	{"admin", "policy.explain", "HSYSADMIN HOPERAT", "house", ""},
	{"dpo", "policy.explain", "HCOMPL", "house", ""},
	{"auditor", "policy.explain", "HCOMPL", "house", ""},
	{"dpo", "rederivation.propose rederivation.approve rederivation.read", "HCOMPL", "house", ""},
	{"admin", "rederivation.approve rederivation.read", "HSYSADMIN HOPERAT", "house", ""},
	{"admin", "token.create token.revoke token.list revocation.add revocation.lift revocation.list", "HSYSADMIN HOPERAT", "house", ""},
	{"dpo", "token.revoke token.list revocation.add revocation.lift revocation.list", "HCOMPL", "house", ""},
	{"auditor", "token.list revocation.list", "HCOMPL", "house", ""},
	{"operator", "keys.status", "HSYSADMIN HOPERAT", "house", ""},
	{"dpo", "keys.status", "HCOMPL", "house", ""},
	{"auditor", "keys.status", "HCOMPL", "house", ""},
	{"quality", "document.export", "HQUALIMP", "any", "deidentified"},
	{"researcher", "document.export", "HRESCH", "consented", "deidentified"},
}

// expected reads the table; limits that stand above it come first.
func expected(r access.Request) (bool, record.View) {
	p := r.Patient
	content := strings.HasPrefix(string(r.Action), "document.") || strings.HasPrefix(string(r.Action), "review.")
	if p != nil {
		known := p.State == "active" || p.State == "" && r.Action == "document.store"
		if !known || content && (!p.Residency || p.Restricted) {
			return false, ""
		}
	}
	for _, row := range rights {
		if row.role != r.Actor.Role || !has(row.actions, string(r.Action)) || !has(row.purposes, string(r.Actor.Purpose)) {
			continue
		}
		if p == nil && !has(row.to, "house") {
			continue
		}
		if p != nil && !(has(row.to, "any") || has(row.to, "own") && p.Treats || has(row.to, "consented") && p.Research) {
			continue
		}
		if r.Action == "document.read" && row.view == "deidentified" &&
			(r.Document == nil || r.Document.Held != "") {
			return false, ""
		}
		return true, row.view
	}
	return false, ""
}

func has(list, word string) bool { return word != "" && slices.Contains(strings.Fields(list), word) }

func TestEveryCellOfTheMatrix(t *testing.T) {
	e := engine(t)
	roles := append(record.Roles(), record.RoleInterface, "", "janitor") // an interface may do nothing by HTTP
	purposes := []record.Purpose{"TREAT", "ETREAT", "PATRQT", "HOPERAT", "HQUALIMP", "HRESCH", "HPAYMT", "HSYSADMIN", "HCOMPL", "", "treat"}
	actions := []record.Action{"document.store", "document.read", "document.search", "care.add", "care.end", "care.list",
		"regions.list", "regions.verify", "regions.repair", "regions.decrypt", "regions.discard", "regions.manage", "audit.read", "accesslog.read", "keys.status", "keys.rotate", "attest.read", "document.export", "document.provide",
		"review.list", "review.read", "review.release", "review.refuse", "document.supersede",
		"rederivation.propose", "rederivation.approve", "rederivation.read",
		"token.create", "token.revoke", "token.list", "revocation.add", "revocation.lift", "revocation.list", "staff.manage", "staff.list", "policy.explain",
		"breakglass.open", "breakglass.list", "breakglass.review", "guardian.add", "guardian.end", "guardian.list", "case.list", "case.read", "case.request", "case.work",
		"restriction.set", "restriction.lift", "restriction.list", "disclosure.propose", "disclosure.approve", "disclosure.give", "disclosure.list",
		"incident.work", "incident.read", "patient.freeze", "patient.thaw", "finding.work", "finding.list", "accessreview.work", "accessreview.read", "evidence.read",
		"patient.know", "", "document.delete"}
	patients := []*access.Patient{nil}
	for bits := range 16 {
		patients = append(patients, &access.Patient{Token: token, State: "active",
			Treats: bits&1 != 0, Research: bits&2 != 0, Residency: bits&4 == 0, Restricted: bits&8 != 0})
	}
	for _, state := range []string{"", "frozen", "erased", "Active"} {
		for _, near := range []bool{false, true} {
			patients = append(patients, &access.Patient{Token: token, State: state, Treats: near, Research: near, Residency: true})
		}
	}
	documents := []*access.Document{nil, {Kind: record.KindDICOM}, {Kind: record.KindDICOM, Held: "burned-in"}, {Kind: record.KindPDF}}
	for _, role := range roles {
		t.Run("role "+string(role), func(t *testing.T) {
			t.Parallel() // one engine serves all requests at once
			for _, purpose := range purposes {
				for _, action := range actions {
					for _, patient := range patients {
						for _, document := range documents {
							if document != nil && (action != "document.read" || patient == nil || patient.State != "active") {
								continue // nothing else looks at it
							}
							r := access.Request{Standing: "good", Action: action, Now: noon, Patient: patient, Document: document, Origin: "http",
								Actor: record.Actor{ID: "u1", Role: role, Purpose: purpose, Country: "CN"}}
							want, view := expected(r)
							got := e.Decide(r)
							if got.Allow != want || got.View != view || got.Allow != (got.Reason == "") {
								t.Errorf("%q does %q to %s: allow %v view %q reason %q; want %v %q",
									purpose, action, tell(patient, document), got.Allow, got.View, got.Reason, want, view)
							}
						}
					}
				}
			}
		})
	}
}

func tell(p *access.Patient, d *access.Document) string {
	switch {
	case p == nil:
		return "the house"
	case d == nil:
		return fmt.Sprintf("%+v", *p)
	}
	return fmt.Sprintf("%+v %+v", *p, *d)
}

func TestReasonsAndWhoMayKnow(t *testing.T) {
	e := engine(t)
	plain := access.Patient{Token: token, State: "active", Residency: true}
	with := func(change func(*access.Patient)) *access.Patient {
		p := plain
		change(&p)
		return &p
	}
	own := with(func(p *access.Patient) { p.Treats = true })
	ct := &access.Document{Kind: record.KindDICOM}
	for _, row := range []struct {
		name     string
		role     record.Role
		purpose  record.Purpose
		action   record.Action
		patient  *access.Patient
		document *access.Document
		reason   string
		know     bool
	}{
		{"a stranger's patient looks absent", "clinician", "TREAT", "document.read", &plain, ct, "no-care-relationship", false},
		{"an emergency needs its reason", "clinician", "ETREAT", "document.read", &plain, ct, "emergency-reason-required", false},
		{"payment is no purpose here", "clinician", "HPAYMT", "document.read", own, ct, "purpose-not-permitted", true},
		{"a researcher does not treat", "researcher", "TREAT", "document.read", &plain, ct, "purpose-not-permitted", false},
		{"no consent looks absent", "researcher", "HRESCH", "document.read", &plain, ct, "no-research-consent", false},
		{"radiology gets receipts", "radiology", "TREAT", "document.read", &plain, ct, "role-not-permitted", false},
		{"radiology does not search", "radiology", "TREAT", "document.search", nil, nil, "role-not-permitted", true},
		{"an operator gets no content", "operator", "HSYSADMIN", "document.read", &plain, ct, "role-not-permitted", false},
		{"erased is told to who treated", "clinician", "TREAT", "document.read", with(func(p *access.Patient) { p.Treats, p.State = true, "erased" }), ct, "erased", true},
		{"erased is not told to others", "clinician", "TREAT", "document.read", with(func(p *access.Patient) { p.State = "erased" }), ct, "no-care-relationship", false},
		{"erased is told to the sender", "radiology", "TREAT", "document.store", with(func(p *access.Patient) { p.State = "erased" }), nil, "erased", true},
		{"frozen", "clinician", "TREAT", "document.read", with(func(p *access.Patient) { p.Treats, p.State = true, "frozen" }), ct, "frozen", true},
		{"frozen is not told to who may do nothing", "patient", "PATRQT", "document.store", with(func(p *access.Patient) { p.State = "frozen" }), nil, "role-not-permitted", true},
		{"residency", "clinician", "TREAT", "document.read", with(func(p *access.Patient) { p.Treats, p.Residency = true, false }), ct, "residency", true},
		{"restricted", "clinician", "TREAT", "document.read", with(func(p *access.Patient) { p.Treats, p.Restricted = true, true }), ct, "restricted", true},
		{"held for review", "quality", "HQUALIMP", "document.read", &plain, &access.Document{Kind: record.KindDICOM, Held: "burned-in"}, "held-for-review", true},
		{"an unread page", "quality", "HQUALIMP", "document.read", &plain, &access.Document{Kind: record.KindPDF, Held: "redaction-pending"}, "held-for-review", true},
		{"which document?", "quality", "HQUALIMP", "document.read", &plain, nil, "held-for-review", true},
		{"radiology adds no care", "radiology", "TREAT", "care.add", &plain, nil, "role-not-permitted", false},
		{"a clinician adds no care", "clinician", "TREAT", "care.add", own, nil, "role-not-permitted", true},
		{"a patient who is not here", "admin", "HSYSADMIN", "care.add", &access.Patient{Token: token, Residency: true}, nil, "unknown-patient", false},
		{"care of nobody", "admin", "HSYSADMIN", "care.add", nil, nil, "request-invalid", false},
		{"nobody", "", "TREAT", "document.read", own, ct, "no-identity", false},
	} {
		got := e.Decide(access.Request{Standing: "good", Action: row.action, Now: noon, Patient: row.patient, Document: row.document,
			Actor: record.Actor{ID: "u1", Role: row.role, Purpose: row.purpose}})
		if got.Allow || got.Reason != row.reason || got.MayKnow != row.know {
			t.Errorf("%s: allow %v, reason %q, may know %v; want refused, %q, %v", row.name, got.Allow, got.Reason, got.MayKnow, row.reason, row.know)
		}
	}
	if got := e.Decide(access.Request{Standing: "good", Action: record.ActionSearch, Actor: record.Actor{Role: record.RoleClinician, Purpose: "TREAT"}}); got.Allow {
		t.Errorf("an actor without id was allowed: %+v", got)
	}
	got := e.Decide(access.Request{Standing: "good", Action: record.ActionRead, Now: noon, Patient: own, Document: ct,
		Actor: record.Actor{ID: "u1", Role: record.RoleClinician, Purpose: record.PurposeTreat}})
	if !slices.Equal(got.Policies, []string{"clinician-treats"}) {
		t.Errorf("policies of an allowed read = %q", got.Policies)
	}
}

// changed is the built-in set with one file more.
func changed(t *testing.T, file, text string) fstest.MapFS {
	t.Helper()
	set := fstest.MapFS{}
	for _, name := range []string{"content.cedar", "house.cedar", "know.cedar", "limits.cedar", "schema.cedarschema"} {
		f, err := access.Policies().Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		body := make([]byte, info.Size())
		if _, err := f.Read(body); err != nil {
			t.Fatal(err)
		}
		set[name] = &fstest.MapFile{Data: body}
	}
	set[file] = &fstest.MapFile{Data: []byte(text)}
	return set
}

func TestBadPoliciesAreRefusedAtStart(t *testing.T) {
	for _, row := range []struct{ name, policy, says string }{
		{"typo in an attribute", `@id("x") permit (principal, action, resource) when { principal.roel == "admin" };`, "roel"},
		{"unknown action", `@id("x") permit (principal, action == Action::"document.raed", resource);`, "raed"},
		{"unknown type", `@id("x") permit (principal is Robot, action, resource);`, "Robot"},
		{"no id", `permit (principal, action == Action::"audit.read", resource);`, "@id"},
		{"taken id", `@id("erased") @reason("y") forbid (principal, action, resource);`, "taken"},
		{"forbid without reason", `@id("x") forbid (principal, action, resource);`, "@reason"},
		{"reason not kebab-case", `@id("x") @reason("No way") forbid (principal, action, resource);`, "@reason"},
		{"documents without a view", `@id("x") permit (principal, action in [Action::"audit.read", Action::"document.read"], resource is Patient);`, "@view"},
		{"unknown view", `@id("x") @view("all") permit (principal, action == Action::"audit.read", resource);`, "@view"},
		{"no syntax", `permit everything`, "more.cedar"},
	} {
		_, err := access.New(changed(t, "more.cedar", row.policy))
		if err == nil || !strings.Contains(err.Error(), row.says) || !strings.Contains(err.Error(), "more.cedar") {
			t.Errorf("%s: New = %v; want an error that names more.cedar and %s", row.name, err, row.says)
		}
	}
	if _, err := access.New(fstest.MapFS{}); err == nil {
		t.Error("New of an empty directory succeeded")
	}
}

func TestAPolicyThatErrsDenies(t *testing.T) {
	// An overflow is found only when it happens; Cedar skips the policy, forbid or not.
	e, err := access.New(changed(t, "more.cedar", `@id("overflow") @reason("never") forbid (principal, action, resource)
		when { 9223372036854775807 + 1 == 0 };`))
	if err != nil {
		t.Fatal(err)
	}
	got := e.Decide(access.Request{Standing: "good", Action: record.ActionAuditRead, Now: noon, Actor: record.Actor{ID: "u1", Role: record.RoleDPO, Purpose: record.PurposeCompl}})
	if got.Allow || got.Reason != "policy-error" || !slices.Equal(got.Policies, []string{"overflow"}) || got.MayKnow {
		t.Errorf("Decide = %+v; want policy-error by overflow", got)
	}
}

func TestForbidBeatsPermitAndTheNarrowerViewWins(t *testing.T) {
	doc := access.Request{Standing: "good", Action: record.ActionRead, Now: noon, Document: &access.Document{Kind: record.KindDICOM},
		Patient: &access.Patient{Token: token, State: "active", Treats: true, Residency: true},
		Actor:   record.Actor{ID: "u1", Role: record.RoleClinician, Purpose: record.PurposeTreat, Country: "SG"}}
	e, err := access.New(changed(t, "more.cedar", `@id("not-from-there") @reason("not-from-there") forbid (principal, action, resource) when { principal.country == "SG" };`))
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Decide(doc); got.Allow || got.Reason != "not-from-there" {
		t.Errorf("Decide = %+v; want not-from-there", got)
	}
	e, err = access.New(changed(t, "more.cedar", `@id("also") @view("deidentified") @obligation("review-24h") permit (principal, action == Action::"document.read", resource);`))
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Decide(doc); !got.Allow || got.View != record.ViewDeidentified || !slices.Equal(got.Obligations, []string{"review-24h"}) {
		t.Errorf("Decide = %+v; want the de-identified view with the obligation", got)
	}
	e, err = access.New(changed(t, "more.cedar", `@id("blind") permit (principal, action, resource);`))
	if err != nil {
		t.Fatal(err)
	}
	doc.Patient = &access.Patient{Token: token, State: "active", Residency: true}
	doc.Actor.Purpose, doc.Action = record.PurposeQuality, record.ActionSearch // of a stranger
	if got := e.Decide(doc); got.Allow || got.Reason != access.ReasonPolicy {
		t.Errorf("a permit without @view allowed a read: %+v", got)
	}
}

func BenchmarkDecide(b *testing.B) {
	e := engine(b)
	r := access.Request{Standing: "good", Action: record.ActionRead, Now: noon, Document: &access.Document{Kind: record.KindDICOM}, Origin: "http",
		Patient: &access.Patient{Token: token, State: "active", Treats: true, Residency: true},
		Actor:   record.Actor{ID: "u1", Role: record.RoleClinician, Purpose: record.PurposeTreat, Country: "CN"}}
	b.ReportAllocs()
	began := processor(b)
	for b.Loop() {
		if !e.Decide(r).Allow {
			b.Fatal("refused")
		}
	}
	b.ReportMetric(float64(processor(b)-began)/float64(b.N), "cpu-ns/op") // whatever else the machine does
}

func processor(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func TestOnlyTheVaultItselfSupersedes(t *testing.T) {
	e := engine(t)
	self := record.Actor{ID: "medvault", Role: record.RoleOperator, Country: "CN", Purpose: record.PurposeSystem}
	for name, row := range map[string]struct {
		state, origin string
		want          bool
	}{
		"re-derivation":    {"active", "rederive", true},
		"redaction":        {"active", "redact", true},
		"a request":        {"active", "http", false},
		"no origin":        {"active", "", false},
		"a frozen patient": {"frozen", "rederive", false},
	} {
		d := e.Decide(access.Request{Standing: "good", Actor: self, Action: record.ActionSupersede, Now: noon, Origin: row.origin,
			Patient: &access.Patient{Token: token, State: row.state, Residency: true}, Document: &access.Document{Kind: record.KindDICOM}})
		if d.Allow != row.want {
			t.Errorf("%s: %+v; want %v", name, d, row.want)
		}
	}
}
