package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"medvault/vault"
)

// Export has a study or a patient exported for a recipient and calls each with one
// instance after the other, under the UID it has there; what each leaves unread is
// skipped. The manifest comes last: without it the answer was cut, which is an error.
func (c *Client) Export(ctx context.Context, req vault.ExportRequest, each func(instance string, r io.Reader) error) (m vault.ExportManifest, err error) {
	const path = "/api/v1/exports"
	body := map[string]string{"recipient": req.Recipient}
	if req.Study != "" {
		body["study"] = req.Study
	}
	if req.Patient != "" {
		body["patient"] = string(req.Patient)
	}
	data, err := json.Marshal(body)
	if err != nil {
		return m, err
	}
	resp, err := c.do(ctx, http.MethodPost, path, http.Header{"Content-Type": {"application/json"}}, bytes.NewReader(data))
	if err != nil {
		return m, err
	}
	defer resp.Body.Close() // not finish: who gives up does not want the rest
	kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/related" {
		return m, fmt.Errorf("POST %s: the answer is not multipart/related", path)
	}
	parts := multipart.NewReader(unended(bufio.NewReaderSize(resp.Body, 64<<10)), params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err != nil { // io.EOF too: the manifest is missing
			return m, fmt.Errorf("POST %s: the answer was cut: %w", path, io.ErrUnexpectedEOF)
		}
		if strings.HasPrefix(p.Header.Get("Content-Type"), "application/json") {
			if err := json.NewDecoder(p).Decode(&m); err != nil {
				return m, fmt.Errorf("POST %s: read the manifest: %w", path, err)
			}
			if _, err := parts.NextRawPart(); err != io.EOF {
				return m, fmt.Errorf("POST %s: the manifest is not the end of the answer", path)
			}
			return m, nil
		}
		if err := each(p.Header.Get("Content-Location"), p); err != nil {
			return m, err
		}
	}
}
