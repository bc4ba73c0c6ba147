package api_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/alarm"
	"medvault/vault/record"
	"medvault/vault/residency"
	"medvault/vault/vaulttest"
)

// bureau is two gateways of one vault over real HTTP, with a clock that can be set.
type bureau struct {
	t        *testing.T
	gateways []house
	servers  []*httptest.Server
	clock    atomic.Int64
}

func (b *bureau) now() time.Time { return time.Unix(0, b.clock.Load()) }

// set says what time it is in Beijing.
func (b *bureau) set(at string) {
	b.t.Helper()
	beijing, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		b.t.Fatal(err)
	}
	now, err := time.ParseInLocation("2006-01-02 15:04", at, beijing)
	if err != nil {
		b.t.Fatal(err)
	}
	b.clock.Store(now.UnixNano())
}

func newBureau(t *testing.T, o vaulttest.Options, at string) *bureau {
	t.Helper()
	b := &bureau{t: t}
	b.set(at)
	o.Dir, o.Now = t.TempDir(), b.now
	o.Officer = vault.Officer{Email: "dpo@hospital.example", Phone: "+86 10 0000 0000", Address: "1 Example Road, Beijing"}
	first := newHouse(t, o, nil)
	second := newHouse(t, o, nil)
	for _, h := range []house{first, second} {
		server := httptest.NewServer(h.Handler())
		t.Cleanup(server.Close)
		b.gateways, b.servers = append(b.gateways, h), append(b.servers, server)
	}
	return b
}

// onDatabases runs a test on SQLite and, where there is a server, on PostgreSQL.
func onDatabases(t *testing.T, test func(t *testing.T, o vaulttest.Options)) {
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, vaulttest.Options{}) })
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		server := os.Getenv("MEDVAULT_TEST_POSTGRES")
		if server == "" {
			t.Skip("set MEDVAULT_TEST_POSTGRES (scripts/test starts one)")
		}
		name := "rights_" + string(record.NewObjectID())
		run := func(statement string) {
			admin, err := sql.Open("pgx", server)
			if err != nil {
				t.Fatal(err)
			}
			defer admin.Close()
			if _, err := admin.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		run("CREATE DATABASE " + name)
		t.Cleanup(func() { run("DROP DATABASE " + name + " WITH (FORCE)") })
		u, err := url.Parse(server)
		if err != nil {
			t.Fatal("MEDVAULT_TEST_POSTGRES is not a URL")
		}
		u.Path = "/" + name
		test(t, vaulttest.Options{DSN: u.String()})
	})
}

// ask is a request to one of the gateways by a role's person.
func (b *bureau) ask(gateway int, role record.Role, method, path string, body any) (int, []byte) {
	b.t.Helper()
	var sent io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			b.t.Fatal(err)
		}
		sent = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.servers[gateway].URL+path, sent)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+b.gateways[gateway].tokens[role])
	resp, err := b.servers[gateway].Client().Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// want asks and expects a status, and a code or word in the answer.
func (b *bureau) want(gateway int, role record.Role, method, path string, body any, status int, holds string) []byte {
	b.t.Helper()
	got, answer := b.ask(gateway, role, method, path, body)
	if got != status || !bytes.Contains(answer, []byte(holds)) {
		b.t.Errorf("%s %s by %s = %d %.300s; want %d with %q", method, path, role, got, answer, status, holds)
	}
	return answer
}

func into[T any](t *testing.T, data []byte) (v T) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v in %.200s", err, data)
	}
	return v
}

// granted opens a case of that type, verified, and grants it.
func (b *bureau) granted(kind string, patient record.PatientToken) vault.Case {
	b.t.Helper()
	c := into[vault.Case](b.t, b.want(0, "dpo", "POST", "/api/v1/cases", map[string]any{"type": kind, "patient": patient, "verified": "id-document"}, 201, `"state":"open"`))
	b.want(1, "dpo", "POST", "/api/v1/cases/"+string(c.ID)+"/decision", map[string]any{"outcome": "granted", "basis": "PIPL-44"}, 200, `"state":"decided"`)
	return c
}

