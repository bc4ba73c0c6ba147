package dicom

import (
	"bytes"
	"encoding/binary"
	"io"
	"strconv"
	"strings"

	"medvault/imaging"
)

const (
	maxFragments = 1 << 20
	maxOffsets   = 8 << 20 // bytes of an offset table that are looked at
)

// framing finds out where the frames lie.
type framing struct {
	syntax Syntax

	rows, columns, samples, bits int64
	count                        int64
	subsampled                   bool
	extended, extendedLengths    []byte // extended offset table (PS3.3 C.7.6.3.1.8)

	copied    int64 // bytes of the pixel data value
	at        int64 // where it begins in the content
	native    bool
	wordVR    bool
	met       bool
	fragments [][2]int64 // offset in the content, length
	begins    []bool     // per fragment: it begins as a codestream does
	tooMany   bool
	offsets   []byte // the basic offset table
	clean     bool   // a walker has followed the fragments and found nothing but frames

	tableLength int64 // of the basic offset table

	recoded   bool            // what is beside the frames does not get into the content
	rewritten *imaging.Frames // of frames that are written anew

	keep  int64  // bytes of the first frame that are wanted
	first []byte // what there is of them: native, or the fragments of one frame
}

// segment takes note of the attributes that shape frames.
func (f *framing) segment(s *Segment) {
	for i := int32(0); int(i) < len(s.Elements); i = s.Elements[i].Next {
		e := &s.Elements[i]
		switch e.Tag {
		case 0x0028_0002:
			f.samples = f.number(s, e)
		case 0x0028_0004:
			f.subsampled = strings.HasSuffix(trimmed(string(s.Bytes(e))), "_422")
		case 0x0028_0008:
			f.count, _ = strconv.ParseInt(trimmed(string(s.Bytes(e))), 10, 32)
		case 0x0028_0010:
			f.rows = f.number(s, e)
		case 0x0028_0011:
			f.columns = f.number(s, e)
		case 0x0028_0100:
			f.bits = f.number(s, e)
		case 0x7FE0_0001:
			f.extended = s.Bytes(e)
		case 0x7FE0_0002:
			f.extendedLengths = s.Bytes(e)
		}
	}
}

func (f *framing) number(s *Segment, e *Element) int64 {
	if b := s.Bytes(e); len(b) >= 2 {
		return int64(f.syntax.order().Uint16(b))
	}
	return 0
}

// follow sends the pixel data to w, which writes it into the content from offset at on,
// and remembers the fragments.
func (f *framing) follow(s *Splitter, e *Element, at int64, w io.Writer) (err error) {
	f.met = true
	f.at = at
	f.native = e.Length != Undefined
	f.wordVR = e.VR == OW
	if f.native {
		if f.keep > 0 {
			w = io.MultiWriter(w, (*firstFrame)(f))
		}
		f.copied, err = s.CopyBulk(w, nil)
		return err
	}
	shift := at - s.offset()
	seen := capture{walker: f.newWalker()}
	first := true
	note := func() {
		if first {
			f.offsets, first = bytes.Clone(seen.kept), false
		} else if len(f.begins) < len(f.fragments) {
			f.begins = append(f.begins, codestreamBegins(seen.kept))
		}
	}
	started := false
	f.copied, err = s.CopyBulk(io.MultiWriter(w, &seen), func(offset, length int64) {
		if !started { // the first item is the offset table
			started = true
			f.tableLength = length
			seen.expect(min(length, maxOffsets))
			return
		}
		note()
		seen.first = nil
		if len(f.fragments) == 0 || f.count <= 1 {
			seen.first = (*firstFrame)(f)
		}
		seen.follow(length)
		if f.tooMany = f.tooMany || len(f.fragments) >= maxFragments; !f.tooMany {
			f.fragments = append(f.fragments, [2]int64{offset + shift, length})
		}
	})
	note()
	f.clean = seen.walker != nil && seen.walker.clean(max(f.count, 1))
	return err
}

// doubtful reports whether there is something in the pixel data that is no picture,
// or that nobody here can tell from one.
func (f *framing) doubtful() bool {
	count := max(f.count, 1)
	tables := f.tableLength != 0 || len(f.extended) != 0
	switch {
	case !f.met || f.recoded:
		return false
	case f.native:
		padding := f.copied - f.nativeBytes(count)
		return !f.syntax.native() || padding != 0 && padding != 1
	case f.tableLength != 0 && (f.tableLength != 4*count || len(f.extended) != 0), tables && f.byOffsets(count) == nil:
		return true // not what an offset table says
	}
	return !f.clean
}

// nativeBytes is how long so many native frames are; -1 when no value is that long.
func (f *framing) nativeBytes(count int64) int64 {
	frame := f.frameBits()
	if frame < 0 || frame > 0 && count > 1<<40/frame {
		return -1
	}
	return (count*frame + 7) / 8
}

// codestreamBegins reports whether a fragment begins with the marker that JPEG and its
// kin (FFD8) or JPEG 2000 (FF4F) begin a frame with.
func codestreamBegins(b []byte) bool {
	return len(b) == 2 && b[0] == 0xFF && (b[1] == 0xD8 || b[1] == 0x4F)
}

