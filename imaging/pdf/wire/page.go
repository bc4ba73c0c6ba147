package wire

import (
	"encoding/binary"
	"encoding/json"
	"image"
	"math"
)

// Request asks for a page.
type Request struct {
	Page int // from 0
	DPI  int // pixels an inch; fewer are drawn where the page is very large; 0 for no pixels
	Text bool
}

const requestBytes = 9

// Encode returns the payload.
func (r Request) Encode() []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(r.Page))
	b = binary.BigEndian.AppendUint32(b, uint32(r.DPI))
	if r.Text {
		return append(b, 1)
	}
	return append(b, 0)
}

// DecodeRequest reads a payload.
func DecodeRequest(p []byte) (Request, error) {
	if len(p) != requestBytes {
		return Request{}, ErrFrame
	}
	r := Request{Page: int(binary.BigEndian.Uint32(p)), DPI: int(binary.BigEndian.Uint32(p[4:])), Text: p[8] == 1}
	if r.Page >= MaxPages || r.DPI != 0 && r.DPI < 10 || r.DPI > 600 {
		return Request{}, ErrFrame
	}
	return r, nil
}

// Enclosure is what the process is shut in by.
type Enclosure struct {
	Has     []string `json:"has"`               // "limits", "seccomp"
	Missing []string `json:"missing,omitempty"` // what the kernel did not grant
	Fonts   bool     `json:"fonts"`             // there is one with Chinese characters
}

// DecodeEnclosure reads a payload.
func DecodeEnclosure(p []byte) (e Enclosure, err error) {
	if json.Unmarshal(p, &e) != nil {
		return e, ErrFrame
	}
	return e, nil
}

// Facts are what a document says of itself as a whole.
type Facts struct {
	Pages       int          `json:"pages"`
	Signatures  int          `json:"signatures,omitempty"`
	JavaScript  int          `json:"javascript,omitempty"` // actions of the document
	XFA         int          `json:"xfa,omitempty"`        // packets of a form that is not dynamic
	Attachments []Attachment `json:"attachments,omitempty"`
	Unread      int          `json:"unread,omitempty"` // attachments that could not be taken out, or were too many or too large
}

// Attachment is a file that lies in the document.
type Attachment struct {
	Name string `json:"name"`
	Data []byte `json:"data"`
}

// Limits of attachments.
const (
	MaxAttachments     = 64
	MaxAttachmentBytes = 64 << 20 // together
)

// DecodeFacts reads a payload.
func DecodeFacts(p []byte) (Facts, error) {
	var f Facts
	if json.Unmarshal(p, &f) != nil || f.Pages < 0 || f.Pages > MaxPages || f.Signatures < 0 ||
		f.JavaScript < 0 || f.XFA < 0 || len(f.Attachments) > MaxAttachments || f.Unread < 0 {
		return Facts{}, ErrFrame
	}
	return f, nil
}

// Rect is in points, from the upper left corner of the page as it is seen.
type Rect struct{ X0, Y0, X1, Y1 float32 }

// Char is one character of a page.
type Char struct {
	Rune      rune    // 0 where the font does not say
	Generated bool    // a blank or line end that the page does not hold
	Unmapped  bool    // the font does not say which character it is
	Angle     float32 // of its line, clockwise in radians
	Tight     Rect    // of the ink
	Loose     Rect    // of the line, from ascent to descent
}

const charBytes = 4 + 1 + 4 + 32

// Page is one page: how large, what characters, what pictures, and how it looks.
type Page struct {
	Width, Height float32 // points, as it is seen
	Chars         []Char  // in the order of the content
	Images        []Rect
	Pixels        *image.RGBA // opaque; empty if none were asked for
}

// Size is how many columns and rows a page has at so many pixels an inch: fewer where
// it is very large, none where too little of it would be left.
func (p Page) Size(dpi int) (columns, rows int) {
	const fewest = 30 // pixels an inch
	scale := float64(dpi) / 72
	w, h := float64(p.Width), float64(p.Height)
	if all := w * scale * h * scale; all > MaxPixels*0.98 {
		scale *= math.Sqrt(MaxPixels * 0.98 / all)
	}
	if !(w > 0 && h > 0) || scale*72 < fewest {
		return 0, 0
	}
	columns, rows = max(int(math.Round(w*scale)), 1), max(int(math.Round(h*scale)), 1)
	if columns > 1<<15 || rows > 1<<15 {
		return 0, 0
	}
	return columns, rows
}

