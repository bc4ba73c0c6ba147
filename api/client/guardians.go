package client

import (
	"context"
	"net/http"
	"net/url"

	"medvault/vault"
	"medvault/vault/record"
)

func guardiansOf(p record.PatientToken) string {
	return "/api/v1/patients/" + url.PathEscape(string(p)) + "/guardians"
}

// AddGuardian puts on record whose identity acts for a patient.
func (c *Client) AddGuardian(ctx context.Context, p record.PatientToken, n vault.NewGuardian) (vault.Guardian, error) {
	var g vault.Guardian
	err := c.call(ctx, http.MethodPost, guardiansOf(p), n, &g)
	return g, err
}

// EndGuardian ends what one of them may do, now.
func (c *Client) EndGuardian(ctx context.Context, p record.PatientToken, id record.ObjectID) error {
	return c.call(ctx, http.MethodDelete, guardiansOf(p)+"/"+url.PathEscape(string(id)), nil, nil)
}

// Guardians lists whose identity acts or has acted for a patient.
func (c *Client) Guardians(ctx context.Context, p record.PatientToken) ([]vault.Guardian, error) {
	var answer struct{ Guardians []vault.Guardian }
	err := c.call(ctx, http.MethodGet, guardiansOf(p), nil, &answer)
	return answer.Guardians, err
}

// Breakglass lists the newest emergencies; waiting: those nobody has looked at.
func (c *Client) Breakglass(ctx context.Context, waiting bool) ([]vault.Breakglass, error) {
	path := "/api/v1/breakglass"
	if waiting {
		path += "?waiting=true"
	}
	var answer struct{ Breakglass []vault.Breakglass }
	err := c.call(ctx, http.MethodGet, path, nil, &answer)
	return answer.Breakglass, err
}

// ReadBreakglass tells one emergency with its reason.
func (c *Client) ReadBreakglass(ctx context.Context, id record.ObjectID) (vault.Breakglass, error) {
	var one vault.Breakglass
	err := c.call(ctx, http.MethodGet, "/api/v1/breakglass/"+url.PathEscape(string(id)), nil, &one)
	return one, err
}

// ReviewBreakglass puts on record what came of looking at one.
func (c *Client) ReviewBreakglass(ctx context.Context, id record.ObjectID, r vault.BreakglassReview) error {
	return c.call(ctx, http.MethodPost, "/api/v1/breakglass/"+url.PathEscape(string(id))+"/review", r, nil)
}
