package vault_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/storage"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

var (
	radiology = vaulttest.Actor(record.RoleRadiology)
	clinician = vaulttest.Actor(record.RoleClinician)
	quality   = vaulttest.Actor(record.RoleQuality)
	operator  = vaulttest.Actor(record.RoleOperator)
	dpo       = vaulttest.Actor(record.RoleDPO)
)

func patient() imagingtest.Patient { return imagingtest.NewPatient(7) }

// ct is a small CT instance.
func ct(p imagingtest.Patient, instance int) []byte {
	return imagingtest.CT(p, imagingtest.Options{Study: 1, Series: 1, Instance: instance, Rows: 64, Columns: 64})
}

func put(t *testing.T, h *vaulttest.House, doc []byte) vault.Receipt {
	t.Helper()
	r, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(doc)})
	if err != nil {
		t.Fatalf("Put = %v", err)
	}
	return r
}

// treat makes the clinician treat a patient.
func treat(t *testing.T, h *vaulttest.House, p record.PatientToken) vault.Care {
	t.Helper()
	c, err := h.AddCare(t.Context(), dpo, p, clinician.ID, time.Time{})
	if err != nil {
		t.Fatalf("AddCare = %v", err)
	}
	return c
}

func open(t *testing.T, h *vaulttest.House, a record.Actor, ref vault.Ref) []*vault.Handle {
	t.Helper()
	o, err := h.Open(t.Context(), a, ref)
	if err != nil {
		t.Fatalf("Open as %s = %v", a.Role, err)
	}
	return o.Documents
}

func read(t *testing.T, h *vault.Handle) []byte {
	t.Helper()
	r, err := h.Reader(t.Context())
	if err != nil {
		t.Fatalf("Reader = %v", err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read = %v", err)
	}
	return data
}

func TestADocumentComesBackByteForByteToWhoTreats(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	doc := ct(patient(), 1)
	r := put(t, h, doc)
	if len(r.Regions) < 2 {
		t.Errorf("acknowledged with regions %v; want at least two", r.Regions)
	}
	ref := vault.Ref{Study: r.Study}
	if _, err := h.Open(t.Context(), clinician, ref); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("Open before any care relationship = %v; want not found", err)
	}
	care := treat(t, h, r.Patient)
	docs := open(t, h, clinician, ref)
	if len(docs) != 1 || !bytes.Equal(read(t, docs[0]), doc) {
		t.Fatalf("the original did not come back")
	}
	if docs[0].Instance != r.SOPInstance {
		t.Errorf("Instance = %s; want the original UID", docs[0].Instance)
	}
	if err := h.EndCare(t.Context(), dpo, r.Patient, care.ID); err != nil {
		t.Fatalf("EndCare = %v", err)
	}
	if _, err := h.Open(t.Context(), clinician, ref); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("Open after the relationship ended = %v; want not found", err)
	}
}

func TestQualitySeesNoIdentity(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	p := patient()
	r := put(t, h, ct(p, 1))
	page, err := h.Find(t.Context(), quality, vault.Query{Level: vault.LevelInstance})
	if err != nil || len(page.Matches) != 1 {
		t.Fatalf("Find = %d matches, %v; want 1", len(page.Matches), err)
	}
	m := page.Matches[0]
	shown, err := json.Marshal(m.Attributes)
	if err != nil {
		t.Fatal(err)
	}
	docs := open(t, h, quality, vault.Ref{Study: m.Study, Series: m.Series, Instance: m.Instance})
	meta, err := docs[0].Metadata(t.Context())
	if err != nil {
		t.Fatalf("Metadata = %v", err)
	}
	for name, data := range map[string][]byte{"search": shown, "document": read(t, docs[0]), "metadata": meta} {
		if hits := imagingtest.Leaks(data, p.Identifiers()); len(hits) > 0 {
			t.Errorf("%s shows %d identifiers", name, len(hits))
		}
		if bytes.Contains(data, []byte(r.SOPInstance)) {
			t.Errorf("%s shows the original SOP Instance UID", name)
		}
	}
	if _, err := h.Open(t.Context(), quality, vault.Ref{Study: r.Study}); !errors.Is(err, record.ErrNotFound) {
		t.Errorf("Open by the original UID = %v; want not found: it would tell whose it is", err)
	}
	if _, err := h.Find(t.Context(), quality, vault.Query{Level: vault.LevelStudy, Match: map[string][]string{"StudyDate": {"20200101"}}}); !errors.Is(err, record.ErrInvalid) {
		t.Errorf("Find by date = %v; want refused", err)
	}
}

