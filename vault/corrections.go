package vault

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"medvault/imaging"
	"medvault/keys/envelope"
	"medvault/keys/token"
	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Types of records about corrections.
const (
	recordCorrection     = "correction"
	recordCorrectionUndo = "correction-undo"
)

// Correction is what a patient's own record says instead of their documents. The bytes of
// the documents stay; whoever reads them with identity is given the corrected values
// (imaging.Corrector), and the patient is found by these.
type Correction struct {
	ID       record.ObjectID     `json:"id"`
	Patient  record.PatientToken `json:"patient"`
	Document record.ObjectID     `json:"document,omitempty"` // that alone it is about; left out: all of the patient's
	Values   map[string]string   `json:"values,omitempty"`   // by DICOM keyword; sealed under the identity key
	Category string              `json:"category,omitempty"` // of the document
	Before   string              `json:"before,omitempty"`   // the category it had
	Evidence record.ObjectID     `json:"evidence,omitempty"` // the stored document that proves it
	Case     string              `json:"case,omitempty"`     // in which it was decided
	Reason   string              `json:"reason,omitempty"`   // sealed under the identity key
	By       string              `json:"by"`
	Recorded time.Time           `json:"recorded"`
	Undone   *time.Time          `json:"undone,omitempty"`
	UndoneBy string              `json:"undoneBy,omitempty"`
}

// NewCorrection is what is to be corrected: values, or the category of one document.
type NewCorrection struct {
	Document record.ObjectID   `json:"document,omitempty"`
	Values   map[string]string `json:"values,omitempty"` // keywords of imaging.Correctable; "" says that nothing is known
	Category string            `json:"category,omitempty"`
	Evidence record.ObjectID   `json:"evidence,omitempty"` // required for a birth date and a Patient ID
	Case     string            `json:"case,omitempty"`
	Reason   string            `json:"reason"`
}

// correctionRecord is what is sealed of one: the values under the identity key.
type correctionRecord struct {
	ID       record.ObjectID     `json:"id"`
	Patient  record.PatientToken `json:"patient"`
	Document record.ObjectID     `json:"document,omitempty"`
	Category string              `json:"category,omitempty"`
	Before   string              `json:"-"` // the document's row had it
	Evidence record.ObjectID     `json:"evidence,omitempty"`
	Case     string              `json:"case,omitempty"`
	Alias    record.PatientToken `json:"alias,omitempty"` // of the corrected Patient ID
	Minor    *bool               `json:"minor,omitempty"` // what the corrected birth date made of the patient
	By       string              `json:"by"`
	Recorded time.Time           `json:"recorded"`
}

type correctionWords struct {
	Values map[string]string `json:"values,omitempty"`
	Reason string            `json:"reason"`
}

type correctionUndo struct {
	Correction record.ObjectID `json:"correction"`
	At         time.Time       `json:"at"`
	By         string          `json:"by"`
}

// Correct puts a correction on record. It acts on the next request in every gateway: reads
// with identity carry it, a corrected birth date decides who is a child, a corrected
// Patient ID leads to the patient. What the patient was found by before goes in the
// background. Acts of the guard: correction.add.
func (v *Vault) Correct(ctx context.Context, a record.Actor, p record.PatientToken, n NewCorrection) (Correction, error) {
	r := correctionRecord{ID: record.NewObjectID(), Patient: p, Document: n.Document, Category: n.Category, Evidence: n.Evidence, Case: n.Case,
		By: a.ID, Recorded: v.cfg.Now().UTC().Truncate(time.Millisecond)}
	correcting := act{Actor: a, Action: record.ActionCorrect, Patient: p, Object: r.ID}
	if err := n.check(); err != nil {
		return Correction{}, err
	}
	number, names := n.Values["PatientID"]
	if names {
		if err := v.may(ctx, correcting); err != nil { // before anything is looked up
			return Correction{}, err
		}
		issuer, ok := n.Values["IssuerOfPatientID"]
		if !ok {
			var err error
			if issuer, err = v.issuerOf(ctx, p); err != nil {
				return Correction{}, err
			}
		}
		r.Alias = record.PatientToken(v.tokens.Patient(issuer, number))
	}
	if birth, ok := n.Values["PatientBirthDate"]; ok {
		_, minor := v.bornMinor(birth)
		r.Minor = &minor
	}
	put := recordPut{act: correcting, id: r.ID, recordType: recordCorrection, value: r, identity: correctionWords{n.Values, n.Reason},
		change: func(ctx context.Context, tx *catalog.Tx) error {
			if err := evidenceOf(ctx, tx, p, n.Evidence); err != nil {
				return err
			}
			return v.takeCorrection(ctx, tx, &r, n.Values["PatientBirthDate"])
		}}
	if err := v.putRecords(ctx, p, []recordPut{put}, nil); err != nil {
		return Correction{}, err
	}
	return Correction{ID: r.ID, Patient: p, Document: r.Document, Values: n.Values, Category: r.Category, Before: r.Before, Evidence: r.Evidence, Case: r.Case,
		Reason: n.Reason, By: r.By, Recorded: r.Recorded}, nil
}

