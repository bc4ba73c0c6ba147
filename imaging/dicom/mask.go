package dicom

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"

	"medvault/imaging"
	"medvault/imaging/pixel"
)

const maxMasks = 1000 // of one document

// maskPlan is what is to become of the pixels of a document. It is made before the
// first byte is written, because file meta and attributes speak of the result.
type maskPlan struct {
	rules   PixelRules
	signs   signs
	how     painting
	picture bool        // there is pixel data
	shape   pixel.Shape // of the original
	decoded pixel.Shape // of decoded frames
	word    int         // bytes that turn round together in native pixels
	syntax  string
	native  bool
	legible bool           // the pixels can be decoded here
	masks   []imaging.Mask // to paint
	palette uint64         // index of the darkest colour
	length  uint32         // of recoded pixel data

	reasons  []string       // what speaks against showing the picture
	suggest  []imaging.Mask // for the person who looks at it
	released bool           // a person has looked at it
	byPerson bool           // who wants these masks painted, so that they must be
}

// painting is how masks get into the pixels.
type painting byte

const (
	untouched painting = iota
	inPlace            // native: bytes are overwritten as they pass
	inFrames           // RLE: frames are decoded, painted and encoded again
	recoded            // JPEG: frames are decoded, painted and written native
)

// planPixels decides by the header alone. A release whose masks do not fit or cannot
// be painted is refused; rules that cannot be followed hold the document.
func (in *incoming) planPixels(rules PixelRules, release *imaging.Release) (*maskPlan, error) {
	s, h := in.split.Syntax, in.header
	p := &maskPlan{rules: rules, signs: signsOf(h, s, in.identity.SOPClass), syntax: s.UID, shape: shapeOf(h, s), word: 1}
	rule, reasons := rules.decide(p.signs)
	p.reasons = reasons
	p.picture = p.signs["pixels"][0] == "yes"
	regions, hasRegions := regionsOf(h, s.order(), p.shape.Rows, p.shape.Columns)
	if hasRegions {
		p.suggest = outside(regions, p.shape.Rows, p.shape.Columns)
		hasRegions = len(p.suggest) <= maxMasks
	}
	if !hasRegions {
		p.suggest = nil
	}
	switch {
	case rule.action == maskPicture && rule.outsideRegions && !hasRegions:
		p.reasons = append(p.reasons, "no-regions")
	case rule.action == maskPicture && rule.outsideRegions:
		p.masks = slices.Clip(p.suggest)
	case rule.action == maskPicture:
		p.masks, p.suggest = rule.masks, slices.Clip(rule.masks)
	}
	if !p.picture {
		p.suggest = nil
	}
	why := p.paintable(h, s)
	p.legible = why == ""
	if release != nil {
		p.released = len(release.Masks) > 0 || slices.Contains(release.Accept, heldForReview)
		p.byPerson = len(release.Masks) > 0
		if err := p.fits(release.Masks); err != nil {
			return nil, err
		}
		if p.byPerson && why != "" {
			return nil, maskImpossible(why)
		}
	}
	if len(p.masks) > 0 && (why != "" || p.fits(p.masks) != nil) {
		p.reasons = append(p.reasons, "mask-impossible")
		p.masks = nil
	}
	if release != nil {
		p.masks = append(slices.Clone(p.masks), release.Masks...)
	}
	if len(p.masks) == 0 {
		p.how = untouched
	}
	return p, nil
}

// learn adds what a later segment says of a picture that has not come yet.
func (p *maskPlan) learn(s *Segment, syntax Syntax) {
	for key, value := range signsOf(s, syntax, "") {
		if _, known := p.signs[key]; !known || key == "pixels" {
			p.signs[key] = value
		}
	}
}

// late decides once more, about a picture that lies behind another long value: what
// describes it was not in the header. It cannot be masked.
func (p *maskPlan) late() {
	rule, reasons := p.rules.decide(p.signs)
	if rule.action == maskPicture {
		reasons = append(reasons, "mask-impossible")
	}
	p.reasons = append(p.reasons, reasons...)
}

func maskImpossible(why string) *imaging.Refusal {
	return &imaging.Refusal{Code: "mask-impossible", Offset: -1,
		Advice: why + "; release the document without masks, or leave it withheld"}
}

// fits reports as a refusal what is wrong with masks.
func (p *maskPlan) fits(masks []imaging.Mask) error {
	bad := func(why string) error {
		return &imaging.Refusal{Code: "bad-mask", Offset: -1, Advice: why}
	}
	if len(masks) > maxMasks {
		return bad(fmt.Sprintf("a document takes at most %d masks", maxMasks))
	}
	for i, m := range masks {
		s := p.shape
		switch {
		case m.Frame < 0 || m.Frame > s.Frames:
			return bad(fmt.Sprintf("mask %d is for a frame that is not there", i+1))
		case m.Width < 1 || m.Height < 1:
			return bad(fmt.Sprintf("mask %d has no size", i+1))
		case m.X < 0 || m.Y < 0 || m.X > s.Columns-m.Width || m.Y > s.Rows-m.Height:
			return bad(fmt.Sprintf("mask %d lies outside of the image", i+1))
		}
	}
	return nil
}

