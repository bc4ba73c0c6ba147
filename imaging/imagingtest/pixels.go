package imagingtest

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
)

// shape describes the pixels: 16-bit grey as a CT stores it, 8-bit colour for US,
// SC and XC.
func shape(o Options) []Element {
	if !hasPixels(o.Modality) {
		return nil
	}
	elements := []Element{
		{0x00180050, "DS", "5.0"},
		{0x00200032, "DS", fmt.Sprintf(`-128\-128\%d`, 5*o.Instance)},
		{0x00200037, "DS", `1\0\0\0\1\0`},
		{0x00280010, "US", []uint16{uint16(o.Rows)}},
		{0x00280011, "US", []uint16{uint16(o.Columns)}},
		{0x00280030, "DS", `0.5\0.5`},
	}
	if o.Frames > 1 {
		elements = append(elements, Element{0x00280008, "IS", fmt.Sprint(o.Frames)},
			Element{0x52009229, "SQ", []Item{{{0x00289110, "SQ", []Item{{{0x00280030, "DS", `0.5\0.5`}}}}}}})
	}
	if colour(o.Modality) {
		return append(elements,
			Element{0x00280002, "US", []uint16{3}}, Element{0x00280004, "CS", "RGB"}, Element{0x00280006, "US", []uint16{0}},
			Element{0x00280100, "US", []uint16{8}}, Element{0x00280101, "US", []uint16{8}},
			Element{0x00280102, "US", []uint16{7}}, Element{0x00280103, "US", []uint16{0}})
	}
	return append(elements,
		Element{0x00280002, "US", []uint16{1}}, Element{0x00280004, "CS", "MONOCHROME2"},
		Element{0x00280100, "US", []uint16{16}}, Element{0x00280101, "US", []uint16{12}},
		Element{0x00280102, "US", []uint16{11}}, Element{0x00280103, "US", []uint16{0}},
		Element{0x00281050, "DS", "40"}, Element{0x00281051, "DS", "400"},
		Element{0x00281052, "DS", "-1024"}, Element{0x00281053, "DS", "1"})
}

func colour(modality string) bool { return modality == "US" || modality == "SC" || modality == "XC" }

func writePixels(w io.Writer, e *encoder, o Options) error {
	if o.Encapsulated {
		return writeEncapsulated(w, e, o)
	}
	size := o.frameBytes()
	total := int64(size) * int64(o.Frames)
	if total > math.MaxUint32-1 {
		return fmt.Errorf("pixel data of %d bytes does not fit one element", total)
	}
	vr := "OW"
	if colour(o.Modality) && !e.implicit {
		vr = "OB"
	}
	if _, err := w.Write(e.head(nil, 0x7FE00010, vr, uint32(total+total%2))); err != nil {
		return err
	}
	picture := newPhantom(o)
	frame := make([]byte, size)
	for n := range o.Frames {
		picture.frame(frame, n, e.order)
		if _, err := w.Write(frame); err != nil {
			return err
		}
	}
	if total%2 == 1 {
		_, err := w.Write([]byte{0})
		return err
	}
	return nil
}

func (o Options) frameBytes() int {
	if colour(o.Modality) {
		return o.Rows * o.Columns * 3
	}
	return o.Rows * o.Columns * 2
}

// phantom draws a head: skin, skull, brain, two ventricles, and a round lesion
// that moves from frame to frame, with noise over all. Values are 0 to 4095, with
// -1024 as the intercept they are Hounsfield units.
type phantom struct {
	o     Options
	base  []uint16
	noise []uint16
}

func newPhantom(o Options) *phantom {
	p := &phantom{o: o, base: make([]uint16, o.Rows*o.Columns), noise: make([]uint16, 1<<16)}
	r := rand.New(rand.NewPCG(1, uint64(o.Instance)))
	for i := range p.noise {
		p.noise[i] = uint16(r.IntN(24))
	}
	// A slice away from the middle of the head is smaller.
	scale := 1 - 0.02*math.Abs(float64(o.Instance%12)-6)
	type ellipse struct {
		x, y, a, b float64
		value      uint16
	}
	shapes := []ellipse{
		{0, 0, 0.76 * scale, 0.92 * scale, 1064}, // skin
		{0, 0, 0.72 * scale, 0.88 * scale, 1900}, // skull
		{0, 0, 0.65 * scale, 0.81 * scale, 1058}, // brain
		{-0.18, -0.05, 0.09, 0.28 * scale, 1030}, // ventricles
		{0.18, -0.05, 0.09, 0.28 * scale, 1030},
	}
	for y := range o.Rows {
		for x := range o.Columns {
			u := 2*float64(x)/float64(o.Columns) - 1
			v := 2*float64(y)/float64(o.Rows) - 1
			for _, s := range shapes {
				du, dv := (u-s.x)/s.a, (v-s.y)/s.b
				if du*du+dv*dv <= 1 {
					p.base[y*o.Columns+x] = s.value
				}
			}
		}
	}
	return p
}

