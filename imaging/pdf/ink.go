package pdf

import (
	"image"

	"medvault/imaging/mention"
)

const (
	invisible = 2  // shades: what differs less from what is around it cannot be seen
	faint     = 24 // shades: what differs less is not taken for text that is to be found
)

func greyOf(m *image.RGBA) *image.Gray {
	g := image.NewGray(m.Rect)
	for i := range g.Pix {
		r, gr, b := int(m.Pix[4*i]), int(m.Pix[4*i+1]), int(m.Pix[4*i+2])
		g.Pix[i] = byte((299*r + 587*gr + 114*b + 500) / 1000)
	}
	return g
}

// contrast is how many shades apart the darkest and the lightest pixel are. Grey shades
// hide what differs in colour alone, so colours are looked at too.
func (p *page) contrast(r image.Rectangle) int {
	low, high := [3]byte{255, 255, 255}, [3]byte{}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := p.pixels.Pix[p.pixels.PixOffset(r.Min.X, y) : p.pixels.PixOffset(r.Max.X-1, y)+4]
		for x := 0; x < len(row); x += 4 {
			for c := range 3 {
				low[c], high[c] = min(low[c], row[x+c]), max(high[c], row[x+c])
			}
		}
	}
	widest := 0
	for c := range 3 {
		widest = max(widest, int(high[c])-int(low[c]))
	}
	return widest
}

// coloured reports whether a page has more than grey.
func coloured(m *image.RGBA) bool {
	const tint, few = 20, 40
	n := 0
	for i := 0; i < len(m.Pix); i += 4 {
		r, g, b := m.Pix[i], m.Pix[i+1], m.Pix[i+2]
		if max(r, g, b)-min(r, g, b) > tint {
			if n++; n > few {
				return true
			}
		}
	}
	return false
}

// trusted is how much of a box lies under characters of which the document says what
// they are, and which are not those of a picture.
func (p *page) trusted(b mention.Box) float64 { return p.trust.share(b) }

// inPicture reports a box that lies in a picture.
func (p *page) inPicture(b mention.Box) bool { return p.pictures.share(b) > 0.5 }

// needsReading reports that something on the page can be seen of which the document does
// not say what it is: a picture, letters of a font that does not say which, letters that
// are drawn as curves.
func (p *page) needsReading() bool {
	const few = 40 // pixels
	for _, c := range p.chars {
		if c.Unmapped && !c.Generated {
			return true
		}
	}
	for _, m := range p.images {
		if b := clip(boxOf(m), p.width, p.height); area(b) > 16 && p.contrast(p.rect(b)) > invisible {
			return true
		}
	}
	return loose(p.unexplained()) > few
}

// unexplained is the ink that is not that of characters: 1 where there is some.
func (p *page) unexplained() *image.Gray {
	ink := image.NewGray(p.grey.Rect)
	w := p.grey.Rect.Dx()
	paper := p.paper()
	for i, v := range p.grey.Pix {
		if d := int(v) - int(paper); d > faint || d < -faint {
			ink.Pix[i] = 1
		}
	}
	for _, c := range p.chars {
		if c.Generated || blank(c.Rune) {
			continue
		}
		r := p.rect(extent(c)).Inset(-2).Intersect(ink.Rect)
		for y := r.Min.Y; y < r.Max.Y; y++ {
			clear(ink.Pix[y*w+r.Min.X : y*w+r.Max.X])
		}
	}
	return ink
}

// paper is the commonest shade.
func (p *page) paper() byte {
	var n [256]int
	for _, v := range p.grey.Pix {
		n[v]++
	}
	most := 255
	for v := range n {
		if n[v] > n[most] {
			most = v
		}
	}
	return byte(most)
}

// loose counts the ink that is neither a rule nor an area: what letters are made of.
// A pixel of a long run belongs to a rule or the edge of an area.
func loose(ink *image.Gray) (n int) {
	const long = 24 // pixels
	w, h := ink.Rect.Dx(), ink.Rect.Dy()
	keep := make([]bool, len(ink.Pix))
	for y := range h {
		for x := 0; x < w; {
			end := x
			for end < w && ink.Pix[y*w+end] != 0 {
				end++
			}
			for i := x; i < end && end-x < long; i++ {
				keep[y*w+i] = true
			}
			x = max(end, x+1)
		}
	}
	for x := range w {
		for y := 0; y < h; {
			end := y
			for end < h && ink.Pix[end*w+x] != 0 {
				end++
			}
			for i := y; i < end && end-y < long; i++ {
				if keep[i*w+x] {
					n++
				}
			}
			y = max(end, y+1)
		}
	}
	return n
}
