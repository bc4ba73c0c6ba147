package reports

import (
	"fmt"
	"strings"
)

// family is a way to write a report.
type family struct {
	name      string
	scan      string // quality of the pixels, where there are only pixels
	needsFont bool   // Chinese is drawn by this package
	write     func(*writer)
}

func families() []family {
	all := []family{
		{name: "plain", write: drawn(plainly)},
		{name: "kerned", write: drawn(kerned)},
		{name: "glyph-by-glyph", write: drawn(singly)},
		{name: "drawn-twice", write: drawn(twice)},
		{name: "actual-text", write: drawn(lying)},
		{name: "content-shuffled", write: shuffled},
		{name: "two-columns", write: columns},
		{name: "two-pages", write: twoPages},
		{name: "table", write: table},
		{name: "rotated-page", write: rotatedPage},
		{name: "rotated-text", write: rotatedText},
		{name: "vertical-text", write: verticalText},
		{name: "cropped", write: cropped},
		{name: "invisible", write: invisible},
		{name: "tiny-and-white", write: tiny},
		{name: "hidden-layer", write: hiddenLayer},
		{name: "form-xobject", write: formXObject},
		{name: "acroform", write: acroForm},
		{name: "annotations", write: annotations},
		{name: "attachment", write: attachment},
		{name: "xmp-and-info", write: metadata},
		{name: "outlines-and-script", write: outlines},
		{name: "revisions", write: revisions},
		{name: "object-streams", write: objectStreams},
		{name: "owner-encrypted", write: ownerEncrypted},
		{name: "type3", needsFont: true, write: type3},
		{name: "no-tounicode", write: noToUnicode},
		{name: "qr-code", write: qrCode},
		{name: "barcode", write: barcode},
	}
	for _, q := range qualities() {
		all = append(all, family{name: "scan-" + q.name, scan: q.name, needsFont: true, write: func(w *writer) { w.scanned(q) }})
	}
	return all
}

// drawn is the plain report with its texts shown in some way.
func drawn(how func(c *canvas, p part, x, y, size float64)) func(*writer) {
	return func(w *writer) {
		d := w.begin("1.7")
		c := newCanvas(d.fonts)
		c.draw = how
		w.body(c)
		d.page(c, "")
		d.end()
	}
}

// kerned moves between all characters, and parts strings within words.
func kerned(c *canvas, p part, x, y, size float64) {
	for _, r := range c.runs(p.text) {
		fmt.Fprintf(c, "BT /%s %.2f Tf 1 0 0 1 %.2f %.2f Tm [", r.font, size, x, y)
		for i := 0; i+4 <= len(r.hex); i += 4 {
			fmt.Fprintf(c, "<%s> %d ", r.hex[i:i+4], 12-i%40)
		}
		c.WriteString("] TJ ET\n")
		x += width(r.text, size)
	}
}

// singly shows each character for itself, the last one first.
func singly(c *canvas, p part, x, y, size float64) {
	type placed struct {
		r rune
		x float64
	}
	var all []placed
	for _, r := range p.text {
		all = append(all, placed{r, x})
		x += width(string(r), size)
	}
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].r != ' ' {
			c.show(string(all[i].r), all[i].x, y, size)
		}
	}
}

// twice draws everything a second time beside itself, as for bold type.
func twice(c *canvas, p part, x, y, size float64) {
	c.show(p.text, x, y, size)
	if p.kind != "" {
		c.show(p.text, x+0.3, y, size)
	}
}

// lying says that an identifier is another text.
func lying(c *canvas, p part, x, y, size float64) {
	if p.kind == "" {
		c.show(p.text, x, y, size)
		return
	}
	c.WriteString("/Span << /ActualText (nothing here) /Alt (a picture) >> BDC\n")
	c.show(p.text, x, y, size)
	c.WriteString("EMC\n")
}

// shuffled draws the texts of a page in another order than they are read.
func shuffled(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	var later []func()
	c.draw = func(c *canvas, p part, x, y, size float64) {
		at := x
		for _, word := range pieces(p.text) {
			here := at
			later = append(later, func() { c.show(word, here, y, size) })
			at += width(word, size)
		}
	}
	w.body(c)
	w.r.Shuffle(len(later), func(i, j int) { later[i], later[j] = later[j], later[i] })
	for _, show := range later {
		show()
	}
	d.page(c, "")
	d.end()
}

