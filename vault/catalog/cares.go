package catalog

import (
	"context"
	"time"

	"medvault/vault/catalog/internal/query"
	"medvault/vault/record"
)

// Care says that a clinician treats a patient from From until Until or Ended.
type Care struct {
	ID           record.ObjectID
	Patient      record.PatientToken
	Clinician    string
	From         time.Time
	Until, Ended *time.Time // nil: open
	Origin, By   string
	Role         string // as what
	Essential    bool   // the treatment cannot go on without them
}

// InsertCare writes a care relationship. A known id: ErrExist.
func (t *Tx) InsertCare(ctx context.Context, c Care) error {
	essential := int64(0)
	if c.Essential {
		essential = 1
	}
	n, err := t.q.InsertCare(ctx, query.InsertCareParams{
		ID: string(c.ID), Patient: string(c.Patient), Clinician: c.Clinician, FromAt: millis(c.From),
		UntilAt: optionalMillis(c.Until), EndedAt: optionalMillis(c.Ended), Origin: c.Origin, MadeBy: c.By, Role: c.Role, Essential: essential})
	if err == nil && n == 0 {
		err = ErrExist
	}
	return attempt(err, "insert care %s", c.ID)
}

// EndCare ends a care relationship of the patient, at once or later. Unknown, or ended by then:
// ErrNotFound.
func (t *Tx) EndCare(ctx context.Context, patient record.PatientToken, id record.ObjectID, at time.Time, by string) error {
	n, err := t.q.EndCare(ctx, query.EndCareParams{Patient: string(patient), ID: string(id), At: millis(at), EndedBy: by})
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return attempt(err, "end care %s", id)
}

// Cares lists a patient's care relationships by their beginning, ended ones included.
func (t *Tx) Cares(ctx context.Context, patient record.PatientToken) ([]Care, error) {
	rows, err := t.q.ListCares(ctx, string(patient))
	if err != nil {
		return nil, attempt(err, "cares of %s", patient)
	}
	cares := make([]Care, len(rows))
	for i, r := range rows {
		cares[i] = Care{ID: record.ObjectID(r.ID), Patient: record.PatientToken(r.Patient), Clinician: r.Clinician,
			From: fromMillis(r.FromAt), Until: optionalTime(r.UntilAt), Ended: optionalTime(r.EndedAt), Origin: r.Origin, By: r.MadeBy,
			Role: r.Role, Essential: r.Essential != 0}
	}
	return cares, nil
}

// Treats says whether the clinician treats the patient at that time.
func (t *Tx) Treats(ctx context.Context, clinician string, patient record.PatientToken, at time.Time) (bool, error) {
	n, err := t.q.Treats(ctx, query.TreatsParams{Clinician: clinician, Patient: string(patient), At: millis(at)})
	return n > 0, attempt(err, "who treats %s", patient)
}

// TreatedBy lists whom the clinician treats at that time, in order of token.
func (t *Tx) TreatedBy(ctx context.Context, clinician string, at time.Time) ([]record.PatientToken, error) {
	rows, err := t.q.TreatedBy(ctx, query.TreatedByParams{Clinician: clinician, At: millis(at)})
	if err != nil {
		return nil, attempt(err, "patients of a clinician")
	}
	tokens := make([]record.PatientToken, len(rows))
	for i, r := range rows {
		tokens[i] = record.PatientToken(r)
	}
	return tokens, nil
}

func optionalMillis(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return millis(*t)
}

func optionalTime(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := fromMillis(ms)
	return &t
}
