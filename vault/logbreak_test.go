package vault_test

import (
	"os"
	"path/filepath"
	"testing"

	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// All homes lose the log's last leaves with the catalog; a region abroad holds a head that
// covers them. The loss is stated, and from then on nothing is amiss but what is not stated.
func TestAHeadAbroadOfLeavesThatAreLostIsStated(t *testing.T) {
	t.Parallel()
	o := vaulttest.Options{Dir: t.TempDir()}
	h := vaulttest.New(t, o)
	doc := put(t, h, ct(patient(), 1))
	eventually(t, "three copies", func() bool { return len(holders(t, h, doc.ID)) == 3 })
	exportLog(t, h)
	home := []string{"cn-north", "cn-east", "cn-south"}
	log := func(region string) string { return filepath.Join(h.Dir, "regions", region, "log") }
	for _, region := range home { // as of a minute before
		if err := os.CopyFS(log(region)+".before", os.DirFS(log(region))); err != nil {
			t.Fatal(err)
		}
	}
	grow(t, h, 8)
	exportLog(t, h)
	ahead := auditVerify(t, h).Size
	for _, l := range auditVerify(t, h).Regions {
		if l.Region == vaulttest.Foreign {
			ahead = l.Size
		}
	}
	h.Stop()
	dropCatalog(t, h.Dir)
	for _, region := range home {
		if err := os.RemoveAll(log(region)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(log(region)+".before", log(region)); err != nil {
			t.Fatal(err)
		}
	}

	if _, err := vaulttest.Rebuild(t.Context(), o, "cn-north", "cn-east", "cn-south"); err != nil {
		t.Fatalf("Rebuild = %v", err)
	}
	h = vaulttest.New(t, o)
	if r := auditVerify(t, h); r.Intact || len(r.Lost) > 0 {
		t.Errorf("with a loss that nobody stated = %+v; want a finding", r)
	}
	h.Stop()
	dropCatalog(t, h.Dir)

	done, err := vaulttest.Rebuild(t.Context(), o, "cn-north", "cn-east", "cn-south", vaulttest.Foreign)
	if err != nil {
		t.Fatalf("Rebuild = %v", err)
	}
	lost := done.Log.Lost
	if len(lost) == 0 || lost[len(lost)-1].Size != ahead || lost[0].Region != vaulttest.Foreign || lost[0].Kept != done.Log.Size || lost[0].Lost != lost[0].Size-lost[0].Kept {
		t.Fatalf("lost = %+v; want a head of %d leaves behind %d", lost, ahead, done.Log.Size)
	}
	h = vaulttest.New(t, o)
	stated := leaves(t, h, vault.ActionLogBroken)
	if len(stated) != len(lost) || *stated[0].Lost != lost[0] {
		t.Errorf("leaves = %+v; want %+v", stated, lost)
	}
	clean := func(when string) int64 {
		t.Helper()
		r := auditVerify(t, h)
		if !r.Intact || len(r.Lost) != len(lost) {
			t.Errorf("%s: AuditVerify = %+v; want intact, with what is lost", when, r)
		}
		return r.Size
	}
	clean("after the rebuild")
	for size := done.Size; size <= ahead+1; { // every size that the lost heads have is met
		exportLog(t, h)
		for _, s := range []vault.RegionStatus{state(t, h, vaulttest.Foreign), state(t, h, "cn-east")} {
			if s.Log.Problem != "" {
				t.Fatalf("export to %s at %d leaves: %s", s.Name, s.Log.Size, s.Log.Problem)
			}
			size = s.Log.Size
		}
	}
	clean("past the lost head")
	if r, err := h.Verify(t.Context(), operator, vault.VerifyOptions{Level: vault.LevelLog}, nil); err != nil || len(r.Findings) > 0 {
		t.Errorf("level log = %+v, %v; want no findings", r.Findings, err)
	}
	loseCatalog(t, h)
	if _, err := vaulttest.Rebuild(t.Context(), o, "cn-east", vaulttest.Foreign); err != nil {
		t.Fatalf("Rebuild once more = %v", err)
	}
	h = vaulttest.New(t, o)
	clean("after the catalog was lost once more")
	if n := len(leaves(t, h, vault.ActionLogBroken)); n != len(lost) {
		t.Errorf("%d leaves state %d lost heads", n, len(lost))
	}
	if err := h.ExportLog(t.Context(), vaulttest.Actor(record.RoleOperator)); err != nil {
		t.Errorf("ExportLog = %v", err)
	}
}
