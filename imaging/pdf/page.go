package pdf

import (
	"context"
	"image"
	"math"
	"slices"

	"medvault/imaging"
	"medvault/imaging/mention"
	"medvault/imaging/ocr"
	"medvault/imaging/pdf/wire"
)

const (
	textDPI  = 150 // where letters are large enough
	fineDPI  = 200 // for small type, and for what OCR reads
	smallest = 7.5 // points: the line height below which type is small
)

// page is one page on its way. Everything is in points of the page as it is seen, but
// for what is said to be in pixels.
type page struct {
	number int // from 1
	width  float64
	height float64
	scale  float64 // pixels a point
	dpi    int

	chars  []wire.Char // that can be seen
	images []wire.Rect
	pixels *image.RGBA
	grey   *image.Gray // of pixels, before anything was painted

	pictures, told, trust, hidden *grid // of pictures; of characters, and of those of which the document says what they are; of what is painted over

	ocred   bool       // its pixels were read
	unread  bool       // they should have been, and nothing could
	missing bool       // because there is nothing that reads
	read    []ocr.Word // in pixels
	codes   []box      // barcodes

	sure []wire.Char // of which the document says what they are; kept for the check

	left  []box // found by the check of an earlier attempt
	boxes []box // that were painted
	words []word
}

// box is what is painted over.
type box struct {
	mention.Box
	kind, token, text string
	pixels            bool // found by OCR or as a picture
	first             bool // of its mention: the token belongs here
	drawn             mention.Box
}

// read fetches a page and everything that is found out about it without knowing whom
// to look for. What an earlier attempt found out by OCR is not read again.
func (j *job) read(ctx context.Context, index int, before *page) (*page, error) {
	request := wire.Request{Page: index, DPI: textDPI, Text: true}
	if before != nil {
		request.DPI = before.dpi
	}
	got, err := j.worker.page(ctx, request)
	if err != nil {
		return nil, err
	}
	p, err := newPage(index, request.DPI, got)
	if err != nil {
		return nil, err
	}
	if before != nil {
		p.ocred, p.unread, p.missing, p.read, p.codes, p.left = before.ocred, before.unread, before.missing, before.read, before.codes, before.left
		return p, nil
	}
	pictures := j.r.c.OCRAlways || p.needsReading()
	if pictures || p.smallType() {
		finer, err := j.worker.page(ctx, wire.Request{Page: index, DPI: fineDPI, Text: true})
		if err != nil {
			return nil, err
		}
		if p, err = newPage(index, fineDPI, finer); err != nil {
			return nil, err
		}
	}
	if p.mayHaveCodes() {
		p.findCodes()
	}
	if pictures {
		err = j.recognise(ctx, p, ocr.Report)
	}
	return p, err
}

// newPage takes over what can be seen. errCostly is returned for a page that is
// covered by more than anybody could read.
func newPage(index, dpi int, got wire.Page) (*page, error) {
	p := &page{number: index + 1, width: float64(got.Width), height: float64(got.Height), dpi: dpi,
		images: got.Images, pixels: got.Pixels, grey: greyOf(got.Pixels)}
	p.scale = float64(got.Pixels.Rect.Dx()) / p.width
	room := newBudget(p.width, p.height)
	for _, c := range got.Chars {
		if !room.take(clip(extent(c), p.width, p.height)) {
			return nil, errCostly
		}
		if c.Generated || blank(c.Rune) && !c.Unmapped || p.contrast(p.rect(tight(c))) > invisible {
			p.chars = append(p.chars, c)
		}
	}
	for _, m := range p.images {
		if !room.take(clip(boxOf(m), p.width, p.height)) {
			return nil, errCostly
		}
	}
	p.survey()
	return p, nil
}

// doubtful reports a page with a font that does not say what its characters are: of
// others it may say the wrong thing, so that none is believed.
func (p *page) doubtful() bool {
	return slices.ContainsFunc(p.chars, func(c wire.Char) bool { return c.Unmapped && !c.Generated })
}

// survey lays out where pictures and characters are.
func (p *page) survey() {
	p.pictures, p.told, p.trust = newGrid(p.width, p.height), newGrid(p.width, p.height), newGrid(p.width, p.height)
	for _, m := range p.images {
		p.pictures.put(boxOf(m), 1)
	}
	doubtful := p.doubtful()
	for _, c := range p.chars {
		if c.Generated || c.Unmapped || blank(c.Rune) {
			continue
		}
		p.told.put(extent(c), 1)
		if !doubtful && !p.inPicture(tight(c)) {
			p.trust.put(extent(c), 1)
		}
	}
}

// kept is what the next attempt needs.
func (p *page) kept() *page {
	doubtful := p.doubtful()
	for _, c := range p.chars {
		if p.ocred && !doubtful && !c.Generated && !c.Unmapped && !p.inPicture(tight(c)) {
			p.sure = append(p.sure, c)
		}
	}
	p.pixels, p.grey, p.chars, p.images = nil, nil, nil, nil
	p.pictures, p.told, p.trust, p.hidden = nil, nil, nil, nil
	return p
}

// smallType reports a line of letters too small for textDPI.
func (p *page) smallType() bool {
	const many = 12
	n := 0
	for _, c := range p.chars {
		if h := lineHeight(c); !c.Generated && h > 0.5 && h < smallest {
			n++
		}
	}
	return n >= many
}

