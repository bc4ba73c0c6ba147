package subject

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Day is a day, or a month, that stands in a text.
type Day struct {
	Start, End int // bytes

	year, month, day field // year or day may be absent
	swapped          bool  // day and month may be the other way round
}

// field is one number of a date.
type field struct {
	start, end int
	value      int
	style      style
	names      int // of a month: which list of months
}

type style uint8

const (
	absent  style = iota
	plain         // as many digits as needed
	padded        // two digits
	twoYear       // a year without century
	named         // a month by its name
	chinese       // in Chinese characters
)

// Shift is the text of the date some days later, written the same way. A month
// without day moves as its middle does, a day without year as in a common year.
func (d Day) Shift(text string, days int) string {
	year, day := d.year.value, d.day.value
	if d.year.style == absent {
		year = 2001
	}
	if d.day.style == absent {
		day = 15
	}
	to := time.Date(year, time.Month(d.month.value), day, 0, 0, 0, 0, time.UTC).AddDate(0, 0, days)
	var b strings.Builder
	at := d.Start
	for at < d.End {
		switch {
		case d.year.style != absent && at == d.year.start:
			b.WriteString(d.year.write(to.Year(), text))
			at = d.year.end
		case at == d.month.start:
			b.WriteString(d.month.write(int(to.Month()), text))
			at = d.month.end
		case d.day.style != absent && at == d.day.start:
			b.WriteString(d.day.write(to.Day(), text))
			at = d.day.end
		default:
			b.WriteByte(text[at])
			at++
		}
	}
	return b.String()
}

func (f field) write(n int, text string) string {
	switch f.style {
	case padded:
		return fmt.Sprintf("%0*d", 2, n)
	case twoYear:
		return fmt.Sprintf("%02d", ((n%100)+100)%100)
	case named:
		return likeCase(monthNames(f.names)[n-1], text[f.start:f.end])
	case chinese:
		return chineseNumber(n)
	}
	return fmt.Sprint(n)
}

// likeCase writes a word in capitals where the example is.
func likeCase(word, example string) string {
	first, size := utf8.DecodeRuneInString(example)
	switch {
	case strings.ToUpper(example) == example && len(example) > size:
		return strings.ToUpper(word)
	case strings.ToUpper(string(first)) == string(first):
		_, size = utf8.DecodeRuneInString(word)
		return strings.ToUpper(word[:size]) + word[size:]
	}
	return word
}

// is reports whether the date may be a day given as YYYYMMDD.
func (d Day) is(day time.Time) bool {
	if d.day.style == absent || d.year.style == absent {
		return false
	}
	if d.year.value != day.Year() && (d.year.style != twoYear || d.year.value%100 != day.Year()%100) {
		return false
	}
	m, n := int(day.Month()), day.Day()
	return d.month.value == m && d.day.value == n || d.swapped && d.month.value == n && d.day.value == m
}

// Days finds the dates of a text, in order. Where day and month may be either way
// round, the way that gives a known date counts.
func (s *Subject) Days(text string) []Day {
	var all []Day
	for at, part := range windows(text) {
		for _, d := range s.dates(fold(part)) {
			if d = d.moved(at); len(all) == 0 || d.Start >= all[len(all)-1].End {
				all = append(all, d)
			}
		}
	}
	return all
}

// moved is the date in a text that has so many bytes more before it.
func (d Day) moved(by int) Day {
	d.Start, d.End = d.Start+by, d.End+by
	for _, f := range []*field{&d.year, &d.month, &d.day} {
		f.start, f.end = f.start+by, f.end+by
	}
	return d
}

func (s *Subject) dates(units []unit) []Day {
	var all []Day
	for i := 0; i < len(units); {
		d, end := dateAt(units, i)
		if end == 0 {
			i++
			continue
		}
		d.Start, d.End = int(units[i].start), int(units[end-1].end)
		if d.swapped && s.knows(d) {
			d = d.asKnown(s.days)
		}
		all = append(all, d)
		i = end
	}
	return all
}

