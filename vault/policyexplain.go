package vault

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"medvault/vault/access"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
)

// ExplainQuery is an act that is not done: who would do what, to whom, and what for.
type ExplainQuery struct {
	Actor     string              `json:"actor"`             // required: subject, as the staff register names them
	Role      record.Role         `json:"role,omitempty"`    // as their token would say; default the one role of the register
	Purpose   record.Purpose      `json:"purpose,omitempty"` // default the role's own
	Action    record.Action       `json:"action"`            // required
	Patient   record.PatientToken `json:"patient,omitempty"` // none: not about one patient
	Document  record.ObjectID     `json:"document,omitempty"`
	Recipient string              `json:"recipient,omitempty"` // institution that would be given documents
}

// PolicyExplanation says how an act would be decided now, by which rule and for which facts.
type PolicyExplanation struct {
	ExplainQuery
	access.Explanation
}

// Explain decides an act as the guard would, without doing it, and says why. Scopes of a
// token, and a revocation of a single credential, are not known and so not counted. Acts
// of the guard: policy.explain; the leaf names the patient. Unknown document: ErrNotFound.
func (v *Vault) Explain(ctx context.Context, a record.Actor, q ExplainQuery) (x PolicyExplanation, err error) {
	if err := q.check(); err != nil {
		return x, err
	}
	_, err = v.perform(ctx, act{Actor: a, Action: record.ActionPolicyExplain}, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) error {
		about, err := v.imagined(ctx, tx, q)
		if err != nil {
			return err
		}
		f, err := v.grounds(ctx, tx, about)
		if err != nil {
			return err
		}
		leaf.Patient = about.Patient
		q.Role, q.Purpose, q.Patient = f.Actor.Role, f.Actor.Purpose, about.Patient
		x = PolicyExplanation{q, v.explain(about, f)}
		return nil
	})
	return x, err
}

func (q ExplainQuery) check() error {
	switch {
	case q.Actor == "":
		return record.Refuse(record.ErrInvalid, "missing-actor", "name who would act by their subject")
	case q.Action == "":
		return record.Refuse(record.ErrInvalid, "missing-action", "name the action, as document.read")
	case q.Role != "" && !slices.Contains(record.Roles(), q.Role):
		return record.Refuse(record.ErrInvalid, "bad-role", "there is no such role")
	}
	if q.Patient != "" {
		if _, err := record.ParsePatientToken(string(q.Patient)); err != nil {
			return record.Refuse(record.ErrInvalid, "bad-patient", "name the patient by their token")
		}
	}
	if q.Document != "" {
		if _, err := record.ParseObjectID(string(q.Document)); err != nil {
			return record.Refuse(record.ErrInvalid, "bad-document", "name the document by its object id")
		}
	}
	return nil
}

// imagined is the act that is asked about.
func (v *Vault) imagined(ctx context.Context, tx *catalog.Tx, q ExplainQuery) (a act, err error) {
	a = act{Actor: record.Actor{ID: q.Actor, Role: q.Role, Purpose: q.Purpose, Country: v.cfg.Home},
		Action: q.Action, Patient: q.Patient, Recipient: q.Recipient, Origin: "explain"}
	if q.Document != "" {
		docs, err := v.documents(ctx, tx, catalog.Scope{Document: q.Document})
		if err != nil {
			return a, err
		}
		if len(docs) != 1 || q.Patient != "" && docs[0].Patient != q.Patient {
			return a, record.ErrNotFound
		}
		a.Patient, a.Object, a.Held, a.Kind = docs[0].Patient, docs[0].ID, docs[0].Held, docs[0].Kind
	}
	known, _, err := v.standing(ctx, tx, a.Actor)
	if err != nil {
		return a, err
	}
	a.Actor.Role = known.Role
	a.Actor.Purpose = cmp.Or(a.Actor.Purpose, record.DefaultPurpose(known.Role))
	return a, nil
}

func (v *Vault) explain(a act, f grounds) access.Explanation {
	x := v.cfg.Access.Explain(f.Request)
	x.Reason = f.reason(x.Reason)
	if d := v.within(a, access.Decision{Allow: x.Allow, View: x.View}); d.Allow != x.Allow {
		x.Allow, x.View, x.Reason = false, record.ViewNone, d.Reason // by this gateway
	}
	x.Facts = append(x.Facts, access.Fact{Name: "revoked", Value: fmt.Sprint(f.revoked)})
	if f.Patient != nil {
		x.Facts = append(x.Facts, access.Fact{Name: "residency-by", Value: f.flow.Reason})
	}
	if f.revoked {
		// No policy is asked about whoever is revoked.
		return access.Explanation{Reason: reasonRevoked, MayKnow: a.Patient == "", Rules: []access.Rule{},
			Facts: x.Facts, Changes: [][]access.Fact{{{Name: "revoked", Value: "false"}}}}
	}
	return x
}
