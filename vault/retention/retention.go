// Package retention says until when a patient's documents are kept: pure rules over
// values. Documents are kept for whole years, counted from the day of the last treatment;
// how many says a table by jurisdiction and category, which is data with a version. What a
// deployment sets itself may be longer than the table's floor, and never shorter.
package retention

import (
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

//go:embed table.json
var table []byte

// Anywhere stands in a table for jurisdictions that it does not name.
const Anywhere = "*"

// Rule is what holds in one jurisdiction, in whole years from the last treatment.
type Rule struct {
	Years      int            `json:"years"` // of categories that are not named
	Floor      int            `json:"floor"` // no setting keeps anything for less
	Categories map[string]int `json:"categories"`
}

// Table is the rules of all jurisdictions.
type Table struct {
	Version       string          `json:"version"`
	Jurisdictions map[string]Rule `json:"jurisdictions"`
}

// Default is the table that this program was built with.
func Default() Table {
	t, err := Parse(table)
	if err != nil {
		panic(err) // it is tested
	}
	return t
}

// Parse reads a table and refuses one that contradicts itself.
func Parse(data []byte) (t Table, err error) {
	if err := json.Unmarshal(data, &t); err != nil {
		return t, fmt.Errorf("table of retention: %w", err)
	}
	if t.Version == "" {
		return t, errors.New("table of retention: it has no version")
	}
	if _, ok := t.Jurisdictions[Anywhere]; !ok {
		return t, errors.New("table of retention: nothing is said of jurisdictions that are not named")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Jurisdictions)) {
		if err := t.Jurisdictions[name].check(); err != nil {
			return t, fmt.Errorf("table of retention: %s: %w", name, err)
		}
	}
	return t, nil
}

// ErrFloor: something would be kept for less than the law or the promise says.
var ErrFloor = errors.New("below the floor")

func (r Rule) check() error {
	if r.Floor < 1 {
		return errors.New("there is no floor")
	}
	if r.Years < r.Floor {
		return fmt.Errorf("%w: %d years, at least %d", ErrFloor, r.Years, r.Floor)
	}
	for _, category := range slices.Sorted(maps.Keys(r.Categories)) {
		if r.Categories[category] < r.Floor {
			return fmt.Errorf("%w: %s: %d years, at least %d", ErrFloor, category, r.Categories[category], r.Floor)
		}
	}
	return nil
}

// Rule is what holds in a jurisdiction (ISO 3166-1 alpha-2).
func (t Table) Rule(jurisdiction string) Rule {
	if r, ok := t.Jurisdictions[jurisdiction]; ok {
		return r
	}
	return t.Jurisdictions[Anywhere]
}

// With is the table with what a deployment sets for its jurisdiction: years for all
// categories that it does not name (0: the table's), and years by category; its version
// tells it from the table. Less than the floor: ErrFloor.
func (t Table) With(jurisdiction string, years int, categories map[string]int) (Table, error) {
	r := t.Rule(jurisdiction)
	if years != 0 {
		r.Years = years
	}
	r.Categories = maps.Clone(r.Categories)
	if r.Categories == nil {
		r.Categories = make(map[string]int)
	}
	maps.Copy(r.Categories, categories)
	if err := r.check(); err != nil {
		return t, fmt.Errorf("retention in %s: %w", jurisdiction, err)
	}
	rule, err := json.Marshal(r) // maps in order of their keys
	if err != nil {
		return t, fmt.Errorf("retention in %s: %w", jurisdiction, err)
	}
	sum := sha256.Sum256(append([]byte(jurisdiction+" "), rule...))
	t.Version += fmt.Sprintf("+%s-%x", jurisdiction, sum[:4])
	t.Jurisdictions = maps.Clone(t.Jurisdictions)
	t.Jurisdictions[jurisdiction] = r
	return t, nil
}

// Until is when documents of these categories may go, of a patient who was last treated at
// that time: the beginning, in last's own time zone, of the day behind the last day of
// their retention. Without a category the rule for those that are not named holds.
func (r Rule) Until(last time.Time, categories ...string) time.Time {
	years := 0
	for _, c := range categories {
		years = max(years, r.of(c))
	}
	if len(categories) == 0 {
		years = r.Years
	}
	year, month, day := last.Date()
	// 29 February has its anniversary on 1 March where there is none: kept longer, not
	// shorter. time.Date counts that way.
	anniversary := time.Date(year+years, month, day, 0, 0, 0, 0, last.Location())
	return anniversary.AddDate(0, 0, 1)
}

func (r Rule) of(category string) int {
	if years, ok := r.Categories[category]; ok {
		return years
	}
	return r.Years
}

// Shortest is the least number of years that anything is kept.
func (r Rule) Shortest() int {
	least := r.Years
	for _, years := range r.Categories {
		least = min(least, years)
	}
	return least
}

// Least is the least number of years that anything is kept anywhere.
func (t Table) Least() int {
	least := t.Jurisdictions[Anywhere].Shortest()
	for _, r := range t.Jurisdictions {
		least = min(least, r.Shortest())
	}
	return least
}
