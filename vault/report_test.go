package vault_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/imaging/pdf"
	"medvault/imaging/pdf/pdftest"
	"medvault/imaging/report"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// redacting is a vault with a redactor that works.
func redacting(t *testing.T, o vaulttest.Options) *vaulttest.House {
	t.Helper()
	if _, err := os.Stat("/usr/share/fonts"); err != nil {
		t.Skip("install fonts (scripts/backends/install) to redact reports")
	}
	o.Reports = report.Config{Redactor: pdftest.Redactor(t)}
	o.Poll = 20 * time.Millisecond
	return vaulttest.New(t, o)
}

// paper is a PDF of one page with these lines, and perhaps a file in it.
func paper(file []byte, lines ...string) []byte {
	var page bytes.Buffer
	for i, line := range lines {
		fmt.Fprintf(&page, "BT /F 12 Tf 60 %d Td (%s) Tj ET\n", 760-20*i, line)
	}
	objects := []string{"<</Type/Catalog/Pages 2 0 R%s>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
		fmt.Sprintf("<</Length %d>>stream\n%s\nendstream", page.Len(), page.String()), "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"}
	names := ""
	if file != nil {
		names = "/Names<</EmbeddedFiles<</Names[(note) 6 0 R]>>>>"
		objects = append(objects, "<</Type/Filespec/F(note.pdf)/UF(note.pdf)/EF<</F 7 0 R>>>>",
			fmt.Sprintf("<</Type/EmbeddedFile/Length %d>>stream\n%s\nendstream", len(file), file))
	}
	objects[0] = fmt.Sprintf(objects[0], names)
	var b bytes.Buffer
	b.WriteString("%PDF-1.7\n")
	var at []int
	for i, o := range objects {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	table := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, o := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer <</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, table)
	return b.Bytes()
}

// shown waits until the de-identified view of a document may be read, and returns it.
func shown(t *testing.T, h *vaulttest.House, id record.ObjectID) *vault.Handle {
	t.Helper()
	var got *vault.Handle
	eventually(t, "the view of a report", func() bool {
		opened, err := h.Open(t.Context(), quality, vault.Ref{Document: id})
		if err == nil && len(opened.Documents) == 1 {
			got = opened.Documents[0]
		}
		return got != nil
	})
	return got
}

// boxes are what was painted over in a document, as its clinician may see.
func boxes(t *testing.T, h *vaulttest.House, id record.ObjectID) []pdf.Box {
	t.Helper()
	found, err := open(t, h, clinician, vault.Ref{Document: id})[0].Redactions(t.Context())
	if err != nil {
		t.Fatalf("Redactions = %v", err)
	}
	var m report.Manifest
	if err := json.Unmarshal(found, &m); err != nil {
		t.Fatal(err)
	}
	return m.Boxes
}

func TestAReportIsRedactedInTheBackground(t *testing.T) {
	t.Parallel()
	h := redacting(t, vaulttest.Options{})
	original := paper(nil, "Wetherby Odalys, MRN-7781920", "The chest is clear.")
	r, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(original), PatientID: "MRN-7781920", Title: "Odalys Wetherby", PatientName: "Wetherby^Odalys"})
	if err != nil {
		t.Fatalf("Put = %v", err)
	}
	treat(t, h, r.Patient)
	view := shown(t, h, r.ID)
	content := read(t, view)
	if !bytes.HasPrefix(content, []byte("%PDF-")) || int64(len(content)) != view.Size || view.MediaType != "application/pdf" || view.Title != "" {
		t.Errorf("the view: %d bytes of %s, titled %q; want a PDF of %d, titled nothing", len(content), view.MediaType, view.Title, view.Size)
	}
	if view.ID == r.ID {
		t.Error("the view lies in the object that was acknowledged; want it superseded")
	}
	if got := read(t, open(t, h, clinician, vault.Ref{Document: r.ID})[0]); !bytes.Equal(got, original) {
		t.Error("the original does not come back byte for byte")
	}
	kinds := make(map[string]bool)
	for _, b := range boxes(t, h, r.ID) {
		kinds[b.Kind] = true
	}
	if !kinds["name"] || !kinds["id"] {
		t.Errorf("painted over: %v; want a name and an id", kinds)
	}
	if _, err := view.Redactions(t.Context()); err == nil {
		t.Error("quality control is told what was painted over")
	}
	page, err := h.Documents(t.Context(), quality, vault.DocumentQuery{Category: "report"})
	if err != nil || len(page.Documents) != 1 || page.Documents[0].Pages != 1 || page.Documents[0].Title != "" {
		t.Errorf("Documents = %+v, %v; want the report of one page, without its title", page, err)
	}
	mine, err := h.Documents(t.Context(), clinician, vault.DocumentQuery{Patient: "MRN-7781920"})
	if err != nil || len(mine.Documents) != 1 || mine.Documents[0].Title != "Odalys Wetherby" || mine.Documents[0].Size != int64(len(original)) {
		t.Errorf("Documents of a clinician = %+v, %v; want the original's title and size", mine, err)
	}
}

