package reports

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

const (
	pageWidth  = 595.0
	pageHeight = 842.0
	margin     = 50.0
	textSize   = 10.0
	lineHeight = 16.0
)

// canvas is the content of a page.
type canvas struct {
	bytes.Buffer
	fonts *fonts
	// draw writes a text at a place; families set their own.
	draw func(c *canvas, p part, x, y, size float64)
}

func newCanvas(f *fonts) *canvas { return &canvas{fonts: f, draw: plainly} }

// plainly shows a text in as few strings as its fonts allow.
func plainly(c *canvas, p part, x, y, size float64) { c.show(p.text, x, y, size) }

// run is a stretch of text in one font.
type run struct{ font, hex, text string }

func (c *canvas) runs(text string) (all []run) {
	for _, r := range text {
		font, hex := c.fonts.codes(r)
		if n := len(all); n > 0 && all[n-1].font == font {
			all[n-1].hex += hex
			all[n-1].text += string(r)
			continue
		}
		all = append(all, run{font, hex, string(r)})
	}
	return all
}

// show writes a text at x, y from the lower left corner.
func (c *canvas) show(text string, x, y, size float64) {
	for _, r := range c.runs(text) {
		fmt.Fprintf(c, "BT /%s %.2f Tf 1 0 0 1 %.2f %.2f Tm <%s> Tj ET\n", r.font, size, x, y, r.hex)
		x += width(r.text, size)
	}
}

// lines draws lines from y downwards, each parted where it gets too long, and returns
// where the next one goes.
func (c *canvas) lines(all []line, x, y, most float64) float64 {
	for i, l := range all {
		size := textSize
		if i == 0 {
			size = 14
		}
		at := x
		for _, p := range l {
			for n, piece := range fit(p, at-x, most, size) {
				if n > 0 {
					at, y = x, y-lineHeight
				}
				if piece.text != "" {
					c.draw(c, piece, at, y, size)
				}
				at += width(piece.text, size)
			}
		}
		y -= lineHeight
	}
	return y
}

// fit parts a text into lines: at blanks, Chinese anywhere. The first piece goes on
// where the line is.
func fit(p part, used, most, size float64) []part {
	out := []part{p}
	out[0].text = ""
	for _, word := range pieces(p.text) {
		w := width(strings.TrimRight(word, " "), size)
		if used+w > most && used > 0 {
			next := p
			next.text = ""
			out = append(out, next)
			used = 0
		}
		out[len(out)-1].text += word
		used += width(word, size)
	}
	return out
}

// pieces are words with the blanks behind them, and single characters of Chinese.
func pieces(text string) (all []string) {
	for _, r := range text {
		n := len(all)
		switch {
		case n == 0, isHan(r), strings.HasSuffix(all[n-1], " ") && r != ' ':
			all = append(all, string(r))
		default:
			if last := []rune(all[n-1]); isHan(last[len(last)-1]) && r != ' ' {
				all = append(all, string(r))
				continue
			}
			all[n-1] += string(r)
		}
	}
	return all
}

// at turns what follows about a place, until done is called.
func (c *canvas) turned(degrees, x, y float64) (done func()) {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	fmt.Fprintf(c, "q %.5f %.5f %.5f %.5f %.2f %.2f cm\n", cos, sin, -sin, cos, x, y)
	return func() { c.WriteString("Q\n") }
}
