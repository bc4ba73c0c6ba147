package pdf_test

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"slices"
	"strings"
	"testing"

	"medvault/imaging"
	"medvault/imaging/imagingtest"
	"medvault/imaging/mention"
	"medvault/imaging/pdf"
	"medvault/imaging/pdf/facsimile"
	"medvault/imaging/pdf/pdftest"
	"medvault/imaging/subject"
)

// known is a synthetic patient as the vault knows one.
func known(p imagingtest.Patient) *mention.Known {
	return mention.New(subject.Known{Names: []string{p.Name}, IDs: []string{p.ID}, Dates: []string{p.BirthDate},
		Phones: []string{p.Phone}, Addresses: []string{p.Address}, Others: []string{p.Hospital}}, mention.Tokens{Name: "[PT-KQ37HC]", ID: "[ID:KQ37HC]", Days: 11})
}

func redact(t *testing.T, r *pdf.Redactor, document []byte, p imagingtest.Patient, release *imaging.Release) pdf.Redacted {
	t.Helper()
	got, err := r.Redact(context.Background(), document, known(p), release)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// text is all text of a view, in which nothing else may be.
func text(t *testing.T, view []byte) string {
	t.Helper()
	contents, err := facsimile.Check(view)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(strings.Join(contents.Pages, " ")), " ")
}

func TestReport(t *testing.T) {
	t.Parallel()
	r, p := pdftest.Redactor(t), imagingtest.NewPatient(1)
	original := imagingtest.Report(p)
	got := redact(t, r, original, p, nil)
	if got.Held != "" || got.Pages != 1 {
		t.Fatalf("held %v, %d pages; want a view of one page", got.Reasons, got.Pages)
	}
	if hits := imagingtest.Leaks([]byte(text(t, got.PDF)), p.Identifiers()); hits != nil {
		t.Errorf("the view holds %v", hits)
	}
	for _, want := range []string{"Patient: [PT-KQ37HC]", "ID: [ID:KQ37HC]", "姓名 [PT-KQ37HC]", "Born: [DOB]", "Findings: ventricles of normal width, no bleeding, no mass."} {
		if !strings.Contains(text(t, got.PDF), want) {
			t.Errorf("the view lacks %q: %s", want, text(t, got.PDF))
		}
	}
	var found []string
	for _, b := range got.Boxes {
		found = append(found, b.Kind+" "+b.Text)
	}
	for _, want := range []string{"id " + p.ID, "birth-date " + p.BirthDate, "name " + strings.ReplaceAll(p.Chinese(), "^", "")} {
		if !slices.Contains(found, want) {
			t.Errorf("boxes %q lack %q", found, want)
		}
	}
	unchanged(t, r, original, got)
	again := redact(t, r, original, p, nil)
	if !bytes.Equal(got.PDF, again.PDF) {
		t.Error("the same report makes another view the second time")
	}
}

// unchanged compares pixels: outside of the boxes nothing may differ but by what sixteen
// shades cannot tell apart, inside of them everything must.
func unchanged(t *testing.T, r *pdf.Redactor, original []byte, got pdf.Redacted) {
	t.Helper()
	for n := 1; n <= got.Pages; n++ {
		before, after := draw(t, r, original, n), draw(t, r, got.PDF, n)
		if before.Bounds() != after.Bounds() {
			t.Fatalf("page %d is %v; was %v", n, after.Bounds(), before.Bounds())
		}
		const points = 72.0
		boxes := image.NewGray(before.Bounds())
		for _, b := range got.Boxes {
			if s := pdf.MaskDPI / points; b.Page == n {
				for y := int(b.Y*s) - 1; y <= int((b.Y+b.Height)*s)+1; y++ {
					for x := int(b.X*s) - 1; x <= int((b.X+b.Width)*s)+1; x++ {
						if (image.Point{X: x, Y: y}).In(boxes.Rect) {
							boxes.Pix[boxes.PixOffset(x, y)] = 1
						}
					}
				}
			}
		}
		outside, inside := 0, 0
		for i := range boxes.Pix {
			x, y := i%boxes.Rect.Dx(), i/boxes.Rect.Dx()
			v := shade(after, x, y)
			low, high := shade(before, x, y), shade(before, x, y)
			for j := range 9 { // drawn again, a picture is not in the same pixels to the last fraction
				w := shade(before, x+j%3-1, y+j/3-1)
				low, high = min(low, w), max(high, w)
			}
			if boxes.Pix[i] == 0 && (v > high+12 || v < low-12) {
				outside++
			}
			if boxes.Pix[i] == 1 && max(v-shade(before, x, y), shade(before, x, y)-v) > 100 {
				inside++
			}
		}
		if outside > 0 {
			t.Errorf("page %d: %d pixels outside of the boxes changed", n, outside)
		}
		if len(got.Boxes) > 0 && inside == 0 {
			t.Errorf("page %d: nothing was painted", n)
		}
	}
}

