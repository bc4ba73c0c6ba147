// Package rights is the face of what people ask about their data: requests with their
// clocks (/api/v1/cases), restrictions of processing, disclosures to third parties, what a
// patient or guardian finds under the own log-in, and whom to write to.
package rights

import (
	"context"
	"net/http"

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
	r.GET("/cases", f.list)
	r.POST("/cases", f.open)
	r.GET("/cases/:id", f.read)
	r.PATCH("/cases/:id", f.work)
	r.POST("/cases/:id/notes", f.note)
	r.POST("/cases/:id/decision", f.decide)
	r.POST("/cases/:id/execution", moving(f.vault.ExecuteCase))
	r.POST("/cases/:id/close", moving(f.vault.CloseCase))
	r.GET("/patients/:token/restrictions", f.restrictions)
	r.POST("/patients/:token/restrictions", f.restrict)
	r.DELETE("/patients/:token/restrictions/:id", f.unrestrict)
	r.GET("/patients/:token/documents", f.documents)
	r.GET("/mine", f.mine)
	r.GET("/disclosures", f.disclosures)
	r.POST("/disclosures", f.propose)
	r.POST("/disclosures/:id/approve", f.approve)
	r.POST("/disclosures/:id/refuse", f.refuse)
	r.POST("/disclosures/:id/documents", f.give)
}

// RegisterOpen adds the routes that everybody may ask, whoever they are.
func RegisterOpen(r gin.IRouter, cfg Config) {
	r.GET("/api/v1/officer", func(c *gin.Context) { answer.JSON(c, http.StatusOK, cfg.Vault.Officer()) })
}

type face struct{ vault *vault.Vault }

// Cases is the answer to GET cases.
type Cases struct {
	Cases []vault.Case `json:"cases"`
	Next  string       `json:"next,omitempty"` // begins the next page; "" on the last
}

func (f *face) list(c *gin.Context) {
	q := vault.CaseQuery{Closed: c.Query("closed") == "true", After: c.Query("after")}
	if q.After != "" {
		_, noID := record.ParseObjectID(q.After)
		if _, noToken := record.ParsePatientToken(q.After); noID != nil && noToken != nil {
			answer.Error(c, record.Refuse(record.ErrInvalid, "bad-after", "after is the value of next in the page before"))
			return
		}
	}
	var err error
	if q.Limit, err = answer.Number(c, "limit"); err != nil {
		answer.Error(c, err)
		return
	}
	list, next, err := f.vault.Cases(c.Request.Context(), answer.Actor(c), q)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Cases{list, next})
}

const wantCase = `{"type": "access", "patient": "p…", "text": "…"}; an officer may add "received", "as" and "verified"`

func (f *face) open(c *gin.Context) {
	var body vault.NewCase
	if err := answer.Body(c.Request.Body, &body, wantCase); err != nil {
		answer.Error(c, err)
		return
	}
	opened, err := f.vault.OpenCase(c.Request.Context(), answer.Actor(c), body)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Location", c.Request.URL.Path+"/"+string(opened.ID))
	answer.JSON(c, http.StatusCreated, opened)
}

func (f *face) read(c *gin.Context) {
	id, ok := idOf(c)
	if !ok {
		return
	}
	tell(c, http.StatusOK)(f.vault.ReadCase(c.Request.Context(), answer.Actor(c), id))
}

func (f *face) work(c *gin.Context) {
	id, ok := idOf(c)
	if !ok {
		return
	}
	var body vault.CaseWork
	if err := answer.Body(c.Request.Body, &body, `{"assignee": "…", "state": "waiting", "verified": "id-document"}; one of them at least`); err != nil {
		answer.Error(c, err)
		return
	}
	tell(c, http.StatusOK)(f.vault.WorkOnCase(c.Request.Context(), answer.Actor(c), id, body))
}

// NewNote is the body of POST notes.
type NewNote struct {
	Text  string `json:"text"`
	Shown bool   `json:"shown,omitempty"` // the requester sees it
}

