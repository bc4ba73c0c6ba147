package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"medvault/vault"
	"medvault/vault/record"
)

const (
	incidents     = "/api/v1/incidents"
	findings      = "/api/v1/findings"
	accessReviews = "/api/v1/access-reviews"
)

func incidentPath(id record.ObjectID) string { return incidents + "/" + url.PathEscape(string(id)) }

func listAll(path string, all bool) string {
	if all {
		return path + "?all=true"
	}
	return path
}

// OpenIncident starts the clock of a breach, or of a drill.
func (c *Client) OpenIncident(ctx context.Context, n vault.NewIncident) (i vault.Incident, err error) {
	return i, c.call(ctx, http.MethodPost, incidents, n, &i)
}

// Incidents lists those that are not closed, or all.
func (c *Client) Incidents(ctx context.Context, all bool) ([]vault.Incident, error) {
	var answer struct{ Incidents []vault.Incident }
	err := c.call(ctx, http.MethodGet, listAll(incidents, all), nil, &answer)
	return answer.Incidents, err
}

// Incident tells one.
func (c *Client) Incident(ctx context.Context, id record.ObjectID) (i vault.Incident, err error) {
	return i, c.call(ctx, http.MethodGet, incidentPath(id), nil, &i)
}

// Affected computes whom an incident concerns.
func (c *Client) Affected(ctx context.Context, id record.ObjectID) (of vault.Affected, err error) {
	return of, c.call(ctx, http.MethodGet, incidentPath(id)+"/affected", nil, &of)
}

// AddScope says what else an intruder may have acted by.
func (c *Client) AddScope(ctx context.Context, id record.ObjectID, s vault.IncidentScope) (i vault.Incident, err error) {
	return i, c.call(ctx, http.MethodPost, incidentPath(id)+"/scopes", s, &i)
}

// Contain does one thing against a breach.
func (c *Client) Contain(ctx context.Context, id record.ObjectID, what vault.Containment) (i vault.Incident, err error) {
	return i, c.call(ctx, http.MethodPost, incidentPath(id)+"/containment", what, &i)
}

// Notices drafts what every affected patient is told.
func (c *Client) Notices(ctx context.Context, id record.ObjectID) ([]vault.PatientNotice, error) {
	var answer struct{ Notices []vault.PatientNotice }
	err := c.call(ctx, http.MethodGet, incidentPath(id)+"/notices", nil, &answer)
	return answer.Notices, err
}

// Notified records that somebody was told.
func (c *Client) Notified(ctx context.Context, id record.ObjectID, n vault.Notified) (i vault.Incident, err error) {
	return i, c.call(ctx, http.MethodPost, incidentPath(id)+"/notices", n, &i)
}

// IncidentReport is what the authorities are told, as "json", "text" or "html".
func (c *Client) IncidentReport(ctx context.Context, id record.ObjectID, format string) ([]byte, error) {
	return c.file(ctx, incidentPath(id)+"/report?format="+url.QueryEscape(format))
}

// CloseIncident ends one.
func (c *Client) CloseIncident(ctx context.Context, id record.ObjectID, outcome, tellNobody string) (i vault.Incident, err error) {
	return i, c.call(ctx, http.MethodPost, incidentPath(id)+"/close", map[string]string{"outcome": outcome, "tellNobody": tellNobody}, &i)
}

// FreezePatient stops everything with a patient's documents; reason is a code.
func (c *Client) FreezePatient(ctx context.Context, p record.PatientToken, reason string) (f vault.Freeze, err error) {
	return f, c.call(ctx, http.MethodPost, patientPath(p)+"/freeze", map[string]string{"reason": reason}, &f)
}

// ThawPatient lifts a freeze.
func (c *Client) ThawPatient(ctx context.Context, p record.PatientToken) (f vault.Freeze, err error) {
	return f, c.call(ctx, http.MethodPost, patientPath(p)+"/thaw", nil, &f)
}

// Freezes lists who is frozen, or all who ever were.
func (c *Client) Freezes(ctx context.Context, all bool) ([]vault.Freeze, error) {
	var answer struct{ Freezes []vault.Freeze }
	err := c.call(ctx, http.MethodGet, listAll("/api/v1/freezes", all), nil, &answer)
	return answer.Freezes, err
}

// OpenFinding puts a finding on record.
func (c *Client) OpenFinding(ctx context.Context, n vault.NewFinding) (f vault.SecurityFinding, err error) {
	return f, c.call(ctx, http.MethodPost, findings, n, &f)
}

// Findings lists those that are open, or all.
func (c *Client) Findings(ctx context.Context, all bool) ([]vault.SecurityFinding, error) {
	var answer struct{ Findings []vault.SecurityFinding }
	err := c.call(ctx, http.MethodGet, listAll(findings, all), nil, &answer)
	return answer.Findings, err
}

// CloseFinding closes one with its proof: a reference, the SHA-256 of a document, or both.
func (c *Client) CloseFinding(ctx context.Context, id record.ObjectID, proof, document string) (f vault.SecurityFinding, err error) {
	return f, c.call(ctx, http.MethodPost, findings+"/"+url.PathEscape(string(id))+"/close", map[string]string{"proof": proof, "proofSha256": document}, &f)
}

func accessReviewPath(id record.ObjectID) string {
	return accessReviews + "/" + url.PathEscape(string(id))
}

// StartAccessReview begins the review of a quarter; "" is the one of now.
func (c *Client) StartAccessReview(ctx context.Context, quarter string) (r vault.AccessReview, err error) {
	return r, c.call(ctx, http.MethodPost, accessReviews, map[string]string{"quarter": quarter}, &r)
}

// AccessReviews lists them, the newest first.
func (c *Client) AccessReviews(ctx context.Context) ([]vault.AccessReview, error) {
	var answer struct{ AccessReviews []vault.AccessReview }
	err := c.call(ctx, http.MethodGet, accessReviews, nil, &answer)
	return answer.AccessReviews, err
}

// AccessReviewFile is one, in the very bytes that vault.CheckAccessReview takes.
func (c *Client) AccessReviewFile(ctx context.Context, id record.ObjectID) ([]byte, error) {
	return c.file(ctx, accessReviewPath(id))
}

// DecideAccess decides lines of a review.
func (c *Client) DecideAccess(ctx context.Context, id record.ObjectID, d vault.AccessDecisions) (r vault.AccessReview, err error) {
	return r, c.call(ctx, http.MethodPost, accessReviewPath(id)+"/decisions", d, &r)
}

// SignAccessReview ends a review.
func (c *Client) SignAccessReview(ctx context.Context, id record.ObjectID) (r vault.AccessReview, err error) {
	return r, c.call(ctx, http.MethodPost, accessReviewPath(id)+"/sign", nil, &r)
}

// EvidenceFile is the evidence of a quarter, in the very bytes that vault.CheckEvidence
// takes.
func (c *Client) EvidenceFile(ctx context.Context, quarter string) ([]byte, error) {
	return c.file(ctx, "/api/v1/evidence?quarter="+url.QueryEscape(quarter))
}

// maxFile bounds an answer that is taken whole.
const maxFile = 256 << 20

// file is an answer as it came.
func (c *Client) file(ctx context.Context, path string) ([]byte, error) {
	answer, err := c.do(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxFile))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return data, nil
}
