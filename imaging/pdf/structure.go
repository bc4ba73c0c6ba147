package pdf

import (
	"bytes"
	"slices"
	"strconv"

	"medvault/imaging"
)

const (
	blockBytes  = 64 << 10
	aheadBytes  = 32 << 10 // a dictionary is read this far
	behindBytes = 64       // "123456 0 " before obj
	tailBytes   = 1 << 10  // the end marker stands in the last kilobyte
	maxSections = 1 << 16
)

// structure watches a PDF pass and notes where its cross-reference sections are and
// what their dictionaries say (ISO 32000-1 7.5.4 to 7.5.8). It does not tell
// streams from what lies between them; the last startxref does: it names the
// section that counts, so a PDF inside another is not taken for its holder.
type structure struct {
	header int64 // of %PDF-; some count offsets from there

	window []byte
	base   int64 // offset of window[0]
	done   int   // window before this index has been looked at

	tables     []int64   // where "xref" stands
	trailers   []section // of tables, by where "trailer" stands
	streams    []section // cross-reference streams, by where their object begins
	start      int64     // the last startxref's number
	started    bool
	end        int64 // behind the last %%EOF, 0 when there is none
	linearized int64 // length the file had when it was linearized, 0 when it was not

	spent  int64 // bytes of dictionaries read, the same ones more than once in a crafted file
	absurd bool  // more than any real file needs
}

type section struct {
	at   int64
	root bool
}

// Write looks at p. It never fails.
func (s *structure) Write(p []byte) (int, error) {
	s.window = append(s.window, p...)
	if len(s.window)-s.done >= blockBytes+aheadBytes {
		s.look(len(s.window) - aheadBytes)
	}
	return len(p), nil
}

// verdict looks at the rest and refuses what cannot be read.
func (s *structure) verdict() error {
	s.look(len(s.window))
	size := s.base + int64(len(s.window))
	switch {
	case s.absurd:
		return broken(size, "its objects lie in each other")
	case s.end == 0 || size-s.end > tailBytes:
		return broken(size, "the end marker is missing: it was cut on the way")
	case size-s.header < s.linearized:
		return broken(size, "it is shorter than it says: it was cut on the way")
	case !s.started:
		return broken(size, "it does not say where its cross-reference is")
	}
	if !slices.ContainsFunc(s.current(), func(x section) bool { return x.root }) {
		return broken(size, "it has no cross-reference that names its pages")
	}
	return nil
}

func broken(offset int64, what string) error {
	return &imaging.Refusal{Code: "pdf-broken", Offset: offset, Advice: "the PDF is damaged, " + what + "; export it again and send that"}
}

// current is the section that the last startxref names, or all there are when it
// names none: readers repair such files.
func (s *structure) current() []section {
	for _, at := range []int64{s.start, s.start + s.header} {
		for _, x := range s.streams {
			if x.at == at {
				return []section{x}
			}
		}
		for _, table := range s.tables {
			if table != at {
				continue
			}
			for _, x := range s.trailers {
				if x.at > at {
					return []section{x}
				}
			}
		}
	}
	return append(s.streams, s.trailers...)
}

// look notes every keyword that begins in window[done:limit].
func (s *structure) look(limit int) {
	s.each("%%EOF", limit, func(i int) { s.end = s.base + int64(i) + 5 })
	s.each("startxref", limit, func(i int) {
		if n, ok := number(s.window[i+len("startxref"):]); ok {
			s.start, s.started = n, true
		}
	})
	s.each("xref", limit, func(i int) {
		if i > 0 && s.window[i-1] == 't' {
			return // startxref
		}
		if len(s.tables) < maxSections {
			s.tables = append(s.tables, s.base+int64(i))
		}
	})
	s.each("trailer", limit, func(i int) {
		if d, ok := s.dictionary(i + len("trailer")); ok && len(s.trailers) < maxSections {
			s.trailers = append(s.trailers, section{s.base + int64(i), d.root})
		}
	})
	s.each("obj", limit, s.object)
	s.done = limit
	if drop := limit - behindBytes; drop > 0 {
		s.window = s.window[:copy(s.window, s.window[drop:])]
		s.base += int64(drop)
		s.done -= drop
	}
}

func (s *structure) each(keyword string, limit int, found func(i int)) {
	k := []byte(keyword)
	for i := s.done; i < limit; i++ {
		n := bytes.Index(s.window[i:min(limit+len(k)-1, len(s.window))], k)
		if n < 0 {
			return
		}
		i += n
		found(i)
	}
}

// object looks into the dictionary of an object whose "obj" stands at i.
func (s *structure) object(i int) {
	begin, ok := objectNumber(s.window[:i])
	if !ok {
		return // endobj, or a word
	}
	d, ok := s.dictionary(i + len("obj"))
	if !ok {
		return
	}
	if d.crossReference && len(s.streams) < maxSections {
		s.streams = append(s.streams, section{s.base + int64(begin), d.root})
	}
	if d.linearized > 0 && s.linearized == 0 && s.base+int64(begin) < s.header+headBytes {
		s.linearized = d.linearized
	}
}

