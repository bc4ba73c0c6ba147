package reports_test

import (
	"bytes"
	"context"
	"testing"

	"medvault/imaging/imagingtest/reports"
	"medvault/imaging/mention"
)

func TestMakeIsDeterministic(t *testing.T) {
	for n := range len(reports.Families()) {
		if a, b := reports.Make(n), reports.Make(n); !bytes.Equal(a.Data, b.Data) || len(a.Planted) == 0 || len(a.Keep) < 20 {
			t.Errorf("%s: %d planted, %d kept; the same bytes twice: %v", a.Name, len(a.Planted), len(a.Keep), bytes.Equal(a.Data, b.Data))
		}
	}
}

// TestKeyIsTrue asks that another program finds what the key says is there.
func TestKeyIsTrue(t *testing.T) {
	tools := reports.FindTools()
	if tools.PDFToText == "" {
		t.Skip("install poppler-utils: pdftotext reads what the key says")
	}
	for n := range 2 * len(reports.Families()) {
		r := reports.Make(n)
		switch r.Family {
		case "plain", "kerned", "two-pages", "table", "form-xobject", "owner-encrypted", "object-streams", "revisions", "rotated-page", "qr-code":
		default:
			continue
		}
		raw, _, err := tools.Text(context.Background(), r.Data)
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		if kept, wanted := r.Survived(raw); kept*100 < wanted*99 {
			t.Errorf("%s: %d of %d words are there before anything is taken out", r.Name, kept, wanted)
		}
		onPages := 0
		for _, p := range r.Planted {
			if p.Page > 0 {
				onPages++
			}
		}
		if found := len(r.LeaksIn(raw)); found*10 < onPages*6 {
			t.Errorf("%s: %d of %d planted values are found before anything is taken out", r.Name, found, onPages)
		}
	}
}

// TestMentionsOfPlainText takes the identifiers out of what another program reads.
func TestMentionsOfPlainText(t *testing.T) {
	tools := reports.FindTools()
	if tools.PDFToText == "" {
		t.Skip("install poppler-utils: pdftotext reads the reports")
	}
	kept, wanted := 0, 0
	for n := 0; n < 24*len(reports.Families()); n += len(reports.Families()) {
		r := reports.Make(n)
		raw, _, err := tools.Text(context.Background(), r.Data)
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		known := mention.New(r.Known, mention.Tokens{Name: "[PT-KQ37HC]", ID: "[ID:KQ37HC]", Days: reports.Shift})
		clean, _ := mention.Replace(raw, known, mention.Normal)
		if leaks := r.LeaksIn(clean); len(leaks) > 0 {
			t.Errorf("%s: %v are left in\n%s", r.Name, leaks, clean)
		}
		k, w := r.Survived(clean)
		kept, wanted = kept+k, wanted+w
	}
	if kept*1000 < wanted*995 {
		t.Errorf("%d of %d words survive", kept, wanted)
	}
	t.Logf("%d of %d words survive", kept, wanted)
}
