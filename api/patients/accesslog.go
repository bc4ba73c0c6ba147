package patients

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
)

// accessLog answers with who did what with the patient's documents, in the language that
// Accept-Language asks for.
func (f *face) accessLog(c *gin.Context) {
	patient, err := patientOf(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	q := vault.AccessQuery{After: c.Query("after"), All: c.Query("all") == "true", Language: answer.Language(c)}
	if q.From, err = answer.Time(c, "from"); err == nil {
		q.To, err = answer.Time(c, "to")
	}
	if err == nil {
		q.Limit, err = answer.Number(c, "limit")
	}
	if err != nil {
		answer.Error(c, err)
		return
	}
	log, err := f.vault.AccessLog(c.Request.Context(), answer.Actor(c), patient, q)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Content-Language", log.Language)
	c.Header("Vary", "Accept-Language")
	answer.JSON(c, http.StatusOK, log)
}
