// Package subject knows who the patient of a document is and finds that person
// again: in a text, however the values are written, and in the bytes of a file.
//
// Text is compared in small letters without accents, in narrow forms and simplified
// characters, whatever separates its parts:
//
//	Müller^Hans      Hans Müller, MUELLER, H., Müllers, Mueler (near)
//	张^伟            张 伟, 張偉, zhang wei, Wei Zhāng, 张先生
//	MRN-0482913      0482913, mrn 482 913, ０４８２９１３
//	19710713         13.07.1971, July 13th, 1971, 1971年7月13日
//
// Short values count only where something shows what they are, since short words and
// numbers are everywhere.
package subject

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Known is what a document says of its patient and of the people around them, as
// text in UTF-8. Person names keep ^ and =; dates are YYYYMMDD. Several values may be
// in one text, parted by backslashes. Values beyond a few hundred are not looked for.
type Known struct {
	Names, IDs, Dates, Phones, Addresses, Emails []string

	// UIDs are those of the document itself, which it shares with no other patient.
	UIDs []string

	// Raw are names as the bytes of the document where these are not ASCII: what it
	// says of its character set may be wrong.
	Raw []string

	// Others are physicians, operators, relatives and institutions. They are found in
	// text, but withhold nothing: see Scanner.
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

var kinds = [...]string{"none", "name", "id", "date", "phone", "email", "address", "resident-id", "other"}

func (k Kind) String() string { return kinds[k] }

// Match is a stretch of a text, in bytes from its beginning.
type Match struct {
	Start, End int
	Kind       Kind
	Near       bool // a name with one letter wrong: it may also be another word
}

// Subject is a patient. It is safe for concurrent use.
type Subject struct {
	known    Known
	days     []time.Time
	literals []string        // identifiers whose punctuation matters
	people   func() []person // all readings of the names
	others   func() []other
	trie     func() *trie
}

const (
	maxValues = 256     // of one kind
	maxValue  = 1 << 10 // bytes
)

// New makes ready to look for a patient. It costs nothing until something is looked
// for.
func New(k Known) *Subject {
	s := &Subject{known: Known{
		Names: values(k.Names), IDs: values(k.IDs), Dates: values(k.Dates), Phones: values(k.Phones),
		Addresses: values(k.Addresses), Emails: values(k.Emails), UIDs: values(k.UIDs), Raw: k.Raw[:min(len(k.Raw), maxValues)], Others: values(k.Others),
	}}
	for _, d := range s.known.Dates {
		if day, err := time.Parse("20060102", strings.NewReplacer(".", "", "-", "").Replace(d)); err == nil {
			s.days = append(s.days, day)
		}
	}
	s.literals = slices.DeleteFunc(slices.Concat(s.known.IDs, s.known.UIDs), func(id string) bool { return !uidLike(id) })
	s.people = sync.OnceValue(func() (all []person) {
		for _, name := range s.known.Names {
			all = append(all, people(name)...)
		}
		return all
	})
	s.others = sync.OnceValue(func() (all []other) {
		for _, name := range s.known.Others {
			all = append(all, newOther(name))
		}
		return all
	})
	s.trie = sync.OnceValue(s.compile)
	return s
}

// values gives the single values of a list, each once.
func values(list []string) (all []string) {
	for _, text := range list {
		for v := range strings.SplitSeq(text, `\`) {
			v = strings.Trim(v, " \x00\t\r\n")
			if v != "" && len(v) <= maxValue && len(all) < maxValues && !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
	}
	return all
}

func (s *Subject) compile() *trie {
	t := newTrie()
	t.namePatterns(s.people(), Name)
	for _, id := range s.known.IDs {
		t.idPatterns(id, ID)
	}
	for _, p := range s.known.Phones {
		t.phonePatterns(p)
	}
	for _, e := range s.known.Emails {
		t.emailPatterns(e)
	}
	for _, a := range s.known.Addresses {
		t.addressPatterns(a)
	}
	for _, o := range s.others() {
		t.otherPatterns(o)
	}
	return t
}
