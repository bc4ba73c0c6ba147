package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"medvault/storage"
	"medvault/storage/dir"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

func exportLog(t *testing.T, h *vaulttest.House) {
	t.Helper()
	if err := h.ExportLog(t.Context(), operator); err != nil {
		t.Fatalf("ExportLog = %v", err)
	}
}

func auditVerify(t *testing.T, h *vaulttest.House) vault.AuditReport {
	t.Helper()
	r, err := h.AuditVerify(t.Context(), auditor)
	if err != nil {
		t.Fatalf("AuditVerify = %v", err)
	}
	return r
}

// regionFiles reads a region's directory as somebody does who has nothing else.
func regionFiles(t *testing.T, root, region string) (func(context.Context, string) (io.ReadCloser, error), func(context.Context, string) iter.Seq2[string, error]) {
	t.Helper()
	s, err := dir.New(dir.Config{Root: filepath.Join(root, "regions", region)})
	if err != nil {
		t.Fatal(err)
	}
	get := func(ctx context.Context, key string) (io.ReadCloser, error) { return s.Get(ctx, key, 0, -1) }
	list := func(ctx context.Context, prefix string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for info, err := range s.List(ctx, prefix, "") {
				if !yield(info.Key, err) {
					return
				}
			}
		}
	}
	return get, list
}

func verifier(t *testing.T, key string) note.Verifier {
	t.Helper()
	v, err := note.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// wholeLog reads the log of a region with every leaf of it.
func wholeLog(t *testing.T, root, region, key string) (size int64, leaves [][]byte) {
	t.Helper()
	get, list := regionFiles(t, root, region)
	l, err := audit.ReadRegion(t.Context(), get, list, verifier(t, key))
	if errors.Is(err, audit.ErrNoLog) {
		return 0, nil
	}
	if err != nil {
		t.Fatalf("ReadRegion(%s) = %v", region, err)
	}
	for leaf, err := range l.Leaves(t.Context(), 0) {
		if err != nil {
			t.Fatalf("%s: leaf %d of %d: %v", region, len(leaves), l.Size, err)
		}
		leaves = append(leaves, leaf)
	}
	if int64(len(leaves)) != l.Size {
		t.Errorf("%s: %d leaves read of %d", region, len(leaves), l.Size)
	}
	return l.Size, leaves
}

func TestTheLogGoesToTheRegions(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, ct(patient(), 1))
	treat(t, h, r.Patient)
	eventually(t, "every home region holds the document", func() bool {
		return objects(t, h, "cn-north")+objects(t, h, "cn-east")+objects(t, h, "cn-south") == 3
	})
	exportLog(t, h)
	report := auditVerify(t, h)
	if !report.Intact {
		t.Errorf("AuditVerify after an export = %+v; want intact", report)
	}
	for _, region := range vaulttest.Regions() {
		get, list := regionFiles(t, h.Dir, region)
		m, err := audit.ReadManifest(t.Context(), region, get, list, verifier(t, report.Key))
		if err != nil {
			t.Fatalf("ReadManifest(%s) = %v", region, err)
		}
		if region == vaulttest.Foreign {
			if m.Objects != 0 {
				t.Errorf("the foreign region's manifest names %d objects; want none", m.Objects)
			}
			continue
		}
		_, leaves := wholeLog(t, h.Dir, region, report.Key)
		want, err := h.Catalog.LogLeaves(t.Context(), 0, len(leaves))
		if err != nil || len(leaves) < 3 || !slices.EqualFunc(leaves, want, func(a []byte, b audit.StoredLeaf) bool { return bytes.Equal(a, b.Data) }) {
			t.Errorf("%s has %d leaves that are not the catalog's, %v", region, len(leaves), err)
		}
		var keys []string
		for e, err := range m.Entries(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(filepath.Join(h.Dir, "regions", region, e.Key)); err != nil || info.Size() != e.Size || e.Generation != 1 {
				t.Errorf("%s: %+v is not what lies there: %v", region, e, err)
			}
			keys = append(keys, e.Key)
		}
		if !slices.Contains(keys, r.ID.Key("objects")) || len(keys) != 2 || m.Objects != 2 { // and the care record
			t.Errorf("%s: manifest of %v; want the document and the care record", region, keys)
		}
	}
	if found := verify(t, h, "list").Findings; len(found) > 0 {
		t.Errorf("findings = %+v; want none", found)
	}
	states, err := h.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		if s.Log.Size < 3 || time.Since(s.Log.At) > time.Minute || s.Log.Problem != "" {
			t.Errorf("%s: log %+v; want all of it, just now", s.Name, s.Log)
		}
	}
}

