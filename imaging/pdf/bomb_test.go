package pdf_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/imaging/pdf"
	"medvault/imaging/pdf/pdftest"
)

// bombs are small files that would take all memory or time.
func bombs() map[string][]byte {
	nested := []string{}
	for i := range 14 { // each draws the next ten times
		nested = append(nested, stream(fmt.Sprintf("/Type /XObject /Subtype /Form /BBox [0 0 595 842] /Resources << /XObject << /X %d 0 R >> >>", 6+i), []byte(strings.Repeat("/X Do ", 10))))
	}
	nested = append(nested, stream("/Type /XObject /Subtype /Form /BBox [0 0 595 842]", []byte("0 0 10 10 re f")))
	kids := strings.Repeat("3 0 R ", 100_000)
	many := file{objects: []string{"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [" + kids + "] /Count 100000 >>", "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>"}}
	return map[string][]byte{
		"nested forms":   sheet("/X Do", "", "/XObject << /X 5 0 R >>", nested...),
		"image":          sheet("595 0 0 842 0 0 cm /X Do", "", "/XObject << /X 5 0 R >>", stream("/Type /XObject /Subtype /Image /Width 60000 /Height 60000 /ColorSpace /DeviceRGB /BitsPerComponent 8", make([]byte, 50<<20))),
		"content":        sheet(strings.Repeat("0 0 m 595 842 l S ", 20<<20/18), "", ""),
		"content, large": sheet(strings.Repeat(" ", 150<<20), "", ""),
		"characters":     sheet("BT /F1 1 Tf "+strings.Repeat("(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa) Tj ", 20_000)+" ET", "", ""),
		"giant page":     sheet(lines("a"), "/MediaBox [0 0 200000 200000]", ""),
		"page units":     sheet(lines("a"), "/UserUnit 100000", ""),
		"many pages":     many.bytes(""),
	}
}

// A bomb ends the process that opened it, and is told; what comes after is redacted as
// ever.
func TestBombs(t *testing.T) {
	c := pdftest.Config(t)
	c.OCR = nil
	unhurried, err := pdf.NewRedactor(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unhurried.Ready(context.Background()); err != nil { // what is compiled now takes no time below
		t.Fatal(err)
	}
	c.Timeout, c.MemoryLimit = 3*time.Second, 400<<20
	r, err := pdf.NewRedactor(c)
	if err != nil {
		t.Fatal(err)
	}
	p := imagingtest.NewPatient(2)
	most := watch(t)
	t.Run("each", func(t *testing.T) {
		for name, data := range bombs() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				began := time.Now()
				got, err := r.Redact(context.Background(), data, known(p), nil)
				if err != nil {
					t.Error(err)
				}
				if got.PDF == nil && got.Held == "" {
					t.Error("neither a view nor a reason")
				}
				t.Logf("%d bytes: %.1fs, held %v", len(data), time.Since(began).Seconds(), got.Reasons)
			})
		}
	})
	if got, limit := most(), c.MemoryLimit+100<<20; got > limit { // the font and the program lie in files
		t.Errorf("a process took %d MiB; its limit was %d MiB", got>>20, c.MemoryLimit>>20)
	} else {
		t.Logf("most memory of a process: %d MiB", got>>20)
	}
	got, err := unhurried.Redact(context.Background(), imagingtest.Report(p), known(p), nil)
	if err != nil || got.PDF == nil || bytes.Contains(got.PDF, []byte(p.ID)) {
		t.Errorf("after the bombs: %v, held %v; want a view", err, got.Reasons)
	}
}

// watch looks at the processes this one starts until it is asked for the most memory that
// one of them held. (What the system tells of a process that has ended counts the memory
// of the one that started it.)
func watch(t *testing.T) (most func() int64) {
	t.Helper()
	done, result := make(chan struct{}), make(chan int64)
	go func() {
		var highest int64
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				result <- highest
				return
			case <-tick.C:
				highest = max(highest, highWater())
			}
		}
	}()
	return func() int64 { close(done); return <-result }
}

var (
	parentLine = regexp.MustCompile(`(?m)^PPid:\s*(\d+)$`)
	highLine   = regexp.MustCompile(`(?m)^VmHWM:\s*(\d+) kB$`)
)

func highWater() (highest int64) {
	all, _ := filepath.Glob("/proc/[0-9]*/status") // none where there is no such thing
	for _, path := range all {
		status, err := os.ReadFile(path)
		if err != nil || !bytes.HasPrefix(status, []byte("Name:\tpdf-worker")) {
			continue
		}
		parent, high := parentLine.FindSubmatch(status), highLine.FindSubmatch(status)
		if parent == nil || high == nil || string(parent[1]) != strconv.Itoa(os.Getpid()) {
			continue
		}
		if n, err := strconv.ParseInt(string(high[1]), 10, 64); err == nil {
			highest = max(highest, n<<10)
		}
	}
	return highest
}
