package consent_test

import (
	"testing"

	"medvault/vault/consent"
	"medvault/vault/record"
)

func TestWithoutARecordThereIsNoConsent(t *testing.T) {
	var none consent.Static
	if none.Research("p1") || none.Abroad("p1", "SG") || none.Abroad("", "") {
		t.Error("the zero table knows of a consent")
	}
	some := consent.Static{
		ForResearch: map[record.PatientToken]bool{"p1": true},
		ForCountry:  map[record.PatientToken][]string{"p2": {"SG", ""}},
	}
	for _, row := range []struct {
		token    record.PatientToken
		country  string
		research bool
		abroad   bool
	}{
		{"p1", "SG", true, false},
		{"p2", "SG", false, true},
		{"p2", "DE", false, false},
		{"p2", "", false, false},
		{"p3", "SG", false, false},
	} {
		if got := some.Research(row.token); got != row.research {
			t.Errorf("Research(%s) = %v; want %v", row.token, got, row.research)
		}
		if got := some.Abroad(row.token, row.country); got != row.abroad {
			t.Errorf("Abroad(%s, %q) = %v; want %v", row.token, row.country, got, row.abroad)
		}
	}
}
