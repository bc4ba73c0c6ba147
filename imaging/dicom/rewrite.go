package dicom

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"

	"medvault/imaging"
	"medvault/imaging/dicom/profile"
)

const (
	// What the content says of its writer.
	implementationUID  = "2.25.304115897146082653219385537109741620517"
	implementationName = "MEDVAULT"
	method             = "MEDVAULT: PS3.15 2026d Basic Profile, Modified Dates"

	maxUIDs = 4096 // in one element
)

// rewriter turns segments of the original into segments of the content. Kept
// elements are copied as they are written; only where the original mixes encodings
// are headers written anew.
type rewriter struct {
	p         imaging.Pseudonyms
	charset   Charset
	header    *Segment
	source    Syntax
	coding    coding // of the content
	syntaxUID string // of the content
	known     bool   // the transfer syntax is one of the standard
	patientID []byte // raw, to know it again in sequences
	residue   *residue
	pending   []insert
	out       []byte
	begun     bool
	pixels    bool // pixel data has been kept
	tooLarge  bool // what was written has outgrown the original beyond reason
}

// insert is an element the content has whether the original has it or not.
type insert struct {
	tag   Tag
	vr    VR
	value string
}

func newRewriter(p imaging.Pseudonyms, s *Splitter, header *Segment) *rewriter {
	w := &rewriter{p: p, header: header, source: s.Syntax, pending: []insert{
		{0x0012_0062, CS, "YES"},
		{0x0012_0063, LO, method},
		{0x0028_0303, CS, "MODIFIED"},
	}}
	if e := header.Find(0x0008_0005); e != nil {
		w.charset = NewCharset(header.Bytes(e))
	}
	if e := header.Find(0x0010_0020); e != nil {
		w.patientID = bytes.Trim(header.Bytes(e), " \x00")
	}
	w.syntaxUID, w.coding, w.known = contentSyntax(s.Syntax)
	w.residue = newResidue(header, w.charset)
	return w
}

// contentSyntax is the transfer syntax of the content: that of the original, but as
// it was found, not as promised, and never deflated.
func contentSyntax(s Syntax) (uid string, c coding, known bool) {
	if strings.Trim(s.UID, "0123456789.") != "" || len(s.UID) > 64 {
		s.UID = "" // not a UID, and who knows what it says
		uid, c, _ = contentSyntax(s)
		return uid, c, false
	}
	switch {
	case s.native() && s.BigEndian:
		return "1.2.840.10008.1.2.2", coding{big: true}, true
	case s.native() && s.Implicit:
		return "1.2.840.10008.1.2", coding{implicit: true}, true
	case s.native():
		return "1.2.840.10008.1.2.1", coding{}, true
	case transferSyntax(s.UID):
		return s.UID, coding{big: s.BigEndian}, true // all others are explicit (PS3.5 10)
	}
	return s.UID, coding{implicit: s.Implicit, big: s.BigEndian}, false
}

// segment gives a segment of the content and whether the bulk value that ends the
// original's stays. The slice is valid until the next call.
func (w *rewriter) segment(s *Segment) (written []byte, keepsBulk bool) {
	w.out = w.out[:0]
	if !w.begun {
		w.begun = true
		w.out = make([]byte, 0, len(s.Raw)+1<<10)
		w.fileMeta(s)
	}
	for i := int32(0); int(i) < len(s.Elements); i = s.Elements[i].Next {
		e := &s.Elements[i]
		if e.Tag.Group() == 2 {
			continue
		}
		w.insertBefore(e.Tag)
		if e.Flags&Bulk != 0 {
			keepsBulk = w.bulk(e)
			continue
		}
		w.element(s, i, w.source.coding(), top)
	}
	return w.out, keepsBulk
}

func (s Syntax) coding() coding { return coding{implicit: s.Implicit, big: s.BigEndian} }

// finish adds to the last segment what has found no place yet.
func (w *rewriter) finish(written []byte) []byte {
	w.out = written
	w.insertBefore(0xFFFF_FFFF)
	return w.out
}

func (w *rewriter) insertBefore(t Tag) {
	for len(w.pending) > 0 && w.pending[0].tag < t {
		in := w.pending[0]
		w.pending = w.pending[1:]
		w.write(in.tag, in.vr, padText(in.vr, in.value))
	}
}

