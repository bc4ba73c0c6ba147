package mention

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"medvault/imaging/descriptor"
	"medvault/imaging/subject"
)

// fields takes what stands behind the labels.
func (r *reader) fields() {
	found := r.labelled()
	for i, l := range found {
		limit := len(r.text)
		if i+1 < len(found) {
			limit = found[i+1].start
		}
		if l.field != stop {
			r.field(l, limit)
		}
	}
}

// field takes the value of one label, which ends at byte limit at the latest.
func (r *reader) field(l labelAt, limit int) {
	at, sign, line := r.valueAt(l.end, limit)
	colon := sign != noSign
	if at >= limit || line && !colon {
		return
	}
	end := r.fieldEnd(at, limit)
	if l.field == phoneField {
		end = max(end, min(limit, at+longestPhone))
	}
	kind := [...]Kind{patientField: Name, personField: Person, numberField: ID, birthField: Birth, phoneField: Phone, addressField: Address}[l.field]
	valueEnd := at
	switch l.field {
	case patientField, personField:
		valueEnd = r.names(at, end, colon && !line, l.field == patientField)
	case numberField:
		valueEnd = r.number(at, end, shortestNumber)
	case birthField:
		valueEnd = r.birth(at, end)
	case phoneField:
		valueEnd = r.number(at, end, shortestPhone)
	case addressField:
		if colon && !line {
			valueEnd = end
		}
	}
	if r.how == Strict && sign == colonSign && !line {
		valueEnd = max(valueEnd, end)
	}
	r.add(at, valueEnd, kind, r.k.tokenOf(kind, l.field))
}

// sign is what shows that a value follows.
type sign uint8

const (
	noSign sign = iota
	gapSign
	colonSign
)

// valueAt passes over what parts a label from its value. line says that the value is on
// the next line.
func (r *reader) valueAt(at, limit int) (value int, shown sign, line bool) {
	for at < limit {
		c, size := utf8.DecodeRuneInString(r.text[at:])
		switch {
		case c == ':' || c == '：' || c == '=' || c == '#' || c == '№' || c == '∶' || c == '︰' || c == '﹕':
			shown = colonSign
		case c == '\t' || c == '|' || strings.HasPrefix(r.text[at:], wideGap):
			shown = max(shown, gapSign)
		case c == '\n':
			if line {
				return limit, noSign, false
			}
			line = true
		case c == '\x01':
			return limit, noSign, false
		case c == '(' && at+1 < limit && unicode.IsDigit(rune(r.text[at+1])):
			return at, shown, line // (617) 892-1965
		case c == '(' || c == '（':
			if end := strings.IndexAny(r.text[at:limit], ")）\n"); end > 0 && end < 16 && r.text[at+end] != '\n' && !strings.ContainsAny(r.text[at:at+end], "0123456789") && strings.ContainsAny(firstRune(r.text[at+end+1:]), ":：") {
				at += end // "Name (print):"
				_, size = utf8.DecodeRuneInString(r.text[at:])
			}
		case unicode.IsSpace(c) || strings.ContainsRune("._-*)）[]【】/,，、", c):
		default:
			return at, shown, line
		}
		at += size
	}
	return limit, shown, line
}

func firstRune(s string) string {
	_, size := utf8.DecodeRuneInString(s)
	return s[:size]
}

// fieldEnd is where the field that begins at at ends: the line, a wide gap, the next
// label.
func (r *reader) fieldEnd(at, limit int) int {
	const longest = 160 // bytes
	limit = min(limit, at+longest)
	for _, mark := range []string{"\n", "\t", wideGap, "|", ";", "；", "。", "\x01"} {
		if i := strings.Index(r.text[at:limit], mark); i >= 0 {
			limit = at + i
		}
	}
	for limit > at && !utf8.RuneStart(byteAt(r.text, limit)) {
		limit--
	}
	return at + len(strings.TrimRightFunc(r.text[at:limit], func(c rune) bool { return unicode.IsSpace(c) || c == ',' || c == '，' }))
}

