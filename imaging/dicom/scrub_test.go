package dicom_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"medvault/imaging"
	"medvault/imaging/dicom"
	"medvault/imaging/imagingtest"
)

// TestIdentityOutAndBack goes through the ways a document can be written.
func TestIdentityOutAndBack(t *testing.T) {
	type row struct {
		name string
		o    imagingtest.Options
		held string
	}
	small := func(o imagingtest.Options) imagingtest.Options { o.Rows, o.Columns = 32, 48; return o }
	const review = "held-for-review"
	rows := []row{
		{"explicit", imagingtest.Options{}, ""},
		{"implicit", imagingtest.Options{TransferSyntax: imagingtest.ImplicitLE}, ""},
		{"big endian", imagingtest.Options{TransferSyntax: imagingtest.BigEndian}, ""},
		{"deflated", imagingtest.Options{TransferSyntax: imagingtest.Deflated}, ""},
		{"undefined lengths", imagingtest.Options{UndefinedLengths: true, Nesting: 9}, ""},
		{"implicit, undefined lengths", imagingtest.Options{UndefinedLengths: true, TransferSyntax: imagingtest.ImplicitLE}, ""},
		{"no preamble", imagingtest.Options{NoPreamble: true}, ""},
		{"identifier in the preamble", imagingtest.Options{Preamble: true}, ""},
		{"trailing padding", imagingtest.Options{Padding: 5000}, ""},
		{"frames", imagingtest.Options{Frames: 5}, ""},
		{"JPEG 2000", imagingtest.Options{TransferSyntax: imagingtest.JPEG2000, Frames: 4}, ""},
		{"JPEG 2000, offset table", imagingtest.Options{TransferSyntax: imagingtest.JPEG2000, Frames: 4, OffsetTable: true, Fragments: 3}, ""},
		{"RLE", imagingtest.Options{TransferSyntax: imagingtest.RLE}, ""},
		{"unknown transfer syntax", imagingtest.Options{TransferSyntax: imagingtest.Unknown}, review},
		{"unknown transfer syntax, encapsulated", imagingtest.Options{TransferSyntax: imagingtest.Unknown, Encapsulated: true}, review},
		{"Latin 1", imagingtest.Options{Charset: "ISO_IR 100"}, ""},
		{"GB 18030", imagingtest.Options{Charset: "GB18030"}, ""},
		{"ISO 2022", imagingtest.Options{Charset: `\ISO 2022 IR 87`}, ""},
		{"burned in", imagingtest.Options{BurnedIn: "YES"}, review},
		{"no pixels", imagingtest.Options{Omit: []uint32{0x7FE00010}}, ""},
		{"screen of a scanner", imagingtest.Options{Extra: []imagingtest.Element{{Tag: 0x00080008, VR: "CS", Value: `DERIVED\SECONDARY\SCREEN SAVE`}}}, review},
		{"one modality in the clothes of another", imagingtest.Options{Extra: []imagingtest.Element{{Tag: 0x00080060, VR: "CS", Value: "OT"}}}, review},
	}
	for _, m := range []string{"MR", "PT", "CR", "DX", "MG", "SR", "PR", "RTSTRUCT", "ECG"} {
		rows = append(rows, row{m, imagingtest.Options{Modality: m}, ""})
	}
	for _, m := range []string{"US", "SC", "XA", "RF", "NM", "XC", "DOC"} {
		rows = append(rows, row{m, imagingtest.Options{Modality: m}, review})
	}
	for i, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			p := imagingtest.NewPatient(uint64(i + 1))
			original := imagingtest.CT(p, small(r.o))
			id, out, content, script, err := scrub(bytes.NewReader(original))
			if err != nil {
				t.Fatal(err)
			}
			if err := restored(original, content, script); err != nil {
				t.Error(err)
			}
			for _, hit := range imagingtest.Leaks(content, p.Identifiers()) {
				t.Error("content:", hit)
			}
			for _, hit := range imagingtest.Leaks(out.Facts.Attributes, p.Identifiers()) {
				t.Error("attributes:", hit)
			}
			if out.Held != r.held || out.Facts.Held != r.held {
				t.Errorf("held %q, in facts %q; want %q", out.Held, out.Facts.Held, r.held)
			}
			if id.PatientID != p.ID || id.Study != p.StudyUID(small(r.o)) {
				t.Error("the identity is not the patient's")
			}
			if !bytes.Contains(out.Who, []byte(id.Instance)) || !bytes.Contains(out.Who, []byte(p.ID)) {
				t.Error("who lacks instance or patient")
			}
			checkContent(t, content, out)
		})
	}
}

