package vault_test

import (
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/storage"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// A hold that is placed while documents are on their way keeps what has not moved yet.
func TestAHoldStopsAMoveThatIsUnderWay(t *testing.T) {
	t.Parallel()
	now := newClock()
	var regions []*storetest.Faulty
	h := vaulttest.New(t, vaulttest.Options{Now: now.now, Poll: 5 * time.Millisecond, Store: func(_, _ string, s storage.Store) storage.Store {
		faulty := storetest.NewFaulty(s)
		regions = append(regions, faulty)
		return faulty
	}})
	held, to := put(t, h, ct(patient(), 1)), put(t, h, ct(imagingtest.NewPatient(8), 1))
	free := put(t, h, ct(imagingtest.NewPatient(9), 1))
	treat(t, h, held.Patient)
	treat(t, h, to.Patient)
	for _, r := range regions {
		r.Inject(storetest.Fault{Op: "get", Key: "objects/", Err: storage.ErrAway})
	}
	for _, r := range []vault.Receipt{held, free} {
		if _, err := h.MoveDocuments(t.Context(), dpo, r.Patient, vault.NewMove{To: to.Patient, Documents: []record.ObjectID{r.ID}, Reason: "one person"}); err != nil {
			t.Fatal(err)
		}
	}
	hold, err := h.AddHold(t.Context(), dpo, held.Patient, vault.NewHold{Reason: "a lawsuit", Authority: "District Court", Review: now.now().AddDate(1, 0, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range regions {
		r.Heal()
	}
	arrived := func(id record.ObjectID) bool {
		now.forward(time.Second)
		o, err := h.Open(t.Context(), clinician, vault.Ref{Document: id})
		return err == nil && o.Documents[0].Patient == to.Patient
	}
	eventually(t, "what nobody holds has moved", func() bool { return arrived(free.ID) })
	for range 20 {
		if arrived(held.ID) {
			t.Fatal("a held document has moved to a patient whom nothing holds")
		}
	}
	if err := h.LiftHold(t.Context(), dpo, held.Patient, hold.ID, "it is settled"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other moves when nothing holds it", func() bool { return arrived(held.ID) })
}
