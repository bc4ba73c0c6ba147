package dicom

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// inlineBinary is how many bytes a binary value at the top level may have to stand
// in the JSON itself. Nested values have no URI of their own and always do.
const inlineBinary = 4 << 10

// Describe reads a document up to its Pixel Data and returns the attributes as
// DICOM JSON; see Attributes for the form.
func (Scrubber) Describe(r io.Reader) (json.RawMessage, error) {
	s := Split(r)
	segment, err := s.Next()
	if err != nil {
		return nil, err
	}
	a := NewAttributes(s.Syntax, nil)
	for {
		a.Add(segment)
		if !segment.Bulk || pixels(segment.Elements[len(segment.Elements)-1].Tag) {
			return a.JSON(), nil
		}
		if _, err := s.CopyBulk(io.Discard, nil); err != nil {
			return nil, err
		}
		segment, err = s.Next()
		if err == io.EOF {
			return a.JSON(), nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func pixels(t Tag) bool { return t == tagPixelData || t == tagFloatPixels || t == tagDoublePixels }

// Attributes builds one DICOM JSON object (PS3.18 Annex F) from the segments of a
// document: UTF-8, tags ascending, without group 0002 and group lengths. Decimal
// and integer strings are numbers in their own digits where JSON allows those,
// otherwise strings; so are 64-bit integers beyond 2^53, NaN and the infinities.
// A value that does not fit its VR is shown as UN. Of an attribute that occurs
// twice the first counts.
type Attributes struct {
	buf      []byte
	members  []member // of the levels being written, outermost first
	syntax   Syntax
	keep     func(Tag) bool
	charset  Charset
	signed   bool // Pixel Representation: what the dictionary leaves open is SS
	finished bool
}

// member is a stretch of buf without its comma.
type member struct {
	tag      Tag
	from, to int
}

// NewAttributes begins an object. keep chooses among the top-level attributes; nil
// keeps all.
func NewAttributes(s Syntax, keep func(Tag) bool) *Attributes {
	return &Attributes{buf: append(make([]byte, 0, 8<<10), '{'), syntax: s, keep: keep}
}

// Add takes the top-level elements of the document's next segment.
func (a *Attributes) Add(s *Segment) {
	a.elements(s, 0, int32(len(s.Elements)), topLevel)
}

// JSON ends the object.
func (a *Attributes) JSON() json.RawMessage {
	if !a.finished {
		a.order(0, 1)
		a.buf = append(a.buf, '}')
		a.finished = true
	}
	return a.buf
}

// level tells a document's own attributes from those of an item.
type level bool

const (
	topLevel level = true
	inItem   level = false
)

// elements writes the elements from … to-1 as members of the object at hand.
func (a *Attributes) elements(s *Segment, from, to int32, at level) {
	for i := from; i < to; i = s.Elements[i].Next {
		e := &s.Elements[i]
		switch e.Tag {
		case 0x00080005:
			a.charset = NewCharset(s.Bytes(e))
		case 0x00280103:
			v := s.Bytes(e)
			a.signed = len(v) == 2 && v[0]|v[1] == 1
		}
		switch {
		case e.Tag.Element() == 0, at == topLevel && e.Tag.Group() == 2:
			continue
		case at == topLevel && a.keep != nil && !a.keep(e.Tag):
			continue
		}
		if last := a.buf[len(a.buf)-1]; last != '{' {
			a.buf = append(a.buf, ',')
		}
		start := len(a.buf)
		a.buf = append(a.buf, '"')
		a.buf = appendTag(a.buf, e.Tag)
		a.buf = append(a.buf, `":{"vr":"`...)
		a.value(s, i, at)
		a.buf = append(a.buf, '}')
		a.members = append(a.members, member{e.Tag, start, len(a.buf)})
	}
}

// order sorts the members of a level, which begin at first in members and at start
// in buf, where the document did not.
func (a *Attributes) order(first, start int) {
	members := a.members[first:]
	byTag := func(x, y member) int { return int(int64(x.tag) - int64(y.tag)) }
	ascending := true
	for i := 1; i < len(members); i++ {
		ascending = ascending && members[i-1].tag < members[i].tag
	}
	if !ascending {
		slices.SortStableFunc(members, byTag)
		members = slices.CompactFunc(members, func(x, y member) bool { return x.tag == y.tag })
		sorted := make([]byte, 0, len(a.buf)-start)
		for i, m := range members {
			if i > 0 {
				sorted = append(sorted, ',')
			}
			sorted = append(sorted, a.buf[m.from:m.to]...)
		}
		a.buf = append(a.buf[:start], sorted...)
	}
	a.members = a.members[:first]
}

// value writes the rest of an attribute, from the letters of its VR on.
func (a *Attributes) value(s *Segment, i int32, at level) {
	e := &s.Elements[i]
	if e.Container() || e.Next > i+1 { // the splitter also looks into UN of a known sequence
		a.sequence(s, i)
		return
	}
	vr, big := a.meaning(e)
	v := s.Bytes(e)
	switch {
	case at == topLevel && (e.Flags&Bulk != 0 || binaryVR(vr) && len(v) > inlineBinary):
		a.vr(vr)
		a.buf = append(a.buf, `,"BulkDataURI":"bulk/`...)
		a.buf = appendTag(a.buf, e.Tag)
		a.buf = append(a.buf, '"')
	case e.Flags&(Opaque|Fragments) != 0 || binaryVR(vr):
		if e.Flags&Opaque != 0 {
			vr = UN // what is called a sequence cannot be shown as one
		}
		a.inline(vr, v, big && e.Flags&Fragments == 0)
	case len(v)%wordSize(vr) != 0:
		a.inline(UN, v, false)
	case numeric(vr):
		a.numbers(vr, v, big)
	default:
		a.text(vr, v)
	}
}

// meaning is the VR to show and whether the value is big endian.
func (a *Attributes) meaning(e *Element) (vr VR, big bool) {
	vr, big = e.VR, a.syntax.BigEndian
	if vr == UN {
		// Someone on the way did not know the VR. The value is little endian then
		// (PS3.5 6.2.2). What no dictionary knows stays UN.
		if known := vrOf(e.Tag); known != SQ {
			vr, big = known, false
		}
	}
	if !vr.known() || vr == SQ {
		vr = UN
	}
	if e.Flags&Implicit != 0 || e.VR == UN {
		vr = implied(e.Tag, vr, a.signed)
	}
	return vr, big
}

// eitherSign are the attributes that are US or SS as Pixel Representation says.
func eitherSign(t Tag) bool {
	switch t {
	case 0x0018_9810, 0x0022_1452,
		0x0028_0104, 0x0028_0105, 0x0028_0106, 0x0028_0107, 0x0028_0108, 0x0028_0109,
		0x0028_0110, 0x0028_0111, 0x0028_0120, 0x0028_0121, 0x0028_1101, 0x0028_1102, 0x0028_1103,
		0x0028_3002, 0x0040_9211, 0x0040_9216, 0x0060_3004, 0x0060_3006:
		return true
	}
	return false
}

// sequence writes the items of element i.
func (a *Attributes) sequence(s *Segment, i int32) {
	a.vr(SQ)
	charset, signed := a.charset, a.signed
	opened := false
	for item := i + 1; item < s.Elements[i].Next; item = s.Elements[item].Next {
		if opened {
			a.buf = append(a.buf, ',')
		} else {
			a.buf = append(a.buf, `,"Value":[`...)
			opened = true
		}
		a.buf = append(a.buf, '{')
		first, start := len(a.members), len(a.buf)
		a.elements(s, item+1, s.Elements[item].Next, inItem)
		a.order(first, start)
		a.buf = append(a.buf, '}')
		a.charset, a.signed = charset, signed // an item's own end with it
	}
	if opened {
		a.buf = append(a.buf, ']')
	}
}

// vr writes the letters and closes the string.
func (a *Attributes) vr(vr VR) {
	a.buf = append(a.buf, byte(vr>>8), byte(vr), '"')
}

func appendTag(b []byte, t Tag) []byte {
	const digits = "0123456789ABCDEF"
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, digits[t>>shift&15])
	}
	return b
}

func binaryVR(vr VR) bool {
	switch vr {
	case OB, OD, OF, OL, OV, OW, UN:
		return true
	}
	return false
}

func numeric(vr VR) bool {
	switch vr {
	case AT, FD, FL, SL, SS, SV, UL, US, UV:
		return true
	}
	return false
}

// wordSize is how many bytes a value of this VR has, and so what byte order turns
// round; 1 where there is no such thing. AT is two words.
func wordSize(vr VR) int {
	switch vr {
	case OW, SS, US:
		return 2
	case AT, FL, OF, OL, SL, UL:
		return 4
	case FD, OD, OV, SV, UV:
		return 8
	}
	return 1
}

// inline writes a binary value, little endian (PS3.18 F.2.7).
func (a *Attributes) inline(vr VR, v []byte, big bool) {
	a.vr(vr)
	if len(v) == 0 {
		return
	}
	if word := wordSize(vr); big && word > 1 {
		v = slices.Clone(v)
		swap(v, word)
	}
	a.buf = append(a.buf, `,"InlineBinary":"`...)
	a.buf = base64.StdEncoding.AppendEncode(a.buf, v)
	a.buf = append(a.buf, '"')
}

// swap turns round every whole word of v.
func swap(v []byte, word int) {
	for ; len(v) >= word; v = v[word:] {
		slices.Reverse(v[:word])
	}
}

func (a *Attributes) numbers(vr VR, v []byte, big bool) {
	a.vr(vr)
	if len(v) == 0 {
		return
	}
	var order binary.ByteOrder = binary.LittleEndian
	if big {
		order = binary.BigEndian
	}
	a.buf = append(a.buf, `,"Value":[`...)
	for word := wordSize(vr); len(v) > 0; v = v[word:] {
		a.number(vr, v, order)
		if len(v) > word {
			a.buf = append(a.buf, ',')
		}
	}
	a.buf = append(a.buf, ']')
}

func (a *Attributes) number(vr VR, v []byte, order binary.ByteOrder) {
	switch vr {
	case US:
		a.buf = strconv.AppendUint(a.buf, uint64(order.Uint16(v)), 10)
	case SS:
		a.buf = strconv.AppendInt(a.buf, int64(int16(order.Uint16(v))), 10)
	case UL:
		a.buf = strconv.AppendUint(a.buf, uint64(order.Uint32(v)), 10)
	case SL:
		a.buf = strconv.AppendInt(a.buf, int64(int32(order.Uint32(v))), 10)
	case AT:
		a.buf = append(a.buf, '"')
		a.buf = appendTag(a.buf, Tag(order.Uint16(v))<<16|Tag(order.Uint16(v[2:])))
		a.buf = append(a.buf, '"')
	case FL:
		a.float(float64(math.Float32frombits(order.Uint32(v))), 32)
	case FD:
		a.float(math.Float64frombits(order.Uint64(v)), 64)
	case UV:
		n := order.Uint64(v)
		a.exact(strconv.FormatUint(n, 10), n <= 1<<53)
	case SV:
		n := int64(order.Uint64(v))
		a.exact(strconv.FormatInt(n, 10), n <= 1<<53 && n >= -1<<53)
	}
}

// exact writes digits as a number, or as a string where a reader's float would
// round them.
func (a *Attributes) exact(digits string, fits bool) {
	if !fits {
		digits = `"` + digits + `"`
	}
	a.buf = append(a.buf, digits...)
}

func (a *Attributes) float(f float64, bits int) {
	switch {
	case math.IsNaN(f):
		a.buf = append(a.buf, `"NaN"`...)
	case math.IsInf(f, 1):
		a.buf = append(a.buf, `"Infinity"`...)
	case math.IsInf(f, -1):
		a.buf = append(a.buf, `"-Infinity"`...)
	default:
		a.buf = strconv.AppendFloat(a.buf, f, 'g', -1, bits)
	}
}

// text writes a value made of characters.
func (a *Attributes) text(vr VR, v []byte) {
	a.vr(vr)
	s := strings.TrimRight(a.decode(vr, v), " \x00")
	if s == "" {
		return
	}
	a.buf = append(a.buf, `,"Value":[`...)
	for {
		one, rest, more := s, "", false
		if splits(vr) {
			one, rest, more = strings.Cut(s, `\`)
		}
		a.textValue(vr, one)
		if !more {
			break
		}
		a.buf = append(a.buf, ',')
		s = rest
	}
	a.buf = append(a.buf, ']')
}

// decode turns v into UTF-8. Only some VRs follow the Specific Character Set.
func (a *Attributes) decode(vr VR, v []byte) string {
	switch vr {
	case PN:
		return a.charset.Name(v)
	case LO, LT, SH, ST, UC, UT:
		return a.charset.Text(v)
	}
	return Charset{}.Text(v)
}

// splits reports whether a backslash stands between values.
func splits(vr VR) bool { return vr != LT && vr != ST && vr != UT && vr != UR }

func (a *Attributes) textValue(vr VR, s string) {
	s = strings.TrimRight(s, " \x00")
	switch vr {
	case AE, CS, DS, IS, LO, SH, UI:
		s = strings.TrimLeft(s, " ") // means nothing either
	}
	switch {
	case s == "" || vr == PN && strings.Trim(s, "=") == "":
		a.buf = append(a.buf, "null"...)
	case vr == PN:
		a.name(s)
	case (vr == DS || vr == IS) && isNumber(s):
		a.buf = append(a.buf, s...)
	default:
		a.buf = appendString(a.buf, s)
	}
}

// name writes the component groups that are not empty.
func (a *Attributes) name(s string) {
	a.buf = append(a.buf, '{')
	for _, key := range []string{"Alphabetic", "Ideographic", "Phonetic"} {
		group := s
		if key != "Phonetic" {
			group, s, _ = strings.Cut(s, "=")
		}
		if group == "" {
			continue
		}
		if a.buf[len(a.buf)-1] != '{' {
			a.buf = append(a.buf, ',')
		}
		a.buf = append(a.buf, '"')
		a.buf = append(a.buf, key...)
		a.buf = append(a.buf, `":`...)
		a.buf = appendString(a.buf, group)
	}
	a.buf = append(a.buf, '}')
}

// isNumber reports whether s is a number by the grammar of JSON that a reader's
// float can hold. 16 characters are the longest DS.
func isNumber(s string) bool {
	if c := s[0]; len(s) > 16 || c != '-' && (c < '0' || c > '9') || !json.Valid([]byte(s)) {
		return false
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			b = append(b, c) // UTF-8 passes: the decoders return nothing else
		}
	}
	return append(b, '"')
}
