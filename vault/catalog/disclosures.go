package catalog

import (
	"context"
	"time"

	"medvault/vault/record"
)

// Disclosure is something that a third party is given, or is to be. What it says beyond
// this is sealed in its record.
type Disclosure struct {
	ID       record.ObjectID
	Revision int64
	Record   record.ObjectID // of this revision
	Patient  record.PatientToken
	State    string
	Proposed time.Time
}

// PutDisclosure writes one; newer: whatever its revision, if it is later than the one that
// is there. Otherwise it must be the next: ErrChanged.
func (t *Tx) PutDisclosure(ctx context.Context, d Disclosure, newer bool) error {
	var b builder
	b.add("INSERT INTO disclosures (id, revision, record, patient, state, proposed_at) VALUES (?, ?, ?, ?, ?, ?)",
		string(d.ID), d.Revision, string(d.Record), string(d.Patient), d.State, millis(d.Proposed))
	b.add(" ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, record = excluded.record, state = excluded.state")
	return attempt(t.putRevision(ctx, &b, "disclosures", d.Revision, newer), "disclosure %s", d.ID)
}

const disclosureColumns = "id, revision, record, patient, state, proposed_at"

// Disclosure reads one. Unknown: ErrNotFound.
func (t *Tx) Disclosure(ctx context.Context, id record.ObjectID) (Disclosure, error) {
	d, err := disclosureOf(t.tx.QueryRowContext(ctx, "SELECT "+disclosureColumns+" FROM disclosures WHERE id = $1", string(id)))
	return d, attempt(err, "disclosure %s", id)
}

// Disclosures lists up to limit, the newest first; before is the id of the last one listed.
func (t *Tx) Disclosures(ctx context.Context, before record.ObjectID, limit int) ([]Disclosure, error) {
	var b builder
	b.add("SELECT " + disclosureColumns + " FROM disclosures WHERE 1 = 1")
	if before != "" {
		b.add(" AND (proposed_at, id) < (SELECT x.proposed_at, x.id FROM disclosures x WHERE x.id = ?)", string(before))
	}
	b.add(" ORDER BY proposed_at DESC, id DESC LIMIT ?", limit32(limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "disclosures")
	}
	defer rows.Close()
	var all []Disclosure
	for rows.Next() {
		d, err := disclosureOf(rows)
		if err != nil {
			return nil, attempt(err, "disclosures")
		}
		all = append(all, d)
	}
	return all, attempt(rows.Err(), "disclosures")
}

func disclosureOf(row scanner) (d Disclosure, err error) {
	var at int64
	err = row.Scan(&d.ID, &d.Revision, &d.Record, &d.Patient, &d.State, &at)
	d.Proposed = fromMillis(at)
	return d, err
}
