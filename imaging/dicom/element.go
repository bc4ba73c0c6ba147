package dicom

import (
	"encoding/binary"

	"github.com/suyashkumar/dicom/pkg/tag"
)

// Tag is group<<16 | element.
type Tag uint32

// Group is the upper half of the tag.
func (t Tag) Group() uint16 { return uint16(t >> 16) }

// Element is the lower half of the tag.
func (t Tag) Element() uint16 { return uint16(t) }

// Private reports whether the tag belongs to a vendor (odd group).
func (t Tag) Private() bool { return t>>16&1 == 1 }

// Tags that shape a stream.
const (
	tagItem           Tag = 0xFFFE_E000
	tagItemDelim      Tag = 0xFFFE_E00D
	tagSequenceDelim  Tag = 0xFFFE_E0DD
	tagFloatPixels    Tag = 0x7FE0_0008
	tagDoublePixels   Tag = 0x7FE0_0009
	tagPixelData      Tag = 0x7FE0_0010
	tagTransferSyntax Tag = 0x0002_0010
)

// Tags that have rules of their own.
const (
	tagCharset           Tag = 0x0008_0005
	tagIcon              Tag = 0x0088_0200
	tagGraphicAnnotation Tag = 0x0070_0001
	tagPatientName       Tag = 0x0010_0010
	tagPatientID         Tag = 0x0010_0020
	tagSourceImage       Tag = 0x0008_2112
	tagReferencedImage   Tag = 0x0008_1140
)

// Tags whose UIDs are always the sender's own.
const (
	tagInstance Tag = 0x0008_0018
	tagStudy    Tag = 0x0020_000D
	tagSeries   Tag = 0x0020_000E
)

// VR is the two letters of a value representation, first letter in the upper byte.
type VR uint16

// Value representations of PS3.5 6.2 that the code speaks of by name.
const (
	AE VR = 'A'<<8 | 'E'
	AS VR = 'A'<<8 | 'S'
	AT VR = 'A'<<8 | 'T'
	CS VR = 'C'<<8 | 'S'
	DA VR = 'D'<<8 | 'A'
	DS VR = 'D'<<8 | 'S'
	DT VR = 'D'<<8 | 'T'
	FD VR = 'F'<<8 | 'D'
	FL VR = 'F'<<8 | 'L'
	IS VR = 'I'<<8 | 'S'
	LO VR = 'L'<<8 | 'O'
	LT VR = 'L'<<8 | 'T'
	OB VR = 'O'<<8 | 'B'
	OD VR = 'O'<<8 | 'D'
	OF VR = 'O'<<8 | 'F'
	OL VR = 'O'<<8 | 'L'
	OV VR = 'O'<<8 | 'V'
	OW VR = 'O'<<8 | 'W'
	PN VR = 'P'<<8 | 'N'
	SH VR = 'S'<<8 | 'H'
	SL VR = 'S'<<8 | 'L'
	SQ VR = 'S'<<8 | 'Q'
	SS VR = 'S'<<8 | 'S'
	ST VR = 'S'<<8 | 'T'
	SV VR = 'S'<<8 | 'V'
	TM VR = 'T'<<8 | 'M'
	UC VR = 'U'<<8 | 'C'
	UI VR = 'U'<<8 | 'I'
	UL VR = 'U'<<8 | 'L'
	UN VR = 'U'<<8 | 'N'
	UR VR = 'U'<<8 | 'R'
	US VR = 'U'<<8 | 'S'
	UT VR = 'U'<<8 | 'T'
	UV VR = 'U'<<8 | 'V'
)

func (v VR) String() string {
	if v == 0 {
		return ""
	}
	return string([]byte{byte(v >> 8), byte(v)})
}

// long reports whether the explicit header has two reserved bytes and a 32-bit
// length (PS3.5 7.1.2).
func (v VR) long() bool {
	switch v {
	case OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV:
		return true
	}
	return false
}

