// Package credentials is the /api/v1/tokens and /api/v1/revocations face: the API tokens
// of machines, and whom or what the vault no longer believes.
package credentials

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// Config is what the face needs.
type Config struct {
	Vault *vault.Vault // required
}

// Register adds the routes to r, the /api/v1 group behind authentication.
func Register(r gin.IRouter, cfg Config) {
	f := &face{vault: cfg.Vault}
	r = r.Group("", answer.WholePath)
	r.POST("/tokens", f.createToken)
	r.GET("/tokens", f.listTokens)
	r.DELETE("/tokens/:id", f.revokeToken)
	r.POST("/revocations", f.revoke)
	r.GET("/revocations", f.listRevocations)
	r.DELETE("/revocations/:id", f.reinstate)
}

type face struct{ vault *vault.Vault }

// NewToken is the body of POST tokens.
type NewToken struct {
	Subject     string         `json:"subject"`               // required: service:NAME
	Role        record.Role    `json:"role"`                  // required
	Purpose     record.Purpose `json:"purpose,omitempty"`     // binds the token to it
	Scopes      []string       `json:"scopes"`                // required: SMART on FHIR v2
	Label       string         `json:"label,omitempty"`       // for whoever reads the list
	Expires     time.Time      `json:"expires,omitzero"`      // this or
	ExpiresDays int            `json:"expiresDays,omitempty"` // that many days from now
}

// Token is the answer to POST tokens, and the only one that ever holds the token.
type Token struct {
	vault.APIToken
	Token string `json:"token"`
}

// Tokens is the answer to GET tokens.
type Tokens struct {
	Tokens []vault.APIToken `json:"tokens"`
}

func (f *face) createToken(c *gin.Context) {
	var body NewToken
	if err := answer.Body(c.Request.Body, &body, `{"subject": "service:NAME", "role": "radiology", "scopes": ["system/ImagingStudy.c"], "expiresDays": 90}`); err != nil {
		answer.Error(c, err)
		return
	}
	if body.Expires.IsZero() {
		body.Expires = time.Now().Add(time.Duration(min(body.ExpiresDays, 1000)) * 24 * time.Hour)
	}
	made, secret, err := f.vault.CreateAPIToken(c.Request.Context(), answer.Actor(c), vault.NewAPIToken{
		Subject: body.Subject, Role: body.Role, Purpose: body.Purpose, Scopes: body.Scopes, Label: body.Label, Expires: body.Expires})
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Location", c.Request.URL.Path+"/"+string(made.ID))
	answer.JSON(c, http.StatusCreated, Token{made, secret})
}

func (f *face) listTokens(c *gin.Context) {
	list, err := f.vault.APITokens(c.Request.Context(), answer.Actor(c))
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Tokens{append([]vault.APIToken{}, list...)}) // an empty list, not null
}

func (f *face) revokeToken(c *gin.Context) { f.end(c, f.vault.RevokeAPIToken) }

// Revocations is the answer to GET revocations; lifted ones are included.
type Revocations struct {
	Revocations []vault.Revocation `json:"revocations"`
}

func (f *face) revoke(c *gin.Context) {
	var body vault.NewRevocation
	if err := answer.Body(c.Request.Body, &body, `{"subject": "…", "reason": "lost"}, or credential instead of subject; issuedBefore may be added`); err != nil {
		answer.Error(c, err)
		return
	}
	made, err := f.vault.Revoke(c.Request.Context(), answer.Actor(c), body)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Location", c.Request.URL.Path+"/"+string(made.ID))
	answer.JSON(c, http.StatusCreated, made)
}

func (f *face) listRevocations(c *gin.Context) {
	list, err := f.vault.Revocations(c.Request.Context(), answer.Actor(c))
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Revocations{append([]vault.Revocation{}, list...)})
}

func (f *face) reinstate(c *gin.Context) { f.end(c, f.vault.Reinstate) }

// end ends what the path names.
func (f *face) end(c *gin.Context, by func(context.Context, record.Actor, record.ObjectID) error) {
	id, err := record.ParseObjectID(c.Param("id"))
	if err != nil {
		answer.Error(c, record.ErrNotFound)
		return
	}
	if err := by(c.Request.Context(), answer.Actor(c), id); err != nil {
		answer.Error(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}
