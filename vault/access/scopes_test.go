package access_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"strconv"
	"strings"
	"testing"

	"medvault/vault/access"
	"medvault/vault/record"
)

func TestParseScope(t *testing.T) {
	for text, want := range map[string]string{
		"user/ImagingStudy.rs":                    "user/ImagingStudy.rs",
		"patient/*.r":                             "patient/*.r",
		"system/DocumentReference.c":              "system/DocumentReference.c",
		"system/*.cruds":                          "system/*.cruds",
		"user/Consent.read":                       "user/Consent.rs",
		"user/Consent.write":                      "user/Consent.cud",
		"patient/*.*":                             "patient/*.cruds",
		"user/Observation.rs?category=laboratory": "user/Observation.rs",
		"":                                       "",
		"openid":                                 "",
		"launch/patient":                         "",
		"user/ImagingStudy":                      "",
		"user/ImagingStudy.":                     "",
		"user/ImagingStudy.sr":                   "",
		"user/ImagingStudy.rr":                   "",
		"user/ImagingStudy.rsx":                  "",
		"user/imagingStudy.r":                    "",
		"user/Imaging Study.r":                   "",
		"user/**.r":                              "",
		"user/.r":                                "",
		"User/ImagingStudy.r":                    "",
		"admin/*.cruds":                          "",
		"user/ImagingStudy.r.s":                  "",
		"user/" + strings.Repeat("A", 65) + ".r": "",
		"user/ImagingStudy.readwrite":            "",
		"user/ImagingStudy.READ":                 "",
		"user/ImagingStudy.cruds?":               "user/ImagingStudy.cruds",
		"patient/DocumentReference.rs?status=a&category=b": "patient/DocumentReference.rs",
	} {
		s, err := access.ParseScope(text)
		if (err == nil) != (want != "") || err == nil && s.String() != want {
			t.Errorf("ParseScope(%q) = %v, %v; want %q", text, s, err, want)
		}
		if err == nil && s.Narrowed != strings.Contains(text, "?") {
			t.Errorf("ParseScope(%q): narrowed %v", text, s.Narrowed)
		}
	}
}

func FuzzParseScope(f *testing.F) {
	for _, s := range []string{"user/ImagingStudy.rs", "patient/*.*", "system/A.cruds?x=y", "user/A.write", "//..??"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := access.ParseScope(text)
		if err != nil {
			return
		}
		again, err := access.ParseScope(s.String())
		if s.Narrowed = false; err != nil || again != s {
			t.Errorf("%q is read as %v, and that as %v, %v", text, s, again, err)
		}
		if strings.ContainsAny(s.String(), " ?\n") {
			t.Errorf("%q is read as %q", text, s)
		}
	})
}

// bound is what a scope does to an act that the policies permit to somebody.
type bound struct {
	action record.Action
	kind   record.Kind
	by     record.Role
	needs  string // resource.operation, written without looking at the code
}

