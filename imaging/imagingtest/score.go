package imagingtest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"image"
	"image/jpeg"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"medvault/imaging"
)

// Result is a score.
type Result struct {
	Objects  int              `json:"objects"`
	Classes  int              `json:"classes"`
	Syntaxes int              `json:"syntaxes"`
	Actions  map[Action]Tally `json:"actions"`
	Views    Tally            `json:"views"`    // shown, of those that nothing speaks against showing unseen
	Withheld map[string]int   `json:"withheld"` // objects by the code of Scrubbed.Held
	Restored Tally            `json:"restored"` // bit for bit
	Misses   []string         `json:"-"`        // what was wrong, one line each; values are synthetic
}

// Tally counts what was right of what was asked for.
type Tally struct {
	Right    int `json:"right"`
	Required int `json:"required"`
}

func (t *Tally) count(right bool) {
	t.Required++
	if right {
		t.Right++
	}
}

// Total sums all actions.
func (r Result) Total() (all Tally) {
	for _, t := range r.Actions {
		all.Right += t.Right
		all.Required += t.Required
	}
	return all
}

// Percent is right of required; 0 when nothing was required.
func (t Tally) Percent() float64 { return 100 * float64(t.Right) / float64(max(1, t.Required)) }

// Table prints the result as lines of text.
func (r Result) Table() string {
	var b strings.Builder
	line := func(name string, t Tally) {
		fmt.Fprintf(&b, "%-18s %7d of %7d  %7.3f %%\n", name, t.Right, t.Required, t.Percent())
	}
	for _, a := range Actions() {
		line(string(a), r.Actions[a])
	}
	line("total", r.Total())
	line("views shown", r.Views)
	line("restored", r.Restored)
	fmt.Fprintf(&b, "%d objects, %d SOP classes, %d transfer syntaxes; withheld %v\n", r.Objects, r.Classes, r.Syntaxes, r.Withheld)
	return b.String()
}

// Score takes identity out of every object and compares what comes out with the
// answer key. pseudonyms gives those of a Patient ID. An error is the scrubber's, at an
// object it should have taken.
func Score(s imaging.Scrubber, set iter.Seq[Object], pseudonyms func(patient string) imaging.Pseudonyms) (Result, error) {
	m := &marker{
		scrubber: s, pseudonyms: pseudonyms,
		result:  Result{Actions: map[Action]Tally{}, Withheld: map[string]int{}},
		uids:    map[string]string{},
		tokens:  map[string]string{},
		owners:  map[string]string{},
		classes: map[string]bool{}, syntaxes: map[string]bool{},
	}
	for object := range set {
		if err := m.mark(object); err != nil {
			return m.result, fmt.Errorf("%s: %w", object.Name, err)
		}
	}
	m.result.Classes, m.result.Syntaxes = len(m.classes), len(m.syntaxes)
	return m.result, nil
}

// marker goes through a set.
type marker struct {
	scrubber          imaging.Scrubber
	pseudonyms        func(string) imaging.Pseudonyms
	result            Result
	uids              map[string]string // original to new
	tokens            map[string]string // Patient ID to token
	owners            map[string]string // token to Patient ID
	classes, syntaxes map[string]bool

	object  Object
	content []byte
	out     document
	held    string
}

func (m *marker) mark(o Object) error {
	m.object = o
	m.result.Objects++
	m.classes[o.Class], m.syntaxes[o.Syntax] = true, true
	scrubbed, content, err := m.scrub(nil)
	if err != nil {
		return err
	}
	m.content, m.held = content, scrubbed.Held
	m.result.Withheld[scrubbed.Held]++
	if m.out, err = readDocument(content); err != nil {
		m.miss("readable", nil, err.Error())
	}
	if o.Shown {
		m.result.Views.count(m.held == "")
		if m.held != "" {
			m.miss("view", nil, fmt.Sprintf("withheld: %s %v", m.held, scrubbed.Report.Reasons))
		}
	}
	for _, row := range o.Key {
		wrong := m.wrong(row)
		if wrong != "" {
			m.miss(string(row.Action), row.Path, wrong)
		}
		t := m.result.Actions[row.Action]
		t.count(wrong == "")
		m.result.Actions[row.Action] = t
	}
	return nil
}

