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

func caseAt(id record.ObjectID) string { return "/api/v1/cases/" + url.PathEscape(string(id)) }

// Cases lists what has to be settled behind after ("": from the first on); closed: requests
// that are closed too. next begins the next page.
func (c *Client) Cases(ctx context.Context, closed bool, after string) (list []vault.Case, next string, err error) {
	var answer struct {
		Cases []vault.Case
		Next  string
	}
	query := url.Values{"after": {after}}
	if closed {
		query.Set("closed", "true")
	}
	err = c.call(ctx, http.MethodGet, "/api/v1/cases?"+query.Encode(), nil, &answer)
	return answer.Cases, answer.Next, err
}

// OpenCase puts on record what somebody asks.
func (c *Client) OpenCase(ctx context.Context, n vault.NewCase) (opened vault.Case, err error) {
	err = c.call(ctx, http.MethodPost, "/api/v1/cases", n, &opened)
	return opened, err
}

// ReadCase tells a case with its notes.
func (c *Client) ReadCase(ctx context.Context, id record.ObjectID) (one vault.Case, err error) {
	err = c.call(ctx, http.MethodGet, caseAt(id), nil, &one)
	return one, err
}

// WorkOnCase assigns it, lets it wait, or says how it was made sure who asks.
func (c *Client) WorkOnCase(ctx context.Context, id record.ObjectID, w vault.CaseWork) (one vault.Case, err error) {
	err = c.call(ctx, http.MethodPatch, caseAt(id), w, &one)
	return one, err
}

// NoteOnCase adds a note; shown: the requester sees it.
func (c *Client) NoteOnCase(ctx context.Context, id record.ObjectID, text string, shown bool) error {
	body := struct {
		Text  string `json:"text"`
		Shown bool   `json:"shown,omitempty"`
	}{text, shown}
	return c.call(ctx, http.MethodPost, caseAt(id)+"/notes", body, nil)
}

// DecideCase decides it.
func (c *Client) DecideCase(ctx context.Context, id record.ObjectID, d vault.NewDecision) (one vault.Case, err error) {
	err = c.call(ctx, http.MethodPost, caseAt(id)+"/decision", d, &one)
	return one, err
}

// ExecuteCase says that what was granted has been done.
func (c *Client) ExecuteCase(ctx context.Context, id record.ObjectID) (one vault.Case, err error) {
	err = c.call(ctx, http.MethodPost, caseAt(id)+"/execution", nil, &one)
	return one, err
}

// CloseCase closes it.
func (c *Client) CloseCase(ctx context.Context, id record.ObjectID) (one vault.Case, err error) {
	err = c.call(ctx, http.MethodPost, caseAt(id)+"/close", nil, &one)
	return one, err
}

func restrictionsOf(p record.PatientToken) string {
	return "/api/v1/patients/" + url.PathEscape(string(p)) + "/restrictions"
}

// Restrict limits the processing of a patient's documents, by a case.
func (c *Client) Restrict(ctx context.Context, p record.PatientToken, decided record.ObjectID) (set vault.Restriction, err error) {
	body := struct {
		Case record.ObjectID `json:"case"`
	}{decided}
	err = c.call(ctx, http.MethodPost, restrictionsOf(p), body, &set)
	return set, err
}

// Unrestrict lifts a restriction, by another case.
func (c *Client) Unrestrict(ctx context.Context, p record.PatientToken, id, decided record.ObjectID) error {
	return c.call(ctx, http.MethodDelete, restrictionsOf(p)+"/"+url.PathEscape(string(id))+"?case="+url.QueryEscape(string(decided)), nil, nil)
}

// Restrictions lists a patient's, those that were lifted included.
func (c *Client) Restrictions(ctx context.Context, p record.PatientToken) ([]vault.Restriction, error) {
	var answer struct{ Restrictions []vault.Restriction }
	err := c.call(ctx, http.MethodGet, restrictionsOf(p), nil, &answer)
	return answer.Restrictions, err
}

// Disclosures lists the newest.
func (c *Client) Disclosures(ctx context.Context) ([]vault.Disclosure, error) {
	var answer struct{ Disclosures []vault.Disclosure }
	err := c.call(ctx, http.MethodGet, "/api/v1/disclosures", nil, &answer)
	return answer.Disclosures, err
}

// ProposeDisclosure proposes that a third party is given originals.
func (c *Client) ProposeDisclosure(ctx context.Context, n vault.NewDisclosure) (d vault.Disclosure, err error) {
	err = c.call(ctx, http.MethodPost, "/api/v1/disclosures", n, &d)
	return d, err
}

// DecideDisclosure approves or refuses one.
func (c *Client) DecideDisclosure(ctx context.Context, id record.ObjectID, approve bool) (d vault.Disclosure, err error) {
	step := "/refuse"
	if approve {
		step = "/approve"
	}
	err = c.call(ctx, http.MethodPost, "/api/v1/disclosures/"+url.PathEscape(string(id))+step, nil, &d)
	return d, err
}

// GiveDisclosure writes the ZIP file of an approved one; after an error what was written
// is no whole file.
func (c *Client) GiveDisclosure(ctx context.Context, id record.ObjectID, w io.Writer) (int64, error) {
	path := "/api/v1/disclosures/" + url.PathEscape(string(id)) + "/documents"
	resp, err := c.do(ctx, http.MethodPost, path, nil, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(w, resp.Body)
	if err != nil {
		return n, fmt.Errorf("read the disclosure: %w", err)
	}
	return n, nil
}
