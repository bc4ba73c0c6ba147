package worker

import (
	"math"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/enums"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/responses"

	"medvault/imaging/pdf/wire"
)

const (
	maxObjects = 200_000 // of one page
	maxDepth   = 16      // of forms in forms
)

func loadedPage(loaded *responses.FPDF_LoadPage, err error) (references.FPDF_PAGE, error) {
	if err != nil {
		return "", err
	}
	return loaded.Page, nil
}

// objects walks over what a page is made of.
type objects struct {
	lib    pdfium.Pdfium
	page   requests.Page
	view   view
	images []wire.Rect
	seen   int
}

// walk notes pictures, and takes away what is said of text beside its characters: pdfium
// would report /ActualText instead of the characters that are seen.
func (o *objects) walk() error {
	count, err := o.lib.FPDFPage_CountObjects(&requests.FPDFPage_CountObjects{Page: o.page})
	if err != nil {
		return fault(wire.Broken)
	}
	for i := range count.Count {
		object, err := o.lib.FPDFPage_GetObject(&requests.FPDFPage_GetObject{Page: o.page, Index: i})
		if err != nil {
			return fault(wire.Broken)
		}
		if err := o.look(object.PageObject, o.whole(object.PageObject), 0); err != nil {
			return err
		}
	}
	return nil
}

// whole is where an object lies on the page.
func (o *objects) whole(object references.FPDF_PAGEOBJECT) wire.Rect {
	b, err := o.lib.FPDFPageObj_GetBounds(&requests.FPDFPageObj_GetBounds{PageObject: object})
	if err != nil {
		return wire.Rect{X0: -1e6, Y0: -1e6, X1: 1e6, Y1: 1e6} // anywhere
	}
	return o.view.rect(float64(b.Left), float64(b.Bottom), float64(b.Right), float64(b.Top))
}

