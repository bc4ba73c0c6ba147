package access

import (
	"errors"
	"slices"
	"strings"

	"medvault/vault/record"
)

// ReasonScope: the policies permit the act, the scopes of the token do not.
const ReasonScope = "scope-not-granted"

// Scope is one SMART on FHIR scope: what an application may do for whoever let it in.
// Scopes are an upper bound. They never permit what the policies refuse.
type Scope struct {
	Context    string // "patient": the one patient the token was launched for; "user" or "system"
	Resource   string // a FHIR resource type, or "*"
	Operations string // some of "cruds", in that order
	// Narrowed: the scope is for some resources of the type only (?category=…). The vault
	// cannot tell which, so such a scope grants nothing.
	Narrowed bool
}

// ParseScope reads one scope of SMART App Launch 2.2 (patient/ImagingStudy.rs), or of
// version 1 in its words (.read is rs, .write is cud, .* is cruds).
func ParseScope(s string) (Scope, error) {
	bad := errors.New("a scope must be patient, user or system, /, a FHIR resource type or *, and some of .cruds in that order")
	context, rest, ok := strings.Cut(s, "/")
	if !ok || !slices.Contains([]string{"patient", "user", "system"}, context) {
		return Scope{}, bad
	}
	rest, _, narrowed := strings.Cut(rest, "?")
	resource, operations, ok := strings.Cut(rest, ".")
	if !ok || !resourceType(resource) {
		return Scope{}, bad
	}
	switch operations {
	case "read":
		operations = "rs"
	case "write":
		operations = "cud"
	case "*":
		operations = "cruds"
	}
	if !inOrder(operations) {
		return Scope{}, bad
	}
	return Scope{context, resource, operations, narrowed}, nil
}

// String is the scope in version 2 without what narrows it.
func (s Scope) String() string { return s.Context + "/" + s.Resource + "." + s.Operations }

func resourceType(s string) bool {
	if s == "*" {
		return true
	}
	letters := strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
	return letters && s != "" && s[0] >= 'A' && s[0] <= 'Z' && len(s) <= 64
}

// inOrder says whether s is some letters of "cruds", each at most once, in that order.
func inOrder(s string) bool {
	next := 0
	for _, c := range s {
		at := strings.IndexRune("cruds"[next:], c)
		if at < 0 {
			return false
		}
		next += at + 1
	}
	return s != ""
}

// need is what an act takes: one of some resource types, and an operation.
type need struct {
	resources []string
	operation byte
}

