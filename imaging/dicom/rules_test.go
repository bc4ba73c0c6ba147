package dicom_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/dicom/profile"
	"medvault/imaging/imagingtest"
)

const alien = "Xanthippe Quux" // nobody's name in these documents

// around puts elements, given in order, between the head of a minimal document of a
// class and its pixels, and those of group 0020 and less before them.
func around(o imagingtest.Options, elements ...[]byte) []byte {
	o.Rows, o.Columns, o.Plain = 8, 8, true
	tail := imagingtest.CT(imagingtest.NewPatient(5), o)
	o.Omit = append(o.Omit, 0x7FE00010)
	head := imagingtest.CT(imagingtest.NewPatient(5), o)
	return bytes.Join(append(append([][]byte{head}, elements...), tail[len(head):]), nil)
}

// in is a sequence of defined length in explicit little endian, one argument an item.
func in(tag uint32, items ...string) []byte {
	var b strings.Builder
	for _, it := range items {
		b.Write(implicit(item, uint32(len(it)), it))
	}
	return whole(tag, "SQ", b.String())
}

func join(elements ...[]byte) string { return string(bytes.Join(elements, nil)) }

// a is a text element, padded.
func a(tag uint32, vr, value string) []byte {
	if len(value)%2 == 1 {
		if value += " "; vr == "UI" {
			value = value[:len(value)-1] + "\x00"
		}
	}
	return whole(tag, vr, value)
}

// coded is the content of a code item.
func coded(value, scheme, meaning string) string {
	return join(a(0x00080100, "SH", value), a(0x00080102, "SH", scheme), a(0x00080104, "LO", meaning))
}

// found are the values of a document by tag, those in items too, trimmed.
type found map[uint32][]string

