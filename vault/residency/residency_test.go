package residency_test

import (
	"testing"
	"time"

	"medvault/vault/residency"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestPermit(t *testing.T) {
	known := residency.Registers{
		Countries: map[string]residency.Country{
			"SG": {Document: "pcpd-1", Expires: now.Add(time.Second)},
			"DE": {Document: "pcpd-2", Expires: now},
		},
		Recipients: map[string]residency.Recipient{
			"ward":     {Country: "CN", Document: "a-1", Expires: now.Add(time.Second)},
			"lapsed":   {Country: "CN", Document: "a-2", Expires: now},
			"clinic":   {Country: "SG", Document: "a-3", Expires: now.Add(time.Second)},
			"overdue":  {Country: "SG", Document: "a-4", Expires: now.Add(-time.Hour)},
			"elbe":     {Country: "DE", Document: "a-5", Expires: now.Add(time.Second)},
			"nowhere":  {Country: "US", Document: "a-6", Expires: now.Add(time.Second)},
			"misspelt": {Country: "sg", Document: "a-7", Expires: now.Add(time.Second)},
		},
	}
	yes := func(reason string) residency.Verdict { return residency.Verdict{Permit: true, Reason: reason} }
	no := func(reason string) residency.Verdict { return residency.Verdict{Reason: reason} }
	for _, row := range []struct {
		home, to, recipient string
		without, with       residency.Verdict // consent
	}{
		{"CN", "CN", "", yes(residency.Home), yes(residency.Home)},
		{"CN", "SG", "", no(residency.NoConsentAbroad), yes(residency.Consent)},
		{"CN", "DE", "", no(residency.NoConsentAbroad), no(residency.AdequacyExpired)},
		{"CN", "US", "", no(residency.NoConsentAbroad), no(residency.NotAdequate)},
		{"SG", "SG", "", yes(residency.Home), yes(residency.Home)},
		{"SG", "CN", "", no(residency.NoConsentAbroad), no(residency.NotAdequate)},
		{"", "", "", no(residency.CountryUnknown), no(residency.CountryUnknown)},
		{"CN", "", "", no(residency.CountryUnknown), no(residency.CountryUnknown)},
		{"", "SG", "", no(residency.CountryUnknown), no(residency.CountryUnknown)},
		{"cn", "cn", "", no(residency.CountryUnknown), no(residency.CountryUnknown)},
		{"CHN", "CHN", "", no(residency.CountryUnknown), no(residency.CountryUnknown)},

		{"CN", "", "ward", yes(residency.Home), yes(residency.Home)},
		{"CN", "CN", "ward", yes(residency.Home), yes(residency.Home)},
		{"CN", "SG", "ward", no(residency.RecipientMoved), no(residency.RecipientMoved)},
		{"CN", "", "lapsed", no(residency.AgreementExpired), no(residency.AgreementExpired)},
		{"CN", "", "clinic", no(residency.NoConsentAbroad), yes(residency.Consent)},
		{"CN", "CN", "clinic", no(residency.RecipientMoved), no(residency.RecipientMoved)},
		{"CN", "", "overdue", no(residency.AgreementExpired), no(residency.AgreementExpired)},
		{"CN", "", "elbe", no(residency.NoConsentAbroad), no(residency.AdequacyExpired)},
		{"CN", "", "nowhere", no(residency.NoConsentAbroad), no(residency.NotAdequate)},
		{"CN", "", "misspelt", no(residency.CountryUnknown), no(residency.CountryUnknown)},
		{"CN", "", "stranger", no(residency.RecipientUnknown), no(residency.RecipientUnknown)},
		{"CN", "CN", "stranger", no(residency.RecipientUnknown), no(residency.RecipientUnknown)},
	} {
		for _, consent := range []bool{false, true} {
			want := row.without
			if consent {
				want = row.with
			}
			f := residency.Flow{Home: row.home, To: row.to, Recipient: row.recipient, Consent: consent}
			if got := residency.Permit(f, known, now); got != want {
				t.Errorf("Permit(%+v) = %+v; want %+v", f, got, want)
			}
		}
	}
	if (residency.Verdict{}).Permit {
		t.Error("the zero verdict permits")
	}
	if got := residency.Permit(residency.Flow{Home: "CN", To: "SG", Consent: true}, residency.Registers{}, now); got.Permit {
		t.Error("registers that know nobody permit a flow abroad")
	}
}

func TestAnyoneIsWhoIsNotNamed(t *testing.T) {
	known := residency.Registers{Recipients: map[string]residency.Recipient{
		residency.Anyone: {Country: "CN", Document: "trial", Expires: now.Add(time.Hour)},
		"lapsed":         {Country: "CN", Document: "a-2", Expires: now},
	}}
	for name, want := range map[string]bool{"somebody": true, "lapsed": false} {
		if got := residency.Permit(residency.Flow{Home: "CN", Recipient: name}, known, now); got.Permit != want {
			t.Errorf("Permit to %s = %+v; want %v", name, got, want)
		}
	}
}

func TestRegistersAreChecked(t *testing.T) {
	later := now.Add(time.Hour)
	for name, row := range map[string]struct {
		known residency.Registers
		good  bool
	}{
		"empty":             {good: true},
		"good":              {residency.Registers{Countries: map[string]residency.Country{"SG": {"d", later}}, Recipients: map[string]residency.Recipient{"a": {Country: "CN", Document: "d", Expires: later}}}, true},
		"code":              {residency.Registers{Countries: map[string]residency.Country{"sg": {"d", later}}}, false},
		"no document":       {residency.Registers{Countries: map[string]residency.Country{"SG": {"", later}}}, false},
		"no end":            {residency.Registers{Countries: map[string]residency.Country{"SG": {Document: "d"}}}, false},
		"recipient nowhere": {residency.Registers{Recipients: map[string]residency.Recipient{"a": {Country: "", Document: "d", Expires: later}}}, false},
		"no agreement":      {residency.Registers{Recipients: map[string]residency.Recipient{"a": {Country: "CN", Document: "", Expires: later}}}, false},
		"no name":           {residency.Registers{Recipients: map[string]residency.Recipient{"": {Country: "CN", Document: "d", Expires: later}}}, false},
	} {
		if err := row.known.Check(); (err == nil) != row.good {
			t.Errorf("%s: Check() = %v; want good %v", name, err, row.good)
		}
	}
}
