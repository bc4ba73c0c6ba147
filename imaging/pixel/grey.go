package pixel

import (
	"bytes"
	"image"
	"math"
)

// Grey draws a native frame in full size, little endian, so that writing in it can be
// read: from the least value to the greatest, of colours the brightest sample, of a
// palette the index.
func Grey(s Shape, frame []byte) (*image.Gray, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	light := make([]float32, s.Rows*s.Columns)
	in := NewSamples(bytes.NewReader(frame), s.Allocated)
	put := func(i, sample int) error {
		raw, err := in.Next()
		if err != nil {
			return err
		}
		if v := float32(s.Number(raw)); sample == 0 || s.Photometric == "RGB" {
			light[i] = max(light[i], v)
			if sample == 0 {
				light[i] = v
			}
		}
		return nil
	}
	if err := s.each(put); err != nil {
		return nil, err
	}
	low, high := float32(math.Inf(1)), float32(math.Inf(-1))
	for _, v := range light {
		if !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) {
			low, high = min(low, v), max(high, v)
		}
	}
	m := image.NewGray(image.Rect(0, 0, s.Columns, s.Rows))
	for i, v := range light {
		if v = (v - low) / (high - low) * 255; v > 0 { // and a number
			m.Pix[i] = uint8(min(v, 255))
		}
	}
	return m, nil
}

// each calls put for every sample in the order they are stored, with the number of its
// pixel.
func (s Shape) each(put func(pixel, sample int) error) error {
	size := s.Rows * s.Columns
	pixels, samples, planes := 1, s.Samples, s.Planes()
	switch {
	case s.Subsampled():
		pixels, samples = 2, 4
	case s.Planar:
		samples = 1
	}
	for plane := range planes {
		for at := 0; at < size; at += pixels {
			for k := range samples {
				pixel, sample := at, plane+k
				if pixels == 2 { // Y Y Cb Cr
					pixel, sample = at+k%2, max(k-1, 0)
				}
				if err := put(pixel, sample); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
