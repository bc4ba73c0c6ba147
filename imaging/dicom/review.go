package dicom

import "strings"

// Why the de-identified view is withheld.
const (
	heldForReview = "held-for-review"     // a person has to look at the picture first
	heldResidue   = "residual-identifier" // an identifier that was taken out is still there
)

// review collects what speaks against showing the de-identified view unseen.
type review struct {
	doubt    bool // something in the picture or around it speaks for text, or is not known
	residual bool // see residue
	modality string
}

// verdict is the code of Scrubbed.Held, "" when the view may be shown. Whatever is
// not known to be harmless is held.
func (r *review) verdict(class string) string {
	switch modality, ok := shownUnseen(class); {
	case r.residual:
		return heldResidue
	case !ok || r.doubt || r.modality != modality:
		return heldForReview
	}
	return ""
}

// shownUnseen are the classes whose pictures carry no text as a rule, with the
// modality they belong to. Screens captured as such a class are told by segment.
func shownUnseen(class string) (modality string, ok bool) {
	switch strings.TrimPrefix(class, "1.2.840.10008.5.1.4.1.1.") {
	case "2", "2.1", "2.2": // CT, enhanced, legacy converted
		return "CT", true
	case "4", "4.1", "4.3", "4.4": // MR, enhanced, enhanced colour, legacy converted
		return "MR", true
	case "128", "130", "128.1": // PET, enhanced, legacy converted
		return "PT", true
	case "1": // computed radiography
		return "CR", true
	case "1.1": // digital X-ray for presentation
		return "DX", true
	case "1.1.1":
		return "DX", true
	case "1.2", "1.2.1": // mammography
		return "MG", true
	}
	return "", false
}

// segment looks at the original for signs of text in the picture.
func (r *review) segment(s *Segment) {
	for i := int32(0); int(i) < len(s.Elements); i = s.Elements[i].Next {
		e := &s.Elements[i]
		switch e.Tag {
		case 0x0008_0060:
			r.modality = trimmed(string(s.Bytes(e)))
		case 0x0028_0301: // Burned In Annotation
			r.doubt = r.doubt || trimmed(string(s.Bytes(e))) != "NO"
		case 0x0008_0064: // Conversion Type: a second capture
			r.doubt = true
		case 0x0008_0008:
			r.doubt = r.doubt || screen(string(s.Bytes(e)))
		case 0x0028_0004: // Photometric Interpretation: colour is drawn by software
			r.doubt = r.doubt || !strings.HasPrefix(string(s.Bytes(e)), "MONOCHROME")
		}
		// An overlay with a bit position lies in spare bits of the pixels.
		if e.Tag.Group()&0xFF01 == 0x6000 && e.Tag.Element() == 0x0102 && trimmed(string(s.Bytes(e))) != "" {
			r.doubt = true
		}
	}
}

// screen reports whether an Image Type is that of something captured from a screen.
func screen(imageType string) bool {
	for _, word := range []string{"SCREEN", "CAPTURE", "DOSE", "REPORT"} {
		if strings.Contains(imageType, word) {
			return true
		}
	}
	return false
}
