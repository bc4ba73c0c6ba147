# The access policies about documents, in OPA's language, for comparison of what a
# decision costs. The product does not use them.
package medvault

import rego.v1

default allow := false

allow if {
	count(permits) > 0
	count(forbids) == 0
}

treatment := {"TREAT", "ETREAT"}

quality := {"HQUALIMP", "HOPERAT"}

reads := {"document.read", "document.search"}

content := {"document.store", "document.read", "document.search", "document.export"}

p := input.principal

r := input.resource

permits contains "clinician-treats" if {
	input.action in reads
	p.role == "clinician"
	p.purpose in treatment
	r.treats
}

permits contains "clinician-emergency" if {
	input.action in reads
	p.role == "clinician"
	p.purpose == "ETREAT"
	r.emergency
}

permits contains "clinician-own-quality" if {
	input.action in reads
	p.role == "clinician"
	p.purpose in quality
	r.treats
}

permits contains "quality-deidentified" if {
	input.action in reads
	p.role in {"quality", "reviewer"}
	p.purpose in quality
}

permits contains "research-consented" if {
	input.action in reads
	p.role == "researcher"
	p.purpose == "HRESCH"
	r.research
}

permits contains "own-documents" if {
	input.action in reads
	p.role == "patient"
	p.purpose == "PATRQT"
	r.own
}

permits contains "guardian-documents" if {
	input.action in reads
	p.role == "guardian"
	p.purpose == "PATRQT"
	r.guardian
}

forbids contains "not-on-register" if not p.standing in {"good", "house", "self", "role-not-registered", "role-ambiguous", "suspended", "institution-suspended", "agreement-expired", "training-expired"}

forbids contains "standing-self" if {
	p.standing == "self"
	not p.role in {"patient", "guardian"}
}

forbids contains "role-of-register" if p.standing in {"role-not-registered", "role-ambiguous"}

forbids contains "suspended" if p.standing == "suspended"

forbids contains "institution-suspended" if p.standing == "institution-suspended"

forbids contains "agreement-expired" if p.standing == "agreement-expired"

forbids contains "training-expired" if p.standing == "training-expired"

purpose_of_role := {
	"radiology": {"TREAT"},
	"clinician": {"TREAT", "ETREAT", "HQUALIMP", "HOPERAT"},
	"quality": quality,
	"reviewer": quality,
	"researcher": {"HRESCH"},
	"operator": {"HSYSADMIN", "HOPERAT"},
	"admin": {"HSYSADMIN", "HOPERAT"},
	"dpo": {"HCOMPL"},
	"auditor": {"HCOMPL"},
	"patient": {"PATRQT"},
	"guardian": {"PATRQT"},
}

forbids contains "purpose-of-role" if not p.purpose in purpose_of_role[p.role]

forbids contains "purposes-of-documents" if not p.purpose in {"TREAT", "ETREAT", "PATRQT", "HOPERAT", "HQUALIMP", "HRESCH"}

forbids contains "treated-by-those-who-treat" if {
	p.purpose in {"TREAT", "ETREAT", "PATRQT"}
	not involved
}

involved if {
	p.purpose != "PATRQT"
	r.treats
}

involved if {
	p.purpose == "ETREAT"
	r.emergency
}

involved if {
	p.purpose == "PATRQT"
	r.own
}

involved if {
	p.purpose == "PATRQT"
	r.guardian
}

forbids contains "research-with-consent" if {
	p.purpose == "HRESCH"
	not r.research
}

forbids contains "guardian-ended" if {
	p.role == "guardian"
	r.guardian
	not r.minor
}

forbids contains "guardian-acts" if {
	p.role == "patient"
	r.minor
}

forbids contains "quarantine" if {
	input.action in content
	r.minor
	not r.guardianConsent
	not essential_emergency
}

essential_emergency if {
	input.action == "document.read"
	p.role == "clinician"
	p.purpose == "ETREAT"
	r.essential
	r.emergency
}

forbids contains "minor-essential-staff" if {
	r.minor
	not for_the_child
}

for_the_child if {
	p.role == "clinician"
	r.essential
}

for_the_child if {
	p.role == "guardian"
	r.guardian
}

forbids contains "erased" if r.state == "erased"

forbids contains "frozen" if r.state == "frozen"

forbids contains "unknown-patient" if not r.state in {"active", "frozen", "erased"}

forbids contains "residency" if {
	input.action in content
	not r.residency
}

forbids contains "restricted" if {
	input.action in content
	r.restricted
}

forbids contains "held" if {
	input.context.held != ""
	not p.purpose in {"TREAT", "ETREAT", "PATRQT"}
}
