package dicom

import (
	"strings"

	"github.com/suyashkumar/dicom/pkg/uid"
)

// ofSender reports the attributes whose UIDs are always the sender's own, whatever they
// look like.
func ofSender(t Tag) bool { return t == tagInstance || t == tagStudy || t == tagSeries }

// eachUID maps every UID of a value.
func eachUID(value string, mapped func(string) string) string {
	parts := strings.Split(value, `\`)
	for i, u := range parts {
		if u = trimmed(u); u != "" {
			u = mapped(u)
		}
		parts[i] = u
	}
	return strings.Join(parts, `\`)
}

// foreign maps UIDs but for those of the standard.
func foreign(mapped func(string) string) func(string) string {
	return func(u string) string {
		if registered(u) || contextGroup(u) {
			return u
		}
		return mapped(u)
	}
}

// contextGroup reports the UID of a context group of PS3.16, new ones too.
func contextGroup(u string) bool {
	number, ok := strings.CutPrefix(u, "1.2.840.10008.6.1.")
	return ok && len(number) <= 4 && strings.Trim(number, "0123456789") == ""
}

// registered reports whether a UID stands in the registry of PS3.6 Annex A: it names
// a class, a syntax, a coding scheme or a well-known frame of reference or instance.
// That it begins as those do is not enough, anyone can write that.
func registered(u string) bool {
	if _, err := uid.Lookup(u); err == nil {
		return true
	}
	return newerSyntax(u) || newerClass(u) || newerInstance(u)
}

// transferSyntax reports whether a UID is registered as a transfer syntax.
func transferSyntax(u string) bool {
	info, err := uid.Lookup(u)
	return err == nil && info.Type == uid.TypeTransferSyntax || newerSyntax(u)
}

// newerSyntax are the transfer syntaxes that the dictionary lacks.
func newerSyntax(u string) bool {
	switch u {
	case "1.2.840.10008.1.2.1.98", // encapsulated uncompressed
		"1.2.840.10008.1.2.4.100.1", "1.2.840.10008.1.2.4.101.1", "1.2.840.10008.1.2.4.102.1", "1.2.840.10008.1.2.4.103.1",
		"1.2.840.10008.1.2.4.104.1", "1.2.840.10008.1.2.4.105.1", "1.2.840.10008.1.2.4.106.1", // fragmentable video
		"1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.111", "1.2.840.10008.1.2.4.112", // JPEG XL
		"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203", // HTJ2K
		"1.2.840.10008.1.2.4.204", "1.2.840.10008.1.2.4.205", // HTJ2K by JPIP
		"1.2.840.10008.1.2.7.1", "1.2.840.10008.1.2.7.2", "1.2.840.10008.1.2.7.3", // SMPTE ST 2110
		"1.2.840.10008.1.2.8.1": // deflated frames
		return true
	}
	return false
}

// newerClass are the SOP classes and coding schemes that the dictionary lacks.
func newerClass(u string) bool {
	switch u {
	case "1.2.840.10008.5.1.4.1.1.2.3", "1.2.840.10008.5.1.4.1.1.2.4", "1.2.840.10008.5.1.4.1.1.2.5", // CT for processing
		"1.2.840.10008.5.1.4.1.1.9.6.2", "1.2.840.10008.5.1.4.1.1.9.7.1", "1.2.840.10008.5.1.4.1.1.9.7.2",
		"1.2.840.10008.5.1.4.1.1.9.7.3", "1.2.840.10008.5.1.4.1.1.9.7.4", "1.2.840.10008.5.1.4.1.1.9.8.1", // waveforms
		"1.2.840.10008.5.1.4.1.1.9.100.1", "1.2.840.10008.5.1.4.1.1.9.100.2", "1.2.840.10008.5.1.4.1.1.601.5",
		"1.2.840.10008.5.1.4.1.1.66.7", "1.2.840.10008.5.1.4.1.1.66.8", // segmentations
		"1.2.840.10008.5.1.4.1.1.77.1.7", "1.2.840.10008.5.1.4.1.1.91.1", // dermoscopy, annotations of microscopy
		"1.2.840.10008.5.1.4.1.1.88.74", "1.2.840.10008.5.1.4.1.1.88.75", "1.2.840.10008.5.1.4.1.1.88.76", // reports
		"1.2.840.10008.5.1.4.1.1.104.3", "1.2.840.10008.5.1.4.1.1.104.4", "1.2.840.10008.5.1.4.1.1.104.5", // models
		"1.2.840.10008.5.1.4.1.1.200.7", "1.2.840.10008.5.1.4.1.1.200.8", // protocols
		"1.2.840.10008.5.1.4.1.1.201.1", "1.2.840.10008.5.1.4.1.1.201.2", "1.2.840.10008.5.1.4.1.1.201.3",
		"1.2.840.10008.5.1.4.1.1.201.4", "1.2.840.10008.5.1.4.1.1.201.5", "1.2.840.10008.5.1.4.1.1.201.6", // inventory
		"1.2.840.10008.5.1.4.1.1.481.10", "1.2.840.10008.5.1.4.1.1.481.11", "1.2.840.10008.5.1.4.1.1.481.12",
		"1.2.840.10008.5.1.4.1.1.481.13", "1.2.840.10008.5.1.4.1.1.481.14", "1.2.840.10008.5.1.4.1.1.481.15",
		"1.2.840.10008.5.1.4.1.1.481.16", "1.2.840.10008.5.1.4.1.1.481.17", "1.2.840.10008.5.1.4.1.1.481.18",
		"1.2.840.10008.5.1.4.1.1.481.19", "1.2.840.10008.5.1.4.1.1.481.20", "1.2.840.10008.5.1.4.1.1.481.21",
		"1.2.840.10008.5.1.4.1.1.481.22", // radiotherapy
		"1.2.840.10008.5.1.4.34.6.5",
		"1.2.840.10008.10.1", "1.2.840.10008.10.2", "1.2.840.10008.10.3", "1.2.840.10008.10.4", // real-time video
		"1.2.840.10008.2.16.10", "1.2.840.10008.2.16.11", "1.2.840.10008.2.16.12", "1.2.840.10008.2.16.13",
		"1.2.840.10008.2.16.14", "1.2.840.10008.2.16.15", "1.2.840.10008.2.16.16", "1.2.840.10008.2.16.17",
		"1.2.840.10008.2.16.18": // coding schemes
		return true
	}
	return false
}

// newerInstance are the well-known frames of reference and instances that the
// dictionary lacks.
func newerInstance(u string) bool {
	switch u {
	case "1.2.840.10008.1.4.3.1", "1.2.840.10008.1.4.3.2", "1.2.840.10008.1.4.3.3", // IEC 61217, robotic arm
		"1.2.840.10008.1.4.4.1", "1.2.840.10008.1.4.5.1", // SRI24, Colin27
		"1.2.840.10008.1.4.6.1", "1.2.840.10008.1.4.6.2", "1.2.840.10008.1.4.6.3", // LPBA40
		"1.2.840.10008.5.1.4.1.1.201.1.1": // storage management
		return true
	}
	return false
}
