package vault_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/storage"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/record"
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

func order(t *testing.T, h *vaulttest.House, region, what string) {
	t.Helper()
	if err := h.OrderRegion(t.Context(), operator, region, what); err != nil {
		t.Fatalf("%s %s = %v", what, region, err)
	}
}

func TestAFrozenRegionGetsNothingUntilItIsThawed(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	before := put(t, h, ct(patient(), 1))
	eventually(t, "three copies", func() bool { return len(holders(t, h, before.ID)) == 3 })
	order(t, h, "cn-south", vault.OrderFreeze)
	refusedAs(t, "freezing a second", h.OrderRegion(t.Context(), operator, "cn-east", vault.OrderFreeze), record.ErrConflict, "too-few-regions")
	refusedAs(t, "draining a second", h.OrderRegion(t.Context(), operator, "cn-east", vault.OrderDrain), record.ErrConflict, "too-few-regions")
	refusedAs(t, "an auditor's order", h.OrderRegion(t.Context(), auditor, "cn-south", vault.OrderThaw), record.ErrDenied, "")
	during := put(t, h, ct(patient(), 2))
	time.Sleep(1500 * time.Millisecond) // more than a lane waits
	if at := holders(t, h, during.ID); !slices.Equal(at, []string{"cn-north", "cn-east"}) {
		t.Errorf("stored while cn-south was frozen: lies in %v", at)
	}
	s := state(t, h, "cn-south")
	if s.State != "frozen" || s.Pending != 1 || s.RPO <= 0 || s.Problem == "" || s.Since == nil {
		t.Errorf("the frozen region = %+v", s)
	}
	order(t, h, "cn-south", vault.OrderThaw)
	eventually(t, "what it missed came there", func() bool { return len(holders(t, h, during.ID)) == 3 })
	eventually(t, "nothing is behind", func() bool { s := state(t, h, "cn-south"); return s.Pending == 0 && s.RPO == 0 && s.Problem == "" })
	if n := len(leaves(t, h, record.ActionRegionsManage)); n != 5 {
		t.Errorf("%d leaves of two orders and three refusals", n)
	}
}

func TestARegionIsDrainedAndFilledAgain(t *testing.T) {
	h, faulty := faultyHouse(t, vaulttest.Options{})
	faulty["cn-east/data"].Inject(storetest.Fault{Op: "put", Err: storage.ErrAway}) // so that its copies are still to come
	var ids []record.ObjectID
	for i := range 5 {
		ids = append(ids, put(t, h, ct(patient(), i+1)).ID)
	}
	order(t, h, "cn-south", vault.OrderDrain)
	faulty["cn-east/data"].Heal()
	eventually(t, "the others hold it all", func() bool { return state(t, h, "cn-south").State == "drained" })
	for _, id := range ids {
		if at := holders(t, h, id); len(at) != 3 {
			t.Errorf("after the drain %s lies in %v", id, at)
		}
	}
	during := put(t, h, ct(patient(), 9))
	if s := state(t, h, "cn-south"); s.Pending != 0 || s.Walk == nil || s.Walk.Kind != "check" || s.Walk.Ended == nil || s.Walk.Seen < 5 {
		t.Errorf("the drained region = %+v, walk %+v", s, s.Walk)
	}
	if at := holders(t, h, during.ID); !slices.Equal(at, []string{"cn-north", "cn-east"}) {
		t.Errorf("stored after the drain: lies in %v", at)
	}
	order(t, h, "cn-south", vault.OrderThaw)
	eventually(t, "it is filled", func() bool {
		s := state(t, h, "cn-south")
		return s.Walk.Kind == "backfill" && s.Walk.Ended != nil && s.Pending == 0
	})
	if at := holders(t, h, during.ID); len(at) != 3 {
		t.Errorf("after it was filled: lies in %v", at)
	}
	if f := verify(t, h, "read").Findings; len(f) > 0 {
		t.Errorf("findings = %+v; want none", f)
	}
}

// What one gateway has begun and cannot end another does, once.
func TestAnotherGatewayGoesOnWithTheCopies(t *testing.T) {
	dir := t.TempDir()
	first, faulty := faultyHouse(t, vaulttest.Options{Dir: dir})
	faulty["cn-south/data"].Inject(storetest.Fault{Op: "put", Stall: true})
	const documents = 8
	for i := range documents {
		put(t, first, ct(patient(), i+1))
	}
	eventually(t, "its copies wait", func() bool { return state(t, first, "cn-south").Pending == documents })
	second := vaulttest.New(t, vaulttest.Options{Dir: dir})
	first.Stop()
	eventually(t, "the second gateway has made them", func() bool { return state(t, second, "cn-south").Pending == 0 })
	if n := len(leaves(t, second, "object.copied")); n != documents {
		t.Errorf("%d leaves of %d copies", n, documents)
	}
	if s := state(t, second, "cn-south"); s.RPO != 0 || s.Objects != documents {
		t.Errorf("the region = %+v", s)
	}
}

// hangs is a bucket that is away, and later hangs every put until its context ends.
type hangs struct {
	storage.Store
	now   atomic.Bool
	began chan struct{}
	ended chan error
}

func (s *hangs) Put(ctx context.Context, _ string, _ storage.Body) error {
	if !s.now.Load() {
		return storage.ErrAway
	}
	s.began <- struct{}{}
	<-ctx.Done()
	s.ended <- context.Cause(ctx)
	return ctx.Err()
}

// A gateway that hung until its lease was over does not go on with what may be another's.
func TestAJobEndsWithItsLease(t *testing.T) {
	now, bucket := newClock(), &hangs{began: make(chan struct{}, 9), ended: make(chan error, 9)}
	h := vaulttest.New(t, vaulttest.Options{Now: now.now, Lease: 300 * time.Millisecond,
		Store: func(region, name string, s storage.Store) storage.Store {
			if region+"/"+name != "cn-south/data" {
				return s
			}
			bucket.Store = s
			return bucket
		}})
	put(t, h, ct(patient(), 1))
	bucket.now.Store(true)
	<-bucket.began
	now.forward(time.Hour)
	if err := <-bucket.ended; !strings.Contains(err.Error(), "lease") {
		t.Errorf("the copy under way ended with %v; want it given up", err)
	}
}

func TestCopiesAreNoFasterThanTheLink(t *testing.T) {
	const rate = 256 << 10
	h, faulty := faultyHouse(t, vaulttest.Options{Links: map[string]vault.Link{"cn-south": {Concurrency: 2, Bandwidth: rate}}})
	faulty["cn-south/data"].Inject(storetest.Fault{Err: storage.ErrAway})
	for i := range 3 {
		put(t, h, imagingtest.CT(patient(), imagingtest.Options{Study: 9, Series: 1, Instance: i + 1, Rows: 256, Columns: 256}))
	}
	bytes := state(t, h, "cn-south").PendingBytes
	began := time.Now()
	faulty["cn-south/data"].Heal()
	eventually(t, "caught up", func() bool { return state(t, h, "cn-south").Pending == 0 })
	if least := time.Duration(float64(bytes) / rate * float64(time.Second)); time.Since(began) < least*9/10 || least < time.Second {
		t.Errorf("%d bytes came in %v; want at least %v", bytes, time.Since(began), least)
	}
}
