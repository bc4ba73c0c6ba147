package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"medvault/vault"
)

func staffPerson(subject string) string { return "/api/v1/staff/people/" + url.PathEscape(subject) }

// Staff lists the whole staff register, without names.
func (c *Client) Staff(ctx context.Context) ([]vault.StaffPerson, error) {
	var all []vault.StaffPerson
	for {
		after := ""
		if len(all) > 0 {
			after = all[len(all)-1].Subject
		}
		var page struct{ People []vault.StaffPerson }
		if err := c.call(ctx, http.MethodGet, "/api/v1/staff/people?after="+url.QueryEscape(after), nil, &page); err != nil {
			return all, err
		}
		if len(page.People) == 0 {
			return all, nil
		}
		all = append(all, page.People...)
	}
}

// StaffMember shows one entry of the register, with name and trainings.
func (c *Client) StaffMember(ctx context.Context, subject string) (p vault.StaffPerson, err error) {
	return p, c.call(ctx, http.MethodGet, staffPerson(subject), nil, &p)
}

// StaffMe shows the caller's own entry.
func (c *Client) StaffMe(ctx context.Context) (p vault.StaffPerson, err error) {
	return p, c.call(ctx, http.MethodGet, "/api/v1/staff/me", nil, &p)
}

// AddStaff puts somebody on the register.
func (c *Client) AddStaff(ctx context.Context, p vault.StaffPerson) (added vault.StaffPerson, err error) {
	body := map[string]any{"subject": p.Subject, "kind": p.Kind, "name": p.Name, "roles": p.Roles, "institution": p.Institution,
		"country": p.Country, "trainings": p.Trainings}
	return added, c.call(ctx, http.MethodPost, "/api/v1/staff/people", body, &added)
}

// ChangeStaff changes fields of an entry: kind, name, roles, institution, country, state.
func (c *Client) ChangeStaff(ctx context.Context, subject string, fields map[string]any) (p vault.StaffPerson, err error) {
	return p, c.call(ctx, http.MethodPatch, staffPerson(subject), fields, &p)
}

// TrainStaff attests a training.
func (c *Client) TrainStaff(ctx context.Context, subject string, t vault.Training) (p vault.StaffPerson, err error) {
	body := map[string]any{"subject": subject, "at": t.At, "reference": t.Reference}
	return p, c.call(ctx, http.MethodPost, "/api/v1/staff/trainings", body, &p)
}

// Institutions lists the institutions of the register.
func (c *Client) Institutions(ctx context.Context) ([]vault.StaffInstitution, error) {
	var answer struct{ Institutions []vault.StaffInstitution }
	err := c.call(ctx, http.MethodGet, "/api/v1/staff/institutions", nil, &answer)
	return answer.Institutions, err
}

// PutInstitution adds or changes an institution.
func (c *Client) PutInstitution(ctx context.Context, i vault.StaffInstitution) (vault.StaffInstitution, error) {
	var put vault.StaffInstitution
	err := c.call(ctx, http.MethodPut, "/api/v1/staff/institutions/"+url.PathEscape(i.ID), i, &put)
	return put, err
}

// SetAgreement sends the signed agreement of an institution, a PDF, and the last day on
// which it binds, YYYY-MM-DD.
func (c *Client) SetAgreement(ctx context.Context, institution, expires string, document io.Reader) (i vault.StaffInstitution, err error) {
	path := "/api/v1/staff/institutions/" + url.PathEscape(institution) + "/agreement?expires=" + url.QueryEscape(expires)
	resp, err := c.do(ctx, http.MethodPut, path, http.Header{"Accept": {"application/json"}, "Content-Type": {"application/pdf"}}, document)
	if err != nil {
		return i, err
	}
	defer finish(resp)
	if err := json.NewDecoder(resp.Body).Decode(&i); err != nil {
		return i, fmt.Errorf("PUT %s: read the answer: %w", path, err)
	}
	return i, nil
}

// Agreement writes the signed agreement of an institution to w.
func (c *Client) Agreement(ctx context.Context, institution string, w io.Writer) error {
	path := "/api/v1/staff/institutions/" + url.PathEscape(institution) + "/agreement"
	resp, err := c.do(ctx, http.MethodGet, path, http.Header{"Accept": {"application/pdf"}}, nil)
	if err != nil {
		return err
	}
	defer finish(resp)
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("GET %s: read the answer: %w", path, err)
	}
	return nil
}

// ImportStaff brings a file into the register: text/csv or application/fhir+json.
func (c *Client) ImportStaff(ctx context.Context, contentType string, file io.Reader, dryRun bool) ([]vault.StaffImported, error) {
	path := "/api/v1/staff/import"
	if dryRun {
		path += "?dryRun=true"
	}
	resp, err := c.do(ctx, http.MethodPost, path, http.Header{"Accept": {"application/json"}, "Content-Type": {contentType}}, file)
	if err != nil {
		return nil, err
	}
	defer finish(resp)
	var answer struct{ Lines []vault.StaffImported }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("POST %s: read the answer: %w", path, err)
	}
	return answer.Lines, nil
}
