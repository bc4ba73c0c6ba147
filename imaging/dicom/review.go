package dicom

import (
	"slices"

	"medvault/imaging"
)

// Why the de-identified view is withheld.
const (
	heldForReview = "held-for-review"     // a person has to look at the picture first
	heldResidue   = "residual-identifier" // an identifier that was taken out is still there
)

// review collects what speaks against showing the de-identified view unseen. What the
// plan has found can be seen in the picture; what is added on the way cannot, so that
// painting masks does not answer it.
type review struct {
	plan     *maskPlan
	unseen   []string // codes
	residual bool     // see residue
	begun    bool     // the header has been looked at
	past     bool     // the picture has come
}

// hold withholds the view for a reason that the picture does not show.
func (r *review) hold(when bool, code string) {
	if when {
		r.unseen = append(r.unseen, code)
	}
}

// verdict is the code of Scrubbed.Held, "" when the view may be shown. Whatever is
// not known to be harmless is held, but for what a person has accepted.
func (r *review) verdict(release *imaging.Release) string {
	accepts := func(code string) bool { return release != nil && slices.Contains(release.Accept, code) }
	switch {
	case r.residual && !accepts(heldResidue):
		return heldResidue
	case len(r.unseen) > 0 && !accepts(heldForReview):
		return heldForReview
	case len(r.plan.reasons) > 0 && !r.plan.released:
		return heldForReview
	}
	return ""
}

// segment looks at the original for what the plan cannot have seen: attributes that
// speak of the picture from behind it, and overlays in spare bits of the pixels.
func (r *review) segment(s *Segment, syntax Syntax) {
	if r.begun && !r.past {
		r.plan.learn(s, syntax)
	}
	r.begun = true
	for i := int32(0); int(i) < len(s.Elements); i = s.Elements[i].Next {
		e := &s.Elements[i]
		switch e.Tag {
		case 0x0008_0008, 0x0008_0060, 0x0008_0064, 0x0028_0004, 0x0028_0301:
			r.hold(r.past, "attributes-behind-the-picture")
		}
		r.hold(e.Tag.Group()&0xFF01 == 0x6000 && e.Tag.Element() == 0x0102 && trimmed(string(s.Bytes(e))) != "", "overlay-in-pixels")
	}
}

// report says what became of the pixels, and why somebody should look at them.
func (r *review) report(to *imaging.Report, pixels bool) {
	to.Pixels = r.plan.how.String()
	if !pixels {
		to.Pixels = "none"
	}
	to.Reasons = append(to.Reasons, r.unseen...)
	to.Reasons = append(to.Reasons, r.plan.reasons...)
	slices.Sort(to.Reasons)
	to.Reasons = slices.Compact(to.Reasons)
	if len(r.plan.reasons) > 0 {
		to.Suggest = r.plan.suggest
	}
}

// String is the word of imaging.Report.
func (p painting) String() string {
	switch p {
	case inPlace, inFrames:
		return "masked"
	case recoded:
		return "recoded"
	}
	return "untouched"
}
