package worker

import (
	"errors"
	"image"
	"math"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/enums"
	pdfiumerrors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"

	"medvault/imaging/pdf/wire"
)

// document is one that is open, in an instance of its own.
type document struct {
	lib pdfium.Pdfium
	doc references.FPDF_DOCUMENT
	n   int
}

// load opens a document and tells what it holds besides pages.
func load(pool pdfium.Pool, data []byte) (*document, wire.Facts, error) {
	lib, err := instance(pool)
	if err != nil {
		return nil, wire.Facts{}, err
	}
	d := &document{lib: lib}
	facts, err := d.open(data)
	if err != nil {
		d.close()
		return nil, wire.Facts{}, err
	}
	return d, facts, nil
}

func (d *document) open(data []byte) (wire.Facts, error) {
	if isPicture(data) {
		var err error
		if data, err = paper(data); err != nil {
			return wire.Facts{}, fault(wire.Picture)
		}
	}
	opened, err := d.lib.OpenDocument(&requests.OpenDocument{File: &data})
	switch {
	case errors.Is(err, pdfiumerrors.ErrPassword), errors.Is(err, pdfiumerrors.ErrSecurity):
		return wire.Facts{}, fault(wire.Password)
	case err != nil:
		return wire.Facts{}, fault(wire.Broken)
	}
	d.doc = opened.Document
	pages, err := d.lib.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: d.doc})
	if err != nil || pages.PageCount < 1 {
		return wire.Facts{}, fault(wire.Broken)
	}
	if d.n = pages.PageCount; d.n > wire.MaxPages {
		return wire.Facts{}, fault(wire.Many)
	}
	facts := wire.Facts{Pages: d.n}
	form, err := d.lib.FPDF_GetFormType(&requests.FPDF_GetFormType{Document: d.doc})
	if err == nil && form.FormType == enums.FPDF_FORMTYPE_XFA_FULL {
		return wire.Facts{}, fault(wire.XFA)
	}
	if err == nil && form.FormType == enums.FPDF_FORMTYPE_XFA_FOREGROUND {
		facts.XFA = 1
	}
	if s, err := d.lib.FPDF_GetSignatureCount(&requests.FPDF_GetSignatureCount{Document: d.doc}); err == nil {
		facts.Signatures = max(s.Count, 0)
	}
	if j, err := d.lib.FPDFDoc_GetJavaScriptActionCount(&requests.FPDFDoc_GetJavaScriptActionCount{Document: d.doc}); err == nil {
		facts.JavaScript = max(j.JavaScriptActionCount, 0)
	}
	d.attachments(&facts)
	return facts, nil
}

// attachments takes out the files that lie in the document.
func (d *document) attachments(facts *wire.Facts) {
	count, err := d.lib.FPDFDoc_GetAttachmentCount(&requests.FPDFDoc_GetAttachmentCount{Document: d.doc})
	if err != nil {
		return
	}
	size := 0
	for i := range count.AttachmentCount {
		if len(facts.Attachments) == wire.MaxAttachments {
			facts.Unread = min(facts.Unread+count.AttachmentCount-i, 1<<20)
			return
		}
		name, data, err := d.attachment(i)
		if err != nil || size+len(data) > wire.MaxAttachmentBytes {
			facts.Unread++
			continue
		}
		size += len(data)
		facts.Attachments = append(facts.Attachments, wire.Attachment{Name: name, Data: data})
	}
}

func (d *document) attachment(i int) (string, []byte, error) {
	a, err := d.lib.FPDFDoc_GetAttachment(&requests.FPDFDoc_GetAttachment{Document: d.doc, Index: i})
	if err != nil {
		return "", nil, err
	}
	name, err := d.lib.FPDFAttachment_GetName(&requests.FPDFAttachment_GetName{Attachment: a.Attachment})
	if err != nil {
		return "", nil, err
	}
	file, err := d.lib.FPDFAttachment_GetFile(&requests.FPDFAttachment_GetFile{Attachment: a.Attachment})
	if err != nil {
		return "", nil, err
	}
	if len(name.Name) > 1024 {
		name.Name = ""
	}
	return name.Name, file.Contents, nil
}

// close ends the instance, with all memory it has.
func (d *document) close() { _ = d.lib.Close() } // there is nobody to tell, and nothing depends on it

// page draws a page and, if asked, reads its characters.
func (d *document) page(ask wire.Request) (wire.Page, error) {
	if ask.Page >= d.n {
		return wire.Page{}, fault(wire.Broken)
	}
	ref, err := d.settle(ask.Page, ask.Text)
	if err != nil {
		return wire.Page{}, fault(wire.Broken)
	}
	defer d.lib.FPDF_ClosePage(&requests.FPDF_ClosePage{Page: ref})
	page := requests.Page{ByReference: &ref}
	size, err := d.lib.FPDF_GetPageWidthF(&requests.FPDF_GetPageWidthF{Page: page})
	if err != nil {
		return wire.Page{}, fault(wire.Broken)
	}
	height, err := d.lib.FPDF_GetPageHeightF(&requests.FPDF_GetPageHeightF{Page: page})
	if err != nil {
		return wire.Page{}, fault(wire.Broken)
	}
	out := wire.Page{Width: size.PageWidth, Height: height.PageHeight}
	if ask.Text {
		view, err := d.view(page, out)
		if err != nil {
			return wire.Page{}, fault(wire.Broken)
		}
		objects := &objects{lib: d.lib, page: page, view: view}
		if err := objects.walk(); err != nil {
			return wire.Page{}, err
		}
		out.Images = objects.images
		if out.Chars, err = d.chars(page, view); err != nil {
			return wire.Page{}, err
		}
	}
	if out.Pixels = new(image.RGBA); ask.DPI > 0 {
		out.Pixels, err = d.draw(page, out, ask.DPI)
	}
	return out, err
}

