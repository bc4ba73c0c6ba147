package imagingtest

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Transfer syntaxes that the documents can be written in. Any other UID is
// written as encapsulated fragments when Encapsulated says so, else as Explicit
// VR Little Endian under that name.
const (
	ImplicitLE = "1.2.840.10008.1.2"
	ExplicitLE = "1.2.840.10008.1.2.1"
	Deflated   = "1.2.840.10008.1.2.1.99"
	BigEndian  = "1.2.840.10008.1.2.2"
	JPEG       = "1.2.840.10008.1.2.4.50"
	JPEG2000   = "1.2.840.10008.1.2.4.90"
	RLE        = "1.2.840.10008.1.2.5"
	HTJ2K      = "1.2.840.10008.1.2.4.201"
	Unknown    = "2.999.1.2.3" // no such transfer syntax
)

// Options of a document. The zero value is a CT instance of 512x512 pixels,
// 0.5 MB, in Explicit VR Little Endian and UTF-8, with identifiers planted in
// attributes, comments, nested sequences, private elements and references.
type Options struct {
	Modality                string // default "CT"; see SOPClass
	SOPClass                string // default the modality's
	TransferSyntax          string // default ExplicitLE
	Charset                 string // default "ISO_IR 192"; "default" is none; also ISO_IR 100, GB18030, GBK, `\ISO 2022 IR 87`
	Study, Series, Instance int    // make the UIDs and numbers
	Rows, Columns           int    // default 512
	Frames                  int    // default 1
	BurnedIn                string // Burned In Annotation; default "NO" for CR, DX and MG, else absent

	NoPreamble       bool // begins with the file meta elements
	Preamble         bool // the preamble holds an identifier
	UndefinedLengths bool // of sequences and items
	Nesting          int  // depth of the content sequence with identifiers, default 4
	Plain            bool // no private, nested or descriptive identifiers
	Padding          int  // bytes of Data Set Trailing Padding after the pixels

	Encapsulated  bool // for a transfer syntax not known to be
	OffsetTable   bool // encapsulated: a filled Basic Offset Table
	Fragments     int  // encapsulated: fragments a frame, default 1
	FragmentBytes int  // fake codestreams: bytes a frame, default 16 KiB

	Extra []Element // added, or in place of the element of the same tag
	Omit  []uint32  // tags left out
}

// SOPClass is the SOP class written for a modality.
func SOPClass(modality string, frames int) string {
	const storage = "1.2.840.10008.5.1.4.1.1."
	if frames > 1 {
		switch modality {
		case "CT":
			return storage + "2.1"
		case "MR":
			return storage + "4.1"
		case "US":
			return storage + "3.1"
		}
	}
	suffix, ok := map[string]string{
		"CT": "2", "MR": "4", "PT": "128", "CR": "1", "DX": "1.1", "MG": "1.2", "US": "6.1",
		"SC": "7", "XA": "12.1", "RF": "12.2", "NM": "20", "SR": "88.33", "PR": "11.1",
		"RTSTRUCT": "481.3", "XC": "77.1.4", "ECG": "9.1.1", "DOC": "104.1",
	}[modality]
	if !ok {
		panic("modality not built in: " + modality)
	}
	return storage + suffix
}

// UID is a UID of the patient's; the numbers make it distinct.
func (p Patient) UID(numbers ...int) string {
	var b strings.Builder
	b.WriteString(p.UIDRoot)
	for _, n := range numbers {
		fmt.Fprintf(&b, ".%d", n)
	}
	return b.String()
}

// StudyUID, SeriesUID and InstanceUID are those a document with these options has.
func (p Patient) StudyUID(o Options) string    { return p.UID(1, o.Study) }
func (p Patient) SeriesUID(o Options) string   { return p.UID(2, o.Study, o.Series) }
func (p Patient) InstanceUID(o Options) string { return p.UID(3, o.Study, o.Series, o.Instance) }

// CT returns a whole document in memory. It is of another modality when the
// options say so.
func CT(p Patient, o Options) []byte {
	var b bytes.Buffer
	if err := Stream(&b, p, o); err != nil {
		panic(err) // a bytes.Buffer does not fail
	}
	return b.Bytes()
}

// Stream writes a document in constant memory: one frame is held (encapsulated
// frames all are). 4096 frames of the default size are 2 GiB.
func Stream(w io.Writer, p Patient, o Options) error {
	o = o.withDefaults()
	if err := writeMeta(w, p, o); err != nil {
		return err
	}
	if o.TransferSyntax != Deflated {
		return writeDataSet(w, p, o)
	}
	z, err := flate.NewWriter(w, flate.BestSpeed)
	if err != nil {
		return err
	}
	if err := writeDataSet(z, p, o); err != nil {
		return err
	}
	return z.Close()
}

