package vault

import (
	"context"
	"slices"
	"strings"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// SecurityFinding is something that a penetration test, an audit or a review found and somebody
// has to mend: a house record, whole at every revision.
type SecurityFinding struct {
	ID       record.ObjectID `json:"id"`
	Revision int64           `json:"revision"`
	Title    string          `json:"title"`
	Source   string          `json:"source"`   // a code, as "penetration-test"
	Severity string          `json:"severity"` // one of severities
	Owner    string          `json:"owner"`    // who has to see to it
	Due      time.Time       `json:"due"`
	Opened   time.Time       `json:"opened"`
	By       string          `json:"by"`
	Closed   *time.Time      `json:"closed,omitempty"`
	ClosedBy string          `json:"closedBy,omitempty"`
	Proof    string          `json:"proof,omitempty"`       // a reference, as a ticket or a report's number
	Document string          `json:"proofSha256,omitempty"` // hex SHA-256 of the document that proves it
	State    string          `json:"state"`                 // DossierOpen or DossierClosed
	Overdue  bool            `json:"overdue,omitempty"`     // computed when it is asked for
}

func severities() []string { return []string{"critical", "high", "medium", "low"} }

// NewFinding is a finding to be put on record.
type NewFinding struct {
	Title    string    `json:"title"`
	Source   string    `json:"source,omitempty"` // default "penetration-test"
	Severity string    `json:"severity"`         // critical, high, medium or low
	Owner    string    `json:"owner"`
	Due      time.Time `json:"due"`
}

func (f SecurityFinding) row() catalog.Dossier {
	d := catalog.Dossier{ID: f.ID, Revision: f.Revision, Kind: recordFinding, State: f.State, Opened: f.Opened, Due: f.Due, Closed: f.Closed}
	return d
}

// OpenFinding puts one on record. Acts of the guard: finding.work.
func (v *Vault) OpenFinding(ctx context.Context, a record.Actor, n NewFinding) (SecurityFinding, error) {
	if n.Source == "" {
		n.Source = "penetration-test"
	}
	bad := func(code, advice string) error { return record.Refuse(record.ErrInvalid, code, advice) }
	switch {
	case !name(n.Title, 1, 200):
		return SecurityFinding{}, bad("bad-title", "a title has 1 to 200 characters")
	case !code(n.Source):
		return SecurityFinding{}, bad("bad-source", "source is a code, as penetration-test")
	case !slices.Contains(severities(), n.Severity):
		return SecurityFinding{}, bad("bad-severity", "severity is "+strings.Join(severities(), ", "))
	case !name(n.Owner, 1, 255):
		return SecurityFinding{}, bad("bad-owner", "name who has to see to it")
	case n.Due.IsZero():
		return SecurityFinding{}, bad("bad-due", "say until when it has to be mended")
	}
	f := SecurityFinding{ID: record.NewObjectID(), Revision: 1, Title: n.Title, Source: n.Source, Severity: n.Severity, Owner: n.Owner,
		Due: n.Due.UTC(), Opened: v.nowMillis(), By: a.ID, State: DossierOpen}
	return f, v.putDossier(ctx, act{Actor: a, Action: record.ActionFindingWork}, f, "opened-"+f.Severity, nil)
}

// CloseFinding closes one with its proof: a reference, the SHA-256 of a document, or both.
// Closed already: ErrConflict. Acts of the guard: finding.work.
func (v *Vault) CloseFinding(ctx context.Context, a record.Actor, id record.ObjectID, proof, document string) (f SecurityFinding, err error) {
	switch {
	case proof == "" && document == "":
		return f, record.Refuse(record.ErrInvalid, "proof-missing", "a finding is closed with its proof: a reference, or the SHA-256 of a document")
	case !name(proof, 0, 500) || document != "" && !isSHA256(document):
		return f, record.Refuse(record.ErrInvalid, "bad-proof", "a reference has at most 500 characters, a document is named by 64 hex digits of its SHA-256")
	}
	working := act{Actor: a, Action: record.ActionFindingWork}
	if err := v.readDossier(ctx, working, recordFinding, id, &f); err != nil {
		return f, err
	}
	if f.State == DossierClosed {
		return f, record.Refuse(record.ErrConflict, "closed", "this finding is closed: what is new is another finding")
	}
	now := v.nowMillis()
	f.Revision, f.State, f.Closed, f.ClosedBy, f.Proof, f.Document = f.Revision+1, DossierClosed, &now, a.ID, proof, document
	working.Evidence = document
	return f, v.putDossier(ctx, working, f, DossierClosed, nil)
}

// Findings lists them, the newest first; open: those that are not closed. Acts of the
// guard: finding.list.
func (v *Vault) Findings(ctx context.Context, a record.Actor, open bool) ([]SecurityFinding, error) {
	list, err := listDossiers[SecurityFinding](ctx, v, act{Actor: a, Action: record.ActionFindingList}, catalog.DossierFilter{Kind: recordFinding, Open: open})
	return v.tellFindings(list), err
}

func (v *Vault) tellFindings(list []SecurityFinding) []SecurityFinding {
	for i := range list {
		list[i].Overdue = list[i].Closed == nil && !v.cfg.Now().Before(list[i].Due)
	}
	return list
}

func isSHA256(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }
