package imagingtest

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"medvault/imaging"
)

// Object is one document of the set, with its answer key.
type Object struct {
	Name    string // patient, SOP class and transfer syntax
	Patient string // Patient ID
	Class   string // SOP class UID
	Syntax  string // transfer syntax UID
	Data    []byte
	Key     []Row
	Words   []imaging.Mask // where words are drawn into the picture, in every frame
	Shown   bool           // nothing speaks against showing the view unseen
	Foreign []string       // original UIDs, none of which may be left
	Planted [][]byte       // identifiers, none of which may be left anywhere
	Pixels  []byte         // value of Pixel Data; for an encapsulated one with its items
	Picture Picture        // what a viewer shows
}

// Picture is decoded pixel data, little endian.
type Picture struct {
	Rows, Columns, Samples, Bits int
	Frames                       [][]byte
}

// perPatient is how many objects a patient of the set has.
const perPatient = 15

// Set makes n objects over all classes and their transfer syntaxes, in an order that
// mixes both. The same seed, n and options always make the same bytes. options are
// names of columns of PS3.15 table E.1-1; the answer key is made for them.
func Set(seed uint64, n int, options ...string) iter.Seq[Object] {
	return func(yield func(Object) bool) {
		r := rand.New(rand.NewPCG(seed, 0x73657421))
		kinds := classes()
		turns := map[string]int{} // how often a class was made
		var p person
		for i := range n {
			if i%perPatient == 0 {
				p = newPerson(r, i/perPatient)
			}
			kind := kinds[i%len(kinds)]
			of := kind.syntaxes()
			syntax := of[turns[kind.suffix]%len(of)]
			turns[kind.suffix]++
			if !yield(newObject(r.Uint64(), p, kind, syntax, i%perPatient+1, options)) {
				return
			}
		}
	}
}

// builder makes one object.
type builder struct {
	r         *rand.Rand
	person    person
	mentions  []mention
	kind      class
	syntax    string
	number    int
	choice    choice
	enc       *encoder
	key       []Row
	planted   map[string]bool
	foreign   map[string]bool
	kept      [][]byte // values that only an option keeps
	picture   *picture
	studyUID  string
	seriesUID string
	instance  string
	comment   string // in the code stream
	suspect   bool   // something speaks for words in the picture
	residue   bool   // an identifier stands where nothing but its value tells
}

func newObject(seed uint64, p person, kind class, syntax string, number int, options []string) Object {
	b := &builder{
		r: rand.New(rand.NewPCG(seed, 1)), person: p, kind: kind, syntax: syntax, number: number, choice: options,
		enc:     &encoder{order: binary.LittleEndian, text: textEncoder(p.charset)},
		planted: map[string]bool{}, foreign: map[string]bool{},
		studyUID: p.UID(1, 1), seriesUID: p.UID(2, 1, 1), instance: p.UID(3, 1, 1, number),
	}
	for _, m := range p.mentions() {
		if _, ok := b.enc.text("LO", m.text); ok {
			b.mentions = append(b.mentions, m)
		}
	}
	b.enc.undefined = b.one(3)
	b.enc.implicit = syntax == ImplicitLE
	if syntax == BigEndian {
		b.enc.order = binary.BigEndian
	}
	b.draw()
	if b.one(20) && (syntax == JPEG || syntax == jpegLS || syntax == jpegLossless) {
		b.comment = p.ID + " " + p.mrn
		b.residue = true
		b.planted[b.comment] = true
	}

	top := &scope{builder: b}
	if p.declared != "" {
		top.add(0x00080005, "CS", p.declared, "k")
	}
	if !b.residue && b.one(10) {
		b.residue = true
		top.hidden()
	}
	kind.module(top)
	top.odd()
	top.patient()
	top.study(kind)
	if b.one(2) {
		top.private()
	}
	top.pixelModule()
	data, pixels := b.write(top.elements)
	return b.object(data, pixels)
}

func (b *builder) one(in int) bool { return b.r.IntN(in) == 0 }

// sibling is another instance of the same series; the set has it.
func (b *builder) sibling(n int) string { return b.person.UID(3, 1, 1, (b.number+n)%perPatient+1) }

// burned is Burned In Annotation: NO only where there is none.
func (b *builder) burned(usual string) string {
	if b.picture != nil && len(b.picture.words) > 0 {
		b.suspect = true
		return "YES"
	}
	b.suspect = b.suspect || usual == "YES"
	return usual
}

