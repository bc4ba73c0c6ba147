// Package patients is the /api/v1/patients face: who treats a patient, what they have
// agreed to, who acts for them, and who was let in for an emergency. Patients are named by
// their token only.
package patients

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
	r.POST("/patients/:token/care-team", f.addCare)
	r.GET("/patients/:token/care-team", f.listCare)
	r.DELETE("/patients/:token/care-team/:id", ending(f.vault.EndCare))
	r.POST("/patients/:token/consents", f.addConsent)
	r.GET("/patients/:token/consents", f.listConsents)
	r.DELETE("/patients/:token/consents/:id", ending(f.vault.WithdrawConsent))
	r.GET("/patients/:token/access-log", f.accessLog)
	r.POST("/patients/:token/guardians", f.addGuardian)
	r.GET("/patients/:token/guardians", f.listGuardians)
	r.DELETE("/patients/:token/guardians/:id", ending(f.vault.EndGuardian))
	r.POST("/patients/:token/corrections", f.correct)
	r.GET("/patients/:token/corrections", f.listCorrections)
	r.POST("/patients/:token/moves", f.moveDocuments)
	r.DELETE("/patients/:token/corrections/:id", ending(f.vault.Uncorrect))
	r.POST("/breakglass", f.breakGlass)
	r.GET("/breakglass", f.listBreakglass)
	r.GET("/breakglass/:id", f.readBreakglass)
	r.POST("/breakglass/:id/review", f.reviewBreakglass)
}

type face struct{ vault *vault.Vault }

// NewCare is the body of POST care-team.
type NewCare struct {
	Clinician string     `json:"clinician"`           // required: the actor id of who treats the patient
	Role      string     `json:"role,omitempty"`      // as what: "attending", "nurse"
	Essential bool       `json:"essential,omitempty"` // the treatment cannot go on without them
	From      *time.Time `json:"from,omitempty"`      // RFC 3339; left out: now
	Until     *time.Time `json:"until,omitempty"`     // RFC 3339; left out: open-ended
}

// CareTeam is the answer to GET care-team; ended relationships are included.
type CareTeam struct {
	CareTeam []vault.Care `json:"careTeam"`
}

func (f *face) addCare(c *gin.Context) {
	patient, err := patientOf(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	var body NewCare
	if err := answer.Body(c.Request.Body, &body, `{"clinician": "…", "role": "attending", "essential": true, "from": "2026-12-01T00:00:00Z", "until": "2026-12-31T00:00:00Z"}; only clinician is needed`); err != nil {
		answer.Error(c, err)
		return
	}
	if body.Clinician == "" {
		answer.Error(c, record.Refuse(record.ErrInvalid, "no-clinician", "name the clinician"))
		return
	}
	stated := vault.NewCare{Clinician: body.Clinician, Role: body.Role, Essential: body.Essential}
	if body.From != nil {
		stated.From = *body.From
	}
	if body.Until != nil {
		stated.Until = *body.Until
	}
	care, err := f.vault.StateCare(c.Request.Context(), answer.Actor(c), patient, stated)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Location", c.Request.URL.Path+"/"+string(care.ID))
	answer.JSON(c, http.StatusCreated, care)
}

func (f *face) listCare(c *gin.Context) {
	patient, err := patientOf(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	team, err := f.vault.ListCare(c.Request.Context(), answer.Actor(c), patient)
	if err != nil {
		answer.Error(c, err)
		return
	}
	if team == nil {
		team = []vault.Care{} // an empty list, not null
	}
	answer.JSON(c, http.StatusOK, CareTeam{team})
}

// ending is the handler of DELETE on one statement about a patient.
func ending(end func(context.Context, record.Actor, record.PatientToken, record.ObjectID) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		patient, err := patientOf(c)
		if err != nil {
			answer.Error(c, err)
			return
		}
		id, err := record.ParseObjectID(c.Param("id"))
		if err != nil {
			answer.Error(c, record.ErrNotFound)
			return
		}
		if err := end(c.Request.Context(), answer.Actor(c), patient, id); err != nil {
			answer.Error(c, err)
			return
		}
		c.Status(http.StatusNoContent)
	}
}

// patientOf is the patient of the path. What is no token cannot exist.
func patientOf(c *gin.Context) (record.PatientToken, error) {
	token, err := record.ParsePatientToken(c.Param("token"))
	if err != nil {
		return "", record.ErrNotFound
	}
	return token, nil
}