func TestTheForeignRegionHoldsNoLeaf(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{LogExport: 20 * time.Millisecond})
	r := put(t, h, ct(patient(), 1))
	treat(t, h, r.Patient)
	root := filepath.Join(h.Dir, "regions", vaulttest.Foreign)
	eventually(t, "the foreign region has a checkpoint", func() bool { return len(files(t, filepath.Join(root, "log", "checkpoints"))) > 0 })
	exportLog(t, h)
	for _, path := range files(t, root) {
		name, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "~") { // the directory says that it is a bucket
			continue
		}
		if !strings.HasPrefix(name, "log/checkpoints/") && !strings.HasPrefix(name, "log/manifests/") {
			t.Errorf("the foreign region holds %s; want checkpoints and manifests of nothing alone", name)
		}
		if bytes.Contains(text, []byte(r.Patient)) || bytes.Contains(text, []byte(r.ID)) || bytes.Contains(text, []byte("{")) {
			t.Errorf("%s tells of a patient or holds a leaf", name)
		}
	}
	if found := verify(t, h, "list").Findings; len(found) > 0 {
		t.Errorf("findings = %+v; want none", found)
	}
	plant(t, h, vaulttest.Foreign, "log/tile/entries/000.p/1")
	if got, want := named(verify(t, h, "list").Findings), []string{"foreign sg-1 log/tile/entries/000.p/1"}; !slices.Equal(got, want) {
		t.Errorf("findings with a leaf abroad = %v; want %v", got, want)
	}
}

func TestARegionThatWasDownCatchesUp(t *testing.T) {
	east := make(map[string]*storetest.Faulty)
	h := vaulttest.New(t, vaulttest.Options{Store: func(region, bucket string, s storage.Store) storage.Store {
		if region != "cn-east" || bucket != "data" {
			return s
		}
		east[bucket] = storetest.NewFaulty(s)
		return east[bucket]
	}})
	put(t, h, ct(patient(), 1))
	exportLog(t, h)
	east["data"].Inject(storetest.Fault{Err: storage.ErrAway})
	for i := range 3 {
		put(t, h, ct(patient(), 2+i))
		if err := h.ExportLog(t.Context(), operator); err == nil || !strings.Contains(err.Error(), "cn-east") || strings.Contains(err.Error(), "cn-north") {
			t.Errorf("ExportLog with cn-east down = %v; want its name alone", err)
		}
	}
	states, err := h.State(t.Context())
	if err != nil || states[1].Log.Problem == "" || states[0].Log.Problem != "" || states[1].Log.Size >= states[0].Log.Size {
		t.Errorf("State = %+v, %v; want cn-east alone behind", states, err)
	}
	report := auditVerify(t, h)
	if !report.Intact || report.Regions[1].Problem == "" {
		t.Errorf("AuditVerify with cn-east down = %+v; want intact, and cn-east not looked at", report)
	}
	east["data"].Heal()
	exportLog(t, h)
	behind, _ := wholeLog(t, h.Dir, "cn-east", report.Key)
	if want, _ := wholeLog(t, h.Dir, "cn-north", report.Key); behind != want {
		t.Errorf("cn-east has %d leaves once it is back; want %d", behind, want)
	}
	// Emptied altogether it gets everything again, and that is told.
	if err := os.RemoveAll(filepath.Join(h.Dir, "regions", "cn-south", "log")); err != nil {
		t.Fatal(err)
	}
	if report := auditVerify(t, h); report.Intact || !report.Regions[2].Finding || !strings.Contains(report.Evidence, "cn-south") {
		t.Errorf("AuditVerify with cn-south's log gone = %+v; want that finding", report)
	}
	if err := h.ExportLog(t.Context(), operator); err == nil || !strings.Contains(err.Error(), "cn-south") {
		t.Errorf("ExportLog to an emptied region = %v; want it told once", err)
	}
	exportLog(t, h)
	if size, _ := wholeLog(t, h.Dir, "cn-south", report.Key); size <= behind {
		t.Errorf("cn-south has %d leaves after it was emptied; want more than %d", size, behind)
	}
	if report := auditVerify(t, h); !report.Intact {
		t.Errorf("AuditVerify = %+v; want intact again", report)
	}
}

