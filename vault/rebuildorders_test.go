package vault_test

import (
	"slices"
	"testing"

	"medvault/vault"
	"medvault/vault/vaulttest"
)

// What was ordered about regions is ordered still after the catalog was lost.
func TestRebuildKeepsTheOrdersAboutRegions(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		orders []string
		state  string
	}{
		{"frozen", []string{vault.OrderFreeze}, "frozen"},
		{"thawed", []string{vault.OrderFreeze, vault.OrderThaw}, "active"},
		{"drained", []string{vault.OrderDrain}, "drained"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			o := vaulttest.Options{Dir: t.TempDir()}
			h := vaulttest.New(t, o)
			before := put(t, h, ct(patient(), 1))
			eventually(t, "three copies", func() bool { return len(holders(t, h, before.ID)) == 3 })
			for _, what := range row.orders {
				order(t, h, "cn-south", what)
			}
			eventually(t, "it is so", func() bool { return state(t, h, "cn-south").State == row.state })
			during := put(t, h, ct(patient(), 2))
			loseCatalog(t, h)
			if _, err := vaulttest.Rebuild(t.Context(), o, "cn-north"); err != nil {
				t.Fatalf("Rebuild = %v", err)
			}
			h = vaulttest.New(t, o)
			eventually(t, "the region is as it was", func() bool { return state(t, h, "cn-south").State == row.state })
			s := state(t, h, "cn-south")
			if s.Since == nil {
				t.Error("not known since when")
			}
			if row.state == "active" {
				eventually(t, "it gets what it missed", func() bool { return len(holders(t, h, during.ID)) == 3 })
				return
			}
			if at := holders(t, h, during.ID); !slices.Equal(at, []string{"cn-north", "cn-east"}) {
				t.Errorf("stored while it was %s: lies in %v", row.state, at)
			}
			if row.state == "drained" && s.Pending != 0 {
				t.Errorf("%d copies were promised to a drained region", s.Pending)
			}
		})
	}
}
