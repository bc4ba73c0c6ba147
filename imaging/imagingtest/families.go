package imagingtest

import (
	"fmt"
	"strings"
)

// The modules of single kinds of objects: what they are made of and measured with must
// stay, what people wrote must not.

func crossSection(s *scope) {
	s.add(0x00080008, "CS", `ORIGINAL\PRIMARY\AXIAL`, "k")
	s.add(0x00180015, "CS", "CHEST", "k")
	s.add(0x00180022, "CS", "HELICAL MODE", "k")
	s.add(0x00180050, "DS", "5.0", "k")
	s.add(0x00180060, "DS", "120", "k")
	s.add(0x00180090, "DS", "500", "k")
	s.add(0x00181100, "DS", "350.5", "k")
	s.add(0x00181151, "IS", "210", "k")
	s.add(0x00181160, "SH", "FLAT", "k")
	s.add(0x00181210, "SH", "B30f", "k")
	s.add(0x00185100, "CS", "HFS", "k")
	s.add(0x00189345, "FD", []float64{7.125}, "k")
	s.add(0x00080022, "DA", s.person.StudyDate, "sx")
	s.add(0x00080032, "TM", "101455.123", "mx")
	s.add(0x0008002A, "DT", s.person.StudyDate+"101455.123000+0100", "sx")
	s.add(0x00180010, "LO", "Iopamidol", "-")
	s.place()
	s.add(0x00281050, "DS", `40\-600`, "k")
	s.add(0x00281051, "DS", `400\1500`, "k")
	s.add(0x00281052, "DS", "-1024", "k")
	s.add(0x00281053, "DS", "1", "k")
	s.code(0x00082218, 'o', "51185008", "SCT", "Chest")
}

// place says where in the patient a slice lies.
func (s *scope) place() {
	if s.one(8) {
		s.add(0x00200052, "UI", "1.2.840.10008.1.4.1.1", "k") // an atlas, which everybody has
	}
	s.uid(0x00200052, s.person.UID(4))
	s.add(0x00200032, "DS", fmt.Sprintf(`-128\-128\%d`, 5*s.number), "k")
	s.add(0x00200037, "DS", `1\0\0\0\1\0`, "k")
	s.add(0x00201041, "DS", fmt.Sprint(5*s.number), "k")
	s.add(0x00280030, "DS", `0.5\0.5`, "k")
	s.sequence(0x00081140, 'o', func(in *scope) { in.refer(storageClass+"2", 1) }, func(in *scope) { in.refer(storageClass+"2", 2) })
	s.sequence(0x00082112, 'o', func(in *scope) {
		in.refer(storageClass+"2", 3)
		in.code(0x0040A170, 'o', "121322", "DCM", "Source image for image processing operation")
	})
}

func resonance(s *scope) {
	s.add(0x00080008, "CS", `ORIGINAL\PRIMARY\M\ND`, "k")
	s.add(0x00180015, "CS", "BRAIN", "k")
	s.add(0x00180020, "CS", `SE\IR`, "k")
	s.add(0x00180021, "CS", `SK\SP`, "k")
	s.add(0x00180022, "CS", "PFP", "k")
	s.add(0x00180023, "CS", "2D", "k")
	s.add(0x00180024, "SH", "*tir2d1_21", "k")
	s.add(0x00180080, "DS", "9000", "k")
	s.add(0x00180081, "DS", "81", "k")
	s.add(0x00180082, "DS", "2500", "k")
	s.add(0x00180084, "DS", "123.257", "k")
	s.add(0x00180085, "SH", "1H", "k")
	s.add(0x00180087, "DS", "3", "k")
	s.add(0x00181314, "DS", "150", "k")
	s.add(0x00181250, "SH", "HeadMatrix", "k")
	s.add(0x00080022, "DA", s.person.StudyDate, "sx")
	s.add(0x00080032, "TM", "101455", "mx")
	s.place()
}

