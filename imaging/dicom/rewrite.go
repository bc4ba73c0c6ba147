package dicom

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"

	"medvault/imaging"
	"medvault/imaging/descriptor"
	"medvault/imaging/dicom/profile"
	"medvault/imaging/subject"
)

const (
	// What the content says of its writer.
	implementationUID  = "2.25.304115897146082653219385537109741620517"
	implementationName = "MEDVAULT"

	maxValues = 4096 // of one element
)

// rewriter turns segments of the original into segments of the content. Kept
// elements are copied as they are written; only where the original mixes encodings
// are headers written anew.
type rewriter struct {
	p         imaging.Pseudonyms
	options   profile.Set
	profile   *profile.Profile
	class     string // SOP class, by which the profile knows an attribute's type
	header    *Segment
	source    Syntax
	coding    coding // of the content
	syntaxUID string // of the content
	known     bool   // the transfer syntax is one of the standard
	patientID []byte // raw, to know it again in sequences
	own       []string
	subject   *subject.Subject
	words     *descriptor.Cleaner // nil until the first text is cleaned
	probe     *subject.Scanner    // of numbers; likewise
	probes    int
	residue   *residue
	counts    tally
	picture   picture

	path     profile.Path // the sequences being written, outermost first
	scope    scope
	pending  []insert
	told     [][2]int // where in out what the content says of itself stands; until search
	out      []byte
	begun    bool
	pixels   bool // pixel data has been kept
	drawings bool // an overlay or a curve has been kept, which nobody has looked at
	tooLarge bool // what was written has outgrown the original beyond reason
}

// scope is what holds within one data set: the document's, or that of an item.
type scope struct {
	charset  Charset
	end      int32   // index of the first element behind it, in its segment
	last     Tag     // written last
	blocks   []block // of private elements
	people   bool    // everything in it says who somebody is
	standard bool    // an item that is a code of a standard coding scheme
}

// picture is what the pixel side says of the content before it is written. The zero
// value leaves the pixels and what describes them alone.
type picture struct {
	inserts   []insert         // told in place of the original's, tags ascending
	leavesOut func(t Tag) bool // elements of the original that are no longer true; nil for none
	syntax    func(Syntax) Syntax
	header    func(vr VR, length uint32) (VR, uint32) // of the pixel data
	cleaned   bool                                    // pixels were painted over, or a person has looked at them and let them go
}

// insert is an element the content has whether the original has it or not.
type insert struct {
	tag   Tag
	vr    VR
	value string
}

func newRewriter(p imaging.Pseudonyms, rules *ruleset, s *Splitter, header *Segment, about picture) *rewriter {
	w := &rewriter{p: p, picture: about, options: rules.options, profile: rules.profile, header: header, source: s.Syntax}
	if e := header.Find(0x0008_0005); e != nil {
		w.scope.charset = NewCharset(header.Bytes(e))
	}
	if e := header.Find(0x0010_0020); e != nil {
		w.patientID = bytes.Trim(header.Bytes(e), " \x00")
	}
	w.class = w.text(header, 0x0008_0016, 0x0002_0002)
	syntax := s.Syntax
	if about.syntax != nil {
		syntax = about.syntax(syntax)
	}
	w.syntaxUID, w.coding, w.known = contentSyntax(syntax)
	w.own = ownUIDs(header)
	w.subject = subject.New(w.people())
	w.residue = newResidue(w.subject, w.scope.charset)
	w.pending = w.truth()
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
		return uidBigEndian, coding{big: true}, true
	case s.native() && s.Implicit:
		return uidImplicitLE, coding{implicit: true}, true
	case s.native():
		return uidExplicitLE, coding{}, true
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
	w.scope.end = int32(len(s.Elements))
	for i := int32(0); i < w.scope.end; i = s.Elements[i].Next {
		e := &s.Elements[i]
		if e.Tag.Group() == 2 {
			continue
		}
		w.insertBefore(e.Tag)
		if e.Flags&Bulk != 0 {
			keepsBulk = w.bulk(e)
			continue
		}
		w.element(s, i, w.source.coding())
	}
	w.forget()
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
		from := len(w.out)
		w.write(in.tag, in.vr, padText(in.vr, in.value))
		w.told = append(w.told, [2]int{from, len(w.out)})
	}
}

// search looks for the patient in what was written, but for what the content says of
// its own making: a name may well be a word of that.
func (w *rewriter) search(written []byte) {
	at := 0
	for _, own := range w.told {
		w.residue.bytes(written[at:own[0]])
		at = own[1]
	}
	w.residue.bytes(written[at:])
	w.told = w.told[:0]
}

