// Package erasures is the face of the end of documents: erasures with their certificates,
// the sweep of those whose retention has ended, and legal holds against both. Patients are
// named by their token only.
package erasures

import (
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
	r.POST("/erasures", f.propose)
	r.GET("/erasures", f.list)
	r.GET("/erasures/:id", f.read)
	r.POST("/erasures/:id/approve", f.approve)
	r.GET("/erasures/:id/certificate", f.certificate)
	r.POST("/sweeps", f.sweep)
	r.POST("/sweeps/:id/approve", f.approveSweep)
	r.POST("/patients/:token/readmit", f.readmit)
	r.POST("/patients/:token/holds", f.addHold)
	r.GET("/patients/:token/holds", f.holds)
	r.POST("/patients/:token/holds/:id/lift", f.liftHold)
}

type face struct{ vault *vault.Vault }

// Proposal is the body of POST erasures. With DryRun nothing is proposed.
type Proposal struct {
	vault.NewErasure
	DryRun bool `json:"dryRun,omitempty"`
}

const wantProposal = `{"patient": "p…", "early": "patient-request", "evidence": "case-7", "reason": "…", "anonymize": false, "dryRun": false}, or "document" in the place of patient`

func (f *face) propose(c *gin.Context) {
	var body Proposal
	if err := answer.Body(c.Request.Body, &body, wantProposal); err != nil {
		answer.Error(c, err)
		return
	}
	if !knownForm(body.NewErasure) {
		answer.Error(c, record.ErrNotFound)
		return
	}
	if body.DryRun {
		preview, err := f.vault.PreviewErasure(c.Request.Context(), answer.Actor(c), body.NewErasure)
		tell(c, http.StatusOK, preview, err)
		return
	}
	e, err := f.vault.ProposeErasure(c.Request.Context(), answer.Actor(c), body.NewErasure)
	if err == nil {
		c.Header("Location", c.Request.URL.Path+"/"+string(e.ID))
	}
	tell(c, http.StatusCreated, e, err)
}

// knownForm says whether patient and document have the form of names: what has not cannot
// exist.
func knownForm(n vault.NewErasure) bool {
	if n.Patient != "" {
		if _, err := record.ParsePatientToken(string(n.Patient)); err != nil {
			return false
		}
	}
	if n.Document != "" {
		if _, err := record.ParseObjectID(string(n.Document)); err != nil {
			return false
		}
	}
	return true
}

// Erasures is the answer to GET erasures, the newest first.
type Erasures struct {
	Erasures []vault.Erasure `json:"erasures"`
}

func (f *face) list(c *gin.Context) {
	var of record.PatientToken
	if text := c.Query("patient"); text != "" {
		var err error
		if of, err = record.ParsePatientToken(text); err != nil {
			answer.Error(c, record.ErrNotFound)
			return
		}
	}
	list, err := f.vault.Erasures(c.Request.Context(), answer.Actor(c), "", of)
	tell(c, http.StatusOK, Erasures{append([]vault.Erasure{}, list...)}, err)
}

func (f *face) read(c *gin.Context) {
	id, ok := idOf(c)
	if !ok {
		return
	}
	list, err := f.vault.Erasures(c.Request.Context(), answer.Actor(c), id, "")
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, list[0])
}

func (f *face) approve(c *gin.Context) {
	if id, ok := idOf(c); ok {
		e, err := f.vault.ApproveErasure(c.Request.Context(), answer.Actor(c), id)
		tell(c, http.StatusAccepted, e, err)
	}
}

// certificate answers with the very bytes that a check of it takes.
func (f *face) certificate(c *gin.Context) {
	id, ok := idOf(c)
	if !ok {
		return
	}
	cert, err := f.vault.ErasureCertificate(c.Request.Context(), answer.Actor(c), id)
	if err != nil {
		answer.Error(c, err)
		return
	}
	file, err := cert.File()
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.Data(http.StatusOK, "application/json", file)
}

// NewSweep is the body of POST sweeps.
type NewSweep struct {
	DryRun    bool `json:"dryRun,omitempty"`
	Anonymize bool `json:"anonymize,omitempty"`
}

func (f *face) sweep(c *gin.Context) {
	var body NewSweep
	if err := answer.Body(c.Request.Body, &body, `{"dryRun": true, "anonymize": false}`); err != nil {
		answer.Error(c, err)
		return
	}
	s, err := f.vault.SweepRetention(c.Request.Context(), answer.Actor(c), body.DryRun, body.Anonymize)
	status := http.StatusOK
	if s.ID != "" {
		status = http.StatusCreated
	}
	tell(c, status, s, err)
}

func (f *face) approveSweep(c *gin.Context) {
	if id, ok := idOf(c); ok {
		done, err := f.vault.ApproveSweep(c.Request.Context(), answer.Actor(c), id)
		tell(c, http.StatusAccepted, done, err)
	}
}

func (f *face) readmit(c *gin.Context) {
	patient, ok := patientOf(c)
	if !ok {
		return
	}
	if err := f.vault.Readmit(c.Request.Context(), answer.Actor(c), patient); err != nil {
		answer.Error(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// Holds is the answer to GET holds; lifted ones are included.
type Holds struct {
	Holds []vault.Hold `json:"holds"`
}

func (f *face) addHold(c *gin.Context) {
	patient, ok := patientOf(c)
	if !ok {
		return
	}
	var body vault.NewHold
	if err := answer.Body(c.Request.Body, &body, `{"reason": "…", "authority": "…", "reference": "…", "review": "2027-06-01T00:00:00Z"}; all but reference is needed`); err != nil {
		answer.Error(c, err)
		return
	}
	h, err := f.vault.AddHold(c.Request.Context(), answer.Actor(c), patient, body)
	if err == nil {
		c.Header("Location", c.Request.URL.Path+"/"+string(h.ID))
	}
	tell(c, http.StatusCreated, h, err)
}

func (f *face) holds(c *gin.Context) {
	if patient, ok := patientOf(c); ok {
		list, err := f.vault.Holds(c.Request.Context(), answer.Actor(c), patient)
		tell(c, http.StatusOK, Holds{append([]vault.Hold{}, list...)}, err)
	}
}

// Lift is the body of POST lift.
type Lift struct {
	Reason string `json:"reason"`
}

func (f *face) liftHold(c *gin.Context) {
	patient, ok := patientOf(c)
	if !ok {
		return
	}
	id, ok := idOf(c)
	if !ok {
		return
	}
	var body Lift
	if err := answer.Body(c.Request.Body, &body, `{"reason": "…"}`); err != nil {
		answer.Error(c, err)
		return
	}
	if err := f.vault.LiftHold(c.Request.Context(), answer.Actor(c), patient, id, body.Reason); err != nil {
		answer.Error(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}

// tell answers with a value, or with why there is none.
func tell(c *gin.Context, status int, value any, err error) {
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, status, value)
}

// idOf is the id of the path; what is none is answered as absent.
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
