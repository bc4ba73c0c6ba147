package pdf

import (
	"bytes"
	"context"
	"errors"
	"image/png"
	"slices"

	"medvault/imaging"
	"medvault/imaging/mention"
	"medvault/imaging/pdf/facsimile"
	"medvault/imaging/pdf/wire"
)

// attempts is how often a document is written: what is left after the first is looked
// for more strictly.
const attempts = 3

// job is one document on its way.
type job struct {
	r       *Redactor
	who     *mention.Known
	release *imaging.Release
	worker  *process
	reasons map[string]bool
	out     Redacted

	anywhere bool // something was left of which it is not known on which page
}

func (r *Redactor) redact(ctx context.Context, original []byte, who *mention.Known, release *imaging.Release) (Redacted, error) {
	if len(original) > wire.MaxDocument {
		return Redacted{Held: HeldTooCostly, Reasons: []string{HeldTooCostly}}, nil
	}
	worker, err := r.start(ctx)
	if err != nil {
		return Redacted{}, err
	}
	j := &job{r: r, who: who, release: release, worker: worker, reasons: map[string]bool{}}
	err = j.make(ctx, original)
	j.out.CPU = worker.end()
	return j.verdict(err)
}

// make writes the new document and looks at it as a stranger would.
func (j *job) make(ctx context.Context, original []byte) error {
	facts, err := j.worker.open(ctx, original)
	if err != nil {
		return err
	}
	j.note(facts)
	pages := make([]*page, facts.Pages)
	for attempt := range attempts {
		how := mention.Normal
		if attempt > 0 {
			how = mention.Strict
			if _, err := j.worker.open(ctx, original); err != nil {
				return err
			}
		}
		file, err := j.write(ctx, pages, how)
		if err != nil {
			return err
		}
		left, err := j.verify(ctx, file, pages)
		if err != nil {
			return err
		}
		j.out.PDF = file
		if left == 0 {
			delete(j.reasons, HeldLeft)
			return nil
		}
		j.reasons[HeldLeft] = true
	}
	return nil
}

// note takes over what the document holds besides pages.
func (j *job) note(facts wire.Facts) {
	j.out.Pages, j.out.Signatures, j.out.Scripts = facts.Pages, facts.Signatures, facts.JavaScript
	j.out.XFA, j.out.Unread = facts.XFA > 0, facts.Unread
	for _, a := range facts.Attachments {
		j.out.Attachments = append(j.out.Attachments, Attachment(a))
	}
	if len(j.out.Attachments)+j.out.Unread > 0 {
		j.reasons[HeldAttachments] = true
	}
	if !j.worker.enclosure.Fonts {
		j.reasons[HeldFonts] = true
	}
}

