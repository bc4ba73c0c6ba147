package patients

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
)

// Corrections is the answer to GET corrections; those that were taken back are included.
type Corrections struct {
	Corrections []vault.Correction `json:"corrections"`
}

const wantCorrection = `{"values": {"PatientName": "…"}, "reason": "…"} or {"document": "…", "category": "result", "reason": "…"}; a birth date or Patient ID needs {"evidence": "…"} too`

func (f *face) correct(c *gin.Context) {
	patient, err := patientOf(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	var body vault.NewCorrection
	if err := answer.Body(c.Request.Body, &body, wantCorrection); err != nil {
		answer.Error(c, err)
		return
	}
	correction, err := f.vault.Correct(c.Request.Context(), answer.Actor(c), patient, body)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Location", c.Request.URL.Path+"/"+string(correction.ID))
	answer.JSON(c, http.StatusCreated, correction)
}

func (f *face) listCorrections(c *gin.Context) {
	patient, err := patientOf(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	list, err := f.vault.Corrections(c.Request.Context(), answer.Actor(c), patient)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Corrections{list})
}

const wantMove = `{"to": "p…", "documents": ["…"], "reason": "…"}; without documents all move, and what comes later follows`

func (f *face) moveDocuments(c *gin.Context) {
	patient, err := patientOf(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	var body vault.NewMove
	if err := answer.Body(c.Request.Body, &body, wantMove); err != nil {
		answer.Error(c, err)
		return
	}
	move, err := f.vault.MoveDocuments(c.Request.Context(), answer.Actor(c), patient, body)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusAccepted, move)
}
