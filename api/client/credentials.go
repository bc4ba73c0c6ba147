package client

import (
	"context"
	"net/http"
	"net/url"

	"medvault/vault"
	"medvault/vault/record"
)

// CreateAPIToken makes a credential for a machine. secret is shown to nobody again.
func (c *Client) CreateAPIToken(ctx context.Context, n vault.NewAPIToken) (made vault.APIToken, secret string, err error) {
	var answer struct {
		vault.APIToken
		Token string
	}
	err = c.call(ctx, http.MethodPost, "/api/v1/tokens", n, &answer)
	return answer.APIToken, answer.Token, err
}

// APITokens lists the API tokens, those that have ended included.
func (c *Client) APITokens(ctx context.Context) ([]vault.APIToken, error) {
	var answer struct{ Tokens []vault.APIToken }
	err := c.call(ctx, http.MethodGet, "/api/v1/tokens", nil, &answer)
	return answer.Tokens, err
}

// RevokeAPIToken ends an API token now.
func (c *Client) RevokeAPIToken(ctx context.Context, id record.ObjectID) error {
	return c.call(ctx, http.MethodDelete, "/api/v1/tokens/"+url.PathEscape(string(id)), nil, nil)
}

// Revoke refuses a person or a credential from the next request on.
func (c *Client) Revoke(ctx context.Context, n vault.NewRevocation) (vault.Revocation, error) {
	var made vault.Revocation
	err := c.call(ctx, http.MethodPost, "/api/v1/revocations", n, &made)
	return made, err
}

// Reinstate lifts a revocation.
func (c *Client) Reinstate(ctx context.Context, id record.ObjectID) error {
	return c.call(ctx, http.MethodDelete, "/api/v1/revocations/"+url.PathEscape(string(id)), nil, nil)
}

// Revocations lists the revocations, lifted ones included.
func (c *Client) Revocations(ctx context.Context) ([]vault.Revocation, error) {
	var answer struct{ Revocations []vault.Revocation }
	err := c.call(ctx, http.MethodGet, "/api/v1/revocations", nil, &answer)
	return answer.Revocations, err
}
