package vault_test

import (
	"slices"
	"testing"
	"time"

	"medvault/storage"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/vaulttest"
)

// What was to be removed from a region that is no part of the vault any more comes to an
// end, and the log names it.
func TestRemovalsFromARegionThatIsGoneEnd(t *testing.T) {
	t.Parallel()
	var at movedClock
	o := vaulttest.Options{Dir: t.TempDir(), Linger: 1, Now: at.now}
	o.Store = func(region, bucket string, s storage.Store) storage.Store {
		f := storetest.NewFaulty(s)
		if region == "cn-south" && bucket == "data" {
			f.Inject(storetest.Fault{Op: "delete", Err: storage.ErrAway})
		}
		return f
	}
	h := vaulttest.New(t, o)
	old := put(t, h, burned(patient(), 1))
	eventually(t, "three copies", func() bool { return len(holders(t, h, old.ID)) == 3 })
	release(t, h, old.ID, vault.Mask{Width: 4, Height: 4})
	removals := func(h *vaulttest.House) int64 {
		n, err := h.Catalog.Pending(t.Context(), "remove")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	eventually(t, "one region keeps it", func() bool { return removals(h) == 1 && slices.Equal(holders(t, h, old.ID), []string{"cn-south"}) })
	h.Stop()
	o.Without = []string{"cn-south"}
	h = vaulttest.New(t, o) // a moment later: another gateway may have the region still
	leaves(t, h, "object.abandoned")
	if n := removals(h); n != 1 {
		t.Errorf("%d removals left at once; want 1", n)
	}
	h.Stop()
	at.forward(2 * time.Hour)
	h = vaulttest.New(t, o)
	eventually(t, "it is given up", func() bool { return removals(h) == 0 })
	given := leaves(t, h, "object.abandoned")
	if len(given) != 1 || given[0].Object != old.ID || given[0].Reason != "region-not-configured" || !slices.Equal(given[0].Commit.Regions, []string{"cn-south"}) {
		t.Errorf("leaves = %+v", given)
	}
	h.Stop()

	// It comes back: what lies there is seen.
	o.Without, o.Store = nil, nil
	at.forward(25 * time.Hour)
	h = vaulttest.New(t, o)
	eventually(t, "all copies are made", func() bool { return state(t, h, "cn-south").Pending == 0 })
	found := verify(t, h, "list").Findings
	if len(found) != 1 || found[0].Region != "cn-south" || found[0].Object != string(old.ID) {
		t.Errorf("findings after it came back = %+v; want the object that was given up", found)
	}
}
