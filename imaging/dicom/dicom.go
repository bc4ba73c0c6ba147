// Package dicom takes identity out of DICOM documents and puts it back.
//
// A document is split into segments of elements held by reference and bulk values
// that stream (split.go). The profile says what becomes of each element
// (profile/), scrub.go writes the content and the restore script.
package dicom

import (
	"io"

	"medvault/imaging"
	"medvault/imaging/dicom/profile"
)

// Scrubber is the imaging.Scrubber for DICOM. It holds no state.
type Scrubber struct{}

// New returns a Scrubber.
func New() Scrubber { return Scrubber{} }

var _ imaging.Scrubber = Scrubber{}

// Recast writes a content for one recipient.
func (Scrubber) Recast(w io.Writer, content io.Reader, p imaging.Pseudonyms) error {
	return imaging.ErrCannotConvert // recast.go is being written
}

// Rules names the tables and options this Scrubber works by.
func (Scrubber) Rules() imaging.Rules {
	return imaging.Rules{Edition: "PS3.15 2026d", Profile: "default", Digest: profile.RowsSHA256}
}