// TestTilesThatWereLostAreNoticedAndWrittenAgain: a checkpoint alone does not show that
// its tiles are there; once a day, and when asked to, the export looks.
func TestTilesThatWereLostAreNoticedAndWrittenAgain(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	grow(t, h, 600)
	exportLog(t, h)
	key := auditVerify(t, h).Key
	if err := os.Remove(filepath.Join(h.Dir, "regions", "cn-east", "log", "tile", "entries", "001")); err != nil {
		t.Fatal(err)
	}
	if err := h.ExportLog(t.Context(), operator); err == nil || !strings.Contains(err.Error(), "cn-east") {
		t.Errorf("ExportLog over a lost tile = %v; want it told", err)
	}
	wholeLog(t, h.Dir, "cn-east", key)
	exportLog(t, h)
}

// TestADamagedLogIsPutRightWhenAsked: every kind of file, each with one bit flipped.
func TestADamagedLogIsPutRightWhenAsked(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	put(t, h, ct(patient(), 1))
	grow(t, h, 300)
	exportLog(t, h)
	key := auditVerify(t, h).Key
	root := filepath.Join(h.Dir, "regions", "cn-east")
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for _, name := range []string{"log/tile/0/000", "log/tile/entries/000", "log/tile/1/*/*", "log/pages/*"} {
		paths, err := filepath.Glob(filepath.Join(root, name))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v, %v", name, paths, err)
		}
		damage(t, paths[0], flip)
		if err := h.ExportLog(t.Context(), operator); err == nil || !strings.Contains(err.Error(), "cn-east") {
			t.Errorf("ExportLog over a damaged %s = %v; want it told", name, err)
		}
		exportLog(t, h)
		wholeLog(t, h.Dir, "cn-east", key)
	}
	if n := len(files(t, filepath.Join(root, "quarantine"))); n != 4 {
		t.Errorf("%d damaged files are kept; want 4", n)
	}
	_, leaves := wholeLog(t, h.Dir, "cn-east", key)
	if n := bytes.Count(bytes.Join(leaves, nil), []byte(vault.ActionLogRepair)); n != 4 {
		t.Errorf("%d leaves tell of a repair; want 4", n)
	}
}

// dyingStore does so many writes and then nothing any more, as a gateway that was
// killed; reads go on for those who look afterwards.
type dyingStore struct {
	storage.Store
	left *atomic.Int64
}

var errKilled = errors.New("killed")

func (s dyingStore) Put(ctx context.Context, key string, body storage.Body) error {
	if strings.HasPrefix(key, "log/") && s.left.Add(-1) < 0 {
		return errKilled
	}
	return s.Store.Put(ctx, key, body)
}

func (s dyingStore) Delete(ctx context.Context, key string) error {
	if strings.HasPrefix(key, "log/") && s.left.Add(-1) < 0 {
		return errKilled
	}
	return s.Store.Delete(ctx, key)
}

