package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/staff"
)

// AccessReview is the quarterly review of who has access: a house record, whole at every
// revision. The register is copied into it when it begins; every line is decided by
// somebody, and nobody decides their own.
type AccessReview struct {
	ID       record.ObjectID    `json:"id"`
	Revision int64              `json:"revision"`
	Quarter  string             `json:"quarter"` // as "2026Q4"
	Begun    time.Time          `json:"begun"`
	By       string             `json:"by"`
	Due      time.Time          `json:"due"`
	State    string             `json:"state"` // DossierOpen or DossierClosed
	Lines    []AccessReviewLine `json:"lines"`
	Signers  []string           `json:"signedBy,omitempty"` // everybody who decided a line, and who signed the whole
	Closed   *time.Time         `json:"closed,omitempty"`
	// Signed is a note under the log's key that names this review once it is closed; see CheckAccessReview.
	Signed string `json:"signed,omitempty"`
}

// AccessReviewLine is one person or service.
type AccessReviewLine struct {
	Subject     string        `json:"subject"`
	Kind        string        `json:"kind"` // "person" or "service"
	Roles       []record.Role `json:"roles"`
	Privileged  bool          `json:"privileged"` // may change rules, keys, regions or records of others
	Institution string        `json:"institution"`
	State       string        `json:"state"`
	Trained     *time.Time    `json:"trained,omitempty"`
	LastUse     *time.Time    `json:"lastUse,omitempty"`  // last allowed act in the log
	Decision    string        `json:"decision,omitempty"` // "keep" or "remove"
	By          string        `json:"decidedBy,omitempty"`
	At          *time.Time    `json:"decided,omitempty"`
}

// accessReviewTime is how long a review may take.
const accessReviewTime = 30 * 24 * time.Hour

const accessReviewTitle = "medvault access review"

func privileged(roles []record.Role) bool {
	return slices.ContainsFunc(roles, func(r record.Role) bool {
		return slices.Contains([]record.Role{record.RoleAdmin, record.RoleOperator, record.RoleDPO, record.RoleAuditor}, r)
	})
}

func (r AccessReview) row() catalog.Dossier {
	return catalog.Dossier{ID: r.ID, Revision: r.Revision, Kind: recordAccessReview, State: r.State, Opened: r.Begun, Due: r.Due, Closed: r.Closed}
}

// StartAccessReview lists everybody who is on the register, for a quarter; "" is the one
// of now. Acts of the guard: accessreview.work.
func (v *Vault) StartAccessReview(ctx context.Context, a record.Actor, quarter string) (AccessReview, error) {
	now := v.nowMillis()
	if quarter == "" {
		quarter = quarterOf(now.In(v.zone))
	}
	r := AccessReview{ID: record.NewObjectID(), Revision: 1, Quarter: quarter, Begun: now, By: a.ID, Due: now.Add(accessReviewTime), State: DossierOpen, Lines: []AccessReviewLine{}}
	if _, _, err := v.quarterBounds(quarter); err != nil {
		return r, err
	}
	working := act{Actor: a, Action: record.ActionReviewAccess}
	if err := v.may(ctx, working); err != nil {
		return r, err
	}
	if err := v.log.Flush(ctx); err != nil {
		return r, unavailable("log", err)
	}
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		last, err := tx.LastActs(ctx)
		if err != nil {
			return err
		}
		r.Lines = r.Lines[:0]
		return eachStaff(ctx, tx, func(p catalog.StaffPerson) {
			line := AccessReviewLine{Subject: p.Subject, Kind: p.Kind, Roles: p.Roles, Privileged: privileged(p.Roles), Institution: p.Institution, State: p.State}
			if !p.Trained.IsZero() {
				line.Trained = &p.Trained
			}
			if at, ok := last[p.Subject]; ok {
				at = at.UTC()
				line.LastUse = &at
			}
			r.Lines = append(r.Lines, line)
		})
	})
	if err != nil {
		return r, unavailable("catalog", err)
	}
	return r, v.putDossier(ctx, working, r, "begun-"+strings.ToLower(quarter), nil)
}

// eachStaff goes through the whole register.
func eachStaff(ctx context.Context, tx *catalog.Tx, do func(catalog.StaffPerson)) error {
	for after := ""; ; {
		page, err := tx.StaffPeople(ctx, after, maxResults)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, p := range page {
			do(p)
		}
		after = page[len(page)-1].Subject
	}
}

// ReadAccessReview tells one. Acts of the guard: accessreview.read. Unknown: ErrNotFound.
func (v *Vault) ReadAccessReview(ctx context.Context, a record.Actor, id record.ObjectID) (r AccessReview, err error) {
	reading := act{Actor: a, Action: record.ActionAccessReview}
	if err := v.readDossier(ctx, reading, recordAccessReview, id, &r); err != nil {
		return r, err
	}
	reading.Object = id
	_, err = v.perform(ctx, reading, nil)
	return r, err
}

// AccessReviews lists them, the newest first. Acts of the guard: accessreview.read.
func (v *Vault) AccessReviews(ctx context.Context, a record.Actor) ([]AccessReview, error) {
	return listDossiers[AccessReview](ctx, v, act{Actor: a, Action: record.ActionAccessReview}, catalog.DossierFilter{Kind: recordAccessReview})
}

// AccessDecisions are decided lines: of these subjects, or with All of everybody who is not
// decided yet but the decider.
type AccessDecisions struct {
	Subjects []string `json:"subjects,omitempty"`
	All      bool     `json:"all,omitempty"`
	Decision string   `json:"decision"` // "keep" or "remove"
}