// TestWhoHoldsWhatASearchReturns asks for the attributes of PS3.18 tables 10.6.3-3
// to -5 that the document has.
func TestWhoHoldsWhatASearchReturns(t *testing.T) {
	p := imagingtest.NewPatient(2)
	_, out, _, _, err := scrub(bytes.NewReader(imagingtest.CT(p, imagingtest.Options{Rows: 8, Columns: 8, Frames: 2})))
	if err != nil {
		t.Fatal(err)
	}
	var who map[string]json.RawMessage
	if err := json.Unmarshal(out.Who, &who); err != nil {
		t.Fatal(err)
	}
	for _, tag := range strings.Fields(`00080016 00080018 00080020 00080030 00080050 00080060 00080090 00081030 0008103E
		00100010 00100020 00100030 00100040 0020000D 0020000E 00200010 00200011 00200013 00280008 00280010 00280011 00280100`) {
		if who[tag] == nil {
			t.Errorf("no %s", tag)
		}
	}
	if !strings.Contains(string(who["00100010"]), p.Latin()) || !strings.Contains(string(who["00100010"]), p.Chinese()) {
		t.Error("the name is not whole")
	}
}

// checkContent reads the content as any program would.
func checkContent(t *testing.T, content []byte, out imaging.Scrubbed) {
	t.Helper()
	if !bytes.Equal(content[:128], make([]byte, 128)) || string(content[128:132]) != "DICM" {
		t.Error("the content does not begin with an empty preamble")
	}
	var about map[string]struct{ Value []any }
	if err := json.Unmarshal(out.Facts.Attributes, &about); err != nil {
		t.Fatal(err)
	}
	first := func(tag string) any {
		if v := about[tag].Value; len(v) > 0 {
			return v[0]
		}
		return nil
	}
	for tag, want := range map[string]string{"00120062": "YES", "00280303": "MODIFIED", "00080016": out.Facts.SOPClass} {
		if got := first(tag); got != want {
			t.Errorf("%s is %v; want %s", tag, got, want)
		}
	}
	for _, tag := range []string{"00080018", "0020000D", "0020000E"} {
		if uid, _ := first(tag).(string); !strings.HasPrefix(uid, "2.25.") {
			t.Errorf("%s is not a mapped UID", tag)
		}
	}
	for tag := range about {
		if strings.Contains("13579BDF", tag[3:4]) {
			t.Errorf("private element %s", tag)
		}
	}
	s := dicom.Split(bytes.NewReader(content))
	segment, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	if length := segment.Elements[0]; length.Tag == 0x00020000 {
		last := length.End
		for _, e := range segment.Elements {
			if e.Tag.Group() == 2 {
				last = e.End
			}
		}
		if got := int64(binary.LittleEndian.Uint32(segment.Bytes(&length))); got != last-length.End {
			t.Errorf("group length %d; want %d", got, last-length.End)
		}
	} else {
		t.Error("no group length")
	}
}

