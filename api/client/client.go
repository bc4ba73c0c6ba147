// Package client speaks to a vault over HTTP: DICOMweb for images, /api/v1 for the
// rest. The commands and the tests use it; everything streams.
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
	"strings"

	"medvault/vault/record"
)

// Config says which vault and who asks.
type Config struct {
	URL        string         // required: root of the server, as http://127.0.0.1:8042
	Token      string         // bearer token
	Purpose    record.Purpose // default: the role's own
	HTTPClient *http.Client   // default: one that keeps up to 64 connections
}

// Client is safe for concurrent use.
type Client struct {
	root, token string
	purpose     record.Purpose
	http        *http.Client
}

// New checks cfg. It sends nothing.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("vault URL must be like https://vault.example:8042")
	}
	c := &Client{root: strings.TrimRight(cfg.URL, "/"), token: cfg.Token, purpose: cfg.Purpose, http: cfg.HTTPClient}
	if c.http == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 64
		t.DisableCompression = true // sealed once, nothing left to squeeze
		c.http = &http.Client{Transport: t}
	}
	return c, nil
}

// Error is an answer that is not a success.
type Error struct {
	Status    int    // HTTP status
	Code      string // machine readable, "" when the answer did not come from a vault
	Message   string // what to do
	RequestID string // to be told to the operator
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
	if e.Code != "" {
		s += " (" + e.Code + ")"
	}
	if e.Message != "" {
		s += ": " + e.Message
	}
	if e.RequestID != "" {
		s += " [request " + e.RequestID + "]"
	}
	return s
}

// do sends one request. An answer of 400 or more is an *Error. The caller finishes
// the response.
func (c *Client) do(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	resp, err := c.send(ctx, method, path, header, body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 400 {
		defer finish(resp)
		return nil, problem(resp)
	}
	return resp, nil
}

func (c *Client) send(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.root+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.purpose != "" {
		req.Header.Set("Purpose-Of-Use", string(c.purpose))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		// net/http puts the whole address into its error, and a query may hold a name.
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		route, _, _ := strings.Cut(path, "?")
		return nil, fmt.Errorf("%s %s: %w", method, route, err)
	}
	return resp, nil
}

// Vault is the vault's own identity: the same through restarts and at every gateway,
// another for every other vault, also at the same address.
func (c *Client) Vault(ctx context.Context) (string, error) {
	const path = "/api/v1/openapi.json" // every authenticated answer says it
	resp, err := c.do(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return "", err
	}
	defer finish(resp)
	id := resp.Header.Get("Medvault-Vault")
	if id == "" {
		return "", fmt.Errorf("GET %s: the answer does not say which vault it is from", path)
	}
	return id, nil
}

// finish reads a response to its end, so that the connection is kept.
func finish(resp *http.Response) {
	io.Copy(io.Discard, io.LimitReader(resp.Body, 256<<10))
	resp.Body.Close()
}

// problem reads the refusal in a response.
func problem(resp *http.Response) error {
	e := &Error{Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id")}
	var body struct{ Code, Message, RequestID string }
	// An answer from something between here and the vault need not be JSON: then the
	// status is all there is.
	if json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&body) == nil {
		e.Code, e.Message = body.Code, body.Message
		if body.RequestID != "" {
			e.RequestID = body.RequestID
		}
	}
	return e
}

// call sends a JSON body (nil: none) and decodes the JSON answer into out (nil: none).
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	header := http.Header{"Accept": {"application/json"}}
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		header.Set("Content-Type", "application/json")
		body = bytes.NewReader(b)
	}
	resp, err := c.do(ctx, method, path, header, body)
	if err != nil {
		return err
	}
	defer finish(resp)
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}
