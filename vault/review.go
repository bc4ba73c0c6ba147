package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"medvault/imaging"
	"medvault/imaging/subject"
	"medvault/keys/envelope"
	"medvault/vault/access"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Mask is a rectangle of pixels that is painted black.
type Mask = imaging.Mask

// States of a review.
const (
	ReviewOpen     = "open"     // waits for a person
	ReviewRefused  = "refused"  // a person decided that it stays withheld
	ReviewReleased = "released" // a person released it
)

// Review is a document whose de-identified view is or was withheld, as a reviewer sees
// it: no identity.
type Review struct {
	Object     record.ObjectID     `json:"object"`
	Patient    record.PatientToken `json:"patient"`
	Kind       string              `json:"kind"` // "dicom", "pdf", "scan", "fhir"
	State      string              `json:"state"`
	Modality   string              `json:"modality,omitempty"`
	SOPClass   string              `json:"sopClass,omitempty"`
	Code       string              `json:"code"`    // why it is withheld
	Reasons    []string            `json:"reasons"` // what spoke for it, finer
	Since      time.Time           `json:"since"`
	Frames     int                 `json:"frames"`               // or pages
	Suggest    []Mask              `json:"suggest"`              // masks a person may want to paint
	Masks      []Mask              `json:"masks,omitempty"`      // that were painted at an earlier release
	Decided    *Decided            `json:"decided,omitempty"`    // only where one document is asked for
	Attributes json.RawMessage     `json:"attributes,omitempty"` // de-identified DICOM JSON; only where one document is asked for
}

// Decided is who refused or released a document, and why.
type Decided struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
	Accept []string  `json:"accept,omitempty"` // codes the person found harmless
}

// ReviewQuery chooses what to list.
type ReviewQuery struct {
	State string          // ReviewOpen, the default, or ReviewRefused
	After record.ObjectID // the last of the page before; "" for the first page
	Limit int             // default 50, at most 200
}

// ReviewPage is a part of the list, the newest first.
type ReviewPage struct {
	Reviews []Review        `json:"reviews"`
	Next    record.ObjectID `json:"next,omitempty"` // where the next page begins; "" at the end
}

const (
	reviewPage    = 50
	maxReviewPage = 200
)

// Reviews lists documents that are withheld. Those of patients who are frozen, or whom
// the policies refuse for another reason, are left out. The list has its leaf before it
// is shown, and so has every patient in it, one a window.
func (v *Vault) Reviews(ctx context.Context, a record.Actor, q ReviewQuery) (ReviewPage, error) {
	if q.State != "" && q.State != ReviewOpen && q.State != ReviewRefused {
		return ReviewPage{}, record.Refuse(record.ErrInvalid, "unknown-state", "state is open or refused")
	}
	if q.Limit <= 0 {
		q.Limit = reviewPage
	}
	q.Limit = min(q.Limit, maxReviewPage)
	listing := act{Actor: a, Action: record.ActionReviewList}
	began := v.cfg.Now()
	var d access.Decision
	var held []catalog.Document
	var next record.ObjectID
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if d, err = v.decide(ctx, tx, listing); err != nil || !d.Allow {
			return err
		}
		held, next, err = v.heldPage(ctx, tx, listing, q)
		return err
	})
	if err != nil {
		return ReviewPage{}, err
	}
	if !d.Allow {
		return ReviewPage{}, v.refuse(ctx, listing)
	}
	patients := make([]record.PatientToken, len(held))
	for i, h := range held {
		patients[i] = h.Patient
	}
	if err := v.writeSearchLeaves(ctx, listing, d, began, patients); err != nil {
		return ReviewPage{}, err
	}
	page := ReviewPage{Reviews: make([]Review, 0, len(held)), Next: next}
	for _, h := range held {
		f, err := v.factsOf(ctx, h)
		if err != nil {
			return ReviewPage{}, err
		}
		page.Reviews = append(page.Reviews, reviewOf(h, f))
	}
	return page, nil
}

