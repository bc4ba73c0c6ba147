// Package promises is what patients were promised about who may do what, as a table to
// test against. It was written from the data protection policy, clause by clause, and not
// from the access policies: where the two differ, one of them is wrong.
package promises

import (
	"slices"
	"strings"

	"medvault/vault/record"
)

// Cell is one question: everything the promises make an act depend on.
type Cell struct {
	Role     record.Role
	Standing string // by the staff register; "good", "self" of patients and guardians
	Purpose  record.Purpose
	Action   record.Action
	About    string // "patient" or "house"

	// Of the patient, as whoever acts stands to them.
	State    string // "active", "frozen", "erased"; "" before the first document
	Treats   bool
	Research bool // written consent to research
	Refused  bool // the patient has refused or restricted this use
	Limited  bool // processing is limited to storage and legal claims
	Kept     bool // whoever acts is abroad, and no written consent covers it

	// Of the one document, where the act is about one.
	Held bool // nobody has looked at its de-identified view yet
	PDF  bool

	Age
}

// Age is a child's; the zero Age is of somebody who is no child.
type Age struct {
	Minor           bool
	GuardianConsent bool // written
	Essential       bool // whoever acts is stated as essential to the treatment
	Emergency       bool // whoever acts has stated an emergency, which is still open
	Own             bool // whoever acts is the patient
	Guardian        bool // whoever acts is the patient's guardian
}

// grant is a line of what the policy lets somebody do.
type grant struct {
	clause   string
	role     record.Role
	actions  string
	purposes string
	to       string // "house", "any" patient, "own" patients, "consented" patients, "self", "child", "emergency"
	view     record.View
}

func grants() []grant {
	return []grant{
		{"4.1", "radiology", "document.store", "TREAT", "house any", ""},
		{"4.1", "clinician", "document.store", "TREAT", "house any", ""},
		{"3.3", "clinician", "document.read document.search", "TREAT ETREAT", "own", "original"},
		{"3.3", "clinician", "document.read document.search", "ETREAT", "emergency", "original"},
		{"3.3", "clinician", "document.search", "TREAT ETREAT", "house", "original"},
		{"4.2", "clinician", "document.read document.search", "HQUALIMP HOPERAT", "own", "deidentified"},
		{"4.2", "clinician", "document.search", "HQUALIMP HOPERAT", "house", "deidentified"},
		{"4.2", "quality", "document.read", "HQUALIMP HOPERAT", "any", "deidentified"},
		{"4.2", "quality", "document.search", "HQUALIMP HOPERAT", "house any", "deidentified"},
		{"4.2", "quality", "document.export", "HQUALIMP", "any", "deidentified"},
		{"4.2", "reviewer", "document.read", "HQUALIMP HOPERAT", "any", "deidentified"},
		{"4.2", "reviewer", "document.search", "HQUALIMP HOPERAT", "house any", "deidentified"},
		{"4.2", "researcher", "document.read", "HRESCH", "consented", "deidentified"},
		{"4.2", "researcher", "document.search", "HRESCH", "house consented", "deidentified"},
		{"4.2", "researcher", "document.export", "HRESCH", "consented", "deidentified"},
		// A search itself shows only what a line here gives, patient by patient.
		{"5.1", "patient", "document.read document.search", "PATRQT", "house self", "original"},
		{"5.1", "patient", "document.export", "PATRQT", "self", "original"},
		{"9.3", "guardian", "document.read document.search", "PATRQT", "house child", "original"},
		{"9.3", "guardian", "document.export", "PATRQT", "child", "original"},
		{"3.3", "admin", "care.add care.end care.list", "HSYSADMIN HOPERAT", "any", ""},
		{"10.1", "dpo", "care.add care.end care.list", "HCOMPL", "any", ""},
		{"3.6", "auditor", "care.list", "HCOMPL", "any", ""},
		{"3.3", "clinician", "care.list", "TREAT ETREAT", "own", ""},
		{"5.4", "admin", "consent.add consent.withdraw consent.list", "HSYSADMIN HOPERAT", "any", ""},
		{"5.4", "dpo", "consent.add consent.withdraw consent.list", "HCOMPL", "any", ""},
		{"3.6", "auditor", "consent.list", "HCOMPL", "any", ""},
		{"5.4", "clinician", "consent.list", "TREAT ETREAT", "own", ""},
		{"5.4", "patient", "consent.add consent.withdraw consent.list care.list", "PATRQT", "self", ""},
		{"9.3", "guardian", "consent.add consent.withdraw consent.list care.list", "PATRQT", "child", ""},
		{"3.4", "dpo", "audit.read", "HCOMPL", "house any", ""},
		{"3.4", "auditor", "audit.read", "HCOMPL", "house any", ""},
		{"3.5", "operator", "regions.list", "HSYSADMIN HOPERAT", "house", ""},
		{"3.5", "admin", "regions.list keys.rotate", "HSYSADMIN HOPERAT", "house", ""},
		{"7.1", "dpo", "incident.work incident.read", "HCOMPL", "house", ""},
		{"7.1", "admin", "incident.work incident.read", "HSYSADMIN HOPERAT", "house", ""},
		{"7.2", "dpo", "patient.freeze patient.thaw", "HCOMPL", "house", ""},
		{"7.2", "admin", "patient.freeze patient.thaw", "HSYSADMIN HOPERAT", "house", ""},
		{"3.6", "auditor", "incident.read evidence.read", "HCOMPL", "house", ""},
		{"2.1", "dpo", "evidence.read", "HCOMPL", "house", ""},
		{"2.1", "admin", "evidence.read", "HSYSADMIN HOPERAT", "house", ""},
		{"3.7", "admin", "staff.manage", "HSYSADMIN HOPERAT", "house", ""},
	}
}

