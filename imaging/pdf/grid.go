package pdf

import (
	"math"

	"medvault/imaging/mention"
)

// grid says what covers each small square of a page. What it costs to ask does not depend
// on how many things there are.
type grid struct {
	cell float64 // points
	w, h int
	of   []int32 // what lies there: its number from 1, 0 for nothing
}

// newGrid covers a page with squares of half a point, larger ones where it is large.
func newGrid(width, height float64) *grid {
	const finest, most = 0.5, 4 << 20
	cell := max(finest, math.Sqrt(width*height/most))
	g := &grid{cell: cell, w: int(width/cell) + 1, h: int(height/cell) + 1}
	g.of = make([]int32, g.w*g.h)
	return g
}

// put lays number n over a box.
func (g *grid) put(b mention.Box, n int) {
	x0, y0, x1, y1 := g.squares(b)
	for y := y0; y < y1; y++ {
		row := g.of[y*g.w+x0 : y*g.w+x1]
		for i := range row {
			row[i] = int32(n)
		}
	}
}

// share is how much of a box is covered.
func (g *grid) share(b mention.Box) float64 {
	x0, y0, x1, y1 := g.squares(b)
	n := 0
	for y := y0; y < y1; y++ {
		for _, of := range g.of[y*g.w+x0 : y*g.w+x1] {
			if of != 0 {
				n++
			}
		}
	}
	return float64(n) / float64(max((x1-x0)*(y1-y0), 1))
}

// at is the number of what lies over the middle of a box.
func (g *grid) at(b mention.Box) int {
	x, y := int((b.X0+b.X1)/2/g.cell), int((b.Y0+b.Y1)/2/g.cell)
	if x < 0 || y < 0 || x >= g.w || y >= g.h {
		return 0
	}
	return int(g.of[y*g.w+x])
}

// squares are those that a box touches, the last ones behind it; at least one in each
// direction, where it lies on the page.
func (g *grid) squares(b mention.Box) (x0, y0, x1, y1 int) {
	bound := func(f float64, most int) int { return int(max(0, min(f/g.cell, float64(most)))) }
	x0, y0 = bound(b.X0, g.w-1), bound(b.Y0, g.h-1)
	x1, y1 = max(bound(b.X1+g.cell/2, g.w), x0+1), max(bound(b.Y1+g.cell/2, g.h), y0+1)
	return x0, y0, x1, y1
}

// crowded is how many times over things may cover a page. What hides more than that
// behind itself is made to be slow.
const crowded = 50

// budget counts area.
type budget struct{ left float64 }

func newBudget(width, height float64) *budget { return &budget{crowded * width * height} }

// take reports whether there was room for one more box.
func (b *budget) take(of mention.Box) bool {
	b.left -= area(of)
	return b.left >= 0
}