func (o Options) withDefaults() Options {
	def := func(v *string, to string) {
		if *v == "" {
			*v = to
		}
	}
	num := func(v *int, to int) {
		if *v == 0 {
			*v = to
		}
	}
	def(&o.Modality, "CT")
	num(&o.Frames, 1)
	def(&o.SOPClass, SOPClass(o.Modality, o.Frames))
	def(&o.TransferSyntax, ExplicitLE)
	def(&o.Charset, "ISO_IR 192")
	num(&o.Rows, 512)
	num(&o.Columns, 512)
	num(&o.Nesting, 4)
	num(&o.Fragments, 1)
	num(&o.FragmentBytes, 16<<10)
	switch o.Modality {
	case "CR", "DX", "MG":
		def(&o.BurnedIn, "NO")
	}
	switch o.TransferSyntax {
	case JPEG, JPEG2000, RLE, HTJ2K:
		o.Encapsulated = true
	}
	return o
}

func writeMeta(w io.Writer, p Patient, o Options) error {
	e := encoder{order: binary.LittleEndian, text: textEncoder("")}
	body := e.items(nil, []Element{
		{0x00020001, "OB", []byte{0, 1}},
		{0x00020002, "UI", o.SOPClass},
		{0x00020003, "UI", p.InstanceUID(o)},
		{0x00020010, "UI", o.TransferSyntax},
		{0x00020012, "UI", "2.999.77"},
		{0x00020013, "SH", "IMAGINGTEST"},
	})
	var out []byte
	if !o.NoPreamble {
		out = make([]byte, 128, 512)
		if o.Preamble {
			copy(out, p.Latin()+" "+p.ID)
		}
		out = append(out, "DICM"...)
	}
	out = e.element(out, Element{0x00020000, "UL", []uint32{uint32(len(body))}})
	_, err := w.Write(append(out, body...))
	return err
}

func writeDataSet(w io.Writer, p Patient, o Options) error {
	charset := o.Charset
	if charset == "default" {
		charset = ""
	}
	e := &encoder{order: binary.LittleEndian, undefined: o.UndefinedLengths, text: textEncoder(charset)}
	switch o.TransferSyntax {
	case ImplicitLE:
		e.implicit = true
	case BigEndian:
		e.order = binary.BigEndian
	}

	elements := append(attributes(p, o), shape(o)...)
	if o.Modality == "DOC" {
		elements = append(elements, Element{0x00420010, "ST", "Report"},
			Element{0x00420011, "OB", Report(p)}, Element{0x00420012, "LO", "application/pdf"})
	}
	if !o.Plain {
		elements = append(elements, planted(p, o)...)
	}
	if charset != "" {
		elements = append(elements, Element{0x00080005, "CS", charset})
	}
	elements = o.replace(elements)
	if _, err := w.Write(e.items(nil, elements)); err != nil {
		return err
	}
	if hasPixels(o.Modality) && !slices.Contains(o.Omit, 0x7FE00010) {
		if err := writePixels(w, e, o); err != nil {
			return err
		}
	}
	if o.Padding > 0 {
		padding := make([]byte, o.Padding+o.Padding%2)
		_, err := w.Write(append(e.head(nil, 0xFFFCFFFC, "OB", uint32(len(padding))), padding...))
		return err
	}
	return nil
}

// replace applies Extra and Omit.
func (o Options) replace(elements []Element) []Element {
	gone := slices.Clone(o.Omit)
	for _, el := range o.Extra {
		gone = append(gone, el.Tag)
	}
	elements = slices.DeleteFunc(elements, func(el Element) bool { return slices.Contains(gone, el.Tag) })
	return append(elements, o.Extra...)
}

func hasPixels(modality string) bool {
	switch modality {
	case "SR", "PR", "RTSTRUCT", "ECG", "DOC":
		return false
	}
	return true
}

