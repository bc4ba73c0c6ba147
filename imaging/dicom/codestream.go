package dicom

import (
	"bytes"
	"encoding/binary"
	"regexp"
)

// walker follows compressed frames as they stream, looking for places where words
// can lie that no picture shows. It cannot see into the coded values themselves: what
// an encoder hid there, only a decoder would find.
type walker interface {
	fragment()               // the next byte begins a fragment
	Write(p []byte)          // bytes of fragments, without their headers
	clean(frames int64) bool // asked at the end: all was understood, and it is no more than so many frames
}

// newWalker is nil for what nobody here can follow.
func (f *framing) newWalker() walker {
	switch f.syntax.UID {
	case "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.52", "1.2.840.10008.1.2.4.53",
		"1.2.840.10008.1.2.4.54", "1.2.840.10008.1.2.4.55", "1.2.840.10008.1.2.4.56", "1.2.840.10008.1.2.4.57",
		"1.2.840.10008.1.2.4.58", "1.2.840.10008.1.2.4.70", // JPEG
		"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81": // JPEG-LS
		return &codestream{start: 0xD8, enter: (*codestream).jpegMarker, coded: 0x80, plain: jpegSegment}
	case "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", // JPEG 2000
		"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203": // HTJ2K
		return &codestream{start: 0x4F, enter: (*codestream).jpeg2000Marker, coded: 0x90, plain: jpeg2000Segment}
	case "1.2.840.10008.1.2.5":
		return &runs{plane: f.rows * f.columns, planes: max(f.samples, 1) * ((f.bits + 7) / 8)}
	}
	return nil
}

// codestream walks the markers of JPEG, JPEG-LS (ITU-T T.81 Annex B, T.87 Annex C)
// and JPEG 2000 (T.800 Annex A): a marker is FF and a code, most are followed by a
// segment with a length. It holds one segment at most, 64 KiB.
type codestream struct {
	start byte                                           // code of the marker that begins a frame
	coded byte                                           // FF and less than this is coded data
	enter func(c *codestream, code byte, in phase) phase // what follows a marker
	plain func(code byte, segment []byte) bool           // the segment holds nothing but parameters

	phase   phase
	code    byte // of the segment being read
	segment []byte
	left    int
	fresh   bool  // no byte of this fragment seen yet
	began   int64 // frames
	doubt   bool
}

// phase is what the next byte belongs to.
type phase byte

const (
	between   phase = iota // before the first frame, or behind the end of one
	markers                // a marker has to follow
	data                   // coded data
	length                 // the two bytes of a segment's length
	parameter              // the rest of a segment

	escaped phase = 0x80 // FF was read
)

func (c *codestream) fragment() { c.fresh = true }

func (c *codestream) clean(frames int64) bool {
	// A last frame without its end marker is common and hides nothing.
	ended := c.phase&^escaped == between || c.phase&^escaped == data
	return c.began > 0 && c.began <= frames && ended && !c.doubt
}

func (c *codestream) Write(p []byte) {
	for len(p) > 0 && !c.doubt {
		switch c.phase {
		case data:
			i := bytes.IndexByte(p, 0xFF)
			if i < 0 {
				c.fresh = false
				return
			}
			c.fresh = c.fresh && i == 0
			c.phase |= escaped
			p = p[i+1:]
		case parameter:
			n := min(c.left, len(p))
			c.segment = append(c.segment, p[:n]...)
			p = p[n:]
			if c.left -= n; c.left == 0 {
				c.endSegment()
			}
		default:
			c.step(p[0])
			p = p[1:]
		}
	}
}

// step takes one byte outside of coded data and parameters.
func (c *codestream) step(b byte) {
	switch c.phase {
	case between:
		switch b {
		case 0: // padding
		case 0xFF:
			c.phase |= escaped
		default:
			c.doubt = true
		}
	case between | escaped:
		switch b {
		case c.start:
			c.begin()
		case 0:
			c.phase = between
		case 0xFF:
		default:
			c.doubt = true
		}
	case markers:
		c.phase |= escaped
		c.doubt = b != 0xFF
	case markers | escaped, data | escaped:
		c.marker(b)
	case length:
		c.segment = append(c.segment, b)
		if len(c.segment) < 2 {
			return
		}
		c.left = int(binary.BigEndian.Uint16(c.segment)) - 2
		c.segment = c.segment[:0]
		c.phase = parameter
		if c.left <= 0 {
			c.left = 0
			c.endSegment()
		}
	}
}

func (c *codestream) begin() {
	c.began++
	c.phase = markers
}

// marker takes the byte behind FF.
func (c *codestream) marker(code byte) {
	in := c.phase &^ escaped
	fresh := c.fresh
	c.fresh = false
	switch {
	case code == c.start && in == data && (fresh || code >= c.coded):
		c.begin() // the frame before lacks its end
	case in == data && code < c.coded:
		c.phase = data
	case code == 0xFF && c.start == 0xD8: // fill byte
	case code == 0xD9: // end of the frame, the same code in all
		c.phase = between
	default:
		c.code = code
		c.segment = c.segment[:0]
		c.phase = c.enter(c, code, in)
	}
}

