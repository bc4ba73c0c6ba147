package api_test

import (
	"slices"
	"testing"

	"medvault/api"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

func TestWhoIsTurnedAwayIsWrittenDown(t *testing.T) {
	g := newGateway(t, nil)
	for range 3 {
		for _, auth := range []string{"", "Bearer wrong", "Basic eDp5"} {
			headers := []string{}
			if auth != "" {
				headers = []string{"Authorization", auth}
			}
			if w := g.do("GET", "/whoami/x", headers...); w.Code != 401 {
				t.Errorf("%q: %d; want 401", auth, w.Code)
			}
		}
	}
	for range 2 {
		if w := g.do("GET", "/whoami/x", "Authorization", g.bearer(), "Purpose-Of-Use", "FUN"); w.Code != 400 {
			t.Errorf("unknown purpose: %d; want 400", w.Code)
		}
	}
	// One a reason and minute for those who proved nothing; each one for the others.
	want := []string{"  no-identity", "  token-unknown", "  token-missing",
		"dev-clinician  purpose-unknown", "dev-clinician  purpose-unknown"}
	if !slices.Equal(g.refused.list, want) {
		t.Errorf("leaves %q; want %q", g.refused.list, want)
	}
	if w := g.do("GET", "/whoami/x", "Authorization", g.bearer()); w.Code != 200 || len(g.refused.list) != len(want) {
		t.Errorf("a good request: %d and %d leaves; want 200 and none more", w.Code, len(g.refused.list)-len(want))
	}
}

func TestARefusalThatCannotBeWrittenDownIsNotAnswered(t *testing.T) {
	g := newGateway(t, nil)
	g.refused.fail = record.ErrUnavailable
	for range 2 {
		if w := g.do("GET", "/whoami/x"); w.Code != 503 {
			t.Errorf("no token, and the log does not take the leaf: %d; want 503", w.Code)
		}
	}
	g.refused.fail = nil
	if w := g.do("GET", "/whoami/x"); w.Code != 401 || len(g.refused.list) != 1 {
		t.Errorf("the log takes leaves again: %d with %d; want 401 with one", w.Code, len(g.refused.list))
	}
}

// Through a whole vault: the leaves are in its log, and its name in the answers.
func TestTheVaultItselfWritesRefusalsDown(t *testing.T) {
	v := vaulttest.New(t, vaulttest.Options{})
	g := newGateway(t, func(c *api.Config) { c.Vault, c.Refused = v.Vault, nil })
	size := func() int64 {
		r, err := v.AuditVerify(t.Context(), vaulttest.Actor(record.RoleAuditor))
		if err != nil || !r.Intact {
			t.Fatalf("AuditVerify = %+v, %v; want intact", r, err)
		}
		return r.Size // the leaf of this very act included
	}
	before := size()
	if w := g.do("GET", "/dicomweb/studies", "Authorization", "Bearer wrong"); w.Code != 401 || w.Header().Get("Medvault-Vault") != "" {
		t.Errorf("a wrong token: %d, Medvault-Vault %q; want 401 and no name", w.Code, w.Header().Get("Medvault-Vault"))
	}
	if w := g.do("GET", "/dicomweb/studies", "Authorization", g.bearer(), "Purpose-Of-Use", "FUN"); w.Code != 400 {
		t.Errorf("an unknown purpose: %d; want 400", w.Code)
	}
	if got := size() - before; got != 3 {
		t.Errorf("%d leaves; want the two refusals and the check", got)
	}
	w := g.do("OPTIONS", "/dicomweb", "Authorization", g.bearer())
	if got := w.Header().Get("Medvault-Vault"); w.Code != 200 || got == "" || got != v.ID() {
		t.Errorf("OPTIONS = %d, Medvault-Vault %q; want 200 and %q", w.Code, got, v.ID())
	}
}
