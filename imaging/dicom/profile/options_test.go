package profile_test

import (
	"slices"
	"strings"
	"testing"

	"medvault/imaging/dicom/profile"
)

func TestParseSet(t *testing.T) {
	for i, name := range profile.Options() {
		s, err := profile.ParseSet([]string{name, name})
		if err != nil || s != 1<<i || !slices.Equal(s.Names(), []string{name}) {
			t.Errorf("ParseSet(%s) = %v, %v", name, s.Names(), err)
		}
	}
	if s, err := profile.ParseSet(nil); s != 0 || err != nil {
		t.Errorf("ParseSet of nothing = %v, %v; want the basic profile", s, err)
	}
	if s, err := profile.ParseSet([]string{"retain_longitudinal_modified_dates", "retain_safe_private"}); err != nil || s != profile.Default {
		t.Errorf("ParseSet = %v, %v; want the default", s.Names(), err)
	}
	_, err := profile.ParseSet([]string{"retain_everything"})
	if err == nil || !strings.Contains(err.Error(), `"retain_everything"`) || !strings.Contains(err.Error(), "clean_graphics") {
		t.Errorf("an unknown option: %v; want it and the known ones named", err)
	}
	_, err = profile.ParseSet([]string{"retain_longitudinal_modified_dates", "retain_longitudinal_full_dates"})
	if err == nil || !strings.Contains(err.Error(), "leave out retain_longitudinal_full_dates to have dates shifted") {
		t.Errorf("full and modified dates: %v; want to be told which to leave out", err)
	}
}

func TestNamedSetsAreValid(t *testing.T) {
	named := profile.Named()
	for _, name := range []string{"default", "clinical-trial", "teaching", "quality"} {
		s, ok := named[name]
		if parsed, err := profile.ParseSet(s.Names()); !ok || err != nil || parsed != s {
			t.Errorf("%s = %v, %v: %v", name, s.Names(), ok, err)
		}
	}
	if len(named) != 4 || named["default"] != profile.Default {
		t.Errorf("%d named sets, default %v", len(named), named["default"].Names())
	}
}

func TestCodes(t *testing.T) {
	values := func(s profile.Set) string {
		var list []string
		for _, c := range profile.New(s).Codes() {
			if c.Scheme != "DCM" || c.Meaning == "" {
				t.Errorf("code %+v", c)
			}
			list = append(list, c.Value)
		}
		return strings.Join(list, " ")
	}
	for s, want := range map[profile.Set]string{
		0:                       "113100",
		profile.Default:         "113100 113107 113111",
		profile.RetainFullDates: "113100 113106",
		profile.CleanGraphics | profile.CleanStructured | profile.CleanDescriptors:                                   "113100 113103 113104 113105",
		profile.RetainPatientCharacteristics | profile.RetainDevice | profile.RetainUIDs | profile.RetainInstitution: "113100 113108 113109 113110 113112",
	} {
		if got := values(s); got != want {
			t.Errorf("%v: %s; want %s", s.Names(), got, want)
		}
	}
}