// write makes the new document of the pages of the one that is open. pages keeps what
// was found on each, for the next attempt.
func (j *job) write(ctx context.Context, pages []*page, how mention.Strictness) ([]byte, error) {
	j.out.Boxes, j.out.Suggest, j.out.Words, j.out.Pixels = nil, nil, 0, 0
	var file bytes.Buffer
	w := facsimile.NewWriter(&file)
	for i := range pages {
		p, err := j.read(ctx, i, pages[i])
		if err != nil {
			return nil, err
		}
		if err := errors.Join(p.find(j.who, j.strictness(how, pages[i])), p.paintMasks(j.release)); err != nil {
			return nil, err
		}
		w.Add(p.facsimile())
		j.collect(p)
		pages[i] = p.kept()
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return file.Bytes(), nil
}

// strictness of a page: where nothing was left on it, it stays as it was.
func (j *job) strictness(how mention.Strictness, before *page) mention.Strictness {
	if before != nil && len(before.left) == 0 && !j.anywhere {
		return mention.Normal
	}
	return how
}

// collect takes over what was done to a page.
func (j *job) collect(p *page) {
	for _, b := range p.boxes {
		j.out.Boxes = append(j.out.Boxes, p.report(b))
	}
	j.out.Suggest = append(j.out.Suggest, p.suggest()...)
	j.out.Words += len(p.words)
	if p.ocred {
		j.out.Pixels++
	}
	for _, reason := range p.reasons() {
		j.reasons[reason] = true
	}
}

// verdict puts everything together: what speaks against showing the view, and whether a
// person has answered it.
func (j *job) verdict(err error) (Redacted, error) {
	var f fault
	switch {
	case errors.Is(err, errCostly):
		j.withhold(HeldTooCostly)
	case errors.As(err, &f):
		j.withhold(held(f))
	case err != nil:
		return Redacted{}, err
	}
	for reason := range j.reasons {
		j.out.Reasons = append(j.out.Reasons, reason)
	}
	slices.Sort(j.out.Reasons)
	for _, reason := range j.out.Reasons {
		if !acceptable(reason) || j.release == nil || !slices.Contains(j.release.Accept, reason) {
			j.out.Held = reason
			break
		}
	}
	return j.out, nil
}

// withhold leaves nothing but the reason.
func (j *job) withhold(reason string) {
	j.reasons = map[string]bool{reason: true}
	j.out.PDF, j.out.Boxes, j.out.Suggest = nil, nil, nil
}

// held is the reason for a fault; the process may say what it likes.
func held(f fault) string {
	switch f {
	case wire.Password:
		return HeldPassword
	case wire.XFA:
		return HeldXFA
	case wire.Many:
		return HeldPages
	case wire.Large:
		return HeldPage
	case wire.Dense:
		return HeldTooCostly
	case wire.Picture:
		return HeldPicture
	}
	return HeldBroken
}

// acceptable reports whether a person may answer a reason by having looked.
func acceptable(reason string) bool {
	return slices.Contains([]string{HeldScan, HeldNoOCR, HeldOCRFailed, HeldFonts, HeldAttachments}, reason)
}

// Advice says what can be done about a reason, for people.
func Advice(reason string) string {
	switch reason {
	case HeldScan:
		return "a page has pictures, in which machines miss words: a reviewer must look at it"
	case HeldNoOCR:
		return "pictures cannot be read here: install tesseract with eng and chi_sim, or have a reviewer look at the pages"
	case HeldOCRFailed:
		return "a picture could not be read in time, or hardly: a reviewer must look at it"
	case HeldFonts:
		return "no Chinese fonts are installed here (fonts-noto-cjk): a reviewer must compare the view with the original"
	case HeldAttachments:
		return "files lie in the document, which are not in the view: store them as documents of their own"
	case HeldLeft:
		return "something of the patient was still found in the view: paint masks over it"
	case HeldUnverified:
		return "the view could not be checked; report this"
	case HeldTooCostly:
		return "the document takes more memory or time than a report may: send it printed anew, or in parts"
	case HeldPassword:
		return "the document opens with a password only: send it without"
	case HeldXFA:
		return "the document is a dynamic form without pages: print it into a PDF and send that"
	case HeldPages:
		return "the document has more than 2,000 pages: send it in parts"
	case HeldPicture:
		return "the picture cannot be opened, or is larger than 40 megapixels: scan it anew"
	case HeldPage:
		return "a page is too large to be drawn"
	}
	return "the document cannot be read: send it again, or printed anew"
}

func (r *Redactor) render(ctx context.Context, document []byte, number int) ([]byte, error) {
	worker, err := r.start(ctx)
	if err != nil {
		return nil, err
	}
	defer worker.end()
	p, err := worker.draw(ctx, document, number)
	var f fault
	switch {
	case errors.Is(err, errCostly):
		return nil, &imaging.Refusal{Code: HeldTooCostly, Offset: -1, Advice: Advice(HeldTooCostly)}
	case errors.As(err, &f):
		return nil, &imaging.Refusal{Code: held(f), Offset: -1, Advice: Advice(held(f))}
	case err != nil:
		return nil, err
	}
	var b bytes.Buffer
	if err := png.Encode(&b, p.Pixels); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (p *process) draw(ctx context.Context, document []byte, number int) (wire.Page, error) {
	facts, err := p.open(ctx, document)
	if err != nil {
		return wire.Page{}, err
	}
	if number < 1 || number > facts.Pages {
		return wire.Page{}, fault(wire.Broken)
	}
	return p.page(ctx, wire.Request{Page: number - 1, DPI: MaskDPI, Text: true})
}

func (r *Redactor) ready(ctx context.Context) (Abilities, error) {
	worker, err := r.start(ctx)
	if err != nil {
		return Abilities{}, err
	}
	defer worker.end()
	p, err := worker.draw(ctx, chinese(), 1)
	if err != nil {
		return Abilities{}, err
	}
	return Abilities{Fonts: worker.enclosure.Fonts && inked(p), OCR: r.c.OCR != nil,
		Sandbox: worker.enclosure.Has, Missing: worker.enclosure.Missing}, nil
}
