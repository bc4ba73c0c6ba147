package fhir

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// The parts of Consent (FHIR R4) that the vault knows. R4 has no place for a country: the
// extensions urn:medvault:country and urn:medvault:reading stand in the provision, and
// urn:medvault:decision says where a deny is a restriction.
type (
	consent struct {
		ResourceType string      `json:"resourceType"`
		ID           string      `json:"id,omitempty"`
		Status       string      `json:"status"` // active; inactive: withdrawn
		Scope        concept     `json:"scope"`
		Category     []concept   `json:"category"`
		Patient      *reference  `json:"patient"`
		DateTime     *time.Time  `json:"dateTime,omitempty"`
		Performer    []reference `json:"performer,omitempty"`
		Source       *reference  `json:"sourceReference,omitempty"` // the stored document in which it is written
		PolicyRule   *concept    `json:"policyRule,omitempty"`
		Provision    provision   `json:"provision"`
	}
	provision struct {
		Extension []consentExtension `json:"extension,omitempty"`
		Type      string             `json:"type"` // permit or deny
		Period    *openPeriod        `json:"period,omitempty"`
		Actor     []provisionActor   `json:"actor,omitempty"` // the recipient
		Purpose   []coding           `json:"purpose,omitempty"`
	}
	consentExtension struct {
		URL          string `json:"url"`
		ValueCode    string `json:"valueCode,omitempty"`
		ValueBoolean *bool  `json:"valueBoolean,omitempty"`
	}
	openPeriod struct {
		Start *time.Time `json:"start,omitempty"`
		End   *time.Time `json:"end,omitempty"`
	}
	provisionActor struct {
		Role      concept    `json:"role"`
		Reference *reference `json:"reference"`
	}
)

const (
	systemToken       = "urn:medvault:patient-token"
	systemObject      = "urn:medvault:object"
	systemInstitution = "urn:medvault:institution"
	systemActor       = "urn:medvault:actor"
	actReason         = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	extCountry        = "urn:medvault:country"
	extReading        = "urn:medvault:reading"
	extDecision       = "urn:medvault:decision"
)

func coded(system, code string) concept {
	return concept{Coding: []coding{{System: system, Code: code}}}
}

func consentResource(c vault.Consent) consent {
	said, status := c.Decision, "active"
	if c.Said != "" {
		said, status = c.Said, "inactive"
	}
	r := consent{ResourceType: "Consent", ID: string(c.ID), Status: status, DateTime: &c.Recorded,
		Scope:     coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
		Category:  []concept{coded("http://loinc.org", "59284-0")},
		Patient:   &reference{Type: "Patient", Identifier: &identifier{System: systemToken, Value: string(c.Patient)}},
		Performer: []reference{{Identifier: &identifier{System: systemActor, Value: c.By}}},
		Provision: provision{Type: "permit", Period: &openPeriod{Start: &c.From, End: c.Until}}}
	rule := coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTIN")
	if said != "permit" {
		r.Provision.Type, rule = "deny", coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTOUT")
	}
	r.PolicyRule = &rule
	if said == "restrict" {
		r.Provision.Extension = append(r.Provision.Extension, consentExtension{URL: extDecision, ValueCode: said})
	}
	if c.Country != "" {
		r.Provision.Extension = append(r.Provision.Extension, consentExtension{URL: extCountry, ValueCode: c.Country})
	}
	if c.Reading {
		r.Provision.Extension = append(r.Provision.Extension, consentExtension{URL: extReading, ValueBoolean: &c.Reading})
	}
	if c.Purpose != "*" {
		r.Provision.Purpose = []coding{{System: actReason, Code: string(c.Purpose)}}
	}
	if c.Recipient != "" {
		r.Provision.Actor = []provisionActor{{Role: coded("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"),
			Reference: &reference{Type: "Organization", Identifier: &identifier{System: systemInstitution, Value: c.Recipient}}}}
	}
	if c.Evidence != "" {
		r.Source = &reference{Type: "DocumentReference", Identifier: &identifier{System: systemObject, Value: string(c.Evidence)}}
	}
	return r
}

