package pdf

import (
	"math"
	"slices"

	"medvault/imaging/pdf/wire"
)

// run is characters that follow each other in the content and in a line, or one that
// does not go over.
type run struct {
	chars []wire.Char
	gone  bool
}

func (r run) middle() float64 {
	b := extent(r.chars[0])
	return (b.Y0 + b.Y1) / 2
}

// rejoined puts together what the content has in pieces, here and there, but the eye in
// one: words whose letters were drawn in any order. Pieces between which anything lies
// stay apart. A joined run stands where its first letters stood.
func rejoined(runs []run) []run {
	const touching = 0.1 // of the height of a line
	order := make([]int, 0, len(runs))
	for i, r := range runs {
		if near0(r.chars[0].Angle) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return compare(runs[a].middle(), runs[b].middle()) })
	for len(order) > 0 {
		line := lineOf(runs, order)
		order = order[len(line):]
		slices.SortStableFunc(line, func(a, b int) int {
			return compare(extent(runs[a].chars[0]).X0, extent(runs[b].chars[0]).X0)
		})
		at := line[0]
		for _, next := range line[1:] {
			a, b := runs[at], runs[next]
			if a.gone || b.gone || len(a.chars) == 0 || !follows(a.chars[len(a.chars)-1], b.chars[0], touching) || next == at+1 {
				at = next
				continue
			}
			joined := run{chars: append(slices.Clip(a.chars), b.chars...)}
			first, second := min(at, next), max(at, next)
			runs[first], runs[second] = joined, run{}
			at = first
		}
	}
	return slices.DeleteFunc(runs, func(r run) bool { return len(r.chars) == 0 })
}

// lineOf is how many of the runs, sorted from the top, lie in one line.
func lineOf(runs []run, order []int) []int {
	first := runs[order[0]]
	height := max(lineHeight(first.chars[0]), 1)
	n := 1
	for n < len(order) && math.Abs(runs[order[n]].middle()-first.middle()) < 0.3*height {
		n++
	}
	return order[:n]
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
