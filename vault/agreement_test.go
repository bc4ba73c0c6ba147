package vault_test

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"

	"medvault/vault"
	"medvault/vault/audit"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
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

// Who administers the register takes the agreement off nobody by calling them the house's
// own: not one by one, nor by an import.
func TestTheConfigurationAloneNamesTheHouse(t *testing.T) {
	t.Parallel()
	h := physicians(t, vault.CareFromDICOM{})
	all, err := h.Institutions(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(all, func(i vault.StaffInstitution) bool { return i.ID == "partner" })
	if at < 0 || all[at].Own {
		t.Fatalf("the register holds %+v; want a partner", all)
	}
	partner := all[at]
	partner.Own = true
	_, err = h.PutInstitution(t.Context(), admin, partner)
	wantRefusal(t, "a partner made the house's own", err, "own-institution")
	_, err = h.PutInstitution(t.Context(), admin, vault.StaffInstitution{ID: "second", Name: "second", Country: vaulttest.Home, Issuer: "SECOND", Own: true})
	wantRefusal(t, "another house", err, "own-institution")
	report, err := h.ImportStaff(t.Context(), admin, []vault.StaffLine{{Institution: &partner}}, false)
	if err != nil || len(report) != 1 || report[0].Reason != "own-institution" {
		t.Errorf("imported: %+v, %v; want it refused", report, err)
	}
	house := all[slices.IndexFunc(all, func(i vault.StaffInstitution) bool { return i.Own })]
	house.Name = "renamed"
	if _, err := h.PutInstitution(t.Context(), admin, house); err != nil {
		t.Errorf("the house renamed: %v", err)
	}
}