func (m *marker) miss(what string, path Path, why string) {
	m.result.Misses = append(m.result.Misses, fmt.Sprintf("%s\t%s\t%s\t%s", what, path, why, m.object.Name))
}

func (m *marker) scrub(release *imaging.Release) (imaging.Scrubbed, []byte, error) {
	in := &counted{r: bytes.NewReader(m.object.Data), h: sha256.New()}
	incoming, err := m.scrubber.Begin(in)
	if err != nil {
		return imaging.Scrubbed{}, nil, err
	}
	var content, script, back bytes.Buffer
	out, err := incoming.Scrub(m.pseudonyms(incoming.Identity().PatientID), release, in.original, &content, &script)
	if err != nil {
		return out, nil, err
	}
	err = imaging.Restore(&back, bytes.NewReader(content.Bytes()), &script)
	same := err == nil && bytes.Equal(back.Bytes(), m.object.Data)
	m.result.Restored.count(same)
	if !same {
		m.miss("restored", nil, fmt.Sprint("not the original: ", err))
	}
	return out, content.Bytes(), nil
}

// counted knows what was read through it.
type counted struct {
	r io.Reader
	h hash.Hash
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.h.Write(p[:n])
	c.n += int64(n)
	return n, err
}

func (c *counted) original() (int64, [32]byte) { return c.n, [32]byte(c.h.Sum(nil)) }

// wrong says why a row does not hold; "" when it does.
func (m *marker) wrong(row Row) string {
	if row.Withheld && m.held != "" {
		return ""
	}
	switch {
	case row.Action == PixelsRetained:
		return m.pixelsChanged()
	case row.Action == PixelsHidden:
		return m.wordsSeen()
	case row.Path == nil && row.Action == TextRemoved:
		return m.left()
	case row.Path == nil && row.Action == UIDChanged:
		return m.foreign()
	}
	from := m.out.dataset
	if row.Path[0].Tag>>16 == 2 {
		from = m.out.meta
	}
	v, found, err := from.find(row.Path)
	if err != nil {
		return err.Error()
	}
	if !found {
		if row.Absent || row.Action == TextRemoved {
			return ""
		}
		return "not there"
	}
	got := plain(v.bytes)
	switch row.Action {
	case TagRetained:
		return ""
	case TextNotNull:
		if got == "" {
			return "empty"
		}
	case TextRetained:
		if row.Word && !strings.Contains(condensed(got), condensed(string(row.Want))) || !row.Word && got != plain(row.Want) {
			return fmt.Sprintf("%q; want %q", short(got), short(string(row.Want)))
		}
	case TextRemoved:
		for _, gone := range row.Gone {
			if len(gone) < 4 && got == string(gone) || len(gone) >= 4 && bytes.Contains(v.bytes, gone) {
				return fmt.Sprintf("%q in %q", gone, short(got))
			}
		}
	case DateShifted:
		if row.Word {
			return m.dateMoved(got, row)
		}
		if want := shifted(plain(row.Want), m.pseudonyms(m.object.Patient).ShiftDays); got != want {
			return fmt.Sprintf("%q; want %q", short(got), want)
		}
	case UIDChanged:
		if got == plain(row.Want) || !validUID(got) {
			return fmt.Sprintf("%q from %q", short(got), row.Want)
		}
	case UIDConsistent:
		return consistent(m.uids, plain(row.Want), got)
	case PatIDConsistent:
		if got == m.object.Patient {
			return "the Patient ID is left"
		}
		if wrong := consistent(m.tokens, m.object.Patient, got); wrong != "" {
			return wrong
		}
		return consistent(m.owners, got, m.object.Patient)
	}
	return ""
}

// condensed is a text without case and spaces.
func condensed(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "")) }

func consistent(seen map[string]string, from, to string) string {
	if before, ok := seen[from]; ok && before != to {
		return fmt.Sprintf("%q became %q and before %q", from, short(to), before)
	}
	seen[from] = to
	return ""
}