// look handles one object. A picture within a form is taken to be as large as the form.
func (o *objects) look(object references.FPDF_PAGEOBJECT, lies wire.Rect, depth int) error {
	if o.seen++; o.seen > maxObjects || depth > maxDepth {
		return fault(wire.Dense)
	}
	if err := o.unmark(object); err != nil {
		return err
	}
	kind, err := o.lib.FPDFPageObj_GetType(&requests.FPDFPageObj_GetType{PageObject: object})
	if err != nil {
		return fault(wire.Broken)
	}
	switch kind.Type {
	case enums.FPDF_PAGEOBJ_IMAGE:
		if o.images = append(o.images, lies); len(o.images) > wire.MaxImages {
			return fault(wire.Dense)
		}
	case enums.FPDF_PAGEOBJ_FORM:
		count, err := o.lib.FPDFFormObj_CountObjects(&requests.FPDFFormObj_CountObjects{PageObject: object})
		if err != nil {
			return fault(wire.Broken)
		}
		for i := range count.Count {
			inner, err := o.lib.FPDFFormObj_GetObject(&requests.FPDFFormObj_GetObject{PageObject: object, Index: uint64(i)})
			if err != nil {
				return fault(wire.Broken)
			}
			if err := o.look(inner.PageObject, lies, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// unmark removes ActualText, Alt and E from an object's marks.
func (o *objects) unmark(object references.FPDF_PAGEOBJECT) error {
	count, err := o.lib.FPDFPageObj_CountMarks(&requests.FPDFPageObj_CountMarks{PageObject: object})
	if err != nil {
		return fault(wire.Broken)
	}
	for i := range count.Count {
		mark, err := o.lib.FPDFPageObj_GetMark(&requests.FPDFPageObj_GetMark{PageObject: object, Index: uint64(i)})
		if err != nil {
			return fault(wire.Broken)
		}
		params, err := o.lib.FPDFPageObjMark_CountParams(&requests.FPDFPageObjMark_CountParams{PageObjectMark: mark.Mark})
		if err != nil {
			return fault(wire.Broken)
		}
		if params.Count == 0 {
			continue
		}
		for _, key := range []string{"ActualText", "Alt", "E"} {
			// An error says that there is no such entry. If one stayed, the text would be
			// caught when what was drawn is compared with it.
			_, _ = o.lib.FPDFPageObjMark_RemoveParam(&requests.FPDFPageObjMark_RemoveParam{PageObject: object, PageObjectMark: mark.Mark, Key: key})
		}
	}
	return nil
}

// chars reads the characters of a page, in the order of its content.
func (d *document) chars(page requests.Page, v view) ([]wire.Char, error) {
	loaded, err := d.lib.FPDFText_LoadPage(&requests.FPDFText_LoadPage{Page: page})
	if err != nil {
		return nil, fault(wire.Broken)
	}
	text := loaded.TextPage
	defer d.lib.FPDFText_ClosePage(&requests.FPDFText_ClosePage{TextPage: text})
	count, err := d.lib.FPDFText_CountChars(&requests.FPDFText_CountChars{TextPage: text})
	if err != nil {
		return nil, fault(wire.Broken)
	}
	if count.Count > wire.MaxChars {
		return nil, fault(wire.Dense)
	}
	all := make([]wire.Char, 0, count.Count)
	for i := range count.Count {
		c, err := d.char(text, i, v)
		if err != nil {
			return nil, fault(wire.Broken)
		}
		all = append(all, c)
	}
	return all, nil
}

func (d *document) char(text references.FPDF_TEXTPAGE, i int, v view) (c wire.Char, err error) {
	code, err := d.lib.FPDFText_GetUnicode(&requests.FPDFText_GetUnicode{TextPage: text, Index: i})
	if err != nil {
		return c, err
	}
	c.Rune = rune(uint32(code.Unicode))
	if c.Rune < 0 || c.Rune > 0x10FFFF {
		c.Rune = 0
	}
	generated, err := d.lib.FPDFText_IsGenerated(&requests.FPDFText_IsGenerated{TextPage: text, Index: i})
	if err != nil {
		return c, err
	}
	if c.Generated = generated.IsGenerated; c.Generated {
		return c, nil
	}
	unmapped, err := d.lib.FPDFText_HasUnicodeMapError(&requests.FPDFText_HasUnicodeMapError{TextPage: text, Index: i})
	if err != nil {
		return c, err
	}
	c.Unmapped = unmapped.HasUnicodeMapError || c.Rune == 0 || private(c.Rune)
	tight, err := d.lib.FPDFText_GetCharBox(&requests.FPDFText_GetCharBox{TextPage: text, Index: i})
	if err != nil {
		return c, err
	}
	c.Tight = v.rect(tight.Left, tight.Bottom, tight.Right, tight.Top)
	c.Loose = c.Tight
	if loose, err := d.lib.FPDFText_GetLooseCharBox(&requests.FPDFText_GetLooseCharBox{TextPage: text, Index: i}); err == nil {
		c.Loose = v.rect(float64(loose.Rect.Left), float64(loose.Rect.Bottom), float64(loose.Rect.Right), float64(loose.Rect.Top))
	}
	if angle, err := d.lib.FPDFText_GetCharAngle(&requests.FPDFText_GetCharAngle{TextPage: text, Index: i}); err == nil {
		c.Angle = v.angle(float64(angle.CharAngle))
	}
	return c, nil
}

// angle turns a direction on the page into one as it is seen.
func (v view) angle(a float64) float32 {
	x, y := math.Cos(a), math.Sin(a)
	seen := math.Atan2(v.b*x+v.d*y, v.a*x+v.c*y)
	if math.IsNaN(seen) {
		return 0
	}
	if math.Abs(seen) < 1e-3 {
		seen = 0
	}
	return float32(seen)
}

// private reports code points that mean what the font's maker wants.
func private(r rune) bool {
	return r >= 0xE000 && r <= 0xF8FF || r >= 0xF0000 || r == 0xFFFD
}
