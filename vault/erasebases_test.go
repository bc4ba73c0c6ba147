package vault_test

import (
	"testing"
	"time"

	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// What was stored of a child before anybody asked goes when the guardian refuses, and not
// when the guardian has consented.
func TestAChildIsErasedWhenTheGuardianRefuses(t *testing.T) {
	t.Parallel()
	now := newClock()
	h := vaulttest.New(t, vaulttest.Options{Now: now.now, Poll: 5 * time.Millisecond})
	p := child(92, "20200101")
	r := put(t, h, ct(p, 1))
	guarded(t, h, p, r.Patient, "mother", guardian.ID)
	copied(t, h)
	n := vault.NewErasure{Patient: r.Patient, Early: vault.EraseGuardianRefused}
	if _, err := h.ProposeErasure(t.Context(), dpo, n); !isRefusal(err, record.ErrConflict, "not-refused") {
		t.Errorf("nobody has said anything: %v; want not-refused", err)
	}
	if _, err := h.AddConsent(t.Context(), guardian, r.Patient, vault.NewConsent{Purpose: record.PurposeTreat, Decision: "refuse"}); err != nil {
		t.Fatal(err)
	}
	e := erasePatient(t, h, n)
	if e.Basis != vault.EraseGuardianRefused {
		t.Errorf("basis %q; want guardian-refused", e.Basis)
	}
	cert := certified(t, h, now, e.ID)
	checkCertificate(t, cert)
	if cert.Basis != vault.EraseGuardianRefused || cert.State != vault.CertificateComplete {
		t.Errorf("certificate: %q on basis %q; want it complete on the guardian's refusal", cert.State, cert.Basis)
	}
}
