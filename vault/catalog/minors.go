package catalog

import (
	"context"
	"time"

	"medvault/vault/record"
)

// Minor is a patient who was under age when it was last looked.
type Minor struct {
	Patient record.PatientToken
	Birth   []byte // sealed
	Since   time.Time
}

// PutMinor writes a child, or another birth date of one; Since stays what it was.
func (t *Tx) PutMinor(ctx context.Context, m Minor) error {
	var b builder
	b.add("INSERT INTO minors (patient, birth, since) VALUES (?, ?, ?) ON CONFLICT (patient) DO UPDATE SET birth = excluded.birth",
		string(m.Patient), m.Birth, millis(m.Since))
	_, err := t.exec(ctx, &b)
	return attempt(err, "put minor %s", m.Patient)
}

// Minor reads a child. Nobody of that token is known to be one: ErrNotFound.
func (t *Tx) Minor(ctx context.Context, patient record.PatientToken) (Minor, error) {
	m, since := Minor{Patient: patient}, int64(0)
	err := t.tx.QueryRowContext(ctx, "SELECT birth, since FROM minors WHERE patient = $1", string(patient)).Scan(&m.Birth, &since)
	m.Since = fromMillis(since)
	return m, attempt(err, "minor %s", patient)
}

// Minors lists up to limit children behind a token, in order of token.
func (t *Tx) Minors(ctx context.Context, after record.PatientToken, limit int) ([]Minor, error) {
	var b builder
	b.add("SELECT patient, birth, since FROM minors WHERE patient > ? ORDER BY patient LIMIT ?", string(after), limit32(limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "minors")
	}
	defer rows.Close()
	var all []Minor
	for rows.Next() {
		var m Minor
		var since int64
		if err := rows.Scan(&m.Patient, &m.Birth, &since); err != nil {
			return nil, attempt(err, "minors")
		}
		m.Since = fromMillis(since)
		all = append(all, m)
	}
	return all, attempt(rows.Err(), "minors")
}

// DropMinor forgets a child who has come of age.
func (t *Tx) DropMinor(ctx context.Context, patient record.PatientToken) error {
	var b builder
	b.add("DELETE FROM minors WHERE patient = ?", string(patient))
	_, err := t.exec(ctx, &b)
	return attempt(err, "drop minor %s", patient)
}

// Guardian is an identity that acts for a patient: a guardian's, or the patient's own.
type Guardian struct {
	ID           record.ObjectID
	Patient      record.PatientToken
	Subject      string // of their identity
	Relation     string // RelationSelf: the patient's own
	Evidence     record.ObjectID
	From         time.Time
	Until, Ended *time.Time // nil: open
	By           string
	Recorded     time.Time
	EndedBy      string
}

// RelationSelf is the relation of patients to themselves.
const RelationSelf = "self"

// InsertGuardian writes one. A known id: ErrExist.
func (t *Tx) InsertGuardian(ctx context.Context, g Guardian) error {
	var b builder
	b.add(`INSERT INTO guardians (id, patient, subject, relation, evidence, from_at, until_at, recorded_by, recorded_at, ended_at, ended_by)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		string(g.ID), string(g.Patient), g.Subject, g.Relation, string(g.Evidence), millis(g.From), optionalMillis(g.Until), g.By,
		millis(g.Recorded), optionalMillis(g.Ended), g.EndedBy)
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrExist
	}
	return attempt(err, "insert guardian %s", g.ID)
}

// EndGuardian ends one of the patient's. Unknown or ended already: ErrNotFound.
func (t *Tx) EndGuardian(ctx context.Context, patient record.PatientToken, id record.ObjectID, at time.Time, by string) error {
	var b builder
	b.add("UPDATE guardians SET ended_at = ?, ended_by = ? WHERE patient = ? AND id = ? AND ended_at = 0",
		millis(at), by, string(patient), string(id))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return attempt(err, "end guardian %s", id)
}

const guardianColumns = "id, patient, subject, relation, evidence, from_at, until_at, recorded_by, recorded_at, ended_at, ended_by"

// Guardians lists who acts or has acted for a patient, in the order in which it was
// recorded.
func (t *Tx) Guardians(ctx context.Context, patient record.PatientToken) ([]Guardian, error) {
	var b builder
	b.add("SELECT "+guardianColumns+" FROM guardians WHERE patient = ? ORDER BY recorded_at, id", string(patient))
	return t.guardians(ctx, &b)
}

// ActsFor lists for whom a subject acts at that time, in order of token.
func (t *Tx) ActsFor(ctx context.Context, subject string, at time.Time) ([]Guardian, error) {
	var b builder
	b.add("SELECT "+guardianColumns+" FROM guardians WHERE subject = ? AND from_at <= ? AND (until_at = 0 OR until_at > ?)"+
		" AND (ended_at = 0 OR ended_at > ?) ORDER BY patient, id", subject, millis(at), millis(at), millis(at))
	return t.guardians(ctx, &b)
}

func (t *Tx) guardians(ctx context.Context, b *builder) ([]Guardian, error) {
	rows, err := t.query(ctx, b)
	if err != nil {
		return nil, attempt(err, "guardians")
	}
	defer rows.Close()
	var all []Guardian
	for rows.Next() {
		var g Guardian
		var from, until, recorded, ended int64
		if err := rows.Scan(&g.ID, &g.Patient, &g.Subject, &g.Relation, &g.Evidence, &from, &until, &g.By, &recorded, &ended, &g.EndedBy); err != nil {
			return nil, attempt(err, "guardians")
		}
		g.From, g.Until, g.Recorded, g.Ended = fromMillis(from), optionalTime(until), fromMillis(recorded), optionalTime(ended)
		all = append(all, g)
	}
	return all, attempt(rows.Err(), "guardians")
}

// Essential says whether the clinician treats the patient at that time as one without whom
// the treatment cannot go on.
func (t *Tx) Essential(ctx context.Context, clinician string, patient record.PatientToken, at time.Time) (bool, error) {
	var b builder
	b.add("SELECT COUNT(*) FROM cares WHERE clinician = ? AND patient = ? AND essential = 1 AND from_at <= ?"+
		" AND (until_at = 0 OR until_at > ?) AND (ended_at = 0 OR ended_at > ?)", clinician, string(patient), millis(at), millis(at), millis(at))
	n := 0
	err := t.tx.QueryRowContext(ctx, b.text.String(), b.args...).Scan(&n)
	return n > 0, attempt(err, "who is essential to %s", patient)
}
