package vault

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"medvault/imaging/subject"
	"medvault/vault/record"
)

// maxReason bounds what a person gives as a reason, in characters.
const maxReason = 200

// nobody is whom a reason about no single patient is searched for: numbers of persons,
// phones and addresses are found all the same.
var nobody = subject.Known{}

// checkReason refuses a reason that is none, that no log could show, or that names the
// patient: those who read reasons need not know them.
func checkReason(reason string, of subject.Known) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return record.Refuse(record.ErrInvalid, "missing-reason", "say why, in at most 200 characters")
	case !utf8.ValidString(reason), utf8.RuneCountInString(reason) > maxReason, strings.ContainsFunc(reason, unicode.IsControl):
		return record.Refuse(record.ErrInvalid, "bad-reason", "a reason has at most 200 characters and no control characters")
	case len(subject.New(of).Find(reason)) > 0:
		return record.Refuse(record.ErrInvalid, "reason-names-patient", "say why without naming the patient: no name, number, date, phone or address")
	}
	return nil
}
