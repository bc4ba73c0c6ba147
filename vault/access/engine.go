package access

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"medvault/vault/record"
)

//go:embed policies/*.cedar policies/schema.cedarschema
var embedded embed.FS

// Policies are the built-in policies and schema, as New reads them.
func Policies() fs.FS {
	sub, err := fs.Sub(embedded, "policies")
	if err != nil {
		panic(err) // the directory is compiled in
	}
	return sub
}

// Engine decides by a fixed set of policies.
type Engine struct {
	all, permits *cedar.PolicySet
	validator    *validate.Validator
	order        map[string]int         // policy id to its place in the files
	views        map[string]record.View // of permits
	obligations  map[string]string      // of permits
	reasons      map[string]string      // of forbids
}

// New reads every *.cedar file and schema.cedarschema at the top of policies, in
// the order of their names; nil is the built-in set. What does not parse, does not
// fit the schema, has no @id of its own, or is a forbid without @reason, is an error
// that names it.
func New(policies fs.FS) (*Engine, error) {
	if policies == nil {
		policies = Policies()
	}
	validator, err := readSchema(policies)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		all: cedar.NewPolicySet(), permits: cedar.NewPolicySet(), validator: validator,
		order: map[string]int{}, views: map[string]record.View{},
		obligations: map[string]string{}, reasons: map[string]string{},
	}
	files, err := fs.Glob(policies, "*.cedar")
	if err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	if len(files) == 0 {
		return nil, errors.New("no policies: there is no *.cedar file")
	}
	for _, file := range files { // fs.Glob sorts
		text, err := fs.ReadFile(policies, file)
		if err != nil {
			return nil, fmt.Errorf("read policies: %w", err)
		}
		list, err := cedar.NewPolicyListFromBytes(file, text)
		if err != nil {
			return nil, fmt.Errorf("policy file %s: %w", file, err)
		}
		for _, p := range list {
			if err := e.add(p); err != nil {
				return nil, fmt.Errorf("policy file %s, line %d: %w", file, p.Position().Line, err)
			}
		}
	}
	return e, nil
}

func readSchema(policies fs.FS) (*validate.Validator, error) {
	const file = "schema.cedarschema"
	text, err := fs.ReadFile(policies, file)
	if err != nil {
		return nil, fmt.Errorf("read policy schema: %w", err)
	}
	var s schema.Schema
	s.SetFilename(file)
	if err := s.UnmarshalCedar(text); err != nil {
		return nil, fmt.Errorf("policy schema: %w", err)
	}
	resolved, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("policy schema: %w", err)
	}
	return validate.New(resolved, validate.WithStrict()), nil
}

// add checks one policy and takes it in.
func (e *Engine) add(p *cedar.Policy) error {
	notes := p.Annotations()
	id := string(notes["id"])
	if id == "" {
		return errors.New("a policy needs an @id")
	}
	if _, taken := e.order[id]; taken {
		return fmt.Errorf("policy %s: the @id is taken", id)
	}
	if err := e.validator.Policy(id, (*xast.Policy)(p.AST())); err != nil {
		return fmt.Errorf("policy %s: %w", id, err)
	}
	e.order[id] = len(e.order)
	e.all.Add(cedar.PolicyID(id), p)
	if p.Effect() == cedar.Forbid {
		reason := string(notes["reason"])
		if !kebab(reason) {
			return fmt.Errorf("policy %s: a forbid needs a @reason in kebab-case", id)
		}
		e.reasons[id] = reason
		return nil
	}
	view := record.View(notes["view"])
	if !slices.Contains([]record.View{record.ViewNone, record.ViewOriginal, record.ViewDeidentified}, view) {
		return fmt.Errorf("policy %s: @view is %q; it can be %q or %q", id, view, record.ViewOriginal, record.ViewDeidentified)
	}
	e.views[id], e.obligations[id] = view, string(notes["obligation"])
	e.permits.Add(cedar.PolicyID(id), p)
	return nil
}

func kebab(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && !strings.HasPrefix(s, "-") && !strings.HasSuffix(s, "-")
}

// ask is a request in Cedar's words.
type ask struct {
	request  cedar.Request
	entities cedar.EntityMap
}

func know() cedar.EntityUID { return cedar.NewEntityUID("Action", "patient.know") }

// check holds a against the schema: a policy that names an absent attribute is
// skipped by Cedar, a forbid too, so nothing may be absent.
func (e *Engine) check(a ask) error {
	if err := e.validator.Request(a.request); err != nil {
		return err
	}
	return e.validator.Entities(a.entities)
}

// askOf translates r.
func askOf(r Request) ask {
	person := cedar.NewEntityUID("Person", cedar.String(r.Actor.ID))
	resource := cedar.NewEntityUID("House", "house")
	entities := cedar.EntityMap{
		person: {UID: person, Attributes: cedar.NewRecord(cedar.RecordMap{
			"role":        cedar.String(r.Actor.Role),
			"purpose":     cedar.String(r.Actor.Purpose),
			"institution": cedar.String(r.Actor.Institution),
			"country":     cedar.String(r.Actor.Country),
			"standing":    cedar.String(r.Standing),
		})},
	}
	if p := r.Patient; p != nil {
		resource = cedar.NewEntityUID("Patient", cedar.String(p.Token))
		entities[resource] = cedar.Entity{UID: resource, Attributes: cedar.NewRecord(cedar.RecordMap{
			"state":      cedar.String(p.State),
			"treats":     cedar.Boolean(p.Treats),
			"research":   cedar.Boolean(p.Research),
			"restricted": cedar.Boolean(p.Restricted),
			"residency":  cedar.Boolean(p.Residency),
		})}
	} else {
		entities[resource] = cedar.Entity{UID: resource}
	}
	about := cedar.RecordMap{
		"now":    cedar.NewDatetime(r.Now),
		"origin": cedar.String(r.Origin),
		"held":   cedar.String("unknown"), // not shown to be free is held
		"kind":   cedar.String(""),
	}
	if r.Document != nil {
		about["held"] = cedar.String(r.Document.Held)
		about["kind"] = cedar.String(r.Document.Kind.String())
	}
	return ask{
		request: cedar.Request{
			Principal: person,
			Action:    cedar.NewEntityUID("Action", cedar.String(r.Action)),
			Resource:  resource,
			Context:   cedar.NewRecord(about),
		},
		entities: entities,
	}
}

// evaluate returns the ids that decided, in the order of the files. Any policy that
// erred makes the whole an error: Cedar skips it, and a skipped forbid permits.
func (e *Engine) evaluate(set *cedar.PolicySet, a ask) (allowed bool, ids []string, err error) {
	decision, diagnostic := cedar.Authorize(set, a.entities, a.request)
	if len(diagnostic.Errors) > 0 {
		for _, bad := range diagnostic.Errors {
			ids = append(ids, string(bad.PolicyID))
		}
		slices.SortFunc(ids, e.byPlace)
		return false, ids, errors.New("a policy erred")
	}
	for _, r := range diagnostic.Reasons {
		ids = append(ids, string(r.PolicyID))
	}
	slices.SortFunc(ids, e.byPlace)
	return decision == types.Allow, ids, nil
}

func (e *Engine) byPlace(a, b string) int { return e.order[a] - e.order[b] }
