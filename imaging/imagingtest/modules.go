package imagingtest

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// patient plants the patient module and its kin.
func (s *scope) patient() {
	p := s.person
	s.add(0x00100010, "PN", p.Name, "z", s.names()...)
	s.add(0x00100020, "LO", p.ID, "i")
	s.add(0x00100021, "LO", "ISSUER-"+p.mrn[:4], "x")
	s.add(0x00100030, "DA", p.BirthDate, "z")
	s.add(0x00100032, "TM", "042133", "x")
	s.add(0x00100040, "CS", p.Sex, "zC")
	if s.one(4) && s.choice.keeps("C") { // so old that the age alone is rare
		s.add(0x00101010, "AS", "093Y", "d")
	}
	s.add(0x00101010, "AS", "061Y", "xC")
	s.add(0x00101020, "DS", "1.7265", "xC")
	s.add(0x00101030, "DS", "61.5", "xC")
	if s.one(2) {
		s.add(0x00101000, "LO", p.OtherID, "x")
		s.add(0x00101001, "PN", p.given+"^"+p.family, "x", p.family, p.given)
		s.add(0x00101005, "PN", p.MotherName, "x", "Quackenbush")
		s.sequence(0x00101002, 'x', func(in *scope) {
			in.add(0x00100020, "LO", p.residentID, "x")
			in.add(0x00100022, "CS", "TEXT", "k")
		})
	}
	if s.one(2) {
		s.add(0x00101040, "LO", p.Address, "x")
		s.add(0x00101060, "PN", p.MotherName, "x", "Quackenbush")
		s.add(0x00102154, "SH", strings.ReplaceAll(p.Phone, " ", ""), "x")
		s.add(0x00102155, "LT", p.Email, "x")
		s.add(0x00102160, "SH", "ethnic group", "xC")
		s.add(0x00102180, "SH", "Lighthouse", "x")
		s.add(0x001021C0, "US", []uint16{1}, "xC")
		s.add(0x001021D0, "DA", "20190102", "sx")
		s.add(0x00102297, "PN", p.MotherName, "x", "Quackenbush")
	}
	if s.one(2) {
		s.describe(0x001021B0, "LT", "x")
		s.describe(0x00104000, "LT", "x")
		s.add(0x00380010, "LO", "ADM"+p.mrn, "x")
		s.add(0x00380300, "LO", "Ward "+p.family, "x")
	}
}

func (s *scope) names() []string {
	names := []string{s.person.family, s.person.given}
	if s.person.script != "" {
		names = append(names, nameGroup(s.person.Name, 1))
	}
	return names
}

