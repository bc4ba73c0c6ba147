package imagingtest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Action is what a row of the answer key asks for, in the types of the Medical Image
// De-Identification Benchmark.
type Action string

const (
	TagRetained     Action = "tag_retained"     // the element is there
	TextNotNull     Action = "text_notnull"     // and has a value
	TextRetained    Action = "text_retained"    // the value, or a word of it, is as it was
	TextRemoved     Action = "text_removed"     // the identifiers are gone
	DateShifted     Action = "date_shifted"     // by the patient's days, the rest of it as it was
	UIDChanged      Action = "uid_changed"      // to another one
	UIDConsistent   Action = "uid_consistent"   // the same one wherever it stands in the set
	PatIDConsistent Action = "patid_consistent" // the same token for one patient, another for another
	PixelsHidden    Action = "pixels_hidden"    // nobody sees the words: masked after a release, withheld before it
	PixelsRetained  Action = "pixels_retained"  // bit for bit
)

// Actions are all types, in the order in which results are printed.
func Actions() []Action {
	return []Action{TagRetained, TextNotNull, TextRetained, TextRemoved, DateShifted, UIDChanged, UIDConsistent,
		PatIDConsistent, PixelsHidden, PixelsRetained}
}

// Row is one line of the answer key.
type Row struct {
	Action Action
	Path   Path     // nil: the whole document
	Want   []byte   // as written in the original; what that means depends on Action
	Word   bool     // Want is a part of the value
	Layout string   // DateShifted of a part: how Want is written, as package time says it
	Gone   [][]byte // TextRemoved: what must not be left
	// Absent says that the row holds as well when the element is not there.
	Absent bool
	// Withheld says that the row holds as well when the view of the document is
	// withheld: nothing marks the value as identifying but the patient's own particulars.
	Withheld bool
}

// Path leads to an element: sequences and items, then the element's own tag.
type Path []Step

// Step is an element, and within it an item of a sequence.
type Step struct {
	Tag  uint32
	Item int // from 0
}

func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		fmt.Fprintf(&b, "%08X", s.Tag)
		if i+1 < len(p) {
			fmt.Fprintf(&b, "[%d].", s.Item)
		}
	}
	return b.String()
}

// choice is the set of options that a key is made for, by the names of the columns of
// PS3.15 table E.1-1.
type choice []string

// DefaultOptions are those a vault works by when nothing else is configured.
func DefaultOptions() []string {
	return []string{"retain_safe_private", "retain_longitudinal_modified_dates"}
}

func (c choice) has(option string) bool { return slices.Contains(c, option) }

// keeps reports whether an option keeps what the letter stands for.
func (c choice) keeps(letters string) bool {
	for letter, option := range map[rune]string{'U': "retain_uids", 'D': "retain_device_identity", 'I': "retain_institution_identity",
		'C': "retain_patient_characteristics", 'P': "retain_safe_private"} {
		if strings.ContainsRune(letters, letter) && c.has(option) {
			return true
		}
	}
	return false
}

// scope is a data set or an item while it is planted.
type scope struct {
	*builder
	path     Path
	fate     fate
	elements []Element
}

// fate is what becomes of the sequence a scope is in.
type fate int

const (
	stays fate = iota
	may        // the sequence may go; what stays of it is cleaned
	goes
)

