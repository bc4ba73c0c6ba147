package vault_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/storage"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// A region that is down holds nobody up but its own line in the certificate.
func TestErasureWaitsForARegionThatIsDown(t *testing.T) {
	t.Parallel()
	now := newClock()
	var south []*storetest.Faulty
	h := vaulttest.New(t, vaulttest.Options{Now: now.now, Poll: 5 * time.Millisecond, Store: func(region, _ string, s storage.Store) storage.Store {
		if region == "cn-south" {
			faulty := storetest.NewFaulty(s)
			south = append(south, faulty)
			return faulty
		}
		return s
	}})
	gone, kept, doc := sameShard(t, h, 9500)
	copied(t, h)
	for _, s := range south {
		s.Inject(storetest.Fault{Err: storage.ErrAway})
	}
	n := patientsOwn
	n.Patient = gone.Patient
	e := erasePatient(t, h, n)
	eventually(t, "the other regions are done", func() bool {
		now.forward(time.Second)
		c, err := h.ErasureCertificate(t.Context(), dpo, e.ID)
		return err == nil && len(c.Pending()) == 1 && c.Pending()[0] == "pending: cn-south"
	})
	c, err := h.ErasureCertificate(t.Context(), dpo, e.ID)
	if err != nil || c.State != vault.CertificatePending {
		t.Fatalf("certificate: %q, %v; want it pending", c.State, err)
	}
	checkCertificate(t, c)
	readable(t, h, kept.Patient, doc)
	for _, s := range south {
		s.Heal()
	}
	checkCertificate(t, certified(t, h, now, e.ID))
}

// Erasing one document gives the others new keys.
func TestOneDocumentIsErasedByNewKeysForTheOthers(t *testing.T) {
	t.Parallel()
	now := newClock()
	h := vaulttest.New(t, vaulttest.Options{Now: now.now, Poll: 5 * time.Millisecond})
	gone, _ := ctOf(t, h, 9600, 1)
	kept, doc := ctOf(t, h, 9600, 2)
	treat(t, h, gone.Patient)
	copied(t, h)
	n := patientsOwn
	n.Document = gone.ID
	e := erasePatient(t, h, n)
	cert := certified(t, h, now, e.ID)
	checkCertificate(t, cert)
	if cert.Document != gone.ID || cert.Generation != 1 {
		t.Errorf("certificate of %s, generation %d; want %s, 1", cert.Document, cert.Generation, gone.ID)
	}
	if _, err := h.Open(t.Context(), clinician, vault.Ref{Document: gone.ID}); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("the erased document: %v; want it absent", err)
	}
	docs := open(t, h, clinician, vault.Ref{Document: kept.ID}) // by its old id, as a treating clinician: the records came along
	if got := read(t, docs[0]); string(got) != string(doc) {
		t.Error("the other document does not come back byte for byte")
	}
	clean(t, h, vault.LevelDecrypt)
	again, _ := ctOf(t, h, 9600, 3)
	if again.Patient != gone.Patient {
		t.Errorf("stored for %s; want %s", again.Patient, gone.Patient)
	}
}

func TestReadmittedPatientBeginsAnew(t *testing.T) {
	t.Parallel()
	now := newClock()
	h := vaulttest.New(t, vaulttest.Options{Now: now.now, Poll: 5 * time.Millisecond})
	gone, doc := ctOf(t, h, 9700, 1)
	copied(t, h)
	if err := h.Readmit(t.Context(), dpo, gone.Patient); !isRefusal(err, record.ErrConflict, "not-erased") {
		t.Errorf("Readmit of a patient who is here = %v; want not-erased", err)
	}
	n := patientsOwn
	n.Patient = gone.Patient
	e := erasePatient(t, h, n)
	if err := h.Readmit(t.Context(), dpo, gone.Patient); err != nil { // while the erasure goes on
		t.Fatalf("Readmit = %v", err)
	}
	back := put(t, h, doc) // the very same bytes
	if back.Present || back.ID == gone.ID {
		t.Errorf("stored as %s, present %v; want a new object", back.ID, back.Present)
	}
	copied(t, h)
	checkCertificate(t, certified(t, h, now, e.ID))
	readable(t, h, gone.Patient, doc)
	clean(t, h, vault.LevelDecrypt)
}

