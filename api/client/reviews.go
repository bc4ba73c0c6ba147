package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"medvault/vault"
	"medvault/vault/record"
)

func reviewPath(id record.ObjectID) string {
	return "/api/v1/reviews/" + url.PathEscape(string(id))
}

// Reviews lists withheld documents, the newest first.
func (c *Client) Reviews(ctx context.Context, q vault.ReviewQuery) (vault.ReviewPage, error) {
	values := make(url.Values)
	if q.State != "" {
		values.Set("state", q.State)
	}
	if q.After != "" {
		values.Set("after", string(q.After))
	}
	if q.Limit > 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	var page vault.ReviewPage
	err := c.call(ctx, http.MethodGet, "/api/v1/reviews?"+values.Encode(), nil, &page)
	return page, err
}

// Review shows one withheld document.
func (c *Client) Review(ctx context.Context, id record.ObjectID) (vault.Review, error) {
	var review vault.Review
	err := c.call(ctx, http.MethodGet, reviewPath(id), nil, &review)
	return review, err
}

// Preview writes a frame of a withheld document as PNG.
func (c *Client) Preview(ctx context.Context, id record.ObjectID, o vault.PreviewOptions, w io.Writer) error {
	values := make(url.Values)
	if o.Frame > 0 {
		values.Set("frame", strconv.Itoa(o.Frame))
	}
	if o.Unmasked {
		values.Set("unmasked", "true")
	}
	for _, m := range o.Masks {
		values.Add("mask", fmt.Sprintf("%d,%d,%d,%d", m.X, m.Y, m.Width, m.Height))
	}
	resp, err := c.do(ctx, http.MethodGet, reviewPath(id)+"/preview?"+values.Encode(), http.Header{"Accept": {"image/png"}}, nil)
	if err != nil {
		return err
	}
	defer finish(resp)
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("preview of %s: %w", id, err)
	}
	return nil
}

// Release shows a withheld document from now on. It returns the id of what stands in
// its place.
func (c *Client) Release(ctx context.Context, id record.ObjectID, n vault.NewRelease) (record.ObjectID, error) {
	var answer struct{ Object record.ObjectID }
	err := c.call(ctx, http.MethodPost, reviewPath(id)+"/release", n, &answer)
	return answer.Object, err
}

// Refuse keeps a withheld document withheld.
func (c *Client) Refuse(ctx context.Context, id record.ObjectID, reason string) error {
	return c.call(ctx, http.MethodPost, reviewPath(id)+"/refuse", map[string]string{"reason": reason}, nil)
}

const rederivations = "/api/v1/rederivations"

// PlanRederivation has the vault scrub every document anew that was scrubbed by other
// rules, and tells of each that would come out differently. Nothing changes.
func (c *Client) PlanRederivation(ctx context.Context, tell func(vault.Change) error) (vault.Plan, error) {
	resp, err := c.do(ctx, http.MethodPost, rederivations, http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/x-ndjson"},
	}, bytes.NewReader([]byte(`{"dryRun":true}`)))
	if err != nil {
		return vault.Plan{}, err
	}
	defer finish(resp)
	lines := json.NewDecoder(resp.Body)
	for {
		var line struct {
			Change *vault.Change
			Plan   *vault.Plan
			Error  *struct{ Code, Message, RequestID string }
		}
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			return vault.Plan{}, fmt.Errorf("POST %s: the answer was cut before its end", rederivations)
		case err != nil:
			return vault.Plan{}, fmt.Errorf("POST %s: read the answer: %w", rederivations, err)
		case line.Error != nil:
			return vault.Plan{}, &Error{Status: http.StatusInternalServerError, Code: line.Error.Code, Message: line.Error.Message, RequestID: line.Error.RequestID}
		case line.Plan != nil:
			return *line.Plan, nil
		case line.Change != nil:
			if err := tell(*line.Change); err != nil {
				return vault.Plan{}, err
			}
		}
	}
}

// ProposeRederivation writes a proposal down, for another person to approve.
func (c *Client) ProposeRederivation(ctx context.Context, reason string) (vault.Rederivation, error) {
	var r vault.Rederivation
	err := c.call(ctx, http.MethodPost, rederivations, map[string]string{"reason": reason}, &r)
	return r, err
}

// ApproveRederivation starts what another person proposed.
func (c *Client) ApproveRederivation(ctx context.Context, id record.ObjectID) (vault.Rederivation, error) {
	var r vault.Rederivation
	err := c.call(ctx, http.MethodPost, rederivations+"/"+url.PathEscape(string(id))+"/approve", nil, &r)
	return r, err
}

// Rederivation tells how far one is.
func (c *Client) Rederivation(ctx context.Context, id record.ObjectID) (vault.Rederivation, error) {
	var r vault.Rederivation
	err := c.call(ctx, http.MethodGet, rederivations+"/"+url.PathEscape(string(id)), nil, &r)
	return r, err
}

// Rederivations lists the newest.
func (c *Client) Rederivations(ctx context.Context) ([]vault.Rederivation, error) {
	var answer struct{ Rederivations []vault.Rederivation }
	err := c.call(ctx, http.MethodGet, rederivations, nil, &answer)
	return answer.Rederivations, err
}
