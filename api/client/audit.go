package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"medvault/vault"
	"medvault/vault/record"
)

// AuditQuery finds leaves of the log, the newest first.
func (c *Client) AuditQuery(ctx context.Context, q vault.AuditQuery) (vault.AuditPage, error) {
	v := values("patient", string(q.Patient), "object", string(q.Object), "actor", q.Actor, "credential", q.Credential, "action", string(q.Action),
		"decision", q.Decision, "after", q.After)
	span(v, q.From, q.To, q.Limit)
	var page vault.AuditPage
	err := c.call(ctx, http.MethodGet, "/api/v1/audit?"+v.Encode(), nil, &page)
	return page, err
}

// AccessLog fetches a page of a patient's access log. It is not verified yet.
func (c *Client) AccessLog(ctx context.Context, p record.PatientToken, q vault.AccessQuery) (vault.AccessLog, error) {
	v := values("after", q.After)
	span(v, q.From, q.To, q.Limit)
	if q.All {
		v.Set("all", "true")
	}
	var log vault.AccessLog
	resp, err := c.do(ctx, http.MethodGet, "/api/v1/patients/"+url.PathEscape(string(p))+"/access-log?"+v.Encode(),
		http.Header{"Accept-Language": {q.Language}}, nil)
	if err != nil {
		return log, err
	}
	defer finish(resp)
	return log, json.NewDecoder(resp.Body).Decode(&log)
}

// values are the parameters that have one.
func values(pairs ...string) url.Values {
	v := make(url.Values)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

func span(v url.Values, from, to time.Time, limit int) {
	if !from.IsZero() {
		v.Set("from", from.Format(time.RFC3339Nano))
	}
	if !to.IsZero() {
		v.Set("to", to.Format(time.RFC3339Nano))
	}
	if limit != 0 {
		v.Set("limit", strconv.Itoa(limit))
	}
}
