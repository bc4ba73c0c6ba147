package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"medvault/imaging"
	"medvault/keys/envelope"
	"medvault/vault/access"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// DocumentQuery chooses documents to list, of every kind.
type DocumentQuery struct {
	// Patient is a patient token; who may see the original may give [ISSUER^^]ID. Required
	// of staff who see the original; others may leave it out.
	Patient  string
	Category string // of policy 1.1; "" is any
	After    record.ObjectID
	Limit    int // default 50, at most 200
}

// ListedDocument is what a document says of itself, in the view that the actor may see.
type ListedDocument struct {
	ID           record.ObjectID     `json:"id"`
	Patient      record.PatientToken `json:"patient"`
	Kind         string              `json:"kind"` // "dicom", "pdf", "scan", "fhir"
	Category     string              `json:"category"`
	View         record.View         `json:"view"`
	MediaType    string              `json:"mediaType"` // of this view
	Size         int64               `json:"size"`      // of this view
	Study        string              `json:"study,omitempty"`
	Title        string              `json:"title,omitempty"` // only where the original may be seen: it may name people
	ResourceType string              `json:"resourceType,omitempty"`
	Held         string              `json:"held,omitempty"` // why the de-identified view is withheld
	Pages        int                 `json:"pages,omitempty"`
	Signatures   int                 `json:"signatures,omitempty"`  // electronic ones, which stay valid on the original alone
	Attachments  int                 `json:"attachments,omitempty"` // files found inside
	Notes        []string            `json:"notes,omitempty"`       // "attachment-refused": such a file is nowhere but in the original
	Parent       record.ObjectID     `json:"parent,omitempty"`      // the document it was found in
}

// DocumentPage is a part of the list.
type DocumentPage struct {
	Documents []ListedDocument `json:"documents"`
	Next      record.ObjectID  `json:"next,omitempty"` // where the next page begins; "" at the end
}

const (
	documentPage    = 50
	maxDocumentPage = 200
)

// Documents lists what the actor may find. The list has its leaf before it is shown, and
// so has every patient in it, one a window.
func (v *Vault) Documents(ctx context.Context, a record.Actor, q DocumentQuery) (DocumentPage, error) {
	if q.Category != "" && !categories[q.Category] {
		return DocumentPage{}, unknownCategory
	}
	if q.Limit <= 0 {
		q.Limit = documentPage
	}
	q.Limit = min(q.Limit, maxDocumentPage)
	listing, began := act{Actor: a, Action: record.ActionSearch}, v.cfg.Now()
	if err := v.comeOfAge(ctx); err != nil {
		return DocumentPage{}, unavailable("catalog", err)
	}
	l := &listingDocuments{v: v, act: listing, q: q}
	if err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error { return l.find(ctx, tx) }); err != nil {
		return DocumentPage{}, err
	}
	if !l.decision.Allow {
		return DocumentPage{}, v.refuse(ctx, listing)
	}
	shown := make([]record.PatientToken, len(l.found))
	for i, d := range l.found {
		shown[i] = d.Patient
	}
	if err := v.writeSearchLeaves(ctx, listing, l.decision, began, shown); err != nil {
		return DocumentPage{}, err
	}
	page := DocumentPage{Documents: make([]ListedDocument, 0, len(l.found)), Next: l.next}
	for _, d := range l.found {
		one, err := v.listed(ctx, d, l.patients[d.Patient], l.decision.View)
		if err != nil {
			return DocumentPage{}, err
		}
		page.Documents = append(page.Documents, one)
	}
	return page, nil
}

// listingDocuments is one look into the catalog.
type listingDocuments struct {
	v        *Vault
	act      act
	q        DocumentQuery
	decision access.Decision
	found    []catalog.Document
	patients map[record.PatientToken]catalog.Patient // that may be shown
	next     record.ObjectID
}

// maxListed bounds how many rows one page looks at.
const maxListed = 5000

func (l *listingDocuments) find(ctx context.Context, tx *catalog.Tx) (err error) {
	l.found, l.next, l.patients = nil, "", make(map[record.PatientToken]catalog.Patient)
	if l.decision, err = l.v.decide(ctx, tx, l.act); err != nil || !l.decision.Allow {
		return err
	}
	search := catalog.DocumentQuery{Category: l.q.Category, Released: l.decision.View == record.ViewDeidentified, After: l.q.After, Limit: maxDocumentPage}
	if search.Patients, err = l.whose(ctx, tx); err != nil {
		return err
	}
	refused := make(map[record.PatientToken]bool)
	for looked := 0; looked < maxListed; {
		rows, err := tx.ListDocuments(ctx, search)
		if err != nil {
			return err
		}
		for _, d := range rows {
			may, err := l.may(ctx, tx, d.Patient, refused)
			if err != nil {
				return err
			}
			if search.After = d.ID; may {
				l.found = append(l.found, d)
			}
			if len(l.found) == l.q.Limit {
				l.next = d.ID
				return nil
			}
		}
		if looked += len(rows); len(rows) < search.Limit {
			return nil
		}
	}
	l.next = search.After
	return nil
}

func (l *listingDocuments) may(ctx context.Context, tx *catalog.Tx, p record.PatientToken, refused map[record.PatientToken]bool) (bool, error) {
	if _, asked := l.patients[p]; asked || refused[p] {
		return asked, nil
	}
	d, err := l.v.decide(ctx, tx, act{Actor: l.act.Actor, Action: record.ActionSearch, Patient: p})
	if err != nil {
		return false, err
	}
	if !d.Allow || d.View != l.decision.View {
		refused[p] = true
		return false, nil
	}
	l.patients[p], err = tx.Patient(ctx, p)
	return true, err
}

