package access_test

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"medvault/vault/access"
	"medvault/vault/record"
)

func files(of map[string]string) fstest.MapFS {
	set := fstest.MapFS{}
	for name, text := range of {
		set[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return set
}

// A deployment that permits everything to everybody.
const everything = `@id("everything") @view("original") permit (principal, action, resource);`

func TestADeploymentAddsAndReplacesPermitsAndKeepsEveryLimit(t *testing.T) {
	replaced, err := access.Extend(files(map[string]string{"README.md": "ours", "house.cedar": `
// The log is the auditor's alone.
// Nobody else's.
@id("only-auditors") permit (principal, action == Action::"audit.read", resource)
when { principal.role == "auditor" };`}))
	if err != nil {
		t.Fatal(err)
	}
	audit := func(e *access.Engine, role record.Role) access.Decision {
		return e.Decide(access.Request{Standing: "good", Action: record.ActionAuditRead, Now: noon,
			Actor: record.Actor{ID: "u1", Role: role, Purpose: record.PurposeCompl}})
	}
	if got := audit(replaced, record.RoleDPO); got.Allow {
		t.Errorf("the replaced permit still holds: %+v", got)
	}
	if got := audit(replaced, record.RoleAuditor); !got.Allow || !slices.Equal(got.Policies, []string{"only-auditors"}) {
		t.Errorf("the permit in its place: %+v", got)
	}
	at := slices.IndexFunc(replaced.Rules(), func(r access.Rule) bool { return r.ID == "only-auditors" })
	want := access.Rule{ID: "only-auditors", File: "house.cedar", Line: 4, Says: "The log is the auditor's alone."}
	if got := replaced.Rules()[at]; got != want {
		t.Errorf("Rules: %+v; want %+v", got, want)
	}
	open, err := access.Extend(files(map[string]string{"house.cedar": everything, "content.cedar": "", "limits.cedar": "", "know.cedar": "", "more.cedar": ""}))
	if err != nil {
		t.Fatal(err)
	}
	own := access.Patient{Token: token, State: "active", Treats: true, Research: true, Residency: true}
	ct := &access.Document{Kind: record.KindDICOM}
	for _, row := range []struct {
		name     string
		standing string
		role     record.Role
		purpose  record.Purpose
		change   func(*access.Patient)
		reason   string
		view     record.View
	}{
		{"nothing in the way", "good", "clinician", "TREAT", nil, "", "original"},
		{"a stranger's patient", "good", "clinician", "TREAT", func(p *access.Patient) { p.Treats = false }, "no-care-relationship", ""},
		{"an emergency nobody has stated", "good", "clinician", "ETREAT", func(p *access.Patient) { p.Treats = false }, "no-care-relationship", ""},
		{"somebody else's own documents", "self", "patient", "PATRQT", nil, "no-care-relationship", ""},
		{"their own", "self", "patient", "PATRQT", func(p *access.Patient) { p.Own = true }, "", "original"},
		{"quality sees no identity", "good", "quality", "HQUALIMP", nil, "", "deidentified"},
		{"research sees no identity", "good", "researcher", "HRESCH", nil, "", "deidentified"},
		{"research without consent", "good", "researcher", "HRESCH", func(p *access.Patient) { p.Research = false }, "no-research-consent", ""},
		{"an operator", "good", "operator", "HSYSADMIN", nil, "purpose-not-permitted", ""},
		{"another role's purpose", "good", "researcher", "TREAT", nil, "purpose-not-permitted", ""},
		{"payment", "good", "clinician", "HPAYMT", nil, "purpose-not-permitted", ""},
		{"not trained", "training-expired", "clinician", "TREAT", nil, "training-expired", ""},
		{"on no register", "", "clinician", "TREAT", nil, "not-on-register", ""},
		{"restricted", "good", "clinician", "TREAT", func(p *access.Patient) { p.Restricted = true }, "restricted", ""},
		{"abroad", "good", "clinician", "TREAT", func(p *access.Patient) { p.Residency = false }, "residency", ""},
		{"erased", "good", "clinician", "TREAT", func(p *access.Patient) { p.State = "erased" }, "erased", ""},
	} {
		p := own
		if row.change != nil {
			row.change(&p)
		}
		got := open.Decide(access.Request{Standing: row.standing, Action: record.ActionRead, Now: noon, Patient: &p, Document: ct,
			Actor: record.Actor{ID: "u1", Role: row.role, Purpose: row.purpose, Country: "CN"}})
		if got.Allow != (row.reason == "") || got.Reason != row.reason || got.View != row.view {
			t.Errorf("%s: allow %v, reason %q, view %q; want %q, %q", row.name, got.Allow, got.Reason, got.View, row.reason, row.view)
		}
	}
}

func TestDeploymentsThatAreRefused(t *testing.T) {
	for _, row := range []struct{ name, file, text, says string }{
		{"no policy", "README.md", "ours", "no *.cedar"},
		{"a name that is no policy's", "more.ceder", everything, "more.ceder"},
		{"another schema", "schema.cedarschema", "entity Person;", "schema.cedarschema"},
		{"the id of a limit", "more.cedar", "\n" + `@id("erased") permit (principal, action == Action::"audit.read", resource);`, "more.cedar, line 2: policy erased: the @id is taken"},
		{"syntax", "more.cedar", "\npermit everything;", "more.cedar"},
		{"an attribute nobody knows", "more.cedar", "\n\n" + `@id("x") permit (principal, action == Action::"audit.read", resource) when { principal.rank == "chief" };`, "more.cedar, line 3"},
	} {
		_, err := access.Extend(files(map[string]string{row.file: row.text}))
		if err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: Extend = %v; want an error that says %q", row.name, err, row.says)
		}
	}
	schema, err := fs.ReadFile(access.Policies(), "schema.cedarschema")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := access.Extend(files(map[string]string{"more.cedar": everything, "schema.cedarschema": string(schema), ".keep": ""})); err != nil {
		t.Errorf("the built-in schema beside a policy: %v", err)
	}
}

func TestExplain(t *testing.T) {
	e := engine(t)
	stranger := access.Request{Standing: "training-expired", Action: record.ActionRead, Now: noon, Document: &access.Document{Kind: record.KindDICOM},
		Patient: &access.Patient{Token: token, State: "active", Residency: true},
		Actor:   record.Actor{ID: "u1", Role: record.RoleClinician, Purpose: record.PurposeTreat, Country: "CN"}}
	got := e.Explain(stranger)
	if got.Allow || len(got.Changes) == 0 || !slices.Equal(got.Changes[0], []access.Fact{{"treats", "true"}, {"standing", "good"}}) {
		t.Errorf("Explain = %+v; want that treating and a training would help, both", got)
	}
	if !slices.ContainsFunc(got.Rules, func(r access.Rule) bool { return r.ID == "training-expired" && r.Forbids && r.Line > 0 }) {
		t.Errorf("rules: %+v", got.Rules)
	}
	if stranger.Patient.Treats || stranger.Standing != "training-expired" {
		t.Errorf("the request was changed: %+v", stranger)
	}
	stranger.Patient.Treats, stranger.Standing = true, "good"
	if got = e.Explain(stranger); !got.Allow || got.View != record.ViewOriginal || len(got.Changes) != 0 || len(got.Rules) != 1 {
		t.Errorf("Explain = %+v; want it allowed by one rule", got)
	}
	stranger.Actor.Role, stranger.Actor.Purpose = record.RoleOperator, record.PurposeSystem
	if got = e.Explain(stranger); got.Allow || len(got.Changes) != 0 || got.Reason != access.ReasonRole {
		t.Errorf("Explain = %+v; want that nothing would help an operator", got)
	}
}
