package client

import (
	"context"
	"net/http"
	"net/url"

	"medvault/vault"
	"medvault/vault/record"
)

const erasures = "/api/v1/erasures"

// ProposeErasure proposes to destroy a patient's documents, or one.
func (c *Client) ProposeErasure(ctx context.Context, n vault.NewErasure) (e vault.Erasure, err error) {
	return e, c.call(ctx, http.MethodPost, erasures, n, &e)
}

// PreviewErasure tells what a proposal would come to.
func (c *Client) PreviewErasure(ctx context.Context, n vault.NewErasure) (p vault.ErasurePreview, err error) {
	body := struct {
		vault.NewErasure
		DryRun bool `json:"dryRun"`
	}{n, true}
	return p, c.call(ctx, http.MethodPost, erasures, body, &p)
}

// ApproveErasure is the second person's word.
func (c *Client) ApproveErasure(ctx context.Context, id record.ObjectID) (e vault.Erasure, err error) {
	return e, c.call(ctx, http.MethodPost, erasures+"/"+url.PathEscape(string(id))+"/approve", nil, &e)
}

// Erasures lists the newest; with a patient only theirs.
func (c *Client) Erasures(ctx context.Context, of record.PatientToken) ([]vault.Erasure, error) {
	path := erasures
	if of != "" {
		path += "?patient=" + url.QueryEscape(string(of))
	}
	var answer struct{ Erasures []vault.Erasure }
	err := c.call(ctx, http.MethodGet, path, nil, &answer)
	return answer.Erasures, err
}

// Erasure tells one, with how far it is in every region.
func (c *Client) Erasure(ctx context.Context, id record.ObjectID) (e vault.Erasure, err error) {
	return e, c.call(ctx, http.MethodGet, erasures+"/"+url.PathEscape(string(id)), nil, &e)
}

// ErasureCertificate is the certificate of an erasure, as the vault says it: check it.
func (c *Client) ErasureCertificate(ctx context.Context, id record.ObjectID) (cert vault.Certificate, err error) {
	return cert, c.call(ctx, http.MethodGet, erasures+"/"+url.PathEscape(string(id))+"/certificate", nil, &cert)
}

// SweepRetention proposes to erase, or to anonymize, everybody whose retention has ended.
func (c *Client) SweepRetention(ctx context.Context, dryRun, anonymize bool) (s vault.Sweep, err error) {
	return s, c.call(ctx, http.MethodPost, "/api/v1/sweeps", map[string]bool{"dryRun": dryRun, "anonymize": anonymize}, &s)
}

// ApproveSweep is the second person's word for all that a sweep proposed.
func (c *Client) ApproveSweep(ctx context.Context, id record.ObjectID) (done vault.SweepApproval, err error) {
	return done, c.call(ctx, http.MethodPost, "/api/v1/sweeps/"+url.PathEscape(string(id))+"/approve", nil, &done)
}

func patientPath(p record.PatientToken) string {
	return "/api/v1/patients/" + url.PathEscape(string(p))
}

// Readmit lets a patient in again who was erased.
func (c *Client) Readmit(ctx context.Context, p record.PatientToken) error {
	return c.call(ctx, http.MethodPost, patientPath(p)+"/readmit", nil, nil)
}

// AddHold puts a legal hold on a patient.
func (c *Client) AddHold(ctx context.Context, p record.PatientToken, n vault.NewHold) (h vault.Hold, err error) {
	return h, c.call(ctx, http.MethodPost, patientPath(p)+"/holds", n, &h)
}

// Holds lists a patient's legal holds.
func (c *Client) Holds(ctx context.Context, p record.PatientToken) ([]vault.Hold, error) {
	var answer struct{ Holds []vault.Hold }
	err := c.call(ctx, http.MethodGet, patientPath(p)+"/holds", nil, &answer)
	return answer.Holds, err
}

// LiftHold ends one.
func (c *Client) LiftHold(ctx context.Context, p record.PatientToken, id record.ObjectID, reason string) error {
	return c.call(ctx, http.MethodPost, patientPath(p)+"/holds/"+url.PathEscape(string(id))+"/lift", map[string]string{"reason": reason}, nil)
}