// admit stores an image and a report of a patient.
func (b *bureau) admit(p imagingtest.Patient) (image, report vault.Receipt, original []byte) {
	b.t.Helper()
	original = imagingtest.CT(p, imagingtest.Options{Study: 1, Series: 1, Instance: 1, Rows: 32, Columns: 32})
	by := vaulttest.Actor(record.RoleRadiology)
	var err error
	if image, err = b.gateways[0].vault.Put(b.t.Context(), by, vault.Upload{Body: bytes.NewReader(original)}); err != nil {
		b.t.Fatal(err)
	}
	if report, err = b.gateways[0].vault.Put(b.t.Context(), by, vault.Upload{Body: bytes.NewReader(imagingtest.Report(p)), PatientID: p.ID, Issuer: p.Issuer, Title: "consent"}); err != nil {
		b.t.Fatal(err)
	}
	return image, report, original
}

func TestPromise5_7RequestsHaveClocksInWorkingDaysAcrossNationalDay(t *testing.T) {
	onDatabases(t, func(t *testing.T, o vaulttest.Options) {
		b := newBureau(t, o, "2026-09-30 15:00")
		p := imagingtest.NewPatient(501)
		p.BirthDate = "19700101"
		image, report, _ := b.admit(p)
		due := func(c vault.Case, response, execution string) {
			t.Helper()
			day := func(k *vault.CaseClock) string {
				if k == nil {
					return ""
				}
				return k.Due.Add(8*time.Hour - time.Second).UTC().Format(time.DateOnly) // the last day, in Beijing
			}
			if day(c.Response) != response || day(c.Execution) != execution {
				t.Errorf("%s: until %s and %s; want %s and %s", c.Type, day(c.Response), day(c.Execution), response, execution)
			}
		}
		const path = "/api/v1/cases"
		opened := make(map[string]vault.Case)
		for kind, days := range map[string][2]string{
			"access": {"2026-10-15", ""}, "correction": {"2026-10-15", ""}, "restriction": {"2026-10-15", ""}, "portability": {"2026-10-15", ""},
			"access-log": {"2026-10-15", ""}, "deletion": {"2026-10-15", "2026-10-27"}, "inquiry": {"2026-10-10", ""}, "complaint": {"2026-10-10", ""},
		} {
			body := map[string]any{"type": kind, "text": "in their own words"}
			if kind != "inquiry" {
				body["patient"] = image.Patient
			}
			c := into[vault.Case](t, b.want(0, "dpo", "POST", path, body, 201, kind))
			due(c, days[0], days[1])
			opened[kind] = c
		}
		b.want(0, "dpo", "POST", path, map[string]any{"type": "access"}, 400, "patient-missing")
		b.want(0, "dpo", "POST", path, map[string]any{"type": "gift", "patient": image.Patient}, 400, "bad-type")
		b.want(0, "clinician", "POST", path, map[string]any{"type": "inquiry"}, 403, "dpo@hospital.example")
		b.want(0, "dpo", "POST", path, map[string]any{"type": "access", "patient": "p" + strings.Repeat("a", 26)}, 404, "not-found")

		// Another gateway, days later.
		b.set("2026-10-09 09:00")
		one := path + "/" + string(opened["inquiry"].ID)
		b.want(1, "dpo", "GET", one, nil, 200, `"standing":"due-soon"`)
		b.want(1, "dpo", "GET", one, nil, 200, "in their own words")
		b.set("2026-10-11 00:00")
		b.want(1, "dpo", "GET", one, nil, 200, `"standing":"overdue"`)
		b.want(0, "dpo", "POST", one+"/decision", map[string]any{"outcome": "granted", "basis": "PIPL-50"}, 400, "bad-outcome")
		b.want(0, "dpo", "POST", one+"/decision", map[string]any{"outcome": "answered", "answer": "so it is"}, 200, `"standing":"late"`)
		b.want(1, "dpo", "POST", one+"/decision", map[string]any{"outcome": "answered"}, 409, "case-decided")
		b.want(1, "dpo", "POST", one+"/close", nil, 200, `"state":"closed"`)

		// A deletion: nobody is granted anything before it is sure who asks.
		one = path + "/" + string(opened["deletion"].ID)
		b.want(0, "dpo", "POST", one+"/decision", map[string]any{"outcome": "granted", "basis": "PIPL-47"}, 409, "requester-unverified")
		b.want(0, "dpo", "PATCH", one, map[string]any{"verified": "id-document", "assignee": "dpo-1"}, 200, `"state":"in-progress"`)
		b.want(0, "dpo", "POST", one+"/decision", map[string]any{"outcome": "granted", "basis": "because Zhang Wei said so"}, 400, "bad-basis")
		b.want(0, "dpo", "POST", one+"/decision", map[string]any{"outcome": "granted", "basis": "PIPL-47"}, 200, `"standing":"met"`)
		b.want(0, "dpo", "POST", one+"/close", nil, 409, "case-not-done")
		b.want(1, "dpo", "POST", one+"/execution", nil, 409, "not-done")
		b.set("2026-10-28 00:00")
		b.erase(map[string]any{"document": report.ID, "early": "patient-request", "evidence": string(opened["deletion"].ID)})
		b.want(1, "dpo", "POST", one+"/execution", nil, 200, `"standing":"late"`)
		b.want(1, "dpo", "POST", one+"/close", nil, 200, `"state":"closed"`)

		list := into[struct{ Cases []vault.Case }](t, b.want(0, "auditor", "GET", path, nil, 200, "access"))
		if len(list.Cases) != 6 {
			t.Errorf("%d cases are open; want 6", len(list.Cases))
		}
		all := into[struct{ Cases []vault.Case }](t, b.want(0, "auditor", "GET", path+"?closed=true", nil, 200, "deletion"))
		if len(all.Cases) != 8 {
			t.Errorf("%d cases in all; want 8", len(all.Cases))
		}
		log := b.want(0, "dpo", "GET", "/api/v1/patients/"+string(image.Patient)+"/access-log", nil, 200, "granted PIPL-47")
		if bytes.Contains(log, []byte("own words")) {
			t.Error("the log holds what somebody wrote")
		}
	})
}