// fileMeta writes preamble and group 0002 anew (PS3.10 7.1): nothing of the
// original's stays but class and syntax.
func (w *rewriter) fileMeta(s *Segment) {
	w.out = append(w.out, make([]byte, 128)...)
	w.out = append(w.out, "DICM"...)
	explicit := rewriter{out: make([]byte, 0, 512)}
	explicit.write(0x0002_0001, OB, []byte{0, 1})
	if class := w.text(s, 0x0008_0016, 0x0002_0002); class != "" {
		explicit.write(0x0002_0002, UI, padText(UI, w.mapKept(class)))
	}
	if instance := w.text(s, 0x0008_0018, 0x0002_0003); instance != "" {
		explicit.write(0x0002_0003, UI, padText(UI, w.instance(instance)))
	}
	explicit.write(tagTransferSyntax, UI, padText(UI, w.syntaxUID))
	explicit.write(0x0002_0012, UI, padText(UI, implementationUID))
	explicit.write(0x0002_0013, SH, padText(SH, implementationName))
	meta := explicit.out
	explicit.out = w.out
	explicit.write(0x0002_0000, UL, binary.LittleEndian.AppendUint32(nil, uint32(len(meta))))
	w.out = append(explicit.out, meta...)
}

// instance is the UID that the content goes by.
func (w *rewriter) instance(original string) string {
	if w.options&profile.RetainUIDs != 0 {
		return original
	}
	return w.mapOwn(original)
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

// element writes what the profile leaves of element i, whose source is written in c.
func (w *rewriter) element(s *Segment, i int32, c coding) {
	if w.tooLarge = w.tooLarge || len(w.out) > 2*maxHeld; w.tooLarge {
		return
	}
	e := &s.Elements[i]
	if e.Tag.Private() {
		w.private(s, i, c)
		return
	}
	rule := w.decide(e)
	switch {
	case rule.Action == profile.Remove || e.Flags&Fragments != 0:
		w.counts.add(removed)
	case e.Container():
		w.container(s, i, c, rule.Action)
	case e.VR == SQ: // a sequence that cannot be read
		w.unreadable(e, rule.Action)
	case rule.Action == profile.Keep:
		w.keep(s, e, c)
	default:
		w.replace(rule, e, s.Bytes(e), w.vr(e))
	}
}

// container writes what is left of a sequence. One that the profile wants replaced by
// another of no meaning keeps its items, and in those only what says nothing of
// anybody: an object without them would be none.
func (w *rewriter) container(s *Segment, i int32, c coding, action profile.Action) {
	e := &s.Elements[i]
	switch action {
	case profile.Empty:
		w.counts.add(emptied)
		w.write(e.Tag, SQ, nil)
		return
	case profile.Dummy, profile.Token:
		if e.Tag == tagGraphicAnnotation { // drawings may be writing
			w.counts.add(removed)
			return
		}
		w.counts.add(cleaned)
		outer := w.scope.people
		w.scope.people = outer || !structured(e.Tag)
		w.sequence(s, i, c)
		w.scope.people = outer
		return
	case profile.Clean:
		w.counts.add(cleaned)
	default:
		w.counts.add(kept)
	}
	w.sequence(s, i, c)
}

func (w *rewriter) unreadable(e *Element, action profile.Action) {
	if action != profile.Empty && action != profile.Dummy {
		w.counts.add(removed)
		return
	}
	w.counts.add(emptied)
	w.write(e.Tag, SQ, nil)
}

// decide asks the profile, and the VR as it is written: the stricter counts.
func (w *rewriter) decide(e *Element) profile.Rule {
	remove := profile.Rule{Action: profile.Remove}
	nested := len(w.path) > 0
	switch e.Tag {
	case 0x0012_0062, 0x0012_0063, 0x0012_0064, 0x0028_0303:
		return remove // told anew, truthfully
	case 0x0008_0001, 0x0400_0500, 0xFFFC_FFFC:
		return remove // a length no longer right, encrypted identity, padding
	case 0x0008_0005:
		return profile.Rule{Action: profile.Keep}
	case tagIcon:
		return remove // shows what was burned in
	}
	if !nested && w.picture.leavesOut != nil && w.picture.leavesOut(e.Tag) {
		return remove
	}
	if e.Tag.Element() == 0 || e.Tag.Group() < 8 || nested && pixels(e.Tag) {
		return remove // group lengths; media and messages; pictures of pictures
	}
	if drawing(e.Tag) {
		return w.drawn(e)
	}
	known := vrOf(e.Tag)
	if known == UN {
		known = e.VR
	}
	if known == UN || !known.known() {
		return remove // nobody knows what it is
	}
	rule := w.profile.Decide(uint32(e.Tag), known.String(), w.class, w.path)
	switch {
	case nested && code(e.Tag) && rule.Action == profile.Keep:
		return profile.Rule{Action: profile.Clean, Bare: profile.Dummy, Keyword: rule.Keyword}
	case e.Tag == tagSourceImage || e.Tag == tagReferencedImage:
		rule.Action = profile.Keep // the table asks for the least; mapped, the references still lead to their images
	case w.scope.people && rule.Action == profile.Keep && wordy(known),
		// No table lists it, so nobody knows whether the object can do without.
		rule.Action == profile.Remove && !rule.Listed && (known == DA || known == DT || known == TM),
		// A presentation state cannot, whatever the table says.
		rule.Action == profile.Remove && (e.Tag == 0x0070_0082 || e.Tag == 0x0070_0083):
		rule.Action = profile.Dummy
	}
	return rule
}

// stays tells whether the value of an element stands in the content as it is.
func (w *rewriter) stays(e *Element) bool {
	return w.decide(e).Action == profile.Keep
}

// wordy reports whether a VR leaves room for words.
func wordy(vr VR) bool {
	switch vr {
	case AE, LO, LT, OB, PN, SH, ST, UC, UN, UR, UT:
		return true
	}
	return !vr.known()
}

// narrow reports the VRs of characters whose form can be checked, see wellFormed.
func narrow(vr VR) bool { return vr.text() && !wordy(vr) }

// keep copies an element whose value can be what its VRs say, the dictionary's and
// the written one.
func (w *rewriter) keep(s *Segment, e *Element, c coding) {
	value := s.Bytes(e)
	known := vrOf(e.Tag)
	switch {
	case e.Tag == 0x0028_2000 && !iccProfile(value), known == SQ, (wordy(e.VR) || e.VR.text()) && !wellFormed(known, value), !wellFormed(e.VR, value),
		// Words where numbers belong.
		e.VR != known && e.VR != UN && known != UN && !(words(e.VR) && words(known)) && wordy(e.VR) && !wordy(known) && !(e.VR.text() && narrow(known)):
		w.counts.add(removed)
		return
	}
	w.copy(s, e, c, w.vr(e))
}

// copy writes an element as it is, but for UIDs and great ages in it.
func (w *rewriter) copy(s *Segment, e *Element, c coding, vr VR) {
	value := s.Bytes(e)
	switch vr {
	case AS:
		if capped, ok := capAges(value); ok {
			w.counts.add(cleaned)
			w.write(e.Tag, vr, capped)
			return
		}
	case UI:
		if tooMany(value) {
			w.counts.add(removed)
			return
		}
		if mapped := w.mapKept(string(value)); mapped != trimmed(string(value)) {
			w.counts.add(mappedUID)
			w.write(e.Tag, vr, padText(vr, mapped))
			return
		}
	case AE, CS, LO, LT, PN, SH, ST, UC, UR, UT:
		if changed, ok := w.screened(vr, value); ok {
			w.counts.add(cleaned)
			w.residue.value(vr, changed, w.scope.charset)
			w.write(e.Tag, vr, changed)
			return
		}
	case DS, IS, TM, DA, DT:
	default:
		if len(value) >= 8 && w.hides(value) {
			w.counts.add(removed)
			return
		}
	}
	w.counts.add(kept)
	w.residue.value(vr, value, w.scope.charset)
	if implicit := e.Flags&Implicit != 0; implicit == w.coding.implicit && c.big == w.coding.big {
		w.scope.last = e.Tag
		w.out = append(w.out, s.Raw[e.Offset-s.Base:e.End-s.Base]...)
		return
	}
	w.write(e.Tag, vr, value)
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
	w.path = append(w.path, uint32(e.Tag))
	for k := i + 1; k < e.Next; k = s.Elements[k].Next {
		w.item(s, k, inner)
	}
	w.path = w.path[:len(w.path)-1]
	w.close(at, open, tagSequenceDelim)
}

func (w *rewriter) item(s *Segment, i int32, c coding) {
	e := &s.Elements[i]
	outer := w.scope
	w.scope = scope{charset: outer.charset, people: outer.people, end: e.Next, standard: standardCode(s, i)}
	at := w.head(tagItem, 0, Undefined)
	for k := i + 1; k < e.Next; k = s.Elements[k].Next {
		if child := &s.Elements[k]; child.Tag == 0x0008_0005 && !child.Container() {
			w.scope.charset = NewCharset(s.Bytes(child))
		}
		w.element(s, k, c)
	}
	w.scope = outer
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
		w.counts.add(removed)
		return false // a document has one picture; the frame table knows one
	case pixels(e.Tag):
		w.pixels = true
		if e.Flags&Implicit != 0 && !w.coding.implicit && e.Length == Undefined {
			vr = OB
		}
		if w.picture.header != nil {
			w.counts.add(kept)
			vr, length := w.picture.header(vr, e.Length)
			w.head(e.Tag, vr, length)
			return true
		}
	default:
		action := w.decide(e).Action
		if e.Tag.Private() || action != profile.Keep && !(action == profile.Clean && drawing(e.Tag)) ||
			e.Flags&Implicit != 0 != w.coding.implicit || !numbers(vr) {
			w.counts.add(removed)
			return false
		}
	}
	w.counts.add(kept)
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
	w.scope.last = t
	w.out = w.coding.appendHeader(w.out, t, vr, length)
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