// whose documents are listed; nil is everybody's.
func (l *listingDocuments) whose(ctx context.Context, tx *catalog.Tx) (all []record.PatientToken, err error) {
	a := l.act.Actor
	own := a.Role == record.RolePatient || a.Role == record.RoleGuardian
	if own {
		if all, err = l.v.theirs(ctx, tx, a); err != nil {
			return nil, err
		}
	}
	if l.q.Patient == "" {
		if !own && l.decision.View == record.ViewOriginal {
			return nil, record.Refuse(record.ErrInvalid, "missing-patient", "name the patient: a patient token, or [ISSUER^^]ID")
		}
		return all, nil
	}
	p, err := record.ParsePatientToken(l.q.Patient)
	if err != nil {
		if l.decision.View != record.ViewOriginal {
			return nil, record.Refuse(record.ErrInvalid, "bad-patient", "name the patient by the patient token")
		}
		issuer, id, given := strings.Cut(l.q.Patient, "^^")
		if !given {
			issuer, id = a.Issuer, l.q.Patient
		}
		p = record.PatientToken(l.v.tokens.Patient(issuer, id))
	}
	if own && !slices.Contains(all, p) {
		return []record.PatientToken{}, nil
	}
	return []record.PatientToken{p}, nil
}

// listed opens what is sealed beside a document.
func (v *Vault) listed(ctx context.Context, d catalog.Document, p catalog.Patient, view record.View) (ListedDocument, error) {
	k, err := v.openKeys(ctx, p)
	if err != nil {
		return ListedDocument{}, err
	}
	o, err := v.open(ctx, d.Object, k, view)
	if err != nil {
		return ListedDocument{}, err
	}
	var f facts
	if err := readPart(ctx, o, envelope.Facts, &f); err != nil {
		return ListedDocument{}, fmt.Errorf("open %s: %w", d.ID, err)
	}
	one := ListedDocument{ID: d.ID, Patient: d.Patient, Kind: d.Kind.String(), Category: d.Category, View: view, MediaType: f.mediaType(d.Kind), Size: f.Size,
		Study: d.Study, ResourceType: f.ResourceType, Held: d.Held, Pages: f.Pages, Signatures: f.Signatures, Attachments: f.Facts.Attachments, Parent: f.Parent}
	if slices.Contains(f.Report.Reasons, attachmentRefused) {
		one.Notes = []string{attachmentRefused}
	}
	if view != record.ViewOriginal {
		return one, nil
	}
	var w who
	if err := readPart(ctx, o, envelope.Who, &w); err != nil {
		return ListedDocument{}, fmt.Errorf("open %s: %w", d.ID, err)
	}
	one.Title, one.Size, one.Study, one.MediaType = w.Title, w.Size, w.Study, w.mediaType(d.Kind)
	return one, nil
}

// mediaType of a content.
func (f facts) mediaType(kind record.Kind) string {
	switch {
	case f.MediaType != "":
		return f.MediaType
	case kind == record.KindDICOM:
		return "application/dicom"
	}
	return "application/pdf"
}

// mediaType of an original.
func (w who) mediaType(kind record.Kind) string {
	switch {
	case w.MediaType != "":
		return w.MediaType
	case kind == record.KindDICOM:
		return "application/dicom"
	case kind == record.KindFHIR:
		return "application/fhir+json"
	}
	return "application/pdf"
}

// mediaOf tells pictures of paper apart by their first bytes.
func mediaOf(kind record.Kind, head []byte) string {
	switch {
	case kind != record.KindScan || len(head) < 2:
		return ""
	case head[0] == 0xFF:
		return "image/jpeg"
	case head[0] == 0x89:
		return "image/png"
	}
	return "image/tiff"
}

// Redactions tells what was taken out of a document and where it stood, as its redactor
// wrote it down, to who may see the original. Where there is nothing: ErrNotFound.
func (h *Handle) Redactions(ctx context.Context) ([]byte, error) {
	if h.View != record.ViewOriginal {
		return nil, record.Refuse(record.ErrDenied, "original-only", "what was taken out is told to those alone who may see the original")
	}
	if err := h.renew(ctx); err != nil {
		return nil, err
	}
	var m json.RawMessage
	err := h.object.manifestOf(ctx, &m)
	if errors.Is(err, envelope.ErrNoPart) {
		return nil, record.Refuse(record.ErrNotFound, "no-redactions", "nothing was taken out of pages here")
	}
	return m, err
}

// Page streams the de-identified PDF of a document: the content itself, or what a DICOM
// object encapsulates.
func (h *Handle) Page(ctx context.Context) (io.ReadCloser, error) {
	if h.Kind == record.KindDICOM {
		return h.Bulk(ctx, encapsulatedDocument)
	}
	return h.Reader(ctx)
}

// encapsulatedDocument is the tag of Encapsulated Document (0042,0011).
const encapsulatedDocument = "00420011"

// RenderPage draws a page, from 1, of a de-identified view that has pages, as PNG, with
// masks painted, at the resolution at which masks are measured.
type RenderPage func(ctx context.Context, w io.Writer, content io.Reader, page int, masks []imaging.Mask) error
