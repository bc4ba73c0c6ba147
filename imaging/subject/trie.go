package subject

// pattern is one way in which a value is written.
type pattern struct {
	kind   Kind
	rule   rule
	strong bool // says enough to withhold a document in which it turns up
}

// rule says where in a text a pattern counts.
type rule uint8

const (
	word    rule = iota + 1 // as whole words
	initial                 // as whole words, the last of which is a letter: of "Lin T1" it is none
	inside                  // anywhere: scripts without spaces
	context                 // as a whole word that a title, a label or its spelling makes a name
	called                  // a family name of one character, before a title
	titled                  // as a whole word behind a title or a label
	number                  // where no digit touches it
	exact                   // where neither letter nor digit touches it
)

const (
	maxPattern  = 96   // characters of a pattern
	maxPatterns = 1024 // of a subject: a document with more says nothing of a person
)

// trie finds all patterns that begin at a place in one walk. Its texts are folded.
type trie struct {
	nodes    []node
	ascii    [128]int32 // first nodes, by character
	patterns []pattern
	near     [][]rune // long words of names, for misspellings
}

type node struct {
	r           rune
	child, next int32 // 0: none
	pattern     int32 // 1 + index; 0: none ends here
	joint       bool  // a text may have separators behind this character
	loose       bool  // one, as within numbers
}

func newTrie() *trie { return &trie{nodes: make([]node, 1, 512)} }

// add adds a pattern of pieces that a text may write together or apart. Of two with
// the same text the one that counts in more places stays.
func (t *trie) add(p pattern, parts ...[]string) {
	if len(t.patterns) >= maxPatterns {
		return
	}
	at, length := int32(0), 0
	for _, part := range parts {
		for _, piece := range part {
			if at != 0 && piece != "" {
				t.nodes[at].joint = true
			}
			for _, r := range piece {
				if length++; length > maxPattern {
					return
				}
				at = t.child(at, r)
				t.nodes[at].loose = t.nodes[at].loose || p.rule == number || p.rule == exact
			}
		}
	}
	if at == 0 {
		return
	}
	n := &t.nodes[at]
	if n.pattern == 0 {
		t.patterns = append(t.patterns, p)
		n.pattern = int32(len(t.patterns))
		return
	}
	if old := &t.patterns[n.pattern-1]; wider(p, *old) {
		*old = p
	}
}

// addText adds a pattern of one piece.
func (t *trie) addText(text string, p pattern) { t.add(p, []string{text}) }

func wider(p, than pattern) bool {
	if (p.kind == Other) != (than.kind == Other) {
		return than.kind == Other
	}
	if p.strong != than.strong {
		return p.strong
	}
	return p.rule < than.rule
}

// child is the node of a character behind another, made where there is none.
func (t *trie) child(at int32, r rune) int32 {
	if c := t.step(at, r); c != 0 {
		return c
	}
	c := int32(len(t.nodes))
	t.nodes = append(t.nodes, node{r: r, next: t.nodes[at].child})
	t.nodes[at].child = c
	if at == 0 && r < int32(len(t.ascii)) {
		t.ascii[r] = c
	}
	return c
}

func (t *trie) step(at int32, r rune) int32 {
	if at == 0 && r >= 0 && r < int32(len(t.ascii)) {
		return t.ascii[r]
	}
	for c := t.nodes[at].child; c != 0; c = t.nodes[c].next {
		if t.nodes[c].r == r {
			return c
		}
	}
	return 0
}

// walk calls visit for every pattern that lies at the units from i on, with the
// place behind it.
func (t *trie) walk(units []unit, i int, visit func(p *pattern, end int)) {
	at := int32(0)
	piece, spaced := 0, false // units since the last gap; whether all pieces so far are single letters with spaces
	for j := i; j < len(units); {
		u := &units[j]
		if next := t.step(at, u.r); u.class != separator && next != 0 {
			at = next
			j++
			piece++
			if n := &t.nodes[at]; n.pattern != 0 && (!spaced || piece == 1) && wholeRune(units, j) {
				visit(&t.patterns[n.pattern-1], j)
			}
			if spaced && piece > 1 {
				return
			}
			continue
		}
		if at == 0 {
			return
		}
		gap := t.gap(&t.nodes[at], units, j, piece)
		if gap == 0 {
			if gap = gapOfSpaces(units, j); gap == 0 || piece != 1 || !spaced && j != i+1 {
				return
			}
			spaced = true
		}
		j += gap
		piece = 0
	}
}

// wholeRune reports whether no character is cut before unit j.
func wholeRune(units []unit, j int) bool {
	return j == len(units) || units[j].start != units[j-1].start
}

// gap is how many units between two characters of a pattern may be passed over.
func (t *trie) gap(n *node, units []unit, j, piece int) int {
	const longest = 4
	if n.joint {
		k := j
		if piece > 1 && units[k].class == digit && units[k].r >= '1' && units[k].r <= '5' {
			k++ // the tone
		}
		for k < len(units) && k-j < longest && units[k].class == separator {
			k++
		}
		if k-j > 0 && (k == len(units) || units[k].class != separator) {
			return k - j
		}
		return 0
	}
	if units[j].class != separator || j+1 >= len(units) {
		return 0
	}
	r, after := units[j].r, units[j+1]
	switch {
	case n.loose && (r == '-' || r == '/' || r == '.' || r == ' ' || r == '_' || r == '(' || r == ')' || r == '+'):
		if after.class == separator && (after.r == '(' || after.r == ' ' || after.r == '-') && j+2 < len(units) && units[j+2].class != separator {
			return 2
		}
		if after.class != separator {
			return 1
		}
	case (r == '-' || r == '\'') && after.class == letter:
		return 1
	case r == ' ' && after.class == ideograph:
		return 1
	}
	return 0
}

// gapOfSpaces is one or two spaces before a letter, as in letter-spaced text.
func gapOfSpaces(units []unit, j int) int {
	k := j
	for k < len(units) && k-j < 2 && units[k].r == ' ' {
		k++
	}
	if k == len(units) || k == j || units[k].class != letter {
		return 0
	}
	return k - j
}
