package mention

import (
	"regexp"
	"strings"
)

// loose finds dates that OCR read with blanks in them, or with commas for points:
// 2024. 10 .06. Of what was in one piece nothing is found here.
func (r *reader) loose() {
	var tight []byte
	var at []int // by byte of tight
	text := r.flat
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == ' ' && i > 0 && i+1 < len(text) && partsDate(tight, text[i+1:]) {
			continue
		}
		if c == ',' && i > 0 && i+1 < len(text) && isDigit(text[i-1]) && isDigit(text[i+1]) {
			c = '.'
		}
		tight = append(tight, c)
		at = append(at, i)
	}
	for _, d := range r.k.subject.Days(string(tight)) {
		start, end := at[d.Start], at[d.End-1]+1
		if end-start == d.End-d.Start && !strings.Contains(text[start:end], ",") {
			continue
		}
		token := dateToken
		if !r.k.tokens.NoDates {
			token = d.Shift(string(tight), r.k.tokens.Days)
		}
		r.add(start, end, Date, token)
	}
	for _, m := range misreadDate.FindAllIndex(tight, -1) {
		r.add(at[m[0]], at[m[1]-1]+1, Date, dateToken)
	}
}

// misreadDate is a number that only a date looks like, though it is none.
var misreadDate = regexp.MustCompile(`\b(?:\d{4,5}\.\d{1,2}\.\d{1,3}|\d{4,5}-\d{1,2}-\d{1,3}|\d{4,5}/\d{1,2}/\d{1,3}|\d{1,3}\.\d{1,2}\.\d{4,5}|\d{1,3}/\d{1,2}/\d{4,5})\b`)

// partsDate reports a blank between a digit and the sign of a date, or the other way
// round.
func partsDate(before []byte, after string) bool {
	if len(before) == 0 {
		return false
	}
	last := before[len(before)-1]
	if isDigit(last) {
		return hasSign(after)
	}
	for _, sign := range dateSigns() {
		if strings.HasSuffix(string(before[max(0, len(before)-3):]), sign) {
			return isDigit(after[0])
		}
	}
	return false
}

// dateSigns are what stands between the numbers of a date.
func dateSigns() []string { return []string{".", "-", "/", "年", "月", "日"} }

func hasSign(s string) bool {
	for _, sign := range dateSigns() {
		if strings.HasPrefix(s, sign) {
			return true
		}
	}
	return false
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