// draw makes the pixels, with words in every second object of a class that may have
// them and in every eighth of the others.
func (b *builder) draw() {
	samples, bits := 1, 8
	switch b.kind.pixels {
	case "", "video":
		return
	case "rgb":
		samples = 3
	case "g16":
		if bits = 16; b.syntax == JPEG {
			bits = 8
		}
	}
	if b.kind.pixels == "bit" {
		b.picture = &picture{rows: 16, columns: 16, frames: b.kind.frames, samples: 1, bits: 1}
		for range b.kind.frames {
			raw := make([]byte, 32)
			for i := range raw {
				raw[i] = byte(b.r.IntN(256))
			}
			b.picture.raw = append(b.picture.raw, raw)
		}
		return
	}
	b.picture = newPicture(b.r, 32, 48, b.kind.frames, samples, bits)
	if !b.kind.shown && b.one(2) || b.one(8) {
		b.picture.write(b.person.mrn, 2, 3)
	}
}

// pixelModule describes the pixels, all of which must stay.
func (s *scope) pixelModule() {
	p := s.picture
	if s.kind.pixels == "video" {
		s.add(0x00280002, "US", []uint16{3}, "k")
		s.add(0x00280004, "CS", "YBR_PARTIAL_420", "k")
		s.add(0x00280008, "IS", fmt.Sprint(s.kind.frames), "k")
		s.add(0x00280010, "US", []uint16{576}, "k")
		s.add(0x00280011, "US", []uint16{720}, "k")
		s.add(0x00280100, "US", []uint16{8}, "k")
		s.add(0x00280101, "US", []uint16{8}, "k")
		s.add(0x00280102, "US", []uint16{7}, "k")
		s.add(0x00280103, "US", []uint16{0}, "k")
		return
	}
	if p == nil {
		return
	}
	if len(p.words) > 0 {
		s.suspect = true
		s.add(0x00280301, "CS", "YES", "k")
	}
	s.add(0x00280002, "US", []uint16{uint16(p.samples)}, "k")
	s.add(0x00280004, "CS", s.colours(), "-")
	if p.samples == 3 {
		s.add(0x00280006, "US", []uint16{0}, "k")
	}
	if s.kind.frames > 1 {
		s.add(0x00280008, "IS", fmt.Sprint(p.frames), "k")
	}
	stored := p.bits
	if p.bits == 16 {
		stored = 12
	}
	s.add(0x00280010, "US", []uint16{uint16(p.rows)}, "k")
	s.add(0x00280011, "US", []uint16{uint16(p.columns)}, "k")
	s.add(0x00280100, "US", []uint16{uint16(p.bits)}, "k")
	s.add(0x00280101, "US", []uint16{uint16(stored)}, "k")
	s.add(0x00280102, "US", []uint16{uint16(stored - 1)}, "k")
	s.add(0x00280103, "US", []uint16{0}, "k")
	s.add(0x00282110, "CS", "00", "-")
}

func (s *scope) colours() string {
	switch {
	case s.picture.samples == 1:
		return "MONOCHROME2"
	case s.syntax == JPEG:
		return "YBR_FULL_422"
	case s.syntax == JPEG2000:
		return "YBR_RCT"
	}
	return "RGB"
}

// write writes the whole document and returns the value of its pixel data.
func (b *builder) write(elements []Element) (data, pixels []byte) {
	body := b.enc.items(nil, elements)
	if native, frames := b.pixels(); frames != nil {
		vr := "OB"
		pixels = b.enc.u32(b.enc.tag(nil, 0xFFFEE000), 0)
		for _, frame := range frames {
			frame = append(frame, make([]byte, len(frame)%2)...)
			pixels = b.enc.u32(b.enc.tag(pixels, 0xFFFEE000), uint32(len(frame)))
			pixels = append(pixels, frame...)
		}
		body = append(b.enc.head(body, 0x7FE00010, vr, 0xFFFFFFFF), pixels...)
		body = b.enc.u32(b.enc.tag(body, 0xFFFEE0DD), 0)
	} else if native != nil {
		vr := "OW"
		if b.picture.bits <= 8 && b.picture.bits > 1 && !b.enc.implicit {
			vr = "OB"
		}
		pixels = append(native, make([]byte, len(native)%2)...)
		body = append(b.enc.head(body, 0x7FE00010, vr, uint32(len(pixels))), pixels...)
	}
	if b.one(6) { // padding behind everything
		id := b.person.ID + strings.Repeat(" ", len(b.person.ID)%2)
		body = append(b.enc.head(body, 0xFFFCFFFC, "OB", uint32(len(id))), id...)
		b.planted[b.person.ID] = true
	}
	head := b.meta()
	if b.syntax != Deflated {
		return append(head, body...), pixels
	}
	var deflated bytes.Buffer
	z, err := flate.NewWriter(&deflated, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is one of the package's own
	}
	z.Write(body) // a bytes.Buffer does not fail
	z.Close()
	return append(head, deflated.Bytes()...), pixels
}

