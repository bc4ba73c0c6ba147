package dicom_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/imagingtest"
)

func convert(t *testing.T, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := dicom.New().Convert(&out, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// The same document in another syntax converts into the same bytes. Private
// elements are left out here: their VR is unknown without a header that tells.
func TestConvertGivesTheExplicitDocument(t *testing.T) {
	p := imagingtest.NewPatient(4)
	text := imagingtest.Element{Tag: 0x0040A730, VR: "SQ", Value: []imagingtest.Item{{
		{Tag: 0x0040A160, VR: "UT", Value: "nested"},
		{Tag: 0x00280009, VR: "AT", Value: []imagingtest.Tag{0x00181063}},
		{Tag: 0x00189073, VR: "FD", Value: []float64{1.5}},
		{Tag: 0x00281201, VR: "OW", Value: []byte(nil)},
	}, {}}}
	for name, o := range map[string]imagingtest.Options{
		"plain":             {},
		"undefined lengths": {UndefinedLengths: true},
		"multi-frame":       {Frames: 3, Padding: 40},
		"colour":            {Modality: "US"},
		"no pixels":         {Modality: "SR"},
	} {
		o.Rows, o.Columns, o.Plain = 33, 20, true
		o.Extra = []imagingtest.Element{text}
		want := imagingtest.CT(p, o)
		for _, syntax := range []string{imagingtest.ImplicitLE, imagingtest.BigEndian, imagingtest.Deflated} {
			o.TransferSyntax = syntax
			got := convert(t, imagingtest.CT(p, o))
			if name == "colour" && syntax == imagingtest.ImplicitLE {
				got = bytes.Replace(got, []byte("\xe0\x7f\x10\x00OW"), []byte("\xe0\x7f\x10\x00OB"), 1) // allowed: words
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s from %s: %d bytes, not equal to the %d of the explicit document", name, syntax, len(got), len(want))
			}
		}
	}
}

func TestConvertCopiesWhatIsExplicit(t *testing.T) {
	// Garbage after the pixels is copied too: nothing behind the header is read.
	data := append(imagingtest.CT(imagingtest.NewPatient(4), imagingtest.Options{}), "\x01tail"...)
	if got := convert(t, data); !bytes.Equal(got, data) {
		t.Error("an explicit document is not copied as it is")
	}
}

func TestConvertMakesAPart10File(t *testing.T) {
	p := imagingtest.NewPatient(4)
	o := imagingtest.Options{Rows: 16, Columns: 16, Plain: true}
	want := imagingtest.CT(p, o)
	o.NoPreamble = true
	if got := convert(t, imagingtest.CT(p, o)); !bytes.Equal(got, want) {
		t.Error("a document without preamble does not get one")
	}
	bare := want[bytes.Index(want, []byte("\x08\x00\x05\x00CS")):]
	got := convert(t, bare)
	if !bytes.HasSuffix(got, bare) || !bytes.HasPrefix(got[128:], []byte("DICM\x02\x00\x00\x00UL")) {
		t.Error("a bare data set does not get a file meta")
	}
	if again := convert(t, got); !bytes.Equal(again, got) {
		t.Error("the file made of a bare data set is no explicit document")
	}
}

func TestConvertRefusesBeforeTheFirstByte(t *testing.T) {
	p := imagingtest.NewPatient(4)
	for _, syntax := range []string{imagingtest.JPEG, imagingtest.JPEG2000, imagingtest.RLE, imagingtest.HTJ2K, imagingtest.Unknown} {
		var out bytes.Buffer
		err := dicom.New().Convert(&out, bytes.NewReader(imagingtest.CT(p, imagingtest.Options{TransferSyntax: syntax, Rows: 32, Columns: 32})))
		if !errors.Is(err, imaging.ErrCannotConvert) || out.Len() > 0 {
			t.Errorf("%s: Convert = %v after %d bytes; want ErrCannotConvert and none", syntax, err, out.Len())
		}
	}
}

func TestConvertPassesErrorsOn(t *testing.T) {
	p := imagingtest.NewPatient(4)
	for _, syntax := range []string{imagingtest.ExplicitLE, imagingtest.ImplicitLE} {
		data := imagingtest.CT(p, imagingtest.Options{TransferSyntax: syntax})
		broken := errors.New("broken pipe")
		err := dicom.New().Convert(new(bytes.Buffer), &breaking{data[:300_000], broken})
		if !errors.Is(err, broken) {
			t.Errorf("%s: Convert = %v; want the reader's error", syntax, err)
		}
	}
	data := imagingtest.CT(p, imagingtest.Options{TransferSyntax: imagingtest.ImplicitLE})
	var refusal *imaging.Refusal
	if err := dicom.New().Convert(new(bytes.Buffer), bytes.NewReader(data[:300_000])); !errors.As(err, &refusal) {
		t.Errorf("Convert of a cut document = %v; want a refusal", err)
	}
}

type breaking struct {
	data []byte
	err  error
}

func (f *breaking) Read(p []byte) (int, error) {
	if len(f.data) == 0 {
		return 0, f.err
	}
	n := copy(p, f.data)
	f.data = f.data[n:]
	return n, nil
}

// TestConvertAgainstPydicom compares raw values before and after, for every real
// file that is rewritten and for synthetic ones with private elements.
func TestConvertAgainstPydicom(t *testing.T) {
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import pydicom").Run(); err != nil {
		t.Skip("install Debian's python3-pydicom")
	}
	dir := t.TempDir()
	var files []string
	for i, o := range []imagingtest.Options{
		{TransferSyntax: imagingtest.ImplicitLE}, {TransferSyntax: imagingtest.BigEndian}, {TransferSyntax: imagingtest.Deflated},
		{TransferSyntax: imagingtest.ImplicitLE, UndefinedLengths: true}, {TransferSyntax: imagingtest.BigEndian, UndefinedLengths: true},
	} {
		path := filepath.Join(dir, fmt.Sprintf("synthetic%d", i))
		if err := os.WriteFile(path, imagingtest.CT(imagingtest.NewPatient(9), o), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	if root, err := os.Stat(corpusRoot()); err == nil && root.IsDir() {
		files = append(files, corpus(t)...)
	} else {
		t.Log("set MEDVAULT_CORPUS to compare real files too")
	}

	var pairs strings.Builder
	var compared []string
	copied, refused := 0, 0
	for i, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		var refusal *imaging.Refusal
		switch err := dicom.New().Convert(&out, bytes.NewReader(data)); {
		case errors.As(err, &refusal):
			refused++
			continue
		case errors.Is(err, imaging.ErrCannotConvert):
			if out.Len() > 0 {
				t.Errorf("file %d: %d bytes before it cannot be converted", i, out.Len())
			}
			refused++
			continue
		case err != nil:
			t.Errorf("file %d: %v", i, err)
			continue
		case bytes.Equal(out.Bytes(), data):
			copied++
			continue
		}
		converted := filepath.Join(dir, fmt.Sprintf("converted%d", i))
		if err := os.WriteFile(converted, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&pairs, "%s\n%s\n", path, converted)
		compared = append(compared, fmt.Sprint(i))
	}
	command := exec.Command(python, "testdata/compare.py")
	command.Stdin = strings.NewReader(pairs.String())
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	same, unreadable := 0, 0
	for i := 0; lines.Scan(); i++ {
		switch lines.Text() {
		case "same":
			same++
		case "unreadable":
			unreadable++
		default:
			t.Errorf("file %s: %s", compared[i], lines.Text())
		}
	}
	if same < 5 {
		t.Errorf("%d files are the same after conversion; want at least the synthetic ones", same)
	}
	t.Logf("rewritten and the same %d, not readable for pydicom %d, copied %d, not convertible %d", same, unreadable, copied, refused)
}

func corpusRoot() string {
	if root := os.Getenv("MEDVAULT_CORPUS"); root != "" {
		return root
	}
	return "../../../shared/corpus"
}

func TestDcmtkReadsConverted(t *testing.T) {
	if _, err := exec.LookPath("dcmdump"); err != nil {
		t.Skip("install dcmtk (apt-get install dcmtk) to have a second reader")
	}
	for _, syntax := range []string{imagingtest.ImplicitLE, imagingtest.BigEndian, imagingtest.Deflated} {
		for _, undefined := range []bool{true, false} {
			data := imagingtest.CT(imagingtest.NewPatient(9), imagingtest.Options{TransferSyntax: syntax, UndefinedLengths: undefined, Rows: 32, Columns: 32})
			dir := t.TempDir()
			ours, theirs := filepath.Join(dir, "ours"), filepath.Join(dir, "theirs")
			if err := os.WriteFile(ours, convert(t, data), 0o600); err != nil {
				t.Fatal(err)
			}
			original := filepath.Join(dir, "original")
			if err := os.WriteFile(original, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("dcmconv", "+te", "+e", original, theirs).CombinedOutput(); err != nil {
				t.Fatalf("dcmconv: %v\n%s", err, out)
			}
			a, b := dump(t, ours), dump(t, theirs)
			if a != b {
				t.Errorf("%s, undefined %v: dcmtk reads another data set in our conversion than in its own:\n%s\n%s", syntax, undefined, a, b)
			}
		}
	}
}

// dump is dcmdump's text of the data set without what two writers may do
// differently: lengths, and who wrote the file.
func dump(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("dcmdump", "-q", "+L", path).CombinedOutput()
	if err != nil {
		t.Fatalf("dcmdump: %v\n%s", err, out)
	}
	var kept []string
	for _, line := range strings.Split(string(out), "\n") {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "(0002,") || strings.HasPrefix(trimmed, "(fffe,") && !strings.HasPrefix(trimmed, "(fffe,e000)") {
			continue
		}
		before, _, _ := strings.Cut(line, "#")
		before = strings.NewReplacer("with undefined length", "", "with explicit length", "").Replace(before)
		kept = append(kept, strings.TrimRight(before, " "))
	}
	return strings.Join(kept, "\n")
}

func FuzzConvert(f *testing.F) {
	for _, syntax := range []string{imagingtest.ExplicitLE, imagingtest.ImplicitLE, imagingtest.BigEndian, imagingtest.Deflated} {
		f.Add(imagingtest.CT(imagingtest.NewPatient(2), imagingtest.Options{TransferSyntax: syntax, Rows: 8, Columns: 8}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var once, twice bytes.Buffer
		if err := dicom.New().Convert(&once, bytes.NewReader(data)); err != nil {
			return
		}
		if err := dicom.New().Convert(&twice, bytes.NewReader(once.Bytes())); err != nil {
			t.Fatalf("what was converted cannot be read: %v", err)
		}
		if !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Fatal("converting again changes it")
		}
	})
}
