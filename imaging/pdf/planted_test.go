package pdf_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"medvault/imaging/imagingtest/reports"
	"medvault/imaging/mention"
	"medvault/imaging/pdf"
	"medvault/imaging/pdf/pdftest"
)

// tally is what became of the reports of one family.
type tally struct {
	reports, released, held, blank int
	planted, leaks                 int // planted values, and those that other programs still find
	kept, wanted                   int // words
	bytes, pages                   int
	cpu                            time.Duration // of the process that opens PDFs; OCR is not in it
}

// TestPlantedIdentifiersAreGone redacts reports with an answer key, looks for what was planted
// with programs that have nothing to do with the redactor, and counts the words that
// survive. By itself it takes one of a few families;
// MEDVAULT_TEST_REPORTS says how many to take in turn, 340 are ten of each family in
// two scripts; MEDVAULT_TEST_REPORTS_OF names the families to take, with commas.
// MEDVAULT_TEST_REPORTS_DIR keeps what fails.
func TestPlantedIdentifiersAreGone(t *testing.T) {
	t.Parallel()
	numbers, whole := numbersOfReports(t)
	tools := reports.FindTools()
	if tools.PDFToText == "" || tools.PDFToPPM == "" {
		t.Skip("install poppler-utils: pdftotext and pdftoppm read what was written")
	}
	config := pdftest.Config(t)
	tools.OCR = config.OCR
	redactor, err := pdf.NewRedactor(config)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	families := map[string]*tally{}
	var turns sync.WaitGroup
	next := make(chan int)
	for range 2 {
		turns.Add(1)
		go func() {
			defer turns.Done()
			for n := range next {
				r := reports.Make(n)
				// Reading pixels costs more than all else: of text now and then.
				pixels := whole && (r.Scan != "" || n%4 == 0 || slices.Contains([]string{"type3", "no-tounicode", "qr-code", "barcode"}, r.Family))
				one := scoreReport(t, redactor, tools, r, pixels)
				mu.Lock()
				if families[r.Family] == nil {
					families[r.Family] = &tally{}
				}
				families[r.Family].add(one)
				mu.Unlock()
			}
		}()
	}
	for _, n := range numbers {
		next <- n
	}
	close(next)
	turns.Wait()
	judge(t, families)
}

// sampled are the families of which one report is taken by every run: each goes another
// way through the redactor.
var sampled = []string{"kerned", "actual-text", "rotated-page", "hidden-layer", "annotations", "owner-encrypted"}

// numbersOfReports are those to take; whole says that pixels are read, too.
func numbersOfReports(t *testing.T) (numbers []int, whole bool) {
	all := reports.Families()
	if s := os.Getenv("MEDVAULT_TEST_REPORTS"); s != "" {
		first, count, ranged := strings.Cut(s, "+") // 34+10
		if !ranged {
			first, count = "0", s
		}
		from, err := strconv.Atoi(first)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(count)
		if err != nil {
			t.Fatal(err)
		}
		only := os.Getenv("MEDVAULT_TEST_REPORTS_OF")
		for i := from; i < from+n; i++ {
			if only == "" || slices.Contains(strings.Split(only, ","), all[i%len(all)]) {
				numbers = append(numbers, i)
			}
		}
		return numbers, true
	}
	for i, family := range all {
		if slices.Contains(sampled, family) {
			numbers = append(numbers, i+i%2*len(all)) // the scripts in turns
		}
	}
	return numbers, false
}

// scoreReport redacts one report.
func scoreReport(t *testing.T, redactor *pdf.Redactor, tools reports.Tools, r reports.Report, pixels bool) (one tally) {
	ctx := context.Background()
	one.reports = 1
	got, err := redactor.Redact(ctx, r.Data, mention.New(r.Known, mention.Tokens{Name: "[PT-KQ37HC]", ID: "[ID:KQ37HC]", Days: reports.Shift}), nil)
	if err != nil {
		t.Errorf("%s: %v", r.Name, err)
		return one
	}
	if got.PDF == nil {
		t.Errorf("%s: no view: %v", r.Name, got.Reasons)
		one.blank = 1
		return one
	}
	if got.Held == "" {
		one.released = 1
	} else {
		one.held = 1
	}
	one.bytes, one.pages, one.cpu = len(got.PDF), got.Pages, got.CPU
	raw, layout, err := tools.Text(ctx, got.PDF)
	if err != nil {
		t.Errorf("%s: %v", r.Name, err)
	}
	leaks := append(r.LeaksIn(raw), r.LeaksIn(layout)...)
	leaks = append(leaks, r.LeaksInBytes(got.PDF)...)
	if pixels {
		seen, err := tools.Pixels(ctx, got.PDF, got.Pages)
		if err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
		for _, leak := range r.LeaksIn(seen) {
			leaks = append(leaks, "in pixels: "+leak)
		}
	}
	slices.Sort(leaks)
	leaks = slices.Compact(leaks)
	one.planted, one.leaks = len(r.Planted), len(leaks)
	if len(leaks) > 0 {
		t.Errorf("%s: held %v: left: %s", r.Name, got.Reasons, strings.Join(leaks, "; "))
	}
	if r.Scan == "" { // of a scan OCR says what was legible at all
		one.kept, one.wanted = r.Survived(raw)
		if kept, wanted := r.Survived(layout); kept > one.kept { // of a page whose content is in disorder
			one.kept, one.wanted = kept, wanted
		}
		if one.kept < one.wanted {
			t.Logf("%s: lost %v", r.Name, r.Lost(raw+layout))
		}
	}
	if dir := os.Getenv("MEDVAULT_TEST_REPORTS_DIR"); dir != "" && (len(leaks) > 0 || one.kept*100 < one.wanted*99) {
		name := filepath.Join(dir, strings.ReplaceAll(r.Name, "/", "-"))
		if err := os.WriteFile(name+".pdf", r.Data, 0o600); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(name+".view.pdf", got.PDF, 0o600); err != nil {
			t.Error(err)
		}
	}
	return one
}

func (a *tally) add(b tally) {
	a.reports, a.released, a.held, a.blank = a.reports+b.reports, a.released+b.released, a.held+b.held, a.blank+b.blank
	a.planted, a.leaks, a.kept, a.wanted, a.bytes, a.pages, a.cpu = a.planted+b.planted, a.leaks+b.leaks, a.kept+b.kept, a.wanted+b.wanted, a.bytes+b.bytes, a.pages+b.pages, a.cpu+b.cpu
}

// judge prints a line for each family and asks for what was promised: nothing planted
// is left, and 99 of 100 words survive.
func judge(t *testing.T, families map[string]*tally) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "family\treports\treleased\theld\tno view\tplanted\tleft\twords\tkB a page\tCPU s a page")
	sum := &tally{}
	row := func(name string, f *tally) {
		words := "-"
		if f.wanted > 0 {
			words = fmt.Sprintf("%.2f %%", 100*float64(f.kept)/float64(f.wanted))
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%d\t%.2f\n", name, f.reports, f.released, f.held, f.blank, f.planted, f.leaks, words, f.bytes/1000/max(f.pages, 1), f.cpu.Seconds()/float64(max(f.pages, 1)))
	}
	for _, name := range reports.Families() {
		if f := families[name]; f != nil {
			row(name, f)
			sum.add(*f)
		}
	}
	row("all", sum)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + table.String())
	if sum.kept*100 < sum.wanted*99 {
		t.Errorf("%d of %d words survive; want 99 of 100", sum.kept, sum.wanted)
	}
}
