package vault

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"medvault/imaging"
	"medvault/vault/record"
)

// incoming is a document whose header has been read.
type incoming struct {
	imaging.Incoming
	identity imaging.Identity
	kind     record.Kind
	patient  record.PatientToken
	study    string // mapped UIDs; "" for PDF
	series   string
	instance string
	category string
	title    string
	body     *bufio.Reader
	tap      *tap
	scrubber imaging.Scrubber
}

func (in *incoming) receipt() Receipt {
	if in == nil {
		return Receipt{}
	}
	return Receipt{Patient: in.patient, SOPClass: in.identity.SOPClass, SOPInstance: in.identity.Instance, Study: in.identity.Study, Series: in.identity.Series}
}

// receive reads a document's header and names its patient. The hash of the original
// is taken here, of the raw input, not of what a parser makes of it.
func (v *Vault) receive(a record.Actor, up Upload) (*incoming, error) {
	in := &incoming{kind: up.Kind, category: up.Category, title: up.Title, tap: &tap{r: up.Body, sum: sha256.New()}}
	in.body = bufio.NewReaderSize(in.tap, 64<<10)
	if in.kind == 0 {
		head, err := in.body.Peek(1024)
		if err != nil && err != io.EOF {
			return in, fmt.Errorf("read upload: %w", err)
		}
		kind, ok := imaging.Sniff(head)
		if !ok {
			return in, record.Refuse(record.ErrUnreadable, "unknown-format", "send a DICOM instance or a PDF")
		}
		in.kind = record.Kind(kind)
	}
	scrubber := v.cfg.Scrubbers[in.kind]
	if scrubber == nil {
		return in, record.Refuse(record.ErrUnreadable, "unknown-format", "send a DICOM instance or a PDF")
	}
	doc, err := scrubber.Begin(in.body)
	if err != nil {
		return in, uploadError(err)
	}
	in.Incoming, in.identity, in.scrubber = doc, doc.Identity(), scrubber
	if err := v.name(in, a, up); err != nil {
		return in, err
	}
	return in, nil
}

// name gives patient and document their pseudonyms.
func (v *Vault) name(in *incoming, a record.Actor, up Upload) error {
	id := &in.identity
	if in.kind == record.KindPDF {
		id.PatientID, id.Issuer = up.PatientID, up.Issuer
	}
	if id.PatientID == "" {
		return record.Refuse(record.ErrInvalid, "missing-patient-id", "name the patient: Patient ID (0010,0020) in DICOM, patientId with a report")
	}
	if up.Study != "" && in.kind == record.KindDICOM && up.Study != id.Study {
		return record.Refuse(record.ErrConflict, "study-mismatch", "send the instance to its own study")
	}
	if id.Issuer == "" {
		id.Issuer = a.Issuer
	}
	in.patient = record.PatientToken(v.tokens.Patient(id.Issuer, id.PatientID))
	if in.kind == record.KindDICOM {
		in.study, in.series, in.instance = v.tokens.UID(id.Study), v.tokens.UID(id.Series), v.tokens.UID(id.Instance)
	}
	if in.category == "" {
		in.category = "imaging"
		if in.kind == record.KindPDF {
			in.category = "report"
		}
	}
	if !categories[in.category] {
		return record.Refuse(record.ErrInvalid, "unknown-category", "use one of: imaging, report, history, diagnosis, result, treatment-plan, prescription, allergy, other")
	}
	return nil
}

// categories of policy 1.1.
var categories = map[string]bool{"imaging": true, "report": true, "history": true, "diagnosis": true,
	"result": true, "treatment-plan": true, "prescription": true, "allergy": true, "other": true}

// tap counts and hashes what passes.
type tap struct {
	r   io.Reader
	n   int64
	sum hash.Hash
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.n += int64(n)
	t.sum.Write(p[:n])
	return n, err
}

func (t *tap) original() (size int64, sum [32]byte) {
	t.sum.Sum(sum[:0])
	return t.n, sum
}

// uploadError tells the sender what is wrong with a document.
func uploadError(err error) error {
	var r *imaging.Refusal
	if errors.As(err, &r) {
		advice := r.Advice
		if r.Offset >= 0 {
			advice = fmt.Sprintf("%s (at byte %d)", advice, r.Offset)
		}
		return record.Refuse(record.ErrUnreadable, r.Code, advice)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return record.Refuse(record.ErrInvalid, "upload-cut", "the upload ended early: send it again")
	}
	return fmt.Errorf("read upload: %w", err)
}
