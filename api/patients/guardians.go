package patients

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// Guardians is the answer to GET guardians; those that ended are included.
type Guardians struct {
	Guardians []vault.Guardian `json:"guardians"`
}

const wantGuardian = `{"subject": "…", "relation": "mother", "evidence": "…", "from": "…", "until": "…"}; relation is mother, father, guardian or self, which alone needs no evidence`

func (f *face) addGuardian(c *gin.Context) {
	patient, err := patientOf(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	var body vault.NewGuardian
	if err := answer.Body(c.Request.Body, &body, wantGuardian); err != nil {
		answer.Error(c, err)
		return
	}
	guardian, err := f.vault.AddGuardian(c.Request.Context(), answer.Actor(c), patient, body)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Location", c.Request.URL.Path+"/"+string(guardian.ID))
	answer.JSON(c, http.StatusCreated, guardian)
}

func (f *face) listGuardians(c *gin.Context) {
	patient, err := patientOf(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	list, err := f.vault.Guardians(c.Request.Context(), answer.Actor(c), patient)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Guardians{list})
}

// Cases is the answer to GET cases.
type Cases struct {
	Cases []vault.Case        `json:"cases"`
	Next  record.PatientToken `json:"next,omitempty"` // begins the next page; "" on the last
}

func (f *face) listCases(c *gin.Context) {
	after, err := record.PatientToken(""), error(nil)
	if text := c.Query("after"); text != "" {
		if after, err = record.ParsePatientToken(text); err != nil {
			answer.Error(c, record.Refuse(record.ErrInvalid, "bad-after", "after is the value of next in the page before"))
			return
		}
	}
	list, next, err := f.vault.Cases(c.Request.Context(), answer.Actor(c), after, 500)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Cases{list, next})
}
