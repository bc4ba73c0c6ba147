package dicom_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/suyashkumar/dicom/pkg/tag"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/dicom/profile"
	"medvault/imaging/imagingtest"
)

// TestNoAttributeCarriesIdentity plants the patient's particulars in every attribute of
// the dictionary, as its VR allows and as it does not, at the top and in an item, and
// asks that a view is not shown with them, whatever the options.
func TestNoAttributeCarriesIdentity(t *testing.T) {
	all := everyAttribute()
	if len(all) < 1400 {
		t.Fatalf("%d attributes in the dictionary", len(all))
	}
	const most = profile.Default | profile.CleanDescriptors | profile.CleanStructured | profile.CleanGraphics
	own := func(a planted) planted { return a }
	as := func(vr string) func(planted) planted {
		return func(a planted) planted { a.vr, a.value = vr, []byte(a.text); return a }
	}
	for _, c := range []struct {
		name   string
		way    func(planted) planted
		set    profile.Set
		nested bool
		syntax string
	}{
		{"own VR", own, profile.Default, false, imagingtest.ExplicitLE},
		{"own VR in an item", own, profile.Default, true, imagingtest.ImplicitLE},
		{"own VR, cleaned", own, most, false, imagingtest.ImplicitLE},
		{"own VR in an item, cleaned", own, most, true, imagingtest.ExplicitLE},
		{"unknown VR", as("UN"), profile.Default, false, imagingtest.ExplicitLE},
		{"unknown VR in an item", as("UN"), most, true, imagingtest.ExplicitLE},
		{"text", as("UT"), profile.Default, false, imagingtest.ExplicitLE},
		{"short text", as("SH"), most, false, imagingtest.ExplicitLE},
		{"raw bytes", as("OB"), profile.Default, false, imagingtest.ExplicitLE},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := sweep{t: t, nested: c.nested, syntax: c.syntax, scrubber: dicom.With(dicom.Config{Profile: "swept", Options: c.set})}
			var together []imagingtest.Element
			for _, a := range all {
				a = c.way(a)
				e := imagingtest.Element{Tag: a.tag, VR: a.vr, Value: a.value}
				if a.vr == "IS" || a.vr == "DS" || a.vr == "TM" { // see everyAttribute
					s.check([]imagingtest.Element{e})
					continue
				}
				together = append(together, e)
			}
			for batch := range slices.Chunk(together, 400) {
				s.check(batch)
			}
		})
	}
}

// planted is an attribute with the particulars it is to carry.
type planted struct {
	tag   uint32
	vr    string
	text  string
	value any
}

var sweptPatient = imagingtest.NewPatient(31)

// everyAttribute are the attributes of the dictionary whose VR leaves room for words or
// numbers. The few that the document cannot be read without are left out.
func everyAttribute() (all []planted) {
	p := sweptPatient
	number := strings.TrimPrefix(p.ID, "SYN-")
	text := strings.ReplaceAll(p.Latin(), "^", " ") + " " + p.ID
	numbers := 0
	for _, group := range []uint16{0x08, 0x10, 0x12, 0x14, 0x16, 0x18, 0x20, 0x22, 0x24, 0x28, 0x32, 0x34, 0x38, 0x3A, 0x40, 0x42, 0x44, 0x46,
		0x48, 0x50, 0x52, 0x54, 0x60, 0x62, 0x64, 0x66, 0x68, 0x6A, 0x70, 0x72, 0x74, 0x76, 0x78, 0x80, 0x82, 0x88, 0x100, 0x400,
		0x2000, 0x2010, 0x2020, 0x2030, 0x2040, 0x2050, 0x2100, 0x2110, 0x2120, 0x2130, 0x2200, 0x3002, 0x3004, 0x3006, 0x3008, 0x300A,
		0x300C, 0x300E, 0x3010, 0x4000, 0x4008, 0x4010, 0x5200, 0x5400, 0x5600} {
		for element := range 0x10000 {
			info, err := tag.Find(tag.Tag{Group: group, Element: uint16(element)})
			if err != nil || element == 0 || len(info.VRs) == 0 {
				continue
			}
			a := planted{tag: info.Tag.Uint32(), vr: info.VRs[0], text: text}
			switch a.vr {
			case "LO", "SH", "ST", "LT", "UT", "UC", "PN":
				a.value = text
			case "AE", "UR":
				a.value = p.ID
			case "CS":
				a.value = "ID_" + number
			case "IS", "DS", "TM":
				// They stay and the view is withheld, which has to be asked one by one.
				if numbers++; numbers%40 != 0 {
					continue
				}
				a.value = number
			case "DA":
				a.value = p.BirthDate
			case "DT":
				a.value = p.BirthDate + "120000"
			case "UI":
				a.value = p.UID(77, element)
			case "OB", "OW", "UN":
				a.vr, a.value = "OB", []byte(text)
			default:
				continue
			}
			if !shapes(a.tag) {
				all = append(all, a)
			}
		}
	}
	return all
}

// shapes are attributes that say how a document is to be read, or whose it is.
func shapes(t uint32) bool {
	switch t {
	case 0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00100010, 0x00100020, 0x00280008, 0x00041220:
		return true
	}
	return t>>16 == 0x0004
}

// sweep scrubs batches of elements.
type sweep struct {
	t        *testing.T
	nested   bool
	syntax   string
	scrubber dicom.Scrubber
}

// check goes down to the single element where a batch shows something.
func (s *sweep) check(elements []imagingtest.Element) {
	hits := s.hits(elements)
	if len(hits) == 0 {
		return
	}
	if len(elements) == 1 {
		s.t.Errorf("%08X %s: %s", elements[0].Tag, elements[0].VR, hits[0])
		return
	}
	s.check(elements[:len(elements)/2])
	s.check(elements[len(elements)/2:])
}

func (s *sweep) hits(elements []imagingtest.Element) []string {
	p := sweptPatient
	o := imagingtest.Options{Rows: 4, Columns: 4, Plain: true, TransferSyntax: s.syntax, Extra: elements}
	if s.nested { // in the item of a sequence that stays
		o.Extra = []imagingtest.Element{{Tag: 0x0040A170, VR: "SQ", Value: []imagingtest.Item{elements}}}
	}
	original := imagingtest.CT(p, o)
	content, script, err := scrubFuzzed(s.scrubber, original, nil)
	var refusal *imaging.Refusal
	if errors.As(err, &refusal) {
		return nil
	}
	if err != nil {
		return []string{err.Error()}
	}
	if err := restored(original, content, script); err != nil {
		return []string{err.Error()}
	}
	secrets := append(p.Identifiers(), strings.TrimPrefix(p.ID, "SYN-"))
	hits := imagingtest.Leaks(content, secrets)
	if len(hits) > 0 && len(elements) == 1 && s.withheld(original) {
		return nil // nobody sees it
	}
	return hits
}

func (s *sweep) withheld(original []byte) bool {
	_, out, _, _, err := scrubFrom(s.scrubber.Begin, bytes.NewReader(original))
	return err == nil && out.Held != ""
}
