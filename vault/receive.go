package vault

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"medvault/imaging"
	"medvault/keys/envelope"
	"medvault/keys/token"
	"medvault/vault/catalog"
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
	labelled bool // the sender chose the category
	title    string
	media    string              // of the original, where the kind does not say it
	birth    string              // as the sender states it, who has no other place for it
	by       string              // who sent it
	country  string              // the patient's home
	review   record.ObjectID     // of what is superseded
	aliased  bool                // the patient was found by another Patient ID than their own
	moved    *imaging.Correction // of a document that says it is another's

	corrections corrections // of the patient
	correctedAs int64       // how often they had changed when they were read

	supersedes  record.ObjectID
	body        *bufio.Reader
	tap         *tap
	scrubber    imaging.Scrubber
	decision    *decision       // of a person who has looked at the document; nil of an upload
	known       *acquaintance   // what to redact by; nil of an upload
	giveUp      bool            // what is to be redacted stays held: that has failed too often
	parent      record.ObjectID // of an attachment: the document it lies in
	nesting     int             // of an attachment: how many documents it lies in
	origin      string          // why the vault itself stores it; "" of an upload
	patientName string          // as the sender states it, who has no other place for it
	withhold    string          // why the view is withheld whatever the scrubber says; "" of an upload
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
	in := &incoming{kind: up.Kind, category: up.Category, labelled: up.Category != "", title: up.Title, by: a.ID, tap: newTap(up.Body)}
	in.body = bufio.NewReaderSize(in.tap, 64<<10)
	if err := up.check(); err != nil {
		return in, err
	}
	head, err := in.body.Peek(1024)
	if err != nil && err != io.EOF {
		return in, fmt.Errorf("read upload: %w", err)
	}
	if in.kind == 0 {
		kind, ok := imaging.Sniff(head)
		if !ok {
			return in, record.Refuse(record.ErrUnreadable, "unknown-format", "send a DICOM instance, a PDF, a JPEG, PNG or TIFF, or a FHIR R4 resource in JSON")
		}
		in.kind = record.Kind(kind)
	}
	scrubber := v.cfg.Scrubbers[in.kind]
	if scrubber == nil {
		return in, record.Refuse(record.ErrUnreadable, "unknown-format", "send a DICOM instance, a PDF, a JPEG, PNG or TIFF, or a FHIR R4 resource in JSON")
	}
	in.media = mediaOf(in.kind, head)
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

// check refuses a patient's number and issuer that no DICOM document could hold (VR
// LO, PS3.5 6.2): they could never be found again.
func (up Upload) check() error {
	if !utf8.ValidString(up.PatientName) || len(up.PatientName) > 256 || strings.ContainsFunc(up.PatientName, unicode.IsControl) {
		return record.Refuse(record.ErrInvalid, "bad-patient-name", "a patient's name has at most 256 bytes and no control characters")
	}
	for code, value := range map[string]string{"bad-patient-id": up.PatientID, "bad-issuer": up.Issuer} {
		illegal := func(r rune) bool { return r == '\\' || unicode.IsControl(r) }
		if !utf8.ValidString(value) || utf8.RuneCountInString(value) > 64 || strings.ContainsFunc(value, illegal) {
			return record.Refuse(record.ErrInvalid, code, "Patient ID and its issuer have at most 64 characters, no backslash and no control characters")
		}
	}
	if _, err := token.ParseDay(up.BirthDate); up.BirthDate != "" && err != nil {
		return record.Refuse(record.ErrInvalid, "bad-birth-date", "a birth date is YYYYMMDD")
	}
	return nil
}

// name gives patient and document their pseudonyms.
func (v *Vault) name(in *incoming, a record.Actor, up Upload) error {
	id := &in.identity
	if in.kind != record.KindDICOM {
		if err := up.identify(id); err != nil {
			return err
		}
		in.birth, in.patientName = up.BirthDate, up.PatientName
	}
	if id.PatientID == "" {
		return record.Refuse(record.ErrInvalid, "missing-patient-id", "name the patient: Patient ID (0010,0020) in DICOM, patientId with any other document")
	}
	if up.Study != "" && in.kind == record.KindDICOM && up.Study != id.Study {
		return record.Refuse(record.ErrConflict, "study-mismatch", "send the instance to its own study")
	}
	if id.Issuer == "" {
		id.Issuer = a.Issuer
	}
	in.patient = record.PatientToken(v.tokens.Patient(id.Issuer, id.PatientID))
	if said := v.tokens.Patient(cmp.Or(up.Issuer, id.Issuer), cmp.Or(up.PatientID, id.PatientID)); said != string(in.patient) {
		return record.Refuse(record.ErrConflict, "patient-mismatch", "the DICOM document names another patient than the request: leave patientId and issuer out, or send the right document")
	}
	if in.kind == record.KindDICOM {
		in.study, in.series, in.instance = v.tokens.UID(id.Study), v.tokens.UID(id.Series), v.tokens.UID(id.Instance)
	}
	in.category = cmp.Or(in.category, defaultCategory(in.kind, id.ResourceType))
	if !categories[in.category] {
		return unknownCategory
	}
	return nil
}

