package report

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/subject"
)

// Images is a dicom.Scrubber that also redacts the PDFs which DICOM objects encapsulate,
// in the background as any report. Of such an object the original is kept whole in the
// restore script, and the content has the redacted PDF in the old one's place.
type Images struct {
	dicom.Scrubber
	config Config
}

var _ imaging.Scrubber = Images{}

// NewImages returns a Scrubber for DICOM.
func NewImages(base dicom.Scrubber, c Config) Images { return Images{base, c} }

const (
	classWithin     = 4 << 10   // bytes in which an object says its class
	maxEncapsulated = 512 << 20 // bytes of an object
)

// Begin keeps what it reads of an object that encapsulates a PDF.
func (s Images) Begin(r io.Reader) (imaging.Incoming, error) {
	ahead := bufio.NewReaderSize(r, classWithin)
	head, err := ahead.Peek(classWithin)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if !bytes.Contains(head, []byte(dicom.EncapsulatedPDF)) {
		return s.Scrubber.Begin(ahead)
	}
	body := &recorder{r: ahead, kept: new(bytes.Buffer)}
	in, err := s.Scrubber.Begin(body)
	if err != nil {
		return nil, err
	}
	if in.Identity().SOPClass != dicom.EncapsulatedPDF {
		body.kept = nil
		return in, nil
	}
	return &encapsulated{Incoming: in, of: s, body: body}, nil
}

// encapsulated is an object whose PDF is to be redacted.
type encapsulated struct {
	imaging.Incoming
	of   Images
	body *recorder
}

var _ imaging.Redactable = (*encapsulated)(nil)

// Waits: a PDF is redacted, where there is a redactor.
func (in *encapsulated) Waits() bool { return in.of.config.Redactor != nil }

// Scrub leaves the PDF out, and withholds the view.
func (in *encapsulated) Scrub(p imaging.Pseudonyms, release *imaging.Release, original imaging.Original, content, script io.Writer) (imaging.Scrubbed, error) {
	in.body.kept = nil
	s, err := in.Incoming.Scrub(p, unmasked(release), original, content, script)
	s.Held, s.Facts.Held = imaging.Pending, imaging.Pending
	return s, err
}

// unmasked is a release without its masks, which are the PDF's.
func unmasked(r *imaging.Release) *imaging.Release {
	if r == nil {
		return nil
	}
	return &imaging.Release{Accept: r.Accept}
}

// Redact makes the view.
func (in *encapsulated) Redact(ctx context.Context, known subject.Known, p imaging.Pseudonyms, release *imaging.Release, original imaging.Original, content, script io.Writer) (imaging.Scrubbed, error) {
	var bare bytes.Buffer
	s, err := in.Incoming.Scrub(p, unmasked(release), original, &bare, io.Discard)
	if err != nil {
		return s, err
	}
	whole := in.body.kept.Bytes()
	if err := imaging.KeepWhole(script, bytes.NewReader(whole), nil, maxEncapsulated, "object-too-large", original); err != nil {
		return s, err
	}
	write := func(s imaging.Scrubbed, report []byte) (imaging.Scrubbed, error) {
		if report == nil {
			_, err := content.Write(bare.Bytes())
			return s, err
		}
		sum := sha256.New()
		n, err := dicom.Encapsulate(io.MultiWriter(content, sum), bare.Bytes(), report)
		s.Facts.Size, s.Facts.SHA256 = int64(n), hex.EncodeToString(sum.Sum(nil))
		return s, err
	}
	document, err := in.document(whole)
	if err != nil {
		return write(withheld(s, "pdf-broken"), nil)
	}
	found, err := in.of.config.Redact(ctx, document, known, p, release)
	if refused := new(imaging.Refusal); errors.As(err, &refused) {
		return write(withheld(s, refused.Code), nil)
	}
	if err != nil {
		return s, err
	}
	base := s
	if s, err = found.into(s, io.Discard); err != nil {
		return s, err
	}
	s.Facts.MediaType = ""
	if s.Report.Residual == "clean" {
		s.Report.Residual = base.Report.Residual
	}
	for action, n := range base.Report.Actions {
		s.Report.Actions[action] += n
	}
	// That there is a document speaks for nothing any more; all else still does.
	others := slices.DeleteFunc(slices.Clone(base.Report.Reasons), func(reason string) bool { return reason == "encapsulated-document" })
	s.Report.Reasons = append(s.Report.Reasons, others...)
	if base.Held != "" && (base.Held != "held-for-review" || len(others) > 0) {
		s.Held, s.Facts.Held = base.Held, base.Held
	}
	s.Facts.Size, s.Facts.SHA256 = base.Facts.Size, base.Facts.SHA256
	return write(s, found.PDF)
}

// document is the PDF in an object, without what pads it.
func (in *encapsulated) document(whole []byte) ([]byte, error) {
	value, err := in.of.Scrubber.Value(bytes.NewReader(whole), "00420011")
	if err != nil {
		return nil, fmt.Errorf("encapsulated document: %w", err)
	}
	document, err := io.ReadAll(value)
	if err != nil {
		return nil, fmt.Errorf("encapsulated document: %w", err)
	}
	return bytes.TrimRight(document, "\x00"), nil
}
