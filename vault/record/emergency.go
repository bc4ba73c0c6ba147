package record

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Emergency is why somebody needs a patient's documents that cannot wait. It may name the
// patient, so it shows itself to nobody but who asks for Text: it belongs into a sealed
// record.
type Emergency struct{ text func() string }

// NewEmergency takes a reason of 10 to 1000 characters; else ErrInvalid.
func NewEmergency(reason string) (*Emergency, error) {
	reason = strings.TrimSpace(reason)
	if n := utf8.RuneCountInString(reason); !utf8.ValidString(reason) || n < 10 || n > 1000 {
		return nil, Refuse(ErrInvalid, "bad-reason", "say in 10 to 1000 characters what the emergency is")
	}
	return &Emergency{func() string { return reason }}, nil
}

// Text is the reason.
func (e *Emergency) Text() string { return e.text() }

// String hides the reason.
func (e *Emergency) String() string { return "[redacted]" }

// MarshalText fails: a reason is sealed as text, on purpose.
func (e *Emergency) MarshalText() ([]byte, error) {
	return nil, errors.New("the reason of an emergency is not written down like this")
}
