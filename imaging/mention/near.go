package mention

import (
	"strings"

	"medvault/imaging/descriptor"
	"medvault/imaging/subject"
)

// near looks for the patient's values with a few wrong characters, as OCR reads them:
// letters that look alike count as the same.
func (r *reader) near() {
	const shortest = 4
	text := make([]rune, len(r.letters))
	for i, l := range r.letters {
		text[i] = alike(l.Rune)
	}
	seen := map[string]bool{}
	for _, f := range r.k.forms() {
		form := []rune(f.Text)
		for i, c := range form {
			form[i] = alike(c)
		}
		if !f.Alone || len(form) < shortest || f.Kind == subject.Other || seen[string(form)] || hasHan(f.Text) {
			continue
		}
		seen[string(form)] = true
		r.nearForm(text, form, kindOf(f.Kind))
	}
}

// edits is how many characters of a value may be wrong.
func edits(length int) int {
	switch {
	case length < 7:
		return 1
	case length < 11:
		return 2
	}
	return 3
}

// nearby is a place where a form lies with some edits.
type nearby struct{ first, end, cost int } // letters

// nearForm finds the places where a form lies with few edits (after Sellers): cost[j] is
// the fewest edits that make form[:j] of the text that ends here, begins[j] where that
// begins. Of places that overlap the best one counts.
func (r *reader) nearForm(text, form []rune, of Kind) {
	most := edits(len(form))
	if of == Birth {
		most = 1 // two are another day
	}
	cost, begins := make([]int, len(form)+1), make([]int, len(form)+1)
	for j := range cost {
		cost[j] = j
	}
	var best nearby
	take := func() {
		if best.end > 0 {
			r.nearWords(best.first, best.end, len(form), of)
		}
	}
	for i, c := range text {
		diagonal, from := cost[0], i
		begins[0] = i + 1
		for j := 1; j <= len(form); j++ {
			least, begin := diagonal, from
			if form[j-1] != c {
				least++
			}
			diagonal, from = cost[j], begins[j]
			if cost[j]+1 < least {
				least, begin = cost[j]+1, begins[j]
			}
			if cost[j-1]+1 < least {
				least, begin = cost[j-1]+1, begins[j-1]
			}
			cost[j], begins[j] = least, begin
		}
		last := len(form)
		if cost[last] > most || begins[last] >= i {
			continue
		}
		at := nearby{begins[last], i + 1, cost[last]}
		switch {
		case at.first >= best.end:
			take()
			best = at
		case at.cost < best.cost:
			best = at
		}
	}
	take()
}

// nearWords takes the words that lie near a value, unless they are words of other
// meaning.
func (r *reader) nearWords(first, end, length int, of Kind) {
	ls := r.letters
	off := 0
	for first < end && ls[first].Ideograph { // of no form that is looked for here
		first++
	}
	for end > first && ls[end-1].Ideograph {
		end--
	}
	if first == end {
		return
	}
	for first > 0 && !ls[first].Parted && !ls[first].Ideograph {
		first--
		off++
	}
	for end < len(ls) && !ls[end].Parted && !ls[end].Ideograph {
		end++
		off++
	}
	if off > 1 || end-first > length+edits(length) {
		return
	}
	start, stop := ls[first].Start, ls[end-1].End
	said := r.text[start:stop]
	if strings.ContainsAny(said, "\x01") || strings.Count(said, "\n") > 1 {
		return
	}
	words := strings.FieldsFunc(said, func(c rune) bool { return strings.ContainsRune(" ,.;:-/\n\t()^", c) })
	const short = 6 // letters: words of the language differ by one of them
	for _, w := range words {
		switch {
		case strings.Trim(w, "0123456789") == "":
		case len(w) > 2 && descriptor.Knows(w), isLower(w) && (plainWord(w) || length < short):
			return
		}
	}
	r.add(start, stop, of, r.k.token(of))
}

// alike is one sign for all that look like it.
func alike(c rune) rune {
	switch c {
	case 'o', 'q', 'd', '〇', '○':
		return '0'
	case 'l', 'i', 'j', 't', '|', '!', '丨':
		return '1'
	case 's':
		return '5'
	case 'b':
		return '8'
	case 'z':
		return '2'
	case 'g':
		return '9'
	case 'u':
		return 'v'
	}
	return c
}

func hasHan(s string) bool { return strings.ContainsFunc(s, func(c rune) bool { return c >= 0x2E80 }) }
