package vault_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// tried is a log that can be asked whether a job could not be done.
type tried struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (w *tried) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said.Write(p)
}

func (w *tried) move() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(w.said.String(), "job=move")
}

func pending(t *testing.T, h *vaulttest.House, kind string) int64 {
	t.Helper()
	n, err := h.Catalog.Pending(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	return int64(n)
}

func TestACorrectedPatientIDNeedsEvidence(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	r, other := put(t, h, ct(patient(), 1)), put(t, h, ct(imagingtest.NewPatient(8), 1))
	for evidence, want := range map[record.ObjectID]string{"": "evidence-required", other.ID: "evidence-unknown"} {
		_, err := h.Correct(t.Context(), dpo, r.Patient, vault.NewCorrection{Reason: "a reason", Evidence: evidence, Values: map[string]string{"PatientID": "COMES-LATER"}})
		wantRefusal(t, "a Patient ID with evidence "+string(evidence), err, want)
	}
}

// The same bytes under both Patient IDs: the second copy stays, and the order ends.
func TestAMergePassesWhatBothHave(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	store := func(id string) vault.Receipt {
		r, err := h.Put(t.Context(), radiology, pdfUpload(id))
		if err != nil {
			t.Fatalf("Put = %v", err)
		}
		return r
	}
	one, two := store("P-1"), store("P-2")
	if _, err := h.MoveDocuments(t.Context(), dpo, one.Patient, vault.NewMove{To: two.Patient, Reason: "one person"}); err != nil {
		t.Fatalf("MoveDocuments = %v", err)
	}
	eventually(t, "the order is carried out", func() bool { return pending(t, h, "move") == 0 })
}

// A became B's, then B became C's: what still comes under A is C's.
func TestUploadsFollowTwoMoves(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	var all []vault.Receipt
	for seed := uint64(7); seed < 10; seed++ {
		all = append(all, put(t, h, ct(imagingtest.NewPatient(seed), 1)))
	}
	for i := range 2 {
		if _, err := h.MoveDocuments(t.Context(), dpo, all[i].Patient, vault.NewMove{To: all[i+1].Patient, Reason: "one person"}); err != nil {
			t.Fatalf("MoveDocuments = %v", err)
		}
		eventually(t, "they have moved", func() bool { return pending(t, h, "move") == 0 })
	}
	if later := put(t, h, ct(imagingtest.NewPatient(7), 2)); later.Patient != all[2].Patient {
		t.Errorf("what comes later went to %s; want %s", later.Patient, all[2].Patient)
	}
}

// What protects a patient after the order, and before it is carried out, counts.
func TestWhatIsProtectedMeanwhileDoesNotMove(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		protect, end func(t *testing.T, h *vaulttest.House, from, to record.PatientToken)
	}{
		"hold": {
			func(t *testing.T, h *vaulttest.House, from, _ record.PatientToken) {
				if _, err := h.AddHold(t.Context(), dpo, from, vault.NewHold{Reason: "lawsuit", Authority: "court", Review: time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)}); err != nil {
					t.Fatal(err)
				}
			},
			func(t *testing.T, h *vaulttest.House, from, _ record.PatientToken) {
				held, err := h.Holds(t.Context(), dpo, from)
				if err == nil {
					err = h.LiftHold(t.Context(), dpo, from, held[0].ID, "it is over")
				}
				if err != nil {
					t.Fatal(err)
				}
			},
		},
		"from frozen": {
			func(t *testing.T, h *vaulttest.House, from, _ record.PatientToken) { freezePatient(t, h, from) },
			func(t *testing.T, h *vaulttest.House, from, _ record.PatientToken) { thawPatient(t, h, from) },
		},
		"to frozen": {
			func(t *testing.T, h *vaulttest.House, _, to record.PatientToken) { freezePatient(t, h, to) },
			func(t *testing.T, h *vaulttest.House, _, to record.PatientToken) { thawPatient(t, h, to) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock, said := at(t, "2026-11-22T08:00:00Z"), new(tried)
			o := vaulttest.Options{Dir: t.TempDir(), Now: clock.now, Poll: time.Hour, Log: slog.New(slog.NewTextHandler(said, nil))}
			h := vaulttest.New(t, o)
			kept, r := put(t, h, ct(patient(), 1)), put(t, h, ct(imagingtest.NewPatient(8), 1))
			if _, err := h.MoveDocuments(t.Context(), dpo, r.Patient, vault.NewMove{To: kept.Patient, Reason: "one person"}); err != nil {
				t.Fatalf("MoveDocuments = %v", err)
			}
			if pending(t, h, "move") != 1 {
				t.Fatal("carried out before anything could be said") // the workers sleep
			}
			c.protect(t, h, r.Patient, kept.Patient)
			h.Stop()
			o.Poll = 0
			h = vaulttest.New(t, o)
			eventually(t, "the order was looked at", func() bool { return said.move() || pending(t, h, "move") == 0 })
			if pending(t, h, "move") == 0 {
				t.Error("the order is done with")
			}
			c.end(t, h, r.Patient, kept.Patient)
			treat(t, h, kept.Patient)
			clock.set(clock.now().Add(time.Hour))
			moved(t, h, r.ID, kept.Patient)
		})
	}
}

func freezePatient(t *testing.T, h *vaulttest.House, p record.PatientToken) {
	t.Helper()
	if _, err := h.FreezePatient(t.Context(), dpo, p, "breach", ""); err != nil {
		t.Fatalf("FreezePatient = %v", err)
	}
}

func thawPatient(t *testing.T, h *vaulttest.House, p record.PatientToken) {
	t.Helper()
	if _, err := h.ThawPatient(t.Context(), dpo, p); err != nil {
		t.Fatalf("ThawPatient = %v", err)
	}
}
