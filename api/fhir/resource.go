package fhir

import "html"

// The parts of AuditEvent and Bundle (FHIR R4) that the vault fills.
type (
	bundle struct {
		ResourceType string  `json:"resourceType"`
		Type         string  `json:"type"`
		Link         []link  `json:"link"`
		Entry        []entry `json:"entry,omitempty"`
	}
	link struct {
		Relation string `json:"relation"`
		URL      string `json:"url"`
	}
	entry struct {
		FullURL  string `json:"fullUrl"`
		Resource any    `json:"resource"`
		Search   search `json:"search"`
	}
	search struct {
		Mode string `json:"mode"`
	}

	auditEvent struct {
		ResourceType string      `json:"resourceType"`
		ID           string      `json:"id"`
		Meta         *meta       `json:"meta,omitempty"`
		Text         narrative   `json:"text"`
		Extension    []extension `json:"extension,omitempty"`
		Type         coding      `json:"type"`
		Subtype      []coding    `json:"subtype"`
		Action       string      `json:"action"`
		Period       *period     `json:"period,omitempty"`
		Recorded     string      `json:"recorded"`
		Outcome      string      `json:"outcome"`
		OutcomeDesc  string      `json:"outcomeDesc,omitempty"`
		Purpose      []concept   `json:"purposeOfEvent,omitempty"`
		Agent        []agent     `json:"agent"`
		Source       source      `json:"source"`
		Entity       []entity    `json:"entity"`
	}
	meta struct {
		Profile []string `json:"profile"`
	}
	narrative struct {
		Status string `json:"status"`
		Div    string `json:"div"`
	}
	period struct {
		Start string `json:"start"`
		End   string `json:"end"`
	}
	coding struct {
		System  string `json:"system"`
		Code    string `json:"code"`
		Display string `json:"display,omitempty"`
	}
	concept struct {
		Coding []coding `json:"coding"`
	}
	agent struct {
		Type         *concept   `json:"type,omitempty"`
		Role         []concept  `json:"role,omitempty"`
		Who          *reference `json:"who"`
		Requestor    bool       `json:"requestor"`
		Network      *network   `json:"network,omitempty"`
		PurposeOfUse []concept  `json:"purposeOfUse,omitempty"`
	}
	network struct {
		Extension []extension `json:"extension"`
	}
	source struct {
		Site     string     `json:"site"`
		Observer *reference `json:"observer"`
		Type     []coding   `json:"type"`
	}
	entity struct {
		What *reference `json:"what"`
		Type coding     `json:"type"`
		Role *coding    `json:"role,omitempty"`
	}
	reference struct {
		Type       string      `json:"type,omitempty"`
		Identifier *identifier `json:"identifier"`
	}
	identifier struct {
		System string `json:"system"`
		Value  string `json:"value"`
	}
	extension struct {
		URL         string      `json:"url"`
		ValueString string      `json:"valueString,omitempty"`
		ValueCode   string      `json:"valueCode,omitempty"`
		Extension   []extension `json:"extension,omitempty"`
	}
)

func escape(s string) string { return html.EscapeString(s) }