// columns sets the report in two columns, whose lines the content takes in turns.
func columns(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	all := w.lines()
	w.noteLines(all)
	const columnWidth = 235.0
	var sides [2][]string
	for i, half := range [][]line{all[:8], all[8:]} {
		side := newCanvas(d.fonts)
		side.draw = func(c *canvas, p part, x, y, size float64) {
			before := c.Len()
			c.show(p.text, x, y, size)
			sides[i] = append(sides[i], string(c.Bytes()[before:]))
		}
		side.lines(append([]line{{{text: "", mute: true}}}, half...), margin+float64(i)*(columnWidth+30), pageHeight-70, columnWidth)
	}
	for i := range max(len(sides[0]), len(sides[1])) {
		for _, side := range sides {
			if i < len(side) {
				c.WriteString(side[i])
			}
		}
	}
	d.page(c, "")
	d.end()
}

func twoPages(w *writer) {
	d := w.begin("1.7")
	all := w.lines()
	for i, half := range [][]line{all[:8], all[8:]} {
		w.page = i + 1
		c := newCanvas(d.fonts)
		w.noteLines(half)
		c.lines(append([]line{{{text: "", mute: true}}}, half...), margin, pageHeight-70, pageWidth-2*margin)
		d.page(c, "")
	}
	d.end()
}

// table sets labels and values in cells of their own, ruled.
func table(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	all := w.lines()
	w.noteLines(all)
	y := pageHeight - 70
	for _, l := range all[:7] {
		x := margin
		for _, p := range l {
			c.draw(c, p, x+3, y, textSize)
			wide := max(width(p.text, textSize)+24, 70)
			fmt.Fprintf(c, "0.5 w %.1f %.1f %.1f %.1f re S\n", x, y-5, wide, 16.0)
			x += wide
		}
		y -= 16
	}
	c.lines(append([]line{{{text: "", mute: true}}}, all[7:]...), margin, y-20, pageWidth-2*margin)
	d.page(c, "")
	d.end()
}

func rotatedPage(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	w.body(c)
	d.page(c, fmt.Sprintf("/Rotate %d", pick(w.r, []int{90, 180, 270})))
	d.end()
}

// rotatedText writes identifiers along the edge and across the page.
func rotatedText(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	w.body(c)
	for i, l := range w.identifiers() {
		done := c.turned([]float64{90, -90, 45, 180}[i], []float64{30, 570, 200, 500}[i], []float64{300, 500, 60, 40}[i])
		c.lines([]line{{}, l}, 0, lineHeight, 400)
		done()
		w.noteLines([]line{l})
	}
	d.page(c, "")
	d.end()
}

// verticalText writes identifiers from top to bottom.
func verticalText(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	w.body(c)
	for i, l := range w.identifiers() {
		y := 330.0
		for _, r := range l.String() {
			if r != ' ' {
				c.show(string(r), 100+float64(i)*100, y, textSize)
			}
			y -= 12
		}
		w.noteLines([]line{l})
	}
	d.page(c, "")
	d.end()
}

// cropped has identifiers outside what is shown.
func cropped(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	w.body(c)
	c.lines(append([]line{{}}, w.identifiers()...), 620, 400, 400)
	w.noteLines(w.identifiers())
	d.page(c, "/MediaBox [0 0 1000 900] /CropBox [20 20 595 842]")
	d.end()
}

// invisible has identifiers in text rendering mode 3, and clipped away.
func invisible(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	w.body(c)
	c.WriteString("q 3 Tr\n")
	c.lines(append([]line{{}}, w.identifiers()...), 300, 250, 400)
	c.WriteString("Q q 0 0 1 1 re W n\n")
	c.lines(append([]line{{}}, w.identifiers()...), 100, 250, 400)
	c.WriteString("Q\n")
	w.noteLines(w.identifiers())
	d.page(c, "")
	d.end()
}

// tiny has identifiers in white, in less than a point, and under a rectangle.
func tiny(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	w.body(c)
	ids := w.identifiers()
	c.WriteString("q 1 1 1 rg\n")
	c.lines([]line{{}, ids[0]}, 300, 250, 400)
	c.WriteString("Q\n")
	c.show(ids[1].String(), 300, 200, 0.4)
	c.lines([]line{{}, ids[2], ids[3]}, 300, 180, 400)
	c.WriteString("q 0.9 g 290 100 200 80 re f Q\n")
	w.noteLines(ids)
	d.page(c, "")
	d.end()
}

