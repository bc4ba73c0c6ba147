package pdf_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"medvault/imaging"
	"medvault/imaging/imagingtest"
	"medvault/imaging/pdf"
	"medvault/imaging/pdf/pdftest"
)

func TestReady(t *testing.T) {
	t.Parallel()
	c := pdftest.Config(t)
	r, err := pdf.NewRedactor(c)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Ready(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"limits", "seccomp"}; runtime.GOOS == "linux" && !slices.Equal(got.Sandbox, want) {
		t.Errorf("enclosed by %v, without %v; want %v", got.Sandbox, got.Missing, want)
	}
	if got.OCR != (c.OCR != nil) {
		t.Errorf("reads pictures: %t; want %t", got.OCR, c.OCR != nil)
	}
	if _, err := os.Stat("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc"); err == nil && !got.Fonts {
		t.Error("does not draw Chinese with fonts-noto-cjk installed")
	}
}

// Without Chinese fonts words would be lost without a sign of it.
func TestWithoutFontsViewsAreHeld(t *testing.T) {
	t.Parallel()
	c := pdftest.Config(t)
	c.Fonts = t.TempDir()
	r, err := pdf.NewRedactor(c)
	if err != nil {
		t.Fatal(err)
	}
	got := redact(t, r, sheet(lines("Findings: nothing of note."), "", ""), imagingtest.NewPatient(8), nil)
	if got.Held != pdf.HeldFonts || got.PDF == nil {
		t.Errorf("held %q, %d bytes; want a view held as %s", got.Held, len(got.PDF), pdf.HeldFonts)
	}
	able, err := r.Ready(context.Background())
	if err != nil || able.Fonts {
		t.Errorf("%+v, %v; want no fonts", able, err)
	}
}

func TestCacheOfOthersIsRefused(t *testing.T) {
	c := pdftest.Config(t)
	c.Cache = t.TempDir()
	if err := os.Chmod(c.Cache, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := pdf.NewRedactor(c); err == nil {
		t.Error("takes a cache into which others can write")
	}
}

// liars are processes that a document has taken over, or that are broken. Before its
// first word a process has no document, so that what it says then is this machine's
// fault.
var liars = map[string]struct {
	script    string
	unstarted bool
}{
	"ends at once":            {"exit 3", true},
	"says nothing":            {"exec sleep 60", true},
	"another first word":      {`printf 'o\0\0\0\2{}'; exec sleep 60`, true},
	"ends after its hello":    {`printf 'h\0\0\0\2{}'`, false},
	"hangs":                   {`printf 'h\0\0\0\2{}'; exec sleep 60`, false},
	"a length beyond bounds":  {`printf 'h\0\0\0\2{}o\377\377\377\377'; exec cat >/dev/null`, false},
	"a length it never sends": {`printf 'h\0\0\0\2{}o\5\0\0\0'; exec sleep 60`, false},
	"no JSON":                 {`printf 'h\0\0\0\2{}o\0\0\0\3abc'; exec cat >/dev/null`, false},
	"negative pages":          {`printf 'h\0\0\0\2{}o\0\0\0\014{"pages":-1}'; exec cat >/dev/null`, false},
	"a page of nothing":       {`printf 'h\0\0\0\2{}o\0\0\0\013{"pages":1}p\0\0\0\0'; exec cat >/dev/null`, false},
	"a made up code":          {`printf 'h\0\0\0\2{}e\0\0\0\11Zhang Wei'; exec cat >/dev/null`, false},
	"the wrong answer":        {`printf 'h\0\0\0\2{}p\0\0\0\2{}'; exec cat >/dev/null`, false},
}

func TestProcessThatLies(t *testing.T) {
	t.Parallel()
	p := imagingtest.NewPatient(9)
	for name, liar := range liars {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "liar")
			if err := os.WriteFile(path, []byte("#!/bin/sh\n"+liar.script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			r, err := pdf.NewRedactor(pdf.Config{Worker: []string{path}, Timeout: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			ctx := context.Background()
			if liar.unstarted {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 3*time.Second)
				defer cancel()
			}
			got, err := r.Redact(ctx, imagingtest.Report(p), known(p), nil)
			if liar.unstarted {
				if err == nil {
					t.Errorf("held %v; want an error", got.Reasons)
				}
				return
			}
			if err != nil || got.PDF != nil || got.Held != pdf.HeldTooCostly && got.Held != pdf.HeldBroken {
				t.Errorf("%v, held %q, %d bytes; want none, and a reason of ours", err, got.Held, len(got.PDF))
			}
			var refusal *imaging.Refusal
			if _, err := r.Render(context.Background(), imagingtest.Report(p), 1); !errors.As(err, &refusal) {
				t.Errorf("Render: %v; want a refusal", err)
			}
		})
	}
}

// What ends a request ends the process.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	r := pdftest.Redactor(t)
	p := imagingtest.NewPatient(9)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Redact(ctx, imagingtest.Report(p), known(p), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v; want context.Canceled", err)
	}
}
