package vault_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"medvault/vault"
	"medvault/vault/audit"
	"medvault/vault/record"
)

// The document's hash stands in the log, at the document and at the entry that refers to it.
func TestTheLogHoldsTheHashOfAnAgreement(t *testing.T) {
	t.Parallel()
	h := physicians(t, vault.CareFromDICOM{})
	officer := dpo
	officer.ID = "officer-1"
	page, err := h.AuditQuery(t.Context(), officer, vault.AuditQuery{Actor: admin.ID, Action: record.ActionStaffManage, Decision: "allow"})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("%PDF-1.7"))
	signed, err := h.AgreementOf(t.Context(), admin, "partner")
	if err != nil || string(signed.Document) != "%PDF-1.7" || signed.SHA256 != hex.EncodeToString(sum[:]) {
		t.Fatalf("AgreementOf = %+v, %v", signed, err)
	}
	found, document := 0, false
	for _, l := range page.Leaves {
		leaf, err := audit.ParseLeaf(l.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Evidence == signed.SHA256 {
			found++
			document = document || leaf.Object == signed.ID
		}
	}
	if found != 2 || !document {
		t.Errorf("%d leaves hold the hash, one of the document: %t; want two", found, document)
	}
}