func TestResearcherAndOperatorSeeNothing(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, ct(patient(), 1))
	for _, role := range []record.Role{record.RoleResearcher, record.RoleOperator, record.RoleAdmin, record.RoleDPO, record.RoleAuditor, record.RoleRadiology, ""} {
		a := vaulttest.Actor(role)
		if _, err := h.Open(t.Context(), a, vault.Ref{Document: r.ID}); !errors.Is(err, record.ErrNotFound) && !errors.Is(err, record.ErrDenied) {
			t.Errorf("Open as %q = %v; want refused", role, err)
		}
		if page, err := h.Find(t.Context(), a, vault.Query{Level: vault.LevelStudy}); err == nil && len(page.Matches) > 0 {
			t.Errorf("Find as %q = %d studies; want none", role, len(page.Matches))
		}
	}
}

func TestTheSameBytesAreStoredOnceAndOthersRefused(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	doc := ct(patient(), 1)
	first := put(t, h, doc)
	again := put(t, h, doc)
	if !again.Present || again.ID != first.ID {
		t.Errorf("second Put = %+v; want present under %s", again, first.ID)
	}
	other := bytes.Clone(doc)
	other[len(other)-1] ^= 1
	if _, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(other)}); !errors.Is(err, record.ErrConflict) {
		t.Errorf("other bytes = %v; want conflict", err)
	}
	if n := objects(t, h, "cn-north"); n != 1 {
		t.Errorf("cn-north holds %d objects; want 1", n)
	}
	treat(t, h, first.Patient)
	if got := read(t, open(t, h, clinician, vault.Ref{Document: first.ID})[0]); !bytes.Equal(got, doc) {
		t.Error("the first document changed")
	}
}

func TestManyPutsOfTheSameBytesAtOnce(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	doc := ct(patient(), 1)
	results := make(chan error)
	for range 8 {
		go func() {
			_, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(doc)})
			results <- err
		}()
	}
	for range 8 {
		if err := <-results; err != nil {
			t.Errorf("Put = %v", err)
		}
	}
	report := verify(t, h, "read")
	if len(report.Findings) != 0 {
		t.Errorf("findings = %+v; want none", report.Findings)
	}
}

func TestRefusedUploadsLeaveNothing(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	p := patient()
	whole := ct(p, 1)
	bad := map[string][]byte{"empty": nil, "text": []byte("this is not a document at all"), "cut": whole[:len(whole)-100]}
	for _, b := range imagingtest.Hostile(p) {
		bad[b.Name] = b.Data
	}
	for _, b := range imagingtest.HostilePDFs(p) {
		bad["pdf: "+b.Name] = b.Data
	}
	for name, data := range bad {
		_, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(data), PatientID: p.ID})
		var r *record.Refusal
		if !errors.As(err, &r) || r.Advice == "" {
			t.Errorf("%s: Put = %v; want a refusal with advice", name, err)
			continue
		}
		if hits := imagingtest.Leaks([]byte(err.Error()), p.Identifiers()); len(hits) > 0 {
			t.Errorf("%s: the refusal quotes the document", name)
		}
	}
	for _, region := range vaulttest.Regions() {
		if n := objects(t, h, region); n != 0 {
			t.Errorf("%s holds %d objects; want none", region, n)
		}
	}
	h.Stop()
	db, err := sql.Open("sqlite", filepath.Join(h.Dir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, query := range []string{"SELECT count(*) FROM patients", "SELECT count(*) FROM wraps WHERE kind <> 'house'", "SELECT count(*) FROM objects"} {
		var n int
		if err := db.QueryRow(query).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s = %d, %v; want 0", query, n, err)
		}
	}
	if left := files(t, filepath.Join(h.Dir, "spool")); len(left) > 0 { // no spool, no intent
		t.Errorf("the spool holds %v; want nothing", left)
	}
}

