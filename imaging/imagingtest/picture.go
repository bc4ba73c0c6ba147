package imagingtest

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"math/bits"
	"math/rand/v2"

	"medvault/imaging"
)

// Transfer syntaxes of the set beyond those that a document can be written in.
const (
	jpegLossless = "1.2.840.10008.1.2.4.70"
	jpegLS       = "1.2.840.10008.1.2.4.80"
	jpegLSNear   = "1.2.840.10008.1.2.4.81"
	jpeg2000Best = "1.2.840.10008.1.2.4.90"
	htj2kBest    = "1.2.840.10008.1.2.4.202"
	htj2k        = "1.2.840.10008.1.2.4.203"
	mpeg2        = "1.2.840.10008.1.2.4.100"
	mpeg4        = "1.2.840.10008.1.2.4.102"
	hevc         = "1.2.840.10008.1.2.4.107"
)

// picture is the pixels of an object: small, noisy, and with words drawn in where the
// object is one with words.
type picture struct {
	rows, columns, frames int
	samples, bits         int // bits is 8 or 16
	words                 []imaging.Mask
	raw                   [][]byte // per frame, little endian
}

func newPicture(r *rand.Rand, rows, columns, frames, samples, bits int) *picture {
	p := &picture{rows: rows, columns: columns, frames: frames, samples: samples, bits: bits}
	for range frames {
		raw := make([]byte, rows*columns*samples*bits/8)
		for i := range raw {
			switch {
			case bits == 16 && i%2 == 1:
				raw[i] = byte(r.IntN(4)) // 12 bits at most
			default:
				raw[i] = byte(60 + r.IntN(24))
			}
		}
		p.raw = append(p.raw, raw)
	}
	return p
}

// write draws digits into every frame and remembers where.
func (p *picture) write(digits string, x, y int) {
	for _, raw := range p.raw {
		for k, d := range digits {
			for dy, line := range glyphs[d] {
				for dx := range 3 {
					if line>>(2-dx)&1 == 1 {
						p.set(raw, x+4*k+dx, y+dy)
					}
				}
			}
		}
	}
	p.words = append(p.words, imaging.Mask{X: x, Y: y, Width: min(4*len(digits), p.columns-x), Height: 5})
}

func (p *picture) set(raw []byte, x, y int) {
	if x >= p.columns || y >= p.rows {
		return
	}
	at := (y*p.columns + x) * p.samples * p.bits / 8
	for i := range p.samples {
		if p.bits == 16 {
			raw[at+2*i], raw[at+2*i+1] = 0xFF, 0x0F
		} else {
			raw[at+i] = 0xFF
		}
	}
}

// glyphs are digits of three by five points.
var glyphs = map[rune][5]byte{
	'0': {7, 5, 5, 5, 7}, '1': {2, 6, 2, 2, 7}, '2': {7, 1, 7, 4, 7}, '3': {7, 1, 7, 1, 7}, '4': {5, 5, 7, 1, 1},
	'5': {7, 4, 7, 1, 7}, '6': {7, 4, 7, 5, 7}, '7': {7, 1, 1, 1, 1}, '8': {7, 5, 7, 5, 7}, '9': {7, 5, 7, 1, 7},
}

// value is Pixel Data in a transfer syntax: one value, or the frames to be written as
// fragments.
func (p *picture) value(syntax string) (native []byte, frames [][]byte) {
	switch syntax {
	case ImplicitLE, ExplicitLE, Deflated:
		return bytes.Join(p.raw, nil), nil
	case BigEndian:
		native = bytes.Join(p.raw, nil)
		if p.bits == 16 {
			for i := 0; i+1 < len(native); i += 2 {
				native[i], native[i+1] = native[i+1], native[i]
			}
		}
		return native, nil
	case mpeg2, mpeg4, hevc:
		return nil, [][]byte{video(syntax)} // one stream, whatever the number of frames
	}
	for i, raw := range p.raw {
		frames = append(frames, p.frame(syntax, raw, i))
	}
	return nil, frames
}

func (p *picture) frame(syntax string, raw []byte, n int) []byte {
	switch syntax {
	case RLE:
		return p.runLengths(raw)
	case JPEG:
		return p.jpeg(raw)
	case jpegLossless:
		return append(p.differences(p.headers(0xC3, "\x01\x00\x00"), raw), "\xFF\xD9"...)
	case jpegLS, jpegLSNear:
		return append(noise(p.headers(0xF7, "\x00\x00\x00"), n), "\xFF\xD9"...)
	}
	return append(noise(p.wavelets(syntax != JPEG2000 && syntax != jpeg2000Best), n), "\xFF\xD9"...)
}

// wavelets goes from start of codestream to start of data (ISO 15444-1 Annex A, for
// high throughput 15444-15).
func (p *picture) wavelets(highThroughput bool) []byte {
	size := func(b []byte) []byte {
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, uint32(p.columns)), uint32(p.rows))
	}
	b := binary.BigEndian.AppendUint16([]byte("\xFF\x4F\xFF\x51"), uint16(38+3*p.samples))
	capabilities := uint16(0)
	if highThroughput {
		capabilities = 1 << 14
	}
	b = size(binary.BigEndian.AppendUint16(b, capabilities))
	b = size(append(b, make([]byte, 8)...))
	b = binary.BigEndian.AppendUint16(append(b, make([]byte, 8)...), uint16(p.samples))
	for range p.samples {
		b = append(b, byte(min(p.bits, 12)-1), 1, 1)
	}
	if highThroughput {
		b = append(b, "\xFF\x50\x00\x08\x00\x02\x00\x00\x00\x08"...)
	}
	b = append(b, "\xFF\x52\x00\x0C\x00\x00\x00\x01\x00\x00\x04\x04\x00\x01"...)
	b = append(b, "\xFF\x5C\x00\x04\x40\x60"...)
	return append(b, "\xFF\x90\x00\x0A\x00\x00\x00\x00\x00\x00\x00\x01\xFF\x93"...)
}

