package descriptor

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"strings"
	"sync"
	"unicode/utf8"

	"medvault/imaging/subject"
)

// The lists are our own: common words and terms of the trade in five languages.
//
//go:embed vocabulary
var lists embed.FS

// standing says how far a word may be trusted to be a word.
type standing uint8

const (
	unknown  standing = iota
	doubtful          // a name too: not beside an unknown word
	namelike          // a name too: not behind a title
	trusted
)

type vocabulary struct {
	words   map[string]standing // folded
	chinese map[string]bool     // folded
	longest int                 // characters of a Chinese term
	german  map[string]bool     // parts of compounds
	digest  string
}

// terms reads the lists when they are first needed.
var terms = sync.OnceValue(func() *vocabulary {
	v := &vocabulary{words: map[string]standing{}, chinese: map[string]bool{}, german: map[string]bool{}}
	sum := sha256.New()
	err := fs.WalkDir(lists, "vocabulary", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := lists.ReadFile(file)
		if err != nil {
			return err
		}
		sum.Write([]byte(file + "\n"))
		sum.Write(text)
		v.read(string(text), strings.HasSuffix(file, "/de.txt"))
		return nil
	})
	if err != nil {
		panic(err) // the files are in the program
	}
	v.digest = hex.EncodeToString(sum.Sum(nil))
	return v
})

func (v *vocabulary) read(text string, german bool) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for term := range strings.FieldsSeq(line) {
			s := trusted
			switch term[0] {
			case '?':
				s, term = namelike, term[1:]
			case '!':
				s, term = doubtful, term[1:]
			}
			folded := subject.Folded(term)
			if r, _ := utf8.DecodeRuneInString(folded); r >= utf8.RuneSelf {
				v.chinese[folded] = true
				v.longest = max(v.longest, utf8.RuneCountInString(folded))
				continue
			}
			if old, listed := v.words[folded]; !listed || s < old {
				v.words[folded] = s
			}
			if german && len(folded) >= shortestPart {
				v.german[folded] = true
			}
		}
	}
}

// Digest is the hex SHA-256 of the vocabulary.
func Digest() string { return terms().digest }

// Knows reports whether a word, as it stands in a text, is one of the vocabulary.
func Knows(word string) bool {
	folded := subject.Folded(word)
	return terms().stands(folded) != unknown || terms().chinese[folded]
}

// stands looks a folded word up: as it is, in the singular, and put together of parts
// that are known.
func (v *vocabulary) stands(word string) standing {
	const longest = 48
	if s := v.words[word]; s != unknown || len(word) > longest {
		return s
	}
	for _, plural := range [][2]string{{"ies", "y"}, {"es", ""}, {"s", ""}} {
		if stem, ok := strings.CutSuffix(word, plural[0]); ok && len(stem) >= 4 {
			if s := v.words[stem+plural[1]]; s != unknown {
				return s
			}
		}
	}
	if v.prefixed(word) || medical(word) || v.compound(word, 3) {
		return trusted
	}
	return unknown
}

// prefixed reports a known word behind a prefix of Latin or Greek.
func (v *vocabulary) prefixed(word string) bool {
	const shortestStem = 5
	for _, p := range []string{
		"antero", "postero", "medio", "latero", "supero", "infero", "cranio", "caudo", "dorso", "ventro", "peri", "intra", "inter", "supra", "infra", "sub", "retro",
		"para", "pre", "post", "hyper", "hypo", "extra", "trans", "endo", "poly", "multi", "bi", "uni", "semi", "non", "micro", "macro", "mega", "pseudo", "hemi", "pan", "re", "un", "ultra", "over", "under",
		"angio", "cardio", "hepato", "spleno", "gastro", "entero", "broncho", "pneumo", "pleuro", "neuro", "cerebro", "myelo", "osteo", "chondro", "arthro", "spondylo", "costo", "sterno", "lumbo", "sacro", "ilio", "ischio", "femoro", "tibio", "fibulo", "humero", "radio", "ulno", "carpo", "tarso", "fronto", "parieto", "temporo", "occipito", "thoraco", "abdomino", "vesico", "uretero", "utero", "recto", "vagino", "cholecysto", "cholangio", "pancreatico", "duodeno", "ileo", "jejuno", "colo", "reno", "nephro", "vaso", "veno", "arterio", "lympho", "adeno", "fibro", "lipo", "haemo", "hemo", "thrombo", "athero", "steno",
	} {
		if stem, ok := strings.CutPrefix(word, p); ok && len(stem) >= shortestStem && v.words[stem] != unknown {
			return true
		}
	}
	return false
}

// medical reports an ending that words of medicine have and names have not.
func medical(word string) bool {
	const shortest = 9
	if len(word) < shortest || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") != "" {
		return false
	}
	for _, ending := range []string{
		"itis", "osis", "ectomy", "otomy", "ostomy", "ography", "ographic", "oscopy", "opathy", "opathic", "ectasis", "ectasia", "megaly", "plasty", "aemia", "emia", "malacia", "carcinoma", "sarcoma", "blastoma", "adenoma", "cytoma", "lithiasis", "stenosis", "sclerosis", "trophy", "plasia", "plastic", "scopic", "graphie", "grafie", "skopie", "pathie", "ektomie", "ectomie", "ectomía", "grafia",
	} {
		if strings.HasSuffix(word, ending) {
			return true
		}
	}
	return false
}

const shortestPart = 4 // letters of a part of a German compound

// compound reports a German word put together of at most most known ones.
func (v *vocabulary) compound(word string, most int) bool {
	if most < 2 || len(word) < 2*shortestPart {
		return false
	}
	for i := len(word) - shortestPart; i >= shortestPart; i-- {
		if !v.german[word[:i]] {
			continue
		}
		for _, joint := range []string{"", "s", "n", "en", "es"} {
			rest, ok := strings.CutPrefix(word[i:], joint)
			if ok && (v.german[rest] || v.compound(rest, most-1)) {
				return true
			}
		}
	}
	return false
}
