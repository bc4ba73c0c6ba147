package vault_test

import (
	"testing"

	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// The register may give one person two roles. Who keeps the care relationships must not let
// themselves at a patient by one of them and read by the other.
func TestNobodyStatesToTreatAPatientThemselves(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, ct(patient(), 1))
	keeper, reader := dpo, clinician
	keeper.ID, reader.ID = "two-roles", "two-roles"
	_, err := h.StateCare(t.Context(), keeper, r.Patient, vault.NewCare{Clinician: keeper.ID})
	wantRefusal(t, "StateCare of oneself", err, "own-entry")
	_, err = h.StateCares(t.Context(), keeper, r.Patient, []vault.NewCare{{Clinician: clinician.ID}, {Clinician: keeper.ID}})
	wantRefusal(t, "StateCares of oneself among others", err, "own-entry")
	_, err = h.StateCare(t.Context(), keeper, "paaaaaaaaaaaaaaaaaaaaaaaaaa", vault.NewCare{Clinician: keeper.ID})
	wantRefusal(t, "StateCare of nobody", err, "not-found")
	_, err = h.StateCare(t.Context(), radiology, r.Patient, vault.NewCare{Clinician: radiology.ID})
	wantRefusal(t, "StateCare by who may not", err, "not-found")
	_, err = h.Open(t.Context(), reader, vault.Ref{Document: r.ID})
	wantRefusal(t, "Open", err, "not-found")
	page, err := h.AuditQuery(t.Context(), dpo, vault.AuditQuery{Actor: keeper.ID, Action: record.ActionCareAdd, Decision: "deny"})
	if err != nil || len(page.Leaves) < 2 {
		t.Errorf("refusals in the log: %d, %v; want both", len(page.Leaves), err)
	}
}
