package access_test

import (
	"reflect"
	"sync/atomic"
	"testing"

	"medvault/vault/access"
	"medvault/vault/record"
	"medvault/vault/vaulttest/promises"
)

// ages that the promises tell apart. What the vault does not know of a patient is left out.
func ages() []promises.Age {
	list := []promises.Age{{}}
	if _, known := reflect.TypeFor[access.Patient]().FieldByName("Minor"); !known {
		return list
	}
	return append(list,
		promises.Age{Emergency: true},
		promises.Age{Own: true},
		promises.Age{Guardian: true},
		promises.Age{Minor: true},
		promises.Age{Minor: true, Essential: true},
		promises.Age{Minor: true, Emergency: true},
		promises.Age{Minor: true, Essential: true, Emergency: true},
		promises.Age{Minor: true, Guardian: true},
		promises.Age{Minor: true, Own: true, GuardianConsent: true},
		promises.Age{Minor: true, GuardianConsent: true},
		promises.Age{Minor: true, GuardianConsent: true, Emergency: true},
		promises.Age{Minor: true, GuardianConsent: true, Essential: true},
		promises.Age{Minor: true, GuardianConsent: true, Guardian: true})
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
					if outside := good == "self"; outside && action == "document.search" && len(ages()) == 1 {
						continue // whose own documents are whose is not known yet
					}
					c := base
					if c.Action, c.About = action, "house"; !yield(c) {
						return
					}
				}
				for _, action := range []record.Action{"document.store", "document.read", "document.search", "document.export", "care.add", "care.list"} {
					for bits := range 1 << 4 {
						c := base
						c.Action, c.Treats, c.Research, c.Refused, c.Kept = action, bits&1 != 0, bits&2 != 0, bits&4 != 0, bits&8 != 0
						if standing != good && bits != 3 {
							continue // nobody in bad standing does anything
						}
						for i, age := range ages() {
							if i > 0 && (standing != good || action == "care.add" || action == "care.list") {
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
	r.Patient = &access.Patient{Token: token, State: c.State, Treats: c.Treats, Research: c.Research, Restricted: c.Refused, Residency: !c.Kept}
	of, age := reflect.ValueOf(r.Patient).Elem(), reflect.ValueOf(c.Age)
	for i := range age.NumField() {
		if field := of.FieldByName(age.Type().Field(i).Name); field.IsValid() {
			field.SetBool(age.Field(i).Bool())
		}
	}
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
