package patients

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
)

// Consents is the answer to GET consents; those that were withdrawn are included.
type Consents struct {
	Consents []vault.Consent `json:"consents"`
}

const wantConsent = `{"purpose": "HRESCH", "decision": "permit", "country": "SG", "reading": true, "recipient": "…", "from": "…", "until": "…", "evidence": "…"}; all but purpose may be left out`

func (f *face) addConsent(c *gin.Context) {
	patient, err := patientOf(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	var body vault.NewConsent
	if err := answer.Body(c.Request.Body, &body, wantConsent); err != nil {
		answer.Error(c, err)
		return
	}
	consent, err := f.vault.AddConsent(c.Request.Context(), answer.Actor(c), patient, body)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Location", c.Request.URL.Path+"/"+string(consent.ID))
	answer.JSON(c, http.StatusCreated, consent)
}

func (f *face) listConsents(c *gin.Context) {
	patient, err := patientOf(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	list, err := f.vault.ListConsents(c.Request.Context(), answer.Actor(c), patient)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Consents{list})
}
