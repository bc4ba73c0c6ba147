package profile_test

import (
	"testing"

	"medvault/imaging/dicom/profile"
)

// TestEveryAttributeOutsideIsDecided asks for each of them and each set for the
// action that its kind has.
func TestEveryAttributeOutsideIsDecided(t *testing.T) {
	attributes := profile.Outside()
	if len(attributes) != 547+49 {
		t.Errorf("%d attributes outside the table; want 547 and 49 more", len(attributes))
	}
	seen := map[string]bool{}
	for _, r := range profile.Rows() {
		seen[r.Tag] = true
	}
	for _, a := range attributes {
		if seen[a.Tag] {
			t.Errorf("%s %s is listed twice", a.Tag, a.Keyword)
		}
		seen[a.Tag] = true
		for _, s := range sets() {
			rule := profile.New(s).Decide(number(t, a.Tag), a.VR, ct, nil)
			has := func(o profile.Set) bool { return s&o != 0 }
			want := profile.Remove
			switch kind := a.Kind; {
			case kind == "standard", kind == "equipment", kind == "technique", kind == "code",
				kind == "device" && has(profile.RetainDevice), kind == "institution" && has(profile.RetainInstitution),
				kind == "patient" && has(profile.RetainPatientCharacteristics), kind == "instance" && has(profile.RetainUIDs),
				kind == "time" && has(profile.RetainFullDates|profile.RetainModifiedDates),
				kind == "date" && has(profile.RetainFullDates) && !has(profile.RetainModifiedDates):
				want = profile.Keep
			case kind == "instance":
				want = profile.MapUID
			case kind == "date" && has(profile.RetainModifiedDates):
				want = profile.Shift
			case kind == "device", kind == "identifier":
				want = profile.Token
			case kind == "text", kind == "finding" && has(profile.CleanDescriptors):
				want = profile.Clean
			case kind == "person", kind == "address", kind == "anew", kind == "institution", kind == "patient", kind == "finding", kind == "date", kind == "time":
			default:
				t.Fatalf("%s %s is of no known kind: %q", a.Tag, a.Keyword, kind)
			}
			if rule.Action != want || rule.Keyword != a.Keyword || rule.Listed {
				t.Errorf("%v %s %s (%s): %v; want %v", s.Names(), a.Tag, a.Keyword, a.Kind, rule.Action, want)
			}
			if (rule.Bare == profile.Dummy) != (a.Kind == "text") {
				t.Errorf("%s %s: %v where cleaning leaves nothing", a.Tag, a.Keyword, rule.Bare)
			}
		}
	}
}

// TestOutsideWhatMatters holds the decisions that would hurt most to get wrong.
func TestOutsideWhatMatters(t *testing.T) {
	p := profile.New(profile.Default)
	for keyword, want := range map[string]struct {
		tag  uint32
		vr   string
		want profile.Action
	}{
		"TextValue":                                 {0x0040_A160, "UT", profile.Clean},
		"ContentLabel":                              {0x0070_0080, "CS", profile.Clean},
		"ContentDescription":                        {0x0070_0081, "LO", profile.Clean},
		"TrackingID":                                {0x0062_0020, "UT", profile.Clean},
		"CodeMeaning":                               {0x0008_0104, "LO", profile.Clean},
		"CodeValue":                                 {0x0008_0100, "SH", profile.Keep},
		"SegmentLabel":                              {0x0062_0005, "LO", profile.Clean},
		"Manufacturer":                              {0x0008_0070, "LO", profile.Keep},
		"ConvolutionKernel":                         {0x0018_1210, "SH", profile.Keep},
		"PositionReferenceIndicator":                {0x0020_1040, "LO", profile.Keep},
		"RescaleType":                               {0x0028_1054, "LO", profile.Keep},
		"WindowCenterWidthExplanation":              {0x0028_1055, "LO", profile.Clean},
		"LUTExplanation":                            {0x0028_3003, "LO", profile.Clean},
		"ICCProfile":                                {0x0028_2000, "OB", profile.Keep},
		"WaveformData":                              {0x5400_1010, "OB", profile.Keep},
		"DeviceID":                                  {0x0018_1003, "LO", profile.Token},
		"RadiationMachineName":                      {0x3002_0020, "SH", profile.Token},
		"SOPClassUID":                               {0x0008_0016, "UI", profile.Keep},
		"ContextUID":                                {0x0008_0117, "UI", profile.Keep},
		"ReferencedFiducialUID":                     {0x0070_031B, "UI", profile.MapUID},
		"MultiFrameSourceSOPInstanceUID":            {0x0008_1167, "UI", profile.MapUID},
		"PatientBirthDateInAlternativeCalendar":     {0x0010_0033, "LO", profile.Remove},
		"RetrieveURL":                               {0x0008_1190, "UR", profile.Remove},
		"LocalNamespaceEntityID":                    {0x0040_0031, "UT", profile.Remove},
		"HL7InstanceIdentifier":                     {0x0040_E001, "ST", profile.Token},
		"ContactDisplayName":                        {0x0074_100C, "LO", profile.Remove},
		"PlacerOrderNumberProcedure":                {0x0040_1006, "SH", profile.Token},
		"DeidentificationMethod":                    {0x0012_0063, "LO", profile.Remove},
		"RequestingPhysicianIdentificationSequence": {0x0032_1031, "SQ", profile.Remove},
	} {
		if rule := p.Decide(want.tag, want.vr, ct, nil); rule.Action != want.want || rule.Keyword != keyword {
			t.Errorf("%s: %v (%s); want %v", keyword, rule.Action, rule.Keyword, want.want)
		}
	}
}

