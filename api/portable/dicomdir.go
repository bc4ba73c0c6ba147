package portable

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// Values of a DICOMDIR (PS3.10 8.6, PS3.3 annex F).
const (
	mediaStorageDirectory = "1.2.840.10008.1.3.10"
	explicitLittleEndian  = "1.2.840.10008.1.2.1"
	implementationClass   = "2.25.302876115473618421157120390746012563027"
	fileSetID             = "MEDVAULT"
)

// element is one data element of a directory record.
type element struct {
	tag   uint32
	vr    string
	value string
	items [][]element // of a sequence
}

// node is a directory record and where it stands.
type node struct {
	kind     string
	elements func() []element
	lower    []*node
	offset   int64 // from the beginning of the file
}

// writeDirectory writes the DICOMDIR of a package. Offsets within it are 32 bits wide:
// what would not fit is an error before the first byte. uid names the file-set.
func (l *layout) writeDirectory(w io.Writer, uid string) error {
	meta := metaInformation(uid)
	root := []*node{l.node()}
	head := encode(nil, []element{{tag: 0x0004_1130, vr: "CS", value: fileSetID}})
	// The two offsets, the flag and the head of the sequence.
	first := int64(len(meta)+len(head)) + 12 + 12 + 10 + 12
	end := place(root, first)
	if end > math.MaxUint32 {
		return errors.New("DICOMDIR: too many instances for one directory")
	}
	out := bufio.NewWriterSize(w, 64<<10)
	out.Write(meta)
	out.Write(head)
	out.Write(long(0x0004_1200, root[0].offset))
	out.Write(long(0x0004_1202, root[len(root)-1].offset))
	out.Write(short(0x0004_1212, 0)) // no known inconsistencies
	out.Write(sequenceHead(0x0004_1220, end-first))
	if err := writeNodes(out, root); err != nil {
		return fmt.Errorf("DICOMDIR: %w", err)
	}
	return out.Flush() // the first error of all of them
}

// place gives every record its offset, depth first, and says where the last one ends.
func place(nodes []*node, at int64) int64 {
	for _, n := range nodes {
		n.offset = at
		at += int64(len(n.record(0)))
		at = place(n.lower, at)
	}
	return at
}

func writeNodes(w io.Writer, nodes []*node) error {
	for i, n := range nodes {
		var next int64
		if i+1 < len(nodes) {
			next = nodes[i+1].offset
		}
		if _, err := w.Write(n.record(next)); err != nil {
			return err
		}
		if err := writeNodes(w, n.lower); err != nil {
			return err
		}
	}
	return nil
}

// record is the item of a directory record; its length does not depend on the offsets.
func (n *node) record(next int64) []byte {
	var lower int64
	if len(n.lower) > 0 {
		lower = n.lower[0].offset
	}
	body := long(0x0004_1400, next)
	body = append(body, short(0x0004_1410, 0xFFFF)...) // in use
	body = append(body, long(0x0004_1420, lower)...)
	body = encode(body, append([]element{{tag: 0x0004_1430, vr: "CS", value: n.kind}}, n.elements()...))
	item := binary.LittleEndian.AppendUint16(nil, 0xFFFE)
	item = binary.LittleEndian.AppendUint16(item, 0xE000)
	item = binary.LittleEndian.AppendUint32(item, uint32(len(body)))
	return append(item, body...)
}

// node is the record of the patient with everything below. What the standard requires and
// the instances do not have (PS3.3 F.5) is filled: numbers by counting, times by zero.
func (l *layout) node() *node {
	p := l.patient
	top := &node{kind: "PATIENT", elements: func() []element {
		return charset([]element{{tag: 0x0010_0010, vr: "PN", value: p.fullName()}, {tag: 0x0010_0020, vr: "LO", value: cmp.Or(p.id, "UNKNOWN")}})
	}}
	for i, st := range l.studies {
		study := &node{kind: "STUDY", elements: func() []element {
			return charset([]element{
				{tag: 0x0008_0020, vr: "DA", value: cmp.Or(st.date, "19000101")}, {tag: 0x0008_0030, vr: "TM", value: cmp.Or(st.time, "000000")},
				{tag: 0x0008_0050, vr: "SH", value: st.accession}, {tag: 0x0008_1030, vr: "LO", value: st.description},
				{tag: 0x0020_000D, vr: "UI", value: st.uid}, {tag: 0x0020_0010, vr: "SH", value: cmp.Or(st.id, strconv.Itoa(i+1))}})
		}}
		top.lower = append(top.lower, study)
		for j, se := range st.series {
			series := &node{kind: "SERIES", elements: func() []element {
				return charset([]element{{tag: 0x0008_0060, vr: "CS", value: cmp.Or(se.modality, "OT")},
					{tag: 0x0020_000E, vr: "UI", value: se.uid}, {tag: 0x0020_0011, vr: "IS", value: cmp.Or(se.number, strconv.Itoa(j+1))}})
			}}
			study.lower = append(study.lower, series)
			for n := range se.instances {
				series.lower = append(series.lower, &node{kind: se.instances[n].kind, elements: func() []element { return se.leaf(n) }})
			}
		}
	}
	return top
}

