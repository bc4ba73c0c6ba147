package dicom

import (
	"strconv"
	"strings"
	"time"
)

// shiftDates moves every date of a DA or DT value by so many days. What is not a
// date becomes empty. A DT keeps its time of day and zone.
func shiftDates(vr VR, value string, days int) string {
	parts := strings.Split(value, `\`)
	for i, p := range parts {
		if vr == DT {
			parts[i] = shiftDateTime(trimmed(p), days)
		} else {
			parts[i] = shiftDate(trimmed(p), days)
		}
	}
	return strings.Join(parts, `\`)
}

// shiftDate takes YYYYMMDD, or YYYY.MM.DD as before 1993, and gives the former.
func shiftDate(s string, days int) string {
	if len(s) == 10 && s[4] == '.' && s[7] == '.' {
		s = s[:4] + s[5:7] + s[8:]
	}
	day, err := time.Parse("20060102", s)
	if err != nil {
		return ""
	}
	return format(day.AddDate(0, 0, days), 8)
}

func shiftDateTime(s string, days int) string {
	digits := strings.IndexFunc(s+"x", func(r rune) bool { return r < '0' || r > '9' })
	rest := ""
	switch {
	case digits >= 8:
		rest, s, digits = s[8:], s[:8], 8
	case digits == 6 || digits == 4: // only a month or a year: shifted from its first day
		rest, s = s[digits:], s[:digits]+"0101"[digits-4:]
	default:
		return ""
	}
	day, err := time.Parse("20060102", s)
	if err != nil || len(rest) > 18 || strings.Trim(rest, "0123456789.+-") != "" {
		return ""
	}
	return format(day.AddDate(0, 0, days), digits) + rest
}

// format gives n digits of a day, nothing when it has left the calendar.
func format(day time.Time, n int) string {
	if day.Year() < 1 || day.Year() > 9999 {
		return ""
	}
	return day.Format("20060102")[:n]
}

// capAges writes ages over 89 years as 90 (PS3.15 E.3.7 and what many laws ask): so
// old are few enough to be known by it. False when there is none.
func capAges(value []byte) ([]byte, bool) {
	parts := strings.Split(trimmed(string(value)), `\`)
	capped := false
	for i, p := range parts {
		p = trimmed(p)
		n := len(p) - 1
		if n < 1 {
			continue
		}
		age, err := strconv.Atoi(p[:n])
		most := map[byte]int{'Y': 89, 'M': 90*12 - 1, 'W': 90*52 + 12, 'D': 90*365 + 21}[p[n]]
		if err == nil && most != 0 && age > most {
			parts[i], capped = "090Y", true
		}
	}
	return padText(AS, strings.Join(parts, `\`)), capped
}
