package access

import (
	"slices"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go/types"

	"medvault/vault/record"
)

// Unused lists the ids of policies that decide no request: of every role for every
// purpose, in every standing, to the house and to patients and documents of every state.
// A typing error in a value, which no schema finds, shows here, and a permit of what a
// limit always forbids. Policies about countries, institutions or the time are not tried.
func (e *Engine) Unused() []string {
	used := make(map[string]bool)
	for _, r := range e.rules {
		used[r.ID] = r.untried() || slices.ContainsFunc(e.actions(r), func(a record.Action) bool { return e.decidesSomething(r, a) })
	}
	unused := []string{}
	for _, r := range e.rules {
		if !used[r.ID] {
			unused = append(unused, r.ID)
		}
	}
	return unused
}

func (r *rule) untried() bool {
	text := string(r.policy.MarshalCedar())
	return slices.ContainsFunc([]string{"principal.country", "principal.institution", "context.now"}, func(fact string) bool {
		return strings.Contains(text, fact)
	})
}

// actions that a rule can say anything about.
func (e *Engine) actions(r *rule) (actions []record.Action) {
	for _, a := range actionsOf(r.policy) {
		actions = append(actions, record.Action(a.ID))
	}
	if actions == nil {
		for a := range e.byAction {
			actions = append(actions, record.Action(a.ID))
		}
		slices.Sort(actions)
	}
	return actions
}

// standings of the staff register in which a rule might decide something.
func (r *rule) standings() []string {
	if !r.Forbids {
		return []string{"good", "self"}
	}
	return []string{"good", "self", "", "role-not-registered", "role-ambiguous", "suspended", "institution-suspended",
		"agreement-expired", "training-expired"}
}

// decidesSomething looks for a request of that action that a forbid applies to, or that
// is allowed because of a permit.
func (e *Engine) decidesSomething(r *rule, action record.Action) bool {
	among := rules{r}
	if !r.Forbids {
		among = e.of(types.NewEntityUID("Action", types.String(action))).all
	}
	for _, role := range append(record.Roles(), record.RoleInterface) {
		for _, purpose := range []record.Purpose{record.PurposeTreat, record.PurposeETreat, record.PurposePatient, record.PurposeOperate,
			record.PurposeQuality, record.PurposeResearch, record.PurposePayment, record.PurposeSystem, record.PurposeCompl} {
			for request := range probes(record.Actor{ID: "probe", Role: role, Purpose: purpose, Country: "CN"}, action, r.standings()) {
				a := e.askOf(request)
				if e.check(a) != nil {
					continue
				}
				if _, by, err := e.evaluate(among, a); err != nil || slices.Contains(by, r) {
					return true
				}
			}
		}
	}
	return false
}

// probes are requests that differ in one or a few facts from one with everything in order,
// and from one with nothing in order.
func probes(a record.Actor, action record.Action, standings []string) func(func(Request) bool) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return func(yield func(Request) bool) {
		for _, origin := range []string{"", "http", "own", "rederive", "attachment", "consent", "hl7", "case"} {
			for _, standing := range standings {
				for _, p := range []*Patient{nil, {State: StateActive, Treats: true, Research: true, Residency: true}, {State: StateActive, Restricted: true},
					{State: StateActive, Limited: true}, {State: StateActive, Minor: true},
					{State: StateNone}, {State: StateFrozen}, {State: StateErased},
					{State: StateActive, Residency: true, Own: true},
					{State: StateActive, Residency: true, Emergency: true},
					{State: StateActive, Residency: true, Guardian: true},
					{State: StateActive, Residency: true, Own: true, Treats: true, Minor: true},
					{State: StateActive, Residency: true, Guardian: true, Minor: true, GuardianConsent: true}} {
					for _, d := range []*Document{nil, {Kind: record.KindDICOM}, {Kind: record.KindPDF, Held: "probe"}} {
						if !yield(Request{Actor: a, Standing: standing, Action: action, Now: at, Patient: p, Document: d, Origin: origin}) {
							return
						}
					}
				}
			}
		}
	}
}