func TestAReportIsRedactedAgainWhenMoreIsKnown(t *testing.T) {
	t.Parallel()
	h := redacting(t, vaulttest.Options{})
	p := patient()
	family, given, _ := strings.Cut(strings.Split(p.Name, "=")[0], "^")
	r, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(paper(nil, "We saw "+given+" "+family+" today.")), PatientID: p.ID, Issuer: p.Issuer})
	if err != nil {
		t.Fatalf("Put = %v", err)
	}
	treat(t, h, r.Patient)
	before := shown(t, h, r.ID)
	if found := boxes(t, h, r.ID); slices.ContainsFunc(found, func(b pdf.Box) bool { return b.Kind == "name" }) {
		t.Fatalf("the name is known before an image has told it: %v", found)
	}
	put(t, h, ct(p, 1)) // tells the name
	eventually(t, "the report redacted again", func() bool {
		now := open(t, h, quality, vault.Ref{Document: r.ID})[0]
		return now.ID != before.ID && now.SHA256 != before.SHA256
	})
	if found := boxes(t, h, r.ID); !slices.ContainsFunc(found, func(b pdf.Box) bool { return b.Kind == "name" }) {
		t.Errorf("painted over: %v; want the name that an image has told", found)
	}
}

func TestWhatLiesInAReportIsADocumentOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, policy := range []vault.Attachments{vault.AttachmentsStore, vault.AttachmentsRefuse} {
		h := redacting(t, vaulttest.Options{Attachments: policy})
		inner := paper(nil, "An older finding.")
		r, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(paper(inner, "See the attached.")), PatientID: "P1"})
		if err != nil {
			t.Fatalf("Put = %v", err)
		}
		treat(t, h, r.Patient)
		shown(t, h, r.ID)
		page, err := h.Documents(t.Context(), clinician, vault.DocumentQuery{Patient: string(r.Patient)})
		if err != nil {
			t.Fatal(err)
		}
		refused := slices.ContainsFunc(page.Documents, func(d vault.ListedDocument) bool { return slices.Contains(d.Notes, "attachment-refused") })
		if policy == vault.AttachmentsRefuse {
			if len(page.Documents) != 1 || !refused {
				t.Errorf("refuse: %+v; want the report alone, which says so", page.Documents)
			}
			continue
		}
		i := slices.IndexFunc(page.Documents, func(d vault.ListedDocument) bool { return d.Parent != "" })
		if len(page.Documents) != 2 || i < 0 || refused {
			t.Fatalf("store: %+v; want the report and what lies in it", page.Documents)
		}
		if got := read(t, open(t, h, clinician, vault.Ref{Document: page.Documents[i].ID})[0]); !bytes.Equal(bytes.TrimSpace(got), bytes.TrimSpace(inner)) {
			t.Error("the attachment does not come back as it was")
		}
		named := false
		for _, l := range leaves(t, h, record.ActionStore) {
			named = named || strings.HasPrefix(l.Origin, "attachment of ")
		}
		if !named {
			t.Error("no leaf names the document that the attachment lies in")
		}
	}
}

func TestAScanWaitsForAPerson(t *testing.T) {
	t.Parallel()
	h := redacting(t, vaulttest.Options{})
	m := image.NewGray(image.Rect(0, 0, 400, 300))
	for i := range m.Pix {
		m.Pix[i] = 0xFF
	}
	for x := 100; x < 300; x++ {
		m.SetGray(x, 150, color.Gray{})
	}
	var scan bytes.Buffer
	if err := png.Encode(&scan, m); err != nil {
		t.Fatal(err)
	}
	r, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(scan.Bytes()), PatientID: "P1", Category: "prescription"})
	if err != nil {
		t.Fatalf("Put = %v", err)
	}
	treat(t, h, r.Patient)
	var waiting vault.Review
	eventually(t, "the scan in the list of what waits", func() bool {
		page, err := h.Reviews(t.Context(), reviewer, vault.ReviewQuery{})
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range page.Reviews {
			if one.Frames > 0 {
				waiting = one
			}
		}
		return waiting.Object != ""
	})
	if !slices.Contains([]string{pdf.HeldScan, pdf.HeldNoOCR}, waiting.Code) || waiting.Kind != "scan" || waiting.Frames != 1 {
		t.Errorf("the scan waits as %+v; want one page, unreviewed", waiting)
	}
	var picture bytes.Buffer
	if err := h.Preview(t.Context(), reviewer, waiting.Object, vault.PreviewOptions{Masks: []vault.Mask{{Frame: 1, X: 0, Y: 0, Width: 20, Height: 20}}}, &picture); err != nil {
		t.Fatalf("Preview = %v", err)
	}
	drawn, err := png.Decode(&picture)
	if err != nil {
		t.Fatal(err)
	}
	if grey := color.GrayModel.Convert(drawn.At(5, 5)).(color.Gray).Y; grey != 0 {
		t.Errorf("under the mask the page has %d; want black", grey)
	}
	now, err := h.Release(t.Context(), reviewer, waiting.Object, vault.NewRelease{Accept: waiting.Reasons, Masks: []vault.Mask{{Frame: 1, X: 0, Y: 0, Width: 20, Height: 20}}, Reason: "a line, no words"})
	if err != nil {
		t.Fatalf("Release = %v", err)
	}
	if view := shown(t, h, now); view.MediaType != "application/pdf" || view.Category != "prescription" {
		t.Errorf("the view is %s of %s; want a PDF of a prescription", view.MediaType, view.Category)
	}
	back := open(t, h, clinician, vault.Ref{Document: r.ID})[0]
	if got := read(t, back); !bytes.Equal(got, scan.Bytes()) || back.MediaType != "image/png" {
		t.Errorf("the original comes back as %s", back.MediaType)
	}
}