func (v VR) known() bool {
	switch v {
	case AE, AS, AT, CS, DA, DS, DT, FD, FL, IS, LO, LT, PN, SH, SL, SS, ST, TM, UI, UL, US:
		return true
	}
	return v.long()
}

// text reports whether a value of this VR is characters.
func (v VR) text() bool {
	switch v {
	case AE, AS, CS, DA, DS, DT, IS, LO, LT, PN, SH, ST, TM, UC, UI, UR, UT:
		return true
	}
	return false
}

// Undefined is the length of an element that ends with a delimiter.
const Undefined = 0xFFFF_FFFF

// Flags say how an element was written.
type Flags uint8

const (
	Implicit  Flags = 1 << iota // header without VR, and so is everything inside
	Fragments                   // undefined length, holds pixel fragments, not items
	Opaque                      // a container whose inside could not be read; its length is known
	Bulk                        // the value is not in Segment.Raw, it streams
	Items                       // the contents are items: a sequence, or one that someone called UN
)

// Element is one element or item by reference. Elements lie flat in document
// order: the contents of element i are the elements i+1 … Next-1. Items
// (tag FFFE,E000, VR 0) are elements too; delimiters are not.
type Element struct {
	Tag    Tag
	VR     VR     // as written; by dictionary where the header has none; UN when unknown
	Flags  Flags  //
	Length uint32 // as written, Undefined included
	Next   int32  // index of the first element after this one and its contents
	Offset int64  // where the tag begins, in the document (inflated, if it was deflated)
	Value  int64  // where the value begins
	End    int64  // first byte after the element, delimiter included; 0 for Bulk
}

// Container reports whether the contents of the element are elements.
func (e *Element) Container() bool {
	return e.Flags&Items != 0 || e.Tag == tagItem || e.VR == SQ && e.Flags&(Opaque|Fragments|Bulk) == 0
}

// Segment is a stretch of a document held in memory, up to a value that is not.
type Segment struct {
	Raw      []byte // the bytes of the stretch
	Base     int64  // offset of Raw[0]
	Elements []Element
	Bulk     bool // the last element's value follows in the stream
}

// Bytes is the value of e as written, nil when it streams. That of an undefined
// length reaches to End, its delimiter included.
func (s *Segment) Bytes(e *Element) []byte {
	if e.Flags&Bulk != 0 {
		return nil
	}
	return s.Raw[e.Value-s.Base : e.End-s.Base]
}

// Find is the first element of that tag at the top level of the segment, or nil.
func (s *Segment) Find(t Tag) *Element {
	for i := 0; i < len(s.Elements); i = int(s.Elements[i].Next) {
		if s.Elements[i].Tag == t {
			return &s.Elements[i]
		}
	}
	return nil
}

// text is the value of the first element of that tag at the top level, as it is written
// but for padding; "" where there is none.
func (s *Segment) text(t Tag) string {
	if e := s.Find(t); e != nil && !e.Container() {
		return trimmed(string(s.Bytes(e)))
	}
	return ""
}

// number is the first US value of that tag at the top level; false where there is none.
func (s *Segment) number(t Tag, order binary.ByteOrder) (n int, ok bool) {
	if e := s.Find(t); e != nil && !e.Container() && len(s.Bytes(e)) >= 2 {
		return int(order.Uint16(s.Bytes(e))), true
	}
	return 0, false
}

// vrOf is the VR of a tag by the dictionary of PS3.6, UN when it has none.
func vrOf(t Tag) VR {
	group, element := t.Group(), t.Element()
	switch {
	case element == 0:
		return UL
	case t.Private():
		if element >= 0x10 && element <= 0xFF {
			return LO // private creator
		}
		return UN
	case group >= 0x5000 && group <= 0x501E, group >= 0x6000 && group <= 0x601E:
		group &= 0xFF00 // repeating groups (PS3.5 7.6)
	}
	info, err := tag.Find(tag.Tag{Group: group, Element: element})
	if err != nil || len(info.VRs) == 0 || len(info.VRs[0]) != 2 {
		return UN
	}
	return VR(info.VRs[0][0])<<8 | VR(info.VRs[0][1])
}
