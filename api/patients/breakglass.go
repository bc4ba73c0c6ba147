package patients

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// Emergency is the body of POST breakglass. Who has no token names the patient by number.
type Emergency struct {
	Patient   record.PatientToken `json:"patient,omitempty"`
	PatientID string              `json:"patientId,omitempty"`
	Issuer    string              `json:"issuer,omitempty"` // of the number; left out: the institution's
	Reason    string              `json:"reason"`           // 10 to 1000 characters; sealed
}

// Breakglasses is the answer to GET breakglass, the newest first.
type Breakglasses struct {
	Breakglass []vault.Breakglass `json:"breakglass"`
}

const wantEmergency = `{"patient": "p…", "reason": "…"}, or "patientId" and "issuer" in the place of the token; and the header Purpose-Of-Use: ETREAT`

func (f *face) breakGlass(c *gin.Context) {
	var body Emergency
	if err := answer.Body(c.Request.Body, &body, wantEmergency); err != nil {
		answer.Error(c, err)
		return
	}
	who := answer.Actor(c)
	reason, err := record.NewEmergency(body.Reason)
	if err != nil {
		answer.Error(c, err)
		return
	}
	patient, err := record.ParsePatientToken(string(body.Patient))
	switch {
	case body.Patient == "" && body.PatientID != "":
		patient = f.vault.PatientNamed(who, body.Issuer, body.PatientID)
	case err != nil || body.PatientID != "":
		answer.Error(c, record.Refuse(record.ErrInvalid, "bad-patient", "send "+wantEmergency))
		return
	}
	opened, err := f.vault.BreakGlass(c.Request.Context(), who, patient, reason)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Location", c.Request.URL.Path+"/"+string(opened.ID))
	answer.JSON(c, http.StatusCreated, opened)
}

func (f *face) listBreakglass(c *gin.Context) {
	q := vault.BreakglassQuery{Waiting: c.Query("waiting") == "true", After: record.ObjectID(c.Query("after"))}
	var err error
	if q.Limit, err = answer.Number(c, "limit"); err != nil {
		answer.Error(c, err)
		return
	}
	list, err := f.vault.Breakglasses(c.Request.Context(), answer.Actor(c), q)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Breakglasses{list})
}

func (f *face) readBreakglass(c *gin.Context) {
	id, err := record.ParseObjectID(c.Param("id"))
	if err != nil {
		answer.Error(c, record.ErrNotFound)
		return
	}
	one, err := f.vault.ReadBreakglass(c.Request.Context(), answer.Actor(c), id)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, one)
}

func (f *face) reviewBreakglass(c *gin.Context) {
	id, err := record.ParseObjectID(c.Param("id"))
	if err != nil {
		answer.Error(c, record.ErrNotFound)
		return
	}
	var body vault.BreakglassReview
	if err := answer.Body(c.Request.Body, &body, `{"outcome": "justified", "note": "…"}; outcome is justified or unjustified`); err != nil {
		answer.Error(c, err)
		return
	}
	if err := f.vault.ReviewBreakglass(c.Request.Context(), answer.Actor(c), id, body); err != nil {
		answer.Error(c, err)
		return
	}
	c.Status(http.StatusNoContent)
}
