package vault_test

import (
	"bytes"
	"testing"
	"time"

	"medvault/imaging/dicom"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// correctTo puts a correction on record.
func correctTo(t *testing.T, h *vaulttest.House, p record.PatientToken, n vault.NewCorrection) vault.Correction {
	t.Helper()
	n.Reason = "as the identity card says"
	c, err := h.Correct(t.Context(), dpo, p, n)
	if err != nil {
		t.Fatalf("Correct = %v", err)
	}
	return c
}

// names counts the studies that are found by a name or an id.
func found(t *testing.T, h *vaulttest.House, key, value string) int {
	t.Helper()
	page, err := h.Find(t.Context(), clinician, vault.Query{Level: vault.LevelStudy, Match: map[string][]string{key: {value}}})
	if err != nil {
		t.Fatalf("Find = %v", err)
	}
	return len(page.Matches)
}

func TestReadsCarryACorrectionAndTheOriginalStays(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	p := patient()
	p.Name = "Quillfeather^Ottoline"
	doc := ct(p, 1)
	r := put(t, h, doc)
	treat(t, h, r.Patient)
	before := read(t, open(t, h, quality, vault.Ref{Document: r.ID})[0])
	c := correctTo(t, h, r.Patient, vault.NewCorrection{Values: map[string]string{"PatientName": "Featherquill^Ottoline", "PatientSex": "O"}})

	opened := open(t, h, clinician, vault.Ref{Document: r.ID})[0]
	got := read(t, opened)
	in, err := dicom.New().Begin(bytes.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	if id := in.Identity(); id.PatientName != "Featherquill^Ottoline" || id.Sex != "O" || id.PatientID != p.ID {
		t.Errorf("reads %q, %q, %q; want the correction", id.PatientName, id.Sex, id.PatientID)
	}
	if !bytes.Contains(got, []byte("Quillfeather^Ottoline")) || !opened.Corrected || opened.Size != -1 {
		t.Error("the document does not tell what it said before")
	}
	if as := open(t, h, clinician, vault.Ref{Document: r.ID, AsReceived: true})[0]; !bytes.Equal(read(t, as), doc) || as.Corrected {
		t.Error("the original is not what came in")
	}
	if !bytes.Equal(read(t, open(t, h, quality, vault.Ref{Document: r.ID})[0]), before) {
		t.Error("the view without identity changed")
	}
	page, err := h.Find(t.Context(), clinician, vault.Query{Level: vault.LevelStudy})
	if err != nil || len(page.Matches) != 1 || !bytes.Contains(page.Matches[0].Attributes["00100010"], []byte("Featherquill")) {
		t.Errorf("the search tells %v, %v", page.Matches, err)
	}
	eventually(t, "the patient is found by the corrected name alone", func() bool {
		return found(t, h, "PatientName", "featherquill*") == 1 && found(t, h, "PatientName", "quillfeather*") == 0
	})
	put(t, h, ct(p, 2)) // the scanner still says it wrong
	if found(t, h, "PatientName", "quillfeather*") != 0 {
		t.Error("a later document brings the wrong name back")
	}
	list, err := h.Corrections(t.Context(), dpo, r.Patient)
	if err != nil || len(list) != 1 || list[0].Values["PatientName"] != "Featherquill^Ottoline" || list[0].Reason == "" || list[0].By != dpo.ID {
		t.Errorf("Corrections = %+v, %v", list, err)
	}
	if err := h.Uncorrect(t.Context(), dpo, r.Patient, c.ID); err != nil {
		t.Fatalf("Uncorrect = %v", err)
	}
	if as := open(t, h, clinician, vault.Ref{Document: r.ID})[0]; !bytes.Equal(read(t, as), doc) {
		t.Error("taken back, the correction is still told")
	}
	eventually(t, "the patient is found by the name of before", func() bool {
		return found(t, h, "PatientName", "featherquill*") == 0 && found(t, h, "PatientName", "quillfeather*") == 1
	})
	if err := h.Uncorrect(t.Context(), dpo, r.Patient, c.ID); err == nil {
		t.Error("a correction was taken back twice")
	}
	for _, action := range []record.Action{record.ActionCorrect, record.ActionUncorrect} {
		if n := len(leaves(t, h, action)); n == 0 {
			t.Errorf("no leaf of %s", action)
		}
	}
}

func TestACorrectedPatientIDLeadsToThePatient(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	p, right, other := patient(), patient(), imagingtest.NewPatient(8)
	right.ID = "RIGHT-1"
	r := put(t, h, ct(p, 1))
	treat(t, h, r.Patient)
	stranger := put(t, h, ct(other, 1))
	if _, err := h.Correct(t.Context(), dpo, r.Patient, vault.NewCorrection{Reason: "typing error", Evidence: r.ID, Values: map[string]string{"PatientID": other.ID, "IssuerOfPatientID": other.Issuer}}); err == nil {
		t.Error("a Patient ID of another patient was taken")
	} else {
		wantRefusal(t, "Correct", err, "patient-exists")
	}
	correctTo(t, h, r.Patient, vault.NewCorrection{Evidence: r.ID, Values: map[string]string{"PatientID": right.ID}})
	later := put(t, h, imagingtest.CT(right, imagingtest.Options{Study: 5, Series: 1, Instance: 1, Rows: 16, Columns: 16}))
	if later.Patient != r.Patient || later.Patient == stranger.Patient {
		t.Errorf("under the corrected Patient ID a document went to %s; want %s", later.Patient, r.Patient)
	}
	eventually(t, "both studies are found by the corrected id", func() bool { return found(t, h, "PatientID", right.ID) == 2 && found(t, h, "PatientID", p.ID) == 0 })
	page, err := h.Find(t.Context(), clinician, vault.Query{Level: vault.LevelStudy, Match: map[string][]string{"PatientID": {right.ID}, "IssuerOfPatientID": {p.Issuer}}})
	if err != nil || len(page.Matches) != 2 {
		t.Errorf("with its issuer: %d studies, %v; want 2", len(page.Matches), err)
	}
}

func TestACorrectedBirthDateDecidesWhoIsAChild(t *testing.T) {
	t.Parallel()
	clock := at(t, "2026-11-22T08:00:00Z")
	h := vaulttest.New(t, vaulttest.Options{Now: clock.now})
	p := child(95, "20150101")
	r := put(t, h, ct(p, 1))
	treat(t, h, r.Patient)
	_, err := h.Open(t.Context(), clinician, vault.Ref{Document: r.ID})
	wantRefusal(t, "Open of a child's", err, "guardian-consent-missing")
	_, err = h.Correct(t.Context(), dpo, r.Patient, vault.NewCorrection{Reason: "typing error", Values: map[string]string{"PatientBirthDate": "19850101"}})
	wantRefusal(t, "a birth date without evidence", err, "evidence-required")
	correctTo(t, h, r.Patient, vault.NewCorrection{Evidence: r.ID, Values: map[string]string{"PatientBirthDate": "19850101"}})
	open(t, h, clinician, vault.Ref{Document: r.ID})
	put(t, h, ct(p, 2)) // says the wrong date again
	open(t, h, clinician, vault.Ref{Document: r.ID})
	clock.set(clock.now().Add(time.Minute))
	correctTo(t, h, r.Patient, vault.NewCorrection{Evidence: r.ID, Values: map[string]string{"PatientBirthDate": "20100203"}})
	_, err = h.Open(t.Context(), clinician, vault.Ref{Document: r.ID})
	wantRefusal(t, "Open of a child's again", err, "guardian-consent-missing")
}

func TestACategoryIsCorrectedAndTakenBack(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, ct(patient(), 1))
	treat(t, h, r.Patient)
	category := func() string { return open(t, h, clinician, vault.Ref{Document: r.ID})[0].Category }
	c := correctTo(t, h, r.Patient, vault.NewCorrection{Document: r.ID, Category: "result"})
	if got := category(); got != "result" || c.Before != "imaging" {
		t.Errorf("the category is %q, before %q", got, c.Before)
	}
	if err := h.Uncorrect(t.Context(), dpo, r.Patient, c.ID); err != nil {
		t.Fatal(err)
	}
	if got := category(); got != "imaging" {
		t.Errorf("taken back, the category is %q", got)
	}
}

func TestWhatCannotBeCorrectedIsRefused(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, ct(patient(), 1))
	for code, n := range map[string]vault.NewCorrection{
		"not-correctable":    {Values: map[string]string{"Modality": "MR"}},
		"bad-value":          {Values: map[string]string{"PatientName": `A\B`}},
		"bad-birth-date":     {Values: map[string]string{"PatientBirthDate": "1970"}},
		"bad-sex":            {Values: map[string]string{"PatientSex": "X"}},
		"missing-patient-id": {Values: map[string]string{"IssuerOfPatientID": "A"}},
		"nothing-to-correct": {},
		"unknown-category":   {Category: "poem", Document: r.ID},
		"missing-document":   {Category: "result"},
		"document-unknown":   {Category: "result", Document: record.NewObjectID()},
		"whole-patient":      {Values: map[string]string{"PatientID": "A"}, Document: r.ID},
	} {
		n.Reason = "a reason"
		_, err := h.Correct(t.Context(), dpo, r.Patient, n)
		wantRefusal(t, code, err, code)
	}
	for _, a := range []record.Actor{clinician, quality, operator, radiology, self} {
		if _, err := h.Correct(t.Context(), a, r.Patient, vault.NewCorrection{Reason: "a reason", Values: map[string]string{"PatientName": "A^B"}}); err == nil {
			t.Errorf("%s corrected a patient's record", a.Role)
		}
	}
}

