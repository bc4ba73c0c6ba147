package dicom_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/dicom/profile"
	"medvault/imaging/imagingtest"
	"medvault/imaging/ocr"
	"medvault/imaging/pixel"
)

// standIn is a program that answers as tesseract does, with one line of two words, if it
// is given a picture of the size wanted whose first pixels are black and white.
func standIn(t *testing.T, rows, columns int, first, second string) *ocr.Reader {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reader")
	script := fmt.Sprintf(`#!/bin/sh
[ "$1" = --list-langs ] && echo eng && exit
[ "$OMP_THREAD_LIMIT $(head -c 15 | od -An -c | tr -d ' \n')" = '1 P5\n%d%d\n255\n\0377' ] || exit 1
row='5\t1\t1\t1\t1\t%%b\n'
printf "$row" '1\t2\t3\t4\t2\t95.5\t%s'
printf "$row" '2\t9\t3\t9\t2\t91\t%s'
printf "$row" '3\t0\t0\t4\t2\t5\tnoise'
printf "$row" '4\t0\t0\t4\t2\t95\t.,'
`, columns, rows, first, second)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	r, err := ocr.New(ocr.Config{Program: path})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestWordsInThePictureAreSuggested gives the first frame to a reader, however it lies.
func TestWordsInThePictureAreSuggested(t *testing.T) {
	const rows, columns = 10, 17
	p := imagingtest.NewPatient(5)
	p.Name = "Quux^Xanthippe"
	want := []imaging.Mask{{X: 0, Y: 1, Width: 8, Height: 6}, {X: 7, Y: 1, Width: 10, Height: 6}}
	shape := pixel.Shape{Rows: rows, Columns: columns, Frames: 2, Samples: 1, Allocated: 16, Stored: 12, High: 11, Photometric: "MONOCHROME2"}
	le := bytes.Repeat([]byte{0, 0, 0xFF, 0x0F}, rows*columns)
	be := bytes.Repeat([]byte{0, 0, 0x0F, 0xFF}, rows*columns)
	frame, err := pixel.EncodeRLE(shape, le[:2*rows*columns])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		d      drawn
		pixels []byte
		second string
		want   []string
	}{
		"native":      {drawn{shape: shape}, le, "42", []string{"burned-in-annotation", "secondary-capture", "words-in-picture"}},
		"big endian":  {drawn{shape: shape, syntax: imagingtest.BigEndian}, be, "42", []string{"burned-in-annotation", "secondary-capture", "words-in-picture"}},
		"RLE":         {drawn{shape: shape, syntax: pixel.RLE}, fragments("", string(frame), string(frame)), "42", []string{"burned-in-annotation", "secondary-capture", "words-in-picture"}},
		"the patient": {drawn{shape: shape}, le, p.ID, []string{"burned-in-annotation", "patient-in-picture", "secondary-capture", "words-in-picture"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := dicom.With(dicom.Config{OCR: standIn(t, rows, columns, "ID", c.second)})
			original := c.d.document(bytes.Clone(c.pixels))
			out, content, script, err := scrubReleased(s, original, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := restored(original, content, script); err != nil {
				t.Error(err)
			}
			if out.Held != forReview || !slices.Equal(out.Report.Reasons, c.want) || !slices.Equal(out.Report.Suggest, want) {
				t.Errorf("held %q for %v, suggested %v; want %v, %v", out.Held, out.Report.Reasons, out.Report.Suggest, c.want, want)
			}
		})
	}
	t.Run("a reader that fails", func(t *testing.T) {
		s := dicom.With(dicom.Config{OCR: standIn(t, rows+1, columns, "ID", "42")})
		out, _, _, err := scrubReleased(s, drawn{shape: shape}.document(le), nil)
		if err != nil || out.Held != forReview || !slices.Contains(out.Report.Reasons, "ocr-failed") {
			t.Errorf("held %q for %v (%v); want ocr-failed among them", out.Held, out.Report.Reasons, err)
		}
	})
	t.Run("a picture that is shown", func(t *testing.T) {
		s := dicom.With(dicom.Config{OCR: standIn(t, 1, 1, "ID", "42")})
		out, _, _, err := scrubReleased(s, imagingtest.CT(p, imagingtest.Options{Rows: 8, Columns: 8, Plain: true}), nil)
		if err != nil || out.Held != "" || len(out.Report.Reasons) > 0 {
			t.Errorf("held %q for %v (%v); want it shown unread", out.Held, out.Report.Reasons, err)
		}
	})
}

// TestNumbersOfActsAreKnown: the number of a study or an order that stands in a text
// too is found there, unless it is so short that it may mean anything.
func TestNumbersOfActsAreKnown(t *testing.T) {
	scrubber := dicom.With(dicom.Config{Profile: "x", Options: profile.Default | profile.CleanDescriptors})
	for number, stays := range map[string]bool{"STUDY4711": false, "T2": true} {
		for _, tag := range []uint32{0x0020_0010, 0x0012_0040, 0x0040_2016} {
			content, err := contentOf(scrubber, imagingtest.CT(imagingtest.NewPatient(5), imagingtest.Options{Rows: 8, Columns: 8, Extra: []imagingtest.Element{
				{Tag: tag, VR: "SH", Value: number}, {Tag: 0x0020_4000, VR: "LT", Value: "chest " + number},
			}}), recipient("vault", -400))
			if err != nil {
				t.Fatal(err)
			}
			if got := bytes.Contains(content, []byte(number)); got != stays {
				t.Errorf("%08X %s: in the content %v; want %v", tag, number, got, stays)
			}
		}
	}
}
