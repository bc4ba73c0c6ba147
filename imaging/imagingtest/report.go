package imagingtest

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Report is a one-page PDF with the patient's particulars as visible text, in
// Latin and Chinese, and again in its document information.
func Report(p Patient) []byte {
	w := newPDF("1.4")
	writeReport(w, p)
	w.end("")
	return w.Bytes()
}

// EncryptedReport has an Encrypt dictionary in its trailer (ISO 32000-1 7.6), whose
// keys fit no password. The strings themselves are not ciphered.
func EncryptedReport(p Patient) []byte {
	w := newPDF("1.4")
	writeReport(w, p)
	key := strings.Repeat("5A", 32)
	encrypt := w.object("<< /Filter /Standard /V 1 /R 2 /P -44 /O <" + key + "> /U <" + key + "> >>")
	w.end(fmt.Sprintf(" /Encrypt %d 0 R /ID [<%s> <%s>]", encrypt, key[:32], key[:32]))
	return w.Bytes()
}

// EncryptedStreamReport says so in a cross-reference stream instead of a trailer.
func EncryptedStreamReport(p Patient) []byte {
	w := newPDF("1.5")
	writeReport(w, p)
	key := strings.Repeat("5A", 32)
	encrypt := w.object("<< /Filter /Standard /V 1 /R 2 /P -44 /O <" + key + "> /U <" + key + "> >>")
	w.endStream(fmt.Sprintf(" /Encrypt %d 0 R /ID [<%s> <%s>]", encrypt, key[:32], key[:32]))
	return w.Bytes()
}

// StreamReport is a report with a cross-reference stream and no trailer.
func StreamReport(p Patient) []byte {
	w := newPDF("1.5")
	writeReport(w, p)
	w.endStream("")
	return w.Bytes()
}

const catalog, info = 1, 2

func writeReport(w *pdfWriter, p Patient) {
	w.object("<< /Type /Catalog /Pages 3 0 R >>")
	w.object(fmt.Sprintf("<< /Title (Report for %s) /Author (%s) /Subject %s >>", p.ID, p.Hospital, utf16Hex(p.Chinese())))
	w.object("<< /Type /Pages /Kids [4 0 R] /Count 1 >>")
	w.object("<< /Type /Page /Parent 3 0 R /MediaBox [0 0 595 842] /Contents 8 0 R" +
		" /Resources << /Font << /F1 5 0 R /F2 6 0 R >> >> >>")
	w.object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
	w.object("<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H /DescendantFonts [7 0 R] >>")
	w.object("<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light" +
		" /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 4 >>" +
		" /FontDescriptor << /Type /FontDescriptor /FontName /STSong-Light /Flags 4 /FontBBox [-25 -254 1000 880]" +
		" /ItalicAngle 0 /Ascent 880 /Descent -120 /CapHeight 880 /StemV 93 >> >>")

	var text bytes.Buffer
	line := func(font string, size int, operand string) {
		fmt.Fprintf(&text, "/%s %d Tf 0 -24 Td %s Tj\n", font, size, operand)
	}
	text.WriteString("BT 60 790 Td\n")
	line("F1", 16, "(Radiology report, synthetic)")
	line("F1", 11, literal("Hospital: "+p.Hospital))
	line("F1", 11, literal("Patient: "+strings.ReplaceAll(p.Latin(), "^", " ")+"   ID: "+p.ID))
	line("F2", 12, utf16Hex("姓名 "+strings.ReplaceAll(p.Chinese(), "^", "")))
	line("F1", 11, literal("Born: "+p.BirthDate+"   Sex: "+p.Sex))
	line("F1", 11, literal("Address: "+p.Address+"   Phone: "+p.Phone))
	line("F1", 11, literal("Study: CT head, "+p.StudyDate))
	line("F1", 11, "(Findings: ventricles of normal width, no bleeding, no mass.)")
	line("F1", 11, "(Impression: normal phantom.)")
	text.WriteString("ET")
	w.object(fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", text.Len(), text.Bytes()))
}

func literal(s string) string {
	return "(" + strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(s) + ")"
}

// utf16Hex is s as a hexadecimal string of UTF-16BE.
func utf16Hex(s string) string {
	var b strings.Builder
	b.WriteByte('<')
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", u)
	}
	b.WriteByte('>')
	return b.String()
}

// pdfWriter numbers objects from 1 and remembers where they begin.
type pdfWriter struct {
	bytes.Buffer
	offsets []int
}

func newPDF(version string) *pdfWriter {
	w := new(pdfWriter)
	w.WriteString("%PDF-" + version + "\n%\xE2\xE3\xCF\xD3\n")
	return w
}

func (w *pdfWriter) object(body string) (number int) {
	w.offsets = append(w.offsets, w.Len())
	fmt.Fprintf(w, "%d 0 obj\n%s\nendobj\n", len(w.offsets), body)
	return len(w.offsets)
}

func (w *pdfWriter) end(trailer string) {
	start := w.Len()
	fmt.Fprintf(w, "xref\n0 %d\n0000000000 65535 f \n", len(w.offsets)+1)
	for _, at := range w.offsets {
		fmt.Fprintf(w, "%010d 00000 n \n", at)
	}
	fmt.Fprintf(w, "trailer\n<< /Size %d /Root %d 0 R /Info %d 0 R%s >>\nstartxref\n%d\n%%%%EOF\n",
		len(w.offsets)+1, catalog, info, trailer, start)
}

// endStream writes the cross-reference as a stream (ISO 32000-1 7.5.8).
func (w *pdfWriter) endStream(entries string) {
	start := w.Len()
	table := []byte{0, 0, 0, 0, 0xFF}
	for _, at := range append(w.offsets, start) {
		table = append(table, 1, byte(at>>16), byte(at>>8), byte(at), 0)
	}
	w.object(fmt.Sprintf("<< /Type /XRef /Size %d /W [1 3 1] /Root %d 0 R /Info %d 0 R%s /Length %d >>\nstream\n%s\nendstream",
		len(w.offsets)+2, catalog, info, entries, len(table), table))
	fmt.Fprintf(w, "startxref\n%d\n%%%%EOF\n", start)
}
