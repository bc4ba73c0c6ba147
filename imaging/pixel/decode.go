package pixel

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"strings"

	"medvault/imaging/rle"
)

// Transfer syntaxes that Decode knows.
const (
	RLE          = "1.2.840.10008.1.2.5"
	JPEGBaseline = "1.2.840.10008.1.2.4.50"
	JPEGExtended = "1.2.840.10008.1.2.4.51"
	JPEGLossless = "1.2.840.10008.1.2.4.57"
	JPEGFirst    = "1.2.840.10008.1.2.4.70" // lossless, first-order prediction
	JPEGLS       = "1.2.840.10008.1.2.4.80"
	JPEGLSNear   = "1.2.840.10008.1.2.4.81"
)

// Errors of Decode.
var (
	ErrNoDecoder = errors.New("no exact decoder for frames of this transfer syntax")
	ErrDecode    = errors.New("frame does not decode to what its attributes say")
)

// Decodes tells the shape that Decode gives the frames of a transfer syntax: little
// endian, colour by pixel, of as many samples and bits. ErrNoDecoder where it gives
// none, ErrShape for pixels that cannot be.
func Decodes(syntax string, s Shape) (Shape, error) {
	switch syntax {
	case RLE:
		if s.Subsampled() || s.Allocated%8 != 0 || s.Samples*s.Allocated/8 > rle.MaxPlanes {
			return Shape{}, ErrNoDecoder
		}
	case JPEGBaseline, JPEGExtended:
		if s.Allocated != 8 || s.Stored != 8 || s.High != 7 || s.Signed || s.Float {
			return Shape{}, ErrNoDecoder
		}
		switch s.Photometric {
		case "MONOCHROME1", "MONOCHROME2", "RGB":
		case "YBR_FULL", "YBR_FULL_422":
			s.Photometric = "YBR_FULL" // chroma is repeated for every pixel
		default:
			return Shape{}, ErrNoDecoder
		}
	case JPEGLossless, JPEGFirst, JPEGLS, JPEGLSNear:
		if s.Subsampled() || s.Allocated != 8 && s.Allocated != 16 || s.Float {
			return Shape{}, ErrNoDecoder
		}
	default:
		return Shape{}, ErrNoDecoder
	}
	s.Planar = false
	if err := s.Check(); err != nil {
		return Shape{}, err
	}
	if s.FrameBits()/8 > MaxFrame {
		return Shape{}, fmt.Errorf("%w: frames of more than %d MiB", ErrNoDecoder, MaxFrame>>20)
	}
	return s, nil
}

// Decode decodes one frame to the shape that Decodes tells. The samples are those that
// were coded: no colour is converted.
func Decode(syntax string, s Shape, frame []byte) ([]byte, error) {
	as, err := Decodes(syntax, s)
	if err != nil {
		return nil, err
	}
	decode := decodeJPEG
	switch syntax {
	case RLE:
		decode = decodeRLE
	case JPEGLossless, JPEGFirst:
		decode = decodeLossless
	case JPEGLS, JPEGLSNear:
		decode = decodeJPEGLS
	}
	samples, err := decode(as, frame)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDecode, err)
	}
	return samples, nil
}

// decodeRLE brings the planes of bytes together to samples.
func decodeRLE(s Shape, frame []byte) ([]byte, error) {
	width, size := s.Allocated/8, s.Rows*s.Columns
	planes, err := rle.Decode(frame, s.Samples*width, size)
	if err != nil {
		return nil, err
	}
	if s.Samples*width == 1 {
		return planes, nil
	}
	out := make([]byte, len(planes))
	step := s.Samples * width
	for p := range step {
		at := p/width*width + width - 1 - p%width // most significant first
		for _, b := range planes[p*size : (p+1)*size] {
			out[at] = b
			at += step
		}
	}
	return out, nil
}

// EncodeRLE is the inverse of Decode for RLE: samples in little endian, by pixel.
func EncodeRLE(s Shape, samples []byte) ([]byte, error) {
	width, size := s.Allocated/8, s.Rows*s.Columns
	step := s.Samples * width
	planes := make([]byte, len(samples))
	for p := range step {
		at := p/width*width + width - 1 - p%width
		plane := planes[p*size : (p+1)*size]
		for i := range plane {
			plane[i] = samples[at]
			at += step
		}
	}
	return rle.Encode(planes, step, s.Columns)
}

// decodeJPEG takes 8-bit JPEG of the DCT processes.
func decodeJPEG(s Shape, frame []byte) ([]byte, error) {
	// The size is looked at first: the decoder takes memory for what the frame claims.
	config, err := jpeg.DecodeConfig(bytes.NewReader(frame))
	if err != nil {
		return nil, errors.New("not 8-bit JPEG")
	}
	if config.Width != s.Columns || config.Height != s.Rows || (config.ColorModel == color.GrayModel) != (s.Samples == 1) {
		return nil, errors.New("another size")
	}
	picture, err := jpeg.Decode(bytes.NewReader(frame))
	if err != nil {
		return nil, errors.New("broken JPEG")
	}
	out := make([]byte, 0, s.Rows*s.Columns*s.Samples)
	switch p := picture.(type) {
	case *image.Gray:
		for y := range s.Rows {
			out = append(out, p.Pix[y*p.Stride:][:s.Columns]...)
		}
		return out, nil
	case *image.YCbCr:
		if !strings.HasPrefix(s.Photometric, "YBR") {
			break // the attributes say that no colour was converted, the frame does not
		}
		for y := range s.Rows {
			for x := range s.Columns {
				c := p.COffset(x, y)
				out = append(out, p.Y[p.YOffset(x, y)], p.Cb[c], p.Cr[c])
			}
		}
		return out, nil
	case *image.RGBA:
		if s.Photometric != "RGB" {
			break
		}
		for y := range s.Rows {
			row := p.Pix[y*p.Stride:]
			for x := range s.Columns {
				out = append(out, row[4*x], row[4*x+1], row[4*x+2])
			}
		}
		return out, nil
	}
	return nil, errors.New("another colour space")
}