// study plants study, series, equipment and what all instances have.
func (s *scope) study(c class) {
	p := s.person
	s.add(0x00080016, "UI", storageClass+c.suffix, "k")
	s.uid(0x00080018, s.instance)
	s.uid(0x0020000D, s.studyUID)
	s.uid(0x0020000E, s.seriesUID)
	s.add(0x00080012, "DA", p.StudyDate, "sx")
	s.add(0x00080013, "TM", "101501.250000", "mx")
	s.uid(0x00080014, p.UID(8))
	s.add(0x00080020, "DA", p.StudyDate, "sz")
	s.add(0x00080021, "DA", p.StudyDate, "sx")
	s.add(0x00080023, "DA", p.StudyDate, "sz")
	s.add(0x00080030, "TM", "101400", "mz")
	s.add(0x00080031, "TM", "101430", "mx")
	s.add(0x00080033, "TM", "101501", "mz")
	s.add(0x00080050, "SH", p.Accession, "z")
	s.add(0x00080060, "CS", c.modality, "k")
	s.add(0x00080070, "LO", "Imagingtest", "k")
	s.add(0x00081090, "LO", "Phantom 1", "k")
	s.add(0x00181020, "LO", "V1.2.3", "k")
	s.add(0x00080080, "LO", p.Hospital, "xI")
	s.add(0x00080081, "ST", "7 "+p.Hospital+" Square", "xI", p.Hospital)
	s.add(0x00080090, "PN", p.Physician, "z", "Osterhagen")
	s.add(0x00081010, "SH", "STN"+p.Device[4:10], "xD")
	s.add(0x00081040, "LO", "Department of "+p.Hospital, "xI", p.Hospital)
	s.describe(0x00081030, "LO", "x")
	s.describe(0x0008103E, "LO", "x")
	s.add(0x00181000, "LO", p.Device, "xD")
	s.add(0x00181200, "DA", `20200229\20211231`, "sxD")
	s.add(0x00200010, "SH", "ST"+p.mrn, "z")
	s.add(0x00200011, "IS", "3", "k")
	s.add(0x00200013, "IS", fmt.Sprint(s.number), "k")
	s.describe(0x00204000, "LT", "x")
	if s.one(2) {
		s.add(0x00081048, "PN", p.Physician, "x", "Osterhagen")
		s.add(0x00081050, "PN", p.Physician, "x", "Osterhagen")
		s.add(0x00081060, "PN", p.Physician, "x", "Osterhagen")
		s.add(0x00081070, "PN", "Opperdoes^"+p.given, "x", "Opperdoes")
		s.describe(0x00081080, "LO", "x")
		s.add(0x00181005, "LO", "GEN"+p.Device, "xD")
		s.describe(0x00181030, "LO", "x")
		s.add(0x00321032, "PN", p.Physician, "x", "Osterhagen")
		s.add(0x00400244, "DA", p.StudyDate, "sx")
		s.add(0x00400245, "TM", "101402", "mx")
		s.add(0x00400253, "SH", "PPS"+p.mrn, "x")
		s.describe(0x00400254, "LO", "x")
		s.describe(0x00400280, "ST", "x")
	}
	if s.one(2) {
		s.code(0x00081032, 'o', "77477000", "SCT", "Computed tomography")
		s.sequence(0x00081110, 'o', func(in *scope) {
			in.add(0x00081150, "UI", "1.2.840.10008.3.1.2.3.1", "k")
			in.uid(0x00081155, p.UID(5))
		})
		s.sequence(0x00400275, 'q', func(in *scope) {
			in.add(0x00321060, "LO", "Head of "+p.family, "x", p.family)
			in.add(0x00400007, "LO", "Step of "+p.ID, "x", p.ID)
			in.add(0x00400009, "SH", "S"+p.mrn, "x")
			in.add(0x00401001, "SH", p.Accession, "x")
		})
	}
	if s.one(3) {
		s.sequence(0x0018A001, 'o', func(in *scope) { // Contributing Equipment Sequence
			in.add(0x00080070, "LO", "Imagingtest", "k")
			in.add(0x00080080, "LO", p.Hospital, "xI")
			in.add(0x00081010, "SH", "STN2"+p.Device[4:10], "xD")
			in.add(0x00181000, "LO", p.Device, "xD")
			in.add(0x0018A002, "DT", p.StudyDate+"101501.000000+0800", "sx")
			in.describe(0x0018A003, "ST", "x")
			in.code(0x0040A170, 'o', "109102", "DCM", "Processing Equipment")
		})
	}
	if s.one(4) {
		s.add(0x00120010, "LO", "Sponsor of "+p.Hospital, "d", p.Hospital)
		s.add(0x00120020, "LO", "PROTO-"+p.mrn, "d")
		s.add(0x00120021, "LO", "Protocol of "+p.doctor, "z", "Osterhagen")
		s.add(0x00120040, "LO", "SUBJ-"+p.mrn, "d")
		s.add(0x00120031, "LO", p.Hospital, "zI")
	}
}

// code plants a code sequence of one item. Its meaning is a term of a standard scheme,
// which is nobody's.
func (s *scope) code(tag uint32, want byte, value, scheme, meaning string) {
	s.sequence(tag, want, func(in *scope) {
		in.add(0x00080100, "SH", value, "k")
		in.add(0x00080102, "SH", scheme, "k")
		in.add(0x00080104, "LO", meaning, "k")
	})
}

// uid plants a UID that is the sender's.
func (s *scope) uid(tag uint32, value string) {
	if s.fate != goes {
		s.foreign[value] = true
	}
	s.add(tag, "UI", value, "uU")
}

// refer plants a reference to another instance of the same patient.
func (s *scope) refer(class string, n int) {
	s.add(0x00081150, "UI", class, "k")
	s.uid(0x00081155, s.sibling(n))
}

