// Package pixel knows how the pixels of a DICOM image are laid out (PS3.3 C.7.6.3,
// PS3.5 8), what black is among them, and how to decode one frame where that can be
// done exactly.
package pixel

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// MaxFrame is the most bytes one frame may have that is decoded in memory.
const MaxFrame = 64 << 20

// Shape is what the attributes of an image say of its pixels.
type Shape struct {
	Rows, Columns           int
	Frames                  int    // at least 1
	Samples                 int    // a pixel
	Allocated, Stored, High int    // bits of a sample; High is the number of its highest bit
	Signed                  bool   // two's complement
	Planar                  bool   // each colour has a plane of its own
	Photometric             string // Photometric Interpretation
	Float                   bool   // samples are floating point numbers
}

// ErrShape is wrapped by the error of Check.
var ErrShape = errors.New("no image has pixels like these")

// Check reports whether an image can be of that shape and the code here knows how it
// is laid out.
func (s Shape) Check() error {
	switch {
	case s.Rows < 1 || s.Columns < 1 || s.Rows > 1<<16 || s.Columns > 1<<16 || s.Frames < 1:
		return fmt.Errorf("%w: %d rows, %d columns, %d frames", ErrShape, s.Rows, s.Columns, s.Frames)
	case s.Samples < 1 || s.Samples > 4 || s.Samples != s.colours():
		return fmt.Errorf("%w: samples and photometric interpretation", ErrShape)
	case s.Allocated < 1 || s.Allocated > 64 || s.Stored < 1 || s.Stored > s.Allocated || s.High < s.Stored-1 || s.High >= s.Allocated:
		return fmt.Errorf("%w: %d bits allocated, %d stored, high bit %d", ErrShape, s.Allocated, s.Stored, s.High)
	case s.Samples > 1 && s.Allocated%8 != 0:
		return fmt.Errorf("%w: colours of %d bits", ErrShape, s.Allocated)
	case s.Subsampled() && (s.Allocated != 8 || s.Columns%2 != 0 || s.Planar):
		return fmt.Errorf("%w: shared chroma", ErrShape)
	}
	return nil
}

// colours is how many samples the photometric interpretation asks for; 0 for one that
// native pixels do not have.
func (s Shape) colours() int {
	switch s.Photometric {
	case "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR":
		return 1
	case "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "HSV":
		return 3
	case "ARGB", "CMYK":
		return 4
	}
	return 0
}

// Subsampled reports whether two pixels share their chroma: Y Y Cb Cr (PS3.3
// C.7.6.3.1.2).
func (s Shape) Subsampled() bool { return strings.HasSuffix(s.Photometric, "_422") }

// RowBits is the length of a row of one plane, FrameBits that of a frame.
func (s Shape) RowBits() int64 {
	bits := int64(s.Columns) * int64(s.Allocated)
	switch {
	case s.Subsampled():
		return 2 * bits
	case s.Planar:
		return bits
	}
	return bits * int64(s.Samples)
}

func (s Shape) FrameBits() int64 { return s.RowBits() * int64(s.Rows) * int64(s.Planes()) }

// Planes is how many planes a native frame has.
func (s Shape) Planes() int {
	if s.Planar {
		return s.Samples
	}
	return 1
}

// Black is the sample values of a black pixel as they are stored, spare bits zero.
// palette is the index of the darkest colour, for a PALETTE COLOR image.
func (s Shape) Black(palette uint64) []uint64 {
	if s.Float {
		return make([]uint64, s.Samples)
	}
	most := uint64(1)<<s.Stored - 1 // 1<<64 is 0
	middle := uint64(1) << (s.Stored - 1)
	low, high := uint64(0), most
	if s.Signed { // the least number has but the sign bit, the greatest all others
		low, high = middle, middle-1
	}
	black := make([]uint64, s.Samples)
	switch s.Photometric {
	case "MONOCHROME1":
		black[0] = high
	case "PALETTE COLOR":
		black[0] = palette & most
	case "YBR_FULL", "YBR_FULL_422":
		black[1], black[2] = middle, middle
	case "YBR_PARTIAL_422":
		black[0], black[1], black[2] = middle/8, middle, middle
	case "CMYK":
		black[3] = most
	case "MONOCHROME2":
		black[0] = low
	}
	for i := range black {
		black[i] <<= s.High + 1 - s.Stored
	}
	return black
}

// Number is what a stored sample stands for: spare bits left out, signed where it is.
func (s Shape) Number(raw uint64) float64 {
	switch {
	case s.Float && s.Allocated == 32:
		return float64(math.Float32frombits(uint32(raw)))
	case s.Float && s.Allocated == 64:
		return math.Float64frombits(raw)
	}
	raw = raw >> (s.High + 1 - s.Stored) << (64 - s.Stored)
	if s.Signed {
		return float64(int64(raw) >> (64 - s.Stored))
	}
	return float64(raw >> (64 - s.Stored))
}
