package vault_test

import (
	"errors"
	"testing"

	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/rights"
	"medvault/vault/vaulttest"
)

// Requests with what was written, restrictions and disclosures survive the catalog.
func TestCasesSurviveALostCatalog(t *testing.T) {
	t.Parallel()
	o := vaulttest.Options{Dir: t.TempDir()}
	h := vaulttest.New(t, o)
	p := patient()
	r := put(t, h, ct(p, 1))
	treat(t, h, r.Patient)
	admin := vaulttest.Actor(record.RoleAdmin)
	granted := func() vault.Case {
		t.Helper()
		c, err := h.OpenCase(t.Context(), dpo, vault.NewCase{Type: rights.Restriction, Patient: r.Patient, Text: "stop using it", Verified: "id-document"})
		if err != nil {
			t.Fatal(err)
		}
		if c, err = h.DecideCase(t.Context(), dpo, c.ID, vault.NewDecision{Outcome: rights.Granted, Basis: "PIPL-44"}); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, second, third := granted(), granted(), granted()
	before, err := h.Restrict(t.Context(), dpo, r.Patient, first.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Unrestrict(t.Context(), dpo, r.Patient, before.ID, second.ID); err != nil {
		t.Fatal(err)
	}
	given, err := h.ProposeDisclosure(t.Context(), admin, vault.NewDisclosure{Patient: r.Patient, Recipient: "Haidian District Court", Basis: vault.DiscloseByCourt, Reference: "1234"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.DecideDisclosure(t.Context(), dpo, given.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Restrict(t.Context(), dpo, r.Patient, third.ID); err != nil {
		t.Fatal(err)
	}
	settled(t, h)
	loseCatalog(t, h)
	if _, err := vaulttest.Rebuild(t.Context(), o, "cn-north"); err != nil {
		t.Fatal(err)
	}
	h = vaulttest.New(t, o)
	c, err := h.ReadCase(t.Context(), dpo, first.ID)
	if err != nil || c.State != string(rights.Decided) || c.Decision == nil || c.Decision.Basis != "PIPL-44" || len(c.Notes) != 1 || c.Notes[0].Text != "stop using it" {
		t.Errorf("the case is %+v, %v; want it decided, with its words", c, err)
	}
	if list, _, err := h.Cases(t.Context(), dpo, vault.CaseQuery{}); err != nil || len(list) != 3 {
		t.Errorf("%d cases, %v; want 3", len(list), err)
	}
	if _, err := h.Open(t.Context(), clinician, vault.Ref{Document: r.ID}); !errors.Is(err, record.ErrDenied) {
		t.Errorf("reading what is restricted = %v; want denied", err)
	}
	all, err := h.Restrictions(t.Context(), dpo, r.Patient)
	if err != nil || len(all) != 2 || all[0].Lifted == nil || all[1].Lifted != nil {
		t.Errorf("restrictions %+v, %v; want one lifted and one in force", all, err)
	}
	out, err := h.GiveDisclosure(t.Context(), dpo, given.ID)
	if err != nil || len(out.Documents) != 1 {
		t.Errorf("GiveDisclosure = %v; want what was approved", err)
	}
}
