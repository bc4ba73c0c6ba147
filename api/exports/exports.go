// Package exports is the /api/v1/exports face: what one recipient is given of a study or a
// patient, de-identified under names of its own, and the package of everything that is held
// of a patient, for the patient.
package exports

import (
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/api/transport"
	"medvault/vault"
	"medvault/vault/record"
)

// Config is what the face needs.
type Config struct {
	Vault *vault.Vault // required
	// Receivers speak to other institutions' DICOMweb servers; default under the profile
	// aes256 with the system's authorities.
	Receivers *http.Client
	Tokens    map[string]string // bearer tokens that recipients' servers ask for, by name; default none
}

// Register adds the routes to r, the /api/v1 group behind authentication.
func Register(r gin.IRouter, cfg Config) {
	f := &face{vault: cfg.Vault, receivers: cfg.Receivers, tokens: cfg.Tokens}
	if f.receivers == nil {
		f.receivers = transport.AES256.HTTPClient(nil)
	}
	r.POST("/exports", f.export)
	r.GET("/exports", f.pushes)
	r.POST("/exports/pushes", f.push)
	r.GET("/exports/:id", f.key)
	r.GET("/exports/:id/documents/:object", f.document)
}

type face struct {
	vault     *vault.Vault
	receivers *http.Client
	tokens    map[string]string
}

// NewExport is the body of POST exports: a study or a patient for a recipient or, without
// one, everything held of a patient for the patient.
type NewExport struct {
	Study     string              `json:"study,omitempty"`     // as the de-identified view names it
	Patient   record.PatientToken `json:"patient,omitempty"`   // instead of study
	Recipient string              `json:"recipient,omitempty"` // an institution

	PatientID string `json:"patientId,omitempty"` // of a package, instead of patient
	Issuer    string `json:"issuer,omitempty"`    // of patientId; default that of the actor's institution

	Case record.ObjectID `json:"case,omitempty"` // of a package: in which the patient has asked an officer for it
}

// export answers with multipart/related: one application/dicom part an instance, each
// with its new UID as Content-Location, and last the manifest as application/json. An
// answer without manifest was cut.
func (f *face) export(c *gin.Context) {
	var body NewExport
	if err := answer.Body(c.Request.Body, &body, `{"study": "UID", "recipient": "NAME"}, or patient with a token instead of study`); err != nil {
		answer.Error(c, err)
		return
	}
	if body.Recipient == "" && body.Study == "" && body.Patient+record.PatientToken(body.PatientID) != "" {
		f.packaged(c, body)
		return
	}
	ctx := c.Request.Context()
	e, err := f.vault.Export(ctx, answer.Actor(c), vault.ExportRequest{Study: body.Study, Patient: body.Patient, Recipient: body.Recipient})
	if err != nil {
		answer.Error(c, err)
		return
	}
	manifest := vault.ExportManifest{Recipient: e.Recipient, Purpose: e.Purpose, Instances: []vault.ExportEntry{}, Withheld: e.Withheld}
	out := &parts{c: c, w: multipart.NewWriter(c.Writer), contentType: `multipart/related; type="application/dicom"`}
	for _, i := range e.Instances {
		entry, err := i.Write(ctx, out.next("application/dicom; transfer-syntax="+i.TransferSyntax, i.Instance))
		if err != nil {
			answer.Error(c, err) // breaks the connection once a byte is out
			return
		}
		manifest.Instances = append(manifest.Instances, entry)
	}
	if err := out.end(manifest); err != nil {
		answer.Error(c, err)
	}
}

// parts writes the answer. The status goes out with the first byte, so that what fails
// before it is answered by a status of its own.
type parts struct {
	c           *gin.Context
	w           *multipart.Writer
	contentType string // without boundary
}

// next is the writer of another part; its header goes out with its first byte.
func (p *parts) next(contentType, location string) io.Writer {
	return &part{parts: p, header: textproto.MIMEHeader{"Content-Type": {contentType}, "Content-Location": {location}}}
}

type part struct {
	parts  *parts
	header textproto.MIMEHeader
	body   io.Writer // nil before the first byte
}

func (p *part) Write(b []byte) (int, error) {
	if p.body == nil {
		if c := p.parts.c; !c.Writer.Written() {
			c.Header("Content-Type", p.parts.contentType+"; boundary="+p.parts.w.Boundary())
			c.Status(http.StatusOK)
			c.Writer.WriteHeaderNow()
		}
		body, err := p.parts.w.CreatePart(p.header)
		if err != nil {
			return 0, err
		}
		p.body = body
	}
	return p.body.Write(b)
}

func (p *parts) end(m vault.ExportManifest) error {
	if err := json.NewEncoder(p.next("application/json", "manifest.json")).Encode(m); err != nil {
		return err
	}
	return p.w.Close()
}
