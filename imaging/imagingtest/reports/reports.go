// Package reports makes medical reports as PDFs with an answer key: who is named in
// them and where, and which words must survive when the names are gone. Everything is
// invented, and the same number always gives the same bytes.
//
// Each family hides what it plants in another way: in running text, in fields, under
// layers, in fonts without names for their glyphs, in pixels (families.go).
package reports

import (
	"fmt"
	"math/rand/v2"

	"medvault/imaging/subject"
)

// Report is a PDF and its answer key.
type Report struct {
	Name   string // "kerned/chinese/37"
	Family string
	Data   []byte
	Known  subject.Known // what the vault knows of the patient

	// Planted is what must not be left anywhere.
	Planted []Planted
	// Keep are words, or stretches of Chinese, that must survive, one for each time
	// they stand in the report.
	Keep []Kept
	// Scan says that there are only pixels, of the named quality; "" for text.
	Scan string
}

// Planted is an identifier.
type Planted struct {
	Value string // as it stands in the report
	Kind  string // name, id, birth, date, phone, email, address, person
	Page  int    // from 1; 0 where it stands beside the pages
}

// Kept is a word that must survive.
type Kept struct {
	Text string
	Page int // from 1
}

// Shift is the number of days by which the dates of a report are to be shifted when it
// is scored: no planted date becomes another planted one.
const Shift = 13

// Make makes report number n.
func Make(n int) Report {
	all := families()
	f := all[n%len(all)]
	chinese := n/len(all)%2 == 1
	if chinese && f.needsFont && chineseFont() == nil {
		chinese = false // this machine has no font to draw it with
	}
	r := rand.New(rand.NewPCG(uint64(n), 0x7265706f7274))
	w := &writer{r: r, person: newPerson(r, chinese), chinese: chinese}
	f.write(w)
	script := "latin"
	if chinese {
		script = "chinese"
	}
	return Report{
		Name: fmt.Sprintf("%s/%s/%d", f.name, script, n), Family: f.name, Data: w.pdf.Bytes(), Known: w.person.known(r.IntN(2) == 0),
		Planted: w.planted, Keep: w.keep, Scan: f.scan,
	}
}

// Families are the names of all families, in the order in which Make takes turns.
func Families() (names []string) {
	for _, f := range families() {
		names = append(names, f.name)
	}
	return names
}

// writer writes one report.
type writer struct {
	r       *rand.Rand
	person  person
	chinese bool
	pdf     *file
	planted []Planted
	keep    []Kept
	page    int
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
