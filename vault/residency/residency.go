// Package residency decides in which countries a patient's data may lie, and from
// which it may be read. It is pure. Countries are ISO 3166-1 alpha-2 codes.
package residency

import "slices"

// Verdict is an answer with its reason. The zero Verdict refuses.
type Verdict struct {
	Permit bool
	Reason string // kebab-case; why it is refused, or "home" or "consent"
}

// Permit says whether the data of a patient whose home is patientCountry may lie in,
// or be read from, country. Home is always permitted; abroad only when covered: the
// patient's written consent for that country is on record. An unknown country on
// either side is refused, consent or not.
func Permit(country, patientCountry string, covered bool) Verdict {
	switch {
	case !known(country) || !known(patientCountry):
		return Verdict{Reason: "country-unknown"}
	case country == patientCountry:
		return Verdict{Permit: true, Reason: "home"}
	case covered:
		return Verdict{Permit: true, Reason: "consent"}
	}
	return Verdict{Reason: "no-consent-abroad"}
}

// known checks the form of a code; spelling it in two ways must not make two countries.
func known(country string) bool {
	return len(country) == 2 && country[0] >= 'A' && country[0] <= 'Z' && country[1] >= 'A' && country[1] <= 'Z'
}

// Region is a region and the country under whose law it lies.
type Region struct {
	Name         string
	Jurisdiction string
}

// Regions keeps those of regions where an object of such a patient may lie, in their
// order: the home jurisdiction, and the foreign countries that consent covers.
func Regions(patientCountry string, regions []Region, covered ...string) []Region {
	var may []Region
	for _, r := range regions {
		if Permit(r.Jurisdiction, patientCountry, slices.Contains(covered, r.Jurisdiction)).Permit {
			may = append(may, r)
		}
	}
	return may
}
