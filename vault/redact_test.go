package vault_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/imaging/imagingtest/reports"
	"medvault/imaging/pdf"
	"medvault/imaging/pdf/pdftest"
	"medvault/imaging/report"
	"medvault/keys"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// waiting is what a reviewer is told of a document whose view is withheld.
func waiting(t *testing.T, h *vaulttest.House, code string) (found vault.Review) {
	t.Helper()
	eventually(t, "a document withheld as "+code, func() bool {
		page, err := h.Reviews(t.Context(), reviewer, vault.ReviewQuery{})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(page.Reviews, func(r vault.Review) bool { return r.Code == code })
		if i >= 0 {
			found = page.Reviews[i]
		}
		return i >= 0
	})
	return found
}

func TestAnEncryptedReportIsTakenAndHeldWhereAPasswordIsAskedFor(t *testing.T) {
	t.Parallel()
	h := redacting(t, vaulttest.Options{})
	n := slices.Index(reports.Families(), "owner-encrypted")
	opens := reports.Make(n).Data
	r, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(opens), PatientID: "P1"})
	if err != nil {
		t.Fatalf("Put = %v", err)
	}
	treat(t, h, r.Patient)
	if view := shown(t, h, r.ID); view.Size == 0 {
		t.Error("the view is empty")
	}
	locked := imagingtest.EncryptedReport(patient())
	r2, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(locked), PatientID: "P1"})
	if err != nil {
		t.Fatalf("Put = %v", err)
	}
	held := waiting(t, h, pdf.HeldPassword)
	if err := h.Preview(t.Context(), reviewer, held.Object, vault.PreviewOptions{}, new(bytes.Buffer)); !errors.Is(err, record.ErrNotAcceptable) {
		t.Errorf("Preview = %v; want none", err)
	}
	if _, err := h.Release(t.Context(), reviewer, held.Object, vault.NewRelease{Accept: []string{pdf.HeldPassword}, Reason: "looked at"}); !errors.Is(err, record.ErrConflict) {
		t.Errorf("Release = %v; want it still held", err)
	}
	for id, want := range map[record.ObjectID][]byte{r.ID: opens, r2.ID: locked} {
		if got := read(t, open(t, h, clinician, vault.Ref{Document: id})[0]); !bytes.Equal(got, want) {
			t.Error("the original does not come back byte for byte")
		}
	}
}

const crashRedact = "MEDVAULT_CRASH_REDACT" // the program that reports are redacted with

// redactForEver stores a report and waits for its view, which the program never makes.
func redactForEver(dir, program string) error {
	r, err := pdf.NewRedactor(pdf.Config{Worker: []string{program}})
	if err != nil {
		return err
	}
	h, err := vaulttest.Open(context.Background(), vaulttest.Options{Dir: dir, Poll: 20 * time.Millisecond, Reports: report.Config{Redactor: r}})
	if err != nil {
		return err
	}
	if _, err := h.Put(context.Background(), radiology, vault.Upload{Body: bytes.NewReader(paper(nil, "A quiet chest.")), PatientID: "P1"}); err != nil {
		return err
	}
	select {} // the parent ends us
}

func TestARedactionGoesOnAfterItsGatewayWasKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "worker")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n: >'"+program+".begun'\nexec cat >'"+program+".got'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), crashDir+"="+dir, crashPoint+"=0", crashRedact+"="+program)
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the redaction begun", func() bool {
		_, err := os.Stat(program + ".begun")
		return err == nil
	})
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed, as it was to be

	h := redacting(t, vaulttest.Options{Dir: dir, Now: func() time.Time { return time.Now().Add(10 * time.Minute) }}) // the lease is over
	page, err := h.Documents(t.Context(), quality, vault.DocumentQuery{})
	if err != nil || len(page.Documents) > 1 {
		t.Fatalf("Documents = %+v, %v; want the report alone", page, err)
	}
	eventually(t, "the view of the report", func() bool {
		page, err := h.Documents(t.Context(), quality, vault.DocumentQuery{})
		return err == nil && len(page.Documents) == 1 && page.Documents[0].Pages == 1
	})
}