func shade(m image.Image, x, y int) int {
	return int(color.GrayModel.Convert(m.At(x, y)).(color.Gray).Y)
}

func draw(t *testing.T, r *pdf.Redactor, document []byte, page int) image.Image {
	t.Helper()
	data, err := r.Render(context.Background(), document, page)
	if err != nil {
		t.Fatal(err)
	}
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Text that can be seen goes over, whatever hides elsewhere does not.
func TestOnlyWhatIsSeenGoesOver(t *testing.T) {
	t.Parallel()
	p := imagingtest.NewPatient(4)
	content := lines("Findings: nothing of note.") +
		"BT 3 Tr /F1 11 Tf 60 500 Td (unseen words) Tj ET 0 Tr\n" +
		"BT 1 1 1 rg /F1 11 Tf 60 480 Td (white words) Tj ET 0 0 0 rg\n" +
		"BT /F1 11 Tf 900 400 Td (distant words) Tj ET\n" +
		"BT /F1 11 Tf 60 440 Td (covered words) Tj ET 55 430 200 20 re f\n" +
		"/Span << /ActualText (other words) >> BDC BT /F1 11 Tf 60 380 Td (drawn words) Tj ET EMC\n"
	got := redact(t, pdftest.Redactor(t), sheet(content, "", ""), p, nil)
	if got.Held != "" {
		t.Fatalf("held %v; want a view", got.Reasons)
	}
	if want := "Findings: nothing of note. drawn words"; text(t, got.PDF) != want {
		t.Errorf("text %q; want %q", text(t, got.PDF), want)
	}
}

// A page with a picture is withheld until a person has looked, and shows then what the
// person left.
func TestPicturesAreReviewed(t *testing.T) {
	t.Parallel()
	p := imagingtest.NewPatient(5)
	pixels := make([]byte, 64*64)
	for i := range pixels {
		pixels[i] = byte(i * 7)
	}
	document := sheet(lines("Findings: nothing of note.")+"q 200 0 0 200 100 300 cm /X Do Q", "", "/XObject << /X 5 0 R >>",
		stream("/Type /XObject /Subtype /Image /Width 64 /Height 64 /ColorSpace /DeviceGray /BitsPerComponent 8", pixels))
	c := pdftest.Config(t)
	c.OCR = nil
	r, err := pdf.NewRedactor(c)
	if err != nil {
		t.Fatal(err)
	}
	got := redact(t, r, document, p, nil)
	if want := []string{pdf.HeldNoOCR, pdf.HeldScan}; !slices.Equal(got.Reasons, want) || got.Held != want[0] || got.PDF == nil {
		t.Fatalf("held %q, reasons %v; want %v", got.Held, got.Reasons, want)
	}
	half := redact(t, r, document, p, &imaging.Release{Accept: []string{pdf.HeldScan}})
	if half.Held != pdf.HeldNoOCR {
		t.Errorf("held %q after one reason was accepted; want the other", half.Held)
	}
	mask := imaging.Mask{Frame: 1, X: 250, Y: 800, Width: 100, Height: 100}
	shown := redact(t, r, document, p, &imaging.Release{Masks: []imaging.Mask{mask}, Accept: got.Reasons})
	if shown.Held != "" {
		t.Fatalf("held %v after all was accepted", shown.Reasons)
	}
	m := draw(t, r, shown.PDF, 1)
	for _, at := range []image.Point{{251, 801}, {300, 850}, {348, 898}} {
		if v, _, _, _ := m.At(at.X, at.Y).RGBA(); v>>8 > 0x60 {
			t.Errorf("pixel %v is %d; want it under the mask", at, v>>8)
		}
	}
}

func TestBesidesPages(t *testing.T) {
	t.Parallel()
	p := imagingtest.NewPatient(6)
	f := file{objects: []string{
		"<< /Type /Catalog /Pages 2 0 R /Names << /EmbeddedFiles << /Names [(a) 5 0 R] >> /JavaScript << /Names [(b) 7 0 R] >> >> /AcroForm << /SigFlags 3 /Fields [8 0 R] >> >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << >> >>",
		stream("", []byte("10 10 50 50 re f")),
		"<< /Type /Filespec /F (letter.txt) /UF (letter.txt) /EF << /F 6 0 R >> >>",
		stream("/Type /EmbeddedFile", []byte("Dear colleague")),
		"<< /S /JavaScript /JS (app.alert\\(1\\)) >>",
		"<< /Type /Annot /Subtype /Widget /FT /Sig /T (s) /Rect [0 0 0 0] /P 3 0 R /V << /Type /Sig /Filter /Adobe.PPKLite /SubFilter /adbe.pkcs7.detached /Contents <00> /ByteRange [0 1 2 3] >> >>",
	}}
	got := redact(t, pdftest.Redactor(t), f.bytes(""), p, nil)
	if len(got.Attachments) != 1 || got.Attachments[0].Name != "letter.txt" || string(got.Attachments[0].Data) != "Dear colleague" {
		t.Errorf("attachments %v; want letter.txt", got.Attachments)
	}
	if got.Signatures != 1 || got.Scripts != 1 {
		t.Errorf("%d signatures, %d scripts; want one each", got.Signatures, got.Scripts)
	}
	if got.PDF == nil || bytes.Contains(got.PDF, []byte("colleague")) {
		t.Errorf("held %v; want a view without the letter", got.Reasons)
	}
}

func TestWhatCannotBeRedactedSaysWhy(t *testing.T) {
	t.Parallel()
	p := imagingtest.NewPatient(7)
	r := pdftest.Redactor(t)
	xfa := file{objects: []string{
		"<< /Type /Catalog /Pages 2 0 R /NeedsRendering true /AcroForm << /Fields [] /XFA 4 0 R >> >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>",
		stream("", []byte("<xdp:xdp xmlns:xdp='http://ns.adobe.com/xdp/'></xdp:xdp>"))}}
	for name, c := range map[string]struct {
		document []byte
		want     string
	}{
		"password":         {imagingtest.EncryptedReport(p), pdf.HeldPassword},
		"a dynamic form":   {xfa.bytes(""), pdf.HeldXFA},
		"cut":              {imagingtest.Report(p)[:200], pdf.HeldBroken},
		"nothing":          {nil, pdf.HeldBroken},
		"text":             {[]byte("Dear colleague"), pdf.HeldBroken},
		"a page too large": {sheet(lines("a"), "/MediaBox [0 0 200000 200000]", ""), pdf.HeldPage},
	} {
		got := redact(t, r, c.document, p, &imaging.Release{Accept: []string{c.want}})
		if got.Held != c.want || got.PDF != nil || pdf.Advice(got.Held) == "" {
			t.Errorf("%s: held %q, %d bytes; want %s, which nobody can accept", name, got.Held, len(got.PDF), c.want)
		}
	}
}

// A page keeps its colours; one without has none in its view, which is then smaller.
func TestColour(t *testing.T) {
	t.Parallel()
	r, p := pdftest.Redactor(t), imagingtest.NewPatient(10)
	text := lines("Patient: "+strings.ReplaceAll(p.Latin(), "^", " "), "Findings: nothing of note.")
	coloured := redact(t, r, sheet(text+"1 0 0 rg 100 100 200 200 re f 0 0.4 0.8 rg 300 100 200 200 re f", "", ""), p, nil)
	grey := redact(t, r, sheet(text+"0.5 g 100 100 400 200 re f", "", ""), p, nil)
	if coloured.Held != "" || grey.Held != "" {
		t.Fatalf("held %v, %v; want views", coloured.Reasons, grey.Reasons)
	}
	m := draw(t, r, coloured.PDF, 1)
	for at, want := range map[image.Point]color.RGBA{{400, 1300}: {0xFF, 0, 0, 0xFF}, {800, 1300}: {0, 0x66, 0xCC, 0xFF}} {
		if got := color.RGBAModel.Convert(m.At(at.X, at.Y)).(color.RGBA); got != want {
			t.Errorf("pixel %v is %v; want %v", at, got, want)
		}
	}
	if bytes.Contains(grey.PDF, []byte("DeviceRGB")) {
		t.Error("a page without colours is written with colours")
	}
}
