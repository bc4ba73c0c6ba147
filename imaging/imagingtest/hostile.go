package imagingtest

import (
	"bytes"
	"encoding/binary"
)

// Bad is a document that must be refused, leaving nothing behind.
type Bad struct {
	Name string
	Data []byte
}

// Hostile are DICOM-like documents that must be refused. Those that parse so far
// carry the patient's identifiers.
func Hostile(p Patient) []Bad {
	small := Options{Rows: 64, Columns: 64}
	whole := CT(p, small)
	without := func(tag uint32) []byte {
		o := small
		o.Omit = []uint32{tag}
		return CT(p, o)
	}
	encapsulated := CT(p, Options{Rows: 64, Columns: 64, TransferSyntax: JPEG2000, Frames: 2})
	header := CT(p, Options{Omit: []uint32{0x7FE00010}, Plain: true})
	return []Bad{
		{"empty", nil},
		{"not DICOM", bytes.Repeat([]byte("This is a letter, not a picture. "), 40)},
		{"preamble and nothing more", append(make([]byte, 128), "DICM"...)},
		{"cut in file meta", whole[:200]},
		{"cut in header", whole[:900]},
		{"cut in pixels", whole[:len(whole)-1000]},
		{"cut in fragments", encapsulated[:len(encapsulated)-5000]},
		{"cut before the last delimiter", encapsulated[:len(encapsulated)-8]},
		{"garbage after header", append(bytes.Clone(header), bytes.Repeat([]byte{0xFF, 0x01, 0x00, 0x7F}, 64)...)},
		{"value claims 4 GiB", claim(header, 0x00420011, "OB", 0xFFFFFFF0)},
		{"text claims 4 GiB", claim(header, 0x0040A160, "UT", 0xFFFFFFF0)},
		{"pixels claim 4 GiB", claim(header, 0x7FE00010, "OW", 0xFFFFFFFE)},
		{"nesting bomb", append(bytes.Clone(header), nest(20_000)...)},
		{"no patient id", without(0x00100020)},
		{"no study uid", without(0x0020000D)},
		{"no series uid", without(0x0020000E)},
		{"no instance uid", without(0x00080018)},
		{"directory", Directory(p)},
	}
}

// claim appends an element whose length is not there.
func claim(header []byte, tag uint32, vr string, length uint32) []byte {
	e := encoder{order: binary.LittleEndian}
	return append(e.head(bytes.Clone(header), tag, vr, length), make([]byte, 100)...)
}

// nest is a private sequence in a sequence in a sequence, never closed.
func nest(depth int) (b []byte) {
	e := encoder{order: binary.LittleEndian}
	for range depth {
		b = e.head(b, 0xFFF11001, "SQ", 0xFFFFFFFF)
		b = e.u32(e.tag(b, 0xFFFEE000), 0xFFFFFFFF)
	}
	return b
}

// Directory is a DICOMDIR: an index of a medium, no document.
func Directory(p Patient) []byte {
	const class = "1.2.840.10008.1.3.10"
	return CT(p, Options{
		SOPClass: class, Plain: true,
		Omit: []uint32{0x7FE00010},
		Extra: []Element{
			{0x00041130, "CS", "SYNTHETIC"},
			{0x00041200, "UL", []uint32{0}},
			{0x00041202, "UL", []uint32{0}},
			{0x00041212, "US", []uint16{0}},
			{0x00041220, "SQ", []Item{{
				{0x00041400, "UL", []uint32{0}},
				{0x00041430, "CS", "PATIENT"},
				{0x00100010, "PN", p.Name},
				{0x00100020, "LO", p.ID},
			}}},
		},
	})
}

// HostilePDFs are PDF-like documents that must be refused.
func HostilePDFs(p Patient) []Bad {
	whole := Report(p)
	return []Bad{
		{"cut in the middle", whole[:len(whole)/2]},
		{"cut before the end marker", whole[:len(whole)-8]},
		{"header only", []byte("%PDF-1.4\n")},
		{"no cross-reference", []byte("%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n")},
		{"not a PDF", []byte("%!PS-Adobe-3.0\nshowpage\n%%EOF\n")},
		{"empty", nil},
	}
}