// jpegMarker tells what follows a marker of JPEG or JPEG-LS.
func (c *codestream) jpegMarker(code byte, in phase) phase {
	restart := code >= 0xD0 && code <= 0xD7
	if restart && in == data {
		return data
	}
	c.doubt = restart || code < 0xC0 || code == c.start
	return length
}

// jpeg2000Marker tells what follows a marker of JPEG 2000.
func (c *codestream) jpeg2000Marker(code byte, in phase) phase {
	switch {
	case code == 0x93 && in == markers: // start of data
		return data
	case code == 0x92 && in == data: // end of packet header
		return data
	}
	// In coded data there are but packets and the next tile-part.
	c.doubt = in == data && code != 0x91 && code != 0x90
	return length
}

// endSegment judges a segment and tells what follows it.
func (c *codestream) endSegment() {
	c.doubt = c.doubt || !c.plain(c.code, c.segment)
	c.phase = markers
	if c.code == 0xDA && c.start == 0xD8 || c.code == 0x91 && c.start == 0x4F { // start of scan, of packet
		c.phase = data
	}
}

// jpegSegment reports whether a segment of JPEG or JPEG-LS is as long as its
// parameters are, and neither a comment nor an application's own. JFIF and Adobe
// markers without a thumbnail are numbers; colour profiles have text in them.
func jpegSegment(code byte, b []byte) bool {
	switch code {
	case 0xE0:
		return len(b) == 14 && string(b[:5]) == "JFIF\x00" && b[12] == 0 && b[13] == 0
	case 0xEE:
		return len(b) == 12 && string(b[:5]) == "Adobe"
	case 0xFE:
		return encoderComment(b)
	case 0xC4: // Huffman tables
		return wholeTables(b, func(b []byte) int {
			n := 17
			for _, count := range b[1:min(17, len(b))] {
				n += int(count)
			}
			return n
		})
	case 0xDB: // quantization tables, of bytes or words
		return wholeTables(b, func(b []byte) int { return 1 + 64<<min(b[0]>>4, 1) })
	case 0xCC: // arithmetic coding
		return len(b) <= 16 && len(b)%2 == 0
	case 0xDA:
		return len(b) > 0 && len(b) == 4+2*int(b[0])
	case 0xDC, 0xDD: // number of lines, restart interval; up to four bytes in JPEG-LS
		return len(b) >= 2 && len(b) <= 5
	case 0xF8: // JPEG-LS parameters; palettes and the like are for screens
		return len(b) == 11 && b[0] == 1
	case 0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7: // frame
		return len(b) >= 6 && len(b) == 6+3*int(b[5])
	}
	return false
}

// wholeTables reports whether b is a row of tables, of which size tells the length.
func wholeTables(b []byte, size func(b []byte) int) bool {
	for len(b) > 0 {
		n := size(b)
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return true
}

// jpeg2000Segment reports whether a segment of JPEG 2000 is as long as its
// parameters are, and no comment.
func jpeg2000Segment(code byte, b []byte) bool {
	n := len(b)
	switch code {
	case 0x51: // image and tile size
		return n >= 36 && n == 36+3*int(binary.BigEndian.Uint16(b[34:]))
	case 0x90: // tile-part
		return n == 8
	case 0x91: // packet
		return n == 2
	case 0x52: // coding style, with precincts or without
		return n == 10 || n > 10 && n == 11+int(b[5])
	case 0x53: // of a component
		return n >= 7 && n <= 9+33
	case 0x5C, 0x5D: // quantization, of a component
		return n >= 2 && n <= 3+2*97
	case 0x5E: // region of interest
		return n == 3 || n == 4
	case 0x5F: // progression order
		return n%7 == 0 || n%9 == 0
	case 0x50: // capabilities
		return n >= 4 && n <= 4+2*32
	case 0x55, 0x57, 0x58: // lengths of tile-parts and packets
		return true
	case 0x64:
		return n > 2 && encoderComment(b[2:])
	}
	return false
}

// encoderComments are what common encoders write about themselves into every
// picture. The whole comment has to match: a name behind it does not.
var encoderComments = regexp.MustCompile(`\A(` +
	`Created by (GDCM/)?OpenJPEG version \d{1,2}\.\d{1,2}(\.\d{1,2})?` +
	`|OpenJPH Ver \d{1,2}\.\d{1,2}\.\d{1,2}\.?` +
	`|Creator: JasPer Version \d\.\d{3}\.\d{1,2}` +
	`|Kakadu-v?\d{1,2}\.\d{1,2}(\.\d{1,2})?` +
	`|Kdu-Layer-Info: [-a-zA-Z_{}()/, ]{0,80}\n( *-?\d{1,4}\.\d{1,2}, +\d\.\de[+-]\d\d\n)*` +
	`|LEAD Technologies Inc\. V\d\.\d{1,2}` +
	`)[\x00\n]?\z`)

func encoderComment(b []byte) bool { return encoderComments.Match(b) }
