package mention

import (
	"regexp"
	"strings"
)

// What names a person or an act by its form alone. Each first group, where there is
// one, is the part that goes.
var (
	webAddress = regexp.MustCompile(`(?i)\b(?:https?://|ftp://|www\.)[^\s<>"'，。；）)\]\x01]+`)

	// Addresses that name a vocabulary, not a page.
	standard = regexp.MustCompile(`^https?://(?:www\.w3\.org|(?:terminology\.)?hl7\.org|loinc\.org|snomed\.info|unitsofmeasure\.org|dicom\.nema\.org)(?:/[\w./-]*)?$`)

	// An address that was set or read with blanks in it.
	partedEmail = regexp.MustCompile(`[\pL\d._+-]{1,64} {0,2}@ {0,2}[\pL\d-]{1,64}(?: ?\. ?[\pL\d-]{1,32}){0,4}\.[ ]?\pL{2,16}\b`)

	// MR-0482913, ZY00123456: letters that hospitals put before their numbers.
	hospitalNumber = regexp.MustCompile(`(?i)\b((?:MRN|PID|PAT|UHID|HN|URN|ZYH?|MZH?|BAH|JZ|ACC|INS|EMPI|SYN)-?\d{5,14})\b`)

	// Passports of China, and its permits for Hong Kong, Macau and Taiwan.
	passport = regexp.MustCompile(`\b([EGDSP][A-HJ-NP-Z]?\d{7,8}|[HMCW]\d{8,10})\b`)

	// 123-45-6789 and the ten digits of an NHS number.
	groupedNumber = regexp.MustCompile(`\b(\d{3}-\d{2}-\d{4}|\d{3}[ -]\d{3}[ -]\d{4})\b`)

	street  = regexp.MustCompile(`\b(\d{1,5}[A-Za-z]?,? (?:(?:[A-Z]\.?|[A-Z][a-z'’]+|North|South|East|West|\d{1,3}(?:st|nd|rd|th)) ){1,4}(?:Street|St\.|Road|Rd\.?|Avenue|Ave\.?|Lane|Ln\.?|Drive|Boulevard|Blvd\.?|Court|Terrace|Crescent|Highway|Close|Way|Square)\b(?:,? (?:Apt|Apartment|Unit|Suite|Flat|#)\.? ?\w+)?(?:,? [A-Z][a-z]+(?: [A-Z][a-z]+)?)?(?:,? [A-Z]{2})?(?:,? [A-Z]{1,2}\d[\dA-Z]? \d[A-Z]{2}\b|,? \d{5,6}(?:-\d{4})?\b)?)`)
	strasse = regexp.MustCompile(`((?:[A-ZÄÖÜ][a-zäöüß]+(?:straße|strasse|str\.|weg|platz|allee|gasse|damm|ufer)|[A-ZÄÖÜ][a-zäöüß]+ (?:Straße|Strasse|Str\.|Weg|Platz|Allee)) \d{1,4}[a-z]?\b(?:,? (?:D-)?\d{5} [A-ZÄÖÜ][a-zäöüß]+)?)`)

	// 路114号633室, with what stands before it: nothing but an address has a street and a
	// number. OCR puts blanks between characters.
	chineseStreet = regexp.MustCompile(`((?:\p{Han} ?){1,20}(?:路|街|道|巷|弄|胡同) ?\d{1,5} ?(?:号|弄)(?: ?\d{1,4} ?(?:号楼|号|栋|幢|楼|单元|层|室)){0,4})`)

	// A name between a colon and a telephone, whatever the label was read as.
	nameAndPhone = regexp.MustCompile(`[:：;；] ?(\p{Han} ?\p{Han}(?: ?\p{Han})?) {1,4}(?:联 ?系 ?)?(?:电 ?话|手 ?机)`)

	old        = regexp.MustCompile(`(?i)\b(?:age|aged|年龄)[:： ]{0,3}((?:9\d|1[0-2]\d)(?: ?(?:years?|yrs?|y/?o|岁))?)(?:[^\d.%]|$)`)
	oldYears   = regexp.MustCompile(`(?i)\b((?:9\d|1[0-2]\d)[- ]?(?:years?|yrs?|y\.?/?o\b|岁|jährig|Jahre)(?:[- ]?old)?)`)
	afterward  = regexp.MustCompile(`(?:\D|^)((?:9\d|1[0-2]\d) ?(?:岁|周岁))`)
	afterLabel = regexp.MustCompile(`年龄[:： 　]{0,4}((?:9\d|1[0-2]\d) ?岁?)(?:[^\d.%]|$)`)
)

// patterns looks for forms.
func (r *reader) patterns() {
	for _, p := range []struct {
		form *regexp.Regexp
		of   Kind
	}{
		{webAddress, URL}, {partedEmail, Email}, {hospitalNumber, ID}, {passport, ID}, {groupedNumber, ID}, {street, Address}, {strasse, Address}, {chineseStreet, Address}, {nameAndPhone, Person},
		{old, Age}, {oldYears, Age}, {afterward, Age}, {afterLabel, Age},
	} {
		for _, at := range p.form.FindAllStringSubmatchIndex(r.text, -1) {
			from, to := at[0], at[1]
			if len(at) > 2 {
				from, to = at[2], at[3]
			}
			if p.of == URL {
				if standard.MatchString(r.text[from:to]) {
					continue
				}
				to = from + len(strings.TrimRight(r.text[from:to], ".,;:"))
			}
			if p.of == Person && !familyName(r.text[from:to]) {
				continue
			}
			token := r.k.token(p.of)
			if p.of == ID {
				token = numberToken
			}
			r.add(from, to, p.of, token)
		}
	}
}
