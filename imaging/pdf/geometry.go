package pdf

import (
	"math"
	"unicode"

	"medvault/imaging/mention"
	"medvault/imaging/pdf/wire"
)

func boxOf(r wire.Rect) mention.Box {
	return mention.Box{X0: float64(r.X0), Y0: float64(r.Y0), X1: float64(r.X1), Y1: float64(r.Y1)}
}

func tight(c wire.Char) mention.Box { return boxOf(c.Tight) }

// extent is what a character takes of its line: its ink and the line from ascent to
// descent.
func extent(c wire.Char) mention.Box {
	b := boxOf(c.Loose)
	if area(b) == 0 {
		return tight(c)
	}
	return join(b, tight(c))
}

// lineHeight is how high the line of a character is, across the direction it runs in.
func lineHeight(c wire.Char) float64 {
	b := extent(c)
	if math.Abs(math.Sin(float64(c.Angle))) > 0.7 {
		return b.X1 - b.X0
	}
	return b.Y1 - b.Y0
}

func area(b mention.Box) float64 { return max(b.X1-b.X0, 0) * max(b.Y1-b.Y0, 0) }

func join(a, b mention.Box) mention.Box {
	return mention.Box{X0: min(a.X0, b.X0), Y0: min(a.Y0, b.Y0), X1: max(a.X1, b.X1), Y1: max(a.Y1, b.Y1)}
}

func common(a, b mention.Box) mention.Box {
	return mention.Box{X0: max(a.X0, b.X0), Y0: max(a.Y0, b.Y0), X1: min(a.X1, b.X1), Y1: min(a.Y1, b.Y1)}
}

func clip(b mention.Box, width, height float64) mention.Box {
	return common(b, mention.Box{X1: width, Y1: height})
}

func blank(r rune) bool { return r == 0 || unicode.IsSpace(r) || unicode.IsControl(r) }

func letters(s string) (n int) {
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			n++
		}
	}
	return n
}
