package subject

// Scanner searches the bytes written to it for the patient.
type Scanner struct {
	s     *Subject
	bytes []byte
}

// Scanner looks for the patient's values in UTF-8, UTF-16, GB 18030 and the named
// character sets, which are defined terms of Specific Character Set (0008,0005).
func (s *Subject) Scanner(charsets ...string) *Scanner { return &Scanner{s: s} }

// Write never fails.
func (sc *Scanner) Write(p []byte) (int, error) {
	sc.bytes = append(sc.bytes, p...)
	return len(p), nil
}

// Found tells what kinds of values there were, each once, in what was written so
// far.
func (sc *Scanner) Found() []Kind {
	var found []Kind
	for _, m := range sc.s.Find(string(sc.bytes)) {
		found = append(found, m.Kind)
	}
	return found
}