// inbox is a webhook that keeps what it is told.
type inbox struct {
	mu   sync.Mutex
	got  []alarm.Alarm
	down atomic.Bool
}

func (i *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var a alarm.Alarm
	if i.down.Load() || json.NewDecoder(r.Body).Decode(&a) != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.got = append(i.got, a)
}

func (i *inbox) count(kind alarm.Kind) (n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, a := range i.got {
		if a.Kind == kind {
			n++
		}
	}
	return n
}

func (i *inbox) await(t *testing.T, kind alarm.Kind, want int) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); i.count(kind) < want; {
		if time.Now().After(deadline) {
			t.Fatalf("%d alarms of kind %s; want %d", i.count(kind), kind, want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestPromise10_1TheOfficerIsAlarmed(t *testing.T) {
	t.Parallel()
	box := new(inbox)
	hook := httptest.NewServer(box)
	t.Cleanup(hook.Close)
	sender, err := alarm.NewWebhook(alarm.WebhookConfig{URL: hook.URL, Secret: bytes.Repeat([]byte("s"), 32), Client: hook.Client()})
	if err != nil {
		t.Fatal(err)
	}
	o := vaulttest.Options{Poll: 10 * time.Millisecond, Alarms: vault.AlarmConfig{Senders: []alarm.Sender{sender}, Every: 10 * time.Millisecond}}
	b := newBureau(t, o, "2026-11-23 10:00") // a Monday
	p := imagingtest.NewPatient(502)
	p.BirthDate = "19700101"
	image, _, _ := b.admit(p)
	box.down.Store(true) // what cannot be delivered now is delivered later
	c := into[vault.Case](t, b.want(0, "dpo", "POST", "/api/v1/cases", map[string]any{"type": "inquiry", "text": "a question"}, 201, "inquiry"))
	box.down.Store(false)
	box.await(t, alarm.CaseOpened, 1)
	b.set("2026-11-25 08:00")
	box.await(t, alarm.CaseDueSoon, 1)
	b.set("2026-11-27 08:00")
	box.await(t, alarm.CaseOverdue, 1)
	b.set("2026-11-28 08:00")
	box.await(t, alarm.CaseOverdue, 2)
	why, err := record.NewEmergency("unconscious in the emergency room")
	if err != nil {
		t.Fatal(err)
	}
	clinician := vaulttest.Actor(record.RoleClinician)
	clinician.Purpose = record.PurposeETreat
	if _, err := b.gateways[0].vault.BreakGlass(t.Context(), clinician, image.Patient, why); err != nil {
		t.Fatal(err)
	}
	box.await(t, alarm.BreakglassOpened, 1)
	b.want(1, "dpo", "GET", "/api/v1/cases", nil, 200, `"type":"break-glass"`)
	b.set("2026-11-29 09:00")
	box.await(t, alarm.BreakglassOverdue, 1)
	child := imagingtest.NewPatient(503)
	child.BirthDate = "20200101"
	b.admit(child)
	box.await(t, alarm.GuardianConsent, 1)

	box.mu.Lock()
	defer box.mu.Unlock()
	raised := make(map[string]bool) // by the id, which is the same at every attempt to tell it
	for _, a := range box.got {
		if a.Kind == alarm.CaseDueSoon {
			raised[a.ID] = true
		}
	}
	if len(raised) != 1 {
		t.Errorf("due soon was raised %d times; want once", len(raised))
	}
	told, err := json.Marshal(box.got)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{string(image.Patient), p.ID, p.Name, child.ID, "question", "unconscious"} {
		if bytes.Contains(told, []byte(secret)) {
			t.Errorf("an alarm holds %q", secret)
		}
	}
	if !slices.ContainsFunc(box.got, func(a alarm.Alarm) bool { return a.Kind == alarm.CaseOpened && a.About == string(c.ID) }) {
		t.Error("no alarm names the case")
	}
	b.want(0, "auditor", "GET", "/api/v1/audit?action=alarm.sent", nil, 200, "break-glass-opened")
}

func TestPromise5_4RestrictionActsOnTheNextRequestInEveryGateway(t *testing.T) {
	onDatabases(t, func(t *testing.T, o vaulttest.Options) {
		b := newBureau(t, o, "2026-11-23 10:00")
		p := imagingtest.NewPatient(504)
		p.BirthDate = "19700101"
		image, _, _ := b.admit(p)
		patient, document := "/api/v1/patients/"+string(image.Patient), "/api/v1/documents/"+string(image.ID)
		b.want(0, "dpo", "POST", patient+"/care-team", map[string]any{"clinician": "clinician-1"}, 201, "")
		b.want(0, "dpo", "POST", patient+"/guardians", map[string]any{"subject": "patient-1", "relation": "self"}, 201, "")
		for gateway := range 2 {
			b.want(gateway, "clinician", "GET", document, nil, 200, "")
		}
		b.want(0, "dpo", "POST", patient+"/restrictions", map[string]any{"case": strings.Repeat("0", 32)}, 400, "case-needed")
		c := b.granted("restriction", image.Patient)
		b.want(0, "dpo", "POST", "/api/v1/cases/"+string(c.ID)+"/execution", nil, 409, "not-done")
		b.want(0, "admin", "POST", patient+"/restrictions", map[string]any{"case": c.ID}, 403, "role-not-permitted")
		set := into[vault.Restriction](t, b.want(0, "dpo", "POST", patient+"/restrictions", map[string]any{"case": c.ID}, 201, ""))
		b.want(0, "dpo", "POST", "/api/v1/cases/"+string(c.ID)+"/execution", nil, 200, "executed")
		for gateway := range 2 {
			b.want(gateway, "clinician", "GET", document, nil, 403, "processing-restricted")
			b.want(gateway, "quality", "GET", document, nil, 403, "processing-restricted")
			if status, found := b.ask(gateway, "clinician", "GET", "/dicomweb/studies", nil); status == 200 && bytes.Contains(found, []byte("0020000D")) {
				t.Errorf("a search finds what is restricted: %s", found)
			}
			b.want(gateway, "patient", "GET", document, nil, 200, "") // it is theirs
		}
		more, err := b.gateways[1].vault.Put(t.Context(), vaulttest.Actor(record.RoleRadiology),
			vault.Upload{Body: bytes.NewReader(imagingtest.CT(p, imagingtest.Options{Study: 1, Series: 1, Instance: 2, Rows: 32, Columns: 32}))})
		if err != nil {
			t.Errorf("an upload of a restricted patient = %v; want it stored", err)
		}
		b.want(0, "clinician", "GET", "/api/v1/documents/"+string(more.ID), nil, 403, "processing-restricted")

		again := b.granted("restriction", image.Patient)
		lift := patient + "/restrictions/" + string(set.ID) + "?case="
		b.want(1, "dpo", "DELETE", lift+string(c.ID), nil, 400, "case-needed")
		b.want(1, "dpo", "DELETE", lift+string(again.ID), nil, 204, "")
		for gateway := range 2 {
			b.want(gateway, "clinician", "GET", document, nil, 200, "")
		}
		b.want(1, "dpo", "GET", patient+"/restrictions", nil, 200, string(again.ID))
	})
}

func TestPromise4_3DisclosureByEveryBasis(t *testing.T) {
	onDatabases(t, func(t *testing.T, o vaulttest.Options) {
		later := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		o.Registers = &residency.Registers{
			Countries: map[string]residency.Country{"SG": {Document: "d", Expires: later}},
			Recipients: map[string]residency.Recipient{"Partner": {Country: "CN", Document: "a", Expires: later}, "Abroad": {Country: "SG", Document: "a", Expires: later},
				"Lapsed": {Country: "CN", Document: "a", Expires: later.AddDate(-10, 0, 0)}},
		}
		b := newBureau(t, o, "2026-11-23 10:00")
		p := imagingtest.NewPatient(505)
		p.BirthDate = "19700101"
		image, report, original := b.admit(p)
		patient := "/api/v1/patients/" + string(image.Patient)
		b.want(0, "dpo", "POST", patient+"/guardians", map[string]any{"subject": "patient-1", "relation": "self"}, 201, "")
		const path = "/api/v1/disclosures"
		propose := func(recipient, basis, reference, country string) map[string]any {
			body := map[string]any{"patient": image.Patient, "recipient": recipient, "basis": basis, "reference": reference, "documents": []record.ObjectID{image.ID}}
			if country != "" {
				body["country"] = country
			}
			return body
		}
		for _, row := range []struct {
			name   string
			role   record.Role
			body   map[string]any
			status int
			code   string
		}{
			{"without a basis", "admin", propose("Partner", "", "A-1", ""), 400, "basis-required"},
			{"a basis that is none", "admin", propose("Partner", "curiosity", "A-1", ""), 400, "basis-required"},
			{"without a reference", "admin", propose("Partner", "treating-hospital", "", ""), 400, "reference-required"},
			{"by a clinician", "clinician", propose("Partner", "treating-hospital", "A-1", ""), 404, "not-found"},
			{"by the auditor", "auditor", propose("Partner", "treating-hospital", "A-1", ""), 403, "role-not-permitted"},
			{"a hospital nobody knows", "admin", propose("Stranger", "treating-hospital", "A-1", ""), 403, "recipient-unknown"},
			{"an agreement that lapsed", "admin", propose("Lapsed", "treating-hospital", "A-1", ""), 403, "agreement-expired"},
			{"a hospital abroad without consent", "admin", propose("Abroad", "treating-hospital", "A-1", ""), 403, "no-consent-abroad"},
			{"consent that is not there", "admin", propose("Partner", "consent", "A-1", ""), 403, "no-disclosure-consent"},
			{"a court abroad", "admin", propose("High Court", "court-order", "HC-1", "SG"), 403, "foreign-authority"},
			{"somebody else's document", "admin", map[string]any{"patient": image.Patient, "recipient": "Partner", "basis": "treating-hospital", "reference": "A-1",
				"documents": []string{strings.Repeat("0", 32)}}, 400, "document-unknown"},
			{"nobody's", "admin", map[string]any{"patient": "p" + strings.Repeat("a", 26), "recipient": "Partner", "basis": "treating-hospital", "reference": "A-1"}, 404, "not-found"},
		} {
			if status, answer := b.ask(0, row.role, "POST", path, row.body); status != row.status || !bytes.Contains(answer, []byte(row.code)) {
				t.Errorf("%s: %d %s; want %d %s", row.name, status, answer, row.status, row.code)
			}
		}
		b.want(0, "dpo", "POST", patient+"/consents", map[string]any{"purpose": "TREAT", "recipient": "Partner", "evidence": report.ID}, 201, "")
		for _, row := range []map[string]any{
			propose("Partner", "treating-hospital", "A-1", ""), propose("Partner", "consent", "C-1", ""),
			propose("Haidian District Court", "court-order", "(2026)京0108民初1234号", ""), propose("Health Commission", "statute", "PRC-CDC-2026-7", ""),
		} {
			d := into[vault.Disclosure](t, b.want(0, "admin", "POST", path, row, 201, `"state":"proposed"`))
			one := path + "/" + string(d.ID)
			b.want(0, "dpo", "POST", one+"/documents", nil, 403, "disclosure-not-approved")
			b.want(1, "admin", "POST", one+"/approve", nil, 403, "second-person")
			b.want(1, "dpo", "POST", one+"/approve", nil, 200, `"state":"approved"`)
			b.want(1, "clinician", "POST", one+"/documents", nil, 404, "")
			given := b.want(0, "dpo", "POST", one+"/documents", nil, 200, "PK")
			z, err := zip.NewReader(bytes.NewReader(given), int64(len(given)))
			if err != nil || len(z.File) != 2 {
				t.Fatalf("what is given: %v, %d files", err, len(z.File))
			}
			f, err := z.File[0].Open()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(f)
			if err != nil || !bytes.Equal(got, original) {
				t.Errorf("given: %d bytes, %v; want the original", len(got), err)
			}
			manifest, err := z.File[1].Open()
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(original)
			if text, err := io.ReadAll(manifest); err != nil || !bytes.Contains(text, []byte(hex.EncodeToString(sum[:]))) {
				t.Errorf("manifest %s, %v", text, err)
			}
			log := b.want(0, "patient", "GET", patient+"/access-log", nil, 200, "gave a third party the original of document "+string(image.ID))
			if !bytes.Contains(log, []byte(fmt.Sprintf("for the institution %s", row["recipient"]))) {
				t.Errorf("the patient's access log does not name %s", row["recipient"])
			}
		}
		d := into[vault.Disclosure](t, b.want(0, "admin", "POST", path, propose("Partner", "consent", "C-2", ""), 201, ""))
		one := path + "/" + string(d.ID)
		b.want(1, "dpo", "POST", one+"/approve", nil, 200, "")
		b.want(0, "dpo", "DELETE", patient+"/consents/"+string(d.Consent), nil, 204, "")
		b.want(0, "dpo", "POST", one+"/documents", nil, 403, "no-disclosure-consent") // withdrawn: the next request is refused
		late := into[vault.Disclosure](t, b.want(0, "admin", "POST", path, propose("Partner", "treating-hospital", "A-9", ""), 201, ""))
		b.want(1, "dpo", "POST", path+"/"+string(late.ID)+"/approve", nil, 200, "")
		c := b.granted("restriction", image.Patient)
		b.want(0, "dpo", "POST", patient+"/restrictions", map[string]any{"case": c.ID}, 201, "")
		b.want(0, "dpo", "POST", path+"/"+string(late.ID)+"/documents", nil, 403, "processing-restricted")
		b.want(0, "admin", "POST", path, propose("Haidian District Court", "court-order", "1235", ""), 201, "") // a legal claim
		b.want(0, "auditor", "GET", path, nil, 200, "court-order")
	})
}

func TestPromise9_3GuardiansExerciseTheChildsRightsUntilTheBirthday(t *testing.T) {
	onDatabases(t, func(t *testing.T, o vaulttest.Options) {
		b := newBureau(t, o, "2026-11-23 10:00")
		child := imagingtest.NewPatient(506)
		child.BirthDate = "20081201" // 18 on 1 December 2026
		image, paper, original := b.admit(child)
		patient := "/api/v1/patients/" + string(image.Patient)
		document := "/api/v1/documents/" + string(image.ID)
		b.want(0, "dpo", "POST", patient+"/guardians", map[string]any{"subject": "guardian-1", "relation": "mother", "evidence": paper.ID}, 201, "")
		b.want(0, "dpo", "POST", patient+"/guardians", map[string]any{"subject": "patient-1", "relation": "self"}, 201, "")
		b.want(1, "guardian", "GET", "/api/v1/mine", nil, 200, string(image.Patient))
		b.want(1, "guardian", "GET", "/api/v1/mine", nil, 200, "+86 10 0000 0000")
		b.want(1, "guardian", "POST", patient+"/consents", map[string]any{"purpose": "TREAT", "evidence": paper.ID}, 201, "guardian-1")
		listed := b.want(0, "guardian", "GET", patient+"/documents", nil, 200, string(image.ID))
		if !bytes.Contains(listed, []byte(paper.ID)) {
			t.Errorf("the list lacks the report: %s", listed)
		}
		if got := b.want(0, "guardian", "GET", document, nil, 200, ""); !bytes.Equal(got, original) {
			t.Error("the guardian got another document")
		}
		b.want(0, "guardian", "GET", patient+"/access-log", nil, 200, "guardian-1")
		b.want(0, "guardian", "GET", patient+"/consents", nil, 200, "TREAT")
		c := into[vault.Case](t, b.want(0, "guardian", "POST", "/api/v1/cases", map[string]any{"type": "access", "patient": image.Patient, "text": "a copy, please"}, 201, `"as":"guardian"`))
		one := "/api/v1/cases/" + string(c.ID)
		if c.Requester == nil || c.Requester.Verified != "login" || c.Requester.Subject != "guardian-1" {
			t.Errorf("requester %+v; want the guardian by log-in", c.Requester)
		}
		b.want(1, "dpo", "POST", one+"/notes", map[string]any{"text": "between us"}, 204, "")
		b.want(1, "dpo", "POST", one+"/decision", map[string]any{"outcome": "granted", "basis": "PIPL-45", "answer": "it is ready"}, 200, "")
		seen := b.want(1, "guardian", "GET", one, nil, 200, "it is ready")
		if bytes.Contains(seen, []byte("between us")) {
			t.Error("the guardian sees a note that is not for them")
		}
		b.want(1, "guardian", "GET", "/api/v1/cases", nil, 200, string(c.ID))
		b.want(1, "guardian", "POST", one+"/close", nil, 403, "role-not-permitted")
		b.want(0, "guardian", "POST", "/api/v1/cases", map[string]any{"type": "access", "patient": image.Patient, "verified": "call-back"}, 400, "officer-only")
		// The child alone does not, yet.
		b.want(0, "patient", "GET", patient+"/documents", nil, 403, "guardian-acts")

		b.set("2026-11-30 23:59")
		b.want(0, "guardian", "GET", document, nil, 200, "")
		b.set("2026-12-01 00:00")
		for _, row := range []struct{ method, path string }{
			{"GET", document}, {"GET", patient + "/documents"}, {"GET", patient + "/access-log"}, {"GET", patient + "/consents"}, {"GET", one},
		} {
			b.want(1, "guardian", row.method, row.path, nil, 403, "guardian-ended")
		}
		b.want(1, "guardian", "POST", "/api/v1/cases", map[string]any{"type": "access", "patient": image.Patient}, 403, "guardian-ended")
		b.want(1, "guardian", "GET", "/api/v1/mine", nil, 200, `"patients":[]`)
		// And now the patient does.
		b.want(1, "patient", "GET", patient+"/documents", nil, 200, string(image.ID))
		b.want(1, "patient", "GET", one, nil, 200, "it is ready")
		b.want(1, "patient", "POST", "/api/v1/cases", map[string]any{"type": "deletion", "patient": image.Patient}, 201, `"as":"patient"`)
		said := into[vault.Consent](t, b.want(1, "patient", "POST", patient+"/consents", map[string]any{"purpose": "HQUALIMP", "decision": "refuse"}, 201, ""))
		b.want(0, "patient", "DELETE", patient+"/consents/"+string(said.ID), nil, 204, "")
		b.want(0, "patient", "GET", patient+"/access-log", nil, 200, "patient-1")
	})
}

func TestPromise10_1TheOfficerCanBeReached(t *testing.T) {
	t.Parallel()
	b := newBureau(t, vaulttest.Options{}, "2026-11-23 10:00")
	for _, row := range []struct {
		path   string
		status int
	}{{"/api/v1/officer", 200}, {"/api/v1/documents/" + strings.Repeat("0", 32), 404}, {"/api/v1/regions", 403}} {
		got := b.want(0, "patient", "GET", row.path, nil, row.status, "dpo@hospital.example")
		if !bytes.Contains(got, []byte("+86 10 0000 0000")) || !bytes.Contains(got, []byte("1 Example Road")) {
			t.Errorf("%s: %s; want phone and address too", row.path, got)
		}
	}
	resp, err := http.Get(b.servers[0].URL + "/api/v1/officer") // nobody in particular
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("whom to write to, without a log-in: %d", resp.StatusCode)
	}
}
