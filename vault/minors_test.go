package vault_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

var (
	guardian = vaulttest.Actor(record.RoleGuardian)
	self     = vaulttest.Actor(record.RolePatient)
)

// emergency is a clinician in an emergency, with or without saying what it is.
func emergency(t *testing.T, a record.Actor, reason string) record.Actor {
	t.Helper()
	a.Purpose = record.PurposeETreat
	if reason == "" {
		return a
	}
	var err error
	if a.Emergency, err = record.NewEmergency(reason); err != nil {
		t.Fatal(err)
	}
	return a
}

// watch is a clock that a test sets.
type watch struct{ at atomic.Int64 }

func (w *watch) now() time.Time   { return time.UnixMilli(w.at.Load()) }
func (w *watch) set(at time.Time) { w.at.Store(at.UnixMilli()) }

func at(t *testing.T, text string) *watch {
	t.Helper()
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	w := new(watch)
	w.set(when)
	return w
}

// child is a patient born on that day.
func child(seed uint64, born string) imagingtest.Patient {
	p := imagingtest.NewPatient(seed)
	p.BirthDate = born
	return p
}

// essential states that somebody treats a patient as one without whom it cannot go on.
func essential(t *testing.T, h *vaulttest.House, p record.PatientToken, who string) {
	t.Helper()
	if _, err := h.StateCare(t.Context(), dpo, p, vault.NewCare{Clinician: who, Essential: true}); err != nil {
		t.Fatalf("StateCare = %v", err)
	}
}

// guarded puts a guardian on record.
func guarded(t *testing.T, h *vaulttest.House, p imagingtest.Patient, token record.PatientToken, relation, subject string) vault.Guardian {
	t.Helper()
	g, err := h.AddGuardian(t.Context(), dpo, token, vault.NewGuardian{Subject: subject, Relation: relation, Evidence: written(t, h, p).ID})
	if err != nil {
		t.Fatalf("AddGuardian = %v", err)
	}
	return g
}

func wantRefusal(t *testing.T, what string, err error, code string) {
	t.Helper()
	var r *record.Refusal
	if code == "" && err == nil || code == "not-found" && errors.Is(err, record.ErrNotFound) {
		return
	}
	if !errors.As(err, &r) || r.Code != code {
		t.Errorf("%s = %v; want %q", what, err, code)
	}
}

