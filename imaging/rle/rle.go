// Package rle is the run-length coding of DICOM frames (PS3.5 Annex G).
//
// A frame is a table of up to fifteen segments, each one plane of bytes in PackBits:
// the first byte of every sample first, most significant byte first, sample by sample.
package rle

import (
	"encoding/binary"
	"errors"
)

// MaxPlanes is how many segments the table has room for.
const MaxPlanes = 15

const tableSize = 64

// ErrMalformed is a frame that is not coded as Annex G says, or not of the size asked
// for.
var ErrMalformed = errors.New("malformed RLE frame")

// Decode reads a frame of so many planes, each of size bytes, and returns them one
// after the other. It allocates planes × size bytes; what lies behind a full plane is
// not looked at.
func Decode(frame []byte, planes, size int) ([]byte, error) {
	if planes < 1 || planes > MaxPlanes || size < 1 || len(frame) < tableSize ||
		binary.LittleEndian.Uint32(frame) != uint32(planes) {
		return nil, ErrMalformed
	}
	// 128 bytes from two is the best that runs can do.
	if size > 64*len(frame) {
		return nil, ErrMalformed
	}
	out := make([]byte, planes*size)
	for i := range planes {
		begin, end := offset(frame, i), uint32(len(frame))
		if i+1 < planes {
			end = offset(frame, i+1)
		}
		if begin < tableSize || begin > end || end > uint32(len(frame)) {
			return nil, ErrMalformed
		}
		if err := decodePlane(out[i*size:(i+1)*size], frame[begin:end]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func offset(frame []byte, segment int) uint32 {
	return binary.LittleEndian.Uint32(frame[4+4*segment:])
}

// decodePlane fills dst from a segment.
func decodePlane(dst, segment []byte) error {
	for len(dst) > 0 {
		if len(segment) < 1 {
			return ErrMalformed
		}
		b := segment[0]
		segment = segment[1:]
		switch {
		case b < 128: // so many bytes as they are
			n := int(b) + 1
			if n > len(dst) || n > len(segment) {
				return ErrMalformed
			}
			copy(dst, segment[:n])
			dst, segment = dst[n:], segment[n:]
		case b > 128: // one byte so many times
			n := 257 - int(b)
			if n > len(dst) || len(segment) < 1 {
				return ErrMalformed
			}
			for i := range dst[:n] {
				dst[i] = segment[0]
			}
			dst, segment = dst[n:], segment[1:]
		}
	}
	return nil
}

// Encode is the inverse of Decode: so many planes, which follow each other and are
// made of rows of so many bytes. No run crosses the end of a row (Annex G.3.1). The
// result is of even length.
func Encode(planes []byte, count, columns int) ([]byte, error) {
	if count < 1 || count > MaxPlanes || columns < 1 || len(planes) == 0 || len(planes)%(count*columns) != 0 {
		return nil, ErrMalformed
	}
	size := len(planes) / count
	out := make([]byte, tableSize, tableSize+len(planes)/2)
	binary.LittleEndian.PutUint32(out, uint32(count))
	for i := range count {
		binary.LittleEndian.PutUint32(out[4+4*i:], uint32(len(out)))
		for plane := planes[i*size : (i+1)*size]; len(plane) > 0; plane = plane[columns:] {
			out = appendRow(out, plane[:columns])
		}
		if len(out)%2 == 1 {
			out = append(out, 0)
		}
	}
	return out, nil
}

// appendRow packs one row. A run of two is worth a byte of its own only outside of
// literals.
func appendRow(out, row []byte) []byte {
	for len(row) > 0 {
		run := 1
		for run < len(row) && run < 128 && row[run] == row[0] {
			run++
		}
		if run > 1 {
			out = append(out, byte(257-run), row[0])
			row = row[run:]
			continue
		}
		n := 1
		for n < len(row) && n < 128 && (n+2 >= len(row) || row[n] != row[n+1] || row[n] != row[n+2]) {
			n++
		}
		out = append(append(out, byte(n-1)), row[:n]...)
		row = row[n:]
	}
	return out
}