func TestOnePatientHasOneTokenInImagesAndResources(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{Poll: 20 * time.Millisecond})
	p := patient()
	image := put(t, h, ct(p, 1))
	attributes, err := open(t, h, quality, vault.Ref{Document: image.ID})[0].Metadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var shownTo map[string]struct{ Value []any }
	if err := json.Unmarshal(attributes, &shownTo); err != nil {
		t.Fatal(err)
	}
	original, err := func() (map[string]struct{ Value []any }, error) {
		treat(t, h, image.Patient)
		data, err := open(t, h, clinician, vault.Ref{Document: image.ID})[0].Metadata(t.Context())
		var all map[string]struct{ Value []any }
		return all, errors.Join(err, json.Unmarshal(data, &all))
	}()
	if err != nil {
		t.Fatal(err)
	}
	accession := original["00080050"].Value[0].(string)
	resource := fmt.Sprintf(`{"resourceType":"MedicationRequest","status":"active","intent":"order","identifier":[{"value":%q}],
"subject":{"reference":"Patient/1","identifier":{"value":%q}},"medicationCodeableConcept":{"text":"aspirin"},"note":[{"text":"for %s"}]}`,
		accession, p.ID, strings.ReplaceAll(strings.Split(p.Name, "=")[0], "^", " "))
	r, err := h.Put(t.Context(), radiology, vault.Upload{Body: strings.NewReader(resource), PatientID: p.ID, Issuer: p.Issuer})
	if err != nil {
		t.Fatalf("Put = %v", err)
	}
	if r.Patient != image.Patient {
		t.Error("one patient has two tokens")
	}
	view := shown(t, h, r.ID)
	content := read(t, view)
	var v struct {
		Identifier []struct{ Value string }
		Subject    struct {
			Reference  string
			Identifier struct{ Value string }
		}
		Note []struct{ Text string }
	}
	if err := json.Unmarshal(content, &v); err != nil {
		t.Fatalf("the view: %v", err)
	}
	if v.Identifier[0].Value != shownTo["00080050"].Value[0] {
		t.Errorf("accession number %v in the resource, %v in the image", v.Identifier[0].Value, shownTo["00080050"].Value[0])
	}
	if v.Subject.Identifier.Value != shownTo["00100020"].Value[0] || v.Subject.Reference != "Patient/"+string(r.Patient) {
		t.Errorf("patient %+v in the resource, %v in the image", v.Subject, shownTo["00100020"].Value[0])
	}
	if want := "for [PT-" + strings.ToUpper(string(r.Patient[1:7])) + "]"; v.Note[0].Text != want {
		t.Errorf("note %q; want %q", v.Note[0].Text, want)
	}
	if view.MediaType != "application/fhir+json" || view.Category != "prescription" {
		t.Errorf("the view is %s, of %s; want FHIR, of prescriptions", view.MediaType, view.Category)
	}
	if got := read(t, open(t, h, clinician, vault.Ref{Document: r.ID})[0]); string(got) != resource {
		t.Error("the original does not come back byte for byte")
	}
}

func TestAPDFInDICOMIsRedactedAsAnyReport(t *testing.T) {
	t.Parallel()
	h := redacting(t, vaulttest.Options{})
	p := patient()
	original := imagingtest.CT(p, imagingtest.Options{Modality: "DOC", Study: 7})
	r := put(t, h, original)
	treat(t, h, r.Patient)
	view := shown(t, h, r.ID)
	value, err := view.Bulk(t.Context(), "00420011")
	if err != nil {
		t.Fatalf("the view has no document: %v", err)
	}
	defer value.Close()
	document, err := io.ReadAll(value)
	if err != nil || !bytes.HasPrefix(document, []byte("%PDF-")) {
		t.Fatalf("the view's document: %d bytes, %v; want a PDF", len(document), err)
	}
	content := read(t, view)
	for _, planted := range []string{p.ID, strings.Split(p.Name, "^")[0]} {
		if bytes.Contains(content, []byte(planted)) {
			t.Error("the view names the patient")
		}
	}
	if got := read(t, open(t, h, clinician, vault.Ref{Document: r.ID})[0]); !bytes.Equal(got, original) {
		t.Error("the original does not come back byte for byte")
	}
	if len(boxes(t, h, r.ID)) == 0 {
		t.Error("nothing was painted over")
	}
}
