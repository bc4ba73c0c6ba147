package pdf_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"medvault/imaging"
	"medvault/imaging/imagingtest"
	"medvault/imaging/pdf"
)

// scrub takes data in and returns what was written.
func scrub(r io.Reader, data []byte) (done imaging.Scrubbed, content, script []byte, err error) {
	in, err := pdf.New().Begin(r)
	if err != nil {
		return done, nil, nil, err
	}
	var c, s bytes.Buffer
	original := func() (int64, [32]byte) { return int64(len(data)), sha256.Sum256(data) }
	done, err = in.Scrub(imaging.Pseudonyms{}, nil, original, &c, &s)
	return done, c.Bytes(), s.Bytes(), err
}

func code(err error) string {
	var refusal *imaging.Refusal
	switch {
	case err == nil:
		return "taken"
	case errors.As(err, &refusal):
		return refusal.Code
	}
	return err.Error()
}

func TestOriginalComesBack(t *testing.T) {
	p := imagingtest.NewPatient(1)
	large := holding(bytes.Repeat([]byte("some page content, "), 100_000))
	for name, data := range map[string][]byte{
		"report": imagingtest.Report(p), "cross-reference stream": imagingtest.StreamReport(p), "large": large,
	} {
		done, content, script, err := scrub(iotest.HalfReader(bytes.NewReader(data)), data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(content) > 0 || done.Held != "redaction-pending" || done.Facts.Size != 0 {
			t.Errorf("%s: content of %d bytes, held %q; want none and redaction-pending", name, len(content), done.Held)
		}
		if hits := imagingtest.Leaks([]byte(fmt.Sprintf("%s %+v", done.Who, done.Facts)), p.Identifiers()); hits != nil {
			t.Errorf("%s: facts hold %v", name, hits)
		}
		var back bytes.Buffer
		if err := imaging.Restore(&back, bytes.NewReader(content), bytes.NewReader(script)); err != nil || !bytes.Equal(back.Bytes(), data) {
			t.Errorf("%s: Restore gives %d bytes, %v; want the original's %d", name, back.Len(), err, len(data))
		}
	}
}

// holding is a PDF with a stream of these bytes.
func holding(stream []byte) []byte {
	head := fmt.Sprintf("%%PDF-1.4\n1 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n", len(stream), stream)
	return fmt.Appendf(nil, "%sxref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 2 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", head, len(head))
}

func TestVerdict(t *testing.T) {
	p := imagingtest.NewPatient(1)
	whole := string(imagingtest.Report(p))
	cases := map[string]struct {
		data []byte
		want string
	}{
		"as it should be":            {[]byte(whole), "taken"},
		"junk before the header":     {[]byte("\xEF\xBB\xBFjunk\n" + whole), "taken"},
		"blanks after the end":       {[]byte(whole + strings.Repeat("\n", 900)), "taken"},
		"too much after the end":     {[]byte(whole + strings.Repeat("\n", 1100)), "pdf-broken"},
		"not a word of Root meant":   {[]byte(strings.Replace(whole, "/Root", "/Note (/Root 1 0 R) % /Root 1 0 R\n/List [/Root] /Sub << /Root 1 0 R >> /Name /Root /Rood", 1)), "pdf-broken"},
		"Root spelt with an escape":  {[]byte(strings.Replace(whole, "/Root", "/R#6Fot", 1)), "taken"},
		"encrypted":                  {imagingtest.EncryptedReport(p), "taken"},
		"encrypted, streamed":        {imagingtest.EncryptedStreamReport(p), "taken"},
		"an encrypted PDF inside":    {holding(imagingtest.EncryptedReport(p)), "taken"},
		"a broken PDF inside":        {holding([]byte(whole[:300])), "taken"},
		"wrong startxref":            {[]byte(strings.Replace(whole, "startxref\n", "startxref\n9", 1)), "taken"},
		"wrong startxref, encrypted": {bytes.Replace(imagingtest.EncryptedReport(p), []byte("startxref\n"), []byte("startxref\n9"), 1), "taken"},
		"junk before, encrypted":     {append([]byte("junk\n"), imagingtest.EncryptedReport(p)...), "taken"},
		"no root":                    {[]byte(strings.Replace(whole, "/Root", "/Rood", 1)), "pdf-broken"},
		"no startxref":               {[]byte(strings.Replace(whole, "startxref", "", 1)), "pdf-broken"},
		"linearized and cut":         {[]byte(strings.Replace(whole, "<< /Type /Catalog", "<< /Linearized 1 /L 999999 /Type /Catalog", 1)), "pdf-broken"},
		"updated, encrypted":         {append(imagingtest.EncryptedReport(p), "trailer\n<< /Root 1 0 R >>\nstartxref\n0\n%%EOF\n"...), "taken"},
	}
	want := map[string]string{"not a PDF": "not-pdf", "empty": "not-pdf"}
	for _, bad := range imagingtest.HostilePDFs(p) {
		w, ok := want[bad.Name]
		if !ok {
			w = "pdf-broken"
		}
		cases["hostile: "+bad.Name] = struct {
			data []byte
			want string
		}{bad.Data, w}
	}
	for name, c := range cases {
		_, _, _, err := scrub(bytes.NewReader(c.data), c.data)
		if got := code(err); got != c.want {
			t.Errorf("%s: %s; want %s", name, got, c.want)
		}
	}
}

// The verdict does not depend on how the bytes arrive, nor on where in the window
// they lie.
func TestVerdictAcrossBlocks(t *testing.T) {
	p := imagingtest.NewPatient(1)
	rootless := bytes.Replace(imagingtest.EncryptedStreamReport(p), []byte("/Root"), []byte("/Rood"), 1)
	for pad := 90_000; pad < 100_000; pad += 149 {
		for want, data := range map[string][]byte{"taken": imagingtest.EncryptedStreamReport(p), "pdf-broken": rootless} {
			data = bytes.Replace(data, []byte("1 0 obj"), append(bytes.Repeat([]byte(" "), pad), "1 0 obj"...), 1)
			if _, _, _, err := scrub(bytes.NewReader(data), data); code(err) != want {
				t.Fatalf("%d bytes before the first object: %v; want %s", pad, err, want)
			}
		}
	}
}

func TestReadersErrorIsItsOwn(t *testing.T) {
	data := imagingtest.Report(imagingtest.NewPatient(1))
	broken := errors.New("broken pipe")
	for _, n := range []int{0, 100, 1500} {
		r := io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(broken))
		if _, _, _, err := scrub(r, data); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v; want the reader's error", n, err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("%PDF-1.4\n"), zeros{})
	if _, _, _, err := scrub(endless, nil); code(err) != "pdf-too-large" {
		t.Errorf("endless PDF: %v; want pdf-too-large", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Objects that begin in each other's unfinished dictionaries must not cost their
// square, which would be thousands of times as much as text.
func TestNestedObjectsAreCheap(t *testing.T) {
	took := func(unit string) time.Duration {
		data := []byte("%PDF-1.4\n" + strings.Repeat(unit, 4<<20/len(unit)) + "\nstartxref\n0\n%%EOF\n")
		begin := time.Now()
		if _, _, _, err := scrub(bytes.NewReader(data), data); code(err) != "pdf-broken" {
			t.Errorf("%q repeated: %v; want pdf-broken", unit, err)
		}
		return time.Since(begin)
	}
	text := took("lorem ipsum ")
	for _, unit := range []string{"1 0 obj<<", "1 0 obj%", "trailer<<", "trailer%", "startxref%", "xref "} {
		if d := took(unit); d > 200*text+time.Second {
			t.Errorf("%q repeated took %v; as much text took %v", unit, d, text)
		}
	}
}

func TestRealFiles(t *testing.T) {
	root := os.Getenv("MEDVAULT_CORPUS")
	if root == "" {
		root = "../../../shared/corpus"
	}
	count := map[string]int{}
	err := filepath.WalkDir(filepath.Join(root, "pdf"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, _, script, err := scrub(bytes.NewReader(data), data)
		got := code(err)
		count[got]++
		if filepath.Ext(path) != ".pdf" {
			if got != "not-pdf" {
				t.Errorf("%s: %s; want not-pdf", filepath.Base(path), got)
			}
			return nil
		}
		if err != nil {
			t.Logf("%s: %v", filepath.Base(path), err)
			return nil
		}
		var back bytes.Buffer
		if err := imaging.Restore(&back, strings.NewReader(""), bytes.NewReader(script)); err != nil || !bytes.Equal(back.Bytes(), data) {
			t.Errorf("%s does not come back: %v", filepath.Base(path), err)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("set MEDVAULT_CORPUS to the folder with real files")
	}
	if err != nil {
		t.Fatal(err)
	}
	if count["taken"] < 50 {
		t.Errorf("%v; want at least 50 taken", count)
	}
	t.Logf("%v", count)
}

func FuzzScrub(f *testing.F) {
	p := imagingtest.NewPatient(1)
	f.Add(imagingtest.Report(p))
	f.Add(imagingtest.StreamReport(p))
	f.Add(imagingtest.EncryptedReport(p))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, content, script, err := scrub(bytes.NewReader(data), data)
		var refusal *imaging.Refusal
		if err != nil {
			if !errors.As(err, &refusal) || refusal.Code == "" || refusal.Advice == "" {
				t.Fatalf("refused without a reason: %v", err)
			}
			return
		}
		var back bytes.Buffer
		if err := imaging.Restore(&back, bytes.NewReader(content), bytes.NewReader(script)); err != nil || !bytes.Equal(back.Bytes(), data) {
			t.Fatalf("does not come back: %v", err)
		}
	})
}
