package descriptor

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// names drops what a title names: "Dr. Long", "MR SMITH", with the title. A form of
// address that is also a word of the trade, MR or DR, is one only where what follows is
// no word, or where it is written as one.
func names(tokens []token) {
	for i := range tokens {
		t := &tokens[i]
		if t.kind != word || !formOfAddress(t.folded) {
			continue
		}
		next := following(tokens, i)
		if next < 0 {
			t.dropped = t.dropped || t.standing == unknown
			continue
		}
		n := &tokens[next]
		plain := strings.HasPrefix(tokens[i+1].text, ".") || mixedCase(t.text) && t.standing == unknown || mixedCase(t.text) && len(t.text) <= 4
		switch {
		case n.kind == found || n.kind == taken:
			t.dropped = t.dropped || plain || t.standing == unknown
			continue
		case n.dropped, plain && capital(n.text), (plain || t.standing == unknown) && n.standing < trusted && !n.number:
		default:
			t.dropped = t.dropped || t.standing == unknown
			continue
		}
		t.dropped = true
		n.dropped = true
		for k := following(tokens, next); k >= 0 && tokens[k].kind == word && tokens[k].standing < trusted && !tokens[k].number; k = following(tokens, k) {
			tokens[k].dropped = true
		}
	}
}

// formOfAddress reports a folded word that stands before a person's name.
func formOfAddress(w string) bool {
	switch w {
	case "mr", "mrs", "ms", "miss", "mister", "dr", "drs", "prof", "professor", "doctor", "sir", "madam", "rev", "herr", "herrn", "frau", "hr", "fr", "priv", "doz", "oa", "monsieur", "madame", "mme", "mlle", "docteur", "sr", "sra", "srta", "senor", "senora", "don", "dona", "dra", "nurse", "tech", "operator", "radiologist", "physician", "surgeon":
		return true
	}
	return false
}

// following is the next word on the same line, at most a few separators away; -1 where
// there is none.
func following(tokens []token, i int) int {
	const most = 3 // bytes
	if i+1 < len(tokens) && tokens[i+1].kind != separator {
		return i + 1
	}
	if i+2 < len(tokens) && len(tokens[i+1].text) <= most && !strings.ContainsAny(tokens[i+1].text, "\n;") {
		return i + 2
	}
	return -1
}

func mixedCase(s string) bool { return capital(s) && strings.ToUpper(s) != s }

func capital(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsUpper(r)
}

// ages drops ages over 89, which few people reach.
func ages(tokens []token) {
	for i := range tokens {
		t := &tokens[i]
		if !t.number {
			continue
		}
		digits := strings.TrimRightFunc(t.text, func(r rune) bool { return !unicode.IsDigit(r) })
		n, err := strconv.Atoi(digits)
		if err != nil || n < 90 || n > 130 {
			continue
		}
		unit := strings.ToLower(t.text[len(digits):])
		if unit == "" && aged(tokens, i) {
			t.dropped = true
			continue
		}
		if k := following(tokens, i); unit == "" && k >= 0 {
			unit = tokens[k].folded
		}
		switch unit {
		case "y", "yo", "yr", "yrs", "year", "years", "jahre", "jahrige", "jahriger", "j", "a", "ans", "ano", "anos", "岁":
			t.dropped = true
		}
	}
}

// aged reports a word before the number that says it is an age: "aged 95".
func aged(tokens []token, i int) bool {
	k := preceding(tokens, i)
	if k < 0 {
		return false
	}
	switch tokens[k].folded {
	case "age", "aged", "alter", "edad", "年龄":
		return true
	}
	return false
}

// preceding is the word before on the same line, at most a few separators away; -1
// where there is none.
func preceding(tokens []token, i int) int {
	for _, k := range []int{i - 1, i - 2} {
		if k >= 0 && tokens[k].kind != separator && following(tokens, k) == i {
			return k
		}
	}
	return -1
}