// odd plants identifiers where a list of attributes does not look.
func (s *scope) odd() {
	p := s.person
	switch s.r.IntN(10) {
	case 0: // nested five deep
		var deep func(int) func(*scope)
		deep = func(left int) func(*scope) {
			return func(in *scope) {
				in.add(0x00100010, "PN", p.Name, "z", s.names()...)
				in.add(0x00080050, "SH", p.Accession, "z")
				in.uid(0x00081155, p.UID(9, left))
				in.add(0x00080080, "LO", p.Hospital, "xI")
				if left > 0 {
					in.sequence(0x00082112, 'o', deep(left-1))
				}
			}
		}
		s.sequence(0x00082112, 'o', deep(5))
	case 1: // what was there before somebody changed it
		s.sequence(0x04000561, 'x', func(in *scope) {
			in.add(0x04000562, "DT", p.StudyDate+"120000", "sx")
			in.add(0x04000563, "LO", p.Hospital, "x")
			in.sequence(0x04000550, 'x', func(in *scope) {
				in.add(0x00100010, "PN", p.Name, "x", s.names()...)
				in.add(0x00100020, "LO", p.ID, "x")
			})
		})
	case 2: // overlay with words beside it
		s.add(0x60000010, "US", []uint16{8}, "-")
		s.add(0x60000011, "US", []uint16{8}, "-")
		s.add(0x60000022, "LO", "Overlay of "+p.mrn, "x", p.mrn)
		s.add(0x60001500, "LO", p.family, "x")
		s.add(0x60003000, "OW", []byte(p.ID+strings.Repeat(" ", len(p.ID)%2)), s.drawn(), p.ID)
		s.add(0x60004000, "LT", "drawn for "+p.given, "x", p.given)
	case 3: // a sequence that calls itself unknown
		e := &encoder{order: binary.LittleEndian, implicit: true, text: s.enc.text}
		inside := Item{{0x00081155, "UI", p.UID(9, 99)}, {0x00100010, "PN", p.Name}, {0x0040A160, "UT", p.ID + " " + p.Phone}}
		value := e.sequence(nil, 0x00081140, []Item{inside})[8:]
		gone := append(s.names(), p.ID, p.Phone)
		if !s.choice.has("retain_uids") {
			gone = append(gone, p.UID(9, 99))
		}
		s.add(0x00081140, "UN", value, "x", gone...)
	case 4: // names of people in codes and among identified persons
		s.sequence(0x00080096, 'x', func(in *scope) {
			in.add(0x00080080, "LO", p.Hospital, "x")
			in.add(0x00401102, "ST", p.Address, "x")
			in.add(0x00401103, "LO", p.Phone, "x")
			in.sequence(0x00401101, 'x', func(in *scope) {
				in.add(0x00080100, "SH", p.mrn, "x")
				in.add(0x00080104, "LO", p.doctor, "x", "Osterhagen")
			})
		})
		s.sequence(0x00081032, 'o', func(in *scope) {
			in.add(0x00080100, "SH", "L-"+p.mrn, "x", p.mrn)
			in.add(0x00080102, "SH", "99LOCAL", "-")
			in.add(0x00080104, "LO", "Procedure for "+p.family, "x", p.family)
		})
	case 5: // digital signature and encrypted attributes
		s.sequence(0x04000500, 'x', func(in *scope) {
			in.add(0x04000510, "UI", ExplicitLE, "k")
			in.add(0x04000520, "OB", []byte(p.residentID), "x", p.residentID)
		})
		s.sequence(0xFFFAFFFA, 'x', func(in *scope) {
			in.add(0x04000100, "UI", p.UID(9, 1), "x")
			in.add(0x04000115, "OB", []byte("CN="+p.Hospital+strings.Repeat(" ", len(p.Hospital)%2+1)), "x", p.Hospital)
		})
	case 6: // a curve, and text of group 4000
		s.add(0x50003000, "OW", []byte(p.Accession+" "), s.drawn(), p.Accession)
		s.add(0x40000010, "LT", "seen by "+p.doctor, "x", "Osterhagen")
		s.add(0x40004000, "LT", "for "+p.family, "x", p.family)
	case 7: // text, some of it outside table E.1-1
		s.add(0x00400310, "ST", p.family+" received 3 mSv", "x", p.family)
		s.add(0x0040A160, "UT", "Finding for "+p.ID, "x", p.ID)
		s.add(0x00620020, "UC", "Lesion of "+p.family, "x", p.family)
		s.add(0x00380500, "LO", "cheerful, says "+p.doctor, "x", "Osterhagen")
	case 8: // padding between text and its end, other case, other order
		s.add(0x00102000, "LO", strings.ToUpper(p.family)+"   "+p.given+"  ", "x", strings.ToUpper(p.family), p.given)
		s.add(0x00324000, "LT", "tel "+p.Phone+"\r\nmail "+p.Email+"\r\n", "x", p.Phone, p.Email)
	case 9: // a thumbnail
		s.sequence(0x00880200, 'x', func(in *scope) {
			in.add(0x00280010, "US", []uint16{2}, "x")
			in.add(0x00280011, "US", []uint16{2}, "x")
			in.add(0x7FE00010, "OW", []byte(p.mrn[:8]), "x", p.mrn[:8])
		})
	}
}

// drawn says what becomes of letters within a drawing: where the drawing stays, nothing
// but their value tells.
func (s *scope) drawn() string {
	if !s.choice.has("clean_graphics") {
		return "x"
	}
	s.residue = true
	return "r"
}

