package fhir

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/vault"
	"medvault/vault/record"
)

// IHE Basic Audit Log Patterns: which of them an act fits. A search fits none: they ask
// for what was searched, which the log does not hold, because it may name the patient.
const balp = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."

type auditEvents struct{ vault *vault.Vault }

// search answers GET AuditEvent?patient=TOKEN with a Bundle of the patient's access log.
// date may be given up to twice, with ge, gt, le or lt; _count is the page.
func (f auditEvents) search(c *gin.Context) {
	patient, q, err := auditSearch(c.Request.URL.Query())
	if err != nil {
		answer.Error(c, err)
		return
	}
	q.Language = answer.Language(c)
	log, err := f.vault.AccessLog(c.Request.Context(), answer.Actor(c), patient, q)
	if err != nil {
		answer.Error(c, err)
		return
	}
	b := bundle{ResourceType: "Bundle", Type: "searchset", Entry: make([]entry, len(log.Lines)),
		Link: []link{{Relation: "self", URL: c.Request.URL.RequestURI()}}}
	if log.Next != "" {
		next := c.Request.URL.Query()
		next.Set("after", log.Next)
		b.Link = append(b.Link, link{Relation: "next", URL: c.Request.URL.Path + "?" + next.Encode()})
	}
	for i, line := range log.Lines {
		e := auditEventOf(log, line)
		b.Entry[i] = entry{FullURL: "urn:medvault:leaf:" + e.ID, Resource: e, Search: search{Mode: "match"}}
	}
	c.Header("Content-Language", log.Language)
	c.Header("Vary", "Accept-Language")
	body, err := json.Marshal(b)
	if err != nil {
		answer.Error(c, err)
		return
	}
	c.Data(http.StatusOK, "application/fhir+json", body)
}

func auditSearch(params url.Values) (patient record.PatientToken, q vault.AccessQuery, err error) {
	bad := func(code, advice string) error { return record.Refuse(record.ErrInvalid, code, advice) }
	for name, given := range params {
		switch name {
		case "patient", "after":
			if len(given) != 1 {
				return "", q, bad("bad-"+name, name+" is given once")
			}
		case "date":
			for _, text := range given {
				if err := takeDate(text, &q); err != nil {
					return "", q, err
				}
			}
		case "_count":
			if q.Limit, err = strconv.Atoi(given[0]); err != nil || q.Limit < 1 {
				return "", q, bad("bad-count", "_count is a number")
			}
		case "_format":
		default:
			return "", q, bad("unknown-parameter", "search AuditEvent by patient, date, _count and after")
		}
	}
	patient, err = record.ParsePatientToken(strings.TrimPrefix(params.Get("patient"), "Patient/"))
	if err != nil {
		return "", q, bad("bad-patient", "search AuditEvent with patient=TOKEN")
	}
	q.After = params.Get("after")
	return patient, q, nil
}

// takeDate takes one date parameter into the query. Leaves have milliseconds.
func takeDate(text string, q *vault.AccessQuery) error {
	if len(text) > 2 {
		if t, err := time.Parse(time.RFC3339, text[2:]); err == nil {
			switch text[:2] {
			case "ge":
				q.From = t
				return nil
			case "gt":
				q.From = t.Add(time.Millisecond)
				return nil
			case "le":
				q.To = t.Add(time.Millisecond)
				return nil
			case "lt":
				q.To = t
				return nil
			}
		}
	}
	return record.Refuse(record.ErrInvalid, "bad-date", "date is ge, gt, le or lt and a time as 2026-11-22T08:00:00Z")
}

// kinds say how an act is told in AuditEvent: its FHIR interaction, DICOM's letter for the
// action, and the pattern it fits.
type kind struct{ interaction, action, profile string }

func kindOf(a record.Action) kind {
	switch a {
	case record.ActionRead, record.ActionReviewRead, record.ActionExport:
		return kind{"read", "R", "PatientRead"}
	case record.ActionStore, "record.stored":
		return kind{"create", "C", "PatientCreate"}
	case record.ActionCareAdd:
		return kind{"create", "C", ""}
	case record.ActionSearch, record.ActionCareList, record.ActionAuditRead, record.ActionAccessLog:
		return kind{"search-type", "E", ""}
	case record.ActionCareEnd, record.ActionSupersede, record.ActionReviewRelease, record.ActionReviewRefuse:
		return kind{"update", "U", ""}
	}
	return kind{"operation", "E", ""}
}

