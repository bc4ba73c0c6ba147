package fhir_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"medvault/api/fhir"
	"medvault/vault"
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

// What is read from a Consent is what the vault tells of it, as a Consent, to whoever reads
// that: nothing is lost on the way, and nothing comes to it.
func FuzzConsent(f *testing.F) {
	const patient = `"patient":{"identifier":{"system":"urn:medvault:patient-token","value":"paaaaaaaaaaaaaaaaaaaaaaaaaa"}}`
	for _, s := range []string{
		`{"resourceType":"Consent","status":"active",` + patient + `,"provision":{"type":"permit","purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"HRESCH"}]},"sourceReference":{"identifier":{"system":"urn:medvault:object","value":"00000000000000000000000000000000"}}}`,
		`{"resourceType":"Consent","status":"active",` + patient + `,"provision":{"type":"deny","extension":[{"url":"urn:medvault:decision","valueCode":"restrict"},{"url":"urn:medvault:country","valueCode":"SG"}]}}`,
		`{"resourceType":"Consent","status":"active",` + patient + `,"provision":{"extension":[{"url":"urn:medvault:country","valueCode":"SG"},{"url":"urn:medvault:reading","valueBoolean":true}],"period":{"start":"2026-01-01T00:00:00Z","end":"2027-01-01T00:00:00+08:00"},"actor":[{"role":{},"reference":{"identifier":{"system":"urn:medvault:institution","value":"partner"}}}]}}`,
		`{"resourceType":"Consent","status":"inactive",` + patient + `}`, `{"resourceType":"Consent","patient":null}`, `[]`, `{`, ``,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		patient, said, err := fhir.Said(strings.NewReader(text))
		if err != nil {
			return
		}
		kept := vault.Consent{Patient: patient, Purpose: said.Purpose, Recipient: said.Recipient, Country: said.Country, Decision: said.Decision,
			Reading: said.Reading, Until: said.Until, Evidence: said.Evidence, Guardian: said.Guardian}
		if said.From != nil {
			kept.From = *said.From
		}
		told, err := fhir.Told(kept)
		if err != nil {
			t.Fatalf("%q is %+v, which cannot be told: %v", text, said, err)
		}
		of, again, err := fhir.Said(bytes.NewReader(told))
		if err != nil {
			t.Fatalf("%q is told as %s, which cannot be read: %v", text, told, err)
		}
		if said.From == nil {
			again.From = nil // which is now, when it is put on record
		}
		if of != patient || !same(said, again) {
			t.Errorf("%q says %+v, and told again %+v", text, said, again)
		}
	})
}

// same compares what was said; an instant is the same in every zone.
func same(a, b vault.NewConsent) bool {
	if (a.From == nil) != (b.From == nil) || a.From != nil && !a.From.Equal(*b.From) || (a.Until == nil) != (b.Until == nil) || a.Until != nil && !a.Until.Equal(*b.Until) {
		return false
	}
	a.From, a.Until, b.From, b.Until = nil, nil, nil, nil
	return reflect.DeepEqual(a, b)
}
