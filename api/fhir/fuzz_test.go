package fhir_test

import (
	"strings"
	"testing"

	"medvault/api/fhir"
)

// Whoever is taken from a CareTeam or an Encounter has a name, and there are not too many.
func FuzzCare(f *testing.F) {
	for _, s := range []string{
		`{"resourceType":"CareTeam","status":"active","participant":[{"member":{"reference":"Practitioner/a"},"period":{"start":"2026-01-01T00:00:00Z","end":"2027-01-01T00:00:00Z"}}]}`,
		`{"resourceType":"Encounter","status":"in-progress","participant":[{"individual":{"identifier":{"value":"b"}}}],"period":{"end":"2027-01-01T00:00:00Z"}}`,
		`{"resourceType":"CareTeam","status":"active","participant":[{"member":{"reference":"Practitioner/"}}]}`,
		`{"resourceType":"CareTeam","participant":[null]}`, `[]`, `{`, ``,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, kind := range []string{"CareTeam", "Encounter"} {
			who, from, until, err := fhir.Participants(strings.NewReader(text), kind)
			if err == nil && (len(who) == 0 || len(who) > 64 || len(from) != len(who) || len(until) != len(who)) {
				t.Errorf("%q names %q", text, who)
			}
			for _, subject := range who {
				if subject == "" {
					t.Errorf("%q names somebody without a subject", text)
				}
			}
		}
	})
}