// identifiers drops numbers that stand for somebody by how they are written: parted
// into groups, "123-45-6789", "943 476 5919", or behind a word that says so, "MRN 5512".
func identifiers(tokens []token) {
	for i := 0; i < len(tokens); i++ {
		if !whole(tokens[i]) {
			continue
		}
		end := group(tokens, i)
		if k := preceding(tokens, i); grouped(tokens[i:end]) || k >= 0 && labelOfNumber(tokens[k].folded) {
			for k := i; k < end; k++ {
				tokens[k] = token{kind: taken, dropped: true} // and what parts the groups
			}
		}
		i = end - 1
	}
}

// group is the end of the digits at i with those behind them that one and the same
// sign parts.
func group(tokens []token, i int) (end int) {
	end = i + 1
	for end+1 < len(tokens) && (tokens[end].text == "-" || tokens[end].text == " " || tokens[end].text == "/") &&
		tokens[end].text == tokens[i+1].text && whole(tokens[end+1]) {
		end += 2
	}
	return end
}

// grouped reports groups of digits that no list of values has: those go by steps, or
// have few digits.
func grouped(tokens []token) bool {
	const fewest, long = 7, 3
	groups, digits, longest, steps := 0, 0, 0, true
	for _, t := range tokens {
		if t.kind == separator {
			continue
		}
		n, err := strconv.Atoi(t.text)
		if err != nil {
			return false
		}
		groups, digits, longest = groups+1, digits+len(t.text), max(longest, len(t.text))
		steps = steps && (n%5 == 0 || n%8 == 0)
	}
	return groups >= 3 && digits >= fewest && longest >= long && !steps
}

// whole reports a word of digits alone.
func whole(t token) bool {
	return t.kind == word && t.number && strings.Trim(t.text, "0123456789") == ""
}

// labelOfNumber reports a folded word that stands before somebody's number.
func labelOfNumber(w string) bool {
	switch w {
	case "mrn", "ssn", "pid", "patid", "acc", "accession", "insurance", "passport", "fallnummer", "patnr":
		return true
	}
	return false
}

// beside drops words that are names too, single letters and single characters where
// they stand next to an unknown word. One may follow from the other.
func beside(tokens []token) {
	unknownWord := func(i, step int) bool {
		if i += step; i >= 0 && i < len(tokens) && tokens[i].kind == separator && !strings.ContainsAny(tokens[i].text, "\n;") {
			i += step
		}
		return i >= 0 && i < len(tokens) && tokens[i].kind == word && tokens[i].dropped && !tokens[i].number
	}
	drop := func(i int) {
		t := &tokens[i]
		if t.kind == word && t.standing == doubtful && !t.dropped && !side(tokens, i) {
			t.dropped = unknownWord(i, -1) || unknownWord(i, +1)
		}
	}
	for i := range tokens {
		drop(i)
	}
	for i := len(tokens) - 1; i >= 0; i-- {
		drop(i)
	}
}

// side reports a letter for right or left before a word that stays.
func side(tokens []token, i int) bool {
	if w := tokens[i].folded; w != "l" && w != "r" {
		return false
	}
	next := following(tokens, i)
	return next >= 0 && tokens[next].kind == word && !tokens[next].dropped && tokens[next].standing == trusted
}

// initials drops the patient's initials where they are no word of the vocabulary: in
// one word, or letter by letter with points.
func initials(tokens []token, of []string) {
	if len(of) == 0 {
		return
	}
	for i := range tokens {
		if tokens[i].kind != word {
			continue
		}
		if tokens[i].standing < trusted && slices.Contains(of, tokens[i].folded) {
			tokens[i].dropped = true
		}
		letters := ""
		for k := i; k < len(tokens) && tokens[k].kind == word && len(tokens[k].folded) == 1; k += 2 {
			letters += tokens[k].folded
			if k > i && slices.Contains(of, letters) {
				for drop := i; drop <= k; drop += 2 {
					tokens[drop].dropped = true
					if drop+1 < len(tokens) {
						tokens[drop+1].text = strings.TrimPrefix(tokens[drop+1].text, ".")
					}
				}
			}
			if k+1 >= len(tokens) || !strings.HasPrefix(tokens[k+1].text, ".") || len(letters) > 4 {
				break
			}
		}
	}
}
