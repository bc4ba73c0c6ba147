package vault_test

import (
	"strings"
	"testing"
	"time"

	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// However long the name is that somebody logs in by, they can be revoked.
func TestALongSubjectIsRevoked(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	who := clinician
	who.ID = strings.Repeat("x", 8192)
	if err := h.Admit(t.Context(), who); err != nil {
		t.Fatalf("Admit = %v", err)
	}
	if _, err := h.Revoke(t.Context(), dpo, vault.NewRevocation{Subject: who.ID, Reason: "lost"}); err != nil {
		t.Fatalf("Revoke = %v", err)
	}
	wantRefusal(t, "Admit of whom is revoked", h.Admit(t.Context(), who), "credential-revoked")
	who.ID += "x"
	wantRefusal(t, "Admit of a longer one", h.Admit(t.Context(), who), "bad-subject")
}

func TestAnAPITokenIsBoundToAPurposeOfItsRole(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	for _, row := range []struct {
		role    record.Role
		purpose record.Purpose
		taken   bool
	}{
		{"radiology", "", true}, {"radiology", "TREAT", true}, {"radiology", "HRESCH", false}, {"radiology", "treat", false},
		{"quality", "HOPERAT", true}, {"operator", "HOPERAT", true}, {"auditor", "HCOMPL", true}, {"researcher", "TREAT", false},
	} {
		_, _, err := h.CreateAPIToken(t.Context(), admin, vault.NewAPIToken{Subject: "service:x", Role: row.role, Purpose: row.purpose,
			Scopes: []string{"system/*.cruds"}, Expires: time.Now().Add(time.Hour)})
		if row.taken && err != nil {
			t.Errorf("%s for %q: %v; want it made", row.role, row.purpose, err)
		} else if !row.taken {
			wantRefusal(t, string(row.role)+" for "+string(row.purpose), err, "bad-purpose")
		}
	}
}
