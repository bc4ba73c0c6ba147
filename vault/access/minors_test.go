package access_test

import (
	"testing"

	"medvault/vault/access"
	"medvault/vault/record"
)

// Who may be at a child's documents, and at those of a patient whom they do not treat in
// an emergency: written without looking at the policies.
func TestChildrenAndEmergencies(t *testing.T) {
	e := engine(t)
	ct := &access.Document{Kind: record.KindDICOM}
	of := func(set ...string) *access.Patient {
		p := &access.Patient{Token: token, State: "active", Residency: true}
		for _, s := range set {
			switch s {
			case "treats":
				p.Treats = true
			case "essential":
				p.Treats, p.Essential = true, true
			case "minor":
				p.Minor = true
			case "consent":
				p.GuardianConsent = true
			case "emergency":
				p.Emergency = true
			case "own":
				p.Own = true
			case "guardian":
				p.Guardian = true
			case "research":
				p.Research = true
			}
		}
		return p
	}
	const allowed = ""
	for _, row := range []struct {
		role    record.Role
		purpose record.Purpose
		action  record.Action
		patient *access.Patient
		reason  string
	}{
		{"clinician", "TREAT", "document.read", of("minor", "essential"), "guardian-consent-missing"},
		{"clinician", "ETREAT", "document.read", of("minor", "essential"), "guardian-consent-missing"},
		{"clinician", "ETREAT", "document.read", of("minor", "essential", "emergency"), allowed},
		{"clinician", "ETREAT", "document.search", of("minor", "essential", "emergency"), "guardian-consent-missing"},
		{"clinician", "ETREAT", "document.read", of("minor", "treats", "emergency"), "guardian-consent-missing"},
		{"clinician", "ETREAT", "document.read", of("minor", "emergency"), "guardian-consent-missing"},
		{"clinician", "ETREAT", "breakglass.open", of("minor", "treats"), "essential-staff-only"},
		{"clinician", "ETREAT", "breakglass.open", of("minor", "essential"), allowed},
		{"clinician", "TREAT", "document.read", of("minor", "consent", "essential"), allowed},
		{"clinician", "TREAT", "document.search", of("minor", "consent", "essential"), allowed},
		{"clinician", "TREAT", "document.read", of("minor", "consent", "treats"), "essential-staff-only"},
		{"clinician", "ETREAT", "document.read", of("minor", "consent", "emergency"), "essential-staff-only"},
		{"quality", "HQUALIMP", "document.read", of("minor", "consent"), "essential-staff-only"},
		{"reviewer", "HQUALIMP", "review.read", of("minor", "consent"), "essential-staff-only"},
		{"researcher", "HRESCH", "document.read", of("minor", "consent", "research"), "essential-staff-only"},
		{"quality", "HQUALIMP", "document.export", of("minor"), "guardian-consent-missing"},
		{"guardian", "PATRQT", "document.read", of("minor", "guardian"), "guardian-consent-missing"},
		{"guardian", "PATRQT", "document.read", of("minor", "consent", "guardian"), allowed},
		{"guardian", "PATRQT", "document.read", of("minor", "consent"), "role-not-permitted"},
		{"guardian", "PATRQT", "consent.add", of("minor", "guardian"), allowed},
		{"guardian", "PATRQT", "consent.add", of("guardian"), "guardian-ended"},
		{"guardian", "PATRQT", "document.read", of("guardian"), "guardian-ended"},
		{"patient", "PATRQT", "document.read", of("own"), allowed},
		{"patient", "PATRQT", "document.read", of("own", "minor", "consent"), "guardian-acts"},
		{"patient", "PATRQT", "consent.add", of("own", "minor", "consent"), "guardian-acts"},
		{"patient", "PATRQT", "document.read", of(), "role-not-permitted"},
		{"clinician", "TREAT", "document.read", of("treats"), allowed},
		{"clinician", "ETREAT", "document.read", of("emergency"), allowed},
		{"clinician", "TREAT", "document.read", of("emergency"), "no-care-relationship"},
		{"clinician", "TREAT", "breakglass.open", of(), "role-not-permitted"},
		{"radiology", "TREAT", "breakglass.open", of(), "role-not-permitted"},
		{"quality", "HQUALIMP", "breakglass.open", of(), "role-not-permitted"},
		{"dpo", "HCOMPL", "document.read", of("emergency"), "role-not-permitted"},
		{"quality", "HQUALIMP", "document.read", of("emergency"), allowed}, // as without
	} {
		got := e.Decide(access.Request{Standing: "good", Action: row.action, Now: noon, Patient: row.patient, Document: ct,
			Actor: record.Actor{ID: "u1", Role: row.role, Purpose: row.purpose, Country: "CN"}})
		if got.Allow != (row.reason == allowed) || got.Reason != row.reason {
			t.Errorf("%s for %s does %s to %+v: allow %v, reason %q; want reason %q", row.role, row.purpose, row.action, *row.patient, got.Allow, got.Reason, row.reason)
		}
	}
}
