package vault_test

import (
	"testing"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// A document was seen while it lay under a wrong patient: both are affected, whether the
// incident names the person or the document, by its id of then or of now.
func TestABreachConcernsWhomADocumentBelongsTo(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	p, twin := put(t, h, ct(patient(), 1)), put(t, h, ct(imagingtest.NewPatient(8), 1))
	treat(t, h, twin.Patient)
	open(t, h, clinician, vault.Ref{Document: twin.ID})
	if _, err := h.MoveDocuments(t.Context(), dpo, twin.Patient, vault.NewMove{To: p.Patient, Documents: []record.ObjectID{twin.ID}, Reason: "stored under a wrong one"}); err != nil {
		t.Fatalf("MoveDocuments = %v", err)
	}
	eventually(t, "it has moved", func() bool { return pending(t, h, "move") == 0 })
	treat(t, h, p.Patient)
	now := open(t, h, quality, vault.Ref{Document: twin.ID})[0].ID
	for name, s := range map[string]vault.IncidentScope{"person": {Person: clinician.ID}, "then": {Object: twin.ID}, "now": {Object: now}} {
		i, err := h.OpenIncident(t.Context(), dpo, vault.NewIncident{What: "somebody looked", Drill: true, Scopes: []vault.IncidentScope{s}})
		if err != nil {
			t.Fatalf("OpenIncident = %v", err)
		}
		a, err := h.Affected(t.Context(), dpo, i.ID)
		if err != nil {
			t.Fatalf("Affected = %v", err)
		}
		concerned := make(map[record.PatientToken]bool)
		for _, one := range a.Patients {
			for _, did := range one.How {
				concerned[one.Patient] = concerned[one.Patient] || did.Act == string(record.ActionRead)
			}
		}
		if !concerned[p.Patient] || !concerned[twin.Patient] {
			t.Errorf("%s: a read concerns %v; want both patients", name, concerned)
		}
	}
}