// enhanced plants functional groups, per frame and shared.
func enhanced(s *scope) {
	s.add(0x00080008, "CS", `ORIGINAL\PRIMARY\VOLUME\NONE`, "k")
	if s.kind.suffix != "2.2" { // legacy converted ones may do without
		s.add(0x00181000, "LO", s.person.Device, "dD")
	}
	required := "sd"
	if s.kind.suffix == "13.1.3" || s.kind.suffix == "30" {
		required = "sx"
	}
	s.add(0x0008002A, "DT", s.person.StudyDate+"101455.5", required)
	s.uid(0x00200052, s.person.UID(4))
	s.sequence(0x00209221, 't', func(in *scope) { in.uid(0x00209164, in.person.UID(10)) })
	s.sequence(0x00209222, 't', func(in *scope) {
		in.uid(0x00209164, in.person.UID(10))
		in.add(0x00209165, "AT", []Tag{0x00209057}, "k")
	})
	s.sequence(0x52009229, 't', func(in *scope) {
		in.sequence(0x00289110, 't', func(in *scope) {
			in.add(0x00180050, "DS", "1.25", "k")
			in.add(0x00280030, "DS", `0.7\0.7`, "k")
		})
		in.sequence(0x00289145, 't', func(in *scope) {
			in.add(0x00281052, "DS", "-1024", "k")
			in.add(0x00281053, "DS", "1", "k")
			in.add(0x00281054, "LO", "HU", "k")
		})
	})
	var frames []func(*scope)
	for n := range max(1, s.kind.frames) {
		frames = append(frames, func(in *scope) {
			in.sequence(0x00209111, 't', func(in *scope) {
				in.add(0x00189074, "DT", in.person.StudyDate+fmt.Sprintf("1015%02d.25", n), "sd")
				in.add(0x00189151, "DT", in.person.StudyDate+fmt.Sprintf("1015%02d.50", n), "sd")
				in.add(0x00189220, "FD", []float64{12.5}, "k")
				in.add(0x00209056, "SH", "1", "k")
				in.add(0x00209057, "UL", []uint32{uint32(n + 1)}, "k")
				in.describe(0x00209158, "LT", "x")
			})
			in.sequence(0x00209113, 't', func(in *scope) { in.add(0x00200032, "DS", fmt.Sprintf(`0\0\%d`, n), "k") })
		})
	}
	s.sequence(0x52009230, 't', frames...)
	s.sequence(0x00081115, 'o', func(in *scope) {
		in.uid(0x0020000E, in.seriesUID)
		in.sequence(0x0008114A, 'o', func(in *scope) { in.refer(storageClass+in.kind.suffix, 1) })
	})
}

func spectroscopy(s *scope) {
	enhanced(s)
	s.add(0x00189098, "FD", []float64{123.25}, "k")
	s.add(0x56000020, "OF", []float32{1.5, -2.25, 0, 8}, "k")
}

func emission(s *scope) {
	s.add(0x00080008, "CS", `ORIGINAL\PRIMARY`, "k")
	s.add(0x00541000, "CS", `WHOLE BODY\IMAGE`, "k")
	s.add(0x00541001, "CS", "BQML", "k")
	s.add(0x00541101, "LO", "measured", "k")
	s.add(0x00541300, "DS", "1000", "k")
	s.add(0x00541321, "DS", "1.0123", "k")
	s.sequence(0x00540016, 't', func(in *scope) {
		in.add(0x00180031, "LO", "Fluorodeoxyglucose", "k")
		in.add(0x00181072, "TM", "091500", "mx")
		in.add(0x00181074, "DS", "370000000", "k")
		in.add(0x00181075, "DS", "6586.2", "k")
		in.add(0x00181078, "DT", in.person.StudyDate+"091500", "sx")
		in.code(0x00540304, 'o', "C-B1031", "SRT", "Fluorodeoxyglucose F18")
	})
	if s.kind.suffix == "128" {
		s.add(0x00080022, "DA", s.person.StudyDate, "sz")
		s.add(0x00080032, "TM", "101455", "mz")
	}
	s.place()
}