func TestHoldKeepsAPatient(t *testing.T) {
	t.Parallel()
	now := newClock()
	h := vaulttest.New(t, vaulttest.Options{Now: now.now, Poll: 5 * time.Millisecond})
	r, _ := ctOf(t, h, 9800, 1)
	n := patientsOwn
	n.Patient = r.Patient
	e, err := h.ProposeErasure(t.Context(), dpo, n)
	if err != nil {
		t.Fatal(err)
	}
	hold, err := h.AddHold(t.Context(), dpo, r.Patient, vault.NewHold{Reason: "a lawsuit is pending", Authority: "District Court", Review: now.now().Add(48 * time.Hour)})
	if err != nil {
		t.Fatalf("AddHold = %v", err)
	}
	_, err = h.ApproveErasure(t.Context(), eraseAdmin, e.ID)
	if refused := new(record.Refusal); !errors.As(err, &refused) || refused.Code != "legal-hold" || !strings.Contains(refused.Advice, "2026-11-24") {
		t.Errorf("approved under a hold that came after the proposal: %v; want legal-hold with its review", err)
	}
	if _, err := h.ProposeErasure(t.Context(), dpo, n); !isRefusal(err, record.ErrConflict, "legal-hold") {
		t.Errorf("proposed under a hold: %v; want legal-hold", err)
	}
	list, err := h.Holds(t.Context(), dpo, r.Patient)
	if err != nil || len(list) != 1 || list[0].Reason != "a lawsuit is pending" || list[0].Authority != "District Court" {
		t.Errorf("Holds = %+v, %v", list, err)
	}
	if err := h.LiftHold(t.Context(), dpo, r.Patient, hold.ID, "the lawsuit ended"); err != nil {
		t.Fatalf("LiftHold = %v", err)
	}
	if _, err := h.ApproveErasure(t.Context(), eraseAdmin, e.ID); err != nil {
		t.Errorf("approved after the hold: %v", err)
	}
}

