package mention

import (
	"slices"
	"strings"

	"medvault/imaging/descriptor"
	"medvault/imaging/subject"
)

// Passage is a stretch of a text that names somebody.
type Passage struct {
	Start, End int // bytes
	Kind       Kind
	Token      string // as in Mention

	known bool // one of the patient's own values
}

// FindText tells where a text names somebody: a narrative, a value of a form. The
// passages are sorted and do not overlap.
func FindText(text string, known *Known, how Strictness) []Passage {
	return known.passages(text, how)
}

// Replace writes the tokens into a text, and tells how many there are.
func Replace(text string, known *Known, how Strictness) (string, int) {
	found := known.passages(text, how)
	var b []byte
	at := 0
	for _, p := range found {
		b = append(b, text[at:p.Start]...)
		b = append(b, p.Token...)
		at = p.End
	}
	return string(append(b, text[at:]...)), len(found)
}

// passages parts a long text, at line ends where there are some, so that what is held
// of it stays small.
func (k *Known) passages(text string, how Strictness) (all []Passage) {
	const most, overlap = 64 << 10, 1 << 10
	for at := 0; ; {
		end := min(at+most, len(text))
		for _, p := range k.read(text[at:end], how) {
			p.Start, p.End = p.Start+at, p.End+at
			all = append(all, p)
		}
		if end == len(text) {
			break
		}
		at = end - overlap
		if line := strings.LastIndexByte(text[at:end], '\n'); line >= 0 {
			at += line + 1
		}
	}
	return merged(all)
}

// reader is one search in one text.
type reader struct {
	k       *Known
	how     Strictness
	text    string
	flat    string // in one line
	letters []subject.Letter
	days    []subject.Day
	found   []Passage
}

// read finds what one piece of text says of people: first who is known, then whatever
// names somebody by its form, then what labels and titles say.
func (k *Known) read(text string, how Strictness) []Passage {
	text = k.withoutTokens(text)
	flat := strings.ReplaceAll(text, "\n", " ") // a date may go on on the next line
	r := &reader{k: k, how: how, text: text, flat: flat, letters: subject.Letters(text), days: k.subject.Days(flat)}
	r.patient()
	r.apart()
	if how == Strict {
		r.near()
	}
	r.patterns()
	r.fields()
	r.people()
	r.dates()
	return merged(r.found)
}

// withoutTokens puts a sign that is part of nothing in the place of tokens that stand
// there already. Only our own count: another's would hide what it says.
func (k *Known) withoutTokens(text string) string {
	if !strings.Contains(text, "[") {
		return text
	}
	for _, token := range []string{k.tokens.Name, k.tokens.ID, birthToken, dateToken, phoneToken, emailToken, addressToken, numberToken, urlToken, ageToken, personToken} {
		if token != "" {
			text = strings.ReplaceAll(text, token, strings.Repeat("\x01", len(token)))
		}
	}
	return text
}

// add notes a passage, unless there is nothing in it.
func (r *reader) add(start, end int, of Kind, token string) {
	if end > start && end <= len(r.text) {
		r.found = append(r.found, Passage{Start: start, End: end, Kind: of, Token: token})
	}
}

// addKnown notes one of the patient's own values.
func (r *reader) addKnown(start, end int, of Kind) {
	r.found = append(r.found, Passage{start, end, of, r.k.token(of), true})
}

// patient looks for who is known.
func (r *reader) patient() {
	for _, m := range r.k.subject.Find(r.text) {
		said := r.text[m.Start:m.End]
		if m.Kind == subject.Name && !r.meant(m, said) {
			continue
		}
		r.addKnown(m.Start, m.End, kindOf(m.Kind))
	}
}

// meant reports whether a name that was found is one, and not the word of other meaning
// that it also is: Mr. Black had black stool.
func (r *reader) meant(m subject.Match, said string) bool {
	if strings.ContainsAny(said, " ^,-") || !isLower(said) {
		return !m.Near || !descriptor.Knows(said)
	}
	return !m.Near && !plainWord(said)
}

// isLower reports small letters of the Latin alphabet and nothing else.
func isLower(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}

// dates finds all dates: the patient's days are added, so that what lies between them
// stays.
func (r *reader) dates() {
	if r.k.tokens.Days == 0 && !r.k.tokens.NoDates {
		return
	}
	for _, d := range r.days {
		token := dateToken
		if !r.k.tokens.NoDates {
			token = d.Shift(r.flat, r.k.tokens.Days)
		}
		r.add(d.Start, d.End, Date, token)
	}
	if r.how == Strict {
		r.loose()
	}
}

// merged sorts passages and makes one of those that overlap; the heaviest says what it
// is.
func merged(found []Passage) []Passage {
	slices.SortStableFunc(found, func(a, b Passage) int {
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		return b.End - a.End
	})
	out := found[:0]
	heaviest := 0
	for _, p := range found {
		last := len(out) - 1
		if last < 0 || p.Start >= out[last].End {
			out = append(out, p)
			heaviest = weight(p)
			continue
		}
		if n := weight(p); n > heaviest {
			out[last].Kind, out[last].Token, out[last].known = p.Kind, p.Token, p.known
			heaviest = n
		}
		out[last].End = max(out[last].End, p.End)
	}
	return out
}

// weight says how much a passage has to say on what it is: first what is known of the
// patient, then what labels and forms say, then dates; of equals the longest.
func weight(p Passage) int {
	const more = 1 << 12 // than any length
	n := min(p.End-p.Start, more-1)
	switch {
	case p.Kind == Date:
		return n
	case p.known && p.Kind != Person:
		return n + 2*more
	}
	return n + more
}

func kindOf(k subject.Kind) Kind {
	switch k {
	case subject.Name:
		return Name
	case subject.ID:
		return ID
	case subject.Date:
		return Birth
	case subject.Phone:
		return Phone
	case subject.Email:
		return Email
	case subject.Address:
		return Address
	case subject.ResidentID:
		return ResidentID
	}
	return Person
}

// token is what stands for a kind.
func (k *Known) token(of Kind) string {
	switch of {
	case Name:
		return k.tokens.Name
	case ID:
		return k.tokens.ID
	case Birth:
		return birthToken
	case Date:
		return dateToken
	case Phone:
		return phoneToken
	case Email:
		return emailToken
	case Address:
		return addressToken
	case ResidentID:
		return numberToken
	case URL:
		return urlToken
	case Age:
		return ageToken
	}
	return personToken
}

// tokenOf is what stands for what a label says: of a number only that it is one.
func (k *Known) tokenOf(of Kind, behind field) string {
	if behind == numberField {
		return numberToken
	}
	return k.token(of)
}
