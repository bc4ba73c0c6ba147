// Package incidents is the face of what follows a breach, and of what shows that the house
// looks after itself: incidents, frozen patients, findings, reviews of access, and the
// evidence of a quarter. Patients are named by their token only.
package incidents

import (
	"bytes"
	"net/http"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// Config is what the face needs.
type Config struct {
	Vault *vault.Vault // required
}

// Register adds the routes to r, the /api/v1 group behind authentication.
func Register(r gin.IRouter, cfg Config) {
	f := &face{vault: cfg.Vault}
	r = r.Group("", answer.WholePath)
	r.POST("/incidents", f.open)
	r.GET("/incidents", f.list)
	r.GET("/incidents/:id", f.read)
	r.GET("/incidents/:id/affected", f.affected)
	r.POST("/incidents/:id/scopes", f.scope)
	r.POST("/incidents/:id/containment", f.contain)
	r.GET("/incidents/:id/notices", f.notices)
	r.POST("/incidents/:id/notices", f.notified)
	r.GET("/incidents/:id/report", f.report)
	r.POST("/incidents/:id/close", f.close)
	r.GET("/freezes", f.freezes)
	r.POST("/patients/:token/freeze", f.freeze)
	r.POST("/patients/:token/thaw", f.thaw)
	r.POST("/findings", f.openFinding)
	r.GET("/findings", f.findings)
	r.POST("/findings/:id/close", f.closeFinding)
	r.POST("/access-reviews", f.startReview)
	r.GET("/access-reviews", f.reviews)
	r.GET("/access-reviews/:id", f.review)
	r.POST("/access-reviews/:id/decisions", f.decide)
	r.POST("/access-reviews/:id/sign", f.sign)
	r.GET("/evidence", f.evidence)
}

type face struct{ vault *vault.Vault }

func (f *face) open(c *gin.Context) {
	var n vault.NewIncident
	if err := answer.Body(c.Request.Body, &n, `{"what": "…", "discovered": "2026-11-20T08:00:00Z", "drill": false, "scopes": [{"person": "…", "from": "…"}]}`); err != nil {
		answer.Error(c, err)
		return
	}
	i, err := f.vault.OpenIncident(c.Request.Context(), answer.Actor(c), n)
	if err == nil {
		c.Header("Location", c.Request.URL.Path+"/"+string(i.ID))
	}
	tell(c, http.StatusCreated, i, err)
}

// Incidents is the answer to GET incidents, the newest first.
type Incidents struct {
	Incidents []vault.Incident `json:"incidents"`
}

func (f *face) list(c *gin.Context) {
	list, err := f.vault.Incidents(c.Request.Context(), answer.Actor(c), c.Query("all") != "true")
	tell(c, http.StatusOK, Incidents{append([]vault.Incident{}, list...)}, err)
}

func (f *face) read(c *gin.Context) {
	if id, ok := idOf(c); ok {
		i, err := f.vault.ReadIncident(c.Request.Context(), answer.Actor(c), id)
		tell(c, http.StatusOK, i, err)
	}
}

func (f *face) affected(c *gin.Context) {
	if id, ok := idOf(c); ok {
		of, err := f.vault.Affected(c.Request.Context(), answer.Actor(c), id)
		tell(c, http.StatusOK, of, err)
	}
}

func (f *face) scope(c *gin.Context) {
	var s vault.IncidentScope
	if id, ok := idAndBody(c, &s, `{"person": "…"}, or credential, address, object, region, key; with from and to`); ok {
		i, err := f.vault.AddScope(c.Request.Context(), answer.Actor(c), id, s)
		tell(c, http.StatusOK, i, err)
	}
}

func (f *face) contain(c *gin.Context) {
	var what vault.Containment
	if id, ok := idAndBody(c, &what, `{"do": "revoke-person", "target": "…"}`); ok {
		i, err := f.vault.Contain(c.Request.Context(), answer.Actor(c), id, what)
		tell(c, http.StatusOK, i, err)
	}
}

// Notices is the answer to GET notices, by patient token.
type Notices struct {
	Notices []vault.PatientNotice `json:"notices"`
}

func (f *face) notices(c *gin.Context) {
	if id, ok := idOf(c); ok {
		list, err := f.vault.Notices(c.Request.Context(), answer.Actor(c), id)
		tell(c, http.StatusOK, Notices{append([]vault.PatientNotice{}, list...)}, err)
	}
}

func (f *face) notified(c *gin.Context) {
	var n vault.Notified
	if id, ok := idAndBody(c, &n, `{"all": true, "how": "letter"}, or patients, or authority`); ok {
		i, err := f.vault.RecordNotified(c.Request.Context(), answer.Actor(c), id, n)
		tell(c, http.StatusOK, i, err)
	}
}

// report answers as JSON, or with format=text or format=html as people read it.
func (f *face) report(c *gin.Context) {
	id, ok := idOf(c)
	if !ok {
		return
	}
	facts, err := f.vault.IncidentReport(c.Request.Context(), answer.Actor(c), id)
	if err != nil {
		answer.Error(c, err)
		return
	}
	var page bytes.Buffer
	switch c.DefaultQuery("format", "json") {
	case "json":
		answer.JSON(c, http.StatusOK, facts)
		return
	case "text":
		err = facts.WriteText(&page)
		c.Header("Content-Type", "text/plain; charset=utf-8")
	case "html":
		err = facts.WriteHTML(&page)
		c.Header("Content-Type", "text/html; charset=utf-8")
	default:
		err = record.Refuse(record.ErrInvalid, "bad-format", "format is json, text or html")
	}
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.Data(http.StatusOK, c.Writer.Header().Get("Content-Type"), page.Bytes())
}

// Close is the body of POST incidents/ID/close.
type Close struct {
	Outcome    string `json:"outcome"`
	TellNobody string `json:"tellNobody,omitempty"` // why nobody has to be told
}

func (f *face) close(c *gin.Context) {
	var body Close
	if id, ok := idAndBody(c, &body, `{"outcome": "…", "tellNobody": "…"}`); ok {
		i, err := f.vault.CloseIncident(c.Request.Context(), answer.Actor(c), id, body.Outcome, body.TellNobody)
		tell(c, http.StatusOK, i, err)
	}
}

// Freezes is the answer to GET freezes.
type Freezes struct {
	Freezes []vault.Freeze `json:"freezes"`
}

func (f *face) freezes(c *gin.Context) {
	list, err := f.vault.Freezes(c.Request.Context(), answer.Actor(c), c.Query("all") == "true")
	tell(c, http.StatusOK, Freezes{append([]vault.Freeze{}, list...)}, err)
}

// NewFreeze is the body of POST freeze.
type NewFreeze struct {
	Reason   string          `json:"reason"` // a code, as "breach"
	Incident record.ObjectID `json:"incident,omitempty"`
}

func (f *face) freeze(c *gin.Context) {
	patient, ok := patientOf(c)
	if !ok {
		return
	}
	var body NewFreeze
	if err := answer.Body(c.Request.Body, &body, `{"reason": "breach"}`); err != nil {
		answer.Error(c, err)
		return
	}
	made, err := f.vault.FreezePatient(c.Request.Context(), answer.Actor(c), patient, body.Reason, body.Incident)
	tell(c, http.StatusCreated, made, err)
}

func (f *face) thaw(c *gin.Context) {
	if patient, ok := patientOf(c); ok {
		lifted, err := f.vault.ThawPatient(c.Request.Context(), answer.Actor(c), patient)
		tell(c, http.StatusOK, lifted, err)
	}
}

// evidence answers with the very bytes that a check of it takes.
func (f *face) evidence(c *gin.Context) {
	r, err := f.vault.Evidence(c.Request.Context(), answer.Actor(c), c.Query("quarter"))
	if err != nil {
		answer.Error(c, err)
		return
	}
	file, err := vault.EvidenceFile(r)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.Data(http.StatusOK, "application/json", file)
}

// tell answers with a value, or with why there is none.
func tell(c *gin.Context, status int, value any, err error) {
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, status, value)
}

// idAndBody reads the id of the path and the body; what is wrong with them is answered.
func idAndBody(c *gin.Context, into any, want string) (record.ObjectID, bool) {
	id, ok := idOf(c)
	if !ok {
		return id, false
	}
	if err := answer.Body(c.Request.Body, into, want); err != nil {
		answer.Error(c, err)
		return id, false
	}
	return id, true
}

// idOf is the id of the path; what is none is answered as absent.
func idOf(c *gin.Context) (record.ObjectID, bool) {
	id, err := record.ParseObjectID(c.Param("id"))
	if err != nil {
		answer.Error(c, record.ErrNotFound)
	}
	return id, err == nil
}

func patientOf(c *gin.Context) (record.PatientToken, bool) {
	token, err := record.ParsePatientToken(c.Param("token"))
	if err != nil {
		answer.Error(c, record.ErrNotFound)
	}
	return token, err == nil
}
