package client

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"medvault/vault"
	"medvault/vault/record"
)

func careTeam(p record.PatientToken) string {
	return "/api/v1/patients/" + url.PathEscape(string(p)) + "/care-team"
}

// AddCare states that a clinician treats a patient from now until then (zero: open).
func (c *Client) AddCare(ctx context.Context, p record.PatientToken, clinician string, until time.Time) (vault.Care, error) {
	return c.StateCare(ctx, p, vault.NewCare{Clinician: clinician, Until: until})
}

// StateCare is AddCare with everything that can be said.
func (c *Client) StateCare(ctx context.Context, p record.PatientToken, n vault.NewCare) (vault.Care, error) {
	body := map[string]any{"clinician": n.Clinician, "role": n.Role, "essential": n.Essential}
	if !n.From.IsZero() {
		body["from"] = n.From
	}
	if !n.Until.IsZero() {
		body["until"] = n.Until
	}
	var care vault.Care
	err := c.call(ctx, http.MethodPost, careTeam(p), body, &care)
	return care, err
}

// EndCare ends a care relationship now.
func (c *Client) EndCare(ctx context.Context, p record.PatientToken, id record.ObjectID) error {
	return c.call(ctx, http.MethodDelete, careTeam(p)+"/"+url.PathEscape(string(id)), nil, nil)
}

// ListCare lists a patient's care relationships, ended ones included.
func (c *Client) ListCare(ctx context.Context, p record.PatientToken) ([]vault.Care, error) {
	var answer struct{ CareTeam []vault.Care }
	err := c.call(ctx, http.MethodGet, careTeam(p), nil, &answer)
	return answer.CareTeam, err
}

// Regions tells the state of every region.
func (c *Client) Regions(ctx context.Context) ([]vault.RegionStatus, error) {
	var answer struct{ Regions []vault.RegionStatus }
	err := c.call(ctx, http.MethodGet, "/api/v1/regions", nil, &answer)
	return answer.Regions, err
}

// OrderRegion changes what is done with a region: vault.OrderFreeze and its like.
func (c *Client) OrderRegion(ctx context.Context, region, order string) error {
	return c.call(ctx, http.MethodPost, "/api/v1/regions/"+url.PathEscape(region)+"/orders", map[string]string{"order": order}, nil)
}

// AuditVerify has the vault check its log.
func (c *Client) AuditVerify(ctx context.Context) (vault.AuditReport, error) {
	var report vault.AuditReport
	err := c.call(ctx, http.MethodGet, "/api/v1/audit/verify", nil, &report)
	return report, err
}

// AuditExport fetches the whole log, as C2SP clients read it: file is given name after
// name with the file's bytes, the checkpoint last.
func (c *Client) AuditExport(ctx context.Context, file func(name string, body io.Reader) error) error {
	const path = "/api/v1/audit/export"
	resp, err := c.do(ctx, http.MethodGet, path, http.Header{"Accept": {"application/x-tar"}}, nil)
	if err != nil {
		return err
	}
	defer finish(resp)
	last := ""
	for files := tar.NewReader(resp.Body); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) && last == "checkpoint" {
			return nil
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("GET %s: read the answer: %w", path, err)
		}
		last = header.Name
		if err := file(last, files); err != nil {
			return err
		}
	}
}

// AuditSnapshot brings the log, and a signed manifest of what it must hold, to every
// region now.
func (c *Client) AuditSnapshot(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/api/v1/audit/snapshots", nil, nil)
}

// Attest fetches the proof of how identity was taken out of a document. It is not
// verified yet.
func (c *Client) Attest(ctx context.Context, id record.ObjectID) (vault.Attestation, error) {
	var at vault.Attestation
	err := c.call(ctx, http.MethodGet, "/api/v1/attestations/"+url.PathEscape(string(id)), nil, &at)
	return at, err
}

// KeyStatus tells the versions of the key encryption keys.
func (c *Client) KeyStatus(ctx context.Context) ([]vault.KeyStatus, error) {
	var answer struct{ Keys []vault.KeyStatus }
	err := c.call(ctx, http.MethodGet, "/api/v1/keys", nil, &answer)
	return answer.Keys, err
}

// RotateKeys has the gateway give every key encryption key a new version, where its
// credential may: in development.
func (c *Client) RotateKeys(ctx context.Context) ([]vault.Rotation, error) {
	return c.rotateKeys(ctx, "/api/v1/keys/rotations")
}

// RenewKeys has the gateway carry out the renewals of keys that are pending, as far as
// its credential may.
func (c *Client) RenewKeys(ctx context.Context) ([]vault.Rotation, error) {
	return c.rotateKeys(ctx, "/api/v1/keys/rotations?pending=true")
}

func (c *Client) rotateKeys(ctx context.Context, path string) ([]vault.Rotation, error) {
	var answer struct{ Rotations []vault.Rotation }
	err := c.call(ctx, http.MethodPost, path, nil, &answer)
	return answer.Rotations, err
}
