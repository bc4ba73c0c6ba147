package imaging

import "bytes"

func sniff(head []byte) (Kind, bool) {
	if len(head) >= 132 && string(head[128:132]) == "DICM" {
		return DICOM, true
	}
	// PDF readers accept the header anywhere in the first kilobyte (ISO 32000-1 H.3 note 13).
	if i := bytes.Index(head[:min(len(head), 1024)], []byte("%PDF-")); i >= 0 {
		return PDF, true
	}
	// Part 10 without preamble: group 0002 or 0008 in little or big endian.
	if len(head) >= 8 {
		switch string(head[:2]) {
		case "\x02\x00", "\x08\x00", "\x00\x02", "\x00\x08":
			return DICOM, true
		}
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xFF\xD8\xFF")), bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1A\n")),
		bytes.HasPrefix(head, []byte("II*\x00")), bytes.HasPrefix(head, []byte("MM\x00*")):
		return Scan, true
	}
	if text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xEF\xBB\xBF")), " \t\r\n"); len(text) > 0 && text[0] == '{' {
		return FHIR, true // the only JSON that is taken
	}
	return 0, false
}
