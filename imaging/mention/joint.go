package mention

import "slices"

// joint joins passages that share glyphs, from whatever order they come.
type joint struct {
	mentions []Mention
	weights  []int
	of       map[int]int // by glyph: 1 + index of a mention
	parent   []int
}

// take notes a passage of a text whose bytes come from the glyphs of.
func (j *joint) take(p Passage, of []int) {
	m := Mention{Kind: p.Kind, Token: p.Token}
	for _, g := range of[p.Start:p.End] {
		if g >= 0 && (len(m.Glyphs) == 0 || m.Glyphs[len(m.Glyphs)-1] != g) {
			m.Glyphs = append(m.Glyphs, g)
		}
	}
	if len(m.Glyphs) == 0 {
		return
	}
	if j.of == nil {
		j.of = map[int]int{}
	}
	n := len(j.mentions)
	j.mentions = append(j.mentions, m)
	j.weights = append(j.weights, weight(p))
	j.parent = append(j.parent, n)
	for _, g := range m.Glyphs {
		if other := j.of[g]; other > 0 {
			j.join(other-1, n)
		}
		j.of[g] = n + 1
	}
}

func (j *joint) root(n int) int {
	for j.parent[n] != n {
		j.parent[n] = j.parent[j.parent[n]]
		n = j.parent[n]
	}
	return n
}

func (j *joint) join(a, b int) {
	if a, b = j.root(a), j.root(b); a != b {
		j.parent[max(a, b)] = min(a, b)
	}
}

// groups are the joined mentions. The heaviest passage says what each is; of equal ones
// the first, which is as the content has it.
func (j *joint) groups() (all []Mention) {
	group := map[int]int{} // by root: index in all
	heaviest := map[int]int{}
	for n, m := range j.mentions {
		root := j.root(n)
		at, known := group[root]
		if !known {
			group[root] = len(all)
			heaviest[root] = j.weights[n]
			all = append(all, Mention{Kind: m.Kind, Token: m.Token, Glyphs: slices.Clone(m.Glyphs)})
			continue
		}
		if j.weights[n] > heaviest[root] {
			heaviest[root] = j.weights[n]
			all[at].Kind, all[at].Token = m.Kind, m.Token
		}
		all[at].Glyphs = append(all[at].Glyphs, m.Glyphs...)
	}
	for n := range all {
		slices.Sort(all[n].Glyphs)
		all[n].Glyphs = slices.Compact(all[n].Glyphs)
	}
	return all
}
