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

	"medvault/vault"
	"medvault/vault/record"
)

// Verify has the vault compare its regions with what they must hold. progress (nil:
// none) and o.Begun are called from this goroutine. Findings are no error.
func (c *Client) Verify(ctx context.Context, o vault.VerifyOptions, progress func(done, total int64)) (vault.Report, error) {
	return aloud[vault.Report](ctx, c, "/api/v1/verifications", o, o.Begun, progress)
}

// Repair has the vault mend what a fresh verification finds.
func (c *Client) Repair(ctx context.Context, o vault.RepairOptions, progress func(done, total int64)) (vault.RepairReport, error) {
	return aloud[vault.RepairReport](ctx, c, "/api/v1/repairs", o, nil, progress)
}

// aloud posts what is asked and reads the answer line by line up to its report.
func aloud[Report any](ctx context.Context, c *Client, path string, ask any, begun func(record.ObjectID), progress func(done, total int64)) (none Report, err error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return none, err
	}
	resp, err := c.do(ctx, http.MethodPost, path, http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/x-ndjson"},
	}, bytes.NewReader(body))
	if err != nil {
		return none, err
	}
	defer finish(resp)
	lines := json.NewDecoder(resp.Body)
	for {
		var line struct {
			ID          record.ObjectID
			Done, Total int64
			Report      *Report
			Error       *struct{ Code, Message, RequestID string }
		}
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			return none, fmt.Errorf("POST %s: the answer was cut before its report", path)
		case err != nil:
			return none, fmt.Errorf("POST %s: read the answer: %w", path, err)
		case line.Error != nil:
			return none, &Error{Status: http.StatusInternalServerError, Code: line.Error.Code, Message: line.Error.Message, RequestID: line.Error.RequestID}
		case line.Report != nil:
			return *line.Report, nil
		case line.ID != "":
			if begun != nil {
				begun(line.ID)
			}
			continue
		}
		if progress != nil {
			progress(line.Done, line.Total)
		}
	}
}

// Verifications lists the newest verifications, and the last one of every level of every
// region.
func (c *Client) Verifications(ctx context.Context) ([]vault.Verification, []vault.RegionVerified, error) {
	var list struct {
		Verifications []vault.Verification
		Last          []vault.RegionVerified
	}
	err := c.call(ctx, http.MethodGet, "/api/v1/verifications", nil, &list)
	return list.Verifications, list.Last, err
}

// VerificationReport fetches the signed report of a verification that has ended.
func (c *Client) VerificationReport(ctx context.Context, id record.ObjectID) (vault.Report, error) {
	var report vault.Report
	err := c.call(ctx, http.MethodGet, "/api/v1/verifications/"+url.PathEscape(string(id)), nil, &report)
	return report, err
}

// Quarantine lists what was put aside, and the regions that could not be asked.
func (c *Client) Quarantine(ctx context.Context) (list []vault.Quarantined, away []string, err error) {
	var answer struct {
		Quarantine []vault.Quarantined
		Away       []string
	}
	err = c.call(ctx, http.MethodGet, "/api/v1/quarantine", nil, &answer)
	return answer.Quarantine, answer.Away, err
}

// Discard proposes to delete something from quarantine or, asked by another person than
// who proposed it, deletes it.
func (c *Client) Discard(ctx context.Context, id record.ObjectID) (item vault.Quarantined, deleted bool, err error) {
	var answer struct {
		Item    vault.Quarantined
		Deleted bool
	}
	err = c.call(ctx, http.MethodPost, "/api/v1/quarantine/"+url.PathEscape(string(id))+"/deletions", nil, &answer)
	return answer.Item, answer.Deleted, err
}
