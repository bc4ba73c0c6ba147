// Command hanzi writes the readings and variants of Chinese characters that
// imaging/subject works with.
//
//	go run ./scripts/generate/hanzi -unihan /usr/share/unicode -out imaging/subject/hanzi.txt
//
// The input is Unihan as Debian's package unicode-data has it.
package main

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

const notice = `# Readings and simplified forms of Chinese characters.
#
#   zhang 张章       these characters are read zhang (tones left out)
#   = 张 張          the second and further characters are written as the first in simplified script
#
# Taken from and modified: Unihan, a part of the Unicode Character Database.
# Copyright (c) 1991-2022 Unicode, Inc. All rights reserved. Distributed under the
# Terms of Use in https://www.unicode.org/copyright.html: permission is granted to
# use, copy, modify and distribute, provided that this notice appears with all
# copies; the data is provided as is, without warranty of any kind.
#
# Written by scripts/generate/hanzi.
`

func main() {
	log.SetFlags(0)
	unihan := flag.String("unihan", "/usr/share/unicode", "where Unihan_Readings.txt.bz2 and Unihan_Variants.txt.bz2 are")
	out := flag.String("out", "imaging/subject/hanzi.txt", "what is written")
	flag.Parse()
	if err := generate(*unihan, *out); err != nil {
		log.Fatal(err)
	}
}

func generate(unihan, out string) error {
	readings, variants := map[string][]rune{}, map[rune][]rune{}
	err := properties(filepath.Join(unihan, "Unihan_Readings.txt.bz2"), func(c rune, property, value string) {
		switch property {
		case "kMandarin", "kHanyuPinlu", "kXHC1983", "kTGHZ2013":
			for r := range strings.FieldsSeq(value) {
				if r = plain(r); r != "" && !slices.Contains(readings[r], c) {
					readings[r] = append(readings[r], c)
				}
			}
		}
	})
	if err != nil {
		return err
	}
	err = properties(filepath.Join(unihan, "Unihan_Variants.txt.bz2"), func(c rune, property, value string) {
		simple, only := codePoint(value)
		if property == "kSimplifiedVariant" && only && simple != c {
			variants[simple] = append(variants[simple], c)
		}
	})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.WriteString(notice)
	for _, r := range sorted(readings) {
		slices.Sort(readings[r])
		fmt.Fprintf(&b, "%s %s\n", r, string(readings[r]))
	}
	for _, simple := range sorted(variants) {
		slices.Sort(variants[simple])
		fmt.Fprintf(&b, "= %c %s\n", simple, string(variants[simple]))
	}
	return os.WriteFile(out, b.Bytes(), 0o644)
}

// properties calls visit for every property of the characters in the first plane.
func properties(file string, visit func(c rune, property, value string)) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(bzip2.NewReader(f))
	for lines.Scan() {
		fields := strings.SplitN(lines.Text(), "\t", 3)
		if len(fields) < 3 {
			continue
		}
		if c, _ := codePoint(fields[0]); c >= 0x4E00 && c <= 0x9FFF {
			visit(c, fields[1], fields[2])
		}
	}
	return lines.Err()
}

// codePoint reads "U+5F20" and tells whether it stands alone.
func codePoint(s string) (c rune, only bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "U+"), 16, 32)
	if err != nil {
		return 0, false
	}
	return rune(n), n >= 0x4E00 && n <= 0x9FFF
}

// plain takes position, frequency and tone from a reading; ü becomes v.
func plain(reading string) string {
	if _, after, ok := strings.Cut(reading, ":"); ok {
		reading = after
	}
	reading, _, _ = strings.Cut(reading, "(")
	var b strings.Builder
	for _, c := range norm.NFD.String(strings.ToLower(norm.NFC.String(reading))) {
		switch {
		case c == 0x0308 && strings.HasSuffix(b.String(), "u"):
			u := strings.TrimSuffix(b.String(), "u")
			b.Reset()
			b.WriteString(u + "v")
		case c >= 'a' && c <= 'z':
			b.WriteRune(c)
		case !unicode.Is(unicode.Mn, c):
			return ""
		}
	}
	return b.String()
}

func sorted[K rune | string](m map[K][]rune) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
