// Package operations is the operator's face under /api/v1: regions, verifications,
// keys, the audit log, and the description of the whole API.
package operations

import (
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"net/http"

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
	r.POST("/regions/:region/orders", f.orderRegion)
	f.registerVerifications(r)
	r.GET("/audit", f.auditQuery)
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

// RegionOrder is the body of POST regions/{region}/orders.
type RegionOrder struct {
	Order string `json:"order"` // "freeze", "thaw", "drain" or "backfill"
}

func (f *face) orderRegion(c *gin.Context) {
	var body RegionOrder
	err := decode(c.Request.Body, &body)
	if err == nil {
		err = f.vault.OrderRegion(c.Request.Context(), answer.Actor(c), c.Param("region"), body.Order)
	}
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Status(http.StatusNoContent)
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
// production gateway's may not, and the answer says so. With pending=true nothing is
// rotated but what was ordered before.
func (f *face) rotateKeys(c *gin.Context) {
	rotate := f.vault.RotateKeys
	switch c.Query("pending") {
	case "", "false":
	case "true":
		rotate = f.vault.RenewKeys
	default:
		answer.Error(c, record.Refuse(record.ErrInvalid, "bad-query", "pending is true or false"))
		return
	}
	done, err := rotate(c.Request.Context(), answer.Actor(c))
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
	return record.Refuse(record.ErrInvalid, "bad-body", "the body is no JSON object of the fields that openapi.json names")
}