// The same acts on the last second before the birthday and on its first, at home.
func TestOnTheBirthdayAChildIsOfAge(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, born, before, on string }{
		{"a day like others", "20081123", "2026-11-22T23:59:59+08:00", "2026-11-23T00:00:00+08:00"},
		{"29 February", "20080229", "2026-02-28T23:59:59+08:00", "2026-03-01T00:00:00+08:00"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			clock := at(t, row.before)
			h := vaulttest.New(t, vaulttest.Options{Now: clock.now})
			p := child(91, row.born)
			r := put(t, h, ct(p, 1))
			treat(t, h, r.Patient)
			essential(t, h, r.Patient, "dr-essential")
			guarded(t, h, p, r.Patient, "mother", guardian.ID)
			if _, err := h.AddGuardian(t.Context(), dpo, r.Patient, vault.NewGuardian{Subject: self.ID, Relation: "self"}); err != nil {
				t.Fatal(err)
			}
			surgeon := clinician
			surgeon.ID = "dr-essential"
			researcher := vaulttest.Actor(record.RoleResearcher)
			check := func(when string, want map[string]string) {
				t.Helper()
				for _, who := range []struct {
					name  string
					actor record.Actor
				}{{"treating", clinician}, {"essential", surgeon}, {"emergency of the treating", emergency(t, clinician, "unconscious after a fall")},
					{"emergency of the essential", emergency(t, surgeon, "unconscious after a fall")}, {"quality", quality}, {"researcher", researcher},
					{"guardian", guardian}, {"patient", self}, {"radiology", radiology}, {"operator", operator}} {
					_, err := h.Open(t.Context(), who.actor, vault.Ref{Document: r.ID})
					wantRefusal(t, when+": Open as "+who.name, err, want[who.name])
					page, err := h.Find(t.Context(), who.actor, vault.Query{Level: vault.LevelStudy})
					if seen := err == nil && len(page.Matches) == 1; seen != (want[who.name+" finds"] == "yes") || page.More != 0 {
						t.Errorf("%s: Find as %s = %d, more %d, %v", when, who.name, len(page.Matches), page.More, err)
					}
				}
			}
			check("before", map[string]string{
				"treating": "guardian-consent-missing", "essential": "guardian-consent-missing", "emergency of the treating": "guardian-consent-missing",
				"emergency of the essential": "", "quality": "guardian-consent-missing", "researcher": "not-found",
				"guardian": "guardian-consent-missing", "patient": "guardian-acts", "radiology": "not-found", "operator": "not-found"})
			if _, err := h.AddConsent(t.Context(), guardian, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Evidence: written(t, h, p).ID}); err != nil {
				t.Fatalf("AddConsent by the guardian = %v", err)
			}
			check("before, with consent", map[string]string{
				"treating": "essential-staff-only", "essential": "", "essential finds": "yes", "emergency of the treating": "essential-staff-only",
				"emergency of the essential": "", "emergency of the essential finds": "yes", "quality": "essential-staff-only", "researcher": "not-found",
				"guardian": "", "guardian finds": "yes", "patient": "guardian-acts", "radiology": "not-found", "operator": "not-found"})
			on, err := time.Parse(time.RFC3339, row.on)
			if err != nil {
				t.Fatal(err)
			}
			clock.set(on)
			check("on the birthday", map[string]string{
				"treating": "", "treating finds": "yes", "essential": "", "essential finds": "yes",
				"emergency of the treating": "", "emergency of the treating finds": "yes", "emergency of the essential": "", "emergency of the essential finds": "yes",
				"quality": "", "quality finds": "yes", "researcher": "not-found",
				"guardian": "guardian-ended", "patient": "", "patient finds": "yes", "radiology": "not-found", "operator": "not-found"})
			if _, err := h.AddConsent(t.Context(), guardian, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Evidence: r.ID}); err == nil {
				t.Error("a guardian gave consent for somebody who is of age")
			}
			if _, err := h.AccessLog(t.Context(), self, r.Patient, vault.AccessQuery{}); err != nil {
				t.Errorf("AccessLog of the own patient = %v", err)
			}
		})
	}
}