func projection(s *scope) {
	s.add(0x00080008, "CS", `ORIGINAL\PRIMARY\`, "k")
	s.add(0x00080068, "CS", "FOR PRESENTATION", "k")
	s.add(0x00180015, "CS", "CHEST", "k")
	s.add(0x00180060, "DS", "70", "k")
	s.add(0x00181110, "DS", "1800", "k")
	s.add(0x00181164, "DS", `0.143\0.143`, "k")
	s.add(0x00185101, "CS", "PA", "k")
	s.add(0x0018700A, "SH", "DET"+s.person.Device[4:10], "xD")
	s.add(0x0018700C, "DA", "20200101", "sxD")
	s.add(0x00200020, "CS", `L\F`, "k")
	s.add(0x00200062, "CS", "L", "k")
	s.add(0x00280301, "CS", s.burned("NO"), "k")
	s.add(0x00282110, "CS", "00", "k")
	s.add(0x20500020, "CS", "IDENTITY", "k")
	s.code(0x00540220, 'o', "399162004", "SCT", "cranio-caudal")
	s.code(0x00082218, 'o', "76752008", "SCT", "Breast")
	s.sequence(0x00400555, 'o')
}

func ultrasound(s *scope) {
	s.add(0x00080008, "CS", `ORIGINAL\PRIMARY\ABDOMINAL`, "k")
	s.sequence(0x00186011, 't', func(in *scope) {
		in.add(0x00186012, "US", []uint16{1}, "k")
		in.add(0x00186014, "US", []uint16{1}, "k")
		in.add(0x00186018, "UL", []uint32{2}, "k")
		in.add(0x0018601A, "UL", []uint32{12}, "k")
		in.add(0x0018601C, "UL", []uint32{45}, "k")
		in.add(0x0018601E, "UL", []uint32{30}, "k")
		in.add(0x0018602C, "FD", []float64{0.025}, "k")
	})
	s.add(0x00185010, "LO", "C5-1", "-")
	s.add(0x00181063, "DS", "33.3", "k")
	s.place()
}

func angiography(s *scope) {
	s.add(0x00080008, "CS", `ORIGINAL\PRIMARY\SINGLE PLANE`, "k")
	s.add(0x00180060, "DS", "76", "k")
	s.add(0x00181155, "CS", "GR", "k")
	s.add(0x00181510, "DS", "-30.2", "k")
	s.add(0x00181511, "DS", "1.1", "k")
	s.add(0x00281040, "CS", "DISP", "k")
	s.add(0x00080022, "DA", s.person.StudyDate, "sx")
}

func capture(s *scope) {
	s.add(0x00080008, "CS", `DERIVED\SECONDARY`, "k")
	s.add(0x00080064, "CS", "WSD", "k")
	s.add(0x00181010, "LO", "GRABBER "+s.person.Device, "xD", s.person.Device)
	s.add(0x00181012, "DA", s.person.StudyDate, "sx")
	s.add(0x00181014, "TM", "120000", "mx")
	s.add(0x00280301, "CS", s.burned("YES"), "k")
	s.describe(0x00082111, "ST", "x")
}

func visibleLight(s *scope) {
	s.add(0x00080008, "CS", `ORIGINAL\PRIMARY`, "k")
	s.add(0x0008002A, "DT", s.person.StudyDate+"120000", "sx")
	s.add(0x00281199, "UI", s.person.UID(11), "uU")
	s.sequence(0x00400555, 'o', func(in *scope) {
		in.add(0x0040A040, "CS", "TEXT", "-")
		in.add(0x0040A160, "UT", "seen by "+in.person.doctor, "x", "Osterhagen")
	})
	s.add(0x00160072, "DS", `52\31\12`, "x")
	s.add(0x0016004D, "UT", "Camera of "+s.person.doctor, "x", "Osterhagen")
}

func slide(s *scope) {
	s.add(0x00080008, "CS", `ORIGINAL\PRIMARY\VOLUME\NONE`, "k")
	s.uid(0x00200052, s.person.UID(4))
	s.add(0x00400512, "LO", "SLIDE-"+s.person.mrn, "d")
	s.sequence(0x00400513, 't')
	s.sequence(0x00400560, 't', func(in *scope) {
		in.add(0x00400551, "LO", "SPEC-"+in.person.mrn, "d")
		in.uid(0x00400554, in.person.UID(12))
		in.sequence(0x00400562, 't')
		in.sequence(0x00400610, 't', func(in *scope) {
			in.sequence(0x00400612, 'o', func(in *scope) {
				in.add(0x0040A040, "CS", "TEXT", "-")
				in.add(0x0040A160, "UT", "cut by "+in.person.doctor, "x", "Osterhagen")
			})
		})
		in.describe(0x00400600, "LO", "x")
	})
	s.sequence(0x00480105, 't', func(in *scope) {
		in.add(0x00480106, "SH", "1", "-")
		in.add(0x00220016, "SQ", nil, "-")
	})
	label := "x"
	if s.kind.suffix == "77.1.6" {
		label = "z" // of the slide label module
	}
	s.add(0x22000005, "LT", "BAR"+s.person.mrn, label, s.person.mrn)
	s.describe(0x22000002, "UT", label)
	s.add(0x00480006, "UL", []uint32{16}, "k")
	s.add(0x00280301, "CS", s.burned("NO"), "k")
}

func ophthalmic(s *scope) {
	s.add(0x00080008, "CS", `ORIGINAL\PRIMARY`, "k")
	s.add(0x00200062, "CS", "R", "k")
	s.add(0x0022000B, "FL", []float32{3.5}, "k")
	s.add(0x00220030, "FL", []float32{24.5}, "k")
	s.add(0x0022000D, "CS", "YES", "k")
	s.add(0x0008002A, "DT", s.person.StudyDate+"120000", "sd")
	s.add(0x00280301, "CS", s.burned("NO"), "k")
}

func radiotherapyImage(s *scope) {
	s.add(0x00080008, "CS", `DERIVED\SECONDARY\PORTAL`, "k")
	s.describe(0x30020002, "SH", "d")
	s.describe(0x30020004, "ST", "x")
	s.add(0x3002000C, "CS", "NORMAL", "k")
	s.add(0x30020011, "DS", `0.8\0.8`, "k")
	s.add(0x30020020, "SH", "LINAC"+s.person.mrn[:4], "xD")
	s.add(0x30020022, "DS", "1000", "k")
	s.sequence(0x300C0002, 'o', func(in *scope) { in.refer(storageClass+"481.5", 1) })
}

func dose(s *scope) {
	s.add(0x30040002, "CS", "GY", "k")
	s.add(0x30040004, "CS", "PHYSICAL", "k")
	s.add(0x3004000A, "CS", "PLAN", "k")
	s.add(0x3004000C, "DS", `0\2.5`, "k")
	s.add(0x3004000E, "DS", "0.00004", "k")
	s.describe(0x30040006, "LO", "x")
	s.place()
	s.sequence(0x300C0002, 't', func(in *scope) { in.refer(storageClass+"481.5", 1) })
}

func structures(s *scope) {
	p := s.person
	s.describe(0x30060002, "SH", "d")
	s.describe(0x30060004, "LO", "x")
	s.describe(0x30060006, "ST", "x")
	s.add(0x30060008, "DA", p.StudyDate, "sz")
	s.add(0x30060009, "TM", "110000", "mz")
	s.sequence(0x30060010, 'o', func(in *scope) {
		in.uid(0x00200052, p.UID(4))
		in.sequence(0x30060012, 'o', func(in *scope) {
			in.add(0x00081150, "UI", "1.2.840.10008.3.1.2.3.1", "k")
			in.uid(0x00081155, in.studyUID)
			in.sequence(0x30060014, 'o', func(in *scope) {
				in.uid(0x0020000E, in.seriesUID)
				in.sequence(0x30060016, 'o', func(in *scope) { in.refer(storageClass+"2", 1) })
			})
		})
	})
	s.sequence(0x30060020, 't', func(in *scope) {
		in.add(0x30060022, "IS", "1", "k")
		in.uid(0x30060024, p.UID(4))
		in.describe(0x30060026, "LO", "z")
		in.add(0x30060036, "CS", "MANUAL", "k")
		in.describe(0x30060028, "ST", "x")
	})
	s.sequence(0x30060039, 't', func(in *scope) {
		in.add(0x3006002A, "IS", `255\0\0`, "k")
		in.sequence(0x30060040, 'o', func(in *scope) {
			in.add(0x30060042, "CS", "CLOSED_PLANAR", "k")
			in.add(0x30060046, "IS", "2", "k")
			in.add(0x30060050, "DS", `1.5\2.5\10\3.5\4.5\10`, "k")
		})
		in.add(0x30060084, "IS", "1", "k")
	})
	s.sequence(0x30060080, 't', func(in *scope) {
		in.add(0x30060082, "IS", "1", "k")
		in.add(0x30060084, "IS", "1", "k")
		in.add(0x300600A4, "CS", "GTV", "k")
		in.add(0x300600A6, "PN", p.Physician, "z", "Osterhagen")
		in.describe(0x30060085, "SH", "x")
	})
	s.add(0x300E0002, "CS", "APPROVED", "k")
	s.add(0x300E0004, "DA", p.StudyDate, "sz")
	s.add(0x300E0005, "TM", "111500", "mz")
	s.add(0x300E0008, "PN", p.Physician, "x", "Osterhagen")
}

func plan(s *scope) {
	p := s.person
	s.describe(0x300A0002, "SH", "d")
	s.describe(0x300A0003, "LO", "x")
	s.describe(0x300A0004, "ST", "x")
	s.add(0x300A0006, "DA", p.StudyDate, "sx")
	s.add(0x300A0007, "TM", "110000", "mx")
	s.add(0x300A000C, "CS", "PATIENT", "k")
	s.sequence(0x300A0010, 'o', func(in *scope) {
		in.add(0x300A0012, "IS", "1", "k")
		in.uid(0x300A0013, p.UID(13))
		in.add(0x300A0014, "CS", "SITE", "k")
		in.add(0x300A0026, "DS", "60", "k")
		in.describe(0x300A0016, "LO", "x")
	})
	s.sequence(0x300A0070, 't', func(in *scope) {
		in.add(0x300A0071, "IS", "1", "k")
		in.add(0x300A0078, "IS", "30", "k")
		in.add(0x300A0080, "IS", "1", "k")
	})
	s.sequence(0x300A00B0, 'o', func(in *scope) {
		in.add(0x300A00C0, "IS", "1", "k")
		in.add(0x300A00C4, "CS", "STATIC", "k")
		in.add(0x300A00C6, "CS", "PHOTON", "k")
		in.add(0x300A00B2, "SH", "LINAC"+p.mrn[:4], "zD")
		in.describe(0x300A00C3, "ST", "x")
		in.add(0x300A00B4, "DS", "1000", "k")
	})
	s.sequence(0x300C0060, 'o', func(in *scope) { in.refer(storageClass+"481.3", 2) })
	s.add(0x300E0002, "CS", "UNAPPROVED", "k")
}

func treatmentRecord(s *scope) {
	s.add(0x30080250, "DA", s.person.StudyDate, "sx")
	s.add(0x30080251, "TM", "111500", "mx")
	s.sequence(0x300C0002, 'o', func(in *scope) { in.refer(storageClass+"481.5", 1) })
	s.sequence(0x30080040, 'o', func(in *scope) {
		in.add(0x300A0110, "IS", "2", "k")
		in.add(0x30080024, "DA", in.person.StudyDate, "-")
		in.add(0x30080025, "TM", "111600", "-")
	})
}

func segmentation(s *scope) {
	p := s.person
	s.add(0x00080008, "CS", `DERIVED\PRIMARY`, "k")
	s.add(0x00700080, "CS", s.person.content(), "d", p.mrn)
	s.describe(0x00700081, "LO", "x")
	s.add(0x00700084, "PN", p.Physician, "z", "Osterhagen")
	s.add(0x00620001, "CS", "BINARY", "k")
	s.uid(0x00200052, p.UID(4))
	s.sequence(0x00620002, 't', func(in *scope) {
		in.add(0x00620004, "US", []uint16{1}, "k")
		in.add(0x00620008, "CS", "MANUAL", "k")
		in.describe(0x00620005, "LO", "x")
		in.uid(0x00620021, p.UID(14))
		in.add(0x00620020, "UT", "Lesion of "+p.family, "x", p.family)
		in.code(0x00620003, 't', "85756007", "SCT", "Tissue")
		in.code(0x0062000F, 't', "108369006", "SCT", "Neoplasm")
	})
	s.sequence(0x00081115, 't', func(in *scope) {
		in.uid(0x0020000E, in.seriesUID)
		in.sequence(0x0008114A, 't', func(in *scope) { in.refer(storageClass+"2", 1) })
	})
}

// content is a label that names the patient within the characters of a code.
func (p person) content() string { return "SEG_" + p.mrn }

func tracks(s *scope) {
	s.add(0x00700084, "PN", s.person.Physician, "z", "Osterhagen")
	s.uid(0x00200052, s.person.UID(4))
	s.sequence(0x00660101, 't', func(in *scope) {
		in.add(0x00660106, "UT", "tracts of "+in.person.family, "x", in.person.family)
		in.uid(0x00620021, in.person.UID(14))
		in.sequence(0x00660102, 't', func(in *scope) { in.add(0x00660016, "OF", []float32{1, 2, 3, 4, 5, 6}, "k") })
	})
}

func realWorld(s *scope) {
	s.add(0x00700084, "PN", s.person.Physician, "z", "Osterhagen")
	s.sequence(0x00409094, 't', func(in *scope) {
		in.sequence(0x00081140, 't', func(in *scope) { in.refer(storageClass+"4", 1) })
		in.sequence(0x00409096, 't', func(in *scope) {
			in.add(0x00409224, "FD", []float64{0}, "k")
			in.add(0x00409225, "FD", []float64{1.5}, "k")
			in.code(0x004008EA, 't', "mm2/s", "UCUM", "square millimeter per second")
		})
	})
}

func rawData(s *scope) {
	p := s.person
	s.uid(0x00200052, p.UID(4))
	s.uid(0x00080017, p.UID(15))
	s.sequence(0x00291010, 'x', func(in *scope) { in.add(0x00100010, "PN", p.Name, "x", s.names()...) })
	s.add(0x00290010, "LO", "IMAGINGTEST RAW", "-")
	s.add(0x00291011, "OB", []byte(p.ID+strings.Repeat("\x00", 2+len(p.ID)%2)), "x", p.ID)
}

func registration(s *scope) {
	s.add(0x00700084, "PN", s.person.Physician, "z", "Osterhagen")
	s.uid(0x00200052, s.person.UID(4))
	s.sequence(0x00700308, 'o', func(in *scope) {
		in.uid(0x00200052, in.person.UID(4, 1))
		in.sequence(0x00700309, 'o', func(in *scope) {
			in.sequence(0x0070030A, 'o', func(in *scope) {
				in.add(0x0070030C, "CS", "RIGID", "k")
				in.add(0x300600C6, "DS", `1\0\0\0\0\1\0\0\0\0\1\0\0\0\0\1`, "k")
			})
		})
	})
	s.uid(0x00640003, s.person.UID(4, 2))
}

func fiducials(s *scope) {
	s.add(0x00700084, "PN", s.person.Physician, "z", "Osterhagen")
	s.uid(0x00200052, s.person.UID(4))
	s.sequence(0x0070031C, 't', func(in *scope) {
		in.sequence(0x0070031E, 't', func(in *scope) {
			in.uid(0x0070031A, in.person.UID(16))
			in.add(0x0070030F, "ST", "mark by "+in.person.doctor, "x", "Osterhagen")
			in.add(0x00700306, "CS", "POINT", "k")
		})
	})
}

func presentation(s *scope) {
	p := s.person
	s.add(0x00700080, "CS", "PR_"+p.mrn, "d", p.mrn)
	s.describe(0x00700081, "LO", "x")
	s.add(0x00700082, "DA", p.StudyDate, "sx")
	s.add(0x00700083, "TM", "120000", "mx")
	s.add(0x00700084, "PN", p.Physician, "z", "Osterhagen")
	s.sequence(0x00081115, 't', func(in *scope) {
		in.uid(0x0020000E, in.seriesUID)
		in.sequence(0x00081140, 't', func(in *scope) { in.refer(storageClass+"2", 1) })
	})
	s.sequence(0x0070005A, 't', func(in *scope) {
		in.add(0x00700052, "SL", []int32{1, 1}, "k")
		in.add(0x00700053, "SL", []int32{64, 48}, "k")
		in.add(0x00700100, "CS", "SCALE TO FIT", "k")
	})
	s.sequence(0x00700001, 'x', func(in *scope) {
		in.add(0x00700002, "CS", "LAYER1", "k")
		in.sequence(0x00700008, 'x', func(in *scope) {
			in.add(0x00700006, "ST", p.given+" "+p.family+" "+p.BirthDate, "x", p.family, p.given)
		})
	})
	s.sequence(0x00700060, 'o', func(in *scope) {
		in.add(0x00700002, "CS", "LAYER1", "k")
		in.add(0x00700068, "LO", "layer of "+p.doctor, "x", "Osterhagen")
	})
	s.add(0x20500020, "CS", "IDENTITY", "k")
}

// report plants a content tree with names, dates, references and text at every level.
func report(s *scope) {
	p := s.person
	s.sequence(0x00081111, 'o')
	s.add(0x0040A491, "CS", "COMPLETE", "k")
	s.add(0x0040A493, "CS", "VERIFIED", "k")
	s.sequence(0x0040A073, 'x', func(in *scope) {
		in.add(0x0040A027, "LO", p.Hospital, "d")
		in.add(0x0040A030, "DT", p.StudyDate+"130000", "sx")
		in.add(0x0040A075, "PN", p.Physician, "d", "Osterhagen")
	})
	s.sequence(0x0040A078, 'x', func(in *scope) { in.add(0x0040A123, "PN", p.Physician, "d", "Osterhagen") })
	s.add(0x0040A040, "CS", "CONTAINER", "k")
	s.add(0x0040A050, "CS", "SEPARATE", "k")
	s.code(0x0040A043, 't', "18748-4", "LN", "Diagnostic imaging report")
	s.sequence(0x0040A504, 'o', func(in *scope) {
		in.add(0x00080105, "CS", "DCMR", "k")
		in.add(0x0040DB00, "CS", "2000", "k")
	})
	s.evidence()
	var tree func(int) func(*scope)
	tree = func(depth int) func(*scope) {
		return func(in *scope) {
			in.add(0x0040A010, "CS", "CONTAINS", "k")
			in.add(0x0040A032, "DT", p.StudyDate+"130000", "sx")
			switch depth % 5 {
			case 0:
				in.add(0x0040A040, "CS", "TEXT", "k")
				if in.one(2) {
					in.describe(0x0040A160, "UT", "x")
				}
				in.add(0x0040A160, "UT", "Finding for "+p.given+" "+p.family+", "+p.ID+", call "+p.Phone, "x", p.family, p.given, p.ID, p.Phone)
			case 1:
				in.add(0x0040A040, "CS", "PNAME", "k")
				in.add(0x0040A123, "PN", p.Name, "d", in.names()...)
			case 2:
				in.add(0x0040A040, "CS", "DATE", "k")
				in.add(0x0040A121, "DA", p.StudyDate, "sd")
			case 3:
				in.add(0x0040A040, "CS", "UIDREF", "k")
				in.uid(0x0040A124, p.UID(7, depth))
			case 4:
				in.add(0x0040A040, "CS", "IMAGE", "k")
				in.sequence(0x00081199, 'o', func(in *scope) { in.refer(storageClass+"2", 1) })
			}
			in.code(0x0040A043, 'o', "121071", "DCM", "Finding")
			if depth > 0 {
				in.sequence(0x0040A730, 'o', tree(depth-1))
			}
		}
	}
	want := byte('x') // a dummy or held under the basic profile
	if s.choice.has("clean_structured_content") {
		want = 't'
	}
	s.sequence(0x0040A730, want, tree(5), tree(4), tree(3))
}

// evidence plants the references that a document is built on; other programs follow
// them.
func (s *scope) evidence() {
	s.sequence(0x0040A375, 't', func(in *scope) {
		in.uid(0x0020000D, in.studyUID)
		in.sequence(0x00081115, 't', func(in *scope) {
			in.uid(0x0020000E, in.seriesUID)
			in.add(0x00080054, "AE", "AE"+in.person.mrn[:6], "x")
			in.sequence(0x00081199, 't', func(in *scope) { in.refer(storageClass+"2", 1) },
				func(in *scope) { in.refer(storageClass+"2", 2) })
		})
	})
}

func keyObjects(s *scope) {
	s.sequence(0x00081111, 'o')
	s.add(0x0040A040, "CS", "CONTAINER", "k")
	s.code(0x0040A043, 't', "113000", "DCM", "Of Interest")
	s.evidence()
	s.sequence(0x0040A730, 'x', func(in *scope) {
		in.add(0x0040A040, "CS", "TEXT", "k")
		in.add(0x0040A160, "UT", "for Dr. "+in.person.doctor, "x", "Osterhagen")
	})
}

func waveform(s *scope) {
	p := s.person
	s.add(0x0008002A, "DT", p.StudyDate+"101455.5", "sd")
	s.sequence(0x54000100, 't', func(in *scope) {
		in.add(0x003A0004, "CS", "ORIGINAL", "k")
		in.add(0x003A0005, "US", []uint16{1}, "k")
		in.add(0x003A0010, "UL", []uint32{8}, "k")
		in.add(0x003A001A, "DS", "500", "k")
		in.describe(0x003A0020, "SH", "x")
		in.sequence(0x003A0200, 't', func(in *scope) {
			in.describe(0x003A0203, "SH", "x")
			in.code(0x003A0208, 't', "2:1", "MDC", "Lead I")
			in.add(0x003A0210, "DS", "1.25", "k")
			in.add(0x003A021A, "US", []uint16{16}, "k")
		})
		in.add(0x54001004, "US", []uint16{16}, "k")
		in.add(0x54001006, "CS", "SS", "k")
		in.add(0x54001010, "OW", []byte("\x01\x00\x02\x00\x03\x00\x04\x00\x05\x00\x06\x00\x07\x00\x08\x00"), "k")
	})
	s.sequence(0x0040B020, 'x', func(in *scope) {
		in.add(0x00700006, "ST", "recorded by "+p.doctor, "x", "Osterhagen")
		in.add(0x0040A0B0, "US", []uint16{1, 1}, "k")
	})
	s.sequence(0x00400555, 'o')
}

func portableDocument(s *scope) {
	s.document(Report(s.person.Patient), "application/pdf", s.person.ID)
}

func clinicalDocument(s *scope) {
	p := s.person
	s.document([]byte(`<?xml version="1.0" encoding="UTF-8"?><ClinicalDocument xmlns="urn:hl7-org:v3"><recordTarget><patientRole><id extension="`+
		p.ID+`"/><patient><name><given>`+p.given+`</given><family>`+p.family+`</family></name></patient></patientRole></recordTarget></ClinicalDocument>`),
		"text/XML", p.ID)
	s.add(0x0040E001, "ST", p.UID(17)+"^"+p.mrn, "x", p.mrn)
}

// mesh is a model for printing whose 80 bytes of comment name the patient.
func mesh(s *scope) {
	head := fmt.Sprintf("%-80s", s.person.ID+" skull")
	s.document([]byte(head+"\x00\x00\x00\x00"), "model/stl", s.person.ID)
	s.uid(0x00200052, s.person.UID(4))
}

func (s *scope) document(body []byte, kind, id string) {
	s.add(0x00080023, "DA", s.person.StudyDate, "sz")
	s.describe(0x00420010, "ST", "x")
	s.add(0x00420012, "LO", kind, "-")
	s.add(0x00420011, "OB", body, "x", id)
	s.code(0x0040A043, 'o', "18748-4", "LN", "Diagnostic imaging report")
	s.add(0x00280301, "CS", "YES", "k")
}

func measurement(s *scope) {
	s.add(0x00200062, "CS", "R", "k")
	s.add(0x00240010, "FL", []float32{30}, "k")
	s.sequence(0x00460015, 'o', func(in *scope) { in.add(0x00460146, "FD", []float64{-1.25}, "-") })
	s.describe(0x00204000, "LT", "x")
}
