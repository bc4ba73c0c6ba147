package dicom

import (
	"context"
	"image"
	"strings"
	"unicode"

	"medvault/imaging"
	"medvault/imaging/ocr"
	"medvault/imaging/pixel"
)

const (
	surelyNoWord = 20 // confidence below
	wordMargin   = 2  // pixels around a word that belong to it
)

// toRead is how many bytes of the first frame are to be kept for reading. Only
// pictures that a person has to look at are read.
func (p *maskPlan) toRead(r *ocr.Reader, release *imaging.Release) int64 {
	switch {
	case r == nil || release != nil || len(p.reasons) == 0 || !p.legible || p.how != untouched:
		return 0
	case p.native && p.shape.FrameBits()/8 < pixel.MaxFrame:
		return (p.shape.FrameBits() + 63) / 64 * 8 // whole words
	case p.native:
		return 0
	}
	return pixel.MaxFrame
}

// readWords suggests a mask around every word in the first frame, and adds a reason if
// the patient is among them. What cannot be read is held all the same.
func (s *scrubbing) readWords(r *ocr.Reader) {
	if s.frames.keep == 0 || len(s.frames.first) == 0 {
		return
	}
	m, err := s.plan.firstPicture(s.frames.first)
	s.frames.first = nil
	if err != nil {
		return
	}
	words, err := r.Words(context.Background(), m)
	if err != nil {
		s.plan.reasons = append(s.plan.reasons, "ocr-failed")
		return
	}
	lines := map[int][]string{}
	for _, w := range words {
		if w.Confidence < surelyNoWord || !strings.ContainsFunc(w.Text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
			continue
		}
		lines[w.Line] = append(lines[w.Line], w.Text)
		s.plan.suggestFor(w.Box.Inset(-wordMargin).Intersect(m.Rect))
	}
	if len(lines) > 0 {
		s.plan.reasons = append(s.plan.reasons, "words-in-picture")
	}
	for _, line := range lines {
		if len(s.rewrite.subject.Find(strings.Join(line, " "))) > 0 {
			s.plan.reasons = append(s.plan.reasons, "patient-in-picture")
			return
		}
	}
}

// firstPicture draws the first frame.
func (p *maskPlan) firstPicture(frame []byte) (*image.Gray, error) {
	if p.native {
		if p.word > 1 {
			swap(frame[:len(frame)/p.word*p.word], p.word)
		}
		return pixel.Grey(p.shape, frame)
	}
	samples, err := pixel.Decode(p.syntax, p.shape, frame)
	if err != nil {
		return nil, err
	}
	return pixel.Grey(p.decoded, samples)
}

// suggestFor suggests a mask over box, if none suggested so far covers it.
func (p *maskPlan) suggestFor(box image.Rectangle) {
	for _, m := range p.suggest {
		if box.In(image.Rect(m.X, m.Y, m.X+m.Width, m.Y+m.Height)) {
			return
		}
	}
	if len(p.suggest) < maxMasks && !box.Empty() {
		p.suggest = append(p.suggest, imaging.Mask{X: box.Min.X, Y: box.Min.Y, Width: box.Dx(), Height: box.Dy()})
	}
}