// TestKillBetweenAnyTwoWritesOfAnExport: whatever was written, a reader finds a whole
// log, never a shorter one than before, and the next export ends the work.
func TestKillBetweenAnyTwoWritesOfAnExport(t *testing.T) {
	left := new(atomic.Int64)
	left.Store(1 << 40)
	h := vaulttest.New(t, vaulttest.Options{Store: func(region, bucket string, s storage.Store) storage.Store {
		if region == "cn-north" && bucket == "data" {
			return dyingStore{s, left}
		}
		return s
	}})
	for i := range 9 { // so that there is something to tidy away
		grow(t, h, 20+i)
		exportLog(t, h)
	}
	key := auditVerify(t, h).Key
	before, _ := wholeLog(t, h.Dir, "cn-north", key)
	writes := 0
	for ; ; writes++ {
		grow(t, h, 70) // over the end of a tile now and then
		left.Store(int64(writes))
		err := h.ExportLog(t.Context(), operator)
		left.Store(1 << 40)
		size, _ := wholeLog(t, h.Dir, "cn-north", key)
		if size < before {
			t.Fatalf("killed before write %d: %d leaves; had %d", writes, size, before)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, errKilled) {
			t.Fatalf("ExportLog = %v; want killed", err)
		}
		exportLog(t, h)
		after, _ := wholeLog(t, h.Dir, "cn-north", key)
		if want, _ := wholeLog(t, h.Dir, "cn-south", key); after != want {
			t.Fatalf("after the kill before write %d: %d leaves; want %d", writes, after, want)
		}
		before = after
	}
	if writes < 8 {
		t.Errorf("an export of 70 leaves is %d writes; want tiles, leaves, checkpoint, manifest and what is taken away", writes)
	}
	if n := len(files(t, filepath.Join(h.Dir, "regions", "cn-north", "log", "checkpoints"))); n > 9 {
		t.Errorf("%d checkpoints lie in cn-north; want the last 8", n)
	}
	if found := verify(t, h, "list").Findings; len(found) > 0 {
		t.Errorf("findings = %+v; want none", found)
	}
}