func byteAt(s string, i int) byte {
	if i < len(s) {
		return s[i]
	}
	return 0
}

const (
	shortestNumber = 3
	shortestPhone  = 5
	longestPhone   = 32 // bytes
	wholePhone     = 7  // with fewer digits it may go on on the next line
)

// number reads letters and digits with a few signs between them, digits enough.
func (r *reader) number(at, limit, shortest int) (end int) {
	digits, letters := 0, 0
	end = at
	for i := at; i < limit; {
		c, size := utf8.DecodeRuneInString(r.text[i:])
		switch {
		case unicode.IsDigit(c):
			digits++
			end = i + size
		case unicode.IsLetter(c) && c < 0x2E80:
			if letters++; letters > 8 && digits == 0 {
				return at
			}
			if i > at && r.text[i-1] == ' ' && digits > 0 {
				return r.enough(at, end, digits, shortest)
			}
			end = i + size
		case strings.ContainsRune("-/._+()#", c):
		case c == '\n' && shortest == shortestPhone && digits > 0 && digits < wholePhone && i+1 < limit && unicode.IsDigit(rune(r.text[i+1])):
		case c == ' ':
			if next, _ := utf8.DecodeRuneInString(r.text[i+1:]); i+1 >= limit || !unicode.IsDigit(next) && next != '(' && digits > 0 || next == ' ' {
				return r.enough(at, end, digits, shortest)
			}
		default:
			return r.enough(at, end, digits, shortest)
		}
		i += size
	}
	return r.enough(at, end, digits, shortest)
}

func (r *reader) enough(at, end, digits, shortest int) int {
	if digits < shortest {
		return at
	}
	return end
}

// birth reads a date behind a label, or its digits.
func (r *reader) birth(at, limit int) int {
	const fewest = 6
	for _, d := range r.days {
		if d.Start >= at && d.Start <= at+2 && d.Start < limit {
			return d.End
		}
	}
	return r.number(at, limit, fewest)
}

// names reads the names of people, several where they are listed. sure says that a
// colon stands before them, patient that they are the patient's own.
func (r *reader) names(at, limit int, sure, patient bool) (end int) {
	const most = 4
	end = at
	for range most {
		from := end
		if end > at {
			if from = r.listed(end, limit); from == end {
				return end
			}
		}
		next := r.name(from, limit, sure, patient)
		if next == from {
			return end
		}
		end = next
	}
	return end
}

// listed passes over what parts the names of a list; it gives end where none goes on.
func (r *reader) listed(end, limit int) int {
	rest := r.text[end:limit]
	trimmed := strings.TrimLeft(rest, " \u3000")
	for _, sign := range []string{"/", "、", "&", "and ", "，", "和", "与"} {
		if after, ok := strings.CutPrefix(trimmed, sign); ok {
			return limit - len(strings.TrimLeft(after, " \u3000"))
		}
	}
	return end
}

// name reads one name.
func (r *reader) name(at, limit int, sure, patient bool) (end int) {
	c, _ := utf8.DecodeRuneInString(r.text[at:limit])
	if unicode.Is(unicode.Han, c) {
		return r.chineseName(at, limit, sure)
	}
	return r.latinName(at, limit, sure, patient)
}

// chineseName reads a name in characters: all up to the next sign, as long as that may
// be one name.
func (r *reader) chineseName(at, limit int, sure bool) int {
	const longest, dotted = 4, 14
	n, dots, end := 0, 0, at
	spaced := false
	for i := at; i < limit; {
		c, size := utf8.DecodeRuneInString(r.text[i:])
		switch {
		case unicode.Is(unicode.Han, c):
			n++
			end = i + size
		case strings.ContainsRune("·•・‧∙", c) && n > 0:
			dots++
		case (c == ' ' || c == '\u3000') && n == 1 && !spaced: // 张 伟
			spaced = true
		default:
			limit = i
			continue
		}
		i += size
	}
	switch {
	case n == 0, n == 1 && !sure:
		return at
	case n <= longest, dots > 0 && n <= dotted:
		if !sure && descriptor.Knows(r.text[at:end]) {
			return at
		}
		return end
	case !sure && !familyName(r.text[at:]):
		return at
	}
	name := []rune(r.text[at:end])
	long := 3
	if doubleFamilyName(string(name[:2])) {
		long = 4
	}
	return at + len(string(name[:long]))
}

