package subject

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// person is a name in parts. Each part is folded, in the pieces a text may part it
// into.
type person struct {
	family, given, middle []string
	// script is ideograph for names in characters, letter for all others.
	script class
	read   bool // from Chinese characters, in one of their readings
}

// people reads the component groups of a DICOM person name, or a name as people
// write it: "Zhang, Wei", "Wei Zhang", "张伟". What cannot be told apart is given in
// every way it may be read and spelled.
func people(name string) []person {
	all := readNames(nil, name)
	if w := written.Replace(name); w != name {
		all = readNames(all, w)
	}
	return all
}

func readNames(all []person, name string) []person {
	const most = 8
	groups := strings.FieldsFunc(name, func(r rune) bool { return r == '=' || r == '\\' })
	for _, group := range groups[:min(len(groups), most)] {
		for _, parts := range components(group) {
			p, ok := newPerson(parts)
			switch {
			case !ok:
			case p.script == ideograph:
				all = append(append(all, p), romanised(p)...)
			default:
				all = append(all, respelled(p)...)
			}
		}
	}
	return all
}

// written spells out what folding drops: "Müller" folds to "muller", and "Mueller"
// is the same name.
var written = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "å", "aa", "ø", "oe", "Ä", "Ae", "Ö", "Oe", "Ü", "Ue", "Å", "Aa", "Ø", "Oe")

// components gives the ways to read a group as family, given and middle name.
func components(group string) [][]string {
	const longest = 256
	if len(group) > longest {
		group = strings.ToValidUTF8(group[:longest], "")
	}
	parts := strings.Split(group, "^")
	if len(parts) > 1 && strings.TrimSpace(strings.Join(parts[1:min(3, len(parts))], "")) != "" {
		return [][]string{parts}
	}
	if family, given, ok := strings.Cut(parts[0], ","); ok {
		return [][]string{{family, given}}
	}
	words := strings.Fields(parts[0])
	if len(words) < 2 {
		return [][]string{splitCharacters(strings.TrimSpace(parts[0]))}
	}
	last := len(words) - 1
	return [][]string{
		{words[0], strings.Join(words[1:], " ")},
		{words[last], strings.Join(words[:last], " ")},
	}
}

func newPerson(parts []string) (person, bool) {
	for len(parts) < 3 {
		parts = append(parts, "")
	}
	p := person{script: letter, family: pieces(parts[0]), given: pieces(parts[1]), middle: pieces(parts[2])}
	all := slices.Concat(p.family, p.given, p.middle)
	if len(all) == 0 {
		return p, false
	}
	if len(p.family) == 0 {
		p.family, p.given = p.given, nil
	}
	if slices.ContainsFunc(all, isIdeographic) { // each character may stand apart
		p.script = ideograph
		p.family, p.given, p.middle = characters(p.family), characters(p.given), characters(p.middle)
	}
	return p, true
}

// splitCharacters parts a Chinese name into family and given name.
func splitCharacters(name string) []string {
	runes := []rune(name)
	if len(runes) < 2 || len(runes) > 4 || !isHan(name) {
		return []string{name}
	}
	n := 1
	if len(runes) == 4 || len(runes) == 3 && strings.Contains(doubleFamilyNames, string(runes[:2])) {
		n = 2
	}
	return []string{string(runes[:n]), string(runes[n:])}
}

const doubleFamilyNames = "欧阳 歐陽 司马 司馬 上官 诸葛 諸葛 东方 東方 皇甫 尉迟 尉遲 公孙 公孫 慕容 令狐 宇文 长孙 長孫 司徒 夏侯 轩辕 端木 百里 呼延 南宫 独孤 西门 万俟 闻人 澹台 申屠 太史 钟离 鲜于"

func isHan(s string) bool {
	for _, r := range s {
		if !unicode.Is(unicode.Han, r) {
			return false
		}
	}
	return s != ""
}

func isIdeographic(folded string) bool {
	for _, r := range folded {
		if unicode.In(r, unspaced...) {
			return true
		}
	}
	return false
}

func characters(pieces []string) (all []string) {
	for _, p := range pieces {
		for _, r := range p {
			all = append(all, string(r))
		}
	}
	return all
}

// pieces gives the folded words of a part of a name; a capital within a word begins
// a new one: "XiaoDong".
func pieces(part string) (all []string) {
	const most = 8
	var b []byte
	end := func() {
		if len(b) > 0 && len(all) < most {
			all = append(all, string(b))
		}
		b = b[:0]
	}
	units := fold(part)
	for i, u := range units {
		if u.class == separator || i > 0 && camel(units, i) {
			end()
		}
		if u.class != separator {
			b = utf8.AppendRune(b, u.r)
		}
	}
	end()
	return all
}

