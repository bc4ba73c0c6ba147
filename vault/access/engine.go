package access

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"

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
	rules     []*rule // in the order of the files
	permits   rules   // of them, for every action
	byAction  map[types.EntityUID]applied
	validator *validate.Validator
	sum       hash.Hash // of the files, as they were read
	checked   checked
}

// rule is one policy and what stands beside it.
type rule struct {
	Rule
	policy *cedar.Policy
}

// applied are the rules whose scope names an action, or no action.
type applied struct{ all, permits rules }

// rules are evaluated one after the other.
type rules []*rule

// All makes rules what Cedar evaluates.
func (r rules) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, one := range r {
			if !yield(cedar.PolicyID(one.ID), one.policy) {
				return
			}
		}
	}
}

const schemaFile = "schema.cedarschema"

// New reads every *.cedar file and schema.cedarschema at the top of policies, in
// the order of their names; nil is the built-in set. What does not parse, does not
// fit the schema, has no @id of its own, shows documents without @view, or is a forbid
// without @reason, is an error that names file and line.
func New(policies fs.FS) (*Engine, error) {
	builtin := policies == nil
	if builtin {
		policies = Policies()
	}
	e, err := newEngine(policies)
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(policies, "*.cedar") // sorted
	if err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	if len(files) == 0 {
		return nil, errors.New("no policies: there is no *.cedar file")
	}
	for _, file := range files {
		if err := e.read(policies, file, everyRule); err != nil {
			return nil, err
		}
	}
	for _, r := range e.rules {
		r.BuiltIn = builtin
	}
	e.index()
	return e, nil
}

// Extend is the built-in set with the policy files of a deployment. A file that is named
// like a built-in one takes the place of its permits; any other is added. Built-in forbids
// always stay, and so does the schema: it is what the vault tells of a request. What New
// refuses is refused, and so is a file whose name says that it is no policy: it would be
// passed over.
func Extend(deployment fs.FS) (*Engine, error) {
	own, err := deployed(deployment)
	if err != nil {
		return nil, err
	}
	builtin := Policies()
	e, err := newEngine(builtin)
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(builtin, "*.cedar")
	if err != nil {
		return nil, fmt.Errorf("list policies: %w", err)
	}
	// The built-in ones first: they name the reason of a refusal.
	for _, file := range files {
		take := everyRule
		if slices.Contains(own, file) {
			take = forbidsOnly
		}
		if err := e.read(builtin, file, take); err != nil {
			return nil, err
		}
	}
	for _, r := range e.rules {
		r.BuiltIn = true
	}
	for _, file := range own {
		if err := e.read(deployment, file, everyRule); err != nil {
			return nil, err
		}
	}
	e.index()
	return e, nil
}

// deployed lists the policy files of a deployment.
func deployed(from fs.FS) (files []string, err error) {
	entries, err := fs.ReadDir(from, ".")
	if err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		switch {
		case strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".md"):
		case name == schemaFile:
			if err := sameSchema(from); err != nil {
				return nil, err
			}
		case strings.HasSuffix(name, ".cedar"):
			files = append(files, name)
		default:
			return nil, fmt.Errorf("policy file %s: not a *.cedar file; it would not be read", name)
		}
	}
	if len(files) == 0 {
		return nil, errors.New("no policies: there is no *.cedar file")
	}
	return files, nil
}

// sameSchema lets the built-in schema lie beside policies, where editors look for it.
func sameSchema(from fs.FS) error {
	theirs, err := fs.ReadFile(from, schemaFile)
	if err != nil {
		return fmt.Errorf("read policy schema: %w", err)
	}
	ours, err := fs.ReadFile(Policies(), schemaFile)
	if err != nil {
		return fmt.Errorf("read policy schema: %w", err)
	}
	if !bytes.Equal(theirs, ours) {
		return fmt.Errorf("policy file %s: not the schema of this version, which cannot be changed: it is what the vault tells of a request", schemaFile)
	}
	return nil
}

func newEngine(policies fs.FS) (*Engine, error) {
	validator, err := readSchema(policies)
	return &Engine{validator: validator, sum: sha256.New()}, err
}

// Which rules of a file are taken.
const (
	everyRule = iota
	forbidsOnly
)

