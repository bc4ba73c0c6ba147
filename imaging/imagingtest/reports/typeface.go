package reports

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// latinFont is drawn from wherever a page has Latin text.
var latinFont = sync.OnceValue(func() *sfnt.Font {
	f, err := sfnt.Parse(goregular.TTF)
	if err != nil {
		panic(err) // it is in the program
	}
	return f
})

// chineseFont is one of this machine's, nil where there is none.
var chineseFont = sync.OnceValue(func() *sfnt.Font {
	for _, path := range []string{"/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc"} {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		all, err := sfnt.ParseCollection(data)
		if err != nil {
			continue
		}
		for i := range all.NumFonts() {
			f, err := all.Font(i)
			if err != nil {
				continue
			}
			if name, err := f.Name(nil, sfnt.NameIDFamily); err == nil && strings.HasSuffix(name, " SC") {
				return f
			}
		}
	}
	return nil
})

func isHan(c rune) bool { return c >= 0x2E80 }

const em = 1000

// advance is how wide a character is, in thousandths of its size.
func advance(c rune) int {
	if isHan(c) {
		return em
	}
	var b sfnt.Buffer
	g, err := latinFont().GlyphIndex(&b, c)
	if err != nil {
		return em / 2
	}
	a, err := latinFont().GlyphAdvance(&b, g, fixed.I(em), font.HintingNone)
	if err != nil {
		return em / 2
	}
	return a.Round()
}

// width is how wide a text is at a size, in points.
func width(text string, size float64) float64 {
	n := 0
	for _, c := range text {
		n += advance(c)
	}
	return float64(n) * size / em
}

// fonts are the fonts of a document.
type fonts struct {
	f           *file
	unmapped    bool // no ToUnicode
	outlines    bool // Type3 instead of embedded
	latin       int  // object numbers
	han         int
	drawn       []rune // characters of the Type3 font, by code
	drawnAt     map[rune]byte
	usedLatin   map[rune]uint16
	widthsLatin map[uint16]int
}

func newFonts(f *file) *fonts {
	return &fonts{f: f, latin: f.reserve(), han: f.reserve(), drawnAt: map[rune]byte{}, usedLatin: map[rune]uint16{}, widthsLatin: map[uint16]int{}}
}

// resource is the entry of a resource dictionary.
func (t *fonts) resource() string {
	return fmt.Sprintf("/Font << /F1 %d 0 R /F2 %d 0 R >>", t.latin, t.han)
}

// codes gives the name of the font and the codes of a character.
func (t *fonts) codes(c rune) (name, hex string) {
	switch {
	case t.outlines:
		code, ok := t.drawnAt[c]
		if !ok {
			code = byte(len(t.drawn) + 33)
			t.drawnAt[c] = code
			t.drawn = append(t.drawn, c)
		}
		return "F1", fmt.Sprintf("%02X", code)
	case isHan(c):
		return "F2", fmt.Sprintf("%04X", c)
	}
	var b sfnt.Buffer
	g, err := latinFont().GlyphIndex(&b, c)
	if err != nil {
		panic(err) // the font has the letters of this package
	}
	t.usedLatin[c] = uint16(g)
	t.widthsLatin[uint16(g)] = advance(c)
	return "F1", fmt.Sprintf("%04X", uint16(g))
}

