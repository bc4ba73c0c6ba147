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
	"medvault/imaging/subject"
)

// Objects is a Scrubber of DICOM, and can put a document into a content that it wrote.
type Objects interface {
	imaging.Scrubber
	imaging.Corrector
	Encapsulate(w io.Writer, content, document []byte) (int, error)
}

// Images is a Scrubber of DICOM that also redacts the PDFs which DICOM objects encapsulate,
// in the background as any report. Of such an object the original is kept whole in the
// restore script, and the content has the redacted PDF in the old one's place.
type Images struct {
	Objects
	config Config
}

var _ imaging.Scrubber = Images{}

// NewImages returns a Scrubber for DICOM.
func NewImages(base Objects, c Config) Images { return Images{base, c} }

// encapsulatedPDF is the SOP class of PDFs in DICOM (PS3.3 A.45.1).
const encapsulatedPDF = "1.2.840.10008.5.1.4.1.1.104.1"

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
	if !bytes.Contains(head, []byte(encapsulatedPDF)) {
		return s.Objects.Begin(ahead)
	}
	body := &recorder{r: ahead, kept: new(bytes.Buffer)}
	in, err := s.Objects.Begin(body)
	if err != nil {
		return nil, err
	}
	if in.Identity().SOPClass != encapsulatedPDF {
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
		n, err := in.of.Encapsulate(io.MultiWriter(content, sum), bare.Bytes(), report)
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
	value, err := in.of.Value(bytes.NewReader(whole), "00420011")
	if err != nil {
		return nil, fmt.Errorf("encapsulated document: %w", err)
	}
	document, err := io.ReadAll(value)
	if err != nil {
		return nil, fmt.Errorf("encapsulated document: %w", err)
	}
	return bytes.TrimRight(document, "\x00"), nil
}