// fileMeta writes preamble and group 0002 anew (PS3.10 7.1): nothing of the
// original's stays but class and syntax.
func (w *rewriter) fileMeta(s *Segment) {
	w.out = append(w.out, make([]byte, 128)...)
	w.out = append(w.out, "DICM"...)
	explicit := rewriter{out: make([]byte, 0, 512)}
	explicit.write(0x0002_0001, OB, []byte{0, 1})
	if class := w.text(s, 0x0008_0016, 0x0002_0002); class != "" {
		explicit.write(0x0002_0002, UI, padText(UI, w.mapUIDs(class)))
	}
	if instance := w.text(s, 0x0008_0018, 0x0002_0003); instance != "" {
		explicit.write(0x0002_0003, UI, padText(UI, w.mapOwn(instance)))
	}
	explicit.write(tagTransferSyntax, UI, padText(UI, w.syntaxUID))
	explicit.write(0x0002_0012, UI, padText(UI, implementationUID))
	explicit.write(0x0002_0013, SH, padText(SH, implementationName))
	meta := explicit.out
	explicit.out = w.out
	explicit.write(0x0002_0000, UL, binary.LittleEndian.AppendUint32(nil, uint32(len(meta))))
	w.out = append(explicit.out, meta...)
}

// text is the value of the first of the tags that has one.
func (w *rewriter) text(s *Segment, tags ...Tag) string {
	for _, t := range tags {
		if e := s.Find(t); e != nil {
			if v := trimmed(string(s.Bytes(e))); v != "" {
				return v
			}
		}
	}
	return ""
}

// place says where in the document an element stands.
type place bool

const (
	top    place = true
	nested place = false
)

// element writes what the profile leaves of element i, whose source is written in c.
func (w *rewriter) element(s *Segment, i int32, c coding, at place) {
	if w.tooLarge = w.tooLarge || len(w.out) > 2*maxHeld; w.tooLarge {
		return
	}
	e := &s.Elements[i]
	action, keyword := w.decide(e, at)
	switch {
	case action == profile.Remove || e.Flags&Fragments != 0:
		return
	case e.Container() && action == profile.Keep:
		w.sequence(s, i, c)
		return
	case e.Container() || e.VR == SQ:
		if action == profile.Empty || action == profile.Dummy {
			w.write(e.Tag, SQ, nil)
		}
		return
	case action == profile.Keep:
		w.keep(s, e, c)
		return
	}
	value, ok := w.replacement(action, keyword, e, s.Bytes(e), at)
	if ok {
		w.write(e.Tag, w.vr(e), value)
	}
}

// decide asks the profile, and for what no table lists the VR: the dictionary's and
// the written one, of which the stricter counts.
func (w *rewriter) decide(e *Element, at place) (profile.Action, string) {
	switch e.Tag {
	case 0x0010_0010, 0x0010_0020:
		return profile.Empty, "" // replaced, see replacement
	case 0x0012_0062, 0x0012_0063, 0x0012_0064, 0x0028_0303:
		return profile.Remove, "" // told anew, truthfully
	case 0x0008_0001, 0x0400_0500, 0xFFFC_FFFC:
		return profile.Remove, "" // a length no longer right, encrypted identity, padding
	}
	if e.Tag.Element() == 0 || e.Tag.Group() < 8 || pixels(e.Tag) && at == nested {
		return profile.Remove, "" // group lengths; media and messages; icons, which show what was burned in
	}
	rule, listed := profile.Lookup(uint32(e.Tag))
	known := vrOf(e.Tag)
	switch {
	case listed && rule.Action != profile.Keep:
		return rule.Action, rule.Keyword
	case known == UN:
		return profile.Remove, "" // private, or not in the dictionary
	}
	action := profile.Outside(known.String())
	text := listed && action == profile.Remove // on the list of text that stays
	if listed {
		action = rule.Action
	}
	if e.VR != known && e.VR != UN && !text && profile.Outside(e.VR.String()) == profile.Remove {
		return profile.Remove, "" // words where numbers belong
	}
	return action, rule.Keyword
}

// keep copies an element whose value can be what its VRs say, the dictionary's and
// the written one.
func (w *rewriter) keep(s *Segment, e *Element, c coding) {
	value := s.Bytes(e)
	known := vrOf(e.Tag)
	if known == SQ || !wellFormed(known, value) || !wellFormed(e.VR, value) {
		return
	}
	w.residue.value(w.vr(e), value, w.charset)
	if implicit := e.Flags&Implicit != 0; implicit == w.coding.implicit && c.big == w.coding.big {
		w.out = append(w.out, s.Raw[e.Offset-s.Base:e.End-s.Base]...)
		return
	}
	w.write(e.Tag, w.vr(e), value)
}

