package subject

import "slices"

// Scanner searches the bytes written to it for what is known of the patient: long
// identifiers, names as whole words, dates of birth, telephone numbers. It is the
// second line of defence behind the rules that took them out, so it is narrow where
// values are short: what it finds is withheld.
//
// Of other people it knows family and given name together (Other). It is not safe
// for concurrent use.
type Scanner struct {
	s       *Subject
	needles []needle
	index   index
	longest int

	buf   []byte
	begun bool // bytes before buf have been looked at
	kinds uint16
}

// Encoder writes a text in a character set, without escape sequences; nil where the
// set has not all of it.
type Encoder func(text string) []byte

const (
	held = 32 << 10 // bytes held before they are searched
	edge = 8        // bytes around a value that say whether it stands alone
)

// Scanner looks in UTF-8, UTF-16 of both byte orders, GB 18030, and in the sets of the
// encoders.
func (s *Subject) Scanner(sets ...Encoder) *Scanner {
	sc := &Scanner{s: s, needles: s.needles(sets)}
	for _, n := range sc.needles {
		sc.longest = max(sc.longest, len(n.text))
	}
	sc.index.build(sc.needles)
	return sc
}

// Write never fails.
func (sc *Scanner) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		part := p[:min(len(p), held)]
		p = p[len(part):]
		sc.buf = append(sc.buf, part...)
		if len(sc.buf) < held {
			continue
		}
		sc.search(len(sc.buf) - edge)
		if keep := sc.longest + 2*edge; len(sc.buf) > keep {
			sc.buf = append(sc.buf[:0], sc.buf[len(sc.buf)-keep:]...)
			sc.begun = true
		}
	}
	return n, nil
}

// Value looks at one text in UTF-8, where a value stands alone. It finds short
// identifiers too: those of three and four characters as words of it, shorter ones
// where they are all of it and it is no number.
func (sc *Scanner) Value(text string, number bool) {
	for _, part := range windows(text) {
		f := finder{s: sc.s, text: part, units: fold(part), lower: hasLower(part)}
		f.values(true)
		f.dates()
		f.literals()
		for _, m := range f.found {
			sc.note(m.Kind)
		}
	}
	if !number && len(text) <= maxValue && sc.s.isShortID(letters(text)) {
		sc.note(ID)
	}
}

func (s *Subject) isShortID(text string) bool {
	const short = 3
	if text == "" || len([]rune(text)) >= short {
		return false
	}
	return slices.ContainsFunc(s.known.IDs, func(id string) bool { return letters(id) == text })
}

// Found tells what kinds of values there were, each once, in what was written so
// far.
func (sc *Scanner) Found() []Kind {
	sc.search(len(sc.buf))
	var found []Kind
	for k := Name; k <= Other; k++ {
		if sc.kinds&(1<<k) != 0 {
			found = append(found, k)
		}
	}
	return found
}

func (sc *Scanner) note(k Kind) { sc.kinds |= 1 << k }

// search looks for needles that end at limit or before.
func (sc *Scanner) search(limit int) {
	for at := 0; ; at++ {
		var hit uint16
		if at, hit = sc.index.next(sc.buf[:limit], at); hit == 0 {
			return
		}
		for ; hit != 0; hit = sc.index.chain[hit-1] {
			n := &sc.needles[hit-1]
			if (!sc.begun || at >= edge) && n.at(sc.buf[:limit], at) && n.alone(sc.buf, at) {
				sc.note(n.kind)
			}
		}
	}
}

// index finds where a needle may begin, by the pairs of bytes within its first bytes
// (after Wu and Manber): most bytes of a text are never looked at.
type index struct {
	head  int             // bytes of every needle that are looked at
	shift [1 << 12]uint8  // by pair: how far the window may move
	first [1 << 12]uint16 // by the last pair of the window: 1 + a needle
	chain []uint16        // by needle: 1 + the next one with that pair
}

const shortestNeedle = 4

func (x *index) build(needles []needle) {
	const longestHead = 6
	x.head = longestHead
	for _, n := range needles {
		x.head = min(x.head, len(n.text))
	}
	for i := range x.shift {
		x.shift[i] = uint8(x.head - 1)
	}
	x.chain = make([]uint16, len(needles))
	for i, n := range needles {
		for j := 1; j < x.head; j++ {
			h := pair(n.text[j-1], n.text[j])
			x.shift[h] = min(x.shift[h], uint8(x.head-1-j))
		}
		last := pair(n.text[x.head-2], n.text[x.head-1])
		x.chain[i], x.first[last] = x.first[last], uint16(i+1)
	}
	if len(needles) == 0 {
		x.head = 0
	}
}

func pair(a, b byte) int { return (int(lowered[a])<<4 ^ int(lowered[b])) & (1<<12 - 1) }

// next is the next place from at on where needles may begin, with the first of them;
// 0 when there is none.
func (x *index) next(b []byte, at int) (int, uint16) {
	if x.head == 0 {
		return 0, 0
	}
	for i := at + x.head - 1; i < len(b); {
		h := pair(b[i-1], b[i])
		if s := x.shift[h]; s > 0 {
			i += int(s)
			continue
		}
		return i - x.head + 1, x.first[h]
	}
	return 0, 0
}

// lowered are the bytes with ASCII letters in small.
var lowered = func() (table [256]byte) {
	for i := range table {
		table[i] = byte(i)
		if i >= 'A' && i <= 'Z' {
			table[i] += 'a' - 'A'
		}
	}
	return table
}()
