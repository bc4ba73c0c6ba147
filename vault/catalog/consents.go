package catalog

import (
	"context"
	"time"

	"medvault/vault/consent"
	"medvault/vault/record"
)

// InsertConsent writes a statement. A known id: ErrExist.
func (t *Tx) InsertConsent(ctx context.Context, s consent.Statement) error {
	reading := 0
	if s.Reading {
		reading = 1
	}
	var b builder
	b.add(`INSERT INTO consents (id, patient, purpose, recipient, country, decision, reading, from_at, until_at, evidence,
recorded_by, recorded_at, ended_at, ended_by, guardian) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		string(s.ID), string(s.Patient), string(s.Purpose), s.Recipient, s.Country, string(s.Decision), reading,
		millis(s.From), optionalMillis(s.Until), string(s.Evidence), s.By, millis(s.Recorded), optionalMillis(s.Ended), s.EndedBy, s.Guardian)
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrExist
	}
	return attempt(err, "insert consent %s", s.ID)
}

// EndConsent ends a statement of the patient. Unknown or ended already: ErrNotFound.
func (t *Tx) EndConsent(ctx context.Context, patient record.PatientToken, id record.ObjectID, at time.Time, by string) error {
	var b builder
	b.add("UPDATE consents SET ended_at = ?, ended_by = ? WHERE patient = ? AND id = ? AND ended_at = 0",
		millis(at), by, string(patient), string(id))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return attempt(err, "end consent %s", id)
}

// Consents lists a patient's statements in the order in which they were recorded, those
// that are over included.
func (t *Tx) Consents(ctx context.Context, patient record.PatientToken) ([]consent.Statement, error) {
	var b builder
	b.add(`SELECT id, patient, purpose, recipient, country, decision, reading, from_at, until_at, evidence, recorded_by, recorded_at,
ended_at, ended_by, guardian FROM consents WHERE patient = ? ORDER BY recorded_at, id`, string(patient))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "consents of %s", patient)
	}
	defer rows.Close()
	var all []consent.Statement
	for rows.Next() {
		var s consent.Statement
		var from, until, recorded, ended, reading int64
		if err := rows.Scan(&s.ID, &s.Patient, &s.Purpose, &s.Recipient, &s.Country, &s.Decision, &reading, &from, &until, &s.Evidence,
			&s.By, &recorded, &ended, &s.EndedBy, &s.Guardian); err != nil {
			return nil, attempt(err, "consents of %s", patient)
		}
		s.Reading, s.From, s.Until, s.Recorded, s.Ended = reading != 0, fromMillis(from), optionalTime(until), fromMillis(recorded), optionalTime(ended)
		all = append(all, s)
	}
	return all, attempt(rows.Err(), "consents of %s", patient)
}

// Consenting lists the patients behind a token who have said anything, in order of token.
func (t *Tx) Consenting(ctx context.Context, after record.PatientToken, limit int) ([]record.PatientToken, error) {
	var b builder
	b.add("SELECT DISTINCT patient FROM consents WHERE patient > ? ORDER BY patient LIMIT ?", string(after), limit32(limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "who has consented")
	}
	defer rows.Close()
	var all []record.PatientToken
	for rows.Next() {
		var p record.PatientToken
		if err := rows.Scan(&p); err != nil {
			return nil, attempt(err, "who has consented")
		}
		all = append(all, p)
	}
	return all, attempt(rows.Err(), "who has consented")
}

// ObjectsOf lists the objects and records of a patient behind an id, in order of id, those
// that are superseded included; with a region only those that it was promised.
func (t *Tx) ObjectsOf(ctx context.Context, patient record.PatientToken, region string, after record.ObjectID, limit int) ([]Object, error) {
	var b builder
	b.add("SELECT o.id, o.class, o.kind, o.generation, o.seal, o.size, o.sha256, o.created_at, o.superseded_by FROM objects o WHERE o.patient = ? AND o.id > ?",
		string(patient), string(after))
	if region != "" {
		b.add(" AND EXISTS (SELECT 1 FROM placements p WHERE p.key = o.class || '/' || substr(o.id, 1, 2) || '/' || o.id AND p.region = ?)", region)
	}
	b.add(" ORDER BY o.id LIMIT ?", limit32(limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "objects of %s", patient)
	}
	defer rows.Close()
	var all []Object
	for rows.Next() {
		o := Object{Patient: patient}
		var sum []byte
		var created int64
		if err := rows.Scan(&o.ID, &o.Class, &o.Kind, &o.Generation, &o.Seal, &o.Size, &sum, &created, &o.SupersededBy); err != nil {
			return nil, attempt(err, "objects of %s", patient)
		}
		if o.SHA256, err = sha256Of(sum); err != nil {
			return nil, attempt(err, "objects of %s", patient)
		}
		o.Created = fromMillis(created)
		all = append(all, o)
	}
	return all, attempt(rows.Err(), "objects of %s", patient)
}

// DropWraps forgets the wraps that a service made of a patient's keys. The keys stay
// fixed, by the wraps of other services.
func (t *Tx) DropWraps(ctx context.Context, patient record.PatientToken, service string) (int64, error) {
	var b builder
	b.add("DELETE FROM wraps WHERE token = ? AND service = ?", string(patient), service)
	n, err := t.exec(ctx, &b)
	return n, attempt(err, "drop the wraps of %s by %s", patient, service)
}

// DueJobs counts the jobs of some kinds that wait for a region: not those whose time is
// still to come, but those that were tried.
func (t *Tx) DueJobs(ctx context.Context, region string, kinds ...string) (n int64, err error) {
	var b builder
	b.add("SELECT COUNT(*) FROM jobs WHERE region = ? AND (attempt > 0 OR not_before <= ?) AND kind IN ", region, millis(t.c.now()))
	list(&b, kinds)
	err = t.tx.QueryRowContext(ctx, b.text.String(), b.args...).Scan(&n)
	return n, attempt(err, "jobs of %s", region)
}
