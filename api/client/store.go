package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"

	"medvault/vault/record"
)

// Stored tells what became of a document. The UIDs are those of a DICOM instance.
type Stored struct {
	ID                        record.ObjectID
	Patient                   record.PatientToken
	Present                   bool // the same bytes were here already
	Study, Instance, SOPClass string
}

// StoreDICOM stores one instance by STOW-RS. r is read once and never held. A
// refusal is an *Error with the instance's own code.
func (c *Client) StoreDICOM(ctx context.Context, r io.Reader) (Stored, error) {
	const path = "/dicomweb/studies"
	boundary := rand.Text()
	body := io.MultiReader(
		strings.NewReader("--"+boundary+"\r\nContent-Type: application/dicom\r\n\r\n"),
		r,
		strings.NewReader("\r\n--"+boundary+"--\r\n"))
	resp, err := c.send(ctx, http.MethodPost, path, http.Header{
		"Content-Type": {`multipart/related; type="application/dicom"; boundary=` + boundary},
		"Accept":       {"application/dicom+json"},
	}, body)
	if err != nil {
		return Stored{}, err
	}
	defer finish(resp)
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/dicom+json") {
		return Stored{}, problem(resp)
	}
	var answer dataset
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return Stored{}, fmt.Errorf("POST %s: read the answer: %w", path, err)
	}
	items, err := answer.items("00081199")
	if err != nil {
		return Stored{}, err
	}
	if resp.StatusCode != http.StatusOK || len(items) != 1 {
		return Stored{}, failure(resp, answer)
	}
	at := items[0]
	study, _, _ := uidsOf(at.text("00081190"))
	return Stored{
		ID:       record.ObjectID(at.text("00091003")),
		Patient:  record.PatientToken(at.text("00091002")),
		Present:  at.text("00091004") == "YES",
		Study:    study,
		Instance: at.text("00081155"),
		SOPClass: at.text("00081150"),
	}, nil
}

// failure is the refusal inside a Store Instances Response.
func failure(resp *http.Response, answer dataset) error {
	e := &Error{Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id")}
	for _, tag := range []string{"00081198", "0008119A"} {
		items, err := answer.items(tag)
		if err == nil && len(items) > 0 {
			e.Code, e.Message = items[0].text("00091005"), items[0].text("00091006")
			break
		}
	}
	return e
}

// PDF says whose document a PDF, a scan or a FHIR resource is.
type PDF struct {
	PatientID string // required of what does not say it itself
	Issuer    string // default the uploader's institution's
	Category  string // default by what the document is: "report" for a PDF
	Title     string
	BirthDate string // of the patient, YYYYMMDD; "" says nothing

	PatientName string // as DICOM writes it, with ^, or as it is spoken; "" says nothing
}

// StorePDF stores one PDF, scan or FHIR resource: the vault tells them apart. r is read once and never held, on either side.
func (c *Client) StorePDF(ctx context.Context, r io.Reader, about PDF) (Stored, error) {
	const path = "/api/v1/documents"
	// All fields go first, empty ones too: then the vault need not hold the file.
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	for _, field := range [][2]string{{"patientId", about.PatientID}, {"issuer", about.Issuer}, {"category", about.Category}, {"title", about.Title}, {"birthDate", about.BirthDate}, {"patientName", about.PatientName}} {
		if err := form.WriteField(field[0], field[1]); err != nil {
			return Stored{}, err
		}
	}
	_, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="document"`},
		"Content-Type":        {"application/octet-stream"},
	})
	if err != nil {
		return Stored{}, err
	}
	body := io.MultiReader(&head, r, strings.NewReader("\r\n--"+form.Boundary()+"--\r\n"))
	resp, err := c.do(ctx, http.MethodPost, path, http.Header{"Content-Type": {form.FormDataContentType()}}, body)
	if err != nil {
		return Stored{}, err
	}
	defer finish(resp)
	var answer struct {
		ID      record.ObjectID
		Patient record.PatientToken
		Present bool
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return Stored{}, fmt.Errorf("POST %s: read the answer: %w", path, err)
	}
	return Stored{ID: answer.ID, Patient: answer.Patient, Present: answer.Present}, nil
}