// sequence writes a sequence with its items cleaned. A length that was given is
// given again, rightly; one that was left open stays open.
func (w *rewriter) sequence(s *Segment, i int32, c coding) {
	e := &s.Elements[i]
	inner := coding{implicit: c.implicit || e.Flags&Implicit != 0, big: c.big}
	if e.VR == UN {
		inner = coding{implicit: true}
	}
	if inner.big != w.coding.big {
		return // numbers of another byte order
	}
	open := e.Length == Undefined
	at := w.head(e.Tag, SQ, Undefined)
	for k := i + 1; k < e.Next; k = s.Elements[k].Next {
		w.item(s, k, inner)
	}
	w.close(at, open, tagSequenceDelim)
}

func (w *rewriter) item(s *Segment, i int32, c coding) {
	e := &s.Elements[i]
	at := w.head(tagItem, 0, Undefined)
	for k := i + 1; k < e.Next; k = s.Elements[k].Next {
		w.element(s, k, c, nested)
	}
	w.close(at, e.Length == Undefined, tagItemDelim)
}

// close ends a container whose value begins at.
func (w *rewriter) close(at int, open bool, delimiter Tag) {
	if open {
		w.head(delimiter, 0, 0)
		return
	}
	w.coding.order().PutUint32(w.out[at-4:], uint32(len(w.out)-at))
}

// bulk writes the header of a value that streams and reports whether it stays.
// Only arrays of numbers do: a value that cannot be looked at cannot be trusted.
func (w *rewriter) bulk(e *Element) bool {
	vr := w.vr(e)
	switch {
	case pixels(e.Tag) && w.pixels:
		return false // a document has one picture; the frame table knows one
	case pixels(e.Tag):
		w.pixels = true
		if e.Flags&Implicit != 0 && !w.coding.implicit && e.Length == Undefined {
			vr = OB
		}
	default:
		action, _ := w.decide(e, top)
		if action != profile.Keep || e.Flags&Implicit != 0 != w.coding.implicit {
			return false
		}
		if !numbers(vr) {
			return false
		}
	}
	w.head(e.Tag, vr, e.Length)
	return true
}

// numbers reports whether a VR is an array of numbers.
func numbers(vr VR) bool { return vr == OD || vr == OF || vr == OL || vr == OV || vr == OW }

// vr is the VR an element of the content is written with.
func (w *rewriter) vr(e *Element) VR {
	if e.VR == UN {
		return vrOf(e.Tag)
	}
	return e.VR
}

// write appends a whole element.
func (w *rewriter) write(t Tag, vr VR, value []byte) {
	if !w.coding.implicit && !vr.long() && len(value) > 0xFFFE {
		return // it does not fit the VR, so nobody needs it
	}
	w.head(t, vr, uint32(len(value)))
	w.out = append(w.out, value...)
}

// head appends tag, VR and length, and returns where the value begins.
func (w *rewriter) head(t Tag, vr VR, length uint32) int {
	order := w.coding.order()
	w.out = order.AppendUint16(w.out, t.Group())
	w.out = order.AppendUint16(w.out, t.Element())
	switch {
	case w.coding.implicit || vr == 0:
		w.out = order.AppendUint32(w.out, length)
	case vr.long() || !vr.known():
		w.out = append(w.out, byte(vr>>8), byte(vr), 0, 0)
		w.out = order.AppendUint32(w.out, length)
	default:
		w.out = append(w.out, byte(vr>>8), byte(vr))
		w.out = order.AppendUint16(w.out, uint16(length))
	}
	return len(w.out)
}

func (c coding) order() interface {
	binary.ByteOrder
	binary.AppendByteOrder
} {
	if c.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// reread splits what was just written. The first call gets the file meta as well.
func (w *rewriter) reread(written []byte, at int64) (*Segment, Syntax, error) {
	s := Split(bytes.NewReader(written))
	if at > 0 {
		s.started, s.base = true, at
		s.Syntax = Syntax{UID: w.syntaxUID, Implicit: w.coding.implicit, BigEndian: w.coding.big}
	}
	segment, err := s.Next()
	if err == io.EOF {
		return &Segment{}, s.Syntax, nil
	}
	return segment, s.Syntax, err
}
