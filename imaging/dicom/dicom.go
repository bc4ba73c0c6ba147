// Package dicom takes identity out of DICOM documents and puts it back.
//
// A document is split into segments of elements held by reference and bulk values
// that stream (split.go). The profile says what becomes of each element
// (profile/), scrub.go writes the content and the restore script.
package dicom

import "medvault/imaging"

// Scrubber is the imaging.Scrubber for DICOM. It holds no state.
type Scrubber struct{}

// New returns a Scrubber.
func New() Scrubber { return Scrubber{} }

var _ imaging.Scrubber = Scrubber{}
