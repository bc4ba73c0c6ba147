package vault_test

import (
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/keys"
	"medvault/keys/envelope"
	"medvault/vault"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// site is a vault with many objects, and the damage that was done to it.
type site struct {
	t    *testing.T
	h    *vaulttest.House
	docs []record.ObjectID // sealed, stored through the front door
	rest []record.ObjectID // bytes of no meaning, as a catalog and regions hold them
	of   map[record.ObjectID]record.PatientToken
	done []string // "type region object", as verify should say
}

func newSite(t *testing.T, objects int) *site {
	s := &site{t: t, h: vaulttest.New(t, vaulttest.Options{}), of: make(map[record.ObjectID]record.PatientToken)}
	for p := range 4 {
		for i := range 3 {
			r := put(t, s.h, ct(imagingtest.NewPatient(uint64(20+p)), 1+i))
			s.docs, s.of[r.ID] = append(s.docs, r.ID), r.Patient
		}
	}
	eventually(t, "every region holds every document", func() bool {
		states, err := s.h.State(t.Context())
		return err == nil && states[0].Objects+states[1].Objects+states[2].Objects == int64(3*len(s.docs))
	})
	s.fill(objects - len(s.docs))
	return s
}

// fill adds rows and files as uploads would leave them, much faster.
func (s *site) fill(n int) {
	s.t.Helper()
	patient := s.of[s.docs[0]]
	home := []string{"cn-north", "cn-east", "cn-south"}
	for n > 0 {
		err := s.h.Catalog.Update(s.t.Context(), func(tx *catalog.Tx) error {
			for ; n > 0 && len(s.rest)%500 < 499; n-- {
				if err := s.add(tx, patient, home); err != nil {
					return err
				}
			}
			if n > 0 {
				n--
				return s.add(tx, patient, home)
			}
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *site) add(tx *catalog.Tx, patient record.PatientToken, home []string) error {
	b := make([]byte, 100+mrand.IntN(200))
	rand.Read(b)
	o := catalog.Object{ID: record.NewObjectID(), Class: catalog.ClassRecords, Patient: patient, Generation: 1, Seal: "00", Kind: record.KindRecord,
		Size: int64(len(b)), SHA256: sha256.Sum256(b), Created: time.Now()}
	for _, region := range home {
		path := s.path(region, o.Key())
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600)); err != nil {
			return err
		}
	}
	s.rest = append(s.rest, o.ID)
	return errors.Join(tx.InsertRecord(s.t.Context(), o, "test"), tx.PlaceNew(s.t.Context(), o, home, home, time.Now()))
}

func (s *site) path(region, key string) string {
	return filepath.Join(s.h.Dir, "regions", region, filepath.FromSlash(key))
}

// somewhere is an object of meaningless bytes in a home region, each once.
func (s *site) somewhere() (region, key, id string) {
	i := mrand.IntN(len(s.rest))
	o := s.rest[i]
	s.rest = slices.Delete(s.rest, i, i+1)
	region = vaulttest.Regions()[mrand.IntN(3)]
	return region, o.Key(catalog.ClassRecords), string(o)
}

func (s *site) damaged(kind, region, object string) {
	s.done = append(s.done, kind+" "+region+" "+object)
}

// orphan seals an object of a known patient that no record names.
func (s *site) orphan() []byte {
	id := record.NewObjectID()
	raw, err := id.Bytes()
	if err != nil {
		s.t.Fatal(err)
	}
	var out strings.Builder
	sealer, err := envelope.NewSealer(&out, envelope.Header{Object: raw, Patient: string(s.of[s.docs[0]]), Generation: 1, Kind: uint8(record.KindRecord)},
		envelope.Keys{Content: keys.NewDEK(), Identity: keys.NewDEK()})
	if err != nil {
		s.t.Fatal(err)
	}
	part, err := sealer.Part(envelope.Content)
	if err == nil {
		err = errors.Join(part.Close(), sealer.Close())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	region := vaulttest.Regions()[mrand.IntN(3)]
	path := s.path(region, id.Key(catalog.ClassObjects))
	old := time.Now().Add(-25 * time.Hour)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(out.String()), 0o600), os.Chtimes(path, old, old)); err != nil {
		s.t.Fatal(err)
	}
	s.damaged(vault.FindingOrphan, region, string(id))
	return []byte(out.String())
}

// wreck does fifty damages of eight kinds.
func (s *site) wreck() {
	s.t.Helper()
	for range 8 {
		region, key, id := s.somewhere()
		if err := os.Remove(s.path(region, key)); err != nil {
			s.t.Fatal(err)
		}
		s.damaged(vault.FindingMissing, region, id)
		region, key, id = s.somewhere()
		damage(s.t, s.path(region, key), func(b []byte) []byte { return b[:mrand.IntN(len(b))] })
		s.damaged(vault.FindingWrongSize, region, id)
		region, key, id = s.somewhere()
		damage(s.t, s.path(region, key), func(b []byte) []byte { b[mrand.IntN(len(b))] ^= 1 << mrand.IntN(8); return b })
		s.damaged(vault.FindingDamaged, region, id)
	}
	for range 6 {
		s.orphan()
	}
	for _, id := range s.docs[:5] {
		key := id.Key(catalog.ClassObjects)
		b, err := os.ReadFile(s.path("cn-north", key))
		if err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(s.path(vaulttest.Foreign, key)), 0o700), os.WriteFile(s.path(vaulttest.Foreign, key), b, 0o600))
		}
		if err != nil {
			s.t.Fatal(err)
		}
		s.damaged(vault.FindingForbidden, vaulttest.Foreign, string(id))
	}
	var wraps [][2]string
	for _, region := range vaulttest.Regions()[:3] {
		keys, err := fs.Glob(os.DirFS(filepath.Join(s.h.Dir, "regions", region)), "wraps/*/*/*/*")
		if err != nil || len(keys) != 8 {
			s.t.Fatalf("%s holds %d wraps, %v; want two of every patient", region, len(keys), err)
		}
		for _, key := range keys {
			wraps = append(wraps, [2]string{region, key})
		}
	}
	mrand.Shuffle(len(wraps), func(i, j int) { wraps[i], wraps[j] = wraps[j], wraps[i] })
	for i, w := range wraps[:10] {
		if i%2 == 0 {
			if err := os.Remove(s.path(w[0], w[1])); err != nil {
				s.t.Fatal(err)
			}
			s.damaged(vault.FindingWrapMissing, w[0], w[1])
			continue
		}
		damage(s.t, s.path(w[0], w[1]), func(b []byte) []byte { b[mrand.IntN(len(b))] ^= 1; return b })
		s.damaged(vault.FindingWrapDamaged, w[0], w[1])
	}
	db, err := sql.Open("sqlite", filepath.Join(s.h.Dir, "catalog.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	for _, id := range s.docs[5:10] {
		if _, err := db.Exec("UPDATE objects SET footer = ? WHERE id = ?", []byte("no tail of anything"), string(id)); err != nil {
			s.t.Fatal(err)
		}
		s.damaged(vault.FindingIndexDamaged, "catalog", string(id))
	}
	slices.Sort(s.done)
}

