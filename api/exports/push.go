package exports

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/api/stow"
	"medvault/api/transport"
	"medvault/vault"
	"medvault/vault/record"
)

// NewPush is the body of POST exports/pushes: a patient, by token or by issuer and Patient
// ID, and the institution that the patient names.
type NewPush struct {
	Patient   record.PatientToken `json:"patient,omitempty"`
	PatientID string              `json:"patientId,omitempty"`
	Issuer    string              `json:"issuer,omitempty"`
	Study     string              `json:"study,omitempty"` // one study alone
	Recipient string              `json:"recipient"`       // required
	To        string              `json:"to,omitempty"`    // its DICOMweb root; default the register's

	Case       record.ObjectID `json:"case,omitempty"`       // by an officer: of portability
	Disclosure record.ObjectID `json:"disclosure,omitempty"` // by an officer: instead of case
}

// Progress is a line of an answer in application/x-ndjson.
type Progress struct {
	Done    int                `json:"done"` // instances that the institution has answered for
	Of      int                `json:"of"`
	Receipt *vault.PushReceipt `json:"receipt,omitempty"` // on the last line
}

// pushBatch is how many instances of a study one request to another institution has.
const pushBatch = 100

// push sends a patient's instances to another institution and answers with the receipt
// when all have been tried; with Accept: application/x-ndjson the progress comes before it.
func (f *face) push(c *gin.Context) {
	var body NewPush
	if err := answer.Body(c.Request.Body, &body, `{"patient": "TOKEN", "recipient": "NAME", "to": "https://…/dicomweb"}`); err != nil {
		answer.Error(c, err)
		return
	}
	if body.To != "" {
		if err := transport.CheckURL(body.To); err != nil {
			answer.Error(c, record.Refuse(record.ErrInvalid, "bad-endpoint", err.Error()))
			return
		}
	}
	ctx := c.Request.Context()
	p, err := f.vault.Push(ctx, answer.Actor(c), vault.PushRequest{Study: body.Study, Recipient: body.Recipient, To: strings.TrimRight(body.To, "/"),
		PackageRequest: vault.PackageRequest{Patient: body.Patient, PatientID: body.PatientID, Issuer: body.Issuer, Ground: vault.Ground{Case: body.Case, Disclosure: body.Disclosure}}})
	if err != nil {
		answer.Error(c, err)
		return
	}
	tell := func(Progress) {}
	if strings.Contains(c.GetHeader("Accept"), "application/x-ndjson") {
		c.Header("Content-Type", "application/x-ndjson")
		lines := json.NewEncoder(c.Writer)
		tell = func(n Progress) {
			if lines.Encode(n) == nil { // whoever has gone is told nothing
				c.Writer.Flush()
			}
		}
	}
	answers := f.send(ctx, p, tell)
	// What was given is on record also when whoever asked has gone.
	receipt, err := p.End(context.WithoutCancel(ctx), answers)
	if err != nil {
		answer.Error(c, err)
		return
	}
	if c.Writer.Written() {
		tell(Progress{Done: len(answers), Of: len(answers), Receipt: &receipt})
		return
	}
	answer.JSON(c, http.StatusOK, receipt)
}

// send sends one batch of one study after the other. What is not sent any more because
// whoever asked has gone has no answer.
func (f *face) send(ctx context.Context, p *vault.Push, tell func(Progress)) []vault.PushAnswer {
	sender := &stow.Sender{Root: p.Receipt.To, Client: f.receivers, Token: f.tokens[p.Receipt.Recipient]}
	answers := make([]vault.PushAnswer, 0, len(p.Instances))
	for rest := p.Instances; len(rest) > 0; {
		n := 1
		for n < len(rest) && n < pushBatch && rest[n].Study == rest[0].Study {
			n++
		}
		batch := make([]stow.Instance, n)
		for i, instance := range rest[:n] {
			batch[i] = stow.Instance{UID: instance.Instance, Open: func(ctx context.Context) (io.ReadCloser, error) {
				h, err := p.Open(ctx, instance)
				if err != nil {
					return nil, err
				}
				return h.Reader(ctx)
			}}
		}
		said, _ := sender.Send(ctx, batch) // what did not get through is in the answers
		for i, a := range said {
			answers = append(answers, vault.PushAnswer{Object: rest[i].Object, Instance: rest[i].Instance, Stored: a.Stored, Reason: a.Reason, Error: a.Error})
		}
		rest = rest[n:]
		tell(Progress{Done: len(answers), Of: len(p.Instances)})
	}
	return answers
}

// pushes lists what was sent of a patient.
func (f *face) pushes(c *gin.Context) {
	patient, err := record.ParsePatientToken(c.Query("patient"))
	if err != nil {
		answer.Error(c, record.Refuse(record.ErrInvalid, "bad-patient", "name the patient: patient=TOKEN"))
		return
	}
	list, err := f.vault.Pushes(c.Request.Context(), answer.Actor(c), patient)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusOK, gin.H{"pushes": list})
}
