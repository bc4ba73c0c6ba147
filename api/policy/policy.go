// Package policy is the /api/v1/policy face: why an act would be permitted or refused.
package policy

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
)

// Config is what the face needs.
type Config struct {
	Vault *vault.Vault // required
}

// Register adds the routes to r, the /api/v1 group behind authentication.
func Register(r gin.IRouter, cfg Config) {
	f := &face{vault: cfg.Vault}
	r.Group("/policy", answer.WholePath).POST("/explain", f.explain)
}

type face struct{ vault *vault.Vault }

const wantQuery = `{"actor": "…", "action": "document.read", "patient": "p…", "document": "…", "purpose": "TREAT", "role": "clinician", "recipient": "…"}; all but actor and action may be left out`

// explain answers POST explain. Nothing is done but the answer and its leaf.
func (f *face) explain(c *gin.Context) {
	var q vault.ExplainQuery
	if err := answer.Body(c.Request.Body, &q, wantQuery); err != nil {
		answer.Error(c, err)
		return
	}
	x, err := f.vault.Explain(c.Request.Context(), answer.Actor(c), q)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, x)
}
