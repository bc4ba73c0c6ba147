package pdf_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/imaging/pdf/pdftest"
)

// BenchmarkTextPages prints what a page of text costs, everything included but OCR,
// which it does not need: the processor time of this process and of those it starts, and
// the bytes of the view. The research of the design measured 0.3 to 0.4 s a page.
func BenchmarkTextPages(b *testing.B) {
	const pages = 5
	p, r := imagingtest.NewPatient(1), pdftest.Redactor(b)
	f := file{objects: []string{"<< /Type /Catalog /Pages 2 0 R >>", ""}}
	kids := ""
	for n := range pages {
		kids += fmt.Sprintf(" %d 0 R", 3+2*n)
		f.objects = append(f.objects, fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>", 4+2*n),
			stream("", []byte(lines(strings.Split(strings.Repeat("Findings: the lungs are clear, ventricles of normal width in all phases. "+p.ID+"\n", 36), "\n")...))))
	}
	f.objects[1] = fmt.Sprintf("<< /Type /Pages /Kids [%s] /Count %d >>", kids, pages)
	document := f.bytes("")
	if _, err := r.Ready(context.Background()); err != nil {
		b.Fatal(err)
	}
	before, size := processor(b), 0
	for b.Loop() {
		got, err := r.Redact(context.Background(), document, known(p), nil)
		if err != nil || got.Held != "" || got.Pages != pages {
			b.Fatalf("%v, held %v, %d pages", err, got.Reasons, got.Pages)
		}
		size = len(got.PDF)
	}
	b.ReportMetric((processor(b)-before).Seconds()/float64(b.N*pages), "cpu-s/page")
	b.ReportMetric(float64(size)/pages, "bytes/page")
}

// processor is the time this process and those it has waited for have computed.
func processor(b *testing.B) (sum time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}
