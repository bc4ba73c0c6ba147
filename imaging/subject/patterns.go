package subject

import (
	"time"
	"unicode/utf8"
)

func lastRune(s string) (rune, int) { return utf8.DecodeLastRuneInString(s) }

// patterns looks for what names a person, whoever it is.
func (f *finder) patterns() {
	for i, u := range f.units {
		switch {
		case u.class == digit && (i == 0 || f.units[i-1].class != digit):
			f.resident(i)
			f.phone(i)
		case u.r == '@':
			f.email(i)
		case u.class == ideograph && region(u.r):
			f.address(i)
		}
	}
}

// resident looks for the number of a Chinese identity card (GB 11643) at unit i: 18
// characters with a checksum, or 15 of the old kind.
func (f *finder) resident(i int) {
	const longest = 18
	var number [longest]byte
	n, j, end := 0, i, i
	for ; j < len(f.units) && n < longest; j++ {
		u := f.units[j]
		switch {
		case u.class == digit:
			number[n] = byte(u.r)
		case n == longest-1 && u.r == 'x':
			number[n] = 'X'
		case n > 0 && f.units[j-1].class != separator && (u.r == ' ' || u.r == '-'):
			continue
		default:
			j = len(f.units)
			continue
		}
		n++
		end = j + 1
	}
	ends := end == len(f.units) || f.units[end].class != digit
	switch {
	case n == longest && ends && residentChecks(number):
		f.add(i, end, ResidentID)
	case n == 15 && ends && run(f.units, i) == 15 && province(number[:2]) && calendarDay("19"+string(number[6:12])):
		f.add(i, end, ResidentID)
	}
}

// residentChecks computes the check character (ISO 7064 MOD 11-2).
func residentChecks(number [18]byte) bool {
	sum := 0
	for i, weight := range [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		if number[i] < '0' || number[i] > '9' {
			return false
		}
		sum += int(number[i]-'0') * weight
	}
	return "10X98765432"[sum%11] == number[17] && calendarDay(string(number[6:14]))
}

func calendarDay(s string) bool {
	day, err := time.Parse("20060102", s)
	return err == nil && day.Year() >= 1850 && day.Year() <= 2150
}

// province reports the first two digits of a Chinese division code.
func province(code []byte) bool {
	n := int(code[0]-'0')*10 + int(code[1]-'0')
	for _, tens := range [][2]int{{11, 15}, {21, 23}, {31, 37}, {41, 46}, {50, 54}, {61, 65}, {71, 71}, {81, 83}} {
		if n >= tens[0] && n <= tens[1] {
			return true
		}
	}
	return false
}

// phone looks for a telephone number at unit i: a Chinese mobile, one with an area
// code, an international one, or any behind a label.
func (f *finder) phone(i int) {
	const longest, most = 15, 2 // digits; separators between groups
	us := f.units
	if fraction(us, i) {
		return
	}
	from := i
	if i > 0 && us[i-1].r == '+' {
		from--
	}
	plus := from < i
	if from > 0 && us[from-1].r == '(' {
		from--
	}
	var number []byte
	dashed := true // more than spaces between all groups
	first := run(us, i)
	for j, groups := i, 1; ; groups++ {
		n := run(us, j)
		if n == 0 || len(number)+n > longest {
			return
		}
		for _, u := range us[j : j+n] {
			number = append(number, byte(u.r))
		}
		if j += n; j < len(us) && us[j].class == letter {
			return
		}
		if telephone(string(number), first, groups, plus, dashed) || len(number) >= 6 && f.afterPhoneLabel(from) {
			f.add(from, j, Phone)
			return
		}
		gap := 0
		for j < len(us) && gap < most && (us[j].r == '-' || us[j].r == ' ' || us[j].r == '(' || us[j].r == ')' || us[j].r == '/' || us[j].r == '.') {
			j++
			gap++
		}
		if gap == 0 || j == len(us) {
			return
		}
		dashed = dashed && (us[j-1].r != ' ' || us[j-gap].r != ' ')
	}
}

