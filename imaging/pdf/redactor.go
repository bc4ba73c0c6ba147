package pdf

import (
	"context"
	"time"

	"medvault/imaging"
	"medvault/imaging/mention"
	"medvault/imaging/ocr"
)

// MaskDPI is the resolution in which masks are measured and Render draws: pixels an
// inch, from the upper left corner of the page as it is seen. Where a page is so large
// that fewer pixels are drawn, those of the picture Render returns count.
const MaskDPI = 150

// Config says how reports are read.
type Config struct {
	// Worker is the command that opens PDFs, a process for each document: of this same
	// binary, with the arguments before its own. Required.
	Worker []string

	// Fonts is a directory with fonts for text whose fonts are not embedded; for Chinese
	// the Noto CJK fonts. Default /usr/share/fonts. Without Chinese fonts every view is
	// held as "fonts-missing".
	Fonts string

	// Cache is a directory for what is compiled from WebAssembly: code only, nothing of
	// a document. It must belong to this user alone; it is made where it is missing.
	// Default none: then every document costs four seconds of a core more.
	Cache string

	// OCR reads pictures, in the languages of the reports: eng+chi_sim. Without it the view
	// of a page with anything to be read off pixels is held as "ocr-missing".
	OCR *ocr.Reader

	// OCRAlways reads every page's pixels, also where the text can be trusted: two to
	// four seconds of a core a page.
	OCRAlways bool

	MemoryLimit int64         // bytes one document may take in its process; default 1.5 GiB
	Timeout     time.Duration // for opening a document, and for each of its pages, OCR not counted; default 1 min
}

// Redacted is the de-identified view of a report, or why there is none to be shown.
type Redacted struct {
	// PDF is the new document: pixels, and the characters that are left. It is nil where
	// none could be made. Where Held is not empty it must not be shown to anybody
	// but reviewers.
	PDF   []byte
	Pages int

	// Held says why the view must not be shown (kebab-case code), "" when it may. It is
	// the first of Reasons that the release does not accept.
	Held    string
	Reasons []string // all that spoke for withholding it, sorted

	Boxes   []Box          // what is painted over, by page and then by place
	Suggest []imaging.Mask // what a person may want to paint: Frame is the page, from 1

	// What the original held besides pages. Nothing of it is in the new document.
	Attachments []Attachment // files, at most 64 of together 64 MiB
	Unread      int          // further ones that could not be taken out
	Signatures  int          // they stay valid on the original
	Scripts     int          // JavaScript actions
	XFA         bool         // a form beside the pages

	CPU time.Duration // of the process that opened the document; OCR and what is done here are not in it

	Words  int // that are left in the text layer
	Pixels int // pages whose pixels were read by OCR
}

// Box is a rectangle that was painted over.
type Box struct {
	Page       int     `json:"page"` // from 1
	X          float64 `json:"x"`    // points, from the upper left corner of the page as it is seen
	Y          float64 `json:"y"`
	Width      float64 `json:"width"`
	Height     float64 `json:"height"`
	Kind       string  `json:"kind"`            // as mention.Kind says, or "barcode", or "mask" for a reviewer's
	Token      string  `json:"token,omitempty"` // that stands there now
	Text       string  `json:"text,omitempty"`  // that stood there: only for the manifest under the identity key
	FromPixels bool    `json:"fromPixels,omitempty"`
}

// Attachment is a file found in a PDF. Its name may name the patient.
type Attachment struct {
	Name string
	Data []byte
}

// Reasons for withholding a view. A reviewer may accept scan-unreviewed and those
// that begin with "ocr-", "fonts-" or "attachments-"; the others stay.
const (
	HeldScan        = "scan-unreviewed"   // a page has pictures: OCR misses words on bad scans
	HeldNoOCR       = "ocr-missing"       // pixels would have to be read, and nothing reads them
	HeldOCRFailed   = "ocr-unread"        // a page's pixels could not be read, or with little confidence
	HeldFonts       = "fonts-missing"     // Chinese text without embedded fonts would be lost
	HeldLeft        = "identifier-left"   // something of the patient was still found in the new document
	HeldUnverified  = "view-unverified"   // the new document is not what was meant to be written
	HeldTooCostly   = "pdf-too-complex"   // the process that opens it met its limit of memory or time
	HeldPassword    = "pdf-password"      // opens only with a password: ask the sender for it without
	HeldXFA         = "pdf-xfa"           // a dynamic form: ask the sender to print it into a PDF
	HeldBroken      = "pdf-broken"        // cannot be read
	HeldPages       = "pdf-many-pages"    // more than can be taken: send it in parts
	HeldPage        = "pdf-page-large"    // a page cannot be drawn
	HeldPicture     = "scan-unreadable"   // a picture that cannot be opened, or has too many pixels
	HeldAttachments = "attachments-found" // files in the document are documents of their own
)

// NewRedactor checks the configuration. Nothing is started before the first document:
// what this machine can do is told by Ready.
func NewRedactor(c Config) (*Redactor, error) { return newRedactor(c) }

// Redact makes the de-identified view of a report, a PDF or a scan of paper (JPEG, PNG,
// TIFF). The original is not kept, and is not
// changed. release is nil where no person has looked at it; its masks are painted first.
//
// An error is a fault of this machine (the process cannot be started, ctx has ended)
// and may pass; whatever is wrong with the document is told in Held, with PDF nil. No
// error and no code holds anything of the document.
func (r *Redactor) Redact(ctx context.Context, original []byte, who *mention.Known, release *imaging.Release) (Redacted, error) {
	return r.redact(ctx, original, who, release)
}

// Render draws a page of any PDF, from 1, as PNG at MaskDPI, for a reviewer. A document
// or page that cannot be drawn is an *imaging.Refusal.
func (r *Redactor) Render(ctx context.Context, document []byte, page int) ([]byte, error) {
	return r.render(ctx, document, page)
}

// Abilities are what this machine can do, in words for an operator.
type Abilities struct {
	Fonts   bool     // Chinese text without embedded fonts is drawn
	OCR     bool     // pictures are read
	Sandbox []string // what encloses the process: "limits", "seccomp", "landlock", "network-namespace"
	Missing []string // what the kernel did not grant
}

// Ready starts the process once without a document: it compiles what the cache lacks,
// draws a Chinese character, and tells how it is enclosed.
func (r *Redactor) Ready(ctx context.Context) (Abilities, error) { return r.ready(ctx) }