func TestWhatNoTableKnows(t *testing.T) {
	p := profile.New(profile.Default)
	for vr, want := range map[string]profile.Action{
		"AE": profile.Remove, "LO": profile.Remove, "LT": profile.Remove, "OB": profile.Remove, "PN": profile.Remove, "SH": profile.Remove,
		"ST": profile.Remove, "UC": profile.Remove, "UN": profile.Remove, "UR": profile.Remove, "UT": profile.Remove, "ZZ": profile.Remove, "": profile.Remove,
		"AS": profile.Remove, "DA": profile.Shift, "DT": profile.Shift, "TM": profile.Keep, "UI": profile.MapUID, "SQ": profile.Keep,
		"AT": profile.Keep, "CS": profile.Keep, "DS": profile.Keep, "FD": profile.Keep, "FL": profile.Keep, "IS": profile.Keep, "SL": profile.Keep,
		"SS": profile.Keep, "SV": profile.Keep, "UL": profile.Keep, "US": profile.Keep, "UV": profile.Keep,
		"OD": profile.Keep, "OF": profile.Keep, "OL": profile.Keep, "OV": profile.Keep, "OW": profile.Keep,
	} {
		if got := p.Decide(0x0008_FFFE, vr, ct, nil); got.Action != want || got.Listed || got.Keyword != "" {
			t.Errorf("VR %q: %v; want %v", vr, got, want)
		}
	}
	if got := profile.New(0).Decide(0x0008_FFFE, "DA", ct, nil).Action; got != profile.Remove {
		t.Errorf("a date without an option for dates: %v; want it removed", got)
	}
}

func TestCodesOfPersonsAndInstitutions(t *testing.T) {
	person := profile.Path{0x0040_A730, 0x0008_1072, 0x0040_1101}
	place := profile.Path{0x0008_0082}
	for _, c := range []struct {
		name string
		set  profile.Set
		tag  uint32
		in   profile.Path
		want profile.Action
	}{
		{"a person's number", profile.Default, 0x0008_0100, person, profile.Token},
		{"a person's name", profile.Default, 0x0008_0104, person, profile.Dummy},
		{"whose number it is", profile.Default, 0x0008_0102, person, profile.Dummy},
		{"a person's address", profile.Default, 0x0008_0120, person, profile.Dummy},
		{"a list of persons", profile.Default, 0x0008_0117, person, profile.Remove},
		{"an institution's number", profile.Default, 0x0008_0100, place, profile.Token},
		{"an institution that may be known", profile.RetainInstitution, 0x0008_0100, place, profile.Keep},
		{"its people may not", profile.RetainInstitution, 0x0008_0100, person, profile.Token},
		{"whose way of hanging images", profile.Default, 0x0008_0100, profile.Path{0x0072_000E}, profile.Token},
		{"a body part", profile.Default, 0x0008_0100, profile.Path{0x0008_2218}, profile.Keep},
	} {
		if got := profile.New(c.set).Decide(c.tag, "", ct, c.in).Action; got != c.want {
			t.Errorf("%s: %v; want %v", c.name, got, c.want)
		}
	}
}

