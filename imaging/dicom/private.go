package dicom

import (
	"bytes"
	"io"
	"slices"

	"medvault/imaging/dicom/profile"
)

const maxBlocks = 1024 // in one data set

// block is a part of an odd group that a creator has reserved for itself in one data
// set (PS3.5 7.8.1).
type block struct {
	tag     Tag // of the creator element: gggg,0010 to gggg,00FF
	creator string
	raw     []byte // value of the creator element
	written bool
}

// private writes what may stay of a private element: what table E.3.10-1 calls safe,
// by creator and element. A creator is written with the first element that needs it.
func (w *rewriter) private(s *Segment, i int32, c coding) {
	e := &s.Elements[i]
	if number := e.Tag.Element(); number >= 0x10 && number <= 0xFF {
		w.reserve(s, i)
		return
	}
	b := w.block(e.Tag)
	vr, ok := w.safe(s, e, b)
	if !ok || !w.creator(b) {
		w.counts.add(removed)
		return
	}
	switch {
	case vr == SQ && e.Container():
		w.counts.add(cleaned)
		w.sequence(s, i, c)
	case vr == SQ:
		w.hiddenSequence(s, e)
	default:
		w.safeValue(s, e, c, vr)
	}
}

// reserve takes note of a creator and writes it where an element follows that stays.
func (w *rewriter) reserve(s *Segment, i int32) {
	e := &s.Elements[i]
	if e.Container() || e.Flags != 0 && e.Flags != Implicit {
		return
	}
	b := block{tag: e.Tag, creator: trimmed(string(s.Bytes(e))), raw: s.Bytes(e)}
	if len(w.scope.blocks) >= maxBlocks || w.reserved(e.Tag) {
		return // of two the first counts, as for every reader
	}
	w.scope.blocks = append(w.scope.blocks, b)
	last := &w.scope.blocks[len(w.scope.blocks)-1]
	for k := e.Next; k < w.scope.end; k = s.Elements[k].Next {
		next := &s.Elements[k]
		if next.Tag.Group() != e.Tag.Group() {
			break
		}
		if !owns(last, next.Tag) {
			continue
		}
		if _, ok := w.safe(s, next, last); ok {
			w.creator(last)
			return
		}
	}
}

// block is the reservation a private element lies in, nil when there is none.
func (w *rewriter) block(t Tag) *block {
	for i := range w.scope.blocks {
		if b := &w.scope.blocks[i]; owns(b, t) {
			return b
		}
	}
	return nil
}

func (w *rewriter) reserved(creator Tag) bool {
	return slices.ContainsFunc(w.scope.blocks, func(b block) bool { return b.tag == creator })
}

// owns reports whether an element lies in a block.
func owns(b *block, t Tag) bool {
	return b.tag.Group() == t.Group() && b.tag.Element() == t.Element()>>8
}

// creator makes sure that the creator element of a block is in the content. Where
// elements behind it are written already, it is too late.
func (w *rewriter) creator(b *block) bool {
	if b.written {
		return true
	}
	if w.scope.last >= b.tag && w.scope.last != 0 && w.scope.last.Group() == b.tag.Group() {
		return false
	}
	b.written = true
	w.counts.add(kept)
	w.write(b.tag, LO, b.raw)
	return true
}

// forget lets go of what belongs to a segment whose bytes are about to go.
func (w *rewriter) forget() {
	for i := range w.scope.blocks {
		w.scope.blocks[i].raw = bytes.Clone(w.scope.blocks[i].raw)
	}
}

// safe reports whether table E.3.10-1 lists an element of the block's creator, and
// with which VR. One that is written with another VR is not what the table means.
func (w *rewriter) safe(s *Segment, e *Element, b *block) (VR, bool) {
	if b == nil || e.Flags&(Bulk|Fragments|Opaque) != 0 {
		return 0, false
	}
	text, ok := w.profile.Private(b.creator, uint32(e.Tag))
	if !ok {
		return 0, false
	}
	vr := e.VR
	if len(text) >= 2 {
		vr = VR(text[0])<<8 | VR(text[1])
	}
	switch {
	case e.VR != UN && e.VR != vr && !(words(e.VR) && words(vr)):
		return 0, false
	case e.VR == UN && w.source.BigEndian && !vr.text():
		return 0, false // little endian, and so of no use here
	case vr == UN, !vr.known(), vr == SQ && e.VR != UN && !e.Container():
		return 0, false
	case vr == SQ && !e.Container() && !readable(e, s.Bytes(e)):
		return 0, false
	case vr != SQ && (e.Container() || !wellFormed(vr, s.Bytes(e))):
		return 0, false
	}
	return vr, true
}

// words reports the VRs of bytes and words, which writers exchange.
func words(vr VR) bool { return vr == OB || vr == OW }

// safeValue writes a private value that stays: its UIDs mapped, its dates as those of
// the document, and all of it looked through for the patient.
func (w *rewriter) safeValue(s *Segment, e *Element, c coding, vr VR) {
	rule := profile.Rule{Action: profile.Keep}
	switch vr {
	case UI, DA, DT:
		rule = w.profile.Decide(unlistedTag, vr.String(), w.class, w.path)
	case PN:
		rule.Action = profile.Empty
	}
	if rule.Action == profile.Keep {
		w.copy(s, e, c, w.privateVR(e, vr))
		return
	}
	w.replace(rule, e, s.Bytes(e), vr)
}

// unlistedTag is in no table: what becomes of it depends on the VR alone.
const unlistedTag = 0x0008_FFFE

// privateVR is the VR by which a private element is looked through: its own, or the
// table's where it came without one.
func (w *rewriter) privateVR(e *Element, table VR) VR {
	if e.VR == UN {
		return table
	}
	return e.VR
}

// hiddenSequence writes a sequence whose writer did not say that it is one: items in
// implicit little endian (PS3.5 6.2.2 note 2).
func (w *rewriter) hiddenSequence(s *Segment, e *Element) {
	inside, ok := splitItems(e, s.Bytes(e))
	if !ok || w.coding.big || len(w.path) >= maxDepth {
		w.counts.add(removed)
		return
	}
	w.counts.add(cleaned)
	w.sequence(inside, 0, coding{implicit: true})
}

func readable(e *Element, value []byte) bool {
	_, ok := splitItems(e, value)
	return ok
}

// splitItems reads the value of an element as the items of a sequence.
func splitItems(e *Element, value []byte) (*Segment, bool) {
	s := &Splitter{started: true, buf: value[:len(value):len(value)], readErr: io.EOF}
	s.elements = append(s.elements, Element{Tag: e.Tag, VR: SQ, Flags: Items | Implicit, Length: uint32(len(value))})
	if err := s.items(coding{implicit: true}, int64(len(value)), false, 0); err != nil {
		return nil, false
	}
	s.elements[0].Next = int32(len(s.elements))
	s.elements[0].End = int64(len(value))
	return &Segment{Raw: value, Elements: s.elements}, true
}
