package dicom

import (
	"io"

	"medvault/imaging"
)

// BeginAnyone is Begin for documents that do not say whose they are. Many real
// files do not, and their bytes have to come back all the same.
func BeginAnyone(r io.Reader) (imaging.Incoming, error) { return New().begin(r) }

// BeginAs is BeginAnyone for a Scrubber of its own.
func BeginAs(s Scrubber, r io.Reader) (imaging.Incoming, error) { return s.begin(r) }

// ShiftDates shows how single dates move.
func ShiftDates(vr VR, value string, days int) string { return shiftDates(vr, value, days) }
