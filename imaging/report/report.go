// Package report takes reports and scans of paper into the vault. The original is kept
// whole in the restore script, which only the identity key opens. The content is a new
// PDF, made by package pdf of pixels and surviving characters; until that is done, in
// the background, it is empty and the view is withheld.
package report

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"medvault/imaging"
	"medvault/imaging/mention"
	"medvault/imaging/pdf"
	"medvault/imaging/subject"
)

// Config says what a Scrubber redacts with.
type Config struct {
	// Redactor makes the views; nil: every view stays withheld.
	Redactor *pdf.Redactor

	// ShowScans shows views of which the redactor doubts nothing but that words may have
	// been missed on a picture; otherwise a person has to look at them first.
	ShowScans bool
}

// Scrubber is the imaging.Scrubber for PDFs, or for pictures of paper.
type Scrubber struct {
	config Config
	kind   imaging.Kind
}

var _ imaging.Scrubber = Scrubber{}

// New returns a Scrubber for PDFs.
func New(c Config) Scrubber { return Scrubber{c, imaging.PDF} }

// NewScans returns a Scrubber for JPEG, PNG and TIFF, of which the content is a PDF too.
func NewScans(c Config) Scrubber { return Scrubber{c, imaging.Scan} }

// Begin reads the first kilobyte. What a report says of its patient is not read: the
// identity comes with the upload.
func (s Scrubber) Begin(r io.Reader) (imaging.Incoming, error) {
	body := &recorder{r: r, kept: new(bytes.Buffer)}
	begin := pdf.New().Begin
	if s.kind == imaging.Scan {
		begin = beginScan
	}
	in, err := begin(body)
	if err != nil {
		return nil, err
	}
	return &incoming{Incoming: in, of: s, body: body}, nil
}

// recorder keeps what passes, until it is told not to.
type recorder struct {
	r    io.Reader
	kept *bytes.Buffer
}

func (k *recorder) Read(p []byte) (int, error) {
	n, err := k.r.Read(p)
	if k.kept != nil {
		k.kept.Write(p[:n])
	}
	return n, err
}

// incoming is a report whose first bytes were read. What it embeds keeps it whole and
// shows nothing.
type incoming struct {
	imaging.Incoming
	of   Scrubber
	body *recorder
}

var _ imaging.Redactable = (*incoming)(nil)

// Waits: everything is redacted, where there is a redactor.
func (in *incoming) Waits() bool { return in.of.config.Redactor != nil }

// Scrub keeps the original, streaming, and withholds the view.
func (in *incoming) Scrub(p imaging.Pseudonyms, release *imaging.Release, original imaging.Original, content, script io.Writer) (imaging.Scrubbed, error) {
	in.body.kept = nil
	s, err := in.Incoming.Scrub(p, release, original, content, script)
	s.Report.Rules = in.of.Rules()
	s.Facts.MediaType = mediaType
	return s, err
}

// mediaType of every content.
const mediaType = "application/pdf"

// Redact makes the view. The document is held in memory.
func (in *incoming) Redact(ctx context.Context, known subject.Known, p imaging.Pseudonyms, release *imaging.Release, original imaging.Original, content, script io.Writer) (imaging.Scrubbed, error) {
	s, err := in.Incoming.Scrub(p, nil, original, io.Discard, script)
	if err != nil {
		return s, err
	}
	s.Report.Rules, s.Facts.MediaType = in.of.Rules(), mediaType
	found, err := in.of.config.Redact(ctx, in.body.kept.Bytes(), known, p, release)
	if refused := new(imaging.Refusal); errors.As(err, &refused) {
		return withheld(s, refused.Code), nil
	}
	if err != nil {
		return s, err
	}
	return found.into(s, content)
}

// withheld is a document of which no view could be made.
func withheld(s imaging.Scrubbed, code string) imaging.Scrubbed {
	s.Held, s.Facts.Held, s.Report.Reasons = code, code, []string{code}
	return s
}