// TestFramesLieWhereTheTableSays compares frames cut out of the content with those
// of the original.
func TestFramesLieWhereTheTableSays(t *testing.T) {
	p := imagingtest.NewPatient(7)
	for name, o := range map[string]imagingtest.Options{
		"native":             {Frames: 3},
		"one":                {},
		"big endian":         {Frames: 2, TransferSyntax: imagingtest.BigEndian},
		"deflated":           {Frames: 2, TransferSyntax: imagingtest.Deflated},
		"fragment":           {Frames: 3, TransferSyntax: imagingtest.JPEG2000},
		"offset table":       {Frames: 3, TransferSyntax: imagingtest.JPEG2000, OffsetTable: true, Fragments: 4},
		"no table, in parts": {Frames: 3, TransferSyntax: imagingtest.JPEG2000, Fragments: 4},
		"one in parts":       {TransferSyntax: imagingtest.JPEG2000, Fragments: 4},
	} {
		t.Run(name, func(t *testing.T) {
			o.Rows, o.Columns = 16, 24
			original := imagingtest.CT(p, o)
			_, out, content, _, err := scrub(bytes.NewReader(original))
			if err != nil {
				t.Fatal(err)
			}
			f := out.Facts.Frames
			if f == nil || f.Count != max(o.Frames, 1) {
				t.Fatalf("frames %+v; want %d", f, max(o.Frames, 1))
			}
			for i := range f.Count {
				if f.Fragments == nil {
					from := f.Offset + int64(i)*f.Length
					if frame := content[from : from+f.Length]; o.TransferSyntax != imagingtest.Deflated && !bytes.Contains(original, frame) {
						t.Errorf("frame %d is not in the original", i)
					}
					continue
				}
				if want := max(o.Fragments, 1); len(f.Fragments[i]) != want {
					t.Errorf("frame %d has %d fragments; want %d", i, len(f.Fragments[i]), want)
				}
				for _, g := range f.Fragments[i] {
					if got := int64(binary.LittleEndian.Uint32(content[g[0]-4:])); got != g[1] || !bytes.Equal(content[g[0]-8:g[0]-4], []byte("\xFE\xFF\x00\xE0")) {
						t.Errorf("frame %d: no fragment of %d bytes at %d", i, g[1], g[0])
					}
				}
			}
			if f.Fragments == nil && f.Offset+int64(f.Count)*f.Length != int64(len(content)) {
				t.Errorf("the last frame ends at %d; want %d", f.Offset+int64(f.Count)*f.Length, len(content))
			}
			if (f.BigEndian == 2) != (name == "big endian") {
				t.Errorf("word size to swap %d", f.BigEndian)
			}
		})
	}
}

// TestHostileIsRefused gives each a refusal that says what to do, in little memory.
func TestHostileIsRefused(t *testing.T) {
	p := imagingtest.NewPatient(3)
	for _, bad := range imagingtest.Hostile(p) {
		t.Run(bad.Name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, _, _, err := scrub(bytes.NewReader(bad.Data))
			runtime.ReadMemStats(&after)
			var refusal *imaging.Refusal
			if !errors.As(err, &refusal) {
				t.Fatalf("%v; want a refusal", err)
			}
			if refusal.Code == "" || refusal.Advice == "" {
				t.Errorf("refusal without code or advice: %+v", refusal)
			}
			for _, hit := range imagingtest.Leaks([]byte(err.Error()), p.Identifiers()) {
				t.Error("refusal:", hit)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
				t.Errorf("%d bytes allocated for %d", used, len(bad.Data))
			}
		})
	}
}

// document is a minimal CT in explicit little endian with more elements behind.
func document(more ...[]byte) []byte {
	b := imagingtest.CT(imagingtest.NewPatient(5), imagingtest.Options{Rows: 8, Columns: 8, Plain: true})
	return append(b, bytes.Join(more, nil)...)
}