func read(t *testing.T, content []byte) found {
	t.Helper()
	f := make(found)
	s := dicom.Split(bytes.NewReader(content))
	for {
		segment, err := s.Next()
		if err == io.EOF {
			return f
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range segment.Elements {
			e := &segment.Elements[i]
			value := ""
			if !e.Container() && e.Flags&dicom.Bulk == 0 {
				value = strings.Trim(string(segment.Bytes(e)), " \x00")
			}
			f[uint32(e.Tag)] = append(f[uint32(e.Tag)], value)
		}
		if segment.Bulk {
			if _, err := s.CopyBulk(io.Discard, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (f found) first(tag uint32) string {
	if len(f[tag]) == 0 {
		return "(absent)"
	}
	return f[tag][0]
}

// scrubbed takes identity out by a set of options, checks that the original comes back,
// and reads the content.
func scrubbed(t *testing.T, options profile.Set, original []byte) (found, imaging.Scrubbed, []byte) {
	t.Helper()
	out, content, script, err := scrubAs(options, original)
	if err != nil {
		t.Fatal(err)
	}
	if err := restored(original, content, script); err != nil {
		t.Error(err)
	}
	return read(t, content), out, content
}

// TestWhatAlwaysGoes gives every group and attribute that is nobody's business outside
// a rule of its own, whatever the options.
func TestWhatAlwaysGoes(t *testing.T) {
	inside := join(a(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.2"), a(0x00100010, "PN", alien), a(0x0040A160, "UT", alien))
	for name, c := range map[string]struct {
		tag     uint32
		element []byte
	}{
		"group length":               {0x00080000, whole(0x00080000, "UL", "\x04\x00\x00\x00")},
		"length to end":              {0x00080001, whole(0x00080001, "UL", "\x04\x00\x00\x00")},
		"command group":              {0x00000900, whole(0x00000900, "US", "\x00\x00")},
		"media directory":            {0x00041500, a(0x00041500, "CS", "DIR\\FILE")},
		"media directory's number":   {0x00041600, whole(0x00041600, "UL", "\x04\x00\x00\x00")},
		"file meta in the data set":  {0x00020016, a(0x00020016, "AE", alien)},
		"original attributes":        {0x04000561, in(0x04000561, join(in(0x04000550, inside)))},
		"encrypted attributes":       {0x04000500, in(0x04000500, join(whole(0x04000520, "OB", alien)))},
		"MAC parameters":             {0x4FFE0001, in(0x4FFE0001, join(a(0x04000015, "CS", "RIPEMD160")))},
		"digital signatures":         {0xFFFAFFFA, in(0xFFFAFFFA, join(whole(0x04000120, "OB", alien)))},
		"trailing padding":           {0xFFFCFFFC, whole(0xFFFCFFFC, "OB", alien)},
		"icon":                       {0x00880200, in(0x00880200, join(whole(0x00280010, "US", "\x01\x00"), whole(0x7FE00010, "OW", alien)))},
		"pictures in sequences":      {0, in(0x00081140, join(whole(0x7FE00010, "OW", alien)))},
		"private, nobody's block":    {0x00091001, a(0x00091001, "LO", alien)},
		"private, stranger's block":  {0x00091001, []byte(join(a(0x00090010, "LO", "STRANGER"), a(0x00091001, "LO", alien)))},
		"private sequence":           {0x00091001, []byte(join(a(0x00090010, "LO", "STRANGER"), in(0x00091001, inside)))},
		"private group 0001":         {0x00010010, a(0x00010010, "LO", alien)},
		"private group FFFF":         {0xFFFF1001, a(0xFFFF1001, "LO", alien)},
		"attribute of no dictionary": {0x00109998, a(0x00109998, "UT", alien)},
		"referenced digital sign.":   {0x04000402, in(0x04000402, join(a(0x04000100, "UI", "1.2.3")))},
	} {
		t.Run(name, func(t *testing.T) {
			for options := range profile.Set(1 << 10) {
				if options&(options-1) != 0 && options != profile.Default && options != 1<<10-1 {
					continue // each option alone, none, all, and the default
				}
				f, out, content := scrubbed(t, options, around(imagingtest.Options{}, c.element))
				if _, there := f[c.tag]; there && c.tag != 0 {
					t.Errorf("%v: %08X is still there", options.Names(), c.tag)
				}
				if bytes.Contains(content, []byte(alien)) {
					t.Errorf("%v: what it held is still there", options.Names())
				}
				if n := out.Report.Actions["remove"]; n == 0 {
					t.Errorf("%v: nothing removed, says the report", options.Names())
				}
			}
		})
	}
}

// TestFileMetaIsWrittenAnew leaves nothing of the sender's in group 0002.
func TestFileMetaIsWrittenAnew(t *testing.T) {
	original := imagingtest.CT(imagingtest.NewPatient(5), imagingtest.Options{Rows: 8, Columns: 8, Plain: true})
	const length = 132 + 8
	more := join(a(0x00020016, "AE", "SOURCE AE"), a(0x00020017, "AE", "SENDING AE"), a(0x00020018, "AE", "RECEIVING AE"),
		a(0x00020026, "UR", "http://sender.invalid"), a(0x00020100, "UI", "1.2.3.4"), whole(0x00020102, "OB", alien))
	meta := int(binary.LittleEndian.Uint32(original[length:])) // of group 0002
	at := length + 4 + meta
	changed := append(bytes.Clone(original[:at]), more...)
	changed = append(changed, original[at:]...)
	binary.LittleEndian.PutUint32(changed[length:], uint32(meta+len(more)))
	f, _, content := scrubbed(t, profile.Default, changed)
	for _, tag := range []uint32{0x00020016, 0x00020017, 0x00020018, 0x00020026, 0x00020100, 0x00020102} {
		if _, there := f[tag]; there {
			t.Errorf("%08X is still there", tag)
		}
	}
	for _, gone := range []string{alien, "IMAGINGTEST", "SOURCE AE", "sender.invalid"} {
		if bytes.Contains(content, []byte(gone)) {
			t.Errorf("%q is still there", gone)
		}
	}
	if f.first(0x00020013) != "MEDVAULT" || !strings.HasPrefix(f.first(0x00020012), "2.25.") {
		t.Errorf("implementation %q, %q; want the vault's", f.first(0x00020012), f.first(0x00020013))
	}
	if got, want := f.first(0x00020003), f.first(0x00080018); got != want {
		t.Errorf("media storage instance %s; want %s", got, want)
	}
}

// TestPrivateElements keeps what table E.3.10-1 lists, by creator and element.
func TestPrivateElements(t *testing.T) {
	ge, philips := a(0x00190010, "LO", "GEMS_ACQU_01"), a(0x20010010, "LO", "Philips Imaging DD 001")
	cell := a(0x00191023, "DS", "12.5")
	const foreign = "1.3.12.2.1107.5.2.6.22222.30000017112211"
	for name, c := range map[string]struct {
		elements   []byte
		stay, gone []uint32
	}{
		"safe":                       {[]byte(join(ge, cell)), []uint32{0x00190010, 0x00191023}, nil},
		"safe, another block":        {[]byte(join(a(0x001900AB, "LO", "GEMS_ACQU_01"), a(0x0019AB23, "DS", "12.5"))), []uint32{0x001900AB, 0x0019AB23}, nil},
		"not on the list":            {[]byte(join(ge, a(0x00191022, "DS", "12.5"))), nil, []uint32{0x00190010, 0x00191022}},
		"one of each":                {[]byte(join(ge, a(0x00191022, "DS", "12.5"), cell)), []uint32{0x00190010, 0x00191023}, []uint32{0x00191022}},
		"creator of another case":    {[]byte(join(a(0x00190010, "LO", "gems_acqu_01"), cell)), nil, []uint32{0x00190010, 0x00191023}},
		"creator behind":             {[]byte(join(cell, ge)), nil, []uint32{0x00190010, 0x00191023}},
		"creator twice":              {[]byte(join(a(0x00190010, "LO", "STRANGER"), ge, cell)), nil, []uint32{0x00190010, 0x00191023}},
		"another block of the group": {[]byte(join(ge, a(0x00190011, "LO", "STRANGER"), a(0x00191123, "DS", "12.5"))), nil, []uint32{0x00190010, 0x00190011, 0x00191123}},
		"two creators": {[]byte(join(ge, a(0x00190011, "LO", "SIEMENS MR HEADER"), cell, a(0x0019110D, "CS", "LEFT"))),
			[]uint32{0x00190010, 0x00190011, 0x00191023, 0x0019110D}, nil},
		"another VR":              {[]byte(join(ge, a(0x00191023, "LO", "12.5"))), nil, []uint32{0x00190010, 0x00191023}},
		"no number":               {[]byte(join(ge, a(0x00191023, "DS", alien))), nil, []uint32{0x00190010, 0x00191023}},
		"VR not known":            {[]byte(join(ge, a(0x00191023, "UN", "12.5"))), []uint32{0x00190010, 0x00191023}, nil},
		"in an item":              {in(0x00082112, join(a(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.2"), ge, cell)), []uint32{0x00190010, 0x00191023}, nil},
		"creator outside":         {append(bytes.Clone(ge), in(0x00409096, join(cell))...), nil, []uint32{0x00190010, 0x00191023}},
		"sequence":                {append(bytes.Clone(philips), in(0x2001105F, join(a(0x00100010, "PN", alien), a(0x20010010, "LO", "Philips Imaging DD 001"), a(0x20011003, "FL", "1234"), a(0x20011099, "LO", alien)))...), []uint32{0x2001105F, 0x20011003}, []uint32{0x20011099}},
		"sequence called UN":      {append(bytes.Clone(philips), whole(0x2001105F, "UN", string(implicit(item, 14, string(implicit(0x00100010, 6, "Xanthi")))))...), []uint32{0x2001105F, 0x00100010}, nil},
		"sequence of nonsense":    {append(bytes.Clone(philips), whole(0x2001105F, "UN", alien)...), nil, []uint32{0x20010010, 0x2001105F}},
		"UID in a text called UN": {[]byte(join(ge, a(0x0019109E, "UN", "like "+foreign))), []uint32{0x00190010, 0x0019109E}, nil},
		"identifier of numbers":   {[]byte(join(ge, a(0x0019109E, "LO", imagingtest.NewPatient(5).ID))), []uint32{0x00190010, 0x0019109E}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f, _, content := scrubbed(t, profile.Default, around(imagingtest.Options{}, c.elements))
			for _, tag := range c.stay {
				if _, there := f[tag]; !there {
					t.Errorf("%08X is gone", tag)
				}
			}
			for _, tag := range c.gone {
				if _, there := f[tag]; there {
					t.Errorf("%08X is still there", tag)
				}
			}
			for _, gone := range []string{alien, "Xanthi", "STRANGER", foreign, imagingtest.NewPatient(5).ID} {
				if bytes.Contains(content, []byte(gone)) {
					t.Errorf("%q is still there", gone)
				}
			}
			f, _, _ = scrubbed(t, profile.RetainModifiedDates, around(imagingtest.Options{}, c.elements))
			for tag := range f {
				if tag>>16&1 == 1 {
					t.Errorf("%08X stays without the option", tag)
				}
			}
		})
	}
}

// TestPrivateElementsWithoutVR are written in implicit little endian.
func TestPrivateElementsWithoutVR(t *testing.T) {
	pair := func(tag uint32, value string) string { return string(implicit(tag, uint32(len(value)), value)) }
	elements := pair(0x00190010, "GEMS_ACQU_01") + pair(0x00191022, alien) + pair(0x00191023, "12.5") +
		pair(0x20010010, "Philips Imaging DD 001") + pair(0x2001105F, pair(item, pair(0x00100010, alien)+pair(0x0040A160, alien)))
	f, _, content := scrubbed(t, profile.Default, around(imagingtest.Options{TransferSyntax: imagingtest.ImplicitLE}, []byte(elements)))
	if f.first(0x00191023) != "12.5" || f.first(0x00190010) != "GEMS_ACQU_01" {
		t.Errorf("creator %q, value %q", f.first(0x00190010), f.first(0x00191023))
	}
	if _, there := f[0x2001105F]; !there {
		t.Error("the sequence is gone")
	}
	if bytes.Contains(content, []byte(alien)) {
		t.Error("what the sequence held is still there")
	}
}

// TestUIDsByValue maps UIDs wherever they stand, and leaves those of the standard.
func TestUIDsByValue(t *testing.T) {
	p := imagingtest.NewPatient(5)
	study := p.StudyUID(imagingtest.Options{})
	mapped := pseudonyms(p.ID).UID
	const vendor = "1.3.12.2.1107.5.2.6.22222.30000017112200"
	f, _, content := scrubbed(t, profile.Default, around(imagingtest.Options{Omit: []uint32{0x00200052, 0x00080070, 0x00180024}},
		a(0x00180024, "SH", "1.2.3.4"), // a version, say
		a(0x00080070, "LO", "made by "+study+"."),
		in(0x00081140, join(a(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.4"), a(0x00081155, "UI", vendor))),
		a(0x00200052, "UI", "1.2.840.10008.1.4.1.1"), // Talairach
		a(0x300600C2, "UI", vendor),
	))
	for tag, want := range map[uint32]string{
		0x00180024: "1.2.3.4",
		0x00080070: "made by " + mapped(study) + ".",
		0x00081150: "1.2.840.10008.5.1.4.1.1.4",
		0x00081155: mapped(vendor),
		0x00200052: "1.2.840.10008.1.4.1.1",
		0x300600C2: mapped(vendor),
	} {
		if got := f.first(tag); got != want {
			t.Errorf("%08X is %q; want %q", tag, got, want)
		}
	}
	if bytes.Contains(content, []byte(study)) || bytes.Contains(content, []byte(vendor)) {
		t.Error("an original UID is still there")
	}
	f, out, _ := scrubbed(t, profile.Default|profile.RetainUIDs, around(imagingtest.Options{}, in(0x00081140, join(a(0x00081155, "UI", vendor)))))
	if f.first(0x0020000D) != study || f.first(0x00081155) != vendor || out.Held != "" {
		t.Errorf("study %q, reference %q, held %q; want them retained and shown", f.first(0x0020000D), f.first(0x00081155), out.Held)
	}
}

// TestTruthInTheFile compares what the content says of itself with what was done.
func TestTruthInTheFile(t *testing.T) {
	const basic = "113100"
	for _, c := range []struct {
		options  profile.Set
		temporal string
		codes    []string
	}{
		{0, "REMOVED", []string{basic}},
		{profile.Default, "MODIFIED", []string{basic, "113107", "113111"}},
		{profile.RetainFullDates, "UNMODIFIED", []string{basic, "113106"}},
		{profile.RetainUIDs | profile.RetainDevice | profile.CleanGraphics, "REMOVED", []string{basic, "113103", "113109", "113110"}},
	} {
		lie := []byte(join(a(0x00120062, "CS", "NO"), a(0x00120063, "LO", alien), in(0x00120064, coded("113101", "DCM", alien)), a(0x00280303, "CS", "UNMODIFIED")))
		f, _, content := scrubbed(t, c.options, around(imagingtest.Options{}, lie))
		if f.first(0x00120062) != "YES" || f.first(0x00280303) != c.temporal {
			t.Errorf("%v: removed %q, temporal %q; want YES, %s", c.options.Names(), f.first(0x00120062), f.first(0x00280303), c.temporal)
		}
		if len(f[0x00120062]) != 1 || len(f[0x00120063]) != 1 || len(f[0x00280303]) != 1 {
			t.Errorf("%v: told more than once", c.options.Names())
		}
		if got := f[0x00080100]; strings.Join(got, " ") != strings.Join(c.codes, " ") {
			t.Errorf("%v: codes %v; want %v", c.options.Names(), got, c.codes)
		}
		for value := range strings.SplitSeq(f.first(0x00120063), `\`) {
			if len(value) > 64 {
				t.Errorf("%v: a method of %d characters", c.options.Names(), len(value))
			}
		}
		if bytes.Contains(content, []byte(alien)) {
			t.Errorf("%v: the old method is still told", c.options.Names())
		}
	}
}

// TestAgesOverEightyNine are all told as ninety.
func TestAgesOverEightyNine(t *testing.T) {
	for value, want := range map[string]string{"089Y": "089Y", "090Y": "090Y", "104Y": "090Y", "012M": "012M", "": ""} {
		f, _, _ := scrubbed(t, profile.Default|profile.RetainPatientCharacteristics,
			around(imagingtest.Options{Omit: []uint32{0x00101010}}, a(0x00101010, "AS", value)))
		if got := f.first(0x00101010); got != want {
			t.Errorf("%s becomes %s; want %s", value, got, want)
		}
	}
}

// TestDatesByOption shifts, keeps or removes.
func TestDatesByOption(t *testing.T) {
	elements := []byte(join(a(0x00080022, "DA", "20200229"), a(0x0008002A, "DT", "20200229101112.5+0800"), a(0x00080032, "TM", "101112")))
	for _, c := range []struct {
		options        profile.Set
		date, dateTime string
	}{
		{profile.RetainModifiedDates, "20170604", "20170604101112.5+0800"},
		{profile.RetainFullDates, "20200229", "20200229101112.5+0800"},
	} {
		f, _, _ := scrubbed(t, c.options, around(imagingtest.Options{Omit: []uint32{0x00080022, 0x0008002A, 0x00080032}}, elements))
		if f.first(0x00080022) != c.date || f.first(0x0008002A) != c.dateTime || f.first(0x00080032) != "101112" {
			t.Errorf("%v: %q, %q, %q", c.options.Names(), f.first(0x00080022), f.first(0x0008002A), f.first(0x00080032))
		}
	}
	f, _, content := scrubbed(t, 0, around(imagingtest.Options{Omit: []uint32{0x00080022, 0x0008002A, 0x00080032}}, elements))
	if bytes.Contains(content, []byte("20200229")) || f.first(0x00080032) == "101112" {
		t.Error("without an option a date or time stays")
	}
}

// TestDrawings go, unless the option says that somebody will look at them.
func TestDrawings(t *testing.T) {
	elements := []byte(join(whole(0x50000005, "US", "\x02\x00"), a(0x50002500, "LO", alien), whole(0x5000200C, "OW", "voice!"), whole(0x50003000, "OW", "1234"),
		whole(0x60000010, "US", "\x08\x00"), a(0x60000022, "LO", alien), whole(0x60003000, "OW", "\x01\x02\x03\x04\x05\x06\x07\x08"), a(0x60004000, "LT", alien)))
	f, out, _ := scrubbed(t, profile.Default, around(imagingtest.Options{}, elements))
	for tag := range f {
		if group := tag >> 16 & 0xFF00; group == 0x5000 || group == 0x6000 {
			t.Errorf("%08X stays", tag)
		}
	}
	if out.Held != "" {
		t.Errorf("held %q; want it shown without them", out.Held)
	}
	f, out, content := scrubbed(t, profile.Default|profile.CleanGraphics, around(imagingtest.Options{}, elements))
	for _, tag := range []uint32{0x50000005, 0x50003000, 0x60000010, 0x60003000} {
		if _, there := f[tag]; !there {
			t.Errorf("%08X is gone", tag)
		}
	}
	if _, there := f[0x5000200C]; there || bytes.Contains(content, []byte(alien)) {
		t.Error("a voice or a comment stays")
	}
	if out.Held != "held-for-review" {
		t.Errorf("held %q; want somebody to look", out.Held)
	}
}

// TestStructuredReport cleans a report item by item.
func TestStructuredReport(t *testing.T) {
	p := imagingtest.NewPatient(5)
	name, _, _ := strings.Cut(p.Name, "=")
	const image = "1.2.826.0.1.3680043.2.1125.7"
	mapped := pseudonyms(p.ID).UID
	content := func(relation, kind, code string, value ...[]byte) string {
		return join(append([][]byte{a(0x0040A010, "CS", relation), a(0x0040A040, "CS", kind), in(0x0040A043, code)}, value...)...)
	}
	report := in(0x0040A730,
		content("HAS OBS CONTEXT", "PNAME", coded("121008", "DCM", "Person Observer Name"), a(0x0040A123, "PN", alien)),
		content("CONTAINS", "TEXT", coded("121071", "DCM", "Finding"), a(0x0040A160, "UT", "CT Chest "+name+" seen "+p.BirthDate)),
		content("CONTAINS", "DATE", coded("111060", "DCM", "Study Date"), a(0x0040A121, "DA", "20200229")),
		content("CONTAINS", "TIME", coded("111061", "DCM", "Study Time"), a(0x0040A122, "TM", "101112")),
		content("CONTAINS", "DATETIME", coded("111060", "DCM", "Study Date"), a(0x0040A120, "DT", "20200229101112")),
		content("CONTAINS", "UIDREF", coded("110180", "DCM", "Study Instance UID"), a(0x0040A124, "UI", image)),
		content("CONTAINS", "NUM", coded("410668003", "SCT", "Length"), in(0x0040A300, join(a(0x0040A30A, "DS", "12.5"), in(0x004008EA, coded("mm", "UCUM", "mm"))))),
		content("CONTAINS", "CODE", coded("121071", "DCM", "Finding"), in(0x0040A168, coded("QUUX", "99QUUX", alien))),
		content("CONTAINS", "IMAGE", coded("121191", "DCM", "Referenced Segment"), in(0x00081199, join(a(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.2"), a(0x00081155, "UI", image)))),
	)
	evidence := in(0x0040A375, join(in(0x00081115, join(in(0x00081199, join(a(0x00081150, "UI", "1.2.840.10008.5.1.4.1.1.2"), a(0x00081155, "UI", image))), a(0x0020000E, "UI", image+".1"))), a(0x0020000D, "UI", p.StudyUID(imagingtest.Options{}))))
	f, out, raw := scrubbed(t, profile.Default, around(imagingtest.Options{Modality: "SR", Omit: []uint32{0x0040A730, 0x0040A375, 0x7FE00010}}, evidence, report))
	if strings.Join(f[0x00081155], " ") != strings.Repeat(mapped(image)+" ", 2)[:2*len(mapped(image))+1] || f.first(0x0040A124) != mapped(image) {
		t.Errorf("references %v, %v; want them to meet", f[0x00081155], f.first(0x0040A124))
	}
	if f[0x0020000D][0] != f[0x0020000D][1] {
		t.Error("the evidence is of another study")
	}
	for tag, want := range map[uint32]string{0x0040A121: "20170604", 0x0040A122: "101112", 0x0040A120: "20170604101112", 0x0040A30A: "12.5"} {
		if got := f.first(tag); got != want {
			t.Errorf("%08X is %q; want %q", tag, got, want)
		}
	}
	if got := f.first(0x0040A123); got == "" || got == alien {
		t.Errorf("observer %q; want a token", got)
	}
	if got := f.first(0x0040A160); !strings.Contains(got, "CT") {
		t.Errorf("text %q; want what says nothing of anybody", got)
	}
	if len(f[0x0040A040]) < 9 {
		t.Errorf("%d content items; want all", len(f[0x0040A040]))
	}
	for _, hit := range imagingtest.Leaks(raw, p.Identifiers()) {
		t.Error(hit)
	}
	if bytes.Contains(raw, []byte(alien)) || out.Held != "" {
		t.Errorf("held %q, stranger there %v", out.Held, bytes.Contains(raw, []byte(alien)))
	}
}

// TestPresentationState loses its drawings, or shows them without their words.
func TestPresentationState(t *testing.T) {
	annotation := in(0x00700001, join(a(0x00700002, "CS", "LAYER1"),
		in(0x00700008, join(a(0x00700006, "ST", alien))),
		in(0x00700009, join(whole(0x00700022, "FL", "1234567812345678"), a(0x00700023, "CS", "POLYLINE")))))
	state := imagingtest.Options{Modality: "PR", Omit: []uint32{0x00700001, 0x7FE00010}}
	f, out, _ := scrubbed(t, profile.Default, around(state, annotation))
	if _, there := f[0x00700001]; there || out.Held != "" {
		t.Errorf("annotations there %v, held %q", there, out.Held)
	}
	f, _, content := scrubbed(t, profile.Default|profile.CleanGraphics, around(state, annotation))
	if f.first(0x00700023) != "POLYLINE" || bytes.Contains(content, []byte(alien)) {
		t.Errorf("drawing %q, its words there %v", f.first(0x00700023), bytes.Contains(content, []byte(alien)))
	}
}

// TestPeopleInSequences are replaced item by item where the object needs them.
func TestPeopleInSequences(t *testing.T) {
	observer := in(0x0040A073, join(a(0x0040A027, "LO", alien), a(0x0040A030, "DT", "20200229101112"), a(0x0040A075, "PN", alien),
		in(0x0040A088, coded("4711", "99HOSPITAL", alien))))
	f, _, content := scrubbed(t, profile.Default, around(imagingtest.Options{Modality: "SR", Omit: []uint32{0x0040A073, 0x7FE00010}}, observer))
	for _, tag := range []uint32{0x0040A073, 0x0040A027, 0x0040A030, 0x0040A075} {
		if _, there := f[tag]; !there {
			t.Errorf("%08X is gone; a verified report needs it", tag)
		}
	}
	for _, gone := range []string{alien, "4711", "HOSPITAL", "20200229"} {
		if bytes.Contains(content, []byte(gone)) {
			t.Errorf("%q is still there", gone)
		}
	}
}

// TestTextStaysInItsCharacterSet cleans text and writes it back as it was declared.
func TestTextStaysInItsCharacterSet(t *testing.T) {
	for _, charset := range []string{"ISO_IR 192", "GB18030", "ISO_IR 100", "default", `\ISO 2022 IR 87`, `\ISO 2022 IR 58`} {
		p := imagingtest.NewPatient(5)
		name := p.Chinese()
		if charset == "ISO_IR 100" || charset == "default" {
			name = p.Latin()
		}
		o := imagingtest.Options{Rows: 8, Columns: 8, Charset: charset, Extra: []imagingtest.Element{
			{Tag: 0x00081030, VR: "LO", Value: "CT Chest " + name + ` \MR`},
			{Tag: 0x00080070, VR: "LO", Value: "ACME"},
		}}
		out, content, script, err := scrubAs(profile.Default|profile.CleanDescriptors, imagingtest.CT(p, o))
		if err != nil {
			t.Fatal(err)
		}
		if err := restored(imagingtest.CT(p, o), content, script); err != nil {
			t.Error(err)
		}
		f := read(t, content)
		if got := f.first(0x00081030); !strings.HasPrefix(got, "CT") || !strings.HasSuffix(got, `\MR`) {
			t.Errorf("%s: description %q", charset, got)
		}
		for _, hit := range imagingtest.Leaks(content, p.Identifiers()) {
			t.Errorf("%s: %s", charset, hit)
		}
		if out.Held != "" {
			t.Errorf("%s: held %q", charset, out.Held)
		}
	}
}

// TestEncode writes what the set has and never what it has not.
func TestEncode(t *testing.T) {
	for charset, texts := range map[string][]string{
		"ISO_IR 192":                         {"Müller 王 김"},
		"GB18030":                            {"王小東 Müller 김"},
		"GBK":                                {"王小东"},
		"ISO_IR 100":                         {"Müller"},
		"ISO_IR 144":                         {"Люкceмбypг"},
		`\ISO 2022 IR 87`:                    {"山田^太郎", "CT 頭部\\MR"},
		`ISO 2022 IR 6\ISO 2022 IR 149`:      {"김희중", "CT 김\r\n희중"},
		`\ISO 2022 IR 58`:                    {"王小东 CT"},
		`ISO 2022 IR 100\ISO 2022 IR 87`:     {"Buc^Jérôme", "é山é"},
		`\ISO 2022 IR 149\ISO 2022 IR 58`:    {"김王小东"},
		`ISO 2022 IR 100\ISO 2022 IR 126`:    {"Διονυσιος é"},
		`ISO 2022 IR 6\ISO 2022 IR 144`:      {"Люкceмбypг"},
		`ISO 2022 IR 13\ISO 2022 IR 87`:      {"山田"},
		`ISO 2022 IR 6\ISO 2022 IR 87\other`: {"plain"},
	} {
		c := dicom.NewCharset([]byte(charset))
		for _, text := range texts {
			if got := c.Text(c.Encode(text)); got != text {
				t.Errorf("%s: %q becomes %q", charset, text, got)
			}
		}
	}
	for charset, want := range map[string]string{"": "Muller ", "ISO_IR 100": "Müller ", `\ISO 2022 IR 87`: "Muller 王"} {
		c := dicom.NewCharset([]byte(charset))
		if got := c.Text(c.Encode("Müller 王")); got != want {
			t.Errorf("%q: got %q; want %q", charset, got, want)
		}
	}
}

// TestPatientCalledAsTheMethod is not found in what the content says of itself.
func TestPatientCalledAsTheMethod(t *testing.T) {
	original := around(imagingtest.Options{Omit: []uint32{0x00100010}}, a(0x00100010, "PN", "Characteristics^Profile"))
	_, out, _ := scrubbed(t, profile.Default|profile.RetainPatientCharacteristics, original)
	if out.Held != "" {
		t.Errorf("held %q; want it shown", out.Held)
	}
}

// TestReportCounts adds up to the elements of the document.
func TestReportCounts(t *testing.T) {
	_, out, _ := scrubbed(t, profile.Default, around(imagingtest.Options{}))
	r := out.Report
	for _, action := range []string{"keep", "remove", "uid", "shift", "token"} {
		if r.Actions[action] == 0 {
			t.Errorf("no %s in %v", action, r.Actions)
		}
	}
	if r.Residual != "clean" || r.Rules.Profile != "test" || r.Rules.Edition != "PS3.15 2026d" || len(r.Rules.Digest) != 64 {
		t.Errorf("report %+v", r)
	}
	if fmt.Sprint(r.Rules.Options) != "[retain_safe_private retain_longitudinal_modified_dates]" {
		t.Errorf("options %v", r.Rules.Options)
	}
	if other := dicom.With(dicom.Config{Profile: "test", Options: profile.CleanGraphics}).Rules(); other.Digest == r.Rules.Digest {
		t.Error("another set has the same digest")
	}
}