// paintable finds out how masks can be painted; if not at all, it returns why.
func (p *maskPlan) paintable(h *Segment, s Syntax) (why string) {
	if !h.Bulk || !pixels(h.Elements[len(h.Elements)-1].Tag) {
		return "the document has no pixel data where it belongs"
	}
	e := &h.Elements[len(h.Elements)-1]
	p.shape.Float = e.Tag != tagPixelData
	if p.shape.Photometric == "PALETTE COLOR" {
		p.palette = darkest(h, s.order())
	}
	if e.Length != Undefined {
		return p.paintableInPlace(e, s)
	}
	as, err := pixel.Decodes(s.UID, p.shape)
	switch {
	case err != nil || s.BigEndian || e.Tag != tagPixelData:
		return "pixels of this transfer syntax cannot be decoded here"
	}
	p.decoded = as
	if s.UID == pixel.RLE {
		p.how = inFrames
		return ""
	}
	total := as.FrameBits() / 8 * int64(p.shape.Frames)
	if total > maxInflated {
		return "the decoded pixels are longer than 1 GiB"
	}
	p.how, p.length = recoded, uint32(total+total%2)
	return ""
}

func (p *maskPlan) paintableInPlace(e *Element, s Syntax) (why string) {
	if err := p.shape.Check(); err != nil {
		return "its attributes do not say how the pixels lie"
	}
	swapped := s.BigEndian || s.UID == bigEndianPixels
	if !s.native() && s.UID != bigEndianPixels {
		return "pixels of this transfer syntax cannot be decoded here"
	}
	switch {
	case swapped && p.shape.Allocated > 8:
		p.word = (p.shape.Allocated + 7) / 8
	case swapped && e.VR == OW:
		p.word = 2
	}
	frame := p.shape.FrameBits()
	if int64(p.shape.Frames) > math.MaxUint32*8/frame {
		return "its attributes do not say how the pixels lie"
	}
	if spare := int64(e.Length) - (int64(p.shape.Frames)*frame+7)/8; spare != 0 && spare != 1 {
		return "the pixel data is not as long as its attributes say"
	}
	p.how, p.native = inPlace, true
	return ""
}

// bigEndianPixels is GE's private syntax: little endian with pixels that are not.
const bigEndianPixels = "1.2.840.113619.5.2"

// shapeOf reads how the pixels lie.
func shapeOf(h *Segment, s Syntax) pixel.Shape {
	number := func(t Tag, otherwise int) int {
		if n, ok := h.number(t, s.order()); ok {
			return n
		}
		return otherwise
	}
	shape := pixel.Shape{
		Rows: number(0x0028_0010, 0), Columns: number(0x0028_0011, 0),
		Samples:     number(0x0028_0002, 1),
		Allocated:   number(0x0028_0100, 0),
		Signed:      number(0x0028_0103, 0) == 1,
		Photometric: h.text(0x0028_0004),
		Frames:      1,
	}
	shape.Stored = number(0x0028_0101, shape.Allocated)
	shape.High = number(0x0028_0102, shape.Stored-1)
	shape.Planar = shape.Samples > 1 && number(0x0028_0006, 0) == 1
	if n, err := strconv.ParseInt(h.text(0x0028_0008), 10, 32); err == nil && n > 0 {
		shape.Frames = int(n)
	}
	return shape
}

// darkest is the index of the darkest colour of a palette (PS3.3 C.7.6.3.1.5); the
// first one where the palette is not plain.
func darkest(h *Segment, order binary.ByteOrder) uint64 {
	var sums []int
	first := 0
	for i := range Tag(3) {
		descriptor, data := h.Find(0x0028_1101+i), h.Find(0x0028_1201+i)
		if descriptor == nil || data == nil || descriptor.Length != 6 || data.Flags&Bulk != 0 {
			return 0
		}
		d, colours := h.Bytes(descriptor), h.Bytes(data)
		count := int(order.Uint16(d))
		if count == 0 {
			count = 1 << 16
		}
		first = int(order.Uint16(d[2:]))
		wide := len(colours) >= 2*count
		if !wide && len(colours) < count {
			return 0
		}
		if sums == nil {
			sums = make([]int, count)
		}
		for k := range min(count, len(sums)) {
			if wide {
				sums[k] += int(order.Uint16(colours[2*k:]))
			} else {
				sums[k] += int(colours[k])
			}
		}
	}
	return uint64(first + slices.Index(sums, slices.Min(sums)))
}

