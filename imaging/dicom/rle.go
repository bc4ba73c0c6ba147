package dicom

import (
	"encoding/binary"
	"math"
)

// runs follows RLE frames (PS3.5 Annex G), one a fragment: a table of up to fifteen
// segments, each a plane of bytes in PackBits. What stands behind a full plane, but
// for zeros, is no part of the picture.
type runs struct {
	planes int64
	plane  int64 // pixels of a frame

	table   [64]byte
	at      int64 // in the fragment
	segment int64 // from 1
	filled  int64 // pixels of the plane that are done
	literal int64 // bytes of the present run that are yet to come
	began   int64 // frames
	doubt   bool
}

func (r *runs) fragment() {
	*r = runs{planes: r.planes, plane: r.plane, segment: 1, began: r.began + 1, doubt: r.doubt}
}

func (r *runs) clean(frames int64) bool { return r.began > 0 && r.began <= frames && !r.doubt }

func (r *runs) Write(p []byte) {
	for len(p) > 0 && !r.doubt {
		n := int64(1)
		switch end := r.end(); {
		case r.at < 64:
			n = int64(copy(r.table[r.at:], p))
			r.doubt = r.at+n == 64 && !r.orderly()
		case r.at == end:
			r.segment++
			r.filled, r.literal, n = 0, 0, 0
		case r.literal > 0:
			n = min(r.literal, int64(len(p)), end-r.at)
			r.literal -= n
		default:
			r.run(p[0])
		}
		r.at += n
		p = p[n:]
	}
}

// run takes the byte that says what follows.
func (r *runs) run(b byte) {
	switch {
	case r.filled == r.plane:
		r.doubt = b != 0
	case b < 128: // so many bytes as they are
		r.literal = int64(b) + 1
		r.filled += r.literal
	case b > 128: // one byte so many times
		r.literal = 1
		r.filled += 257 - int64(b)
	}
	r.doubt = r.doubt || r.filled > r.plane
}

// offset is where a segment begins.
func (r *runs) offset(segment int64) int64 {
	return int64(binary.LittleEndian.Uint32(r.table[4*segment:]))
}

// end is where the present segment ends; the last one ends with the fragment.
func (r *runs) end() int64 {
	if r.segment >= r.planes {
		return math.MaxInt64
	}
	return r.offset(r.segment + 1)
}

// orderly reports whether the table has a segment for every plane, one after the
// other, and nothing else.
func (r *runs) orderly() bool {
	if r.planes < 1 || r.planes > 15 || r.offset(0) != r.planes || r.offset(1) != 64 {
		return false
	}
	for i := int64(2); i < 16; i++ {
		if i <= r.planes && r.offset(i) <= r.offset(i-1) || i > r.planes && r.offset(i) != 0 {
			return false
		}
	}
	return true
}
