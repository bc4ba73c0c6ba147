package token

import (
	"errors"
	"strings"
	"time"
)

// MaxDays is how many days a range may have: each is a term to look up.
const MaxDays = 3700

// Errors of dates. They never hold the date: a birth date is patient data.
var (
	ErrDate      = errors.New("a date must be YYYYMMDD, a range YYYYMMDD-YYYYMMDD")
	ErrDateRange = errors.New("a date range must have a beginning, must not end before it, and may span ten years at most")
)

const dateForm = "20060102"

// Day is the index form of a date (VR DA).
func Day(date string) (string, error) {
	day, err := time.Parse(dateForm, trim(date))
	if err != nil {
		return "", ErrDate // err would quote the date
	}
	return day.Format(dateForm), nil
}

// Days are the days that a date query matches: one date, "A-B", or "A-", which
// ends the day after today, since another time zone may be there already.
func Days(query string, today time.Time) ([]string, error) {
	from, to, isRange := strings.Cut(trim(query), "-")
	first, err := time.Parse(dateForm, trim(from))
	switch {
	case from == "" && isRange:
		return nil, ErrDateRange
	case err != nil:
		return nil, ErrDate
	}
	last := first
	if to = trim(to); to != "" {
		if last, err = time.Parse(dateForm, to); err != nil {
			return nil, ErrDate
		}
	} else if isRange {
		last = time.Date(today.Year(), today.Month(), today.Day()+1, 0, 0, 0, 0, time.UTC)
	}
	n := int(last.Sub(first)/(24*time.Hour)) + 1
	if n < 1 || n > MaxDays {
		return nil, ErrDateRange
	}
	days := make([]string, n)
	for i := range days {
		days[i] = first.AddDate(0, 0, i).Format(dateForm)
	}
	return days, nil
}
