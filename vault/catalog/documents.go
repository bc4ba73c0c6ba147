package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"medvault/vault/catalog/internal/query"
	"medvault/vault/record"
)

// Object is one sealed object.
type Object struct {
	ID         record.ObjectID
	Class      string // ClassObjects or ClassRecords
	Patient    record.PatientToken
	Generation uint32
	Seal       string
	Kind       record.Kind
	Size       int64    // of the ciphertext
	SHA256     [32]byte // of the ciphertext
	Footer     []byte   // so that a part is read without asking a region for it
	Created    time.Time
	// SupersededBy is what stands in the object's place; the object itself is on its way
	// out of the regions. "" when it counts.
	SupersededBy record.ObjectID
}

// Classes of objects: the first segment of their key in a region.
const (
	ClassObjects = "objects"
	ClassRecords = "records"
)

// Key is where the object lies in a region's data bucket.
func (o Object) Key() string { return o.ID.Key(o.Class) }

// Document is a sealed DICOM instance or PDF.
type Document struct {
	Object
	Study, Series, Instance string // mapped UIDs; "" for a PDF
	Fingerprint             string // keyed hash of the original's hash
	Category                string
	Held                    string          // why the de-identified view is held back; "" when it is released
	Terms                   []Term          // what it is found by
	By                      string          // who stored it
	Rules                   string          // digest of the rules it was scrubbed by
	Review                  record.ObjectID // the record in which a person decided that it stays held; "" while nobody has
}

// Term is one blind value under which a document is found. A patient's terms are
// kept once per patient, a study's once per study, and so on.
type Term struct {
	Level string // LevelPatient, LevelStudy, LevelSeries or LevelInstance
	Value string
}

// Levels of terms and of Search.
const (
	LevelPatient  = "patient"
	LevelStudy    = "study"
	LevelSeries   = "series"
	LevelInstance = "instance"
)

// InsertDocument writes a document and its terms. ErrExist when its id, its
// Instance, or its patient's Fingerprint is taken (empty ones are not compared);
// the transaction can go on and look at what is there.
func (t *Tx) InsertDocument(ctx context.Context, d Document) error {
	err := t.insertDocument(ctx, d)
	return attempt(err, "insert document %s", d.ID)
}

func (t *Tx) insertDocument(ctx context.Context, d Document) error {
	if d.Class != ClassObjects {
		return errors.New("a document's class is objects")
	}
	terms, err := d.owners()
	if err != nil {
		return err
	}
	if err := t.insertObject(ctx, d.Object, ""); err != nil {
		return err
	}
	n, err := t.q.InsertDocument(ctx, query.InsertDocumentParams{ID: string(d.ID), Patient: string(d.Patient), Study: d.Study, Series: d.Series,
		Instance: d.Instance, Fingerprint: d.Fingerprint, Category: d.Category, Held: d.Held, StoredBy: d.By, Rules: d.Rules, Review: string(d.Review)})
	if err != nil {
		return err
	}
	if n == 0 {
		// The object's row went in before the document's was refused.
		if _, err := t.q.DeleteObject(ctx, string(d.ID)); err != nil {
			return err
		}
		return ErrExist
	}
	return t.insertTerms(ctx, d.Patient, terms)
}

// InsertRecord writes a sealed record: a care relationship, a consent, … A known id:
// ErrExist.
func (t *Tx) InsertRecord(ctx context.Context, o Object, recordType string) error {
	if o.Class != ClassRecords || recordType == "" {
		return errors.New("insert record: class must be records, and the type be named")
	}
	return attempt(t.insertObject(ctx, o, recordType), "insert record %s", o.ID)
}

func (t *Tx) insertObject(ctx context.Context, o Object, recordType string) error {
	footer := o.Footer
	if footer == nil {
		footer = []byte{} // NULL is not stored
	}
	n, err := t.q.InsertObject(ctx, query.InsertObjectParams{ID: string(o.ID), Class: o.Class, Patient: string(o.Patient), Generation: int64(o.Generation),
		Seal: o.Seal, Kind: int64(o.Kind), Size: o.Size, Sha256: o.SHA256[:], Footer: footer, RecordType: recordType, CreatedAt: millis(o.Created)})
	if err == nil && n == 0 {
		err = ErrExist
	}
	return err
}

// ownedTerm is a term with the study, series or object it belongs to; "" is the
// patient.
type ownedTerm struct{ owner, value string }

func (d Document) owners() ([]ownedTerm, error) {
	owned := make([]ownedTerm, len(d.Terms))
	for i, term := range d.Terms {
		owner := ""
		switch term.Level {
		case LevelPatient:
		case LevelStudy:
			owner = d.Study
		case LevelSeries:
			owner = d.Series
		case LevelInstance:
			owner = string(d.ID)
		default:
			return nil, fmt.Errorf("no such level of a term: %q", term.Level)
		}
		if owner == "" && term.Level != LevelPatient {
			return nil, fmt.Errorf("a term of the %s, which the document has not", term.Level)
		}
		owned[i] = ownedTerm{owner, term.Value}
	}
	return owned, nil
}

