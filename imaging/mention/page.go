package mention

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// find reads a page in every order and joins what that gives.
func (k *Known) find(glyphs []Glyph, how Strictness) []Mention {
	p := newPage(glyphs)
	var j joint
	for _, order := range p.orders() {
		text, of := p.write(order)
		for _, passage := range k.passages(text, how) {
			j.take(passage, of)
		}
	}
	return p.mentions(&j)
}

// page is one page while it is read.
type page struct {
	glyphs []Glyph
	level  []Box // the boxes, turned so that every line runs to the right
	lines  [][]int
	place  []place // by glyph: where the lines have it
}

type place struct{ line, at int }

// whole is a whole turn in steps of five degrees.
const whole = 72

func newPage(glyphs []Glyph) *page {
	p := &page{glyphs: glyphs, level: make([]Box, len(glyphs)), place: make([]place, len(glyphs))}
	byAngle := map[int][]int{}
	for i, g := range glyphs {
		p.place[i] = place{-1, -1}
		turn := 0
		if finite(g.Angle) {
			turn = (int(math.Round(g.Angle/(math.Pi/36)))%whole + whole) % whole
		}
		p.level[i] = turned(g.Box, turn)
		if p.inked(i) {
			byAngle[turn] = append(byAngle[turn], i)
		}
	}
	for _, turn := range sortedKeys(byAngle) {
		p.lines = append(p.lines, p.inLines(byAngle[turn], p.level)...)
	}
	for n, line := range p.lines {
		for at, g := range line {
			p.place[g] = place{n, at}
		}
	}
	return p
}

func sortedKeys(m map[int][]int) (keys []int) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// inked reports a glyph that says something and is somewhere.
func (p *page) inked(i int) bool {
	b := p.glyphs[i].Box
	return strings.TrimSpace(p.glyphs[i].Text) != "" && finite(b.X0) && finite(b.Y0) && finite(b.X1) && finite(b.Y1) && (b.X1 > b.X0 || b.Y1 > b.Y0)
}

func finite(f float64) bool { return math.Abs(f) < 1e7 }

// turned is a box in the frame of a line that runs in a direction, in steps of five
// degrees.
func turned(b Box, turn int) Box {
	if turn == 0 {
		return b
	}
	sin, cos := math.Sincos(-float64(turn) * math.Pi / 36)
	x, y := (b.X0+b.X1)/2, (b.Y0+b.Y1)/2
	w, h := (b.X1-b.X0)/2, (b.Y1-b.Y0)/2
	x, y = x*cos-y*sin, x*sin+y*cos
	if turn%(whole/2) == whole/4 {
		w, h = h, w
	}
	return Box{x - w, y - h, x + w, y + h}
}

// inLines parts glyphs into lines by how far they overlap from top to bottom, each line
// from left to right, in boxes.
func (p *page) inLines(of []int, boxes []Box) (lines [][]int) {
	const looked = 12 // lines back: they come from top to bottom
	type band struct{ top, bottom float64 }
	var bands []band
	sorted := slices.Clone(of)
	middle := func(i int) float64 { return boxes[i].Y0 + boxes[i].Y1 }
	slices.SortStableFunc(sorted, func(a, b int) int { return cmp.Compare(middle(a), middle(b)) })
	for _, i := range sorted {
		b := boxes[i]
		best, most := -1, 0.5
		for n := len(lines) - 1; n >= 0 && n >= len(lines)-looked; n-- {
			over := min(b.Y1, bands[n].bottom) - max(b.Y0, bands[n].top)
			height := max(min(b.Y1-b.Y0, bands[n].bottom-bands[n].top), 1e-6)
			if share := over / height; share >= most {
				best, most = n, share
			}
		}
		if best < 0 {
			lines = append(lines, []int{i})
			bands = append(bands, band{b.Y0, b.Y1})
			continue
		}
		lines[best] = append(lines[best], i)
	}
	for _, line := range lines {
		slices.SortStableFunc(line, func(a, b int) int { return cmp.Compare(boxes[a].X0, boxes[b].X0) })
	}
	return lines
}

// write is the text of glyphs in an order, with what parts them made up where nothing
// stands there; of is the glyph of each byte, -1 of what is made up. An order's -1 is a
// line end.
func (p *page) write(order []int) (text string, of []int) {
	var b strings.Builder
	last, blank := -1, false // the inked glyph before, and whether something stands behind it already
	put := func(s string, glyph int) {
		b.WriteString(s)
		for range len(s) {
			of = append(of, glyph)
		}
	}
	for _, i := range order {
		if i < 0 {
			put("\n", -1)
			last = -1
			continue
		}
		if !p.inked(i) {
			put(readable(p.glyphs[i].Text), i)
			blank = true
			continue
		}
		if last >= 0 {
			if between := p.parting(last, i); between != " " || !blank {
				put(between, -1)
			}
		}
		put(readable(p.glyphs[i].Text), i)
		last, blank = i, false
	}
	return b.String(), of
}

