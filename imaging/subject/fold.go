package subject

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// unit is a character in the form in which text is compared, and the bytes of the
// text it comes from. Several units may come from one character: ß is s and s.
type unit struct {
	r          rune
	start, end int32
	class      class
	upper      bool // it was a capital letter
}

type class uint8

const (
	separator class = iota
	letter          // of a script that parts words with spaces
	ideograph       // of one that does not: Chinese, Japanese, Korean, Thai
	digit
)

// fold gives a text in small letters without accents, in narrow forms and
// simplified characters. Marks and invisible characters vanish; the unit before
// them covers their bytes.
func fold(text string) []unit {
	f := folder{units: make([]unit, 0, len(text))}
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			f.ascii(c, i)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		f.wide(r, text[i:i+size], i)
		i += size
	}
	return f.units
}

type folder struct{ units []unit }

func (f *folder) ascii(c byte, at int) {
	u := unit{r: rune(c), start: int32(at), end: int32(at + 1)}
	switch {
	case c >= 'a' && c <= 'z':
		u.class = letter
	case c >= 'A' && c <= 'Z':
		u.r, u.class, u.upper = rune(c)+'a'-'A', letter, true
	case c >= '0' && c <= '9':
		u.class = digit
	}
	f.units = append(f.units, u)
}

func (f *folder) wide(r rune, text string, at int) {
	end := at + len(text)
	if r >= 0x4E00 && r <= 0x9FFF {
		f.units = append(f.units, unit{r: simplified(r), start: int32(at), end: int32(end), class: ideograph})
		return
	}
	if r == utf8.RuneError && len(text) == 1 {
		f.emit(r, at, end, false)
		return
	}
	decomposed := norm.NFKD.PropertiesString(text).Decomposition()
	if len(decomposed) == 0 {
		f.emit(r, at, end, unicode.IsUpper(r))
		return
	}
	for len(decomposed) > 0 {
		d, size := utf8.DecodeRune(decomposed)
		f.emit(d, at, end, unicode.IsUpper(d))
		decomposed = decomposed[size:]
	}
}

func (f *folder) emit(r rune, start, end int, upper bool) {
	r = unicode.ToLower(r)
	u := unit{r: r, start: int32(start), end: int32(end), upper: upper}
	switch {
	case r < utf8.RuneSelf:
		u.class = asciiClass(r)
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		if n := len(f.units); n > 0 {
			f.units[n-1].end = int32(end)
		}
		return
	case unicode.In(r, unspaced...) || r == 0x30FC:
		u.r, u.class = narrow(r), ideograph
	case unicode.IsLetter(r) || unicode.IsMark(r):
		u.class = letter
		for _, l := range spelled(r) {
			u.r = l
			f.units = append(f.units, u)
		}
		return
	case unicode.IsDigit(r):
		u.r, u.class = '0'+decimal(r), digit
	case dash(r):
		u.r = '-'
	case r == 0x2019 || r == 0x2018 || r == 0x02BC || r == 0x00B4:
		u.r = '\''
	case unicode.IsSpace(r):
		u.r = ' '
	case r == 0x3002:
		u.r = '.'
	}
	f.units = append(f.units, u)
}

func asciiClass(r rune) class {
	switch {
	case r >= 'a' && r <= 'z':
		return letter
	case r >= '0' && r <= '9':
		return digit
	}
	return separator
}

// unspaced are the scripts whose words no spaces part.
var unspaced = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
}

// narrow writes katakana as hiragana and traditional characters as simplified ones.
func narrow(r rune) rune {
	if r >= 0x30A1 && r <= 0x30F6 {
		return r - 0x60
	}
	return simplified(r)
}

// spelled writes a letter that no decomposition covers in the letters that are used
// where it is not at hand.
func spelled(r rune) string {
	switch r {
	case 'ß':
		return "ss"
	case 'æ':
		return "ae"
	case 'œ':
		return "oe"
	case 'ø':
		return "o"
	case 'ð', 'đ':
		return "d"
	case 'þ':
		return "th"
	case 'ł':
		return "l"
	case 'ı':
		return "i"
	case 'ħ':
		return "h"
	case 'ς':
		return "σ"
	}
	return string(r)
}

// decimal is the value of a decimal digit of any script: they come in tens.
func decimal(r rune) rune {
	zero := r
	for zero > r-9 && unicode.IsDigit(zero-1) {
		zero--
	}
	return (r - zero) % 10
}

func dash(r rune) bool { return r >= 0x2010 && r <= 0x2015 || r == 0x2212 }

// letters gives the folded letters and digits of a text, without what parts them.
func letters(text string) string {
	var b []byte
	for _, u := range fold(text) {
		if u.class != separator {
			b = utf8.AppendRune(b, u.r)
		}
	}
	return string(b)
}

// Folded gives the letters and digits of a text in the form in which Find compares
// them.
func Folded(text string) string { return letters(text) }
