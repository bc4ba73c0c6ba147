package reports

import (
	"fmt"
	"strings"
)

// document is a PDF of one kind: catalog, pages, fonts.
type document struct {
	w       *writer
	f       *file
	fonts   *fonts
	root    int
	tree    int
	pages   []int
	catalog string // further entries
	trailer string
	extra   string // further resources of all pages
}

func (w *writer) begin(version string) *document {
	w.pdf = newFile(version)
	d := &document{w: w, f: w.pdf}
	d.root, d.tree = w.pdf.reserve(), w.pdf.reserve()
	d.fonts = newFonts(w.pdf)
	return d
}

// page adds a page with what a canvas holds.
func (d *document) page(c *canvas, entries string) int {
	content := d.f.stream("", c.Bytes(), true)
	return d.pageOf(content, entries)
}

func (d *document) pageOf(content int, entries string) int {
	n := d.f.reserve()
	d.f.put(n, d.pageBody(content, entries))
	d.pages = append(d.pages, n)
	return n
}

func (d *document) pageBody(content int, entries string) string {
	if !strings.Contains(entries, "/MediaBox") {
		entries += fmt.Sprintf(" /MediaBox [0 0 %.0f %.0f]", pageWidth, pageHeight)
	}
	return fmt.Sprintf("<< /Type /Page /Parent %d 0 R /Contents %d 0 R /Resources << %s %s >> %s >>", d.tree, content, d.fonts.resource(), d.extra, entries)
}

func (d *document) end() {
	var kids strings.Builder
	for _, n := range d.pages {
		fmt.Fprintf(&kids, "%d 0 R ", n)
	}
	d.f.put(d.tree, fmt.Sprintf("<< /Type /Pages /Kids [%s] /Count %d >>", kids.String(), len(d.pages)))
	d.f.put(d.root, fmt.Sprintf("<< /Type /Catalog /Pages %d 0 R %s >>", d.tree, d.catalog))
	d.fonts.write()
	d.f.end(fmt.Sprintf("/Root %d 0 R %s", d.root, d.trailer))
}

// body draws the whole report on a canvas and notes it in the key.
func (w *writer) body(c *canvas) float64 {
	all := w.lines()
	w.noteLines(all)
	return c.lines(all, margin, pageHeight-70, pageWidth-2*margin)
}

func (w *writer) noteLines(all []line) {
	for _, l := range all {
		for _, p := range l {
			w.note(p, max(w.page, 1))
		}
	}
}

// beside notes identifiers that stand beside the pages.
func (w *writer) beside(all []line) {
	for _, l := range all {
		for _, p := range l {
			w.note(p, 0)
		}
	}
}