// capture keeps the first bytes of a fragment's value and shows all of it to a walker.
type capture struct {
	walker     walker      // nil: nobody looks
	first      *firstFrame // nil: this fragment is not of the first frame
	skip, want int64
	rest       int64 // bytes the walker gets of this fragment
	kept       []byte
}

// firstFrame keeps as much of the first frame as is wanted.
type firstFrame framing

func (f *firstFrame) Write(p []byte) (int, error) {
	f.first = append(f.first, p[:min(f.keep-int64(len(f.first)), int64(len(p)))]...)
	return len(p), nil
}

// expect makes ready for an item, whose header comes first.
func (c *capture) expect(n int64) { c.skip, c.want, c.kept = 8, n, c.kept[:0] }

// follow makes ready for a fragment of a frame.
func (c *capture) follow(length int64) {
	c.expect(2)
	if c.rest = length; c.walker != nil {
		c.walker.fragment()
	}
}

func (c *capture) Write(p []byte) (int, error) {
	n := len(p)
	step := min(c.skip, int64(len(p)))
	c.skip -= step
	p = p[step:]
	take := min(c.want-int64(len(c.kept)), int64(len(p)))
	c.kept = append(c.kept, p[:take]...)
	if seen := min(c.rest, int64(len(p))); seen > 0 {
		if c.walker != nil {
			c.walker.Write(p[:seen])
		}
		if c.first != nil {
			c.first.Write(p[:seen])
		}
		c.rest -= seen
	}
	return n, nil
}

// table is the frame table, nil where the frames cannot be told apart without
// decoding.
func (f *framing) table() *imaging.Frames {
	count := max(f.count, 1)
	switch {
	case !f.met:
		return nil
	case f.rewritten != nil:
		return f.rewritten
	case f.native:
		return f.nativeTable(count)
	case f.tooMany || len(f.fragments) == 0:
		return nil
	}
	frames := f.byOffsets(count)
	switch {
	case frames != nil:
	case int64(len(f.fragments)) == count:
		for _, g := range f.fragments {
			frames = append(frames, [][2]int64{g})
		}
	case count == 1:
		frames = [][][2]int64{f.fragments}
	default:
		if frames = f.byMarkers(count); frames == nil {
			return nil
		}
	}
	return &imaging.Frames{Count: len(frames), Fragments: frames}
}

// frameBits is the length of a native frame; -1 when no frame is that long.
func (f *framing) frameBits() int64 {
	samples := max(f.samples, 1)
	if samples*f.bits > 1<<16 {
		return -1
	}
	bits := f.rows * f.columns * samples * f.bits
	if f.subsampled && samples == 3 {
		bits = bits / 3 * 2 // two luma values share their chroma (PS3.3 C.7.6.3.1.2)
	}
	return bits
}

func (f *framing) nativeTable(count int64) *imaging.Frames {
	bits := f.frameBits()
	length := bits / 8
	if bits%8 != 0 {
		if count > 1 {
			return nil // frames begin inside a byte
		}
		length++
	}
	if length <= 0 || count > f.copied/length {
		return nil
	}
	t := &imaging.Frames{Count: int(count), Offset: f.at, Length: length}
	if f.syntax.BigEndian || f.syntax.UID == bigEndianPixels {
		switch {
		case f.bits > 8:
			t.BigEndian = int(f.bits+7) / 8
		case f.wordVR:
			t.BigEndian = 2
		}
	}
	return t
}

// byOffsets groups fragments by the extended or the basic offset table; nil where
// there is none or where it does not fit.
func (f *framing) byOffsets(count int64) [][][2]int64 {
	var starts []int64
	switch {
	case count > int64(len(f.fragments)):
		return nil
	case int64(len(f.extended)) == 8*count && len(f.extendedLengths) == len(f.extended):
		for b := f.extended; len(b) > 0; b = b[8:] {
			starts = append(starts, int64(binary.LittleEndian.Uint64(b)))
		}
	case int64(len(f.offsets)) == 4*count:
		for b := f.offsets; len(b) > 0; b = b[4:] {
			starts = append(starts, int64(binary.LittleEndian.Uint32(b)))
		}
	default:
		return nil
	}
	first, next := f.fragments[0][0], 0
	return f.group(count, func(i int) bool {
		begins := next < len(starts) && f.fragments[i][0]-first == starts[next]
		if begins {
			next++
		}
		return begins
	})
}

// byMarkers groups fragments by how codestreams begin.
func (f *framing) byMarkers(count int64) [][][2]int64 {
	return f.group(count, func(i int) bool { return i < len(f.begins) && f.begins[i] })
}

// group puts fragments together into count frames; nil when it does not come out.
func (f *framing) group(count int64, begins func(i int) bool) [][][2]int64 {
	var frames [][][2]int64
	for i, g := range f.fragments {
		if begins(i) {
			frames = append(frames, nil)
		} else if len(frames) == 0 {
			return nil
		}
		frames[len(frames)-1] = append(frames[len(frames)-1], g)
	}
	if int64(len(frames)) != count {
		return nil
	}
	return frames
}
