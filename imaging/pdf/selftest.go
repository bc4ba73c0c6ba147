package pdf

import (
	"fmt"
	"strings"

	"medvault/imaging/pdf/wire"
)

// chinese is a page with one character, large, in a font that is not embedded.
func chinese() []byte {
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>",
		"<< /Length 36 >>\nstream\nBT /F 60 Tf 20 20 Td <4E2D> Tj ET   \nendstream",
		"<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H /DescendantFonts [6 0 R] >>",
		"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 4 >> /FontDescriptor 7 0 R >>",
		"<< /Type /FontDescriptor /FontName /STSong-Light /Flags 4 /FontBBox [-25 -254 1000 880] /ItalicAngle 0 /Ascent 880 /Descent -120 /CapHeight 880 /StemV 93 >>",
	}
	var b, table strings.Builder
	b.WriteString("%PDF-1.4\n")
	for i, o := range objects {
		fmt.Fprintf(&table, "%010d 00000 n \n", b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, &table, len(objects)+1, start)
	return []byte(b.String())
}

// inked reports that something was drawn, and that the character is what it is.
func inked(p wire.Page) bool {
	for _, c := range p.Chars {
		if c.Rune != '中' || len(p.Chars) > 3 {
			continue
		}
		dots := 0
		for i := 0; i < len(p.Pixels.Pix); i += 4 {
			if p.Pixels.Pix[i] < 128 {
				dots++
			}
		}
		return dots > 100
	}
	return false
}
