package subject

import (
	"hash/maphash"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// needle is a value in bytes, ASCII letters in small.
type needle struct {
	text   []byte
	kind   Kind
	border border
	wide   bool // UTF-16: of ASCII without the first or last zero, so that it is of both byte orders
}

// border says what may not touch a needle.
type border uint8

const (
	nothing   border = iota
	wordChars        // letters, where the needle ends in one; digits, where it does
	anyChars         // letters and digits
	numbers          // digits and dots
)

// at reports whether the needle lies at i.
func (n *needle) at(b []byte, i int) bool {
	if len(b)-i < len(n.text) {
		return false
	}
	for k, c := range n.text {
		if lowered[b[i+k]] != c {
			return false
		}
	}
	return true
}

// alone reports whether no character touches the needle at i that makes it part of
// something else.
func (n *needle) alone(b []byte, i int) bool {
	if n.border == nothing {
		return true
	}
	before, after := n.neighbours(b, i)
	first, last := n.text[0], n.text[len(n.text)-1]
	switch n.border {
	case numbers:
		return !numeral(before) && !numeral(after)
	case anyChars:
		return !alphanumeric(before) && !alphanumeric(after)
	}
	if isLetter(first) && isLetter(before) && !(small(before) && !small(b[i])) {
		return false
	}
	if isLetter(last) && isLetter(after) && !(small(b[i+len(n.text)-1]) && !small(after)) {
		return false
	}
	return !(isDigit(first) && isDigit(before)) && !(isDigit(last) && isDigit(after))
}

// neighbours are the characters before and after; 0 where there is none. A byte of an
// element's header looks like a letter now and then: behind a value stands a tag,
// before one in big endian a length.
func (n *needle) neighbours(b []byte, i int) (before, after byte) {
	at := func(k int) byte {
		if k >= 0 && k < len(b) {
			return b[k]
		}
		return 0
	}
	end := i + len(n.text)
	if n.wide {
		if at(i-1) == 0 {
			before = at(i - 2)
		}
		if at(end) == 0 {
			after = at(end + 1)
		}
		return before, after
	}
	before, after = at(i-1), at(end)
	if at(i-2) == 0 && isCapital(at(i-3)) && isCapital(at(i-4)) {
		before = 0 // VR and a length of two bytes
	}
	if at(end+1) == 0 && end+1 < len(b) {
		after = 0 // the group of the next tag
	}
	return before, after
}

func isCapital(c byte) bool    { return c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool      { return c >= '0' && c <= '9' }
func numeral(c byte) bool      { return isDigit(c) || c == '.' }
func isLetter(c byte) bool     { return lowered[c] >= 'a' && lowered[c] <= 'z' }
func small(c byte) bool        { return c >= 'a' && c <= 'z' }
func alphanumeric(c byte) bool { return isLetter(c) || isDigit(c) }

// haystack collects needles.
type haystack struct {
	sets    []Encoder
	needles []needle
	seed    maphash.Seed
	seen    map[uint64]bool // by hash
	bytes   []byte          // of the needles
	scratch []byte
}

const maxNeedles = 4096

// needles gives what a Scanner looks for.
func (s *Subject) needles(sets []Encoder) []needle {
	h := &haystack{sets: append([]Encoder{gb18030()}, sets...), needles: make([]needle, 0, 128), bytes: make([]byte, 0, 4<<10), seed: maphash.MakeSeed(), seen: make(map[uint64]bool, 256)}
	for _, name := range s.known.Names {
		h.written(name)
	}
	for _, p := range s.people() {
		switch {
		case p.read:
			h.pinyin(p)
		case p.script == letter:
			h.latin(p, Name)
		}
	}
	for _, id := range s.known.IDs {
		h.id(id)
	}
	for _, raw := range s.known.Raw {
		h.raw(raw)
	}
	for _, uid := range s.known.UIDs {
		if len(uid) >= longID {
			h.add(uid, ID, numbers)
		}
	}
	for _, day := range s.days {
		for _, layout := range []string{"20060102", "2006-01-02", "2006.01.02", "2006/01/02", "2006_01_02", "02012006", "02.01.2006", "02/01/2006", "02-01-2006", "01/02/2006", "02-Jan-2006", "2 January 2006", "January 2, 2006", "2006年1月2日", "2006年01月02日"} {
			h.add(day.Format(layout), Date, numbers)
		}
	}
	for _, p := range s.known.Phones {
		h.phone(p)
	}
	for _, e := range s.known.Emails {
		h.long(e, Email)
	}
	for _, a := range s.known.Addresses {
		h.address(a)
	}
	for _, o := range s.others() {
		h.other(o)
	}
	return h.needles
}

func gb18030() Encoder {
	encoder := simplifiedchinese.GB18030.NewEncoder()
	var b []byte
	return func(text string) []byte {
		encoder.Reset()
		b = slices.Grow(b[:0], 4*len(text))[:4*len(text)] // of one byte at most four
		n, _, err := encoder.Transform(b, []byte(text), true)
		if err != nil {
			return nil
		}
		return b[:n]
	}
}

// add adds a text in every set.
func (h *haystack) add(text string, k Kind, b border) {
	if ascii(text) {
		h.putText(text, k, b)
		h.scratch = wideASCII(h.scratch[:0], text)
		h.put(h.scratch, k, b, true)
		return
	}
	if b == wordChars {
		b = nothing // letters beyond ASCII are many bytes: by chance they do not turn up
	}
	h.putText(text, k, b)
	for big := range 2 {
		h.scratch = wide(h.scratch[:0], text, big)
		h.put(h.scratch, k, nothing, true)
	}
	for _, set := range h.sets {
		h.put(set(text), k, b, false)
	}
}

func (h *haystack) putText(text string, k Kind, b border) {
	h.scratch = append(h.scratch[:0], text...)
	h.put(h.scratch, k, b, false)
}

// put adds a copy of text in small letters.
func (h *haystack) put(text []byte, k Kind, b border, wide bool) {
	if len(text) < shortestNeedle || len(h.needles) >= maxNeedles {
		return
	}
	for i, c := range text {
		text[i] = lowered[c]
	}
	sum := maphash.Bytes(h.seed, text)
	if h.seen[sum] {
		return
	}
	h.seen[sum] = true
	from := len(h.bytes)
	h.bytes = append(h.bytes, text...)
	h.needles = append(h.needles, needle{h.bytes[from:len(h.bytes):len(h.bytes)], k, b, wide})
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// wideASCII appends a text in UTF-16 from its first character to its last, which is
// the same in both byte orders.
func wideASCII(b []byte, text string) []byte {
	for i := range len(text) {
		if i > 0 {
			b = append(b, 0)
		}
		b = append(b, text[i])
	}
	return b
}

// wide appends a text in UTF-16; big is 1 for big endian.
func wide(b []byte, text string, big int) []byte {
	for _, r := range text {
		high, low := utf16.EncodeRune(r)
		units := []uint16{uint16(high), uint16(low)}
		if r < 0x10000 {
			units = []uint16{uint16(r)}
		}
		for _, u := range units {
			pair := [2]byte{byte(u), byte(u >> 8)}
			b = append(b, pair[big], pair[1-big])
		}
	}
	return b
}

const (
	longID   = 5 // characters that are no coincidence
	longName = 4 // letters
)

// id adds an identifier as it is written, without punctuation, and without what stands
// before its number.
func (h *haystack) id(id string) {
	if uidLike(id) {
		h.add(id, ID, numbers)
		return
	}
	h.number(id, ID)
	if full := letters(id); len(full) > longID {
		h.number(full, ID)
		core := strings.TrimLeft(strings.TrimLeftFunc(full, unicode.IsLetter), "0")
		if len(core) > longID && onlyDigits(core) {
			h.number(core, ID)
			zeros := strings.TrimLeftFunc(full, unicode.IsLetter)
			h.number(zeros, ID)
		}
	}
}

// number adds a number, with letters or without.
func (h *haystack) number(text string, k Kind) {
	const veryLong = 8
	switch {
	case len(text) < longID:
	case strings.Trim(text, "0123456789.") == "":
		border := numbers
		if len(text) >= veryLong {
			border = wordChars
		}
		h.add(text, k, border)
	case len(text) >= veryLong:
		h.add(text, k, wordChars)
	default:
		h.add(text, k, anyChars)
	}
}

// long adds a value that cannot turn up by chance.
func (h *haystack) long(text string, k Kind) {
	const shortest = 6
	if len(text) >= shortest {
		h.add(text, k, nothing)
	}
}

func (h *haystack) phone(phone string) {
	const shortest = 7
	t := newTrie()
	t.phonePatterns(phone)
	for _, text := range t.texts() {
		h.number(text, Phone)
	}
	if len(digits(phone)) >= shortest {
		h.number(strings.TrimLeft(phone, "+"), Phone)
	}
}

// address adds an address, and each of its parts that has a number and a name.
func (h *haystack) address(address string) {
	const long = 10
	for _, part := range append([]string{address}, strings.FieldsFunc(address, func(r rune) bool { return strings.ContainsRune(",;^=\n", r) })...) {
		part = strings.TrimSpace(part)
		if len(part) >= long && strings.ContainsAny(part, "0123456789") && strings.Trim(part, "0123456789 -.") != "" {
			h.add(part, Address, wordChars)
		}
	}
}

// texts are the patterns of a trie.
func (t *trie) texts() (all []string) {
	t.each(func(text string, _ *pattern) { all = append(all, text) })
	return all
}

// each calls visit for every pattern of a trie.
func (t *trie) each(visit func(text string, p *pattern)) {
	var walk func(at int32, text string)
	walk = func(at int32, text string) {
		for c := t.nodes[at].child; c != 0; c = t.nodes[c].next {
			s := text + string(t.nodes[c].r)
			if n := t.nodes[c].pattern; n != 0 {
				visit(s, &t.patterns[n-1])
			}
			walk(c, s)
		}
	}
	walk(0, "")
}

// raw adds the parts of a name as they lie in the document.
func (h *haystack) raw(name string) {
	const longest = 256
	if len(name) > longest {
		return
	}
	parts := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("^= ,\\\x00", r) })
	for _, part := range append(parts, strings.Join(parts[:min(2, len(parts))], "")) {
		if !ascii(part) {
			h.putText(part, Name, nothing)
		}
	}
}

// latin adds the parts of a name as words, and family and given name together.
func (h *haystack) latin(p person, k Kind) {
	family, given := strings.Join(p.family, ""), strings.Join(p.given, "")
	if k == Name {
		for _, part := range [][]string{p.family, p.given, p.middle} {
			for _, w := range append(slices.Clone(part), strings.Join(part, "")) {
				if len(w) >= longName && !particle(w) && (len(part) == 1 || len(w) > longName || w == strings.Join(part, "")) {
					h.add(w, k, wordChars)
				}
			}
		}
	}
	if len(family)+len(given) < longName || family == "" || given == "" {
		return
	}
	h.add(family+given, k, wordChars)
	h.add(given+family, k, wordChars)
	if k == Name && (len(family) >= longName || len(given) >= longName) {
		return // found by that part
	}
	for _, between := range []string{" ", "^", ", ", ",", "_", "-", "."} {
		h.add(family+between+given, k, wordChars)
		h.add(given+between+family, k, wordChars)
	}
}

// pinyin adds a Chinese name in Latin letters: whole, and the given name of two
// syllables.
func (h *haystack) pinyin(p person) {
	family, given := strings.Join(p.family, ""), strings.Join(p.given, "")
	if len(family)+len(given) < longID {
		return
	}
	for _, between := range []string{"", " ", "^"} {
		h.add(family+between+given, Name, wordChars)
		h.add(given+between+family, Name, wordChars)
	}
	if len(p.given) > 1 && len(given) > longID {
		h.add(given, Name, wordChars)
	}
}

// written adds what of a name is beyond ASCII, as it is written: words in small and
// capital letters, characters in simplified and traditional script.
func (h *haystack) written(name string) {
	for group := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '=' }) {
		if ascii(group) {
			continue
		}
		parts := strings.Split(group, "^")
		if len(parts) == 1 {
			parts = splitCharacters(strings.TrimSpace(group))
		}
		if !isIdeographic(group) {
			for _, part := range parts {
				for w := range strings.FieldsFuncSeq(part, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) }) {
					if !ascii(w) && utf8.RuneCountInString(w) >= longName {
						for _, form := range []string{w, strings.ToLower(w), strings.ToUpper(w), capitalised(w)} {
							h.add(form, Name, wordChars)
						}
					}
				}
			}
			continue
		}
		h.characters(parts, Name)
	}
}

