// Package staff is the /api/v1/staff face: who belongs to the staff, of which
// institution, in which roles, trained when.
package staff

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// Config is what the face needs.
type Config struct {
	Vault *vault.Vault // required
}

// Register adds the routes to r, the /api/v1 group behind authentication. A subject may
// hold slashes: it is the rest of the path.
func Register(r gin.IRouter, cfg Config) {
	f := &face{vault: cfg.Vault}
	r = r.Group("/staff", answer.WholePath)
	r.GET("/me", f.me)
	r.GET("/people", f.list)
	r.POST("/people", f.add)
	r.GET("/people/*subject", f.show)
	r.PATCH("/people/*subject", f.change)
	r.POST("/trainings", f.train)
	r.GET("/institutions", f.institutions)
	r.PUT("/institutions/:id", f.putInstitution)
	r.PUT("/institutions/:id/agreement", f.setAgreement)
	r.GET("/institutions/:id/agreement", f.agreement)
	r.POST("/import", f.bringIn)
}

type face struct{ vault *vault.Vault }

// NewPerson is the body of POST people.
type NewPerson struct {
	Subject     string           `json:"subject"`           // required: as the identity provider names them
	Kind        string           `json:"kind,omitempty"`    // "person" (default) or "service"
	Name        string           `json:"name,omitempty"`    // sealed
	Roles       []record.Role    `json:"roles"`             // required: one or more
	Institution string           `json:"institution"`       // required
	Country     string           `json:"country,omitempty"` // default the institution's
	Trainings   []vault.Training `json:"trainings,omitempty"`
}

// PersonChange is the body of PATCH people/SUBJECT; what is left out stays.
type PersonChange struct {
	Kind        *string       `json:"kind,omitempty"`
	Name        *string       `json:"name,omitempty"`
	Roles       []record.Role `json:"roles,omitempty"`
	Institution *string       `json:"institution,omitempty"`
	Country     *string       `json:"country,omitempty"`
	State       *string       `json:"state,omitempty"` // "active" or "suspended"
}

// NewTraining is the body of POST trainings.
type NewTraining struct {
	Subject string `json:"subject"` // required: who was trained
	vault.Training
}

// People is the answer to GET people: a page, behind the subject that ?after= names.
type People struct {
	People []vault.StaffPerson `json:"people"`
}

// Institutions is the answer to GET institutions.
type Institutions struct {
	Institutions []vault.StaffInstitution `json:"institutions"`
}

// Imported is the answer to POST import.
type Imported struct {
	DryRun bool                  `json:"dryRun"`
	Lines  []vault.StaffImported `json:"lines"`
}

func (f *face) me(c *gin.Context) {
	p, err := f.vault.Me(c.Request.Context(), answer.Actor(c))
	tell(c, http.StatusOK, p, err)
}

// pageSize is how many people are listed at once unless ?limit= asks for fewer or more.
const pageSize = 1000

func (f *face) list(c *gin.Context) {
	limit, err := answer.Number(c, "limit")
	if err != nil {
		answer.Error(c, err)
		return
	}
	if limit <= 0 || limit > pageSize {
		limit = pageSize
	}
	people, err := f.vault.Staff(c.Request.Context(), answer.Actor(c), c.Query("after"), limit)
	tell(c, http.StatusOK, People{people}, err)
}

func (f *face) add(c *gin.Context) {
	var body NewPerson
	if err := answer.Body(c.Request.Body, &body, `{"subject": "…", "name": "…", "roles": ["clinician"], "institution": "…", "trainings": [{"at": "2026-03-01T00:00:00Z", "reference": "…"}]}`); err != nil {
		answer.Error(c, err)
		return
	}
	p, err := f.vault.AddStaff(c.Request.Context(), answer.Actor(c), vault.StaffPerson{Subject: body.Subject, Kind: body.Kind, Name: body.Name, Roles: body.Roles,
		Institution: body.Institution, Country: body.Country, Trainings: unattested(body.Trainings)})
	tell(c, http.StatusCreated, p, err)
}

// unattested drops who is said to have attested a training: whoever sends it does.
func unattested(list []vault.Training) (own []vault.Training) {
	for _, t := range list {
		own = append(own, vault.Training{At: t.At, Reference: t.Reference})
	}
	return own
}

func (f *face) show(c *gin.Context) {
	p, err := f.vault.StaffMember(c.Request.Context(), answer.Actor(c), subject(c))
	tell(c, http.StatusOK, p, err)
}

