package vault_test

import (
	"errors"
	"slices"
	"testing"

	"medvault/vault"
	"medvault/vault/access"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

func TestWhySomebodyMay(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, ct(patient(), 1))
	q := vault.ExplainQuery{Actor: clinician.ID, Role: clinician.Role, Action: record.ActionRead, Document: r.ID}
	x, err := h.Explain(t.Context(), dpo, q)
	if err != nil || x.Allow || x.Reason != access.ReasonCare || x.MayKnow || x.Patient != r.Patient || x.Purpose != record.PurposeTreat {
		t.Fatalf("Explain = %+v, %v; want refused for want of a care relationship", x, err)
	}
	if len(x.Changes) == 0 || !slices.Contains(x.Changes[0], access.Fact{Name: "treats", Value: "true"}) {
		t.Errorf("changes: %v; want that treating would help", x.Changes)
	}
	treat(t, h, r.Patient)
	if x, err = h.Explain(t.Context(), dpo, q); err != nil || !x.Allow || x.View != record.ViewOriginal || len(x.Rules) != 1 || x.Rules[0].ID != "clinician-treats" {
		t.Errorf("Explain = %+v, %v; want allowed by clinician-treats", x, err)
	}
	if _, err := h.Revoke(t.Context(), dpo, vault.NewRevocation{Subject: clinician.ID, Reason: "left"}); err != nil {
		t.Fatal(err)
	}
	if x, err = h.Explain(t.Context(), dpo, q); err != nil || x.Allow || x.Reason != "credential-revoked" || x.MayKnow {
		t.Errorf("Explain = %+v, %v; want revoked", x, err)
	}
	for _, who := range []record.Actor{quality, radiology, vaulttest.Actor(record.RoleOperator)} {
		if _, err := h.Explain(t.Context(), who, q); !errors.Is(err, record.ErrDenied) {
			t.Errorf("%s: Explain = %v; want denied", who.Role, err)
		}
	}
	for name, bad := range map[string]vault.ExplainQuery{"nobody": {Action: q.Action}, "nothing": {Actor: "x"}, "no role": {Actor: "x", Action: q.Action, Role: "janitor"},
		"no token": {Actor: "x", Action: q.Action, Patient: "Mr Li"}} {
		if _, err := h.Explain(t.Context(), dpo, bad); !errors.Is(err, record.ErrInvalid) {
			t.Errorf("%s: Explain = %v; want bad request", name, err)
		}
	}
	if _, err := h.Explain(t.Context(), dpo, vault.ExplainQuery{Actor: "x", Action: q.Action, Document: record.NewObjectID()}); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("Explain of no document = %v; want not found", err)
	}
}
