package facsimile

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// ErrOther is returned for a file that Writer would not have written.
var ErrOther = errors.New("check facsimile: the file is not what a writer of facsimiles writes")

// Contents are what a facsimile holds beside its pictures.
type Contents struct {
	Pages   []string // the text of each page, a line for each word
	Streams [][]byte // every stream of text, as it is behind its compression
}

const maxStream = 64 << 20 // of text, or of the pixels of a page

var (
	pageShape    = regexp.MustCompile(`\A<< /Type /Page /Parent 2 0 R /MediaBox \[0 0 [0-9.]+ [0-9.]+\] /Resources << /XObject << /I (\d+) 0 R >> /Font << /F 3 0 R >> >> /Contents (\d+) 0 R >>\z`)
	textShape    = regexp.MustCompile(`\A<< /Filter /FlateDecode /Length (\d+) >>\z`)
	pictureShape = regexp.MustCompile(`\A<< /Type /XObject /Subtype /Image /Width (\d+) /Height (\d+) /ColorSpace (/DeviceGray|/DeviceRGB|\[/Indexed /DeviceRGB 215 <[0-9A-F]+>\]) /BitsPerComponent ([48]) /Filter (/FlateDecode|/DCTDecode) /Length (\d+) >>\z`)
	headShape    = regexp.MustCompile(`\Aq [0-9.]+ 0 0 [0-9.]+ 0 0 cm /I Do Q\nBT 3 Tr\n\z`)
	wordShape    = regexp.MustCompile(`\A/F [0-9.]+ Tf [0-9.]+ Tz(?: -?[0-9.]+){6} Tm <((?:[0-9A-F]{4})+)> Tj\n\z`)
	codesShape   = regexp.MustCompile(`\A(?:\d+ beginbfchar\n(?:<[0-9A-F]{4}> <[0-9A-F]{4}>\n)+endbfchar\n)*\z`)
)

// Check reads a whole file, and takes only what Writer writes: every object is of a known
// kind, in its place, with the entries of its kind and no other, and between them lies
// nothing. It does without any other reader of PDFs.
func Check(file []byte) (Contents, error) {
	c := &checker{rest: file}
	c.literal(header)
	var found Contents
	for n := firstPage; !c.at(fmt.Sprintf("%d 0 obj\n<< /Type /Catalog", catalogObject)) && c.ok(); n += 3 {
		c.page(n, &found)
	}
	c.tail(len(found.Pages), &found)
	if c.bad || len(found.Pages) == 0 {
		return Contents{}, ErrOther
	}
	return found, nil
}

type checker struct {
	rest    []byte
	read    int64
	offsets []int64 // in the order of the file
	numbers []int
	bad     bool
}

func (c *checker) ok() bool { return !c.bad && len(c.rest) > 0 }

func (c *checker) at(s string) bool { return bytes.HasPrefix(c.rest, []byte(s)) }

func (c *checker) literal(s string) {
	if !c.at(s) {
		c.bad = true
		return
	}
	c.take(len(s))
}

func (c *checker) take(n int) []byte {
	if n < 0 || n > len(c.rest) {
		c.bad = true
		return nil
	}
	p := c.rest[:n]
	c.rest, c.read = c.rest[n:], c.read+int64(n)
	return p
}

// line takes one line, without its end.
func (c *checker) line() string {
	i := bytes.IndexByte(c.rest, '\n')
	if i < 0 || i > 1<<20 {
		c.bad = true
		return ""
	}
	return string(c.take(i + 1)[:i])
}

// begin takes the first line of an object.
func (c *checker) begin(n int) {
	c.offsets, c.numbers = append(c.offsets, c.read), append(c.numbers, n)
	c.literal(fmt.Sprintf("%d 0 obj\n", n))
}

func (c *checker) dict(n int, shape *regexp.Regexp) []string {
	c.begin(n)
	m := shape.FindStringSubmatch(c.line())
	if m == nil {
		c.bad = true
		return make([]string, shape.NumSubexp()+1)
	}
	return m
}

func (c *checker) fixed(n int, dict string) {
	c.begin(n)
	c.literal(dict + "\nendobj\n")
}

func (c *checker) stream(length string) []byte {
	c.literal("stream\n")
	p := c.take(c.number(length))
	c.literal("\nendstream\nendobj\n")
	return p
}

func (c *checker) number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || s != strconv.Itoa(n) {
		c.bad = true
		return 0
	}
	return n
}

// page takes the three objects of a page.
func (c *checker) page(n int, found *Contents) {
	m := c.dict(n, pageShape)
	c.literal("endobj\n")
	if c.number(m[1]) != n+2 || c.number(m[2]) != n+1 {
		c.bad = true
	}
	text := c.inflate(c.stream(c.dict(n+1, textShape)[1]), maxStream)
	found.Streams = append(found.Streams, text)
	found.Pages = append(found.Pages, c.words(text))
	p := c.dict(n+2, pictureShape)
	c.picture(c.number(p[1]), c.number(p[2]), p[3], p[4], p[5], c.stream(p[6]))
}

