package web

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/rights"
)

// minePage is what patients find about themselves, and guardians about a child.
type minePage struct {
	Patients []minePatient
	Kinds    []rights.Kind
}

type minePatient struct {
	vault.Represented
	Documents []vault.OwnDocument
	More      bool
	Consents  []vault.Consent
	Cases     []vault.Case
}

// mine shows documents, consents and requests of everybody whom the person acts for. Who
// came of age is not among a guardian's any more.
func (w *Console) mine(c *gin.Context) {
	ctx, who := c.Request.Context(), answer.Actor(c)
	page := minePage{Kinds: rights.Kinds()}
	theirs, err := w.cfg.Vault.Mine(ctx, who)
	if err != nil {
		w.Refuse(c, err)
		return
	}
	var cases []vault.Case
	if len(theirs) > 0 {
		if cases, _, err = w.cfg.Vault.Cases(ctx, who, vault.CaseQuery{}); err != nil {
			w.Refuse(c, err)
			return
		}
	}
	for _, r := range theirs {
		one := minePatient{Represented: r}
		documents, next, err := w.cfg.Vault.OwnDocuments(ctx, who, r.Patient, "", atMost)
		switch {
		case err == nil:
			one.Documents, one.More = documents, next != ""
		case answer.Status(err) != http.StatusForbidden: // a child in quarantine: there is the consent to give
			w.Refuse(c, err)
			return
		}
		if one.Consents, err = w.cfg.Vault.ListConsents(ctx, who, r.Patient); err != nil {
			w.Refuse(c, err)
			return
		}
		for _, asked := range cases {
			if asked.Patient == r.Patient {
				one.Cases = append(one.Cases, asked)
			}
		}
		page.Patients = append(page.Patients, one)
	}
	w.render(c, http.StatusOK, "mine", page)
}

// patientOf is whom a form is about: tokens travel in bodies.
func (w *Console) patientOf(c *gin.Context) (record.PatientToken, bool) {
	token, err := record.ParsePatientToken(c.PostForm("patient"))
	if err != nil {
		w.Refuse(c, record.ErrNotFound)
	}
	return token, err == nil
}

// done leads back to the page, or says why not.
func (w *Console) done(c *gin.Context, err error) {
	if err != nil {
		w.Refuse(c, err)
		return
	}
	c.Redirect(http.StatusSeeOther, "/console/mine")
}

func (w *Console) say(c *gin.Context) {
	patient, ok := w.patientOf(c)
	if !ok {
		return
	}
	said := vault.NewConsent{Purpose: record.Purpose(c.PostForm("purpose")), Decision: c.PostForm("decision"), Recipient: strings.TrimSpace(c.PostForm("recipient")),
		Evidence: record.ObjectID(strings.TrimSpace(c.PostForm("evidence")))}
	_, err := w.cfg.Vault.AddConsent(c.Request.Context(), answer.Actor(c), patient, said)
	w.done(c, err)
}

func (w *Console) withdraw(c *gin.Context) {
	if patient, ok := w.patientOf(c); ok {
		w.done(c, w.cfg.Vault.WithdrawConsent(c.Request.Context(), answer.Actor(c), patient, record.ObjectID(c.PostForm("id"))))
	}
}

func (w *Console) request(c *gin.Context) {
	patient, ok := w.patientOf(c)
	if !ok {
		return
	}
	_, err := w.cfg.Vault.OpenCase(c.Request.Context(), answer.Actor(c), vault.NewCase{Type: rights.Kind(c.PostForm("type")), Patient: patient, Text: c.PostForm("text")})
	w.done(c, err)
}