// camel reports a capital letter right behind a small one.
func camel(units []unit, i int) bool {
	return units[i].upper && units[i-1].class == letter && !units[i-1].upper && units[i].start != units[i-1].start
}

// namePatterns adds every way names are written.
func (t *trie) namePatterns(people []person, kind Kind) {
	for _, p := range people {
		switch {
		case p.script == ideograph:
			t.characterName(p, kind)
		case p.read:
			t.fullName(p, kind)
			t.wordIfLong(strings.Join(p.given, ""), p.given, kind)
		default:
			t.fullName(p, kind)
			t.initials(p, kind)
			t.singleNames(p, kind)
		}
	}
}

// characterName adds a name in characters: whole in both orders, and family and given
// name of two characters or more.
func (t *trie) characterName(p person, kind Kind) {
	add := func(rule rule, strong bool, parts ...[]string) {
		t.add(pattern{kind, rule, strong && kind != Other}, parts...)
	}
	full := slices.Concat(p.family, p.given, p.middle)
	if len(full) >= 2 {
		add(inside, true, full)
	}
	if len(full) >= 3 && len(p.given) > 0 {
		add(inside, true, p.given, p.middle, p.family)
	}
	for _, part := range [][]string{p.given, p.middle} {
		if len(part) >= 2 && kind != Other {
			add(inside, true, part)
		}
	}
	switch len(p.family) {
	case 0:
	case 1:
		add(called, false, p.family)
	default:
		if kind != Other {
			add(inside, true, p.family)
		}
	}
}

// fullName adds family and given name in both orders, together and apart.
func (t *trie) fullName(p person, kind Kind) {
	add := func(parts ...[]string) {
		t.add(pattern{kind, word, kind != Other}, parts...)
	}
	if len(p.given) == 0 {
		if len(p.family) > 1 {
			add(p.family)
		}
		return
	}
	if lettersOf(p.family)+lettersOf(p.given) < 3 {
		return
	}
	add(p.family, p.given)
	add(p.given, p.family)
	if len(p.middle) > 0 {
		add(p.family, p.given, p.middle)
		add(p.given, p.middle, p.family)
		add(p.given, firstLetters(p.middle), p.family)
		add(p.family, p.given, firstLetters(p.middle))
	}
	if len(p.given) > 1 && len([]rune(p.given[0])) >= 2 {
		add(p.given[:1], p.family)
		add(p.family, p.given[:1])
	}
	if len(p.family) > 1 {
		for _, f := range p.family {
			if len(f) >= 4 && !particle(f) {
				add([]string{f}, p.given)
				add(p.given, []string{f})
			}
		}
	}
}

// initials adds the family name with initials: "W. Zhang", "Zhang XD".
func (t *trie) initials(p person, kind Kind) {
	family := lettersOf(p.family)
	if len(p.given) == 0 || family < 2 {
		return
	}
	before, behind := word, initial
	if family < 4 {
		before, behind = context, context
	}
	strong := family >= 4 && kind != Other
	first := firstLetters(p.given)
	all := firstLetters(slices.Concat(p.given, p.middle))
	for _, in := range [][]string{first[:1], first, all} {
		t.add(pattern{kind, behind, strong}, p.family, in)
		t.add(pattern{kind, before, strong}, in, p.family)
	}
}

// singleNames adds family, given and middle name alone, and the words of double
// names.
func (t *trie) singleNames(p person, kind Kind) {
	for _, part := range [][]string{p.family, p.given, p.middle} {
		if len(part) == 0 {
			continue
		}
		joined := strings.Join(part, "")
		t.wordIfLong(joined, part, kind)
		if !t.short(joined, kind) {
			t.misspelt(joined, kind)
		}
		if len(part) == 1 {
			continue
		}
		for _, piece := range part {
			if len([]rune(piece)) >= 4 && !particle(piece) {
				t.wordIfLong(piece, []string{piece}, kind)
				t.misspelt(piece, kind)
			}
		}
	}
}

// wordIfLong adds a name of four letters and more. That of another person counts only
// behind a title.
func (t *trie) wordIfLong(joined string, part []string, kind Kind) {
	const long = 4
	switch {
	case kind == Other && len(joined) > 1:
		t.add(pattern{kind, titled, false}, part)
	case kind != Other && utf8.RuneCountInString(joined) >= long:
		t.add(pattern{kind, word, true}, part)
	}
}

