package facsimile_test

import (
	"bytes"
	"image"
	"image/color"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"medvault/imaging/pdf/facsimile"
)

// sample has a page of each kind of picture.
func sample(t testing.TB) []byte {
	t.Helper()
	grey, colour := image.NewGray(image.Rect(0, 0, 101, 140)), image.NewRGBA(image.Rect(0, 0, 100, 140))
	for y := range 140 {
		for x := range 100 {
			grey.SetGray(x, y, color.Gray{uint8(x + y)})
			colour.SetRGBA(x, y, color.RGBA{uint8(x), uint8(y), uint8(x * y), 0xFF})
		}
	}
	words := []facsimile.Word{
		{Text: "[PT-KQ37HC]", X: 50, Y: 100, Size: 10, Width: 66},
		{Text: "Befund", X: 120, Y: 100, Size: 10, Width: 30},
		{Text: "肝脏未见异常", X: 50, Y: 130, Size: 12, Width: 72},
		{Text: "😀", X: 50, Y: 150, Size: 12, Width: 12},
	}
	var b bytes.Buffer
	w := facsimile.NewWriter(&b)
	for _, p := range []facsimile.Picture{{Image: grey}, {Image: colour}, {Image: grey, Photo: true}, {Image: colour, Photo: true}} {
		w.Add(facsimile.Page{Width: 595, Height: 842, Picture: p, Words: words})
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatIsWrittenPasses(t *testing.T) {
	file := sample(t)
	got, err := facsimile.Check(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Pages) != 4 || len(got.Streams) != 5 {
		t.Fatalf("%d pages, %d streams; want 4 and 5", len(got.Pages), len(got.Streams))
	}
	for _, text := range got.Pages {
		if want := "[PT-KQ37HC]\nBefund\n肝脏未见异常\n😀\n"; text != want {
			t.Errorf("text %q; want %q", text, want)
		}
	}
	if !bytes.Equal(file, sample(t)) {
		t.Error("the same pages made another file")
	}
}

// What is put in, left out or changed anywhere is noticed, but for the shades of
// pictures and the places of words.
func TestWhatIsAddedIsNoticed(t *testing.T) {
	file := sample(t)
	put := func(after, what string) []byte {
		return bytes.Replace(bytes.Clone(file), []byte(after), []byte(after+what), 1)
	}
	for name, bad := range map[string][]byte{
		"metadata":           put("/Type /Catalog", " /Metadata 9 0 R"),
		"a comment":          put("endobj\n", "% Zhang Wei\n"),
		"before the header":  append([]byte("x"), file...),
		"after the end":      append(bytes.Clone(file), '\n'),
		"information":        put("/Size 19", " /Info 3 0 R"),
		"another object":     put("endobj\n", "99 0 obj\n<< >>\nendobj\n"),
		"a name of a font":   bytes.Replace(file, []byte("/Unseen"), []byte("/ZhangW"), 1),
		"the palette":        bytes.Replace(file, []byte("000033"), []byte("000034"), 1),
		"comment in a photo": put("\xFF\xD8", "\xFF\xFE\x00\x06Wei!"),
		"nothing":            nil,
	} {
		if bytes.Equal(bad, file) {
			t.Errorf("%s: the file was not changed", name)
		}
		if _, err := facsimile.Check(bad); err == nil {
			t.Errorf("%s: passes", name)
		}
	}
	for i := 0; i < len(file); i += 97 {
		if _, err := facsimile.Check(file[:i]); err == nil {
			t.Fatalf("the first %d bytes pass", i)
		}
	}
}

// Another reader finds the text.
func TestOthersReadIt(t *testing.T) {
	if _, err := exec.LookPath("pdftotext"); err != nil {
		t.Skip("install pdftotext (apt-get install poppler-utils)")
	}
	path := filepath.Join(t.TempDir(), "a.pdf")
	if err := os.WriteFile(path, sample(t), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("pdftotext", "-layout", path, "-").CombinedOutput()
	if err != nil {
		t.Fatalf("pdftotext: %v\n%s", err, out)
	}
	for _, want := range []string{"[PT-KQ37HC] Befund", "肝脏未见异常"} {
		if strings.Count(string(out), want) != 4 {
			t.Errorf("pdftotext finds %q %d times; want 4:\n%s", want, strings.Count(string(out), want), out)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(sample(f))
	f.Add([]byte("%PDF-1.7\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if got, err := facsimile.Check(file); err == nil && len(got.Pages) == 0 {
			t.Fatal("a file without pages passes")
		}
	})
}