// Limit is a promise that stands above every grant.
type Limit struct {
	Clause, Says string
	Forbids      func(Cell) bool
}

// Limits are the promises that forbid, in the order of the policy.
func Limits() []Limit {
	return []Limit{
		{"2.2", "staff of an institution whose agreement has expired", standing("agreement-expired")},
		{"3.3", "whoever is not on the register of this vault's staff, in this role, and active",
			standing("", "not-on-register", "role-not-registered", "role-ambiguous", "suspended", "institution-suspended")},
		{"3.7", "whoever was not trained within a year", standing("training-expired")},
		{"4.2", "a de-identified view that waits to be redacted, or for somebody to look at it", func(c Cell) bool {
			return c.Action == "document.read" && c.Held && !identifies(c.Purpose)
		}},
		{"5.3", "anything with a patient who was erased", func(c Cell) bool { return c.patient() && c.State == "erased" }},
		{"5.4", "a use that the patient has refused", func(c Cell) bool { return c.content() && c.Refused }},
		{"5.4", "a reading of what is limited to storage and legal claims, but by the patient or guardian", func(c Cell) bool {
			return c.reads() && c.Limited && !(c.Purpose == "PATRQT" && (c.Own || c.Guardian))
		}},
		{"7.2", "anything with a patient who is frozen", func(c Cell) bool { return c.patient() && c.State == "frozen" }},
		{"8.1", "documents of patients at home to somebody abroad without written consent", func(c Cell) bool { return c.content() && c.Kept }},
		{"9.1", "a child's documents without a guardian's written consent, but to essential staff in an emergency", func(c Cell) bool {
			// Not listed, not abroad, read by none else.
			return c.reads() && c.Minor && !c.GuardianConsent &&
				!(c.Action == "document.read" && c.Role == "clinician" && c.Purpose == "ETREAT" && c.Essential && c.Emergency)
		}},
		{"9.2", "a child's documents to anybody but essential staff and the guardian", func(c Cell) bool {
			return c.reads() && c.Minor && !(c.Role == "clinician" && c.Essential) && !(c.Role == "guardian" && c.Guardian)
		}},
		{"9.3", "a guardian of somebody who is of age, and a child alone", func(c Cell) bool {
			return c.patient() && (c.Role == "guardian" && c.Guardian && !c.Minor || c.Role == "patient" && c.Minor)
		}},
	}
}

func standing(bad ...string) func(Cell) bool {
	return func(c Cell) bool { return slices.Contains(bad, c.Standing) }
}

// identifies says for which purposes anybody sees who the patient is.
func identifies(p record.Purpose) bool { return p == "TREAT" || p == "ETREAT" || p == "PATRQT" }

func (c Cell) patient() bool { return c.About == "patient" }

func (c Cell) content() bool { return c.patient() && strings.HasPrefix(string(c.Action), "document.") }

func (c Cell) reads() bool { return c.content() && c.Action != "document.store" }

// Decide says what the promises make of a cell, and by which clause.
func Decide(c Cell) (view record.View, allowed bool, clause string) {
	for _, l := range Limits() {
		if l.Forbids(c) {
			return "", false, l.Clause
		}
	}
	if c.patient() && c.State != "active" && !(c.State == "" && c.Action == "document.store") {
		return "", false, "1.1" // there is nobody
	}
	for _, g := range grants() {
		if g.role == c.Role && has(g.actions, string(c.Action)) && has(g.purposes, string(c.Purpose)) && g.reaches(c) {
			return g.view, true, g.clause
		}
	}
	return "", false, "3.3" // what nothing lets anybody do
}

func (g grant) reaches(c Cell) bool {
	if !c.patient() {
		return has(g.to, "house")
	}
	return has(g.to, "any") || has(g.to, "own") && c.Treats || has(g.to, "consented") && c.Research ||
		has(g.to, "self") && c.Own || has(g.to, "child") && c.Guardian || has(g.to, "emergency") && c.Emergency
}

func has(list, word string) bool { return word != "" && slices.Contains(strings.Fields(list), word) }
