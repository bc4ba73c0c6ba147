package descriptor

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"medvault/imaging/subject"
)

// token is a stretch of a text: a word, what separates words, or what was found in it.
type token struct {
	text     string // what is written of it
	kind     tokenKind
	folded   string // of a word
	standing standing
	number   bool // digits first: "5", "1.25mm"
	single   bool // one Chinese character
	dropped  bool
}

type tokenKind uint8

const (
	separator tokenKind = iota
	word
	found // the token, a date: stays
	taken // an identifier: is dropped, and is no word
)

// lex parts a text without matches into words and separators. A number keeps its
// decimal point. Chinese text is parted by the longest terms.
func (v *vocabulary) lex(tokens []token, text string) []token {
	for len(text) > 0 {
		n := runLength(text)
		part := text[:n]
		text = text[n:]
		r, _ := utf8.DecodeRuneInString(part)
		switch {
		case unicode.Is(unicode.Han, r):
			tokens = v.chineseWords(tokens, part)
		case wordRune(r):
			tokens = append(tokens, v.classify(part))
		default:
			tokens = append(tokens, token{text: part})
		}
	}
	return tokens
}

// runLength is how many bytes at the start of a text belong together.
func runLength(text string) int {
	first, n := utf8.DecodeRuneInString(text)
	han, inWord := unicode.Is(unicode.Han, first), wordRune(first)
	for n < len(text) {
		r, size := utf8.DecodeRuneInString(text[n:])
		switch {
		case inWord && !han && (r == '.' || r == ',') && digit(text[n-1]) && n+1 < len(text) && digit(text[n+1]):
		case unicode.Is(unicode.Han, r) != han, wordRune(r) != inWord:
			return n
		}
		n += size
	}
	return n
}

// wordRune reports what words are made of. What is no character, or of no known use,
// may be a letter in another character set.
func wordRune(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	case r == utf8.RuneError:
		return true
	}
	return !unicode.IsPunct(r) && !unicode.IsSymbol(r) && !unicode.IsSpace(r) && r != 0xFEFF && !(r >= 0x200B && r <= 0x200F)
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// chineseWords parts a run of characters by the longest terms. What is in none is one
// unknown word.
func (v *vocabulary) chineseWords(tokens []token, text string) []token {
	runes := []rune(text)
	folded := make([]rune, len(runes))
	for i, r := range runes {
		folded[i] = foldedRune(r)
	}
	from := 0
	flush := func(to int) {
		if from < to {
			tokens = append(tokens, token{text: string(runes[from:to]), kind: word})
		}
	}
	for i := 0; i < len(runes); {
		n := min(v.longest, len(runes)-i)
		for n > 0 && !v.chinese[string(folded[i:i+n])] {
			n--
		}
		if n == 0 {
			i++
			continue
		}
		flush(i)
		s := trusted
		if n == 1 {
			s = doubtful
		}
		tokens = append(tokens, token{text: string(runes[i : i+n]), kind: word, folded: string(folded[i : i+n]), standing: s, single: n == 1})
		i += n
		from = i
	}
	flush(len(runes))
	return tokens
}

// classify looks a word up: whole, or in its parts where letters and digits, or small
// and capital letters, meet.
func (v *vocabulary) classify(text string) token {
	t := token{text: text, kind: word, number: digit(text[0])}
	const longest = 64
	if len(text) > longest || strings.ContainsFunc(text, foreign) {
		return t
	}
	t.folded = folded(text)
	if t.standing = v.stands(t.folded); t.standing != unknown {
		return t
	}
	if t.standing = v.parts(text); t.standing == unknown && abbreviation(text) {
		t.standing = doubtful
	}
	return t
}

// abbreviation reports letters that make no name: up to four without a vowel, or two
// capitals that are no syllable of Chinese.
func abbreviation(text string) bool {
	const longest, vowels = 4, "aeiouy"
	small := strings.ToLower(text)
	if len(text) > longest || strings.Trim(small, "abcdefghijklmnopqrstuvwxyz") != "" {
		return false
	}
	if strings.ContainsAny(small, vowels) {
		return len(text) == 2 && strings.ToUpper(text) == text && !subject.Syllable(small)
	}
	return true
}

