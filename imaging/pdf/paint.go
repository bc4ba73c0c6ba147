package pdf

import (
	"image"
	"image/color"
	"image/draw"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

	"medvault/imaging/mention"
)

// What a token is drawn with: white on dark grey, unlike anything that is printed.
var dark = color.RGBA{0x33, 0x33, 0x33, 0xFF}

// paint paints boxes over and writes the tokens into them. Where the token is longer
// than what stood there, the box grows over blank paper.
//
// errCostly is returned where more would have to be painted than anybody could read.
func (p *page) paint(boxes []box) error {
	if p.hidden == nil {
		p.hidden = newGrid(p.width, p.height)
	}
	first := len(p.boxes) - len(boxes)
	room := newBudget(p.width, p.height)
	for i := range boxes {
		b := &boxes[i]
		b.drawn = p.padded(*b)
		if !room.take(b.drawn) {
			return errCostly
		}
		r := p.rect(b.drawn)
		if b.token != "" {
			r = p.roomFor(b.token, r)
			b.drawn = p.points(r)
		}
		p.hidden.put(b.drawn, first+i+1)
		if p.contrast(r) <= invisible && b.kind != kindMask {
			continue // there is nothing to see, and nothing else of it goes over
		}
		draw.Draw(p.pixels, r, image.NewUniform(dark), image.Point{}, draw.Src)
	}
	for _, b := range boxes {
		if b.token != "" {
			p.letter(b.token, p.rect(b.drawn))
		}
	}
	return nil
}

const (
	fullest  = 0.72 // of the height of a box, for letters
	fewest   = 7    // pixels: letters less high are not drawn
	wide     = 0.62 // of their size, for a letter on average
	spacious = 4    // pixels between a box that grows and the next ink
)

// roomFor lets a box grow to the right over blank paper until the token fits.
func (p *page) roomFor(token string, r image.Rectangle) image.Rectangle {
	need := int(float64(len([]rune(token)))*wide*fullest*float64(r.Dy())) + 4
	for r.Dx() < need && r.Max.X+spacious < p.grey.Rect.Max.X &&
		p.blankPaper(image.Rect(r.Max.X, r.Min.Y, r.Max.X+spacious, r.Max.Y)) {
		r.Max.X++
	}
	return r
}

// blankPaper reports that nothing is there, not even a box.
func (p *page) blankPaper(r image.Rectangle) bool {
	return !r.Empty() && p.contrast(r) <= invisible && p.pixels.RGBAAt(r.Min.X, r.Min.Y) != dark
}

// letter draws a token, as large as its box allows. Where no letter could be read the
// box stays as it is: the token is in the text.
func (p *page) letter(token string, r image.Rectangle) {
	size := min(fullest*float64(r.Dy()), float64(r.Dx()-2)/(wide*float64(len([]rune(token)))))
	if size < fewest {
		return
	}
	parsed, err := opentype.Parse(gomedium.TTF)
	if err != nil {
		panic(err) // the font is part of the program
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic(err) // the size is a size
	}
	defer face.Close()
	token = strings.NewReplacer("年", "-", "月", "-", "日", "", "号", "").Replace(token) // the font has no Chinese
	for _, c := range token {
		if _, ok := face.GlyphAdvance(c); !ok {
			return
		}
	}
	d := font.Drawer{Dst: clipped{p.pixels, r}, Src: image.White, Face: face}
	width := d.MeasureString(token).Ceil()
	d.Dot = fixed.P(r.Min.X+max((r.Dx()-width)/2, 1), r.Min.Y+(r.Dy()+int(0.7*size))/2)
	d.DrawString(token)
}

// clipped lets nothing be drawn outside of a box.
type clipped struct {
	*image.RGBA
	r image.Rectangle
}

func (c clipped) Bounds() image.Rectangle { return c.r }

func (c clipped) Set(x, y int, v color.Color) {
	if (image.Point{X: x, Y: y}).In(c.r) {
		c.RGBA.Set(x, y, v)
	}
}

// underBox reports something that is painted over, or near enough to be left out.
func (p *page) underBox(b mention.Box) bool {
	return p.hidden.at(b) != 0 || p.hidden.share(b) > 0.3
}
