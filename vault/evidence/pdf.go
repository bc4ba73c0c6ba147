package evidence

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// A page of the PDF is A4, in points.
const (
	pageWidth  = 595
	pageHeight = 842
	margin     = 40
	leading    = 11
	perPage    = (pageHeight - 2*margin) / leading
	perLine    = 103 // characters of 5 points: Courier at 8.3 points
)

// WritePDF writes the report as a PDF 1.4 of plain text in Courier, which every reader has
// built in. Characters beyond Latin-1 are shown as "?": the JSON and the page have them.
func (r Report) WritePDF(w io.Writer) error {
	lines := r.text()
	var pages [][]string
	for len(lines) > 0 {
		n := min(perPage, len(lines))
		pages = append(pages, lines[:n])
		lines = lines[n:]
	}
	var out pdfFile
	out.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	var kids strings.Builder
	for n := range pages {
		fmt.Fprintf(&kids, "%d 0 R ", 4+2*n)
	}
	out.object(1, "<< /Type /Catalog /Pages 2 0 R >>")
	out.object(2, fmt.Sprintf("<< /Type /Pages /Kids [ %s] /Count %d >>", kids.String(), len(pages)))
	out.object(3, "<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>")
	for n, page := range pages {
		out.object(4+2*n, fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Resources << /Font << /F 3 0 R >> >> /Contents %d 0 R >>", pageWidth, pageHeight, 5+2*n))
		var content strings.Builder
		fmt.Fprintf(&content, "BT /F 8.3 Tf %d TL %d %d Td\n", leading, margin, pageHeight-margin)
		for _, line := range page {
			fmt.Fprintf(&content, "(%s) Tj T*\n", latin(line))
		}
		content.WriteString("ET")
		out.object(5+2*n, fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", content.Len(), content.String()))
	}
	out.end()
	_, err := w.Write(out.Bytes())
	return err
}

// text is the report in lines that fit.
func (r Report) text() []string {
	lines := []string{"EVIDENCE " + r.Quarter, ""}
	add := func(indent, text string) {
		for _, part := range wrap(text, perLine-len(indent)) {
			lines = append(lines, indent+part)
		}
	}
	for _, h := range r.heading() {
		add("", h)
	}
	for _, s := range r.Sections {
		lines = append(lines, "")
		add("", strings.ToUpper(s.Title)+"  (promises "+s.Promises+")")
		for _, l := range s.Lines {
			mark := "  "
			if l.Alert {
				mark = "! "
			}
			add(mark, l.What+": "+l.Value)
			add("      ", "< "+l.Source)
		}
	}
	lines = append(lines, "", "SIGNATURE over the JSON of this report, under the key of the log:")
	for line := range strings.Lines(r.Signed) {
		add("  ", strings.TrimRight(line, "\n"))
	}
	return lines
}

// wrap cuts text into parts of at most width characters, between words where it can.
func wrap(text string, width int) (parts []string) {
	rest := []rune(text)
	for len(rest) > width {
		cut := width
		for i := width; i > width/2; i-- {
			if rest[i] == ' ' {
				cut = i
				break
			}
		}
		parts = append(parts, string(rest[:cut]))
		rest = []rune(strings.TrimLeft(string(rest[cut:]), " "))
	}
	return append(parts, string(rest))
}

// latin is text inside a PDF string.
func latin(text string) string {
	var b strings.Builder
	for _, c := range text {
		switch {
		case c == '(' || c == ')' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(byte(c))
		case c == '–' || c == '—':
			b.WriteByte('-')
		case c < 0x20 || c > 0xff || c >= 0x7f && c < 0xa0:
			b.WriteByte('?')
		default:
			b.WriteByte(byte(c))
		}
	}
	return b.String()
}

// pdfFile remembers where its objects begin.
type pdfFile struct {
	bytes.Buffer
	offsets []int
}

// object appends the object of this number; they come in order.
func (f *pdfFile) object(number int, body string) {
	f.offsets = append(f.offsets, f.Len())
	fmt.Fprintf(f, "%d 0 obj\n%s\nendobj\n", number, body)
}

func (f *pdfFile) end() {
	at := f.Len()
	fmt.Fprintf(f, "xref\n0 %d\n0000000000 65535 f \n", len(f.offsets)+1)
	for _, o := range f.offsets {
		fmt.Fprintf(f, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(f, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(f.offsets)+1, at)
}
