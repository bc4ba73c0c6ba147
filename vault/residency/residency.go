// Package residency decides in which countries a patient's data may lie, and to whom and
// where they may go. It is pure. Countries are ISO 3166-1 alpha-2 codes.
//
// One decision, Permit, stands before every flow: storing, copying, repairing,
// rebuilding, exporting and reading.
package residency

import (
	"errors"
	"fmt"
	"time"
)

// Region is a region and the country under whose law it lies.
type Region struct {
	Name         string
	Jurisdiction string
}

// Flow is a patient's data on their way to somewhere.
type Flow struct {
	Home      string // the patient's; required
	To        string // country; of a recipient "" is that of the register
	Recipient string // institution that is given them; "" is the vault itself and its people
	Consent   bool   // the patient's explicit written consent covers it
}

// Registers say what is known of the receiving end. The zero Registers know nobody.
type Registers struct {
	Countries  map[string]Country   // by code: those with adequate protection
	Recipients map[string]Recipient // by name of the institution; Anyone stands for those not named
}

// Anyone, as the name of a recipient, is everybody who is not registered by name. A vault
// that keeps patients' data has no such entry; it is for trying things out.
const Anyone = "*"

// Country is a finding that a country protects data adequately.
type Country struct {
	Document string    // where the finding is written
	Expires  time.Time // it does not hold from then on
}

// Recipient is an institution with which there is an agreement.
type Recipient struct {
	Country  string
	Document string    // the agreement
	Expires  time.Time // it does not hold from then on
	Endpoint string    // DICOMweb root that takes what patients have sent there; "": none
}

// Verdict is an answer with its reason. The zero Verdict refuses.
type Verdict struct {
	Permit bool
	Reason string // one of the reasons below
}

// Reasons of a Verdict.
const (
	Home             = "home"
	Consent          = "consent"
	CountryUnknown   = "country-unknown"
	NoConsentAbroad  = "no-consent-abroad"
	NotAdequate      = "destination-not-adequate"
	AdequacyExpired  = "adequacy-expired"
	RecipientUnknown = "recipient-unknown"
	RecipientMoved   = "recipient-elsewhere" // not in the country that the register names
	AgreementExpired = "agreement-expired"
)

// Permit decides a flow at a time. At home nothing more is needed; abroad the patient's
// explicit written consent and adequate protection there; and whoever is given anything,
// anywhere, has a live agreement. What is not known is refused, consent or not.
func Permit(f Flow, known Registers, at time.Time) Verdict {
	if f.Recipient != "" {
		r, ok := known.recipient(f.Recipient)
		switch {
		case !ok:
			return Verdict{Reason: RecipientUnknown}
		case !at.Before(r.Expires):
			return Verdict{Reason: AgreementExpired}
		case f.To == "":
			f.To = r.Country
		case f.To != r.Country:
			return Verdict{Reason: RecipientMoved}
		}
	}
	switch country, adequate := known.Countries[f.To]; {
	case !code(f.To) || !code(f.Home):
		return Verdict{Reason: CountryUnknown}
	case f.To == f.Home:
		return Verdict{Permit: true, Reason: Home}
	case !f.Consent:
		return Verdict{Reason: NoConsentAbroad}
	case !adequate:
		return Verdict{Reason: NotAdequate}
	case !at.Before(country.Expires):
		return Verdict{Reason: AdequacyExpired}
	}
	return Verdict{Permit: true, Reason: Consent}
}

func (r Registers) recipient(name string) (Recipient, bool) {
	if of, ok := r.Recipients[name]; ok {
		return of, true
	}
	of, ok := r.Recipients[Anyone]
	return of, ok
}

// CountryOf is where the register says that a recipient is; "" when it knows of none.
func (r Registers) CountryOf(recipient string) string {
	of, _ := r.recipient(recipient)
	return of.Country
}

// EndpointOf is the DICOMweb root of a recipient. anywhere: it is one of those who are not
// registered by name, in a vault for trying things out, and may be anywhere.
func (r Registers) EndpointOf(recipient string) (root string, anywhere bool) {
	if of, ok := r.Recipients[recipient]; ok {
		return of.Endpoint, false
	}
	_, anywhere = r.Recipients[Anyone]
	return "", anywhere
}

// Check says what is amiss with the registers themselves.
func (r Registers) Check() (err error) {
	for name, c := range r.Countries {
		if !code(name) || c.Document == "" || c.Expires.IsZero() {
			err = errors.Join(err, fmt.Errorf("country %q: want an ISO 3166-1 alpha-2 code, a document and when it expires", name))
		}
	}
	for name, of := range r.Recipients {
		if name == "" || !code(of.Country) || of.Document == "" || of.Expires.IsZero() {
			err = errors.Join(err, fmt.Errorf("recipient %q: want a name, a country by its ISO 3166-1 alpha-2 code, a document and when it expires", name))
		}
	}
	return err
}

// code checks the form of a country's; spelling it in two ways must not make two countries.
func code(country string) bool {
	return len(country) == 2 && country[0] >= 'A' && country[0] <= 'Z' && country[1] >= 'A' && country[1] <= 'Z'
}
