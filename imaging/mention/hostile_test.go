package mention_test

import (
	"strings"
	"testing"
	"time"

	"medvault/imaging/mention"
)

// TestHostilePage asks that what is made to be slow is not.
func TestHostilePage(t *testing.T) {
	const many = 20_000
	layouts := map[string]func(i int) mention.Box{
		"one line":  func(i int) mention.Box { x := float64(i) * 6; return mention.Box{X0: x, X1: x + 5, Y1: 10} },
		"one place": func(int) mention.Box { return mention.Box{X1: 5, Y1: 10} },
		"there, back": func(i int) mention.Box {
			x := float64(i) * float64(1-i%2*2) * 50
			return mention.Box{X0: x, X1: x + 5, Y1: 10}
		},
		"like a page": func(i int) mention.Box {
			x, y := float64(i%90)*6, float64(i/90)*12
			return mention.Box{X0: x, X1: x + 5, Y0: y, Y1: y + 10}
		},
	}
	for name, layout := range layouts {
		for _, text := range []string{"Zhang Xiaodong ", "Name "} {
			var glyphs []mention.Glyph
			for i, c := range strings.Repeat(text, many/len(text)) {
				glyphs = append(glyphs, mention.Glyph{Text: string(c), Box: layout(i)})
			}
			for _, how := range []mention.Strictness{mention.Normal, mention.Strict} {
				began := time.Now()
				mention.Find(glyphs, zhang, how)
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("%s of %q: %v", name, text, took)
				}
			}
		}
	}
}
