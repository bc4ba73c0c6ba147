package hl7

import (
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// message is one HL7 v2 message (2.3 to 2.8, ER7 encoding) in UTF-8.
type message struct {
	segments []segment
	marks    marks
}

// segment is one line: its name and its fields as they are written, so that fields[0] is
// field 1. MSH-1 and MSH-2 are fields of MSH like the others.
type segment struct {
	name   string
	fields []string
	marks  marks
}

// marks are the encoding characters of a message (MSH-1 and MSH-2).
type marks struct{ field, component, repetition, escape, sub rune }

var (
	errNoMessage = errors.New("no HL7 v2 message")
	errCharset   = errors.New("the message is not in the character set that MSH-18 names")
)

// maxSegments bounds what a message may be made of.
const maxSegments = 4096

// parse reads a message. The character set is what MSH-18 names: ASCII (or nothing),
// UNICODE UTF-8, GB 18030 or 8859/1; nothing is also taken for UTF-8, which is what most
// senders mean. It is told before fields are: a GB 18030 character may hold a byte that
// is a separator.
func parse(raw []byte) (*message, error) {
	seen := false
	for _, set := range charsets {
		text, ok := set.decode(raw)
		if !ok {
			continue
		}
		m, err := split(text)
		if err != nil {
			continue
		}
		seen = true
		if set.named(m.first("MSH").value(18)) {
			return m, nil
		}
	}
	if seen {
		return nil, errCharset
	}
	return nil, errNoMessage
}

// charset is one way to read bytes, and what MSH-18 calls it.
type charset struct {
	names  string // HL7 table 0211, as alphanumeric leaves it
	decode func(raw []byte) (string, bool)
}

var charsets = [...]charset{
	{" ASCII UNICODEUTF8 UNICODE UTF8 ", func(raw []byte) (string, bool) { return string(raw), utf8.Valid(raw) }},
	{" GB180302000 GB18030 ", func(raw []byte) (string, bool) {
		b, err := simplifiedchinese.GB18030.NewDecoder().Bytes(raw)
		return string(b), err == nil && !strings.ContainsRune(string(b), utf8.RuneError)
	}},
	{" 88591 ", func(raw []byte) (string, bool) {
		b, err := charmap.ISO8859_1.NewDecoder().Bytes(raw)
		return string(b), err == nil
	}},
}

func (c charset) named(said string) bool {
	said = strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToUpper(said))
	if said == "" {
		said = "ASCII"
	}
	return strings.Contains(c.names, " "+said+" ")
}

// split cuts a message into segments and fields.
func split(text string) (*message, error) {
	text = strings.TrimLeft(text, "\r\n")
	if !strings.HasPrefix(text, "MSH") {
		return nil, errNoMessage
	}
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' })
	if len(lines) > maxSegments {
		return nil, errNoMessage
	}
	head := []rune(lines[0])
	if len(head) < 8 {
		return nil, errNoMessage
	}
	own := marks{head[3], head[4], head[5], head[6], head[7]}
	if len(head) > 8 && head[7] == own.field { // MSH-2 of three characters: no subcomponents
		own.sub = 0
	}
	if !own.distinct() {
		return nil, errNoMessage
	}
	m := &message{marks: own}
	for i, line := range lines {
		fields := strings.Split(line, string(own.field))
		if i == 0 { // MSH-1 is the separator itself
			fields = append([]string{fields[0], string(own.field)}, fields[1:]...)
		}
		m.segments = append(m.segments, segment{fields[0], fields[1:], own})
	}
	return m, nil
}

// distinct refuses encoding characters that stand for two things, or could be text.
func (s marks) distinct() bool {
	all := []rune{s.field, s.component, s.repetition, s.escape, s.sub}
	for i, r := range all {
		switch {
		case r == 0 && i == 4:
		case r <= ' ', r > '~', r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', strings.ContainsRune(string(all[:i]), r):
			return false
		}
	}
	return true
}

// first is the first segment of a name, empty where there is none.
func (m *message) first(name string) segment {
	for _, s := range m.segments {
		if s.name == name {
			return s
		}
	}
	return segment{name: name, marks: m.marks}
}

// field is a field as it is written; "" where it is absent.
func (s segment) field(n int) string {
	if n < 1 || n > len(s.fields) {
		return ""
	}
	return s.fields[n-1]
}

// value is the first component of a field's first repetition.
func (s segment) value(n int) string {
	if s.name == "MSH" && n <= 2 {
		return s.field(n)
	}
	return s.part(s.repetitions(n)[0], 1, 1)
}

// repetitions of a field: at least one.
func (s segment) repetitions(n int) []string {
	return strings.Split(s.field(n), string(s.marks.repetition))
}

// part is a subcomponent of a component of a repetition, unescaped and trimmed.
func (s segment) part(repetition string, component, sub int) string {
	parts := strings.Split(repetition, string(s.marks.component))
	if component > len(parts) {
		return ""
	}
	text := parts[component-1]
	if s.marks.sub != 0 {
		subs := strings.Split(text, string(s.marks.sub))
		if sub > len(subs) {
			return ""
		}
		text = subs[sub-1]
	} else if sub > 1 {
		return ""
	}
	return strings.TrimSpace(s.unescape(text))
}

// unescape undoes the escapes of encoding characters (HL7 v2 2.7); others stay as they
// are: no identifier holds one.
func (s segment) unescape(text string) string {
	e := string(s.marks.escape)
	if !strings.Contains(text, e) {
		return text
	}
	pairs := []string{e + "F" + e, string(s.marks.field), e + "S" + e, string(s.marks.component), e + "R" + e, string(s.marks.repetition), e + "E" + e, e}
	if s.marks.sub != 0 {
		pairs = append(pairs, e+"T"+e, string(s.marks.sub))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// deleted says whether a field is to be deleted (`""`), which is not the same as absent.
func (s segment) deleted(n int) bool { return s.field(n) == `""` }

// when reads a DTM (YYYY[MM[DD[HH[MM[SS[.S…]]]]]][±ZZZZ]); without an offset it is in zone.
func when(text string, zone *time.Location) (time.Time, bool) {
	at := strings.IndexAny(text, "+-")
	stamp, offset := text, ""
	if at >= 0 {
		stamp, offset = text[:at], text[at:]
	}
	stamp, _, _ = strings.Cut(stamp, ".")
	const full = "20060102150405"
	if len(stamp) < 8 || len(stamp) > len(full) || len(stamp)%2 != 0 { // a year or month alone is no time to act on
		return time.Time{}, false
	}
	if offset != "" {
		t, err := time.Parse(full[:len(stamp)]+"-0700", stamp+offset)
		return t, err == nil
	}
	t, err := time.ParseInLocation(full[:len(stamp)], stamp, zone)
	return t, err == nil
}