func (s *Subject) knows(d Day) bool {
	for _, day := range s.days {
		if d.is(day) {
			return true
		}
	}
	return false
}

func (d Day) asKnown(days []time.Time) Day {
	for _, day := range days {
		if d.is(day) && d.month.value != int(day.Month()) {
			d.month, d.day = d.day, d.month
			return d
		}
	}
	return d
}

// dateAt reads a date that begins at unit i; end is behind it, or 0.
func dateAt(us []unit, i int) (d Day, end int) {
	switch us[i].class {
	case digit:
		if i > 0 && (us[i-1].class == digit || fraction(us, i)) {
			return d, 0
		}
		return numericDate(us, i)
	case letter:
		if i > 0 && us[i-1].class == letter {
			return d, 0
		}
		return monthFirst(us, i)
	case ideograph:
		if n, _ := chineseDigits(us, i); n > 0 && (i == 0 || !chineseDigit(us[i-1].r)) {
			return chineseDate(us, i)
		}
	}
	return d, 0
}

// fraction reports a digit and a dot before unit i: part of a longer number.
func fraction(us []unit, i int) bool {
	return i >= 2 && us[i-1].r == '.' && us[i-2].class == digit
}

// numericDate reads a date that begins with a number.
func numericDate(us []unit, i int) (Day, int) {
	n := run(us, i)
	switch {
	case n == 8, n == 12, n == 14:
		return compactDate(us, i, n)
	case n == 4:
		return yearFirst(us, i)
	case n <= 2:
		return dayFirst(us, i)
	}
	return Day{}, 0
}

// run is how many digits follow each other from i.
func run(us []unit, i int) int {
	n := 0
	for i+n < len(us) && us[i+n].class == digit {
		n++
	}
	return n
}

func value(us []unit, i, n int) int {
	v := 0
	for _, u := range us[i : i+n] {
		v = v*10 + int(u.r-'0')
	}
	return v
}

func number2(us []unit, i, n int) field {
	f := field{start: int(us[i].start), end: int(us[i+n-1].end), value: value(us, i, n), style: plain}
	if us[i].r == '0' || n == 2 && f.value < 10 {
		f.style = padded
	}
	return f
}

// compactDate reads YYYYMMDD, alone or with a time behind it, and DDMMYYYY.
func compactDate(us []unit, i, n int) (d Day, end int) {
	if touches(us, i+n) {
		return d, 0
	}
	d = Day{year: number2(us, i, 4), month: number2(us, i+4, 2), day: number2(us, i+6, 2)}
	d.month.style, d.day.style = padded, padded
	if d.valid() && (n == 8 || value(us, i+8, 2) < 24 && value(us, i+10, 2) < 60) {
		return d, i + 8
	}
	d = Day{day: number2(us, i, 2), month: number2(us, i+2, 2), year: number2(us, i+4, 4)}
	d.month.style, d.day.style = padded, padded
	if n == 8 && d.valid() {
		return d, i + 8
	}
	return d, 0
}

// touches reports that a number goes on at unit i.
func touches(us []unit, i int) bool {
	return i < len(us) && (us[i].class == digit || us[i].r == '.' && i+1 < len(us) && us[i+1].class == digit)
}

func (d Day) valid() bool {
	const oldest, latest = 1850, 2150
	year, day := d.year.value, d.day.value
	if d.year.style == absent {
		year = 2000 // any day of a year
	}
	if d.day.style == absent {
		day = 1
	}
	if year < oldest || year > latest || d.month.value < 1 || d.month.value > 12 || day < 1 {
		return false
	}
	return time.Date(year, time.Month(d.month.value), day, 0, 0, 0, 0, time.UTC).Day() == day
}

