package catalog

import (
	"context"
	"time"

	"medvault/vault/record"
)

// Dossier is one matter of the house: a breach, a finding, a review of access, a patient
// who is frozen. What it says beyond this is sealed in its record.
type Dossier struct {
	ID       record.ObjectID
	Revision int64
	Record   record.ObjectID // of this revision
	Kind     string
	About    record.PatientToken // of a freeze; "" otherwise
	State    string
	Opened   time.Time
	Due      time.Time // zero: nothing is due any more
	Closed   *time.Time
}

const dossierColumns = "id, revision, record, kind, about, state, opened_at, due_at, closed_at"

// PutDossier writes one; newer: whatever its revision, if it is later than the one that is
// there. Otherwise it must be the next: ErrChanged.
func (t *Tx) PutDossier(ctx context.Context, d Dossier, newer bool) error {
	var due *time.Time
	if !d.Due.IsZero() {
		due = &d.Due
	}
	var b builder
	b.add("INSERT INTO dossiers ("+dossierColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", string(d.ID), d.Revision, string(d.Record), d.Kind, string(d.About), d.State,
		millis(d.Opened), optionalMillis(due), optionalMillis(d.Closed))
	b.add(" ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, record = excluded.record, state = excluded.state, due_at = excluded.due_at, closed_at = excluded.closed_at")
	return attempt(t.putRevision(ctx, &b, "dossiers", d.Revision, newer), "dossier %s", d.ID)
}

// Dossier reads one. Unknown: ErrNotFound.
func (t *Tx) Dossier(ctx context.Context, id record.ObjectID) (Dossier, error) {
	d, err := dossierOf(t.tx.QueryRowContext(ctx, "SELECT "+dossierColumns+" FROM dossiers WHERE id = $1", string(id)))
	return d, attempt(err, "dossier %s", id)
}

// DossierFilter says which dossiers. Fields that are empty exclude nothing.
type DossierFilter struct {
	Kind      string
	About     record.PatientToken
	Open      bool      // those that are not closed
	DueBefore time.Time // those that are not closed and due before
}

// Dossiers lists them, the newest first.
func (t *Tx) Dossiers(ctx context.Context, f DossierFilter) ([]Dossier, error) {
	var b builder
	b.add("SELECT " + dossierColumns + " FROM dossiers WHERE 1 = 1")
	if f.Kind != "" {
		b.add(" AND kind = ?", f.Kind)
	}
	if f.About != "" {
		b.add(" AND about = ? AND about <> ''", string(f.About))
	}
	if f.Open || !f.DueBefore.IsZero() {
		b.add(" AND closed_at = 0")
	}
	if !f.DueBefore.IsZero() {
		b.add(" AND due_at <> 0 AND due_at <= ?", millis(f.DueBefore))
	}
	b.add(" ORDER BY opened_at DESC, id DESC")
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "dossiers")
	}
	defer rows.Close()
	var all []Dossier
	for rows.Next() {
		d, err := dossierOf(rows)
		if err != nil {
			return nil, attempt(err, "dossiers")
		}
		all = append(all, d)
	}
	return all, attempt(rows.Err(), "dossiers")
}

func dossierOf(row scanner) (d Dossier, err error) {
	var opened, due, closed int64
	err = row.Scan(&d.ID, &d.Revision, &d.Record, &d.Kind, &d.About, &d.State, &opened, &due, &closed)
	d.Opened, d.Closed = fromMillis(opened), optionalTime(closed)
	if due != 0 {
		d.Due = fromMillis(due)
	}
	return d, err
}

// BreachNotice says that a patient was told of a breach.
type BreachNotice struct {
	Incident record.ObjectID
	Patient  record.PatientToken
	At       time.Time
	By       string
	How      string // a code, as "letter"
	Record   record.ObjectID
}

// InsertBreachNotices writes some. Of a patient who was told before, the first stays.
func (t *Tx) InsertBreachNotices(ctx context.Context, all []BreachNotice) error {
	for _, n := range all {
		var b builder
		b.add("INSERT INTO breach_notices (incident, patient, sent_at, sent_by, how, record) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (incident, patient) DO NOTHING",
			string(n.Incident), string(n.Patient), millis(n.At), n.By, n.How, string(n.Record))
		if _, err := t.exec(ctx, &b); err != nil {
			return attempt(err, "breach notice")
		}
	}
	return nil
}

// BreachNotices lists who was told of a breach, by patient.
func (t *Tx) BreachNotices(ctx context.Context, incident record.ObjectID) ([]BreachNotice, error) {
	rows, err := t.tx.QueryContext(ctx, "SELECT patient, sent_at, sent_by, how, record FROM breach_notices WHERE incident = $1 ORDER BY patient", string(incident))
	if err != nil {
		return nil, attempt(err, "notices of %s", incident)
	}
	defer rows.Close()
	var all []BreachNotice
	for rows.Next() {
		n := BreachNotice{Incident: incident}
		var at int64
		if err := rows.Scan(&n.Patient, &at, &n.By, &n.How, &n.Record); err != nil {
			return nil, attempt(err, "notices of %s", incident)
		}
		n.At = fromMillis(at)
		all = append(all, n)
	}
	return all, attempt(rows.Err(), "notices of %s", incident)
}
