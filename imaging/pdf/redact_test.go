package pdf_test

import (
	"bytes"
	"context"
	"os"
	"testing"

	"medvault/imaging/imagingtest"
	"medvault/imaging/mention"
	"medvault/imaging/pdf/pdftest"
	"medvault/imaging/subject"
)

// known is a synthetic patient as the vault knows one.
func known(p imagingtest.Patient) *mention.Known {
	return mention.New(subject.Known{Names: []string{p.Name}, IDs: []string{p.ID}, Dates: []string{p.BirthDate},
		Phones: []string{p.Phone}, Addresses: []string{p.Address}}, mention.Tokens{Name: "[PT-KQ37HC]", ID: "[ID:KQ37HC]", Days: 11})
}

func TestSmoke(t *testing.T) {
	p := imagingtest.NewPatient(1)
	r := pdftest.Redactor(t)
	a, err := r.Ready(context.Background())
	t.Logf("%+v %v", a, err)
	got, err := r.Redact(context.Background(), imagingtest.Report(p), known(p), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("held %q %v, %d pages, %d words, %d bytes", got.Held, got.Reasons, got.Pages, got.Words, len(got.PDF))
	for _, b := range got.Boxes {
		t.Logf("%+v", b)
	}
	if dir := os.Getenv("OUT"); dir != "" {
		os.WriteFile(dir+"/a.pdf", got.PDF, 0o600)
		os.WriteFile(dir+"/orig.pdf", imagingtest.Report(p), 0o600)
		png, err := r.Render(context.Background(), got.PDF, 1)
		t.Log(err)
		os.WriteFile(dir+"/a.png", png, 0o600)
	}
	if bytes.Contains(got.PDF, []byte(p.ID)) {
		t.Error("id")
	}
}
