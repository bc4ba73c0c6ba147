package dicom

import (
	"encoding/binary"

	"medvault/imaging/dicom/profile"
)

// recopier copies elements as they are written, but for the values that it is told to
// change; lengths follow.
type recopier struct {
	// change is what an element holds instead; false when that is what it holds already.
	change func(e *Element, value []byte) ([]byte, bool)
	opaque error // what a sequence that cannot be read ends the copy with; nil: it is copied as it is

	big     bool
	path    profile.Path // the sequences being written, outermost first
	charset Charset
	out     []byte
}

func (r *recopier) element(s *Segment, i int32) error {
	e := &s.Elements[i]
	raw := s.Raw[e.Offset-s.Base:]
	switch {
	case e.Flags&Bulk != 0:
		r.out = append(r.out, raw[:e.Value-e.Offset]...)
		return nil
	case e.Flags&Opaque != 0 && r.opaque != nil:
		return r.opaque
	case e.Container() && e.Flags&Opaque == 0:
		return r.container(s, i)
	}
	value := s.Bytes(e)
	if changed, ok := r.change(e, value); ok {
		r.write(raw[:e.Value-e.Offset], e, changed)
		return nil
	}
	r.out = append(r.out, raw[:e.End-e.Offset]...)
	return nil
}

// container writes a sequence or an item. A length that was given is given again.
func (r *recopier) container(s *Segment, i int32) error {
	e := &s.Elements[i]
	outer := r.charset
	if e.Tag != tagItem {
		r.path = append(r.path, uint32(e.Tag))
	}
	r.out = append(r.out, s.Raw[e.Offset-s.Base:e.Value-s.Base]...)
	at := len(r.out)
	if err := r.inside(s, i); err != nil {
		return err
	}
	delimiter := tagSequenceDelim
	if e.Tag == tagItem {
		r.charset, delimiter = outer, tagItemDelim
	} else {
		r.path = r.path[:len(r.path)-1]
	}
	order := coding{big: r.big}.order()
	if e.Length == Undefined {
		r.out = order.AppendUint16(r.out, delimiter.Group())
		r.out = order.AppendUint16(r.out, delimiter.Element())
		r.out = order.AppendUint32(r.out, 0)
		return nil
	}
	order.PutUint32(r.out[at-4:], uint32(len(r.out)-at))
	return nil
}

// inside writes what a container holds.
func (r *recopier) inside(s *Segment, i int32) error {
	for k := i + 1; k < s.Elements[i].Next; k = s.Elements[k].Next {
		if child := &s.Elements[k]; child.Tag == tagCharset && !child.Container() {
			r.charset = NewCharset(s.Bytes(child))
		}
		if err := r.element(s, k); err != nil {
			return err
		}
	}
	return nil
}

// write appends an element with its header as it was, but for the length.
func (r *recopier) write(header []byte, e *Element, value []byte) {
	order := coding{big: r.big && e.Tag.Group() != 2}.order()
	short := e.Flags&Implicit == 0 && len(header) == 8
	if short && len(value) > 0xFFFE {
		return // it does not fit any more
	}
	r.out = append(r.out, header...)
	if short {
		order.PutUint16(r.out[len(r.out)-2:], uint16(len(value)))
	} else {
		order.PutUint32(r.out[len(r.out)-4:], uint32(len(value)))
	}
	r.out = append(r.out, value...)
}

// appendHeader appends tag, VR and length as a coding writes them (PS3.5 7.1).
func (c coding) appendHeader(out []byte, t Tag, vr VR, length uint32) []byte {
	var order binary.AppendByteOrder = c.order()
	out = order.AppendUint16(out, t.Group())
	out = order.AppendUint16(out, t.Element())
	switch {
	case c.implicit || vr == 0:
		return order.AppendUint32(out, length)
	case vr.long() || !vr.known():
		out = append(out, byte(vr>>8), byte(vr), 0, 0)
		return order.AppendUint32(out, length)
	}
	out = append(out, byte(vr>>8), byte(vr))
	return order.AppendUint16(out, uint16(length))
}
