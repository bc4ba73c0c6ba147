package token

import (
	"errors"
	"time"
)

// SealBirth seals a patient's birth date under a child of the index key, bound to their
// token, for the catalog to keep: the guard has to know at every act whether a patient is
// under age. Every sealing is another, so that equal dates do not show.
func (t *Tokens) SealBirth(patient string, birth time.Time) []byte {
	return t.birth.Seal(nil, nil, []byte(birth.Format(dateForm)), []byte(patient))
}

// OpenBirth opens what SealBirth sealed, as midnight UTC of that day.
func (t *Tokens) OpenBirth(patient string, sealed []byte) (time.Time, error) {
	date, err := t.birth.Open(nil, nil, sealed, []byte(patient))
	if err != nil {
		return time.Time{}, errors.New("sealed birth date does not open")
	}
	return ParseDay(string(date))
}

// ParseDay reads a date (VR DA) as midnight UTC of that day.
func ParseDay(date string) (time.Time, error) {
	day, err := time.Parse(dateForm, trim(date))
	if err != nil {
		return time.Time{}, ErrDate // err would quote the date
	}
	return day, nil
}