// add plants an element. want says what is to become of it, first by one letter:
//
//	k  kept as it is
//	x  removed, or at least without what it said
//	z  kept, empty or with another value
//	d  kept, with another value
//	s  a date: shifted, or where no option keeps dates as the next letter says
//	m  a time of day: kept, or where no option keeps dates as the next letter says
//	u  a UID: mapped by value
//	n  kept, with any value
//	-  whatever: the key does not ask
//	r  kept when it is harmless; it is not, so removed or withheld
//	i  the Patient ID
//
// then by capital letters which options keep it: see choice.keeps. gone lists what of
// the value must not be left; by default all of it.
func (s *scope) add(tag uint32, vr string, value any, want string, gone ...string) {
	if s.has(tag) {
		return // planted before, on purpose
	}
	el := Element{tag, vr, value}
	raw, ok := s.enc.value(el)
	if !ok {
		return // the character set cannot say it
	}
	s.elements = append(s.elements, el)
	at := append(slices.Clone(s.path), Step{Tag: tag})
	if text, is := value.(string); is && len(gone) == 0 && text != "" {
		gone = []string{text}
	}
	base := want[0]
	shifts := base == 's' && s.choice.has("retain_longitudinal_modified_dates")
	switch {
	case s.choice.keeps(want[1:]) && !shifts: // what is to be cleaned is not kept, whatever else was chosen
		base = 'k'
		s.kept = append(s.kept, raw)
	case base == 's' || base == 'm':
		switch {
		case s.choice.has("retain_longitudinal_full_dates") || base == 'm' && s.choice.has("retain_longitudinal_modified_dates"):
			base = 'k'
			s.kept = append(s.kept, raw)
		case !s.choice.has("retain_longitudinal_modified_dates"):
			base = want[1]
		}
	}
	s.expect(base, at, vr, raw, gone)
}

func (s *scope) has(tag uint32) bool {
	return slices.ContainsFunc(s.elements, func(e Element) bool { return e.Tag == tag })
}

func (s *scope) expect(base byte, at Path, vr string, raw []byte, gone []string) {
	if s.fate == goes {
		switch base {
		case 'k', 'n', 'm':
			return // harmless wherever it stands
		case 'z', 'd', 's', 'u', 'i':
			base = 'x'
		}
	}
	row := func(a Action, r Row) {
		r.Action, r.Path = a, at
		r.Absent = r.Absent || s.fate != stays
		s.key = append(s.key, r)
	}
	removed := func(r Row) {
		if r.Gone = s.forms(vr, gone); len(gone) == 0 && len(raw) > 0 {
			r.Gone = [][]byte{raw} // numbers
		}
		if len(r.Gone) > 0 {
			row(TextRemoved, r)
		}
	}
	switch base {
	case '-':
	case 'k':
		row(TextRetained, Row{Want: raw})
	case 'x':
		removed(Row{Absent: true})
	case 'z':
		row(TagRetained, Row{})
		removed(Row{})
	case 'd':
		row(TextNotNull, Row{})
		removed(Row{})
	case 'n':
		row(TextNotNull, Row{})
	case 's':
		row(DateShifted, Row{Want: raw})
	case 'u':
		row(UIDChanged, Row{Want: raw})
		row(UIDConsistent, Row{Want: raw})
	case 'i':
		row(PatIDConsistent, Row{Want: raw})
		removed(Row{})
	case 'r':
		removed(Row{Absent: true, Withheld: true})
	default:
		panic("unknown wish " + string(base)) // a mistake in this package
	}
}

// forms are texts in the character set of the document and in UTF-8.
func (s *scope) forms(vr string, texts []string) (all [][]byte) {
	for _, text := range texts {
		raw, ok := s.enc.text(vr, text)
		if raw = unescaped(raw); ok && len(raw) > 0 {
			all = append(all, raw)
		}
		if !bytes.Equal(raw, []byte(text)) {
			all = append(all, []byte(text))
		}
	}
	for _, form := range all {
		s.planted[string(form)] = true
	}
	return all
}

// unescaped is a text without the escape sequences that it would begin and end with if
// it stood alone.
func unescaped(raw []byte) []byte {
	for _, escape := range []string{"\x1b$)A", "\x1b$)C", "\x1b$B"} {
		raw = bytes.TrimPrefix(raw, []byte(escape))
	}
	return bytes.TrimSuffix(raw, []byte("\x1b(B"))
}

// sequence plants a sequence. want is one letter: t stays with its items cleaned, o may
// go but is cleaned where it stays, x goes, q goes unless descriptions are cleaned.
func (s *scope) sequence(tag uint32, want byte, items ...func(*scope)) {
	if s.has(tag) {
		return
	}
	if want == 'q' {
		if want = 'x'; s.choice.has("clean_descriptors") {
			want = 'o'
		}
	}
	inner := s.fate
	switch {
	case want == 'x':
		inner = goes
	case want == 'o' && inner == stays:
		inner = may
	case want == 't' && inner == stays:
		s.key = append(s.key, Row{Action: TagRetained, Path: append(slices.Clone(s.path), Step{Tag: tag})})
	}
	var planted []Item
	for i, fill := range items {
		in := &scope{builder: s.builder, path: append(slices.Clone(s.path), Step{tag, i}), fate: inner}
		fill(in)
		planted = append(planted, in.elements)
	}
	s.elements = append(s.elements, Element{tag, "SQ", planted})
}

