package vault_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"medvault/keys"
	"medvault/storage"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// summing is a store that took a sum of its own of whatever it holds.
type summing struct{ storage.Store }

func (s summing) OwnSum(ctx context.Context, key string) ([32]byte, bool, error) {
	_, sum, err := storage.Sum(ctx, s.Store, key)
	if strings.HasPrefix(key, "objects/ff") { // as one sent in parts
		return [32]byte{}, false, nil
	}
	return sum, err == nil, err
}

func TestChecksumIsTheStoresOwnOrNothing(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{Store: func(region, bucket string, s storage.Store) storage.Store {
		if region == "cn-north" {
			return summing{s}
		}
		return s
	}})
	id := put(t, h, ct(patient(), 1)).ID
	if id[:2] == "ff" {
		t.Skip("the one id in 256 whose sum is not told")
	}
	eventually(t, "every region holds it", func() bool {
		return objects(t, h, "cn-north")+objects(t, h, "cn-east")+objects(t, h, "cn-south") == 3
	})
	r := verify(t, h, vault.LevelChecksum)
	var mute []string
	for _, n := range r.Notes {
		if n.Type == vault.NoteNotSupported && n.Count == 1 {
			mute = append(mute, n.Region)
		}
	}
	if len(r.Findings) > 0 || !slices.Equal(mute, []string{"cn-east", "cn-south"}) {
		t.Errorf("findings %v, notes %+v; want none, and two regions that cannot tell", named(r.Findings), r.Notes)
	}
	if r.Coverage[0].Proven != 1 || r.Coverage[1].Proven != 0 {
		t.Errorf("coverage = %+v; want one proven in cn-north alone", r.Coverage)
	}
	for _, region := range []string{"cn-north", "cn-east"} {
		damage(t, filepath.Join(h.Dir, "regions", region, filepath.FromSlash(id.Key("objects"))), func(b []byte) []byte { b[200] ^= 1; return b })
	}
	if got, want := named(verify(t, h, vault.LevelChecksum).Findings), []string{"wrong-checksum cn-north " + string(id)}; !slices.Equal(got, want) {
		t.Errorf("findings = %v; want %v: a store without a sum is no pass and no finding", got, want)
	}
	if r := mend(t, h, vault.RepairOptions{Level: vault.LevelChecksum, Region: "cn-north"}); len(r.Steps) != 1 || r.Left != 0 {
		t.Errorf("Repair = %+v; want one", r)
	}
}

// blind is a key service that opens nothing while it is told not to.
type blind struct {
	keys.Wrapper
	shut *atomic.Bool
}

func (b blind) Unwrap(ctx context.Context, items []keys.Bound) ([]keys.DEK, error) {
	if b.shut.Load() {
		return nil, keys.ErrRefused
	}
	return b.Wrapper.Unwrap(ctx, items)
}