// outside is the rectangles of an image that no region covers.
func outside(regions []imaging.Mask, rows, columns int) (rest []imaging.Mask) {
	if rows < 1 || columns < 1 {
		return nil
	}
	y := 0
	cover := func(x0, y0, x1, y1 int) {
		if x0 < x1 && y0 < y1 {
			rest = append(rest, imaging.Mask{X: x0, Y: y0, Width: x1 - x0, Height: y1 - y0})
		}
	}
	for _, b := range bands(regions) {
		cover(0, y, columns, b.from)
		x := 0
		for _, s := range b.spans {
			cover(x, b.from, s.from, b.to)
			x = s.to
		}
		cover(x, b.from, columns, b.to)
		y = b.to
	}
	cover(0, y, columns, rows)
	return rest
}

// band is rows that the same masks cross, from the first to before the last; spans are
// the columns they cover there, in order and apart.
type band struct {
	from, to int
	spans    []span
}

type span struct{ from, to int }

// bands cuts masks into bands, top down. Frames are not looked at.
func bands(masks []imaging.Mask) (out []band) {
	var edges []int
	for _, m := range masks {
		edges = append(edges, m.Y, m.Y+m.Height)
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	sorted := slices.Clone(masks)
	slices.SortFunc(sorted, func(a, b imaging.Mask) int { return a.X - b.X })
	for i := 1; i < len(edges); i++ {
		b := band{from: edges[i-1], to: edges[i]}
		for _, m := range sorted {
			if m.Y > b.from || m.Y+m.Height < b.to {
				continue
			}
			if n := len(b.spans); n > 0 && m.X <= b.spans[n-1].to {
				b.spans[n-1].to = max(b.spans[n-1].to, m.X+m.Width)
				continue
			}
			b.spans = append(b.spans, span{m.X, m.X + m.Width})
		}
		if len(b.spans) == 0 {
			continue
		}
		if n := len(out); n > 0 && out[n-1].to == b.from && slices.Equal(out[n-1].spans, b.spans) {
			out[n-1].to = b.to
			continue
		}
		out = append(out, b)
	}
	return out
}

// tell is what the rewriter has to know of the plan.
func (p *maskPlan) tell() picture {
	told := picture{leavesOut: p.leavesOut, syntax: p.contentSyntax, header: p.header, cleaned: p.unannotated()}
	if p.how == recoded {
		told.inserts = append(told.inserts, insert{0x0028_0004, CS, p.decoded.Photometric})
		if p.shape.Samples > 1 {
			told.inserts = append(told.inserts, insert{0x0028_0006, US, "\x00\x00"})
		}
	}
	if p.unannotated() {
		told.inserts = append(told.inserts, insert{0x0028_0301, CS, "NO"})
	}
	return told
}

// leavesOut reports whether a top-level element of the original is no longer true
// because of what becomes of the pixels: see tell; and an offset table of frames that
// are written anew.
func (p *maskPlan) leavesOut(t Tag) bool {
	switch t {
	case 0x0028_0301:
		return p.unannotated()
	case 0x0028_0004:
		return p.how == recoded
	case 0x0028_0006:
		return p.how == recoded && p.shape.Samples > 1
	case 0x7FE0_0001, 0x7FE0_0002, 0x7FE0_0003:
		return p.how == inFrames || p.how == recoded
	}
	return false
}

// unannotated reports whether nothing is burned in any more: it is painted over, or a
// person has looked and seen none.
func (p *maskPlan) unannotated() bool { return p.picture && (p.how != untouched || p.released) }

// header is VR and length that pixel data is written with.
func (p *maskPlan) header(vr VR, length uint32) (VR, uint32) {
	switch {
	case p.how == recoded && p.decoded.Allocated > 8:
		return OW, p.length
	case p.how == recoded:
		return OB, p.length
	}
	return vr, length
}

// contentSyntax is the syntax that the content is written in, given that of the
// original.
func (p *maskPlan) contentSyntax(s Syntax) Syntax {
	if p.how == recoded {
		s.UID = uidExplicitLE
	}
	return s
}

// picture sends the pixel data to the content, painted where the plan says so.
func (s *scrubbing) picture(e *Element) error {
	patch := s.patch
	if s.split.raw != nil {
		patch = nil // the script has the original whole
	}
	at := s.content.n
	if s.review.past = true; !s.plan.picture {
		s.plan.late()
	}
	switch s.plan.how {
	case inPlace:
		return s.frames.follow(s.split, e, at, &nativePainter{
			canvas: newCanvas(s.plan.shape, s.plan.word, s.plan.palette, s.plan.masks), content: s.content, patch: patch,
		})
	case inFrames, recoded:
		r := newRepainter(s.plan, s.content, s.patch)
		if err := s.frames.follow(s.split, e, at, r); err != nil {
			return err
		}
		if r.failed && s.plan.byPerson {
			return maskImpossible("a frame does not decode")
		}
		s.review.hold(r.failed, "frame-not-decoded")
		s.frames.recoded, s.frames.rewritten = s.plan.how == recoded, r.frames(at)
		return nil
	}
	err := s.frames.follow(s.split, e, at, s.content)
	if patch != nil {
		patch.Copy(s.frames.copied)
	}
	return err
}