// check refuses what no document could hold (PS3.5 6.2).
func (n NewCorrection) check() error {
	refuse := func(code, advice string) error { return record.Refuse(record.ErrInvalid, code, advice) }
	for keyword, value := range n.Values {
		illegal := func(r rune) bool { return r == '\\' || unicode.IsControl(r) }
		switch {
		case !slices.Contains(imaging.Correctable(), keyword):
			return refuse("not-correctable", "values may be "+strings.Join(imaging.Correctable(), ", "))
		case !utf8.ValidString(value) || utf8.RuneCountInString(value) > 64*3 || strings.ContainsFunc(value, illegal) || value != strings.TrimSpace(value):
			return refuse("bad-value", keyword+" has no backslash, no control characters and no spaces around it")
		case keyword == "PatientName" && slices.ContainsFunc(strings.Split(value, "="), func(s string) bool { return utf8.RuneCountInString(s) > 64 }):
			return refuse("bad-value", "each group of components of PatientName has at most 64 characters")
		case keyword != "PatientName" && utf8.RuneCountInString(value) > 64:
			return refuse("bad-value", keyword+" has at most 64 characters")
		case keyword == "PatientBirthDate" && value != "":
			if _, err := token.ParseDay(value); err != nil {
				return refuse("bad-birth-date", "a birth date is YYYYMMDD")
			}
		case keyword == "PatientSex" && !slices.Contains([]string{"", "M", "F", "O"}, value):
			return refuse("bad-sex", "PatientSex is M, F, O or nothing")
		case keyword == "PatientID" && value == "":
			return refuse("missing-patient-id", "a patient has a Patient ID")
		}
	}
	_, birth := n.Values["PatientBirthDate"]
	_, number := n.Values["PatientID"]
	_, issuer := n.Values["IssuerOfPatientID"]
	switch {
	case (len(n.Values) == 0) == (n.Category == ""):
		return refuse("nothing-to-correct", "send values, or a category and the document it is of")
	case n.Category != "" && !categories[n.Category]:
		return refuse("unknown-category", "use one of: "+strings.Join(slices.Sorted(maps.Keys(categories)), ", "))
	case n.Category != "" && n.Document == "":
		return refuse("missing-document", "name the document whose category is wrong")
	case number && n.Document != "", birth && n.Document != "":
		return refuse("whole-patient", "Patient ID and birth date are corrected for all documents of the patient: leave the document out")
	case issuer && !number:
		return refuse("missing-patient-id", "correct the issuer together with the Patient ID")
	case number && n.Evidence == "": // whoever comes under it later is taken for this patient
		return refuse("evidence-required", "store the document that proves the Patient ID as a document of this patient first, and name its id as evidence")
	case birth && n.Evidence == "":
		return refuse("evidence-required", "store the document that proves the birth date as a document of this patient first, and name its id as evidence")
	case utf8.RuneCountInString(n.Reason) < 3 || utf8.RuneCountInString(n.Reason) > 1000 || !utf8.ValidString(n.Reason):
		return refuse("missing-reason", "say why, in 3 to 1000 characters")
	case !name(n.Case, 0, 64):
		return refuse("bad-case", "case is the id of the case in which it was decided")
	}
	for _, id := range []record.ObjectID{n.Document, n.Evidence} {
		if _, err := record.ParseObjectID(string(id)); id != "" && err != nil {
			return refuse("bad-document", "document and evidence are ids of stored documents")
		}
	}
	return nil
}

