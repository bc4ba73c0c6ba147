package dicom_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/dicom/profile"
	"medvault/imaging/imagingtest"
)

// FuzzScrub asks that every input is either refused or comes back exactly, whatever
// the options and whatever a person has masked and accepted. What comes out can be
// read by the package itself, and begins with an empty preamble.
func FuzzScrub(f *testing.F) {
	add := func(data []byte) {
		f.Add(data, uint16(profile.Default), uint32(0), false)
		f.Add(data, uint16(profile.Default|profile.CleanDescriptors|profile.CleanStructured|profile.CleanGraphics), uint32(0x02_01_04_03), true)
	}
	for _, bad := range imagingtest.Hostile(imagingtest.NewPatient(1)) {
		if len(bad.Data) < 8<<10 {
			add(bad.Data)
		}
	}
	for object := range imagingtest.Set(3, 140) { // every class, most syntaxes
		add(object.Data)
	}
	f.Fuzz(func(t *testing.T, data []byte, options uint16, mask uint32, accept bool) {
		scrubber := dicom.With(dicom.Config{Profile: "fuzzed", Options: profile.Set(options) & (1<<10 - 1)})
		content, script, err := scrubFuzzed(scrubber, data, fuzzedRelease(mask, accept))
		var refusal *imaging.Refusal
		if errors.As(err, &refusal) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := restored(data, content, script); err != nil {
			t.Error(err)
		}
		if !bytes.HasPrefix(content, append(make([]byte, 128), "DICM"...)) {
			t.Error("the content does not begin with an empty preamble")
		}
		if err := readable(content); err != nil {
			t.Errorf("the content cannot be read: %v", err)
		}
	})
}

func fuzzedRelease(mask uint32, accept bool) *imaging.Release {
	if mask == 0 && !accept {
		return nil
	}
	r := &imaging.Release{}
	if accept {
		r.Accept = []string{forReview, residual}
	}
	if mask != 0 {
		r.Masks = []imaging.Mask{{Frame: int(mask >> 28), X: int(mask & 0xFF), Y: int(mask >> 8 & 0xFF), Width: int(mask >> 16 & 0xFF), Height: int(mask >> 24 & 0xF)}}
	}
	return r
}

func scrubFuzzed(s dicom.Scrubber, data []byte, release *imaging.Release) (content, script []byte, err error) {
	in, err := dicom.BeginAs(s, bytes.NewReader(data))
	if err != nil {
		return nil, nil, err
	}
	var c, p bytes.Buffer
	original := func() (int64, [32]byte) { return int64(len(data)), sha256.Sum256(data) }
	out, err := in.Scrub(pseudonyms(in.Identity().PatientID), release, original, &c, &p)
	if err == nil && out.Facts.Size != int64(c.Len()) {
		err = errors.New("the facts tell another size")
	}
	return c.Bytes(), p.Bytes(), err
}

// readable splits a content to its end.
func readable(content []byte) error {
	s := dicom.Split(bytes.NewReader(content))
	for {
		segment, err := s.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if !segment.Bulk {
			return nil
		}
		if _, err := s.CopyBulk(io.Discard, nil); err != nil {
			return err
		}
	}
}

// FuzzResidual puts a patient's particulars among other text into values that stay, and
// asks that a view is shown only without them.
func FuzzResidual(f *testing.F) {
	for _, text := range []string{"", "window ", "a\\b ", "第", "\x1b$B;3", "9", "x=", "(0", "\xff"} {
		for kind := range 6 {
			f.Add(text, " end", uint8(kind), uint8(kind))
		}
	}
	p := imagingtest.NewPatient(21)
	whole := strings.ReplaceAll(p.Chinese(), "^", "")
	particulars := []string{p.ID, p.Accession + "-0", strings.ReplaceAll(p.Latin(), "^", " "), p.BirthDate, whole, strings.ToLower(p.ID)}
	places := []imagingtest.Element{{Tag: 0x00281055, VR: "LO"}, {Tag: 0x00180024, VR: "SH"}, {Tag: 0x00541101, VR: "LO"},
		{Tag: 0x00181210, VR: "SH"}, {Tag: 0x00080070, VR: "LO"}, {Tag: 0x00181020, VR: "LO"}}
	f.Fuzz(func(t *testing.T, before, after string, which, where uint8) {
		secret := particulars[int(which)%len(particulars)]
		element := places[int(where)%len(places)]
		if len(before)+len(after) > 200 || inWord(before, after) {
			return // part of something longer, which is another value
		}
		element.Value = before + secret + after
		original := imagingtest.CT(p, imagingtest.Options{Rows: 4, Columns: 4, Plain: true, Extra: []imagingtest.Element{element}})
		_, out, content, script, err := scrub(bytes.NewReader(original))
		if err != nil {
			t.Fatal(err)
		}
		if err := restored(original, content, script); err != nil {
			t.Error(err)
		}
		if out.Held == "" && bytes.Contains(content, []byte(secret)) {
			t.Errorf("shown with %q in %08X", secret, element.Tag)
		}
	})
}

// inWord reports whether what stands around a value continues it.
func inWord(before, after string) bool {
	joins := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || strings.ContainsRune("._-'’·", r)
	}
	last, first := []rune(before), []rune(after)
	return len(last) > 0 && joins(last[len(last)-1]) || len(first) > 0 && joins(first[0])
}
