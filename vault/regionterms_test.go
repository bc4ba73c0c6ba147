package vault_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"medvault/storage"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// movedClock is a time that a test moves.
type movedClock struct{ ahead atomic.Int64 }

func (c *movedClock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *movedClock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// countedStore counts what is read of it.
type countedStore struct {
	storage.Store
	reads *atomic.Int64
}

func (s countedStore) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	if strings.HasPrefix(key, "objects/") {
		s.reads.Add(1)
	}
	return s.Store.Get(ctx, key, offset, length)
}

func TestAnArchiveCountsForNothingAndIsReadLast(t *testing.T) {
	t.Parallel()
	reads := make(map[string]*atomic.Int64)
	faulty := make(map[string]*storetest.Faulty)
	h := vaulttest.New(t, vaulttest.Options{
		Terms: map[string]vault.RegionTerms{"cn-north": {Role: vault.RoleArchive}, "cn-east": {Role: vault.RoleReplica}},
		Store: func(region, bucket string, s storage.Store) storage.Store {
			f := storetest.NewFaulty(s)
			faulty[region+"/"+bucket] = f
			if bucket == "keys" {
				return f
			}
			reads[region] = new(atomic.Int64)
			return countedStore{f, reads[region]}
		}})
	r := put(t, h, ct(patient(), 1))
	slices.Sort(r.Regions)
	if want := []string{"cn-east", "cn-south"}; !slices.Equal(r.Regions, want) {
		t.Errorf("acknowledged by %v; want %v: the archive does not take part", r.Regions, want)
	}
	eventually(t, "the archive has its copy", func() bool { return len(holders(t, h, r.ID)) == 3 })
	treat(t, h, r.Patient)
	readBy := func() (names []string) {
		before := make(map[string]int64)
		for name, n := range reads {
			before[name] = n.Load()
		}
		read(t, open(t, h, clinician, vault.Ref{Document: r.ID})[0])
		for _, name := range vaulttest.Regions() {
			if reads[name].Load() > before[name] {
				names = append(names, name)
			}
		}
		return names
	}
	for _, step := range []struct{ down, want string }{{"", "cn-south"}, {"cn-south", "cn-east"}, {"cn-east", "cn-north"}} {
		if step.down != "" {
			faulty[step.down+"/data"].Inject(storetest.Fault{Op: "get", Err: storage.ErrAway})
		}
		if by := readBy(); by[len(by)-1] != step.want && !slices.Contains(by, step.want) || step.down == "" && len(by) != 1 {
			t.Errorf("with %q down read from %v; want %s", step.down, by, step.want)
		}
	}
	faulty["cn-south/data"].Heal()
	faulty["cn-east/data"].Heal()
	faulty["cn-east/data"].Inject(storetest.Fault{Op: "put", Err: storage.ErrAway})
	if _, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(ct(patient(), 2))}); !errors.Is(err, record.ErrUnavailable) {
		t.Errorf("with one of two regions that count = %v; want ErrUnavailable", err)
	}
	if s := state(t, h, "cn-north"); s.Role != vault.RoleArchive || s.Lock.Mode != "none" {
		t.Errorf("the archive's state = %+v", s)
	}
	refusedAs(t, "freezing one of two that count", h.OrderRegion(t.Context(), operator, "cn-east", vault.OrderFreeze), record.ErrConflict, "too-few-regions")
}

