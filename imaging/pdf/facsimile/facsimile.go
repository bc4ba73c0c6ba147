// Package facsimile writes PDFs that are pictures of pages with the text they show, and
// nothing else, and checks that a file is such a one to the last byte.
//
//	1 catalog · 2 page tree · 3 font · 4 its glyphs, of which there are none ·
//	5 its descriptor · 6 what its codes mean ·
//	then for each page: page, content, picture · cross-reference table
//
// The text lies unseen over the picture in a font without glyphs: codes are UTF-16 code
// units, so that a search finds what is written. No fonts, no metadata, no names, no
// identifiers: two documents with the same pages are the same bytes.
package facsimile

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf16"
)

// Page is one page.
type Page struct {
	Width, Height float64 // points
	Picture       Picture
	Words         []Word
}

// Word is text that can be found and selected, in one piece, unseen.
type Word struct {
	Text  string
	X, Y  float64 // where its base line begins: points from the upper left corner
	Angle float64 // clockwise, in radians
	Size  float64 // of the letters, in points
	Width float64 // of the whole word along its line, in points
}

// Writer writes one document, page by page. It is not safe for concurrent use.
type Writer struct {
	out     io.Writer
	at      int64
	offsets []int64 // by object number
	pages   []int   // object numbers
	used    map[uint16]bool
	err     error
}

const (
	catalogObject = 1 + iota
	pagesObject
	fontObject
	glyphsObject
	descriptorObject
	meaningObject
	firstPage
)

const header = "%PDF-1.7\n%\xE2\xE3\xCF\xD3\n"

// NewWriter begins a document on w.
func NewWriter(w io.Writer) *Writer {
	d := &Writer{out: w, offsets: make([]int64, firstPage), used: map[uint16]bool{}}
	d.write([]byte(header))
	return d
}

// Add writes a page. The first error is kept and returned by Close.
func (d *Writer) Add(p Page) {
	page := len(d.offsets)
	d.pages = append(d.pages, page)
	d.object(page, fmt.Sprintf("<< /Type /Page /Parent %d 0 R /MediaBox [0 0 %s %s] /Resources << /XObject << /I %d 0 R >> /Font << /F %d 0 R >> >> /Contents %d 0 R >>",
		pagesObject, number(p.Width), number(p.Height), page+2, fontObject, page+1), nil)
	d.object(page+1, "", deflate(d.content(p)))
	dict, data, err := p.Picture.encode()
	if err != nil && d.err == nil {
		d.err = err
	}
	d.object(page+2, dict, data)
}

// Close writes what binds the pages together.
func (d *Writer) Close() error {
	if len(d.pages) == 0 {
		return errors.New("write facsimile: no pages")
	}
	d.object(catalogObject, fmt.Sprintf("<< /Type /Catalog /Pages %d 0 R >>", pagesObject), nil)
	var kids strings.Builder
	for i, p := range d.pages {
		if i > 0 {
			kids.WriteByte(' ')
		}
		fmt.Fprintf(&kids, "%d 0 R", p)
	}
	d.object(pagesObject, fmt.Sprintf("<< /Type /Pages /Kids [%s] /Count %d >>", &kids, len(d.pages)), nil)
	d.object(fontObject, fontDict, nil)
	d.object(glyphsObject, glyphsDict, nil)
	d.object(descriptorObject, descriptorDict, nil)
	d.object(meaningObject, "", deflate(d.meaning()))
	start := d.at
	var table strings.Builder
	fmt.Fprintf(&table, "xref\n0 %d\n0000000000 65535 f \n", len(d.offsets))
	for _, at := range d.offsets[1:] {
		fmt.Fprintf(&table, "%010d 00000 n \n", at)
	}
	fmt.Fprintf(&table, "trailer\n<< /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(d.offsets), catalogObject, start)
	d.write([]byte(table.String()))
	return d.err
}

var (
	fontDict   = fmt.Sprintf("<< /Type /Font /Subtype /Type0 /BaseFont /Unseen /Encoding /Identity-H /DescendantFonts [%d 0 R] /ToUnicode %d 0 R >>", glyphsObject, meaningObject)
	glyphsDict = fmt.Sprintf("<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Unseen /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /FontDescriptor %d 0 R /CIDToGIDMap /Identity /DW 1000 >>", descriptorObject)
)

const descriptorDict = "<< /Type /FontDescriptor /FontName /Unseen /Flags 4 /FontBBox [0 -200 1000 800] /ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 700 /StemV 80 >>"

// content draws the picture over the whole page and lays the words over it.
func (d *Writer) content(p Page) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "q %s 0 0 %s 0 0 cm /I Do Q\nBT 3 Tr\n", number(p.Width), number(p.Height))
	for _, w := range p.Words {
		units := utf16.Encode([]rune(w.Text))
		if len(units) == 0 || w.Size < 0.1 || w.Width <= 0 {
			continue
		}
		sin, cos := math.Sincos(-w.Angle) // up the page is up here
		fmt.Fprintf(&b, "/F %s Tf %s Tz %s %s %s %s %s %s Tm <", number(w.Size), number(min(100*w.Width/(w.Size*float64(len(units))), 9999)),
			number(cos), number(sin), number(-sin), number(cos), number(w.X), number(p.Height-w.Y))
		for _, u := range units {
			fmt.Fprintf(&b, "%04X", u)
			d.used[u] = true
		}
		b.WriteString("> Tj\n")
	}
	b.WriteString("ET\n")
	return b.Bytes()
}

// meaning says which character each code is: itself.
func (d *Writer) meaning() []byte {
	codes := make([]uint16, 0, len(d.used))
	for u := range d.used {
		codes = append(codes, u)
	}
	slices.Sort(codes) // the order in which they were used tells nothing
	var b bytes.Buffer
	b.WriteString(meaningHead)
	for part := range slices.Chunk(codes, 100) {
		fmt.Fprintf(&b, "%d beginbfchar\n", len(part))
		for _, u := range part {
			fmt.Fprintf(&b, "<%04X> <%04X>\n", u, u)
		}
		b.WriteString("endbfchar\n")
	}
	b.WriteString(meaningTail)
	return b.Bytes()
}

const (
	meaningHead = "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CMapType 2 def\n1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
	meaningTail = "endcmap\nend\nend\n"
)

// object writes one object. Without entries of its own a stream is compressed text.
func (d *Writer) object(n int, dict string, stream []byte) {
	for len(d.offsets) <= n {
		d.offsets = append(d.offsets, 0)
	}
	d.offsets[n] = d.at
	switch {
	case stream == nil:
		d.write(fmt.Appendf(nil, "%d 0 obj\n%s\nendobj\n", n, dict))
		return
	case dict == "":
		dict = fmt.Sprintf("<< /Filter /FlateDecode /Length %d >>", len(stream))
	}
	d.write(fmt.Appendf(nil, "%d 0 obj\n%s\nstream\n", n, dict))
	d.write(stream)
	d.write([]byte("\nendstream\nendobj\n"))
}

func (d *Writer) write(p []byte) {
	if d.err == nil {
		_, d.err = d.out.Write(p)
	}
	d.at += int64(len(p))
}

func deflate(p []byte) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, err := z.Write(p)
	if err = errors.Join(err, z.Close()); err != nil {
		panic(err) // memory does not fail to be written to
	}
	return b.Bytes()
}

// number is written with as many digits as matter.
func number(f float64) string {
	if math.IsNaN(f) || math.Abs(f) > 1e6 {
		f = 0
	}
	s := strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.4f", f), "0"), ".")
	if s == "-0" || s == "" {
		return "0"
	}
	return s
}
