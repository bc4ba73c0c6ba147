package api_test

import (
	"strings"
	"testing"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/vaulttest"
)

// erase has two persons agree on an erasure.
func (b *bureau) erase(what map[string]any) vault.Erasure {
	b.t.Helper()
	e := into[vault.Erasure](b.t, b.want(0, "dpo", "POST", "/api/v1/erasures", what, 201, `"state":"proposed"`))
	one := "/api/v1/erasures/" + string(e.ID)
	b.want(1, "dpo", "POST", one+"/approve", nil, 403, "second-person")
	b.want(1, "admin", "POST", one+"/approve", nil, 202, `"approvedBy":"admin-1"`)
	return e
}

func TestPromise6_3EarlyDeletionWithinFifteenWorkingDays(t *testing.T) {
	onDatabases(t, func(t *testing.T, o vaulttest.Options) {
		b := newBureau(t, o, "2026-11-23 10:00")
		p := imagingtest.NewPatient(631)
		p.BirthDate = "19700101"
		image, _, _ := b.admit(p)
		patient := "/api/v1/patients/" + string(image.Patient)
		b.want(0, "dpo", "POST", patient+"/guardians", map[string]any{"subject": "patient-1", "relation": "self"}, 201, "")
		b.want(0, "dpo", "POST", "/api/v1/erasures", map[string]any{"patient": image.Patient}, 409, "kept until 2056-11-")

		const cases = "/api/v1/cases"
		c := into[vault.Case](t, b.want(0, "patient", "POST", cases, map[string]any{"type": "deletion", "patient": image.Patient}, 201, `"as":"patient"`))
		one := cases + "/" + string(c.ID)
		if got := c.Execution.Due.In(b.now().Location()).Sub(b.now()).Hours() / 24; got < 21 || got > 22 {
			t.Errorf("to be executed within %.1f days; want 15 working days, three weeks", got)
		}
		b.want(1, "dpo", "POST", one+"/decision", map[string]any{"outcome": "granted", "basis": "PIPL-47"}, 200, `"state":"decided"`)
		b.want(1, "dpo", "POST", one+"/execution", nil, 409, "not-done") // to say so is not enough

		// A restriction does not stand against it; a hold does.
		b.want(0, "dpo", "POST", patient+"/restrictions", map[string]any{"case": b.granted("restriction", image.Patient).ID}, 201, "")
		b.want(1, "patient", "GET", "/api/v1/documents/"+string(image.ID), nil, 200, "")
		unfinished := b.granted("restriction", image.Patient)
		copies := into[vault.Case](t, b.want(0, "patient", "POST", cases, map[string]any{"type": "access", "patient": image.Patient}, 201, ""))
		hold := into[vault.Hold](t, b.want(0, "dpo", "POST", patient+"/holds", map[string]any{"reason": "a claim", "authority": "District Court", "review": "2027-01-01T00:00:00Z"}, 201, ""))
		early := map[string]any{"patient": image.Patient, "early": "patient-request", "evidence": string(c.ID)}
		b.want(0, "dpo", "POST", "/api/v1/erasures", early, 409, "legal-hold")
		b.want(0, "dpo", "POST", patient+"/holds/"+string(hold.ID)+"/lift", map[string]any{"reason": "it is settled"}, 204, "")
		e := b.erase(early)

		b.want(0, "patient", "GET", "/api/v1/documents/"+string(image.ID), nil, 404, "") // whose it was is forgotten too
		b.want(1, "dpo", "POST", "/api/v1/exports", map[string]any{"patient": image.Patient, "case": copies.ID}, 410, "erased")
		done := b.want(0, "dpo", "POST", one+"/execution", nil, 200, string(e.ID))
		if !strings.Contains(string(done), `"standing":"met"`) {
			t.Errorf("executed: %s; want it in time", done)
		}
		b.want(0, "dpo", "GET", "/api/v1/erasures/"+string(e.ID)+"/certificate", nil, 200, string(image.Patient))
		b.want(0, "dpo", "POST", cases+"/"+string(unfinished.ID)+"/execution", nil, 200, `"state":"executed"`) // nothing is left to restrict

		// Whoever comes back begins anew: nobody treats them, nothing is restricted.
		b.want(0, "admin", "POST", patient+"/readmit", nil, 204, "")
		if again, _, _ := b.admit(p); again.Patient != image.Patient || again.ID == image.ID {
			t.Errorf("stored as %s of %s; want a new document of %s", again.ID, again.Patient, image.Patient)
		}
		if list := b.want(0, "dpo", "GET", patient+"/restrictions", nil, 200, "restrictions"); strings.Contains(string(list), `"id"`) {
			t.Errorf("restrictions of before: %s", list)
		}
		b.want(0, "patient", "GET", "/api/v1/documents/"+string(image.ID), nil, 404, "")
		second := into[vault.Case](t, b.want(0, "dpo", "POST", cases, map[string]any{"type": "deletion", "patient": image.Patient, "verified": "id-document"}, 201, ""))
		b.set("2026-12-16 00:00")
		b.want(1, "dpo", "GET", cases+"/"+string(second.ID), nil, 200, `"standing":"overdue"`)
	})
}