func TestAReportComesBackWholeAndHasNoOtherView(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	p := patient()
	report := imagingtest.Report(p)
	r, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(report), PatientID: p.ID, Issuer: p.Issuer, Title: "CT head"})
	if err != nil {
		t.Fatalf("Put = %v", err)
	}
	if study := put(t, h, ct(p, 1)); study.Patient != r.Patient {
		t.Error("report and study of one patient have two tokens")
	}
	treat(t, h, r.Patient)
	docs := open(t, h, clinician, vault.Ref{Document: r.ID})
	if !bytes.Equal(read(t, docs[0]), report) || docs[0].Title != "CT head" {
		t.Error("the report did not come back")
	}
	var refusal *record.Refusal
	if _, err := h.Open(t.Context(), quality, vault.Ref{Document: r.ID}); !errors.As(err, &refusal) || refusal.Code != "redaction-pending" {
		t.Errorf("Open as quality = %v; want redaction-pending", err)
	}
}

func TestHeldClassesHaveNoDeidentifiedView(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	for i, modality := range []string{"US", "SC", "XA"} {
		r := put(t, h, imagingtest.CT(patient(), imagingtest.Options{Modality: modality, Study: 2, Series: i + 1, Rows: 32, Columns: 32}))
		var refusal *record.Refusal
		if _, err := h.Open(t.Context(), quality, vault.Ref{Document: r.ID}); !errors.As(err, &refusal) || refusal.Code != "held-for-review" {
			t.Errorf("%s as quality = %v; want held-for-review", modality, err)
		}
	}
	r := put(t, h, imagingtest.CT(patient(), imagingtest.Options{Study: 3, BurnedIn: "YES", Rows: 32, Columns: 32}))
	if _, err := h.Open(t.Context(), quality, vault.Ref{Document: r.ID}); !errors.Is(err, record.ErrDenied) {
		t.Errorf("burned-in annotation as quality = %v; want denied", err)
	}
}

func TestSearchFindsOnlyTheCliniciansOwnPatients(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	mine, theirs := imagingtest.NewPatient(1), imagingtest.NewPatient(2)
	mine.Name = "Quillfeather^Ottoline" // beginnings are searched in Latin names only
	r := put(t, h, ct(mine, 1))
	put(t, h, ct(mine, 2))
	put(t, h, ct(theirs, 1))
	treat(t, h, r.Patient)
	for name, match := range map[string]map[string][]string{
		"all":    nil,
		"id":     {"PatientID": {mine.ID}},
		"issuer": {"PatientID": {mine.ID}, "IssuerOfPatientID": {mine.Issuer}},
		"name":   {"PatientName": {"quillf*"}},
		"birth":  {"PatientBirthDate": {mine.BirthDate}},
		"ct":     {"ModalitiesInStudy": {"CT"}},
		"uid":    {"StudyInstanceUID": {r.Study}},
	} {
		page, err := h.Find(t.Context(), clinician, vault.Query{Level: vault.LevelStudy, Match: match})
		if err != nil || len(page.Matches) != 1 {
			t.Errorf("%s: %d studies, %v; want 1", name, len(page.Matches), err)
			continue
		}
		m := page.Matches[0]
		if m.Study != r.Study || !strings.Contains(string(m.Attributes["00100020"]), mine.ID) || !strings.Contains(string(m.Attributes["00201208"]), "[2]") ||
			!strings.Contains(string(m.Attributes["00080061"]), "CT") {
			t.Errorf("%s: attributes are not those of the study", name)
		}
	}
	for name, match := range map[string]map[string][]string{
		"other's id": {"PatientID": {theirs.ID}},
		"mr":         {"Modality": {"MR"}},
	} {
		if page, err := h.Find(t.Context(), clinician, vault.Query{Level: vault.LevelStudy, Match: match}); err != nil || len(page.Matches) != 0 {
			t.Errorf("%s: %d studies, %v; want none", name, len(page.Matches), err)
		}
	}
	if _, err := h.Find(t.Context(), clinician, vault.Query{Level: vault.LevelStudy, Match: map[string][]string{"PatientSex": {"F"}}}); !errors.Is(err, record.ErrInvalid) {
		t.Errorf("unsupported key = %v; want refused", err)
	}
}

