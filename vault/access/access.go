// Package access answers one question: may this actor do this, and in which view?
// The rules are the Cedar policies under policies/, written to be read by whoever
// answers for them. It is pure: no clock, no database, no log.
//
// Nothing is permitted by default, a forbid beats every permit, and whatever cannot
// be decided (a request outside the schema, a policy that errs) is refused.
package access

import (
	"slices"
	"strings"
	"time"

	"medvault/vault/record"
)

// States of a patient. StateNone is a patient without a first document.
const (
	StateNone   = ""
	StateActive = "active"
	StateFrozen = "frozen"
	StateErased = "erased"
)

// Reasons that are not the @reason of a forbid in policies/.
const (
	ReasonNoIdentity = "no-identity"        // zero actor, or one without id or role
	ReasonRequest    = "request-invalid"    // the action does not apply to what was named
	ReasonPolicy     = "policy-error"       // a policy erred; the decision cannot be trusted
	ReasonRole       = "role-not-permitted" // no purpose and no relationship would help
	ReasonPurpose    = "purpose-not-permitted"
	ReasonCare       = "no-care-relationship"
	ReasonResearch   = "no-research-consent"
	ReasonEmergency  = "emergency-reason-required" // ETREAT without a care relationship needs its reason first
)

// Request is one act to decide. Everything it depends on is in it.
type Request struct {
	Actor    record.Actor
	Standing string // by the staff register: a value of vault/staff; "" is on no register
	Action   record.Action
	Now      time.Time
	Patient  *Patient    // nil: not about one patient; a store or search before the patient is known
	Document *Document   // nil: not about one document; a de-identified read of it is refused as held
	Origin   string      // how the request came in: "http", "dimse", "job"
	Kind     record.Kind // of a document that is only coming; 0: not known
}

// Patient is what the decision needs to know of a patient, as seen by the actor.
// The zero value permits nothing but a refusal: Residency must be proven true.
type Patient struct {
	Token      record.PatientToken
	State      string // StateActive, StateFrozen, StateErased or StateNone
	Treats     bool   // the actor has a live care relationship
	Research   bool   // written research consent is on record
	Restricted bool   // the patient has restricted the use of the documents
	Limited    bool   // processing is limited to storage and legal claims
	Residency  bool   // the rules of residency let this actor at the documents

	Minor           bool // under age, by the birth date and the calendar at home
	GuardianConsent bool // a guardian has agreed in writing to the treatment of the child
	Essential       bool // the actor treats the patient as one without whom the treatment cannot go on
	Emergency       bool // the actor has broken the glass for this patient, and it is still open
	Own             bool // the actor is the patient
	Guardian        bool // the actor is on record as the patient's guardian
}

// Document is what the decision needs to know of one document.
type Document struct {
	Held string // why its de-identified view is held back; "" when it is not
	Kind record.Kind
}

// Decision is the answer; the zero Decision denies.
type Decision struct {
	Allow       bool
	View        record.View // of a read or search that is allowed
	Policies    []string    // ids of the policies that decided, in the order of the files
	Reason      string      // why not, kebab-case; "" when allowed
	Obligations []string    // what must also be done, from @obligation of the permits
	MayKnow     bool        // the refusal may say that there is something: 403, not 404
	Scope       string      // of the token, that covers what is allowed; "" when it has none
}

// Decide answers r. It is safe for concurrent use.
func (e *Engine) Decide(r Request) Decision {
	if r.Actor.ID == "" || r.Actor.Role == "" {
		return Decision{Reason: ReasonNoIdentity}
	}
	a := e.askOf(r)
	if e.check(a) != nil || a.request.Action == know() {
		return Decision{Reason: ReasonRequest}
	}
	allowed, by, err := e.evaluate(e.of(a.request.Action).all, a)
	policies := by.ids()
	if err != nil {
		return Decision{Reason: ReasonPolicy, Policies: policies}
	}
	if !allowed {
		return Decision{Reason: e.why(r, a, by), Policies: policies, MayKnow: e.mayKnow(r, a)}
	}
	scope, covered := covers(r)
	if !covered {
		// Said only to those who may know: for others a token's bound must not tell that
		// there is something behind it.
		return Decision{Reason: ReasonScope, Policies: policies, MayKnow: e.mayKnow(r, a)}
	}
	d := Decision{Allow: true, Policies: policies, MayKnow: true, Scope: scope}
	for _, rule := range by {
		d.View = narrower(d.View, rule.View)
		if o := rule.Obligation; o != "" && !slices.Contains(d.Obligations, o) {
			d.Obligations = append(d.Obligations, o)
		}
	}
	if d.View == record.ViewOriginal && content(r.Action) && !identified(r.Actor.Purpose) {
		d.View = record.ViewDeidentified // whatever a deployment's permit says
	}
	if d.View == record.ViewNone && (r.Action == record.ActionRead || r.Action == record.ActionSearch) {
		// A permit that does not say what may be seen permits nothing.
		return Decision{Reason: ReasonPolicy, Policies: policies}
	}
	return d
}

// content are the actions on documents themselves.
func content(a record.Action) bool {
	return strings.HasPrefix(string(a), "document.") || strings.HasPrefix(string(a), "review.")
}

// identified are the purposes for which anybody sees who a patient is.
func identified(p record.Purpose) bool {
	return p == record.PurposeTreat || p == record.PurposeETreat || p == record.PurposePatient
}

// narrower keeps the view that shows less when several permits apply.
func narrower(a, b record.View) record.View {
	if a == record.ViewDeidentified || b == record.ViewDeidentified {
		return record.ViewDeidentified
	}
	if a == record.ViewNone {
		return b
	}
	return a
}

// why names the reason of a refusal: what stands in the way of an act that is
// permitted otherwise, or else the first thing that is missing. It asks the permits
// alone, so it cannot disagree with them, and names a patient's state only to those
// who would be let in but for that state.
func (e *Engine) why(r Request, a ask, by rules) string {
	if e.permitted(a) && len(by) > 0 {
		return by[0].Reason
	}
	if r.Patient != nil {
		with := *r.Patient
		r.Patient = &with
		if r.Actor.Purpose == record.PurposeETreat {
			if with.Emergency = true; e.wouldPermit(r) {
				return ReasonEmergency
			}
		}
		if with.Treats = true; e.wouldPermit(r) {
			return ReasonCare
		}
		if with.Research = true; e.wouldPermit(r) {
			return ReasonResearch
		}
	}
	r.Actor.Purpose = record.DefaultPurpose(r.Actor.Role)
	if e.wouldPermit(r) {
		return ReasonPurpose
	}
	return ReasonRole
}

// wouldPermit asks the permits about a request that differs from a checked one in
// values only.
func (e *Engine) wouldPermit(r Request) bool { return e.permitted(e.askOf(r)) }

func (e *Engine) permitted(a ask) bool {
	ok, _, err := e.evaluate(e.of(a.request.Action).permits, a)
	return ok && err == nil
}

// mayKnow says whether a refusal may be told apart from absence.
func (e *Engine) mayKnow(r Request, a ask) bool {
	if r.Patient == nil {
		return true // it speaks of the role and the purpose, of nobody else
	}
	if r.Action == record.ActionStore {
		return true // whoever sends a document has it
	}
	if r.Patient.State == StateNone {
		return false // there is nothing to know
	}
	a.request.Action = know()
	ok, _, err := e.evaluate(e.of(a.request.Action).all, a)
	return ok && err == nil
}
