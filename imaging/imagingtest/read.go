package imagingtest

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// document is a Part 10 file as read back for scoring. The reader shares nothing with
// package imaging/dicom, whose work it judges.
type document struct {
	dataset
	meta   dataset
	syntax string
}

// dataset is a data set or item: its elements by tag, values unparsed.
type dataset struct {
	elements map[uint32]value
	order    binary.ByteOrder
	implicit bool
}

type value struct {
	bytes []byte
	items bool // of undefined length, or a sequence by its VR
}

var errUnreadable = errors.New("not readable as DICOM")

func readDocument(b []byte) (document, error) {
	if len(b) < 132 || string(b[128:132]) != "DICM" {
		return document{}, fmt.Errorf("%w: no preamble", errUnreadable)
	}
	for _, c := range b[:128] {
		if c != 0 {
			return document{}, fmt.Errorf("%w: the preamble is not empty", errUnreadable)
		}
	}
	end := 132
	for end+8 <= len(b) && binary.LittleEndian.Uint16(b[end:]) == 2 {
		_, _, next, err := readElement(b, end, binary.LittleEndian, false)
		if err != nil {
			return document{}, err
		}
		end = next
	}
	meta, err := readDataset(b[132:end], binary.LittleEndian, false)
	if err != nil {
		return document{}, err
	}
	d := document{meta: meta, syntax: plain(meta.elements[0x00020010].bytes)}
	switch d.syntax {
	case ImplicitLE:
		d.dataset, err = readDataset(b[end:], binary.LittleEndian, true)
	case BigEndian:
		d.dataset, err = readDataset(b[end:], binary.BigEndian, false)
	case Deflated:
		return d, fmt.Errorf("%w: deflated again", errUnreadable)
	default:
		d.dataset, err = readDataset(b[end:], binary.LittleEndian, false)
	}
	return d, err
}

func readDataset(b []byte, order binary.ByteOrder, implicit bool) (dataset, error) {
	d := dataset{map[uint32]value{}, order, implicit}
	last := uint32(0)
	for at := 0; at < len(b); {
		tag, v, next, err := readElement(b, at, order, implicit)
		if err != nil {
			return d, err
		}
		if tag <= last {
			return d, fmt.Errorf("%w: %08X after %08X", errUnreadable, tag, last)
		}
		d.elements[tag], last, at = v, tag, next
	}
	return d, nil
}

func readElement(b []byte, at int, order binary.ByteOrder, implicit bool) (tag uint32, v value, next int, err error) {
	if at+8 > len(b) {
		return 0, v, 0, fmt.Errorf("%w: %d bytes left over", errUnreadable, len(b)-at)
	}
	tag = uint32(order.Uint16(b[at:]))<<16 | uint32(order.Uint16(b[at+2:]))
	length, start := uint32(0), at+8
	switch vr := string(b[at+4 : at+6]); {
	case implicit || tag>>16 == 0xFFFE:
		length = order.Uint32(b[at+4:])
	case longVR(vr):
		if at+12 > len(b) {
			return 0, v, 0, fmt.Errorf("%w: half a header", errUnreadable)
		}
		length, start = order.Uint32(b[at+8:]), at+12
		v.items = vr == "SQ"
	default:
		length = uint32(order.Uint16(b[at+6:]))
	}
	if length != 0xFFFFFFFF {
		if uint64(start)+uint64(length) > uint64(len(b)) {
			return 0, v, 0, fmt.Errorf("%w: the value of %08X is not whole", errUnreadable, tag)
		}
		v.bytes = b[start : start+int(length)]
		return tag, v, start + int(length), nil
	}
	v.items = true
	for at = start; ; {
		inner, _, end, err := readElement(b, at, order, implicit)
		if err != nil {
			return 0, v, 0, err
		}
		if inner == 0xFFFEE0DD || inner == 0xFFFEE00D {
			v.bytes = b[start:at]
			return tag, v, end, nil
		}
		at = end
	}
}

// find follows a path. found is false where a step leads nowhere.
func (d dataset) find(path Path) (v value, found bool, err error) {
	for i, step := range path {
		if v, found = d.elements[step.Tag]; !found || i == len(path)-1 {
			return v, found, nil
		}
		at := 0
		for n := 0; ; n++ {
			if at >= len(v.bytes) {
				return v, false, nil
			}
			_, item, next, err := readElement(v.bytes, at, d.order, d.implicit)
			if err != nil {
				return v, false, err
			}
			if n == step.Item {
				if d, err = readDataset(item.bytes, d.order, d.implicit); err != nil {
					return v, false, err
				}
				break
			}
			at = next
		}
	}
	return v, found, nil
}

// fragments are the items of encapsulated pixel data, without the offset table.
func (v value) fragments() (frames [][]byte) {
	for at := 0; at < len(v.bytes); {
		_, item, next, err := readElement(v.bytes, at, binary.LittleEndian, false)
		if err != nil {
			return nil
		}
		frames, at = append(frames, item.bytes), next
	}
	if len(frames) > 0 {
		return frames[1:]
	}
	return nil
}

func plain(b []byte) string {
	for len(b) > 0 && (b[len(b)-1] == 0 || b[len(b)-1] == ' ') {
		b = b[:len(b)-1]
	}
	return string(b)
}
