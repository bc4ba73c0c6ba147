package catalog

import (
	"context"
	"time"

	"medvault/vault/record"
)

// Hold keeps a patient's documents from being erased. Reason and authority are sealed in
// its record.
type Hold struct {
	ID       record.ObjectID
	Patient  record.PatientToken
	Review   time.Time // when somebody looks whether it is still needed; it does not end by itself
	By       string
	Placed   time.Time
	Lifted   *time.Time // nil: it stands
	LiftedBy string
}

// InsertHold writes a hold. A known id: ErrExist.
func (t *Tx) InsertHold(ctx context.Context, h Hold) error {
	var b builder
	b.add(`INSERT INTO holds (id, patient, review_at, placed_by, placed_at, lifted_at, lifted_by) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		string(h.ID), string(h.Patient), millis(h.Review), h.By, millis(h.Placed), optionalMillis(h.Lifted), h.LiftedBy)
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrExist
	}
	return attempt(err, "insert hold %s", h.ID)
}

// LiftHold ends a hold of the patient. Unknown or lifted already: ErrNotFound.
func (t *Tx) LiftHold(ctx context.Context, patient record.PatientToken, id record.ObjectID, at time.Time, by string) error {
	var b builder
	b.add("UPDATE holds SET lifted_at = ?, lifted_by = ? WHERE patient = ? AND id = ? AND lifted_at = 0", millis(at), by, string(patient), string(id))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return attempt(err, "lift hold %s", id)
}

// Holds lists a patient's holds in the order in which they were placed, lifted ones
// included.
func (t *Tx) Holds(ctx context.Context, patient record.PatientToken) ([]Hold, error) {
	var b builder
	b.add("SELECT id, patient, review_at, placed_by, placed_at, lifted_at, lifted_by FROM holds WHERE patient = ? ORDER BY placed_at, id", string(patient))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "holds of %s", patient)
	}
	defer rows.Close()
	var all []Hold
	for rows.Next() {
		var h Hold
		var review, placed, lifted int64
		if err := rows.Scan(&h.ID, &h.Patient, &review, &h.By, &placed, &lifted, &h.LiftedBy); err != nil {
			return nil, attempt(err, "holds of %s", patient)
		}
		h.Review, h.Placed, h.Lifted = fromMillis(review), fromMillis(placed), optionalTime(lifted)
		all = append(all, h)
	}
	return all, attempt(rows.Err(), "holds of %s", patient)
}
