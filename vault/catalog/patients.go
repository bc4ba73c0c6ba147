package catalog

import (
	"context"
	"time"

	"medvault/vault/catalog/internal/query"
	"medvault/vault/record"
)

// States of a patient.
const (
	Active = "active"
	Frozen = "frozen" // the log and the regions disagree: nothing may be done until settled
	Erased = "erased"
)

// Patient is what the catalog knows of a patient.
type Patient struct {
	Token      record.PatientToken
	Generation uint32 // of the DEKs in use
	State      string // Active, Frozen or Erased
	Country    string // ISO 3166-1 alpha-2
	Created    time.Time
	Corrected  int64 // how often their corrections have changed; 0: there never was one
}

// EnsurePatient inserts p unless its token is known, and returns what is there.
func (t *Tx) EnsurePatient(ctx context.Context, p Patient) (_ Patient, created bool, err error) {
	n, err := t.q.InsertPatient(ctx, query.InsertPatientParams{
		Token: string(p.Token), Generation: int64(p.Generation), State: p.State, Country: p.Country, CreatedAt: millis(p.Created)})
	if err != nil {
		return Patient{}, false, attempt(err, "insert patient %s", p.Token)
	}
	there, err := t.Patient(ctx, p.Token)
	return there, n == 1, err
}

// Patient reads a patient. Unknown: ErrNotFound.
func (t *Tx) Patient(ctx context.Context, token record.PatientToken) (Patient, error) {
	row, err := t.q.GetPatient(ctx, string(token))
	return patient(row), attempt(err, "patient %s", token)
}

// LockPatient reads a patient and holds them: no other transaction locks or changes
// them before this one has ended. Only within Update.
func (t *Tx) LockPatient(ctx context.Context, token record.PatientToken) (Patient, error) {
	row, err := t.q.LockPatient(ctx, string(token))
	return patient(row), attempt(err, "lock patient %s", token)
}

// UpdatePatient writes generation, state and country. Unknown: ErrNotFound.
func (t *Tx) UpdatePatient(ctx context.Context, p Patient) error {
	n, err := t.q.UpdatePatient(ctx, query.UpdatePatientParams{
		Token: string(p.Token), Generation: int64(p.Generation), State: p.State, Country: p.Country})
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return attempt(err, "update patient %s", p.Token)
}

func patient(row query.Patient) Patient {
	return Patient{Token: record.PatientToken(row.Token), Generation: uint32(row.Generation),
		State: row.State, Country: row.Country, Created: fromMillis(row.CreatedAt), Corrected: row.Corrected}
}
