package client

import (
	"context"
	"net/http"
	"net/url"

	"medvault/vault"
)

// Documents lists one page of the documents of every kind that the caller may find.
func (c *Client) Documents(ctx context.Context, q vault.DocumentQuery) (page vault.DocumentPage, err error) {
	values := url.Values{}
	for name, value := range map[string]string{"patient": q.Patient, "category": q.Category, "after": string(q.After)} {
		if value != "" {
			values.Set(name, value)
		}
	}
	return page, c.call(ctx, http.MethodGet, "/api/v1/documents?"+values.Encode(), nil, &page)
}