// private plants private elements: known to be safe, in the same block but not known,
// of unknown creators, and nested.
func (s *scope) private() {
	p := s.person
	block := uint32(0x10 + s.r.IntN(8))
	el := func(group, element uint32) uint32 { return group<<16 | block<<8 | element }
	creator := func(group uint32, name, want string) { s.add(group<<16|block, "LO", name, want) }
	switch s.r.IntN(6) {
	case 0:
		creator(0x0019, "SIEMENS MR HEADER", "-P")
		s.add(el(0x0019, 0x0C), "IS", "1000", "xP")
		s.add(el(0x0019, 0x0D), "CS", "DIRECTIONAL", "xP")
		s.add(el(0x0019, 0x0E), "FD", []float64{0.5, 0.5, -0.7}, "xP")
		s.add(el(0x0019, 0x15), "LO", p.family, "x")
	case 1:
		creator(0x7053, "Philips PET Private Group", "-P")
		s.add(el(0x7053, 0x00), "DS", "0.000551", "xP")
		s.add(el(0x7053, 0x09), "DS", "1.51", "xP")
		s.add(el(0x7053, 0x02), "ST", p.family+" "+p.ID, "x", p.family, p.ID)
	case 2:
		creator(0x2001, "Philips Imaging DD 001", "-P")
		s.add(el(0x2001, 0x02), "IS", "4", "xP")
		s.add(el(0x2001, 0x03), "FL", []float32{1000}, "xP")
		s.add(el(0x2001, 0xC8), "LO", p.doctor, "x", "Osterhagen")
	case 3:
		creator(0x0025, "GEMS_SERS_01", "-P")
		s.add(el(0x0025, 0x07), "SL", []int32{77}, "xP")
		s.add(el(0x0025, 0x1A), "SH", p.Accession, "x")
	case 4: // the safe creator's name in another spelling, with its element
		creator(0x0019, "siemens mr headers", "-")
		s.add(el(0x0019, 0x0C), "IS", p.mrn, "x")
	case 5:
		creator(0x00E1, "ELSCINT1", "-P")
		s.add(el(0x00E1, 0x21), "DS", "412.5", "xP")
		s.add(el(0x00E1, 0x22), "SH", p.mrn, "x")
	}
	if s.one(2) {
		creator(0x0029, "IMAGINGTEST 1.0", "-")
		s.add(el(0x0029, 0x01), "LO", p.ID, "x")
		s.add(el(0x0029, 0x02), "UN", []byte(p.family+strings.Repeat(" ", len(p.family)%2)), "x", p.family)
		s.add(el(0x0029, 0x04), "DA", p.BirthDate, "x")
		s.add(el(0x0029, 0x05), "UI", p.UID(9, 7), "x")
		s.sequence(el(0x0029, 0x03), 'x', func(in *scope) {
			in.add(0x00290000|block, "LO", "IMAGINGTEST 1.0", "-")
			in.add(el(0x0029, 0x01), "LO", p.residentID, "x")
			in.add(0x00100020, "LO", p.ID, "x")
		})
	}
}

// hidden plants one identifier in a value that stays as a rule. The patient's own
// particulars alone can tell.
func (s *scope) hidden() {
	p := s.person
	switch s.r.IntN(8) {
	case 0:
		s.add(0x00180024, "SH", "SEQ "+p.mrn, "r", p.mrn)
	case 1:
		s.add(0x00080008, "CS", `ORIGINAL\PRIMARY\`+p.mrn, "r", p.mrn)
	case 2:
		s.add(0x00281055, "LO", "window of "+p.ID, "r", p.ID)
	case 3:
		s.add(0x00200062, "CS", p.BirthDate, "r", p.BirthDate)
	case 4: // a UID among words
		if !s.choice.has("retain_uids") {
			s.add(0x00281055, "LO", "as in "+p.UID(3, 1, 1, s.number), "r", p.UID(3, 1, 1, s.number))
		}
	case 5: // where a private value is known to be safe
		s.add(0x00190020, "LO", "GEMS_ACQU_01", "-")
		s.add(0x0019209E, "LO", "FSE "+p.mrn, "r", p.mrn)
	case 6: // in what should be numbers, as another program's memory holds it
		var text []byte
		for _, u := range utf16.Encode([]rune(p.ID + " " + p.Accession)) {
			text = append(text, byte(u), byte(u>>8))
		}
		s.sequence(0x00283000, 'o', func(in *scope) {
			in.add(0x00283002, "US", []uint16{uint16(len(text) / 2), 0, 16}, "-")
			in.add(0x00283003, "LO", "table", "-")
			in.add(0x00283006, "OW", text, "-")
		})
		s.key = append(s.key, Row{Action: TextRemoved, Gone: [][]byte{text}, Absent: true, Withheld: true,
			Path: Path{{Tag: 0x00283000}, {Tag: 0x00283006}}})
	case 7: // a name without its other half, in another case
		if raw, ok := s.enc.text("CS", strings.ToUpper(p.family)); ok && len(raw) >= 5 && len(raw) <= 16 && !strings.Contains(p.family, "-") {
			s.add(0x00180015, "CS", strings.ToUpper(p.family), "r", strings.ToUpper(p.family))
		}
	}
}
