package dicom_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	stdjpeg "image/jpeg"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/imagingtest"
	"medvault/imaging/pixel"
)

const jpegBaseline = imagingtest.JPEG

// drawn is a document with pixels of any shape, and what a mask has to leave of them.
type drawn struct {
	syntax string
	shape  pixel.Shape
	vr     string // of native pixels, default OW
	burned string
	extra  []imagingtest.Element
}

func (d drawn) elements() []imagingtest.Element {
	s := d.shape
	list := []imagingtest.Element{
		{Tag: 0x00280002, VR: "US", Value: []uint16{uint16(s.Samples)}},
		{Tag: 0x00280004, VR: "CS", Value: s.Photometric},
		{Tag: 0x00280008, VR: "IS", Value: fmt.Sprint(s.Frames)},
		{Tag: 0x00280010, VR: "US", Value: []uint16{uint16(s.Rows)}},
		{Tag: 0x00280011, VR: "US", Value: []uint16{uint16(s.Columns)}},
		{Tag: 0x00280100, VR: "US", Value: []uint16{uint16(s.Allocated)}},
		{Tag: 0x00280101, VR: "US", Value: []uint16{uint16(s.Stored)}},
		{Tag: 0x00280102, VR: "US", Value: []uint16{uint16(s.High)}},
		{Tag: 0x00280103, VR: "US", Value: []uint16{map[bool]uint16{true: 1}[s.Signed]}},
	}
	if s.Samples > 1 {
		list = append(list, imagingtest.Element{Tag: 0x00280006, VR: "US", Value: []uint16{map[bool]uint16{true: 1}[s.Planar]}})
	}
	return append(list, d.extra...)
}

// document puts the value of pixel data behind the attributes.
func (d drawn) document(pixels []byte) []byte {
	if d.syntax == "" {
		d.syntax = imagingtest.ExplicitLE
	}
	burned := d.burned
	if burned == "" {
		burned = "YES"
	}
	doc := imagingtest.CT(imagingtest.NewPatient(5), imagingtest.Options{TransferSyntax: d.syntax, Frames: 1, BurnedIn: burned, Plain: true,
		SOPClass: "1.2.840.10008.5.1.4.1.1.7", Extra: d.elements(), Omit: []uint32{0x7FE00010}})
	switch {
	case pixels == nil:
		return doc
	case !d.native():
		return append(doc, pixels...)
	}
	vr := d.vr
	if vr == "" {
		vr = "OW"
	}
	pixels = append(pixels, make([]byte, len(pixels)%2)...)
	if d.syntax == imagingtest.BigEndian {
		doc = append(doc, "\x7F\xE0\x00\x10"+vr+"\x00\x00"...)
		return append(binary.BigEndian.AppendUint32(doc, uint32(len(pixels))), pixels...)
	}
	return append(doc, whole(0x7FE00010, vr, string(pixels))...)
}

func (d drawn) native() bool {
	return d.syntax == imagingtest.ExplicitLE || d.syntax == imagingtest.BigEndian || d.syntax == ""
}

// word is how many bytes are turned round in the pixel data.
func (d drawn) word() int {
	switch {
	case d.syntax != imagingtest.BigEndian:
		return 1
	case d.shape.Allocated > 8:
		return (d.shape.Allocated + 7) / 8
	case d.vr == "" || d.vr == "OW":
		return 2
	}
	return 1
}

// noise is a value of native pixels for the whole shape.
func (d drawn) noise(seed uint64) []byte {
	b := make([]byte, (int64(d.shape.Frames)*d.shape.FrameBits()+7)/8)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return append(b, make([]byte, len(b)%2)...)
}

// sample reads one sample, slowly and bit by bit.
func (d drawn) sample(b []byte, frame, x, y, sample int) (value uint64) {
	s, word := d.shape, d.word()
	at := int64(frame) * s.FrameBits()
	n := int64(s.Allocated)
	switch {
	case s.Subsampled():
		pair := at + (int64(y)*int64(s.Columns)/2+int64(x/2))*32
		at = pair + []int64{int64(x % 2), 2, 3}[sample]*8
	case s.Planar:
		at += (int64(sample*s.Rows+y)*int64(s.Columns) + int64(x)) * n
	default:
		at += ((int64(y)*int64(s.Columns)+int64(x))*int64(s.Samples) + int64(sample)) * n
	}
	for k := range n {
		i := int((at + k) / 8)
		i = i - i%word + word - 1 - i%word
		value |= uint64(b[i]>>((at+k)%8)&1) << k
	}
	return value
}

