package vault_test

import (
	"testing"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// A breach, who was told of it, a frozen patient and a finding are there again after the
// catalog was lost, and what was thawed stays thawed.
func TestPromise7_2FreezesOutliveTheCatalog(t *testing.T) {
	t.Parallel()
	o := vaulttest.Options{Dir: t.TempDir()}
	h := vaulttest.New(t, o)
	dpo := vaulttest.Actor(record.RoleDPO)
	frozen, thawed := put(t, h, ct(patient(), 1)), put(t, h, ct(imagingtest.NewPatient(8), 1))
	i, err := h.OpenIncident(t.Context(), dpo, vault.NewIncident{What: "a lost disk", Scopes: []vault.IncidentScope{{Object: frozen.ID}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []record.PatientToken{frozen.Patient, thawed.Patient} {
		if _, err := h.Contain(t.Context(), dpo, i.ID, vault.Containment{Do: "freeze-patient", Target: string(target)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.ThawPatient(t.Context(), dpo, thawed.Patient); err != nil {
		t.Fatal(err)
	}
	if _, err := h.RecordNotified(t.Context(), dpo, i.ID, vault.Notified{All: true, How: "letter"}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.OpenFinding(t.Context(), dpo, vault.NewFinding{Title: "open port", Severity: "low", Owner: "it", Due: i.Clock.Due}); err != nil {
		t.Fatal(err)
	}
	exportLog(t, h)
	loseCatalog(t, h)
	if _, err := vaulttest.Rebuild(t.Context(), o, "cn-north"); err != nil {
		t.Fatalf("Rebuild = %v", err)
	}
	h = vaulttest.New(t, o)
	again, err := h.ReadIncident(t.Context(), dpo, i.ID)
	if err != nil || again.What != i.What || len(again.Containment) != 2 || again.PatientsTold != 1 {
		t.Errorf("the incident after the rebuild: %+v, %v", again, err)
	}
	if list, err := h.Findings(t.Context(), dpo, true); err != nil || len(list) != 1 {
		t.Errorf("findings after the rebuild: %v, %v", list, err)
	}
	for _, row := range []struct {
		patient record.PatientToken
		frozen  bool
	}{{frozen.Patient, true}, {thawed.Patient, false}} {
		_, err := h.Restrictions(t.Context(), dpo, row.patient)
		if (err != nil) != row.frozen {
			t.Errorf("%s after the rebuild: %v; want frozen %v", row.patient, err, row.frozen)
		}
	}
}
