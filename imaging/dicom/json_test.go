package dicom_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/imagingtest"
)

type attribute struct {
	VR           string            `json:"vr"`
	Value        []json.RawMessage `json:"Value"`
	InlineBinary []byte            `json:"InlineBinary"`
	BulkDataURI  string            `json:"BulkDataURI"`
}

func describe(t *testing.T, data []byte) map[string]json.RawMessage {
	t.Helper()
	raw, err := dicom.New().Describe(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return all
}

// describable is a document with a value of every kind.
func describable(syntax string) []byte {
	return imagingtest.CT(imagingtest.NewPatient(1), imagingtest.Options{
		TransferSyntax: syntax, Rows: 16, Columns: 16, Plain: true,
		Extra: []imagingtest.Element{
			{Tag: 0x00100010, VR: "PN", Value: `Wang^XiaoDong=王^小東\\Only==Ōn`},
			{Tag: 0x00080008, VR: "CS", Value: `ORIGINAL\\AXIAL`},
			{Tag: 0x00081030, VR: "LO", Value: "  a \"quote\"\t "},
			{Tag: 0x00081080, VR: "LO", Value: ""},
			{Tag: 0x00081140, VR: "SQ", Value: []imagingtest.Item{
				{{Tag: 0x00081155, VR: "UI", Value: "2.999.1"}},
				{},
			}},
			{Tag: 0x00081111, VR: "SQ", Value: []imagingtest.Item{}},
			{Tag: 0x00189074, VR: "DT", Value: "20200101"},
			{Tag: 0x00181411, VR: "DS", Value: `5.0\+5\-0.5E2\1.\1E999`},
			{Tag: 0x00200012, VR: "IS", Value: `-7\007`},
			{Tag: 0x00281102, VR: "US", Value: []uint16{1, 65535}},
			{Tag: 0x00186020, VR: "SL", Value: []uint32{0xFFFFFFFF}},
			{Tag: 0x00189073, VR: "FD", Value: []float64{0.1, math.NaN(), math.Inf(-1)}},
			{Tag: 0x00189402, VR: "FL", Value: []float32{0.1}},
			{Tag: 0x00280009, VR: "AT", Value: []imagingtest.Tag{0x00181063, 0x7FE00010}},
			{Tag: 0x00281201, VR: "OW", Value: order(syntax, 0x0102, 0x0304)},
			{Tag: 0x00281202, VR: "OW", Value: make([]byte, 5000)},
			{Tag: 0x0040A160, VR: "UT", Value: ` two\values`},
		},
	})
}

// order writes words as the transfer syntax does.
func order(syntax string, words ...uint16) (b []byte) {
	for _, w := range words {
		if syntax == imagingtest.BigEndian {
			b = append(b, byte(w>>8), byte(w))
		} else {
			b = append(b, byte(w), byte(w>>8))
		}
	}
	return b
}

func TestDescribe(t *testing.T) {
	want := map[string]string{
		"00080005": `{"vr":"CS","Value":["ISO_IR 192"]}`,
		"00100010": `{"vr":"PN","Value":[{"Alphabetic":"Wang^XiaoDong","Ideographic":"王^小東"},null,{"Alphabetic":"Only","Phonetic":"Ōn"}]}`,
		"00080008": `{"vr":"CS","Value":["ORIGINAL",null,"AXIAL"]}`,
		"00081030": `{"vr":"LO","Value":["a \"quote\"\u0009"]}`,
		"00081080": `{"vr":"LO"}`,
		"00081140": `{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["2.999.1"]}},{}]}`,
		"00081111": `{"vr":"SQ"}`,
		"00181411": `{"vr":"DS","Value":[5.0,"+5",-0.5E2,"1.","1E999"]}`,
		"00200012": `{"vr":"IS","Value":[-7,"007"]}`,
		"00281102": `{"vr":"US","Value":[1,65535]}`,
		"00186020": `{"vr":"SL","Value":[-1]}`,
		"00189073": `{"vr":"FD","Value":[0.1,"NaN","-Infinity"]}`,
		"00189402": `{"vr":"FL","Value":[0.1]}`,
		"00280009": `{"vr":"AT","Value":["00181063","7FE00010"]}`,
		"00281201": `{"vr":"OW","InlineBinary":"AgEEAw=="}`,
		"00281202": `{"vr":"OW","BulkDataURI":"bulk/00281202"}`,
		"0040A160": `{"vr":"UT","Value":[" two\\values"]}`,
		"7FE00010": `{"vr":"OW","BulkDataURI":"bulk/7FE00010"}`,
	}
	for _, syntax := range []string{imagingtest.ExplicitLE, imagingtest.ImplicitLE, imagingtest.BigEndian, imagingtest.Deflated} {
		all := describe(t, describable(syntax))
		for tag, w := range want {
			if got := string(all[tag]); got != w && !(tag == "00281201" && syntax == imagingtest.ImplicitLE) {
				t.Errorf("%s: %s = %s; want %s", syntax, tag, got, w)
			}
		}
		for tag := range all {
			if strings.HasPrefix(tag, "0002") || strings.HasSuffix(tag, "0000") && tag != "00100000" {
				t.Errorf("%s: %s is described", syntax, tag)
			}
		}
	}
}

func TestDescribeSortsAndKeepsTheFirstOfTwo(t *testing.T) {
	raw := part10(
		"\x10\x00\x20\x00LO\x04\x00LATE",
		"\x08\x00\x60\x00CS\x02\x00CT",
		"\x08\x00\x60\x00CS\x02\x00MR",
	)
	got, err := dicom.New().Describe(bytes.NewReader(raw))
	want := `{"00080060":{"vr":"CS","Value":["CT"]},"00100020":{"vr":"LO","Value":["LATE"]}}`
	if err != nil || string(got) != want {
		t.Errorf("Describe = %s, %v; want %s", got, err, want)
	}
}

// part10 is a document of elements written by hand, Explicit VR Little Endian.
func part10(elements ...string) []byte {
	meta := "\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\x00"
	return []byte(strings.Repeat("\x00", 128) + "DICM" + meta + strings.Join(elements, ""))
}

func TestDescribeWhatDoesNotFitItsVR(t *testing.T) {
	for name, c := range map[string]struct{ element, want string }{
		"three bytes of US":   {"\x28\x00\x10\x00US\x03\x00abc", `{"00280010":{"vr":"UN","InlineBinary":"YWJj"}}`},
		"unknown VR":          {"\x08\x00\x60\x00CS\x02\x00CT\x09\x00\x10\x10ZZ\x00\x00\x02\x00\x00\x00ab", `{"00080060":{"vr":"CS","Value":["CT"]},"00091010":{"vr":"UN","InlineBinary":"YWI="}}`},
		"public UN":           {"\x10\x00\x20\x00UN\x00\x00\x02\x00\x00\x00ab", `{"00100020":{"vr":"LO","Value":["ab"]}}`},
		"private UN":          {"\x09\x00\x10\x10UN\x00\x00\x02\x00\x00\x00ab", `{"00091010":{"vr":"UN","InlineBinary":"YWI="}}`},
		"sequence of garbage": {"\x08\x00\x40\x11SQ\x00\x00\x08\x00\x00\x00garbage!", `{"00081140":{"vr":"UN","InlineBinary":"Z2FyYmFnZSE="}}`},
		"control characters":  {"\x08\x00\x30\x10LO\x04\x00a\x01\x1bb", `{"00081030":{"vr":"LO","Value":["a\u0001\u001bb"]}}`},
		"64-bit": {"\x72\x00\x83\x00UV\x00\x00\x10\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x07\x00\x00\x00\x00\x00\x00\x00",
			`{"00720083":{"vr":"UV","Value":["18446744073709551615",7]}}`},
	} {
		got, err := dicom.New().Describe(bytes.NewReader(part10(c.element)))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: Describe = %s, %v; want %s", name, got, err, c.want)
		}
	}
}