func bounds() []bound {
	return []bound{
		{"document.store", record.KindDICOM, "radiology", "ImagingStudy.c"},
		{"document.store", record.KindPDF, "radiology", "DocumentReference.c"},
		{"document.store", 0, "radiology", "ImagingStudy.c"},
		{"document.read", record.KindDICOM, "clinician", "ImagingStudy.r"},
		{"document.read", record.KindPDF, "clinician", "DocumentReference.r"},
		{"document.search", record.KindDICOM, "clinician", "ImagingStudy.s"},
		{"document.search", 0, "clinician", "DocumentReference.s"},
		{"document.export", 0, "quality", "ImagingStudy.r"},
		{"care.add", 0, "admin", "CareTeam.c"},
		{"care.end", 0, "admin", "CareTeam.u"},
		{"care.list", 0, "admin", "CareTeam.s"},
		{"consent.add", 0, "dpo", "Consent.c"},
		{"consent.withdraw", 0, "dpo", "Consent.u"},
		{"consent.list", 0, "dpo", "Consent.s"},
		{"guardian.add", 0, "dpo", "RelatedPerson.c"},
		{"guardian.end", 0, "dpo", "RelatedPerson.u"},
		{"guardian.list", 0, "dpo", "RelatedPerson.s"},
		{"breakglass.list", 0, "dpo", "Flag.s"},
		{"breakglass.review", 0, "dpo", "Flag.u"},
		{"case.list", 0, "dpo", "Task.s"},
		{"case.read", 0, "dpo", "Task.r"},
		{"case.request", 0, "dpo", "Task.c"},
		{"case.work", 0, "dpo", "Task.u"},
		{"restriction.set", 0, "dpo", "Consent.c"},
		{"restriction.lift", 0, "dpo", "Consent.u"},
		{"restriction.list", 0, "dpo", "Consent.s"},
		{"disclosure.list", 0, "dpo", "Communication.s"},
		{"incident.work", 0, "dpo", "Task.u"},
		{"incident.read", 0, "dpo", "Task.r"},
		{"patient.freeze", 0, "dpo", "Flag.c"},
		{"patient.thaw", 0, "dpo", "Flag.u"},
		{"finding.work", 0, "dpo", "Task.u"},
		{"finding.list", 0, "dpo", "Task.s"},
		{"accessreview.work", 0, "dpo", "Task.u"},
		{"accessreview.read", 0, "dpo", "Task.r"},
		{"evidence.read", 0, "dpo", "AuditEvent.r"},
		{"erasure.propose", 0, "dpo", "Task.c"},
		{"erasure.approve", 0, "dpo", "Task.u"},
		{"erasure.sweep", 0, "dpo", "Task.c"},
		{"erasure.list", 0, "dpo", "Task.s"},
		{"patient.readmit", 0, "dpo", "Task.c"},
		{"hold.add", 0, "dpo", "Flag.c"},
		{"hold.lift", 0, "dpo", "Flag.u"},
		{"hold.list", 0, "dpo", "Flag.s"},
		{"policy.explain", 0, "dpo", "Basic.r"},
		{"staff.manage", 0, "admin", "Practitioner.u"},
		{"staff.list", 0, "dpo", "Practitioner.s"},
		{"audit.read", 0, "auditor", "AuditEvent.r"},
		{"accesslog.read", 0, "auditor", "AuditEvent.r"},
		{"attest.read", 0, "auditor", "Provenance.r"},
		{"review.list", 0, "reviewer", "Task.s"},
		{"review.read", 0, "reviewer", "Task.r"},
		{"review.release", 0, "reviewer", "Task.u"},
		{"review.refuse", 0, "reviewer", "Task.u"},
		{"rederivation.propose", 0, "dpo", "Task.c"},
		{"rederivation.approve", 0, "admin", "Task.u"},
		{"rederivation.read", 0, "admin", "Task.r"},
		{"correction.add", 0, "dpo", "Person.u"},
		{"correction.undo", 0, "dpo", "Person.u"},
		{"correction.list", 0, "dpo", "Person.r"},
		{"regions.list", 0, "operator", "Endpoint.r"},
		{"regions.verify", 0, "operator", "VerificationResult.c"},
		{"regions.decrypt", 0, "operator", "VerificationResult.c"},
		{"regions.repair", 0, "operator", "Endpoint.u"},
		{"regions.manage", 0, "operator", "Endpoint.u"},
		{"regions.discard", 0, "operator", "Endpoint.d"},
		{"keys.status", 0, "auditor", "Basic.r"},
		{"keys.rotate", 0, "admin", "Basic.u"},
		{"token.create", 0, "admin", "Basic.c"},
		{"token.list", 0, "admin", "Basic.s"},
		{"token.revoke", 0, "admin", "Basic.d"},
		{"revocation.add", 0, "dpo", "Basic.c"},
		{"revocation.list", 0, "dpo", "Basic.s"},
		{"revocation.lift", 0, "admin", "Basic.d"},
	}
}

// house says of which actions a request names no patient.
func ofHouse(a record.Action) bool {
	switch a {
	case record.ActionFreeze, record.ActionThaw:
		return true
	case record.ActionEraseSweep, record.ActionEraseList, record.ActionReadmit: // whose patients are erased, or not known yet
		return true
	}
	area, _, _ := strings.Cut(string(a), ".")
	return area == "incident" || area == "finding" || area == "accessreview" || area == "evidence" || area == "regions" || area == "keys" || area == "token" || area == "revocation" || area == "rederivation" || area == "staff" || area == "policy" || area == "case" || area == "breakglass" || area == "disclosure"
}