// write writes the fonts, when all text is drawn.
func (t *fonts) write() {
	if t.outlines {
		t.writeOutlines()
		t.f.put(t.han, "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
		return
	}
	f := t.f
	program := f.stream(fmt.Sprintf("/Length1 %d", len(goregular.TTF)), goregular.TTF, true)
	descriptor := f.add(fmt.Sprintf("<< /Type /FontDescriptor /FontName /ABCDEF+GoRegular /Flags 4 /FontBBox [-200 -300 1200 1000] /ItalicAngle 0 /Ascent 950 /Descent -220 /CapHeight 720 /StemV 80 /FontFile2 %d 0 R >>", program))
	var w strings.Builder
	for _, g := range slices.Sorted(maps.Keys(t.widthsLatin)) {
		fmt.Fprintf(&w, "%d [%d] ", g, t.widthsLatin[g])
	}
	cid := f.add(fmt.Sprintf("<< /Type /Font /Subtype /CIDFontType2 /BaseFont /ABCDEF+GoRegular /CIDSystemInfo << /Registry %s /Ordering %s /Supplement 0 >> /FontDescriptor %d 0 R /W [%s] /CIDToGIDMap /Identity >>",
		f.text("Adobe"), f.text("Identity"), descriptor, w.String()))
	mapped := ""
	if !t.unmapped {
		mapped = fmt.Sprintf(" /ToUnicode %d 0 R", f.stream("", t.toUnicode(), true))
	}
	f.put(t.latin, fmt.Sprintf("<< /Type /Font /Subtype /Type0 /BaseFont /ABCDEF+GoRegular /Encoding /Identity-H /DescendantFonts [%d 0 R]%s >>", cid, mapped))

	song := f.add(fmt.Sprintf("<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo << /Registry %s /Ordering %s /Supplement 4 >>"+
		" /FontDescriptor << /Type /FontDescriptor /FontName /STSong-Light /Flags 4 /FontBBox [-25 -254 1000 880] /ItalicAngle 0 /Ascent 880 /Descent -120 /CapHeight 880 /StemV 93 >> >>", f.text("Adobe"), f.text("GB1")))
	f.put(t.han, fmt.Sprintf("<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H /DescendantFonts [%d 0 R] >>", song))
}

func (t *fonts) toUnicode() []byte {
	var b bytes.Buffer
	b.WriteString("/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n1 begincodespacerange <0000> <FFFF> endcodespacerange\n")
	for _, c := range slices.Sorted(maps.Keys(t.usedLatin)) {
		fmt.Fprintf(&b, "1 beginbfchar <%04X> <%04X> endbfchar\n", t.usedLatin[c], c)
	}
	b.WriteString("endcmap CMapName currentdict /CMap defineresource pop end end\n")
	return b.Bytes()
}

// writeOutlines writes a Type3 font: each glyph is a drawing.
func (t *fonts) writeOutlines() {
	var procs, differences, widths strings.Builder
	for i, c := range t.drawn {
		n := t.f.stream("", outline(c), true)
		fmt.Fprintf(&procs, "/g%d %d 0 R ", i, n)
		fmt.Fprintf(&differences, "/g%d ", i)
		fmt.Fprintf(&widths, "%d ", advance(c))
	}
	t.f.put(t.latin, fmt.Sprintf("<< /Type /Font /Subtype /Type3 /FontBBox [0 -300 1200 1000] /FontMatrix [0.001 0 0 0.001 0 0] /CharProcs << %s>> /Encoding << /Type /Encoding /Differences [33 %s] >> /FirstChar 33 /LastChar %d /Widths [%s] /Resources << >> >>",
		procs.String(), differences.String(), 32+len(t.drawn), widths.String()))
}

// outline is a glyph as a drawing, 1000 units high.
func outline(c rune) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d 0 0 -300 1200 1000 d1\n", advance(c))
	f := latinFont()
	if isHan(c) {
		f = chineseFont()
	}
	var buffer sfnt.Buffer
	g, err := f.GlyphIndex(&buffer, c)
	if err != nil {
		panic(err) // the fonts have the characters of this package
	}
	segments, err := f.LoadGlyph(&buffer, g, fixed.I(em), nil)
	if err != nil {
		panic(err)
	}
	at := func(p fixed.Point26_6) (float64, float64) { return float64(p.X) / 64, -float64(p.Y) / 64 }
	var x, y float64
	open := false
	for _, s := range segments {
		switch s.Op {
		case sfnt.SegmentOpMoveTo:
			if open {
				b.WriteString("h\n")
			}
			open = true
			x, y = at(s.Args[0])
			fmt.Fprintf(&b, "%.1f %.1f m\n", x, y)
		case sfnt.SegmentOpLineTo:
			x, y = at(s.Args[0])
			fmt.Fprintf(&b, "%.1f %.1f l\n", x, y)
		case sfnt.SegmentOpQuadTo:
			qx, qy := at(s.Args[0])
			ex, ey := at(s.Args[1])
			fmt.Fprintf(&b, "%.1f %.1f %.1f %.1f %.1f %.1f c\n", x+2*(qx-x)/3, y+2*(qy-y)/3, ex+2*(qx-ex)/3, ey+2*(qy-ey)/3, ex, ey)
			x, y = ex, ey
		case sfnt.SegmentOpCubeTo:
			ax, ay := at(s.Args[0])
			bx, by := at(s.Args[1])
			x, y = at(s.Args[2])
			fmt.Fprintf(&b, "%.1f %.1f %.1f %.1f %.1f %.1f c\n", ax, ay, bx, by, x, y)
		}
	}
	b.WriteString("h f\n")
	return b.Bytes()
}
