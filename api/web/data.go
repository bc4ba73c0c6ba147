package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

type homePage struct {
	Actor record.Actor
	Known bool              // the staff register has an entry
	Entry vault.StaffPerson // of the staff register
}

// home says who one is, and what of it ends soon.
func (w *Console) home(c *gin.Context) {
	page := homePage{Actor: answer.Actor(c)}
	entry, err := w.cfg.Vault.Me(c.Request.Context(), page.Actor)
	switch {
	case err == nil:
		page.Known, page.Entry = true, entry
	case !errors.Is(err, record.ErrNotFound):
		w.Refuse(c, err)
		return
	}
	w.render(c, http.StatusOK, "home", page)
}

type studiesPage struct {
	PatientID string
	Studies   []study
	More      int
}

type study struct {
	Patient, PatientID, Date, Description, Modalities, Accession, Instances, UID string
	View                                                                         record.View
}

// atMost is how much one page shows.
const atMost = 100

// studies lists what the person may see; a search comes in a form, since an address lies
// in logs and histories.
func (w *Console) studies(c *gin.Context) {
	page := studiesPage{PatientID: strings.TrimSpace(c.PostForm("patient"))}
	q := vault.Query{Level: vault.LevelStudy, Limit: atMost}
	if page.PatientID != "" {
		q.Match = map[string][]string{"PatientID": {page.PatientID}}
	}
	found, err := w.cfg.Vault.Find(c.Request.Context(), answer.Actor(c), q)
	if err != nil {
		w.Refuse(c, err)
		return
	}
	page.More = found.More
	for _, m := range found.Matches {
		page.Studies = append(page.Studies, study{
			Patient: text(m, "00100010"), PatientID: text(m, "00100020"), Date: text(m, "00080020"), Description: text(m, "00081030"),
			Modalities: text(m, "00080061"), Accession: text(m, "00080050"), Instances: text(m, "00201208"), UID: m.Study, View: m.View})
	}
	w.render(c, http.StatusOK, "studies", page)
}

// text is an attribute of DICOM JSON (PS3.18 F.2) for people to read.
func text(m vault.Match, tag string) string {
	var attribute struct {
		Value []any `json:"Value"`
	}
	if json.Unmarshal(m.Attributes[tag], &attribute) != nil {
		return "" // absent
	}
	var words []string
	for _, v := range attribute.Value {
		switch v := v.(type) {
		case string:
			words = append(words, v)
		case float64:
			number, err := json.Marshal(v)
			if err != nil {
				continue // no number that came out of JSON
			}
			words = append(words, string(number))
		case map[string]any: // a person's name, in up to three scripts
			for _, script := range []string{"Alphabetic", "Ideographic", "Phonetic"} {
				if name, _ := v[script].(string); name != "" {
					words = append(words, strings.TrimSpace(strings.ReplaceAll(name, "^", " ")))
				}
			}
		}
	}
	return strings.Join(words, ", ")
}

func (w *Console) regions(c *gin.Context) {
	list, err := w.cfg.Vault.Regions(c.Request.Context(), answer.Actor(c))
	if err != nil {
		w.Refuse(c, err)
		return
	}
	w.render(c, http.StatusOK, "regions", list)
}

type accessLogPage struct {
	Patient string
	After   string
	Log     *vault.AccessLog
}

// accessLog tells in plain words what was done with a patient's documents.
func (w *Console) accessLog(c *gin.Context) {
	page := accessLogPage{Patient: strings.TrimSpace(c.PostForm("patient"))}
	if page.Patient != "" {
		patient, err := record.ParsePatientToken(page.Patient)
		if err != nil {
			w.Refuse(c, record.Refuse(record.ErrInvalid, "bad-patient", "give a patient token, as the access log and Medvault-Patient do"))
			return
		}
		log, err := w.cfg.Vault.AccessLog(c.Request.Context(), answer.Actor(c), patient,
			vault.AccessQuery{Language: answer.Language(c), After: c.PostForm("after"), Limit: atMost})
		if err != nil {
			w.Refuse(c, err)
			return
		}
		page.Log = &log
	}
	w.render(c, http.StatusOK, "access-log", page)
}

// clock is a time for people to read.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
