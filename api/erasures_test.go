package api_test

import (
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// proven gets the certificate of an erasure as far as it is, and fails unless it verifies
// without the vault.
func (b *bureau) proven(id record.ObjectID) vault.Certificate {
	b.t.Helper()
	c := into[vault.Certificate](b.t, b.want(1, "dpo", "GET", "/api/v1/erasures/"+string(id)+"/certificate", nil, 200, `"leaves"`))
	file, err := c.File()
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := vault.CheckCertificate(file, c.LogKey); err != nil {
		b.t.Errorf("certificate: %v", err)
	}
	return c
}

// admitted is an adult whose image lies in every region.
func (b *bureau) admitted(n uint64) vault.Receipt {
	b.t.Helper()
	p := imagingtest.NewPatient(n)
	p.BirthDate = "19700101"
	image, _, _ := b.admit(p)
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		b.clock.Add(int64(time.Second))
		pending, err := b.gateways[0].vault.Catalog.Pending(b.t.Context(), "copy")
		if err != nil || time.Since(began) > time.Minute {
			b.t.Fatalf("%d copies are pending, %v", pending, err)
		}
		if pending == 0 {
			return image
		}
	}
}

// A deletion inside retention: asked for, refused without a basis and under a hold with the
// dates, granted on a basis, carried out by two persons within 15 working days, proven.
func TestPromise6_3EarlyDeletionHasItsOwnClock(t *testing.T) {
	onDatabases(t, func(t *testing.T, o vaulttest.Options) {
		o.Poll = 5 * time.Millisecond
		b := newBureau(t, o, "2026-09-30 15:00")
		gone, kept := b.admitted(631), b.admitted(632)
		const path = "/api/v1/erasures"
		asked := into[vault.Case](t, b.want(0, "dpo", "POST", "/api/v1/cases", map[string]any{"type": "deletion", "patient": gone.Patient, "verified": "id-document"}, 201, "deletion"))
		if asked.Execution == nil || asked.Execution.Due.Add(8*time.Hour-time.Second).UTC().Format(time.DateOnly) != "2026-10-27" {
			t.Errorf("to be done until %+v; want 2026-10-27, the fifteenth working day behind National Day", asked.Execution)
		}
		b.want(0, "dpo", "POST", "/api/v1/cases/"+string(asked.ID)+"/decision", map[string]any{"outcome": "granted", "basis": "PIPL-47"}, 200, `"state":"decided"`)

		b.want(0, "dpo", "POST", path, map[string]any{"patient": gone.Patient}, 409, "2056-10-01")
		b.want(0, "dpo", "POST", path, map[string]any{"patient": gone.Patient, "early": "patient-request"}, 400, "evidence-required")
		early := map[string]any{"patient": gone.Patient, "early": "patient-request", "evidence": "case:" + string(asked.ID)}
		hold := into[vault.Hold](t, b.want(0, "dpo", "POST", "/api/v1/patients/"+string(gone.Patient)+"/holds",
			map[string]any{"reason": "a lawsuit", "authority": "District Court", "review": "2026-10-12T00:00:00+08:00"}, 201, "District Court"))
		b.want(1, "dpo", "POST", path, early, 409, "2026-10-12")
		b.want(0, "dpo", "POST", "/api/v1/patients/"+string(gone.Patient)+"/holds/"+string(hold.ID)+"/lift", map[string]any{"reason": "withdrawn"}, 204, "")

		b.set("2026-10-26 10:00") // within the fifteen days still
		for _, who := range []record.Role{"clinician", "quality", "patient", "auditor"} {
			if status, answer := b.ask(0, who, "POST", path, early); status != 403 && status != 404 {
				t.Errorf("proposed by %s = %d %.200s", who, status, answer)
			}
		}
		e := into[vault.Erasure](t, b.want(0, "dpo", "POST", path, early, 201, `"proposed"`))
		b.want(1, "dpo", "POST", path+"/"+string(e.ID)+"/approve", nil, 403, "second-person")
		b.want(1, "admin", "POST", path+"/"+string(e.ID)+"/approve", nil, 202, `"approvedBy"`)
		for gateway := range 2 {
			b.want(gateway, "quality", "GET", "/api/v1/documents/"+string(gone.ID), nil, 410, "erased")
		}
		c := b.proven(e.ID)
		if c.Patient != gone.Patient || c.Basis != "patient-request" {
			t.Errorf("certificate of %s on %q", c.Patient, c.Basis)
		}
		done := into[vault.Case](t, b.want(0, "dpo", "POST", "/api/v1/cases/"+string(asked.ID)+"/execution", nil, 200, `"executed"`))
		if done.Execution == nil || done.Execution.Standing != "met" {
			t.Errorf("the clock of the deletion: %+v; want it met", done.Execution)
		}
		b.want(0, "quality", "GET", "/api/v1/documents/"+string(kept.ID), nil, 200, "")
	})
}

// Thirty years from the last treatment nothing is erased without a basis; then a sweep
// proposes it, another person approves, and it is gone (the certificate: vault,
// TestPromise6_2SweepAfterRetention).
func TestPromise6_1And6_2KeptThenErased(t *testing.T) {
	onDatabases(t, func(t *testing.T, o vaulttest.Options) {
		o.Poll = 5 * time.Millisecond
		b := newBureau(t, o, "2026-11-22 10:00")
		due := b.admitted(611)
		b.set("2027-03-01 10:00")
		later := b.admitted(612)
		const path = "/api/v1/erasures"
		b.set("2056-11-22 23:59") // the last minute of the thirty years
		for _, what := range []map[string]any{{"patient": due.Patient}, {"document": due.ID}} {
			b.want(0, "dpo", "POST", path, what, 409, "2056-11-23")
		}
		if s := into[vault.Sweep](t, b.want(0, "dpo", "POST", "/api/v1/sweeps", map[string]any{"dryRun": true}, 200, "due")); len(s.Due) != 0 {
			t.Errorf("due a minute too early: %+v", s.Due)
		}
		b.set("2056-11-23 00:00")
		if s := into[vault.Sweep](t, b.want(1, "dpo", "POST", "/api/v1/sweeps", map[string]any{"dryRun": true}, 200, "due")); len(s.Due) != 1 || s.Due[0].Patient != due.Patient || s.ID != "" {
			t.Fatalf("dry run: %+v; want the one, and nothing proposed", s)
		}
		s := into[vault.Sweep](t, b.want(0, "dpo", "POST", "/api/v1/sweeps", map[string]any{}, 201, "due"))
		b.want(0, "dpo", "POST", "/api/v1/sweeps/"+string(s.ID)+"/approve", nil, 403, "second-person")
		done := into[vault.SweepApproval](t, b.want(1, "admin", "POST", "/api/v1/sweeps/"+string(s.ID)+"/approve", nil, 202, "approved"))
		if len(done.Approved) != 1 || len(done.Left) != 0 {
			t.Fatalf("approved: %+v; want the one", done)
		}
		b.want(0, "quality", "GET", "/api/v1/documents/"+string(due.ID), nil, 410, "erased")
		b.want(0, "quality", "GET", "/api/v1/documents/"+string(later.ID), nil, 200, "")
	})
}
