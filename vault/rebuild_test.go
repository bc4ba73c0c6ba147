package vault_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/storage/dir"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// inhabited is a vault in which everything has happened that a catalog knows of.
type inhabited struct {
	documents map[record.ObjectID][]byte // originals
	held      record.ObjectID            // refused by a reviewer
	released  record.ObjectID
	old       record.ObjectID // released stands in its place
	treated   record.PatientToken
	untreated record.PatientToken // whose care has ended
	report    record.ObjectID
	patients  []record.PatientToken
}

func inhabit(t *testing.T, h *vaulttest.House) inhabited {
	t.Helper()
	v := inhabited{documents: make(map[record.ObjectID][]byte)}
	store := func(up []byte) vault.Receipt {
		r := put(t, h, up)
		v.documents[r.ID] = up
		v.patients = append(v.patients, r.Patient)
		return r
	}
	for p := range uint64(3) {
		for instance := range 2 {
			r := store(imagingtest.CT(imagingtest.NewPatient(200+p), imagingtest.Options{Study: 1, Series: 1, Instance: instance + 1}))
			if p == 0 {
				v.treated = r.Patient
			} else if p == 1 {
				v.untreated = r.Patient
			}
		}
	}
	report := imagingtest.Report(imagingtest.NewPatient(200))
	r, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(report), PatientID: imagingtest.NewPatient(200).ID, Category: "diagnosis", Title: "Befund"})
	if err != nil {
		t.Fatal(err)
	}
	v.report, v.documents[r.ID] = r.ID, report
	v.patients = append(v.patients, r.Patient)

	v.held = store(burned(imagingtest.NewPatient(200), 11)).ID
	if err := h.Refuse(t.Context(), reviewer, v.held, "the letters cannot be told from the picture"); err != nil {
		t.Fatal(err)
	}
	v.old = store(burned(imagingtest.NewPatient(200), 12)).ID
	v.released = release(t, h, v.old, vault.Mask{X: 0, Y: 0, Width: 64, Height: 64})
	v.documents[v.released] = v.documents[v.old]
	delete(v.documents, v.old)

	treat(t, h, v.treated)
	care := treat(t, h, v.untreated)
	if err := h.EndCare(t.Context(), vaulttest.Actor(record.RoleAdmin), v.untreated, care.ID); err != nil {
		t.Fatal(err)
	}
	return v
}

// loseCatalog stops a vault after its log has reached the regions, and takes its catalog.
func loseCatalog(t *testing.T, h *vaulttest.House) {
	t.Helper()
	if err := h.ExportLog(t.Context(), vaulttest.Actor(record.RoleOperator)); err != nil {
		t.Fatal(err)
	}
	h.Stop()
	dropCatalog(t, h.Dir)
}

