package access_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"medvault/vault/access"
	"medvault/vault/record"
	"medvault/vault/vaulttest/promises"
)

// ages that the promises tell apart; the first is of somebody who is no child.
func ages() []promises.Age {
	return []promises.Age{
		{}, {Emergency: true}, {Own: true}, {Guardian: true},
		{Minor: true},
		{Minor: true, Essential: true},
		{Minor: true, Emergency: true},
		{Minor: true, Essential: true, Emergency: true},
		{Minor: true, Guardian: true},
		{Minor: true, Own: true, GuardianConsent: true},
		{Minor: true, GuardianConsent: true},
		{Minor: true, GuardianConsent: true, Emergency: true},
		{Minor: true, GuardianConsent: true, Essential: true},
		{Minor: true, GuardianConsent: true, Guardian: true},
	}
}

// Every cell of role × action × purpose × relationship × consent × residency × standing ×
// age is decided as the promises say.
func TestEveryPromise(t *testing.T) {
	e := engine(t)
	var cells, allowed atomic.Int64
	t.Cleanup(func() { t.Logf("%d cells, of which %d are allowed", cells.Load(), allowed.Load()) })
	for _, role := range record.Roles() {
		t.Run("role "+string(role), func(t *testing.T) {
			t.Parallel()
			for c := range cellsOf(role) {
				view, want, clause := promises.Decide(c)
				got := e.Decide(requestOf(c))
				if cells.Add(1); got.Allow {
					allowed.Add(1)
				}
				if got.Allow != want || got.View != view {
					t.Fatalf("%+v: allow %v view %q reason %q by %q; want %v %q by clause %s",
						c, got.Allow, got.View, got.Reason, got.Policies, want, view, clause)
				}
			}
		})
	}
}

// cellsOf are the cells of one role: all of documents, and of the acts around them what
// they can depend on.
func cellsOf(role record.Role) func(func(promises.Cell) bool) {
	good := "good"
	if role == record.RolePatient || role == record.RoleGuardian {
		good = "self"
	}
	purposes := []record.Purpose{"TREAT", "ETREAT", "PATRQT", "HOPERAT", "HQUALIMP", "HRESCH", "HPAYMT", "HSYSADMIN", "HCOMPL"}
	return func(yield func(promises.Cell) bool) {
		for _, purpose := range purposes {
			for _, standing := range []string{good, "training-expired", "agreement-expired", "suspended", ""} {
				base := promises.Cell{Role: role, Purpose: purpose, Standing: standing, About: "patient", State: "active"}
				for _, action := range []record.Action{"document.search", "audit.read", "regions.list", "keys.rotate", "staff.manage", "document.store"} {
					c := base
					if c.Action, c.About = action, "house"; !yield(c) {
						return
					}
				}
				for _, action := range []record.Action{"document.store", "document.read", "document.search", "document.export", "care.add", "care.list", "consent.add", "consent.list"} {
					for bits := range 1 << 4 {
						c := base
						c.Action, c.Treats, c.Research, c.Refused, c.Kept = action, bits&1 != 0, bits&2 != 0, bits&4 != 0, bits&8 != 0
						if standing != good && bits != 3 {
							continue // nobody in bad standing does anything
						}
						for i, age := range ages() {
							if i > 0 && (standing != good || action == "care.add" || strings.HasSuffix(string(action), ".list") && role != record.RolePatient && role != record.RoleGuardian) {
								break
							}
							if c.Age = age; !yield(c) {
								return
							}
						}
						if bits != 0 && bits != 3 {
							continue
						}
						for _, state := range []string{"", "frozen", "erased"} {
							with := c
							if with.Age, with.State = (promises.Age{}), state; !yield(with) {
								return
							}
						}
						for _, age := range []promises.Age{{}, {Own: true}, {Emergency: true}, {Minor: true, Guardian: true, GuardianConsent: true}} {
							if standing != good || action == "care.add" || action == "care.list" {
								break
							}
							with := c
							if with.Limited, with.Age = true, age; !yield(with) {
								return
							}
						}
						if held, pdf := c, c; action == "document.read" {
							held.Held, pdf.PDF = true, true
							if !yield(held) || !yield(pdf) {
								return
							}
						}
					}
				}
			}
		}
	}
}

// requestOf is a cell as the vault asks it.
func requestOf(c promises.Cell) access.Request {
	r := access.Request{Standing: c.Standing, Action: c.Action, Now: noon, Origin: "http",
		Actor: record.Actor{ID: "u1", Role: c.Role, Purpose: c.Purpose, Country: "CN"}}
	if c.About == "house" {
		return r
	}
	r.Patient = &access.Patient{Token: token, State: c.State, Treats: c.Treats, Research: c.Research, Restricted: c.Refused, Limited: c.Limited, Residency: !c.Kept,
		Minor: c.Minor, GuardianConsent: c.GuardianConsent, Essential: c.Essential, Emergency: c.Emergency, Own: c.Own, Guardian: c.Guardian}
	if c.Action == record.ActionRead {
		r.Document = &access.Document{Kind: record.KindDICOM}
		if c.Held {
			r.Document.Held = "burned-in"
		}
		if c.PDF {
			r.Document.Kind = record.KindPDF
		}
	}
	return r
}
