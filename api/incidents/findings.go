package incidents

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
)

func (f *face) openFinding(c *gin.Context) {
	var n vault.NewFinding
	if err := answer.Body(c.Request.Body, &n, `{"title": "…", "severity": "high", "owner": "…", "due": "2026-12-31T00:00:00Z", "source": "penetration-test"}`); err != nil {
		answer.Error(c, err)
		return
	}
	made, err := f.vault.OpenFinding(c.Request.Context(), answer.Actor(c), n)
	tell(c, http.StatusCreated, made, err)
}

// Findings is the answer to GET findings, the newest first.
type Findings struct {
	Findings []vault.SecurityFinding `json:"findings"`
}

func (f *face) findings(c *gin.Context) {
	list, err := f.vault.Findings(c.Request.Context(), answer.Actor(c), c.Query("all") != "true")
	tell(c, http.StatusOK, Findings{append([]vault.SecurityFinding{}, list...)}, err)
}

// Proof is the body of POST findings/ID/close.
type Proof struct {
	Proof    string `json:"proof,omitempty"`       // a reference
	Document string `json:"proofSha256,omitempty"` // hex SHA-256 of a document
}

func (f *face) closeFinding(c *gin.Context) {
	var body Proof
	if id, ok := idAndBody(c, &body, `{"proof": "retest report 7", "proofSha256": "…"}; one of them is needed`); ok {
		closed, err := f.vault.CloseFinding(c.Request.Context(), answer.Actor(c), id, body.Proof, body.Document)
		tell(c, http.StatusOK, closed, err)
	}
}

// NewReview is the body of POST access-reviews.
type NewReview struct {
	Quarter string `json:"quarter,omitempty"` // as "2026Q4"; default the one of now
}

func (f *face) startReview(c *gin.Context) {
	var body NewReview
	if err := answer.Body(c.Request.Body, &body, `{"quarter": "2026Q4"}`); err != nil {
		answer.Error(c, err)
		return
	}
	r, err := f.vault.StartAccessReview(c.Request.Context(), answer.Actor(c), body.Quarter)
	if err == nil {
		c.Header("Location", c.Request.URL.Path+"/"+string(r.ID))
	}
	tell(c, http.StatusCreated, r, err)
}

// Reviews is the answer to GET access-reviews, the newest first.
type Reviews struct {
	Reviews []vault.AccessReview `json:"accessReviews"`
}

func (f *face) reviews(c *gin.Context) {
	list, err := f.vault.AccessReviews(c.Request.Context(), answer.Actor(c))
	tell(c, http.StatusOK, Reviews{append([]vault.AccessReview{}, list...)}, err)
}

// review answers with the very bytes that a check of it takes.
func (f *face) review(c *gin.Context) {
	id, ok := idOf(c)
	if !ok {
		return
	}
	r, err := f.vault.ReadAccessReview(c.Request.Context(), answer.Actor(c), id)
	if err != nil {
		answer.Error(c, err)
		return
	}
	file, err := r.File()
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.Data(http.StatusOK, "application/json", file)
}

func (f *face) decide(c *gin.Context) {
	var d vault.AccessDecisions
	if id, ok := idAndBody(c, &d, `{"subjects": ["…"], "decision": "keep"}, or all`); ok {
		r, err := f.vault.DecideAccess(c.Request.Context(), answer.Actor(c), id, d)
		tell(c, http.StatusOK, r, err)
	}
}

func (f *face) sign(c *gin.Context) {
	if id, ok := idOf(c); ok {
		r, err := f.vault.SignAccessReview(c.Request.Context(), answer.Actor(c), id)
		tell(c, http.StatusOK, r, err)
	}
}