// frame draws frame n into out.
func (p *phantom) frame(out []byte, n int, order binary.ByteOrder) {
	o := p.o
	shift := n*7919 + o.Instance*104729
	put := func(i int, v uint16) {
		v += p.noise[(i+shift+i>>9)&0xFFFF]
		switch {
		case colour(o.Modality):
			grey := byte(min(v>>3, 255))
			out[3*i], out[3*i+1], out[3*i+2] = grey, grey, grey/2+64
		case order == binary.ByteOrder(binary.LittleEndian):
			out[2*i], out[2*i+1] = byte(v), byte(v>>8)
		default:
			out[2*i], out[2*i+1] = byte(v>>8), byte(v)
		}
	}
	for i, v := range p.base {
		put(i, v)
	}
	radius := o.Columns / 24
	angle := 2 * math.Pi * float64(n) / 24
	cx := o.Columns/2 + int(float64(o.Columns)*0.2*math.Cos(angle))
	cy := o.Rows/2 + int(float64(o.Rows)*0.25*math.Sin(angle))
	for y := max(0, cy-radius); y < min(o.Rows, cy+radius); y++ {
		for x := max(0, cx-radius); x < min(o.Columns, cx+radius); x++ {
			if (x-cx)*(x-cx)+(y-cy)*(y-cy) < radius*radius {
				put(y*o.Columns+x, 1120)
			}
		}
	}
}

func writeEncapsulated(w io.Writer, e *encoder, o Options) error {
	frames := codestreams(o)
	var offsets, items []byte
	for n := range o.Frames {
		offsets = e.u32(offsets, uint32(len(items)))
		for _, fragment := range split(frames(n), o.Fragments) {
			items = e.u32(e.tag(items, 0xFFFEE000), uint32(len(fragment)))
			items = append(items, fragment...)
		}
	}
	if !o.OffsetTable {
		offsets = nil
	}
	head := e.head(nil, 0x7FE00010, "OB", 0xFFFFFFFF)
	head = e.u32(e.tag(head, 0xFFFEE000), uint32(len(offsets)))
	head = append(head, offsets...)
	for _, b := range [][]byte{head, items, e.u32(e.tag(nil, 0xFFFEE0DD), 0)} {
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// codestreams returns the encoded frames: real RLE, otherwise noise between the
// headers and the end marker of a codestream. A frame too short for its headers has
// only as much of them as fits.
func codestreams(o Options) func(n int) []byte {
	if o.TransferSyntax == RLE {
		picture := newPhantom(o)
		raw := make([]byte, o.frameBytes())
		return func(n int) []byte {
			picture.frame(raw, n, binary.LittleEndian)
			return rle(raw, o)
		}
	}
	begin := jpeg2000Header(o)
	if o.TransferSyntax == JPEG {
		begin = jpegHeader(o)
	}
	return func(n int) []byte {
		b := make([]byte, o.FragmentBytes&^1)
		r := rand.New(rand.NewPCG(uint64(n), uint64(o.Instance)))
		for i := range b {
			b[i] = byte(r.Uint32()) & 0x7F // no byte looks like a marker
		}
		copy(b, begin)
		copy(b[len(b)-2:], "\xFF\xD9")
		return b
	}
}

// jpegHeader is start of image, frame header and scan header of one grey component.
func jpegHeader(o Options) []byte {
	b := []byte("\xFF\xD8\xFF\xC0\x00\x0B\x08")
	b = binary.BigEndian.AppendUint16(b, uint16(o.Rows))
	b = binary.BigEndian.AppendUint16(b, uint16(o.Columns))
	return append(b, "\x01\x01\x11\x00\xFF\xDA\x00\x08\x01\x01\x00\x00\x3F\x00"...)
}

// jpeg2000Header goes from start of codestream to start of data: size, coding style,
// quantization and one tile-part of one grey component.
func jpeg2000Header(o Options) []byte {
	size := func(b []byte) []byte {
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, uint32(o.Columns)), uint32(o.Rows))
	}
	b := size([]byte("\xFF\x4F\xFF\x51\x00\x29\x00\x00"))
	b = size(append(b, make([]byte, 8)...))
	b = append(append(b, make([]byte, 8)...), "\x00\x01\x0B\x01\x01"...)
	b = append(b, "\xFF\x52\x00\x0C\x00\x00\x00\x01\x00\x00\x04\x04\x00\x01"...)
	b = append(b, "\xFF\x5C\x00\x04\x40\x60"...)
	return append(b, "\xFF\x90\x00\x0A\x00\x00\x00\x00\x00\x00\x00\x01\xFF\x93"...)
}

// rle encodes a frame (PS3.5 Annex G): one segment a byte of a sample, most
// significant first.
func rle(raw []byte, o Options) []byte {
	step, first := 2, []int{1, 0}
	if colour(o.Modality) {
		step, first = 3, []int{0, 1, 2}
	}
	out := make([]byte, 64)
	binary.LittleEndian.PutUint32(out, uint32(len(first)))
	for s, offset := range first {
		binary.LittleEndian.PutUint32(out[4+4*s:], uint32(len(out)))
		for row := range o.Rows {
			line := make([]byte, o.Columns)
			for x := range line {
				line[x] = raw[(row*o.Columns+x)*step+offset]
			}
			out = packBits(out, line)
		}
		if len(out)%2 == 1 {
			out = append(out, 0)
		}
	}
	return out
}

func packBits(out, line []byte) []byte {
	for len(line) > 0 {
		run := 1
		for run < len(line) && run < 128 && line[run] == line[0] {
			run++
		}
		if run > 2 {
			out = append(out, byte(257-run), line[0])
			line = line[run:]
			continue
		}
		n := 1
		for n < len(line) && n < 128 && (n+2 >= len(line) || line[n] != line[n+1] || line[n] != line[n+2]) {
			n++
		}
		out = append(append(out, byte(n-1)), line[:n]...)
		line = line[n:]
	}
	return out
}

// split cuts b into n pieces of even length.
func split(b []byte, n int) [][]byte {
	size := max(2, (len(b)/n+1)&^1)
	var parts [][]byte
	for len(parts) < n-1 && len(b) > size {
		parts = append(parts, b[:size])
		b = b[size:]
	}
	return append(parts, b)
}
