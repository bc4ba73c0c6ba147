package dicom

import (
	"strings"

	"medvault/imaging"
)

// identify reads what the header says of patient and instance.
func identify(s *Splitter, header *Segment) imaging.Identity {
	charset := Charset{}
	if e := header.Find(0x0008_0005); e != nil {
		charset = NewCharset(header.Bytes(e))
	}
	text := func(t Tag) string {
		e := header.Find(t)
		if e == nil || e.Container() {
			return ""
		}
		if t == 0x0010_0010 {
			return trimmed(charset.Name(header.Bytes(e)))
		}
		return trimmed(charset.Text(header.Bytes(e)))
	}
	id := imaging.Identity{
		PatientID:       text(0x0010_0020),
		Issuer:          text(0x0010_0021),
		PatientName:     text(0x0010_0010),
		BirthDate:       text(0x0010_0030),
		Sex:             text(0x0010_0040),
		Study:           text(0x0020_000D),
		Series:          text(0x0020_000E),
		Instance:        text(0x0008_0018),
		SOPClass:        text(0x0008_0016),
		TransferSyntax:  s.Syntax.UID,
		StudyDate:       strings.ReplaceAll(text(0x0008_0020), ".", ""),
		AccessionNumber: text(0x0008_0050),
		Modality:        text(0x0008_0060),
	}
	if id.SOPClass == "" {
		id.SOPClass = text(0x0002_0002)
	}
	return id
}

// trimmed is a value without padding.
func trimmed(s string) string { return strings.Trim(s, " \x00") }

// maxPatientID is many times what LO allows, in bytes.
const maxPatientID = 1 << 10

// admit refuses what has no place in a vault of patients' documents.
func admit(id imaging.Identity, header *Segment) error {
	if id.SOPClass == "1.2.840.10008.1.3.10" || header.Find(0x0004_1220) != nil {
		return &imaging.Refusal{Code: "dicomdir", Offset: -1, Advice: "a DICOMDIR is a list of files; send the files it lists"}
	}
	if id.PatientID == "" {
		return &imaging.Refusal{Code: "missing-patient-id", Offset: -1, Advice: "Patient ID (0010,0020) is missing or empty; a document must say whose it is"}
	}
	if len(id.PatientID) > maxPatientID {
		return &imaging.Refusal{Code: "invalid-patient-id", Offset: -1, Advice: "Patient ID (0010,0020) is longer than any id"}
	}
	for _, u := range []struct{ value, name string }{
		{id.Instance, "SOP Instance UID (0008,0018)"},
		{id.Series, "Series Instance UID (0020,000E)"},
		{id.Study, "Study Instance UID (0020,000D)"},
		{id.SOPClass, "SOP Class UID (0008,0016)"},
	} {
		if u.value == "" {
			return &imaging.Refusal{Code: "missing-uid", Offset: -1, Advice: u.name + " is missing or empty"}
		}
		if len(u.value) > 64 || strings.Trim(u.value, "0123456789.") != "" {
			return &imaging.Refusal{Code: "invalid-uid", Offset: -1, Advice: u.name + " is not a UID: digits and dots, at most 64"}
		}
	}
	return nil
}

// identifying are the attributes that go under the identity key: what a clinician
// searches and sees, and what says who the patient is and who saw them.
func identifying(t Tag) bool {
	switch t {
	case 0x0008_0005, // how the others are written; JSON is UTF-8 all the same
		0x0008_0016, 0x0008_0018, 0x0008_0020, 0x0008_0021, 0x0008_0022, 0x0008_0023, 0x0008_002A,
		0x0008_0030, 0x0008_0031, 0x0008_0032, 0x0008_0033,
		0x0008_0050, 0x0008_0051, 0x0008_0060, 0x0008_0061,
		0x0008_0080, 0x0008_0081, 0x0008_0090, 0x0008_0096, 0x0008_1010, 0x0008_1030, 0x0008_103E, 0x0008_1040,
		0x0008_1048, 0x0008_1050, 0x0008_1052, 0x0008_1060, 0x0008_1070, 0x0008_1080,
		0x0018_0015, 0x0018_1000, 0x0018_1030,
		0x0020_000D, 0x0020_000E, 0x0020_0010, 0x0020_0011, 0x0020_0013, 0x0020_0052, 0x0020_4000,
		0x0028_0008, 0x0028_0010, 0x0028_0011, 0x0028_0100,
		0x0032_1031, 0x0032_1032, 0x0032_1060, 0x0040_0253, 0x0040_0254, 0x0040_1001:
		return true
	}
	return t.Group() == 0x0010 // the patient module and its kin
}