func TestWhatComesAfterThePixels(t *testing.T) {
	private := []byte("\xF1\xFF\x10\x00LO\x04\x00MINE\xF1\xFF\x01\x10UN\x00\x00\x04\x00\x00\x00\x01\x02\x03\x04")
	stray := []byte("\xFE\xFF\xDD\xE0\x00\x00\x00\x00")
	signature := []byte("\xFA\xFF\xFA\xFFSQ\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF\xDD\xE0\x00\x00\x00\x00")
	for name, c := range map[string]struct {
		tail []byte
		code string
	}{
		"private":           {private, ""},
		"stray delimiter":   {stray, ""},
		"signature":         {append(bytes.Clone(private), signature...), ""},
		"pixels again":      {append(bytes.Clone(private), "\xE0\x7F\x10\x00OW\x00\x00\x04\x00\x00\x00\x01\x02\x03\x04"...), ""},
		"zeros to the end":  {make([]byte, 1001), ""},
		"half a header":     {[]byte("\xFC\xFF\xFC"), "truncated"},
		"half a value":      {private[:len(private)-1], "truncated"},
		"zeros, then more":  {append(make([]byte, 100), 1), "unreadable"},
		"a line of letters": {[]byte(strings.Repeat("end of file ", 20)), "truncated"},
	} {
		t.Run(name, func(t *testing.T) {
			original := document(c.tail)
			_, _, content, script, err := scrub(bytes.NewReader(original))
			if c.code == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := restored(original, content, script); err != nil {
					t.Error(err)
				}
				return
			}
			var refusal *imaging.Refusal
			if !errors.As(err, &refusal) || refusal.Offset < int64(len(original)-len(c.tail)) {
				t.Errorf("%v; want a refusal behind the pixels", err)
			}
		})
	}
}

// TestReadersErrorIsNotTheSenders passes a broken connection on as what it is.
func TestReadersErrorIsNotTheSenders(t *testing.T) {
	broken := errors.New("connection reset")
	whole := document()
	for _, n := range []int{0, 100, 140, 600, len(whole) - 20} {
		_, _, _, _, err := scrub(io.MultiReader(bytes.NewReader(whole[:n]), failing{broken}))
		if !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v; want the reader's error", n, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestDeflateBomb needs no more memory for a document that inflates without end.
func TestDeflateBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("inflates a gigabyte")
	}
	deflated := imagingtest.CT(imagingtest.NewPatient(5), imagingtest.Options{Rows: 8, Columns: 8, Plain: true, TransferSyntax: imagingtest.Deflated})
	meta := bytes.Index(deflated, []byte("IMAGINGTEST")) + len("IMAGINGTEST") + 1
	plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(deflated[meta:])))
	if err != nil {
		t.Fatal(err)
	}
	for name, head := range map[string][]byte{
		"pixels": append(plain[:len(plain)-8*8*2-12:len(plain)-8*8*2-12], "\xE0\x7F\x10\x00OW\x00\x00\xF0\xFF\xFF\xFF"...),
		"zeros":  plain,
		"header": append(plain[:len(plain)-8*8*2-12:len(plain)-8*8*2-12], "\x40\x00\x60\xA1UT\x00\x00\x00\x00\xFF\x03"...),
	} {
		t.Run(name, func(t *testing.T) {
			bomb := bytes.NewBuffer(bytes.Clone(deflated[:meta]))
			z, err := flate.NewWriter(bomb, flate.BestSpeed)
			if err != nil {
				t.Fatal(err)
			}
			_, err = z.Write(head)
			zeros := make([]byte, 1<<20)
			var from int
			for range 2 { // after the first, a mebibyte of zeros deflates to the same bytes again
				err = errors.Join(err, z.Flush())
				from = bomb.Len()
				if err == nil {
					_, err = z.Write(zeros)
				}
			}
			if err = errors.Join(err, z.Flush()); err != nil {
				t.Fatal(err)
			}
			bomb.Write(bytes.Repeat(bomb.Bytes()[from:], 1100))
			var refusal *imaging.Refusal
			if most, err := peak(func() error { return discard(bytes.NewReader(bomb.Bytes())) }); !errors.As(err, &refusal) {
				t.Errorf("%v; want a refusal", err)
			} else if most > 300<<20 {
				t.Errorf("%d MiB held; want at most 300", most>>20)
			}
		})
	}
}

// discard scrubs without keeping anything.
func discard(r io.Reader) error {
	in, err := dicom.New().Begin(r)
	if err != nil {
		return err
	}
	_, err = in.Scrub(pseudonyms(in.Identity().PatientID), nil, func() (int64, [32]byte) { return 0, [32]byte{} }, io.Discard, io.Discard)
	return err
}