func (e *Engine) read(policies fs.FS, file string, take int) error {
	text, err := fs.ReadFile(policies, file)
	if err != nil {
		return fmt.Errorf("read policies: %w", err)
	}
	fmt.Fprintf(e.sum, "%q %d %d\n%s", file, take, len(text), text)
	list, err := cedar.NewPolicyListFromBytes(file, text)
	if err != nil {
		return errors.New(strings.Replace(fmt.Sprintf("policy file %s: %v", file, err), "<input>", file, 1)) // Cedar does not know its name
	}
	lines := strings.Split(string(text), "\n")
	for _, p := range list {
		if take == forbidsOnly && p.Effect() != cedar.Forbid {
			continue
		}
		at := p.Position().Line
		if err := e.add(p, Rule{File: file, Line: at, Says: comment(lines, at)}); err != nil {
			return fmt.Errorf("policy file %s, line %d: %w", file, at, err)
		}
	}
	return nil
}

// comment is the first line of the comment that stands right above a line, counted from 1.
func comment(lines []string, line int) (first string) {
	for i := line - 2; i >= 0 && i < len(lines); i-- {
		text, ok := strings.CutPrefix(strings.TrimSpace(lines[i]), "//")
		if !ok {
			break
		}
		first = strings.TrimSpace(text)
	}
	return first
}

