package dicom_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/imagingtest"
	"medvault/imaging/pixel"
)

const classes = "1.2.840.10008.5.1.4.1.1."

// TestWhyAPictureIsHeld looks at the codes of the built-in rules.
func TestWhyAPictureIsHeld(t *testing.T) {
	add := func(tag uint32, vr string, value any) []imagingtest.Element {
		return []imagingtest.Element{{Tag: tag, VR: vr, Value: value}}
	}
	const imageType = 0x00080008
	for name, c := range map[string]struct {
		o    imagingtest.Options
		want string // codes, "" when shown
	}{
		"CT":                        {imagingtest.Options{}, ""},
		"CT marked clean":           {imagingtest.Options{BurnedIn: "NO"}, ""},
		"CT marked":                 {imagingtest.Options{BurnedIn: "YES"}, "burned-in-annotation"},
		"CT marked otherwise":       {imagingtest.Options{BurnedIn: "MAYBE"}, "burned-in-annotation"},
		"CT of another modality":    {imagingtest.Options{Extra: add(0x00080060, "CS", "OT")}, "other-modality"},
		"CT in colour":              {imagingtest.Options{Modality: "US", SOPClass: classes + "2", Extra: add(0x00080060, "CS", "CT")}, "colour"},
		"reformatted":               {imagingtest.Options{Extra: add(imageType, "CS", `DERIVED\SECONDARY\MPR`)}, ""},
		"reformatted for a screen":  {imagingtest.Options{Extra: append(add(imageType, "CS", `DERIVED\SECONDARY\MPR`), add(0x00280101, "US", []uint16{8})...)}, "derived-screen-depth"},
		"screen":                    {imagingtest.Options{Extra: add(imageType, "CS", `DERIVED\SECONDARY\SCREEN SAVE`)}, "screen-capture"},
		"screen in small letters":   {imagingtest.Options{Extra: add(imageType, "CS", `DERIVED\SECONDARY\Screen save`)}, "screen-capture"},
		"dose":                      {imagingtest.Options{Extra: add(imageType, "CS", `DERIVED\SECONDARY\DOSE_INFO`)}, "dose-screen"},
		"report":                    {imagingtest.Options{Extra: add(imageType, "CS", `DERIVED\SECONDARY\REPORT`)}, "report-screen"},
		"conversion":                {imagingtest.Options{Extra: add(0x00080064, "CS", "WSD")}, "secondary-capture"},
		"secondary capture":         {imagingtest.Options{Modality: "SC"}, "colour secondary-capture"},
		"ultrasound":                {imagingtest.Options{Modality: "US"}, "colour ultrasound"},
		"overlay in the pixels":     {imagingtest.Options{Extra: add(0x60000102, "US", []uint16{12})}, "overlay-in-pixels"},
		"angiography":               {imagingtest.Options{Modality: "XA"}, "unmarked"},
		"angiography marked clean":  {imagingtest.Options{Modality: "XA", BurnedIn: "NO"}, ""},
		"angiography, derived":      {imagingtest.Options{Modality: "XA", BurnedIn: "NO", Extra: add(imageType, "CS", `DERIVED\PRIMARY`)}, "unmarked"},
		"photograph":                {imagingtest.Options{Modality: "XC"}, "colour"},
		"class of no rule":          {imagingtest.Options{SOPClass: classes + "77.1.5.2"}, "unknown-picture"},
		"slide":                     {imagingtest.Options{SOPClass: classes + "77.1.6", Extra: add(imageType, "CS", `ORIGINAL\PRIMARY\LABEL\NONE`)}, "slide-label"},
		"document":                  {imagingtest.Options{Modality: "DOC"}, "encapsulated-document"},
		"report of structured text": {imagingtest.Options{Modality: "SR"}, ""},
		"structured with a picture": {imagingtest.Options{SOPClass: classes + "88.33"}, "unknown-picture"},
		"presentation state":        {imagingtest.Options{Modality: "PR"}, ""},
		"contours":                  {imagingtest.Options{Modality: "RTSTRUCT"}, ""},
		"waveform":                  {imagingtest.Options{Modality: "ECG"}, ""},
		"voice":                     {imagingtest.Options{Modality: "ECG", SOPClass: classes + "9.4.1"}, "unknown-picture"},
		"video":                     {imagingtest.Options{TransferSyntax: "1.2.840.10008.1.2.4.102", Encapsulated: true}, "beside-the-picture video"},
		"segmentation":              {imagingtest.Options{SOPClass: classes + "66.4", Extra: add(0x00080060, "CS", "SEG")}, ""},
		"dose grid":                 {imagingtest.Options{SOPClass: classes + "481.2", Extra: add(0x00080060, "CS", "RTDOSE")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Rows, c.o.Columns, c.o.Plain = 8, 8, true
			_, out, _, _, err := scrub(bytes.NewReader(imagingtest.CT(imagingtest.NewPatient(5), c.o)))
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(out.Report.Reasons, " "); got != c.want || (out.Held == "") != (c.want == "") {
				t.Errorf("held %q for %q; want %q", out.Held, got, c.want)
			}
		})
	}
}

