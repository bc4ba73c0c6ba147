package mention

// find reads the page as its content has it.
func (k *Known) find(glyphs []Glyph, how Strictness) (all []Mention) {
	var text []byte
	var of []int // by byte: the glyph
	for i, g := range glyphs {
		for range len(g.Text) {
			of = append(of, i)
		}
		text = append(text, g.Text...)
	}
	for _, p := range k.passages(string(text), how) {
		m := Mention{Kind: p.Kind, Token: p.Token}
		for _, g := range of[p.Start:p.End] {
			if n := len(m.Glyphs); n == 0 || m.Glyphs[n-1] < g {
				m.Glyphs = append(m.Glyphs, g)
				m.Boxes = append(m.Boxes, glyphs[g].Box)
			}
		}
		all = append(all, m)
	}
	return all
}
