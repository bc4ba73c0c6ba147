// Package consent answers what a patient has agreed to in writing. It is pure: it
// reads no record and no clock.
package consent

import "medvault/vault/record"

// Consents answers from the consents on record. Without one there is no consent:
// an implementation that cannot tell answers false.
type Consents interface {
	// Research says whether the patient has agreed in writing to research.
	Research(p record.PatientToken) bool
	// Abroad says whether the patient has agreed in writing to storage in country
	// (ISO 3166-1 alpha-2) and to reading from there.
	Abroad(p record.PatientToken, country string) bool
}

// Static is a fixed table. The zero Static knows of no consent.
type Static struct {
	ForResearch map[record.PatientToken]bool
	ForCountry  map[record.PatientToken][]string // ISO 3166-1 alpha-2
}

var _ Consents = Static{}

// Research says whether the table holds a research consent of p.
func (s Static) Research(p record.PatientToken) bool { return s.ForResearch[p] }

// Abroad says whether the table holds a consent of p for country.
func (s Static) Abroad(p record.PatientToken, country string) bool {
	for _, c := range s.ForCountry[p] {
		if c == country && country != "" {
			return true
		}
	}
	return false
}
