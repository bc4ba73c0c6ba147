package imagingtest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// Leaks searches data for identifiers in every form they could be stored in:
// UTF-8 (as is, lower and upper case, reversed, percent-encoded, hexadecimal),
// UTF-16 of both orders, GB 18030, and base64 at all three alignments. It returns
// one line a hit, naming identifier, form and offset; nil when there is none.
func Leaks(data []byte, identifiers []string) []string {
	return NewSearch(identifiers).Leaks(data)
}

// LeaksUnder searches every file under dir, and the names of files and folders.
func LeaksUnder(dir string, identifiers []string) ([]string, error) {
	search := NewSearch(identifiers)
	var hits []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		for _, hit := range search.Leaks([]byte(inside)) {
			hits = append(hits, "name "+inside+": "+hit)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, hit := range search.Leaks(data) {
			hits = append(hits, inside+": "+hit)
		}
		return nil
	})
	return hits, err
}

// Search looks for many identifiers in one pass, about a second a gigabyte. It
// may be used by several goroutines.
type Search struct {
	patterns map[uint32][]pattern // by the first four bytes
	filter   [1 << 16]bool        // by a hash of them
}

type pattern struct {
	bytes      []byte
	identifier string
	form       string
}

// NewSearch prepares a search. Identifiers shorter than five bytes are left out:
// they would be found by chance.
func NewSearch(identifiers []string) *Search {
	s := &Search{patterns: map[uint32][]pattern{}}
	for _, id := range identifiers {
		if len(id) < 5 {
			continue
		}
		for _, p := range forms(id) {
			if len(p.bytes) < 5 {
				continue
			}
			key := binary.LittleEndian.Uint32(p.bytes)
			same := func(q pattern) bool { return bytes.Equal(q.bytes, p.bytes) }
			if !slices.ContainsFunc(s.patterns[key], same) {
				s.patterns[key] = append(s.patterns[key], p)
				s.filter[slot(key)] = true
			}
		}
	}
	return s
}

// Leaks is as the function of that name.
func (s *Search) Leaks(data []byte) (hits []string) {
	var key uint32 // the four bytes that end at i
	for i, c := range data {
		key = key>>8 | uint32(c)<<24
		if !s.filter[slot(key)] || i < 3 {
			continue
		}
		for _, p := range s.patterns[key] {
			if bytes.HasPrefix(data[i-3:], p.bytes) {
				hits = append(hits, fmt.Sprintf("%q as %s at %d", p.identifier, p.form, i-3))
			}
		}
	}
	return hits
}

func slot(key uint32) uint16 { return uint16(key * 0x9E3779B1 >> 16) }

func forms(id string) []pattern {
	var all []pattern
	add := func(form string, b []byte) { all = append(all, pattern{b, id, form}) }

	add("UTF-8", []byte(id))
	add("lower case", []byte(strings.ToLower(id)))
	add("upper case", []byte(strings.ToUpper(id)))
	runes := []rune(id)
	slices.Reverse(runes)
	add("reversed text", []byte(string(runes)))
	reversed := []byte(id)
	slices.Reverse(reversed)
	add("reversed bytes", reversed)
	add("percent-encoded", []byte(url.QueryEscape(id)))
	add("percent-encoded path", []byte(url.PathEscape(id)))
	add("hex", []byte(hex.EncodeToString([]byte(id))))
	add("upper-case hex", []byte(strings.ToUpper(hex.EncodeToString([]byte(id)))))

	var le, be []byte
	for _, u := range utf16.Encode([]rune(id)) {
		le = binary.LittleEndian.AppendUint16(le, u)
		be = binary.BigEndian.AppendUint16(be, u)
	}
	add("UTF-16LE", le)
	add("UTF-16BE", be)
	if gb, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(id)); err == nil {
		add("GB 18030", gb)
	}
	for align := range 3 {
		add("base64", inBase64(base64.RawStdEncoding, id, align))
		add("base64url", inBase64(base64.RawURLEncoding, id, align))
	}
	return all
}

// inBase64 returns the digits that id alone decides when it begins align bytes
// after a multiple of three.
func inBase64(enc *base64.Encoding, id string, align int) []byte {
	digits := enc.EncodeToString(append(make([]byte, align), id...))
	first := (align*8 + 5) / 6
	last := (align + len(id)) * 8 / 6
	return []byte(digits[first:last])
}