func TestGroups(t *testing.T) {
	icon := profile.Path{0x0088_0200}
	const graphics = profile.CleanGraphics
	for _, c := range []struct {
		name string
		set  profile.Set
		tag  uint32
		vr   string
		in   profile.Path
		want profile.Action
	}{
		{"group length", 0, 0x0008_0000, "UL", nil, profile.Remove},
		{"length to end", 0, 0x0008_0001, "UL", nil, profile.Remove},
		{"command", 0, 0x0000_0100, "US", nil, profile.Remove},
		{"file meta version", 0, 0x0002_0001, "OB", nil, profile.Remove},
		{"private information in file meta", 0, 0x0002_0102, "OB", nil, profile.Remove},
		{"its creator", 0, 0x0002_0100, "UI", nil, profile.Remove},
		{"file-set ID of a directory", 0, 0x0004_1130, "CS", nil, profile.Remove},
		{"group 0006", 0, 0x0006_0010, "SQ", nil, profile.Remove},
		{"private", profile.RetainSafePrivate, 0x0009_1010, "LO", nil, profile.Remove},
		{"source image IDs", 0, 0x0020_3104, "CS", nil, profile.Remove},
		{"escape triplet", 0, 0x1000_0010, "US", nil, profile.Remove},
		{"zonal map", 0, 0x1010_0004, "US", nil, profile.Remove},
		{"encrypted attributes", 0, 0x0400_0500, "SQ", nil, profile.Remove},
		{"MAC parameters", 0, 0x4FFE_0001, "SQ", nil, profile.Remove},
		{"padding", 0, 0xFFFC_FFFC, "OB", nil, profile.Remove},
		{"pixels", 0, 0x7FE0_0010, "OW", nil, profile.Keep},
		{"float pixels", 0, 0x7FE0_0008, "OF", nil, profile.Keep},
		{"offsets", 0, 0x7FE0_0001, "OV", nil, profile.Keep},
		{"pixels of an icon", 0, 0x7FE0_0010, "OW", icon, profile.Remove},
		{"coefficients", 0, 0x7FE0_0020, "OW", nil, profile.Remove},
		{"variable pixels", 0, 0x7F02_0010, "OW", nil, profile.Remove},
		{"overlay", 0, 0x6000_3000, "OW", nil, profile.Remove},
		{"overlay rows", 0, 0x6000_0010, "US", nil, profile.Remove},
		{"overlay label", 0, 0x601E_1500, "LO", nil, profile.Remove},
		{"overlay with graphics", graphics, 0x6000_3000, "OW", nil, profile.Clean},
		{"overlay rows with graphics", graphics, 0x6000_0010, "US", nil, profile.Keep},
		{"overlay label with graphics", graphics, 0x601E_1500, "LO", nil, profile.Clean},
		{"overlay comments with graphics", graphics, 0x6002_4000, "LT", nil, profile.Clean},
		{"overlay of no known VR with graphics", graphics, 0x6002_4001, "UN", nil, profile.Remove},
		{"curve", 0, 0x5000_3000, "OW", nil, profile.Remove},
		{"curve with graphics", graphics, 0x5000_3000, "OW", nil, profile.Clean},
		{"curve description with graphics", graphics, 0x5004_0022, "LO", nil, profile.Clean},
		{"curve dimensions with graphics", graphics, 0x5004_0005, "US", nil, profile.Keep},
		{"audio with graphics", graphics, 0x5000_200C, "OW", nil, profile.Remove},
		{"audio comments with graphics", graphics, 0x5000_200E, "LT", nil, profile.Remove},
	} {
		if got := profile.New(c.set).Decide(c.tag, c.vr, ct, c.in).Action; got != c.want {
			t.Errorf("%s: %v; want %v", c.name, got, c.want)
		}
	}
}
