package dicom

import "strings"

// pictureless reports whether a class holds no picture that text could be burned
// into, so that it need not be looked at once its attributes are clean: reports of
// structured content, key objects, presentation states, radiotherapy, segmentations,
// parametric and registration objects, waveforms. Not so where a document, a model or
// a voice lies inside.
func pictureless(class string) bool {
	short, ok := strings.CutPrefix(class, "1.2.840.10008.5.1.4.1.1.")
	if !ok {
		return false
	}
	switch short {
	case "9.4.1", "9.4.2": // a voice says who speaks, and of whom
		return false
	case "9", "9.1", "9.1.1", "9.1.2", "9.1.3", "9.1.4", "9.2.1", "9.3.1", "9.5.1", "9.6.1", "9.6.2", "9.7.1", "9.7.2",
		"9.7.3", "9.7.4", "9.8.1": // waveforms
		return true
	case "11.1", "11.2", "11.3", "11.4", "11.5", "11.6", "11.7", "11.8", "11.9", "11.10", "11.11", "11.12": // presentation states
		return true
	case "66.1", "66.2", "66.3", "66.4", "66.5", "66.6", "66.7", "66.8", "67": // registration, fiducials, segmentations, real world values
		return true
	case "88.11", "88.22", "88.33", "88.34", "88.35", "88.40", "88.50", "88.59", "88.65", "88.67", "88.68", "88.69",
		"88.70", "88.71", "88.72", "88.73", "88.74", "88.75", "88.76": // reports, key objects
		return true
	case "481.2", "481.3", "481.4", "481.5", "481.6", "481.7", "481.8", "481.9", "481.10", "481.11", "481.12", "481.13",
		"481.14", "481.15", "481.16", "481.17", "481.18", "481.19", "481.20", "481.21", "481.22": // radiotherapy, its images aside
		return true
	case "4.2", "78.1", "78.2", "78.3", "78.4", "78.5", "78.6", "78.7", "78.8", "79.1", "80.1": // spectra, measurements of the eye
		return true
	}
	return false
}
