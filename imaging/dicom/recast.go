package dicom

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"medvault/imaging"
	"medvault/imaging/dicom/profile"
	"medvault/imaging/subject"
)

// recast writes a de-identified content for one recipient. What the first pass put in
// the place of identity is replaced once more: UIDs that DICOM has not registered, the
// patient's token, tokens of other ids, and dates. Everything else stays as it is;
// only lengths follow. Pixels stream through.
//
// Which elements hold tokens and shifted dates is decided as it was for the content,
// by the options that stand in its De-identification Method Code Sequence.
func recast(w io.Writer, content io.Reader, p imaging.Pseudonyms) error {
	s := Split(content)
	segment, err := s.Next()
	if err != nil {
		return fmt.Errorf("recast: %w", err)
	}
	r, err := newRecaster(p, s, segment)
	if err != nil {
		return err
	}
	for err == nil {
		if err := r.segment(segment); err != nil {
			return err
		}
		if _, err := w.Write(r.out); err != nil {
			return fmt.Errorf("recast: %w", err)
		}
		if segment.Bulk {
			if _, err := s.CopyBulk(w, nil); err != nil {
				return fmt.Errorf("recast: %w", err)
			}
		}
		segment, err = s.Next()
	}
	if err != io.EOF {
		return fmt.Errorf("recast: %w", err)
	}
	return nil
}

// recaster writes the elements of a content for a recipient.
type recaster struct {
	recopier
	p       imaging.Pseudonyms
	profile *profile.Profile
	class   string
	patient string    // token in the content
	uids    *rewriter // finds UIDs in text
}

func newRecaster(p imaging.Pseudonyms, s *Splitter, header *Segment) (*recaster, error) {
	r := &recaster{p: p, class: header.text(0x0008_0016), patient: header.text(tagPatientID), profile: profile.New(optionsOf(header)),
		uids: &rewriter{p: p, own: ownUIDs(header)}}
	r.recopier = recopier{change: r.value, big: s.Syntax.BigEndian, charset: NewCharset([]byte(header.text(tagCharset))),
		opaque: errors.New("recast: the content holds a sequence that cannot be read")}
	if header.text(0x0012_0062) != "YES" || len(r.patient) < tokenStart {
		return nil, errors.New("recast: this is no de-identified content")
	}
	return r, nil
}

// optionsOf reads the options that a content was made with from its De-identification
// Method Code Sequence (PS3.15 table CID 7050).
func optionsOf(header *Segment) profile.Set {
	found := make(map[string]bool)
	if e := header.Find(0x0012_0064); e != nil {
		first := int32(0)
		for &header.Elements[first] != e {
			first++
		}
		for i := first; i < e.Next; i++ {
			if c := &header.Elements[i]; c.Tag == 0x0008_0100 {
				found[trimmed(string(header.Bytes(c)))] = true
			}
		}
	}
	var set profile.Set
	basic := profile.New(0).Codes()
	for bit := range profile.Options() {
		option := profile.Set(1) << bit
		for _, c := range profile.New(option).Codes() {
			if found[c.Value] && !slices.Contains(basic, c) {
				set |= option
			}
		}
	}
	return set
}

// segment writes a segment, up to and with the header of the bulk value that ends it.
func (r *recaster) segment(s *Segment) error {
	r.out = r.out[:0]
	if len(s.Elements) == 0 {
		return nil
	}
	r.out = append(r.out, s.Raw[:s.Elements[0].Offset-s.Base]...) // preamble
	groupLength := -1
	for i := int32(0); int(i) < len(s.Elements); i = s.Elements[i].Next {
		e := &s.Elements[i]
		if err := r.element(s, i); err != nil {
			return err
		}
		if e.Tag == 0x0002_0000 && len(s.Bytes(e)) == 4 {
			groupLength = len(r.out)
		}
		if e.Tag.Group() == 2 && groupLength >= 4 {
			binary.LittleEndian.PutUint32(r.out[groupLength-4:], uint32(len(r.out)-groupLength))
		}
	}
	return nil
}