// DecideAccess decides lines. Nobody decides their own: ErrDenied. What is to be removed
// is for an administrator to carry out on the register; the evidence of the quarter says
// what was not. Acts of the guard: accessreview.work.
func (v *Vault) DecideAccess(ctx context.Context, a record.Actor, id record.ObjectID, d AccessDecisions) (AccessReview, error) {
	if d.Decision != "keep" && d.Decision != "remove" || d.All == (len(d.Subjects) > 0) {
		return AccessReview{}, record.Refuse(record.ErrInvalid, "bad-decision", "decision is keep or remove, of subjects or of all")
	}
	if slices.Contains(d.Subjects, a.ID) {
		return AccessReview{}, record.Refuse(record.ErrDenied, "own-line", "nobody decides on their own access: ask another")
	}
	return v.stepAccessReview(ctx, a, id, func(r *AccessReview) (string, error) {
		now := v.nowMillis()
		open := make(map[string]bool)
		for _, s := range d.Subjects {
			open[s] = true
		}
		for n := range r.Lines {
			line := &r.Lines[n]
			if !open[line.Subject] && !(d.All && line.Decision == "" && line.Subject != a.ID) {
				continue
			}
			line.Decision, line.By, line.At = d.Decision, a.ID, &now
			delete(open, line.Subject)
		}
		if len(open) > 0 {
			return "", record.Refuse(record.ErrInvalid, "not-in-review", "one of these subjects has no line in this review")
		}
		return "decided-" + d.Decision, nil
	})
}

// SignAccessReview ends a review of which every line is decided, and signs it with the key
// of the log. Acts of the guard: accessreview.work.
func (v *Vault) SignAccessReview(ctx context.Context, a record.Actor, id record.ObjectID) (AccessReview, error) {
	return v.stepAccessReview(ctx, a, id, func(r *AccessReview) (string, error) {
		var left []string
		for _, line := range r.Lines {
			if line.Decision == "" {
				left = append(left, line.Subject)
			}
			if !slices.Contains(r.Signers, line.By) {
				r.Signers = append(r.Signers, line.By)
			}
		}
		if len(left) > 0 {
			return "", record.Refuse(record.ErrConflict, "lines-open", fmt.Sprintf("%d lines are not decided", len(left)))
		}
		if !slices.Contains(r.Signers, a.ID) {
			r.Signers = append(r.Signers, a.ID)
		}
		now := v.nowMillis()
		r.State, r.Closed = DossierClosed, &now
		r.Revision++ // what stepAccessReview is about to write
		digest, err := r.digest()
		if err == nil {
			r.Signed, err = v.signDigest(accessReviewTitle, string(r.ID), digest)
		}
		r.Revision--
		return "signed", err
	})
}

func (v *Vault) stepAccessReview(ctx context.Context, a record.Actor, id record.ObjectID, do func(r *AccessReview) (did string, err error)) (r AccessReview, err error) {
	working := act{Actor: a, Action: record.ActionReviewAccess}
	if err := v.readDossier(ctx, working, recordAccessReview, id, &r); err != nil {
		return r, err
	}
	if r.State == DossierClosed {
		return r, record.Refuse(record.ErrConflict, "signed", "this review is signed: begin another")
	}
	did, err := do(&r)
	if err != nil {
		return r, err
	}
	r.Revision++
	return r, v.putDossier(ctx, working, r, did, nil)
}

func (r AccessReview) digest() (string, error) {
	r.Signed = ""
	return digestOf(r)
}

// File is the review as it is kept, and as CheckAccessReview reads it: indented JSON.
func (r AccessReview) File() ([]byte, error) { return reportFile(r) }

// CheckAccessReview says whether a file is a review that the vault with this verifier key
// signed, byte for byte, and returns it. Nothing else is asked.
func CheckAccessReview(file []byte, vkey string) (r AccessReview, err error) {
	if err := readReport(file, &r); err != nil {
		return AccessReview{}, err
	}
	digest, err := r.digest()
	if err != nil {
		return AccessReview{}, err
	}
	return r, checkDigest(r.Signed, vkey, accessReviewTitle, string(r.ID), digest)
}

// notCarriedOut are the subjects that a signed review removed and who still are active.
func (v *Vault) notCarriedOut(ctx context.Context, tx *catalog.Tx, r AccessReview) (left []string, err error) {
	for _, line := range r.Lines {
		if line.Decision != "remove" {
			continue
		}
		p, _, err := tx.StaffEntry(ctx, line.Subject)
		if err != nil {
			return nil, err
		}
		if p.State == staff.Active {
			left = append(left, line.Subject)
		}
	}
	return left, nil
}

// quarterOf names the quarter of a time.
func quarterOf(t time.Time) string { return fmt.Sprintf("%dQ%d", t.Year(), (int(t.Month())+2)/3) }

// quarterBounds are the first moments of a quarter, as 2026Q4, and of the next, at home.
func (v *Vault) quarterBounds(quarter string) (from, to time.Time, err error) {
	var year, q int
	if n, scanned := fmt.Sscanf(quarter, "%4dQ%1d", &year, &q); scanned != nil || n != 2 || len(quarter) != 6 || q < 1 || q > 4 || year < 2000 {
		return from, to, record.Refuse(record.ErrInvalid, "bad-quarter", "name a quarter as 2026Q4")
	}
	from = time.Date(year, time.Month(3*q-2), 1, 0, 0, 0, 0, v.zone)
	return from, from.AddDate(0, 3, 0), nil
}
