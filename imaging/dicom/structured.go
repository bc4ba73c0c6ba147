package dicom

import (
	"strings"

	"medvault/imaging/dicom/profile"
)

// structured reports the sequences whose items are the document itself: content of a
// report and what describes specimens, acquisitions and waveforms. Cleaned item by
// item they keep their places, to which other items refer by number.
func structured(t Tag) bool {
	switch t {
	case 0x0040_A730, 0x0040_B020, 0x0040_0555, 0x0040_0610:
		return true
	}
	return false
}

// code reports the attributes of a coded entry (PS3.3 8.8) that someone writes.
func code(t Tag) bool {
	switch t {
	case 0x0008_0100, 0x0008_0101, 0x0008_0102, 0x0008_0104, 0x0008_0108, 0x0008_0119:
		return true
	}
	return false
}

// standardCode reports whether item i is a code of a scheme that everyone shares.
func standardCode(s *Segment, i int32) bool {
	for k := i + 1; k < s.Elements[i].Next; k = s.Elements[k].Next {
		if e := &s.Elements[k]; e.Tag == 0x0008_0102 && !e.Container() && e.End-e.Value <= 16 {
			return standardScheme(trimmed(string(s.Bytes(e))))
		}
	}
	return false
}

// standardScheme are designators of PS3.16 table 8-1 whose codes are published.
func standardScheme(designator string) bool {
	switch strings.ToUpper(designator) {
	case "DCM", "SCT", "SRT", "SNM3", "LN", "UCUM", "RADLEX", "NCIT", "FMA", "UMLS", "I10", "I10P", "I9", "I9C", "ICDO3",
		"ICD10", "ICD11", "BI", "ISO3166_1", "RFC5646", "RXNORM", "NPI_TAXONOMY", "IBSI", "CPT", "C4", "UNS", "NEU", "PUBCHEM_CID", "MDC":
		return true
	}
	return false
}

// codeText is what stays of a code. One of a standard scheme stays, its meaning as far
// as the vocabulary knows it. Any other may be a way of writing who somebody is: it
// stays while it is one word that does not name the patient or those around them, and
// where the whole sequence says who somebody is it does not.
func (w *rewriter) codeText(t Tag, text string) string {
	value := trimmed(text)
	switch {
	case value == "":
		return text
	case t == 0x0008_0104 || t == 0x0008_0108:
		if w.scope.people {
			return ""
		}
		return w.cleanText(LO, text)
	case t == 0x0008_0102:
		if standardScheme(value) || !w.scope.people && oneWord(value) && len(w.subject.Find(value)) == 0 {
			return text
		}
		return "99REMOVED"
	case !w.scope.people && oneWord(value) && len(w.subject.Find(value)) == 0 && (w.scope.standard || w.nobody(value)):
		return text
	}
	return w.p.ID("CodeValue", value, codeDigits)
}

// codeDigits is the length of a token in the place of a code, whatever its VR.
const codeDigits = 16

// nobody reports that a word can be nobody's name: it has a digit or is known.
func (w *rewriter) nobody(word string) bool {
	return strings.ContainsAny(word, "0123456789") || w.cleanText(SH, word) == word
}

// oneWord reports a value made of the characters that codes are made of.
func oneWord(s string) bool {
	return strings.Trim(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-_:/+^") == ""
}

// drawing reports the groups of curves and overlays (PS3.5 7.6).
func drawing(t Tag) bool {
	group := t.Group()
	return group >= 0x5000 && group <= 0x50FF || group >= 0x6000 && group <= 0x60FF
}

// drawn decides on an element of a curve or an overlay. With the option Clean Graphics
// they stay, for a person to look at; voices never do.
func (w *rewriter) drawn(e *Element) profile.Rule {
	known := vrOf(e.Tag)
	if known == UN {
		known = e.VR
	}
	switch number := e.Tag.Element(); {
	case w.options&profile.CleanGraphics == 0, e.Tag.Group()&1 == 1, known == UN, known == SQ,
		e.Tag.Group() < 0x6000 && number >= 0x2000 && number < 0x2500:
		return profile.Rule{Action: profile.Remove}
	case number == 0x3000:
		return profile.Rule{Action: profile.Clean}
	case wordy(known):
		return profile.Rule{Action: profile.Clean, Bare: profile.Remove}
	}
	return profile.Rule{Action: profile.Keep}
}
