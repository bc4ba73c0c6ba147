package vault_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"medvault/vault"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// What patients are shown of the log has nothing of their clinicians' credentials, and who
// knows a credential finds what it proved: in every gateway, and in leaves of before.
func TestTheLogHoldsPseudonymsOfCredentials(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := vaulttest.New(t, vaulttest.Options{Dir: dir, AutoCare: "clinician-1"})
	two := vaulttest.New(t, vaulttest.Options{Dir: dir, AutoCare: "clinician-1"})
	dpo := vaulttest.Actor(record.RoleDPO)
	r, err := one.Put(t.Context(), vaulttest.Actor(record.RoleRadiology), pdfUpload("P-1"))
	if err != nil {
		t.Fatal(err)
	}
	const id, fingerprint = "3f9c4c1e-planted-id", "planted-fingerprint"
	reader := proven(record.RoleClinician, "jti:"+id+" x509:"+fingerprint, time.Now())
	for _, g := range []*vaulttest.House{one, two} {
		if _, err := g.Open(t.Context(), reader, vault.Ref{Document: r.ID}); err != nil {
			t.Fatal(err)
		}
		if err := g.Refused(t.Context(), reader, "locked-out"); err != nil {
			t.Fatal(err)
		}
	}
	old := audit.Leaf{Time: time.Now(), Actor: reader.ID, Action: record.ActionRead, Patient: r.Patient, Object: r.ID, Decision: audit.Allow, Credential: "jti:" + id}
	data, err := old.Encode()
	if err != nil {
		t.Fatal(err)
	}

	log, err := one.AccessLog(t.Context(), dpo, r.Patient, vault.AccessQuery{All: true})
	if err != nil || len(log.Lines) == 0 {
		t.Fatalf("access log of %d lines, %v", len(log.Lines), err)
	}
	name := ""
	for _, l := range log.Lines {
		if strings.Contains(l.Leaf, id) || strings.Contains(l.Leaf, fingerprint) {
			t.Errorf("the leaf holds the id of a credential: %s", l.Leaf)
		}
		if leaf, err := audit.ParseLeaf([]byte(l.Leaf)); err == nil && leaf.Actor == reader.ID && leaf.Action == record.ActionRead {
			name = leaf.Credential
		}
	}
	if !strings.HasPrefix(name, "jti/") || len(name) != len("jti/")+26 {
		t.Fatalf("the read names its credential %q; want jti/ and 26 digits", name)
	}

	err = one.Catalog.Update(t.Context(), func(tx *catalog.Tx) error { return tx.AppendLeaf(t.Context(), data) })
	if err != nil {
		t.Fatal(err)
	}
	count := func(g *vaulttest.House, q vault.AuditQuery) int {
		page, err := g.AuditQuery(t.Context(), dpo, q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		return len(page.Leaves)
	}
	for _, g := range []*vaulttest.House{one, two} {
		// One read within its window, two refusals, and the leaf of before.
		for _, row := range []struct {
			q    vault.AuditQuery
			want int
		}{
			{vault.AuditQuery{Credential: "jti:" + id}, 4},
			{vault.AuditQuery{Credential: name}, 3},
			{vault.AuditQuery{Credential: "jti:" + id, Decision: "deny"}, 2},
			{vault.AuditQuery{Credential: "jti:" + id, Patient: r.Patient}, 2},
			{vault.AuditQuery{Credential: "x509:" + fingerprint}, 0}, // only the first names it
			{vault.AuditQuery{Credential: "jti:another"}, 0},
		} {
			if n := count(g, row.q); n != row.want {
				t.Errorf("%+v finds %d leaves; want %d", row.q, n, row.want)
			}
		}
	}
	if _, err := one.Revoke(t.Context(), dpo, vault.NewRevocation{Credential: name, Reason: "lost"}); !errors.Is(err, record.ErrInvalid) {
		t.Errorf("revoked by a pseudonym: %v; want a refusal that says whom to revoke", err)
	}
}