func TestDecryptSaysWhatDoesNotOpen(t *testing.T) {
	var shut atomic.Bool
	h := vaulttest.New(t, vaulttest.Options{Wrapper: func(region string, w keys.Wrapper) keys.Wrapper {
		if region == "cn-south" {
			return blind{w, &shut}
		}
		return w
	}})
	r := put(t, h, ct(patient(), 1))
	treat(t, h, r.Patient) // a record besides
	eventually(t, "every region holds both", func() bool {
		states, err := h.State(t.Context())
		return err == nil && states[0].Objects+states[1].Objects+states[2].Objects == 6
	})
	if f := verify(t, h, vault.LevelDecrypt); len(f.Findings) > 0 || f.Coverage[0].Proven != 2 {
		t.Fatalf("findings %v, coverage %+v; want none of two", named(f.Findings), f.Coverage)
	}
	damage(t, filepath.Join(h.Dir, "regions", "cn-east", filepath.FromSlash(r.ID.Key("objects"))), func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	shut.Store(true)
	want := []string{"damaged cn-east " + string(r.ID)}
	for _, f := range verify(t, h, vault.LevelDecrypt).Findings {
		if f.Type == vault.FindingWrapDamaged && f.Region == "cn-south" {
			continue
		}
		if got := f.Type + " " + f.Region + " " + f.Object; got != want[0] {
			t.Errorf("found %s; want %s and the wraps of cn-south", got, want[0])
		}
		want[0] = "nothing more"
	}
	if want[0] != "nothing more" {
		t.Errorf("did not find %s", want[0])
	}
	for _, role := range []record.Role{record.RoleClinician, record.RoleResearcher, record.RoleAuditor} {
		if _, err := h.Verify(t.Context(), vaulttest.Actor(role), vault.VerifyOptions{Level: vault.LevelDecrypt}, nil); !errors.Is(err, record.ErrDenied) {
			t.Errorf("%s: Verify = %v; want ErrDenied", role, err)
		}
	}
}

func TestGroupsCoverEverything(t *testing.T) {
	s := newSite(t, 60)
	var proven int64
	found := make(map[string]int)
	for _, id := range s.docs {
		damage(t, s.path("cn-east", id.Key("objects")), func(b []byte) []byte { b[150] ^= 1; return b })
	}
	for n := range 3 {
		r, err := s.h.Verify(t.Context(), operator, vault.VerifyOptions{Level: vault.LevelRead, Region: "cn-east", Sample: fmt.Sprintf("%d/3", n+1)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		proven += r.Coverage[0].Proven
		for _, f := range r.Findings {
			found[f.Object]++
		}
	}
	if proven != 60 || len(found) != len(s.docs) {
		t.Errorf("three groups prove %d objects and find %d; want 60 and %d", proven, len(found), len(s.docs))
	}
	for _, sample := range []string{"1", "17", "60", "100"} {
		r, err := s.h.Verify(t.Context(), operator, vault.VerifyOptions{Level: vault.LevelRead, Region: "cn-north", Sample: sample}, nil)
		var want int64
		fmt.Sscan(sample, &want)
		if want = min(want, 60); err != nil || r.Coverage[0].Proven != want || r.Coverage[0].Detection != vault.Detection(60, want, 0.001) {
			t.Errorf("sample %s: coverage %+v, %v; want exactly %d", sample, r.Coverage, err, want)
		}
	}
	for _, bad := range []string{"0", "-1", "0/3", "4/3", "x", "1/", "1/2/3"} {
		if _, err := s.h.Verify(t.Context(), operator, vault.VerifyOptions{Level: vault.LevelRead, Sample: bad}, nil); !errors.Is(err, record.ErrInvalid) {
			t.Errorf("sample %q = %v; want ErrInvalid", bad, err)
		}
	}
}

func TestACutVerificationGoesOnWhereItStopped(t *testing.T) {
	faulty := make(map[string]*storetest.Faulty)
	h := vaulttest.New(t, vaulttest.Options{Store: func(region, bucket string, s storage.Store) storage.Store {
		f := storetest.NewFaulty(s)
		faulty[region+"/"+bucket] = f
		return f
	}})
	s := &site{t: t, h: h, of: make(map[record.ObjectID]record.PatientToken)}
	r := put(t, h, ct(patient(), 1))
	s.docs, s.of[r.ID] = append(s.docs, r.ID), r.Patient
	eventually(t, "every region holds it", func() bool {
		return objects(t, h, "cn-north")+objects(t, h, "cn-east")+objects(t, h, "cn-south") == 3
	})
	s.fill(1500)
	slices.Sort(s.rest)
	first, last := s.rest[10].Key("records"), s.rest[1490].Key("records")
	for _, key := range []string{first, last} {
		damage(t, s.path("cn-north", key), func(b []byte) []byte { b[0] ^= 1; return b })
	}
	// The verification is cut off late in its first region, after it was saved.
	ctx, cut := context.WithCancel(t.Context())
	defer cut()
	faulty["cn-north/data"].Inject(storetest.Fault{Op: "get", Key: s.rest[1400].Key("records"), Stall: true, Times: 1})
	var id record.ObjectID
	time.AfterFunc(10*time.Second, cut)
	_, err := h.Verify(ctx, operator, vault.VerifyOptions{Level: vault.LevelRead, Begun: func(begun record.ObjectID) { id = begun }}, func(done, _ int64) {
		if done >= 1390 {
			time.AfterFunc(100*time.Millisecond, cut)
		}
	})
	if !errors.Is(err, context.Canceled) || id == "" {
		t.Fatalf("Verify = %v; want it cut, with an id", err)
	}
	list, err := h.Verifications(t.Context(), operator, time.Time{}, 1)
	if err != nil || len(list) != 1 || list[0].State != "cut" || list[0].ID != string(id) {
		t.Errorf("Verifications = %+v, %v; want it cut", list, err)
	}
	faulty["cn-north/data"].Heal()
	before := faulty["cn-north/data"].Count("get")
	report, err := h.Verify(t.Context(), operator, vault.VerifyOptions{Resume: id}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if again := faulty["cn-north/data"].Count("get") - before; again > 700 {
		t.Errorf("%d objects of cn-north were read again; want no more than since it was saved", again)
	}
	want := []string{"damaged cn-north " + filepath.Base(first), "damaged cn-north " + filepath.Base(last)}
	slices.Sort(want)
	if got := named(report.Findings); !slices.Equal(got, want) {
		t.Errorf("findings = %v; want %v", got, want)
	}
	if total := int64(3*1501 + 3*6); report.Checked != total {
		t.Errorf("checked %d; want every one of %d once", report.Checked, total)
	}
	if _, err := h.Verify(t.Context(), operator, vault.VerifyOptions{Resume: id}, nil); !errors.Is(err, record.ErrConflict) {
		t.Errorf("resume after its end = %v; want ErrConflict", err)
	}
}

func TestALimitIsKept(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	put(t, h, ct(patient(), 1))
	states, err := h.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := h.Verify(t.Context(), operator, vault.VerifyOptions{Level: vault.LevelRead, Region: "cn-north", Limit: states[0].Bytes * 2}, nil); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Errorf("half a second's worth was read in %s", took)
	}
}

func TestOrphansCountAfterADay(t *testing.T) {
	s := newSite(t, 12)
	s.orphan()
	old := s.done[0]
	// The same, as if it had just been written: an upload may be about to record it.
	s.orphan()
	young := strings.Fields(s.done[1])
	path := s.path(young[1], record.ObjectID(young[2]).Key("objects"))
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	r := verify(t, s.h, vault.LevelList)
	if got := named(r.Findings); !slices.Equal(got, []string{old}) {
		t.Errorf("findings = %v; want %s", got, old)
	}
	if len(r.Notes) != 1 || r.Notes[0].Type != vault.NoteYoungOrphan || r.Notes[0].Object != young[2] {
		t.Errorf("notes = %+v; want the young one", r.Notes)
	}
	// A time to come hides nothing.
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := named(verify(t, s.h, vault.LevelList).Findings); len(got) != 2 {
		t.Errorf("findings = %v; want both", got)
	}
}

func TestOneOfSeveralGatewaysVerifiesOnSchedule(t *testing.T) {
	dir := t.TempDir()
	every := []vault.VerifyEvery{{Level: vault.LevelRead, Sample: "1/2", Every: time.Minute}}
	now := time.Now()
	var passed atomic.Int64
	clock := func() time.Time { return now.Add(time.Duration(passed.Load())) }
	one := vaulttest.New(t, vaulttest.Options{Dir: dir, Verify: every, Now: clock})
	put(t, one, ct(patient(), 1))
	vaulttest.New(t, vaulttest.Options{Dir: dir, Verify: every, Now: clock})
	runs := func() (list []vault.Verification) {
		list, err := one.Verifications(t.Context(), operator, now.Add(time.Hour), 100)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	eventually(t, "the first run has ended", func() bool { l := runs(); return len(l) == 1 && l[0].State == "done" })
	passed.Store(int64(61 * time.Second))
	eventually(t, "the second run has ended", func() bool { l := runs(); return len(l) == 2 && l[0].State == "done" })
	time.Sleep(300 * time.Millisecond)
	l := runs()
	if len(l) != 2 || l[0].Sample != "2/2" || l[1].Sample != "1/2" || !l[0].Schedule || l[0].Actor != "medvault" {
		t.Errorf("runs = %+v; want two by one gateway, of both groups", l)
	}
	last, err := one.LastVerified(t.Context())
	if err != nil || len(last) != 4 || last[0].Level != vault.LevelRead || last[0].Findings != 0 {
		t.Errorf("LastVerified = %+v, %v; want four regions at level read", last, err)
	}
}

func TestAReportIsInTheLog(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	put(t, h, ct(patient(), 1))
	r := verify(t, h, vault.LevelList)
	kept, err := h.VerificationReport(t.Context(), operator, record.ObjectID(r.ID))
	if err != nil {
		t.Fatal(err)
	}
	file, err := kept.File()
	if err != nil {
		t.Fatal(err)
	}
	key := func() string {
		a, err := h.AuditVerify(t.Context(), auditor)
		if err != nil {
			t.Fatal(err)
		}
		return a.Key
	}()
	if got, err := vault.CheckReport(file, key); err != nil || got.ID != r.ID {
		t.Errorf("CheckReport of what is kept = %v, %v", got.ID, err)
	}
	other := vaulttest.New(t, vaulttest.Options{})
	if a, err := other.AuditVerify(t.Context(), auditor); err != nil {
		t.Fatal(err)
	} else if _, err := vault.CheckReport(file, a.Key); err == nil {
		t.Error("another vault's key accepts the report")
	}
	kept.Signed = ""
	compact, err := json.Marshal(kept)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, l := range leaves(t, h, "regions.verified") {
		if l.Check != nil && l.Check.Report == fmt.Sprintf("%x", sha256.Sum256(compact)) && l.Check.Checked == r.Checked && string(l.Object) == r.ID {
			found = true
		}
	}
	if !found {
		t.Error("no leaf names the report")
	}
}

// TestTheRegionsOwnLogSaysWhatItMustHold: the catalog is not asked.
func TestTheRegionsOwnLogSaysWhatItMustHold(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	if got, want := named(verify(t, h, vault.LevelLog).Findings), "log-missing cn-north "; !slices.Contains(got, want) {
		t.Errorf("before any export: findings = %q; want %q", got, want)
	}
	var ids []record.ObjectID
	for i := range 6 {
		ids = append(ids, put(t, h, ct(patient(), i+1)).ID)
		if i == 2 { // the rest is in leaves behind the manifest
			if err := h.ExportLog(t.Context(), operator); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "every region holds every document", func() bool {
		states, err := h.State(t.Context())
		return err == nil && states[0].Objects+states[1].Objects+states[2].Objects == 18
	})
	young := verify(t, h, vault.LevelLog)
	if len(young.Findings) > 0 || len(young.Notes) != 9 {
		t.Errorf("findings %v, notes %+v; want none, and three young objects in each region", named(young.Findings), young.Notes)
	}
	if err := h.ExportLog(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	whole, err := h.Verify(t.Context(), operator, vault.VerifyOptions{Level: vault.LevelLog, Sample: "1/1"}, nil)
	if err != nil || len(whole.Findings) > 0 || len(whole.Notes) > 0 || whole.Checked != 18 || whole.Coverage[0].Proven != 6 {
		t.Errorf("Verify = %+v, %v; want 18 checked, 6 of cn-north proven, nothing found", whole, err)
	}
	path := func(region string, id record.ObjectID) string {
		return filepath.Join(h.Dir, "regions", region, filepath.FromSlash(id.Key("objects")))
	}
	past := time.Now().Add(-25 * time.Hour)
	stray := record.NewObjectID()
	plant(t, h, "cn-north", stray.Key("objects"))
	if err := errors.Join(os.Remove(path("cn-north", ids[0])), os.Chtimes(path("cn-north", stray), past, past)); err != nil {
		t.Fatal(err)
	}
	damage(t, path("cn-east", ids[4]), func(b []byte) []byte { return b[1:] })
	damage(t, path("cn-south", ids[5]), func(b []byte) []byte { b[40] ^= 1; return b })
	r, err := h.Verify(t.Context(), operator, vault.VerifyOptions{Level: vault.LevelLog, Sample: "1/1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"missing cn-north " + string(ids[0]), "orphan cn-north " + string(stray), "wrong-size cn-east " + string(ids[4]), "damaged cn-south " + string(ids[5])}
	slices.Sort(want)
	if got := named(r.Findings); !slices.Equal(got, want) {
		t.Errorf("findings = %q; want %q", got, want)
	}
}