// hiddenLayer has identifiers in optional content that is off.
func hiddenLayer(w *writer) {
	d := w.begin("1.7")
	name := w.person.family + " " + w.person.given
	layer := d.f.add(fmt.Sprintf("<< /Type /OCG /Name %s >>", d.f.text("Layer of "+name)))
	d.catalog = fmt.Sprintf("/OCProperties << /OCGs [%d 0 R] /D << /OFF [%d 0 R] /Order [%d 0 R] >> >>", layer, layer, layer)
	d.extra = fmt.Sprintf("/Properties << /MC0 %d 0 R >>", layer)
	c := newCanvas(d.fonts)
	w.body(c)
	c.WriteString("/OC /MC0 BDC\n")
	c.lines(append([]line{{}}, w.identifiers()...), 300, 250, 400)
	c.WriteString("EMC\n")
	w.noteLines(w.identifiers())
	w.beside([]line{{plant("name", name)}})
	d.page(c, "")
	d.end()
}

// formXObject draws the page from two forms within each other.
func formXObject(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	w.body(c)
	inner := d.f.stream(fmt.Sprintf("/Type /XObject /Subtype /Form /BBox [0 0 600 850] /Resources << %s >>", d.fonts.resource()), c.Bytes(), true)
	outer := d.f.stream(fmt.Sprintf("/Type /XObject /Subtype /Form /BBox [0 0 600 850] /Matrix [1 0 0 1 2 -3] /Resources << /XObject << /X0 %d 0 R >> >>", inner), []byte("q /X0 Do Q"), true)
	d.extra = fmt.Sprintf("/XObject << /X0 %d 0 R >>", outer)
	d.pageOf(d.f.stream("", []byte("q /X0 Do Q"), true), "")
	d.end()
}

// type3 draws all text with a font that is drawings without meaning.
func type3(w *writer) {
	d := w.begin("1.7")
	d.fonts.outlines = true
	c := newCanvas(d.fonts)
	// A font of this kind has no more than 256 characters.
	all := w.lines()
	if w.chinese {
		all = append(all[:8:8], all[9:]...)
	}
	w.noteLines(all)
	c.lines(all, margin, pageHeight-70, pageWidth-2*margin)
	d.page(c, "")
	d.end()
}

func noToUnicode(w *writer) {
	d := w.begin("1.7")
	d.fonts.unmapped = true
	c := newCanvas(d.fonts)
	w.body(c)
	d.page(c, "")
	d.end()
}

// objectStreams packs all but streams, with a cross-reference stream.
func objectStreams(w *writer) {
	d := w.begin("1.5")
	d.f.pack = true
	info := d.f.add(fmt.Sprintf("<< /Title %s >>", d.f.text(w.title())))
	d.trailer = fmt.Sprintf("/Info %d 0 R", info)
	c := newCanvas(d.fonts)
	w.body(c)
	d.page(c, "")
	d.end()
}

// title is what a careless program writes into the document information.
func (w *writer) title() string {
	p := w.person
	name := p.given + " " + p.family
	if w.chinese {
		name = p.script
	}
	w.beside([]line{{plant("name", name)}, {plant("id", p.mrn)}})
	return fmt.Sprintf("Report of %s (%s)", name, p.mrn)
}

// revisions has the identifiers in a revision that a later one replaced.
func revisions(w *writer) {
	d := w.begin("1.7")
	c := newCanvas(d.fonts)
	c.lines(append([]line{{}}, w.identifiers()...), margin, 700, 400)
	w.beside(w.identifiers())
	old := d.f.stream("", c.Bytes(), w.r.IntN(2) == 0)
	page := d.pageOf(old, "")
	final := newCanvas(d.fonts)
	w.body(final)
	d.end()
	d.f.put(page, d.pageBody(d.f.stream("", final.Bytes(), true), ""))
	d.f.end(fmt.Sprintf("/Root %d 0 R", d.root))
}

func ownerEncrypted(w *writer) {
	d := w.begin("2.0")
	w.seal(d)
	info := d.f.add(fmt.Sprintf("<< /Title %s >>", d.f.text(w.title())))
	d.trailer += fmt.Sprintf(" /Info %d 0 R", info)
	c := newCanvas(d.fonts)
	w.body(c)
	d.page(c, "")
	d.end()
}

func xml(s string) string { return strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(s) }