func capitalised(w string) string {
	_, size := utf8.DecodeRuneInString(w)
	return strings.ToUpper(w[:size]) + strings.ToLower(w[size:])
}

func (h *haystack) characters(parts []string, k Kind) {
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	shortest := 2
	if k == Other {
		shortest = 3
	}
	forms := []string{strings.Join(parts[:min(2, len(parts))], "")}
	if len(parts) > 1 && parts[0] != "" && parts[1] != "" {
		for _, between := range []string{" ", "^", "　"} {
			forms = append(forms, parts[0]+between+parts[1])
		}
		if k == Name {
			forms = append(forms, parts...)
		}
	}
	for _, f := range forms {
		if isIdeographic(f) && utf8.RuneCountInString(f) >= shortest {
			for _, script := range []string{f, simplifiedText(f), traditionalText(f)} {
				h.add(script, k, nothing)
			}
		}
	}
}

func simplifiedText(s string) string { return strings.Map(simplified, s) }

func traditionalText(s string) string {
	return strings.Map(func(r rune) rune {
		if t := hanzi().traditional[r]; t != 0 {
			return t
		}
		return r
	}, s)
}

// other adds another person: family and given name, only together.
func (h *haystack) other(o other) {
	if len(o.people) == 0 {
		return
	}
	for _, p := range o.people {
		if p.script == letter && !p.read && !slices.ContainsFunc(slices.Concat(p.family, p.given), commonWord) && lettersOf(p.family) > 1 && lettersOf(p.given) > 1 {
			h.latin(p, Other)
		}
	}
	for group := range strings.FieldsFuncSeq(o.name, func(r rune) bool { return r == '=' }) {
		if isIdeographic(group) {
			h.characters(strings.Split(group, "^"), Other)
		}
	}
}
