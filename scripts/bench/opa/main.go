// Command opa measures what a decision costs by the built-in access policies (Cedar),
// with entities and the check against the schema, beside OPA's on the same rules about
// documents, after it has seen that both decide every read alike:
//
//	cd scripts/bench/opa && go run .
//
// Times are of the processor, so that a busy machine does not change them much. It is a
// module of its own: the product does not depend on OPA.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"

	"medvault/vault/access"
	"medvault/vault/record"
)

//go:embed rules.rego
var rules string

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "opa:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	runtime.GOMAXPROCS(1)
	engine, err := access.New(nil)
	if err != nil {
		return err
	}
	query, err := rego.New(rego.Query("data.medvault.allow"), rego.Module("rules.rego", rules)).PrepareForEval(ctx)
	if err != nil {
		return err
	}
	same, err := compare(ctx, engine, query)
	if err != nil {
		return err
	}
	r := request(record.RoleClinician, record.PurposeTreat, 1<<treats|1<<residency)
	ours := measure(func() error {
		if !engine.Decide(r).Allow {
			return fmt.Errorf("refused")
		}
		return nil
	})
	theirs := measure(func() error {
		allowed, err := query.Eval(ctx, rego.EvalInput(inputOf(r)))
		if err == nil && !allowed.Allowed() {
			err = fmt.Errorf("refused")
		}
		return err
	})
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"decidedAlike": same, "medvault": ours, "opa": theirs})
}

// Facts of a patient, as bits.
const (
	treats = iota
	research
	restricted
	residency
	minor
	guardianConsent
	essential
	emergency
	own
	guardian
	facts
)

func request(role record.Role, purpose record.Purpose, bits int) access.Request {
	is := func(fact int) bool { return bits&(1<<fact) != 0 }
	standing := "good"
	if role == record.RolePatient || role == record.RoleGuardian {
		standing = "self"
	}
	return access.Request{Standing: standing, Action: record.ActionRead, Now: time.Unix(1_800_000_000, 0), Origin: "http",
		Document: &access.Document{Kind: record.KindDICOM},
		Actor:    record.Actor{ID: "u1", Role: role, Purpose: purpose, Country: "CN"},
		Patient: &access.Patient{Token: "paaaaaaaaaaaaaaaaaaaaaaaaaa", State: access.StateActive, Treats: is(treats), Research: is(research),
			Restricted: is(restricted), Residency: is(residency), Minor: is(minor), GuardianConsent: is(guardianConsent), Essential: is(essential),
			Emergency: is(emergency), Own: is(own), Guardian: is(guardian)}}
}

func inputOf(r access.Request) map[string]any {
	p := r.Patient
	return map[string]any{
		"action":    string(r.Action),
		"principal": map[string]any{"role": string(r.Actor.Role), "purpose": string(r.Actor.Purpose), "standing": r.Standing, "country": r.Actor.Country},
		"resource": map[string]any{"state": p.State, "treats": p.Treats, "research": p.Research, "restricted": p.Restricted, "residency": p.Residency,
			"minor": p.Minor, "guardianConsent": p.GuardianConsent, "essential": p.Essential, "emergency": p.Emergency, "own": p.Own, "guardian": p.Guardian},
		"context": map[string]any{"held": r.Document.Held, "kind": r.Document.Kind.String()},
	}
}

// compare has both decide reads of every role and purpose with every set of facts that
// can be told apart in a minute.
func compare(ctx context.Context, e *access.Engine, q rego.PreparedEvalQuery) (cells int, err error) {
	for _, role := range record.Roles() {
		for _, purpose := range []record.Purpose{"TREAT", "ETREAT", "PATRQT", "HQUALIMP", "HRESCH", "HSYSADMIN", "HCOMPL"} {
			for bits := 0; bits < 1<<facts; bits += 3 {
				r := request(role, purpose, bits)
				theirs, err := q.Eval(ctx, rego.EvalInput(inputOf(r)))
				if err != nil {
					return cells, err
				}
				if ours := e.Decide(r); ours.Allow != theirs.Allowed() {
					return cells, fmt.Errorf("%s for %s with %+v: %v %s, OPA %v: rules.rego is out of date", role, purpose, *r.Patient, ours.Allow, ours.Reason, theirs.Allowed())
				}
				cells++
			}
		}
	}
	return cells, nil
}

// cost of one decision.
type cost struct {
	Microseconds float64 `json:"microseconds"` // of the processor
	Allocations  float64 `json:"allocations"`
}

func measure(decide func() error) cost {
	const rounds = 20_000
	var before, after runtime.MemStats
	for range rounds / 10 { // warm
		if err := decide(); err != nil {
			panic(err) // compare has seen it allowed
		}
	}
	runtime.ReadMemStats(&before)
	began := processor()
	for range rounds {
		if err := decide(); err != nil {
			panic(err) // likewise
		}
	}
	spent := processor() - began
	runtime.ReadMemStats(&after)
	return cost{float64(spent.Nanoseconds()) / 1e3 / rounds, float64(after.Mallocs-before.Mallocs) / rounds}
}

func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // nothing is asked that the system does not know
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
