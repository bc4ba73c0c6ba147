package mention

import (
	"strings"

	"medvault/imaging/subject"
)

// shortestApart is how long a value is at least that is looked for in pieces: shorter
// ones turn up where words meet.
const shortestApart = 5

// apart looks for the patient's values in pieces: whatever stands between their
// characters, as long as the value begins and ends where words do. Names in words of
// the text would be found by chance, so the words may not be known ones.
func (r *reader) apart() {
	squeezed, at := squeeze(r.letters)
	for _, f := range r.k.forms() {
		if !f.Alone && f.Kind != subject.Other || len(f.Text) < shortestApart {
			continue
		}
		for from := 0; ; {
			i := strings.Index(squeezed[from:], f.Text)
			if i < 0 {
				break
			}
			i += from
			from = i + 1
			first, end := at[i], at[i+len(f.Text)-1]+1
			if r.pieces(first, end) {
				r.addKnown(r.letters[first].Start, r.letters[end-1].End, kindOf(f.Kind))
			}
		}
	}
}

// squeeze writes letters without what parts them; at is the letter of each byte.
func squeeze(letters []subject.Letter) (text string, at []int32) {
	var b strings.Builder
	for i, l := range letters {
		n := b.Len()
		b.WriteRune(l.Rune)
		for range b.Len() - n {
			at = append(at, int32(i))
		}
	}
	return b.String(), at
}

// pieces reports whether letters first to end are several whole words of the text with
// no more between them than a line end and a few signs. What is in one piece is found
// where it counts.
func (r *reader) pieces(first, end int32) bool {
	const widest = 8 // bytes
	ls := r.letters
	whole := func(i int32) bool {
		return i == int32(len(ls)) || i == 0 || ls[i].Parted || ls[i].Ideograph || ls[i-1].Ideograph || ls[i].Digit != ls[i-1].Digit
	}
	if !whole(first) || !whole(end) {
		return false
	}
	parted := false
	for i := first + 1; i < end; i++ {
		if ls[i].Start-ls[i-1].End > widest {
			return false
		}
		parted = parted || ls[i].Start > ls[i-1].End
	}
	return parted && !strings.ContainsAny(r.text[ls[first].Start:ls[end-1].End], "\x01")
}
