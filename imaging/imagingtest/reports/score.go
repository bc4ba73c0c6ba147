package reports

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io"
	"os/exec"
	"slices"
	"strings"
	"unicode"

	"medvault/imaging/imagingtest"
	"medvault/imaging/ocr"
	"medvault/imaging/subject"
)

// Tools are programs that look at a PDF and have nothing to do with what wrote it.
type Tools struct {
	PDFToText string      // of poppler-utils; "" leaves the text out
	PDFToPPM  string      // of poppler-utils, draws the pages; "" leaves the pixels out
	OCR       *ocr.Reader // reads them; nil leaves the pixels out
}

// FindTools takes the programs of poppler that this machine has.
func FindTools() Tools {
	var t Tools
	for name, at := range map[string]*string{"pdftotext": &t.PDFToText, "pdftoppm": &t.PDFToPPM} {
		if path, err := exec.LookPath(name); err == nil {
			*at = path
		}
	}
	return t
}

// Text is what the program reads out of a PDF: as its content has it and as it is laid
// out.
func (t Tools) Text(ctx context.Context, pdf []byte) (raw, layout string, err error) {
	if t.PDFToText == "" {
		return "", "", nil
	}
	for mode, to := range map[string]*string{"-raw": &raw, "-layout": &layout} {
		out, err := tool(ctx, pdf, t.PDFToText, mode, "-enc", "UTF-8", "-", "-")
		if err != nil {
			return "", "", err
		}
		*to = string(out)
	}
	return raw, layout, nil
}

func tool(ctx context.Context, stdin []byte, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", program, err)
	}
	return out, nil
}

// Pixels is what OCR reads off the pages as they are drawn.
func (t Tools) Pixels(ctx context.Context, pdf []byte, pages int) (string, error) {
	if t.PDFToPPM == "" || t.OCR == nil {
		return "", nil
	}
	var b strings.Builder
	for page := 1; page <= pages; page++ {
		n := fmt.Sprint(page)
		out, err := tool(ctx, pdf, t.PDFToPPM, "-r", "200", "-gray", "-png", "-singlefile", "-f", n, "-l", n, "-")
		if err != nil {
			return "", err
		}
		m, err := png.Decode(bytes.NewReader(out))
		if err != nil {
			return "", fmt.Errorf("read a page as drawn: %w", err)
		}
		grey := image.NewGray(m.Bounds())
		draw.Draw(grey, grey.Rect, m, m.Bounds().Min, draw.Src)
		words, err := t.OCR.Words(ctx, grey)
		if err != nil {
			return "", err
		}
		line := -1
		for _, w := range words {
			if w.Line != line {
				b.WriteByte('\n')
				line = w.Line
			}
			b.WriteString(w.Text + " ")
		}
	}
	return b.String(), nil
}

// LeaksIn names the planted values that a text still says.
func (r Report) LeaksIn(text string) (leaks []string) {
	squeezed := subject.Folded(text)
	spaced := strings.Join(strings.Fields(text), " ")
	for _, p := range r.Planted {
		if p.in(squeezed, spaced) {
			leaks = append(leaks, fmt.Sprintf("%s %q of page %d", p.Kind, p.Value, p.Page))
		}
	}
	slices.Sort(leaks)
	return slices.Compact(leaks)
}

func (p Planted) in(squeezed, spaced string) bool {
	folded := subject.Folded(p.Value)
	switch {
	case p.Kind == "date" || p.Kind == "birth":
		if isHan([]rune(folded)[len([]rune(folded))-1]) || strings.Contains(p.Value, "年") {
			spaced = strings.ReplaceAll(spaced, " ", "")
		}
		return bounded(spaced, p.Value, unicode.IsDigit)
	case strings.IndexFunc(folded, func(c rune) bool { return isHan(c) || unicode.IsDigit(c) }) < 0 && !strings.ContainsAny(p.Value, " -'"):
		return bounded(spaced, p.Value, unicode.IsLetter) || bounded(spaced, strings.ToUpper(p.Value), unicode.IsLetter)
	}
	return strings.Contains(squeezed, folded)
}

// bounded reports a value that no character of a class touches.
func bounded(text, value string, touches func(rune) bool) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], value)
		if i < 0 {
			return false
		}
		before, after := []rune(text[:from+i]), []rune(text[from+i+len(value):])
		if (len(before) == 0 || !touches(before[len(before)-1])) && (len(after) == 0 || !touches(after[0])) {
			return true
		}
		from += i + len(value)
	}
}

// LeaksInBytes names the planted values that lie in a file, or in a stream of it once
// that is inflated, in any character set.
func (r Report) LeaksInBytes(pdf []byte) (leaks []string) {
	var values []string
	for _, p := range r.Planted {
		values = append(values, p.Value)
		if squeezed := strings.Join(strings.Fields(p.Value), ""); squeezed != p.Value {
			values = append(values, squeezed)
		}
	}
	search := imagingtest.NewSearch(values)
	leaks = search.Leaks(pdf)
	for _, data := range streams(pdf) {
		leaks = append(leaks, search.Leaks(data)...)
	}
	return leaks
}

// streams are the streams of a PDF that can be inflated.
func streams(pdf []byte) (all [][]byte) {
	const largest = 64 << 20
	for {
		i := bytes.Index(pdf, []byte("stream"))
		if i < 0 {
			return all
		}
		pdf = bytes.TrimLeft(pdf[i+len("stream"):], "\r\n")
		z, err := zlib.NewReader(bytes.NewReader(pdf))
		if err != nil {
			continue // another filter, or "endstream"
		}
		data, err := io.ReadAll(io.LimitReader(z, largest))
		if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			all = append(all, data)
		}
	}
}

// Survived counts the words of the key, and those of them that a text still says.
func (r Report) Survived(text string) (kept, wanted int) {
	squeezed := subject.Folded(text)
	var all []string
	for _, word := range words(text) {
		all = append(all, subject.Folded(word))
	}
	asked := map[string]int{}
	for _, k := range r.Keep {
		asked[subject.Folded(k.Text)]++
	}
	for word, n := range asked {
		wanted += n
		if isHan([]rune(word)[0]) {
			kept += min(n, max(strings.Count(squeezed, word), inPairs(squeezed, []rune(word))))
			continue
		}
		there := 0
		for _, w := range all {
			if w == word {
				there++
			}
		}
		kept += min(n, there)
	}
	return kept, wanted
}

// inPairs counts a stretch that a line end parts at most once: all its pairs of
// characters but one are there so often.
func inPairs(text string, word []rune) int {
	var counts []int
	for i := range len(word) - 1 {
		counts = append(counts, strings.Count(text, string(word[i:i+2])))
	}
	if slices.Sort(counts); len(counts) < 3 {
		return 0
	}
	return counts[1]
}

// Lost are the words of the key that a text does not say at all.
func (r Report) Lost(text string) (lost []string) {
	squeezed := subject.Folded(text)
	for _, k := range r.Keep {
		if !strings.Contains(squeezed, subject.Folded(k.Text)) {
			lost = append(lost, k.Text)
		}
	}
	return lost
}