// leaf are the elements of an instance's record, in the order of their tags.
func (s *series) leaf(n int) []element {
	i := &s.instances[n]
	list := []element{
		{tag: 0x0004_1500, vr: "CS", value: strings.ReplaceAll(s.file(n), "/", `\`)},
		{tag: 0x0004_1510, vr: "UI", value: i.class}, {tag: 0x0004_1511, vr: "UI", value: i.uid}, {tag: 0x0004_1512, vr: "UI", value: i.syntax}}
	if i.kind != "PRIVATE" {
		list = append(list, element{tag: 0x0020_0013, vr: "IS", value: cmp.Or(i.number, strconv.Itoa(n+1))})
	}
	return charset(append(list, i.more...))
}

func (p patient) fullName() string {
	return strings.TrimRight(strings.Join([]string{p.name, p.ideographic, p.phonetic}, "="), "=")
}

// charset says how text is written where it is not ASCII, and puts the elements in order.
func charset(list []element) []element {
	for _, e := range list {
		if strings.ContainsFunc(e.value, func(r rune) bool { return r > 0x7E }) {
			list = append(list, element{tag: 0x0008_0005, vr: "CS", value: "ISO_IR 192"})
			break
		}
	}
	return sorted(list)
}

func metaInformation(uid string) []byte {
	body := encode(nil, []element{{tag: 0x0002_0001, vr: "OB", value: "\x00\x01"}, {tag: 0x0002_0002, vr: "UI", value: mediaStorageDirectory},
		{tag: 0x0002_0003, vr: "UI", value: uid}, {tag: 0x0002_0010, vr: "UI", value: explicitLittleEndian},
		{tag: 0x0002_0012, vr: "UI", value: implementationClass}, {tag: 0x0002_0013, vr: "SH", value: "MEDVAULT"}})
	meta := append(make([]byte, 128), "DICM"...)
	return append(append(meta, long(0x0002_0000, int64(len(body)))...), body...)
}

// encode appends elements in Explicit VR Little Endian (PS3.5 7.1.2).
func encode(b []byte, list []element) []byte {
	for _, e := range list {
		value := []byte(e.value)
		if e.vr == "SQ" {
			value = nil
			for _, item := range e.items {
				inner := encode(nil, sorted(item))
				value = binary.LittleEndian.AppendUint16(value, 0xFFFE)
				value = binary.LittleEndian.AppendUint16(value, 0xE000)
				value = binary.LittleEndian.AppendUint32(value, uint32(len(inner)))
				value = append(value, inner...)
			}
		}
		if len(value)%2 == 1 {
			pad := byte(' ')
			if e.vr == "UI" || e.vr == "OB" {
				pad = 0
			}
			value = append(value, pad)
		}
		b = tagAndVR(b, e.tag, e.vr)
		if e.vr == "SQ" || e.vr == "OB" {
			b = append(b, 0, 0)
			b = binary.LittleEndian.AppendUint32(b, uint32(len(value)))
		} else {
			value = value[:min(len(value), math.MaxUint16-1)] // no value of a directory is that long
			b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
		}
		b = append(b, value...)
	}
	return b
}

func tagAndVR(b []byte, tag uint32, vr string) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(tag>>16))
	b = binary.LittleEndian.AppendUint16(b, uint16(tag))
	return append(b, vr...)
}

func long(tag uint32, n int64) []byte {
	b := binary.LittleEndian.AppendUint16(tagAndVR(nil, tag, "UL"), 4)
	return binary.LittleEndian.AppendUint32(b, uint32(n))
}

func short(tag uint32, n uint16) []byte {
	b := binary.LittleEndian.AppendUint16(tagAndVR(nil, tag, "US"), 2)
	return binary.LittleEndian.AppendUint16(b, n)
}

func sequenceHead(tag uint32, length int64) []byte {
	b := append(tagAndVR(nil, tag, "SQ"), 0, 0)
	return binary.LittleEndian.AppendUint32(b, uint32(length))
}
