package vault_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"medvault/vault"
	"medvault/vault/audit"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// Whoever logs in an eleventh time has the oldest session ended, in every gateway; what
// others have open is no matter of theirs.
func TestAPersonHasTenSessions(t *testing.T) {
	t.Parallel()
	now := at(t, "2026-03-02T09:00:00Z")
	o := vaulttest.Options{Dir: t.TempDir(), Now: now.now}
	gateways := []*vaulttest.House{vaulttest.New(t, o), vaulttest.New(t, o)}
	begin := func(i int, who vault.NewSession) (secret string) {
		t.Helper()
		who.Attempt, who.Life = fmt.Sprintf("attempt %d of %s", i, who.Actor.ID), 8*time.Hour
		_, secret, err := gateways[i%2].BeginSession(t.Context(), who)
		if err != nil {
			t.Fatalf("BeginSession = %v", err)
		}
		now.set(now.now().Add(time.Second))
		return secret
	}
	others := begin(0, vault.NewSession{Actor: quality})
	var secrets []string
	for i := range 12 {
		secrets = append(secrets, begin(i, vault.NewSession{Actor: clinician}))
	}
	for i, secret := range append(secrets, others) {
		want := ""
		if i < 2 {
			want = "session-ended"
		}
		for n, h := range gateways {
			_, _, err := h.ResumeSession(t.Context(), secret, time.Hour)
			wantRefusal(t, fmt.Sprintf("session %d in gateway %d", i, n), err, want)
		}
	}
	page, err := gateways[0].AuditQuery(t.Context(), dpo, vault.AuditQuery{Actor: clinician.ID, Action: vault.ActionSessionEnded})
	if err != nil || len(page.Leaves) != 2 {
		t.Fatalf("ends in the log: %d, %v; want 2", len(page.Leaves), err)
	}
	if l, err := audit.ParseLeaf(page.Leaves[0].Leaf); err != nil || l.Reason != "too-many-sessions" {
		t.Errorf("the last end = %+v, %v; want its reason", l, err)
	}
}

// What is no id is as absent as any other session, and is asked for in vain likewise.
func TestWhatIsNoSessionIsAbsent(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	for _, id := range []record.ObjectID{"", "no id at all", "00000000000000000000000000000000"} {
		before := len(reasons(t, h, vault.ActionSessionEnded))
		if err := h.EndSession(t.Context(), clinician, id); !errors.Is(err, record.ErrNotFound) || errors.Is(err, record.ErrUnavailable) {
			t.Errorf("EndSession(%q) = %v; want not found", id, err)
		}
		if after := reasons(t, h, vault.ActionSessionEnded); len(after) != before+1 || after[0] != "absent" {
			t.Errorf("%q: the log has %q; want one more, absent", id, after)
		}
	}
}