// Redacted is what became of one PDF.
type Redacted struct{ pdf.Redacted }

// Redact makes the de-identified view of a PDF with what is known of its patient. Errors
// are those of pdf.Redactor.
func (c Config) Redact(ctx context.Context, document []byte, known subject.Known, p imaging.Pseudonyms, release *imaging.Release) (Redacted, error) {
	var looked imaging.Release
	if release != nil {
		looked = *release
	}
	// What lies in the document is not in the view, and goes its own way.
	looked.Accept = append([]string{pdf.HeldAttachments}, looked.Accept...)
	if c.ShowScans {
		looked.Accept = append(looked.Accept, pdf.HeldScan)
	}
	found, err := c.Redactor.Redact(ctx, document, people(known, p), &looked)
	return Redacted{found}, err
}

// into completes what is said of the document, and writes the view.
func (r Redacted) into(s imaging.Scrubbed, content io.Writer) (imaging.Scrubbed, error) {
	if _, err := content.Write(r.PDF); err != nil {
		return s, fmt.Errorf("write content: %w", err)
	}
	sum := sha256.Sum256(r.PDF)
	s.Held = r.Held
	s.Facts.Held, s.Facts.Size, s.Facts.SHA256 = r.Held, int64(len(r.PDF)), hex.EncodeToString(sum[:])
	s.Facts.Pages, s.Facts.Signatures, s.Facts.Attachments = r.Pages, r.Signatures, len(r.Attachments)+r.Unread
	s.Report.Reasons, s.Report.Suggest, s.Report.Residual = r.reasons(), r.Suggest, "clean"
	s.Report.Actions = make(map[string]int)
	for _, b := range r.Boxes {
		s.Report.Actions[b.Kind]++
	}
	for _, reason := range r.Reasons {
		if reason == pdf.HeldLeft {
			s.Report.Residual = "found"
		}
	}
	for _, a := range r.Attachments {
		s.Attachments = append(s.Attachments, imaging.Attachment(a))
	}
	manifest, err := json.Marshal(Manifest{Boxes: r.Boxes})
	s.Manifest = manifest
	return s, err
}

// reasons are those that a person can do something about.
func (r Redacted) reasons() (all []string) {
	for _, reason := range r.Reasons {
		if reason != pdf.HeldAttachments {
			all = append(all, reason)
		}
	}
	return all
}

// Manifest is what was taken out of a document, and where it stood.
type Manifest struct {
	Boxes []pdf.Box `json:"boxes"`
}

// Describe returns an empty object: a report has no attributes of its own.
func (Scrubber) Describe(io.Reader) (json.RawMessage, error) { return json.RawMessage("{}"), nil }

// Value finds nothing: a report has no elements.
func (Scrubber) Value(io.Reader, string) (io.Reader, error) { return nil, imaging.ErrNoValue }

// Convert cannot make DICOM of a report.
func (Scrubber) Convert(io.Writer, io.Reader) error { return imaging.ErrCannotConvert }

// Frames finds none: a report has pages.
func (Scrubber) Frames(io.Reader) (*imaging.Frames, error) { return nil, imaging.ErrNoValue }

// Recast cannot give another recipient other tokens: they are part of the picture.
func (Scrubber) Recast(io.Writer, io.Reader, imaging.Pseudonyms) error {
	return &imaging.Refusal{Code: "report-not-exported", Offset: -1, Advice: "reports cannot be given in a recipient's own names; give the images alone"}
}

// version is of what this package and those below it make of a document.
const version = "1"

// Rules tells whether, and by what, reports are redacted.
func (s Scrubber) Rules() imaging.Rules {
	how := "withheld whole"
	if s.config.Redactor != nil {
		how = fmt.Sprintf("redacted %d %s %v %s", s.kind, version, s.config.ShowScans, mention.Digest())
	}
	sum := sha256.Sum256([]byte(how))
	return imaging.Rules{Digest: hex.EncodeToString(sum[:])}
}
