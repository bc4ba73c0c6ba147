package catalog

import (
	"context"
	"time"

	"medvault/vault/record"
)

// Correction is what the catalog knows of one: the values are sealed in its record.
type Correction struct {
	ID       record.ObjectID
	Patient  record.PatientToken
	Document record.ObjectID // as it was called then; "" for all of the patient's
	Category string          // of the document; "" where that is not corrected
	Before   string          // the category it had
	By       string
	Recorded time.Time
	Undone   *time.Time
	UndoneBy string
}

// InsertCorrection writes one for a locked patient, and counts it. A known id: ErrExist.
func (t *Tx) InsertCorrection(ctx context.Context, c Correction) error {
	var b builder
	b.add(`INSERT INTO corrections (id, patient, document, category, before, recorded_by, recorded_at, undone_at, undone_by)
VALUES (?, ?, ?, ?, ?, ?, ?, 0, '') ON CONFLICT (id) DO NOTHING`, string(c.ID), string(c.Patient), string(c.Document), c.Category, c.Before, c.By, millis(c.Recorded))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrExist
	}
	if err == nil {
		err = t.countCorrection(ctx, c.Patient)
	}
	return attempt(err, "insert correction %s", c.ID)
}

// UndoCorrection ends one of a locked patient, and counts that; its alias goes. Unknown or
// undone already: ErrNotFound.
func (t *Tx) UndoCorrection(ctx context.Context, p record.PatientToken, id record.ObjectID, at time.Time, by string) error {
	var b, alias builder
	b.add("UPDATE corrections SET undone_at = ?, undone_by = ? WHERE patient = ? AND id = ? AND undone_at = 0", millis(at), by, string(p), string(id))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err == nil {
		alias.add("DELETE FROM aliases WHERE correction = ?", string(id))
		_, err = t.exec(ctx, &alias)
	}
	if err == nil {
		err = t.countCorrection(ctx, p)
	}
	return attempt(err, "undo correction %s", id)
}

func (t *Tx) countCorrection(ctx context.Context, p record.PatientToken) error {
	var b builder
	b.add("UPDATE patients SET corrected = corrected + 1 WHERE token = ?", string(p))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// Corrections lists a patient's in the order in which they were recorded, those that were
// undone included.
func (t *Tx) Corrections(ctx context.Context, p record.PatientToken) ([]Correction, error) {
	var b builder
	b.add(`SELECT id, patient, document, category, before, recorded_by, recorded_at, undone_at, undone_by FROM corrections
WHERE patient = ? ORDER BY recorded_at, id`, string(p))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "corrections of %s", p)
	}
	defer rows.Close()
	var all []Correction
	for rows.Next() {
		var c Correction
		var recorded, undone int64
		if err := rows.Scan(&c.ID, &c.Patient, &c.Document, &c.Category, &c.Before, &c.By, &recorded, &undone, &c.UndoneBy); err != nil {
			return nil, attempt(err, "corrections of %s", p)
		}
		c.Recorded, c.Undone = fromMillis(recorded), optionalTime(undone)
		all = append(all, c)
	}
	return all, attempt(rows.Err(), "corrections of %s", p)
}

// Corrected lists the patients behind a token about whom anything was ever corrected, in
// order of token.
func (t *Tx) Corrected(ctx context.Context, after record.PatientToken, limit int) ([]record.PatientToken, error) {
	var b builder
	b.add("SELECT DISTINCT patient FROM corrections WHERE patient > ? ORDER BY patient LIMIT ?", string(after), limit32(limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "corrected patients")
	}
	defer rows.Close()
	var all []record.PatientToken
	for rows.Next() {
		var p record.PatientToken
		if err := rows.Scan(&p); err != nil {
			return nil, attempt(err, "corrected patients")
		}
		all = append(all, p)
	}
	return all, attempt(rows.Err(), "corrected patients")
}

// PutAlias makes a token lead to a patient. One that leads elsewhere: ErrExist.
func (t *Tx) PutAlias(ctx context.Context, token, p record.PatientToken, correction record.ObjectID) error {
	var b builder
	b.add("INSERT INTO aliases (token, patient, correction) VALUES (?, ?, ?) ON CONFLICT (token) DO NOTHING", string(token), string(p), string(correction))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrExist
	}
	return attempt(err, "alias of %s", p)
}

// AliasOf is the patient that a token leads to: itself where it is nobody's alias.
func (t *Tx) AliasOf(ctx context.Context, token record.PatientToken) (record.PatientToken, error) {
	var b builder
	b.add("SELECT patient FROM aliases WHERE token = ?", string(token))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return token, attempt(err, "alias %s", token)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&token); err != nil {
			return token, attempt(err, "alias %s", token)
		}
	}
	return token, attempt(rows.Err(), "alias %s", token)
}

// SetCategory changes the category of a document. Absent: ErrNotFound.
func (t *Tx) SetCategory(ctx context.Context, id record.ObjectID, category string) error {
	var b builder
	b.add("UPDATE documents SET category = ? WHERE id = ?", category, string(id))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return attempt(err, "category of %s", id)
}

// ReplacePatientTerms puts other terms in the place of those that a patient is found by as
// a whole. Their studies', series' and instances' stay.
func (t *Tx) ReplacePatientTerms(ctx context.Context, p record.PatientToken, values []string) error {
	var b builder
	b.add("DELETE FROM terms WHERE patient = ? AND owner = ''", string(p))
	if _, err := t.exec(ctx, &b); err != nil {
		return attempt(err, "terms of %s", p)
	}
	owned := make([]ownedTerm, len(values))
	for i, v := range values {
		owned[i] = ownedTerm{"", v}
	}
	return attempt(t.insertTerms(ctx, p, owned), "terms of %s", p)
}

// DropAlias ends what a token leads to.
func (t *Tx) DropAlias(ctx context.Context, token record.PatientToken) error {
	var b builder
	b.add("DELETE FROM aliases WHERE token = ?", string(token))
	_, err := t.exec(ctx, &b)
	return attempt(err, "end alias")
}

// CountCorrection makes whoever has read a locked patient look again.
func (t *Tx) CountCorrection(ctx context.Context, p record.PatientToken) error {
	return attempt(t.countCorrection(ctx, p), "count a correction of %s", p)
}