// When retention has ended, a sweep proposes and another person approves; a hold and a
// patient who is still treated are left alone.
func TestPromise6_2SweepAfterRetention(t *testing.T) {
	t.Parallel()
	now := newClock()
	h := vaulttest.New(t, vaulttest.Options{Now: now.now, Poll: 5 * time.Millisecond})
	due, _ := ctOf(t, h, 9900, 1)
	held, _ := ctOf(t, h, 9901, 1)
	treated, _ := ctOf(t, h, 9902, 1)
	treat(t, h, treated.Patient)
	if _, err := h.AddHold(t.Context(), dpo, held.Patient, vault.NewHold{Reason: "evidence", Authority: "court", Review: now.now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	copied(t, h)
	now.forward(30*365*24*time.Hour + 7*24*time.Hour) // a day before the end: eight leap days
	if s, err := h.SweepRetention(t.Context(), dpo, true, false); err != nil || len(s.Due) != 0 {
		t.Errorf("a day before: %+v, %v; want nobody due", s, err)
	}
	now.forward(48 * time.Hour)
	s, err := h.SweepRetention(t.Context(), dpo, true, false)
	if err != nil || len(s.Due) != 1 || s.Due[0].Patient != due.Patient || len(s.Held) != 1 || s.Held[0] != held.Patient || s.ID != "" {
		t.Fatalf("dry run: %+v, %v; want one due, one held", s, err)
	}
	if s, err = h.SweepRetention(t.Context(), dpo, false, false); err != nil || s.ID == "" {
		t.Fatalf("sweep: %+v, %v", s, err)
	}
	if _, err := h.ApproveSweep(t.Context(), dpo, s.ID); !isRefusal(err, record.ErrDenied, "second-person") {
		t.Errorf("the same person approves: %v; want second-person", err)
	}
	done, err := h.ApproveSweep(t.Context(), eraseAdmin, s.ID)
	if err != nil || len(done.Approved) != 1 {
		t.Fatalf("ApproveSweep = %+v, %v", done, err)
	}
	checkCertificate(t, certified(t, h, now, done.Approved[0].ID))
	if _, err := h.Open(t.Context(), quality, vault.Ref{Patient: held.Patient}); err != nil {
		t.Errorf("the held patient: %v", err)
	}
}

// Inside retention nothing is erased but on a basis with evidence.
func TestPromise6_1RetentionKeeps(t *testing.T) {
	t.Parallel()
	now := newClock()
	h := vaulttest.New(t, vaulttest.Options{Now: now.now})
	r, _ := ctOf(t, h, 9950, 1)
	for _, row := range []struct {
		name string
		n    vault.NewErasure
		kind error
		code string
	}{
		{"no basis", vault.NewErasure{Patient: r.Patient}, record.ErrConflict, "retention"},
		{"a basis without evidence", vault.NewErasure{Patient: r.Patient, Early: vault.EraseStatute}, record.ErrInvalid, "evidence-required"},
		{"no such basis", vault.NewErasure{Patient: r.Patient, Early: "because", Evidence: "x"}, record.ErrInvalid, "bad-basis"},
		{"a name as evidence", vault.NewErasure{Patient: r.Patient, Early: vault.EraseStatute, Evidence: "Wang Fang"}, record.ErrInvalid, "bad-evidence"},
		{"no child", vault.NewErasure{Patient: r.Patient, Early: vault.EraseGuardianRefused}, record.ErrConflict, "not-refused"},
		{"one document", vault.NewErasure{Document: r.ID}, record.ErrConflict, "retention"},
	} {
		if _, err := h.ProposeErasure(t.Context(), dpo, row.n); !isRefusal(err, row.kind, row.code) {
			t.Errorf("%s: %v; want %s", row.name, err, row.code)
		}
	}
	if s, err := h.PreviewErasure(t.Context(), dpo, vault.NewErasure{Patient: r.Patient}); err != nil || s.Refused != "retention" || s.Retention.Until.Year() != 2056 {
		t.Errorf("preview: %+v, %v; want retention until 2056", s, err)
	}
}

// What can be shown without identity stays when a patient is anonymized, under a token,
// UIDs and dates that lead to nobody.
func TestPromise6_2AnonymizeKeepsTheViewAlone(t *testing.T) {
	t.Parallel()
	now := newClock()
	h := vaulttest.New(t, vaulttest.Options{Now: now.now, Poll: 5 * time.Millisecond})
	p := imagingtest.NewPatient(9990)
	gone := put(t, h, imagingtest.CT(p, imagingtest.Options{Study: 1, Rows: 16, Columns: 16}))
	was := open(t, h, quality, vault.Ref{Document: gone.ID})[0]
	study, instance := was.Study, was.Instance
	n := patientsOwn
	n.Patient, n.Anonymize = gone.Patient, true
	e := erasePatient(t, h, n)
	checkCertificate(t, certified(t, h, now, e.ID))
	if _, err := h.Open(t.Context(), quality, vault.Ref{Patient: gone.Patient}); !errors.Is(err, record.ErrErased) {
		t.Errorf("the patient: %v; want erased", err)
	}
	page, err := h.Find(t.Context(), quality, vault.Query{Level: vault.LevelInstance})
	if err != nil || len(page.Matches) != 1 {
		t.Fatalf("%d instances are left, %v; want the one that stays", len(page.Matches), err)
	}
	left := page.Matches[0]
	if left.Patient == gone.Patient || left.Study == study || left.Instance == instance {
		t.Errorf("it stays as %s %s; want other names", left.Patient, left.Study)
	}
	for _, value := range []string{p.ID, p.Name} {
		for tag, attribute := range left.Attributes {
			if strings.Contains(string(attribute), value) {
				t.Errorf("attribute %s holds a value of the patient", tag)
			}
		}
	}
}