func TestAnExpiredCertificationStopsNewPlacementAlone(t *testing.T) {
	t.Parallel()
	var at movedClock
	mlps := vault.Certification{Name: "MLPS level 3", Document: "CERT-1", SHA256: strings.Repeat("ab", 32), Expires: time.Now().Add(time.Hour)}
	o := vaulttest.Options{Dir: t.TempDir(), Now: at.now, Terms: map[string]vault.RegionTerms{"cn-south": {Certification: mlps}}}
	h := vaulttest.New(t, o)
	before := put(t, h, ct(patient(), 1))
	eventually(t, "three copies", func() bool { return len(holders(t, h, before.ID)) == 3 })
	s := state(t, h, "cn-south")
	if s.Problem != "" || len(s.Warnings) != 1 || s.Certification == nil || s.Certification.Expired || s.Certification.Name != mlps.Name {
		t.Errorf("an hour before = %+v, %+v; want a warning", s, s.Certification)
	}
	if n := state(t, h, "cn-north"); n.Problem != "" || len(n.Warnings) != 1 || n.Certification != nil {
		t.Errorf("a region without one = %+v; want a warning", n)
	}
	at.forward(2 * time.Hour)
	eventually(t, "it is written down", func() bool {
		ls := leaves(t, h, record.ActionRegionsManage)
		return len(ls) > 0 && ls[len(ls)-1].Origin == "certification-expired cn-south"
	})
	during := put(t, h, ct(patient(), 2))
	order(t, h, "cn-south", vault.OrderBackfill)
	eventually(t, "the walk has ended", func() bool { w := state(t, h, "cn-south").Walk; return w != nil && w.Ended != nil })
	if holds := holders(t, h, during.ID); !slices.Equal(holds, []string{"cn-north", "cn-east"}) {
		t.Errorf("stored after it expired: lies in %v", holds)
	}
	if s := state(t, h, "cn-south"); !strings.Contains(s.Problem, "certification expired") || !s.Certification.Expired {
		t.Errorf("expired = %+v, %+v", s, s.Certification)
	}
	treat(t, h, before.Patient)
	read(t, open(t, h, clinician, vault.Ref{Document: before.ID})[0])
	if r := verify(t, h, "read"); len(r.Findings) > 0 {
		t.Errorf("findings while expired = %+v", r.Findings)
	}
	h.Stop()

	// Were a second one to expire, nothing would be acknowledged with a single copy.
	o.Terms = map[string]vault.RegionTerms{"cn-south": {Certification: mlps}, "cn-east": {Certification: mlps}}
	h = vaulttest.New(t, o)
	_, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(ct(patient(), 3))})
	if !errors.Is(err, record.ErrUnavailable) {
		t.Errorf("with one certified region left = %v; want ErrUnavailable", err)
	}
	if ready, missing := h.Ready(t.Context()); ready || len(missing) != 2 {
		t.Errorf("ready = %v, missing %q; want two that nothing may be placed in", ready, missing)
	}
	h.Stop()

	mlps.Expires = at.now().AddDate(1, 0, 0)
	o.Terms = map[string]vault.RegionTerms{"cn-south": {Certification: mlps}, "cn-east": {Certification: mlps}}
	h = vaulttest.New(t, o)
	eventually(t, "what it missed comes there", func() bool { return len(holders(t, h, during.ID)) == 3 })
	eventually(t, "nothing is behind", func() bool { s := state(t, h, "cn-south"); return s.Pending == 0 && s.Problem == "" })
	if r := verify(t, h, "read"); len(r.Findings) > 0 {
		t.Errorf("findings after it was renewed = %+v", r.Findings)
	}
}

func TestTermsThatNoRegionMayHave(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		is   map[string]vault.RegionTerms
		want string
	}{
		{"a directory that is to lock", map[string]vault.RegionTerms{"cn-east": {Lock: vault.RegionLock{Mode: storage.Governance, For: time.Hour}}}, "region cn-east: lock governance: the store has no object lock"},
		{"compliance abroad", map[string]vault.RegionTerms{vaulttest.Foreign: {Lock: vault.RegionLock{Mode: storage.Compliance, For: time.Hour}}}, "compliance abroad"},
		{"a mode that is none", map[string]vault.RegionTerms{"cn-east": {Lock: vault.RegionLock{Mode: "legal", For: time.Hour}}}, "no such mode"},
		{"a lock without end", map[string]vault.RegionTerms{"cn-east": {Lock: vault.RegionLock{Mode: storage.Governance, For: vault.MaxLock + 1}}}, "want up to 3653 days"},
		{"a role that is none", map[string]vault.RegionTerms{"cn-east": {Role: "mirror"}}, "no such role"},
		{"archives alone", map[string]vault.RegionTerms{"cn-north": {Role: vault.RoleArchive}, "cn-east": {Role: vault.RoleArchive}, "cn-south": {Role: vault.RoleArchive}}, "every region at home is an archive"},
	} {
		t.Run(row.name, func(t *testing.T) {
			h, err := vaulttest.Open(t.Context(), vaulttest.Options{Dir: t.TempDir(), Terms: row.is})
			if err == nil {
				h.Stop()
			}
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("Open = %v; want it to say %q", err, row.want)
			}
		})
	}
}