// ultrasound is a picture with words in its first rows and one region below them.
func ultrasound(more ...imagingtest.Element) drawn {
	d := drawn{burned: "NO", shape: pixel.Shape{Rows: 20, Columns: 30, Frames: 2, Samples: 1, Allocated: 8, Stored: 8, High: 7, Photometric: "MONOCHROME2"}}
	region := func(x0, y0, x1, y1 uint32) imagingtest.Item {
		var item imagingtest.Item
		for i, v := range []uint32{x0, y0, x1, y1} {
			item = append(item, imagingtest.Element{Tag: 0x00186018 + 2*uint32(i), VR: "UL", Value: []uint32{v}})
		}
		return item
	}
	d.extra = append([]imagingtest.Element{
		{Tag: 0x00080008, VR: "CS", Value: `ORIGINAL\PRIMARY`},
		{Tag: 0x00080016, VR: "UI", Value: classes + "3.1"},
		{Tag: 0x00080060, VR: "CS", Value: "US"},
		{Tag: 0x00080070, VR: "LO", Value: "Example Medical Ltd"},
		{Tag: 0x00081090, VR: "LO", Value: "E9"},
		{Tag: 0x00186011, VR: "SQ", Value: []imagingtest.Item{region(5, 4, 14, 18), region(15, 4, 28, 10)}},
	}, more...)
	return d
}

// outsideOfRegions covers what the regions above do not.
var outsideOfRegions = []imaging.Mask{
	{X: 0, Y: 0, Width: 30, Height: 4},
	{X: 0, Y: 4, Width: 5, Height: 7}, {X: 29, Y: 4, Width: 1, Height: 7},
	{X: 0, Y: 11, Width: 5, Height: 8}, {X: 15, Y: 11, Width: 15, Height: 8},
	{X: 0, Y: 19, Width: 30, Height: 1},
}

func TestUltrasoundRegionsSuggestMasks(t *testing.T) {
	d := ultrasound()
	out, content := released(t, d.document(d.noise(1)), nil)
	if out.Held != forReview || !slices.Equal(out.Report.Suggest, outsideOfRegions) {
		t.Errorf("held %q, suggested %v; want %v", out.Held, out.Report.Suggest, outsideOfRegions)
	}
	if !bytes.HasSuffix(content, d.noise(1)) {
		t.Error("pixels have changed")
	}
}

