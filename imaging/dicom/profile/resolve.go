package profile

import "strings"

// resolve decides on a row of table E.1-1 for every type the attribute can have.
func (s Set) resolve(r Row) *compound {
	c := &compound{}
	for t := range c.byType {
		c.byType[t] = s.row(r, attributeType(t))
		c.depends = c.depends || c.byType[t] != c.byType[typeUnknown]
	}
	return c
}

func (s Set) row(r Row, t attributeType) Rule {
	rule := Rule{Action: basic(r, t), Keyword: r.Keyword, Listed: true}
	switch s.option(r) {
	case "K":
		rule.Action = Keep
	case "C":
		rule.Bare, rule.Action = rule.Action, cleaned(r, rule.Action)
		if rule.Action != Clean {
			rule.Bare = 0
		}
	}
	return rule
}

// option is the code of the chosen options for a row: C stands above K.
func (s Set) option(r Row) string {
	code := ""
	for i, o := range r.Options {
		if o != "" && s&(1<<i) != 0 && code != "C" {
			code = o
		}
	}
	return code
}

// cleaned says how C is done on a row whose VR leaves its own way of doing it.
func cleaned(r Row, basic Action) Action {
	switch r.VR {
	case "DA", "DT":
		return Shift
	case "TM":
		return Keep // the shift is by whole days
	case "AE":
		return Token
	case "OB":
		return basic // nobody can say what it says
	}
	return Clean
}

// basic is the action of the basic profile.
func basic(r Row, t attributeType) Action {
	code := r.Basic
	if strings.Contains(code, "/") {
		code = t.choose(code)
	}
	switch code {
	case "Z", "D":
		return placeholder(r, Action(code[0]))
	case "U":
		return MapUID
	case "U*":
		return Keep // the items are cleaned, the UIDs in them mapped
	}
	return Remove
}

// placeholder is what serves where the table asks for an empty or a dummy value: for
// a UID another one, for what identifies by a number or code a token.
func placeholder(r Row, otherwise Action) Action {
	switch r.VR {
	case "UI":
		return MapUID
	case "PN":
		if r.Keyword == "PatientName" {
			return Token
		}
	case "SH", "LO":
		for _, ending := range []string{"ID", "Number", "Identifier"} {
			if strings.HasSuffix(r.Keyword, ending) {
				return Token
			}
		}
	}
	return otherwise
}