// telephone reports digits that are a telephone number: the first group has first of
// them.
func telephone(number string, first, groups int, plus, dashed bool) bool {
	n := len(number)
	switch {
	case plus:
		return n >= 10 || n >= 8 && groups == 1
	case mobile(number): // 13800138000, 138 0013 8000
		return first == 11 || first == 3 && groups == 3
	case n == 13 && number[:2] == "86", n == 15 && number[:4] == "0086":
		return mobile(number[n-11:])
	case n >= 10 && n <= 12 && number[0] == '0' && number[1] != '0': // 010-88881234
		return groups >= 2 && (first == 3 || first == 4) && n-first >= 7
	case n == 10 && number[0] >= '2': // 617-555-1234
		return groups == 3 && first == 3 && dashed
	}
	return false
}

// mobile reports the number of a Chinese mobile telephone.
func mobile(digits string) bool {
	return len(digits) == 11 && digits[0] == '1' && digits[1] >= '3'
}

// afterPhoneLabel reports a label like "Tel.:" before unit i.
func (f *finder) afterPhoneLabel(i int) bool {
	const most = 3
	j := i
	for j > 0 && i-j < most && f.units[j-1].class == separator {
		j--
	}
	for _, label := range []string{"tel", "telefon", "telephone", "phone", "fax", "telefax", "handy", "mobil", "mobile", "cell", "telefono", "电话", "手机", "联系方式", "传真"} {
		if f.endsWith(j, label) {
			return true
		}
	}
	return false
}

// email looks for an address around an @ at unit i.
func (f *finder) email(i int) {
	const longest = 64
	us := f.units
	from := i
	for from > 0 && i-from < longest && mailbox(us[from-1]) {
		from--
	}
	end, dot := i+1, 0
	for end < len(us) && end-i < 4*longest && mailDomain(us[end]) {
		if us[end].r == '.' && end+1 < len(us) && us[end+1].class == letter {
			dot = end
		}
		end++
	}
	for end > i+1 && us[end-1].class == separator {
		end--
	}
	if from < i && dot > i+1 && end > dot+2 {
		f.add(from, end, Email)
	}
}

func mailbox(u unit) bool {
	return u.class == letter || u.class == digit || u.r == '.' || u.r == '_' || u.r == '-' || u.r == '+' || u.r == '%'
}

func mailDomain(u unit) bool {
	return u.class == letter || u.class == digit || u.r == '.' || u.r == '-'
}

// region reports the last character of a division of China.
func region(r rune) bool { return r == '省' || r == '市' || r == '区' || r == '县' || r == '州' }

// address looks for a Chinese postal address whose first division ends at unit i: a
// division, a road or village, and a number.
func (f *finder) address(i int) {
	const (
		name    = 3  // characters before the first division
		longest = 40 // units behind it
	)
	us := f.units
	from := i
	for from > 0 && i-from < name && us[from-1].class == ideograph && !region(us[from-1].r) {
		from--
	}
	if r := us[from].r; r == '住' || r == '在' || r == '于' || r == '址' {
		from++
	}
	if i-from < 2 {
		return
	}
	road, end := 0, 0
	for j := i + 1; j < len(us) && j-i <= longest; j++ {
		u := us[j]
		switch {
		case u.class == separator && u.r != ' ' && u.r != '-' && u.r != '#':
			j = len(us)
			continue
		case roadOrVillage(u.r) && j > i+1:
			road = j
		case road > 0 && door(u.r) && us[j-1].class == digit:
			end = j + 1
		}
	}
	if end > 0 {
		f.add(from, end, Address)
	}
}

func roadOrVillage(r rune) bool {
	switch r {
	case '路', '街', '道', '巷', '弄', '镇', '乡', '村', '里', '园', '苑':
		return true
	}
	return false
}

func door(r rune) bool {
	switch r {
	case '号', '弄', '栋', '幢', '室', '楼', '座', '组', '院':
		return true
	}
	return false
}