// words reads the text of a page out of its content.
func (c *checker) words(content []byte) string {
	lines := slices.Collect(bytes.Lines(content))
	if len(lines) < 3 || !headShape.Match(slices.Concat(lines[0], lines[1])) || string(lines[len(lines)-1]) != "ET\n" {
		c.bad = true
		return ""
	}
	var b strings.Builder
	for _, line := range lines[2 : len(lines)-1] {
		m := wordShape.FindSubmatch(line)
		if m == nil {
			c.bad = true
			return ""
		}
		units := make([]uint16, 0, len(m[1])/4)
		for i := 0; i < len(m[1]); i += 4 {
			u, err := strconv.ParseUint(string(m[1][i:i+4]), 16, 16)
			c.bad = c.bad || err != nil
			units = append(units, uint16(u))
		}
		b.WriteString(string(utf16.Decode(units)))
		b.WriteByte('\n')
	}
	return b.String()
}

// picture holds as many pixels as it says and nothing behind them.
func (c *checker) picture(w, h int, space, bits, filter string, data []byte) {
	if c.bad || w < 1 || h < 1 || w > 1<<16 || h > 1<<16 || w*h > maxStream {
		c.bad = true
		return
	}
	switch {
	case filter == "/DCTDecode" && bits == "8" && (space == "/DeviceGray" || space == "/DeviceRGB"):
		config, err := jpeg.DecodeConfig(bytes.NewReader(data))
		c.bad = c.bad || err != nil || config.Width != w || config.Height != h || !plainJPEG(data)
	case filter == "/FlateDecode" && bits == "4" && space == "/DeviceGray":
		c.bad = c.bad || len(c.inflate(data, (w+1)/2*h)) != (w+1)/2*h
	case filter == "/FlateDecode" && bits == "8" && space == paletteSpace:
		c.bad = c.bad || len(c.inflate(data, w*h)) != w*h
	default:
		c.bad = true
	}
}

// plainJPEG reports that there is nothing in a JPEG but a picture: no comments, no
// application data, nothing behind the end.
func plainJPEG(p []byte) bool {
	if len(p) < 4 || p[0] != 0xFF || p[1] != 0xD8 || p[len(p)-2] != 0xFF || p[len(p)-1] != 0xD9 {
		return false
	}
	const tables, frame, huffman, scan = 0xDB, 0xC0, 0xC4, 0xDA
	for p = p[2:]; len(p) > 4 && p[0] == 0xFF; {
		n := int(p[2])<<8 | int(p[3])
		if p[1] == scan {
			return n >= 2 && 2+n < len(p) && endsOnce(p[2+n:])
		}
		if p[1] != tables && p[1] != frame && p[1] != huffman || n < 2 || 2+n > len(p) {
			return false
		}
		p = p[2+n:]
	}
	return false
}

// endsOnce reports that the coded data has no marker but the last.
func endsOnce(p []byte) bool {
	for i := 0; i+1 < len(p); i++ {
		if p[i] == 0xFF && p[i+1] != 0 {
			return i+2 == len(p)
		}
	}
	return false
}

// inflate returns at most so many bytes; more, or anything behind the compressed data,
// is bad.
func (c *checker) inflate(p []byte, most int) []byte {
	if c.bad {
		return nil
	}
	in := bytes.NewReader(p)
	z, err := zlib.NewReader(in)
	if err != nil {
		c.bad = true
		return nil
	}
	out, err := io.ReadAll(io.LimitReader(z, int64(most)+1))
	if err != nil || len(out) > most || in.Len() > 0 {
		c.bad = true
		return nil
	}
	return out
}

// tail takes what binds the pages together.
func (c *checker) tail(pages int, found *Contents) {
	var kids []string
	for i := range pages {
		kids = append(kids, fmt.Sprintf("%d 0 R", firstPage+3*i))
	}
	c.fixed(catalogObject, fmt.Sprintf("<< /Type /Catalog /Pages %d 0 R >>", pagesObject))
	c.fixed(pagesObject, fmt.Sprintf("<< /Type /Pages /Kids [%s] /Count %d >>", strings.Join(kids, " "), pages))
	c.fixed(fontObject, fontDict)
	c.fixed(glyphsObject, glyphsDict)
	c.fixed(descriptorObject, descriptorDict)
	meaning := c.inflate(c.stream(c.dict(meaningObject, textShape)[1]), maxStream)
	inner, ok := bytes.CutPrefix(meaning, []byte(meaningHead))
	inner, cut := bytes.CutSuffix(inner, []byte(meaningTail))
	if !ok || !cut || !codesShape.Match(inner) {
		c.bad = true
	}
	found.Streams = append(found.Streams, meaning)
	start := c.read
	c.literal(fmt.Sprintf("xref\n0 %d\n0000000000 65535 f \n", len(c.offsets)+1))
	byNumber := make([]int64, len(c.offsets)+1)
	for i, n := range c.numbers {
		if n > len(c.offsets) {
			c.bad = true
			return
		}
		byNumber[n] = c.offsets[i]
	}
	for _, at := range byNumber[1:] {
		c.literal(fmt.Sprintf("%010d 00000 n \n", at))
	}
	c.literal(fmt.Sprintf("trailer\n<< /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(c.offsets)+1, catalogObject, start))
	if len(c.rest) > 0 {
		c.bad = true
	}
}