// readable writes the marks by which extractors tell of a word parted at a line end as
// what was there: a hyphen.
func readable(text string) string {
	if strings.ContainsAny(text, "\x02\ufffe\r") {
		text = strings.NewReplacer("\x02", "-", "\ufffe", "-", "\r", "\n").Replace(text)
	}
	return strings.ReplaceAll(text, "\x01", " ")
}

// parting is what parts two glyphs that an order puts beside each other. What the page
// has others between is no field with a gap.
func (p *page) parting(a, b int) string {
	between := p.between(a, b)
	if from, to := p.place[a], p.place[b]; between == wideGap && from.line == to.line && to.at > from.at+1 {
		for _, i := range p.lines[from.line][from.at+1 : to.at] {
			if p.level[i].X0 >= p.level[a].X1 && p.level[i].X1 <= p.level[b].X0 {
				return "\n"
			}
		}
	}
	return between
}

// between is what parts two glyphs: nothing, a blank, a wide gap, the line end.
func (p *page) between(a, b int) string {
	const (
		word = 0.15 // of the height of the line
		wide = 1.8
	)
	from, to := p.level[a], p.level[b]
	height := max(min(from.Y1-from.Y0, to.Y1-to.Y0), 1e-6)
	over := min(from.Y1, to.Y1) - max(from.Y0, to.Y0)
	gap := to.X0 - from.X1
	switch {
	case over < 0.3*height, gap < -2*height:
		return "\n"
	case gap > wide*height:
		return wideGap
	case gap > word*height:
		return " "
	}
	return ""
}

// mentions gives the joined passages as stretches of the page.
func (p *page) mentions(j *joint) (all []Mention) {
	for _, m := range j.groups() {
		slices.Sort(m.Glyphs)
		m.Boxes = p.stretches(m.Glyphs)
		all = append(all, m)
	}
	p.cover(all)
	slices.SortStableFunc(all, func(a, b Mention) int { return a.Glyphs[0] - b.Glyphs[0] })
	return all
}

// stretches are the boxes of glyphs, those of neighbours on a line in one.
func (p *page) stretches(glyphs []int) (boxes []Box) {
	ordered := slices.DeleteFunc(slices.Clone(glyphs), func(i int) bool { return p.place[i].line < 0 })
	slices.SortFunc(ordered, func(a, b int) int {
		return cmp.Or(p.place[a].line-p.place[b].line, p.place[a].at-p.place[b].at)
	})
	for n, i := range ordered {
		if n > 0 && p.adjacent(ordered[n-1], i) {
			last := &boxes[len(boxes)-1]
			*last = union(*last, p.glyphs[i].Box)
			continue
		}
		boxes = append(boxes, p.glyphs[i].Box)
	}
	return boxes
}

// adjacent reports neighbours on a line that runs along the page.
func (p *page) adjacent(a, b int) bool {
	const widest = 3 // of the height
	from, to := p.place[a], p.place[b]
	height := p.level[a].Y1 - p.level[a].Y0
	return from.line == to.line && to.at == from.at+1 && p.upright(a) && p.level[b].X0-p.level[a].X1 < widest*height
}

// upright reports a line that runs along an edge of the page.
func (p *page) upright(i int) bool {
	quarter := p.glyphs[i].Angle / (math.Pi / 2)
	return math.Abs(quarter-math.Round(quarter)) < 0.06
}

func union(a, b Box) Box {
	return Box{min(a.X0, b.X0), min(a.Y0, b.Y0), max(a.X1, b.X1), max(a.Y1, b.Y1)}
}

// cover takes into the mentions what lies upon them.
func (p *page) cover(all []Mention) {
	taken := make([]bool, len(p.glyphs))
	var boxes []covering
	for n, m := range all {
		for _, i := range m.Glyphs {
			taken[i] = true
		}
		for _, b := range m.Boxes {
			boxes = append(boxes, covering{b, n})
		}
	}
	slices.SortFunc(boxes, func(a, b covering) int { return cmp.Compare(a.Y0, b.Y0) })
	tallest := 0.0
	for _, b := range boxes {
		tallest = max(tallest, b.Y1-b.Y0)
	}
	for i, g := range p.glyphs {
		if taken[i] || !p.inked(i) {
			continue
		}
		x, y := (g.Box.X0+g.Box.X1)/2, (g.Box.Y0+g.Box.Y1)/2
		from, _ := slices.BinarySearchFunc(boxes, y-tallest, func(b covering, y float64) int { return cmp.Compare(b.Y0, y) })
		for _, b := range boxes[from:] {
			if b.Y0 > y {
				break
			}
			if y <= b.Y1 && x >= b.X0 && x <= b.X1 {
				all[b.of].Glyphs = append(all[b.of].Glyphs, i)
				all[b.of].Boxes = append(all[b.of].Boxes, g.Box)
				break
			}
		}
	}
	for n := range all {
		slices.Sort(all[n].Glyphs)
	}
}

// covering is a box of a mention.
type covering struct {
	Box
	of int
}
