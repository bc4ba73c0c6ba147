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
	"net/url"

	"medvault/vault"
	"medvault/vault/record"
)

// Package has the package of everything held of a patient made. begin is told its id and
// the patient's token before each is called with one made file after the other, by its
// path; the last two are the manifest and its signature, without which the answer was cut,
// which is an error. language: "en" or "zh".
func (c *Client) Package(ctx context.Context, req vault.PackageRequest, language string, begin func(record.ObjectID, record.PatientToken) error, each func(path string, r io.Reader) error) error {
	const route = "/api/v1/exports"
	body := make(map[string]string)
	for name, value := range map[string]string{"patient": string(req.Patient), "issuer": req.Issuer, "patientId": req.PatientID, "case": string(req.Case)} {
		if value != "" {
			body[name] = value
		}
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	resp, err := c.do(ctx, http.MethodPost, route, http.Header{"Content-Type": {"application/json"}, "Accept-Language": {language}}, bytes.NewReader(data))
	if err != nil {
		return err
	}
	defer resp.Body.Close() // not finish: who gives up does not want the rest
	kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" {
		return fmt.Errorf("POST %s: the answer is not multipart/mixed", route)
	}
	id, err := record.ParseObjectID(resp.Header.Get("Medvault-Package"))
	if err != nil {
		return fmt.Errorf("POST %s: the answer names no package", route)
	}
	patient, err := record.ParsePatientToken(resp.Header.Get("Medvault-Patient"))
	if err != nil {
		return fmt.Errorf("POST %s: the answer names no patient", route)
	}
	if err := begin(id, patient); err != nil {
		return err
	}
	parts := multipart.NewReader(unended(bufio.NewReaderSize(resp.Body, 64<<10)), params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("POST %s: the answer was cut: %w", route, err)
		}
		if err := each(p.Header.Get("Content-Location"), p); err != nil {
			return err
		}
	}
}

// PackageKey is the key under which what has come of a package is kept on disk until all of
// it has: 32 bytes. byCase: the case that the package was asked for by, or "".
func (c *Client) PackageKey(ctx context.Context, p record.PatientToken, id, byCase record.ObjectID) ([]byte, error) {
	var told struct{ Key []byte }
	if err := c.call(ctx, http.MethodGet, "/api/v1/exports/"+string(id)+"?"+url.Values{"patient": {string(p)}, "case": {string(byCase)}}.Encode(), nil, &told); err != nil {
		return nil, err
	}
	if len(told.Key) != 32 {
		return nil, fmt.Errorf("package %s: the key is none", id)
	}
	return told.Key, nil
}

// PackageDocument streams the original of a document of a package from a byte on. The
// caller closes it, and compares the SHA-256 of the whole with the manifest's.
func (c *Client) PackageDocument(ctx context.Context, id, object, byCase record.ObjectID, from int64) (io.ReadCloser, error) {
	header := make(http.Header)
	if from > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	resp, err := c.do(ctx, http.MethodGet, "/api/v1/exports/"+string(id)+"/documents/"+string(object)+"?case="+url.QueryEscape(string(byCase)), header, nil)
	if err != nil {
		return nil, err
	}
	if from > 0 && resp.StatusCode != http.StatusPartialContent {
		resp.Body.Close()
		return nil, fmt.Errorf("document %s: the vault does not continue where it was interrupted", object)
	}
	return resp.Body, nil
}