func (t *Tx) insertTerms(ctx context.Context, patient record.PatientToken, terms []ownedTerm) error {
	// One order for everyone, or two transactions would wait for each other.
	slices.SortFunc(terms, func(a, b ownedTerm) int {
		return cmp.Or(cmp.Compare(a.owner, b.owner), cmp.Compare(a.value, b.value))
	})
	err := t.c.terms.exec(ctx, t.tx.Tx, len(terms), func(args []any, i int) []any {
		return append(args, string(patient), terms[i].owner, terms[i].value)
	})
	if err != nil {
		return fmt.Errorf("terms: %w", err)
	}
	return nil
}

// Object reads an object of either class. Absent: ErrNotFound.
func (t *Tx) Object(ctx context.Context, id record.ObjectID) (Object, error) {
	row, err := t.q.GetObject(ctx, string(id))
	if err != nil {
		return Object{}, attempt(err, "object %s", id)
	}
	o, err := object(row)
	return o, attempt(err, "object %s", id)
}

// Document reads a document, without its terms. Absent: ErrNotFound.
func (t *Tx) Document(ctx context.Context, id record.ObjectID) (Document, error) {
	row, err := t.q.DocumentByID(ctx, string(id))
	if err != nil {
		return Document{}, attempt(err, "document %s", id)
	}
	return document(row.Object, row.Document)
}

// DocumentByInstance finds a document by its mapped SOP Instance UID.
func (t *Tx) DocumentByInstance(ctx context.Context, mapped string) (Document, error) {
	row, err := t.q.DocumentByInstance(ctx, mapped)
	if err != nil {
		return Document{}, attempt(err, "document of instance %s", mapped)
	}
	return document(row.Object, row.Document)
}

// DocumentByFingerprint finds a patient's document of the same original bytes.
func (t *Tx) DocumentByFingerprint(ctx context.Context, patient record.PatientToken, fingerprint string) (Document, error) {
	row, err := t.q.DocumentByFingerprint(ctx, query.DocumentByFingerprintParams{Patient: string(patient), Fingerprint: fingerprint})
	if err != nil {
		return Document{}, attempt(err, "document by fingerprint")
	}
	return document(row.Object, row.Document)
}

// Scope names documents: those for which every field that is set holds.
type Scope struct {
	Study, Series, Instance string // mapped UIDs
	Document                record.ObjectID
	Patient                 record.PatientToken
}

// Documents lists what lies within a scope, without terms, ordered by study,
// series, instance and id. The empty scope is an error, not everything.
func (t *Tx) Documents(ctx context.Context, s Scope) ([]Document, error) {
	if s == (Scope{}) {
		return nil, errors.New("documents: the scope is empty")
	}
	var b builder
	b.add("SELECT " + documentColumns + " FROM documents d JOIN objects o ON o.id = d.id WHERE 1 = 1")
	for _, f := range []struct{ column, value string }{
		{"study", s.Study}, {"series", s.Series}, {"instance", s.Instance}, {"id", string(s.Document)}, {"patient", string(s.Patient)},
	} {
		if f.value != "" {
			b.add(" AND d."+f.column+" = ?", f.value)
			if f.column == "study" || f.column == "instance" {
				b.add(" AND d." + f.column + " <> ''") // so that the partial index serves
			}
		}
	}
	b.add(" ORDER BY d.study, d.series, d.instance, d.id")
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "documents")
	}
	defer rows.Close()
	var found []Document
	for rows.Next() {
		var o query.Object
		var d query.Document
		if err := rows.Scan(&o.ID, &o.Class, &o.Patient, &o.Generation, &o.Seal, &o.Kind, &o.Size, &o.Sha256, &o.Footer, &o.CreatedAt,
			&d.Study, &d.Series, &d.Instance, &d.Fingerprint, &d.Category, &d.Held, &d.StoredBy, &d.Rules, &d.Review); err != nil {
			return nil, attempt(err, "documents")
		}
		doc, err := document(o, d)
		if err != nil {
			return nil, err
		}
		found = append(found, doc)
	}
	return found, attempt(rows.Err(), "documents")
}

const documentColumns = "o.id, o.class, o.patient, o.generation, o.seal, o.kind, o.size, o.sha256, o.footer, o.created_at, " +
	"d.study, d.series, d.instance, d.fingerprint, d.category, d.held, d.stored_by, d.rules, d.review"

func document(o query.Object, d query.Document) (Document, error) {
	obj, err := object(o)
	if err != nil {
		return Document{}, attempt(err, "document %s", o.ID)
	}
	return Document{Object: obj, Study: d.Study, Series: d.Series, Instance: d.Instance,
		Fingerprint: d.Fingerprint, Category: d.Category, Held: d.Held, By: d.StoredBy, Rules: d.Rules, Review: record.ObjectID(d.Review)}, nil
}

func object(o query.Object) (Object, error) {
	sum, err := sha256Of(o.Sha256)
	if err != nil {
		return Object{}, err
	}
	return Object{ID: record.ObjectID(o.ID), Class: o.Class, Patient: record.PatientToken(o.Patient), Generation: uint32(o.Generation),
		Seal: o.Seal, Kind: record.Kind(o.Kind), Size: o.Size, SHA256: sum, Footer: o.Footer, Created: fromMillis(o.CreatedAt),
		SupersededBy: record.ObjectID(o.SupersededBy)}, nil
}

func sha256Of(b []byte) (sum [32]byte, err error) {
	if len(b) != len(sum) {
		return sum, fmt.Errorf("%w: a SHA-256 of %d bytes", record.ErrTampered, len(b))
	}
	return [32]byte(b), nil
}