// identify completes the identity of a document that does not say it, or not all of it.
func (up Upload) identify(id *imaging.Identity) error {
	id.PatientID, id.Issuer = up.PatientID, up.Issuer
	if len(id.PatientIDs) > 0 {
		if id.PatientID = cmp.Or(id.PatientID, id.PatientIDs[0]); !slices.Contains(id.PatientIDs, id.PatientID) {
			return record.Refuse(record.ErrConflict, "patient-mismatch", "the document names another patient than the request: send the right document, or leave patientId out")
		}
	}
	id.BirthDate, id.PatientName = cmp.Or(up.BirthDate, id.BirthDate), cmp.Or(up.PatientName, id.PatientName)
	return nil
}

// defaultCategory is the category of what its sender gave none.
func defaultCategory(kind record.Kind, resource string) string {
	switch kind {
	case record.KindDICOM:
		return "imaging"
	case record.KindPDF:
		return "report"
	case record.KindScan:
		return "other"
	}
	switch resource {
	case "DiagnosticReport", "Composition":
		return "report"
	case "Observation", "Specimen":
		return "result"
	case "Condition", "ClinicalImpression":
		return "diagnosis"
	case "MedicationRequest", "MedicationStatement", "MedicationAdministration", "Medication":
		return "prescription"
	case "AllergyIntolerance":
		return "allergy"
	case "CarePlan", "Goal", "ServiceRequest":
		return "treatment-plan"
	case "Procedure", "Immunization", "FamilyMemberHistory", "Encounter":
		return "history"
	case "ImagingStudy":
		return "imaging"
	}
	return "other"
}

// sameLabels refuses to drop in silence what a sender says anew of a document that is
// stored: neither category nor title can be changed by sending it again.
func (v *Vault) sameLabels(ctx context.Context, in *incoming, known catalog.Document) error {
	if in.labelled && in.category != known.Category {
		return record.Refuse(record.ErrConflict, "category-differs", "the same document is stored under another category, which stays: send it without category, or with the one it has")
	}
	if in.title == "" {
		return nil
	}
	var p catalog.Patient
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		p, err = tx.Patient(ctx, known.Patient)
		return err
	})
	if err != nil {
		return fmt.Errorf("stored title: %w", err)
	}
	keys, err := v.openKeys(ctx, sealedFor(p, known.Object))
	if err != nil {
		return fmt.Errorf("stored title: %w", err)
	}
	o, err := v.open(ctx, known.Object, keys, record.ViewOriginal)
	if err != nil {
		return fmt.Errorf("stored title: %w", err)
	}
	var stored who
	if err := readPart(ctx, o, envelope.Who, &stored); err != nil {
		return fmt.Errorf("stored title: %w", err)
	}
	if stored.Title != in.title {
		return record.Refuse(record.ErrConflict, "title-differs", "the same document is stored with another title, which stays: send it without title, or with the one it has")
	}
	return nil
}

var unknownCategory = &record.Refusal{Kind: record.ErrInvalid, Code: "unknown-category", Advice: "use one of: imaging, report, history, diagnosis, result, treatment-plan, prescription, allergy, other"}

// categories of policy 1.1.
var categories = map[string]bool{"imaging": true, "report": true, "history": true, "diagnosis": true,
	"result": true, "treatment-plan": true, "prescription": true, "allergy": true, "other": true}

// tap counts and hashes what passes, and notes what it takes to know it again.
type tap struct {
	r     io.Reader
	n     int64
	sum   hash.Hash
	proof *proof
}

func newTap(r io.Reader) *tap { return &tap{r: r, sum: sha256.New(), proof: newProof()} }

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.n += int64(n)
	t.sum.Write(p[:n])
	t.proof.note(p[:n])
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
