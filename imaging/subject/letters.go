package subject

// Letter is a letter or digit of a text in the form in which Find compares it.
type Letter struct {
	Rune       rune
	Start, End int  // bytes of the text it comes from
	Parted     bool // something else stands before it: a blank, a sign, the beginning
	Digit      bool
	Ideograph  bool // of a script that does not part its words
	Capital    bool
}

// Letters gives the letters and digits of a text, folded, without what parts them.
func Letters(text string) []Letter {
	units := fold(text)
	all := make([]Letter, 0, len(units))
	parted := true
	for i, u := range units {
		if u.class == separator {
			parted = true
			continue
		}
		if i > 0 && camel(units, i) {
			parted = true
		}
		all = append(all, Letter{Rune: u.r, Start: int(u.start), End: int(u.end), Parted: parted,
			Digit: u.class == digit, Ideograph: u.class == ideograph, Capital: u.upper})
		parted = false
	}
	return all
}

// Form is one way in which a value is written, folded and without what parts it.
type Form struct {
	Text string
	Kind Kind
	// Alone says that it names the patient wherever it stands as a word. What is not
	// alone counts only with a title, a label or its spelling.
	Alone bool
}

// Forms gives the ways in which Find knows the patient's values, those of the dates
// included.
func (s *Subject) Forms() []Form {
	t := s.trie()
	var all []Form
	t.each(func(text string, p *pattern) {
		all = append(all, Form{text, p.kind, p.strong})
	})
	for _, day := range s.days {
		for _, layout := range []string{"20060102", "02012006", "01022006", "2006年1月2日", "2006年01月02日", "2january2006", "january22006", "2jan2006", "02jan2006"} {
			all = append(all, Form{letters(day.Format(layout)), Date, true})
		}
	}
	return all
}
