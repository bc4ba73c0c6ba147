package reviews

import (
	"encoding/json"
	"net/http"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// NewRederivation is the body of POST rederivations.
type NewRederivation struct {
	DryRun bool   `json:"dryRun,omitempty"` // tell what would change, and change nothing
	Reason string `json:"reason,omitempty"` // required without dryRun
}

// PlanLine is one line of a dry run, which is answered as application/x-ndjson: Change
// for every document that would come out differently; the last line holds Plan or, when
// it could not be finished, Error. An answer without such a line was cut.
type PlanLine struct {
	Change *vault.Change   `json:"change,omitempty"`
	Plan   *vault.Plan     `json:"plan,omitempty"`
	Error  *answer.Problem `json:"error,omitempty"`
}

func (f *face) rederive(c *gin.Context) {
	var body NewRederivation
	if err := answer.Body(c.Request.Body, &body, `{"dryRun": true} or {"reason": "…"}`); err != nil {
		answer.Error(c, err)
		return
	}
	if body.DryRun {
		f.plan(c)
		return
	}
	r, err := f.vault.ProposeRederivation(c.Request.Context(), answer.Actor(c), body.Reason)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Location", c.Request.URL.Path+"/"+r.ID)
	answer.JSON(c, http.StatusCreated, r)
}

// plan answers line by line. The status goes out with the first line, so a refusal
// before it has a status of its own.
func (f *face) plan(c *gin.Context) {
	begun := false
	write := func(line PlanLine) error {
		if !begun {
			begun = true
			c.Header("Content-Type", "application/x-ndjson")
			c.Status(http.StatusOK)
		}
		data, err := json.Marshal(line)
		if err != nil {
			panic(err) // numbers and strings always marshal
		}
		if _, err := c.Writer.Write(append(data, '\n')); err != nil {
			return err
		}
		c.Writer.Flush()
		return nil
	}
	plan, err := f.vault.PlanRederivation(c.Request.Context(), answer.Actor(c), func(change vault.Change) error {
		return write(PlanLine{Change: &change})
	})
	switch {
	case err == nil:
		err = write(PlanLine{Plan: &plan})
	case begun:
		write(PlanLine{Error: &answer.Problem{Code: answer.Code(err), Message: answer.Message(err), RequestID: answer.RequestID(c)}})
	default:
		answer.Error(c, err)
		return
	}
	if err != nil {
		c.Error(err) // for the log line of the request
	}
}

// Rederivations is the answer to GET rederivations.
type Rederivations struct {
	Rederivations []vault.Rederivation `json:"rederivations"`
}

func (f *face) rederivations(c *gin.Context) {
	list, err := f.vault.Rederivations(c.Request.Context(), answer.Actor(c), "")
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, Rederivations{list})
}

func (f *face) rederivation(c *gin.Context) {
	f.one(c, http.StatusOK, func(id record.ObjectID) (vault.Rederivation, error) {
		list, err := f.vault.Rederivations(c.Request.Context(), answer.Actor(c), id)
		if err != nil {
			return vault.Rederivation{}, err
		}
		return list[0], nil
	})
}

func (f *face) approve(c *gin.Context) {
	f.one(c, http.StatusAccepted, func(id record.ObjectID) (vault.Rederivation, error) {
		return f.vault.ApproveRederivation(c.Request.Context(), answer.Actor(c), id)
	})
}

func (f *face) one(c *gin.Context, status int, get func(id record.ObjectID) (vault.Rederivation, error)) {
	id, err := objectOf(c, "id")
	if err != nil {
		answer.Error(c, err)
		return
	}
	r, err := get(id)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, status, r)
}
