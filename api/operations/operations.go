// Package operations is the operator's face under /api/v1: regions, verifications,
// keys, the audit log, and the description of the whole API.
package operations

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// OpenAPI describes every route under /api/v1, those of the other faces included.
//
//go:embed openapi.json
var OpenAPI []byte

// Config is what the face needs.
type Config struct {
	Vault *vault.Vault // required
}

// Register adds the routes to r, the /api/v1 group behind authentication.
func Register(r gin.IRouter, cfg Config) {
	f := &face{vault: cfg.Vault}
	r.GET("/regions", f.regions)
	r.POST("/verifications", f.verify)
	r.GET("/audit/verify", f.auditVerify)
	r.GET("/audit/export", f.auditExport)
	r.POST("/audit/snapshots", f.auditSnapshot)
	r.GET("/attestations/:object", f.attestation)
	r.GET("/keys", f.keyStatus)
	r.POST("/keys/rotations", f.rotateKeys)
	r.GET("/openapi.json", func(c *gin.Context) { c.Data(http.StatusOK, "application/json", OpenAPI) })
}

type face struct{ vault *vault.Vault }

// Regions is the answer to GET regions.
type Regions struct {
	Regions []vault.RegionStatus `json:"regions"`
}

func (f *face) regions(c *gin.Context) {
	regions, err := f.vault.Regions(c.Request.Context(), answer.Actor(c))
	if err != nil {
		answer.Error(c, err)
		return
	}
	if regions == nil {
		regions = []vault.RegionStatus{} // an empty list, not null
	}
	answer.JSON(c, http.StatusOK, Regions{regions})
}

// NewVerification is the body of POST verifications.
type NewVerification struct {
	Level  string `json:"level"`            // "list" or "read"; default "list"
	Region string `json:"region,omitempty"` // left out: all
}

// Progress is one line of a verification that is answered as
// application/x-ndjson: Done and Total while it runs; the last line holds Report or,
// when it could not be finished, Error. An answer without such a line was cut.
type Progress struct {
	Done   int64           `json:"done"`
	Total  int64           `json:"total"`
	Report *vault.Report   `json:"report,omitempty"`
	Error  *answer.Problem `json:"error,omitempty"`
}

func (f *face) verify(c *gin.Context) {
	var body NewVerification
	if err := decode(c.Request.Body, &body); err != nil {
		answer.Error(c, err)
		return
	}
	options := vault.VerifyOptions{Level: cmp.Or(body.Level, "list"), Region: body.Region}
	if strings.Contains(c.GetHeader("Accept"), "application/x-ndjson") {
		f.verifyAloud(c, options)
		return
	}
	report, err := f.vault.Verify(c.Request.Context(), answer.Actor(c), options, func(done, total int64) {})
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, whole(report))
}

// verifyAloud answers line by line. The status goes out with the first line, so a
// refusal before it has a status of its own.
func (f *face) verifyAloud(c *gin.Context, o vault.VerifyOptions) {
	out := &lines{c: c}
	report, err := f.vault.Verify(c.Request.Context(), answer.Actor(c), o, out.progress)
	switch {
	case err == nil:
		report = whole(report)
		out.write(Progress{Done: report.Checked, Total: report.Checked, Report: &report})
	case out.begun:
		c.Error(err) // for the log line of the request
		out.write(Progress{Error: &answer.Problem{Code: answer.Code(err), Message: answer.Message(err), RequestID: answer.RequestID(c)}})
	default:
		answer.Error(c, err)
	}
}

// lines writes one JSON object a line, at once.
type lines struct {
	c *gin.Context

	mu    sync.Mutex
	begun bool
	last  time.Time
}

// progress may be called from any goroutine of the verification.
func (l *lines) progress(done, total int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); now.Sub(l.last) >= 200*time.Millisecond {
		l.last = now
		l.write(Progress{Done: done, Total: total})
	}
}

// write is called with mu held, or after the verification has ended. A client that
// has gone ends the verification through its context, so the error of the write
// tells nothing new.
func (l *lines) write(p Progress) {
	if !l.begun {
		l.begun = true
		l.c.Header("Content-Type", "application/x-ndjson")
		l.c.Status(http.StatusOK)
	}
	line, err := json.Marshal(p)
	if err != nil {
		panic(err) // numbers and strings always marshal
	}
	l.c.Writer.Write(append(line, '\n'))
	l.c.Writer.Flush()
}

// whole makes lists of what might be null.
func whole(r vault.Report) vault.Report {
	if r.Regions == nil {
		r.Regions = []string{}
	}
	if r.Findings == nil {
		r.Findings = []vault.Finding{}
	}
	return r
}

func (f *face) auditVerify(c *gin.Context) {
	report, err := f.vault.AuditVerify(c.Request.Context(), answer.Actor(c))
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, report)
}

// attestation answers with what proves how identity was taken out of a document.
func (f *face) attestation(c *gin.Context) {
	id, err := record.ParseObjectID(c.Param("object"))
	if err != nil {
		answer.Error(c, record.ErrNotFound)
		return
	}
	at, err := f.vault.Attest(c.Request.Context(), answer.Actor(c), id)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, at)
}

// Keys is the answer to GET keys.
type Keys struct {
	Keys []vault.KeyStatus `json:"keys"`
}

func (f *face) keyStatus(c *gin.Context) {
	status, err := f.vault.KeyStatus(c.Request.Context(), answer.Actor(c))
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Keys{append([]vault.KeyStatus{}, status...)}) // an empty list, not null
}

// Rotations is the answer to POST keys/rotations.
type Rotations struct {
	Rotations []vault.Rotation `json:"rotations"`
}

// rotateKeys works where the gateway's own credential may rotate: in development. A
// production gateway's may not, and the answer says so.
func (f *face) rotateKeys(c *gin.Context) {
	done, err := f.vault.RotateKeys(c.Request.Context(), answer.Actor(c))
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Rotations{append([]vault.Rotation{}, done...)})
}

// decode reads one JSON object, or nothing at all, and nothing after it.
func decode(r io.Reader, v any) error {
	d := json.NewDecoder(io.LimitReader(r, 64<<10))
	d.DisallowUnknownFields()
	switch err := d.Decode(v); {
	case err == io.EOF:
		return nil
	case err != nil:
		return badBody()
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badBody()
	}
	return nil
}

func badBody() error {
	return record.Refuse(record.ErrInvalid, "bad-body", `send {"level": "list" or "read", "region": "…"}; region may be left out`)
}