// settle loads a page with its annotations and fields made part of its content.
func (d *document) settle(index int, flatten bool) (references.FPDF_PAGE, error) {
	for {
		loaded, err := d.lib.FPDF_LoadPage(&requests.FPDF_LoadPage{Document: d.doc, Index: index})
		if err != nil || !flatten {
			return loadedPage(loaded, err)
		}
		flatten = false
		// The text of a page that was flattened is the old one until it is loaded again.
		// What cannot be flattened is neither drawn nor read.
		_, ferr := d.lib.FPDFPage_Flatten(&requests.FPDFPage_Flatten{Page: requests.Page{ByReference: &loaded.Page}, Usage: requests.FPDFPage_FlattenUsageNormalDisplay})
		_, err = d.lib.FPDF_ClosePage(&requests.FPDF_ClosePage{Page: loaded.Page})
		if err = errors.Join(ferr, err); err != nil {
			return "", err
		}
	}
}

// draw renders a page on white.
func (d *document) draw(page requests.Page, p wire.Page, dpi int) (*image.RGBA, error) {
	w, h := p.Size(dpi)
	if w == 0 {
		return nil, fault(wire.Large)
	}
	bitmap, err := d.lib.FPDFBitmap_Create(&requests.FPDFBitmap_Create{Width: w, Height: h})
	if err != nil {
		return nil, fault(wire.Large)
	}
	defer d.lib.FPDFBitmap_Destroy(&requests.FPDFBitmap_Destroy{Bitmap: bitmap.Bitmap})
	if _, err := d.lib.FPDFBitmap_FillRect(&requests.FPDFBitmap_FillRect{Bitmap: bitmap.Bitmap, Width: w, Height: h, Color: 0xFFFFFFFF}); err != nil {
		return nil, fault(wire.Large)
	}
	if _, err := d.lib.FPDF_RenderPageBitmap(&requests.FPDF_RenderPageBitmap{Bitmap: bitmap.Bitmap, Page: page, SizeX: w, SizeY: h, Flags: enums.FPDF_RENDER_FLAG_REVERSE_BYTE_ORDER}); err != nil {
		return nil, fault(wire.Broken)
	}
	stride, err := d.lib.FPDFBitmap_GetStride(&requests.FPDFBitmap_GetStride{Bitmap: bitmap.Bitmap})
	if err != nil {
		return nil, fault(wire.Broken)
	}
	buffer, err := d.lib.FPDFBitmap_GetBuffer(&requests.FPDFBitmap_GetBuffer{Bitmap: bitmap.Bitmap})
	if err != nil || stride.Stride < 4*w || len(buffer.Buffer) < stride.Stride*h {
		return nil, fault(wire.Large)
	}
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		row := m.Pix[y*m.Stride:][:4*w]
		copy(row, buffer.Buffer[y*stride.Stride:])
		for x := 3; x < len(row); x += 4 {
			row[x] = 0xFF
		}
	}
	return m, nil
}

// view turns the coordinates of a page into points from the upper left corner of the
// page as it is seen: rotation and crop box are in it.
type view struct{ a, b, c, d, e, f float64 }

func (d *document) view(page requests.Page, p wire.Page) (view, error) {
	const fine, far = 1 << 20, 1000 // device units of the page's size, and points between what is measured
	var at [3][2]float64
	for i, from := range [3][2]float64{{0, 0}, {far, 0}, {0, far}} {
		to, err := d.lib.FPDF_PageToDevice(&requests.FPDF_PageToDevice{Page: page, SizeX: fine, SizeY: fine, PageX: from[0], PageY: from[1]})
		if err != nil {
			return view{}, err
		}
		at[i] = [2]float64{float64(int32(to.DeviceX)) * float64(p.Width) / fine, float64(int32(to.DeviceY)) * float64(p.Height) / fine}
	}
	return view{(at[1][0] - at[0][0]) / far, (at[1][1] - at[0][1]) / far, (at[2][0] - at[0][0]) / far, (at[2][1] - at[0][1]) / far, at[0][0], at[0][1]}, nil
}

func (v view) rect(left, bottom, right, top float64) wire.Rect {
	x0, y0 := v.point(left, bottom)
	x1, y1 := v.point(right, top)
	return wire.Rect{X0: near(min(x0, x1)), Y0: near(min(y0, y1)), X1: near(max(x0, x1)), Y1: near(max(y0, y1))}
}

func (v view) point(x, y float64) (float64, float64) {
	return v.a*x + v.c*y + v.e, v.b*x + v.d*y + v.f
}

// near keeps what lies absurdly far off a page within what may be said.
func near(f float64) float32 {
	if math.IsNaN(f) {
		return 0
	}
	return float32(max(-1e6, min(f, 1e6)))
}