func TestARebuildBringsCorrectionsBack(t *testing.T) {
	t.Parallel()
	clock := at(t, "2026-11-22T08:00:00Z")
	o := vaulttest.Options{Dir: t.TempDir(), Now: clock.now}
	h := vaulttest.New(t, o)
	p, right := child(96, "20150101"), child(96, "20150101")
	p.Name, right.ID = "Quillfeather^Ottoline", "RIGHT-1"
	r := put(t, h, ct(p, 1))
	treat(t, h, r.Patient)
	step := func(n vault.NewCorrection) vault.Correction {
		clock.set(clock.now().Add(time.Second))
		return correctTo(t, h, r.Patient, n)
	}
	step(vault.NewCorrection{Values: map[string]string{"PatientName": "Featherquill^Ottoline"}})
	step(vault.NewCorrection{Evidence: r.ID, Values: map[string]string{"PatientBirthDate": "19850101"}})
	step(vault.NewCorrection{Evidence: r.ID, Values: map[string]string{"PatientID": right.ID}})
	step(vault.NewCorrection{Document: r.ID, Category: "result"})
	gone := step(vault.NewCorrection{Document: r.ID, Category: "diagnosis"})
	if err := h.Uncorrect(t.Context(), dpo, r.Patient, gone.ID); err != nil {
		t.Fatal(err)
	}
	later := put(t, h, imagingtest.CT(right, imagingtest.Options{Study: 5, Series: 1, Instance: 1, Rows: 16, Columns: 16}))
	check := func(h *vaulttest.House) {
		t.Helper()
		d := open(t, h, clinician, vault.Ref{Document: r.ID})[0]
		if d.Category != "result" || !bytes.Contains(read(t, d), []byte("Featherquill^Ottoline")) {
			t.Errorf("the document is a %q, or is not corrected", d.Category)
		}
		open(t, h, clinician, vault.Ref{Document: later.ID})
		eventually(t, "the patient is found by what was corrected alone", func() bool {
			return found(t, h, "PatientName", "featherquill*") == 2 && found(t, h, "PatientName", "quillfeather*") == 0 && found(t, h, "PatientID", right.ID) == 2
		})
		if list, err := h.Corrections(t.Context(), dpo, r.Patient); err != nil || len(list) != 5 || list[4].Undone == nil || list[0].Values["PatientName"] == "" {
			t.Errorf("Corrections = %+v, %v", list, err)
		}
	}
	check(h)
	eventually(t, "every region holds all", func() bool { return state(t, h, "cn-east").Pending == 0 && state(t, h, "cn-north").Pending == 0 })
	h.Stop()
	dropCatalog(t, o.Dir)
	if _, err := vaulttest.Rebuild(t.Context(), o, "cn-north"); err != nil {
		t.Fatalf("Rebuild = %v", err)
	}
	check(vaulttest.New(t, o))
}

