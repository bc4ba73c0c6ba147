package vault_test

import (
	"testing"

	"medvault/imaging/imagingtest"
	"medvault/storage"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/vaulttest"
)

// faultyHouse is a vault whose buckets fail on command.
func faultyHouse(t *testing.T, o vaulttest.Options) (*vaulttest.House, map[string]*storetest.Faulty) {
	t.Helper()
	faulty := make(map[string]*storetest.Faulty)
	o.Store = func(region, bucket string, s storage.Store) storage.Store {
		f := storetest.NewFaulty(s)
		faulty[region+"/"+bucket] = f
		return f
	}
	return vaulttest.New(t, o), faulty
}

func state(t *testing.T, h *vaulttest.House, region string) vault.RegionStatus {
	t.Helper()
	states, err := h.State(t.Context())
	if err != nil {
		t.Fatalf("State = %v", err)
	}
	for _, s := range states {
		if s.Name == region {
			return s
		}
	}
	t.Fatalf("no region %s", region)
	return vault.RegionStatus{}
}

// A region that takes nothing and says nothing holds its own copies up, and no others'.
func TestAHangingRegionStandsInNoOthersWay(t *testing.T) {
	h, faulty := faultyHouse(t, vaulttest.Options{Linger: 1})
	old := put(t, h, burned(patient(), 1))
	eventually(t, "three copies", func() bool { return len(holders(t, h, old.ID)) == 3 })
	faulty["cn-south/data"].Inject(storetest.Fault{Op: "put", Stall: true})
	for i := range 6 { // more than the region does at once
		put(t, h, imagingtest.CT(patient(), imagingtest.Options{Study: 9, Series: 1, Instance: i + 1}))
	}
	eventually(t, "its copies are under way", func() bool { return state(t, h, "cn-south").Pending == 6 })
	release(t, h, old.ID, vault.Mask{Width: 4, Height: 4})
	eventually(t, "the others are rid of the old one", func() bool {
		n, err := h.Catalog.Pending(t.Context(), "remove")
		return err == nil && n <= 1
	})
	s := state(t, h, "cn-south")
	if s.Pending != 7 || s.PendingBytes == 0 || s.RPO <= 0 {
		t.Errorf("the hanging region: %d pending, %d bytes, RPO %v s; want 7 copies waiting", s.Pending, s.PendingBytes, s.RPO)
	}
	if n := state(t, h, "cn-north"); n.Pending != 0 || n.RPO != 0 {
		t.Errorf("a region that is well: %d pending, RPO %v s", n.Pending, n.RPO)
	}
}

// What failed while a region was down is not tried at growing distances once it is back.
func TestARegionThatWasDownHasItsCopiesAtOnce(t *testing.T) {
	h, faulty := faultyHouse(t, vaulttest.Options{})
	for _, bucket := range []string{"/data", "/keys"} {
		faulty["cn-south"+bucket].Inject(storetest.Fault{Err: storage.ErrAway})
	}
	const documents = 12
	for i := range documents {
		put(t, h, ct(patient(), i+1))
	}
	eventually(t, "attempts have failed", func() bool { return state(t, h, "cn-south").Failures > 0 })
	s := state(t, h, "cn-south")
	if s.Pending != documents || s.RPO <= 0 || s.LastFailed != "away" || s.Reachable {
		t.Errorf("the region that is down = %+v", s)
	}
	if s.Failures > 2*documents {
		t.Errorf("%d attempts failed: it is asked again and again", s.Failures)
	}
	for _, bucket := range []string{"/data", "/keys"} {
		faulty["cn-south"+bucket].Heal()
	}
	eventually(t, "it holds all", func() bool { return state(t, h, "cn-south").Pending == 0 })
	s = state(t, h, "cn-south")
	if s.RPO != 0 || s.Objects != documents || s.Lag.Count != documents || s.Lag.P50 <= 0 || s.Lag.P99 < s.Lag.P50 {
		t.Errorf("after it was caught up = %+v", s)
	}
	if f := verify(t, h, "read").Findings; len(f) > 0 {
		t.Errorf("findings = %+v; want none", f)
	}
}