// takeCorrection makes a correction count, in the transaction of its record. birth is the
// corrected birth date.
func (v *Vault) takeCorrection(ctx context.Context, tx *catalog.Tx, r *correctionRecord, birth string) error {
	if r.Document != "" {
		current, err := tx.Current(ctx, r.Document)
		if err != nil {
			return documentUnknown(err)
		}
		d, err := tx.Document(ctx, current)
		if err != nil || d.Patient != r.Patient {
			return documentUnknown(errors.Join(catalog.ErrNotFound, err))
		}
		if r.Category != "" {
			r.Before = d.Category
			if err := tx.SetCategory(ctx, d.ID, r.Category); err != nil {
				return err
			}
		}
	}
	if r.Alias != "" {
		if err := v.takeAlias(ctx, tx, r); err != nil {
			return err
		}
	}
	if r.Minor != nil {
		if err := v.correctBirth(ctx, tx, r.Patient, birth, r.ID); err != nil {
			return err
		}
	}
	err := tx.InsertCorrection(ctx, catalog.Correction{ID: r.ID, Patient: r.Patient, Document: r.Document, Category: r.Category, Before: r.Before, By: r.By, Recorded: r.Recorded})
	if err != nil {
		return err
	}
	if err := v.lookAtReportsLater(ctx, tx, r.Patient); err != nil { // more is known of the patient
		return err
	}
	return v.reindexLater(ctx, tx, r.Patient)
}

func documentUnknown(err error) error {
	if errors.Is(err, catalog.ErrNotFound) {
		return record.Refuse(record.ErrInvalid, "document-unknown", "the document is none of this patient's")
	}
	return err
}

// takeAlias makes a corrected Patient ID lead to the patient.
func (v *Vault) takeAlias(ctx context.Context, tx *catalog.Tx, r *correctionRecord) error {
	if r.Alias == r.Patient {
		return nil
	}
	_, err := tx.Patient(ctx, r.Alias)
	if err == nil {
		return aliasTaken
	}
	if !errors.Is(err, catalog.ErrNotFound) {
		return err
	}
	if err = tx.PutAlias(ctx, r.Alias, r.Patient, r.ID); errors.Is(err, catalog.ErrExist) {
		if now, err := tx.AliasOf(ctx, r.Alias); err != nil || now == r.Patient {
			return err
		}
		return aliasTaken
	}
	return err
}

var aliasTaken = &record.Refusal{Kind: record.ErrConflict, Code: "patient-exists",
	Advice: "documents of another patient are stored under this Patient ID: if both are one person, move the documents (corrections move)"}

// correctBirth makes a corrected birth date decide, whatever documents say: a child is one
// now, or is one no more.
func (v *Vault) correctBirth(ctx context.Context, tx *catalog.Tx, patient record.PatientToken, date string, by record.ObjectID) error {
	p, err := tx.Patient(ctx, patient) // locked
	if err != nil {
		return err
	}
	if _, minor := v.bornMinor(date); minor {
		if err := tx.DropMinor(ctx, patient); err != nil { // of several dates the latest counts, but not against a correction
			return err
		}
		return v.noteBirth(ctx, tx, p, date, by)
	}
	before, err := v.consents(ctx, tx, patient)
	if err != nil {
		return err
	}
	if err := tx.DropMinor(ctx, patient); err != nil {
		return err
	}
	after, err := v.consents(ctx, tx, patient)
	if err != nil {
		return err
	}
	return v.follow(ctx, tx, p, by, before, after)
}

