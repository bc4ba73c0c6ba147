package dicom

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"medvault/imaging"
)

// Begin reads all before the pixel data, or before the first other value too long
// to hold, and refuses what is not a DICOM instance of a patient.
func (s Scrubber) Begin(r io.Reader) (imaging.Incoming, error) {
	in, err := s.begin(r)
	if err != nil {
		return nil, err
	}
	if err := admit(in.identity, in.header); err != nil {
		return nil, err
	}
	return in, nil
}

func (s Scrubber) begin(r io.Reader) (*incoming, error) {
	split := Split(r)
	header, err := split.Next()
	if err != nil {
		return nil, err
	}
	return &incoming{rules: s.ruleset(), split: split, header: header, identity: identify(split, header)}, nil
}

type incoming struct {
	rules    *ruleset
	split    *Splitter
	header   *Segment
	identity imaging.Identity
}

func (in *incoming) Identity() imaging.Identity { return in.identity }

// Scrub writes the content segment by segment. The script gets every segment as it
// came, in one PUT, and copies the values that stream; a deflated document, which
// no one can deflate again the same way, it gets whole.
func (in *incoming) Scrub(p imaging.Pseudonyms, release *imaging.Release, original imaging.Original, content, script io.Writer) (imaging.Scrubbed, error) {
	plan, err := in.planPixels(in.rules.pixels, release)
	if err != nil {
		return imaging.Scrubbed{}, err
	}
	patch := imaging.NewScriptWriter(script)
	if in.split.raw != nil {
		if err := in.split.raw.pourInto(patch); err != nil {
			return imaging.Scrubbed{}, err
		}
	}
	s := &scrubbing{
		split: in.split, patch: patch,
		content: &hashed{w: content, sum: sha256.New()},
		rewrite: newRewriter(p, in.rules, in.split, in.header, plan.tell()),
		frames:  framing{syntax: in.split.Syntax},
		plan:    plan,
		who:     NewAttributes(in.split.Syntax, identifying),
	}
	s.review.plan = plan
	s.frames.keep = plan.toRead(in.rules.ocr, release)
	s.review.hold(!s.rewrite.known, "unknown-syntax")
	if err := s.run(in.header); err != nil {
		return imaging.Scrubbed{}, err
	}
	if in.split.raw != nil {
		if _, err := io.Copy(io.Discard, in.split.raw); err != nil { // what follows the deflated stream
			return imaging.Scrubbed{}, err
		}
	}
	if err := patch.End(original()); err != nil {
		return imaging.Scrubbed{}, err
	}
	s.review.residual = s.rewrite.residue.found()
	s.readWords(in.rules.ocr)
	s.review.hold(s.frames.doubtful(), "beside-the-picture")
	s.review.hold(s.rewrite.drawings, "drawings")
	held := s.review.verdict(release)
	return imaging.Scrubbed{
		Who:  s.who.JSON(),
		Held: held,
		Facts: imaging.Facts{
			Size:           s.content.n,
			SHA256:         hex.EncodeToString(s.content.sum.Sum(nil)),
			SOPClass:       s.rewrite.mapKept(in.identity.SOPClass),
			TransferSyntax: s.rewrite.syntaxUID,
			Held:           held,
			Attributes:     s.attributes(),
			Frames:         s.frames.table(),
		},
		Report: s.report(in.rules),
	}, nil
}

// report tells how identity was taken out.
func (s *scrubbing) report(rules *ruleset) imaging.Report {
	r := imaging.Report{Rules: rules.told, Actions: s.rewrite.counts.report(), Residual: "clean"}
	if s.review.residual {
		r.Residual = "found"
	}
	s.review.report(&r, s.frames.met)
	return r
}

// scrubbing is one pass over a document.
type scrubbing struct {
	split   *Splitter
	patch   *imaging.ScriptWriter
	content *hashed
	rewrite *rewriter
	frames  framing
	review  review
	plan    *maskPlan
	who     *Attributes

	shown *Attributes // of the content; nil until its first segment
	past  bool        // pixel data has been met: nothing after it is shown
}

func (s *scrubbing) run(segment *Segment) error {
	for {
		written, keepsBulk := s.rewrite.segment(segment)
		if s.rewrite.tooLarge {
			return s.split.refuse("header-too-large", "the header becomes too large without identity; the vault does not take such files")
		}
		if !segment.Bulk {
			written = s.rewrite.finish(written)
		}
		if err := s.segment(segment, written); err != nil {
			return err
		}
		if !segment.Bulk {
			return nil
		}
		if err := s.bulk(segment, keepsBulk); err != nil {
			return err
		}
		var err error
		if segment, err = s.split.Next(); err == io.EOF {
			return s.segment(&Segment{}, s.rewrite.finish(nil))
		}
		if err != nil {
			return err
		}
	}
}

// segment writes what became of a segment and takes note of it.
func (s *scrubbing) segment(from *Segment, written []byte) error {
	if s.split.raw == nil {
		s.patch.Put(from.Raw)
	}
	s.patch.Drop(int64(len(written)))
	at := s.content.n
	if _, err := s.content.Write(written); err != nil {
		return fmt.Errorf("write content: %w", err)
	}
	s.review.segment(from, s.split.Syntax)
	s.rewrite.search(written)
	if s.past {
		return nil
	}
	s.who.Add(from)
	s.frames.segment(from)
	return s.show(written, at)
}

// show adds a segment of the content to the attributes that describe it.
func (s *scrubbing) show(written []byte, at int64) error {
	back, syntax, err := s.rewrite.reread(written, at)
	if err != nil {
		return fmt.Errorf("read back the content: %w", err)
	}
	if s.shown == nil {
		s.shown = NewAttributes(syntax, nil)
	}
	s.shown.Add(back)
	return nil
}

func (s *scrubbing) attributes() []byte {
	if s.shown == nil {
		return nil
	}
	return s.shown.JSON()
}

// bulk sends the value that ends the segment to the content, or, when the profile
// removes it, to the script alone.
func (s *scrubbing) bulk(segment *Segment, keep bool) error {
	e := &segment.Elements[len(segment.Elements)-1]
	var err error
	switch {
	case keep && pixels(e.Tag):
		s.past = true
		err = s.picture(e)
	case keep:
		var n int64
		n, err = s.split.CopyBulk(s.content, nil)
		if s.split.raw == nil {
			s.patch.Copy(n)
		}
	case s.split.raw == nil:
		_, err = s.split.CopyBulk(s.patch, nil)
	default:
		_, err = s.split.CopyBulk(io.Discard, nil)
	}
	return err
}

// hashed is a writer that knows size and SHA-256 of what went through.
type hashed struct {
	w   io.Writer
	n   int64
	sum hash.Hash
}

func (h *hashed) Write(p []byte) (int, error) {
	n, err := h.w.Write(p)
	h.n += int64(n)
	h.sum.Write(p[:n])
	return n, err
}