// peak runs f and tells by how much the heap grew meanwhile.
func peak(f func() error) (int64, error) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	start, stop, most := m.HeapSys, make(chan bool), make(chan uint64)
	go func() {
		var top uint64
		for {
			select {
			case <-stop:
				most <- top
				return
			default:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				top = max(top, m.HeapSys)
				time.Sleep(5 * time.Millisecond)
			}
		}
	}()
	err := f()
	close(stop)
	return int64(max(<-most, start) - start), err
}

// TestLargeDocumentNeedsLittleMemory sends a gigabyte of pixels through.
func TestLargeDocumentNeedsLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a gigabyte")
	}
	r, w := io.Pipe()
	go func() {
		w.CloseWithError(imagingtest.Stream(w, imagingtest.NewPatient(9), imagingtest.Options{Frames: 2048}))
	}()
	most, err := peak(func() error { return discard(r) })
	if err != nil {
		t.Fatal(err)
	}
	if most > 32<<20 {
		t.Errorf("%d MiB held; want at most 32", most>>20)
	}
}

// TestResidueIsHeld puts a date of birth where a number belongs, which no rule touches.
func TestResidueIsHeld(t *testing.T) {
	p := imagingtest.NewPatient(11)
	o := imagingtest.Options{Rows: 8, Columns: 8, Extra: []imagingtest.Element{{Tag: 0x00180050, VR: "DS", Value: p.BirthDate}}}
	_, out, _, _, err := scrub(bytes.NewReader(imagingtest.CT(p, o)))
	if err != nil {
		t.Fatal(err)
	}
	if out.Held != "residual-identifier" || out.Report.Residual != "found" {
		t.Errorf("held %q, residual %q; want residual-identifier, found", out.Held, out.Report.Residual)
	}
}

// FuzzSplit looks for input that makes the splitter panic, lose or invent bytes.
func FuzzSplit(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := dicom.Split(bytes.NewReader(data))
		var seen int64
		for {
			segment, err := s.Next()
			if err != nil {
				return
			}
			if segment.Base < seen {
				t.Fatalf("segment at %d after %d bytes", segment.Base, seen)
			}
			for i := range segment.Elements {
				e := &segment.Elements[i]
				if int(e.Next) <= i || int(e.Next) > len(segment.Elements) || e.Flags&dicom.Bulk == 0 && (e.End < e.Value || e.Value < e.Offset) {
					t.Fatalf("element %d of %d: next %d, from %d, value %d, end %d", i, len(segment.Elements), e.Next, e.Offset, e.Value, e.End)
				}
				segment.Bytes(e)
			}
			seen = segment.Base + int64(len(segment.Raw))
			if segment.Bulk {
				if _, err := s.CopyBulk(io.Discard, nil); err != nil {
					return
				}
			}
		}
	})
}

func seeds(f *testing.F) {
	p := imagingtest.NewPatient(1)
	for _, o := range []imagingtest.Options{
		{}, {TransferSyntax: imagingtest.ImplicitLE}, {TransferSyntax: imagingtest.BigEndian}, {TransferSyntax: imagingtest.Deflated},
		{UndefinedLengths: true}, {TransferSyntax: imagingtest.JPEG2000, OffsetTable: true, Frames: 2, FragmentBytes: 20}, {NoPreamble: true}, {Padding: 8},
	} {
		o.Rows, o.Columns = 4, 4
		f.Add(imagingtest.CT(p, o))
	}
	for _, bad := range imagingtest.Hostile(p) {
		if len(bad.Data) < 8<<10 {
			f.Add(bad.Data)
		}
	}
}

func BenchmarkSplitCTHeader(b *testing.B) {
	data := imagingtest.CT(imagingtest.NewPatient(1), imagingtest.Options{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dicom.Split(bytes.NewReader(data)).Next(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScrubCT(b *testing.B) {
	data := imagingtest.CT(imagingtest.NewPatient(1), imagingtest.Options{})
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := discard(bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}