// issuerOf is the issuer of a patient's own Patient ID, as the first of their documents
// was stored with it.
func (v *Vault) issuerOf(ctx context.Context, patient record.PatientToken) (issuer string, err error) {
	var p catalog.Patient
	var row catalog.Object
	err = v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		if p, err = tx.Patient(ctx, patient); err != nil {
			return err
		}
		ids, err := tx.Witnesses(ctx, patient, 1)
		if err == nil && len(ids) == 0 {
			err = catalog.ErrNotFound
		}
		if err == nil {
			row, err = tx.Object(ctx, ids[0])
		}
		return err
	})
	if err != nil {
		return "", notFound(err)
	}
	k, err := v.openKeys(ctx, p)
	if err != nil {
		return "", err
	}
	w, err := v.whoOf(ctx, row, k)
	return w.Issuer, err
}

// Uncorrect takes a correction back: what it said is not told any more. Unknown or taken
// back already: ErrNotFound. Acts of the guard: correction.undo.
func (v *Vault) Uncorrect(ctx context.Context, a record.Actor, p record.PatientToken, id record.ObjectID) error {
	undo := correctionUndo{Correction: id, At: v.cfg.Now().UTC().Truncate(time.Millisecond), By: a.ID}
	return v.putRecord(ctx, act{Actor: a, Action: record.ActionUncorrect, Patient: p, Object: id}, record.NewObjectID(), recordCorrectionUndo, undo, func(tx *catalog.Tx) error {
		return v.takeUndo(ctx, tx, p, undo)
	})
}

func (v *Vault) takeUndo(ctx context.Context, tx *catalog.Tx, p record.PatientToken, undo correctionUndo) error {
	if err := tx.UndoCorrection(ctx, p, undo.Correction, undo.At, undo.By); err != nil {
		return err
	}
	all, err := tx.Corrections(ctx, p)
	if err != nil {
		return err
	}
	for i, c := range all {
		if c.ID != undo.Correction || c.Category == "" {
			continue
		}
		category := c.Before
		for _, other := range all[:i] { // what was said before it holds again
			if other.Document == c.Document && other.Category != "" && other.Undone == nil {
				category = other.Category
			}
		}
		if slices.ContainsFunc(all[i+1:], func(o catalog.Correction) bool {
			return o.Document == c.Document && o.Category != "" && o.Undone == nil
		}) {
			break // a later one holds
		}
		current, err := tx.Current(ctx, c.Document)
		if err == nil {
			err = tx.SetCategory(ctx, current, category)
		}
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
	}
	return v.reindexLater(ctx, tx, p)
}

// Corrections lists what was corrected about a patient, in the order in which it was
// recorded, with the values. Acts of the guard: correction.list.
func (v *Vault) Corrections(ctx context.Context, a record.Actor, p record.PatientToken) ([]Correction, error) {
	var rows []catalog.Correction
	var objects []catalog.Object
	_, err := v.perform(ctx, act{Actor: a, Action: record.ActionCorrections, Patient: p}, func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) (err error) {
		if _, err = tx.Patient(ctx, p); err != nil {
			return notFound(err)
		}
		if rows, err = tx.Corrections(ctx, p); err != nil {
			return err
		}
		objects = objects[:0]
		for _, c := range rows {
			o, err := correctionObject(ctx, tx, c.ID)
			if err != nil {
				return err
			}
			objects = append(objects, o)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	list := make([]Correction, 0, len(rows))
	for i, c := range rows {
		r, words, err := v.openCorrection(ctx, objects[i])
		if err != nil {
			return nil, err
		}
		list = append(list, Correction{ID: c.ID, Patient: p, Document: r.Document, Values: words.Values, Category: c.Category, Before: c.Before, Evidence: r.Evidence,
			Case: r.Case, Reason: words.Reason, By: c.By, Recorded: c.Recorded.UTC(), Undone: c.Undone, UndoneBy: c.UndoneBy})
	}
	return list, nil
}

func (v *Vault) openCorrection(ctx context.Context, o catalog.Object) (r correctionRecord, words correctionWords, err error) {
	k, err := v.openKeys(ctx, catalog.Patient{Token: o.Patient, Generation: o.Generation})
	if err != nil {
		return r, words, err
	}
	sealed, err := v.open(ctx, o, k, record.ViewOriginal)
	if err != nil {
		return r, words, err
	}
	return r, words, errors.Join(readPart(ctx, sealed, envelope.Content, &r), readPart(ctx, sealed, envelope.Who, &words))
}
