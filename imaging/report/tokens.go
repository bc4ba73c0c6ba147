package report

import (
	"medvault/imaging"
	"medvault/imaging/mention"
	"medvault/imaging/subject"
)

// people makes ready to look for a patient, and says what is to stand there instead: the
// beginning of the patient token, so that a reader of both sees that a report and an
// image are of one patient.
func people(known subject.Known, p imaging.Pseudonyms) *mention.Known {
	return mention.New(known, tokens(p))
}

// tokens are what stands in text in the place of a patient.
func tokens(p imaging.Pseudonyms) mention.Tokens {
	return mention.Tokens{Name: "[PT-" + p.Short() + "]", ID: "[ID:" + p.Short() + "]", Days: p.ShiftDays}
}
