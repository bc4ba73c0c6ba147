package mention

import (
	"cmp"
	"slices"
)

// orders are the ways to read a page: as its content has it, line by line, column by
// column, and from top to bottom and from bottom to top where characters stand alone on
// their lines. -1 ends a line.
func (p *page) orders() [][]int {
	orders := [][]int{p.asWritten(), p.lineByLine()}
	if columns := p.columns(); columns != nil {
		orders = append(orders, columns)
	}
	return append(orders, p.upAndDown()...)
}

func (p *page) asWritten() []int {
	order := make([]int, len(p.glyphs))
	for i := range order {
		order[i] = i
	}
	return order
}

func (p *page) lineByLine() (order []int) {
	for _, line := range p.lines {
		order = append(append(order, p.single(line)...), -1)
	}
	return order
}

// single is a line without characters that are drawn twice in nearly the same place, as
// for bold type.
func (p *page) single(line []int) []int {
	const near = 0.4 // of the width
	var out []int
	for n, i := range line {
		twice := false
		for back := n - 1; back >= 0 && back >= n-3 && !twice; back-- {
			a, b := p.level[line[back]], p.level[i]
			twice = p.glyphs[line[back]].Text == p.glyphs[i].Text && b.X0-a.X0 < near*(b.X1-b.X0)
		}
		if !twice {
			out = append(out, i)
		}
	}
	return out
}

// segment is a part of a line without wide gaps.
type segment struct {
	glyphs []int
	box    Box
	line   int
}

func (p *page) segments() (all []segment) {
	for n, line := range p.lines {
		for at, i := range p.single(line) {
			b := p.level[i]
			if last := len(all) - 1; at > 0 && p.between(all[last].glyphs[len(all[last].glyphs)-1], i) != wideGap {
				all[last].glyphs = append(all[last].glyphs, i)
				all[last].box = union(all[last].box, b)
				continue
			}
			all = append(all, segment{[]int{i}, b, n})
		}
	}
	return all
}

// columns reads each segment and then the one below it; nil where no line has gaps.
func (p *page) columns() (order []int) {
	all := p.segments()
	if len(all) == len(p.lines) {
		return nil
	}
	next := make([]int, len(all)) // 1 + the segment below
	hasAbove := make([]bool, len(all))
	for i := range all {
		if below := p.below(all, i, hasAbove); below > 0 {
			next[i] = below + 1
			hasAbove[below] = true
		}
	}
	for i := range all {
		if hasAbove[i] {
			continue
		}
		for at := i + 1; at > 0; at = next[at-1] {
			order = append(append(order, all[at-1].glyphs...), -1)
		}
	}
	return order
}

// below is the segment on one of the next lines that lies most under segment i; 0 where
// there is none.
func (p *page) below(all []segment, i int, taken []bool) int {
	const (
		looked = 40  // segments ahead
		far    = 2.5 // of the height
	)
	best, most := 0, 0.0
	a := all[i].box
	for k := i + 1; k < len(all) && k <= i+looked; k++ {
		b := all[k].box
		if all[k].line == all[i].line || taken[k] {
			continue
		}
		if b.Y0-a.Y1 > far*(a.Y1-a.Y0) || b.Y1 < a.Y0 {
			if b.Y0 > a.Y1 {
				break
			}
			continue
		}
		over := min(a.X1, b.X1) - max(a.X0, b.X0)
		if over <= 0 || best > 0 && all[k].line != all[best].line {
			continue
		}
		if over > most {
			best, most = k, over
		}
	}
	return best
}

// upAndDown reads the characters that stand alone, or two by two, on their lines.
func (p *page) upAndDown() [][]int {
	const few, fewest = 2, 3
	var alone []int
	for _, s := range p.segments() {
		if len(s.glyphs) <= few {
			alone = append(alone, s.glyphs...)
		}
	}
	if len(alone) < fewest {
		return nil
	}
	standing := make([]Box, len(p.glyphs)) // x and y changed
	for _, i := range alone {
		b := p.level[i]
		standing[i] = Box{b.Y0, b.X0, b.Y1, b.X1}
	}
	lines := p.inLines(alone, standing)
	slices.SortStableFunc(lines, func(a, b []int) int { // from right to left, as Chinese is written
		return cmp.Compare(standing[b[0]].Y0, standing[a[0]].Y0)
	})
	var down, up []int
	for _, line := range lines {
		down = append(append(down, p.stacked(line, standing)...), -1)
		slices.Reverse(line)
		up = append(append(up, p.stacked(line, standing)...), -1)
	}
	return [][]int{down, up}
}

// stacked parts a column where more than two characters would have room.
func (p *page) stacked(line []int, boxes []Box) (order []int) {
	for n, i := range line {
		if n > 0 {
			a, b := boxes[line[n-1]], boxes[i]
			if gap := max(b.X0-a.X1, a.X0-b.X1); gap > 2*max(b.X1-b.X0, a.X1-a.X0) {
				order = append(order, -1)
			}
		}
		order = append(order, i)
	}
	return order
}
