package pdf

import (
	"context"
	"strings"

	"medvault/imaging/mention"
	"medvault/imaging/ocr"
	"medvault/imaging/pdf/facsimile"
	"medvault/imaging/pdf/wire"
	"medvault/imaging/subject"
)

// verify reads the written bytes as if nothing were known of how they came to be, and
// tells how many places still name somebody. They are noted on their pages, for the
// next attempt.
func (j *job) verify(ctx context.Context, file []byte, pages []*page) (left int, err error) {
	contents, err := facsimile.Check(file)
	if err != nil || len(contents.Pages) != len(pages) {
		j.reasons[HeldUnverified] = true
		return 0, nil
	}
	left = j.bytesLeft(file, contents)
	j.anywhere = left > 0
	facts, err := j.worker.open(ctx, file) // in an instance of its own
	if err != nil {
		return 0, err
	}
	if facts.Pages != len(pages) || facts.Signatures+facts.JavaScript+facts.XFA+len(facts.Attachments) > 0 {
		j.reasons[HeldUnverified] = true
		return 0, nil
	}
	for i, p := range pages {
		n, err := j.look(ctx, i, p)
		if err != nil {
			return 0, err
		}
		left += n
	}
	return left, nil
}

// bytesLeft searches the file, what its streams hold and what they say for the patient.
// Of words the last may have those of a name: Rose, Long. Whether they are meant is seen
// by what stands around them (look).
func (j *job) bytesLeft(file []byte, contents facsimile.Contents) int {
	bytes, said := j.who.Scanner(), j.who.Scanner()
	search := func(in *subject.Scanner, p []byte) {
		_, _ = in.Write(p) // never fails
		_, _ = in.Write([]byte{0, 0, 0, 0})
	}
	search(bytes, file)
	for _, s := range contents.Streams {
		search(bytes, s)
	}
	for _, text := range contents.Pages {
		search(said, []byte(strings.ReplaceAll(text, "\n", " ")))
	}
	left := bytes.Found()
	for _, k := range said.Found() {
		if k != subject.Name && k != subject.Other {
			left = append(left, k)
		}
	}
	return len(left)
}

// identifies reports what must not be left. Dates are: they have been moved.
func identifies(k mention.Kind) bool { return k != mention.Date }

// look reads one page of the new document, its pixels too where they were read before.
func (j *job) look(ctx context.Context, index int, p *page) (left int, err error) {
	request := wire.Request{Page: index, Text: true}
	if p.ocred {
		request.DPI = p.dpi
	}
	got, err := j.worker.page(ctx, request)
	if err != nil {
		return 0, err
	}
	glyphs := glyphsOf(got.Chars)
	for _, m := range mention.Find(glyphs, j.who, mention.Normal) {
		if identifies(m.Kind) {
			p.leave(m, glyphs, false)
			left++
		}
	}
	if !p.ocred {
		return left, nil
	}
	n, err := j.readAgain(ctx, p, got)
	return left + n, err
}

// readAgain reads the pixels of the new page in another layout than before. What is
// painted over is blank, and the tokens are given as what they are: they would be read
// with mistakes.
func (j *job) readAgain(ctx context.Context, p *page, got wire.Page) (left int, err error) {
	grey := greyOf(got.Pixels)
	seen := &page{width: p.width, height: p.height, scale: float64(got.Pixels.Rect.Dx()) / p.width, grey: grey, pixels: got.Pixels, boxes: p.boxes}
	var words []mention.Glyph
	for _, b := range p.boxes {
		fill(grey, seen.rect(b.drawn), 255)
		words = append(words, mention.Glyph{Text: b.token, Box: b.drawn})
	}
	read, err := j.r.c.OCR.Read(ctx, grey, ocr.Sparse)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if err != nil {
		j.reasons[HeldOCRFailed] = true
		return 0, nil
	}
	for _, w := range read {
		words = append(words, mention.Glyph{Text: w.Text, Box: seen.points(w.Box.Inset(-1))})
	}
	// The document's own characters are put in where they are: of words under them those
	// say more than OCR does.
	seen.chars, seen.images = p.sure, nil
	seen.survey()
	seen.hidden = newGrid(p.width, p.height)
	for i, b := range p.boxes {
		seen.hidden.put(b.drawn, i+1)
	}
	for _, m := range mention.Find(words, j.who, mention.Strict) {
		if !identifies(m.Kind) {
			continue
		}
		fresh := m.Boxes[:0]
		for _, b := range m.Boxes {
			if seen.painted(b) < 0.5 && seen.trusted(b) < 0.5 {
				fresh = append(fresh, b)
			}
		}
		if m.Boxes = fresh; len(fresh) > 0 {
			p.leave(m, words, true)
			left++
		}
	}
	return left, nil
}

// leave notes what was found for the next attempt.
func (p *page) leave(m mention.Mention, glyphs []mention.Glyph, pixels bool) {
	before := p.boxes
	p.boxes = nil
	p.cover(m, glyphs, pixels)
	p.left, p.boxes = append(p.left, p.boxes...), before
}