func validUID(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "0123456789.") == "" && !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".")
}

// dateMoved asks for a date within text, written as it was.
func (m *marker) dateMoved(got string, row Row) string {
	day, err := time.Parse(row.Layout, string(row.Want))
	if err != nil {
		panic(err) // written by the same layout
	}
	moved := day.AddDate(0, 0, m.pseudonyms(m.object.Patient).ShiftDays)
	want := moved.Format(row.Layout)
	whole := moved.Format(strings.Replace(row.Layout, "Jan", "January", 1)) // May is both
	if !strings.Contains(got, want) && !strings.Contains(got, whole) {
		return fmt.Sprintf("%q from %q; want %q in it", short(got), row.Want, want)
	}
	return ""
}

// shifted moves the date that every part of a DA or DT value begins with.
func shifted(value string, days int) string {
	parts := strings.Split(value, `\`)
	for i, part := range parts {
		day, err := time.Parse("20060102", part[:8])
		if err != nil {
			panic(err) // dates are planted whole
		}
		parts[i] = day.AddDate(0, 0, days).Format("20060102") + part[8:]
	}
	return strings.Join(parts, `\`)
}

// left searches the whole document for the identifiers planted in it.
func (m *marker) left() string {
	for _, id := range m.object.Planted {
		if occurs(m.content, id, "0123456789") {
			return fmt.Sprintf("%q is left somewhere", id)
		}
	}
	return ""
}

func (m *marker) foreign() string {
	for _, uid := range m.object.Foreign {
		if occurs(m.content, []byte(uid), "0123456789.") {
			return fmt.Sprintf("%q is left somewhere", uid)
		}
	}
	return ""
}

// occurs finds b in data; where it consists of the letters alone, only if none of them
// touches it.
func occurs(data, b []byte, letters string) bool {
	number := strings.Trim(string(b), letters) == ""
	for at := 0; ; at++ {
		i := bytes.Index(data[at:], b)
		if i < 0 {
			return false
		}
		at += i
		end := at + len(b)
		if !number || (at == 0 || !strings.ContainsRune(letters, rune(data[at-1]))) && (end == len(data) || !strings.ContainsRune(letters, rune(data[end]))) {
			return true
		}
	}
}

func (m *marker) pixelsChanged() string {
	v, found := m.out.elements[0x7FE00010]
	switch {
	case !found:
		return "no pixel data"
	case !bytes.Equal(v.bytes, m.object.Pixels):
		return fmt.Sprintf("%d bytes of pixel data are not those of the original", len(v.bytes))
	}
	return ""
}

// wordsSeen asks that the view of a picture with words in it is withheld, and that a
// person's release with masks hides them. A compression that no one here can decode may
// stay withheld.
func (m *marker) wordsSeen() string {
	if m.held == "" {
		return "shown unseen, with words in the picture"
	}
	out, content, err := m.scrub(&imaging.Release{Masks: m.object.Words, Accept: []string{m.held, "held-for-review"}})
	var refusal *imaging.Refusal
	decodable := slices.Contains([]string{ExplicitLE, ImplicitLE, BigEndian, Deflated, RLE, JPEG, jpegLossless}, m.object.Syntax)
	switch {
	case errors.As(err, &refusal) && !decodable:
		return ""
	case err != nil:
		return "release with masks: " + err.Error()
	case out.Held != "" && !decodable:
		return ""
	case out.Held != "":
		return fmt.Sprintf("withheld after a release with masks: %s %v", out.Held, out.Report.Reasons)
	}
	d, err := readDocument(content)
	if err != nil {
		return err.Error()
	}
	return m.object.Picture.unmasked(m.object, d)
}

// unmasked compares the picture of a released document with the original outside the
// masks, and asks for one value inside.
func (p Picture) unmasked(o Object, d document) string {
	frames := p.decode(d)
	if len(frames) != len(p.Frames) {
		return fmt.Sprintf("%d frames after masking; want %d", len(frames), len(p.Frames))
	}
	tolerance := 0
	original := p.Frames
	if o.Syntax == JPEG {
		tolerance = 3 // decoders round differently
		original = nil
		for _, f := range (value{bytes: o.Pixels}).fragments() {
			original = append(original, p.jpeg(f, d))
		}
	}
	pixel := p.Samples * p.Bits / 8
	for n, frame := range frames {
		if len(frame) < p.Rows*p.Columns*pixel {
			return "half a frame after masking"
		}
		w := o.Words[0]
		first := frame[(w.Y*p.Columns+w.X)*pixel:][:pixel]
		for y := range p.Rows {
			for x := range p.Columns {
				at := (y*p.Columns + x) * pixel
				inside := slices.ContainsFunc(o.Words, func(w imaging.Mask) bool {
					return x >= w.X && x < w.X+w.Width && y >= w.Y && y < w.Y+w.Height
				})
				if inside {
					if !bytes.Equal(frame[at:at+pixel], first) {
						return fmt.Sprintf("frame %d: something is left under the mask at %d, %d", n+1, x, y)
					}
					continue
				}
				for i := range pixel {
					if difference := int(frame[at+i]) - int(original[n][at+i]); difference > tolerance || -difference > tolerance {
						return fmt.Sprintf("frame %d: the pixel at %d, %d outside the mask is changed", n+1, x, y)
					}
				}
			}
		}
	}
	return ""
}

// decode gives the frames of a document in little endian.
func (p Picture) decode(d document) (frames [][]byte) {
	v := d.elements[0x7FE00010]
	size := p.Rows * p.Columns * p.Samples * p.Bits / 8
	switch d.syntax {
	case ExplicitLE, ImplicitLE, BigEndian:
		for at := 0; at+size <= len(v.bytes); at += size {
			frame := bytes.Clone(v.bytes[at : at+size])
			for i := 0; d.syntax == BigEndian && p.Bits == 16 && i+1 < size; i += 2 {
				frame[i], frame[i+1] = frame[i+1], frame[i]
			}
			frames = append(frames, frame)
		}
	case RLE:
		for _, f := range v.fragments() {
			frames = append(frames, p.planes(f))
		}
	}
	return frames
}

// planes decodes run lengths (PS3.5 Annex G).
func (p Picture) planes(b []byte) []byte {
	step := p.Samples * p.Bits / 8
	frame := make([]byte, p.Rows*p.Columns*step)
	u32 := func(at int) int { return int(b[at]) | int(b[at+1])<<8 | int(b[at+2])<<16 | int(b[at+3])<<24 }
	if len(b) < 64 || u32(0) != step {
		return nil
	}
	for s := range step {
		sample, byteOf := s/(p.Bits/8), p.Bits/8-1-s%(p.Bits/8)
		n := 0
		put := func(c byte) {
			if n < p.Rows*p.Columns {
				frame[n*step+sample*p.Bits/8+byteOf] = c
			}
			n++
		}
		for at := u32(4 + 4*s); at+1 < len(b) && n < p.Rows*p.Columns; {
			run := int(int8(b[at]))
			at++
			switch {
			case run >= 0:
				for _, c := range b[at:min(len(b), at+run+1)] {
					put(c)
				}
				at += run + 1
			case run > -128:
				for range 1 - run {
					put(b[at])
				}
				at++
			}
		}
	}
	return frame
}

// jpeg decodes a frame to the colours that the document says it has.
func (p Picture) jpeg(b []byte, d document) []byte {
	picture, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		panic(err) // written by the same package
	}
	colours := plain(d.elements[0x00280004].bytes)
	frame := make([]byte, 0, p.Rows*p.Columns*p.Samples)
	for y := range p.Rows {
		for x := range p.Columns {
			switch picture := picture.(type) {
			case *image.Gray:
				frame = append(frame, picture.GrayAt(x, y).Y)
			case *image.YCbCr:
				c := picture.YCbCrAt(x, y)
				if colours == "RGB" {
					r, g, b, _ := c.RGBA()
					frame = append(frame, byte(r>>8), byte(g>>8), byte(b>>8))
				} else {
					frame = append(frame, c.Y, c.Cb, c.Cr)
				}
			}
		}
	}
	return frame
}

func short(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