// attributes are those of patient, study, series and equipment.
func attributes(p Patient, o Options) []Element {
	elements := []Element{
		{0x00080008, "CS", `ORIGINAL\PRIMARY\AXIAL`},
		{0x00080012, "DA", p.StudyDate},
		{0x00080013, "TM", "101500"},
		{0x00080016, "UI", o.SOPClass},
		{0x00080018, "UI", p.InstanceUID(o)},
		{0x00080020, "DA", p.StudyDate},
		{0x00080021, "DA", p.StudyDate},
		{0x00080023, "DA", p.StudyDate},
		{0x0008002A, "DT", p.StudyDate + "101500.250000"},
		{0x00080030, "TM", "101400"},
		{0x00080031, "TM", "101430"},
		{0x00080033, "TM", "101501"},
		{0x00080050, "SH", fmt.Sprintf("%s-%d", p.Accession, o.Study)},
		{0x00080060, "CS", o.Modality},
		{0x00080070, "LO", "Imagingtest"},
		{0x00080080, "LO", p.Hospital},
		{0x00080090, "PN", p.Physician},
		{0x00081010, "SH", "SYNTH1"},
		{0x0008103E, "LO", fmt.Sprintf("Series %d", o.Series)},
		{0x00081090, "LO", "Phantom 1"},
		{0x00100010, "PN", p.Name},
		{0x00100020, "LO", p.ID},
		{0x00100030, "DA", p.BirthDate},
		{0x00100040, "CS", p.Sex},
		{0x00101000, "LO", p.OtherID},
		{0x00101010, "AS", "061Y"},
		{0x00101030, "DS", "61.5"},
		{0x00101040, "LO", p.Address},
		{0x00101060, "PN", p.MotherName},
		{0x00102154, "SH", p.Phone},
		{0x00180015, "CS", "HEAD"},
		{0x00181000, "LO", p.Device},
		{0x0020000D, "UI", p.StudyUID(o)},
		{0x0020000E, "UI", p.SeriesUID(o)},
		{0x00200010, "SH", fmt.Sprintf("ST%d", o.Study)},
		{0x00200011, "IS", fmt.Sprint(o.Series)},
		{0x00200013, "IS", fmt.Sprint(o.Instance)},
		{0x00200052, "UI", p.UID(4, o.Study)},
	}
	if p.Issuer != "" {
		elements = append(elements, Element{0x00100021, "LO", p.Issuer})
	}
	if o.BurnedIn != "" {
		elements = append(elements, Element{0x00280301, "CS", o.BurnedIn})
	}
	return elements
}

// planted are the identifiers in places that a simple list of attributes misses.
func planted(p Patient, o Options) []Element {
	latin := strings.ReplaceAll(p.Latin(), "^", " ")
	return []Element{
		{0x00090010, "LO", "IMAGINGTEST 1.0"},
		{0x00091001, "LO", p.ID},
		{0x00091002, "UN", []byte(p.Latin())},
		{0x00091003, "SQ", []Item{{{0x00090010, "LO", "IMAGINGTEST 1.0"}, {0x00091001, "LO", p.ID}, {0x00100020, "LO", p.ID}}}},
		{0x00081030, "LO", "Study of " + latin},
		{0x00081110, "SQ", []Item{{{0x00081150, "UI", "1.2.840.10008.3.1.2.3.1"}, {0x00081155, "UI", p.UID(5, o.Study)}}}},
		{0x00081140, "SQ", []Item{
			{{0x00081150, "UI", o.SOPClass}, {0x00081155, "UI", p.UID(3, o.Study, o.Series, o.Instance+1)}},
			{{0x00081150, "UI", o.SOPClass}, {0x00081155, "UI", p.UID(3, o.Study, o.Series, o.Instance+2)}},
		}},
		{0x00101002, "SQ", []Item{
			{{0x00100020, "LO", p.OtherID}, {0x00100022, "CS", "TEXT"}},
			{}, // an item may be empty
		}},
		{0x00104000, "LT", "Call " + p.Phone + " or " + p.Email},
		{0x00181030, "LO", "PROTOCOL " + p.ID},
		{0x00204000, "LT", "Seen by " + nameGroup(p.Physician, 0) + " for " + latin},
		{0x00400275, "SQ", []Item{{
			{0x00321060, "LO", "Head of " + latin},
			{0x00400007, "LO", "Step of " + p.ID},
			{0x00401001, "SH", p.Accession},
		}}},
		{0x0040A730, "SQ", []Item{contentItem(p, o.Nesting)}},
		{0x00880140, "UI", p.UID(6)},
	}
}

// contentItem nests depth items, with identifiers at every level.
func contentItem(p Patient, depth int) Item {
	item := Item{
		{0x0040A010, "CS", "CONTAINS"},
		{0x0040A040, "CS", "TEXT"},
		{0x0040A123, "PN", p.Name},
		{0x0040A124, "UI", p.UID(7, depth)},
		{0x0040A160, "UT", "Finding for " + p.ID + ", born " + p.BirthDate},
	}
	if depth > 1 {
		item = append(item, Element{0x0040A730, "SQ", []Item{contentItem(p, depth-1)}})
	}
	return item
}
