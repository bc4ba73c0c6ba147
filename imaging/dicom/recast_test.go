package dicom_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/dicom/profile"
	"medvault/imaging/imagingtest"
)

// recipient makes the pseudonyms that one recipient of a patient gets.
func recipient(name string, days int) imaging.Pseudonyms {
	hash := func(what, value string) []byte {
		sum := sha256.Sum256([]byte(name + "|" + what + "|" + value))
		return sum[:16]
	}
	upper := base32.StdEncoding.WithPadding(base32.NoPadding)
	return imaging.Pseudonyms{
		Patient: "r" + strings.ToLower(upper.EncodeToString(hash("patient", ""))),
		UID:     func(u string) string { return "2.25." + new(big.Int).SetBytes(hash("uid", u)).String() },
		ID: func(_, v string, most int) string {
			t := upper.EncodeToString(hash("id", v))
			return t[:min(most, len(t))]
		},
		ShiftDays: days,
	}
}

func recast(t *testing.T, content []byte, p imaging.Pseudonyms) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := dicom.New().Recast(&out, bytes.NewReader(content), p); err != nil {
		t.Fatalf("Recast = %v", err)
	}
	return out.Bytes()
}

// marks are what joins documents: UIDs, tokens of ids, tokens of patients, also when
// cut to 16 characters.
var marks = regexp.MustCompile(`2\.25\.[0-9]{20,39}|\b[A-Z2-7]{26}\b|\b[pr][a-z2-7]{26}\b|\b[pr][a-z2-7]{15}\b`)

func marksOf(header []byte) map[string]bool {
	found := make(map[string]bool)
	for _, m := range marks.FindAll(header, -1) {
		if string(m) != "2.25.304115897146082653219385537109741620517" { // the vault's own implementation class
			found[string(m)] = true
		}
	}
	return found
}

// shared is a mark that two of the documents hold, "" when there is none.
func shared(documents ...flat) string {
	seen := make(map[string]bool)
	for _, d := range documents {
		found := marksOf(d.header)
		for m := range found {
			if seen[m] {
				return m
			}
		}
		maps.Copy(seen, found)
	}
	return ""
}

// flat is a document as its elements, values by reference.
type flat struct {
	header   []byte
	elements []dicom.Element
	values   [][]byte
	pixels   []byte
}

func flatten(t *testing.T, data []byte) (f flat) {
	t.Helper()
	s := dicom.Split(bytes.NewReader(data))
	for {
		segment, err := s.Next()
		if err == io.EOF {
			return f
		}
		if err != nil {
			t.Fatalf("Split = %v", err)
		}
		f.header = append(f.header, segment.Raw...)
		for i := range segment.Elements {
			e := segment.Elements[i]
			var value []byte
			if !e.Container() {
				value = bytes.Clone(segment.Bytes(&e))
			}
			f.elements, f.values = append(f.elements, e), append(f.values, value)
		}
		if segment.Bulk {
			var bulk bytes.Buffer
			if _, err := s.CopyBulk(&bulk, nil); err != nil {
				t.Fatalf("CopyBulk = %v", err)
			}
			f.pixels = append(f.pixels, bulk.Bytes()...)
		}
	}
}

func TestWhatTwoRecipientsHoldCannotBeJoined(t *testing.T) {
	n := 129 // every class, in three syntaxes
	if raced {
		n = 43
	}
	for name, set := range profile.Named() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scrubber := dicom.With(dicom.Config{Profile: name, Options: set})
			dates, uids := 0, 0
			for o := range imagingtest.Set(3, n, set.Names()...) {
				content, err := contentOf(scrubber, o.Data, recipient("vault"+o.Patient, -400))
				if err != nil {
					t.Fatalf("%s: %v", o.Name, err)
				}
				a, b := recast(t, content, recipient("a"+o.Patient, -77)), recast(t, content, recipient("b"+o.Patient, -1031))
				if again := recast(t, content, recipient("a"+o.Patient, -77)); !bytes.Equal(a, again) {
					t.Errorf("%s: the same recipient got two documents", o.Name)
				}
				was, forA, forB := flatten(t, content), flatten(t, a), flatten(t, b)
				uids += len(marksOf(was.header))
				if m := shared(was, forA, forB); m != "" {
					t.Errorf("%s: two hold %s", o.Name, m)
				}
				dates += comparePassed(t, o.Name, was, forA, -77)
				comparePassed(t, o.Name, was, forB, -1031)
			}
			if uids == 0 || dates == 0 {
				t.Errorf("%d marks and %d dates were there to be replaced; the test is empty", uids, dates)
			}
		})
	}
}