func TestFramesAreReadWithoutTheObject(t *testing.T) {
	faulty := make(map[string]*storetest.Faulty)
	h := vaulttest.New(t, vaulttest.Options{Store: func(region, bucket string, s storage.Store) storage.Store {
		f := storetest.NewFaulty(s)
		faulty[region+"/"+bucket] = f
		return f
	}})
	const frames, side = 20, 128
	for name, o := range map[string]imagingtest.Options{
		"native":         {Frames: frames, Rows: side, Columns: side, Study: 1},
		"big endian":     {Frames: frames, Rows: side, Columns: side, Study: 2, TransferSyntax: imagingtest.BigEndian},
		"encapsulated":   {Frames: frames, Rows: side, Columns: side, Study: 3, TransferSyntax: imagingtest.RLE},
		"with fragments": {Frames: frames, Rows: side, Columns: side, Study: 4, TransferSyntax: imagingtest.JPEG2000, Fragments: 3, OffsetTable: true},
	} {
		r := put(t, h, imagingtest.CT(patient(), o))
		treat(t, h, r.Patient)
		doc := open(t, h, clinician, vault.Ref{Document: r.ID})[0]
		if doc.Frames != frames {
			t.Errorf("%s: %d frames; want %d", name, doc.Frames, frames)
			continue
		}
		gets := faulty["cn-north/data"].Count("get") + faulty["cn-east/data"].Count("get") + faulty["cn-south/data"].Count("get")
		f, err := doc.Frame(t.Context(), 7)
		if err != nil {
			t.Errorf("%s: Frame(7) = %v", name, err)
			continue
		}
		data, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Errorf("%s: read frame = %v", name, err)
		}
		if name == "native" || name == "big endian" {
			if len(data) != 2*side*side {
				t.Errorf("%s: frame has %d bytes; want %d", name, len(data), 2*side*side)
			}
		}
		now := faulty["cn-north/data"].Count("get") + faulty["cn-east/data"].Count("get") + faulty["cn-south/data"].Count("get")
		if now-gets > 3 {
			t.Errorf("%s: one frame took %d reads", name, now-gets)
		}
		if _, err := doc.Frame(t.Context(), frames+1); !errors.Is(err, record.ErrNotFound) {
			t.Errorf("%s: frame beyond the last = %v; want not found", name, err)
		}
	}
}

func TestAnyOneRegionMayBeDown(t *testing.T) {
	faulty := make(map[string]*storetest.Faulty)
	h := vaulttest.New(t, vaulttest.Options{Store: func(region, bucket string, s storage.Store) storage.Store {
		f := storetest.NewFaulty(s)
		faulty[region+"/"+bucket] = f
		return f
	}})
	down := errors.New("region is down")
	for i, region := range []string{"cn-north", "cn-east", "cn-south"} {
		doc := ct(patient(), i+1)
		for _, bucket := range []string{"/data", "/keys"} {
			faulty[region+bucket].Inject(storetest.Fault{Err: down})
		}
		r := put(t, h, doc)
		if i == 0 {
			treat(t, h, r.Patient)
		}
		if got := read(t, open(t, h, clinician, vault.Ref{Document: r.ID})[0]); !bytes.Equal(got, doc) {
			t.Errorf("with %s down the document did not come back", region)
		}
		faulty[region+"/data"].Heal()
		faulty[region+"/keys"].Heal()
	}
	for _, region := range []string{"cn-north", "cn-east"} {
		faulty[region+"/data"].Inject(storetest.Fault{Err: down})
	}
	if _, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(ct(patient(), 9))}); !errors.Is(err, record.ErrUnavailable) {
		t.Errorf("Put with two regions down = %v; want unavailable", err)
	}
	for _, region := range []string{"cn-north", "cn-east"} {
		faulty[region+"/data"].Heal()
	}
	eventually(t, "every region holds everything", func() bool {
		states, err := h.Regions(t.Context(), operator)
		return err == nil && states[0].Objects == states[1].Objects && states[1].Objects == states[2].Objects && states[0].Pending+states[1].Pending+states[2].Pending == 0
	})
	if f := verify(t, h, "read").Findings; len(f) > 0 {
		t.Errorf("findings = %+v; want none", f)
	}
}

