package subject

import (
	"slices"
	"strings"
)

const (
	window  = 64 << 10 // bytes of text that are looked at together
	overlap = 1 << 10  // longer than any match
)

// Find tells where a text names the patient, or holds what only names a person:
// Chinese resident ids, telephone numbers, e-mail and postal addresses, whoever's
// they are. The matches are sorted and do not overlap.
func (s *Subject) Find(text string) []Match {
	var found []Match
	for at, part := range windows(text) {
		for _, m := range s.find(part) {
			m.Start, m.End = m.Start+at, m.End+at
			found = append(found, m)
		}
	}
	return merged(found)
}

// windows parts a long text into overlapping pieces, so that what is held of it stays
// small.
func windows(text string) func(yield func(at int, part string) bool) {
	return func(yield func(int, string) bool) {
		for at := 0; ; at += window - overlap {
			end := min(at+window, len(text))
			if !yield(at, text[at:end]) || end == len(text) {
				return
			}
		}
	}
}

func (s *Subject) find(text string) []Match {
	f := finder{s: s, text: text, units: fold(text), lower: hasLower(text)}
	f.values(false)
	f.dates()
	f.literals()
	f.misspellings()
	f.patterns()
	return f.found
}

// finder is one search.
type finder struct {
	s     *Subject
	text  string
	units []unit
	lower bool // the text has small letters, so that capitals mean something
	found []Match
}

func hasLower(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r >= 'a' && r <= 'z' })
}

// add notes units from to end.
func (f *finder) add(from, end int, k Kind) {
	f.found = append(f.found, Match{Start: int(f.units[from].start), End: int(f.units[end-1].end), Kind: k})
}

// values looks for what is known of the patient.
func (f *finder) values(onlyStrong bool) {
	t := f.s.trie()
	for i := range f.units {
		if !f.begins(i) {
			continue
		}
		from := i
		visit := func(p *pattern, end int) {
			if (p.strong || !onlyStrong) && f.counts(p, from, i, end) {
				end = f.genitive(p, end)
				f.add(from, end, p.kind)
			}
		}
		t.walk(f.units, i, visit)
		if f.units[i].r == '0' && f.units[i].class == digit { // zeros that the known value may lack
			for i < len(f.units)-1 && f.units[i].r == '0' && f.units[i+1].class == digit {
				i++
			}
			t.walk(f.units, i, visit)
		}
	}
}

// begins reports whether a value may begin at unit i.
func (f *finder) begins(i int) bool {
	u := f.units[i]
	if i == 0 {
		return u.class != separator
	}
	before := f.units[i-1]
	switch u.class {
	case letter:
		return before.start != u.start && (before.class != letter || camel(f.units, i))
	case digit:
		return before.class != digit
	case ideograph:
		return before.start != u.start
	}
	return false
}

// counts reports whether a pattern between units i and end is the value it stands for.
// from is i, or lies before it where leading zeros do.
func (f *finder) counts(p *pattern, from, i, end int) bool {
	us := f.units
	switch p.rule {
	case word:
		return f.wordEnds(end)
	case initial:
		return end == len(us) || us[end].class != letter && us[end].class != digit || camel(us, end) // "Lin is" is no "Lin I."
	case inside:
		return true
	case context:
		return f.wordEnds(end) && (end == len(us) || us[end].class != digit) && (f.introduced(i) || f.spelledAsName(i, end))
	case titled:
		return f.wordEnds(end) && f.introduced(i)
	case called:
		return f.titleFollows(end)
	case number, exact:
		if us[end-1].class == digit && end < len(us) && us[end].class == digit {
			return false
		}
		if us[end-1].class == letter && !f.wordEnds(end) {
			return false
		}
		if p.rule == exact && (from > 0 && us[from-1].class != separator || end < len(us) && us[end].class != separator) {
			return false
		}
		const longNumber = 8 // one that does not turn up by chance behind a decimal point
		return end-i >= longNumber || !fraction(us, from) && !touches(us, end)
	}
	return false
}

// wordEnds reports that no word goes on at unit end; the s of a genitive does not
// count.
func (f *finder) wordEnds(end int) bool {
	us := f.units
	if end == len(us) || us[end].class != letter || camel(us, end) {
		return true
	}
	return us[end].r == 's' && (end+1 == len(us) || us[end+1].class != letter) && us[end-1].class == letter
}

// genitive takes the s into the match.
func (f *finder) genitive(p *pattern, end int) int {
	if p.rule == word && end < len(f.units) && f.units[end].class == letter && f.units[end].r == 's' && !f.units[end].upper {
		return end + 1
	}
	return end
}

// introduced reports a title or a label before unit i: "Mrs. Li", "Name: Li".
func (f *finder) introduced(i int) bool {
	const most = 3
	j := i
	for j > 0 && i-j < most && f.units[j-1].class == separator && f.units[j-1].r != '\n' {
		j--
	}
	if j > 0 && f.units[j-1].class == ideograph {
		for _, label := range []string{"姓名", "患者", "病人", "病员", "联系人", "家属"} {
			if f.endsWith(j, label) {
				return true
			}
		}
		return false
	}
	from := j
	for from > 0 && f.units[from-1].class == letter {
		from--
	}
	if from == j {
		return false
	}
	var b []byte
	for _, u := range f.units[from:min(j, from+16)] {
		b = append(b, string(u.r)...)
	}
	return Title(string(b))
}

func (f *finder) endsWith(j int, label string) bool {
	for i := len(label); i > 0; {
		r, size := lastRune(label[:i])
		if j == 0 || f.units[j-1].r != r {
			return false
		}
		j--
		i -= size
	}
	return true
}

