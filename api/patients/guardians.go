package patients

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
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