func (b *builder) pixels() (native []byte, frames [][]byte) {
	switch {
	case b.kind.pixels == "video":
		return nil, [][]byte{video(b.syntax)}
	case b.picture == nil:
		return nil, nil
	}
	native, frames = b.picture.value(b.syntax)
	if b.comment != "" { // behind the start of the image
		comment := binary.BigEndian.AppendUint16([]byte{0xFF, 0xD8, 0xFF, 0xFE}, uint16(2+len(b.comment)))
		frames[0] = append(append(comment, b.comment...), frames[0][2:]...)
	}
	return native, frames
}

// meta is preamble and file meta, with what a careless writer leaves there.
func (b *builder) meta() []byte {
	e := encoder{order: binary.LittleEndian, text: textEncoder("")}
	elements := []Element{
		{0x00020001, "OB", []byte{0, 1}},
		{0x00020002, "UI", storageClass + b.kind.suffix},
		{0x00020003, "UI", b.instance},
		{0x00020010, "UI", b.syntax},
		{0x00020012, "UI", "2.999.77"},
		{0x00020013, "SH", "IMAGINGTEST"},
	}
	if b.one(4) {
		elements = append(elements, Element{0x00020016, "AE", "AE" + b.person.mrn[:8]},
			Element{0x00020100, "UI", b.person.UID(18)}, Element{0x00020102, "OB", []byte(b.person.ID + strings.Repeat(" ", len(b.person.ID)%2))})
		b.key = append(b.key,
			Row{Action: TextRemoved, Path: Path{{Tag: 0x00020016}}, Gone: [][]byte{[]byte(b.person.mrn[:8])}, Absent: true},
			Row{Action: TextRemoved, Path: Path{{Tag: 0x00020102}}, Gone: [][]byte{[]byte(b.person.ID)}, Absent: true})
	}
	body := e.items(nil, elements)
	out := make([]byte, 128, 1024)
	if b.one(6) {
		copy(out, "MM\x00\x2A"+b.person.ID+" "+b.person.family)
		b.planted[b.person.ID] = true
	}
	out = append(out, "DICM"...)
	out = e.element(out, Element{0x00020000, "UL", []uint32{uint32(len(body))}})
	return append(out, body...)
}

func (b *builder) object(data, pixels []byte) Object {
	o := Object{
		Name:    fmt.Sprintf("%s %s%s %s", b.person.ID, storageClass, b.kind.suffix, b.syntax),
		Patient: b.person.ID, Class: storageClass + b.kind.suffix, Syntax: b.syntax, Data: data, Pixels: pixels,
		Shown: b.kind.shown && !b.suspect && !b.residue, Key: b.key,
	}
	for _, id := range slices.Sorted(maps.Keys(b.planted)) {
		kept := func(v []byte) bool { return bytes.Contains(v, []byte(id)) }
		if len(id) >= 6 && !slices.ContainsFunc(b.kept, kept) {
			o.Planted = append(o.Planted, []byte(id))
		}
	}
	if !b.choice.has("retain_uids") {
		o.Foreign = slices.Sorted(maps.Keys(b.foreign))
		o.Key = append(o.Key, Row{Action: UIDChanged})
	}
	if len(o.Planted) > 0 {
		o.Key = append(o.Key, Row{Action: TextRemoved, Gone: o.Planted, Withheld: b.residue})
	}
	if pixels == nil {
		return o
	}
	if p := b.picture; p != nil && p.bits >= 8 {
		o.Words = p.words
		o.Picture = Picture{p.rows, p.columns, p.samples, p.bits, p.raw}
	}
	if len(o.Words) > 0 {
		o.Key = append(o.Key, Row{Action: PixelsHidden})
	}
	o.Key = append(o.Key, Row{Action: PixelsRetained})
	return o
}