// value is what an element holds for the recipient; false when that is what it holds
// already.
func (r *recaster) value(e *Element, value []byte) ([]byte, bool) {
	vr := e.VR
	if !vr.text() || len(value) == 0 {
		return nil, false
	}
	text := string(value)
	switch e.Tag {
	case tagTransferSyntax, 0x0002_0012:
		return nil, false // not the patient's
	case 0x0028_0303:
		if trimmed(text) == "UNMODIFIED" && r.p.ShiftDays != 0 {
			return padText(CS, "MODIFIED"), true
		}
		return nil, false
	}
	rule := r.profile.Decide(uint32(ruled(e.Tag)), vr.String(), r.class, r.path)
	recast := text
	switch vr {
	case UI:
		recast = r.mapUIDs(e.Tag, text)
	case DA, DT:
		if rule.Action == profile.Shift || rule.Action == profile.Keep {
			recast = shiftDates(vr, text, r.p.ShiftDays)
		}
	case AE, CS, LO, LT, PN, SH, ST, UC, UR, UT:
		coded := len(r.path) > 0 && code(e.Tag) && rule.Action == profile.Keep // see rewriter.decide
		switch {
		case coded:
			recast = r.tokens(recast, vr, codeDigits)
		case rule.Action != profile.Keep || e.Tag == tagPatientID:
			recast = r.tokens(recast, vr, min(tokenDigits, maxLength(vr)))
		}
		recast = r.renamed(recast)
		if mapped, ok := r.uids.uidsInText(recast); ok {
			recast = mapped
		}
		if rule.Action == profile.Clean || coded {
			recast = r.shifted(vr, recast)
		}
	}
	if trimmed(recast) == trimmed(text) {
		return nil, false
	}
	return padText(vr, strings.TrimRight(recast, " \x00")), true
}

// ruled is the tag by which an element is decided: a private one by its VR alone.
func ruled(t Tag) Tag {
	if t.Private() {
		return unlistedTag
	}
	return t
}

// mapUIDs maps every UID but those of the standard.
func (r *recaster) mapUIDs(t Tag, value string) string {
	if ofSender(t) {
		return eachUID(value, r.p.UID)
	}
	return eachUID(value, foreign(r.p.UID))
}

// tokenDigits is the length of a token where the VR leaves room for it.
const tokenDigits = 26

// tokens replaces values that are tokens of so many digits, which one knows by their
// form: no word has it.
func (r *recaster) tokens(text string, vr VR, digits int) string {
	values := []string{text}
	if multiple(vr) {
		values = strings.Split(text, `\`)
	}
	for i, v := range values {
		v = trimmed(v)
		if len(v) == digits && strings.Trim(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == "" {
			values[i] = r.p.ID("", v, len(v))
		}
	}
	return strings.Join(values, `\`)
}

// tokenStart is how much of the patient's token no text holds by accident.
const tokenStart = 8

// renamed replaces the patient's token wherever it stands, also where it was cut to
// what a VR allows.
func (r *recaster) renamed(text string) string {
	var out strings.Builder
	for {
		at := strings.Index(text, r.patient[:tokenStart])
		if at < 0 {
			out.WriteString(text)
			return out.String()
		}
		n := tokenStart
		for n < len(r.patient) && at+n < len(text) && text[at+n] == r.patient[n] {
			n++
		}
		token := r.p.Patient
		if n < len(r.patient) {
			token = token[:min(n, len(token))]
		}
		out.WriteString(text[:at])
		out.WriteString(token)
		text = text[at+n:]
	}
}

// nobody finds dates of whatever patient.
var nobody = subject.New(subject.Known{})

// shifted moves the dates that the cleaner of descriptors has left in a text.
func (r *recaster) shifted(vr VR, raw string) string {
	text := r.charset.Text([]byte(raw))
	days := nobody.Days(text)
	if len(days) == 0 || r.p.ShiftDays == 0 {
		return raw
	}
	var out strings.Builder
	at := 0
	for _, d := range days {
		out.WriteString(text[at:d.Start])
		out.WriteString(d.Shift(text, r.p.ShiftDays))
		at = d.End
	}
	out.WriteString(text[at:])
	return string(bytes.TrimRight(r.charset.Encode(limited(vr, out.String())), " \x00"))
}
