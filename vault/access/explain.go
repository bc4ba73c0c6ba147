package access

import (
	"fmt"
	"slices"
	"strings"

	"medvault/vault/record"
)

// Explanation tells how a request is decided, and why.
type Explanation struct {
	Allow       bool        `json:"allow"`
	View        record.View `json:"view,omitempty"`
	Reason      string      `json:"reason,omitempty"` // why not
	MayKnow     bool        `json:"mayKnow"`          // a refusal says that there is something: 403, not 404
	Obligations []string    `json:"obligations,omitempty"`
	Rules       []Rule      `json:"rules"`             // that decided; none: nothing permits it
	Permits     []Rule      `json:"permits,omitempty"` // of a refusal: what would permit it, were it not for Rules
	Facts       []Fact      `json:"facts"`             // everything the decision was made of
	// Changes are the smallest sets of facts that, were they so, would allow what is refused.
	// Empty: none that the vault knows of would.
	Changes [][]Fact `json:"changes,omitempty"`
}

// Fact is one thing a decision depends on.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Explain decides r as Decide does and says why.
func (e *Engine) Explain(r Request) Explanation {
	d := e.Decide(r)
	x := Explanation{Allow: d.Allow, View: d.View, Reason: d.Reason, MayKnow: d.MayKnow, Obligations: d.Obligations,
		Rules: []Rule{}, Facts: r.facts()}
	for _, id := range d.Policies {
		x.Rules = append(x.Rules, e.rule(id).Rule)
	}
	if d.Allow {
		return x
	}
	if a := e.askOf(r); e.check(a) == nil {
		if allowed, by, err := e.evaluate(e.of(a.request.Action).permits, a); allowed && err == nil {
			for _, permit := range by {
				x.Permits = append(x.Permits, permit.Rule)
			}
		}
	}
	x.Changes = e.changes(r)
	return x
}

// facts of a request, in the order of the schema.
func (r Request) facts() []Fact {
	facts := []Fact{
		{"role", string(r.Actor.Role)}, {"purpose", string(r.Actor.Purpose)}, {"institution", r.Actor.Institution},
		{"country", r.Actor.Country}, {"standing", r.Standing}, {"scopes", r.Actor.Scopes}, {"action", string(r.Action)}, {"origin", r.Origin},
	}
	if p := r.Patient; p != nil {
		facts = append(facts, Fact{"state", p.State}, Fact{"treats", fmt.Sprint(p.Treats)}, Fact{"research", fmt.Sprint(p.Research)},
			Fact{"restricted", fmt.Sprint(p.Restricted)}, Fact{"limited", fmt.Sprint(p.Limited)}, Fact{"residency", fmt.Sprint(p.Residency)},
			Fact{"minor", fmt.Sprint(p.Minor)}, Fact{"guardianConsent", fmt.Sprint(p.GuardianConsent)}, Fact{"essential", fmt.Sprint(p.Essential)},
			Fact{"emergency", fmt.Sprint(p.Emergency)}, Fact{"own", fmt.Sprint(p.Own)}, Fact{"guardian", fmt.Sprint(p.Guardian)})
	}
	if d := r.Document; d != nil {
		facts = append(facts, Fact{"held", d.Held}, Fact{"kind", d.Kind.String()})
	}
	return facts
}

// change is one thing that could be otherwise.
type change struct {
	Fact
	make func(*Request) // of a request that shares nothing with another
}

// possible lists what could be otherwise about a request, and helps.
func (r Request) possible() (list []change) {
	add := func(differs bool, name, value string, make func(*Request)) {
		if differs {
			list = append(list, change{Fact{name, value}, make})
		}
	}
	if p := r.Patient; p != nil {
		add(!p.Treats, "treats", "true", func(r *Request) { r.Patient.Treats = true })
		add(!p.Research, "research", "true", func(r *Request) { r.Patient.Research = true })
		add(p.Restricted, "restricted", "false", func(r *Request) { r.Patient.Restricted = false })
		add(p.Limited, "limited", "false", func(r *Request) { r.Patient.Limited = false })
		add(!p.Residency, "residency", "true", func(r *Request) { r.Patient.Residency = true })
		add(p.Minor && !p.GuardianConsent, "guardianConsent", "true", func(r *Request) { r.Patient.GuardianConsent = true })
		add(p.Minor && !p.Essential, "essential", "true", func(r *Request) { r.Patient.Essential, r.Patient.Treats = true, true })
		add(r.Actor.Purpose == record.PurposeETreat && !p.Emergency, "emergency", "true", func(r *Request) { r.Patient.Emergency = true })
		add(r.Actor.Role == record.RoleGuardian && !p.Guardian, "guardian", "true", func(r *Request) { r.Patient.Guardian = true })
		add(p.State == StateFrozen, "state", StateActive, func(r *Request) { r.Patient.State = StateActive })
	}
	if d := r.Document; d != nil {
		add(d.Held != "", "held", "", func(r *Request) { r.Document.Held = "" })
	}
	add(!slices.Contains([]string{"good", "house", "self"}, r.Standing), "standing", "good", func(r *Request) { r.Standing = "good" })
	add(r.Actor.Scopes != "", "scopes", "", func(r *Request) { r.Actor.Scopes = "" })
	for _, purpose := range []record.Purpose{record.PurposeTreat, record.PurposeQuality, record.PurposeResearch, record.PurposeSystem, record.PurposeCompl} {
		add(r.Actor.Purpose != purpose, "purpose", string(purpose), func(r *Request) { r.Actor.Purpose = purpose })
	}
	return list
}

// mostChanges is of how many facts at once it is said that they would help.
const mostChanges = 3

// changes finds the smallest sets of changes that make a request allowed.
func (e *Engine) changes(r Request) (found [][]Fact) {
	all := r.possible()
	for size := 1; size <= mostChanges && len(found) == 0; size++ {
		each(len(all), size, func(chosen []int) {
			with := r.clone()
			var facts []Fact
			names := make(map[string]bool)
			for _, i := range chosen {
				all[i].make(&with)
				facts, names[all[i].Name] = append(facts, all[i].Fact), true
			}
			if len(names) == size && e.Decide(with).Allow {
				found = append(found, facts)
			}
		})
	}
	return found
}

// each calls with every choice of size among n.
func each(n, size int, with func([]int)) {
	var choose func(from int, chosen []int)
	choose = func(from int, chosen []int) {
		if len(chosen) == size {
			with(chosen)
			return
		}
		for i := from; i < n; i++ {
			choose(i+1, append(chosen, i))
		}
	}
	choose(0, make([]int, 0, size))
}

func (r Request) clone() Request {
	if r.Patient != nil {
		p := *r.Patient
		r.Patient = &p
	}
	if r.Document != nil {
		d := *r.Document
		r.Document = &d
	}
	return r
}

// String is a fact as people read it.
func (f Fact) String() string { return strings.TrimSpace(f.Name + " = " + f.Value) }