func under(masks []imaging.Mask, frame, x, y int) bool {
	return slices.ContainsFunc(masks, func(m imaging.Mask) bool {
		return (m.Frame == 0 || m.Frame == frame+1) && x >= m.X && x < m.X+m.Width && y >= m.Y && y < m.Y+m.Height
	})
}

// compare reports the first pixel that is not what masks have to leave.
func compare(was drawn, before []byte, is drawn, after []byte, masks []imaging.Mask) error {
	black := is.shape.Black(0)
	for f := range was.shape.Frames {
		for y := range was.shape.Rows {
			for x := range was.shape.Columns {
				hidden := under(masks, f, x, y)
				if was.shape.Subsampled() && is.shape.Subsampled() { // neighbours share their chroma
					hidden = hidden || under(masks, f, x^1, y)
				}
				for s := range was.shape.Samples {
					want := was.sample(before, f, x, y, s)
					if hidden {
						want = black[s]
					}
					if got := is.sample(after, f, x, y, s); got != want {
						return fmt.Errorf("frame %d, x %d, y %d, sample %d: %#x; want %#x (masked: %v)", f+1, x, y, s, got, want, hidden)
					}
				}
			}
		}
	}
	return nil
}

// released scrubs a document with what a person decided, and restores it.
func released(t *testing.T, original []byte, release *imaging.Release) (imaging.Scrubbed, []byte) {
	t.Helper()
	out, content, script, err := scrubReleased(dicom.New(), original, release)
	if err != nil {
		t.Fatal(err)
	}
	if err := restored(original, content, script); err != nil {
		t.Error(err)
	}
	return out, content
}

func scrubReleased(s dicom.Scrubber, original []byte, release *imaging.Release) (out imaging.Scrubbed, content, script []byte, err error) {
	from := &socket{r: bytes.NewReader(original), h: sha256.New()}
	in, err := s.Begin(from)
	if err != nil {
		return out, nil, nil, err
	}
	var c, p bytes.Buffer
	out, err = in.Scrub(pseudonyms(in.Identity().PatientID), release, from.original, &c, &p)
	return out, c.Bytes(), p.Bytes(), err
}

// frameBytes is what the frame table says the frames are.
func frameBytes(t *testing.T, out imaging.Scrubbed, content []byte) (frames [][]byte) {
	t.Helper()
	table := out.Facts.Frames
	if table == nil {
		t.Fatal("no frame table")
	}
	for f := range table.Count {
		var b []byte
		if table.Fragments == nil {
			b = content[table.Offset+int64(f)*table.Length:][:table.Length]
		} else {
			for _, g := range table.Fragments[f] {
				b = append(b, content[g[0]:g[0]+g[1]]...)
			}
		}
		frames = append(frames, b)
	}
	return frames
}

func shownValue(t *testing.T, out imaging.Scrubbed, tag string) string {
	t.Helper()
	var all map[string]struct{ Value []any }
	if err := json.Unmarshal(out.Facts.Attributes, &all); err != nil {
		t.Fatal(err)
	}
	if len(all[tag].Value) == 0 {
		return ""
	}
	return fmt.Sprint(all[tag].Value[0])
}

var corners = []imaging.Mask{
	{X: 0, Y: 0, Width: 3, Height: 2},
	{X: 2, Y: 1, Width: 4, Height: 3},
	{Frame: 2, X: 5, Y: 5, Width: 2, Height: 1},
}

