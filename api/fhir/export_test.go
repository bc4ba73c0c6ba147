package fhir

import (
	"encoding/json"
	"io"
	"time"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// Participants are the practitioners that a CareTeam or an Encounter names, and their
// times.
func Participants(body io.Reader, kind string) (subjects []string, from, until []time.Time, err error) {
	r, err := readCare(body, kind, []string{"active", "in-progress"})
	if err != nil {
		return nil, nil, nil, err
	}
	for _, p := range r.Participant {
		who := p.Member
		if kind == "Encounter" {
			who = p.Individual
		}
		b, e := within(r.Period, p.Period)
		subjects, from, until = append(subjects, who.practitioner()), append(from, b), append(until, e)
	}
	return subjects, from, until, nil
}

// Said is what a Consent says.
func Said(body io.Reader) (record.PatientToken, vault.NewConsent, error) {
	var c consent
	if err := answer.Body(body, &c, "a Consent"); err != nil {
		return "", vault.NewConsent{}, err
	}
	return c.said()
}

// Told is the resource of a statement.
func Told(c vault.Consent) ([]byte, error) { return json.Marshal(consentResource(c)) }