// A child's documents stay at home whatever was said, until a guardian says it.
func TestAChildsDocumentsStayAtHomeUntilAGuardianSaysSo(t *testing.T) {
	t.Parallel()
	o := fast()
	o.Dir = t.TempDir()
	h := vaulttest.New(t, o)
	p := child(92, time.Now().AddDate(-10, 0, 0).Format("20060102"))
	paper := written(t, h, p) // a report states no birth date: not known to be a child yet
	consentTo(t, h, paper.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Reading: true, Evidence: paper.ID})
	there := func() bool {
		objects, wraps := lying(t, o.Dir, vaulttest.Foreign)
		return len(objects) > 0 && len(wraps) > 0
	}
	await(t, "the report is abroad", there)
	r := put(t, h, ct(p, 1))
	await(t, "nothing of the child is abroad", func() bool {
		objects, wraps := lying(t, o.Dir, vaulttest.Foreign)
		return len(objects) == 0 && len(wraps) == 0
	})
	cases, _, err := h.Cases(t.Context(), dpo, vault.CaseQuery{})
	if err != nil || len(cases) != 1 || cases[0].Patient != r.Patient || cases[0].State != "waiting" {
		t.Errorf("Cases = %+v, %v; want one that waits", cases, err)
	}
	_, err = h.AddConsent(t.Context(), dpo, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Evidence: paper.ID})
	wantRefusal(t, "consent without a guardian", err, "guardian-needed")
	_, err = h.AddConsent(t.Context(), dpo, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Guardian: "nobody", Evidence: paper.ID})
	wantRefusal(t, "consent of who is no guardian", err, "guardian-unknown")
	guarded(t, h, p, r.Patient, "father", guardian.ID)
	_, err = h.AddConsent(t.Context(), guardian, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat})
	wantRefusal(t, "a guardian's consent without paper", err, "evidence-required")
	given := consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Guardian: guardian.ID, Evidence: paper.ID})
	consentTo(t, h, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Country: "SG", Reading: true, Guardian: guardian.ID, Evidence: paper.ID})
	await(t, "the child's documents are abroad", there)
	if cases, _, err := h.Cases(t.Context(), dpo, vault.CaseQuery{}); err != nil || len(cases) != 0 {
		t.Errorf("Cases after consent = %+v, %v; want none", cases, err)
	}
	withdraw(t, h, r.Patient, given.ID)
	await(t, "nothing of the child is abroad again", func() bool {
		objects, wraps := lying(t, o.Dir, vaulttest.Foreign)
		return len(objects) == 0 && len(wraps) == 0
	})
	if _, err := h.AddConsent(t.Context(), guardian, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Decision: "refuse"}); err != nil {
		t.Fatal(err)
	}
	if cases, _, err := h.Cases(t.Context(), dpo, vault.CaseQuery{}); err != nil || len(cases) != 1 || cases[0].State != "refused" {
		t.Errorf("Cases after a refusal = %+v, %v; want one that was refused", cases, err)
	}
	clean(t, h, "read")
}

