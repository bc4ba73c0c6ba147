package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"medvault/vault"
	"medvault/vault/record"
)

// Push has a patient's instances sent to another institution. progress is told how many it
// has answered for, and of how many. The receipt says what it answered to each: an answer
// without it was cut, which is an error; what was sent until then is on record all the same.
func (c *Client) Push(ctx context.Context, req vault.PushRequest, progress func(done, of int)) (vault.PushReceipt, error) {
	const path = "/api/v1/exports/pushes"
	body := make(map[string]string)
	for name, value := range map[string]string{"patient": string(req.Patient), "issuer": req.Issuer, "patientId": req.PatientID,
		"study": req.Study, "recipient": req.Recipient, "to": req.To, "case": string(req.Case), "disclosure": string(req.Disclosure)} {
		if value != "" {
			body[name] = value
		}
	}
	data, err := json.Marshal(body)
	if err != nil {
		return vault.PushReceipt{}, err
	}
	resp, err := c.do(ctx, http.MethodPost, path, http.Header{"Content-Type": {"application/json"}, "Accept": {"application/x-ndjson"}}, bytes.NewReader(data))
	if err != nil {
		return vault.PushReceipt{}, err
	}
	defer finish(resp)
	for lines := json.NewDecoder(resp.Body); ; {
		var line struct {
			Done, Of int
			Receipt  *vault.PushReceipt
		}
		if err := lines.Decode(&line); err != nil { // io.EOF too: the receipt is missing
			return vault.PushReceipt{}, fmt.Errorf("POST %s: the answer was cut: %w", path, io.ErrUnexpectedEOF)
		}
		progress(line.Done, line.Of)
		if line.Receipt != nil {
			return *line.Receipt, nil
		}
	}
}

// Pushes lists the receipts of what was sent of a patient.
func (c *Client) Pushes(ctx context.Context, p record.PatientToken) ([]vault.PushReceipt, error) {
	var list struct{ Pushes []vault.PushReceipt }
	return list.Pushes, c.call(ctx, http.MethodGet, "/api/v1/exports?patient="+url.QueryEscape(string(p)), nil, &list)
}
