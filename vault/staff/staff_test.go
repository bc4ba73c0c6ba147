package staff_test

import (
	"testing"
	"time"

	"medvault/vault/record"
	"medvault/vault/staff"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestWhoMayActAtAll(t *testing.T) {
	good := staff.Entry{Kind: staff.Person, State: staff.Active, Roles: []record.Role{record.RoleClinician, record.RoleQuality},
		Trained: noon.AddDate(0, -6, 0), Institution: staff.Institution{State: staff.Active, Agreement: noon.AddDate(1, 0, 0)}}
	with := func(change func(*staff.Entry)) *staff.Entry {
		e := good
		change(&e)
		return &e
	}
	for _, row := range []struct {
		name    string
		entry   *staff.Entry
		claimed record.Role
		want    string
		role    record.Role
	}{
		{"in good standing", &good, "clinician", staff.Good, "clinician"},
		{"in the other role", &good, "quality", staff.Good, "quality"},
		{"a role the register does not give", &good, "admin", staff.RoleNotRegistered, "admin"},
		{"several roles and none chosen", &good, "", staff.RoleAmbiguous, ""},
		{"the one role there is", with(func(e *staff.Entry) { e.Roles = e.Roles[:1] }), "", staff.Good, "clinician"},
		{"unknown", nil, "clinician", staff.NotOnRegister, "clinician"},
		{"a patient is no staff", nil, "patient", staff.Self, "patient"},
		{"a guardian is no staff", nil, "guardian", staff.Self, "guardian"},
		{"suspended", with(func(e *staff.Entry) { e.State = staff.Halted }), "clinician", staff.Suspended, "clinician"},
		{"no state", with(func(e *staff.Entry) { e.State = "" }), "clinician", staff.Suspended, "clinician"},
		{"institution suspended", with(func(e *staff.Entry) { e.Institution.State = staff.Halted }), "clinician", staff.InstitutionSuspended, "clinician"},
		{"institution unknown", with(func(e *staff.Entry) { e.Institution = staff.Institution{} }), "clinician", staff.InstitutionSuspended, "clinician"},
		{"last moment of the agreement", with(func(e *staff.Entry) { e.Institution.Agreement = noon.Add(time.Millisecond) }), "clinician", staff.Good, "clinician"},
		{"the agreement ends now", with(func(e *staff.Entry) { e.Institution.Agreement = noon }), "clinician", staff.AgreementExpired, "clinician"},
		{"never signed", with(func(e *staff.Entry) { e.Institution.Agreement = time.Time{} }), "clinician", staff.AgreementExpired, "clinician"},
		{"the house itself", with(func(e *staff.Entry) { e.Institution.Own, e.Institution.Agreement = true, time.Time{} }), "clinician", staff.Good, "clinician"},
		{"trained a year ago less a moment", with(func(e *staff.Entry) { e.Trained = noon.AddDate(-1, 0, 0).Add(time.Second) }), "clinician", staff.Good, "clinician"},
		{"trained a year ago", with(func(e *staff.Entry) { e.Trained = noon.AddDate(-1, 0, 0) }), "clinician", staff.TrainingExpired, "clinician"},
		{"never trained", with(func(e *staff.Entry) { e.Trained = time.Time{} }), "clinician", staff.TrainingExpired, "clinician"},
		{"a modality is not trained", with(func(e *staff.Entry) { e.Kind, e.Trained = staff.Service, time.Time{} }), "clinician", staff.Good, "clinician"},
		{"a modality needs an agreement", with(func(e *staff.Entry) { e.Kind, e.Institution.Agreement = staff.Service, noon }), "clinician", staff.AgreementExpired, "clinician"},
		{"the zero entry", new(staff.Entry), "clinician", staff.Suspended, "clinician"},
	} {
		got, role := staff.Of(row.entry, row.claimed, noon)
		if got != row.want || role != row.role {
			t.Errorf("%s: %s as %q; want %s as %q", row.name, got, role, row.want, row.role)
		}
		if allowed := got == staff.Good || got == staff.Self; allowed == (staff.Advice(got) != "") {
			t.Errorf("%s: advice %q", got, staff.Advice(got))
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, row := range []struct {
		name  string
		ends  time.Duration // until training ends
		kind  string
		warns bool
	}{
		{"half a year", 180 * 24 * time.Hour, staff.Person, false},
		{"31 days", 31 * 24 * time.Hour, staff.Person, false},
		{"30 days", 30 * 24 * time.Hour, staff.Person, true},
		{"a minute", time.Minute, staff.Person, true},
		{"over", 0, staff.Person, false},
		{"a modality", time.Minute, staff.Service, false},
	} {
		e := staff.Entry{Kind: row.kind, Trained: noon.Add(row.ends).AddDate(-1, 0, 0), Institution: staff.Institution{Agreement: noon.AddDate(3, 0, 0)}}
		got := staff.Warnings(&e, noon)
		if (len(got) == 1) != row.warns || row.warns && got[0] != (staff.Warning{Reason: staff.TrainingExpired, At: e.TrainingEnds()}) {
			t.Errorf("%s: %v", row.name, got)
		}
	}
	e := staff.Entry{Kind: staff.Person, Trained: noon, Institution: staff.Institution{Agreement: noon.AddDate(0, 0, 3)}}
	if got := staff.Warnings(&e, noon); len(got) != 1 || got[0].Reason != staff.AgreementExpired {
		t.Errorf("agreement about to end: %v", got)
	}
	if e.Institution.Own = true; len(staff.Warnings(&e, noon)) != 0 {
		t.Error("the house is warned of its agreement with itself")
	}
}
