package dicom

import (
	"slices"
	"strings"
	"unicode/utf8"

	"medvault/imaging/descriptor"
	"medvault/imaging/dicom/profile"
	"medvault/imaging/subject"
)

// clean writes a text with what a vocabulary knows, and otherwise as the rule wants it
// where nothing is left. What is no text is cleaned as its VR can be.
func (w *rewriter) clean(rule profile.Rule, e *Element, value []byte, vr VR) {
	again := func(a profile.Action) { rule.Action = a; w.replace(rule, e, value, vr) }
	switch vr {
	case CS, LO, LT, SH, ST, UC, UT:
	case PN, AE:
		again(profile.Token)
		return
	case UI:
		again(profile.MapUID)
		return
	case DA, DT:
		again(profile.Shift)
		return
	default:
		if drawing(e.Tag) {
			w.drawings = true
			w.counts.add(kept)
			w.write(e.Tag, vr, value)
			return
		}
		again(leftover(rule))
		return
	}
	text := w.scope.charset.Text(value)
	cleanedText := text
	if code(e.Tag) {
		cleanedText = w.codeText(e.Tag, text)
	} else {
		cleanedText = w.cleanText(vr, text)
	}
	if vr == CS && cleanedText != text {
		cleanedText = codeString(cleanedText)
	}
	encoded := value
	if cleanedText != text {
		encoded = padText(vr, string(w.scope.charset.Encode(limited(vr, cleanedText))))
	}
	if strings.Trim(cleanedText, ` \`+"\x00") == "" && strings.Trim(text, ` \`+"\x00") != "" {
		again(leftover(rule))
		return
	}
	w.counts.add(cleaned)
	w.residue.value(vr, encoded, w.scope.charset)
	w.write(e.Tag, vr, encoded)
}

// codeString is a text in the characters of a CS (PS3.5 6.2).
func codeString(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == ' ', r == '\\':
			return r
		}
		return '_'
	}, strings.ToUpper(text))
}

// leftover is what becomes of an element that nothing is left of.
func leftover(rule profile.Rule) profile.Action {
	switch rule.Bare {
	case profile.Empty, profile.Dummy:
		return rule.Bare
	}
	return profile.Remove
}

// cleanText cleans every value of a text. UIDs in it are mapped as everywhere.
func (w *rewriter) cleanText(vr VR, text string) string {
	values := []string{text}
	if multiple(vr) {
		values = strings.Split(text, `\`)
	}
	if len(values) > maxValues {
		return ""
	}
	changed := false
	for i, v := range values {
		if inner := strings.Trim(v, " \x00"); inner != "" {
			if cleanedValue := w.cleanValue(inner); cleanedValue != inner {
				values[i], changed = cleanedValue, true
			}
		}
	}
	if !changed {
		return text
	}
	return strings.Join(values, `\`)
}

func (w *rewriter) cleanValue(text string) string {
	var out []string
	words := func(part string) {
		if part = strings.TrimSpace(part); part == "" {
			return
		}
		if part, _ = w.cleaner().Clean(part); part != "" {
			out = append(out, part)
		}
	}
	at, n := 0, 0
	for from, to := range w.uids(text) {
		if n++; n > maxValues {
			return ""
		}
		words(text[at:from])
		out = append(out, w.mapText(text[from:to]))
		at = to
	}
	if at == 0 {
		cleanedText, _ := w.cleaner().Clean(text)
		return cleanedText
	}
	words(text[at:])
	return strings.Join(out, " ")
}

// cleaner knows the patient. Few documents need it.
func (w *rewriter) cleaner() *descriptor.Cleaner {
	if w.words == nil {
		days := descriptor.NoDates // Retain Full Dates speaks of attributes
		if w.options&profile.RetainModifiedDates != 0 {
			days = w.p.ShiftDays
		}
		w.words = descriptor.New(w.subject, w.p.Patient, days)
	}
	return w.words
}

// screened gives a text that stays without the patient: what names them becomes the
// token or goes, UIDs are mapped. False when there is nothing of the kind, as nearly
// always.
func (w *rewriter) screened(vr VR, value []byte) ([]byte, bool) {
	changed, found := w.text8(vr, value), false
	if strings.ContainsRune(changed, utf8.RuneError) {
		changed, found = w.withoutUnreadable(changed), true
	}
	if vr != CS && vr != AE && vr != PN {
		if mapped, ok := w.uidsInText(changed); ok {
			changed, found = mapped, true
		}
	}
	if matches := w.named(changed); len(matches) > 0 {
		changed, found = w.without(vr, changed, matches), true
	}
	if !found {
		return nil, false
	}
	return padText(vr, string(w.scope.charset.Encode(limited(vr, changed)))), true
}

// withoutUnreadable drops the bytes of another set than the declared one. A space in
// their place keeps apart what they kept apart, unless they stood within a name.
func (w *rewriter) withoutUnreadable(text string) string {
	apart := strings.ReplaceAll(text, string(utf8.RuneError), " ")
	together := strings.ReplaceAll(text, string(utf8.RuneError), "")
	if len(w.named(apart)) == 0 && len(w.named(together)) > 0 {
		return together
	}
	return apart
}

// named are the stretches of a text that name the patient. A word that is nearly a
// name is a word.
func (w *rewriter) named(text string) []subject.Match {
	if len(strings.Trim(text, " \x00")) < 2 {
		return nil
	}
	return slices.DeleteFunc(w.subject.Find(text), func(m subject.Match) bool { return m.Near })
}

// without puts the token where a text names the patient, and nothing where it names
// anyone else or would not fit.
func (w *rewriter) without(vr VR, text string, matches []subject.Match) string {
	var out strings.Builder
	at := 0
	for _, m := range matches {
		out.WriteString(text[at:m.Start])
		if (m.Kind == subject.Name || m.Kind == subject.ID) && vr != CS && vr != AE && len(text)+len(w.p.Patient) <= maxLength(vr) {
			out.WriteString(w.p.Patient)
		} else if strings.Trim(text[:m.Start], " ") == "" || text[m.Start-1] == '\\' {
			out.WriteString("REMOVED")
		}
		at = m.End
	}
	out.WriteString(text[at:])
	return strings.TrimRight(out.String(), " \x00")
}

// hides reports whether the patient stands in a value of numbers or bytes. After very
// many values it no longer looks: what is there then withholds the view, see residue.
func (w *rewriter) hides(value []byte) bool {
	if w.probes++; w.probes > maxValues {
		return false
	}
	if w.probe == nil {
		w.probe = w.subject.Scanner(w.scope.charset.encoders()...)
	}
	w.probe.Write(value)
	if len(w.probe.Found()) == 0 {
		return false
	}
	w.probe = nil
	return true
}

// limited cuts every value to the characters its VR allows.
func limited(vr VR, text string) string {
	most := maxLength(vr)
	if !multiple(vr) {
		return cut(text, most)
	}
	values := strings.Split(text, `\`)
	for i, v := range values {
		values[i] = cut(v, most)
	}
	return strings.Join(values, `\`)
}

// cut keeps so many characters, and whole words where there are several.
func cut(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	short := string([]rune(text)[:most])
	if i := strings.LastIndexByte(short, ' '); i > 0 {
		return short[:i]
	}
	return short
}

// uidsInText maps UIDs that stand in a text which otherwise stays; false when there
// are none. The characters of a UID are the same bytes in every character set.
func (w *rewriter) uidsInText(text string) (string, bool) {
	var out strings.Builder
	at, n := 0, 0
	for from, to := range w.uids(text) {
		if n++; n > maxValues {
			return "", true
		}
		u := text[from:to]
		mapped := w.mapText(u)
		if mapped == u {
			continue
		}
		out.WriteString(text[at:from])
		out.WriteString(mapped)
		at = to
	}
	if at == 0 {
		return text, false
	}
	out.WriteString(text[at:])
	return strings.TrimRight(out.String(), " \x00"), true
}

// uids finds UIDs in a text: runs of digits and dots that are one of the document's
// own, or that no version number looks like.
func (w *rewriter) uids(text string) func(yield func(from, to int) bool) {
	return func(yield func(from, to int) bool) {
		if w.options&profile.RetainUIDs != 0 || strings.Count(text, ".") < 2 {
			return
		}
		for at := 0; at < len(text); {
			from := at + strings.IndexAny(text[at:], "012")
			if from < at {
				return
			}
			to := from
			for to < len(text) && (text[to] == '.' || text[to] >= '0' && text[to] <= '9') {
				to++
			}
			at = to
			if from > 0 && (text[from-1] == '.' || text[from-1] >= '0' && text[from-1] <= '9') {
				continue // inside a number that begins with another digit
			}
			u := strings.TrimRight(text[from:to], ".")
			if w.isUID(u) && !yield(from, from+len(u)) {
				return
			}
		}
	}
}

func (w *rewriter) isUID(s string) bool {
	if len(s) < 8 || len(s) > 128 || strings.Contains(s, "..") || s[1] != '.' {
		return false
	}
	if slices.Contains(w.own, s) {
		return true
	}
	parts := strings.Split(s, ".")
	for _, root := range []string{"1.2.840.", "1.3.6.1.4.1.", "1.3.12.2.", "1.3.46.", "1.3.76.", "2.16.", "2.25."} {
		if strings.HasPrefix(s, root) {
			return len(parts) >= 3
		}
	}
	return len(parts) >= 6 && len(s) >= 20 || // no version is that long
		len(parts) >= 5 && parts[0] == "1" && parts[1] == "2" && len(parts[2]) == 3 // a country's members of ISO
}

// mapText maps one UID out of a text. The option Retain UIDs speaks of attributes.
func (w *rewriter) mapText(u string) string {
	if registered(u) {
		return u
	}
	return w.p.UID(u)
}

// mapKept maps, in a value that stays because it names something of the standard, what
// names nothing of it.
func (w *rewriter) mapKept(value string) string {
	if w.options&profile.RetainUIDs != 0 {
		return trimmed(value)
	}
	return eachUID(value, foreign(w.p.UID))
}

// ownUIDs are the UIDs that say which document, series and study it is.
func ownUIDs(header *Segment) []string {
	var list []string
	for _, t := range []Tag{tagInstance, tagStudy, tagSeries, 0x0020_0052} {
		if e := header.Find(t); e != nil && !e.Container() && e.Flags&(Bulk|Fragments) == 0 {
			if u := trimmed(string(header.Bytes(e))); u != "" && len(u) <= 128 {
				list = append(list, u)
			}
		}
	}
	return list
}
