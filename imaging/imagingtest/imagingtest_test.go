package imagingtest_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/encoding/simplifiedchinese"

	"medvault/imaging"
	"medvault/imaging/imagingtest"
)

func TestSameSeedSameBytes(t *testing.T) {
	a := imagingtest.CT(imagingtest.NewPatient(7), imagingtest.Options{Instance: 3})
	b := imagingtest.CT(imagingtest.NewPatient(7), imagingtest.Options{Instance: 3})
	if !bytes.Equal(a, b) {
		t.Error("two documents of one seed differ")
	}
	if c := imagingtest.CT(imagingtest.NewPatient(8), imagingtest.Options{Instance: 3}); bytes.Equal(a, c) {
		t.Error("documents of two patients are equal")
	}
}

// The key is right only if what it lists is really in the document.
func TestEveryIdentifierIsPlanted(t *testing.T) {
	p := imagingtest.NewPatient(1)
	for _, charset := range []string{"ISO_IR 192", "GB18030"} {
		data := imagingtest.CT(p, imagingtest.Options{Rows: 16, Columns: 16, Charset: charset})
		found := strings.Join(imagingtest.Leaks(data, p.Identifiers()), "\n")
		for _, id := range p.Identifiers() {
			if id == strings.ReplaceAll(p.Chinese(), "^", "") {
				continue // as one word in the report only
			}
			if !strings.Contains(found, `"`+id+`"`) {
				t.Errorf("%s: identifier %q is not in the document", charset, id)
			}
		}
	}
	if hits := imagingtest.Leaks(imagingtest.Report(p), []string{p.ID, strings.ReplaceAll(p.Latin(), "^", " ")}); len(hits) < 2 {
		t.Errorf("report holds %v; want ID and name", hits)
	}
}

func TestLeaksFindsEveryForm(t *testing.T) {
	const id = "王小東-SYN-4711"
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(id)
	if err != nil {
		t.Fatal(err)
	}
	var le, be []byte
	for _, u := range utf16.Encode([]rune(id)) {
		le = append(le, byte(u), byte(u>>8))
		be = append(be, byte(u>>8), byte(u))
	}
	reversed := []rune(id)
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	forms := map[string]string{
		"plain": id, "gb18030": gb, "utf-16le": string(le), "utf-16be": string(be), "reversed": string(reversed),
		"base64 0": base64.StdEncoding.EncodeToString([]byte(id + "tail")),
		"base64 1": base64.StdEncoding.EncodeToString([]byte("x" + id + "tail")),
		"base64 2": base64.StdEncoding.EncodeToString([]byte("xy" + id)),
		"base64 5": base64.URLEncoding.EncodeToString([]byte("xyzab" + id + "q")),
	}
	for name, form := range forms {
		for _, at := range []string{"", "a", "some text before "} {
			if hits := imagingtest.Leaks([]byte(at+form+"\x00"), []string{id}); len(hits) == 0 {
				t.Errorf("%s after %d bytes: not found", name, len(at))
			}
		}
		if hits := imagingtest.Leaks([]byte(form), []string{"another-one"}); hits != nil {
			t.Errorf("%s: found %v; want none", name, hits)
		}
	}
}

func TestLeaksUnderReadsNamesAndFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "SYN-123456"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "file"), []byte("..SYN-654321.."), 0o600); err != nil {
		t.Fatal(err)
	}
	hits, err := imagingtest.LeaksUnder(dir, []string{"SYN-123456", "SYN-654321", "SYN-000000"})
	if err != nil || len(hits) != 2 {
		t.Errorf("LeaksUnder = %q, %v; want one name and one file", hits, err)
	}
}

func TestSniff(t *testing.T) {
	p := imagingtest.NewPatient(1)
	small := imagingtest.Options{Rows: 16, Columns: 16}
	bare := small
	bare.NoPreamble = true
	for name, c := range map[string]struct {
		data []byte
		want imaging.Kind
	}{
		"part 10":     {imagingtest.CT(p, small), imaging.DICOM},
		"no preamble": {imagingtest.CT(p, bare), imaging.DICOM},
		"report":      {imagingtest.SampleReport(), imaging.PDF},
	} {
		if got, ok := imaging.Sniff(c.data[:min(len(c.data), 1024)]); !ok || got != c.want {
			t.Errorf("Sniff(%s) = %v, %v; want %v", name, got, ok, c.want)
		}
	}
}

func TestStreamHoldsOneFrame(t *testing.T) {
	const frames = 64 // 32 MiB
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var n counter
	if err := imagingtest.Stream(&n, imagingtest.NewPatient(1), imagingtest.Options{Frames: frames}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n < frames<<19 || n > frames<<19+64<<10 {
		t.Errorf("wrote %d bytes; want %d frames of 512 KiB and a header", n, frames)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
		t.Errorf("allocated %d bytes; want what a few frames need", got)
	}
}

type counter int64

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

var _ io.Writer = (*counter)(nil)

// dcmtk reads every form we write.
func TestDcmtkReadsThem(t *testing.T) {
	if _, err := exec.LookPath("dcmdump"); err != nil {
		t.Skip("install dcmtk (apt-get install dcmtk) to have a second reader")
	}
	p := imagingtest.NewPatient(5)
	for name, o := range map[string]imagingtest.Options{
		"explicit":     {},
		"implicit":     {TransferSyntax: imagingtest.ImplicitLE},
		"big endian":   {TransferSyntax: imagingtest.BigEndian, UndefinedLengths: true},
		"deflated":     {TransferSyntax: imagingtest.Deflated},
		"rle":          {TransferSyntax: imagingtest.RLE, Frames: 3, OffsetTable: true},
		"jpeg 2000":    {TransferSyntax: imagingtest.JPEG2000, Frames: 3, Fragments: 3},
		"latin 1":      {Charset: "ISO_IR 100", Padding: 100},
		"gb18030":      {Charset: "GB18030", UndefinedLengths: true},
		"japanese":     {Charset: `\ISO 2022 IR 87`},
		"ultrasound":   {Modality: "US", Frames: 2},
		"report":       {Modality: "SR"},
		"multi-frame":  {Frames: 3},
		"odd colour":   {Modality: "SC", Rows: 63, Columns: 63},
		"deep":         {Nesting: 30},
		"encapsulated": {Modality: "DOC"},
	} {
		o.Rows, o.Columns = max(o.Rows, 64), max(o.Columns, 64)
		path := filepath.Join(t.TempDir(), "d.dcm")
		if err := os.WriteFile(path, imagingtest.CT(p, o), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("dcmdump", "-q", path).CombinedOutput()
		if err != nil || bytes.Contains(out, []byte("E: ")) || bytes.Contains(out, []byte("W: ")) {
			t.Errorf("%s: dcmdump: %v\n%.500s", name, err, out)
		}
		if !bytes.Contains(out, []byte(p.ID)) {
			t.Errorf("%s: dcmdump shows no patient id", name)
		}
	}
}