// said reads a resource. What it says beyond what the vault can keep is refused, since
// leaving it out would change what the patient has said.
func (r consent) said() (p record.PatientToken, n vault.NewConsent, err error) {
	bad := func(advice string) (record.PatientToken, vault.NewConsent, error) {
		return "", vault.NewConsent{}, record.Refuse(record.ErrInvalid, "bad-consent", advice)
	}
	named := func(ref *reference, system string) string {
		if ref == nil || ref.Identifier == nil || ref.Identifier.System != system {
			return ""
		}
		return ref.Identifier.Value
	}
	if r.ResourceType != "Consent" || r.Status != "active" {
		return bad("send a Consent whose status is active; DELETE its vault resource to withdraw it")
	}
	if p, err = record.ParsePatientToken(named(r.Patient, systemToken)); err != nil {
		return bad("patient.identifier is the patient's token, of system " + systemToken)
	}
	switch r.Provision.Type {
	case "permit", "":
		n.Decision = "permit"
	case "deny":
		n.Decision = "refuse"
	default:
		return bad("provision.type is permit or deny")
	}
	for _, x := range r.Provision.Extension {
		switch {
		case x.URL == extCountry:
			n.Country = x.ValueCode
		case x.URL == extReading && x.ValueBoolean != nil:
			n.Reading = *x.ValueBoolean
		case x.URL == extDecision && x.ValueCode == "restrict" && n.Decision == "refuse":
			n.Decision = x.ValueCode
		default:
			return bad("of extensions the vault knows country, reading and decision")
		}
	}
	switch purposes := r.Provision.Purpose; {
	case len(purposes) == 0:
		n.Purpose = "*"
	case len(purposes) == 1 && purposes[0].System == actReason:
		n.Purpose = record.Purpose(purposes[0].Code)
	default:
		return bad("name one purpose of " + actReason + "; send a Consent for each")
	}
	switch actors := r.Provision.Actor; {
	case len(actors) > 1, len(actors) == 1 && named(actors[0].Reference, systemInstitution) == "":
		return bad("name one recipient, by an identifier of system " + systemInstitution)
	case len(actors) == 1:
		n.Recipient = named(actors[0].Reference, systemInstitution)
	}
	if r.Provision.Period != nil {
		n.From, n.Until = r.Provision.Period.Start, r.Provision.Period.End
	}
	if r.Source != nil {
		if n.Evidence = record.ObjectID(named(r.Source, systemObject)); n.Evidence == "" {
			return bad("sourceReference is the stored document, by an identifier of system " + systemObject)
		}
	}
	return p, n, nil
}

type consents struct{ vault *vault.Vault }

// search answers GET Consent?patient=TOKEN with a Bundle of all the patient has said.
func (f consents) search(c *gin.Context) {
	params := c.Request.URL.Query()
	for name := range params {
		if name != "patient" && name != "_format" {
			answer.Error(c, record.Refuse(record.ErrInvalid, "unknown-parameter", "search Consent by patient"))
			return
		}
	}
	patient, err := record.ParsePatientToken(params.Get("patient"))
	if err != nil {
		answer.Error(c, record.Refuse(record.ErrInvalid, "bad-patient", "patient is a patient's token"))
		return
	}
	list, err := f.vault.ListConsents(c.Request.Context(), answer.Actor(c), patient)
	if err != nil {
		answer.Error(c, err)
		return
	}
	b := bundle{ResourceType: "Bundle", Type: "searchset", Entry: make([]entry, len(list)),
		Link: []link{{Relation: "self", URL: c.Request.URL.RequestURI()}}}
	for i, one := range list {
		b.Entry[i] = entry{FullURL: "urn:medvault:consent:" + string(one.ID), Resource: consentResource(one), Search: search{Mode: "match"}}
	}
	tellFHIR(c, http.StatusOK, b)
}

// create answers POST Consent.
func (f consents) create(c *gin.Context) {
	var body consent
	if err := answer.Body(c.Request.Body, &body, "a FHIR R4 Consent of the elements that GET answers"); err != nil {
		answer.Error(c, err)
		return
	}
	patient, said, err := body.said()
	if err != nil {
		answer.Error(c, err)
		return
	}
	made, err := f.vault.AddConsent(c.Request.Context(), answer.Actor(c), patient, said)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Header("Location", "/api/v1/patients/"+string(patient)+"/consents/"+string(made.ID))
	tellFHIR(c, http.StatusCreated, consentResource(made))
}

func tellFHIR(c *gin.Context, status int, resource any) {
	body, err := json.Marshal(resource)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Data(status, "application/fhir+json", body)
}