func readSchema(policies fs.FS) (*validate.Validator, error) {
	text, err := fs.ReadFile(policies, schemaFile)
	if err != nil {
		return nil, fmt.Errorf("read policy schema: %w", err)
	}
	var s schema.Schema
	s.SetFilename(schemaFile)
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
func (e *Engine) add(p *cedar.Policy, r Rule) error {
	notes := p.Annotations()
	if r.ID = string(notes["id"]); r.ID == "" {
		return errors.New("a policy needs an @id")
	}
	if e.rule(r.ID) != nil {
		return fmt.Errorf("policy %s: the @id is taken", r.ID)
	}
	if err := e.validator.Policy(r.ID, (*xast.Policy)(p.AST())); err != nil {
		return fmt.Errorf("policy %s: %w", r.ID, err)
	}
	r.Forbids = p.Effect() == cedar.Forbid
	if r.Forbids {
		if r.Reason = string(notes["reason"]); !kebab(r.Reason) {
			return fmt.Errorf("policy %s: a forbid needs a @reason in kebab-case", r.ID)
		}
	} else {
		r.View, r.Obligation = record.View(notes["view"]), string(notes["obligation"])
		if !slices.Contains([]record.View{record.ViewNone, record.ViewOriginal, record.ViewDeidentified}, r.View) {
			return fmt.Errorf("policy %s: @view is %q; it can be %q or %q", r.ID, r.View, record.ViewOriginal, record.ViewDeidentified)
		}
		if r.View == record.ViewNone && showsDocuments(p) {
			return fmt.Errorf("policy %s: whoever may see documents needs a @view", r.ID)
		}
	}
	e.rules = append(e.rules, &rule{r, p})
	return nil
}

func showsDocuments(p *cedar.Policy) bool {
	named := actionsOf(p)
	return slices.ContainsFunc([]record.Action{record.ActionRead, record.ActionSearch, record.ActionExport}, func(a record.Action) bool {
		return slices.Contains(named, cedar.NewEntityUID("Action", cedar.String(a)))
	})
}

// actionsOf lists the actions that a policy's scope names; nil when it names none, and so
// holds for all. There are no groups of actions, so a name stands for itself.
func actionsOf(p *cedar.Policy) []types.EntityUID {
	switch scope := p.AST().Action.(type) {
	case xast.ScopeTypeEq:
		return []types.EntityUID{scope.Entity}
	case xast.ScopeTypeInSet:
		return scope.Entities
	}
	return nil
}

// index sorts the rules by the actions they can say anything about, so that a decision
// asks those alone.
func (e *Engine) index() {
	e.byAction = make(map[types.EntityUID]applied)
	for _, r := range e.rules {
		for _, action := range actionsOf(r.policy) {
			e.byAction[action] = applied{}
		}
		if !r.Forbids {
			e.permits = append(e.permits, r)
		}
	}
	for action := range e.byAction {
		var to applied
		for _, r := range e.rules {
			if named := actionsOf(r.policy); named != nil && !slices.Contains(named, action) {
				continue
			}
			if to.all = append(to.all, r); !r.Forbids {
				to.permits = append(to.permits, r)
			}
		}
		e.byAction[action] = to
	}
}

// of are the rules about an action; of one that no rule names, all there are.
func (e *Engine) of(action types.EntityUID) applied {
	if to, ok := e.byAction[action]; ok {
		return to
	}
	return applied{all: e.rules, permits: e.permits}
}

// Sum is the SHA-256 of the policies, in hex: the same for the same files.
func (e *Engine) Sum() string { return hex.EncodeToString(e.sum.Sum(nil)) }

func (e *Engine) rule(id string) *rule {
	for _, r := range e.rules {
		if r.ID == id {
			return r
		}
	}
	return nil
}

func kebab(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && !strings.HasPrefix(s, "-") && !strings.HasSuffix(s, "-")
}

// ask is a request in Cedar's words.
type ask struct {
	request  cedar.Request
	entities cedar.EntityMap
	bad      error // an entity does not fit the schema
}

func know() cedar.EntityUID { return cedar.NewEntityUID("Action", "patient.know") }

// check holds a against the schema: a policy that names an absent attribute is
// skipped by Cedar, a forbid too, so nothing may be absent.
func (e *Engine) check(a ask) error {
	if a.bad != nil {
		return a.bad
	}
	return e.validator.Request(a.request)
}

// checked are attributes of people and patients that fit the schema, by everything that
// is in them: few differ, and making and checking them is most of a decision.
type checked struct {
	mu      sync.RWMutex
	records map[any]cedar.Record
}

// mostChecked bounds what is kept.
const mostChecked = 20_000

// entity gives uid attributes that fit the schema. They are known by key; of makes them.
func (e *Engine) entity(uid cedar.EntityUID, key any, of func() cedar.RecordMap) (cedar.Entity, error) {
	e.checked.mu.RLock()
	record, known := e.checked.records[key]
	e.checked.mu.RUnlock()
	if known {
		return cedar.Entity{UID: uid, Attributes: record}, nil
	}
	entity := cedar.Entity{UID: uid, Attributes: cedar.NewRecord(of())}
	if err := e.validator.Entity(entity); err != nil {
		return entity, err
	}
	e.checked.mu.Lock()
	defer e.checked.mu.Unlock()
	if e.checked.records == nil || len(e.checked.records) >= mostChecked {
		e.checked.records = make(map[any]cedar.Record)
	}
	e.checked.records[key] = entity.Attributes
	return entity, nil
}

// personFacts are the attributes of a Person.
type personFacts struct {
	role                           record.Role
	purpose                        record.Purpose
	institution, country, standing string
}

// askOf translates r.
func (e *Engine) askOf(r Request) ask {
	person := cedar.NewEntityUID("Person", cedar.String(r.Actor.ID))
	resource := cedar.NewEntityUID("House", "house")
	who := personFacts{r.Actor.Role, r.Actor.Purpose, r.Actor.Institution, r.Actor.Country, r.Standing}
	asks, badPerson := e.entity(person, who, func() cedar.RecordMap {
		return cedar.RecordMap{
			"role":        cedar.String(who.role),
			"purpose":     cedar.String(who.purpose),
			"institution": cedar.String(who.institution),
			"country":     cedar.String(who.country),
			"standing":    cedar.String(who.standing),
		}
	})
	entities := cedar.EntityMap{person: asks}
	var badPatient error
	if r.Patient != nil {
		resource = cedar.NewEntityUID("Patient", cedar.String(r.Patient.Token))
		p := *r.Patient
		p.Token = "" // is the name of the entity, and no attribute
		entities[resource], badPatient = e.entity(resource, p, func() cedar.RecordMap {
			return cedar.RecordMap{
				"state":      cedar.String(p.State),
				"treats":     cedar.Boolean(p.Treats),
				"research":   cedar.Boolean(p.Research),
				"restricted": cedar.Boolean(p.Restricted),
				"limited":    cedar.Boolean(p.Limited),
				"residency":  cedar.Boolean(p.Residency),

				"minor":           cedar.Boolean(p.Minor),
				"guardianConsent": cedar.Boolean(p.GuardianConsent),
				"essential":       cedar.Boolean(p.Essential),
				"emergency":       cedar.Boolean(p.Emergency),
				"own":             cedar.Boolean(p.Own),
				"guardian":        cedar.Boolean(p.Guardian),
			}
		})
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
		bad:      errors.Join(badPerson, badPatient),
	}
}

// evaluate returns the rules that decided, in the order of the files. Any policy that
// erred makes the whole an error, and is what is returned: Cedar skips it, and a skipped
// forbid permits.
func (e *Engine) evaluate(set rules, a ask) (allowed bool, by rules, err error) {
	decision, diagnostic := cedar.Authorize(set, a.entities, a.request)
	if len(diagnostic.Errors) > 0 {
		for _, bad := range diagnostic.Errors {
			by = append(by, e.rule(string(bad.PolicyID)))
		}
		return false, by, errors.New("a policy erred")
	}
	for _, r := range diagnostic.Reasons {
		by = append(by, e.rule(string(r.PolicyID)))
	}
	return decision == types.Allow, by, nil
}

func (r rules) ids() (ids []string) {
	for _, one := range r {
		ids = append(ids, one.ID)
	}
	return ids
}
