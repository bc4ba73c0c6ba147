// Package atna tells leaves of the log to an audit record repository (IHE ATNA): as audit
// messages of DICOM PS3.15 A.5, over syslog (RFC 5424) in TLS (RFC 5425).
//
// A message holds what its leaf holds, and the mapped UID of a study: tokens, ids and
// codes, never patient data. Every message names its leaf as an object of its own
// (urn:medvault:leaf:NUMBER), so that a repository that got one twice can tell.
package atna

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"medvault/vault/audit"
	"medvault/vault/record"
)

// Event is a leaf, and what the log does not say of it.
type Event struct {
	Number int64
	Leaf   audit.Leaf
	Study  string // mapped Study Instance UID of the leaf's object; "" when it has none
}

// Message writes an audit message of PS3.15 A.5.1. source names the system that tells.
func Message(e Event, source string) ([]byte, error) {
	m := auditMessage{
		Event:        eventOf(e.Leaf),
		Participants: participants(e.Leaf, source),
		Source:       auditSource{ID: source, Type: sourceType{Code: "4"}}, // application server
		Objects:      objects(e),
	}
	data, err := xml.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("audit message of leaf %d: %w", e.Number, err)
	}
	return append([]byte(xml.Header), data...), nil
}

// The schema of A.5.1, as far as it is used: elements stand in its order.
type (
	auditMessage struct {
		XMLName      xml.Name            `xml:"AuditMessage"`
		Event        event               `xml:"EventIdentification"`
		Participants []participant       `xml:"ActiveParticipant"`
		Source       auditSource         `xml:"AuditSourceIdentification"`
		Objects      []participantObject `xml:"ParticipantObjectIdentification"`
	}
	event struct {
		Action  string  `xml:"EventActionCode,attr"`
		Time    string  `xml:"EventDateTime,attr"`
		Outcome string  `xml:"EventOutcomeIndicator,attr"`
		ID      coded   `xml:"EventID"`
		Types   []coded `xml:"EventTypeCode"`
		Why     string  `xml:"EventOutcomeDescription,omitempty"`
	}
	coded struct {
		Code   string `xml:"csd-code,attr"`
		System string `xml:"codeSystemName,attr"`
		Text   string `xml:"originalText,attr"`
	}
	participant struct {
		User      string  `xml:"UserID,attr"`
		Other     string  `xml:"AlternativeUserID,attr,omitempty"`
		Requestor bool    `xml:"UserIsRequestor,attr"`
		Roles     []coded `xml:"RoleIDCode"`
	}
	auditSource struct {
		ID   string     `xml:"AuditSourceID,attr"`
		Type sourceType `xml:"AuditSourceTypeCode"`
	}
	sourceType struct {
		Code string `xml:"csd-code,attr"`
	}
	participantObject struct {
		ID        string   `xml:"ParticipantObjectID,attr"`
		Type      string   `xml:"ParticipantObjectTypeCode,attr"`
		Role      string   `xml:"ParticipantObjectTypeCodeRole,attr,omitempty"`
		LifeCycle string   `xml:"ParticipantObjectDataLifeCycle,attr,omitempty"`
		IDType    coded    `xml:"ParticipantObjectIDTypeCode"`
		Name      string   `xml:"ParticipantObjectName,omitempty"`
		Query     string   `xml:"ParticipantObjectQuery,omitempty"` // base64
		Details   []detail `xml:"ParticipantObjectDetail"`
	}
	detail struct {
		Type  string `xml:"type,attr"`
		Value string `xml:"value,attr"` // base64
	}
)

func dcm(code, text string) coded { return coded{code, "DCM", text} }

