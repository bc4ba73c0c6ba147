// Package dicom takes identity out of DICOM documents and puts it back.
//
// A document is split into segments of elements held by reference and bulk values
// that stream (split.go). The profile says what becomes of each element
// (profile/), rewrite.go does it, scrub.go writes the content and the restore script.
// pixels.rules says which pictures are shown, masked or held; mask.go plans that,
// painter.go and repaint.go paint, frames.go follows the frames and codestream.go looks
// for what lies beside them. residue.go searches what was written for the patient, and
// review.go withholds the view where anything speaks against showing it.
//
// Beside that: recast.go writes a content for one recipient, json.go and convert.go give
// documents out, statement.go tells what a conformance statement says.
package dicom

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"sync"

	"medvault/imaging"
	"medvault/imaging/descriptor"
	"medvault/imaging/dicom/profile"
	"medvault/imaging/ocr"
)

// edition is that of the tables.
const edition = "PS3.15 2026d"

// codeVersion changes with every change of this package that makes content come out
// differently, so that what was stored before can be found and derived again.
const codeVersion = "4"

// Config is how a deployment wants identity taken out.
type Config struct {
	Profile string      // name of the set of options; default "default"
	Options profile.Set // the set; not read when Profile is empty
	Pixels  PixelRules  // the deployment's own, before the built-in rules
	OCR     *ocr.Reader // looks for words in pictures that are held, to suggest masks; nil: nobody does
}

// Scrubber is the imaging.Scrubber for DICOM. The zero value works by the default
// profile and the built-in pixel rules. It is safe for concurrent use.
type Scrubber struct{ rules *ruleset }

// New returns a Scrubber of the default profile.
func New() Scrubber { return Scrubber{} }

// With returns a Scrubber of a deployment's own profile and rules.
func With(c Config) Scrubber { return Scrubber{c.ruleset()} }

var _ imaging.Scrubber = Scrubber{}

// Recast writes a content for one recipient, see recast.
func (Scrubber) Recast(w io.Writer, content io.Reader, p imaging.Pseudonyms) error {
	return recast(w, content, p)
}

// Rules names the tables and options this Scrubber works by. The digest covers the
// tables, the vocabulary, the pixel rules, the options and the version of the code.
func (s Scrubber) Rules() imaging.Rules { return s.ruleset().told }

func (s Scrubber) ruleset() *ruleset {
	if s.rules == nil {
		return defaultRules()
	}
	return s.rules
}

// ruleset is what a Scrubber works by.
type ruleset struct {
	options profile.Set
	profile *profile.Profile
	pixels  PixelRules
	ocr     *ocr.Reader
	told    imaging.Rules
}

// defaultRules are made when first needed: they read every table.
var defaultRules = sync.OnceValue(func() *ruleset { return Config{}.ruleset() })

func (c Config) ruleset() *ruleset {
	if c.Profile == "" {
		c.Profile, c.Options = "default", profile.Default
	}
	r := &ruleset{options: c.Options, profile: profile.New(c.Options), pixels: c.Pixels, ocr: c.OCR}
	sum := sha256.Sum256([]byte(strings.Join([]string{r.profile.Digest(), descriptor.Digest(), c.Pixels.Digest(), codeVersion}, "\n")))
	r.told = imaging.Rules{
		Edition: edition,
		Profile: c.Profile,
		Options: c.Options.Names(),
		Digest:  hex.EncodeToString(sum[:]),
	}
	return r
}
