package replica_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"medvault/storage"
	"medvault/storage/dir"
	"medvault/storage/replica"
	"medvault/storage/storetest"
)

var errDown = errors.New("region is down")

// fixture is three directory regions that fail on command.
type fixture struct {
	*replica.Set
	t     *testing.T
	data  map[string]*storetest.Faulty
	roots map[string]string
}

func regions(t *testing.T, change func(*replica.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, data: map[string]*storetest.Faulty{}, roots: map[string]string{}}
	cfg := replica.Config{Spool: t.TempDir(), ReadIdle: 200 * time.Millisecond, BackOff: time.Minute}
	for _, name := range []string{"north", "east", "south"} {
		f.roots[name] = t.TempDir()
		f.data[name] = storetest.NewFaulty(open(t, f.roots[name]))
		cfg.Regions = append(cfg.Regions, storage.Region{Name: name, Jurisdiction: "CN", Data: f.data[name], Keys: open(t, t.TempDir())})
	}
	if change != nil {
		change(&cfg)
	}
	set, err := replica.New(cfg)
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	f.Set = set
	return f
}

func open(t *testing.T, root string) storage.Store {
	t.Helper()
	s, err := dir.New(dir.Config{Root: root, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// everywhere puts b into all three regions and returns what it must be.
func (f *fixture) everywhere(key string, b []byte) replica.Sum {
	f.t.Helper()
	placed, err := f.Put(f.t.Context(), key, storetest.Body(b), replica.Placement{Quorum: 3})
	if err != nil || len(placed) != 3 {
		f.t.Fatalf("Put = %v, %v; want three regions", placed, err)
	}
	return sum(b)
}

func sum(b []byte) replica.Sum { return replica.Sum{Size: int64(len(b)), SHA256: sha256.Sum256(b)} }

// damage flips a bit of an object on the disk of a region.
func (f *fixture) damage(region, key string) {
	f.t.Helper()
	path := filepath.Join(f.roots[region], key)
	b, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) holds(region, key string, want []byte) bool {
	got, err := os.ReadFile(filepath.Join(f.roots[region], key))
	return err == nil && bytes.Equal(got, want)
}

func (f *fixture) read(key string, want []byte, prefer []string) {
	f.t.Helper()
	r, err := f.Open(key, int64(len(want)), prefer).Get(f.t.Context(), 0, -1)
	if err != nil {
		f.t.Fatalf("Get = %v", err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		f.t.Errorf("Get = %d bytes, %v; want the %d that were put", len(got), err, len(want))
	}
}

func TestPutReachesEveryRegion(t *testing.T) {
	f := regions(t, nil)
	b := storetest.Bytes(300_000)
	f.everywhere("objects/x", b)
	for name := range f.data {
		if !f.holds(name, "objects/x", b) {
			t.Errorf("region %s does not hold the object", name)
		}
	}
}

func TestPutGoesNowhereElse(t *testing.T) {
	f := regions(t, nil)
	placed, err := f.Put(t.Context(), "objects/x", storetest.Body(storetest.Bytes(10)), replica.Placement{Regions: []string{"east", "north"}, Quorum: 2})
	slices.Sort(placed)
	if err != nil || !slices.Equal(placed, []string{"east", "north"}) {
		t.Errorf("Put = %v, %v; want east and north", placed, err)
	}
	if calls := f.data["south"].Calls(); len(calls) > 0 {
		t.Errorf("south was called: %v", calls)
	}
}

func TestPutWithOneRegionDown(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault storetest.Fault
	}{
		{"put fails", storetest.Fault{Op: "put", Err: errDown}},
		{"put stalls", storetest.Fault{Op: "put", Stall: true}},
		{"read back fails", storetest.Fault{Op: "get", Err: errDown}},
		{"read back breaks off", storetest.Fault{Op: "get", After: 1000, Err: errDown}},
		{"read back gives other bytes", storetest.Fault{Op: "get", Damage: true}},
		{"read back stalls", storetest.Fault{Op: "get", Stall: true}},
		{"stored but said it failed", storetest.Fault{Op: "put", Late: true, Err: errDown}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := regions(t, nil)
			f.data["north"].Inject(c.fault)
			start := time.Now()
			placed, err := f.Put(t.Context(), "objects/x", storetest.Body(storetest.Bytes(100_000)), replica.Placement{Quorum: 2})
			slices.Sort(placed)
			if err != nil || !slices.Equal(placed, []string{"east", "south"}) {
				t.Errorf("Put = %v, %v; want east and south", placed, err)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("Put took %v; want the grace at most", took)
			}
		})
	}
}

func TestPutBelowQuorumNamesEachRegion(t *testing.T) {
	f := regions(t, nil)
	f.data["north"].Inject(storetest.Fault{Op: "put", Err: errDown})
	f.data["south"].Inject(storetest.Fault{Op: "get", Damage: true})
	_, err := f.Put(t.Context(), "objects/x", storetest.Body(storetest.Bytes(100)), replica.Placement{Quorum: 2})
	if !errors.Is(err, replica.ErrQuorum) || !errors.Is(err, errDown) || !errors.Is(err, storage.ErrCorrupt) {
		t.Errorf("Put = %v; want ErrQuorum with the reasons", err)
	}
	for _, name := range []string{"north", "south"} {
		if err == nil || !strings.Contains(err.Error(), "region "+name) {
			t.Errorf("Put = %v; want region %s named", err, name)
		}
	}
}

func TestQuorumMustBePossible(t *testing.T) {
	f := regions(t, nil)
	for _, p := range []replica.Placement{
		{}, {Quorum: 4}, {Quorum: 2, Regions: []string{"east"}}, {Quorum: 1, Regions: []string{}},
		{Quorum: 1, Regions: []string{"west"}}, {Quorum: 2, Regions: []string{"east", "east"}},
	} {
		if placed, err := f.Put(t.Context(), "x", storetest.Body(nil), p); err == nil {
			t.Errorf("Put with %+v = %v, nil; want an error", p, placed)
		}
	}
}

func TestRegionThatIsNotReadyDoesNotCount(t *testing.T) {
	f := regions(t, nil)
	errWraps := errors.New("wraps differ")
	p := replica.Placement{Quorum: 2, Ready: func(_ context.Context, region string) error {
		if !f.holds(region, "objects/x", []byte("abc")) {
			t.Errorf("Ready(%s) before the object is there", region)
		}
		if region == "south" {
			return nil
		}
		return errWraps
	}}
	placed, err := f.Put(t.Context(), "objects/x", storetest.Body([]byte("abc")), p)
	if !errors.Is(err, replica.ErrQuorum) || !errors.Is(err, errWraps) {
		t.Errorf("Put = %v, %v; want ErrQuorum and the reason", placed, err)
	}
}

func TestSlowRegionIsGivenItsGraceOnce(t *testing.T) {
	f := regions(t, func(c *replica.Config) { c.Grace = 300 * time.Millisecond })
	f.data["south"].Inject(storetest.Fault{Op: "put", Stall: true})
	for i, key := range []string{"first", "second"} {
		start := time.Now()
		if _, err := f.Put(t.Context(), key, storetest.Body([]byte("abc")), replica.Placement{Quorum: 2}); err != nil {
			t.Fatalf("Put = %v", err)
		}
		if waited := time.Since(start) >= 300*time.Millisecond; waited != (i == 0) {
			t.Errorf("the %s Put took %v; want the grace in the first only", key, time.Since(start))
		}
	}
}

func TestPutHonoursItsContext(t *testing.T) {
	f := regions(t, nil)
	for _, s := range f.data {
		s.Inject(storetest.Fault{Op: "put", Stall: true})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := f.Put(ctx, "x", storetest.Body(nil), replica.Placement{Quorum: 2}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Put = %v; want context.DeadlineExceeded", err)
	}
}

func TestWriteThatStallsEnds(t *testing.T) {
	f := regions(t, func(c *replica.Config) { c.WriteIdle = 50 * time.Millisecond })
	for _, s := range f.data {
		s.Inject(storetest.Fault{Op: "put", Stall: true})
	}
	_, err := f.Put(t.Context(), "x", storetest.Body(nil), replica.Placement{Quorum: 3})
	if !errors.Is(err, replica.ErrQuorum) || !strings.Contains(err.Error(), "stalled") {
		t.Errorf("Put = %v; want ErrQuorum after a stall", err)
	}
}

func TestReadGoesOnInAnotherRegion(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault storetest.Fault
	}{
		{"refused", storetest.Fault{Op: "get", Err: errDown}},
		{"never answers", storetest.Fault{Op: "get", Stall: true}},
		{"dies at the first byte", storetest.Fault{Op: "get", After: 1, Err: errDown}},
		{"dies in the middle", storetest.Fault{Op: "get", After: 123_457, Err: errDown}},
		{"ends early", storetest.Fault{Op: "get", After: 200_001, Err: io.EOF}},
		{"stalls in the middle", storetest.Fault{Op: "get", After: 70_000, Stall: true}},
		{"has lost it", storetest.Fault{Op: "get", Err: storage.ErrNotExist}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := regions(t, nil)
			b := storetest.Bytes(400_000)
			f.everywhere("objects/x", b)
			f.data["east"].Inject(c.fault)
			f.read("objects/x", b, []string{"east", "south", "north"})
			if f.data["north"].Count("get") != 1 { // the read-back of Put
				t.Errorf("north was read though south had it all")
			}
		})
	}
}

func TestReadThroughSeveralDeaths(t *testing.T) {
	f := regions(t, nil)
	b := storetest.Bytes(400_000)
	f.everywhere("objects/x", b)
	for _, s := range f.data {
		s.Inject(storetest.Fault{Op: "get", After: 150_000, Err: errDown, Times: 1})
	}
	f.read("objects/x", b, nil)
}

func TestReadEndsWhenNoRegionIsLeft(t *testing.T) {
	f := regions(t, nil)
	b := storetest.Bytes(100_000)
	f.everywhere("objects/x", b)
	for _, s := range f.data {
		s.Inject(storetest.Fault{Op: "get", After: 10_000, Err: errDown})
	}
	r, err := f.Open("objects/x", int64(len(b)), nil).Get(t.Context(), 0, -1)
	if err != nil {
		t.Fatalf("Get = %v", err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err == nil || !bytes.HasPrefix(b, got) || len(got) == len(b) {
		t.Errorf("Read = %d bytes, %v; want a prefix and an error", len(got), err)
	}
}

func TestAbsentOnlyWhenEveryRegionSaysSo(t *testing.T) {
	f := regions(t, nil)
	if _, err := f.Open("objects/none", 10, nil).Get(t.Context(), 0, -1); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("Get = %v; want ErrNotExist", err)
	}
	f.data["south"].Inject(storetest.Fault{Op: "get", Err: errDown})
	if _, err := f.Open("objects/none", 10, nil).Get(t.Context(), 0, -1); err == nil || errors.Is(err, storage.ErrNotExist) {
		t.Errorf("Get with a region down = %v; want an error that is not ErrNotExist", err)
	}
}

func TestSickRegionIsAskedLast(t *testing.T) {
	f := regions(t, nil)
	b := storetest.Bytes(1000)
	f.everywhere("objects/x", b)
	f.data["north"].Inject(storetest.Fault{Op: "get", Err: errDown})
	for range 5 {
		f.read("objects/x", b, nil)
	}
	if n := f.data["north"].Count("get"); n != 2 { // the read-back of Put, and the failure
		t.Errorf("north was asked %d times; want 2", n)
	}
}

func TestRangeOfRead(t *testing.T) {
	f := regions(t, nil)
	b := storetest.Bytes(10_000)
	f.everywhere("objects/x", b)
	o := f.Open("objects/x", 10_000, nil)
	r, err := o.Get(t.Context(), 5000, 123)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, b[5000:5123]) {
		t.Errorf("Read = %d bytes, %v; want 123", len(got), err)
	}
	if _, err := o.Get(t.Context(), 9000, 1001); !errors.Is(err, storage.ErrRange) {
		t.Errorf("Get past the end = %v; want ErrRange", err)
	}
}

func TestTruncatedObjectIsReadElsewhere(t *testing.T) {
	f := regions(t, nil)
	b := storetest.Bytes(10_000)
	f.everywhere("objects/x", b)
	if err := os.Truncate(filepath.Join(f.roots["north"], "objects/x"), 500); err != nil {
		t.Fatal(err)
	}
	f.read("objects/x", b, nil)
}

func TestDamagedBytesAreTakenFromAnotherRegion(t *testing.T) {
	f := regions(t, nil)
	b := storetest.Bytes(10_000)
	f.everywhere("objects/x", b)
	f.damage("north", "objects/x")
	o := f.Open("objects/x", 10_000, nil)
	read := func() []byte {
		r, err := o.Get(t.Context(), 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if bytes.Equal(read(), b) {
		t.Fatal("north was not read first")
	}
	if region, more := o.Damaged(); region != "north" || !more {
		t.Errorf("Damaged = %s, %v; want north and more to try", region, more)
	}
	if !bytes.Equal(read(), b) {
		t.Error("the second read gives bad bytes as well")
	}
}

func TestReadIsCancelled(t *testing.T) {
	f := regions(t, nil)
	b := storetest.Bytes(100_000)
	f.everywhere("objects/x", b)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := f.Open("objects/x", 100_000, nil).Get(ctx, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("Read = %v; want context.Canceled", err)
	}
	f.read("objects/x", b, nil)
	if n := f.data["north"].Count("get"); n != 3 {
		t.Errorf("north was asked %d times; want 3: the caller's leaving is not its fault", n)
	}
}

func TestCopyTakesTheFirstRightBytes(t *testing.T) {
	f := regions(t, nil)
	b := storetest.Bytes(300_000)
	want := f.everywhere("objects/x", b)
	f.damage("north", "objects/x")
	if err := os.Remove(filepath.Join(f.roots["south"], "objects/x")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		if err := f.Copy(t.Context(), "objects/x", want, []string{"north", "east"}, "south"); err != nil {
			t.Fatalf("Copy = %v", err)
		}
	}
	if !f.holds("south", "objects/x", b) {
		t.Error("south does not hold the right bytes")
	}
}

func TestCopyOfDamageOnlyStoresNothing(t *testing.T) {
	f := regions(t, nil)
	b := storetest.Bytes(1000)
	want := f.everywhere("objects/x", b)
	f.damage("north", "objects/x")
	if err := os.Remove(filepath.Join(f.roots["south"], "objects/x")); err != nil {
		t.Fatal(err)
	}
	if err := f.Copy(t.Context(), "objects/x", want, []string{"north"}, "south"); err == nil {
		t.Error("Copy of damaged bytes succeeded")
	}
	if f.data["south"].Count("put") != 1 {
		t.Error("something was put into south")
	}
}

func TestCopyDoesNotReplace(t *testing.T) {
	f := regions(t, nil)
	b := storetest.Bytes(1000)
	want := f.everywhere("objects/x", b)
	f.damage("south", "objects/x")
	if err := f.Copy(t.Context(), "objects/x", want, nil, "south"); !errors.Is(err, storage.ErrExist) {
		t.Errorf("Copy over other bytes = %v; want ErrExist", err)
	}
}

func TestRepair(t *testing.T) {
	f := regions(t, nil)
	b := storetest.Bytes(300_000)
	want := f.everywhere("objects/x", b)
	for _, c := range []struct {
		name    string
		breakIt func()
	}{
		{"right already", func() {}},
		{"damaged", func() { f.damage("south", "objects/x") }},
		{"absent", func() { os.Remove(filepath.Join(f.roots["south"], "objects/x")) }},
		{"truncated", func() { os.Truncate(filepath.Join(f.roots["south"], "objects/x"), 10) }},
		{"damaged, and in another region too", func() { f.damage("north", "objects/x"); f.damage("south", "objects/x") }},
	} {
		c.breakIt()
		if err := f.Repair(t.Context(), "objects/x", want, "south"); err != nil {
			t.Errorf("%s: Repair = %v", c.name, err)
		}
		if !f.holds("south", "objects/x", b) {
			t.Errorf("%s: south is not repaired", c.name)
		}
	}
	kept, err := filepath.Glob(filepath.Join(f.roots["south"], "quarantine/objects/x.*"))
	if err != nil || len(kept) != 3 {
		t.Errorf("quarantine = %v, %v; want the three bad ones", kept, err)
	}
}

func TestRepairWithoutGoodBytesChangesNothing(t *testing.T) {
	f := regions(t, nil)
	want := f.everywhere("objects/x", storetest.Bytes(1000))
	for name := range f.data {
		f.damage(name, "objects/x")
	}
	if err := f.Repair(t.Context(), "objects/x", want, "south"); err == nil {
		t.Error("Repair succeeded without a good region")
	}
	if f.data["south"].Count("repair") != 0 {
		t.Error("south was changed")
	}
}

func TestSpoolIsLeftEmpty(t *testing.T) {
	spool := t.TempDir()
	f := regions(t, func(c *replica.Config) { c.Spool = spool })
	want := f.everywhere("objects/x", storetest.Bytes(1000))
	f.damage("south", "objects/x")
	if err := f.Repair(t.Context(), "objects/x", want, "south"); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(spool); err != nil || len(left) > 0 {
		t.Errorf("spool holds %v, %v; want nothing", left, err)
	}
}

func TestDeleteNeedsEveryRegion(t *testing.T) {
	f := regions(t, nil)
	f.everywhere("objects/x", storetest.Bytes(10))
	f.data["east"].Inject(storetest.Fault{Op: "delete", Err: errDown, Times: 1})
	err := f.Delete(t.Context(), "objects/x")
	if !errors.Is(err, errDown) || !strings.Contains(err.Error(), "region east") || strings.Contains(err.Error(), "north") {
		t.Errorf("Delete = %v; want region east named", err)
	}
	if err := f.Delete(t.Context(), "objects/x"); err != nil {
		t.Errorf("Delete again = %v", err)
	}
	if _, err := f.Open("objects/x", 10, nil).Get(t.Context(), 0, -1); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("Get = %v; want ErrNotExist", err)
	}
}

func TestNewRefuses(t *testing.T) {
	s := open(t, t.TempDir())
	for name, cfg := range map[string]replica.Config{
		"no regions": {},
		"no name":    {Regions: []storage.Region{{Data: s, Keys: s}}},
		"no data":    {Regions: []storage.Region{{Name: "a", Keys: s}}},
		"no keys":    {Regions: []storage.Region{{Name: "a", Data: s}}},
		"same name":  {Regions: []storage.Region{{Name: "a", Data: s, Keys: s}, {Name: "a", Data: s, Keys: s}}},
	} {
		if _, err := replica.New(cfg); err == nil {
			t.Errorf("New with %s succeeded", name)
		}
	}
}

// keeper is a store that holds on to the body it was lent.
type keeper struct {
	storage.Store
	body storage.Body
}

func (k *keeper) Put(ctx context.Context, key string, body storage.Body) error {
	k.body = body
	return k.Store.Put(ctx, key, body)
}

func TestBodyIsNotReadAfterPut(t *testing.T) {
	k := &keeper{Store: open(t, t.TempDir())}
	set, err := replica.New(replica.Config{Regions: []storage.Region{{Name: "north", Data: k, Keys: k}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Put(t.Context(), "objects/x", storetest.Body([]byte("abc")), replica.Placement{Quorum: 1}); err != nil {
		t.Fatal(err)
	}
	if n, err := k.body.ReadAt(make([]byte, 3), 0); err == nil {
		t.Errorf("ReadAt after Put = %d bytes; want an error", n)
	}
}
