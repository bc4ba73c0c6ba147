package workday_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"medvault/vault/workday"
)

var beijing = time.FixedZone("Beijing", 8*3600)

// oracle counts by a list of days off of its own, day after day, in whole days since 1970.
type oracle struct{ off map[int]bool }

func newOracle(t *testing.T) oracle {
	t.Helper()
	text, err := os.ReadFile("testdata/daysoff.txt")
	if err != nil {
		t.Fatal(err)
	}
	o := oracle{off: make(map[int]bool)}
	for line := range strings.Lines(string(text)) {
		head, days, found := strings.Cut(line, ":")
		if !found {
			continue
		}
		var year, month, day int
		if _, err := fmt.Sscan(head, &year, &month); err != nil {
			continue // the comment
		}
		for _, word := range strings.Fields(days) {
			if _, err := fmt.Sscan(word, &day); err != nil {
				t.Fatal(err)
			}
			o.off[number(year, month, day)] = true
		}
	}
	if len(o.off) < 220 {
		t.Fatalf("the oracle knows %d days off of two years", len(o.off))
	}
	return o
}

func number(year, month, day int) int {
	return int(time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// due is the day behind the last one of the period.
func (o oracle) due(start, n int) int {
	day := start
	for worked := 0; worked < n; {
		day++
		if !o.off[day] {
			worked++
		}
	}
	return day + 1
}

func TestPromise5_7ClocksEqualTheOracleFromEveryDayOf2025And2026(t *testing.T) {
	c, o := workday.China(), newOracle(t)
	last := number(2026, 12, 31)
	compared := 0
	for day := number(2025, 1, 1); day <= last; day++ {
		for _, n := range []int{1, 3, 7, 15} {
			want := o.due(day, n)
			for _, hour := range []int{0, 9, 23} {
				from := time.Unix(int64(day)*86400, 0).UTC()
				from = time.Date(from.Year(), from.Month(), from.Day(), hour, 59, 59, 0, beijing)
				got := c.Deadline(from, n)
				at := got.At.In(beijing)
				if want > last+1 { // the notice of 2027 is not known
					if !got.Provisional {
						t.Fatalf("%d working days from %s end %s, in a year without a notice, and are not provisional", n, from, at)
					}
					continue
				}
				if number(at.Year(), int(at.Month()), at.Day()) != want || at.Hour() != 0 || got.Provisional {
					t.Fatalf("%d working days from %s end %s, provisional %v; want day %s", n, from, at, got.Provisional,
						time.Unix(int64(want)*86400, 0).UTC().Format(time.DateOnly))
				}
				compared++
			}
		}
	}
	t.Logf("%d deadlines equal the oracle's", compared)
}

func TestPromise5_7AcrossNationalDayAndSpringFestival(t *testing.T) {
	c := workday.China()
	for _, row := range []struct {
		from string
		days int
		last string // day of the period
	}{
		{"2026-09-30", 7, "2026-10-15"}, // eight days off, Saturday the 10th worked
		{"2026-09-18", 3, "2026-09-22"}, // Sunday the 20th worked
		{"2026-02-13", 7, "2026-03-02"}, // the 14th worked, nine days off, Saturday the 28th worked
		{"2025-01-24", 7, "2025-02-10"}, // Sunday the 26th worked, eight days off, Saturday the 8th worked
		{"2025-09-30", 15, "2025-10-28"},
		{"2026-02-17", 3, "2026-02-26"}, // begun on a day off
		{"2026-11-20", 7, "2026-12-01"}, // no holiday on the way
	} {
		from, err := time.ParseInLocation("2006-01-02 15", row.from+" 16", beijing)
		if err != nil {
			t.Fatal(err)
		}
		got := c.Deadline(from, row.days)
		if last := got.At.Add(-time.Second).In(beijing).Format(time.DateOnly); last != row.last || got.Provisional {
			t.Errorf("%d working days from %s: until %s, provisional %v; want %s", row.days, row.from, last, got.Provisional, row.last)
		}
	}
}

func TestTheDayIsTheOneInBeijing(t *testing.T) {
	c := workday.China()
	late := time.Date(2026, 11, 20, 17, 0, 0, 0, time.UTC) // Saturday the 21st in Beijing
	if works, known := c.Works(late); works || !known {
		t.Errorf("Works = %v, %v; want a known day off", works, known)
	}
	if got, want := c.Deadline(late, 1).At, time.Date(2026, 11, 24, 0, 0, 0, 0, beijing); !got.Equal(want) {
		t.Errorf("Deadline = %s; want %s", got, want)
	}
}

func TestBeforeIsTheBeginningOfTheLastDays(t *testing.T) {
	c := workday.China()
	due := c.Deadline(time.Date(2026, 9, 30, 12, 0, 0, 0, beijing), 7)
	for n, want := range map[int]string{1: "2026-10-15", 2: "2026-10-14", 4: "2026-10-12", 5: "2026-10-10", 6: "2026-10-09"} {
		if got := c.Before(due.At, n).In(beijing).Format(time.DateTime); got != want+" 00:00:00" {
			t.Errorf("%d working days before %s begin %s; want %s", n, due.At, got, want)
		}
	}
}

func TestAnOperatorAddsAYearWhenItsNoticeIsOut(t *testing.T) {
	c := workday.China()
	from := time.Date(2026, 12, 29, 12, 0, 0, 0, beijing)
	before := c.Deadline(from, 7)
	if !before.Provisional {
		t.Errorf("a deadline in 2027 is %+v; want it provisional", before)
	}
	with, err := c.With("version test-2027\nyear 2027 test 2026-11-30\noff 2027-01-01 2027-01-03\nwork 2027-01-09\n")
	if err != nil {
		t.Fatal(err)
	}
	after := with.Deadline(from, 7)
	if after.Provisional || !after.At.Equal(time.Date(2027, 1, 9, 0, 0, 0, 0, beijing)) || with.Version() != "cn-2026.1+test-2027" {
		t.Errorf("with the notice: %+v by %s; want the end of 8 January, for good", after, with.Version())
	}
	if again := c.Deadline(from, 7); again != before {
		t.Errorf("the calendar itself changed: %+v", again)
	}
}

func TestABadFileOfHolidaysIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":           "",
		"no version":        "year 2027 a 2026-11-30\n",
		"no year":           "version a\n",
		"days of no year":   "version a\noff 2027-01-01\nyear 2027 a 2026-11-30\n",
		"another year":      "version a\nyear 2027 a 2026-11-30\noff 2028-01-01\n",
		"backwards":         "version a\nyear 2027 a 2026-11-30\noff 2027-01-03 2027-01-01\n",
		"both":              "version a\nyear 2027 a 2026-11-30\noff 2027-01-03\nwork 2027-01-03\n",
		"no date":           "version a\nyear 2027 a 2026-11-30\noff 2027-02-30\n",
		"twice the year":    "version a\nyear 2027 a 2026-11-30\nyear 2027 b 2026-11-30\n",
		"an unknown word":   "version a\nyear 2027 a 2026-11-30\nholiday 2027-01-01\n",
		"no notice's date":  "version a\nyear 2027 a soon\n",
		"more than a month": "version a\nyear 2027 a 2026-11-30\noff 2027-01-01 2027-03-01\n",
	} {
		if _, err := workday.China().With(text); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

func FuzzCalendar(f *testing.F) {
	f.Add("version a\nyear 2027 a 2026-11-30\noff 2027-01-01 2027-01-03\nwork 2027-01-09\n")
	from := time.Date(2026, 12, 29, 12, 0, 0, 0, beijing)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := workday.China().With(text)
		if err != nil {
			return
		}
		if d := c.Deadline(from, 15); !d.At.After(from) {
			t.Errorf("Deadline = %v", d)
		}
	})
}
