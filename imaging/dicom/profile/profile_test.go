package profile_test

import (
	"strconv"
	"strings"
	"testing"

	"medvault/imaging/dicom/profile"
)

const (
	ct        = "1.2.840.10008.5.1.4.1.1.2"
	pet       = "1.2.840.10008.5.1.4.1.1.128"
	xa        = "1.2.840.10008.5.1.4.1.1.12.1"
	enhanced  = "1.2.840.10008.5.1.4.1.1.4.1"
	sr        = "1.2.840.10008.5.1.4.1.1.88.11"
	rtPlan    = "1.2.840.10008.5.1.4.1.1.481.5"
	ecg       = "1.2.840.10008.5.1.4.1.1.9.1.1"
	slide     = "1.2.840.10008.5.1.4.1.1.77.1.6"
	nobodysIs = "1.2.3.4"
)

// number is the tag of a row; of one that stands for many, that of one of them.
func number(t *testing.T, tag string) uint32 {
	t.Helper()
	tag = strings.NewReplacer("gggg,eeee", "0009,1010", "50xx,xxxx", "501E,3000", "60xx", "6002").Replace(tag)
	n, err := strconv.ParseUint(strings.Replace(tag, ",", "", 1), 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// sets are the basic profile, each option alone, the named sets and all options
// that go together.
func sets() []profile.Set {
	list := []profile.Set{0, 1<<10 - 1&^profile.RetainFullDates, 1<<10 - 1&^profile.RetainModifiedDates}
	for i := range profile.Options() {
		list = append(list, 1<<i)
	}
	for _, s := range profile.Named() {
		list = append(list, s)
	}
	return list
}

// TestEveryRowEveryOption compares each decision with what the codes of its row ask
// for, worked out anew.
func TestEveryRowEveryOption(t *testing.T) {
	rows := profile.Rows()
	for _, s := range sets() {
		p := profile.New(s)
		for _, r := range rows {
			for _, class := range []string{"", ct, pet, sr, rtPlan, enhanced} {
				rule := p.Decide(number(t, r.Tag), r.VR, class, nil)
				if !rule.Listed {
					t.Fatalf("%s %s: not listed", r.Tag, r.Keyword)
				}
				if want := allowed(s, r); !strings.Contains(want, rule.Action.String()) {
					t.Errorf("%v %s %s %s (%s, %v) in %q: %v; want one of %s", s.Names(), r.Tag, r.VR, r.Keyword, r.Basic, r.Options, class, rule.Action, want)
				}
				if clean := rule.Action == profile.Clean && r.VR != "SQ"; clean != (rule.Bare != 0) && !strings.Contains(r.Tag, "xx,") {
					t.Errorf("%v %s %s: %v with %v where nothing is left", s.Names(), r.Tag, r.Keyword, rule.Action, rule.Bare)
				}
			}
		}
	}
}

// allowed are the actions that do what a row asks for under a set.
func allowed(s profile.Set, r profile.Row) string {
	if r.Tag == profile.OddGroups {
		return "X" // Private has the exceptions
	}
	code := ""
	for i, o := range r.Options {
		if o == "C" && s&(1<<i) != 0 || o == "K" && s&(1<<i) != 0 && code == "" {
			code = o
		}
	}
	basic := map[string]string{"X": "X", "Z": "ZT", "D": "DT", "U": "U", "X/Z": "XZT", "X/D": "XZDT", "Z/D": "ZDT", "X/Z/D": "XZDT", "X/Z/U*": "XZK"}[r.Basic]
	if r.VR == "UI" {
		basic = strings.NewReplacer("Z", "U", "D", "U").Replace(basic)
	}
	switch {
	case code == "K":
		return "K"
	case code == "C" && (r.VR == "DA" || r.VR == "DT"):
		return "S"
	case code == "C" && (r.VR == "TM" || r.Keyword == "TimezoneOffsetFromUTC"):
		return "K"
	case code == "C" && r.VR == "AE":
		return "T"
	case code == "C" && r.VR == "OB":
		return basic
	case code == "C":
		return "C"
	}
	return basic
}

// TestTheNumberOfEachAction pins what the default set and the basic profile do, so
// that a change of the tables is seen.
func TestTheNumberOfEachAction(t *testing.T) {
	for _, c := range []struct {
		set  profile.Set
		want string
	}{
		{0, "X417 Z43 D119 U56 S0 T20 C0 K2 "},
		{profile.Default, "X318 Z33 D61 U56 S114 T20 C0 K55 "},
	} {
		count := map[profile.Action]int{}
		for _, r := range profile.Rows() {
			count[profile.New(c.set).Decide(number(t, r.Tag), r.VR, "", nil).Action]++
		}
		got := ""
		for _, a := range "XZDUSTCK" {
			got += string(a) + strconv.Itoa(count[profile.Action(a)]) + " "
		}
		if got != c.want {
			t.Errorf("%v: %s; want %s", c.set.Names(), got, c.want)
		}
	}
}

func TestCollidingOptions(t *testing.T) {
	const both = profile.RetainDevice | profile.RetainModifiedDates
	collide := 0
	for _, r := range profile.Rows() {
		if r.Options[2] == "K" && r.Options[6] == "C" {
			collide++
			want := profile.Shift
			if r.VR == "TM" {
				want = profile.Keep
			}
			if got := profile.New(both).Decide(number(t, r.Tag), r.VR, ct, nil).Action; got != want {
				t.Errorf("%s with device and modified dates: %v; want %v", r.Keyword, got, want)
			}
			if got := profile.New(profile.RetainDevice).Decide(number(t, r.Tag), r.VR, ct, nil).Action; got != profile.Keep {
				t.Errorf("%s with device alone: %v; want it kept", r.Keyword, got)
			}
		}
	}
	if collide != 11 {
		t.Errorf("%d rows where device and modified dates collide; want 11", collide)
	}
	date := profile.New(profile.RetainFullDates|profile.RetainModifiedDates).Decide(0x0008_0020, "DA", ct, nil)
	if date.Action != profile.Shift {
		t.Errorf("StudyDate with full and modified dates: %v; want it shifted", date.Action)
	}
}

func TestCompoundCodesFollowTheType(t *testing.T) {
	basic := profile.New(0)
	for _, c := range []struct {
		name  string
		tag   uint32
		class string
		in    profile.Path
		want  profile.Action
	}{
		{"PatientID", 0x0010_0020, ct, nil, profile.Token},
		{"PatientID of other patients", 0x0010_0020, ct, profile.Path{0x0010_1002}, profile.Token},
		{"ContentDate, 2C", 0x0008_0023, ct, nil, profile.Empty},
		{"ContentDate, 1", 0x0008_0023, sr, nil, profile.Dummy},
		{"ContentTime, 1", 0x0008_0033, enhanced, nil, profile.Dummy},
		{"AcquisitionDate, 3", 0x0008_0022, ct, nil, profile.Remove},
		{"AcquisitionDate, 2", 0x0008_0022, pet, nil, profile.Empty},
		{"AcquisitionDateTime, 3", 0x0008_002A, ct, nil, profile.Remove},
		{"AcquisitionDateTime, 1", 0x0008_002A, ecg, nil, profile.Dummy},
		{"SeriesDate, 3", 0x0008_0021, ct, nil, profile.Remove},
		{"SeriesDate, 1", 0x0008_0021, pet, nil, profile.Dummy},
		{"DeviceSerialNumber, 3", 0x0018_1000, ct, nil, profile.Remove},
		{"DeviceSerialNumber, 1", 0x0018_1000, enhanced, nil, profile.Token},
		{"DeviceSerialNumber, 3 in contributing equipment", 0x0018_1000, enhanced, profile.Path{0x0018_A001}, profile.Remove},
		{"InstitutionName, 3", 0x0008_0080, ct, nil, profile.Remove},
		{"InstitutionName, 1C in a person", 0x0008_0080, ct, profile.Path{0x0008_0096}, profile.Dummy},
		{"OperatorsName, 3", 0x0008_1070, ct, nil, profile.Remove},
		{"OperatorsName, 2", 0x0008_1070, rtPlan, nil, profile.Empty},
		{"ProtocolName, 3", 0x0018_1030, ct, nil, profile.Remove},
		{"RTPlanDate, 2", 0x300A_0006, rtPlan, nil, profile.Empty},
		{"TreatmentMachineName, 2 in a beam", 0x300A_00B2, rtPlan, profile.Path{0x300A_00B0}, profile.Empty},
		{"ReferencedImageSequence, 3", 0x0008_1140, ct, nil, profile.Remove},
		{"ReferencedImageSequence, 1C", 0x0008_1140, xa, nil, profile.Keep},
		{"ReferencedImageSequence, 2 in a functional group", 0x0008_1140, enhanced, profile.Path{0x5200_9230}, profile.Empty},
		{"ReferencedImageSequence, 1 in a series", 0x0008_1140, sr, profile.Path{0x0008_1115}, profile.Keep},
		{"SourceImageSequence, 3", 0x0008_2112, ct, nil, profile.Remove},
		{"SourceImageSequence, 2 in a derivation", 0x0008_2112, enhanced, profile.Path{0x5200_9230, 0x0008_9124}, profile.Empty},
		{"ReferencedPerformedProcedureStepSequence, 1C", 0x0008_1111, enhanced, nil, profile.Dummy},
		{"ReferencedPerformedProcedureStepSequence, 2", 0x0008_1111, sr, nil, profile.Empty},
		{"ReferencedPerformedProcedureStepSequence, 3", 0x0008_1111, ct, nil, profile.Remove},
		{"ObservationDateTime, 1C", 0x0040_A032, sr, profile.Path{0x0040_A730, 0x0040_A730}, profile.Dummy},
		{"AcquisitionContextSequence, 2", 0x0040_0555, ecg, nil, profile.Empty},
		{"AcquisitionContextSequence, not in the IOD", 0x0040_0555, ct, nil, profile.Remove},
		{"WaveformAnnotationSequence, 1", 0x0040_B020, ecg, nil, profile.Dummy},
		{"DeviceSerialNumber of a slide scanner, 1", 0x0018_1000, slide, nil, profile.Token},
		{"AcquisitionDateTime of a slide, 1", 0x0008_002A, slide, nil, profile.Dummy},
		{"BarcodeValue of a slide, 2", 0x2200_0005, slide, nil, profile.Empty},
		{"ContentDate in a class that nobody knows", 0x0008_0023, nobodysIs, nil, profile.Dummy},
		{"SeriesDate without class", 0x0008_0021, "", nil, profile.Dummy},
		{"SourceImageSequence where nobody knows the type", 0x0008_2112, "", nil, profile.Keep},
	} {
		if got := basic.Decide(c.tag, "", c.class, c.in).Action; got != c.want {
			t.Errorf("%s: %v; want %v", c.name, got, c.want)
		}
	}
}

func TestDefault(t *testing.T) {
	p := profile.New(profile.Default)
	for _, c := range []struct {
		name string
		tag  uint32
		vr   string
		want profile.Action
	}{
		{"PatientName", 0x0010_0010, "PN", profile.Token},
		{"PatientBirthDate", 0x0010_0030, "DA", profile.Empty},
		{"PatientSex", 0x0010_0040, "CS", profile.Empty},
		{"AccessionNumber", 0x0008_0050, "SH", profile.Token},
		{"StudyID", 0x0020_0010, "SH", profile.Token},
		{"ReferringPhysicianName", 0x0008_0090, "PN", profile.Empty},
		{"StudyDate", 0x0008_0020, "DA", profile.Shift},
		{"StudyTime", 0x0008_0030, "TM", profile.Keep},
		{"StudyDescription", 0x0008_1030, "LO", profile.Remove},
		{"StudyInstanceUID", 0x0020_000D, "UI", profile.MapUID},
		{"OriginalAttributesSequence", 0x0400_0561, "SQ", profile.Remove},
		{"IconImageSequence", 0x0088_0200, "SQ", profile.Remove},
		{"DigitalSignaturesSequence", 0xFFFA_FFFA, "SQ", profile.Remove},
		{"Rows", 0x0028_0010, "US", profile.Keep},
	} {
		if got := p.Decide(c.tag, c.vr, ct, nil).Action; got != c.want {
			t.Errorf("%s: %v; want %v", c.name, got, c.want)
		}
	}
}
