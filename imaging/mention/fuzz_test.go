package mention_test

import (
	"math"
	"slices"
	"testing"
	"unicode/utf8"

	"medvault/imaging/mention"
)

// FuzzFindText asks that passages lie in the text, in order, at whole characters, that
// what is planted is found, and that what was written once is found no more.
func FuzzFindText(f *testing.F) {
	for _, text := range []string{"Name: Zhang Wei  MRN: 0482913", "姓名：张伟 性别：女", "Dr. House, (MD)", "Tel:\n123", "年龄：95岁", "\xff Mr \x01", "Name (print): A", "[PT-KQ37HC] [DOB]", "由李明医生", "A B C D, MD", "1.2.24 March 2024"} {
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, strict bool) {
		how := mention.Normal
		if strict {
			how = mention.Strict
		}
		check := func(text string) []mention.Passage {
			at := 0
			found := mention.FindText(text, zhang, how)
			for _, p := range found {
				if p.Start < at || p.End <= p.Start || p.End > len(text) || p.Token == "" || p.Kind.String() == "unknown" {
					t.Fatalf("%+v in %q", p, text)
				}
				if utf8.ValidString(text) && !utf8.ValidString(text[p.Start:p.End]) {
					t.Fatalf("%+v cuts a character of %q", p, text)
				}
				at = p.End
			}
			return found
		}
		check(text)
		const planted = "Zhang Xiaodong"
		whole := text + "\n" + planted + "\n" + text
		if !slices.ContainsFunc(check(whole), func(p mention.Passage) bool {
			return p.Start <= len(text)+1 && p.End >= len(text)+1+len(planted)
		}) {
			t.Fatalf("the name is not found behind %q", text)
		}
	})
}

// FuzzFind asks that mentions are made of glyphs of the page, each of one mention only,
// wherever the glyphs lie.
func FuzzFind(f *testing.F) {
	f.Add("CT of Zhang Xiaodong, MRN 0482913", uint16(7), uint16(30), false)
	f.Add("张晓东 姓名：李明", uint16(1), uint16(3), true)
	f.Fuzz(func(t *testing.T, text string, step, wide uint16, strict bool) {
		var glyphs []mention.Glyph
		seed := uint32(step) + 1
		for i, c := range text {
			seed = seed*1664525 + 1013904223
			x, y := float64(i%(int(wide)%200+1))*6, float64(i/(int(wide)%200+1))*12
			g := mention.Glyph{Text: string(c), Box: mention.Box{X0: x, Y0: y, X1: x + 6, Y1: y + 10}}
			switch seed >> 28 {
			case 0:
				g.Box.X0, g.Box.Y1 = math.Inf(-1), math.NaN()
			case 1:
				g.Angle = float64(seed>>8%1000) / 100
			case 2:
				g.Angle = math.NaN()
			case 3:
				g.Box = mention.Box{}
			}
			glyphs = append(glyphs, g)
		}
		how := mention.Normal
		if strict {
			how = mention.Strict
		}
		seen := map[int]bool{}
		for _, m := range mention.Find(glyphs, zhang, how) {
			if len(m.Glyphs) == 0 || m.Token == "" || !slices.IsSorted(m.Glyphs) {
				t.Fatalf("%+v in %q", m, text)
			}
			for _, i := range m.Glyphs {
				if i < 0 || i >= len(glyphs) || seen[i] {
					t.Fatalf("glyph %d of %+v in %q", i, m, text)
				}
				seen[i] = true
			}
		}
	})
}
