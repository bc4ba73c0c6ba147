package dicomweb

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// mediaType is a parsed Content-Type, or one range of an Accept header. Type and
// parameter names are lower case; values are unquoted and keep their case.
type mediaType struct {
	Type   string // "multipart/related", "*/*"
	Params map[string]string
	Q      float64 // 1 where none was given
}

var errMediaType = errors.New("not a media type")

// parseMediaType reads one media type (PS3.18 8.7). mime.ParseMediaType does not do:
// it refuses the unquoted slash of type=application/dicom, which real clients send.
func parseMediaType(s string) (mediaType, error) {
	types := parseAccept([]string{s})
	if len(types) != 1 {
		return mediaType{}, errMediaType
	}
	return types[0], nil
}

// parseAccept reads all ranges of all Accept headers, best first; equals keep their
// order. A range that cannot be read is passed over, so one unknown form does not
// spoil the others; ranges with q=0 are dropped.
func parseAccept(headers []string) []mediaType {
	var types []mediaType
	for _, h := range headers {
		for _, element := range splitOutsideQuotes(h, ',') {
			if t, err := parseRange(element); err == nil && t.Q > 0 {
				types = append(types, t)
			}
		}
	}
	slices.SortStableFunc(types, func(a, b mediaType) int { return cmp.Compare(b.Q, a.Q) })
	return types
}

func parseRange(s string) (mediaType, error) {
	fields := splitOutsideQuotes(s, ';')
	t := mediaType{Type: strings.ToLower(strings.TrimSpace(fields[0])), Params: map[string]string{}, Q: 1}
	if major, minor, ok := strings.Cut(t.Type, "/"); !ok || !token(major) || !token(minor) {
		return mediaType{}, errMediaType
	}
	for _, f := range fields[1:] {
		if strings.TrimSpace(f) == "" {
			continue // "a/b;" and "a/b; ;c=d" are sent
		}
		name, value, ok := strings.Cut(f, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || !token(name) {
			return mediaType{}, errMediaType
		}
		if value, ok = unquote(strings.TrimSpace(value)); !ok {
			return mediaType{}, errMediaType
		}
		if _, twice := t.Params[name]; twice {
			return mediaType{}, errMediaType // which of the two counts is anyone's guess
		}
		t.Params[name] = value
	}
	if q, ok := t.Params["q"]; ok {
		v, err := strconv.ParseFloat(q, 64)
		if err != nil || !(v >= 0 && v <= 1) {
			return mediaType{}, errMediaType
		}
		t.Q = v
		delete(t.Params, "q")
	}
	return t, nil
}

// splitOutsideQuotes splits s at sep, except within quoted strings.
func splitOutsideQuotes(s string, sep byte) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// unquote returns a parameter's value. Unquoted values may hold what a token may
// not, as a slash, but no space, quote or control character.
func unquote(s string) (string, bool) {
	if !strings.HasPrefix(s, `"`) {
		ok := s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7f })
		return s, ok
	}
	var value strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return value.String(), i == len(s)-1
		case '\\':
			if i++; i == len(s) {
				return "", false
			}
		}
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return "", false
		}
		value.WriteByte(s[i])
	}
	return "", false
}

// token says whether s is a token of RFC 9110 5.6.2, or of RFC 2045 5.1, which allows
// braces too.
func token(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~{}", c) < 0 {
			return false
		}
	}
	return true
}
