package client

import (
	"context"
	"net/http"

	"medvault/vault"
)

// Explain asks how an act would be decided, and why, without doing it.
func (c *Client) Explain(ctx context.Context, q vault.ExplainQuery) (vault.PolicyExplanation, error) {
	var x vault.PolicyExplanation
	err := c.call(ctx, http.MethodPost, "/api/v1/policy/explain", q, &x)
	return x, err
}
