package token

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Normal is the form in which text is compared: NFKC, lower case, no padding,
// single spaces.
func Normal(s string) string {
	s = norm.NFKC.String(strings.ToLower(norm.NFKC.String(s)))
	return strings.Join(strings.Fields(strings.Trim(s, " \x00")), " ")
}

// NameTerms are the search words of a patient's name (VR PN):
//
//   - the full name of each component group, its words joined ("zhangwei"),
//     with and without the middle name;
//   - every word ("zhang"), and every beginning of it of 2 to 32 letters with a
//     star behind ("zh*", "zha*", …, "zhang*").
//
// Of a name with a group in Chinese characters only the full names are given,
// of that group and of the others (pinyin): beginnings and family names are so
// few there that their frequency would give them away. Titles (components four
// and five) are left out, punctuation within words too. Order: as found, each
// once.
func NameTerms(patientName string) []string {
	groups := parseName(patientName)
	han := false
	for _, g := range groups {
		han = han || g.han()
	}
	terms := terms{seen: map[string]bool{}}
	for _, g := range groups {
		terms.add(joined(g.name()))
		terms.add(joined(g.short()))
		if han {
			continue
		}
		for _, w := range g.name() {
			terms.add(w.text)
			terms.addBeginnings(w.text)
		}
	}
	return terms.list
}

// Letters of a beginning. The upper bound keeps a hostile name from having
// thousands.
const (
	shortestBeginning = 2
	longestBeginning  = 32
)

// NameQuery tells which terms of NameTerms must all be there for a query:
//
//	""  "*"  "*^*"     none: every name
//	"zhang"            that word, or that full name
//	"zhang^wei"        that full name; "zhang wei" too
//	"Zha*"             a word with that beginning
//	"zhang^w*"         both a word and a beginning; "zhang^*" just the word
//	"张伟"  "张^伟"     that full name
//
// Not ok: a star elsewhere than at the end of a word, a question mark, a
// beginning of less than 2 or more than 32 letters, a star in Chinese characters, and
// what has neither letters nor digits nor is all stars: a blank, "^" or "=" is
// somebody's mistake and must not find everybody.
func NameQuery(pattern string) (list []string, ok bool) {
	if pattern == "" || strings.Contains(pattern, "*") && strings.Trim(pattern, "*^=") == "" {
		return nil, true
	}
	terms := terms{seen: map[string]bool{}}
	for _, g := range parseName(pattern) {
		if !terms.addQuery(g) {
			return nil, false
		}
	}
	return terms.list, len(terms.list) > 0
}

// addQuery adds what one group of a query asks for.
func (t *terms) addQuery(g group) (ok bool) {
	words := g.name()
	starred := false
	for _, w := range words {
		if w.wrong {
			return false
		}
		starred = starred || w.star
	}
	if !starred {
		t.add(joined(words))
		return true
	}
	if g.han() {
		return false
	}
	for _, w := range words {
		switch {
		case !w.star:
			t.add(w.text)
		case w.text == "": // a star alone
		case !isBeginning(utf8.RuneCountInString(w.text)):
			return false
		default:
			t.add(w.text + "*")
		}
	}
	return true
}

// group is one component group of a name: its components in words.
type group [][]word

// word is a word in normal form without punctuation, with what a query says
// around it.
type word struct {
	text  string
	star  bool // at the end
	wrong bool // a star elsewhere, or a question mark
}

func parseName(name string) []group {
	var groups []group
	for text := range strings.SplitSeq(Normal(name), "=") {
		var g group
		for component := range strings.SplitSeq(text, "^") {
			var words []word
			for raw := range strings.FieldsSeq(component) {
				if w := parseWord(raw); w != (word{}) {
					words = append(words, w)
				}
			}
			g = append(g, words)
		}
		groups = append(groups, g)
	}
	return groups
}

func parseWord(raw string) (w word) {
	raw, w.star = strings.CutSuffix(raw, "*")
	w.wrong = strings.ContainsAny(raw, "*?")
	// Without the punctuation a letter and an accent may meet: normal form again.
	w.text = norm.NFKC.String(strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, raw))
	return w
}

// name is family, given and middle name.
func (g group) name() []word { return g.first(3) }

// short is family and given name.
func (g group) short() []word { return g.first(2) }

func (g group) first(components int) (words []word) {
	for _, component := range g[:min(len(g), components)] {
		words = append(words, component...)
	}
	return words
}

func (g group) han() bool {
	for _, w := range g.name() {
		for _, r := range w.text {
			if unicode.Is(unicode.Han, r) {
				return true
			}
		}
	}
	return false
}

func joined(words []word) string {
	var b strings.Builder
	for _, w := range words {
		b.WriteString(w.text)
	}
	return norm.NFKC.String(b.String())
}

// terms is a list in which each term is once.
type terms struct {
	list []string
	seen map[string]bool
}

func (t *terms) add(term string) {
	if term != "" && !t.seen[term] {
		t.seen[term] = true
		t.list = append(t.list, term)
	}
}

func (t *terms) addBeginnings(w string) {
	letters := 0
	for i, r := range w {
		letters++
		if isBeginning(letters) {
			t.add(w[:i+utf8.RuneLen(r)] + "*")
		}
	}
}

func isBeginning(letters int) bool {
	return letters >= shortestBeginning && letters <= longestBeginning
}
