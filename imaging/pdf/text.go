package pdf

import (
	"math"

	"medvault/imaging/mention"
	"medvault/imaging/pdf/facsimile"
	"medvault/imaging/pdf/wire"
)

// word is a piece of the text layer.
type word = facsimile.Word

// lay makes the text layer: the characters that can be seen and are not painted over,
// the tokens, and what was read off pixels where the document itself says nothing.
func (p *page) lay() {
	p.words = nil
	told := map[int]bool{} // tokens that are in the text, by the number of their box
	var runs []run
	var open []wire.Char
	end := func() {
		if len(open) > 0 {
			runs = append(runs, run{chars: open})
		}
		open = nil
	}
	for _, c := range p.chars {
		switch {
		case c.Generated:
			end()
		case c.Unmapped, blank(c.Rune), p.gone(c):
			end()
			runs = append(runs, run{chars: []wire.Char{c}, gone: true})
		case len(open) > 0 && !follows(open[len(open)-1], c, 0.25):
			end()
			fallthrough
		default:
			open = append(open, c)
		}
	}
	end()
	for _, r := range rejoined(runs) {
		if r.gone {
			p.layToken(tight(r.chars[0]), told)
			continue
		}
		p.words = append(p.words, wordOf(r.chars))
	}
	p.layRead(told)
	for i, b := range p.boxes {
		if !told[i] && b.token != "" {
			p.words = append(p.words, wordIn(b.token, b.drawn, 0))
		}
	}
}

// layToken puts the token of the box that lies over something into the text, where that
// stood, once.
func (p *page) layToken(over mention.Box, told map[int]bool) {
	i := p.hidden.at(over) - 1
	if i < 0 || told[i] || p.boxes[i].token == "" {
		return
	}
	told[i] = true
	p.words = append(p.words, wordIn(p.boxes[i].token, p.boxes[i].drawn, 0))
}

// gone reports a character that does not go over: painted over, or hardly to be seen.
func (p *page) gone(c wire.Char) bool {
	return p.underBox(tight(c)) || p.greyContrast(tight(c)) < faint
}

// greyContrast is contrast on the page as it was before anything was painted.
func (p *page) greyContrast(b mention.Box) int {
	r := p.rect(b)
	low, high := byte(255), byte(0)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for _, v := range p.grey.Pix[p.grey.PixOffset(r.Min.X, y):p.grey.PixOffset(r.Max.X, y)] {
			low, high = min(low, v), max(high, v)
		}
	}
	return int(high) - int(low)
}

// follows reports that a character goes on where the one before ends, in a line: with
// a gap of at most so much of the height of the line.
func follows(a, b wire.Char, most float64) bool {
	if math.Abs(float64(a.Angle-b.Angle)) > 0.02 {
		return false
	}
	ea, eb := extent(a), extent(b)
	size := max(lineHeight(a), 1)
	if !near0(a.Angle) {
		return max(eb.X0-ea.X1, ea.X0-eb.X1, eb.Y0-ea.Y1, ea.Y0-eb.Y1) < most*size
	}
	gap := eb.X0 - ea.X1
	return gap < most*size && gap > -0.7*size && math.Abs(eb.Y1-ea.Y1) < 0.3*size
}

// wordOf is a run of characters in one piece.
func wordOf(chars []wire.Char) word {
	runes, b := make([]rune, 0, len(chars)), extent(chars[0])
	for _, c := range chars {
		runes, b = append(runes, c.Rune), join(b, extent(c))
	}
	return wordIn(string(runes), b, float64(chars[0].Angle))
}

// wordIn lays a text into a box along its line. The base line is a fifth of the height
// above the lower edge.
func wordIn(text string, b mention.Box, angle float64) word {
	const below = 0.2
	w, h := b.X1-b.X0, b.Y1-b.Y0
	sin, cos := math.Sincos(angle)
	if math.Abs(sin) > 0.7 {
		w, h = h, w
	}
	x, y := (b.X0+b.X1)/2, (b.Y0+b.Y1)/2
	x, y = x-cos*w/2-sin*h*(0.5-below), y-sin*w/2+cos*h*(0.5-below)
	return word{Text: text, X: x, Y: y, Angle: angle, Size: max(h, 0.5), Width: max(w, 0.5)}
}

// layRead adds what OCR read where there are no characters.
func (p *page) layRead(told map[int]bool) {
	const sure = 40
	for _, w := range p.read {
		b := p.points(w.Box)
		p.layToken(b, told)
		if w.Confidence >= sure && p.characters(b) < 0.3 && !p.underBox(b) {
			p.words = append(p.words, wordIn(w.Text, b, 0))
		}
	}
}

// characters is how much of a box characters cover.
func (p *page) characters(b mention.Box) float64 { return p.told.share(b) }

// facsimile is the page as it is written.
func (p *page) facsimile() facsimile.Page {
	p.lay()
	picture := facsimile.Picture{Photo: p.photo()}
	if coloured(p.pixels) {
		picture.Image = p.pixels
	} else {
		picture.Image = greyOf(p.pixels)
	}
	return facsimile.Page{Width: p.width, Height: p.height, Picture: picture, Words: p.words}
}

// photo reports a page much of which is a picture.
func (p *page) photo() bool {
	covered := 0.0
	for _, m := range p.images {
		covered += area(clip(boxOf(m), p.width, p.height))
	}
	return covered > p.width*p.height/4
}
