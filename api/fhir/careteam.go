package fhir

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// A CareTeam or an Encounter (FHIR R4) states who treats a patient: each participant is a
// care relationship of its own, and each is decided like one that is stated by hand. The
// patient is Patient/TOKEN, or an identifier whose system is urn:medvault:issuer: and the
// Issuer of Patient ID; without a system it is the sender's institution's. A member is
// Practitioner/SUBJECT, or an identifier whose value is the subject. A coding of careSystem
// beside the role says that the treatment cannot go on without them.
type careTeams struct{ vault *vault.Vault }

type named struct {
	Reference  string `json:"reference"`
	Identifier struct {
		System string `json:"system"`
		Value  string `json:"value"`
	} `json:"identifier"`
}

type span struct {
	Start *time.Time `json:"start"`
	End   *time.Time `json:"end"`
}

type codes []struct {
	Text   string `json:"text"`
	Coding []struct {
		System string `json:"system"`
		Code   string `json:"code"`
	} `json:"coding"`
}

// careSystem is the system of a role's coding that says more than a role: its one code,
// essential, is of whom the treatment cannot go on without.
const careSystem = "urn:medvault:care"

func (c codes) essential() bool {
	for _, one := range c {
		for _, coding := range one.Coding {
			if coding.System == careSystem && coding.Code == "essential" {
				return true
			}
		}
	}
	return false
}

// text is the first code there is, or else the first text.
func (c codes) text() string {
	for _, one := range c {
		for len(one.Coding) > 0 && one.Coding[0].System == careSystem {
			one.Coding = one.Coding[1:]
		}
		if len(one.Coding) > 0 && one.Coding[0].Code != "" {
			return one.Coding[0].Code
		}
		if one.Text != "" {
			return one.Text
		}
	}
	return ""
}

type participant struct {
	Role       codes `json:"role"`       // of a CareTeam
	Member     named `json:"member"`     // of a CareTeam
	Type       codes `json:"type"`       // of an Encounter
	Individual named `json:"individual"` // of an Encounter
	Period     span  `json:"period"`
}

type careResource struct {
	ResourceType string        `json:"resourceType"`
	Status       string        `json:"status"`
	Subject      named         `json:"subject"`
	Period       span          `json:"period"`
	Participant  []participant `json:"participant"`
}

func (f careTeams) team(c *gin.Context) {
	f.take(c, "CareTeam", []string{"active", "proposed"}, "fhir-care-team")
}

func (f careTeams) encounter(c *gin.Context) {
	f.take(c, "Encounter", []string{"planned", "arrived", "triaged", "in-progress", "onleave"}, "fhir-encounter")
}

// stated is the answer: the care relationships, one for each participant.
type stated struct {
	CareTeam []vault.Care `json:"careTeam"`
}

// take states what a resource says, all of it or nothing.
func (f careTeams) take(c *gin.Context, kind string, live []string, origin string) {
	r, err := readCare(c.Request.Body, kind, live)
	if err != nil {
		answer.Error(c, err)
		return
	}
	a := answer.Actor(c)
	patient, err := f.patient(a, r.Subject)
	if err != nil {
		answer.Error(c, err)
		return
	}
	list := make([]vault.NewCare, len(r.Participant))
	for i, p := range r.Participant {
		n := vault.NewCare{Origin: origin, Role: p.Role.text(), Essential: p.Role.essential(), Clinician: p.Member.practitioner()}
		if kind == "Encounter" {
			n.Role, n.Essential, n.Clinician = p.Type.text(), p.Type.essential(), p.Individual.practitioner()
		}
		n.From, n.Until = within(r.Period, p.Period)
		list[i] = n
	}
	cares, err := f.vault.StateCares(c.Request.Context(), a, patient, list)
	if err != nil {
		answer.Error(c, err)
		return
	}
	answer.JSON(c, http.StatusCreated, stated{cares})
}

// maxCare bounds a resource in bytes.
const maxCare = 1 << 20

// maxTeam bounds the participants: each is a sealed record, and all are one transaction.
const maxTeam = 64

func readCare(body io.Reader, kind string, live []string) (r careResource, err error) {
	bad := record.Refuse(record.ErrInvalid, "bad-resource", "send a "+kind+" (FHIR R4) as JSON, with subject and up to 64 participants; status is one of "+strings.Join(live, ", "))
	if err := json.NewDecoder(io.LimitReader(body, maxCare)).Decode(&r); err != nil || r.ResourceType != kind || len(r.Participant) == 0 || len(r.Participant) > maxTeam {
		return r, bad
	}
	for _, p := range r.Participant { // before anything is stated
		who := p.Member
		if kind == "Encounter" {
			who = p.Individual
		}
		if who.practitioner() == "" {
			return r, record.Refuse(record.ErrInvalid, "no-practitioner", "every participant is Practitioner/SUBJECT, or has an identifier")
		}
	}
	for _, s := range live {
		if r.Status == s {
			return r, nil
		}
	}
	return r, bad
}

// issuerSystem begins the system of an identifier that is a PatientID.
const issuerSystem = "urn:medvault:issuer:"

func (f careTeams) patient(a record.Actor, n named) (record.PatientToken, error) {
	if n.Identifier.Value == "" {
		text, _ := strings.CutPrefix(n.Reference, "Patient/")
		token, err := record.ParsePatientToken(text)
		if err != nil {
			return "", record.ErrNotFound
		}
		return token, nil
	}
	issuer, ok := strings.CutPrefix(n.Identifier.System, issuerSystem)
	if n.Identifier.System == "" {
		issuer, ok = a.Issuer, true
	}
	if !ok {
		return "", record.Refuse(record.ErrInvalid, "bad-issuer", "the system of the patient's identifier is "+issuerSystem+"ISSUER")
	}
	return f.vault.TokenOf(issuer, n.Identifier.Value), nil
}

func (n named) practitioner() string {
	if n.Identifier.Value != "" {
		return n.Identifier.Value
	}
	subject, ok := strings.CutPrefix(n.Reference, "Practitioner/")
	if !ok {
		return ""
	}
	return subject
}

// within is the later of two beginnings, and the earlier of two ends; zero is open.
func within(whole, part span) (from, until time.Time) {
	for _, s := range []span{whole, part} {
		if s.Start != nil && s.Start.After(from) {
			from = *s.Start
		}
		if s.End != nil && (until.IsZero() || s.End.Before(until)) {
			until = *s.End
		}
	}
	return from, until
}