// describe plants a description: clinical words, and a mention of the patient between
// them. The profile removes it (want as in add); the option that cleans descriptors
// keeps the words, and moves the dates.
func (s *scope) describe(tag uint32, vr, want string) {
	if s.has(tag) {
		return
	}
	words, said, text := s.phrase(longest(vr), vr)
	raw, ok := s.enc.text(vr, text)
	if !ok {
		return
	}
	s.elements = append(s.elements, Element{tag, vr, text})
	at := append(slices.Clone(s.path), Step{Tag: tag})
	switch {
	case s.choice.has("clean_descriptors") && s.fate != goes:
	case len(said.gone) > 0:
		s.expect(want[0], at, vr, raw, said.gone)
		return
	case want[0] == 'd':
		s.expect('n', at, vr, raw, nil)
		return
	default:
		return
	}
	row := func(r Row) {
		r.Path, r.Absent = at, s.fate == may
		s.key = append(s.key, r)
	}
	if vr == "SH" && said.text != "" {
		words = words[:1] // the token takes the rest of the room
	}
	for _, w := range words {
		row(Row{Action: TextRetained, Want: []byte(w), Word: true})
	}
	if len(said.gone) > 0 {
		row(Row{Action: TextRemoved, Gone: s.forms(vr, said.gone)})
	}
	if said.date != "" && s.choice.has("retain_longitudinal_modified_dates") {
		row(Row{Action: DateShifted, Want: []byte(said.text), Word: true, Layout: said.date})
	}
}

// phrase is a text that fits: words, and a mention where there is room for one.
func (s *scope) phrase(most int, vr string) (words []string, said mention, text string) {
	words = slices.Clone(phrases[s.r.IntN(len(phrases))])
	last := s.r.IntN(2) == 0
	for range 5 {
		said = pick(s.r, s.mentions)
		for n := len(words); n > 0; n-- {
			text = join2(words[:n], said.text, last || n == 1)
			room := most
			if said.date != "" {
				room -= 4 // for a longer month
			}
			if raw, ok := s.enc.text(vr, text); ok && len(raw) <= room {
				return words[:n], said, text
			}
		}
	}
	for text = strings.Join(words, " "); len(text) > most; text = strings.Join(words, " ") {
		words = words[:len(words)-1]
	}
	return words, mention{}, text
}

func join2(words []string, mention string, last bool) string {
	all := slices.Clone(words)
	if mention != "" && last {
		all = append(all, mention)
	} else if mention != "" {
		all = slices.Insert(all, 1, mention)
	}
	return strings.Join(all, " ")
}

func longest(vr string) int {
	switch vr {
	case "SH":
		return 16
	case "LO":
		return 64
	}
	return 1024
}

// phrases are descriptions as people choose them, word by word: anatomy, technique,
// numbers and units, which all must survive where descriptions are cleaned.
var phrases = [][]string{
	{"CHEST", "AXIAL", "5 mm"}, {"HEAD", "without", "contrast"}, {"T1", "AXIAL"}, {"T2", "SAGITTAL", "BRAIN"},
	{"ABDOMEN", "PELVIS", "portal venous"}, {"MAMMOGRAPHY", "left", "MLO"}, {"LUNG", "2 mm"}, {"SPINE", "CORONAL"},
	{"KNEE", "lateral", "right"}, {"LIVER", "arterial", "phase"}, {"FLAIR", "3 mm"}, {"THORAX", "PA"},
	{"Nodule", "12 mm", "right", "lung"}, {"fracture", "left", "wrist"}, {"stenosis", "50 %"}, {"120 kV", "ABDOMEN"},
}
