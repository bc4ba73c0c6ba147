package residency_test

import (
	"slices"
	"testing"

	"medvault/vault/residency"
)

func TestPermit(t *testing.T) {
	for _, row := range []struct {
		country, home string
		covered       bool
		want          residency.Verdict
	}{
		{"CN", "CN", false, residency.Verdict{Permit: true, Reason: "home"}},
		{"SG", "CN", false, residency.Verdict{Reason: "no-consent-abroad"}},
		{"SG", "CN", true, residency.Verdict{Permit: true, Reason: "consent"}},
		{"CN", "SG", false, residency.Verdict{Reason: "no-consent-abroad"}},
		{"", "", true, residency.Verdict{Reason: "country-unknown"}},
		{"", "CN", true, residency.Verdict{Reason: "country-unknown"}},
		{"CN", "", true, residency.Verdict{Reason: "country-unknown"}},
		{"cn", "cn", true, residency.Verdict{Reason: "country-unknown"}},
		{"CHN", "CHN", true, residency.Verdict{Reason: "country-unknown"}},
	} {
		if got := residency.Permit(row.country, row.home, row.covered); got != row.want {
			t.Errorf("Permit(%q, %q, %v) = %+v; want %+v", row.country, row.home, row.covered, got, row.want)
		}
	}
	if (residency.Verdict{}).Permit {
		t.Error("the zero verdict permits")
	}
}

func TestRegionsOfAPatient(t *testing.T) {
	north, sg, south, de := residency.Region{Name: "cn-north", Jurisdiction: "CN"}, residency.Region{Name: "sg-1", Jurisdiction: "SG"},
		residency.Region{Name: "cn-south", Jurisdiction: "CN"}, residency.Region{Name: "de-1", Jurisdiction: "DE"}
	all := []residency.Region{north, sg, south, de}
	for _, row := range []struct {
		home    string
		covered []string
		want    []residency.Region
	}{
		{"CN", nil, []residency.Region{north, south}},
		{"CN", []string{"SG"}, []residency.Region{north, sg, south}},
		{"SG", nil, []residency.Region{sg}},
		{"FR", nil, nil},
		{"", []string{"SG", "CN"}, nil},
	} {
		if got := residency.Regions(row.home, all, row.covered...); !slices.Equal(got, row.want) {
			t.Errorf("Regions(%q, covered %q) = %v; want %v", row.home, row.covered, got, row.want)
		}
	}
}