// TestMasksOnNativePixels paints over every way that native pixels lie.
func TestMasksOnNativePixels(t *testing.T) {
	shape := func(photometric string, allocated, stored, high int) pixel.Shape {
		samples := 1
		if photometric == "RGB" || strings.HasPrefix(photometric, "YBR") {
			samples = 3
		}
		return pixel.Shape{Rows: 7, Columns: 9, Frames: 3, Samples: samples, Allocated: allocated, Stored: stored, High: high, Photometric: photometric}
	}
	signed := func(s pixel.Shape) pixel.Shape { s.Signed = true; return s }
	planar := func(s pixel.Shape) pixel.Shape { s.Planar = true; return s }
	even := func(s pixel.Shape) pixel.Shape { s.Columns = 10; return s }
	for name, d := range map[string]drawn{
		"8 bit":                            {shape: shape("MONOCHROME2", 8, 8, 7)},
		"8 bit, inverted":                  {shape: shape("MONOCHROME1", 8, 8, 7), vr: "OB"},
		"12 in 16 bit":                     {shape: shape("MONOCHROME2", 16, 12, 11)},
		"12 in 16 bit, upper, inverted":    {shape: shape("MONOCHROME1", 16, 12, 15)},
		"16 bit signed":                    {shape: signed(shape("MONOCHROME2", 16, 16, 15))},
		"12 in 16 bit signed":              {shape: signed(shape("MONOCHROME2", 16, 12, 11))},
		"32 bit":                           {shape: shape("MONOCHROME2", 32, 32, 31)},
		"1 bit":                            {shape: shape("MONOCHROME2", 1, 1, 0)},
		"1 bit, inverted":                  {shape: shape("MONOCHROME1", 1, 1, 0)},
		"4 bit":                            {shape: shape("MONOCHROME1", 4, 4, 3)},
		"12 bit packed":                    {shape: shape("MONOCHROME1", 12, 12, 11)},
		"big endian, 8 bit in bytes":       {shape: shape("MONOCHROME1", 8, 8, 7), vr: "OB", syntax: imagingtest.BigEndian},
		"big endian, 8 bit in words":       {shape: shape("MONOCHROME1", 8, 8, 7), syntax: imagingtest.BigEndian},
		"big endian, 12 in 16 bit":         {shape: shape("MONOCHROME1", 16, 12, 11), syntax: imagingtest.BigEndian},
		"big endian, 16 bit signed":        {shape: signed(shape("MONOCHROME2", 16, 16, 15)), syntax: imagingtest.BigEndian},
		"big endian, 32 bit":               {shape: shape("MONOCHROME1", 32, 20, 19), syntax: imagingtest.BigEndian},
		"big endian, 1 bit":                {shape: shape("MONOCHROME1", 1, 1, 0), syntax: imagingtest.BigEndian},
		"RGB by pixel":                     {shape: shape("RGB", 8, 8, 7), vr: "OB"},
		"RGB by plane":                     {shape: planar(shape("RGB", 8, 8, 7)), vr: "OB"},
		"RGB by plane, 16 bit":             {shape: planar(shape("RGB", 16, 16, 15))},
		"RGB by pixel, 16 bit, big endian": {shape: shape("RGB", 16, 16, 15), syntax: imagingtest.BigEndian},
		"YBR by pixel":                     {shape: shape("YBR_FULL", 8, 8, 7), vr: "OB"},
		"YBR by plane":                     {shape: planar(shape("YBR_FULL", 8, 8, 7)), vr: "OB"},
		"YBR, shared chroma":               {shape: even(shape("YBR_FULL_422", 8, 8, 7)), vr: "OB"},
		"YBR of studio levels":             {shape: even(shape("YBR_PARTIAL_422", 8, 8, 7)), vr: "OB"},
	} {
		t.Run(name, func(t *testing.T) {
			before := d.noise(7)
			out, content := released(t, d.document(bytes.Clone(before)), &imaging.Release{Masks: corners})
			if out.Held != "" || out.Report.Pixels != "masked" {
				t.Errorf("held %q, pixels %q; want none, masked", out.Held, out.Report.Pixels)
			}
			if got := shownValue(t, out, "00280301"); got != "NO" {
				t.Errorf("Burned In Annotation %q; want NO", got)
			}
			after := content[len(content)-len(before):]
			if err := compare(d, before, d, after, corners); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestMaskedPalette wants the darkest colour, wherever it is in the palette.
func TestMaskedPalette(t *testing.T) {
	d := drawn{shape: pixel.Shape{Rows: 4, Columns: 4, Frames: 1, Samples: 1, Allocated: 8, Stored: 8, High: 7, Photometric: "PALETTE COLOR"}}
	for i := range uint32(3) {
		d.extra = append(d.extra,
			imagingtest.Element{Tag: 0x00281101 + i, VR: "US", Value: []uint16{4, 10, 16}},
			imagingtest.Element{Tag: 0x00281201 + i, VR: "OW", Value: []uint16{900, 800, 20 * uint16(i), 1000}})
	}
	before := d.noise(1)
	_, content := released(t, d.document(bytes.Clone(before)), &imaging.Release{Masks: []imaging.Mask{{X: 1, Y: 1, Width: 1, Height: 1}}})
	after := content[len(content)-len(before):]
	before[5] = 12
	if !bytes.Equal(before, after) {
		t.Errorf("pixels are %v; want %v", after, before)
	}
}

// TestMasksOnRLE wants painted frames coded again, and the others as they were.
func TestMasksOnRLE(t *testing.T) {
	for name, s := range map[string]pixel.Shape{
		"16 bit": {Samples: 1, Allocated: 16, Stored: 12, High: 11, Photometric: "MONOCHROME1"},
		"8 bit":  {Samples: 1, Allocated: 8, Stored: 8, High: 7, Photometric: "MONOCHROME2"},
		"colour": {Samples: 3, Allocated: 8, Stored: 8, High: 7, Photometric: "RGB", Planar: true},
	} {
		for _, frames := range []int{1, 3} {
			t.Run(fmt.Sprint(name, ", frames ", frames), func(t *testing.T) {
				s.Rows, s.Columns, s.Frames = 7, 9, frames
				flat := s
				flat.Planar = false
				was := drawn{shape: flat}
				before := was.noise(3)[:flat.FrameBits()/8*int64(frames)]
				var parts []string
				var offsets string
				for f := range frames {
					frame, err := pixel.EncodeRLE(s, before[flat.FrameBits()/8*int64(f):][:flat.FrameBits()/8])
					if err != nil {
						t.Fatal(err)
					}
					offsets += string(binary.LittleEndian.AppendUint32(nil, uint32(len(strings.Join(parts, ""))+8*f)))
					parts = append(parts, string(frame))
				}
				masks := corners[:2]
				if frames > 1 {
					masks = []imaging.Mask{{Frame: 2, X: 1, Y: 2, Width: 5, Height: 3}, {Frame: 3, X: 0, Y: 0, Width: 9, Height: 7}}
				}
				d := drawn{shape: s, syntax: pixel.RLE}
				out, content := released(t, d.document(fragments(offsets, parts...)), &imaging.Release{Masks: masks})
				if out.Held != "" || out.Report.Pixels != "masked" || out.Facts.TransferSyntax != pixel.RLE {
					t.Errorf("held %q, pixels %q, syntax %s", out.Held, out.Report.Pixels, out.Facts.TransferSyntax)
				}
				var after []byte
				for f, frame := range frameBytes(t, out, content) {
					if frames > 1 && f == 0 && string(frame) != parts[0] {
						t.Error("a frame without masks has changed")
					}
					samples, err := pixel.Decode(pixel.RLE, s, frame)
					if err != nil {
						t.Fatal(err)
					}
					after = append(after, samples...)
				}
				if err := compare(was, before, was, after, masks); err != nil {
					t.Error(err)
				}
				_, again, _, _, err := scrub(bytes.NewReader(content))
				if err != nil || again.Facts.Frames == nil || again.Facts.Frames.Count != frames {
					t.Errorf("the content is not read back: %v", err)
				}
			})
		}
	}
}

// picture is a JPEG of so many rows and columns.
func picture(t testing.TB, rows, columns, seed int, colour bool) []byte {
	t.Helper()
	var m image.Image
	grey, rgb := image.NewGray(image.Rect(0, 0, columns, rows)), image.NewRGBA(image.Rect(0, 0, columns, rows))
	for y := range rows {
		for x := range columns {
			grey.SetGray(x, y, color.Gray{uint8(9*x + y*seed)})
			rgb.SetRGBA(x, y, color.RGBA{uint8(9 * x), uint8(7 * y * seed), uint8(x * y), 255})
		}
	}
	if m = grey; colour {
		m = rgb
	}
	var b bytes.Buffer
	if err := stdjpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestMasksOnJPEG wants the decoded samples, native, and attributes that say so.
func TestMasksOnJPEG(t *testing.T) {
	for name, colour := range map[string]bool{"grey": false, "colour": true} {
		t.Run(name, func(t *testing.T) {
			s := pixel.Shape{Rows: 21, Columns: 33, Frames: 2, Samples: 1, Allocated: 8, Stored: 8, High: 7, Photometric: "MONOCHROME2"}
			if colour {
				s.Samples, s.Photometric = 3, "YBR_FULL_422"
			}
			as, err := pixel.Decodes(jpegBaseline, s)
			if err != nil {
				t.Fatal(err)
			}
			was := drawn{shape: as}
			var before []byte
			var parts []string
			for f := range 2 {
				coded := picture(t, 21, 33, f+1, colour)
				samples, err := pixel.Decode(jpegBaseline, s, coded)
				if err != nil {
					t.Fatal(err)
				}
				before = append(before, samples...)
				half := len(coded) / 2 &^ 1
				parts = append(parts, string(coded[:half]), string(coded[half:]))
			}
			d := drawn{shape: s, syntax: jpegBaseline}
			masks := []imaging.Mask{{X: 1, Y: 2, Width: 30, Height: 5}, {Frame: 2, X: 0, Y: 20, Width: 33, Height: 1}}
			out, content := released(t, d.document(fragments("", parts...)), &imaging.Release{Masks: masks})
			if out.Held != "" || out.Report.Pixels != "recoded" || out.Facts.TransferSyntax != imagingtest.ExplicitLE {
				t.Errorf("held %q, pixels %q, syntax %s", out.Held, out.Report.Pixels, out.Facts.TransferSyntax)
			}
			for tag, want := range map[string]string{"00280004": as.Photometric, "00280006": map[bool]string{true: "0"}[colour], "00280301": "NO"} {
				if got := shownValue(t, out, tag); got != want {
					t.Errorf("%s is %q; want %q", tag, got, want)
				}
			}
			if err := compare(was, before, was, slices.Concat(frameBytes(t, out, content)...), masks); err != nil {
				t.Error(err)
			}
			_, again, _, _, err := scrub(bytes.NewReader(content))
			if err != nil || again.Facts.Frames == nil || again.Facts.Frames.Count != 2 {
				t.Errorf("the content is not read back: %v", err)
			}
		})
	}
}

// TestMasksThatCannotBePainted are refused, and nothing is corrupted.
func TestMasksThatCannotBePainted(t *testing.T) {
	grey := pixel.Shape{Rows: 8, Columns: 8, Frames: 2, Samples: 1, Allocated: 8, Stored: 8, High: 7, Photometric: "MONOCHROME2"}
	native := drawn{shape: grey}
	one := imaging.Mask{X: 0, Y: 0, Width: 1, Height: 1}
	good := fragments("", string(picture(t, 8, 8, 1, false)), string(picture(t, 8, 8, 2, false)))
	for name, c := range map[string]struct {
		original []byte
		mask     imaging.Mask
		want     string
	}{
		"outside":               {native.document(native.noise(1)), imaging.Mask{X: 7, Y: 0, Width: 2, Height: 1}, "bad-mask"},
		"far outside":           {native.document(native.noise(1)), imaging.Mask{X: 1, Y: 0, Width: 1<<63 - 1, Height: 1}, "bad-mask"},
		"before the image":      {native.document(native.noise(1)), imaging.Mask{X: -1, Y: 0, Width: 1, Height: 1}, "bad-mask"},
		"no width":              {native.document(native.noise(1)), imaging.Mask{X: 1, Y: 0, Height: 1}, "bad-mask"},
		"negative height":       {native.document(native.noise(1)), imaging.Mask{X: 1, Y: 0, Width: 1, Height: -3}, "bad-mask"},
		"frame too high":        {native.document(native.noise(1)), imaging.Mask{Frame: 3, Width: 1, Height: 1}, "bad-mask"},
		"frame too low":         {native.document(native.noise(1)), imaging.Mask{Frame: -1, Width: 1, Height: 1}, "bad-mask"},
		"pixels too short":      {native.document(native.noise(1)[:100]), one, "mask-impossible"},
		"no pixels":             {native.document(nil), one, "mask-impossible"},
		"JPEG 2000":             {drawn{shape: grey, syntax: imagingtest.JPEG2000}.document(fragments("", j2k(), j2k())), one, "mask-impossible"},
		"JPEG of another size":  {drawn{shape: grey, syntax: jpegBaseline}.document(fragments("", string(picture(t, 9, 8, 1, false)), string(picture(t, 9, 8, 1, false)))), one, "mask-impossible"},
		"JPEG, a frame missing": {drawn{shape: grey, syntax: jpegBaseline}.document(fragments("", string(picture(t, 8, 8, 1, false)))), one, "mask-impossible"},
		"JPEG, a frame more":    {drawn{shape: grey, syntax: jpegBaseline}.document(append(good[:len(good)-8:len(good)-8], fragments("", string(picture(t, 8, 8, 1, false)))[20:]...)), one, "mask-impossible"},
		"RLE that is none":      {drawn{shape: grey, syntax: pixel.RLE}.document(fragments("", strings.Repeat("x", 90), strings.Repeat("y", 90))), one, "mask-impossible"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, _, err := scrubReleased(dicom.New(), c.original, &imaging.Release{Masks: []imaging.Mask{c.mask}})
			var refusal *imaging.Refusal
			if !errors.As(err, &refusal) || refusal.Code != c.want {
				t.Errorf("%v; want the refusal %s", err, c.want)
			}
		})
	}
	t.Run("too many", func(t *testing.T) {
		_, _, _, err := scrubReleased(dicom.New(), native.document(native.noise(1)), &imaging.Release{Masks: slices.Repeat([]imaging.Mask{one}, 1001)})
		var refusal *imaging.Refusal
		if !errors.As(err, &refusal) || refusal.Code != "bad-mask" {
			t.Errorf("%v; want the refusal bad-mask", err)
		}
	})
	t.Run("a thousand", func(t *testing.T) {
		if out, _ := released(t, native.document(native.noise(1)), &imaging.Release{Masks: slices.Repeat([]imaging.Mask{one}, 1000)}); out.Held != "" {
			t.Errorf("held %q", out.Held)
		}
	})
}

// TestReleaseWithoutMasks shows the picture as it is, on a person's word.
func TestReleaseWithoutMasks(t *testing.T) {
	d := drawn{shape: pixel.Shape{Rows: 8, Columns: 8, Frames: 1, Samples: 1, Allocated: 8, Stored: 8, High: 7, Photometric: "MONOCHROME2"}}
	before := d.noise(2)
	original := d.document(bytes.Clone(before))
	for name, c := range map[string]struct {
		release *imaging.Release
		held    string
		burned  string
	}{
		"nobody":        {nil, forReview, "YES"},
		"another code":  {&imaging.Release{Accept: []string{residual}}, forReview, "YES"},
		"the same code": {&imaging.Release{Accept: []string{forReview}}, "", "NO"},
	} {
		out, content := released(t, original, c.release)
		if out.Held != c.held || out.Report.Pixels != "untouched" || shownValue(t, out, "00280301") != c.burned {
			t.Errorf("%s: held %q, pixels %q, burned in %q; want %q, untouched, %q",
				name, out.Held, out.Report.Pixels, shownValue(t, out, "00280301"), c.held, c.burned)
		}
		if !bytes.HasSuffix(content, before) {
			t.Errorf("%s: pixels have changed", name)
		}
		if want := []string{"burned-in-annotation", "secondary-capture"}; !slices.Equal(out.Report.Reasons, want) {
			t.Errorf("%s: reasons %v; want %v", name, out.Report.Reasons, want)
		}
	}
	t.Run("what the picture does not show", func(t *testing.T) {
		native := string(d.noise(2))
		behind := d.document([]byte(native + hiddenName + " "))
		if out, _ := released(t, behind, nil); !slices.Contains(out.Report.Reasons, "beside-the-picture") {
			t.Errorf("reasons %v; want beside-the-picture", out.Report.Reasons)
		}
		jpeg := drawn{shape: d.shape, syntax: jpegBaseline}
		coded := picture(t, 8, 8, 1, false)
		words := jpeg.document(fragments("", string(coded[:2])+marker(0xFE, hiddenName)+string(coded[2:])))
		if out, content := released(t, words, &imaging.Release{Masks: []imaging.Mask{{Width: 1, Height: 1}}}); out.Held != "" || bytes.Contains(content, []byte(hiddenName)) {
			t.Errorf("held %q; want the words gone with the compression", out.Held)
		}
	})
}

// TestMasksOnDeflated has the original whole in the script.
func TestMasksOnDeflated(t *testing.T) {
	original := imagingtest.CT(imagingtest.NewPatient(5), imagingtest.Options{TransferSyntax: imagingtest.Deflated, Rows: 32, Columns: 40, BurnedIn: "YES"})
	out, content := released(t, original, &imaging.Release{Masks: []imaging.Mask{{X: 3, Y: 30, Width: 37, Height: 2}}})
	if out.Held != "" || out.Report.Pixels != "masked" {
		t.Errorf("held %q, pixels %q", out.Held, out.Report.Pixels)
	}
	if last := content[len(content)-37*2:]; !bytes.Equal(last, make([]byte, len(last))) {
		t.Error("the mask is not black")
	}
}

// FuzzMasks paints over any document and wants it back.
func FuzzMasks(f *testing.F) {
	shape := func(photometric string, samples, allocated int) pixel.Shape {
		return pixel.Shape{Rows: 6, Columns: 8, Frames: 2, Samples: samples, Allocated: allocated, Stored: allocated, High: allocated - 1, Photometric: photometric}
	}
	for _, d := range []drawn{
		{shape: shape("MONOCHROME1", 1, 16)}, {shape: shape("MONOCHROME2", 1, 1)}, {shape: shape("MONOCHROME1", 1, 12)},
		{shape: shape("RGB", 3, 8)}, {shape: shape("YBR_FULL_422", 3, 8)}, {shape: shape("PALETTE COLOR", 1, 8)},
		{shape: shape("MONOCHROME1", 1, 16), syntax: imagingtest.BigEndian},
	} {
		f.Add(d.document(d.noise(1)), 0, 1, 2, 3, 4)
	}
	coded := drawn{shape: shape("MONOCHROME1", 1, 16), syntax: pixel.RLE}
	frame, err := pixel.EncodeRLE(coded.shape, coded.noise(1)[:6*8*2])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(coded.document(fragments("", string(frame), string(frame))), 2, 0, 0, 8, 6)
	small := string(picture(f, 6, 8, 1, false))
	f.Add(drawn{shape: shape("MONOCHROME2", 1, 8), syntax: jpegBaseline}.document(fragments("", small, small)), 1, 0, 0, 8, 6)
	f.Add(imagingtest.CT(imagingtest.NewPatient(5), imagingtest.Options{TransferSyntax: imagingtest.Deflated, Rows: 8, Columns: 8}), 0, 1, 1, 1, 1)
	f.Fuzz(func(t *testing.T, original []byte, frame, x, y, width, height int) {
		mask := imaging.Mask{Frame: frame, X: x, Y: y, Width: width, Height: height}
		out, content, script, err := scrubReleased(dicom.New(), original, &imaging.Release{Masks: []imaging.Mask{mask}, Accept: []string{forReview}})
		var refusal *imaging.Refusal
		switch {
		case errors.As(err, &refusal):
			return
		case err != nil:
			t.Fatal(err)
		}
		if err := restored(original, content, script); err != nil {
			t.Fatal(err)
		}
		if out.Report.Pixels != "masked" && out.Report.Pixels != "recoded" {
			t.Errorf("pixels %q", out.Report.Pixels)
		}
		if out.Facts.Frames != nil {
			frameBytes(t, out, content) // they lie in the content
		}
	})
}
