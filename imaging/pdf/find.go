package pdf

import (
	"image"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"medvault/imaging"
	"medvault/imaging/mention"
	"medvault/imaging/pdf/wire"
)

const kindMask = "mask" // of a box a reviewer drew

// find decides what is painted over: where characters name somebody, where words read
// off pixels do, barcodes, and what an earlier attempt left. It paints.
func (p *page) find(who *mention.Known, how mention.Strictness) error {
	glyphs := glyphsOf(p.chars)
	for _, m := range mention.Find(glyphs, who, how) {
		p.cover(m, glyphs, false)
	}
	if p.ocred {
		p.findRead(who)
	}
	p.boxes = append(p.boxes, p.codes...)
	p.boxes = append(p.boxes, p.left...)
	return p.paint(p.boxes)
}

// findRead looks at the words read off pixels. Those that lie under characters of the
// document are there for what stands around them: of these the characters say more.
func (p *page) findRead(who *mention.Known) {
	words := make([]mention.Glyph, 0, len(p.read))
	sure := make([]bool, 0, len(p.read))
	for _, w := range p.read {
		b := p.points(w.Box.Inset(-1))
		words = append(words, mention.Glyph{Text: w.Text, Box: b})
		sure = append(sure, p.trusted(b) >= 0.5)
	}
	for _, m := range mention.Find(words, who, mention.Strict) {
		if slices.ContainsFunc(m.Glyphs, func(i int) bool { return !sure[i] }) {
			m.Boxes = slices.DeleteFunc(m.Boxes, func(b mention.Box) bool { return p.trusted(b) >= 0.5 })
			p.cover(m, words, true)
		}
	}
	p.findMisreadDates(sure)
}

// dateShape is a date in numbers whose figures OCR may have got wrong, so that it is no
// day of any year: 2028-86-12.
var dateShape = regexp.MustCompile(`(?:\A|\D)[0-9OoIlSB]{1,4}[-./][0-9OoIlSB]{1,2}[-./][0-9OoIlSB]{2,4}(?:\D|\z)`)

// findMisreadDates covers what cannot be shifted because it was not read well. sure are
// the words that need not be looked at.
func (p *page) findMisreadDates(sure []bool) {
	found := newGrid(p.width, p.height)
	for _, o := range p.boxes {
		found.put(o.Box, 1)
	}
	for i, w := range p.read {
		b := p.points(w.Box)
		if !sure[i] && found.share(b) < 0.5 && dateShape.MatchString(w.Text) {
			p.boxes = append(p.boxes, box{Box: b, kind: mention.Date.String(), token: "[DATE]", text: w.Text, pixels: true, first: true})
		}
	}
}

// glyphsOf are characters as package mention takes them.
func glyphsOf(chars []wire.Char) []mention.Glyph {
	all := make([]mention.Glyph, len(chars))
	for i, c := range chars {
		switch {
		case c.Generated && c.Rune == '\n', c.Generated && c.Rune == '\r':
			all[i].Text = "\n"
		case c.Generated || unicode.IsSpace(c.Rune):
			all[i].Text = " "
		case !blank(c.Rune) && !c.Unmapped:
			all[i].Text = string(c.Rune)
		}
		if !c.Generated {
			all[i].Box, all[i].Angle = extent(c), float64(c.Angle)
		}
	}
	return all
}

// cover adds the boxes of a mention.
func (p *page) cover(m mention.Mention, glyphs []mention.Glyph, pixels bool) {
	var text strings.Builder
	for _, g := range m.Glyphs {
		if pixels && text.Len() > 0 {
			text.WriteByte(' ')
		}
		text.WriteString(glyphs[g].Text)
	}
	for i, b := range m.Boxes {
		added := box{Box: b, kind: m.Kind.String(), pixels: pixels, first: i == 0}
		if added.first {
			added.token, added.text = m.Token, text.String()
		}
		p.boxes = append(p.boxes, added)
	}
}

// paintMasks paints what a reviewer drew, above all else.
func (p *page) paintMasks(release *imaging.Release) error {
	if release == nil {
		return nil
	}
	columns, rows := wire.Page{Width: float32(p.width), Height: float32(p.height)}.Size(MaskDPI)
	sheet := image.Rect(0, 0, columns, rows)
	var masks []box
	for _, m := range release.Masks {
		if m.Frame != 0 && m.Frame != p.number {
			continue
		}
		r := image.Rect(m.X, m.Y, m.X+m.Width, m.Y+m.Height).Intersect(sheet)
		if r.Empty() {
			continue
		}
		s := p.width / float64(columns)
		masks = append(masks, box{kind: kindMask, first: true, Box: mention.Box{X0: float64(r.Min.X) * s, Y0: float64(r.Min.Y) * s, X1: float64(r.Max.X) * s, Y1: float64(r.Max.Y) * s}})
	}
	p.boxes = append(p.boxes, masks...)
	return p.paint(p.boxes[len(p.boxes)-len(masks):])
}

// padded is a box with the room that ascenders, slanted letters and blurred edges need.
func (p *page) padded(b box) mention.Box {
	if b.kind == kindMask {
		return b.Box
	}
	height := min(b.Y1-b.Y0, b.X1-b.X0)
	by := max(1.2, min(height*0.1, 3))
	if b.pixels {
		by = max(2, min(height*0.2, 5))
	}
	return clip(mention.Box{X0: b.X0 - by, Y0: b.Y0 - by/2, X1: b.X1 + by, Y1: b.Y1 + by/2}, p.width, p.height)
}

// near0 reports text that runs to the right.
func near0(angle float32) bool { return math.Abs(float64(angle)) < 0.05 }