// TestRulesOfADeployment stand before the built-in ones.
func TestRulesOfADeployment(t *testing.T) {
	left := []imaging.Mask{{X: 0, Y: 0, Width: 7, Height: 20}, {X: 20, Y: 0, Width: 2, Height: 3}}
	for name, c := range map[string]struct {
		rules  string
		held   string
		pixels string
		masks  []imaging.Mask
		reason string
	}{
		"masks of a device":          {`mask 0,0,7,20 20,0,2,3 when modality=US manufacturer="example MEDICAL*" model=E? rows=20 columns=30 # ours`, "", "masked", left, ""},
		"outside of regions":         {"mask outside-regions when regions=yes class=.3.1", "", "masked", outsideOfRegions, ""},
		"first line counts":          {"pass when modality=US\nmask 0,0,1,1 when modality=US", "", "untouched", nil, ""},
		"another device":             {"mask 0,0,7,20 when modality=US model=F9", forReview, "untouched", nil, "ultrasound"},
		"not this device":            {"pass when model!=E9|F9", forReview, "untouched", nil, "ultrasound"},
		"a reason of one's own":      {"hold old-device when model=e9", forReview, "untouched", nil, "old-device"},
		"a mask that does not fit":   {"mask 0,0,31,20 when modality=US", forReview, "untouched", nil, "mask-impossible"},
		"a sign that is not there":   {"pass when conversion!=absent", forReview, "untouched", nil, "ultrasound"},
		"a sign that must not be":    {"pass when conversion=absent burned-in=no pixels=yes bits=8 image-type=original\\*", "", "untouched", nil, ""},
		"one value of several":       {"pass when image-type=PRIMARY", "", "untouched", nil, ""},
		"nothing, only a comment # ": {"# nothing", forReview, "untouched", nil, "ultrasound"},
	} {
		t.Run(name, func(t *testing.T) {
			rules, err := dicom.ParsePixelRules([]byte(c.rules))
			if err != nil {
				t.Fatal(err)
			}
			s := dicom.With(dicom.Config{Pixels: rules})
			d := ultrasound()
			before := d.noise(4)
			original := d.document(bytes.Clone(before))
			out, content, script, err := scrubReleased(s, original, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := restored(original, content, script); err != nil {
				t.Error(err)
			}
			if out.Held != c.held || out.Report.Pixels != c.pixels {
				t.Errorf("held %q, pixels %q; want %q, %q", out.Held, out.Report.Pixels, c.held, c.pixels)
			}
			if c.reason != "" && !slices.Contains(out.Report.Reasons, c.reason) {
				t.Errorf("reasons %v; want %s", out.Report.Reasons, c.reason)
			}
			if err := compare(d, before, d, content[len(content)-len(before):], c.masks); err != nil {
				t.Error(err)
			}
			if s.Rules().Digest == dicom.New().Rules().Digest {
				t.Error("the digest does not tell the rules from the built-in ones")
			}
		})
	}
}

// TestPicturesBehindALongValue are judged by what comes after it as well.
func TestPicturesBehindALongValue(t *testing.T) {
	long := imagingtest.Element{Tag: 0x00251010, VR: "OB", Value: make([]byte, 1<<20+2)}
	for name, c := range map[string]struct {
		o    imagingtest.Options
		want []string
	}{
		"CT":          {imagingtest.Options{}, nil},
		"CT marked":   {imagingtest.Options{BurnedIn: "YES"}, []string{"burned-in-annotation"}},
		"report":      {imagingtest.Options{Modality: "SR"}, nil},
		"with pixels": {imagingtest.Options{SOPClass: classes + "88.33"}, []string{"unknown-picture"}},
		"ultrasound":  {imagingtest.Options{Modality: "US"}, []string{"colour", "ultrasound"}},
	} {
		c.o.Rows, c.o.Columns, c.o.Plain, c.o.Extra = 8, 8, true, []imagingtest.Element{long}
		out, _ := released(t, imagingtest.CT(imagingtest.NewPatient(5), c.o), nil)
		if !slices.Equal(out.Report.Reasons, c.want) || (out.Held == "") != (c.want == nil) {
			t.Errorf("%s: held %q for %v; want %v", name, out.Held, out.Report.Reasons, c.want)
		}
	}
	rules, err := dicom.ParsePixelRules([]byte("mask 0,0,1,1 when class=*"))
	if err != nil {
		t.Fatal(err)
	}
	out, _, _, err := scrubReleased(dicom.With(dicom.Config{Pixels: rules}),
		imagingtest.CT(imagingtest.NewPatient(5), imagingtest.Options{Rows: 8, Columns: 8, Extra: []imagingtest.Element{long}}), nil)
	if err != nil || !slices.Contains(out.Report.Reasons, "mask-impossible") {
		t.Errorf("masked: held %q for %v (%v); want mask-impossible", out.Held, out.Report.Reasons, err)
	}
}

// TestAMaskIsNoPass: a rule for the pictures of a device says nothing of its documents.
func TestAMaskIsNoPass(t *testing.T) {
	for _, text := range []string{"mask 0,0,1,1 when manufacturer=*", "mask outside-regions when manufacturer=*"} {
		rules, err := dicom.ParsePixelRules([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		original := imagingtest.CT(imagingtest.NewPatient(5), imagingtest.Options{Modality: "DOC"})
		out, _, _, err := scrubReleased(dicom.With(dicom.Config{Pixels: rules}), original, nil)
		if err != nil || out.Held != forReview {
			t.Errorf("%s: held %q (%v); want %s", text, out.Held, err, forReview)
		}
	}
}

// TestRuleMasksThatCannotBePainted hold the document; nobody is there to refuse it to.
func TestRuleMasksThatCannotBePainted(t *testing.T) {
	rules, err := dicom.ParsePixelRules([]byte("mask 0,0,1,1 when modality=US"))
	if err != nil {
		t.Fatal(err)
	}
	s := dicom.With(dicom.Config{Pixels: rules})
	d := ultrasound()
	d.shape.Rows, d.shape.Columns = 8, 8
	good, bad := string(picture(t, 8, 8, 1, false)), string(picture(t, 9, 8, 1, false))
	table := binary.LittleEndian.AppendUint32(make([]byte, 4), uint32(len(good)+8))
	for name, c := range map[string]struct {
		syntax string
		pixels []byte
		reason string
	}{
		"JPEG 2000":         {imagingtest.JPEG2000, fragments("", j2k(), j2k()), "mask-impossible"},
		"a broken frame":    {jpegBaseline, fragments("", good, bad), "frame-not-decoded"},
		"a missing frame":   {jpegBaseline, fragments("", good), "frame-not-decoded"},
		"a frame too many":  {jpegBaseline, fragments("", good, good, good), "frame-not-decoded"},
		"no frames":         {jpegBaseline, fragments(""), "frame-not-decoded"},
		"RLE that is none":  {pixel.RLE, fragments("", good, good), "frame-not-decoded"},
		"RLE in one piece":  {pixel.RLE, fragments(string(table), good), "frame-not-decoded"},
		"RLE, no fragments": {pixel.RLE, fragments(""), "frame-not-decoded"},
	} {
		t.Run(name, func(t *testing.T) {
			d := d
			d.syntax = c.syntax
			original := d.document(c.pixels)
			out, content, script, err := scrubReleased(s, original, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := restored(original, content, script); err != nil {
				t.Error(err)
			}
			if out.Held != forReview || !slices.Contains(out.Report.Reasons, c.reason) {
				t.Errorf("held %q for %v; want %s for %s", out.Held, out.Report.Reasons, forReview, c.reason)
			}
			// A person who has looked at it may still let it go.
			if out, _, _, err := scrubReleased(s, original, &imaging.Release{Accept: []string{forReview}}); err != nil || out.Held != "" {
				t.Errorf("accepted, but held %q (%v)", out.Held, err)
			}
		})
	}
}

func TestRulesThatCannotBeRead(t *testing.T) {
	for rules, want := range map[string]string{
		"pass":                                    "line 1",
		"pass when":                               "line 1",
		"# fine\n\nhold when modality=CT":         "line 3",
		"hold Not-a-code when modality=CT":        "code",
		"mask when modality=CT":                   "line 1",
		"mask 1,2,3 when modality=CT":             "X,Y,WIDTH,HEIGHT",
		"mask 1,2,0,3 when modality=CT":           "at least 1",
		"mask 1,2,-4,3 when modality=CT":          "whole numbers",
		"mask outside-regions 1,2,3,4 when rows=": "line 1",
		"show when modality=CT":                   "write pass",
		"pass when station=CT":                    "no key",
		"pass when modality":                      "KEY=PATTERN",
		`pass when model="CT`:                     "quote",
		"when pass":                               "line 1",
		strings.Repeat("#", 1<<20+1):              "1 MiB",
	} {
		if _, err := dicom.ParsePixelRules([]byte(rules)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v; want an error with %q", rules, err, want)
		}
	}
}

func FuzzPixelRules(f *testing.F) {
	f.Add("mask 0,0,7,20 20,0,2,3 when modality=US manufacturer=\"example*\" # ours\nhold a when rows!=3|4")
	f.Add("pass when class=.2*?*")
	f.Add("mask outside-regions when regions=yes")
	d := ultrasound()
	original := d.document(d.noise(1))
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := dicom.ParsePixelRules([]byte(text))
		if err != nil {
			return
		}
		out, content, script, err := scrubReleased(dicom.With(dicom.Config{Pixels: rules}), original, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := restored(original, content, script); err != nil {
			t.Error(err)
		}
		if out.Held == "" && !strings.Contains(text, "pass") && !strings.Contains(text, "mask") {
			t.Error("shown, though no rule says so")
		}
	})
}