// latinName reads words with capitals. A word that the vocabulary knows is no name
// where nothing says so.
func (r *reader) latinName(at, limit int, sure, patient bool) (end int) {
	const most = 6
	end = at
	accepted, comma := 0, false
	for i := at; accepted < most && i < limit; {
		word := wordOf(r.text[i:limit])
		if word == "" || r.labelBegins(i) {
			return end
		}
		folded := subject.Folded(word)
		capital := capitalised(word)
		known := descriptor.Knows(strings.TrimRight(word, "."))
		switch {
		case folded == "":
			return end
		case title(folded) && accepted == 0, credential(folded) && accepted > 0:
			end = i + len(strings.TrimRight(word, " "))
		case !capital && particle(folded):
		case !capital && (!sure || !patient || known || accepted > 2):
			return end
		case known && (!sure || comma) && len(folded) > 2, known && accepted > 0 && upper(word) && len(folded) > 2:
			return end
		default:
			accepted++
			end = i + len(word)
		}
		i += len(word)
		gap := gapOf(r.text[i:limit])
		if gap == 0 {
			return end
		}
		comma = strings.Contains(r.text[i:i+gap], ",")
		i += gap
	}
	return end
}

// labelBegins reports a label at byte at.
func (r *reader) labelBegins(at int) bool {
	i, found := slices.BinarySearchFunc(r.letters, at, func(l subject.Letter, at int) int { return l.Start - at })
	if !found {
		return false
	}
	_, _, ok := r.labelAt(i)
	return ok
}

// wordOf is the word at the start of s, with a point behind an abbreviation.
func wordOf(s string) string {
	const longest = 64 // bytes
	i := 0
	for i < min(len(s), longest) {
		c, size := utf8.DecodeRuneInString(s[i:])
		if !unicode.IsLetter(c) && !unicode.IsMark(c) && (i == 0 || c != '\'' && c != '’' && c != '-') || unicode.Is(unicode.Han, c) {
			if c == '.' && i > 0 {
				i += size
			}
			break
		}
		i += size
	}
	return strings.TrimRight(s[:i], "-'")
}

// gapOf is how many bytes part one word of a name from the next.
func gapOf(s string) int {
	for _, gap := range []string{", ", ",", "^", " ^", "  ", " ", "."} {
		if rest, ok := strings.CutPrefix(s, gap); ok && rest != "" && rest[0] != ' ' {
			return len(gap)
		}
	}
	return 0
}

func capitalised(word string) bool {
	c, _ := utf8.DecodeRuneInString(word)
	return unicode.IsUpper(c) || unicode.IsLetter(c) && !unicode.IsLower(c)
}

func upper(word string) bool { return strings.ToUpper(word) == word }

func particle(folded string) bool {
	switch folded {
	case "van", "von", "der", "den", "de", "del", "della", "di", "da", "dos", "das", "bin", "ibn", "al", "el", "la", "le", "du", "zu", "ter", "ten":
		return true
	}
	return false
}

func title(folded string) bool {
	switch folded {
	case "dr", "prof", "professor", "doctor", "mr", "mrs", "ms", "miss", "herr", "frau", "med", "priv", "doz", "sir":
		return true
	}
	return false
}

func credential(folded string) bool {
	switch folded {
	case "md", "do", "phd", "rn", "frcr", "frcp", "frcs", "mbbs", "mbchb", "facr", "np", "pa", "dnp", "rt", "bsc", "msc", "mrcp", "mch", "jr", "sr", "ii", "iii":
		return true
	}
	return false
}