// A character set of an item ends with the item.
func TestDescribeCharsetOfItems(t *testing.T) {
	item := "\x08\x00\x05\x00CS\x0a\x00ISO_IR 144\x08\x00\x04\x01LO\x02\x00\xBB\x20"
	sequence := "\xfe\xff\x00\xe0" + string(rune(len(item))) + "\x00\x00\x00" + item
	got, err := dicom.New().Describe(bytes.NewReader(part10(
		"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100",
		"\x08\x00\x32\x10SQ\x00\x00"+string(rune(len(sequence)))+"\x00\x00\x00"+sequence,
		"\x08\x00\x3e\x10LO\x02\x00\xFC\x20",
	)))
	want := `{"00080005":{"vr":"CS","Value":["ISO_IR 100"]},` +
		`"00081032":{"vr":"SQ","Value":[{"00080005":{"vr":"CS","Value":["ISO_IR 144"]},"00080104":{"vr":"LO","Value":["Л"]}}]},` +
		`"0008103E":{"vr":"LO","Value":["ü"]}}`
	if err != nil || string(got) != want {
		t.Errorf("Describe = %s, %v; want %s", got, err, want)
	}
}

// A name comes out the same whatever set and syntax it was written in.
func TestDescribeNames(t *testing.T) {
	p := imagingtest.NewPatient(6)
	both := `{"vr":"PN","Value":[{"Alphabetic":"` + p.Latin() + `","Ideographic":"` + p.Chinese() + `"}]}`
	latin := `{"vr":"PN","Value":[{"Alphabetic":"` + p.Latin() + `"}]}`
	for charset, want := range map[string]string{
		"ISO_IR 192": both, "GB18030": both, "GBK": both, `\ISO 2022 IR 87`: both, "ISO_IR 100": latin, "default": latin,
	} {
		for _, syntax := range []string{imagingtest.ExplicitLE, imagingtest.ImplicitLE, imagingtest.BigEndian} {
			all := describe(t, imagingtest.CT(p, imagingtest.Options{Charset: charset, TransferSyntax: syntax, Rows: 8, Columns: 8}))
			if got := string(all["00100010"]); got != want {
				t.Errorf("%s, %s: name = %s; want %s", charset, syntax, got, want)
			}
			mother := string(all["00101060"])
			if charset == "ISO_IR 100" && mother != `{"vr":"PN","Value":[{"Alphabetic":"`+p.MotherName+`"}]}` {
				t.Errorf("%s, %s: mother's name = %s", charset, syntax, mother)
			}
		}
	}
}