// TestFiftyDamagesAreFoundAndMended is the bar of this room: 50 of 50, no false alarm,
// nothing left after a repair, a clean second look. MEDVAULT_TEST_OBJECTS=10000 for its
// full size.
func TestFiftyDamagesAreFoundAndMended(t *testing.T) {
	objects := 300
	if n, err := strconv.Atoi(os.Getenv("MEDVAULT_TEST_OBJECTS")); err == nil {
		objects = n
	}
	s := newSite(t, objects)
	if got := named(verify(t, s.h, vault.LevelRead).Findings); len(got) > 0 {
		t.Fatalf("findings before any damage = %v", got)
	}
	s.wreck()
	if len(s.done) != 50 {
		t.Fatalf("%d damages were done; want 50", len(s.done))
	}
	began := time.Now()
	report := verify(t, s.h, vault.LevelRead)
	if got := named(report.Findings); !slices.Equal(got, s.done) {
		t.Errorf("findings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(s.done, "\n"))
	}
	t.Logf("verified %d objects and wraps in %s", report.Checked, time.Since(began).Round(time.Millisecond))

	plan := mend(t, s.h, vault.RepairOptions{DryRun: true})
	if len(plan.Steps) != 50 || plan.Left != 50 {
		t.Errorf("a dry run plans %d steps and leaves %d; want 50 and 50", len(plan.Steps), plan.Left)
	}
	if again := named(verify(t, s.h, vault.LevelRead).Findings); !slices.Equal(again, s.done) {
		t.Error("a dry run changed what is found")
	}
	repair := mend(t, s.h, vault.RepairOptions{})
	for _, step := range repair.Steps {
		if step.Outcome == vault.OutcomeFailed || step.Outcome == vault.OutcomeLeft {
			t.Errorf("%s of %s in %s: %s, %s", step.Type, step.Object, step.Region, step.Outcome, step.Detail)
		}
	}
	if repair.Left != 0 {
		t.Errorf("the repair leaves %d findings; want none", repair.Left)
	}
	clean := verify(t, s.h, vault.LevelRead)
	if len(clean.Findings) > 0 {
		t.Errorf("findings after the repair = %v; want none", named(clean.Findings))
	}
	if want := int64(8 + 8 + 6 + 5); clean.Quarantined != want { // wrong sizes, damage, orphans, wraps: what was bad is kept
		t.Errorf("%d in quarantine; want %d", clean.Quarantined, want)
	}
	if f := verify(t, s.h, vault.LevelList).Findings; len(f) > 0 {
		t.Errorf("findings at level list = %v; want none", named(f))
	}
	if report, err := s.h.AuditVerify(t.Context(), auditor); err != nil || !report.Intact {
		t.Errorf("AuditVerify = %+v, %v", report, err)
	}
}

func mend(t *testing.T, h *vaulttest.House, o vault.RepairOptions) vault.RepairReport {
	t.Helper()
	r, err := h.Repair(t.Context(), operator, o, nil)
	if err != nil {
		t.Fatalf("Repair = %v", err)
	}
	return r
}

func TestRepairOfOneObject(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	one, other := put(t, h, ct(patient(), 1)).ID, put(t, h, ct(patient(), 2)).ID
	eventually(t, "cn-east holds both", func() bool { return objects(t, h, "cn-east") == 2 })
	for _, id := range []record.ObjectID{one, other} {
		damage(t, filepath.Join(h.Dir, "regions", "cn-east", filepath.FromSlash(id.Key("objects"))), func(b []byte) []byte { b[300] ^= 1; return b })
	}
	if _, err := h.Repair(t.Context(), vaulttest.Actor(record.RoleClinician), vault.RepairOptions{Object: one}, nil); !errors.Is(err, record.ErrDenied) && !errors.Is(err, record.ErrNotFound) {
		t.Errorf("a clinician's Repair = %v; want a refusal", err)
	}
	r := mend(t, h, vault.RepairOptions{Object: one})
	if len(r.Steps) != 1 || r.Steps[0].Outcome != vault.OutcomeRepaired || r.Left != 0 {
		t.Errorf("Repair of one = %+v; want one repaired", r)
	}
	if got, want := named(verify(t, h, "read").Findings), []string{"damaged cn-east " + string(other)}; !slices.Equal(got, want) {
		t.Errorf("findings = %v; want %v", got, want)
	}
}

func TestWithoutAGoodCopyNothingIsRepaired(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	id := put(t, h, ct(patient(), 1)).ID
	eventually(t, "every region holds it", func() bool {
		return objects(t, h, "cn-north")+objects(t, h, "cn-east")+objects(t, h, "cn-south") == 3
	})
	for i, region := range vaulttest.Regions()[:3] {
		damage(t, filepath.Join(h.Dir, "regions", region, filepath.FromSlash(id.Key("objects"))), func(b []byte) []byte { b[300+i] ^= 1; return b })
	}
	r := mend(t, h, vault.RepairOptions{})
	if len(r.Steps) != 3 || r.Left != 3 || r.Steps[0].Detail != "no region has the right bytes" {
		t.Errorf("Repair = %+v; want three failures that say why", r)
	}
}

func TestTwoPersonsDeleteFromQuarantine(t *testing.T) {
	s := newSite(t, 12)
	s.orphan()
	mend(t, s.h, vault.RepairOptions{Level: vault.LevelList})
	list, away, err := s.h.Quarantine(t.Context(), operator)
	if err != nil || len(list) != 1 || len(away) > 0 || list[0].ProposedBy != "" {
		t.Fatalf("Quarantine = %+v, %v, %v; want one", list, away, err)
	}
	id := record.ObjectID(list[0].ID)
	for i, row := range []struct {
		who     record.Actor
		deleted bool
		err     error
	}{
		{vaulttest.Actor(record.RoleClinician), false, record.ErrDenied},
		{operator, false, nil},
		{operator, false, record.ErrDenied},
		{vaulttest.Actor(record.RoleAdmin), true, nil},
		{vaulttest.Actor(record.RoleAdmin), false, record.ErrNotFound},
	} {
		_, deleted, err := s.h.Discard(t.Context(), row.who, id)
		if deleted != row.deleted || !errors.Is(err, row.err) {
			t.Errorf("%d: Discard by %s = %v, %v; want %v, %v", i, row.who.Role, deleted, err, row.deleted, row.err)
		}
	}
	if left := files(t, filepath.Join(s.h.Dir, "regions", list[0].Region, "quarantine")); len(left) > 0 {
		t.Errorf("quarantine still holds %v", left)
	}
}

func TestDetection(t *testing.T) {
	for _, row := range []struct {
		objects, sampled int64
		want             string
	}{
		{1_000_000, 3000, "0.9505"}, {1_000_000, 1_000_000, "1.0000"}, {1000, 1, "0.0010"}, {1000, 999, "0.9990"}, {10, 5, "0.5000"},
		{0, 0, "0.0000"}, {100, 0, "0.0000"}, {3, 3, "1.0000"},
	} {
		if got := fmt.Sprintf("%.4f", vault.Detection(row.objects, row.sampled, 0.001)); got != row.want {
			t.Errorf("Detection(%d of %d) = %s; want %s", row.sampled, row.objects, got, row.want)
		}
	}
}

// A wrap lies where its patient's keys may not: it goes, and so does what it could have
// opened for whoever read it.
func TestAForbiddenWrapIsRemovedAndItsShardRenewed(t *testing.T) {
	t.Parallel()
	o := fast()
	o.Dir = t.TempDir()
	shared := make(map[string]keys.Wrapper)
	o.Wrapper = func(region string, w keys.Wrapper) keys.Wrapper { // abroad depends on cn-north's key service
		shared[region] = w
		if region == vaulttest.Foreign {
			return shared["cn-north"]
		}
		return w
	}
	h := vaulttest.New(t, o)
	put(t, h, ct(patient(), 1))
	_, wraps := lying(t, h.Dir, "cn-north")
	abroad := filepath.Join(h.Dir, "regions", vaulttest.Foreign, wraps[0])
	b, err := os.ReadFile(filepath.Join(h.Dir, "regions", "cn-north", wraps[0]))
	if err == nil {
		err = errors.Join(os.MkdirAll(filepath.Dir(abroad), 0o700), os.WriteFile(abroad, b, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := verify(t, h, vault.LevelList).Findings; len(got) != 1 || got[0].Type != vault.FindingForbidden {
		t.Fatalf("findings = %+v; want one forbidden", got)
	}
	if r := mend(t, h, vault.RepairOptions{}); r.Left != 0 {
		t.Errorf("repair = %+v; want nothing left", r)
	}
	if _, err := os.Stat(abroad); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the wrap abroad = %v; want it gone", err)
	}
	await(t, "the shard is renewed", func() bool {
		_, now := lying(t, h.Dir, "cn-north")
		return len(now) == 2 && !slices.Contains(now, wraps[0])
	})
	if got := verify(t, h, vault.LevelDecrypt).Findings; len(got) > 0 {
		t.Errorf("findings after the renewal = %+v", got)
	}
}
