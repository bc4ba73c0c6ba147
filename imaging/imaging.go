// Package imaging takes identity out of medical documents and puts it back.
//
// A document goes in as a stream. What comes out is the content (the document
// without identity), the script that restores the original byte for byte from
// the content, and what was learnt on the way. Pixels are never held in memory.
package imaging

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"medvault/imaging/subject"
)

// Kind of document. The values are the ones stored in sealed objects; 3 is taken.
type Kind uint8

const (
	DICOM Kind = 1
	PDF   Kind = 2
	Scan  Kind = 4 // a picture of paper: JPEG, PNG or TIFF
	FHIR  Kind = 5 // one FHIR R4 resource in JSON
)

// Refusal says why a document cannot be taken. It never holds a value of the
// document: Code is machine readable, Advice tells the sender what to do,
// Offset is where reading stopped (-1 when it does not apply).
type Refusal struct {
	Code   string
	Offset int64
	Advice string
}

func (r *Refusal) Error() string { return r.Code + ": " + r.Advice }

// ErrCannotConvert is returned by Convert for what only a decoder could turn into
// the asked syntax.
var ErrCannotConvert = errors.New("cannot convert to the asked transfer syntax")

// ErrNoValue is returned by Value for an element that is absent or has no plain
// value.
var ErrNoValue = errors.New("no such value")

// Identity is what a document says of its patient and of itself. Text is decoded
// to UTF-8, values are trimmed of padding.
type Identity struct {
	PatientID, Issuer       string
	PatientName             string // all component groups, "=" between them
	BirthDate, Sex          string
	Study, Series, Instance string // original UIDs
	SOPClass                string
	TransferSyntax          string
	StudyDate               string // YYYYMMDD
	AccessionNumber         string
	Modality                string

	PatientIDs   []string // all numbers of the patient that a FHIR document names, whoever issued them
	ResourceType string   // of a FHIR document
}

// Pseudonyms is what identity is replaced with. Every func is deterministic: the
// same value always gets the same token.
type Pseudonyms struct {
	Patient   string                                        // replaces PatientID and PatientName
	UID       func(original string) string                  // a 2.25 UID
	ID        func(attribute, value string, max int) string // VR-legal token for accession and other ids, at most max characters
	ShiftDays int                                           // added to every date
}

// Short is the beginning of the patient token, as it stands in text and pictures: a
// reader of both sees that a report and an image are of one patient.
func (p Pseudonyms) Short() string {
	short := strings.ToUpper(strings.TrimPrefix(p.Patient, "p"))
	return short[:min(len(short), 6)]
}

// Original tells size and SHA-256 of the raw input read so far; it is asked once,
// after the input has ended.
type Original func() (size int64, sum [32]byte)

// Release is what a person decided who looked at a withheld document.
type Release struct {
	Masks  []Mask   `json:"masks,omitempty"`  // painted over the pixels of the content; the original keeps what lies under them
	Accept []string `json:"accept,omitempty"` // codes of Scrubbed.Held that the person has looked into and found harmless
}

// Mask is a rectangle of pixels that is painted black.
type Mask struct {
	Frame  int `json:"frame,omitempty"` // from 1; 0 for every frame
	X      int `json:"x"`               // of the upper left corner; from 0
	Y      int `json:"y"`
	Width  int `json:"width"` // at least 1
	Height int `json:"height"`
}

// Rules names what a Scrubber works by, so that it can be told later which documents
// would come out differently today.
type Rules struct {
	Edition string   `json:"edition,omitempty"` // of the standard's tables: "PS3.15 2026d"
	Profile string   `json:"profile,omitempty"` // name of the set of options in the deployment's configuration
	Options []string `json:"options,omitempty"` // the set, by the names of profile.Options
	Digest  string   `json:"digest"`            // hex SHA-256 over every table, list and vocabulary, the options and the version of the code that applies them
}

// Report says how identity was taken out of one document. It holds no value of it.
type Report struct {
	Rules    Rules          `json:"rules"`
	Actions  map[string]int `json:"actions,omitempty"`  // how many elements met which action: keep, remove, empty, dummy, uid, shift, clean, token
	Residual string         `json:"residual,omitempty"` // "clean" or "found": the search of the content for the patient's own values
	Pixels   string         `json:"pixels,omitempty"`   // "none", "untouched", "masked" (the rest bit for bit), "recoded" (masked after lossless decoding)
	Reasons  []string       `json:"reasons,omitempty"`  // what spoke for withholding the view: kebab-case codes, sorted
	Suggest  []Mask         `json:"suggest,omitempty"`  // masks a person may want to paint
}

// Scrubbed is what one pass over a document found out.
type Scrubbed struct {
	Who    json.RawMessage // identifying attributes as DICOM JSON (identity key)
	Facts  Facts           // facts about the content (content key)
	Held   string          // why the de-identified view is withheld (kebab-case code); "" when it may be shown
	Report Report

	Manifest    json.RawMessage // what was taken out, and where it stood (identity key); nil where the restore script says it
	Attachments []Attachment    // documents that lie in this one, to be stored as documents of their own
}

