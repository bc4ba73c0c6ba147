package profile

import "strings"

// resolve decides on a row of table E.1-1 for every type the attribute can have.
func (s Set) resolve(r Row) *ruling {
	ruling := &ruling{}
	for t := range ruling.byType {
		ruling.byType[t] = s.row(r, attributeType(t))
		ruling.depends = ruling.depends || ruling.byType[t] != ruling.byType[typeUnknown]
	}
	return ruling
}

func (s Set) row(r Row, t attributeType) Rule {
	rule := Rule{Action: basic(r, t), Keyword: r.Keyword, Listed: true}
	switch s.option(r) {
	case "K":
		rule.Action = Keep
	case "C":
		without := rule.Action
		if rule.Action = cleaned(r, without); rule.Action == Clean && r.VR != "SQ" {
			rule.Bare = without
		}
	}
	return rule
}

// option is the code that the chosen options have for a row: C stands above K.
func (s Set) option(r Row) string {
	code := ""
	for i, o := range r.Options {
		if o != "" && s&(1<<i) != 0 && code != "C" {
			code = o
		}
	}
	return code
}

// cleaned says how C is done on a row whose VR has its own way.
func cleaned(r Row, without Action) Action {
	if r.Keyword == "TimezoneOffsetFromUTC" {
		return Keep // as the times it belongs to
	}
	switch r.VR {
	case "DA", "DT":
		return Shift
	case "TM":
		return Keep // the shift is by whole days
	case "AE":
		return Token
	case "OB":
		return without // bytes that nobody can read cannot be cleaned
	}
	return Clean
}

// basic is the action of the basic profile on an attribute of that type.
func basic(r Row, t attributeType) Action {
	code := r.Basic
	if strings.Contains(code, "/") {
		code = t.choose(code)
	}
	switch code {
	case "Z":
		return placeholder(r, Empty)
	case "D":
		return placeholder(r, Dummy)
	case "U":
		return MapUID
	case "U*":
		return Keep // a sequence: the UIDs in its items are mapped
	}
	return Remove
}

// placeholder is what serves where the table asks for an empty or a dummy value.
func placeholder(r Row, otherwise Action) Action {
	switch {
	case r.VR == "UI":
		return MapUID
	case r.Keyword == "PatientName":
		return Token // so that worklists and viewers can tell patients apart
	case r.VR == "SH", r.VR == "LO", r.VR == "ST", r.VR == "UC":
		for _, ending := range []string{"ID", "Number", "Identifier"} {
			if strings.HasSuffix(r.Keyword, ending) {
				return Token
			}
		}
	}
	return otherwise
}
