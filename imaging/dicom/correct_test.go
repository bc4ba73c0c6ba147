package dicom_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os/exec"
	"reflect"
	"testing"
	"time"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/imagingtest"
)

var modified = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func correction(values map[string]string) imaging.Correction {
	return imaging.Correction{At: modified, System: "Medvault", Values: values}
}

func correct(t *testing.T, data []byte, corrections ...imaging.Correction) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := dicom.New().Correct(&out, bytes.NewReader(data), corrections); err != nil {
		t.Fatalf("Correct = %v", err)
	}
	return out.Bytes()
}

// attributeJSON is what DICOM JSON says of one attribute.
type attributeJSON struct {
	VR    string            `json:"vr"`
	Value []json.RawMessage `json:",omitempty"`
	Bulk  string            `json:"BulkDataURI,omitempty"`
}

func described(t *testing.T, data []byte) map[string]attributeJSON {
	t.Helper()
	described, err := dicom.New().Describe(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("Describe = %v", err)
	}
	all := make(map[string]attributeJSON)
	if err := json.Unmarshal(described, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// first is the first value of an attribute, a name's alphabetic group.
func (a attributeJSON) first() string {
	if len(a.Value) == 0 {
		return ""
	}
	var name struct{ Alphabetic, Ideographic string }
	var s string
	if json.Unmarshal(a.Value[0], &s) == nil {
		return s
	}
	if json.Unmarshal(a.Value[0], &name) == nil && name.Ideographic != "" {
		return name.Alphabetic + "=" + name.Ideographic
	}
	return name.Alphabetic
}

// originals are the items of Original Attributes Sequence.
func originals(t *testing.T, all map[string]attributeJSON) (items []map[string]attributeJSON) {
	t.Helper()
	for _, v := range all["04000561"].Value {
		var item map[string]attributeJSON
		if err := json.Unmarshal(v, &item); err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
	}
	return items
}

func inside(t *testing.T, item map[string]attributeJSON) (was map[string]attributeJSON) {
	t.Helper()
	if err := json.Unmarshal(item["04000550"].Value[0], &was); err != nil {
		t.Fatal(err)
	}
	return was
}

// Every class of document, in every syntax, carries a correction, and nothing else of it
// changes.
func TestACorrectionIsCarriedAndNothingElseChanges(t *testing.T) {
	_, err := exec.LookPath("dciodvfy")
	asked, dir := err == nil, t.TempDir()
	for o := range imagingtest.Set(5, 86, imagingtest.DefaultOptions()...) {
		got := correct(t, o.Data, correction(map[string]string{"PatientName": "MUSTERFRAU^ERIKA", "PatientBirthDate": "19700102", "PatientAddress": "2 Elm St"}))
		before, after := described(t, o.Data), described(t, got)
		if n, b, a := after["00100010"].first(), after["00100030"].first(), after["00101040"].first(); n != "MUSTERFRAU^ERIKA" || b != "19700102" || a != "2 Elm St" {
			t.Fatalf("%s: reads %q, %q, %q", o.Name, n, b, a)
		}
		items := originals(t, after)
		if len(items) != len(before["04000561"].Value)+1 {
			t.Fatalf("%s: %d items of Original Attributes Sequence", o.Name, len(items))
		}
		item := items[len(items)-1]
		was := inside(t, item)
		for _, tag := range []string{"00100010", "00100030", "00101040"} {
			if was[tag].first() != before[tag].first() {
				t.Errorf("%s: %s was %q; the document says %q", o.Name, tag, before[tag].first(), was[tag].first())
			}
			delete(before, tag)
			delete(after, tag)
		}
		if item["04000565"].first() != "CORRECT" || item["04000562"].first() != "20260304050607+0000" || item["04000563"].first() != "Medvault" {
			t.Errorf("%s: the item says %v", o.Name, item)
		}
		delete(before, "04000561")
		delete(after, "04000561")
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%s: another attribute changed", o.Name)
		}
		if is, as := flatten(t, got).pixels, flatten(t, o.Data).pixels; !bytes.Equal(is, as) {
			t.Errorf("%s: %d bytes of pixels became %d, or differ", o.Name, len(as), len(is))
		}
		if asked && !bytes.Contains(o.Data[:min(len(o.Data), 1024)], []byte(imagingtest.Deflated)) {
			before := complaints(t, dir, o.Data)
			for c, n := range complaints(t, dir, got) {
				if n > before[c] {
					t.Errorf("%s: dciodvfy: %s", o.Name, c)
				}
			}
		}
	}
}

func TestANameTheCharacterSetLacksTurnsTheDocumentIntoUTF8(t *testing.T) {
	for _, charset := range []string{"default", "ISO_IR 100", "GB18030", "GBK", `\ISO 2022 IR 87`, "ISO_IR 192"} {
		for _, syntax := range []string{imagingtest.ExplicitLE, imagingtest.ImplicitLE, imagingtest.BigEndian, imagingtest.Deflated} {
			t.Run(charset+" "+syntax, func(t *testing.T) {
				data := imagingtest.CT(imagingtest.NewPatient(3), imagingtest.Options{Rows: 4, Columns: 4, Charset: charset, TransferSyntax: syntax})
				const name = "Zhang^Wei=张^伟"
				before, after := described(t, data), described(t, correct(t, data, correction(map[string]string{"PatientName": name})))
				if got := after["00100010"].first(); got != name {
					t.Errorf("the name reads %q", got)
				}
				if was := inside(t, originals(t, after)[0])["00100010"].first(); was != before["00100010"].first() {
					t.Errorf("the name was %q; want %q", was, before["00100010"].first())
				}
				for _, tag := range []string{"00100010", "04000561", "00080005"} {
					delete(before, tag)
					delete(after, tag)
				}
				if !reflect.DeepEqual(before, after) {
					for tag := range maps.Keys(before) {
						if !reflect.DeepEqual(before[tag], after[tag]) {
							t.Errorf("%s changed: %s became %s", tag, before[tag].Value, after[tag].Value)
						}
					}
				}
			})
		}
	}
}

func TestEachCorrectionTellsWhatWasThereBeforeIt(t *testing.T) {
	data := imagingtest.CT(imagingtest.NewPatient(3), imagingtest.Options{Rows: 4, Columns: 4})
	own := described(t, data)["00100010"].first()
	once := correct(t, data, correction(map[string]string{"PatientName": "A^B"}), correction(map[string]string{"PatientName": "C^D", "PatientSex": ""}))
	items := originals(t, described(t, once))
	if len(items) != 2 || inside(t, items[0])["00100010"].first() != own || inside(t, items[1])["00100010"].first() != "A^B" {
		t.Fatalf("items = %v", items)
	}
	if all := described(t, once); all["00100010"].first() != "C^D" || len(all["00100040"].Value) != 0 {
		t.Errorf("reads %v and %v; want the last name, and no sex", all["00100010"], all["00100040"])
	}
	// What came corrected from elsewhere keeps its own story.
	if items = originals(t, described(t, correct(t, once, correction(map[string]string{"PatientName": "E^F"})))); len(items) != 3 || inside(t, items[2])["00100010"].first() != "C^D" {
		t.Errorf("a document with a story of its own has the items %v", items)
	}
}

func TestWithoutACorrectionNothingChanges(t *testing.T) {
	data := imagingtest.CT(imagingtest.NewPatient(3), imagingtest.Options{Rows: 4, Columns: 4})
	if !bytes.Equal(correct(t, data), data) {
		t.Error("a document that nobody corrected came out different")
	}
}

func FuzzCorrect(f *testing.F) {
	for _, syntax := range []string{imagingtest.ExplicitLE, imagingtest.ImplicitLE, imagingtest.BigEndian, imagingtest.Deflated} {
		f.Add(imagingtest.CT(imagingtest.NewPatient(2), imagingtest.Options{TransferSyntax: syntax, Rows: 8, Columns: 8, Charset: "GBK", UndefinedLengths: syntax == imagingtest.ImplicitLE}), "Müller^王")
	}
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		var once bytes.Buffer
		if dicom.New().Correct(&once, bytes.NewReader(data), []imaging.Correction{correction(map[string]string{"PatientName": name})}) != nil {
			return
		}
		if err := dicom.New().Correct(io.Discard, bytes.NewReader(once.Bytes()), []imaging.Correction{correction(map[string]string{"PatientID": "X"})}); err != nil {
			t.Fatalf("what was corrected cannot be read: %v", err)
		}
	})
}
