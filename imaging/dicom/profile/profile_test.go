package profile_test

import (
	"strings"
	"testing"

	"medvault/imaging/dicom/profile"
)

func TestTableIsThatOfTheStandard(t *testing.T) {
	rows := profile.Rows()
	if len(rows) != 657 {
		t.Errorf("%d rows; want 657", len(rows))
	}
	if got := profile.Digest(rows); got != profile.RowsSHA256 {
		t.Errorf("digest %s; want %s", got, profile.RowsSHA256)
	}
}

// TestEveryRowIsApplied looks every row up and compares with what its codes ask for.
func TestEveryRowIsApplied(t *testing.T) {
	allowed := map[string]string{
		"X": "X", "Z": "ZDT", "D": "DU", "U": "U", "X/Z": "ZDT", "X/D": "D", "Z/D": "D", "X/Z/D": "D", "X/Z/U*": "K",
	}
	for _, r := range profile.Rows() {
		tag := strings.NewReplacer("gggg,eeee", "0009,0010", "50xx,xxxx", "501E,0010", "60xx", "6002", ",", "").Replace(r.Tag)
		var number uint32
		for _, c := range strings.ToLower(tag) {
			number = number<<4 | uint32(strings.IndexRune("0123456789abcdef", c))
		}
		rule, ok := profile.Lookup(number)
		if !ok || !rule.Listed {
			t.Errorf("%s %s: no rule", r.Tag, r.Keyword)
			continue
		}
		want := allowed[r.Basic]
		if r.Options[6] == "C" && (r.VR == "DA" || r.VR == "DT") {
			want = "S"
		}
		if r.Options[6] == "C" && r.VR == "TM" {
			want = "K"
		}
		if !strings.Contains(want, rule.Action.String()) {
			t.Errorf("%s %s (%s): action %v; want one of %s", r.Tag, r.Keyword, r.Basic, rule.Action, want)
		}
	}
}

func TestOutsideTheTable(t *testing.T) {
	for _, c := range []struct {
		name string
		tag  uint32
		want profile.Action
	}{
		{"TextValue", 0x0040A160, profile.Remove},
		{"CodeMeaning", 0x00080104, profile.Remove},
		{"RadiationMachineName", 0x30020020, profile.Remove},
		{"Manufacturer", 0x00080070, profile.Keep},
		{"ReferencedFiducialUID", 0x0070031B, profile.MapUID},
		{"SOPClassUID", 0x00080016, profile.MapUID},
	} {
		if rule, ok := profile.Lookup(c.tag); !ok || rule.Action != c.want {
			t.Errorf("%s: %v, %v; want %v", c.name, rule.Action, ok, c.want)
		}
	}
	for vr, want := range map[string]profile.Action{
		"PN": profile.Remove, "AE": profile.Remove, "UN": profile.Remove, "OB": profile.Remove, "UT": profile.Remove,
		"ZZ": profile.Remove, "": profile.Remove, "DA": profile.Shift, "UI": profile.MapUID, "US": profile.Keep, "SQ": profile.Keep,
	} {
		if got := profile.Outside(vr); got != want {
			t.Errorf("Outside(%q) = %v; want %v", vr, got, want)
		}
	}
}