// recognise reads the pixels of a page.
func (j *job) recognise(ctx context.Context, p *page, layout ocr.Layout) error {
	if j.r.c.OCR == nil {
		p.unread, p.missing = true, true
		return nil
	}
	words, err := j.r.c.OCR.Read(ctx, p.grey, layout)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i := range words {
		words[i].Box = trimmed(p.grey, words[i].Box)
	}
	p.ocred, p.unread, p.read = err == nil, err != nil || doubtful(words), words
	return nil
}

// doubtful reports words of which OCR itself believes little: what it did not read it cannot
// find. Clean type is read with 90 of 100, a fax with 85, what a person can hardly read with
// 60.
func doubtful(words []ocr.Word) bool {
	const little = 75
	if len(words) == 0 {
		return false // a picture without text
	}
	sum := 0.0
	for _, w := range words {
		sum += w.Confidence
	}
	return sum < little*float64(len(words))
}

// trimmed cuts from the box of a word what belongs to the lines above and below: OCR
// draws those of Chinese words too large.
func trimmed(m *image.Gray, r image.Rectangle) image.Rectangle {
	const part = 6 // of the height: blank rows that end a line
	r = r.Intersect(m.Rect)
	low, high := byte(255), byte(0)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for _, v := range m.Pix[m.PixOffset(r.Min.X, y):m.PixOffset(r.Max.X, y)] {
			low, high = min(low, v), max(high, v)
		}
	}
	blankRow := func(y int) bool {
		for _, v := range m.Pix[m.PixOffset(r.Min.X, y):m.PixOffset(r.Max.X, y)] {
			if int(v) < (int(low)+int(high))/2 {
				return false
			}
		}
		return true
	}
	middle, enough := (r.Min.Y+r.Max.Y)/2, max(r.Dy()/part, 3)
	top, blanks := middle, 0
	for y := middle - 1; y >= r.Min.Y && blanks < enough; y-- {
		if blanks++; !blankRow(y) {
			top, blanks = y, 0
		}
	}
	bottom := middle
	blanks = 0
	for y := middle; y < r.Max.Y && blanks < enough; y++ {
		if blanks++; !blankRow(y) {
			bottom, blanks = y+1, 0
		}
	}
	if bottom-top < r.Dy()/3 {
		return r // the middle was between two lines, or there is nothing dark
	}
	return image.Rect(r.Min.X, top, r.Max.X, bottom)
}

// rect is a rectangle of the page in pixels, from the first touched to behind the last.
func (p *page) rect(b mention.Box) image.Rectangle {
	return image.Rect(int(math.Floor(b.X0*p.scale)), int(math.Floor(b.Y0*p.scale)),
		int(math.Ceil(b.X1*p.scale)), int(math.Ceil(b.Y1*p.scale))).Intersect(p.grey.Rect)
}

// points is a rectangle of pixels on the page.
func (p *page) points(r image.Rectangle) mention.Box {
	return mention.Box{X0: float64(r.Min.X) / p.scale, Y0: float64(r.Min.Y) / p.scale,
		X1: float64(r.Max.X) / p.scale, Y1: float64(r.Max.Y) / p.scale}
}

// reasons are what speaks against showing this page.
func (p *page) reasons() (all []string) {
	if p.hasPictures() {
		all = append(all, HeldScan)
	}
	if p.missing {
		all = append(all, HeldNoOCR)
	} else if p.unread {
		all = append(all, HeldOCRFailed)
	}
	return all
}

// hasPictures reports a picture of more than a hundredth of the page that was not painted
// over.
func (p *page) hasPictures() bool {
	for _, m := range p.images {
		b := clip(boxOf(m), p.width, p.height)
		if area(b) > p.width*p.height/100 && p.painted(b) < 0.9 && p.contrast(p.rect(b)) > invisible {
			return true
		}
	}
	return false
}

// painted is how much of a box is painted over.
func (p *page) painted(b mention.Box) float64 { return p.hidden.share(b) }

// report is a box as it is told.
func (p *page) report(b box) Box {
	return Box{Page: p.number, X: b.drawn.X0, Y: b.drawn.Y0, Width: b.drawn.X1 - b.drawn.X0, Height: b.drawn.Y1 - b.drawn.Y0,
		Kind: b.kind, Token: b.token, Text: b.text, FromPixels: b.pixels}
}

// suggest are the words OCR was unsure of, which a person may want to paint over.
func (p *page) suggest() (all []imaging.Mask) {
	const most, unsure = 64, 55
	for _, w := range p.read {
		if b := p.points(w.Box); w.Confidence < unsure && letters(w.Text) > 1 && p.painted(b) < 0.5 && p.trusted(b) < 0.5 && len(all) < most {
			all = append(all, p.mask(b))
		}
	}
	return all
}

// mask is a box in pixels of MaskDPI.
func (p *page) mask(b mention.Box) imaging.Mask {
	columns, _ := wire.Page{Width: float32(p.width), Height: float32(p.height)}.Size(MaskDPI)
	s := float64(columns) / p.width
	x, y := int(b.X0*s), int(b.Y0*s)
	return imaging.Mask{Frame: p.number, X: x, Y: y, Width: max(int(math.Ceil(b.X1*s))-x, 1), Height: max(int(math.Ceil(b.Y1*s))-y, 1)}
}
