package operations

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// auditQuery answers with leaves of the log, the newest first.
func (f *face) auditQuery(c *gin.Context) {
	q, err := auditQuestion(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	page, err := f.vault.AuditQuery(c.Request.Context(), answer.Actor(c), q)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, page)
}

func auditQuestion(c *gin.Context) (q vault.AuditQuery, err error) {
	for name := range c.Request.URL.Query() {
		switch name {
		case "patient", "object", "actor", "credential", "action", "decision", "from", "to", "after", "limit":
		default: // a filter that is dropped would answer another question
			return q, record.Refuse(record.ErrInvalid, "unknown-parameter", "ask by patient, object, actor, credential, action, decision, from, to, after and limit")
		}
	}
	q = vault.AuditQuery{Actor: c.Query("actor"), Credential: c.Query("credential"), Action: record.Action(c.Query("action")), Decision: c.Query("decision"), After: c.Query("after")}
	if text := c.Query("patient"); text != "" {
		if q.Patient, err = record.ParsePatientToken(text); err != nil {
			return q, record.Refuse(record.ErrInvalid, "bad-patient", "patient is a token: p and 26 base32 digits")
		}
	}
	if text := c.Query("object"); text != "" {
		if q.Object, err = record.ParseObjectID(text); err != nil {
			return q, record.Refuse(record.ErrInvalid, "bad-object", "object is an id of 32 hex digits")
		}
	}
	if q.From, err = answer.Time(c, "from"); err != nil {
		return q, err
	}
	if q.To, err = answer.Time(c, "to"); err != nil {
		return q, err
	}
	q.Limit, err = answer.Number(c, "limit")
	return q, err
}