// yearFirst reads 2024-03-05, 2024 March 5, 2024年3月5日, 2024年3月.
func yearFirst(us []unit, i int) (d Day, end int) {
	d.year = number2(us, i, 4)
	d.year.style = plain
	j := i + 4
	if k := after(us, j, '年'); k > 0 {
		return chineseMonth(us, k, d)
	}
	if j >= len(us) {
		return d, 0
	}
	if m, k := month(us, spaces(us, j, 2)); k > 0 {
		d.month = m
		k = spaces(us, k, 2)
		if n := run(us, k); n == 1 || n == 2 {
			d.day = number2(us, k, n)
			return d.ended(us, k+n)
		}
		return d, 0
	}
	part := us[j].r
	if !parts(part) {
		return d, 0
	}
	j = spaces(us, j+1, 1)
	n := run(us, j)
	if n != 1 && n != 2 || j+n >= len(us) || us[j+n].r != part {
		return d, 0
	}
	d.month = number2(us, j, n)
	k := spaces(us, j+n+1, 1)
	if n = run(us, k); n != 1 && n != 2 {
		return d, 0
	}
	d.day = number2(us, k, n)
	d.month, d.day = likePadded(d.month, d.day)
	if k+n+1 < len(us) && us[k+n].r == part && us[k+n+1].class == digit {
		return d, 0
	}
	return d.ended(us, k+n)
}

// likePadded takes two numbers of two digits each for padded ones.
func likePadded(a, b field) (field, field) {
	if a.end-a.start > 1 && b.end-b.start > 1 {
		a.style, b.style = padded, padded
	}
	return a, b
}

func parts(r rune) bool { return r == '-' || r == '.' || r == '/' || r == '_' }

// ended refuses what is no date after all.
func (d Day) ended(us []unit, end int) (Day, int) {
	if !d.valid() || end < len(us) && us[end].class == digit {
		return d, 0
	}
	return d, end
}

// spaces passes over at most most separators that may stand within a written date.
func spaces(us []unit, i, most int) int {
	for n := 0; n < most && i < len(us) && (us[i].r == ' ' || most > 1 && (us[i].r == '-' || us[i].r == '.' || us[i].r == ',')); n++ {
		i++
	}
	return i
}

// after is the place behind a character that may have a space before it, or 0.
func after(us []unit, i int, r rune) int {
	if i < len(us) && us[i].r == ' ' {
		i++
	}
	if i < len(us) && us[i].r == r {
		if i++; i < len(us) && us[i].r == ' ' {
			i++
		}
		return i
	}
	return 0
}

// dayFirst reads 5.3.2024, 03/05/2024, 05.03.24, 5 March 2024, 5. März 2024, 3月5日.
func dayFirst(us []unit, i int) (d Day, end int) {
	n := run(us, i)
	first := number2(us, i, n)
	j := i + n
	if k := after(us, j, '月'); k > 0 {
		d.month = first
		return chineseDay(us, k, d)
	}
	if j >= len(us) {
		return d, 0
	}
	if m, k := month(us, ordinal(us, j)); k > 0 {
		d.day, d.month = first, m
		if n == 2 && us[j].r == '-' {
			d.day.style = padded
		}
		if i > 0 && us[i-1].class == letter {
			return d, 0 // "T1 July 6, 1968"
		}
		return writtenYear(us, k, d)
	}
	part := us[j].r
	if !parts(part) {
		return d, 0
	}
	j = spaces(us, j+1, 1)
	if n = run(us, j); n != 1 && n != 2 || j+n >= len(us) || us[j+n].r != part {
		return d, 0
	}
	second := number2(us, j, n)
	k := spaces(us, j+n+1, 1)
	n = run(us, k)
	if n != 2 && n != 4 || touches(us, k+n) {
		return d, 0
	}
	d.year = number2(us, k, n)
	if n == 2 {
		if part == '.' && (first.style != padded && first.value < 10 || second.style != padded && second.value < 10) {
			return d, 0 // a version, a section
		}
		d.year.style = twoYear
		d.year.value = century(d.year.value)
	} else {
		d.year.style = plain
	}
	first, second = likePadded(first, second)
	d.day, d.month = first, second
	monthFirst := part == '/' && second.value <= 31 && first.value <= 12
	if monthFirst || second.value > 12 {
		d.day, d.month = second, first
	}
	d.swapped = d.day.value <= 12 && d.day.value != d.month.value
	return d.ended(us, k+n)
}

