package retention_test

import (
	"errors"
	"testing"
	"time"

	"medvault/vault/retention"
)

func day(t *testing.T, s string) time.Time {
	t.Helper()
	d, err := time.Parse(time.DateTime, s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestUntil(t *testing.T) {
	t.Parallel()
	longer, err := retention.Default().With("CN", 0, map[string]int{"imaging": 35})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, country, last string
		categories          []string
		want                string
	}{
		{"an ordinary day", "CN", "2026-11-22 15:04:05", []string{"report"}, "2056-11-23 00:00:00"},
		{"the first moment of a day", "CN", "2026-11-22 00:00:00", []string{"report"}, "2056-11-23 00:00:00"},
		{"the last moment of a day", "CN", "2026-11-22 23:59:59", []string{"report"}, "2056-11-23 00:00:00"},
		{"the last day of a year", "CN", "2026-12-31 12:00:00", []string{"report"}, "2057-01-01 00:00:00"},
		{"29 February, no leap year then", "CN", "2024-02-29 12:00:00", []string{"report"}, "2054-03-02 00:00:00"},
		{"28 February, leap year then", "CN", "2026-02-28 12:00:00", []string{"report"}, "2056-02-29 00:00:00"},
		{"29 February, leap year then", "CN", "2024-02-29 12:00:00", []string{"imaging"}, "2059-03-02 00:00:00"},
		{"the longest category counts", "CN", "2026-11-22 15:04:05", []string{"report", "imaging"}, "2061-11-23 00:00:00"},
		{"no document", "CN", "2026-11-22 15:04:05", nil, "2056-11-23 00:00:00"},
		{"a country that is not named", "NZ", "2026-11-22 15:04:05", []string{"imaging"}, "2056-11-23 00:00:00"},
	} {
		got := longer.Rule(row.country).Until(day(t, row.last), row.categories...)
		if want := day(t, row.want); !got.Equal(want) {
			t.Errorf("%s: until %s; want %s", row.name, got, want)
		}
	}
}

func TestDayIsCountedAtHome(t *testing.T) {
	t.Parallel()
	home := time.FixedZone("CST", 8*3600)
	last := day(t, "2026-11-22 16:00:00").In(home) // the 23rd at home
	if got, want := retention.Default().Rule("CN").Until(last), time.Date(2056, 11, 24, 0, 0, 0, 0, home); !got.Equal(want) {
		t.Errorf("until %s; want %s", got, want)
	}
}

func TestFloor(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		years      int
		categories map[string]int
		ok         bool
	}{
		{0, nil, true}, {30, nil, true}, {40, map[string]int{"imaging": 30}, true},
		{29, nil, false}, {-1, nil, false}, {30, map[string]int{"imaging": 29}, false}, {0, map[string]int{"other": 0}, false},
	} {
		with, err := retention.Default().With("CN", row.years, row.categories)
		if (err == nil) != row.ok || err != nil && !errors.Is(err, retention.ErrFloor) {
			t.Errorf("With(%d, %v) = %v; want ok %v", row.years, row.categories, err, row.ok)
		}
		if again, _ := retention.Default().With("CN", row.years, row.categories); err == nil && (with.Version == retention.Default().Version || with.Version != again.Version) {
			t.Errorf("With(%d, %v) has version %q, then %q; want one that tells it from the table", row.years, row.categories, with.Version, again.Version)
		}
	}
	if r := retention.Default().Rule("CN"); r.Floor != 30 || r.Years != 30 || r.Shortest() != 30 {
		t.Errorf("at home %+v; want 30 years, no less", r)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{}", `{"version": "1", "jurisdictions": {"CN": {"years": 30, "floor": 30}}}`,
		`{"version": "1", "jurisdictions": {"*": {"years": 30}}}`, `{"version": "1", "jurisdictions": {"*": {"years": 10, "floor": 15}}}`} {
		if _, err := retention.Parse([]byte(text)); err == nil {
			t.Errorf("Parse(%q) took it", text)
		}
	}
}
