package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"medvault/imaging"
	"medvault/keys/envelope"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// corrections are those of a patient that hold, in the order in which they were recorded.
type corrections []liveCorrection

type liveCorrection struct {
	imaging.Correction
	document record.ObjectID // as it is called now; "" for all of the patient's
}

// correctionRow is what the catalog knows of one that holds.
type correctionRow struct {
	catalog.Correction
	object   catalog.Object
	document record.ObjectID
}

// correctionRows reads what holds about a patient. Hardly anybody was ever corrected: that
// costs nothing.
func correctionRows(ctx context.Context, tx *catalog.Tx, p catalog.Patient) (rows []correctionRow, err error) {
	if p.Corrected == 0 {
		return nil, nil
	}
	all, err := tx.Corrections(ctx, p.Token)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if c.Undone != nil || c.Category != "" { // a category stands in its document's row
			continue
		}
		row := correctionRow{Correction: c}
		if row.object, err = correctionObject(ctx, tx, c.ID); err != nil {
			return nil, err
		}
		if c.Document != "" {
			if row.document, err = tx.Current(ctx, c.Document); err != nil {
				return nil, err
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// correctionObject is the sealed record of a correction, which may have been sealed anew.
func correctionObject(ctx context.Context, tx *catalog.Tx, id record.ObjectID) (catalog.Object, error) {
	current, err := tx.Current(ctx, id)
	if err != nil {
		return catalog.Object{}, err
	}
	return tx.Object(ctx, current)
}

func (v *Vault) openCorrections(ctx context.Context, rows []correctionRow) (corrections, error) {
	var all corrections
	for _, row := range rows {
		_, words, err := v.openCorrection(ctx, row.object)
		if err != nil {
			return nil, fmt.Errorf("correction %s: %w", row.ID, err)
		}
		all = append(all, liveCorrection{imaging.Correction{At: row.Recorded, System: "Medvault", Values: words.Values}, row.document})
	}
	return all, nil
}

// correctionsOf is what holds about a patient.
func (v *Vault) correctionsOf(ctx context.Context, p catalog.Patient) (corrections, error) {
	if p.Corrected == 0 {
		return nil, nil
	}
	var rows []correctionRow
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		rows, err = correctionRows(ctx, tx, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	return v.openCorrections(ctx, rows)
}

// about are those that change a document; "" is one that is new.
func (all corrections) about(document record.ObjectID) (list []imaging.Correction) {
	for _, c := range all {
		if c.document == "" || c.document == document {
			list = append(list, c.Correction)
		}
	}
	return list
}

// identity is what a document says of its patient, corrected.
func (all corrections) identity(document record.ObjectID, id imaging.Identity) imaging.Identity {
	for _, c := range all.about(document) {
		for keyword, field := range map[string]*string{
			"PatientName": &id.PatientName, "PatientID": &id.PatientID, "IssuerOfPatientID": &id.Issuer, "PatientBirthDate": &id.BirthDate, "PatientSex": &id.Sex,
		} {
			if value, ok := c.Values[keyword]; ok {
				*field = value
			}
		}
	}
	return id
}

// stated is what is said of the patient of an upload: what its document says, corrected.
func (in *incoming) stated() imaging.Identity {
	id := in.identity
	if in.moved != nil {
		id = corrections{{Correction: *in.moved}}.identity("", id)
	}
	return in.corrections.identity(in.supersedes, id)
}

// correctedTags are the attributes of search results that a correction changes.
func correctedTags() map[string]struct{ tag, vr string } {
	return map[string]struct{ tag, vr string }{
		"PatientName": {"00100010", "PN"}, "PatientID": {"00100020", "LO"}, "IssuerOfPatientID": {"00100021", "LO"},
		"PatientBirthDate": {"00100030", "DA"}, "PatientSex": {"00100040", "CS"}, "PatientAddress": {"00101040", "LO"},
	}
}

// correct puts corrected values into DICOM JSON (PS3.18 F.2).
func (all corrections) correct(document record.ObjectID, attributes map[string]json.RawMessage) error {
	tags := correctedTags()
	for _, c := range all.about(document) {
		for keyword, value := range c.Values {
			at := tags[keyword]
			attribute := map[string]any{"vr": at.vr}
			switch {
			case value == "":
			case at.vr == "PN":
				groups := make(map[string]string)
				for i, g := range strings.SplitN(value, "=", 3) {
					if g != "" {
						groups[[]string{"Alphabetic", "Ideographic", "Phonetic"}[i]] = g
					}
				}
				attribute["Value"] = []any{groups}
			default:
				attribute["Value"] = []any{value}
			}
			data, err := json.Marshal(attribute)
			if err != nil {
				return err
			}
			attributes[at.tag] = data
		}
	}
	return nil
}

// corrected streams an original with its corrections. Close waits for the work to end.
func corrected(by imaging.Corrector, original io.ReadCloser, list []imaging.Correction) io.ReadCloser {
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pw.CloseWithError(by.Correct(pw, original, list))
	}()
	return &restoring{PipeReader: pr, cancel: func() { original.Close() }, done: done} // reading: everything that counts was said by Read
}

// whoOf opens the identity that is sealed beside a document.
func (v *Vault) whoOf(ctx context.Context, row catalog.Object, k patientKeys) (w who, err error) {
	o, err := v.open(ctx, row, k, record.ViewOriginal)
	if err == nil {
		err = readPart(ctx, o, envelope.Who, &w)
	}
	if err != nil {
		return w, fmt.Errorf("open %s: %w", row.ID, err)
	}
	return w, nil
}

// jobReindex finds a patient by what is said of them now, and no more by what was.
const jobReindex = "reindex"

type reindexPayload struct {
	Patient record.PatientToken `json:"patient"`
}

func (v *Vault) reindexLater(ctx context.Context, tx *catalog.Tx, p record.PatientToken) error {
	return tx.Enqueue(ctx, newJob(jobReindex, string(p)+"@"+string(record.NewObjectID()), reindexPayload{p}, v.cfg.Now()))
}

// reindex makes the terms of a patient anew, of all documents as they are corrected. What
// came or was corrected meanwhile makes it begin again.
func (v *Vault) reindex(ctx context.Context, job catalog.Job, owner string) error {
	var payload reindexPayload
	if err := json.Unmarshal(job.Payload, &payload); err != nil {
		return err
	}
	var p catalog.Patient
	var ids []record.ObjectID
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		if p, err = tx.Patient(ctx, payload.Patient); err == nil {
			ids, err = documentIDs(ctx, tx, p.Token)
		}
		return err
	})
	if err != nil {
		return err
	}
	if p.State == catalog.Erased {
		return v.cfg.Catalog.Finish(ctx, job, owner, nil)
	}
	terms, err := v.patientTerms(ctx, p, ids)
	if err != nil {
		return err
	}
	return v.cfg.Catalog.Finish(ctx, job, owner, func(tx *catalog.Tx) error {
		now, err := tx.LockPatient(ctx, p.Token)
		if err != nil {
			return err
		}
		still, err := documentIDs(ctx, tx, p.Token)
		if err != nil {
			return err
		}
		if now != p || !slices.Equal(ids, still) {
			return fmt.Errorf("patient's documents: %w", errChanged)
		}
		return tx.ReplacePatientTerms(ctx, p.Token, terms)
	})
}

func documentIDs(ctx context.Context, tx *catalog.Tx, p record.PatientToken) (ids []record.ObjectID, err error) {
	docs, err := tx.Documents(ctx, catalog.Scope{Patient: p})
	for _, d := range docs {
		ids = append(ids, d.ID)
	}
	return ids, err
}

// patientTerms are what a patient as a whole is found by.
func (v *Vault) patientTerms(ctx context.Context, p catalog.Patient, ids []record.ObjectID) (values []string, err error) {
	known, err := v.correctionsOf(ctx, p)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	for _, id := range ids {
		identity, err := v.identityOfDocument(ctx, id)
		if err != nil {
			return nil, err
		}
		terms, err := v.terms(known.identity(id, identity), p.Token)
		if err != nil {
			return nil, err
		}
		for _, t := range terms {
			if t.Level == catalog.LevelPatient && !seen[t.Value] {
				seen[t.Value] = true
				values = append(values, t.Value)
			}
		}
	}
	return values, nil
}

// identityOfDocument is what a stored document says of its patient and of itself: its
// header is restored and read again, as at the upload.
func (v *Vault) identityOfDocument(ctx context.Context, id record.ObjectID) (imaging.Identity, error) {
	var d catalog.Document
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		d, err = tx.Document(ctx, id)
		return err
	})
	if err != nil {
		return imaging.Identity{}, err
	}
	k, err := v.openKeys(ctx, catalog.Patient{Token: d.Patient, Generation: d.Generation})
	if err != nil {
		return imaging.Identity{}, err
	}
	in, err := v.comeInAgain(ctx, supersession{old: d}, k)
	if err != nil {
		return imaging.Identity{}, err
	}
	defer in.close() // reading: everything that counts was said by Read
	return in.stated(), nil
}
