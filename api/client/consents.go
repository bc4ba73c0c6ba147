package client

import (
	"context"
	"net/http"
	"net/url"

	"medvault/vault"
	"medvault/vault/record"
)

func consentsOf(p record.PatientToken) string {
	return "/api/v1/patients/" + url.PathEscape(string(p)) + "/consents"
}

// AddConsent puts on record what a patient has said.
func (c *Client) AddConsent(ctx context.Context, p record.PatientToken, n vault.NewConsent) (vault.Consent, error) {
	var consent vault.Consent
	err := c.call(ctx, http.MethodPost, consentsOf(p), n, &consent)
	return consent, err
}

// WithdrawConsent ends a statement now.
func (c *Client) WithdrawConsent(ctx context.Context, p record.PatientToken, id record.ObjectID) error {
	return c.call(ctx, http.MethodDelete, consentsOf(p)+"/"+url.PathEscape(string(id)), nil, nil)
}

// ListConsents lists what a patient has said, what was withdrawn included.
func (c *Client) ListConsents(ctx context.Context, p record.PatientToken) ([]vault.Consent, error) {
	var answer struct{ Consents []vault.Consent }
	err := c.call(ctx, http.MethodGet, consentsOf(p), nil, &answer)
	return answer.Consents, err
}