// auditEventOf tells one line. Only an act that was allowed and names a document fits a
// pattern of BALP.
func auditEventOf(log vault.AccessLog, l vault.AccessLine) auditEvent {
	k := kindOf(l.Action)
	allowed := l.Decision == "allow"
	e := auditEvent{ResourceType: "AuditEvent", ID: strconv.FormatInt(l.Number, 10),
		Text:    narrative{Status: "generated", Div: `<div xmlns="http://www.w3.org/1999/xhtml">` + escape(l.Words) + `</div>`},
		Type:    coding{System: "http://terminology.hl7.org/CodeSystem/audit-event-type", Code: "rest", Display: "Restful Operation"},
		Subtype: []coding{{System: "http://hl7.org/fhir/restful-interaction", Code: k.interaction, Display: k.interaction}, {System: "urn:medvault:action", Code: string(l.Action)}},
		Action:  k.action, Recorded: l.Time.UTC().Format("2006-01-02T15:04:05.000Z"), Outcome: "0",
		Agent:     agents(l, k),
		Source:    source{Site: "medvault", Observer: who("urn:medvault:gateway", "medvault"), Type: []coding{{System: "http://terminology.hl7.org/CodeSystem/security-source-type", Code: "4", Display: "Application Server"}}},
		Entity:    entities(log.Patient, l),
		Extension: proof(log, l),
	}
	if !l.Until.IsZero() {
		e.Period = &period{Start: e.Recorded, End: l.Until.UTC().Format("2006-01-02T15:04:05.000Z")}
	}
	if l.Purpose != "" {
		e.Purpose = []concept{{Coding: []coding{purpose(l.Purpose)}}}
	}
	if !allowed {
		e.Outcome, e.OutcomeDesc = "4", l.Reason
	}
	if allowed && k.profile != "" && l.Object != "" {
		e.Meta = &meta{Profile: []string{balp + k.profile}}
	}
	return e
}

// agents are the person, and client and server as BALP has them: with a read the server
// is the source of the data, with everything else the client is. The log holds no
// addresses of clients.
func agents(l vault.AccessLine, k kind) []agent {
	dcm := func(code, display string) *concept {
		return &concept{Coding: []coding{{System: "http://dicom.nema.org/resources/ontology/DCM", Code: code, Display: display}}}
	}
	source, destination := dcm("110153", "Source Role ID"), dcm("110152", "Destination Role ID")
	client, server := source, destination
	part := coding{System: "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", Code: "IRCP", Display: "information recipient"}
	switch k.interaction {
	case "read":
		client, server = destination, source
	case "create":
		part.Code, part.Display = "INF", "informant"
	}
	user := agent{Type: &concept{Coding: []coding{part}}, Who: who("urn:medvault:actor", l.Actor), Requestor: true}
	if l.Role != "" {
		user.Role = []concept{{Coding: []coding{{System: "urn:medvault:role", Code: string(l.Role)}}}}
	}
	if l.Purpose != "" {
		user.PurposeOfUse = []concept{{Coding: []coding{purpose(l.Purpose)}}}
	}
	unknown := &network{Extension: []extension{{URL: "http://hl7.org/fhir/StructureDefinition/data-absent-reason", ValueCode: "unknown"}}}
	list := []agent{
		{Type: client, Who: who("urn:medvault:actor", l.Actor), Network: unknown},
		{Type: server, Who: who("urn:medvault:gateway", "medvault"), Network: unknown},
		user,
	}
	if l.Recipient != "" {
		receiver := coding{System: part.System, Code: "RCV", Display: "receiver"}
		list = append(list, agent{Type: &concept{Coding: []coding{receiver}}, Who: who("urn:medvault:institution", l.Recipient)})
	}
	return list
}

// entities are the patient, by token, and the document.
func entities(p record.PatientToken, l vault.AccessLine) []entity {
	list := []entity{{
		What: &reference{Type: "Patient", Identifier: &identifier{System: "urn:medvault:patient-token", Value: string(p)}},
		Type: coding{System: "http://terminology.hl7.org/CodeSystem/audit-entity-type", Code: "1", Display: "Person"},
		Role: &coding{System: "http://terminology.hl7.org/CodeSystem/object-role", Code: "1", Display: "Patient"},
	}}
	if l.Object != "" {
		list = append(list, entity{
			What: &reference{Identifier: &identifier{System: "urn:medvault:object", Value: string(l.Object)}},
			Type: coding{System: "http://terminology.hl7.org/CodeSystem/audit-entity-type", Code: "2", Display: "System Object"},
			Role: &coding{System: "http://terminology.hl7.org/CodeSystem/object-role", Code: "4", Display: "Domain Resource"},
		})
	}
	return list
}

// proof is what verifies the line offline, as `medvault audit verify-line` does.
func proof(log vault.AccessLog, l vault.AccessLine) []extension {
	path := make([]string, len(l.Proof))
	for i, hash := range l.Proof {
		path[i] = hash.String()
	}
	part := func(name, value string) extension { return extension{URL: name, ValueString: value} }
	return []extension{{URL: "urn:medvault:inclusion-proof", Extension: []extension{
		part("leafIndex", strconv.FormatInt(l.Number, 10)),
		part("treeSize", strconv.FormatInt(log.TreeSize, 10)),
		part("leaf", l.Leaf),
		part("path", strings.Join(path, " ")),
		part("checkpoint", log.Checkpoint),
	}}}
}

func purpose(p record.Purpose) coding {
	return coding{System: "http://terminology.hl7.org/CodeSystem/v3-ActReason", Code: string(p)}
}

func who(system, value string) *reference {
	return &reference{Identifier: &identifier{System: system, Value: value}}
}
