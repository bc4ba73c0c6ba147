package mention

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"medvault/imaging/subject"
)

//go:embed labels.txt
var labelText string

// field says what stands behind a label.
type field uint8

const (
	stop field = iota // something that names nobody: another field ends here
	patientField
	personField
	numberField
	birthField
	phoneField
	addressField
)

// label is what a form or a report writes before a value.
type label struct {
	text  []rune // folded
	field field
	weak  bool // counts only with a colon or a wide gap behind it
}

// labels gives them by the first character, the longest first.
var labels = sync.OnceValue(func() map[rune][]label {
	headings := map[string]field{"[patient]": patientField, "[person]": personField, "[number]": numberField, "[birth]": birthField,
		"[phone]": phoneField, "[address]": addressField, "[stop]": stop}
	all := map[rune][]label{}
	of := stop
	for line := range strings.Lines(labelText) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") {
			continue
		}
		if f, ok := headings[line]; ok {
			of = f
			continue
		}
		for word := range strings.FieldsSeq(line) {
			text, weak := strings.CutPrefix(word, "?")
			l := label{[]rune(subject.Folded(text)), of, weak}
			all[l.text[0]] = append(all[l.text[0]], l)
		}
	}
	for _, list := range all {
		slices.SortStableFunc(list, func(a, b label) int { return len(b.text) - len(a.text) })
	}
	return all
})

// labelAt is a label where it stands in a text.
type labelAt struct {
	label
	start, end int // bytes
}

// labelled finds the labels of a text, in order.
func (r *reader) labelled() (found []labelAt) {
	for i := 0; i < len(r.letters); i++ {
		if l, end, ok := r.labelAt(i); ok {
			found = append(found, labelAt{l, r.letters[i].Start, r.letters[end-1].End})
			i = end - 1
		}
	}
	return found
}

// labelAt is the longest label at letter i that counts there; end is the letter behind
// it.
func (r *reader) labelAt(i int) (l label, end int, ok bool) {
	first := r.letters[i]
	if !first.Parted && !first.Ideograph && (i == 0 || !r.letters[i-1].Ideograph) {
		return l, 0, false
	}
	for _, l := range labels()[first.Rune] {
		end := i + len(l.text)
		if end > len(r.letters) || !r.spells(i, l.text) || !r.labelEnds(end) {
			continue
		}
		if l.weak || l.field == stop && !first.Ideograph && !(r.how == Strict && noName(string(l.text))) {
			if !r.signed(r.letters[end-1].End) {
				continue
			}
		}
		return l, end, true
	}
	return l, 0, false
}

// noName reports labels that end a field even where OCR lost their colon.
func noName(label string) bool {
	switch label {
	case "sex", "gender", "age", "dept", "department", "date", "time", "findings", "impression":
		return true
	}
	return false
}

// spells reports a label at letter i, with no more than a few blanks between its
// characters.
func (r *reader) spells(i int, text []rune) bool {
	const widest = 12 // bytes: 姓　　名
	for k, c := range text {
		l := r.letters[i+k]
		if l.Rune != c {
			return false
		}
		if k > 0 && l.Parted {
			between := r.text[r.letters[i+k-1].End:l.Start]
			if len(between) > widest || strings.ContainsAny(between, ":：\n\x01") || !l.Ideograph && len(between) > 2 {
				return false
			}
		}
	}
	return true
}

// labelEnds reports that no word goes on at letter end.
func (r *reader) labelEnds(end int) bool {
	if end == len(r.letters) {
		return true
	}
	l, before := r.letters[end], r.letters[end-1]
	return l.Parted || before.Ideograph || l.Ideograph || l.Digit != before.Digit && !before.Digit
}

// signed reports a colon behind byte at, or a gap as between the cells of a table.
func (r *reader) signed(at int) bool {
	s := r.text[at:]
	for n := 0; len(s) > 0 && n < 12; n++ {
		c, size := utf8.DecodeRuneInString(s)
		switch c {
		case ':', '：', '=', '#', '№', '︰', '﹕', '∶':
			return true
		case '\t', '|':
			return true
		case ' ', '\u3000', '\u00a0', '.', ')', '）', '_', '*':
			if strings.HasPrefix(s, wideGap) {
				return true
			}
			s = s[size:]
			continue
		}
		return false
	}
	return false
}

// wideGap is what parts the fields of a line.
const wideGap = "   "
