package pdf_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"medvault/imaging/imagingtest/reports"
	"medvault/imaging/mention"
	"medvault/imaging/pdf/pdftest"
)

// TestGeneratedReports redacts reports with an answer key and reads the result with
// another reader. In a whole run (MEDVAULT_TEST_REPORTS=300) there are as many as it
// says, otherwise one of each family.
func TestGeneratedReports(t *testing.T) {
	if _, err := exec.LookPath("pdftotext"); err != nil {
		t.Skip("install pdftotext (apt-get install poppler-utils)")
	}
	from, n := 0, len(reports.Families())
	if s := os.Getenv("MEDVAULT_TEST_REPORTS"); s != "" {
		if _, err := fmt.Sscan(strings.ReplaceAll(s, "-", " "), &from, &n); err != nil {
			from = 0
			fmt.Sscan(s, &n)
		}
	}
	r := pdftest.Redactor(t)
	out := os.Getenv("OUT")
	for i := from; i < from+n; i++ {
		report := reports.Make(i)
		began, before := time.Now(), cpu()
		got, err := r.Redact(context.Background(), report.Data, mention.New(report.Known, mention.Tokens{Name: "[PT-KQ37HC]", ID: "[ID:KQ37HC]", Days: reports.Shift}), nil)
		if err != nil {
			t.Fatalf("%s: %v", report.Name, err)
		}
		took := cpu() - before
		name := strings.ReplaceAll(report.Name, "/", "-")
		path := filepath.Join(t.TempDir(), name+".pdf")
		if out != "" {
			path = filepath.Join(out, name+".pdf")
			os.WriteFile(filepath.Join(out, name+"-orig.pdf"), report.Data, 0o600)
		}
		if got.PDF == nil {
			t.Logf("%-40s %5.1fs cpu %5.1f held %v", report.Name, time.Since(began).Seconds(), took, got.Reasons)
			continue
		}
		if err := os.WriteFile(path, got.PDF, 0o600); err != nil {
			t.Fatal(err)
		}
		text, err := exec.Command("pdftotext", "-raw", path, "-").Output()
		if err != nil {
			t.Errorf("%s: pdftotext: %v", report.Name, err)
		}
		lost := 0
		var losses []string
		squeezed := squeeze(string(text))
		for _, k := range report.Keep {
			if !strings.Contains(squeezed, squeeze(k.Text)) {
				lost++
				losses = append(losses, k.Text)
			}
		}
		for _, p := range report.Planted {
			if strings.Contains(squeezed, squeeze(p.Value)) && p.Kind != "date" {
				t.Errorf("%s: %s %q is left", report.Name, p.Kind, p.Value)
			}
		}
		t.Logf("%-40s %5.1fs cpu %5.1f pages %d bytes %d held %q %v lost %d/%d %q ocr %d", report.Name, time.Since(began).Seconds(), took, got.Pages, len(got.PDF), got.Held, got.Reasons, lost, len(report.Keep), losses[:min(len(losses), 6)], got.Pixels)
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

// cpu is what this process and the ones it has waited for have used, in seconds.
func cpu() float64 {
	sum := 0.0
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
		}
	}
	return sum
}

var _ = slices.Sort[[]string]