const (
	flagGenerated = 1 << iota
	flagUnmapped
)

// Encode returns the payload: width, height, number of characters, of images, columns
// and rows, then each of them, then pixels as red, green, blue.
func (p Page) Encode() []byte {
	bounds := p.Pixels.Bounds()
	b := make([]byte, 0, 64+len(p.Chars)*charBytes+len(p.Images)*16+3*bounds.Dx()*bounds.Dy())
	b = number(number(b, p.Width), p.Height)
	for _, n := range []int{len(p.Chars), len(p.Images), bounds.Dx(), bounds.Dy()} {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	for _, c := range p.Chars {
		b = binary.BigEndian.AppendUint32(b, uint32(c.Rune))
		flags := byte(0)
		if c.Generated {
			flags |= flagGenerated
		}
		if c.Unmapped {
			flags |= flagUnmapped
		}
		b = number(append(b, flags), c.Angle)
		b = rect(rect(b, c.Tight), c.Loose)
	}
	for _, r := range p.Images {
		b = rect(b, r)
	}
	for y := range bounds.Dy() {
		row := p.Pixels.Pix[y*p.Pixels.Stride:][:4*bounds.Dx()]
		for x := 0; x < len(row); x += 4 {
			b = append(b, row[x], row[x+1], row[x+2])
		}
	}
	return b
}

func number(b []byte, f float32) []byte {
	return binary.BigEndian.AppendUint32(b, math.Float32bits(f))
}

func rect(b []byte, r Rect) []byte {
	return number(number(number(number(b, r.X0), r.Y0), r.X1), r.Y1)
}

// DecodePage reads a payload. Numbers that make no sense are ErrFrame; characters
// may lie off the page.
func DecodePage(p []byte) (Page, error) {
	d := decoder{p: p}
	page := Page{Width: d.number(), Height: d.number()}
	chars, images, columns, rows := d.count(MaxChars), d.count(MaxImages), d.count(1<<16), d.count(1<<16)
	if d.bad || page.Width <= 0 || page.Height <= 0 || columns*rows > MaxPixels || (columns == 0) != (rows == 0) ||
		len(d.p) != chars*charBytes+images*16+3*columns*rows {
		return Page{}, ErrFrame
	}
	page.Chars = make([]Char, chars)
	for i := range page.Chars {
		c := &page.Chars[i]
		c.Rune = rune(d.count(0x10FFFF))
		flags := d.p[0]
		d.p = d.p[1:]
		c.Generated, c.Unmapped = flags&flagGenerated != 0, flags&flagUnmapped != 0
		c.Angle, c.Tight, c.Loose = d.number(), d.rect(), d.rect()
	}
	page.Images = make([]Rect, images)
	for i := range page.Images {
		page.Images[i] = d.rect()
	}
	if d.bad {
		return Page{}, ErrFrame
	}
	page.Pixels = image.NewRGBA(image.Rect(0, 0, columns, rows))
	for i := range columns * rows {
		copy(page.Pixels.Pix[4*i:], d.p[3*i:3*i+3])
		page.Pixels.Pix[4*i+3] = 0xFF
	}
	return page, nil
}

type decoder struct {
	p   []byte
	bad bool
}

func (d *decoder) uint32() uint32 {
	if len(d.p) < 4 {
		d.bad = true
		return 0
	}
	n := binary.BigEndian.Uint32(d.p)
	d.p = d.p[4:]
	return n
}

func (d *decoder) count(most int) int {
	n := d.uint32()
	if uint64(n) > uint64(most) {
		d.bad = true
		return 0
	}
	return int(n)
}

// number is finite and within what a page may measure.
func (d *decoder) number() float32 {
	f := math.Float32frombits(d.uint32())
	if !(f > -1e7 && f < 1e7) {
		d.bad = true
		return 0
	}
	return f
}

// rect has its corners in order.
func (d *decoder) rect() Rect {
	r := Rect{X0: d.number(), Y0: d.number(), X1: d.number(), Y1: d.number()}
	return Rect{X0: min(r.X0, r.X1), Y0: min(r.Y0, r.Y1), X1: max(r.X0, r.X1), Y1: max(r.Y0, r.Y1)}
}