func dropCatalog(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "catalog.db*"))
	if err != nil || len(names) == 0 {
		t.Fatal("no catalog", err)
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// loseRegion puts an empty new region in the place of one that was lost with its keys.
func loseRegion(t *testing.T, root, region string) {
	t.Helper()
	at := filepath.Join(root, "regions", region)
	if err := errors.Join(os.RemoveAll(at), os.Remove(filepath.Join(root, "keys", region+".json"))); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.New(dir.Config{Root: at, Create: true}); err != nil {
		t.Fatal(err)
	}
}

// dump lists rows of a stopped vault's catalog, those columns that do not say when.
func dump(t *testing.T, dir string) map[string]string {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tables := map[string]string{
		"patients":  "SELECT token, generation, state, country FROM patients ORDER BY token",
		"objects":   "SELECT id, class, patient, generation, seal, kind, size, hex(sha256), hex(footer), record_type, superseded_by FROM objects ORDER BY id",
		"documents": "SELECT * FROM documents ORDER BY id",
		"terms":     "SELECT * FROM terms ORDER BY patient, owner, value",
		"cares":     "SELECT * FROM cares ORDER BY id",
	}
	for table, query := range tables {
		rows, err := db.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			for i := range values {
				fmt.Fprintf(&text, "%s=%v ", columns[i], *values[i].(*any))
			}
			text.WriteString("\n")
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		tables[table] = text.String()
	}
	return tables
}

func TestACatalogIsMadeAnewFromAnyOneRegion(t *testing.T) {
	dir := t.TempDir()
	h, err := vaulttest.Open(t.Context(), vaulttest.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	v := inhabit(t, h)
	settled(t, h)
	if err := h.ExportLog(t.Context(), vaulttest.Actor(record.RoleOperator)); err != nil {
		t.Fatal(err)
	}
	h.Stop()
	before := dump(t, dir)
	for _, region := range []string{"cn-north", "cn-east", "cn-south"} {
		dropCatalog(t, dir)
		done, err := vaulttest.Rebuild(t.Context(), vaulttest.Options{Dir: dir}, region)
		if err != nil {
			t.Fatalf("Rebuild from %s: %v", region, err)
		}
		if len(done.Findings) > 0 || done.Documents != int64(len(v.documents)) || done.Records != 4 || done.Log.Region != region || done.Log.Size == 0 {
			t.Errorf("Rebuild from %s = %+v; want %d documents, 4 records and no findings", region, done, len(v.documents))
		}
		for table, want := range dump(t, dir) {
			if got := before[table]; got != want {
				t.Errorf("%s from %s:\n%s\nwant\n%s", table, region, want, got)
			}
		}
	}
}

// settled waits until no copy and no removal is left to be done.
func settled(t *testing.T, h *vaulttest.House) {
	t.Helper()
	eventually(t, "no jobs", func() bool {
		copies, err := h.Catalog.Pending(t.Context(), "copy")
		removals, err2 := h.Catalog.Pending(t.Context(), "remove")
		return errors.Join(err, err2) == nil && copies+removals == 0
	})
}

func TestAfterADisasterEverythingWorksAsBefore(t *testing.T) {
	root := t.TempDir()
	h, err := vaulttest.Open(t.Context(), vaulttest.Options{Dir: root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	v := inhabit(t, h)
	settled(t, h)
	loseCatalog(t, h)
	loseRegion(t, root, "cn-north")
	loseRegion(t, root, "cn-south")
	if err := os.RemoveAll(filepath.Join(root, "spool")); err != nil {
		t.Fatal(err)
	}
	if _, err := vaulttest.Rebuild(t.Context(), vaulttest.Options{Dir: root}, "cn-east"); err != nil {
		t.Fatal(err)
	}

	h = vaulttest.New(t, vaulttest.Options{Dir: root})
	if got := open(t, h, clinician, vault.Ref{Document: v.old}); len(got) != 1 || got[0].ID != v.released {
		t.Errorf("the superseded %s leads to %v; want %s", v.old, got, v.released)
	}
	for state, want := range map[string]record.ObjectID{vault.ReviewRefused: v.held, vault.ReviewOpen: v.report} {
		page, err := h.Reviews(t.Context(), reviewer, vault.ReviewQuery{State: state})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(page.Reviews, func(r vault.Review) bool { return r.Object == want }) {
			t.Errorf("reviews %s = %+v; want %s", state, page.Reviews, want)
		}
	}
	if r, err := h.Review(t.Context(), reviewer, v.held); err != nil || r.Decided == nil || r.Decided.By != reviewer.ID {
		t.Errorf("Review(held) = %+v, %v; want the decision", r.Decided, err)
	}
	p := imagingtest.NewPatient(200)
	page, err := h.Find(t.Context(), clinician, vault.Query{Level: vault.LevelStudy, Match: map[string][]string{"PatientID": {p.ID}}})
	if err != nil || len(page.Matches) == 0 {
		t.Errorf("Find by Patient ID as who treats = %d, %v", len(page.Matches), err)
	}
	page, err = h.Find(t.Context(), clinician, vault.Query{Level: vault.LevelStudy, Match: map[string][]string{"PatientID": {imagingtest.NewPatient(201).ID}}})
	if err != nil || len(page.Matches) != 0 {
		t.Errorf("Find by Patient ID after the care has ended = %d, %v; want none", len(page.Matches), err)
	}
	for _, p := range v.patients {
		treat(t, h, p)
	}
	for id, want := range v.documents {
		for _, handle := range open(t, h, clinician, vault.Ref{Document: id}) {
			if got := read(t, handle); !bytes.Equal(got, want) {
				t.Errorf("document %s comes back with %d other bytes", id, len(got))
			}
		}
	}
	settled(t, h)
	if r := verify(t, h, vault.LevelRead); len(r.Findings) > 0 {
		t.Errorf("verify after the copies = %+v", r.Findings)
	}
	if a, err := h.AuditVerify(t.Context(), vaulttest.Actor(record.RoleAuditor)); err != nil || !a.Intact {
		t.Errorf("AuditVerify = %+v, %v", a, err)
	}
	put(t, h, imagingtest.CT(imagingtest.NewPatient(200), imagingtest.Options{Study: 1, Series: 1, Instance: 3}))
	put(t, h, imagingtest.CT(imagingtest.NewPatient(210), imagingtest.Options{Study: 1, Series: 1, Instance: 1}))
}

func TestAfterTheCatalogAloneIsLostTheOtherRegionsGoOn(t *testing.T) {
	dir := t.TempDir()
	h, err := vaulttest.Open(t.Context(), vaulttest.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	inhabit(t, h)
	settled(t, h)
	loseCatalog(t, h)
	if _, err := vaulttest.Rebuild(t.Context(), vaulttest.Options{Dir: dir}, "cn-south", "cn-north", "cn-east"); err != nil {
		t.Fatal(err)
	}
	h = vaulttest.New(t, vaulttest.Options{Dir: dir})
	settled(t, h)
	if r := verify(t, h, vault.LevelRead); len(r.Findings) > 0 {
		t.Errorf("verify = %+v", r.Findings)
	}
	if a, err := h.AuditVerify(t.Context(), vaulttest.Actor(record.RoleAuditor)); err != nil || !a.Intact {
		t.Errorf("AuditVerify = %+v, %v", a, err)
	}
}

func TestACutRebuildGoesOn(t *testing.T) {
	dir := t.TempDir()
	h, err := vaulttest.Open(t.Context(), vaulttest.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	v := inhabit(t, h)
	settled(t, h)
	if err := h.ExportLog(t.Context(), vaulttest.Actor(record.RoleOperator)); err != nil {
		t.Fatal(err)
	}
	h.Stop()
	before := dump(t, dir)
	dropCatalog(t, dir)
	var done vault.Rebuilt
	cuts := 0
	for n := 1; ; n++ {
		ctx, cut := context.WithCancel(t.Context())
		steps := 0
		done, err = vaulttest.RebuildWith(ctx, vaulttest.Options{Dir: dir}, "cn-east", func(cfg *vault.RebuildConfig) error {
			cfg.Progress = func(vault.RebuildProgress) {
				if steps++; steps == n {
					cut()
				}
			}
			return nil
		})
		cut()
		if err == nil {
			break
		}
		cuts++
		if n > 50 || !errors.Is(err, context.Canceled) {
			t.Fatalf("Rebuild, cut %d: %v", n, err)
		}
	}
	if cuts == 0 || !done.Resumed || len(done.Findings) > 0 || done.Documents != int64(len(v.documents)) {
		t.Errorf("after %d cuts: %+v", cuts, done)
	}
	for table, want := range dump(t, dir) {
		if before[table] != want {
			t.Errorf("%s:\n%s\nwant\n%s", table, want, before[table])
		}
	}
}

func TestARebuildRefusesACatalogInUse(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	put(t, h, ct(patient(), 1))
	h.Stop()
	if _, err := vaulttest.Rebuild(t.Context(), vaulttest.Options{Dir: h.Dir}, "cn-north"); !errors.Is(err, vault.ErrCatalogInUse) {
		t.Errorf("Rebuild = %v; want %v", err, vault.ErrCatalogInUse)
	}
	dropCatalog(t, h.Dir)
	if _, err := vaulttest.Rebuild(t.Context(), vaulttest.Options{Dir: h.Dir}, vaulttest.Foreign); !errors.Is(err, vault.ErrNoHouseKeys) {
		t.Errorf("Rebuild from abroad = %v; want %v", err, vault.ErrNoHouseKeys)
	}
}

func TestWhatNoLeafNamesIsTakenInAndListed(t *testing.T) {
	dir := t.TempDir()
	h, err := vaulttest.Open(t.Context(), vaulttest.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	first := put(t, h, ct(patient(), 1))
	settled(t, h)
	if err := h.ExportLog(t.Context(), vaulttest.Actor(record.RoleOperator)); err != nil {
		t.Fatal(err)
	}
	second := put(t, h, ct(patient(), 2)) // the log's tail is lost with the catalog
	care := treat(t, h, second.Patient)
	settled(t, h)
	h.Stop()
	dropCatalog(t, dir)
	done, err := vaulttest.Rebuild(t.Context(), vaulttest.Options{Dir: dir}, "cn-north")
	if err != nil {
		t.Fatal(err)
	}
	adopted := make(map[string]bool)
	for _, f := range done.Findings {
		if f.Type != vault.RebuildAdopted || f.Lacks() {
			t.Errorf("finding %+v", f)
		}
		adopted[f.Object] = true
	}
	if done.Adopted != 2 || len(adopted) != 2 || !adopted[string(second.ID)] || !adopted[string(care.ID)] {
		t.Errorf("adopted %v; want %s and %s", adopted, second.ID, care.ID)
	}
	if done.Log.Newest.IsZero() || done.Log.Newest.After(time.Now()) {
		t.Errorf("log known up to %s", done.Log.Newest)
	}
	h = vaulttest.New(t, vaulttest.Options{Dir: dir})
	for _, id := range []record.ObjectID{first.ID, second.ID} {
		if got := open(t, h, clinician, vault.Ref{Document: id}); len(got) != 1 {
			t.Errorf("document %s: %d", id, len(got))
		}
	}
	if got := leaves(t, h, vault.ActionRecovered); len(got) != 2 {
		t.Errorf("leaves = %+v; want 2", got)
	}
}

func TestWhatTheRegionLacksIsNamedAndAnotherBringsItBack(t *testing.T) {
	dir := t.TempDir()
	h, err := vaulttest.Open(t.Context(), vaulttest.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	there, lost, bad := put(t, h, ct(patient(), 1)), put(t, h, ct(patient(), 2)), put(t, h, ct(patient(), 3))
	care := treat(t, h, there.Patient)
	settled(t, h)
	loseCatalog(t, h)
	at := func(region string, id record.ObjectID, class string) string {
		return filepath.Join(dir, "regions", region, filepath.FromSlash(id.Key(class)))
	}
	if err := errors.Join(os.Remove(at("cn-north", lost.ID, "objects")), os.Remove(at("cn-north", care.ID, "records"))); err != nil {
		t.Fatal(err)
	}
	damage(t, at("cn-north", bad.ID, "objects"), func(b []byte) []byte { b[len(b)/2] ^= 1; return b })

	done, err := vaulttest.Rebuild(t.Context(), vaulttest.Options{Dir: dir}, "cn-north")
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, f := range done.Findings {
		got[f.Object] = f.Type
		if f.Type == vault.RebuildLostHere && len(f.Promised) != 3 {
			t.Errorf("%s promised to %v; want the three home regions", f.Object, f.Promised)
		}
	}
	want := map[string]string{string(lost.ID): vault.RebuildLostHere, string(care.ID): vault.RebuildLostHere, string(bad.ID): vault.RebuildDamaged,
		string(there.Patient): vault.RebuildFrozen}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("findings %v; want %v", got, want)
	}
	if done.Documents != 1 || done.Missing != 2 || done.Unreadable != 1 {
		t.Errorf("Rebuild = %+v", done)
	}

	done, err = vaulttest.Rebuild(t.Context(), vaulttest.Options{Dir: dir}, "cn-east")
	if err != nil {
		t.Fatal(err)
	}
	if len(done.Findings) > 0 || done.Documents != 3 || done.Records != 1 {
		t.Errorf("Rebuild from another region too = %+v; want everything back", done)
	}
	h = vaulttest.New(t, vaulttest.Options{Dir: dir})
	for _, id := range []record.ObjectID{there.ID, lost.ID, bad.ID} {
		if got := open(t, h, clinician, vault.Ref{Document: id}); len(got) != 1 {
			t.Errorf("document %s: %d", id, len(got))
		}
	}
}

func TestADrillTouchesNothingAndTellsHowLongItTakes(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	for instance := range 3 {
		put(t, h, ct(patient(), instance+1))
	}
	settled(t, h)
	if err := h.ExportLog(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	before := len(files(t, filepath.Join(h.Dir, "regions")))
	drill := func() vault.Drilled {
		t.Helper()
		var d vault.Drilled
		if _, err := vaulttest.RebuildWith(t.Context(), vaulttest.Options{Dir: h.Dir, DSN: "sqlite:" + filepath.Join(t.TempDir(), "none.db")}, "cn-east",
			func(cfg *vault.RebuildConfig) (err error) {
				d, err = vault.Drill(t.Context(), *cfg, 2)
				return errors.Join(err, errDrilled)
			}); !errors.Is(err, errDrilled) || d.Seconds == 0 {
			t.Fatal(err)
		}
		return d
	}
	if d := drill(); d.Sampled != 2 || d.Lacks() != 0 || d.Rebuild.Documents != 3 {
		t.Errorf("Drill = %+v; want three documents, of which two are opened", d)
	}
	if after := len(files(t, filepath.Join(h.Dir, "regions"))); after != before {
		t.Errorf("the regions hold %d files after the drill, %d before", after, before)
	}
	if left := files(t, filepath.Join(h.Dir, "spool", "rebuild")); len(left) > 0 {
		t.Errorf("the drill has left %v", left)
	}
	if err := os.Remove(files(t, filepath.Join(h.Dir, "regions", "cn-east", "objects"))[0]); err != nil {
		t.Fatal(err)
	}
	if d := drill(); d.Lacks() != 1 || d.Rebuild.Missing != 1 {
		t.Errorf("Drill of a region that lacks a document = %+v", d)
	}
}

var errDrilled = errors.New("drilled")

func TestAGatewayDoesNotBeginOnAHalfMadeCatalog(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	put(t, h, ct(patient(), 1))
	settled(t, h)
	loseCatalog(t, h)
	ctx, cut := context.WithCancel(t.Context())
	_, err := vaulttest.RebuildWith(ctx, vaulttest.Options{Dir: h.Dir}, "cn-north", func(cfg *vault.RebuildConfig) error {
		cfg.Progress = func(p vault.RebuildProgress) {
			if p.Phase == "objects" {
				cut()
			}
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if again, err := vaulttest.Open(t.Context(), vaulttest.Options{Dir: h.Dir}); !errors.Is(err, vault.ErrRebuildCut) {
		again.Stop()
		t.Errorf("Open = %v; want %v", err, vault.ErrRebuildCut)
	}
}

// An upload that is acknowledged while this region is down, by a gateway that dies before
// it can take its intent back, is in no catalog after a rebuild from here. It must stay.
func TestAnIntentThatIsOlderThanTheCatalogTakesNothingAway(t *testing.T) {
	root := t.TempDir()
	h, err := vaulttest.Open(t.Context(), vaulttest.Options{Dir: root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	stays, elsewhere := put(t, h, ct(patient(), 1)), put(t, h, ct(patient(), 2))
	settled(t, h)
	loseCatalog(t, h)
	key := filepath.FromSlash(elsewhere.ID.Key("objects"))
	if err := os.Remove(filepath.Join(root, "regions", "cn-north", key)); err != nil {
		t.Fatal(err)
	}
	intent := filepath.Join(root, "spool", "unfinished", "intent-1")
	if err := os.WriteFile(intent, []byte(elsewhere.ID.Key("objects")), 0o600); err != nil {
		t.Fatal(err)
	}
	done, err := vaulttest.Rebuild(t.Context(), vaulttest.Options{Dir: root}, "cn-north")
	if err != nil || done.Missing != 1 {
		t.Fatalf("Rebuild = %+v, %v; want one missing", done, err)
	}
	h = vaulttest.New(t, vaulttest.Options{Dir: root})
	if _, err := os.Stat(filepath.Join(root, "regions", "cn-east", key)); err != nil {
		t.Errorf("the object that only other regions have: %v", err)
	}
	if _, err := os.Stat(intent); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the intent is still there: %v", err)
	}
	treat(t, h, stays.Patient)
	open(t, h, clinician, vault.Ref{Document: stays.ID})
}

// putBack takes the catalog back to before act, of which no region's log has heard.
func putBack(t *testing.T, root string, act func(h *vaulttest.House)) {
	t.Helper()
	catalog := filepath.Join(root, "catalog.db")
	backup, err := os.ReadFile(catalog)
	if err != nil {
		t.Fatal(err)
	}
	h, err := vaulttest.Open(t.Context(), vaulttest.Options{Dir: root})
	if err != nil {
		t.Fatal(err)
	}
	act(h)
	settled(t, h)
	h.Stop()
	if err := os.WriteFile(catalog, backup, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTwoDocumentsOfOneInstanceAreBothKept(t *testing.T) {
	root := t.TempDir()
	h, err := vaulttest.Open(t.Context(), vaulttest.Options{Dir: root})
	if err != nil {
		t.Fatal(err)
	}
	first := put(t, h, ct(patient(), 1))
	settled(t, h)
	h.Stop()
	doc := imagingtest.Options{Study: 1, Series: 1, Instance: 5}
	one := imagingtest.CT(patient(), doc)
	doc.Rows = 32
	other := imagingtest.CT(patient(), doc)
	var unknown, twin vault.Receipt
	putBack(t, root, func(h *vaulttest.House) { unknown = put(t, h, other) })
	putBack(t, root, func(h *vaulttest.House) { twin = put(t, h, one) })
	h, err = vaulttest.Open(t.Context(), vaulttest.Options{Dir: root})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	confirmed := put(t, h, one)
	settled(t, h)
	loseCatalog(t, h)

	done, err := vaulttest.Rebuild(t.Context(), vaulttest.Options{Dir: root}, "cn-north")
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]bool)
	for _, f := range done.Findings {
		got[f.Type+" "+f.Object] = true
	}
	want := []string{vault.RebuildAdopted + " " + string(unknown.ID), vault.RebuildSameInstance + " " + string(unknown.ID), vault.RebuildTwin + " " + string(twin.ID)}
	for _, w := range want {
		if !got[w] {
			t.Errorf("findings %v; want %s", got, w)
		}
	}
	if len(got) != len(want) || done.Documents != 3 {
		t.Errorf("findings %v and %d documents; want %v and 3", got, done.Documents, want)
	}
	h = vaulttest.New(t, vaulttest.Options{Dir: root})
	treat(t, h, first.Patient)
	for id, bytesOf := range map[record.ObjectID][]byte{confirmed.ID: one, unknown.ID: other, twin.ID: one} {
		for _, handle := range open(t, h, clinician, vault.Ref{Document: id}) {
			if got := read(t, handle); !bytes.Equal(got, bytesOf) {
				t.Errorf("document %s comes back with other bytes", id)
			}
		}
	}
}

func TestDrillsOnScheduleAreInTheLog(t *testing.T) {
	root := t.TempDir()
	reports := filepath.Join(root, "drills")
	h := vaulttest.New(t, vaulttest.Options{Dir: root, Drill: vault.DrillEvery{Every: time.Hour, Region: "cn-north", Sample: 1, Reports: reports}})
	eventually(t, "a drill", func() bool {
		kept, err := filepath.Glob(filepath.Join(reports, "drill-cn-north-*.json"))
		return err == nil && len(kept) == 1 && len(leaves(t, h, vault.ActionDrill)) == 1
	})
	if l := leaves(t, h, vault.ActionDrill)[0]; l.Check == nil || l.Check.Level != "drill" || l.Check.Regions[0] != "cn-north" {
		t.Errorf("leaf %+v", l)
	}
	a, err := h.AuditVerify(t.Context(), vaulttest.Actor(record.RoleAuditor))
	if err != nil || !a.Intact {
		t.Errorf("AuditVerify = %+v, %v", a, err)
	}
	kept, err := os.ReadFile(files(t, reports)[0])
	if err != nil {
		t.Fatal(err)
	}
	if d, err := vault.CheckDrill(kept, a.Key); err != nil || d.Rebuild.Region != "cn-north" {
		t.Errorf("CheckDrill = %+v, %v; want the report that was signed", d, err)
	}
	for name, forged := range map[string][]byte{
		"other bytes":        bytes.Replace(kept, []byte(`"cn-north"`), []byte(`"cn-south"`), 1),
		"one more field":     bytes.Replace(kept, []byte("{"), []byte(`{"note": "all is well",`), 1),
		"without its note":   []byte("{}"),
		"a verification's":   bytes.Replace(kept, []byte("medvault drill report"), []byte("medvault verification report"), 1),
		"without its ending": kept[:len(kept)-2],
	} {
		if _, err := vault.CheckDrill(forged, a.Key); err == nil {
			t.Errorf("CheckDrill accepted a report with %s", name)
		}
	}
}

// What superseded a document has not reached this region, and the old one has not left it.
func TestASupersededDocumentComesBackWhereItsSuccessorIsLost(t *testing.T) {
	root := t.TempDir()
	h, err := vaulttest.Open(t.Context(), vaulttest.Options{Dir: root, Linger: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Stop)
	doc := burned(patient(), 1)
	r := put(t, h, doc)
	old := r.ID
	eventually(t, "three copies", func() bool { return len(holders(t, h, old)) == 3 })
	released := release(t, h, old, vault.Mask{X: 0, Y: 0, Width: 64, Height: 64})
	eventually(t, "three copies", func() bool { return len(holders(t, h, released)) == 3 })
	loseCatalog(t, h)
	if err := os.Remove(filepath.Join(root, "regions", "cn-north", filepath.FromSlash(released.Key("objects")))); err != nil {
		t.Fatal(err)
	}
	done, err := vaulttest.Rebuild(t.Context(), vaulttest.Options{Dir: root}, "cn-north")
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, f := range done.Findings {
		got[f.Object] = f.Type
	}
	if want := map[string]string{string(old): vault.RebuildEarlier, string(released): vault.RebuildLostHere}; fmt.Sprint(got) != fmt.Sprint(want) || done.Documents != 1 {
		t.Errorf("findings %v, %d documents; want %v and the earlier one", got, done.Documents, want)
	}
	done, err = vaulttest.Rebuild(t.Context(), vaulttest.Options{Dir: root}, "cn-east")
	if err != nil || len(done.Findings) > 0 || done.Documents != 1 {
		t.Errorf("Rebuild from a region that has it = %+v, %v; want it, and no finding", done, err)
	}
	h = vaulttest.New(t, vaulttest.Options{Dir: root})
	treat(t, h, r.Patient)
	handles := open(t, h, clinician, vault.Ref{Document: old})
	if handles[0].ID != released {
		t.Errorf("%s leads to %s; want %s", old, handles[0].ID, released)
	}
	if got := read(t, handles[0]); !bytes.Equal(got, doc) {
		t.Error("it comes back with other bytes")
	}
	eventually(t, "the old one gone", func() bool { return len(holders(t, h, old)) == 0 })
}
