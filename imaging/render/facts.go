package render

import (
	"encoding/binary"
	"encoding/json"
	"strconv"
	"strings"

	"medvault/imaging/pixel"
)

// facts are attributes in DICOM JSON (PS3.18 Annex F).
type facts map[string]struct {
	Value        []json.RawMessage
	InlineBinary []byte
}

// text is the first value of an attribute, numbers as they are written.
func (f facts) text(tag string) string {
	if len(f[tag].Value) == 0 {
		return ""
	}
	raw := f[tag].Value[0]
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return strings.TrimSpace(s)
	}
	return string(raw)
}

func (f facts) whole(tag string, otherwise int) int {
	if n, err := strconv.ParseInt(f.text(tag), 10, 32); err == nil {
		return int(n)
	}
	return otherwise
}

func (f facts) number(tag string) (float64, bool) {
	n, err := strconv.ParseFloat(f.text(tag), 64)
	return n, err == nil
}

// shape is that of one frame.
func (f facts) shape() pixel.Shape {
	s := pixel.Shape{
		Rows: f.whole("00280010", 0), Columns: f.whole("00280011", 0), Frames: 1,
		Samples:     f.whole("00280002", 1),
		Allocated:   f.whole("00280100", 0),
		Signed:      f.whole("00280103", 0) == 1,
		Photometric: f.text("00280004"),
	}
	_, single := f["7FE00008"]
	_, double := f["7FE00009"]
	s.Float = single || double
	s.Stored = f.whole("00280101", s.Allocated)
	s.High = f.whole("00280102", s.Stored-1)
	s.Planar = s.Samples > 1 && f.whole("00280006", 0) == 1
	return s
}

// window is the range of stored values drawn from black to white.
type window struct {
	given     bool
	low, high float64
}

// window undoes the rescaling of the values, so that it fits the stored ones.
func (f facts) window() window {
	center, ok := f.number("00281050")
	width, also := f.number("00281051")
	if !ok || !also || !(width > 0) {
		return window{}
	}
	slope, ok := f.number("00281053")
	if !ok || slope == 0 {
		slope = 1
	}
	intercept, _ := f.number("00281052")
	low, high := (center-width/2-intercept)/slope, (center+width/2-intercept)/slope
	return window{given: low < high, low: low, high: high}
}

// palette maps an index to red, green and blue from 0 to 1; where the tables are not
// inline, or segmented, nil: the indices are drawn as grey in all three.
func (f facts) palette() func(uint64) [3]float64 {
	type table struct {
		first int64
		data  []byte
		wide  bool
		count int64
	}
	var tables [3]table
	for i, tag := range []string{"0028110", "0028120"} {
		for c := range tables {
			field := f[tag+strconv.Itoa(c+1)]
			t := &tables[c]
			if i == 1 {
				t.data = field.InlineBinary
				t.wide = int64(len(t.data)) >= 2*t.count
				continue
			}
			if len(field.Value) == 3 {
				t.count, _ = strconv.ParseInt(string(field.Value[0]), 10, 32)
				t.first, _ = strconv.ParseInt(string(field.Value[1]), 10, 32)
			}
			if t.count == 0 {
				t.count = 1 << 16
			}
		}
	}
	for _, t := range tables {
		if t.count < 0 || int64(len(t.data)) < t.count {
			return func(index uint64) [3]float64 {
				grey := float64(index&0xFF) / 255
				return [3]float64{grey, grey, grey}
			}
		}
	}
	return func(index uint64) (rgb [3]float64) {
		for c, t := range tables {
			i := min(max(int64(index)-t.first, 0), t.count-1)
			if t.wide {
				rgb[c] = float64(binary.LittleEndian.Uint16(t.data[2*i:])) / 0xFFFF
			} else {
				rgb[c] = float64(t.data[i]) / 0xFF
			}
		}
		return rgb
	}
}