func TestBreakingTheGlass(t *testing.T) {
	t.Parallel()
	clock := at(t, "2026-11-22T08:00:00Z")
	h := vaulttest.New(t, vaulttest.Options{Now: clock.now})
	r := put(t, h, ct(patient(), 1))
	const why = "Wang unconscious, allergies unknown"
	ref := vault.Ref{Document: r.ID}
	_, err := h.Open(t.Context(), emergency(t, clinician, ""), ref)
	wantRefusal(t, "Open without a reason", err, "not-found")
	for _, a := range []record.Actor{quality, radiology, operator, dpo} {
		if _, err := h.BreakGlass(t.Context(), emergency(t, a, why), r.Patient, emergency(t, a, why).Emergency); err == nil {
			t.Errorf("%s broke the glass", a.Role)
		}
	}
	_, err = h.BreakGlass(t.Context(), emergency(t, clinician, why), "paaaaaaaaaaaaaaaaaaaaaaaaaa", emergency(t, clinician, why).Emergency)
	wantRefusal(t, "BreakGlass for nobody", err, "not-found")
	if docs := open(t, h, emergency(t, clinician, why), ref); len(docs) != 1 || docs[0].View != record.ViewOriginal {
		t.Fatalf("Open in an emergency = %+v", docs)
	}
	open(t, h, emergency(t, clinician, ""), ref) // it is open
	page, err := h.Find(t.Context(), emergency(t, clinician, ""), vault.Query{Level: vault.LevelStudy})
	if err != nil || len(page.Matches) != 1 {
		t.Errorf("Find in an emergency = %d, %v; want 1", len(page.Matches), err)
	}
	_, err = h.Open(t.Context(), clinician, ref)
	wantRefusal(t, "Open for plain treatment", err, "not-found")

	list, err := h.Breakglasses(t.Context(), dpo, vault.BreakglassQuery{Waiting: true})
	if err != nil || len(list) != 1 || list[0].Actor != clinician.ID || list[0].Reason != "" || list[0].Overdue {
		t.Fatalf("Breakglasses = %+v, %v", list, err)
	}
	id := list[0].ID
	if one, err := h.ReadBreakglass(t.Context(), dpo, id); err != nil || one.Reason != why {
		t.Errorf("ReadBreakglass = %+v, %v; want the reason", one, err)
	}
	log, err := h.AccessLog(t.Context(), dpo, r.Patient, vault.AccessQuery{})
	if err != nil {
		t.Fatal(err)
	}
	told := false
	for _, l := range log.Lines {
		told = told || l.Action == record.ActionBreakglassOpen && l.Actor == clinician.ID && strings.Contains(l.Words, "emergency")
		if strings.Contains(l.Leaf, "Wang") || strings.Contains(l.Leaf, "allergies") {
			t.Errorf("the reason is in the log: %s", l.Leaf)
		}
	}
	if !told {
		t.Errorf("the access log does not tell of the emergency: %+v", log.Lines)
	}
	clock.set(clock.now().Add(time.Hour))
	_, err = h.Open(t.Context(), emergency(t, clinician, ""), ref)
	wantRefusal(t, "Open an hour later", err, "not-found")
	clock.set(clock.now().Add(23 * time.Hour))
	if waiting, overdue, err := h.BreakglassDue(t.Context()); err != nil || waiting != 1 || overdue != 1 {
		t.Errorf("BreakglassDue = %d, %d, %v; want 1 overdue", waiting, overdue, err)
	}
	same := dpo
	same.ID = clinician.ID
	wantRefusal(t, "review by the same person", h.ReviewBreakglass(t.Context(), same, id, vault.BreakglassReview{Outcome: "justified"}), "second-person")
	if err := h.ReviewBreakglass(t.Context(), clinician, id, vault.BreakglassReview{Outcome: "justified"}); !errors.Is(err, record.ErrDenied) {
		t.Errorf("review by a clinician = %v; want denied", err)
	}
	if err := h.ReviewBreakglass(t.Context(), dpo, id, vault.BreakglassReview{Outcome: "justified", Note: "seen in the ward"}); err != nil {
		t.Errorf("ReviewBreakglass = %v", err)
	}
	wantRefusal(t, "review again", h.ReviewBreakglass(t.Context(), dpo, id, vault.BreakglassReview{Outcome: "justified"}), "reviewed")
	if waiting, _, err := h.BreakglassDue(t.Context()); err != nil || waiting != 0 {
		t.Errorf("BreakglassDue after the review = %d, %v; want 0", waiting, err)
	}
}

