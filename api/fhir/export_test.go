package fhir

import (
	"io"
	"time"
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
