package documents

import (
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// list answers with the documents of every kind that the caller may find.
func (f *face) list(c *gin.Context) {
	q, err := queryOf(c)
	if err != nil {
		answer.Error(c, err)
		return
	}
	page, err := f.vault.Documents(c.Request.Context(), answer.Actor(c), q)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, page)
}

func queryOf(c *gin.Context) (q vault.DocumentQuery, err error) {
	for name, values := range c.Request.URL.Query() {
		if len(values) > 1 {
			return q, badQuery(name, "given once")
		}
		switch value := values[0]; name {
		case "patient":
			q.Patient = value
		case "category":
			q.Category = value
		case "after":
			if q.After, err = record.ParseObjectID(value); err != nil {
				return q, badQuery(name, "the value of next in the page before")
			}
		case "limit":
			if q.Limit, err = strconv.Atoi(value); err != nil || q.Limit < 1 {
				return q, badQuery(name, "a number from 1")
			}
		default: // whoever sends it believes that it counts
			return q, record.Refuse(record.ErrInvalid, "unsupported-parameter", "parameters are patient, category, after and limit")
		}
	}
	return q, nil
}

func badQuery(name, want string) error {
	return record.Refuse(record.ErrInvalid, "bad-"+name, name+" must be "+want)
}

// redactions answers with what was taken out of a document and where it stood.
func (f *face) redactions(c *gin.Context) {
	id, err := record.ParseObjectID(c.Param("id"))
	if err != nil {
		answer.Error(c, record.ErrNotFound)
		return
	}
	ctx := c.Request.Context()
	opened, err := f.vault.Open(ctx, answer.Actor(c), vault.Ref{Document: id})
	if err == nil && len(opened.Documents) == 0 {
		err = record.ErrNotFound
	}
	if err != nil {
		answer.Error(c, err)
		return
	}
	manifest, err := opened.Documents[0].Redactions(ctx)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.Data(http.StatusOK, "application/json", manifest)
}
