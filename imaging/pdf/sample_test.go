package pdf_test

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"strings"
)

// file is a PDF made by hand: objects from 1, of which the first is the catalog.
type file struct{ objects []string }

// sheet is a file of one page: its content, and what else its dictionary and resources
// say. Further objects begin at 5; /F1 is Helvetica.
func sheet(content, page, resources string, further ...string) []byte {
	f := file{objects: []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R " + page +
			" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >> >> " + resources + " >> >>",
		stream("", []byte(content)),
	}}
	f.objects = append(f.objects, further...)
	return f.bytes("")
}

// stream is a compressed one.
func stream(entries string, data []byte) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(data)
	z.Close()
	return fmt.Sprintf("<< %s /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream", entries, b.Len(), &b)
}

func (f file) bytes(trailer string) []byte {
	var b, table strings.Builder
	b.WriteString("%PDF-1.7\n")
	for i, o := range f.objects {
		fmt.Fprintf(&table, "%010d 00000 n \n", b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n", len(f.objects)+1, &table, len(f.objects)+1, trailer, start)
	return []byte(b.String())
}

// lines is a content with a line of text each.
func lines(all ...string) string {
	var b strings.Builder
	b.WriteString("BT /F1 11 Tf 60 780 Td\n")
	for _, l := range all {
		fmt.Fprintf(&b, "(%s) Tj 0 -20 Td\n", strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(l))
	}
	b.WriteString("ET\n")
	return b.String()
}
