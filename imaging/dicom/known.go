package dicom

import (
	"strings"

	"medvault/imaging/dicom/profile"
	"medvault/imaging/subject"
)

// people collects what the header says of the patient and of the people around them,
// so that it can be found again. Top level and items alike: a number from a request
// is as good as any. Attributes that the profile lets stand may well turn up again, so
// they are left out; so are the document's own UIDs where UIDs stay.
func (w *rewriter) people() subject.Known {
	var k subject.Known
	header, charset := w.header, w.scope.charset
	if w.options&profile.RetainUIDs == 0 {
		for _, t := range []Tag{tagInstance, tagStudy, tagSeries} {
			if uid := w.text(header, t); uid != "" {
				k.UIDs = append(k.UIDs, uid)
			}
		}
	}
	for i := range header.Elements {
		e := &header.Elements[i]
		list := listFor(&k, e.Tag)
		if list == nil || e.Container() || e.Flags != 0 && e.Flags != Implicit || e.End-e.Value > 1<<10 || w.stays(e) {
			continue
		}
		raw := header.Bytes(e)
		text := charset.Text(raw)
		if list == &k.Names && !plain(raw) {
			k.Raw = append(k.Raw, string(raw))
		}
		if e.VR == PN {
			text = charset.Name(raw)
		}
		for value := range strings.SplitSeq(text, `\`) {
			if value = trimmed(value); value != "" && !(list == &k.IDs && ofAct(e.Tag) && len(value) < actNumber) {
				*list = append(*list, value)
			}
		}
	}
	for i, d := range k.Dates {
		k.Dates[i] = strings.ReplaceAll(d, ".", "")
	}
	return k
}

// actNumber is how long the number of a study, a step or an order is at least to be
// looked for: short ones count, and turn up everywhere.
const actNumber = 6

// ofAct reports the numbers of what is done with the patient.
func ofAct(t Tag) bool {
	return t == 0x0020_0010 || t.Group() == 0x0040 || t.Group() == 0x0012
}

// listFor is where the values of an attribute belong; nil when they name nobody.
func listFor(k *subject.Known, t Tag) *[]string {
	switch t {
	case 0x0010_0010, 0x0010_1001, 0x0010_1005: // patient, other names, birth name
		return &k.Names
	case 0x0010_0020, 0x0010_1000, 0x0008_0050, 0x0010_1090, 0x0038_0010, 0x0038_0060, 0x0010_0050, 0x0010_1050: // patient, others, accession, record, admission, episode, insurance
		return &k.IDs
	case 0x0012_0040, 0x0012_0042, 0x0020_0010, 0x0040_0009, 0x0040_0253, 0x0040_1001, 0x0040_2016, 0x0040_2017: // trial subject, study, steps and orders
		return &k.IDs
	case 0x0010_0030:
		return &k.Dates
	case 0x0010_2154:
		return &k.Phones
	case 0x0010_1040, 0x0010_2299:
		return &k.Addresses
	case 0x0010_2155: // telecommunication of all kinds
		return &k.Emails
	case 0x0010_1060, 0x0010_2297, // mother, responsible person
		0x0008_0090, 0x0008_009C, 0x0008_1048, 0x0008_1050, 0x0008_1060, 0x0008_1070, // physicians, operators
		0x0032_1032, 0x0032_1033, 0x0040_2008, 0x0040_A075, 0x0040_A123, 0x4008_010C, 0x4008_0114,
		0x0008_0080, 0x0008_0081, 0x0008_1040: // institution
		return &k.Others
	}
	return nil
}
