// Package staff says whether a person of the staff may act at all, before anybody
// asks for what: on the register, not suspended, of an institution that is bound by a
// live agreement, trained within a year. It is pure: the clock is passed in.
package staff

import (
	"slices"
	"time"

	"medvault/vault/record"
)

// Standings. Only the first three let anybody do anything; the others are the codes that
// a refused person is told.
const (
	Good  = "good"
	Self  = "self"  // a patient or guardian: no staff, they come by their own path
	House = "house" // the vault itself, or its operator on its own host

	NotOnRegister        = "not-on-register"
	RoleNotRegistered    = "role-not-registered" // the token claims a role that the register does not give
	RoleAmbiguous        = "role-ambiguous"      // several roles, and the token chooses none
	Suspended            = "suspended"
	InstitutionSuspended = "institution-suspended"
	AgreementExpired     = "agreement-expired"
	TrainingExpired      = "training-expired"
)

// Kinds of persons on the register.
const (
	Person  = "person"
	Service = "service" // a machine or modality: nobody trains it
)

// States of a person or institution.
const (
	Active = "active"
	Halted = "suspended"
)

// Entry is what the register says of one person and their institution.
type Entry struct {
	Kind        string // Person or Service
	State       string
	Roles       []record.Role
	Trained     time.Time // when the last training was attested; zero: never
	Institution Institution
}

// Institution is what the register says of one institution.
type Institution struct {
	State     string
	Own       bool      // the house itself: it signs no agreement with itself
	Agreement time.Time // until when the signed compliance agreement binds it; zero: none was signed
}

// Of decides how a person stands at a time, and in which role. claimed is what their
// token says they are: it chooses among the roles of the register and adds none; "" is a
// token that says nothing. e is nil for whoever is not on the register.
func Of(e *Entry, claimed record.Role, now time.Time) (standing string, role record.Role) {
	switch {
	case Outside(claimed):
		return Self, claimed
	case e == nil:
		return NotOnRegister, claimed
	case e.State != Active:
		return Suspended, claimed
	case e.Institution.State != Active:
		return InstitutionSuspended, claimed
	case !now.Before(e.AgreementEnds()) && !e.Institution.Own:
		return AgreementExpired, claimed
	case !now.Before(e.TrainingEnds()) && e.Kind != Service:
		return TrainingExpired, claimed
	case claimed == "" && len(e.Roles) != 1:
		return RoleAmbiguous, claimed
	case claimed == "":
		return Good, e.Roles[0]
	case !slices.Contains(e.Roles, claimed):
		return RoleNotRegistered, claimed
	}
	return Good, claimed
}

// Outside says whether a role is no staff's.
func Outside(r record.Role) bool { return r == record.RolePatient || r == record.RoleGuardian }

// AgreementEnds is when access ends with the institution's agreement; zero: it never was.
func (e *Entry) AgreementEnds() time.Time { return e.Institution.Agreement }

// TrainingEnds is when access ends unless another training is attested: a year after the
// last; zero: never trained.
func (e *Entry) TrainingEnds() time.Time {
	if e.Trained.IsZero() {
		return time.Time{}
	}
	return e.Trained.AddDate(1, 0, 0)
}

// warnDays before access ends, whoever it concerns is warned.
const warnDays = 30

// Warning says what is about to end a person's access, and when.
type Warning struct {
	Reason string    `json:"reason"` // what the refusal will be: TrainingExpired or AgreementExpired
	At     time.Time `json:"at"`
}

// Warnings lists what ends the access of a person in good standing within 30 days.
func Warnings(e *Entry, now time.Time) (w []Warning) {
	soon := func(at time.Time) bool { return now.Before(at) && !now.Before(at.AddDate(0, 0, -warnDays)) }
	if at := e.TrainingEnds(); e.Kind != Service && soon(at) {
		w = append(w, Warning{TrainingExpired, at})
	}
	if at := e.AgreementEnds(); !e.Institution.Own && soon(at) {
		w = append(w, Warning{AgreementExpired, at})
	}
	return w
}

// Advice tells a refused person what to do about it; "" when s refuses nobody.
func Advice(s string) string {
	switch s {
	case NotOnRegister:
		return "you are not on the staff register of this vault: ask its administrator"
	case RoleNotRegistered:
		return "the staff register does not give you the role that your token claims: ask the administrator"
	case RoleAmbiguous:
		return "the staff register gives you several roles: get a token that names one"
	case Suspended:
		return "your entry in the staff register is suspended: ask the administrator"
	case InstitutionSuspended:
		return "your institution is suspended: ask the administrator"
	case AgreementExpired:
		return "your institution's signed compliance agreement has expired: the administrator enters the new one"
	case TrainingExpired:
		return "your last data protection training is older than a year: attend one and have it attested"
	}
	return ""
}
