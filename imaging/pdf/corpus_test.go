package pdf_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/imaging/pdf"
	"medvault/imaging/pdf/pdftest"
)

// TestRealFilesAreRedacted makes views of real files: no crash, no hang, and where there
// is no view, a reason. MEDVAULT_TEST_CORPUS=all takes them all, otherwise it is one of
// forty.
func TestRealFilesAreRedacted(t *testing.T) {
	root := os.Getenv("MEDVAULT_CORPUS")
	if root == "" {
		root = "../../../shared/corpus"
	}
	every := 40
	if os.Getenv("MEDVAULT_TEST_CORPUS") == "all" {
		every = 1
	}
	c := pdftest.Config(t)
	if os.Getenv("NOOCR") != "" || every > 1 {
		c.OCR = nil // the reading of pictures has tests of its own
	}
	r, err := pdf.NewRedactor(c)
	if err != nil {
		t.Fatal(err)
	}
	who := known(imagingtest.NewPatient(3))
	n, views := 0, 0
	err = filepath.WalkDir(filepath.Join(root, "pdf"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Ext(path) != ".pdf" {
			return err
		}
		if n++; n%every != 0 {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		began := time.Now()
		got, err := r.Redact(context.Background(), data, who, nil)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
			return nil
		}
		if got.PDF == nil && (got.Held == "" || pdf.Advice(got.Held) == "") {
			t.Errorf("%s: neither a view nor a reason", filepath.Base(path))
		}
		if got.PDF != nil {
			views++
		}
		t.Logf("%-50s %6.1fs %3d pages %8d bytes, %d boxes, %v", filepath.Base(path), time.Since(began).Seconds(), got.Pages, len(got.PDF), len(got.Boxes), got.Reasons)
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("set MEDVAULT_CORPUS to the folder with real files")
	}
	if err != nil {
		t.Fatal(err)
	}
	if views < n/every/2 {
		t.Errorf("%d views of %d files; want at least half", views, n/every)
	}
}
