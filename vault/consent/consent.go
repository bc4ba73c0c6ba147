// Package consent says what a patient has agreed to, from the statements on record. It
// is pure: it reads no record and no clock.
//
// Without a statement the law's default holds: treatment and what serves it is permitted
// at home; research, and everything abroad, is not. A statement is live from From until
// Until or Ended. A live refusal or restriction beats every permit that it touches.
//
// Purposes are HL7 v3 PurposeOfUse codes and stand in its hierarchy: TREAT holds ETREAT,
// HOPERAT holds HQUALIMP. Any ("*") is every purpose, but a permit for research names
// HRESCH, since consent to it is given separately; and no refusal keeps patients from
// their own documents (PATRQT) or the data protection officer from answering (HCOMPL).
package consent

import (
	"slices"
	"time"

	"medvault/vault/record"
)

// Decision is what a statement says.
type Decision string

const (
	Permit   Decision = "permit"
	Refuse   Decision = "refuse"
	Restrict Decision = "restrict" // of what was permitted, or is by default
)

// Any stands for every purpose.
const Any record.Purpose = "*"

// Statement is one thing a patient has said, or somebody for them.
type Statement struct {
	ID        record.ObjectID
	Patient   record.PatientToken
	Purpose   record.Purpose
	Recipient string // institution; "" is the vault and its own people
	Country   string // ISO 3166-1 alpha-2; "" is home in a permit, everywhere else in a refusal
	Decision  Decision
	Reading   bool // a permit for a country covers reading there, not storage alone
	From      time.Time
	Until     *time.Time      // nil: until it is withdrawn
	Evidence  record.ObjectID // the stored document in which it is written; "" is none
	By        string          // who recorded it
	Recorded  time.Time
	Ended     *time.Time // when it was withdrawn; nil: it was not
	EndedBy   string
	Guardian  string // subject of the guardian who said it for a child; "" is the patient
}

// Live says whether the statement holds at that time.
func (s Statement) Live(at time.Time) bool {
	return !at.Before(s.From) && (s.Until == nil || at.Before(*s.Until)) && (s.Ended == nil || at.Before(*s.Ended))
}

// Use is what is to be done with a patient's data.
type Use struct {
	Purpose   record.Purpose
	Recipient string // institution that does it or is given them
	Country   string // where; "" is at home
}

// Refused says whether a live refusal or restriction touches the use.
func Refused(all []Statement, u Use, at time.Time) bool {
	return slices.ContainsFunc(all, func(s Statement) bool {
		return s.Decision != Permit && s.Live(at) && s.refuses(u)
	})
}

func (s Statement) refuses(u Use) bool {
	if s.Purpose == Any && (u.Purpose == record.PurposePatient || u.Purpose == record.PurposeCompl) {
		return false
	}
	return holds(s.Purpose, u.Purpose) && (s.Country == "" || s.Country == u.Country) && (s.Recipient == "" || s.Recipient == u.Recipient)
}

// Research says whether the patient has agreed to research as this use is.
func Research(all []Statement, u Use, at time.Time) bool {
	u.Purpose = record.PurposeResearch
	return permitted(all, u, at, func(s Statement) bool {
		return s.Purpose == u.Purpose && (s.Recipient == "" || s.Recipient == u.Recipient) && (u.Country == "" || s.Reading)
	})
}

// Stored says whether the patient has agreed that the vault keeps documents in a country
// that is not home. That serves the treatment: a permit for another purpose does not do.
func Stored(all []Statement, country string, at time.Time) bool {
	return kept(all, country, at, func(Statement) bool { return true })
}

// Opened is Stored together with keys that open there what is stored.
func Opened(all []Statement, country string, at time.Time) bool {
	return kept(all, country, at, func(s Statement) bool { return s.Reading })
}

func kept(all []Statement, country string, at time.Time, and func(Statement) bool) bool {
	u := Use{Purpose: record.PurposeTreat, Country: country}
	return country != "" && permitted(all, u, at, func(s Statement) bool {
		return holds(s.Purpose, u.Purpose) && s.Recipient == "" && and(s)
	})
}

// Abroad says whether the patient has agreed to a use in a country that is not home, by
// the vault's own people there or, where a permit names it, by an institution.
func Abroad(all []Statement, u Use, at time.Time) bool {
	return u.Country != "" && permitted(all, u, at, func(s Statement) bool {
		if s.Purpose == Any && u.Purpose == record.PurposeResearch {
			return false
		}
		return s.Reading && holds(s.Purpose, u.Purpose) && (s.Recipient == "" || s.Recipient == u.Recipient)
	})
}

// Given says whether the patient has agreed, by its name, that an institution is given
// documents, in a country that is not home.
func Given(all []Statement, u Use, at time.Time) bool {
	return u.Country != "" && u.Recipient != "" && permitted(all, u, at, func(s Statement) bool {
		if s.Purpose == Any && u.Purpose == record.PurposeResearch {
			return false
		}
		return holds(s.Purpose, u.Purpose) && s.Recipient == u.Recipient
	})
}

// Guarded says whether a guardian has agreed in writing, and refuses nothing of it, that a
// child is treated here and documents about it are kept at home.
func Guarded(all []Statement, at time.Time) bool {
	return permitted(all, Use{Purpose: record.PurposeTreat}, at, func(s Statement) bool {
		return s.Guardian != "" && s.Evidence != "" && s.Recipient == "" && holds(s.Purpose, record.PurposeTreat)
	})
}

// OfChild is what counts of what was said about a child: every refusal; and where a
// guardian has agreed (Guarded), what guardians permit. What a child permits counts for
// nothing.
func OfChild(all []Statement, at time.Time) []Statement {
	guarded := Guarded(all, at)
	return slices.DeleteFunc(slices.Clone(all), func(s Statement) bool {
		return s.Decision == Permit && (!guarded || s.Guardian == "")
	})
}

// permitted says whether a live permit for the use's country fits, and nothing refuses it.
func permitted(all []Statement, u Use, at time.Time, fits func(Statement) bool) bool {
	return slices.ContainsFunc(all, func(s Statement) bool {
		return s.Decision == Permit && s.Live(at) && s.Country == u.Country && fits(s)
	}) && !Refused(all, u, at)
}

// holds says whether a purpose is another, or above it in HL7's hierarchy.
func holds(said, asked record.Purpose) bool {
	return said == Any || said == asked ||
		said == record.PurposeTreat && asked == record.PurposeETreat ||
		said == record.PurposeOperate && asked == record.PurposeQuality
}

// Known says whether a statement may be about this purpose.
func Known(p record.Purpose) bool {
	switch p {
	case Any, record.PurposeTreat, record.PurposeETreat, record.PurposeOperate, record.PurposeQuality, record.PurposeResearch, record.PurposePayment:
		return true
	}
	return false
}

// NeedsEvidence says whether the law wants a statement in writing: research, whatever
// goes abroad, what permits everything, and what a guardian agrees to.
func (s Statement) NeedsEvidence() bool {
	return s.Decision == Permit && (s.Country != "" || s.Purpose == record.PurposeResearch || s.Purpose == Any || s.Guardian != "")
}
