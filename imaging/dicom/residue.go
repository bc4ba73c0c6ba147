package dicom

import (
	"bytes"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// residue is the second line of defence: what was taken out must not be found in
// what was written, whatever the profile has missed. It is narrow where an
// identifier is short, because short numbers and words are everywhere.
type residue struct {
	anywhere [][]byte // not in any byte of the content: long identifiers, as written and in UTF-8, birth dates
	inside   [][]byte // not in a text that stays: names in Chinese characters and the like, which no spaces part
	words    [][]byte // not as a word of a text that stays: names, ids of three bytes and more; lower case
	whole    [][]byte // not as a text that stays, numbers aside: the shortest ids; lower case
	found    bool

	lower []byte // buffer
}

// newResidue collects the patient's ids, names and birth date, the accession number
// and, unless UIDs stay, the instance's own.
func newResidue(header *Segment, charset Charset, uidsStay bool) *residue {
	r := &residue{}
	for i := int32(0); int(i) < len(header.Elements); i = header.Elements[i].Next {
		e := &header.Elements[i]
		raw := header.Bytes(e)
		if e.Container() || len(raw) > 1<<10 {
			continue
		}
		switch e.Tag {
		case tagInstance, tagStudy, tagSeries:
			if !uidsStay {
				r.long(raw)
			}
		case 0x0010_0020, 0x0010_1000, 0x0008_0050:
			r.id(raw, charset.Text(raw))
		case 0x0010_0030:
			r.birth(trimmed(string(raw)))
		case 0x0010_0010, 0x0010_1001:
			r.name(raw, charset.Name(raw))
		}
	}
	return r
}

// long adds what is looked for in every byte. Fewer than five are found everywhere
// and say little.
func (r *residue) long(b []byte) {
	if b = bytes.Trim(b, " \x00"); len(b) >= 5 && len(b) <= 1<<10 {
		r.anywhere = append(r.anywhere, b)
	}
}

func (r *residue) id(raw []byte, text string) {
	r.long(raw)
	if text != string(raw) {
		r.long([]byte(text))
	}
	for part := range strings.SplitSeq(text, `\`) {
		switch part = strings.ToLower(trimmed(part)); {
		case len(part) >= 3:
			r.words = append(r.words, []byte(part))
		case part != "":
			r.whole = append(r.whole, []byte(part))
		}
	}
}

// birth adds a date in the ways it is written. Dates that stay are shifted, so the
// original must not be there.
func (r *residue) birth(date string) {
	day, err := time.Parse("20060102", strings.ReplaceAll(date, ".", ""))
	if err != nil {
		return
	}
	for _, layout := range []string{"20060102", "2006-01-02", "2006.01.02", "2006/01/02", "02012006", "02.01.2006"} {
		r.long([]byte(day.Format(layout)))
	}
}

// name adds the parts of a name, and family and given name in one word, as they are
// often written: in Chinese both may be of one character, which alone says nothing.
func (r *residue) name(raw []byte, text string) {
	parts := func(r rune) bool { return strings.ContainsRune("^=\\ ,", r) }
	for part := range bytes.FieldsFuncSeq(raw, parts) {
		r.long(part)
	}
	for group := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '=' || r == '\\' }) {
		names := strings.FieldsFunc(strings.ToLower(group), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) })
		if len(names) > 1 {
			names = append(names, names[0]+names[1], names[1]+names[0])
		}
		for _, n := range names {
			r.nameWord(n)
		}
		if text != string(raw) {
			for part := range strings.FieldsFuncSeq(group, parts) {
				r.long([]byte(part))
			}
		}
	}
}

func (r *residue) nameWord(name string) {
	first, _ := utf8.DecodeRuneInString(name)
	switch n := utf8.RuneCountInString(name); {
	case unicode.In(first, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) && n >= 2:
		r.inside = append(r.inside, []byte(name))
	case n >= 4:
		r.words = append(r.words, []byte(name))
	}
}

// bytes looks at a stretch of the content.
func (r *residue) bytes(written []byte) {
	for _, needle := range r.anywhere {
		r.found = r.found || occurs(written, needle)
	}
}

// value looks at a value that stays as it is.
func (r *residue) value(vr VR, value []byte, charset Charset) {
	if r.found || !vr.text() {
		return
	}
	if !plain(value) {
		value = []byte(charset.Text(value))
	}
	r.lower = append(r.lower[:0], value...)
	for i, c := range r.lower {
		if c >= 'A' && c <= 'Z' {
			r.lower[i] = c + 'a' - 'A'
		} else if c >= utf8.RuneSelf {
			r.lower = bytes.ToLower(value)
			break
		}
	}
	for _, needle := range r.inside {
		r.found = r.found || bytes.Contains(r.lower, needle)
	}
	for _, needle := range r.words {
		r.found = r.found || word(r.lower, needle)
	}
	if vr == IS || vr == DS {
		return // every other picture is number 1 of something
	}
	for _, needle := range r.whole {
		for text := range bytes.SplitSeq(r.lower, []byte{'\\'}) {
			r.found = r.found || bytes.Equal(bytes.Trim(text, " \x00"), needle)
		}
	}
}

// occurs finds needle in b. A needle of digits counts only where no digit or dot
// touches it: numbers are full of short numbers.
func occurs(b, needle []byte) bool {
	number := len(bytes.Trim(needle, "0123456789.")) == 0
	return find(b, needle, func(before, after rune) bool { return !number || !digital(before) && !digital(after) })
}

// word finds needle in b where no letter, digit or dot touches it.
func word(b, needle []byte) bool {
	inWord := func(r rune) bool { return unicode.IsLetter(r) || digital(r) }
	return find(b, needle, func(before, after rune) bool { return !inWord(before) && !inWord(after) })
}

func digital(r rune) bool { return r >= '0' && r <= '9' || r == '.' }

// find finds needle in b where the characters around it are right; at the ends they
// are utf8.RuneError.
func find(b, needle []byte, right func(before, after rune) bool) bool {
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], needle)
		if i < 0 {
			return false
		}
		at += i
		before, _ := utf8.DecodeLastRune(b[:at])
		after, _ := utf8.DecodeRune(b[at+len(needle):])
		if right(before, after) {
			return true
		}
	}
}
