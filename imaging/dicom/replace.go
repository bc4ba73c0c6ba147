package dicom

import (
	"bytes"
	"encoding/binary"
	"strings"

	"medvault/imaging/dicom/profile"
)

// replace writes an element with the value that the rule gives it instead of its own.
func (w *rewriter) replace(rule profile.Rule, e *Element, value []byte, vr VR) {
	put := func(what effect, v []byte) {
		if len(v) == 0 && what != cleaned {
			what = emptied
		}
		w.counts.add(what)
		w.write(e.Tag, vr, v)
	}
	switch {
	case e.Tag == tagPatientID:
		put(tokenised, w.patientToken(value))
		return
	case e.Tag == tagPatientName:
		put(tokenised, w.patientName())
		return
	}
	switch rule.Action {
	case profile.Empty:
		put(emptied, nil)
		return
	case profile.MapUID:
		if !tooMany(value) {
			put(mappedUID, padText(UI, w.mapInstance(e.Tag, string(value))))
			return
		}
	case profile.Shift:
		if vr == DA || vr == DT {
			put(shifted, padText(vr, shiftDates(vr, string(value), w.p.ShiftDays)))
			return
		}
	case profile.Token:
		if v, ok := w.tokens(rule.Keyword, value, vr); ok {
			put(tokenised, v)
			return
		}
	case profile.Clean:
		w.clean(rule, e, value, vr)
		return
	}
	v, ok := dummy(vr)
	if rule.Action == profile.Remove || !ok {
		w.counts.add(removed)
		return
	}
	put(replaced, v)
}

// tooMany reports more values than any attribute has: each costs a keyed hash, or a
// search.
func tooMany(value []byte) bool { return bytes.Count(value, []byte{'\\'}) >= maxValues }

// patientToken replaces a Patient ID: the document's own by the patient's token,
// another one in a sequence by a token of its own.
func (w *rewriter) patientToken(value []byte) []byte {
	value = bytes.Trim(value, " \x00")
	switch {
	case len(w.path) == 0 || bytes.Equal(value, w.patientID):
		return padText(LO, w.p.Patient)
	case len(value) == 0:
		return nil
	}
	return padText(LO, w.token("PatientID", value, maxLength(LO)))
}

// patientName is the token too; in a sequence nobody needs it.
func (w *rewriter) patientName() []byte {
	if len(w.path) > 0 {
		return nil
	}
	return padText(PN, w.p.Patient)
}

// tokens replaces every value by a token that the VR allows; false where it allows
// none.
func (w *rewriter) tokens(keyword string, value []byte, vr VR) ([]byte, bool) {
	if keyword == "" {
		keyword = vr.String()
	}
	switch vr {
	case PN:
		keyword = "PersonName"
	case AE, CS, LO, LT, SH, ST, UC, UT:
	case UI:
		return padText(UI, w.mapUIDs(string(value))), true
	default:
		return nil, false
	}
	if tooMany(value) {
		return nil, false
	}
	parts := []string{w.text8(vr, value)}
	if multiple(vr) {
		parts = strings.Split(parts[0], `\`)
	}
	for i, p := range parts {
		if p = trimmed(p); p != "" {
			p = w.p.ID(keyword, p, maxLength(vr))
		}
		if vr == CS {
			p = strings.ToUpper(p)
		}
		parts[i] = p
	}
	joined := strings.Join(parts, `\`)
	return padText(vr, joined), len(joined) <= maxBytes(vr)
}

func (w *rewriter) token(keyword string, value []byte, most int) string {
	text := trimmed(w.scope.charset.Text(value))
	if text == "" {
		return ""
	}
	return w.p.ID(keyword, text, most)
}

// maxLength is how many characters a value of a VR may have (PS3.5 6.2).
func maxLength(vr VR) int {
	switch vr {
	case SH, AE, CS:
		return 16
	case ST:
		return 1024
	case LT:
		return 10240
	case UC, UT, UR:
		return 1 << 20
	}
	return 64
}

// maxBytes is what the length of an element can say.
func maxBytes(vr VR) int {
	if vr.long() {
		return maxHeld
	}
	return 0xFFFE
}

// multiple reports whether backslashes part the values of a VR.
func multiple(vr VR) bool { return vr != LT && vr != ST && vr != UR && vr != UT }

// text8 is the text of a value in UTF-8.
func (w *rewriter) text8(vr VR, value []byte) string {
	if vr == PN {
		return w.scope.charset.Name(value)
	}
	return w.scope.charset.Text(value)
}

// mapInstance maps UIDs; those of instance, study and series are the sender's,
// whatever they look like.
func (w *rewriter) mapInstance(t Tag, value string) string {
	if ofSender(t) {
		return w.mapOwn(value)
	}
	return w.mapUIDs(value)
}

// mapUIDs maps every value but those that DICOM itself has registered.
func (w *rewriter) mapUIDs(value string) string {
	return eachUID(value, w.mapText)
}

// mapOwn maps the UID of an instance, a study or a series: those are the sender's,
// whatever they look like.
func (w *rewriter) mapOwn(value string) string {
	if value = trimmed(value); value == "" {
		return ""
	}
	return w.p.UID(value)
}

// dummy is a value without meaning that its VR allows.
func dummy(vr VR) ([]byte, bool) {
	switch vr {
	case AE, CS, LO, LT, PN, SH, ST, UC, UT:
		return padText(vr, "REMOVED"), true
	case AS:
		return []byte("000Y"), true
	case DA, DT:
		return []byte("19000101"), true
	case DS, IS:
		return []byte("0 "), true
	case TM:
		return []byte("000000"), true
	case UR:
		return padText(UR, "urn:removed"), true
	case AT, FL, SL, UL, OF, OL:
		return make([]byte, 4), true
	case FD, OD, OV, SV, UV:
		return make([]byte, 8), true
	case OB, OW, SS, US:
		return make([]byte, 2), true
	}
	return nil, false
}

// padText makes the length even (PS3.5 6.2).
func padText(vr VR, s string) []byte {
	b := []byte(s)
	if len(b)%2 == 1 {
		if vr == UI {
			return append(b, 0)
		}
		return append(b, ' ')
	}
	return b
}

// wellFormed reports whether a value consists of the characters its VR allows
// (PS3.5 6.2), for those VRs that leave no room for words. Codes do leave some: see
// residue.
func wellFormed(vr VR, value []byte) bool {
	const digits = "0123456789"
	switch vr {
	case AS:
		return only(value, digits+"DWMY\\")
	case CS:
		return only(value, digits+`ABCDEFGHIJKLMNOPQRSTUVWXYZ_.-\`)
	case DS:
		return only(value, digits+`+-.Ee\`)
	case IS:
		return only(value, digits+`+-\`)
	case TM:
		return only(value, digits+`.:-\`)
	case DA:
		return only(value, digits+`.-\`)
	case DT:
		return only(value, digits+`.+-\`)
	case UI:
		return only(value, digits+`.\`)
	}
	return true
}

// iccProfile reports whether a value is a colour profile (ICC.1 7.2): its first word
// is its length, and it says what it is.
func iccProfile(value []byte) bool {
	return len(value) >= 132 && string(value[36:40]) == "acsp" &&
		int64(binary.BigEndian.Uint32(value)) <= int64(len(value)) && len(value)-int(binary.BigEndian.Uint32(value)) <= 1
}

func only(value []byte, allowed string) bool {
	for _, c := range value {
		if c != ' ' && c != 0 && strings.IndexByte(allowed, c) < 0 {
			return false
		}
	}
	return true
}