// objectNumber finds where "12 0 " at the end of b begins.
func objectNumber(b []byte) (begin int, ok bool) {
	i := len(b)
	for range 2 {
		blanks, digits := 0, 0
		for i > 0 && white(b[i-1]) {
			i--
			blanks++
		}
		for i > 0 && b[i-1] >= '0' && b[i-1] <= '9' {
			i--
			digits++
		}
		if digits == 0 || blanks == 0 {
			return 0, false
		}
	}
	return i, true
}

// number reads digits after white space.
func number(b []byte) (int64, bool) {
	b = b[:min(len(b), 64)]
	i := skipWhite(b, 0)
	j := i
	for j < len(b) && b[j] >= '0' && b[j] <= '9' {
		j++
	}
	n, err := strconv.ParseInt(string(b[i:j]), 10, 64)
	return n, err == nil
}

func white(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

// skipWhite steps over white space and comments.
func skipWhite(b []byte, i int) int {
	for i < len(b) {
		switch {
		case white(b[i]):
			i++
		case b[i] == '%':
			for i < len(b) && b[i] != '\n' && b[i] != '\r' {
				i++
			}
		default:
			return i
		}
	}
	return i
}

// dictionary reads the one that follows window[:i].
func (s *structure) dictionary(i int) (d dictionary, ok bool) {
	if s.spent > 4*(s.base+int64(i))+1<<20 {
		s.absurd = true
		return d, false
	}
	b := s.window[i:min(len(s.window), i+aheadBytes)]
	d, n, ok := readDictionary(b)
	s.spent += int64(n)
	return d, ok
}

// dictionary is what counts of a trailer's or object's dictionary.
type dictionary struct {
	root           bool // has Root
	crossReference bool // Type is XRef
	linearized     int64
}

// readDictionary reads the dictionary at the start of b, up to the end of b when it
// is longer, and returns how many bytes it looked at.
func readDictionary(b []byte) (d dictionary, n int, ok bool) {
	i := skipWhite(b, 0)
	if i+1 >= len(b) || b[i] != '<' || b[i+1] != '<' {
		return d, i, false
	}
	var length int64
	isLinearized := false
	n = entries(b[i:], func(key, value string) {
		switch key {
		case "Root":
			d.root = true
		case "Type":
			d.crossReference = d.crossReference || value == "/XRef"
		case "Linearized":
			isLinearized = true
		case "L":
			length, _ = strconv.ParseInt(value, 10, 64) // 0: says nothing
		}
	})
	if isLinearized {
		d.linearized = length
	}
	return d, i + n, true
}

// entries calls each for the keys of the dictionary at the start of b, with the
// first token of the value: a name with its slash, "<<", "[", "(" or a word.
// Dictionaries and arrays inside are stepped over. It returns where it stopped.
func entries(b []byte, each func(key, value string)) int {
	depth := 0 // dictionaries and arrays open
	key := ""
	value := func(token string) {
		if depth == 1 && key != "" {
			each(key, token)
			key = ""
		}
	}
	for i := 0; ; {
		i = skipWhite(b, i)
		if i >= len(b) {
			return len(b)
		}
		switch c := b[i]; {
		case c == '/':
			var name string
			name, i = readName(b, i+1)
			if depth == 1 && key == "" {
				key = name
			} else {
				value("/" + name)
			}
		case c == '(':
			value("(")
			i = skipString(b, i)
		case c == '<' && i+1 < len(b) && b[i+1] == '<':
			value("<<")
			depth++
			i += 2
		case c == '>' && i+1 < len(b) && b[i+1] == '>':
			depth--
			i += 2
		case c == '<':
			value("<")
			for i < len(b) && b[i] != '>' {
				i++
			}
			i++
		case c == '[':
			value("[")
			depth++
			i++
		case c == ']':
			depth--
			i++
		case delimiter(c):
			i++ // does not belong here
		default:
			begin := i
			for i < len(b) && !white(b[i]) && !delimiter(b[i]) {
				i++
			}
			value(string(b[begin:i]))
		}
		if depth <= 0 {
			return i
		}
	}
}

func delimiter(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return true
	}
	return false
}

// readName reads a name, with #xx as the byte it stands for.
func readName(b []byte, i int) (string, int) {
	var name []byte
	for i < len(b) && !white(b[i]) && !delimiter(b[i]) {
		if b[i] == '#' && i+2 < len(b) {
			if n, err := strconv.ParseUint(string(b[i+1:i+3]), 16, 8); err == nil {
				name = append(name, byte(n))
				i += 3
				continue
			}
		}
		name = append(name, b[i])
		i++
	}
	return string(name), i
}

// skipString steps over a literal string: parentheses balance, a backslash takes
// the next character along.
func skipString(b []byte, i int) int {
	open := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '(':
			open++
		case ')':
			if open--; open == 0 {
				return i + 1
			}
		}
	}
	return i
}
