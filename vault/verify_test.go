package vault_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"medvault/storage"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// named lists findings as "type region object", sorted.
func named(findings []vault.Finding) []string {
	var names []string
	for _, f := range findings {
		names = append(names, f.Type+" "+f.Region+" "+f.Object)
	}
	slices.Sort(names)
	return names
}

// plant writes a file that the vault never put into a region.
func plant(t *testing.T, h *vaulttest.House, bucket, key string) {
	t.Helper()
	path := filepath.Join(h.Dir, "regions", bucket, filepath.FromSlash(key))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("what is this"), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyNamesEverythingForeign: whatever nobody promised is named, under any name
// and in either bucket, and nothing that belongs there is.
func TestVerifyNamesEverythingForeign(t *testing.T) {
	for _, split := range []bool{false, true} {
		t.Run(fmt.Sprintf("split=%v", split), func(t *testing.T) { verifyForeign(t, split) })
	}
}

func verifyForeign(t *testing.T, split bool) {
	h := vaulttest.New(t, vaulttest.Options{Split: split})
	r := put(t, h, ct(patient(), 1))
	id := string(r.ID)
	if _, err := h.RotateKeys(t.Context(), vaulttest.Actor(record.RoleAdmin)); err != nil {
		t.Fatalf("RotateKeys = %v", err) // wraps of the older version stay until they are trimmed
	}
	keysOf := func(region string) string {
		if split {
			return region + "-keys"
		}
		return region
	}
	wraps, err := fs.Glob(os.DirFS(filepath.Join(h.Dir, "regions", keysOf("cn-north"))), "wraps/content/*/2/*")
	if err != nil || len(wraps) != 1 {
		t.Fatalf("cn-north holds wraps %v, %v; want one of version 2", wraps, err)
	}
	later := strings.Replace(wraps[0], "/2/", "/3/", 1)
	unknown := strings.TrimSuffix(wraps[0], "1") + "2" // another generation
	for _, key := range []string{"probe/0", "quarantine/objects/aa/x.1"} {
		plant(t, h, "cn-north", key)
	}
	planted := map[string][]string{
		"cn-north": {"log/checkpoint", "tombstones/aa/x", "stuff/y", "stuff/" + id, "records/" + id[:2] + "/" + id, "objects/zz/" + id, "objects.old"},
		"sg-1":     {"evil/x", "log/tile/0"},
	}
	planted[keysOf("cn-north")] = append(planted[keysOf("cn-north")], "wraps/content/00/9/junk", "wraps/content/00/01/junk.1", later, unknown, "house/house-other/1/1", "house/house-token/3/1", "house/x")
	planted[keysOf("sg-1")] = append(planted[keysOf("sg-1")], "wraps/content/00/1/x.1")
	if split {
		planted["cn-north"] = append(planted["cn-north"], wraps[0]) // a wrap in the bucket with versions
		planted["cn-north-keys"] = append(planted["cn-north-keys"], "objects/aa/x", "zz")
		plant(t, h, "cn-north-keys", "quarantine/wraps/x.1")
	}
	var want []string
	for bucket, keys := range planted {
		for _, key := range keys {
			plant(t, h, bucket, key)
			if key == "records/"+id[:2]+"/"+id {
				key = id
			}
			want = append(want, "foreign "+strings.TrimSuffix(bucket, "-keys")+" "+key)
		}
	}
	plant(t, h, "cn-north", "Odd\x1bName")
	want = append(want, `foreign cn-north "Odd\x1bName"`)
	slices.Sort(want)
	report := verify(t, h, "list")
	if got := named(report.Findings); !slices.Equal(got, want) {
		t.Errorf("findings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	wantQuarantined := int64(1)
	if split {
		wantQuarantined = 2
	}
	if report.Quarantined != wantQuarantined {
		t.Errorf("%d in quarantine; want %d", report.Quarantined, wantQuarantined)
	}
}

// staleStore lists as a service does whose page was made before it was delivered: what
// happens meanwhile is not in it, and its sizes are old ones.
type staleStore struct {
	storage.Store
	meanwhile *atomic.Pointer[func()]
}

func (s staleStore) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		var page []storage.Info
		for info, err := range s.Store.List(ctx, prefix, after) {
			if err != nil {
				yield(info, err)
				return
			}
			if strings.HasPrefix(info.Key, "objects/") {
				info.Size--
			}
			page = append(page, info)
		}
		if do := s.meanwhile.Swap(nil); do != nil {
			(*do)()
		}
		for _, info := range page {
			if !yield(info, nil) {
				return
			}
		}
	}
}

func TestVerifyAccusesNobodyWhileUploadsRun(t *testing.T) {
	var meanwhile atomic.Pointer[func()]
	h := vaulttest.New(t, vaulttest.Options{Store: func(region, bucket string, s storage.Store) storage.Store {
		if region == "cn-north" && bucket == "data" {
			return staleStore{Store: s, meanwhile: &meanwhile}
		}
		return s
	}})
	put(t, h, ct(patient(), 1))
	for i, level := range []string{"list", "read"} {
		upload := func() { put(t, h, ct(patient(), 2+i)) }
		meanwhile.Store(&upload)
		report := verify(t, h, level)
		if len(report.Findings) > 0 {
			t.Errorf("%s: findings = %v; want none", level, named(report.Findings))
		}
		if meanwhile.Load() != nil {
			t.Errorf("%s: nothing was uploaded during the listing", level)
		}
	}
}

func TestVerifyComparesTheCatalogsTailWithTheObject(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	whole, changed, longer := put(t, h, ct(patient(), 1)).ID, put(t, h, ct(patient(), 2)).ID, put(t, h, ct(patient(), 3)).ID
	db, err := sql.Open("sqlite", filepath.Join(h.Dir, "catalog.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var tail []byte
	if err := db.QueryRow("SELECT footer FROM objects WHERE id = ?", string(changed)).Scan(&tail); err != nil || len(tail) == 0 {
		t.Fatalf("the tail has %d bytes, %v", len(tail), err)
	}
	tail[len(tail)/2] ^= 1
	for id, kept := range map[record.ObjectID][]byte{changed: tail, longer: bytes.Repeat([]byte("x"), 1<<20)} {
		if _, err := db.Exec("UPDATE objects SET footer = ? WHERE id = ?", kept, string(id)); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"index-damaged catalog " + string(changed), "index-damaged catalog " + string(longer)}
	slices.Sort(want)
	if got := named(verify(t, h, "read").Findings); !slices.Equal(got, want) {
		t.Errorf("findings = %v; want %v and nothing of %s", got, want, whole)
	}
}

func TestALostRegionDoesNotComeBackEmpty(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	doc := ct(patient(), 1)
	r := put(t, h, doc)
	treat(t, h, r.Patient)
	eventually(t, "cn-north holds the document", func() bool { return objects(t, h, "cn-north") == 1 })
	h.Stop()
	lost := filepath.Join(h.Dir, "regions", "cn-north")
	if err := os.Rename(lost, lost+".away"); err != nil {
		t.Fatal(err)
	}
	again := vaulttest.New(t, vaulttest.Options{Dir: h.Dir})
	if got := read(t, open(t, again, clinician, vault.Ref{Document: r.ID})[0]); !bytes.Equal(got, doc) {
		t.Error("the document did not come back from the other regions")
	}
	put(t, again, ct(patient(), 2))
	states, err := again.Regions(t.Context(), operator)
	if err != nil || states[0].Reachable || !states[1].Reachable {
		t.Errorf("Regions = %+v, %v; want cn-north alone unreachable", states, err)
	}
	if got, want := named(verify(t, again, "list").Findings), []string{"unreachable cn-north "}; !slices.Equal(got, want) {
		t.Errorf("findings = %q; want %q", got, want)
	}
	if _, err := os.Stat(lost); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lost directory was made again: %v", err)
	}
	if err := os.Rename(lost+".away", lost); err != nil {
		t.Fatal(err)
	}
	eventually(t, "cn-north is back and has what it missed", func() bool { return objects(t, again, "cn-north") == 2 })
	if got := named(verify(t, again, "read").Findings); len(got) > 0 {
		t.Errorf("findings once it is back = %v; want none", got)
	}
}

func TestVerifyTellsHowFarItIs(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	put(t, h, ct(patient(), 1))
	eventually(t, "every region holds the object", func() bool {
		states, err := h.Regions(t.Context(), operator)
		return err == nil && states[0].Objects+states[1].Objects+states[2].Objects == 3
	})
	if err := os.Remove(files(t, filepath.Join(h.Dir, "regions", "cn-east", "objects"))[0]); err != nil {
		t.Fatal(err)
	}
	for _, level := range []string{"list", "read"} {
		var done, total int64
		report, err := h.Verify(t.Context(), operator, vault.VerifyOptions{Level: level}, func(d, of int64) {
			if d < done || d > of || total != 0 && of > total {
				t.Errorf("%s: progress %d of %d after %d of %d", level, d, of, done, total)
			}
			done, total = d, of
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := int64(3 * (1 + 6)); done != want || total != want || report.Checked != want { // one object; two wraps of the patient and four of the house
			t.Errorf("%s: ended at %d of %d, checked %d; want %d", level, done, total, report.Checked, want)
		}
	}
}

func TestVerifyTriesAgainBeforeItAccuses(t *testing.T) {
	faulty := make(map[string]*storetest.Faulty)
	h := vaulttest.New(t, vaulttest.Options{Store: func(region, bucket string, s storage.Store) storage.Store {
		faulty[region+"/"+bucket] = storetest.NewFaulty(s)
		return faulty[region+"/"+bucket]
	}})
	for i := range 3 {
		put(t, h, ct(patient(), i+1))
	}
	broken := errors.New("connection reset")
	for name, fault := range map[string]storetest.Fault{
		"listing of objects":    {Op: "list", Err: broken, Times: 2},
		"object, in the middle": {Op: "get", After: 1000, Err: broken, Times: 2},
		"object, before a byte": {Op: "get", Err: broken, Times: 2},
	} {
		faulty["cn-north/data"].Inject(fault)
		if got := named(verify(t, h, "read").Findings); len(got) > 0 {
			t.Errorf("%s breaks off twice: findings = %v; want none", name, got)
		}
	}
	for _, op := range []string{"list", "head", "get"} {
		faulty["cn-east/keys"].Inject(storetest.Fault{Op: op, Err: broken, Times: 2})
		if got := named(verify(t, h, "read").Findings); len(got) > 0 {
			t.Errorf("%s of a wrap breaks off twice: findings = %v; want none", op, got)
		}
	}
	faulty["cn-south/data"].Inject(storetest.Fault{Op: "get", Key: "objects/", Err: broken})
	if got := verify(t, h, "read").Findings; len(got) != 3 {
		t.Errorf("objects that never can be read: findings = %+v; want all three", got)
	}
}
