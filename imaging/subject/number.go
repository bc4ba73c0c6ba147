package subject

import "strings"

// idPatterns adds an identifier: whole, without the letters before it, and without
// leading zeros, as long as enough is left to know it by.
func (t *trie) idPatterns(id string, kind Kind) {
	const (
		long   = 5 // characters that are no coincidence
		longer = 6 // without its prefix
	)
	full := letters(id)
	switch n := len([]rune(full)); {
	case n < 2 || uidLike(id):
		return
	case n < 3:
		t.addText(full, pattern{kind, context, false})
		return
	case n < long:
		t.addText(full, pattern{kind, exact, true})
		return
	}
	t.addText(full, pattern{kind, number, true})
	core := strings.TrimLeftFunc(full, func(r rune) bool { return r < '0' || r > '9' })
	prefixed := core != full
	core = strings.TrimLeft(core, "0")
	if onlyDigits(core) && (len(core) >= longer || !prefixed && len(core) >= long) {
		t.addText(core, pattern{kind, number, true})
	}
}

func onlyDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// uidLike reports numbers with dots between them, whose dots matter.
func uidLike(id string) bool {
	return strings.Count(id, ".") >= 3 && strings.Trim(id, "0123456789. \x00") == ""
}

// phonePatterns adds a telephone number: with and without country and area code.
func (t *trie) phonePatterns(phone string) {
	const shortest = 7
	full := digits(phone)
	national := strings.TrimPrefix(strings.TrimPrefix(full, "00"), "86")
	forms := []string{full, strings.TrimPrefix(full, "00"), national, strings.TrimLeft(national, "0")}
	if len(national) == 11 && national[0] == '1' {
		forms = append(forms, "86"+national, "0086"+national)
	}
	if parts := strings.FieldsFunc(phone, func(r rune) bool { return r == '-' || r == ' ' || r == '/' || r == ')' }); len(parts) > 1 {
		forms = append(forms, digits(strings.Join(parts[1:], ""))) // without area code
	}
	if strings.HasPrefix(strings.TrimSpace(phone), "+") && len(full) > 10 {
		forms = append(forms, full[2:], "0"+full[2:]) // of most countries
	}
	for _, f := range forms {
		if len(f) >= shortest {
			t.addText(f, pattern{Phone, number, true})
		}
	}
}

func digits(s string) string {
	var b []byte
	for _, u := range fold(s) {
		if u.class == digit {
			b = append(b, byte(u.r))
		}
	}
	return string(b)
}

// emailPatterns adds an address, and the part before the @ where it is long enough.
func (t *trie) emailPatterns(email string) {
	local, _, _ := strings.Cut(email, "@")
	if l := letters(local); len(l) >= 5 && !commonWord(l) {
		t.addText(l, pattern{Email, exact, true})
	}
}

// addressPatterns adds an address: whole, and each of its parts that has a number and
// a name.
func (t *trie) addressPatterns(address string) {
	t.addressPart(address)
	for part := range strings.FieldsFuncSeq(address, func(r rune) bool { return strings.ContainsRune(",;^\\=\n，；、", r) }) {
		t.addressPart(part)
	}
}

func (t *trie) addressPart(part string) {
	const shortest = 6
	words := pieces(part)
	text := strings.Join(words, "")
	if len([]rune(text)) < shortest || !strings.ContainsAny(text, "0123456789") && !isIdeographic(text) || onlyDigits(text) {
		return
	}
	rule := word
	if isIdeographic(text) {
		rule = inside
	}
	t.add(pattern{Address, rule, true}, words)
	if len(words) > 1 && onlyDigits(words[0]) { // 12 High Street, Hauptstraße 12
		t.add(pattern{Address, rule, true}, words[1:], words[:1])
	}
}

// other is a physician, a relative or an institution.
type other struct {
	name   string
	people []person // none of an institution
}

func newOther(name string) other {
	if institution(name) {
		return other{name: name}
	}
	return other{name, people(name)}
}

// otherPatterns adds another person, or an institution where its name has several
// words, since single ones are words like others.
func (t *trie) otherPatterns(o other) {
	if len(o.people) > 0 {
		t.namePatterns(o.people, Other)
		return
	}
	words := pieces(strings.NewReplacer("^", " ", "=", " ").Replace(o.name))
	if isIdeographic(strings.Join(words, "")) {
		t.add(pattern{Other, inside, false}, words)
	} else if distinctive(words) {
		t.add(pattern{Other, word, false}, words)
	}
}

// institution tells an institution from a person.
func institution(name string) bool {
	if strings.Contains(strings.TrimRight(name, "^"), "^") {
		return false
	}
	if isHan(strings.TrimSpace(name)) {
		return len([]rune(strings.TrimSpace(name))) > 4
	}
	words := pieces(name)
	if len(words) > 4 || strings.ContainsAny(name, "0123456789") {
		return true
	}
	for _, w := range words {
		if commonWord(w) {
			return true
		}
	}
	return false
}

// distinctive reports whether there is a word among them that is not everywhere.
func distinctive(words []string) bool {
	n := 0
	for _, w := range words {
		if len(w) >= 3 && !commonWord(w) {
			n++
		}
	}
	return n > 0 && len(words) > 1
}

// commonWord reports a word of names of institutions, devices and makers that names
// nobody.
func commonWord(w string) bool {
	switch w {
	case "hospital", "hospitals", "clinic", "clinics", "klinik", "klinikum", "krankenhaus", "hopital", "clinique", "centre", "center", "centro",
		"university", "universitat", "universite", "universidad", "medical", "medicine", "medizin", "radiology", "radiologie", "radiologia",
		"imaging", "institute", "institut", "department", "abteilung", "service", "health", "healthcare", "care", "system", "systems", "group",
		"general", "central", "national", "regional", "city", "county", "state", "north", "south", "east", "west", "of", "the", "and", "for", "und", "der", "die", "das", "de", "la",
		"siemens", "philips", "toshiba", "canon", "hitachi", "fuji", "fujifilm", "agfa", "kodak", "carestream", "shimadzu", "samsung", "hologic", "varian", "elekta", "bruker", "mindray", "neusoft",
		"scanner", "research", "laboratory", "test", "demo", "phantom", "anonymous", "anonymized", "anonymised", "unknown", "none", "patient", "admin", "administrator", "user", "operator", "physician", "doctor", "nurse", "technologist", "tech", "staff", "info", "mail", "contact", "office":
		return true
	}
	return false
}