// needOf says what scope an action takes. Regions, keys and credentials have no
// resource of their own in FHIR. An action that is not here takes a scope for
// everything (*.cruds).
func needOf(a record.Action, k record.Kind) (need, bool) {
	of := func(operation byte, resources ...string) (need, bool) { return need{resources, operation}, true }
	switch a {
	case record.ActionStore:
		return of('c', documents(k)...)
	case record.ActionRead:
		return of('r', documents(k)...)
	case record.ActionSearch:
		return of('s', documents(k)...)
	case record.ActionExport:
		return of('r', "ImagingStudy")
	case record.ActionCareAdd:
		return of('c', "CareTeam")
	case record.ActionCareEnd:
		return of('u', "CareTeam")
	case record.ActionCareList:
		return of('s', "CareTeam")
	case record.ActionConsentAdd:
		return of('c', "Consent")
	case record.ActionConsentWithdraw:
		return of('u', "Consent")
	case record.ActionConsentList:
		return of('s', "Consent")
	case record.ActionGuardianAdd:
		return of('c', "RelatedPerson")
	case record.ActionGuardianEnd:
		return of('u', "RelatedPerson")
	case record.ActionGuardianList:
		return of('s', "RelatedPerson")
	case record.ActionCorrect, record.ActionUncorrect:
		return of('u', "Person")
	case record.ActionCorrections:
		return of('r', "Person")
	case record.ActionBreakglassList:
		return of('s', "Flag")
	case record.ActionBreakglassReview:
		return of('u', "Flag")
	case record.ActionCaseList:
		return of('s', "Task")
	case record.ActionCaseRead:
		return of('r', "Task")
	case record.ActionCaseRequest:
		return of('c', "Task")
	case record.ActionCaseWork:
		return of('u', "Task")
	case record.ActionRestrict:
		return of('c', "Consent")
	case record.ActionUnrestrict:
		return of('u', "Consent")
	case record.ActionRestricted:
		return of('s', "Consent")
	case record.ActionDiscloseList:
		return of('s', "Communication")
	case record.ActionPolicyExplain:
		return of('r', "Basic")
	case record.ActionStaffManage:
		return of('u', "Practitioner")
	case record.ActionStaffList:
		return of('s', "Practitioner")
	case record.ActionAuditRead, record.ActionAccessLog:
		return of('r', "AuditEvent")
	case record.ActionAttest:
		return of('r', "Provenance")
	case record.ActionReviewList:
		return of('s', "Task")
	case record.ActionReviewRead, record.ActionRederiveRead:
		return of('r', "Task")
	case record.ActionReviewRelease, record.ActionReviewRefuse, record.ActionRederiveApprove:
		return of('u', "Task")
	case record.ActionRederivePropose:
		return of('c', "Task")
	case record.ActionErasePropose, record.ActionEraseSweep, record.ActionReadmit:
		return of('c', "Task")
	case record.ActionEraseApprove:
		return of('u', "Task")
	case record.ActionEraseList:
		return of('s', "Task")
	case record.ActionHoldAdd:
		return of('c', "Flag")
	case record.ActionHoldLift:
		return of('u', "Flag")
	case record.ActionHoldList:
		return of('s', "Flag")
	case record.ActionIncidentWork, record.ActionFindingWork, record.ActionReviewAccess:
		return of('u', "Task")
	case record.ActionIncidentRead, record.ActionAccessReview:
		return of('r', "Task")
	case record.ActionFindingList:
		return of('s', "Task")
	case record.ActionFreeze:
		return of('c', "Flag")
	case record.ActionThaw:
		return of('u', "Flag")
	case record.ActionEvidence:
		return of('r', "AuditEvent")
	case record.ActionRegions:
		return of('r', "Endpoint")
	case record.ActionVerify, record.ActionDecrypt:
		return of('c', "VerificationResult")
	case record.ActionRepair, record.ActionRegionsManage:
		return of('u', "Endpoint")
	case record.ActionDiscard:
		return of('d', "Endpoint")
	case record.ActionKeysStatus:
		return of('r', "Basic")
	case record.ActionKeysRotate:
		return of('u', "Basic")
	case record.ActionTokenCreate, record.ActionRevoke:
		return of('c', "Basic")
	case record.ActionTokenList, record.ActionRevocations:
		return of('s', "Basic")
	case record.ActionTokenRevoke, record.ActionReinstate:
		return of('d', "Basic")
	}
	return need{}, false
}

// documents are the resource types of a document; of one whose kind is not known yet,
// either will do.
func documents(k record.Kind) []string {
	switch k {
	case record.KindDICOM:
		return []string{"ImagingStudy"}
	case record.KindPDF, record.KindScan, record.KindFHIR:
		return []string{"DocumentReference"}
	}
	return []string{"ImagingStudy", "DocumentReference"}
}

// Covers says whether the scopes of the actor let it act so on some patient at least. It
// is no permission.
func Covers(a record.Actor, action record.Action) bool {
	_, ok := covers(Request{Actor: a, Action: action})
	return ok
}

// covers says which scope of the actor's lets it do this; without any scope nothing is
// bounded. What looks like a scope and is none grants nothing.
func covers(r Request) (granted string, ok bool) {
	if r.Actor.Scopes == "" {
		return "", true
	}
	for text := range strings.FieldsSeq(r.Actor.Scopes) {
		if s, err := ParseScope(text); err == nil && !s.Narrowed && s.covers(r) {
			return s.String(), true
		}
	}
	return "", false
}

func (s Scope) covers(r Request) bool {
	if s.Context == "patient" && !launchedFor(r) {
		return false
	}
	n, known := needOf(r.Action, r.kind())
	if !known {
		return s.Resource == "*" && s.Operations == "cruds"
	}
	return (s.Resource == "*" || slices.Contains(n.resources, s.Resource)) && strings.IndexByte(s.Operations, n.operation) >= 0
}

// launchedFor says whether the act is about the patient the token was launched for. A
// search, and a store whose patient is not known yet, are decided again patient by
// patient.
func launchedFor(r Request) bool {
	switch {
	case r.Actor.Launch == "":
		return false
	case r.Patient != nil:
		return r.Patient.Token == r.Actor.Launch
	}
	return r.Action == record.ActionSearch || r.Action == record.ActionStore
}

func (r Request) kind() record.Kind {
	if r.Document != nil && r.Document.Kind != 0 {
		return r.Document.Kind
	}
	return r.Kind
}