// heldPage reads one page, and decides about each patient in it.
func (v *Vault) heldPage(ctx context.Context, tx *catalog.Tx, listing act, q ReviewQuery) (may []catalog.Document, next record.ObjectID, err error) {
	var behind catalog.Place
	if q.After != "" {
		o, err := tx.Object(ctx, q.After)
		if errors.Is(err, catalog.ErrNotFound) {
			return nil, "", record.Refuse(record.ErrInvalid, "unknown-place", "after is the value of next in the page before")
		}
		if err != nil {
			return nil, "", err
		}
		behind = catalog.Place{Time: o.Created, ID: o.ID}
	}
	held, err := tx.Held(ctx, q.State == ReviewRefused, behind, q.Limit+1)
	if err != nil {
		return nil, "", err
	}
	if len(held) > q.Limit {
		held = held[:q.Limit]
		next = held[q.Limit-1].ID
	}
	allowed := make(map[record.PatientToken]bool)
	for _, h := range held {
		if _, asked := allowed[h.Patient]; !asked {
			one := listing
			one.Patient = h.Patient
			d, err := v.decide(ctx, tx, one)
			if err != nil {
				return nil, "", err
			}
			allowed[h.Patient] = d.Allow
		}
		if allowed[h.Patient] {
			may = append(may, h)
		}
	}
	return may, next, nil
}

func reviewOf(d catalog.Document, f facts) Review {
	r := Review{Object: d.ID, Patient: d.Patient, Kind: d.Kind.String(), State: ReviewOpen, SOPClass: f.SOPClass, Code: d.Held,
		Reasons: append([]string{}, f.Report.Reasons...), Since: d.Created, Suggest: append([]Mask{}, f.Report.Suggest...)}
	switch {
	case d.Held == "":
		r.State = ReviewReleased
	case d.Review != "":
		r.State = ReviewRefused
	}
	if r.Frames = f.Pages; f.Frames != nil {
		r.Frames = f.Frames.Count
	}
	if f.Release != nil {
		r.Masks = f.Release.Masks
	}
	var attributes map[string]json.RawMessage
	if json.Unmarshal(f.Attributes, &attributes) == nil {
		r.Modality = text(attributes["00080060"])
	}
	return r
}

// reviewing is one document that a person may look at or decide about.
type reviewing struct {
	act     act
	doc     catalog.Document
	patient catalog.Patient
	newer   bool // the document has changed since its id was given out
}

// beginReview finds a document and asks the guard. What it refuses has its leaf.
func (v *Vault) beginReview(ctx context.Context, a record.Actor, action record.Action, id record.ObjectID) (r reviewing, err error) {
	var d access.Decision
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		current, err := tx.Current(ctx, id)
		if err != nil {
			return notFound(err)
		}
		if r.doc, err = tx.Document(ctx, current); err != nil {
			return notFound(err)
		}
		r.newer = current != id
		r.act = act{Actor: a, Action: action, Patient: r.doc.Patient, Object: current}
		if d, err = v.decide(ctx, tx, r.act); err != nil || !d.Allow {
			return err
		}
		r.patient, err = tx.Patient(ctx, r.doc.Patient)
		return err
	})
	if errors.Is(err, record.ErrNotFound) {
		err = v.absent(ctx, a, action)
	}
	if err == nil && !d.Allow {
		err = v.refuse(ctx, r.act)
	}
	return r, err
}

// Review shows one document: the attributes too, and what was decided about it. Its
// leaf is committed before. A document that is not withheld and never was: ErrNotFound.
func (v *Vault) Review(ctx context.Context, a record.Actor, id record.ObjectID) (Review, error) {
	r, err := v.beginReview(ctx, a, record.ActionReviewRead, id)
	if err != nil {
		return Review{}, err
	}
	if _, err := v.perform(ctx, r.act, nil); err != nil {
		return Review{}, err
	}
	f, err := v.factsOf(ctx, r.doc)
	if err != nil {
		return Review{}, err
	}
	if r.doc.Held == "" && f.Release == nil {
		return Review{}, record.ErrNotFound
	}
	review := reviewOf(r.doc, f)
	review.Attributes = f.Attributes
	review.Decided, err = v.decided(ctx, r, f)
	return review, err
}

// decided tells what a person decided about a document.
func (v *Vault) decided(ctx context.Context, r reviewing, f facts) (*Decided, error) {
	switch {
	case r.doc.Review != "":
		return v.refusedWhy(ctx, r)
	case f.Release != nil:
		return &Decided{By: f.Release.By, At: f.Release.At, Reason: f.Release.Reason, Accept: f.Release.Accept}, nil
	}
	return nil, nil
}

