// Package pdftest gives tests a redactor that works.
package pdftest

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"medvault/imaging/ocr"
	"medvault/imaging/pdf"
)

// Config is one that works on this machine: the process is built once a test run, and
// what it compiles is kept between runs. Without tesseract it has no OCR.
func Config(t testing.TB) pdf.Config {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	c := pdf.Config{Worker: []string{path}, Cache: filepath.Join(caches(), "pdfium"), Timeout: 2 * time.Minute}
	if found, err := exec.LookPath("tesseract"); err == nil {
		// Without chi_sim reading is still better than not.
		for _, languages := range []string{"chi_sim+eng", "eng"} {
			if c.OCR, err = ocr.New(ocr.Config{Program: found, Languages: languages, AtOnce: 2, Timeout: 5 * time.Minute}); err == nil {
				break
			}
		}
	}
	return c
}

// Redactor is one made of Config.
func Redactor(t testing.TB) *pdf.Redactor {
	t.Helper()
	r, err := pdf.NewRedactor(Config(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// program builds the process. The go command keeps what it built.
var program = sync.OnceValues(func() (string, error) {
	if err := os.MkdirAll(caches(), 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(caches(), "pdf-worker")
	part, err := os.MkdirTemp(caches(), "build")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(part)
	build := exec.Command("go", "build", "-o", filepath.Join(part, "pdf-worker"), "medvault/imaging/pdf/pdftest/program")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", err
	}
	return path, os.Rename(filepath.Join(part, "pdf-worker"), path) // whole, for whoever runs at the same time
})

func caches() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "medvault", "pdftest")
}