func (f *face) note(c *gin.Context) {
	id, ok := idOf(c)
	if !ok {
		return
	}
	var body NewNote
	err := answer.Body(c.Request.Body, &body, `{"text": "…", "shown": false}`)
	if err == nil {
		err = f.vault.NoteOnCase(c.Request.Context(), answer.Actor(c), id, body.Text, body.Shown)
	}
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

func (f *face) decide(c *gin.Context) {
	id, ok := idOf(c)
	if !ok {
		return
	}
	var body vault.NewDecision
	if err := answer.Body(c.Request.Body, &body, `{"outcome": "granted", "basis": "PIPL-45", "answer": "…"}`); err != nil {
		answer.Error(c, err)
		return
	}
	tell(c, http.StatusOK)(f.vault.DecideCase(c.Request.Context(), answer.Actor(c), id, body))
}

// moving is the handler of a step that takes nothing but the case.
func moving(step func(context.Context, record.Actor, record.ObjectID) (vault.Case, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		if id, ok := idOf(c); ok {
			tell(c, http.StatusOK)(step(c.Request.Context(), answer.Actor(c), id))
		}
	}
}

// tell answers with a case, or why not.
func tell(c *gin.Context, status int) func(vault.Case, error) {
	return func(told vault.Case, err error) {
		if err != nil {
			answer.Error(c, err)
			return
		}
		answer.JSON(c, status, told)
	}
}

// idOf is the id of the path; what is none cannot exist, and is answered so.
func idOf(c *gin.Context) (record.ObjectID, bool) {
	id, err := record.ParseObjectID(c.Param("id"))
	if err != nil {
		answer.Error(c, record.ErrNotFound)
	}
	return id, err == nil
}

func patientOf(c *gin.Context) (record.PatientToken, bool) {
	token, err := record.ParsePatientToken(c.Param("token"))
	if err != nil {
		answer.Error(c, record.ErrNotFound)
	}
	return token, err == nil
}

// Restrictions is the answer to GET restrictions; those that were lifted are included.
type Restrictions struct {
	Restrictions []vault.Restriction `json:"restrictions"`
}

// ByCase names the decided case by which something is done.
type ByCase struct {
	Case record.ObjectID `json:"case"`
}

func (f *face) restrictions(c *gin.Context) {
	patient, ok := patientOf(c)
	if !ok {
		return
	}
	list, err := f.vault.Restrictions(c.Request.Context(), answer.Actor(c), patient)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Restrictions{list})
}

func (f *face) restrict(c *gin.Context) {
	patient, ok := patientOf(c)
	if !ok {
		return
	}
	var body ByCase
	if err := answer.Body(c.Request.Body, &body, `{"case": "…"}`); err != nil {
		answer.Error(c, err)
		return
	}
	set, err := f.vault.Restrict(c.Request.Context(), answer.Actor(c), patient, body.Case)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Location", c.Request.URL.Path+"/"+string(set.ID))
	answer.JSON(c, http.StatusCreated, set)
}

// unrestrict takes the case from the query: a DELETE has no body everywhere.
func (f *face) unrestrict(c *gin.Context) {
	patient, ok := patientOf(c)
	if !ok {
		return
	}
	id, ok := idOf(c)
	if !ok {
		return
	}
	if err := f.vault.Unrestrict(c.Request.Context(), answer.Actor(c), patient, id, record.ObjectID(c.Query("case"))); err != nil {
		answer.Error(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// Mine is the answer to GET mine.
type Mine struct {
	Patients []vault.Represented `json:"patients"`
	Officer  vault.Officer       `json:"officer"` // whom to write to
}

func (f *face) mine(c *gin.Context) {
	list, err := f.vault.Mine(c.Request.Context(), answer.Actor(c))
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Mine{list, f.vault.Officer()})
}

// Documents is the answer to GET documents.
type Documents struct {
	Documents []vault.OwnDocument `json:"documents"`
	Next      string              `json:"next,omitempty"` // begins the next page; "" on the last
}

func (f *face) documents(c *gin.Context) {
	patient, ok := patientOf(c)
	if !ok {
		return
	}
	limit, err := answer.Number(c, "limit")
	if err != nil {
		answer.Error(c, err)
		return
	}
	list, next, err := f.vault.OwnDocuments(c.Request.Context(), answer.Actor(c), patient, record.ObjectID(c.Query("after")), limit)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Documents{list, string(next)})
}