func TestARebuildBringsGuardiansQuarantineAndEmergenciesBack(t *testing.T) {
	t.Parallel()
	clock := at(t, "2026-11-22T08:00:00Z")
	o := vaulttest.Options{Dir: t.TempDir(), Now: clock.now}
	h := vaulttest.New(t, o)
	kept, agreed, adult := child(93, "20150101"), child(94, "20150101"), patient()
	// A report that states the birth date does what an image does.
	quarantined, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(imagingtest.Report(kept)), PatientID: kept.ID, Issuer: kept.Issuer, BirthDate: "20150101"})
	if err != nil {
		t.Fatal(err)
	}
	released := put(t, h, ct(agreed, 1))
	grown := put(t, h, ct(adult, 1))
	guarded(t, h, agreed, released.Patient, "mother", guardian.ID)
	former := guarded(t, h, agreed, released.Patient, "father", "guardian-2")
	if err := h.EndGuardian(t.Context(), dpo, released.Patient, former.ID); err != nil {
		t.Fatal(err)
	}
	consentTo(t, h, released.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Guardian: guardian.ID, Evidence: written(t, h, agreed).ID})
	essential(t, h, released.Patient, clinician.ID)
	essential(t, h, quarantined.Patient, clinician.ID)
	er := clinician
	er.ID = "dr-er"
	open(t, h, emergency(t, er, "unconscious after a fall"), vault.Ref{Document: grown.ID})
	list, err := h.Breakglasses(t.Context(), dpo, vault.BreakglassQuery{})
	if err != nil || len(list) != 1 {
		t.Fatalf("Breakglasses = %+v, %v", list, err)
	}
	if err := h.ReviewBreakglass(t.Context(), dpo, list[0].ID, vault.BreakglassReview{Outcome: "justified"}); err != nil {
		t.Fatal(err)
	}
	check := func(h *vaulttest.House) {
		t.Helper()
		open(t, h, clinician, vault.Ref{Document: released.ID})
		open(t, h, guardian, vault.Ref{Document: released.ID})
		_, err := h.Open(t.Context(), clinician, vault.Ref{Document: quarantined.ID})
		wantRefusal(t, "Open in quarantine", err, "guardian-consent-missing")
		open(t, h, emergency(t, er, ""), vault.Ref{Document: grown.ID})
		all, err := h.Guardians(t.Context(), dpo, released.Patient)
		if err != nil || len(all) != 2 || (all[0].Ended == nil) == (all[1].Ended == nil) {
			t.Errorf("Guardians = %+v, %v; want one and one that ended", all, err)
		}
		if cases, _, err := h.Cases(t.Context(), dpo, vault.CaseQuery{}); err != nil || len(cases) != 1 || cases[0].Patient != quarantined.Patient {
			t.Errorf("Cases = %+v, %v; want the one in quarantine", cases, err)
		}
		list, err := h.Breakglasses(t.Context(), dpo, vault.BreakglassQuery{})
		if err != nil || len(list) != 1 || list[0].Outcome != "justified" || list[0].ReviewedBy != dpo.ID {
			t.Errorf("Breakglasses = %+v, %v; want one that was reviewed", list, err)
		}
	}
	check(h)
	eventually(t, "every region holds all", func() bool {
		s, err := h.State(t.Context())
		if err != nil {
			return false
		}
		for _, r := range s {
			if r.Pending > 0 {
				return false
			}
		}
		return true
	})
	h.Stop()
	dropCatalog(t, o.Dir)
	if _, err := vaulttest.Rebuild(t.Context(), o, "cn-north"); err != nil {
		t.Fatalf("Rebuild = %v", err)
	}
	check(vaulttest.New(t, o))
}

// The catalog's file holds no birth date, and no reason of an emergency.
func TestTheCatalogHoldsNoBirthDateInClear(t *testing.T) {
	t.Parallel()
	clock := at(t, "2026-11-22T08:00:00Z")
	o := vaulttest.Options{Dir: t.TempDir(), Now: clock.now}
	h := vaulttest.New(t, o)
	r := put(t, h, ct(child(95, "20150317"), 1))
	essential(t, h, r.Patient, clinician.ID)
	open(t, h, emergency(t, clinician, "unconscious after a fall"), vault.Ref{Document: r.ID})
	h.Stop()
	files, err := filepath.Glob(filepath.Join(o.Dir, "catalog.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("catalog = %v, %v", files, err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"20150317", "2015-03-17", "unconscious"} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds %q", filepath.Base(name), secret)
			}
		}
	}
}

func TestAnEmergencyThatWasNoneEndsAtOnce(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, ct(patient(), 1))
	er := clinician
	er.ID = "dr-er"
	open(t, h, emergency(t, er, "unconscious after a fall"), vault.Ref{Document: r.ID})
	open(t, h, emergency(t, er, ""), vault.Ref{Document: r.ID})
	list, err := h.Breakglasses(t.Context(), dpo, vault.BreakglassQuery{})
	if err != nil || len(list) != 1 {
		t.Fatalf("Breakglasses = %+v, %v", list, err)
	}
	if err := h.ReviewBreakglass(t.Context(), dpo, list[0].ID, vault.BreakglassReview{Outcome: "unjustified"}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Open(t.Context(), emergency(t, er, ""), vault.Ref{Document: r.ID}); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("Open after it was found unjustified = %v; want ErrNotFound", err)
	}
}
