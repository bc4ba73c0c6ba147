// Package workday counts Chinese working days. It is pure: the time is passed in, and the
// days off are data with a version.
//
// The State Council announces every autumn which days of the next year are off and which
// Saturdays and Sundays are worked instead. A year whose notice is not out yet is counted
// by the week alone, and what follows from it is marked provisional: without its holidays
// a deadline comes early, never late by them.
package workday

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // when a day begins in China does not depend on the machine

	_ "embed"
)

//go:embed china.txt
var china string

// Calendar knows the working days of some years. Make it with China; it never changes.
type Calendar struct {
	version string
	years   map[int]year
	zone    *time.Location
}

// year is what one notice says.
type year struct {
	notice string
	off    map[date]bool
	work   map[date]bool
}

// date is a day of the calendar, as 2026-02-14.
type date string

// China is the calendar of the notices that this version knows.
func China() *Calendar {
	c, err := parse(china, nil)
	if err != nil {
		panic(err) // the data is compiled in, and tested
	}
	return c
}

// With is the calendar with the years of an operator's text in the place of its own, in the
// form of china.txt; its version names both.
func (c *Calendar) With(text string) (*Calendar, error) {
	own, err := parse(text, c.zone)
	if err != nil {
		return nil, err
	}
	merged := &Calendar{version: c.version + "+" + own.version, years: maps.Clone(c.years), zone: c.zone}
	maps.Copy(merged.years, own.years)
	return merged, nil
}

// Version names the data, as cn-2026.1, with that of an operator's own behind a plus.
func (c *Calendar) Version() string { return c.version }

// Years lists the years whose notices are known, in order.
func (c *Calendar) Years() []int { return slices.Sorted(maps.Keys(c.years)) }

// Zone is where the days are counted: a day begins at midnight in Beijing.
func (c *Calendar) Zone() *time.Location { return c.zone }

// Works says whether the day in which a moment lies is a working day, and whether the
// notice of its year is known.
func (c *Calendar) Works(at time.Time) (works, known bool) {
	at = at.In(c.zone)
	of, known := c.years[at.Year()]
	day := date(at.Format(time.DateOnly))
	switch {
	case of.off[day]:
		return false, known
	case of.work[day]:
		return true, known
	}
	return at.Weekday() != time.Saturday && at.Weekday() != time.Sunday, known
}

// Deadline is when something is due.
type Deadline struct {
	At          time.Time `json:"at"`                    // the first moment that is too late
	Provisional bool      `json:"provisional,omitempty"` // a day on the way lies in a year whose notice is not out
}

// Deadline counts n working days from a moment. The day on which a period begins does not
// count (Civil Code, article 201), and the last day belongs to it whole.
func (c *Calendar) Deadline(from time.Time, n int) Deadline {
	from = from.In(c.zone)
	var d Deadline
	day := midnight(from)
	for n > 0 {
		day = day.AddDate(0, 0, 1)
		works, known := c.Works(day)
		if works {
			n--
		}
		d.Provisional = d.Provisional || !known
	}
	d.At = day.AddDate(0, 0, 1)
	return d
}

// Before is the beginning of the n-th working day that ends at or before a deadline: from
// then on fewer than n of them are left. n is at least 1.
func (c *Calendar) Before(deadline time.Time, n int) time.Time {
	day := midnight(deadline.In(c.zone))
	for n > 0 {
		day = day.AddDate(0, 0, -1)
		if works, _ := c.Works(day); works {
			n--
		}
	}
	return day
}

func midnight(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location())
}

// parse reads a calendar; zone nil is China's.
func parse(text string, zone *time.Location) (*Calendar, error) {
	if zone == nil {
		var err error
		if zone, err = time.LoadLocation("Asia/Shanghai"); err != nil {
			return nil, fmt.Errorf("time zone of China: %w", err)
		}
	}
	c := &Calendar{years: make(map[int]year), zone: zone}
	at := 0 // the year that the lines are about
	for i, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if err := c.take(words, &at); err != nil {
			return nil, fmt.Errorf("holidays, line %d: %w", i+1, err)
		}
	}
	if c.version == "" || len(c.years) == 0 {
		return nil, fmt.Errorf("holidays: want a line \"version NAME\" and a year at least")
	}
	return c, nil
}

func (c *Calendar) take(words []string, at *int) error {
	switch verb, rest := words[0], words[1:]; {
	case verb == "version" && len(rest) == 1 && c.version == "" && len(rest[0]) <= 64:
		c.version = rest[0]
		return nil
	case verb == "year" && len(rest) == 3:
		begins, err := time.Parse("2006", rest[0])
		if err != nil {
			return fmt.Errorf("no year: want year YEAR NOTICE DATE")
		}
		if _, err := time.Parse(time.DateOnly, rest[2]); err != nil {
			return fmt.Errorf("no date of the notice: want year YEAR NOTICE DATE")
		}
		if _, twice := c.years[begins.Year()]; twice {
			return fmt.Errorf("year %d stands here twice", begins.Year())
		}
		*at = begins.Year()
		c.years[*at] = year{notice: rest[1], off: make(map[date]bool), work: make(map[date]bool)}
		return nil
	case verb == "off" && (len(rest) == 1 || len(rest) == 2):
		return c.days(c.years[*at].off, rest[0], rest[len(rest)-1], *at)
	case verb == "work" && len(rest) == 1:
		return c.days(c.years[*at].work, rest[0], rest[0], *at)
	}
	return fmt.Errorf("want version NAME, year YEAR NOTICE DATE, off FIRST [LAST] or work DAY")
}

// days takes in some days of a year. A day off that is worked, and a week that works
// already and is told to, are mistakes of whoever wrote them.
func (c *Calendar) days(into map[date]bool, first, last string, at int) error {
	from, err := time.Parse(time.DateOnly, first)
	if err != nil {
		return fmt.Errorf("no date: want one as 2026-10-01")
	}
	to, err := time.Parse(time.DateOnly, last)
	if err != nil {
		return fmt.Errorf("no date: want one as 2026-10-01")
	}
	if into == nil || from.Year() != at || to.Year() != at || to.Before(from) || to.Sub(from) > 31*24*time.Hour {
		return fmt.Errorf("days must lie in the year above them, the first before the last, at most a month")
	}
	of := c.years[at]
	for ; !from.After(to); from = from.AddDate(0, 0, 1) {
		day := date(from.Format(time.DateOnly))
		if of.off[day] || of.work[day] {
			return fmt.Errorf("%s stands here twice", day)
		}
		into[day] = true
	}
	return nil
}