// century is the year that two digits stand for.
func century(yy int) int {
	if yy < 50 {
		return 2000 + yy
	}
	return 1900 + yy
}

// ordinal passes over what stands between a day and the name of its month.
func ordinal(us []unit, i int) int {
	for _, suffix := range []string{"st", "nd", "rd", "th", "er"} {
		if wordAt(us, i, suffix) {
			i += 2
			break
		}
	}
	i = spaces(us, i, 2)
	for _, of := range []string{"of", "de"} {
		if wordAt(us, i, of) {
			i = spaces(us, i+2, 1)
		}
	}
	return i
}

// wordAt reports a whole word at unit i.
func wordAt(us []unit, i int, word string) bool {
	if i+len(word) > len(us) {
		return false
	}
	for k := range len(word) {
		if us[i+k].r != rune(word[k]) {
			return false
		}
	}
	return i+len(word) == len(us) || us[i+len(word)].class != letter
}

// writtenYear reads the year behind day and month by name; it may be absent.
func writtenYear(us []unit, i int, d Day) (Day, int) {
	j := spaces(us, i, 2)
	for _, of := range []string{"de", "del"} {
		if wordAt(us, j, of) {
			j = spaces(us, j+len(of), 1)
		}
	}
	if run(us, j) == 4 {
		d.year = number2(us, j, 4)
		d.year.style = plain
		return d.ended(us, j+4)
	}
	if run(us, j) == 2 && j > i && us[i].r == '-' {
		d.year = number2(us, j, 2)
		d.year.style, d.year.value = twoYear, century(d.year.value)
		return d.ended(us, j+2)
	}
	if ambiguousMonth(us, i) || !d.valid() || run(us, j) > 0 && j > i {
		return d, 0 // of "1 July 6, 1968" the month goes with what follows
	}
	return d, i
}

// ambiguousMonth reports that the name of the month that ends before unit i is also
// another word.
func ambiguousMonth(us []unit, i int) bool {
	from := i
	for from > 0 && us[from-1].class == letter {
		from--
	}
	return i-from <= 3 || wordAt(us, from, "mars") || wordAt(us, from, "march")
}

// monthFirst reads March 5, 2024, March 2024, Mar-05-2024.
func monthFirst(us []unit, i int) (d Day, end int) {
	m, j := month(us, i)
	if j == 0 {
		return d, 0
	}
	d.month = m
	j = spaces(us, j, 2)
	if wordAt(us, j, "de") {
		j = spaces(us, j+2, 1)
	}
	n := run(us, j)
	switch n {
	case 4:
		d.year = number2(us, j, 4)
		d.year.style = plain
		return d.ended(us, j+4)
	case 1, 2:
		d.day = number2(us, j, n)
		return writtenDay(us, j+n, d)
	}
	return d, 0
}

// writtenDay reads the year behind a month by name and a day.
func writtenDay(us []unit, i int, d Day) (Day, int) {
	j := i
	for _, suffix := range []string{"st", "nd", "rd", "th"} {
		if wordAt(us, i, suffix) {
			j += 2
		}
	}
	k := spaces(us, j, 2)
	if k > j && run(us, k) == 4 {
		d.year = number2(us, k, 4)
		d.year.style = plain
		return d.ended(us, k+4)
	}
	return d, 0
}

