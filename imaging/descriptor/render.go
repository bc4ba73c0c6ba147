package descriptor

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// render writes what stays. Where words are gone, one separator stays between their
// neighbours, and none at the ends.
func render(tokens []token) string {
	var b strings.Builder
	gap, gone := "", false // separators since the last word; whether something was dropped among them
	var left []string      // separators on the way, before and after what was dropped
	began, changed := false, false
	for _, t := range tokens {
		if t.kind == separator {
			left = append(left, t.text)
			continue
		}
		if t.dropped || t.text == "" {
			gone, changed = true, true
			left = append(left, "")
			continue
		}
		gap = strings.Join(left, "")
		if gone {
			gap = tidy(plainSigns(left), began)
		}
		b.WriteString(gap)
		b.WriteString(t.text)
		left, gone, began = left[:0], false, true
	}
	if !began {
		return ""
	}
	if end := strings.Join(left, ""); !gone {
		b.WriteString(end)
	} else if left = plainSigns(left); left[0] == "" {
		// nothing of it stays
	} else if closing := strings.TrimLeft(left[0], " "); closing != "" && strings.ContainsAny(closing[:1], ")]}.%\"*") {
		b.WriteString(closing[:1])
	}
	if !changed {
		return b.String()
	}
	return balanced(b.String())
}

// plainSigns takes the signs of Latin-1 out of separators next to what is gone: in
// another character set they are parts of it.
func plainSigns(left []string) []string {
	for i, s := range left {
		left[i] = strings.Map(func(r rune) rune {
			if r >= 0x80 && r <= 0xBF || r == 0xD7 || r == 0xF7 {
				return -1
			}
			return r
		}, s)
	}
	return left
}

// tidy chooses what stays of separators among which something is gone.
func tidy(left []string, began bool) string {
	all := strings.Join(left, "")
	if !began {
		return opening(left[len(left)-1])
	}
	if strings.Contains(all, "\n") {
		return "\n"
	}
	first, last := left[0], left[len(left)-1]
	for _, s := range []string{first, last} {
		if strings.ContainsAny(s, "()[]{}") {
			return s
		}
	}
	for _, s := range left {
		if strings.TrimSpace(s) != "" && s != "." && s != "'" {
			return s
		}
	}
	for _, s := range left {
		if s != "" && s != "." && s != "'" {
			return s
		}
	}
	if all == "" {
		return ""
	}
	return " "
}

// opening is what of the separators before the first word belongs to it.
func opening(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	r, size := utf8.DecodeLastRuneInString(s)
	if strings.ContainsRune("([{\"<>~±#+*", r) {
		return s[len(s)-size:]
	}
	return ""
}

// balanced takes out brackets that hold nothing or have no counterpart.
func balanced(s string) string {
	const brackets = "()[]{}"
	var out []byte
	var open []int // where in out
	for i := range len(s) {
		kind := strings.IndexByte(brackets, s[i])
		switch {
		case kind >= 0 && kind%2 == 0:
			open = append(open, len(out))
		case kind >= 0:
			if len(open) == 0 || out[open[len(open)-1]] != brackets[kind-1] {
				continue
			}
			at := open[len(open)-1]
			open = open[:len(open)-1]
			if strings.TrimSpace(string(out[at+1:])) == "" {
				out = out[:at]
				continue
			}
		}
		out = append(out, s[i])
	}
	for _, at := range slices.Backward(open) {
		out = slices.Delete(out, at, at+1)
	}
	if !strings.ContainsFunc(string(out), func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		return ""
	}
	return string(out)
}
