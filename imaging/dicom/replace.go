package dicom

import (
	"bytes"
	"strings"

	"medvault/imaging/dicom/profile"
)

// replacement is the value that an element gets instead of its own; false when it
// gets none and goes.
func (w *rewriter) replacement(action profile.Action, keyword string, e *Element, value []byte, at place) ([]byte, bool) {
	vr := w.vr(e)
	switch {
	case e.Tag == 0x0010_0020:
		return w.patientToken(value, at), true
	case e.Tag == 0x0010_0010:
		if at == nested {
			return nil, true
		}
		return padText(PN, w.p.Patient), true
	case action == profile.MapUID:
		if bytes.Count(value, []byte{'\\'}) >= maxUIDs {
			return nil, false
		}
		if e.Tag == tagInstance || e.Tag == tagStudy || e.Tag == tagSeries {
			return padText(UI, w.mapOwn(string(value))), true
		}
		return padText(UI, w.mapUIDs(string(value))), true
	case action == profile.Shift:
		if vr != DA && vr != DT {
			return nil, false
		}
		return padText(vr, shiftDates(vr, string(value), w.p.ShiftDays)), true
	case names(keyword) && (vr == SH || vr == LO) && len(value) > 0:
		return padText(vr, w.token(keyword, value, maxLength(vr))), true
	case action == profile.Empty:
		return nil, true
	}
	return dummy(vr)
}

// patientToken replaces a Patient ID: the document's own by the patient's token,
// another one in a sequence by a token of its own.
func (w *rewriter) patientToken(value []byte, at place) []byte {
	value = bytes.Trim(value, " \x00")
	switch {
	case at == top || bytes.Equal(value, w.patientID):
		return padText(LO, w.p.Patient)
	case len(value) == 0:
		return nil
	}
	return padText(LO, w.token("PatientID", value, maxLength(LO)))
}

func (w *rewriter) token(keyword string, value []byte, most int) string {
	text := trimmed(w.charset.Text(value))
	if text == "" {
		return ""
	}
	return w.p.ID(keyword, text, most)
}

// names reports whether an attribute identifies something by a number or code, so
// that a token serves where the table asks for an empty or a dummy value.
func names(keyword string) bool {
	return strings.HasSuffix(keyword, "ID") || strings.HasSuffix(keyword, "Number") || strings.HasSuffix(keyword, "Identifier")
}

func maxLength(vr VR) int {
	if vr == SH {
		return 16
	}
	return 64
}

// mapUIDs maps every value but those that DICOM itself has registered.
func (w *rewriter) mapUIDs(value string) string {
	parts := strings.Split(value, `\`)
	for i, p := range parts {
		p = trimmed(p)
		if p != "" && !registered(p) {
			p = w.p.UID(p)
		}
		parts[i] = p
	}
	return strings.Join(parts, `\`)
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
	}
	return true
}

func only(value []byte, allowed string) bool {
	for _, c := range value {
		if c != ' ' && c != 0 && strings.IndexByte(allowed, c) < 0 {
			return false
		}
	}
	return true
}