// moved waits until a patient has no documents left.
func moved(t *testing.T, h *vaulttest.House, id record.ObjectID, to record.PatientToken) {
	t.Helper()
	eventually(t, "the document is the other patient's", func() bool {
		o, err := h.Open(t.Context(), clinician, vault.Ref{Document: id})
		return err == nil && o.Documents[0].Patient == to
	})
}

// Two Patient IDs of one person: everything moves, what comes later follows, and it can
// be undone.
func TestTwoPatientsBecomeOneAndTwoAgain(t *testing.T) {
	t.Parallel()
	clock := at(t, "2026-11-22T08:00:00Z")
	o := vaulttest.Options{Dir: t.TempDir(), Now: clock.now}
	h := vaulttest.New(t, o)
	p, twin := patient(), imagingtest.NewPatient(8)
	doc := ct(twin, 1)
	kept, r := put(t, h, ct(p, 1)), put(t, h, doc)
	treat(t, h, kept.Patient)
	treat(t, h, r.Patient)
	step := func() { clock.set(clock.now().Add(time.Second)) }
	if _, err := h.MoveDocuments(t.Context(), dpo, r.Patient, vault.NewMove{To: kept.Patient, Reason: "one person"}); err != nil {
		t.Fatalf("MoveDocuments = %v", err)
	}
	moved(t, h, r.ID, kept.Patient)
	check := func(h *vaulttest.House) {
		t.Helper()
		d := open(t, h, clinician, vault.Ref{Document: r.ID})[0]
		in, err := dicom.New().Begin(bytes.NewReader(read(t, d)))
		if err != nil {
			t.Fatal(err)
		}
		if id := in.Identity(); id.PatientID != p.ID || id.PatientName != p.Name || d.Patient != kept.Patient {
			t.Errorf("the moved document says %q, %q", id.PatientID, id.PatientName)
		}
		if as := open(t, h, clinician, vault.Ref{Document: r.ID, AsReceived: true})[0]; !bytes.Equal(read(t, as), doc) {
			t.Error("the original is not what came in")
		}
		eventually(t, "it is found by the other's id alone", func() bool { return found(t, h, "PatientID", p.ID) >= 2 && found(t, h, "PatientID", twin.ID) == 0 })
	}
	check(h)
	later := put(t, h, imagingtest.CT(twin, imagingtest.Options{Study: 9, Series: 1, Instance: 1, Rows: 16, Columns: 16}))
	if later.Patient != kept.Patient {
		t.Errorf("a later document under the old Patient ID went to %s; want %s", later.Patient, kept.Patient)
	}
	step() // past the time for which the old one stays
	settled(t, h)
	loseCatalog(t, h)
	if _, err := vaulttest.Rebuild(t.Context(), o, "cn-north"); err != nil {
		t.Fatalf("Rebuild = %v", err)
	}
	h = vaulttest.New(t, o)
	check(h)
	if again := put(t, h, imagingtest.CT(twin, imagingtest.Options{Study: 9, Series: 1, Instance: 2, Rows: 16, Columns: 16})); again.Patient != kept.Patient {
		t.Errorf("after a rebuild a document under the old Patient ID went to %s; want %s", again.Patient, kept.Patient)
	}
	step()
	if _, err := h.MoveDocuments(t.Context(), dpo, kept.Patient, vault.NewMove{To: r.Patient, Documents: []record.ObjectID{r.ID}, Reason: "two persons after all"}); err != nil {
		t.Fatalf("MoveDocuments back = %v", err)
	}
	moved(t, h, r.ID, r.Patient)
	if d := open(t, h, clinician, vault.Ref{Document: r.ID})[0]; !bytes.Equal(read(t, d), doc) {
		t.Error("moved back, the document still says it is another's")
	}
	if last := put(t, h, imagingtest.CT(twin, imagingtest.Options{Study: 9, Series: 1, Instance: 3, Rows: 16, Columns: 16})); last.Patient != r.Patient {
		t.Errorf("a later document went to %s; want %s", last.Patient, r.Patient)
	}
}