// headers are those of a frame of JPEG lossless or JPEG-LS, up to its data.
func (p *picture) headers(frame byte, parameters string) []byte {
	b := []byte{0xFF, 0xD8, 0xFF, frame}
	b = binary.BigEndian.AppendUint16(b, uint16(8+3*p.samples))
	b = append(b, byte(min(p.bits, 12)))
	b = binary.BigEndian.AppendUint16(b, uint16(p.rows))
	b = binary.BigEndian.AppendUint16(b, uint16(p.columns))
	b = append(b, byte(p.samples))
	for i := range p.samples {
		b = append(b, byte(i+1), 0x11, 0)
	}
	if frame == 0xC3 { // seventeen categories of difference, each a code of five bits
		b = append(b, "\xFF\xC4\x00\x24\x00\x00\x00\x00\x00\x11"...)
		b = append(b, make([]byte, 11)...)
		for category := range 17 {
			b = append(b, byte(category))
		}
	}
	b = append(b, 0xFF, 0xDA)
	b = binary.BigEndian.AppendUint16(b, uint16(6+2*p.samples))
	b = append(b, byte(p.samples))
	for i := range p.samples {
		b = append(b, byte(i+1), 0)
	}
	return append(b, parameters...)
}

// differences encodes a frame by first-order prediction (ISO 10918-1 Annex H).
func (p *picture) differences(b, raw []byte) []byte {
	var buffer uint64
	var held int
	put := func(v uint64, n int) {
		for buffer, held = buffer<<n|v, held+n; held >= 8; held -= 8 {
			c := byte(buffer >> (held - 8))
			if b = append(b, c); c == 0xFF {
				b = append(b, 0)
			}
		}
	}
	at := func(x, y, s int) int {
		i := ((y*p.columns+x)*p.samples + s) * p.bits / 8
		if p.bits == 16 {
			return int(raw[i]) | int(raw[i+1])<<8
		}
		return int(raw[i])
	}
	for y := range p.rows {
		for x := range p.columns {
			for s := range p.samples {
				predicted := 1 << (min(p.bits, 12) - 1)
				switch {
				case x > 0:
					predicted = at(x-1, y, s)
				case y > 0:
					predicted = at(x, y-1, s)
				}
				difference := at(x, y, s) - predicted
				category := bits.Len(uint(max(difference, -difference)))
				put(uint64(category), 5)
				if difference < 0 {
					difference += 1<<category - 1
				}
				put(uint64(difference), category)
			}
		}
	}
	if held > 0 {
		put(1<<(8-held)-1, 8-held)
	}
	return b
}

// noise appends entropy-coded bytes of which none looks like a marker.
func noise(b []byte, n int) []byte {
	r := rand.New(rand.NewPCG(uint64(n), 77))
	for range 64 + 2*n {
		b = append(b, byte(r.Uint32())&0x7F)
	}
	return b
}

func (p *picture) jpeg(raw []byte) []byte {
	bounds := image.Rect(0, 0, p.columns, p.rows)
	var picture image.Image
	grey, colour := image.NewGray(bounds), image.NewRGBA(bounds)
	for i := range p.rows * p.columns {
		if p.samples == 1 {
			grey.Pix[i] = raw[i]
			continue
		}
		copy(colour.Pix[4*i:], raw[3*i:3*i+3])
		colour.Pix[4*i+3] = 0xFF
	}
	if picture = colour; p.samples == 1 {
		picture = grey
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture, &jpeg.Options{Quality: 90}); err != nil {
		panic(err) // a bytes.Buffer does not fail
	}
	return b.Bytes()
}

// runLengths encodes a frame as PS3.5 Annex G asks: one segment a byte of a sample, the
// most significant first.
func (p *picture) runLengths(raw []byte) []byte {
	step := p.samples * p.bits / 8
	out := make([]byte, 64)
	binary.LittleEndian.PutUint32(out, uint32(step))
	for s := range step {
		sample, byteOf := s/(p.bits/8), p.bits/8-1-s%(p.bits/8)
		binary.LittleEndian.PutUint32(out[4+4*s:], uint32(len(out)))
		for row := range p.rows {
			line := make([]byte, p.columns)
			for x := range line {
				line[x] = raw[(row*p.columns+x)*step+sample*p.bits/8+byteOf]
			}
			out = packBits(out, line)
		}
		if len(out)%2 == 1 {
			out = append(out, 0)
		}
	}
	return out
}

// video is the beginning of a stream: what a reader looks at before it decodes.
func video(syntax string) []byte {
	var b []byte
	switch syntax {
	case mpeg2: // sequence header and end (ISO 13818-2 6.2.2)
		b = []byte("\x00\x00\x01\xB3\x14\x00\xF0\x23\xFF\xFF\xE0\x18\x00\x00\x01\xB5\x14\x8A\x00\x01\x00\x00\x00\x00\x01\xB7")
	case mpeg4: // access unit delimiter, sequence and picture parameter sets (ISO 14496-10 7.3)
		b = []byte("\x00\x00\x00\x01\x09\x10\x00\x00\x00\x01\x67\x64\x00\x29\xAC\x2C\xA8\x0A\x02\xFF\x95\x00\x00\x00\x01\x68\xEE\x3C\xB0")
	case hevc:
		b = []byte("\x00\x00\x00\x01\x46\x01\x10\x00\x00\x00\x01\x40\x01\x0C\x01\xFF\xFF\x01\x60\x00\x00\x03\x00\xB0")
	}
	return append(b, make([]byte, len(b)%2)...)
}
