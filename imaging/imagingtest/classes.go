package imagingtest

// class is a kind of object of the set.
type class struct {
	suffix   string // of the SOP class UID, behind 1.2.840.10008.5.1.4.1.1.
	modality string
	pixels   string // "g16", "g8", "rgb", "bit", "video" or ""
	frames   int
	shown    bool // its view may be shown unseen when nothing speaks for words in the picture
	module   func(*scope)
}

const storageClass = "1.2.840.10008.5.1.4.1.1."

// classes are the kinds of objects a radiology department stores.
func classes() []class {
	return []class{
		{"2", "CT", "g16", 1, true, crossSection},
		{"2.1", "CT", "g16", 3, true, enhanced},
		{"2.2", "CT", "g16", 2, true, enhanced},
		{"4", "MR", "g16", 1, true, resonance},
		{"4.1", "MR", "g16", 3, true, enhanced},
		{"4.2", "MR", "", 0, false, spectroscopy},
		{"128", "PT", "g16", 1, true, emission},
		{"130", "PT", "g16", 2, true, enhanced},
		{"20", "NM", "g16", 2, false, emission},
		{"1", "CR", "g16", 1, true, projection},
		{"1.1", "DX", "g16", 1, true, projection},
		{"1.1.1", "DX", "g16", 1, true, projection},
		{"1.2", "MG", "g16", 1, true, projection},
		{"13.1.3", "MG", "g16", 3, false, enhanced},
		{"1.3", "IO", "g16", 1, false, projection},
		{"6.1", "US", "rgb", 1, false, ultrasound},
		{"3.1", "US", "rgb", 3, false, ultrasound},
		{"6.2", "US", "g8", 2, false, enhanced},
		{"12.1", "XA", "g8", 3, false, angiography},
		{"12.1.1", "XA", "g16", 2, false, enhanced},
		{"12.2", "RF", "g8", 2, false, angiography},
		{"7", "OT", "g8", 1, false, capture},
		{"7.1", "OT", "bit", 2, false, capture},
		{"7.2", "OT", "g8", 2, false, capture},
		{"7.3", "OT", "g16", 2, false, capture},
		{"7.4", "OT", "rgb", 2, false, capture},
		{"77.1.1", "ES", "rgb", 1, false, visibleLight},
		{"77.1.1.1", "ES", "video", 4, false, visibleLight},
		{"77.1.2", "GM", "rgb", 1, false, visibleLight},
		{"77.1.3", "SM", "rgb", 1, false, slide},
		{"77.1.4", "XC", "rgb", 1, false, visibleLight},
		{"77.1.4.1", "XC", "video", 4, false, visibleLight},
		{"77.1.5.1", "OP", "rgb", 1, false, ophthalmic},
		{"77.1.5.2", "OP", "g16", 1, false, ophthalmic},
		{"77.1.5.4", "OPT", "g8", 3, false, ophthalmic},
		{"77.1.6", "SM", "rgb", 2, false, slide},
		{"14.1", "IVOCT", "g8", 2, false, enhanced},
		{"481.1", "RTIMAGE", "g16", 1, false, radiotherapyImage},
		{"481.2", "RTDOSE", "g16", 2, false, dose},
		{"481.3", "RTSTRUCT", "", 0, false, structures},
		{"481.4", "RTRECORD", "", 0, false, treatmentRecord},
		{"481.5", "RTPLAN", "", 0, false, plan},
		{"66.4", "SEG", "bit", 2, false, segmentation},
		{"66.5", "SEG", "", 0, false, segmentation},
		{"66.6", "MR", "", 0, false, tracks},
		{"30", "MR", "g16", 1, false, enhanced},
		{"67", "RWV", "", 0, false, realWorld},
		{"66", "OT", "", 0, false, rawData},
		{"66.1", "REG", "", 0, false, registration},
		{"66.2", "FID", "", 0, false, fiducials},
		{"66.3", "REG", "", 0, false, registration},
		{"11.1", "PR", "", 0, false, presentation},
		{"11.2", "PR", "", 0, false, presentation},
		{"88.11", "SR", "", 0, false, report},
		{"88.22", "SR", "", 0, false, report},
		{"88.33", "SR", "", 0, false, report},
		{"88.34", "SR", "", 0, false, report},
		{"88.50", "SR", "", 0, false, report},
		{"88.67", "SR", "", 0, false, report},
		{"88.59", "KO", "", 0, false, keyObjects},
		{"9.1.1", "ECG", "", 0, false, waveform},
		{"9.1.2", "ECG", "", 0, false, waveform},
		{"9.1.3", "ECG", "", 0, false, waveform},
		{"9.2.1", "HD", "", 0, false, waveform},
		{"9.4.1", "AU", "", 0, false, waveform},
		{"9.6.1", "RESP", "", 0, false, waveform},
		{"104.1", "DOC", "", 0, false, portableDocument},
		{"104.2", "DOC", "", 0, false, clinicalDocument},
		{"104.3", "M3D", "", 0, false, mesh},
		{"78.1", "LEN", "", 0, false, measurement},
		{"80.1", "OPV", "", 0, false, measurement},
	}
}

// syntaxes are the transfer syntaxes that a class is written in, in turn.
func (c class) syntaxes() []string {
	plain := []string{ExplicitLE, ImplicitLE, BigEndian, Deflated}
	switch c.pixels {
	case "", "bit":
		return plain
	case "video":
		return []string{mpeg2, mpeg4, hevc}
	}
	return append(plain, RLE, JPEG, jpegLossless, jpegLS, jpegLSNear, JPEG2000, jpeg2000Best, HTJ2K, htj2kBest, htj2k)
}