func TestADamagedCopyIsReadFromElsewhere(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	doc := imagingtest.CT(patient(), imagingtest.Options{})
	r := put(t, h, doc)
	treat(t, h, r.Patient)
	path := filepath.Join(h.Dir, "regions", "cn-north", filepath.FromSlash(r.ID.Key("objects")))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := read(t, open(t, h, clinician, vault.Ref{Document: r.ID})[0]); !bytes.Equal(got, doc) {
		t.Error("the document did not come back from another region")
	}
}

// The regions are the truth: what the catalog keeps of an object's end may rot.
func TestADamagedIndexIsReadFromARegion(t *testing.T) {
	for name, at := range map[string]int{"who": 100, "footer": -60, "tail": -1} {
		t.Run(name, func(t *testing.T) {
			h := vaulttest.New(t, vaulttest.Options{})
			doc := ct(patient(), 1)
			r := put(t, h, doc)
			treat(t, h, r.Patient)
			db, err := sql.Open("sqlite", filepath.Join(h.Dir, "catalog.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			var tail []byte
			if err := db.QueryRow("SELECT footer FROM objects WHERE id = ?", string(r.ID)).Scan(&tail); err != nil {
				t.Fatal(err)
			}
			tail[(at+len(tail))%len(tail)] ^= 1
			if _, err := db.Exec("UPDATE objects SET footer = ? WHERE id = ?", tail, string(r.ID)); err != nil {
				t.Fatal(err)
			}
			opened := open(t, h, clinician, vault.Ref{Document: r.ID})[0]
			if got := read(t, opened); !bytes.Equal(got, doc) {
				t.Error("the document did not come back")
			}
			if page, err := h.Find(t.Context(), clinician, vault.Query{Level: vault.LevelStudy}); err != nil || len(page.Matches) != 1 {
				t.Errorf("Find = %d matches, %v; want 1", len(page.Matches), err)
			}
		})
	}
}

func TestVerifyNamesWhatIsWrong(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	var ids []record.ObjectID
	for i := range 6 {
		ids = append(ids, put(t, h, ct(patient(), i+1)).ID)
	}
	if f := verify(t, h, "read").Findings; len(f) > 0 {
		t.Fatalf("findings before any damage = %+v", f)
	}
	path := func(region string, id record.ObjectID) string {
		return filepath.Join(h.Dir, "regions", region, filepath.FromSlash(id.Key("objects")))
	}
	damage(t, path("cn-north", ids[0]), func(b []byte) []byte { b[100] ^= 1; return b })
	damage(t, path("cn-east", ids[1]), func(b []byte) []byte { return b[:len(b)-1] })
	if err := os.Remove(path("cn-south", ids[2])); err != nil {
		t.Fatal(err)
	}
	stray := record.NewObjectID()
	if err := os.MkdirAll(filepath.Dir(path("sg-1", stray)), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("sg-1", stray), []byte("what is this"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{
		"damaged cn-north " + string(ids[0]):   true,
		"wrong-size cn-east " + string(ids[1]): true,
		"missing cn-south " + string(ids[2]):   true,
		"foreign sg-1 " + string(stray):        true,
	}
	for _, level := range []string{"list", "read"} {
		got := make(map[string]bool)
		for _, f := range verify(t, h, level).Findings {
			got[f.Type+" "+f.Region+" "+f.Object] = true
		}
		for w := range want {
			if got[w] == (level == "list" && strings.HasPrefix(w, "damaged")) {
				t.Errorf("%s: found %v; want %s", level, got, w)
			}
		}
		if level == "read" && len(got) != len(want) {
			t.Errorf("read: found %v; want %v", got, want)
		}
	}
}

func TestVerifyFindsAMissingWrap(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	put(t, h, ct(patient(), 1))
	wraps := files(t, filepath.Join(h.Dir, "regions", "cn-east", "wraps"))
	if len(wraps) != 2 {
		t.Fatalf("cn-east holds %d wraps; want 2", len(wraps))
	}
	if err := os.Remove(wraps[0]); err != nil {
		t.Fatal(err)
	}
	f := verify(t, h, "list").Findings
	if len(f) != 1 || f[0].Type != "wrap-missing" || f[0].Region != "cn-east" || !strings.HasPrefix(f[0].Object, "wraps/") {
		t.Errorf("findings = %+v; want one missing wrap in cn-east", f)
	}
}

func TestTheForeignRegionHoldsNothing(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, ct(patient(), 1))
	treat(t, h, r.Patient)
	for _, dir := range []string{"objects", "records", "wraps", "house", "log"} {
		if found := files(t, filepath.Join(h.Dir, "regions", vaulttest.Foreign, dir)); len(found) > 0 {
			t.Errorf("%s of the foreign region holds %d files; want none", dir, len(found))
		}
	}
}

func TestEveryActIsInTheLog(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	auditor := vaulttest.Actor(record.RoleAuditor)
	before, err := h.AuditVerify(t.Context(), auditor)
	if err != nil {
		t.Fatalf("AuditVerify = %v", err)
	}
	r := put(t, h, ct(patient(), 1))                                       // 2 leaves: the document, and the new patient's keys taken into use
	h.Open(t.Context(), clinician, vault.Ref{Document: r.ID})              // 1: refused
	treat(t, h, r.Patient)                                                 // 1
	open(t, h, clinician, vault.Ref{Document: r.ID})                       // 1
	open(t, h, clinician, vault.Ref{Document: r.ID})                       // none: same window
	h.Find(t.Context(), quality, vault.Query{Level: vault.LevelStudy})     // 2: the search, and the patient it shows
	h.Find(t.Context(), quality, vault.Query{Level: vault.LevelStudy})     // 1: the search
	h.Open(t.Context(), quality, vault.Ref{Study: r.Study})                // 1: nothing of that name for them
	h.Put(t.Context(), quality, vault.Upload{Body: strings.NewReader("")}) // 1: refused
	put(t, h, ct(patient(), 1))                                            // 1: present
	other := ct(patient(), 1)
	other[len(other)-1] ^= 1
	h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(other)}) // 1: conflict
	after, err := h.AuditVerify(t.Context(), auditor)                         // 1
	if err != nil || !after.Intact {
		t.Fatalf("AuditVerify = %+v, %v; want intact", after, err)
	}
	if got := after.Size - before.Size; got != 13 {
		t.Errorf("%d leaves; want 13", got)
	}
}

func TestANewCatalogOverOldRegionsIsRefused(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	put(t, h, ct(patient(), 1))
	h.Stop()
	_, err := vaulttest.Open(t.Context(), vaulttest.Options{Dir: h.Dir, DSN: "sqlite:" + filepath.Join(t.TempDir(), "new.db")})
	if !errors.Is(err, vault.ErrForeignRegions) {
		t.Errorf("Open = %v; want ErrForeignRegions", err)
	}
}

func TestAVaultComesBackWithItsData(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	doc := ct(patient(), 1)
	r := put(t, h, doc)
	treat(t, h, r.Patient)
	h.Stop()
	again := vaulttest.New(t, vaulttest.Options{Dir: h.Dir})
	if got := read(t, open(t, again, clinician, vault.Ref{Study: r.Study})[0]); !bytes.Equal(got, doc) {
		t.Error("the document did not come back")
	}
}

func TestReadyNamesWhatIsMissing(t *testing.T) {
	faulty := make(map[string]*storetest.Faulty)
	h := vaulttest.New(t, vaulttest.Options{Store: func(region, bucket string, s storage.Store) storage.Store {
		f := storetest.NewFaulty(s)
		faulty[region] = f
		return f
	}})
	if ready, missing := h.Ready(t.Context()); !ready || len(missing) > 0 {
		t.Errorf("Ready = %v, %v; want ready, nothing missing", ready, missing)
	}
	for i, region := range []string{"cn-north", "cn-east"} {
		faulty[region].Inject(storetest.Fault{Err: errors.New("down")})
		ready, missing := h.Ready(t.Context())
		if ready != (i == 0) || len(missing) != i+1 || !strings.HasPrefix(missing[i], region) {
			t.Errorf("Ready with %d regions down = %v, %v; want each named", i+1, ready, missing)
		}
	}
}

func verify(t *testing.T, h *vaulttest.House, level string) vault.Report {
	t.Helper()
	r, err := h.Verify(t.Context(), operator, vault.VerifyOptions{Level: level}, nil)
	if err != nil {
		t.Fatalf("Verify = %v", err)
	}
	return r
}

func damage(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func objects(t *testing.T, h *vaulttest.House, region string) int {
	t.Helper()
	return len(files(t, filepath.Join(h.Dir, "regions", region, "objects")))
}

// files lists the files under dir.
func files(t *testing.T, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if d != nil && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func eventually(t *testing.T, what string, true func() bool) {
	t.Helper()
	for began := time.Now(); time.Since(began) < 2*time.Minute; time.Sleep(20 * time.Millisecond) {
		if true() {
			return
		}
	}
	t.Fatalf("did not become so: %s", what)
}

func TestRotationMovesWrapsAndRewritesNoObject(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	doc := ct(patient(), 1)
	r := put(t, h, doc)
	treat(t, h, r.Patient)
	object := filepath.Join(h.Dir, "regions", "cn-north", filepath.FromSlash(r.ID.Key("objects")))
	before, err := os.Stat(object)
	if err != nil {
		t.Fatal(err)
	}
	admin := vaulttest.Actor(record.RoleAdmin)
	done, err := h.RotateKeys(t.Context(), admin)
	if err != nil {
		t.Fatalf("RotateKeys = %v", err)
	}
	rewrapped := make(map[string]int)
	for _, d := range done {
		rewrapped[d.Service] += d.Rewrapped
		if len(d.Pending) != 0 || d.Trimmed != d.Shards {
			t.Errorf("rotation = %+v; want every shard trimmed, none pending", d)
		}
	}
	for _, r := range vaulttest.Regions() {
		want := 6 // two of the patient, four of the house
		if r == vaulttest.Foreign {
			want = 0
		}
		if rewrapped[r] != want {
			t.Errorf("%s: %d rewrapped; want %d", r, rewrapped[r], want)
		}
	}
	status, err := h.KeyStatus(t.Context(), admin)
	if err != nil || status[0].Newest != 2 || status[0].Oldest != 2 || len(status[0].Pending) != 0 {
		t.Errorf("KeyStatus = %+v, %v; want versions 2 alone", status, err)
	}
	after, err := os.Stat(object)
	if err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the object was rewritten: %v", err)
	}
	h.Stop()
	again := vaulttest.New(t, vaulttest.Options{Dir: h.Dir}) // nothing cached
	if got := read(t, open(t, again, clinician, vault.Ref{Study: r.Study})[0]); !bytes.Equal(got, doc) {
		t.Error("the document did not come back after the rotation")
	}
	if f := verify(t, again, "read").Findings; len(f) > 0 {
		t.Errorf("findings = %+v; want none", f)
	}
}

// A header too large for the catalog leaves only the footer there.
func TestALargeHeaderIsFoundByItsFooter(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	p := patient()
	windows := imagingtest.Element{Tag: 0x00281050, VR: "DS", Value: strings.Repeat("1.25\\", 8000) + "1"} // Window Center
	doc := imagingtest.CT(p, imagingtest.Options{Rows: 16, Columns: 16, Extra: []imagingtest.Element{windows}})
	r := put(t, h, doc)
	treat(t, h, r.Patient)
	db, err := sql.Open("sqlite", filepath.Join(h.Dir, "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var kept int
	if err := db.QueryRow("SELECT length(footer) FROM objects WHERE id = ?", string(r.ID)).Scan(&kept); err != nil || kept > 1<<10 {
		t.Fatalf("the catalog keeps %d bytes, %v; want the footer alone", kept, err)
	}
	if got := read(t, open(t, h, clinician, vault.Ref{Document: r.ID})[0]); !bytes.Equal(got, doc) {
		t.Error("the document did not come back")
	}
	if f := verify(t, h, "read").Findings; len(f) > 0 {
		t.Errorf("findings = %+v; want none: the catalog keeps the end of the object", f)
	}
}

// A gateway that dies between its commit and settling the intent has stored the
// document: recovery must not take it away.
func TestAnIntentOfACommittedObjectOnlyEnds(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	doc := ct(patient(), 1)
	r := put(t, h, doc)
	treat(t, h, r.Patient)
	h.Stop()
	left := filepath.Join(h.Dir, "spool", "unfinished", "intent-left")
	if err := os.WriteFile(left, []byte(r.ID.Key("objects")), 0o600); err != nil {
		t.Fatal(err)
	}
	again := vaulttest.New(t, vaulttest.Options{Dir: h.Dir})
	if got := read(t, open(t, again, clinician, vault.Ref{Document: r.ID})[0]); !bytes.Equal(got, doc) {
		t.Error("the document did not come back")
	}
	if f := verify(t, again, "read").Findings; len(f) > 0 {
		t.Errorf("findings = %+v; want none", f)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the intent is still there: %v", err)
	}
}

func TestWhatIsWithheldIsInTheLog(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	auditor := vaulttest.Actor(record.RoleAuditor)
	put(t, h, ct(patient(), 1))
	put(t, h, imagingtest.CT(patient(), imagingtest.Options{Study: 1, Series: 1, Instance: 2, BurnedIn: "YES", Rows: 32, Columns: 32}))
	page, err := h.Find(t.Context(), quality, vault.Query{Level: vault.LevelStudy})
	if err != nil || len(page.Matches) != 1 {
		t.Fatalf("Find = %d, %v; want 1", len(page.Matches), err)
	}
	before, err := h.AuditVerify(t.Context(), auditor)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		opened, err := h.Open(t.Context(), quality, vault.Ref{Study: page.Matches[0].Study})
		if err != nil || len(opened.Documents) != 1 || opened.Withheld != 1 {
			t.Fatalf("Open = %+v, %v; want one read and one withheld", opened, err)
		}
	}
	after, err := h.AuditVerify(t.Context(), auditor)
	if err != nil || after.Size-before.Size != 3 { // the read, the refusal, and this look itself
		t.Errorf("%d leaves, %v; want 3", after.Size-before.Size, err)
	}
}

func TestBothTokensOfASearchMustMatch(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	r := put(t, h, ct(patient(), 1))
	other := "p" + strings.Repeat("a", 26)
	for name, want := range map[string]int{string(r.Patient): 1, other: 0} {
		page, err := h.Find(t.Context(), quality, vault.Query{Level: vault.LevelStudy, Match: map[string][]string{"PatientID": {name}, "PatientName": {string(r.Patient)}}})
		if err != nil || len(page.Matches) != want {
			t.Errorf("Find = %d studies, %v; want %d", len(page.Matches), err, want)
		}
	}
}

// A region counts only while it holds the wraps, whatever was seen there before.
func TestALostWrapIsPutBackByTheNextUpload(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	put(t, h, ct(patient(), 1))
	for _, wrap := range files(t, filepath.Join(h.Dir, "regions", "cn-north", "wraps")) {
		if err := os.Remove(wrap); err != nil {
			t.Fatal(err)
		}
	}
	put(t, h, ct(patient(), 2))
	eventually(t, "cn-north holds the wraps again", func() bool { return len(verify(t, h, "read").Findings) == 0 })
}

// The first documents of a new patient come at once: they share the keys that the
// first of them fixes.
func TestManyFirstDocumentsOfAPatientAtOnce(t *testing.T) {
	h := vaulttest.New(t, vaulttest.Options{})
	results := make(chan error)
	for i := range 8 {
		go func() {
			_, err := h.Put(t.Context(), radiology, vault.Upload{Body: bytes.NewReader(ct(patient(), i+1))})
			results <- err
		}()
	}
	for range 8 {
		if err := <-results; err != nil {
			t.Errorf("Put = %v", err)
		}
	}
	if f := verify(t, h, "read").Findings; len(f) > 0 {
		t.Errorf("findings = %+v; want none", f)
	}
}