// eventOf says which event of A.5.3 an act is. What is neither about documents nor about
// the log is about security: a Security Alert, of the type that comes nearest.
func eventOf(l audit.Leaf) event {
	e := event{Action: "E", Time: l.Time.UTC().Format("2006-01-02T15:04:05.000Z"), Outcome: "0"}
	if l.Decision == audit.Deny {
		e.Outcome, e.Why = "4", l.Reason
	}
	alert := func(action, code, text string) {
		e.Action, e.ID, e.Types = action, dcm("110113", "Security Alert"), []coded{dcm(code, text)}
	}
	area, _, _ := strings.Cut(string(l.Action), ".")
	switch l.Action {
	case "gateway.started":
		e.ID, e.Types = dcm("110100", "Application Activity"), []coded{dcm("110120", "Application Start")}
	case "gateway.stopped":
		e.ID, e.Types = dcm("110100", "Application Activity"), []coded{dcm("110121", "Application Stop")}
	case record.ActionAuditRead, record.ActionAccessLog:
		e.Action, e.ID = "R", dcm("110101", "Audit Log Used")
	case record.ActionRead, record.ActionReviewRead:
		e.Action, e.ID = "R", dcm("110103", "DICOM Instances Accessed")
	case record.ActionStore:
		e.Action, e.ID = "C", dcm("110104", "DICOM Instances Transferred")
	case record.ActionExport:
		e.Action, e.ID = "R", dcm("110106", "Export")
	case record.ActionSearch:
		e.ID = dcm("110112", "Query")
	case record.ActionSupersede:
		e.Action, e.ID = "U", dcm("110103", "DICOM Instances Accessed")
	case "patient.erased":
		e.Action, e.ID = "D", dcm("110110", "Patient Record")
	case "session.refused", "session.begun":
		e.ID, e.Types = dcm("110114", "User Authentication"), []coded{dcm("110122", "Login")}
	case "session.ended":
		e.ID, e.Types = dcm("110114", "User Authentication"), []coded{dcm("110123", "Logout")}
	case "config.changed":
		alert("U", "110129", "Security Configuration")
	default:
		switch area {
		case "care", "staff", "token", "revocation", "guardian", "institution":
			alert("U", "110137", "User Security Attributes Changed")
		case "consent", "restriction", "patient", "hold":
			alert("U", "110135", "Object Security Attributes Changed")
		case "keys":
			alert("E", "110129", "Security Configuration")
		default:
			alert("E", "110132", "Use of Restricted Function")
		}
	}
	if l.Purpose == record.PurposeETreat && l.Decision == audit.Allow {
		e.Types = append(e.Types, dcm("110127", "Emergency Override Started"))
	}
	return e
}

// participants are who acted, and the vault at the other end.
func participants(l audit.Leaf, source string) []participant {
	user := participant{User: l.Actor, Other: l.Credential, Requestor: true}
	if l.Role != "" {
		user.Roles = []coded{{string(l.Role), "medvault", string(l.Role)}}
	}
	from, to := dcm("110153", "Source Role ID"), dcm("110152", "Destination Role ID")
	vault := participant{User: source}
	switch l.Action {
	case "gateway.started", "gateway.stopped":
		vault.Roles = []coded{dcm("110150", "Application")}
	case record.ActionStore, record.ActionSearch: // what is sent, and the question, come from the user
		user.Roles, vault.Roles = append(user.Roles, from), []coded{to}
	default:
		vault.Roles = []coded{from}
	}
	all := []participant{user, vault}
	if l.Recipient != "" {
		all = append(all, participant{User: l.Recipient, Roles: []coded{dcm("110154", "Destination Media")}})
	}
	return all
}

// objects are the patient, by token, the document, and the leaf itself.
func objects(e Event) (all []participantObject) {
	l := e.Leaf
	if l.Patient != "" {
		all = append(all, participantObject{ID: string(l.Patient), Type: "1", Role: "1", IDType: coded{"2", "RFC-3881", "Patient Number"}, Name: string(l.Patient)})
	}
	if l.Action == record.ActionAuditRead || l.Action == record.ActionAccessLog {
		all = append(all, participantObject{ID: "urn:medvault:log", Type: "2", Role: "13", IDType: uri(), Name: "Security Audit Log"})
	}
	if l.Action == record.ActionSearch {
		// What was searched for is not in the log: it may name the patient.
		all = append(all, participantObject{ID: "urn:medvault:search", Type: "2", Role: "24", IDType: uri(), Query: text("not recorded")})
	}
	if l.Object != "" {
		o := participantObject{ID: "urn:medvault:object:" + string(l.Object), Type: "2", Role: "3", IDType: uri(), Name: string(l.Object)}
		if e.Study != "" {
			o.Details = []detail{{"object", text(string(l.Object))}}
			o.ID, o.Name, o.IDType = e.Study, e.Study, dcm("110180", "Study Instance UID")
		}
		if l.Action == record.ActionRead {
			o.LifeCycle = "6" // access
		}
		if l.View != "" {
			o.Details = append(o.Details, detail{"view", text(string(l.View))})
		}
		all = append(all, o)
	}
	leaf := participantObject{ID: "urn:medvault:leaf:" + strconv.FormatInt(e.Number, 10), Type: "2", Role: "13", IDType: uri(), Name: string(l.Action)}
	if l.Purpose != "" {
		leaf.Details = append(leaf.Details, detail{"purposeOfUse", text(string(l.Purpose))})
	}
	return append(all, leaf)
}

func uri() coded { return coded{"12", "RFC-3881", "URI"} }

func text(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