// foreign reports a letter that none of the languages of the vocabulary has: folded, a
// word may look like one of another.
func foreign(r rune) bool {
	return r >= utf8.RuneSelf && unicode.IsLetter(r) && !strings.ContainsRune("äöüßéèêëàâîïôûùçœæñáíóúµ", unicode.ToLower(r))
}

func (v *vocabulary) parts(text string) standing {
	if code(text) {
		return trusted
	}
	least := trusted
	unit := false
	pieces := split(text)
	for i, p := range pieces {
		if digit(p[0]) {
			unit = i+1 < len(pieces) && units(folded(pieces[i+1]))
			if !smallNumber(p, unit) {
				return unknown
			}
			continue
		}
		s := v.stands(folded(p))
		if r, size := utf8.DecodeRuneInString(p); size == len(p) && unicode.IsLetter(r) {
			s = doubtful
			if len(pieces) > 1 {
				s = trusted
			}
		}
		least = min(least, s)
	}
	return least
}

// split parts a word where letters and digits meet and where a capital begins a new
// one: "AxT1FSE" is Ax, T, 1, FSE.
func split(text string) (pieces []string) {
	from := 0
	runes := []rune(text)
	at := 0
	for i, r := range runes {
		if i > 0 && parted(runes, i) {
			pieces = append(pieces, text[from:at])
			from = at
		}
		at += utf8.RuneLen(r)
	}
	return append(pieces, text[from:])
}

func parted(r []rune, i int) bool {
	before, here := r[i-1], r[i]
	numeric := func(r rune) bool { return r >= '0' && r <= '9' || r == '.' || r == ',' }
	switch {
	case numeric(before) != numeric(here):
		return true
	case unicode.IsUpper(here) && unicode.IsLower(before):
		return true
	}
	return unicode.IsUpper(before) && unicode.IsUpper(here) && i+1 < len(r) && unicode.IsLower(r[i+1]) && i > 1
}

// code reports the short names of kernels, levels and sequences: B70f, L4, T1, p2,
// b1000.
func code(text string) bool {
	const longest, letters, digits = 6, 2, 4
	if len(text) > longest {
		return false
	}
	i := 0
	count := func(is func(byte) bool) (n int) {
		for i < len(text) && is(text[i]) {
			i++
			n++
		}
		return n
	}
	letter := func(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
	before, number, after := count(letter), count(digit), count(letter)
	return i == len(text) && before <= letters && number > 0 && number <= digits && after <= letters && before+after > 0 &&
		!(number == digits && strings.ToLower(text[:before]) != "b")
}

// smallNumber reports a number that counts or measures something: at most four digits
// before the point, six with a unit.
func smallNumber(text string, unit bool) bool {
	const most, mostWithUnit, decimals = 4, 6, 5
	whole, fraction, _ := strings.Cut(strings.Replace(text, ",", ".", 1), ".")
	limit := most
	if unit {
		limit = mostWithUnit
	}
	return len(whole) <= limit && len(fraction) <= decimals && !strings.ContainsAny(fraction, ".,")
}

// units are what numbers are measured in.
func units(folded string) bool {
	switch folded {
	case "mm", "cm", "dm", "m", "um", "mm2", "mm3", "cm2", "cm3", "ml", "dl", "l", "cc", "kg", "g", "mg", "mcg", "ug", "s", "sec", "ms", "msec", "min", "h", "hz", "khz", "mhz", "kv", "kvp", "ma", "mas", "mgy", "cgy", "gy", "gycm", "msv", "hu", "t", "bq", "kbq", "mbq", "gbq", "kev", "mev", "deg", "mmhg", "bpm", "mol", "mmol",
		"毫米", "厘米", "毫升", "克", "毫克", "秒":
		return true
	}
	return false
}

func folded(text string) string { return subject.Folded(text) }

func foldedRune(r rune) rune {
	f, _ := utf8.DecodeRuneInString(subject.Folded(string(r)))
	return f
}
