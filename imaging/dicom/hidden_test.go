package dicom_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"medvault/imaging/imagingtest"
)

// explicit and implicit write one element in little endian.
func explicit(tag uint32, vr string, length uint32, value string) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(tag>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	b = append(b, vr...)
	switch vr {
	case "OB", "OV", "OW", "SQ", "UC", "UN", "UR", "UT", "ZZ":
		b = binary.LittleEndian.AppendUint32(append(b, 0, 0), length)
	default:
		b = binary.LittleEndian.AppendUint16(b, uint16(length))
	}
	return append(b, value...)
}

func whole(tag uint32, vr, value string) []byte {
	return explicit(tag, vr, uint32(len(value)), value)
}

func implicit(tag uint32, length uint32, value string) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(tag>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	return append(binary.LittleEndian.AppendUint32(b, length), value...)
}

const (
	undefined = 0xFFFFFFFF
	item      = 0xFFFEE000
	itemEnd   = "\xFE\xFF\x0D\xE0\x00\x00\x00\x00"
	end       = "\xFE\xFF\xDD\xE0\x00\x00\x00\x00"
)

// TestIdentityInOddPlaces hides a name where a reader of well-formed files would
// not look, and asks that it is gone from the content and back in the original.
func TestIdentityInOddPlaces(t *testing.T) {
	const needle = "Xanthippe Quux"
	inItem := string(implicit(0x00081155, 8, "1.2.3.4.")) + string(implicit(0x00100010, uint32(len(needle)), needle)) +
		string(implicit(0x0040A160, uint32(len(needle)), needle))
	oneItem := string(implicit(item, uint32(len(inItem)), inItem))
	openItem := string(implicit(item, undefined, inItem)) + itemEnd
	large := strings.Repeat(needle, 1<<20/len(needle)+100)
	large += strings.Repeat(" ", len(large)%2)
	for name, element := range map[string][]byte{
		"sequence called UN":                 whole(0x00081140, "UN", oneItem),
		"sequence called UN, open":           explicit(0x00081140, "UN", undefined, oneItem+end),
		"sequence called UN, all open":       explicit(0x00081140, "UN", undefined, openItem+end),
		"sequence called UN, broken":         whole(0x00081140, "UN", oneItem[:len(oneItem)-3]),
		"sequence called LO":                 whole(0x00081140, "LO", oneItem),
		"sequence that holds none":           whole(0x00081140, "SQ", needle+needle),
		"sequence with a broken item":        whole(0x00081140, "SQ", oneItem[:len(oneItem)-5]),
		"items without delimiters":           explicit(0x00081140, "SQ", undefined, string(implicit(item, undefined, string(whole(0x00100010, "PN", needle))))+end),
		"fragments in a sequence":            explicit(0x00081140, "SQ", undefined, string(implicit(item, undefined, string(explicit(0x7FE00010, "OB", undefined, string(implicit(item, uint32(len(needle)), needle))+end))))+itemEnd+end),
		"fragments that are no pixels":       explicit(0x00282000, "OB", undefined, string(implicit(item, uint32(len(needle)), needle))+end),
		"time called LO":                     whole(0x00080033, "LO", needle),
		"time that is none":                  whole(0x00080033, "TM", needle),
		"code that is none":                  whole(0x00180015, "CS", needle),
		"number that is none":                whole(0x00180050, "DS", needle),
		"number called UT":                   whole(0x00280010, "UT", needle),
		"number of an unknown VR":            whole(0x00280010, "ZZ", needle),
		"date that is none":                  whole(0x00080020, "DA", needle),
		"date and time and more":             whole(0x0008002A, "DT", "20200101"+needle),
		"tag of no dictionary":               whole(0x00109998, "UT", needle),
		"text outside the table":             whole(0x0040A160, "UT", needle),
		"raw bytes":                          whole(0x00282000, "OB", needle),
		"implicit among explicit":            implicit(0x00104000, uint32(len(needle)), needle),
		"file meta in the data set":          whole(0x00020016, "AE", needle),
		"media directory":                    whole(0x00041500, "CS", needle),
		"private":                            append(whole(0x00190010, "LO", needle), whole(0x00191001, "UN", needle)...),
		"private sequence":                   explicit(0x00191001, "SQ", undefined, openItem+end),
		"overlay":                            whole(0x60003000, "OW", needle),
		"overlay label":                      whole(0x60001500, "LO", needle),
		"curve":                              whole(0x50003000, "OW", needle),
		"encrypted attributes":               explicit(0x04000500, "SQ", undefined, string(implicit(item, undefined, string(whole(0x04000520, "OB", needle))))+itemEnd+end),
		"more than a mebibyte of text":       whole(0x0040A160, "UT", large),
		"more than a mebibyte of raw bytes":  whole(0x00420011, "OB", large),
		"more than a mebibyte, private":      whole(0x00291010, "UN", large),
		"trailing padding":                   whole(0xFFFCFFFC, "OB", needle),
		"device serial number":               whole(0x00181000, "LO", needle),
		"a name among kept text, other case": whole(0x00081080, "LO", needle),
	} {
		t.Run(name, func(t *testing.T) {
			plain := imagingtest.Options{Rows: 8, Columns: 8, Plain: true}
			tail := imagingtest.CT(imagingtest.NewPatient(5), plain)
			plain.Omit = []uint32{0x7FE00010}
			head := imagingtest.CT(imagingtest.NewPatient(5), plain)
			pixels := tail[len(tail)-12-8*8*2:]
			for where, original := range map[string][]byte{
				"before the pixels": bytes.Join([][]byte{head, element, pixels}, nil),
				"after the pixels":  bytes.Join([][]byte{head, pixels, element}, nil),
			} {
				_, _, content, script, err := scrub(bytes.NewReader(original))
				if err != nil {
					t.Fatalf("%s: %v", where, err)
				}
				if err := restored(original, content, script); err != nil {
					t.Errorf("%s: %v", where, err)
				}
				if bytes.Contains(content, []byte(needle)) {
					t.Errorf("%s: the name is in the content", where)
				}
				if !bytes.Contains(content, pixels) {
					t.Errorf("%s: the pixels are not in the content", where)
				}
				if _, err := elements(bytes.NewReader(content)); err != nil {
					t.Errorf("%s: the content cannot be read: %v", where, err)
				}
			}
		})
	}
}

// TestLargeNumbersStream keeps a lookup table longer than what is held in memory.
func TestLargeNumbersStream(t *testing.T) {
	p := imagingtest.NewPatient(5)
	table := strings.Repeat("\x01\x02\x03\x04", 1<<19)
	original := imagingtest.CT(p, imagingtest.Options{Rows: 8, Columns: 8, Extra: []imagingtest.Element{{Tag: 0x00281221, VR: "OW", Value: []byte(table)}}})
	_, out, content, script, err := scrub(bytes.NewReader(original))
	if err != nil {
		t.Fatal(err)
	}
	if err := restored(original, content, script); err != nil {
		t.Error(err)
	}
	if !bytes.Contains(content, []byte(table)) || len(script) > 8<<10 {
		t.Errorf("table kept %v, script of %d bytes", bytes.Contains(content, []byte(table)), len(script))
	}
	if out.Facts.Frames == nil || out.Facts.Frames.Offset+out.Facts.Frames.Length != int64(len(content)) {
		t.Errorf("frames %+v in %d bytes", out.Facts.Frames, len(content))
	}
	checkContent(t, content, out)
}