// grow writes n leaves into the log.
func grow(t *testing.T, h *vaulttest.House, n int) {
	t.Helper()
	err := h.Catalog.Update(t.Context(), func(tx *catalog.Tx) error {
		for i := range n {
			leaf := audit.Leaf{Time: time.Now(), Actor: fmt.Sprintf("test-%d", i), Action: "test.act", Decision: audit.Allow}
			data, err := leaf.Encode()
			if err != nil {
				return err
			}
			if err := tx.AppendLeaf(t.Context(), data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// copyFile copies the catalog of a stopped vault.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestACatalogThatWasPutBackIsRefusedAndTakesOverTheLog(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	put(t, h, ct(patient(), 1))
	exportLog(t, h)
	h.Stop()
	path := filepath.Join(h.Dir, "catalog.db")
	copyFile(t, path, path+".backup")

	h = vaulttest.New(t, vaulttest.Options{Dir: h.Dir})
	lost := put(t, h, ct(patient(), 2))
	grow(t, h, 1100) // more than is appended at once
	exportLog(t, h)
	key := auditVerify(t, h).Key
	size, before := wholeLog(t, h.Dir, "cn-east", key)
	h.Stop()
	copyFile(t, path+".backup", path)

	_, err := vaulttest.Open(t.Context(), vaulttest.Options{Dir: h.Dir})
	if !errors.Is(err, vault.ErrCatalogBehind) {
		t.Fatalf("start on a catalog that was put back = %v; want ErrCatalogBehind", err)
	}
	for _, say := range []string{"cn-east", fmt.Sprint(size), "medvault audit import --from cn-east"} {
		if !strings.Contains(err.Error(), say) {
			t.Errorf("the refusal %q does not say %q", err, say)
		}
	}
	done := importLog(t, h.Dir, "cn-east")
	if done.Before+done.Leaves != size || !slices.Contains(done.Unknown, lost.ID) {
		t.Errorf("ImportLog = %d and %d leaves, unknown %v; want %d in all and %s", done.Before, done.Leaves, done.Unknown, size, lost.ID)
	}
	if again := importLog(t, h.Dir, "cn-east"); again.Leaves != 0 {
		t.Errorf("imported again: %d leaves", again.Leaves)
	}
	h = vaulttest.New(t, vaulttest.Options{Dir: h.Dir})
	if r := auditVerify(t, h); !r.Intact {
		t.Errorf("AuditVerify after the import = %+v; want intact", r)
	}
	exportLog(t, h)
	_, after := wholeLog(t, h.Dir, "cn-south", key)
	if len(after) <= len(before) || !slices.EqualFunc(before, after[:len(before)], bytes.Equal) {
		t.Errorf("the log of %d leaves does not go on with %d", len(before), len(after))
	}
	if !bytes.Contains(bytes.Join(after[len(before):], nil), []byte(`"audit.import"`)) {
		t.Error("no leaf tells of the import")
	}
}

func importLog(t *testing.T, root, region string) vault.LogImport {
	t.Helper()
	done, err := vaulttest.ImportLog(t.Context(), vaulttest.Options{Dir: root}, region, vaulttest.Actor(record.RoleAdmin))
	if err != nil {
		t.Fatalf("ImportLog = %v", err)
	}
	return done
}

func TestAForkIsFound(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	put(t, h, ct(patient(), 1))
	exportLog(t, h)
	h.Stop()
	path := filepath.Join(h.Dir, "catalog.db")
	copyFile(t, path, path+".backup")
	h = vaulttest.New(t, vaulttest.Options{Dir: h.Dir})
	grow(t, h, 50)
	exportLog(t, h)
	h.Stop()

	// Somebody who holds the key begins another history, and hides the first.
	copyFile(t, path+".backup", path)
	log := func(region string) string { return filepath.Join(h.Dir, "regions", region, "log") }
	for _, region := range []string{"cn-north", "cn-east", "cn-south"} {
		if err := os.Rename(log(region), log(region)+".hidden"); err != nil {
			t.Fatal(err)
		}
	}
	h = vaulttest.New(t, vaulttest.Options{Dir: h.Dir})
	grow(t, h, 60)
	if err := h.ExportLog(t.Context(), operator); err == nil {
		t.Error("ExportLog over regions that were emptied = nil; want that told")
	}
	if r := auditVerify(t, h); r.Intact || !strings.Contains(r.Evidence, vaulttest.Foreign) {
		t.Errorf("AuditVerify beside the foreign region's checkpoint of another history = %+v; want that finding", r)
	}
	// One region comes back with what it had.
	if err := errors.Join(os.RemoveAll(log("cn-east")), os.Rename(log("cn-east")+".hidden", log("cn-east"))); err != nil {
		t.Fatal(err)
	}
	if r := auditVerify(t, h); r.Intact || !r.Regions[1].Finding || r.Regions[0].Finding {
		t.Errorf("AuditVerify of a fork = %+v; want cn-east named", r)
	}
	if err := h.ExportLog(t.Context(), operator); !errors.Is(err, audit.ErrForked) {
		t.Errorf("ExportLog over a fork = %v; want ErrForked", err)
	}
	h.Stop()
	if _, err := vaulttest.Open(t.Context(), vaulttest.Options{Dir: h.Dir}); !errors.Is(err, vault.ErrLogForked) || !strings.Contains(err.Error(), "cn-east") {
		t.Errorf("start beside a fork = %v; want ErrLogForked of cn-east", err)
	}
	if _, err := vaulttest.ImportLog(t.Context(), vaulttest.Options{Dir: h.Dir}, "cn-east", operator); !errors.Is(err, vault.ErrLogForked) {
		t.Errorf("ImportLog of a fork = %v; want ErrLogForked", err)
	}
}

// TestManyGatewaysExportOneLog: two gateways on one catalog share the work, and every
// region has a whole log.
func TestManyGatewaysExportOneLog(t *testing.T) {
	first := vaulttest.New(t, vaulttest.Options{LogExport: 20 * time.Millisecond})
	put(t, first, ct(patient(), 1))
	second := vaulttest.New(t, vaulttest.Options{Dir: first.Dir, LogExport: 20 * time.Millisecond})
	for i := range 4 {
		put(t, first, ct(patient(), 10+i))
		put(t, second, ct(patient(), 20+i))
	}
	exportLog(t, second)
	report := auditVerify(t, first)
	if !report.Intact {
		t.Errorf("AuditVerify = %+v; want intact", report)
	}
	eventually(t, "every region has the same log", func() bool {
		for _, region := range report.Regions {
			get, list := regionFiles(t, first.Dir, region.Region)
			l, err := audit.ReadRegion(t.Context(), get, list, verifier(t, report.Key))
			if err != nil || l.Size < report.Size {
				return false
			}
		}
		return true
	})
	for _, region := range []string{"cn-north", "cn-east", "cn-south"} {
		wholeLog(t, first.Dir, region, report.Key)
	}
}