// Attachment is a file inside a document. Its name may tell who the patient is.
type Attachment struct {
	Name string
	Data []byte
}

// Facts describe the content part.
type Facts struct {
	Size           int64           `json:"size"`
	SHA256         string          `json:"sha256"` // hex, of the content
	SOPClass       string          `json:"sopClass,omitempty"`
	TransferSyntax string          `json:"transferSyntax,omitempty"`
	Held           string          `json:"held,omitempty"`
	Attributes     json.RawMessage `json:"attributes,omitempty"` // de-identified DICOM JSON (PS3.18 F), without group 0002
	Frames         *Frames         `json:"frames,omitempty"`

	MediaType    string `json:"mediaType,omitempty"`    // of the content, where the kind of document does not say it
	ResourceType string `json:"resourceType,omitempty"` // of a FHIR resource
	Pages        int    `json:"pages,omitempty"`        // that a person may look at
	Signatures   int    `json:"signatures,omitempty"`   // electronic ones on the original, where they stay valid
	Attachments  int    `json:"attachments,omitempty"`  // files inside the original
}

// Frames says where each frame lies in the content. Native frames follow each
// other; encapsulated ones are lists of fragments.
type Frames struct {
	Count     int          `json:"count"`
	BigEndian int          `json:"bigEndian,omitempty"` // word size in bytes to swap on the way out
	Offset    int64        `json:"offset,omitempty"`    // native: where frame 1 begins
	Length    int64        `json:"length,omitempty"`    // native: bytes a frame
	Fragments [][][2]int64 `json:"fragments,omitempty"` // per frame: (offset, length) pairs
}

// Scrubber knows one kind of document.
type Scrubber interface {
	// Begin reads r up to the bulk of the document (for DICOM: all before Pixel
	// Data, at most 64 MiB). A *Refusal means the sender's document is at fault;
	// any other error is the reader's.
	Begin(r io.Reader) (Incoming, error)

	// Describe reads a whole or restored document and returns its attributes as
	// DICOM JSON (PS3.18 Annex F) in UTF-8, up to Pixel Data. A value too large to
	// inline, and Pixel Data, gets a BulkDataURI of the form "bulk/GGGGEEEE"; the
	// caller makes it absolute.
	Describe(r io.Reader) (json.RawMessage, error)

	// Value finds a top-level element of a document, named by eight hex digits, and
	// returns a reader over its value in little endian. Where there is none:
	// ErrNoValue.
	Value(r io.Reader, tag string) (io.Reader, error)

	// Frames reads a whole or restored document and tells where each of its frames lies
	// in it. Where there are none, or they cannot be told apart: ErrNoValue.
	Frames(r io.Reader) (*Frames, error)

	// Convert rewrites a document into Explicit VR Little Endian. What only a
	// decoder could do is ErrCannotConvert, before the first byte.
	Convert(w io.Writer, r io.Reader) error

	// Recast writes a de-identified content for one recipient: patient, UIDs, tokens
	// and dates replaced once more, so that what two recipients hold cannot be joined.
	// Pixels stay bit for bit.
	Recast(w io.Writer, content io.Reader, p Pseudonyms) error

	// Rules names what Scrub works by.
	Rules() Rules
}

// Incoming is a document whose header has been read and whose bulk still waits.
type Incoming interface {
	Identity() Identity

	// Scrub reads the input to its end, writes the content and the restore script
	// (see ScriptWriter), and reports. release is nil for a document that no person
	// has looked at. Called once. Errors as in Begin; a mask that does not fit is a
	// *Refusal.
	Scrub(p Pseudonyms, release *Release, original Original, content, script io.Writer) (Scrubbed, error)
}

// Redactable is an Incoming whose de-identified view may take long to make and needs to
// know who the patient is from elsewhere. Where Waits says so, Scrub leaves the view
// empty, or without the part in question, and Held; Redact is called instead of Scrub
// once that is known.
type Redactable interface {
	Incoming

	// Waits says whether there is something to redact, and whoever can.
	Waits() bool

	// Redact is Scrub with what is known of the patient. What cannot be redacted, or is a
	// bomb, is no error: it is Held. An error that is no *Refusal is the reader's, the
	// end of ctx, or the redactor's own, and may pass.
	Redact(ctx context.Context, known subject.Known, p Pseudonyms, release *Release, original Original, content, script io.Writer) (Scrubbed, error)
}

// Pending is the Held of what waits to be redacted.
const Pending = "redaction-pending"

// Sniff tells the kind of a document from its first bytes (at least 132 where
// there are as many). DICOM is also recognised without preamble by valid file
// meta or data set elements.
func Sniff(head []byte) (Kind, bool) { return sniff(head) }
