// Package pdf takes PDFs into the vault. The original is kept whole in the restore
// script, which only the identity key opens; the content is empty, and the
// de-identified view is withheld until pages can be redacted. A document is
// streamed and looked at on the way (structure.go): what is broken could never be
// redacted and is refused. What is encrypted is taken: most such files open without a
// password, and whether one does is known when it is redacted (HeldPassword).
package pdf

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"medvault/imaging"
)

const (
	maxSize   = 256 << 20
	headBytes = 1024 // readers look for the header in the first kilobyte (ISO 32000-1 annex H.3, note 13)
)

// Held is why the de-identified view of every PDF is withheld.
const Held = "redaction-pending"

// Scrubber is the imaging.Scrubber for PDFs. It holds no state.
type Scrubber struct{}

var _ imaging.Scrubber = Scrubber{}

// New returns a Scrubber.
func New() Scrubber { return Scrubber{} }

// Begin reads the first kilobyte. What a PDF says of its patient is not read: the
// identity comes with the upload.
func (Scrubber) Begin(r io.Reader) (imaging.Incoming, error) {
	head := make([]byte, headBytes)
	n, err := io.ReadFull(r, head)
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
	case err != nil:
		return nil, err
	}
	at := bytes.Index(head[:n], []byte("%PDF-"))
	if at < 0 {
		return nil, &imaging.Refusal{Code: "not-pdf", Offset: 0, Advice: "this is not a PDF; send PDFs or DICOM files"}
	}
	return &incoming{head: head[:n], rest: r, header: int64(at)}, nil
}

type incoming struct {
	head   []byte
	rest   io.Reader
	header int64 // where %PDF- stands
}

// Identity is empty.
func (in *incoming) Identity() imaging.Identity { return imaging.Identity{} }

// Scrub puts the whole original into the script and nothing into the content. A
// refusal comes when all has been read and written: the caller throws that away.
func (in *incoming) Scrub(_ imaging.Pseudonyms, _ *imaging.Release, original imaging.Original, _, script io.Writer) (imaging.Scrubbed, error) {
	patch := imaging.NewScriptWriter(script)
	seen := structure{header: in.header}
	to := io.MultiWriter(patch, &seen)
	if err := copyBounded(to, io.MultiReader(bytes.NewReader(in.head), in.rest)); err != nil {
		return imaging.Scrubbed{}, err
	}
	if err := seen.verdict(); err != nil {
		return imaging.Scrubbed{}, err
	}
	if err := patch.End(original()); err != nil {
		return imaging.Scrubbed{}, err
	}
	nothing := sha256.Sum256(nil)
	return imaging.Scrubbed{
		Who:    json.RawMessage("{}"),
		Held:   Held,
		Facts:  imaging.Facts{SHA256: hex.EncodeToString(nothing[:]), Held: Held},
		Report: imaging.Report{Rules: Scrubber{}.Rules()},
	}, nil
}

// copyBounded copies r to its end and refuses more than maxSize.
func copyBounded(w io.Writer, r io.Reader) error {
	buffer := make([]byte, 64<<10)
	for size := int64(0); ; {
		n, err := r.Read(buffer)
		if size += int64(n); size > maxSize {
			return &imaging.Refusal{Code: "pdf-too-large", Offset: maxSize, Advice: "the vault takes PDFs of up to 256 MiB; send it in parts"}
		}
		if _, werr := w.Write(buffer[:n]); werr != nil {
			return fmt.Errorf("write restore script: %w", werr)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Describe returns an empty object: a PDF has no attributes of its own.
func (Scrubber) Describe(io.Reader) (json.RawMessage, error) { return json.RawMessage("{}"), nil }

// Value finds nothing: a PDF has no elements.
func (Scrubber) Value(io.Reader, string) (io.Reader, error) { return nil, imaging.ErrNoValue }

// Convert cannot make DICOM of a PDF.
func (Scrubber) Convert(io.Writer, io.Reader) error { return imaging.ErrCannotConvert }

// Frames finds none: a PDF has pages.
func (Scrubber) Frames(io.Reader) (*imaging.Frames, error) { return nil, imaging.ErrNoValue }

// Recast has nothing to write: there is no de-identified view yet.
func (Scrubber) Recast(io.Writer, io.Reader, imaging.Pseudonyms) error {
	return &imaging.Refusal{Code: Held, Offset: -1, Advice: "reports have no de-identified view yet"}
}

// Rules says that reports are kept whole.
func (Scrubber) Rules() imaging.Rules {
	sum := sha256.Sum256([]byte("withheld whole"))
	return imaging.Rules{Digest: hex.EncodeToString(sum[:])}
}