func TestARebuildKnowsWhatReportsWereRedactedWith(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := redacting(t, vaulttest.Options{Dir: dir})
	r, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(paper(paper(nil, "An older finding."), "See the attached.")), PatientID: "P1", PatientName: "Wetherby^Odalys"})
	if err != nil {
		t.Fatalf("Put = %v", err)
	}
	treat(t, h, r.Patient)
	eventually(t, "the report and what lies in it, redacted", func() bool {
		page, err := h.Documents(t.Context(), quality, vault.DocumentQuery{})
		return err == nil && len(page.Documents) == 2 && page.Documents[0].Pages == 1 && page.Documents[1].Pages == 1
	})
	settled(t, h)
	for _, kind := range []string{"redact", "reknown"} {
		eventually(t, "no job of "+kind, func() bool {
			n, err := h.Catalog.Pending(t.Context(), kind)
			return err == nil && n == 0
		})
	}
	settled(t, h)
	if err := h.ExportLog(t.Context(), vaulttest.Actor(record.RoleOperator)); err != nil {
		t.Fatal(err)
	}
	h.Stop()
	before := dump(t, dir)
	dropCatalog(t, dir)
	if _, err := vaulttest.Rebuild(t.Context(), vaulttest.Options{Dir: dir}, "cn-east"); err != nil {
		t.Fatalf("Rebuild = %v", err)
	}
	for table, want := range dump(t, dir) {
		if before[table] != want {
			t.Errorf("%s:\n%s\nwant\n%s", table, want, before[table])
		}
	}
}

func wrapping(w keys.Wrapper) func(string, keys.Wrapper) keys.Wrapper {
	return func(string, keys.Wrapper) keys.Wrapper { return w }
}

func TestAResearchGatewayServesRedactedReports(t *testing.T) {
	t.Parallel()
	whole, mount := transitAt(t, "cn")
	o := fast()
	o.Dir = t.TempDir()
	o.Wrapper = wrapping(whole)
	one := redacting(t, o)
	p := patient()
	r, err := one.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(paper(nil, "Seen today: "+p.ID, "The chest is clear.")), PatientID: p.ID, Issuer: p.Issuer})
	if err != nil {
		t.Fatalf("Put = %v", err)
	}
	evidence := written(t, one, p)
	treat(t, one, r.Patient)
	consentTo(t, one, r.Patient, vault.NewConsent{Purpose: record.PurposeResearch, Evidence: evidence.ID})
	want := read(t, shown(t, one, r.ID))

	o.Wrapper, o.ContentOnly = wrapping(researchOf(t, whole, mount)), true
	two := vaulttest.New(t, o)
	got := read(t, open(t, two, vaulttest.Actor(record.RoleResearcher), vault.Ref{Document: r.ID})[0])
	if !bytes.Equal(got, want) || !bytes.HasPrefix(got, []byte("%PDF-")) || bytes.Contains(got, []byte(p.ID)) {
		t.Errorf("a research gateway gives %d bytes; want the redacted report of %d", len(got), len(want))
	}
}

func TestARederivationRedactsReports(t *testing.T) {
	t.Parallel()
	o := vaulttest.Options{Dir: t.TempDir(), Poll: 20 * time.Millisecond}
	h := vaulttest.New(t, o)
	r, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(paper(nil, "Wetherby Odalys", "The chest is clear.")), PatientID: "P1", PatientName: "Wetherby^Odalys"})
	if err != nil {
		t.Fatalf("Put = %v", err)
	}
	h.Stop()
	o.Reports = report.Config{Redactor: pdftest.Redactor(t)} // which the vault did not have
	h = redacting(t, o)
	proposed, err := h.ProposeRederivation(t.Context(), dpo, "reports are redacted now")
	if err != nil {
		t.Fatalf("ProposeRederivation = %v", err)
	}
	second := vaulttest.Actor(record.RoleAdmin)
	if _, err := h.ApproveRederivation(t.Context(), second, record.ObjectID(proposed.ID)); err != nil {
		t.Fatalf("ApproveRederivation = %v", err)
	}
	treat(t, h, r.Patient)
	if content := read(t, shown(t, h, r.ID)); !bytes.HasPrefix(content, []byte("%PDF-")) {
		t.Errorf("the view has %d bytes; want a PDF", len(content))
	}
	if len(boxes(t, h, r.ID)) == 0 {
		t.Error("nothing was painted over")
	}
}
