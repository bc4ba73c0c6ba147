package portable

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// recordType is the type of the directory record of an instance (PS3.3 table F.3-3), by
// its SOP class.
func recordType(class string) string {
	const storage = "1.2.840.10008.5.1.4.1.1."
	kind, ok := strings.CutPrefix(class, storage)
	if !ok {
		return "PRIVATE"
	}
	switch kind {
	case "88.59":
		return "KEY OBJECT DOC"
	case "104.1", "104.2", "104.3", "104.4", "104.5":
		return "ENCAP DOC"
	case "481.2":
		return "RT DOSE"
	case "481.3":
		return "RT STRUCTURE SET"
	case "481.5", "481.8":
		return "RT PLAN"
	case "481.4", "481.6", "481.7", "481.9":
		return "RT TREAT RECORD"
	case "66.1", "66.3":
		return "REGISTRATION"
	case "66.2":
		return "FIDUCIAL"
	case "66":
		return "RAW DATA"
	case "66.5":
		return "SURFACE"
	case "66.6":
		return "TRACT"
	case "67":
		return "VALUE MAP"
	case "4.2":
		return "SPECTROSCOPY"
	}
	switch {
	case strings.HasPrefix(kind, "88."):
		return "SR DOCUMENT"
	case strings.HasPrefix(kind, "11."):
		return "PRESENTATION"
	case strings.HasPrefix(kind, "9."):
		return "WAVEFORM"
	}
	return "IMAGE"
}

// needs are the elements beyond the number of the instance that a type of record requires
// (PS3.3 F.5), with what stands there where the instance has none.
func needs(record string) []need {
	const date, time = "19000101", "000000"
	content := []need{{0x0008_0023, "DA", date}, {0x0008_0033, "TM", time}}
	concept := need{0x0040_A043, "SQ", ""}
	switch record {
	case "SR DOCUMENT":
		return append(content, need{0x0040_A491, "CS", "PARTIAL"}, need{0x0040_A493, "CS", "UNVERIFIED"}, concept)
	case "KEY OBJECT DOC":
		return append(content, concept)
	case "WAVEFORM", "RAW DATA", "SPECTROSCOPY":
		return content
	case "REGISTRATION", "FIDUCIAL", "VALUE MAP", "SURFACE", "TRACT":
		return append(content, need{0x0070_0080, "CS", "UNNAMED"}, need{0x0070_0081, "LO", ""}, need{0x0070_0084, "PN", ""})
	case "PRESENTATION":
		return []need{{0x0070_0080, "CS", "UNNAMED"}, {0x0070_0081, "LO", ""}, {0x0070_0082, "DA", date}, {0x0070_0083, "TM", time}, {0x0070_0084, "PN", ""}}
	case "ENCAP DOC":
		return append(content, need{0x0042_0010, "ST", ""}, need{0x0040_A043, "SQ", ""}, need{0x0042_0012, "LO", "application/octet-stream"})
	case "RT DOSE":
		return []need{{0x3004_000A, "CS", "PLAN"}}
	case "RT STRUCTURE SET":
		return []need{{0x3006_0002, "SH", "UNNAMED"}, {0x3006_0008, "DA", ""}, {0x3006_0009, "TM", ""}}
	case "RT PLAN":
		return []need{{0x300A_0002, "SH", "UNNAMED"}, {0x300A_0006, "DA", ""}, {0x300A_0007, "TM", ""}}
	case "RT TREAT RECORD":
		return []need{{0x3008_0250, "DA", ""}, {0x3008_0251, "TM", ""}}
	}
	return nil
}

type need struct {
	tag       uint32
	vr        string
	otherwise string
}

// required are the elements that the directory record of an instance needs, of its own
// attributes.
func required(record string, attrs attributes) (list []element) {
	for _, n := range needs(record) {
		tag := fmt.Sprintf("%08X", n.tag)
		switch n.vr {
		case "SQ":
			if code := attrs.code(tag); code != nil || record != "ENCAP DOC" {
				list = append(list, element{tag: n.tag, vr: "SQ", items: [][]element{codeOr(code)}})
			} else {
				list = append(list, element{tag: n.tag, vr: "SQ"})
			}
		case "PN":
			alphabetic, ideographic, phonetic := attrs.name(tag)
			list = append(list, element{tag: n.tag, vr: "PN", value: patient{name: alphabetic, ideographic: ideographic, phonetic: phonetic}.fullName()})
		default:
			list = append(list, element{tag: n.tag, vr: n.vr, value: cmp.Or(attrs.text(tag), n.otherwise)})
		}
	}
	if series := referenced(attrs); record == "PRESENTATION" && series != nil {
		list = append(list, element{tag: 0x0008_1115, vr: "SQ", items: series})
	}
	return list
}

// referenced are the series that a presentation state is for, with their images.
func referenced(attrs attributes) (items [][]element) {
	for _, raw := range attrs.values("00081115") {
		var series attributes
		if json.Unmarshal(raw, &series) != nil {
			continue
		}
		var images [][]element
		for _, raw := range series.values("00081140") {
			var image attributes
			if json.Unmarshal(raw, &image) == nil {
				images = append(images, []element{{tag: 0x0008_1150, vr: "UI", value: image.text("00081150")}, {tag: 0x0008_1155, vr: "UI", value: image.text("00081155")}})
			}
		}
		items = append(items, []element{{tag: 0x0008_1140, vr: "SQ", items: images}, {tag: 0x0020_000E, vr: "UI", value: series.text("0020000E")}})
	}
	return items
}

// codeOr is a code, or one that says that there is none.
func codeOr(code []element) []element {
	if code != nil {
		return code
	}
	return codeElements("UNKNOWN", "99MEDVAULT", "not stated")
}

func codeElements(value, scheme, meaning string) []element {
	return []element{{tag: 0x0008_0100, vr: "SH", value: value}, {tag: 0x0008_0102, vr: "SH", value: scheme}, {tag: 0x0008_0104, vr: "LO", value: meaning}}
}

// code is the first item of a code sequence; nil when there is none.
func (a attributes) code(tag string) []element {
	values := a.values(tag)
	if len(values) == 0 {
		return nil
	}
	var item attributes
	if json.Unmarshal(values[0], &item) != nil || item.text("00080100") == "" {
		return nil
	}
	return codeElements(item.text("00080100"), item.text("00080102"), item.text("00080104"))
}

func sorted(list []element) []element {
	slices.SortFunc(list, func(a, b element) int { return cmp.Compare(a.tag, b.tag) })
	return list
}
