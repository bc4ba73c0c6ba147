package documents

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"

	"golang.org/x/sync/semaphore"

	"medvault/vault"
	"medvault/vault/record"
)

// maxField bounds a field that is not the file.
const maxField = 4 << 10

// upload is what a form asks to store. Its Body may still read the form.
type upload struct {
	vault.Upload
	rest *rest // nil when the whole form has been read
}

// form is a form being read.
type form struct {
	parts *multipart.Reader
	seen  map[string]bool
	up    vault.Upload
}

// readForm reads as much of a form as must be known before its file can be stored. What
// it holds of the file counts in h until the upload has ended.
func readForm(parts *multipart.Reader, h *holding) (*upload, error) {
	f := &form{parts: parts, seen: map[string]bool{}}
	for {
		p, err := f.next()
		if err == io.EOF {
			return nil, record.Refuse(record.ErrInvalid, "no-file", "send the document in the field file")
		}
		if err != nil {
			return nil, err
		}
		if p.FormName() == "file" {
			return f.file(p, h)
		}
		if err := f.field(p); err != nil {
			return nil, err
		}
	}
}

// file decides how the file reaches the vault: streamed when every field is known,
// held while they are not.
func (f *form) file(p *multipart.Part, h *holding) (*upload, error) {
	if f.seen["patientId"] && f.seen["issuer"] && f.seen["category"] && f.seen["title"] { // few send more
		return f.stream(p, nil), nil
	}
	held, whole, err := h.take(p)
	if err != nil {
		return nil, err
	}
	if !whole {
		if !f.seen["patientId"] && !isDICOM(held[0]) {
			return nil, record.Refuse(record.ErrInvalid, "patient-id-after-file", "send patientId before file")
		}
		return f.stream(p, held), nil
	}
	for {
		p, err := f.next()
		if err == io.EOF {
			f.up.Body = chain(held)
			return &upload{Upload: f.up}, nil
		}
		if err != nil {
			return nil, err
		}
		if err := f.field(p); err != nil {
			return nil, err
		}
	}
}

// holding is what one request holds of its file.
type holding struct {
	room  *semaphore.Weighted // shared by all requests, in bytes
	most  int                 // of this one, about
	taken int64               // out of room
}

func (h *holding) release() { h.room.Release(h.taken) }

// take reads up to about h.most bytes, in blocks so that nothing is copied to grow;
// whole says that that was all of r.
func (h *holding) take(r io.Reader) (held [][]byte, whole bool, err error) {
	for size := 0; size <= h.most; {
		length := min(1<<20, h.most+1)
		// Not waiting for room: those who have it may be waiting for more, too.
		if !h.room.TryAcquire(int64(length)) {
			return nil, false, record.Refuse(record.ErrUnavailable, "busy", "too many documents are being received; try again, and send every field before file")
		}
		h.taken += int64(length)
		block, filled := make([]byte, length), 0
		for filled < len(block) && err == nil { // not io.ReadFull: it calls an end and a cut the same
			var n int
			n, err = r.Read(block[filled:])
			filled += n
		}
		held, size = append(held, block[:filled]), size+filled
		if err == io.EOF {
			return held, size <= h.most, nil
		}
		if err != nil {
			return nil, false, torn(err)
		}
	}
	return held, false, nil
}

func chain(blocks [][]byte) io.Reader {
	readers := make([]io.Reader, len(blocks))
	for i, b := range blocks {
		readers[i] = bytes.NewReader(b)
	}
	return io.MultiReader(readers...)
}

func (f *form) stream(p *multipart.Part, held [][]byte) *upload {
	r := &rest{form: f, r: io.MultiReader(chain(held), p)}
	f.up.Body = r
	return &upload{Upload: f.up, rest: r}
}

// isDICOM looks for the prefix of PS3.10 7.1: such a file names its patient itself.
func isDICOM(head []byte) bool { return len(head) >= 132 && string(head[128:132]) == "DICM" }

// rest is a file that streams, up to the end of its form. It ends cleanly only after
// the closing boundary: a form that was cut, or that brings a field too late, makes
// the vault keep nothing.
type rest struct {
	form   *form
	r      io.Reader
	broken error
	ended  bool // after the closing boundary: a buffered reader may ask again
}

func (r *rest) Read(b []byte) (int, error) {
	if r.broken != nil {
		return 0, r.broken
	}
	if r.ended {
		return 0, io.EOF
	}
	n, err := r.r.Read(b)
	if err == nil || n > 0 && err == io.EOF {
		return n, nil // an end is told by the next call
	}
	if err != io.EOF {
		r.broken = torn(err)
		return n, r.broken
	}
	switch _, err := r.form.next(); {
	case err == io.EOF:
		r.ended = true
		return 0, io.EOF
	case err != nil:
		r.broken = err
	default:
		r.broken = record.Refuse(record.ErrInvalid, "field-after-file", "send every field before so large a file")
	}
	return 0, r.broken
}

// fields lists what a form may hold beside its file.
func fields() []string {
	return []string{"patientId", "issuer", "category", "title", "birthDate", "patientName"}
}

// next is the next part of the form, checked by name; io.EOF after the closing
// boundary, and only there.
func (f *form) next() (*multipart.Part, error) {
	p, err := f.parts.NextRawPart()
	if err == io.EOF {
		return nil, io.EOF
	}
	if err != nil {
		return nil, torn(err)
	}
	name := p.FormName()
	known := name == "file"
	for _, field := range fields() {
		known = known || name == field
	}
	switch {
	case !known:
		return nil, record.Refuse(record.ErrInvalid, "unknown-field", "the fields are file, patientId, issuer, category, title, birthDate and patientName")
	case f.seen[name]:
		return nil, record.Refuse(record.ErrInvalid, "repeated-field", "send each field once, one document a form")
	}
	f.seen[name] = true
	return p, nil
}

func (f *form) field(p *multipart.Part) error {
	value, err := io.ReadAll(io.LimitReader(p, maxField+1))
	if err != nil {
		return torn(err)
	}
	if len(value) > maxField {
		return record.Refuse(record.ErrInvalid, "field-too-long", "a field beside file holds at most 4096 bytes")
	}
	switch p.FormName() {
	case "patientId":
		f.up.PatientID = string(value)
	case "issuer":
		f.up.Issuer = string(value)
	case "category":
		f.up.Category = string(value)
	case "title":
		f.up.Title = string(value)
	case "birthDate":
		f.up.BirthDate = string(value)
	case "patientName":
		f.up.PatientName = string(value)
	}
	return nil
}

// torn is why a form could not be read on.
func torn(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return record.Refuse(record.ErrInvalid, "form-cut", "the form ended before its closing boundary; send it again")
}
