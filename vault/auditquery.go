package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// AuditQuery asks for leaves of the log. Fields that are empty exclude nothing.
type AuditQuery struct {
	Patient    record.PatientToken
	Object     record.ObjectID
	Actor      string
	Credential string // what proved the actor, as "jti:…" or "x509:…"; or as a leaf names it
	Action     record.Action
	Decision   string    // "allow" or "deny"
	From, To   time.Time // From is in the range, To is not
	After      string    // AuditPage.Next of the page before; "": the newest
	Limit      int       // default 100, at most 1000
}

// AuditPage is a part of an answer, the newest leaf first.
type AuditPage struct {
	Leaves []AuditLeaf `json:"leaves"`
	Next   string      `json:"next,omitempty"` // "" on the last page; others may be short, or empty
}

// AuditLeaf is one leaf of the log.
type AuditLeaf struct {
	Number int64           `json:"number"`
	Leaf   json.RawMessage `json:"leaf"` // canonical JSON, as package audit draws it
}

const (
	auditPage    = 100
	maxAuditPage = 1000
)

// AuditQuery finds leaves. Acts of the guard: audit.read; the leaf of the query names
// the patient or object it is about.
func (v *Vault) AuditQuery(ctx context.Context, a record.Actor, q AuditQuery) (AuditPage, error) {
	filter, err := q.filter()
	if err != nil {
		return AuditPage{}, err
	}
	if q.Credential != "" {
		filter.Credential = v.CredentialNames(q.Credential)
	}
	// Before the query's own leaf, so that the answer ends with what was asked about.
	if err := v.log.Flush(ctx); err != nil {
		return AuditPage{}, unavailable("log", err)
	}
	_, err = v.perform(ctx, act{Actor: a, Action: record.ActionAuditRead}, func(_ *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		leaf.Patient, leaf.Object = q.Patient, q.Object
		return nil
	})
	if err != nil {
		return AuditPage{}, err
	}
	found, next, err := v.findLeaves(ctx, filter)
	if err != nil {
		return AuditPage{}, err
	}
	page := AuditPage{Leaves: make([]AuditLeaf, len(found)), Next: next}
	for i, l := range found {
		page.Leaves[i] = AuditLeaf{Number: l.Number, Leaf: l.Data}
	}
	return page, nil
}

// scanned bounds the leaves of one person, action or patient that a page is looked for
// among: some tens of milliseconds.
const scanned = 20_000

// findLeaves finds a page of leaves, and where the next begins. A page among many leaves
// that do not fit may be short, or empty, and have a next all the same.
func (v *Vault) findLeaves(ctx context.Context, f catalog.LeafFilter) (found []catalog.FoundLeaf, next string, err error) {
	limit := f.Limit
	f.Limit++ // one more tells whether there is more
	found, rest, err := v.cfg.Catalog.FindLeavesAmong(ctx, f, scanned)
	if err != nil {
		return nil, "", unavailable("catalog", err)
	}
	if rest != (catalog.LeafPlace{}) {
		next = placeText(rest)
	}
	if len(found) > limit {
		found = found[:limit]
		next = placeText(found[limit-1].Place)
	}
	return found, next, nil
}

func (q AuditQuery) filter() (f catalog.LeafFilter, err error) {
	f = catalog.LeafFilter{Patient: q.Patient, Object: q.Object, Actor: q.Actor, Action: q.Action, Decision: audit.Decision(q.Decision),
		From: q.From, To: q.To, Limit: q.Limit}
	switch f.Decision {
	case "", audit.Allow, audit.Deny:
	default:
		return f, record.Refuse(record.ErrInvalid, "bad-decision", "decision is allow or deny")
	}
	switch {
	case f.Limit == 0:
		f.Limit = auditPage
	case f.Limit < 0 || f.Limit > maxAuditPage:
		return f, record.Refuse(record.ErrInvalid, "bad-limit", fmt.Sprintf("limit is at most %d", maxAuditPage))
	}
	if q.After != "" {
		if f.Before, err = parsePlace(q.After); err != nil {
			return f, record.Refuse(record.ErrInvalid, "bad-after", "after is what the page before gave as next")
		}
	}
	return f, nil
}

func placeText(p catalog.LeafPlace) string {
	return fmt.Sprintf("%d.%d", p.At.UnixMilli(), p.Number)
}

func parsePlace(s string) (p catalog.LeafPlace, err error) {
	at, number, _ := strings.Cut(s, ".")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return p, err
	}
	p.At = time.UnixMilli(ms)
	p.Number, err = strconv.ParseInt(number, 10, 64)
	return p, err
}