func TestScopesBoundEveryAction(t *testing.T) {
	e := engine(t)
	decide := func(b bound, scopes string, launch record.PatientToken) access.Decision {
		r := access.Request{Standing: "good", Action: b.action, Now: noon, Kind: b.kind, Actor: record.Actor{ID: "x", Role: b.by, Institution: "h", Country: "CN",
			Purpose: record.DefaultPurpose(b.by), Scopes: scopes, Launch: launch}}
		if !ofHouse(b.action) {
			r.Patient = &access.Patient{Token: token, State: access.StateActive, Treats: true, Residency: true}
			r.Document = &access.Document{Kind: b.kind}
		}
		return e.Decide(r)
	}
	for _, b := range bounds() {
		resource, operation, _ := strings.Cut(b.needs, ".")
		others := strings.ReplaceAll("cruds", operation, "")
		for _, row := range []struct {
			scopes string
			allow  bool
		}{
			{"", true},
			{"user/" + b.needs, true},
			{"system/" + b.needs, true},
			{"user/*." + operation, true},
			{"user/*.cruds", true},
			{"user/Patient.r user/" + b.needs, true},
			{"user/" + resource + "." + others, false},
			{"user/*." + others, false},
			{"user/Patient.cruds", false},
			{"user/" + b.needs + "?status=final", false},
			{"patient/" + b.needs, false}, // launched for nobody
			{"user/" + b.needs + "x", false},
			{"user/", false},
		} {
			d := decide(b, row.scopes, "")
			if d.Allow != row.allow {
				t.Errorf("%s (%s) with %q: %+v; want allow %v", b.action, b.kind, row.scopes, d, row.allow)
			}
			if !row.allow && d.Reason != access.ReasonScope {
				t.Errorf("%s with %q: reason %q; want %s", b.action, row.scopes, d.Reason, access.ReasonScope)
			}
			if row.allow && row.scopes != "" && !strings.HasSuffix(row.scopes, d.Scope) {
				t.Errorf("%s with %q: allowed by %q", b.action, row.scopes, d.Scope)
			}
		}
		if ofHouse(b.action) {
			if d := decide(b, "patient/*.cruds", token); d.Allow {
				t.Errorf("%s by a token launched for a patient: allowed", b.action)
			}
			continue
		}
		if d := decide(b, "patient/"+b.needs, token); !d.Allow {
			t.Errorf("%s for the patient of the launch: %+v; want allowed", b.action, d)
		}
		if d := decide(b, "patient/"+b.needs, "pbbbbbbbbbbbbbbbbbbbbbbbbbb"); d.Allow {
			t.Errorf("%s for another than the patient of the launch: allowed", b.action)
		}
	}
}

// A scope permits nothing, and its refusal shows nobody what they may not know.
func TestScopesArePermissionForNothing(t *testing.T) {
	e := engine(t)
	read := func(treats bool, scopes string) access.Decision {
		return e.Decide(access.Request{Standing: "good", Action: record.ActionRead, Now: noon, Document: &access.Document{Kind: record.KindDICOM},
			Actor:   record.Actor{ID: "x", Role: "clinician", Purpose: "TREAT", Scopes: scopes},
			Patient: &access.Patient{Token: token, State: access.StateActive, Treats: treats, Residency: true}})
	}
	if d := read(false, "user/*.cruds"); d.Allow || d.Reason != access.ReasonCare || d.MayKnow {
		t.Errorf("every scope, no care: %+v; want no-care-relationship and nothing known", d)
	}
	if d := read(true, "user/ImagingStudy.s"); d.Allow || d.Reason != access.ReasonScope || !d.MayKnow {
		t.Errorf("care, scope to search only: %+v; want %s, known", d, access.ReasonScope)
	}
	if d := read(false, "user/ImagingStudy.s"); d.Allow || d.MayKnow {
		t.Errorf("neither: %+v; want nothing known", d)
	}
}

// Every action of the vault is in the table above, or takes a scope for everything.
func TestActionsWithoutAScopeTakeThemAll(t *testing.T) {
	in := make(map[record.Action]bool)
	for _, b := range bounds() {
		in[b.action] = true
	}
	f, err := parser.ParseFile(gotoken.NewFileSet(), "../record/record.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Action") {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		seen++
		action := record.Action(text)
		if in[action] {
			return true
		}
		t.Logf("%s takes a scope for everything", action)
		if access.Covers(record.Actor{Scopes: "user/*.crud system/*.r user/Basic.cruds"}, action) || !access.Covers(record.Actor{Scopes: "user/*.cruds"}, action) {
			t.Errorf("%s is covered by less than *.cruds, or not by it", action)
		}
		return true
	})
	if seen < len(in) {
		t.Errorf("found %d actions; there are at least %d", seen, len(in))
	}
}
