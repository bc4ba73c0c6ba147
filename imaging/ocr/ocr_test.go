package ocr_test

import (
	"context"
	"image"
	"image/color"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"medvault/imaging/ocr"
)

// glyphs are seven rows of five dots.
var glyphs = map[rune][7]byte{
	'A': {0x0E, 0x11, 0x11, 0x1F, 0x11, 0x11, 0x11}, 'H': {0x11, 0x11, 0x11, 0x1F, 0x11, 0x11, 0x11},
	'I': {0x0E, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0E}, 'L': {0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1F},
	'N': {0x11, 0x19, 0x19, 0x15, 0x13, 0x13, 0x11}, 'E': {0x1F, 0x10, 0x10, 0x1E, 0x10, 0x10, 0x1F},
	'T': {0x1F, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04},
}

// write draws text with dots of so many pixels.
func write(m *image.Gray, text string, x, y, dot int) image.Rectangle {
	at := x
	for _, c := range text {
		for row, line := range glyphs[c] {
			for column := range 5 {
				if line>>(4-column)&1 == 0 {
					continue
				}
				for i := range dot * dot {
					m.SetGray(at+column*dot+i%dot, y+row*dot+i/dot, color.Gray{255})
				}
			}
		}
		at += 6 * dot
	}
	return image.Rect(x, y, at-dot, y+7*dot)
}

func reader(t *testing.T, c ocr.Config) *ocr.Reader {
	t.Helper()
	path, err := exec.LookPath("tesseract")
	if err != nil {
		t.Skip("install tesseract (apt-get install tesseract-ocr)")
	}
	c.Program = path
	r, err := ocr.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWordsAreFoundWhereTheyAre(t *testing.T) {
	m := image.NewGray(image.Rect(0, 0, 400, 200))
	box := write(m, "HELEN", 120, 60, 4)
	found, err := reader(t, ocr.Config{}).Words(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range found {
		if strings.HasPrefix(strings.ToUpper(w.Text), "HE") && w.Box.Overlaps(box) && w.Box.In(box.Inset(-8)) {
			return
		}
	}
	t.Errorf("found %v; want HELEN, but for a letter misread, in %v", found, box)
}

func TestAnEmptyPictureHasNoWords(t *testing.T) {
	found, err := reader(t, ocr.Config{}).Words(context.Background(), image.NewGray(image.Rect(0, 0, 100, 100)))
	if err != nil || len(found) > 0 {
		t.Errorf("found %v, %v; want nothing", found, err)
	}
}

func TestReaderThatCannotRead(t *testing.T) {
	if _, err := ocr.New(ocr.Config{Program: "/nowhere/tesseract"}); err == nil {
		t.Error("no error for a program that is not there")
	}
	if _, err := ocr.New(ocr.Config{Program: "/nowhere/tesseract", Languages: "eng -c x"}); err == nil || !strings.Contains(err.Error(), "languages") {
		t.Errorf("%v; want an error about languages", err)
	}
	slow := filepath.Join(t.TempDir(), "slow")
	script := "#!/bin/sh\n[ \"$1\" = --list-langs ] && echo eng && exit\n[ \"$OMP_THREAD_LIMIT\" = 1 ] && exec sleep 20\n"
	if err := os.WriteFile(slow, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	r, err := ocr.New(ocr.Config{Program: slow, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := r.Words(context.Background(), image.NewGray(image.Rect(0, 0, 8, 8))); err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %s; want an error after the timeout", err, time.Since(began))
	}
	if _, err := ocr.New(ocr.Config{Program: slow, Languages: "tlh"}); err == nil || !strings.Contains(err.Error(), "tlh") {
		t.Errorf("%v; want an error about the language", err)
	}
}