func (v *Vault) refusedWhy(ctx context.Context, r reviewing) (*Decided, error) {
	var row catalog.Object
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		current, err := tx.Current(ctx, r.doc.Review)
		if err == nil {
			row, err = tx.Object(ctx, current)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	k, err := v.openKeys(ctx, sealedFor(r.patient, row))
	if err != nil {
		return nil, err
	}
	o, err := v.open(ctx, row, k, record.ViewDeidentified)
	if err != nil {
		return nil, err
	}
	var was reviewRecord
	if err := readPart(ctx, o, envelope.Content, &was); err != nil {
		return nil, fmt.Errorf("open %s: %w", row.ID, err)
	}
	return &Decided{By: was.By, At: was.At, Reason: was.Reason}, nil
}

// Render draws one frame of a de-identified document as PNG, at most width pixels wide,
// with the masks painted. frame yields what the document holds of it: native pixels in
// little endian, or one compressed stream. What it cannot draw is
// imaging.ErrCannotConvert, before the first byte.
type Render func(w io.Writer, attributes json.RawMessage, syntax string, frame io.Reader, masks []Mask, width int) error

// PreviewOptions choose what a reviewer sees.
type PreviewOptions struct {
	Frame    int    // or page, from 1; default 1
	Unmasked bool   // no masks at all
	Masks    []Mask // to be tried out; default those that are suggested
}

const previewWidth = 1024

// Preview draws a frame of a withheld document's de-identified content. Its leaf is
// committed before a byte is written. What was never withheld: ErrNotFound.
func (v *Vault) Preview(ctx context.Context, a record.Actor, id record.ObjectID, o PreviewOptions, w io.Writer) error {
	if v.cfg.Render == nil {
		return record.Refuse(record.ErrNotAcceptable, "no-preview", "this vault draws no pictures")
	}
	if err := checkMasks(o.Masks); err != nil {
		return err
	}
	r, err := v.beginReview(ctx, a, record.ActionReviewRead, id)
	if err != nil {
		return err
	}
	if _, err := v.perform(ctx, r.act, nil); err != nil {
		return err
	}
	h, err := v.handle(ctx, r.doc, lookedUp{view: record.ViewDeidentified, patients: map[record.PatientToken]catalog.Patient{r.doc.Patient: r.patient}})
	if err != nil {
		return err
	}
	var f facts
	if err := readPart(ctx, h.object, envelope.Facts, &f); err != nil {
		return fmt.Errorf("open %s: %w", h.ID, err)
	}
	if r.doc.Held == "" && f.Release == nil {
		return record.ErrNotFound // as in Review: a review is no way to what needs none
	}
	o.Frame = max(o.Frame, 1)
	masks := o.Masks
	if masks == nil {
		masks = f.Report.Suggest
	}
	if o.Unmasked {
		masks = nil
	}
	masks = slices.DeleteFunc(slices.Clone(masks), func(m Mask) bool { return m.Frame != 0 && m.Frame != o.Frame })
	if r.doc.Kind != record.KindDICOM || f.Pages > 0 && f.Frames == nil {
		return v.previewPage(ctx, h, f, o.Frame, masks, w)
	}
	frame, err := h.Frame(ctx, o.Frame)
	if err != nil {
		return err
	}
	defer frame.Close()
	if err := v.cfg.Render(w, f.Attributes, f.TransferSyntax, frame, masks, previewWidth); errors.Is(err, imaging.ErrCannotConvert) {
		return record.Refuse(record.ErrNotAcceptable, "cannot-draw", "this kind of picture cannot be drawn here: look at it in a viewer")
	} else if err != nil {
		return fmt.Errorf("draw %s: %w", h.ID, err)
	}
	return nil
}

// previewPage draws a page of a view that is one. Whatever was found is painted over in it
// already: nothing of the identity part is shown.
func (v *Vault) previewPage(ctx context.Context, h *Handle, f facts, page int, masks []Mask, w io.Writer) error {
	switch {
	case v.cfg.RenderPage == nil:
		return record.Refuse(record.ErrNotAcceptable, "no-preview", "this vault draws no pages")
	case f.Pages == 0 || f.Size == 0:
		return record.Refuse(record.ErrNotAcceptable, "no-view", "there is no redacted page to look at: release it with what you know of the original, or refuse it")
	case page > f.Pages:
		return record.Refuse(record.ErrNotFound, "no-such-frame", "the document has fewer pages")
	}
	content, err := h.Page(ctx)
	if err != nil {
		return err
	}
	defer content.Close()
	if err := v.cfg.RenderPage(ctx, w, content, page, masks); errors.Is(err, imaging.ErrCannotConvert) {
		return record.Refuse(record.ErrNotAcceptable, "cannot-draw", "this page cannot be drawn here")
	} else if err != nil {
		return fmt.Errorf("draw %s: %w", h.ID, err)
	}
	return nil
}

// NewRelease is a person's decision to show a withheld document.
type NewRelease struct {
	Masks  []Mask   `json:"masks"`            // painted over the pixels, for good; earlier ones stay
	Accept []string `json:"accept,omitempty"` // codes that the person looked into and found harmless; masks answer held-for-review where the picture shows why
	Reason string   `json:"reason"`           // required; at most 200 characters, without the patient's own values
}

// Release shows a withheld document from now on, with masks painted over its pixels. The
// document is superseded; the id of what stands in its place is returned. The person must
// not be who sent it. Masks and reason are sealed with the new object, and the original
// keeps what lies under the masks. Released or changed by somebody else meanwhile:
// ErrConflict.
func (v *Vault) Release(ctx context.Context, a record.Actor, id record.ObjectID, n NewRelease) (record.ObjectID, error) {
	r, err := v.beginReview(ctx, a, record.ActionReviewRelease, id)
	if err != nil {
		return "", err
	}
	was, err := v.mayDecide(ctx, r, n.Reason)
	if err != nil {
		return "", err
	}
	if err := checkMasks(n.Masks); err != nil {
		return "", err
	}
	d := decision{By: a.ID, At: v.cfg.Now(), Reason: n.Reason}
	if was.Release != nil {
		d.Masks = slices.Clone(was.Release.Masks) // painted before: they stay painted
	}
	d.Masks, d.Accept = append(d.Masks, n.Masks...), n.Accept
	return v.supersede(ctx, supersession{act: r.act, old: r.doc, decision: &d, accept: func(now imaging.Scrubbed) error {
		if now.Held != "" {
			return record.Refuse(record.ErrConflict, "still-held", "the view would still be withheld as "+now.Held+": paint masks over what the picture shows, or look into it and name that code in accept")
		}
		return nil
	}})
}

// Refuse keeps a withheld document withheld until somebody releases it after all. The
// reason is sealed in a record of its own.
func (v *Vault) Refuse(ctx context.Context, a record.Actor, id record.ObjectID, reason string) error {
	r, err := v.beginReview(ctx, a, record.ActionReviewRefuse, id)
	if err != nil {
		return err
	}
	if _, err := v.mayDecide(ctx, r, reason); err != nil {
		return err
	}
	said := reviewRecord{ID: record.NewObjectID(), Object: r.doc.ID, Decision: ReviewRefused, By: a.ID, At: v.cfg.Now(), Reason: reason}
	return v.putRecord(ctx, r.act, said.ID, "review", said, func(tx *catalog.Tx) error {
		switch now, err := tx.Document(ctx, r.doc.ID); {
		case errors.Is(err, catalog.ErrNotFound):
			return changedMeanwhile
		case err != nil:
			return err
		case now.Review != r.doc.Review:
			return refusedAlready
		}
		return tx.Review(ctx, r.doc.ID, said.ID)
	})
}

// reviewRecord is the record of a refusal.
type reviewRecord struct {
	ID       record.ObjectID `json:"id"`
	Object   record.ObjectID `json:"object"` // as it was when it was looked at
	Decision string          `json:"decision"`
	By       string          `json:"by"`
	At       time.Time       `json:"at"`
	Reason   string          `json:"reason"`
}

var (
	redactionPending = &record.Refusal{Kind: record.ErrDenied, Code: imaging.Pending, Advice: "the de-identified view is not made yet, so that it cannot be looked at or released: try again later"}
	refusedAlready   = &record.Refusal{Kind: record.ErrConflict, Code: "refused-already", Advice: "somebody has refused it already"}
	notHeld          = &record.Refusal{Kind: record.ErrConflict, Code: "not-held", Advice: "the view is not withheld: there is nothing to decide"}
	ownUpload        = &record.Refusal{Kind: record.ErrDenied, Code: "own-upload", Advice: "you sent this document: another person has to look at it"}
)

// mayDecide refuses what no policy knows of: a decision about what is not withheld, or
// about one's own upload, or with a reason that is none or names the patient. It returns
// what is known of the document.
func (v *Vault) mayDecide(ctx context.Context, r reviewing, reason string) (f facts, err error) {
	var why *record.Refusal
	switch {
	case r.newer:
		why = changedMeanwhile
	case r.doc.Held == imaging.Pending:
		why = redactionPending
	case r.doc.Held == "":
		why = notHeld
	case r.doc.By == r.act.Actor.ID:
		why = ownUpload
	case r.act.Action == record.ActionReviewRefuse && r.doc.Review != "":
		why = refusedAlready
	}
	if why != nil {
		return f, v.turnDown(ctx, r.act, why)
	}
	k, err := v.openKeys(ctx, sealedFor(r.patient, r.doc.Object))
	if err != nil {
		return f, err
	}
	o, err := v.open(ctx, r.doc.Object, k, record.ViewOriginal)
	if err != nil {
		return f, err
	}
	var w who
	if err := errors.Join(readPart(ctx, o, envelope.Who, &w), readPart(ctx, o, envelope.Facts, &f)); err != nil {
		return f, fmt.Errorf("open %s: %w", r.doc.ID, err)
	}
	patient, err := w.known()
	if err != nil {
		return f, fmt.Errorf("open %s: %w", r.doc.ID, err)
	}
	return f, checkReason(reason, patient)
}

// maxMasks bounds the masks of one release or preview.
const maxMasks = 1000

// checkMasks refuses what is no rectangle; whether it fits the picture the scrubber says.
func checkMasks(masks []Mask) error {
	if len(masks) > maxMasks {
		return record.Refuse(record.ErrInvalid, "too-many-masks", "paint at most 1000 masks")
	}
	for _, m := range masks {
		if m.Frame < 0 || m.X < 0 || m.Y < 0 || m.Width < 1 || m.Height < 1 {
			return record.Refuse(record.ErrInvalid, "bad-mask", "a mask has x and y from 0, width and height of at least 1, and a frame from 1 or none for all")
		}
	}
	return nil
}

// maxReason bounds what a person gives as a reason, in characters.
const maxReason = 200

// nobody is whom a reason about no single patient is searched for: numbers of persons,
// phones and addresses are found all the same.
var nobody = subject.Known{}

// checkReason refuses a reason that is none, that no log could show, or that names the
// patient: those who read reasons need not know them.
func checkReason(reason string, of subject.Known) error {
	switch {
	case strings.TrimSpace(reason) == "":
		return record.Refuse(record.ErrInvalid, "missing-reason", "say why, in at most 200 characters")
	case !utf8.ValidString(reason), utf8.RuneCountInString(reason) > maxReason, strings.ContainsFunc(reason, unicode.IsControl):
		return record.Refuse(record.ErrInvalid, "bad-reason", "a reason has at most 200 characters and no control characters")
	case len(subject.New(of).Find(reason)) > 0:
		return record.Refuse(record.ErrInvalid, "reason-names-patient", "say why without naming the patient: no name, number, date, phone or address")
	}
	return nil
}

// known is what a document says of its patient, to be recognised in what people write.
func (w who) known() (subject.Known, error) {
	k := subject.Known{IDs: []string{w.PatientID}}
	var attributes map[string]struct {
		VR    string `json:"vr"`
		Value []any
	}
	if len(w.Attributes) > 0 {
		if err := json.Unmarshal(w.Attributes, &attributes); err != nil {
			return k, fmt.Errorf("%w: its attributes cannot be read", record.ErrTampered) // the decoder's error may quote them
		}
	}
	for tag, a := range attributes {
		for _, value := range a.Value {
			for _, s := range spoken(value) {
				switch patient := strings.HasPrefix(tag, "0010"); {
				case a.VR == "PN" && patient:
					k.Names = append(k.Names, s)
				case a.VR == "DA":
					k.Dates = append(k.Dates, s)
				case tag == "00102154":
					k.Phones = append(k.Phones, s)
				case tag == "00101040":
					k.Addresses = append(k.Addresses, s)
				case tag == "00101000" || tag == "00080050":
					k.IDs = append(k.IDs, s)
				case a.VR == "PN":
					k.Others = append(k.Others, s)
				}
			}
		}
	}
	return k, nil
}

// spoken are the texts of a DICOM JSON value; a person's name has up to three.
func spoken(value any) (all []string) {
	switch x := value.(type) {
	case string:
		all = append(all, x)
	case map[string]any:
		for _, group := range []string{"Alphabetic", "Ideographic", "Phonetic"} {
			if s, ok := x[group].(string); ok {
				all = append(all, s)
			}
		}
	}
	return all
}