// short adds a name of two or three letters, which counts only where something shows
// that it is one.
func (t *trie) short(joined string, kind Kind) bool {
	if n := utf8.RuneCountInString(joined); n >= 4 || kind == Other {
		return false
	} else if n >= 2 {
		t.addText(joined, pattern{kind, context, false})
	}
	return true
}

func (t *trie) misspelt(word string, kind Kind) {
	const shortest, most = 6, 16
	if r := []rune(word); len(r) >= shortest && len(r) <= maxPattern && kind != Other && len(t.near) < most {
		t.near = append(t.near, r)
	}
}

func particle(word string) bool {
	switch word {
	case "van", "von", "der", "den", "des", "del", "dela", "della", "delle", "dell", "dos", "das", "bin", "ibn", "abu", "zur", "vander":
		return true
	}
	return false
}

// respelled gives a name as it stands, and with umlauts that were written out folded
// as they would be; names in Chinese syllables are parted into them.
func respelled(p person) []person {
	p.family, p.given = inSyllables(p.family), inSyllables(p.given)
	if !strings.ContainsAny(strings.Join(p.family, "")+strings.Join(p.given, ""), "ea") {
		return []person{p}
	}
	q := person{family: unwritten(p.family), given: unwritten(p.given), middle: unwritten(p.middle), script: p.script}
	if slices.Equal(q.family, p.family) && slices.Equal(q.given, p.given) {
		return []person{p}
	}
	return []person{p, q}
}

func unwritten(part []string) []string {
	out := make([]string, len(part))
	for i, p := range part {
		out[i] = umlauts.Replace(p)
	}
	return out
}

var umlauts = strings.NewReplacer("ae", "a", "oe", "o", "ue", "u", "aa", "a")

func inSyllables(part []string) []string {
	if len(part) != 1 {
		return part
	}
	word := part[0]
	ends := syllables(word)
	var parts []string
	from := 0
	for i := 1; i < len(ends); i++ {
		if ends[i] {
			parts = append(parts, word[from:i])
			from = i
		}
	}
	if len(parts) < 2 {
		return part
	}
	return parts
}

// romanised gives a name in Chinese characters in pinyin, in every reading as long as
// they are few.
func romanised(p person) []person {
	const most = 8
	family, given := spellings(slices.Concat(p.family), most), spellings(slices.Concat(p.given, p.middle), most)
	var all []person
	for _, f := range family {
		for _, g := range given {
			if len(all) < most {
				all = append(all, person{family: f, given: g, script: letter, read: true})
			}
		}
	}
	return all
}

func spellings(characters []string, most int) [][]string {
	all := [][]string{nil}
	for _, c := range characters {
		r, _ := utf8.DecodeRuneInString(c)
		var next [][]string
		for _, begun := range all {
			for _, reading := range latin(readings(r)) {
				if len(next) < most {
					next = append(next, append(slices.Clone(begun), reading))
				}
			}
		}
		all = next
	}
	if len(characters) == 0 {
		return nil
	}
	return all
}

// latin gives readings with every way to write ü.
func latin(readings []string) (all []string) {
	for _, r := range readings {
		all = append(all, r)
		if strings.Contains(r, "v") {
			all = append(all, strings.Replace(r, "v", "u", 1), strings.Replace(r, "v", "yu", 1))
		}
	}
	return all
}

// Initials are the first letters of the patient's names, in small letters without
// accents, two to four of them: with the family name first and last. So short, they
// are found by whoever knows which words have another meaning.
func (s *Subject) Initials() (all []string) {
	for _, p := range s.people() {
		if p.script == ideograph || len(p.family) == 0 || len(p.given) == 0 {
			continue
		}
		family := firstLetters(p.family)
		for _, given := range [][]string{firstLetters(p.given)[:1], firstLetters(p.given), firstLetters(slices.Concat(p.given, p.middle))} {
			for _, letters := range [][]string{slices.Concat(family, given), slices.Concat(given, family)} {
				if n := len(letters); n >= 2 && n <= 4 {
					all = append(all, strings.Join(letters, ""))
				}
			}
		}
	}
	return all
}

func firstLetters(pieces []string) (all []string) {
	for _, p := range pieces {
		_, size := utf8.DecodeRuneInString(p)
		all = append(all, p[:size])
	}
	return all
}

// lettersOf counts the letters of pieces, in bytes.
func lettersOf(pieces []string) (n int) {
	for _, p := range pieces {
		n += len(p)
	}
	return n
}