func TestWhatIsProtectedDoesNotMove(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	p, other := put(t, h, ct(patient(), 1)), put(t, h, ct(imagingtest.NewPatient(8), 1))
	move := func(n vault.NewMove) error {
		n.Reason = "one person"
		_, err := h.MoveDocuments(t.Context(), dpo, p.Patient, n)
		return err
	}
	wantRefusal(t, "to nobody", move(vault.NewMove{To: "pbbbbbbbbbbbbbbbbbbbbbbbbbb"}), "not-found")
	wantRefusal(t, "to itself", move(vault.NewMove{To: p.Patient}), "bad-target")
	wantRefusal(t, "another's document", move(vault.NewMove{To: other.Patient, Documents: []record.ObjectID{other.ID}}), "document-unknown")
	consentTo(t, h, p.Patient, vault.NewConsent{Purpose: record.PurposeQuality, Decision: "refuse"})
	wantRefusal(t, "past a refusal", move(vault.NewMove{To: other.Patient}), "protected")
	consentTo(t, h, other.Patient, vault.NewConsent{Purpose: record.PurposeQuality, Decision: "refuse"})
	if err := move(vault.NewMove{To: other.Patient}); err != nil {
		t.Errorf("MoveDocuments where both refuse = %v", err)
	}
	if _, err := h.MoveDocuments(t.Context(), clinician, other.Patient, vault.NewMove{To: p.Patient, Reason: "one person"}); err == nil {
		t.Error("a clinician moved documents")
	}
}
