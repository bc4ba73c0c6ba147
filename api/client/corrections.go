package client

import (
	"context"
	"net/http"
	"net/url"

	"medvault/vault"
	"medvault/vault/record"
)

func correctionsOf(p record.PatientToken) string {
	return "/api/v1/patients/" + url.PathEscape(string(p)) + "/corrections"
}

// Correct puts a correction of a patient's record on record.
func (c *Client) Correct(ctx context.Context, p record.PatientToken, n vault.NewCorrection) (vault.Correction, error) {
	var done vault.Correction
	err := c.call(ctx, http.MethodPost, correctionsOf(p), n, &done)
	return done, err
}

// Uncorrect takes one back.
func (c *Client) Uncorrect(ctx context.Context, p record.PatientToken, id record.ObjectID) error {
	return c.call(ctx, http.MethodDelete, correctionsOf(p)+"/"+url.PathEscape(string(id)), nil, nil)
}

// Corrections lists what was corrected about a patient, what was taken back included.
func (c *Client) Corrections(ctx context.Context, p record.PatientToken) ([]vault.Correction, error) {
	var answer struct{ Corrections []vault.Correction }
	err := c.call(ctx, http.MethodGet, correctionsOf(p), nil, &answer)
	return answer.Corrections, err
}

// MoveDocuments orders that documents of a patient become another's.
func (c *Client) MoveDocuments(ctx context.Context, from record.PatientToken, n vault.NewMove) (vault.Move, error) {
	var m vault.Move
	err := c.call(ctx, http.MethodPost, "/api/v1/patients/"+url.PathEscape(string(from))+"/moves", n, &m)
	return m, err
}