// TestDescribeAgainstPydicom compares every attribute of every real file.
// Numbers may differ in the last of seven digits (pydicom widens 32-bit floats),
// text in blanks at its ends, VRs where the header has none or says UN.
func TestDescribeAgainstPydicom(t *testing.T) {
	files := corpus(t)
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import pydicom").Run(); err != nil {
		t.Skip("install Debian's python3-pydicom")
	}
	out, err := exec.Command(python, append([]string{"testdata/describe.py"}, files...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<30)
	attributes, compared, differ := 0, 0, 0
	for number := 0; lines.Scan(); number++ {
		var want map[string]json.RawMessage
		if err := json.Unmarshal(lines.Bytes(), &want); err != nil {
			t.Fatalf("file %d: %v", number, err)
		}
		data, err := os.ReadFile(files[number])
		if err != nil {
			t.Fatal(err)
		}
		raw, err := dicom.New().Describe(bytes.NewReader(data))
		if err != nil {
			var refusal *imaging.Refusal
			if !errors.As(err, &refusal) {
				t.Errorf("file %d: %v", number, err)
			}
			continue
		}
		var got map[string]json.RawMessage
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Errorf("file %d: not JSON: %v", number, err)
			continue
		}
		if want == nil {
			continue
		}
		compared++
		for tag, w := range want {
			if string(w) == "null" || strings.HasSuffix(tag, "0000") {
				continue
			}
			attributes++
			if !sameAttribute(got[tag], w) {
				differ++
				t.Errorf("file %d: %s differs", number, tag)
			}
		}
	}
	if compared < 850 && !raced {
		t.Errorf("%d files compared; want at least 850 of the %d", compared, len(files))
	}
	t.Logf("%d files, %d attributes, %d differ", compared, attributes, differ)
}

func sameAttribute(got, want json.RawMessage) bool {
	var g, w attribute
	if json.Unmarshal(got, &g) != nil || json.Unmarshal(want, &w) != nil {
		return false
	}
	if g.BulkDataURI != "" || w.InlineBinary != nil {
		return g.BulkDataURI != "" || bytes.Equal(g.InlineBinary, w.InlineBinary)
	}
	if w.VR == "SQ" && g.VR == "UN" {
		return !bytes.HasPrefix(g.InlineBinary, []byte("\xfe\xff\x00\xe0")) // no item inside: pydicom loses it
	}
	if len(g.Value) != len(w.Value) {
		return false
	}
	for i := range g.Value {
		if !sameValue(g.Value[i], w.Value[i]) {
			return false
		}
	}
	return true
}

func sameValue(got, want json.RawMessage) bool {
	var items, wantItems map[string]json.RawMessage
	if json.Unmarshal(got, &items) == nil && items != nil {
		if json.Unmarshal(want, &wantItems) != nil {
			return false
		}
		for tag, w := range wantItems {
			if strings.HasSuffix(tag, "0000") {
				continue
			}
			if w[0] == '{' && !sameAttribute(items[tag], w) || w[0] != '{' && !sameText(items[tag], w) {
				return false
			}
		}
		return true
	}
	return sameText(got, want)
}

func sameText(got, want json.RawMessage) bool {
	clean := func(r json.RawMessage) string {
		var s string
		if json.Unmarshal(r, &s) != nil {
			s = string(r)
		}
		if s == "null" {
			return ""
		}
		return strings.Trim(s, " \x00")
	}
	g, w := clean(got), clean(want)
	if g == w {
		return true
	}
	x, err1 := strconv.ParseFloat(g, 64)
	y, err2 := strconv.ParseFloat(w, 64)
	return err1 == nil && err2 == nil && (float32(x) == float32(y) || math.Abs(x-y) <= 1e-6*math.Abs(y))
}

func FuzzDescribe(f *testing.F) {
	f.Add(describable(imagingtest.ExplicitLE))
	f.Add(describable(imagingtest.ImplicitLE))
	f.Add(describable(imagingtest.BigEndian))
	f.Add(imagingtest.CT(imagingtest.NewPatient(2), imagingtest.Options{Rows: 8, Columns: 8, UndefinedLengths: true, Charset: `\ISO 2022 IR 87`}))
	f.Fuzz(func(t *testing.T, data []byte) {
		raw, err := dicom.New().Describe(bytes.NewReader(data))
		if err != nil {
			return
		}
		if !json.Valid(raw) {
			t.Fatalf("not JSON: %q", raw)
		}
	})
}

func BenchmarkDescribe(b *testing.B) {
	data := imagingtest.CT(imagingtest.NewPatient(1), imagingtest.Options{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dicom.New().Describe(bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}
