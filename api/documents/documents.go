// Package documents is the /api/v1/documents face: a PDF, a scan, a FHIR resource or a
// DICOM file goes in as one form, a document comes back by its id, and all are listed by
// category.
//
// The form is streamed and never parsed to disk. Its fields may stand in any order.
// A file is held in memory, up to 64 MiB, until the fields after it are known; once
// all fields have been seen, or beyond that size, it streams into the vault as it
// comes. What is larger must therefore come after its fields. All requests together
// hold a bounded number of bytes; beyond it they are 503 until others have ended.
package documents

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/semaphore"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// Config is what the face needs.
type Config struct {
	Vault *vault.Vault // required
	Hold  int          // bytes of a file held while its fields are waited for; default 64 MiB
	// HoldAll bounds what all requests together hold so; default 256 MiB. A file takes
	// whole blocks of 1 MiB of it.
	HoldAll int64
}

// Register adds the routes to r, the /api/v1 group behind authentication.
func Register(r gin.IRouter, cfg Config) {
	if cfg.Hold == 0 {
		cfg.Hold = 64 << 20
	}
	if cfg.HoldAll == 0 {
		cfg.HoldAll = 256 << 20
	}
	f := &face{vault: cfg.Vault, hold: cfg.Hold, room: semaphore.NewWeighted(cfg.HoldAll)}
	r = r.Group("", answer.WholePath)
	r.POST("/documents", f.create)
	r.GET("/documents", f.list)
	answer.Get(r, "/documents/:id", f.get)
	r.GET("/documents/:id/redactions", f.redactions)
}

type face struct {
	vault *vault.Vault
	hold  int
	room  *semaphore.Weighted // bytes that may yet be held
}

// Created is the answer to an upload.
type Created struct {
	ID      record.ObjectID     `json:"id"`
	Patient record.PatientToken `json:"patient"`
	Present bool                `json:"present"` // the same bytes were here already
}

// create stores the document of one form: 201, or 200 when it was here already.
func (f *face) create(c *gin.Context) {
	ctx, who := c.Request.Context(), answer.Actor(c)
	// Before a byte of the body is read, and held.
	if err := f.vault.MayStore(ctx, who); err != nil {
		answer.Error(c, err)
		return
	}
	c.Request.Body = unended(c.Request.Body)
	parts, err := c.Request.MultipartReader()
	if err != nil {
		answer.Error(c, record.Refuse(record.ErrInvalid, "not-a-form", "send multipart/form-data with the fields file and patientId"))
		return
	}
	holding := &holding{room: f.room, most: f.hold}
	defer holding.release()
	upload, err := readForm(parts, holding)
	if err != nil {
		answer.Error(c, err)
		return
	}
	receipt, err := f.vault.Put(ctx, who, upload.Upload)
	if err != nil {
		answer.Error(c, err)
		return
	}
	status := http.StatusCreated
	if receipt.Present {
		status = http.StatusOK
	}
	c.Header("Location", strings.TrimRight(c.Request.URL.Path, "/")+"/"+string(receipt.ID))
	answer.JSON(c, status, Created{ID: receipt.ID, Patient: receipt.Patient, Present: receipt.Present})
}

// extension is what files of a media type end in.
func extension(mediaType string) string {
	switch mediaType {
	case "application/dicom":
		return ".dcm"
	case "application/fhir+json":
		return ".json"
	case "image/jpeg":
		return ".jpg"
	case "image/png":
		return ".png"
	case "image/tiff":
		return ".tiff"
	}
	return ".pdf"
}

// unended makes the end of a body an error. multipart.Reader stops at the closing
// boundary and reads no further; a form that was cut among the headers of a part it
// would otherwise take for a whole one. The line break is for closing boundaries
// without.
func unended(body io.ReadCloser) io.ReadCloser {
	end, w := io.Pipe()
	w.CloseWithError(io.ErrUnexpectedEOF)
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(body, strings.NewReader("\r\n"), end), body}
}

// get streams a document in the view the actor may see.
func (f *face) get(c *gin.Context) {
	id, err := record.ParseObjectID(c.Param("id"))
	if err != nil {
		answer.Error(c, record.ErrNotFound)
		return
	}
	ctx := c.Request.Context()
	opened, err := f.vault.Open(ctx, answer.Actor(c), vault.Ref{Document: id})
	if err != nil {
		answer.Error(c, err)
		return
	}
	if len(opened.Documents) == 0 {
		answer.Error(c, record.ErrNotFound)
		return
	}
	h := opened.Documents[0]
	etag := fmt.Sprintf(`"%s-%s"`, h.ID, h.View)
	if h.Corrected { // to what may change
		etag = ""
	}
	if etag != "" && c.GetHeader("If-None-Match") == etag {
		c.Header("ETag", etag)
		c.Status(http.StatusNotModified)
		return
	}
	body, err := h.Reader(ctx)
	if err != nil {
		answer.Error(c, err)
		return
	}
	defer body.Close()

	// The first byte is read before the status is sent: what fails there is answered by
	// its own status.
	ahead := bufio.NewReaderSize(body, 64<<10)
	if _, err := ahead.Peek(1); err != nil && err != io.EOF {
		answer.Error(c, err)
		return
	}
	c.Header("Content-Type", h.MediaType)
	if h.Size >= 0 {
		c.Header("Content-Length", strconv.FormatInt(h.Size, 10))
	}
	c.Header("Content-Disposition", fmt.Sprintf(`attachment; filename="%s%s"`, h.ID, extension(h.MediaType)))
	c.Header("ETag", etag)
	if sum, err := hex.DecodeString(h.SHA256); err == nil && len(sum) == 32 {
		c.Header("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":") // RFC 9530
	}
	c.Status(http.StatusOK)
	c.Writer.WriteHeaderNow()
	if c.Request.Method == http.MethodHead {
		return
	}
	if _, err := ahead.WriteTo(c.Writer); err != nil {
		answer.Error(c, err)
	}
}