// Title reports a folded word that stands before names: a form of address, or a label.
func Title(word string) bool {
	switch word {
	case "mr", "mrs", "ms", "miss", "mister", "dr", "prof", "professor", "doctor", "sir", "madam", "dame", "lord", "rev", "pt", "patient", "name", "surname", "lastname", "firstname",
		"herr", "herrn", "frau", "hr", "fr", "patientin", "vorname", "nachname", "familienname", "geb", "geborene",
		"monsieur", "madame", "mme", "mlle", "mademoiselle", "docteur", "nom", "prenom",
		"sr", "sra", "srta", "senor", "senora", "senorita", "don", "dona", "doctora", "dra", "paciente", "nombre", "apellido", "apellidos":
		return true
	}
	return false
}

// spelledAsName reports a capital letter with small ones behind it, in a word that
// is hardly anything but a name.
func (f *finder) spelledAsName(i, end int) bool {
	if !f.lower || !f.units[i].upper {
		return false
	}
	var b []byte
	for _, u := range f.units[i:end] {
		if u.class != letter || u.start != f.units[i].start && u.upper {
			return false
		}
		b = append(b, string(u.r)...)
	}
	return !plainShort(string(b))
}

// plainShort reports short words of other meanings.
func plainShort(w string) bool {
	const words = " the and for but not are was has had can may its our you she her his him who how why all any few old new now one two six ten per via yes low top end due age day mid bed out off see saw set sat lie man men boy air arm leg hip rib jaw ear eye lip toe gut fat pus red hot wet dry bow fan sun ray art mac fox max min mm cm ct mr us pa ap lt rt an as at be by do go he hi if in is it me my no of oh ok on or so to up we am ad de la le el un en es im zu da et du ou ne se te "
	return strings.Contains(words, " "+w+" ")
}

// titleFollows reports a form of address behind a family name of one character.
func (f *finder) titleFollows(end int) bool {
	for _, title := range []string{"先生", "女士", "小姐", "太太", "夫人", "同志", "医生", "医师", "大夫", "主任", "教授", "老师", "护士", "某", "氏", "老太", "大爷", "阿姨", "さん", "様", "씨", "님"} {
		if f.startsWith(end, title) {
			return true
		}
	}
	return false
}

func (f *finder) startsWith(j int, label string) bool {
	for _, r := range label {
		if j == len(f.units) || f.units[j].r != narrow(r) {
			return false
		}
		j++
	}
	return true
}

// dates looks for the known days.
func (f *finder) dates() {
	if len(f.s.days) == 0 {
		return
	}
	for _, d := range f.s.dates(f.units) {
		if f.s.knows(d) {
			f.found = append(f.found, Match{Start: d.Start, End: d.End, Kind: Date})
		}
	}
}

// literals looks for UIDs.
func (f *finder) literals() {
	for _, l := range f.s.literals {
		for at := 0; ; {
			i := strings.Index(f.text[at:], l)
			if i < 0 {
				break
			}
			from, end := at+i, at+i+len(l)
			if !digital(f.text, from-1) && (!digital(f.text, end) || f.text[end] == '.' && !digital(f.text, end+1)) {
				f.found = append(f.found, Match{Start: from, End: end, Kind: ID})
			}
			at = end
		}
	}
}

// digital reports a digit or a dot at i.
func digital(text string, i int) bool {
	return i >= 0 && i < len(text) && (text[i] >= '0' && text[i] <= '9' || text[i] == '.')
}

// misspellings looks for words one edit from a long name.
func (f *finder) misspellings() {
	near := f.s.trie().near
	if len(near) == 0 {
		return
	}
	for i := 0; i < len(f.units); i++ {
		if f.units[i].class != letter {
			continue
		}
		end := i + 1
		for end < len(f.units) && f.units[end].class == letter {
			end++
		}
		for _, name := range near {
			if oneEdit(f.units[i:end], name) {
				f.add(i, end, Name)
				f.found[len(f.found)-1].Near = true
				break
			}
		}
		i = end
	}
}

// oneEdit reports whether one letter put in, left out, changed, or two that changed
// places, make a word a name.
func oneEdit(word []unit, name []rune) bool {
	if d := len(word) - len(name); d < -1 || d > 1 {
		return false
	}
	i := 0
	for i < min(len(word), len(name)) && word[i].r == name[i] {
		i++
	}
	j, k := len(word), len(name)
	for j > i && k > i && word[j-1].r == name[k-1] {
		j--
		k--
	}
	switch {
	case j-i == 0 && k-i == 0:
		return false // the name itself, found as such where it counts
	case j-i <= 1 && k-i <= 1:
		return true
	}
	return j-i == 2 && k-i == 2 && word[i].r == name[i+1] && word[i+1].r == name[i]
}

// merged sorts matches and makes one of those that overlap; the longest says what it
// is.
func merged(found []Match) []Match {
	slices.SortFunc(found, func(a, b Match) int {
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		return b.End - a.End
	})
	out := found[:0]
	longest := 0
	for _, m := range found {
		last := len(out) - 1
		if last < 0 || m.Start >= out[last].End {
			out = append(out, m)
			longest = m.End - m.Start
			continue
		}
		if n := m.End - m.Start; n > longest || n == longest && (m.Kind < out[last].Kind || !m.Near) {
			out[last].Kind = m.Kind
			longest = n
		}
		out[last].Near = out[last].Near && m.Near
		out[last].End = max(out[last].End, m.End)
	}
	return out
}