// comparePassed wants a recast document to be the same but for marks and dates, and
// returns how many dates were shifted.
func comparePassed(t *testing.T, name string, was, is flat, days int) (shifted int) {
	t.Helper()
	if len(was.elements) != len(is.elements) || !bytes.Equal(was.pixels, is.pixels) {
		t.Fatalf("%s: %d elements became %d, or the pixels differ", name, len(was.elements), len(is.elements))
	}
	for i, e := range was.elements {
		got := is.elements[i]
		if got.Tag != e.Tag || got.VR != e.VR || got.Flags != e.Flags {
			t.Fatalf("%s: element %d became %08X %s", name, i, uint32(got.Tag), got.VR)
		}
		before, after := strings.Trim(string(was.values[i]), " \x00"), strings.Trim(string(is.values[i]), " \x00")
		if before == after || e.Tag == 0x0002_0000 {
			continue
		}
		switch {
		case e.VR == dicom.DA && before != "19000101":
			for k, v := range strings.Split(before, `\`) {
				want, err := time.Parse("20060102", v)
				if err != nil {
					t.Errorf("%s: %08X held no date", name, uint32(e.Tag))
					continue
				}
				if got := strings.Split(after, `\`)[k]; got != want.AddDate(0, 0, days).Format("20060102") {
					t.Errorf("%s: %08X is not shifted by %d days", name, uint32(e.Tag), days)
				}
				shifted++
			}
		case e.VR == dicom.DT, e.VR == dicom.UI:
		case e.Tag == 0x0028_0303 && before == "UNMODIFIED" && after == "MODIFIED":
		case slices.Contains([]dicom.VR{dicom.AE, dicom.CS, dicom.LO, dicom.LT, dicom.PN, dicom.SH, dicom.ST, dicom.UC, dicom.UT}, e.VR):
		default:
			t.Errorf("%s: %08X %s changed", name, uint32(e.Tag), e.VR)
		}
	}
	return shifted
}

// contentOf scrubs a document and keeps the content alone.
func contentOf(s dicom.Scrubber, data []byte, p imaging.Pseudonyms) ([]byte, error) {
	in, err := s.Begin(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	_, err = in.Scrub(p, nil, func() (int64, [32]byte) { return int64(len(data)), sha256.Sum256(data) }, &content, io.Discard)
	return content.Bytes(), err
}

func TestTextIsRecastAsWell(t *testing.T) {
	p := imagingtest.NewPatient(5)
	set := profile.Default | profile.CleanDescriptors
	first := recipient("vault", -400)
	study := imagingtest.Options{Rows: 8, Columns: 8, Charset: "GB18030", Extra: []imagingtest.Element{
		{Tag: 0x0018_1020, VR: "LO", Value: "20180503"}, // of the scanner's software
	}}
	content, err := contentOf(dicom.With(dicom.Config{Profile: "x", Options: set}), imagingtest.CT(p, study), first)
	if err != nil {
		t.Fatal(err)
	}
	// As the cleaner leaves a text: the token, a date, a UID.
	uid := first.UID("1.2.3")
	text := "CT " + first.Patient + " 2019-03-04 " + uid + " " + first.Patient[:16]
	content = replaceText(t, content, 0x0020_4000, text)
	second := recipient("a", -10)
	got := flatten(t, recast(t, content, second))
	want := "CT " + second.Patient + " 2019-02-22 " + second.UID(uid) + " " + second.Patient[:16]
	found := false
	for i, e := range got.elements {
		switch value := strings.TrimRight(string(got.values[i]), " "); e.Tag {
		case 0x0020_4000:
			if found = true; value != want {
				t.Errorf("the comment is %q; want %q", value, want)
			}
		case 0x0018_1020:
			if value != "20180503" {
				t.Errorf("a version became %q", value)
			}
		}
	}
	if !found {
		t.Error("the comment is gone")
	}
}

// TestTokensOfCodesAreRecast: a code that may name somebody is a token in the content,
// shorter than others, and no two recipients hold the same.
func TestTokensOfCodesAreRecast(t *testing.T) {
	local := func(value imagingtest.Element) imagingtest.Item {
		return imagingtest.Item{value, {Tag: 0x0008_0102, VR: "SH", Value: "99LOCAL"}, {Tag: 0x0008_0104, VR: "LO", Value: "chest"}}
	}
	content, err := contentOf(dicom.New(), imagingtest.CT(imagingtest.NewPatient(5), imagingtest.Options{Rows: 8, Columns: 8, Extra: []imagingtest.Element{
		{Tag: 0x0008_1032, VR: "SQ", Value: []imagingtest.Item{local(imagingtest.Element{Tag: 0x0008_0100, VR: "SH", Value: "OBERHUBER"})}},
		{Tag: 0x0018_0012, VR: "SQ", Value: []imagingtest.Item{local(imagingtest.Element{Tag: 0x0008_0119, VR: "UC", Value: "HOFSTAETTER"})}},
	}}), recipient("vault", -400))
	if err != nil {
		t.Fatal(err)
	}
	codes := func(data []byte) (found []string) {
		f := flatten(t, data)
		for i, e := range f.elements {
			if v := strings.TrimRight(string(f.values[i]), " "); (e.Tag == 0x0008_0100 || e.Tag == 0x0008_0119) && regexp.MustCompile(`^[A-Z2-7]{16}$`).MatchString(v) {
				found = append(found, v)
			}
		}
		return found
	}
	was, a, b := codes(content), codes(recast(t, content, recipient("a", -10))), codes(recast(t, content, recipient("b", -20)))
	if len(was) != 2 || len(a) != 2 || len(b) != 2 {
		t.Fatalf("%d, %d, %d tokens of codes; want 2 each", len(was), len(a), len(b))
	}
	for i := range was {
		if was[i] == a[i] || was[i] == b[i] || a[i] == b[i] {
			t.Errorf("token %d is the same for two: %s, %s, %s", i, was[i], a[i], b[i])
		}
	}
}

// replaceText puts another value into a top-level element of explicit little endian, or
// adds it.
func replaceText(t *testing.T, data []byte, tag dicom.Tag, value string) []byte {
	t.Helper()
	if len(value)%2 == 1 {
		value += " "
	}
	element := append([]byte{byte(tag >> 16), byte(tag >> 24), byte(tag), byte(tag >> 8), 'L', 'T', byte(len(value)), byte(len(value) >> 8)}, value...)
	segment, err := dicom.Split(bytes.NewReader(data)).Next()
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(segment.Elements); i = int(segment.Elements[i].Next) {
		e := segment.Elements[i]
		switch {
		case e.Tag == tag:
			return slices.Concat(data[:e.Offset], element, data[e.End:])
		case e.Tag > tag:
			return slices.Concat(data[:e.Offset], element, data[e.Offset:])
		}
	}
	t.Fatal("no place for the element")
	return nil
}

func TestOnlyContentIsRecast(t *testing.T) {
	original := imagingtest.CT(imagingtest.NewPatient(1), imagingtest.Options{Rows: 8, Columns: 8})
	content, err := contentOf(dicom.New(), original, recipient("vault", -3))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"an original": original, "half a content": content[:len(content)/2], "nothing": nil, "a text": []byte("hello"),
	} {
		if err := dicom.New().Recast(io.Discard, bytes.NewReader(data), recipient("a", -1)); err == nil {
			t.Errorf("%s was recast", name)
		}
	}
	broken := errors.New("broken")
	if err := dicom.New().Recast(failingWriter{broken}, bytes.NewReader(content), recipient("a", -1)); !errors.Is(err, broken) {
		t.Errorf("Recast into a broken pipe = %v; want its error", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func FuzzRecast(f *testing.F) {
	for _, o := range []imagingtest.Options{{}, {TransferSyntax: imagingtest.ImplicitLE, UndefinedLengths: true}, {TransferSyntax: imagingtest.BigEndian}} {
		o.Rows, o.Columns = 4, 4
		content, err := contentOf(dicom.New(), imagingtest.CT(imagingtest.NewPatient(1), o), recipient("vault", -3))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var once, twice bytes.Buffer
		if dicom.New().Recast(&once, bytes.NewReader(data), recipient("a", -7)) != nil {
			return
		}
		// What was recast can be recast, and reads as the same elements.
		if err := dicom.New().Recast(&twice, bytes.NewReader(once.Bytes()), recipient("b", -9)); err != nil {
			t.Fatalf("recast again: %v", err)
		}
	})
}

// TestRealContentsAreRecast for two recipients: no mark is shared, and all else stays.
func TestRealContentsAreRecast(t *testing.T) {
	done := 0
	for i, path := range corpus(t) {
		original, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		content, err := contentOf(dicom.New(), original, recipient("vault", -400))
		if err != nil || len(content) > 256<<10 {
			continue // refused, or nothing but more pixels
		}
		done++
		a, b := recast(t, content, recipient("a", -77)), recast(t, content, recipient("b", -1031))
		was, forA, forB := flatten(t, content), flatten(t, a), flatten(t, b)
		if shared(was, forA, forB) != "" {
			t.Errorf("file %d: two share a mark", i)
		}
		comparePassed(t, fmt.Sprint("file ", i), was, forA, -77)
	}
	t.Logf("%d contents", done)
}
