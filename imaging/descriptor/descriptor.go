// Package descriptor cleans free text of a document: words of a controlled
// vocabulary, codes, units and numbers stay, the patient becomes a token, dates are
// shifted, and what is not known is removed, since anything unknown may be a name.
//
//	CT Thorax for Mr. Zhang, 13.05.2024, Dr. Unknown   ->   CT Thorax for PT-KQ37HC, 02.06.2024
package descriptor

import (
	"slices"
	"strings"
	"unicode/utf8"

	"medvault/imaging/subject"
)

// Cleaner cleans the texts of one patient. It is safe for concurrent use.
type Cleaner struct {
	subject *subject.Subject
	token   string
	days    int
}

// New makes a cleaner that writes token where a text first names the patient and adds
// shiftDays to dates, or removes them for NoDates.
func New(s *subject.Subject, token string, shiftDays int) *Cleaner {
	if len(s.Find(token)) > 0 {
		token = "" // it would say what it stands for
	}
	return &Cleaner{subject: s, token: token, days: shiftDays}
}

const longest = 1 << 20 // bytes of a text; what is longer is not looked at

// Clean gives what may stay of a text and whether that differs from it. What stays is
// never longer than the text and a token, holds nothing that Find finds, misspellings
// aside, and is "" where no word stays. Cleaned once more it stays as it is, but for
// dates.
func (c *Cleaner) Clean(text string) (cleaned string, changed bool) {
	if text == "" {
		return "", false
	}
	if len(text) > longest {
		return "", true
	}
	readable := strings.ToValidUTF8(text, string(utf8.RuneError)) // which is no word
	cleaned = c.pass(readable, c.days)
	if len(cleaned) > len(text)+len(c.token) {
		cleaned = c.pass(readable, NoDates)
	}
	if len(cleaned) > len(text)+len(c.token) {
		return "", true // of what stands for the unreadable
	}
	// What has moved together is looked at once more, until nothing changes.
	const rounds = 8
	for range rounds {
		again := c.pass(cleaned, unshifted)
		if again == cleaned {
			return cleaned, cleaned != text
		}
		cleaned = again
	}
	return "", true
}

// NoDates, in place of a shift, has New make a cleaner that removes dates.
const NoDates = 1<<31 - 2

const unshifted = 1<<31 - 1 // dates stay

// pass cleans a text once.
func (c *Cleaner) pass(text string, days int) string {
	tokens := c.tokens(text, days)
	initials(tokens, c.subject.Initials())
	names(tokens)
	ages(tokens)
	identifiers(tokens)
	beside(tokens)
	return render(tokens)
}

// tokens parts a text, with what is found in it.
func (c *Cleaner) tokens(text string, days int) []token {
	v := terms()
	var tokens []token
	at := 0
	for _, s := range c.spans(text, days) {
		tokens = v.lex(tokens, text[at:s.start])
		tokens = append(tokens, s.token)
		at = s.end
	}
	tokens = v.lex(tokens, text[at:])
	for i := range tokens {
		t := &tokens[i]
		t.dropped = t.dropped || t.kind == taken || t.kind == word && t.standing == unknown && !measured(tokens, i)
	}
	return tokens
}

// measured reports a large number with a unit behind it.
func measured(tokens []token, i int) bool {
	return tokens[i].number && strings.Trim(tokens[i].text, "0123456789.,") == "" && i+2 < len(tokens) &&
		tokens[i+1].text == " " && units(tokens[i+2].folded) && smallNumber(tokens[i].text, true)
}

// span is a stretch of the text and what becomes of it.
type span struct {
	start, end int
	token      token
}

// spans finds the patient, the tokens that stand for the patient already, and dates.
// They are sorted and do not overlap.
func (c *Cleaner) spans(text string, days int) []span {
	all := c.standing(text)
	for _, m := range c.subject.Find(text) {
		switch {
		case m.Near && Knows(text[m.Start:m.End]):
		case m.Kind == subject.Date && shifts(days): // as all dates
		case m.Kind == subject.Name || m.Kind == subject.ID:
			all = append(all, span{m.Start, m.End, token{text: c.token, kind: found}})
		default:
			all = append(all, span{m.Start, m.End, token{kind: taken}})
		}
	}
	for _, d := range c.subject.Days(text) {
		t := token{text: text[d.Start:d.End], kind: found}
		switch {
		case days == NoDates:
			t = token{kind: taken}
		case shifts(days):
			t.text = d.Shift(text, days)
		}
		all = append(all, span{d.Start, d.End, t})
	}
	slices.SortStableFunc(all, func(a, b span) int { return a.start - b.start })
	return c.apart(all)
}

func shifts(days int) bool { return days != 0 && days != unshifted }

// standing finds the token in a text that was cleaned before.
func (c *Cleaner) standing(text string) (all []span) {
	if c.token == "" {
		return nil
	}
	for at := 0; ; {
		i := strings.Index(text[at:], c.token)
		if i < 0 {
			return all
		}
		all = append(all, span{at + i, at + i + len(c.token), token{text: c.token, kind: found}})
		at += i + len(c.token)
	}
}

// apart takes what overlaps out of sorted spans, and the token where it stood before.
func (c *Cleaner) apart(all []span) []span {
	out := all[:0]
	at, named := 0, c.token == ""
	for _, s := range all {
		if s.end <= at {
			continue
		}
		if s.start < at { // part of it is gone already, so the rest says nothing
			s.start, s.token = at, token{kind: taken}
		}
		if s.token.kind == found && s.token.text == c.token {
			if named {
				s.token = token{kind: taken}
			}
			named = true
		}
		out = append(out, s)
		at = s.end
	}
	return out
}