// chineseDate reads 二〇二四年三月五日.
func chineseDate(us []unit, i int) (d Day, end int) {
	n, k := chineseDigits(us, i)
	at := field{start: int(us[i].start), end: int(us[k-1].end), value: n, style: chinese}
	if j := after(us, k, '年'); j > 0 && k-i == 4 {
		d.year = at
		return chineseMonth(us, j, d)
	}
	if j := after(us, k, '月'); j > 0 {
		d.month = at
		return chineseDay(us, j, d)
	}
	return d, 0
}

func chineseMonth(us []unit, i int, d Day) (Day, int) {
	m, k := chineseField(us, i)
	j := after(us, k, '月')
	if k == 0 || j == 0 {
		return d, 0
	}
	d.month = m
	if full, end := chineseDay(us, j, d); end > 0 {
		return full, end
	}
	if !d.valid() {
		return d, 0
	}
	return d, j - trailingSpace(us, j)
}

func trailingSpace(us []unit, j int) int {
	if us[j-1].r == ' ' {
		return 1
	}
	return 0
}

func chineseDay(us []unit, i int, d Day) (Day, int) {
	n, k := chineseField(us, i)
	if k == 0 {
		return d, 0
	}
	d.day = n
	if !d.valid() {
		return d, 0
	}
	for _, r := range []rune{'日', '号'} {
		if j := after(us, k, r); j > 0 {
			return d, j - trailingSpace(us, j)
		}
	}
	if d.year.style != absent {
		return d, k
	}
	return d, 0
}

// chineseField reads a number of one or two digits, or in Chinese characters.
func chineseField(us []unit, i int) (field, int) {
	if n := run(us, i); n == 1 || n == 2 {
		return number2(us, i, n), i + n
	}
	if i >= len(us) {
		return field{}, 0
	}
	if n, k := chineseDigits(us, i); n > 0 {
		return field{start: int(us[i].start), end: int(us[k-1].end), value: n, style: chinese}, k
	}
	return field{}, 0
}

const chineseNumerals = "〇一二三四五六七八九"

func chineseDigit(r rune) bool {
	return r == '十' || r == '零' || strings.ContainsRune(chineseNumerals, r)
}

// chineseDigits reads 二〇二四, 十二 or 二十五.
func chineseDigits(us []unit, i int) (n, end int) {
	const most = 4
	for end = i; end < len(us) && end-i < most && chineseDigit(us[end].r); end++ {
		switch r := us[end].r; {
		case r == '十' && end == i:
			n = 10
		case r == '十' && (end+1 >= len(us) || !chineseDigit(us[end+1].r)):
			n *= 10
		case r == '十': // between two digits
		case r == '零':
			n *= 10
		default:
			d := strings.Index(chineseNumerals, string(r)) / len("〇")
			if end > i && us[end-1].r == '十' && end-1 == i {
				n += d
			} else {
				n = n*10 + d
			}
		}
	}
	return n, end
}

func chineseNumber(n int) string {
	digit := func(d int) string { return string([]rune(chineseNumerals)[d]) }
	switch {
	case n >= 100:
		var s string
		for ; n > 0; n /= 10 {
			s = digit(n%10) + s
		}
		return s
	case n >= 20 && n%10 == 0:
		return digit(n/10) + "十"
	case n >= 20:
		return digit(n/10) + "十" + digit(n%10)
	case n == 10:
		return "十"
	case n > 10:
		return "十" + digit(n%10)
	}
	return digit(n)
}

// month reads the name of a month at unit i.
func month(us []unit, i int) (field, int) {
	const shortest, longest = 3, 10
	end := i
	for end < len(us) && us[end].class == letter {
		end++
	}
	if n := end - i; n < shortest || n > longest {
		return field{}, 0
	}
	var b [longest]byte
	for k := i; k < end; k++ {
		if us[k].r >= utf8.RuneSelf {
			return field{}, 0
		}
		b[k-i] = byte(us[k].r)
	}
	m, ok := months()[string(b[:end-i])]
	if !ok {
		return field{}, 0
	}
	return field{start: int(us[i].start), end: int(us[end-1].end), value: m.month, style: named, names: m.list}, end
}
