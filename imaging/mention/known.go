package mention

import (
	"sync"

	"medvault/imaging/subject"
)

// Tokens are what is to stand instead of the patient.
type Tokens struct {
	Name string // of the patient: "[PT-KQ37HC]"
	ID   string // of the patient's numbers: "[ID:KQ37HC]"

	Days    int  // added to all dates but the birth date; 0 leaves them as they are
	NoDates bool // removes them instead
}

// The tokens of what has none of its own.
const (
	birthToken   = "[DOB]"
	dateToken    = "[DATE]"
	phoneToken   = "[PHONE]"
	emailToken   = "[EMAIL]"
	addressToken = "[ADDR]"
	numberToken  = "[ID]" // of a person or act not known
	urlToken     = "[URL]"
	ageToken     = "[AGE]"
	personToken  = "[PERSON]"
)

// Known is who the patient of a document is, made ready to be looked for. It is safe
// for concurrent use.
type Known struct {
	subject *subject.Subject
	tokens  Tokens
	forms   func() []subject.Form
}

// New makes ready to look for a patient. Dates of k are birth dates; Others are
// physicians, relatives and institutions.
func New(k subject.Known, t Tokens) *Known {
	s := subject.New(k)
	return &Known{subject: s, tokens: t, forms: sync.OnceValue(s.Forms)}
}
