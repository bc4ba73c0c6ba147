package subject

import (
	_ "embed"
	"strings"
	"sync"
	"unicode/utf8"
)

//go:embed hanzi.txt
var hanziText string

const (
	firstHanzi = 0x4E00
	lastHanzi  = 0x9FFF
)

// hanziTable is hanzi.txt by character.
type hanziTable struct {
	readings    [lastHanzi - firstHanzi + 1][]string // without tones, ü as v
	simple      [lastHanzi - firstHanzi + 1]rune     // 0: the character itself
	traditional map[rune]rune                        // the first of them
	syllables   map[string]bool
}

// hanzi reads the table when it is first needed.
var hanzi = sync.OnceValue(func() *hanziTable {
	t := &hanziTable{syllables: map[string]bool{}, traditional: map[rune]rune{}}
	for line := range strings.Lines(hanziText) {
		line = strings.TrimSuffix(line, "\n")
		key, characters, ok := strings.Cut(line, " ")
		switch {
		case !ok || key == "#":
		case key == "=":
			simple, size := utf8.DecodeRuneInString(characters)
			for _, c := range characters[size+1:] {
				t.simple[c-firstHanzi] = simple
				if t.traditional[simple] == 0 {
					t.traditional[simple] = c
				}
			}
		default:
			t.syllables[key] = true
			reading := key
			for _, c := range characters {
				t.readings[c-firstHanzi] = append(t.readings[c-firstHanzi], reading)
			}
		}
	}
	return t
})

// simplified is a character in simplified script.
func simplified(r rune) rune {
	if r < firstHanzi || r > lastHanzi {
		return r
	}
	if s := hanzi().simple[r-firstHanzi]; s != 0 {
		return s
	}
	return r
}

// readings are the ways a character is read, without tones.
func readings(r rune) []string {
	if r < firstHanzi || r > lastHanzi {
		return nil
	}
	return hanzi().readings[r-firstHanzi]
}

// syllables tells where a word in Latin letters may be parted into syllables of
// Chinese: parts[i] is true where one may end before letter i. It is nil where the
// word is no Chinese, or too long for a name.
func syllables(word string) []bool {
	const longest, most = 6, 24
	if len(word) > most {
		return nil
	}
	table := hanzi().syllables
	reach := func(from, to int) bool { return to-from <= longest && table[word[from:to]] }
	ahead, back := make([]bool, len(word)+1), make([]bool, len(word)+1)
	ahead[0], back[len(word)] = true, true
	for i := 1; i <= len(word); i++ {
		for j := max(0, i-longest); j < i && !ahead[i]; j++ {
			ahead[i] = ahead[j] && reach(j, i)
		}
	}
	for i := len(word) - 1; i >= 0; i-- {
		for j := i + 1; j <= min(len(word), i+longest) && !back[i]; j++ {
			back[i] = back[j] && reach(i, j)
		}
	}
	if !ahead[len(word)] {
		return nil
	}
	for i := range ahead {
		ahead[i] = ahead[i] && back[i]
	}
	return ahead
}

// Syllable reports a syllable of Chinese in pinyin, without tone.
func Syllable(word string) bool { return hanzi().syllables[word] }