func subject(c *gin.Context) string { return strings.TrimPrefix(c.Param("subject"), "/") }

func (f *face) change(c *gin.Context) {
	var body PersonChange
	if err := answer.Body(c.Request.Body, &body, `{"roles": […], "institution": "…", "country": "…", "name": "…", "state": "suspended"}; what is left out stays`); err != nil {
		answer.Error(c, err)
		return
	}
	p, err := f.vault.ChangeStaff(c.Request.Context(), answer.Actor(c), subject(c), func(p *vault.StaffPerson) error {
		for _, set := range []struct{ into, from *string }{{&p.Kind, body.Kind}, {&p.Name, body.Name}, {&p.Institution, body.Institution},
			{&p.Country, body.Country}, {&p.State, body.State}} {
			if set.from != nil {
				*set.into = *set.from
			}
		}
		if body.Roles != nil {
			p.Roles = body.Roles
		}
		return nil
	})
	tell(c, http.StatusOK, p, err)
}

func (f *face) train(c *gin.Context) {
	var body NewTraining
	if err := answer.Body(c.Request.Body, &body, `{"subject": "…", "at": "2026-03-01T00:00:00Z", "reference": "…"}`); err != nil {
		answer.Error(c, err)
		return
	}
	p, err := f.vault.ChangeStaff(c.Request.Context(), answer.Actor(c), body.Subject, func(p *vault.StaffPerson) error {
		p.Trainings = append(p.Trainings, unattested([]vault.Training{body.Training})...)
		return nil
	})
	tell(c, http.StatusCreated, p, err)
}

func (f *face) institutions(c *gin.Context) {
	list, err := f.vault.Institutions(c.Request.Context(), answer.Actor(c))
	tell(c, http.StatusOK, Institutions{list}, err)
}

func (f *face) putInstitution(c *gin.Context) {
	var body vault.StaffInstitution
	if err := answer.Body(c.Request.Body, &body, `{"name": "…", "country": "CN", "issuer": "…"}`); err != nil {
		answer.Error(c, err)
		return
	}
	if body.ID != "" && body.ID != c.Param("id") {
		answer.Error(c, record.Refuse(record.ErrInvalid, "bad-institution", "the body names another institution than the path"))
		return
	}
	body.ID = c.Param("id")
	i, err := f.vault.PutInstitution(c.Request.Context(), answer.Actor(c), body)
	tell(c, http.StatusOK, i, err)
}

// setAgreement takes the signed document itself, application/pdf, and its last day as
// ?expires=.
func (f *face) setAgreement(c *gin.Context) {
	i, err := f.vault.SetAgreement(c.Request.Context(), answer.Actor(c), c.Param("id"), c.Query("expires"), http.MaxBytesReader(c.Writer, c.Request.Body, vault.MaxAgreement+1))
	tell(c, http.StatusOK, i, err)
}

func (f *face) agreement(c *gin.Context) {
	signed, err := f.vault.AgreementOf(c.Request.Context(), answer.Actor(c), c.Param("id"))
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("ETag", `"`+signed.SHA256+`"`)
	c.Header("Content-Disposition", "attachment")
	c.Data(http.StatusOK, "application/pdf", signed.Document)
}

// maxImport bounds an import in bytes.
const maxImport = 16 << 20

// maxLines bounds it in lines, of which each takes far more memory than it has bytes.
const maxLines = 20_000

var tooManyLines = record.Refuse(record.ErrInvalid, "too-many-lines", "send at most 20000 lines in one import")

func (f *face) bringIn(c *gin.Context) {
	if err := f.vault.MayManageStaff(c.Request.Context(), answer.Actor(c)); err != nil {
		answer.Error(c, err)
		return
	}
	dry := c.Query("dryRun") == "true"
	read := readCSV
	if kind, _, _ := strings.Cut(c.ContentType(), ";"); kind == "application/fhir+json" || kind == "application/json" {
		read = readBundle
	}
	lines, err := read(http.MaxBytesReader(c.Writer, c.Request.Body, maxImport)) // what is longer is not taken in half
	if err != nil {
		answer.Error(c, err)
		return
	}
	report, err := f.vault.ImportStaff(c.Request.Context(), answer.Actor(c), lines, dry)
	tell(c, http.StatusOK, Imported{dry, report}, err)
}

func tell(c *gin.Context, status int, v any, err error) {
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, status, v)
}
