package staff_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"medvault/api"
	"medvault/api/client"
	"medvault/api/identity"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// clock is a time that a test sets.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// hospital is a vault with two gateways on one catalog, and a register.
type hospital struct {
	t        *testing.T
	clock    *clock
	options  vaulttest.Options
	houses   []*vaulttest.House
	gateways []*httptest.Server
	tokens   map[string]string // by subject
}

var began = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func newHospital(t *testing.T) *hospital {
	h := &hospital{t: t, clock: &clock{at: began}, tokens: make(map[string]string)}
	h.options = vaulttest.Options{Dir: t.TempDir(), Register: true, Now: h.clock.now}
	people := make(map[string]record.Actor)
	for subject, role := range map[string]record.Role{"boss": "admin", "boss-2": "admin", "privacy": "dpo", "dr-li": "clinician", "dr-who": "clinician",
		"ct-1": "radiology", "mallory": "admin", "pat": "patient"} {
		h.tokens[subject] = identity.NewToken()
		// What a token says of institution, issuer and country is not believed.
		people[h.tokens[subject]] = record.Actor{ID: subject, Role: role, Institution: "elsewhere", Issuer: "ELSEWHERE", Country: "CN"}
	}
	auth, err := identity.NewStatic(people)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		house := vaulttest.New(t, h.options)
		h.houses = append(h.houses, house)
		server, err := api.New(api.Config{Vault: house.Vault, Auth: auth, PublicURL: "http://127.0.0.1", Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		gateway := httptest.NewServer(server.Handler())
		t.Cleanup(gateway.Close)
		h.gateways = append(h.gateways, gateway)
	}
	if begun, err := h.houses[0].BeginStaff(t.Context(), "boss", vault.StaffInstitution{ID: "house", Country: "CN", Issuer: "HOUSE"}); err != nil || !begun {
		t.Fatalf("BeginStaff = %v, %v", begun, err)
	}
	if begun, err := h.houses[1].BeginStaff(t.Context(), "mallory", vault.StaffInstitution{ID: "other", Country: "CN", Issuer: "X"}); err != nil || begun {
		t.Fatalf("BeginStaff again = %v, %v; want nothing done", begun, err)
	}
	return h
}

// ask sends a request to one gateway and returns the status, the code of a refusal, and
// the body.
func (h *hospital) ask(gateway int, subject, method, path, body string) (int, string, *http.Response) {
	h.t.Helper()
	req, err := http.NewRequest(method, h.gateways[gateway].URL+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.tokens[subject])
	if strings.Contains(path, "import") && !strings.HasPrefix(body, "{") {
		req.Header.Set("Content-Type", "text/csv")
	} else if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.StatusCode, string(data), resp
}

func (h *hospital) want(status int, subject, method, path, body string) string {
	h.t.Helper()
	got, text, _ := h.ask(0, subject, method, path, body)
	if got != status {
		h.t.Fatalf("%s %s as %s: %d %s; want %d", method, path, subject, got, text, status)
	}
	return text
}

// everywhere wants the next request in every gateway to be answered so.
func (h *hospital) everywhere(when, subject, path string, status int, code string) {
	h.t.Helper()
	for i := range h.gateways {
		got, text, _ := h.ask(i, subject, http.MethodGet, path, "")
		if got != status || !strings.Contains(text, code) {
			h.t.Errorf("%s: GET as %s at gateway %d: %d %s; want %d %s", when, subject, i, got, text, status, code)
		}
	}
}

const year = "2026-03-01T00:00:00Z"

// staffed enters a clinic with a clinician and a modality.
func (h *hospital) staffed() {
	h.t.Helper()
	h.want(200, "boss", "PUT", "/api/v1/staff/institutions/clinic", `{"name":"North Clinic","country":"CN","issuer":"NORTH"}`)
	h.want(201, "boss", "POST", "/api/v1/staff/people", `{"subject":"dr-li","name":"Li Testname","roles":["clinician"],"institution":"clinic","trainings":[{"at":"`+year+`","reference":"course 7"}]}`)
	h.want(201, "boss", "POST", "/api/v1/staff/people", `{"subject":"ct-1","kind":"service","roles":["radiology"],"institution":"clinic"}`)
	h.want(201, "boss", "POST", "/api/v1/staff/people", `{"subject":"boss-2","roles":["admin"],"institution":"house","trainings":[{"at":"`+year+`"}]}`)
	h.want(201, "boss", "POST", "/api/v1/staff/people", `{"subject":"privacy","roles":["dpo"],"institution":"house","trainings":[{"at":"`+year+`"}]}`)
	h.agree("clinic", "2027-05-31")
}

// agree stores an agreement and wants it back as it was; it returns what the register says
// of it.
func (h *hospital) agree(institution, expires string) string {
	h.t.Helper()
	signed := "%PDF-1.7 " + institution + " " + expires
	path := "/api/v1/staff/institutions/" + institution + "/agreement"
	var i vault.StaffInstitution
	if err := json.Unmarshal([]byte(h.want(200, "boss", "PUT", path+"?expires="+expires, signed)), &i); err != nil {
		h.t.Fatal(err)
	}
	if got := h.want(200, "privacy", "GET", path, ""); got != signed {
		h.t.Errorf("the agreement is %q; want %q", got, signed)
	}
	return i.Agreement
}

func TestWhatIsTakenAwayIsGoneWithTheNextRequest(t *testing.T) {
	t.Parallel()
	h := newHospital(t)
	h.everywhere("before", "dr-li", "/dicomweb/studies", 403, "not-on-register")
	h.everywhere("an admin by token only", "mallory", "/api/v1/staff/people", 403, "not-on-register")
	h.staffed()

	// The issuer of the clinic's patients is the register's, not the token's.
	p := imagingtest.NewPatient(1)
	store := func(issuer string) record.PatientToken {
		t.Helper()
		sender, err := client.New(client.Config{URL: h.gateways[0].URL, Token: h.tokens["ct-1"]})
		if err != nil {
			t.Fatal(err)
		}
		got, err := sender.StorePDF(t.Context(), bytes.NewReader(imagingtest.Report(p)), client.PDF{PatientID: p.ID, Issuer: issuer})
		if err != nil {
			t.Fatal(err)
		}
		return got.Patient
	}
	patient := store("")
	if named := store("NORTH"); named != patient {
		t.Errorf("the patient is %s; want %s, of the clinic's issuer", patient, named)
	}
	search := "/dicomweb/studies"
	h.everywhere("an institution's membership alone", "dr-li", "/api/v1/patients/"+string(patient)+"/care-team", 404, "")
	h.want(201, "boss", "POST", "/api/v1/patients/"+string(patient)+"/care-team", `{"clinician":"dr-li"}`)
	h.everywhere("of the care team", "dr-li", "/api/v1/patients/"+string(patient)+"/care-team", 200, "dr-li")

	h.want(200, "boss", "PATCH", "/api/v1/staff/people/dr-li", `{"state":"suspended"}`)
	h.everywhere("suspended", "dr-li", search, 403, "suspended")
	h.want(200, "boss", "PATCH", "/api/v1/staff/people/dr-li", `{"state":"active"}`)
	h.everywhere("taken up again", "dr-li", "/api/v1/staff/me", 200, "Li Testname")

	h.want(200, "boss", "PATCH", "/api/v1/staff/people/dr-li", `{"roles":["quality"]}`)
	h.everywhere("in another role", "dr-li", search, 403, "role-not-registered")
	h.want(200, "boss", "PATCH", "/api/v1/staff/people/dr-li", `{"roles":["quality","clinician"]}`)

	signed := h.agree("clinic", "2029-05-31")
	put := func(until, state string) {
		t.Helper()
		h.want(200, "boss", "PUT", "/api/v1/staff/institutions/clinic", `{"country":"CN","issuer":"NORTH","agreement":"`+signed+`","agreementUntil":"`+until+`","state":"`+state+`"}`)
	}
	put("2029-05-31T16:00:00Z", "suspended")
	h.everywhere("institution suspended", "dr-li", search, 403, "institution-suspended")
	put("2026-03-02T09:00:00Z", "active")
	h.everywhere("agreement expired", "dr-li", search, 403, "agreement-expired")
	h.everywhere("agreement expired, a machine", "ct-1", search, 403, "agreement-expired")
	h.agree("clinic", "2029-05-31")
	h.everywhere("bound again", "dr-li", "/api/v1/staff/me", 200, `"standing":"good"`)

	// 30 days before the year is over there is a warning, at its end no access.
	h.clock.set(time.Date(2027, 1, 29, 23, 59, 0, 0, time.UTC))
	if _, _, resp := h.ask(1, "dr-li", "GET", "/api/v1/staff/me", ""); resp.Header.Get("Medvault-Access-Ends") != "" {
		t.Error("warned more than 30 days before")
	}
	h.clock.set(time.Date(2027, 1, 30, 0, 0, 0, 0, time.UTC))
	if _, _, resp := h.ask(1, "dr-li", "GET", "/api/v1/staff/me", ""); resp.Header.Get("Medvault-Access-Ends") != "training-expired 2027-03-01T00:00:00Z" {
		t.Errorf("30 days before, the warning is %q", resp.Header.Get("Medvault-Access-Ends"))
	}
	if list := h.want(200, "boss", "GET", "/api/v1/staff/people", ""); !strings.Contains(list, `"reason":"training-expired"`) || strings.Contains(list, "Testname") {
		t.Errorf("the list is %s; want a warning and no name", list)
	}
	h.clock.set(time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC))
	h.everywhere("a year after the training", "dr-li", search, 403, "training-expired")
	h.everywhere("a machine is not trained", "ct-1", "/api/v1/staff/me", 200, "service")
	h.want(201, "boss", "POST", "/api/v1/staff/trainings", `{"subject":"dr-li","at":"2027-02-28T12:00:00Z","reference":"course 8"}`)
	h.everywhere("trained again", "dr-li", "/api/v1/staff/me", 200, "course 8")
	h.everywhere("patients are no staff", "pat", "/api/v1/staff/me", 404, "")
	h.rebuilt()
}

// rebuilt loses the catalog and wants the register back from one region.
func (h *hospital) rebuilt() {
	t := h.t
	t.Helper()
	before := h.want(200, "boss", "GET", "/api/v1/staff/people/dr-li", "")
	if err := h.houses[0].ExportLog(t.Context(), record.Actor{ID: "op", Role: record.RoleOperator, Purpose: record.PurposeSystem, Inside: true}); err != nil {
		t.Fatal(err)
	}
	regions := func(name string) []string {
		found, err := filepath.Glob(filepath.Join(h.options.Dir, "regions", name, "records", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if n := len(regions(vaulttest.Foreign)); n != 0 {
		t.Errorf("%d records lie abroad; want none", n)
	}
	report, err := h.houses[0].Verify(t.Context(), record.Actor{ID: "op", Role: record.RoleOperator, Purpose: record.PurposeSystem, Inside: true},
		vault.VerifyOptions{Level: vault.LevelDecrypt}, nil)
	if err != nil || len(report.Findings) != 0 {
		t.Errorf("Verify = %+v, %v; want no finding", report.Findings, err)
	}
	for _, house := range h.houses {
		house.Stop()
	}
	names, err := filepath.Glob(filepath.Join(h.options.Dir, "catalog.db*"))
	if err != nil || len(names) == 0 {
		t.Fatal("no catalog", err)
	}
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	done, err := vaulttest.Rebuild(t.Context(), h.options, "cn-east")
	if err != nil || done.Patients != 1 {
		t.Fatalf("Rebuild = %+v, %v; want one patient: the house is none", done, err)
	}
	for _, f := range done.Findings {
		t.Errorf("rebuild found %+v", f)
	}
	fresh := vaulttest.New(t, h.options)
	p, err := fresh.StaffMember(t.Context(), record.Actor{ID: "boss-2", Role: record.RoleAdmin, Purpose: record.PurposeSystem}, "dr-li")
	if err == nil || !strings.Contains(err.Error(), "training-expired") {
		t.Errorf("after the rebuild boss-2, trained two years ago, gets %+v, %v; want training-expired", p, err)
	}
	p, err = fresh.StaffMember(t.Context(), record.Actor{ID: "op", Role: record.RoleAdmin, Purpose: record.PurposeSystem, Inside: true}, "dr-li")
	if err != nil {
		t.Fatal(err)
	}
	signed, err := fresh.AgreementOf(t.Context(), record.Actor{ID: "op", Role: record.RoleAdmin, Purpose: record.PurposeSystem, Inside: true}, "clinic")
	if err != nil || string(signed.Document) != "%PDF-1.7 clinic 2029-05-31" {
		t.Errorf("the agreement after the rebuild: %q, %v", signed.Document, err)
	}
	after, err := json.Marshal(p)
	if err != nil || strings.TrimSpace(before) != string(after) {
		t.Errorf("after the rebuild: %s, %v; want %s", after, err, before)
	}
}

func TestNobodyChangesTheOwnEntryAndFewChangeAny(t *testing.T) {
	t.Parallel()
	h := newHospital(t)
	h.staffed()
	for _, row := range []struct {
		subject, method, path, body string
		status                      int
		code                        string
	}{
		{"boss", "PATCH", "/api/v1/staff/people/boss", `{"roles":["admin","clinician"]}`, 403, "own-entry"},
		{"boss", "POST", "/api/v1/staff/trainings", `{"subject":"boss","at":"` + year + `"}`, 403, "own-entry"},
		{"boss-2", "POST", "/api/v1/staff/trainings", `{"subject":"boss","at":"` + year + `"}`, 201, ""},
		{"privacy", "GET", "/api/v1/staff/people/dr-li", "", 200, "course 7"},
		{"privacy", "PATCH", "/api/v1/staff/people/dr-li", `{"state":"suspended"}`, 403, "role-not-permitted"},
		{"dr-li", "GET", "/api/v1/staff/people", "", 403, "role-not-permitted"},
		{"dr-li", "PATCH", "/api/v1/staff/people/dr-li", `{"roles":["admin"]}`, 403, "role-not-permitted"},
		{"boss", "PATCH", "/api/v1/staff/people/nobody", `{"state":"suspended"}`, 404, ""},
		{"boss", "POST", "/api/v1/staff/people", `{"subject":"dr-li","roles":["clinician"],"institution":"clinic"}`, 409, "on-register"},
		{"boss", "POST", "/api/v1/staff/people", `{"subject":"medvault","roles":["admin"],"institution":"clinic"}`, 400, "bad-subject"},
		{"boss", "POST", "/api/v1/staff/people", `{"subject":"x","roles":["patient"],"institution":"clinic"}`, 400, "bad-roles"},
		{"boss", "POST", "/api/v1/staff/people", `{"subject":"x","roles":["clinician"],"institution":"nowhere"}`, 400, "no-institution"},
		{"boss", "POST", "/api/v1/staff/people", `{"subject":"x","roles":["clinician"],"institution":"clinic","trainings":[{"at":"2026-03-03T00:00:00Z"}]}`, 400, "bad-training"},
		{"boss", "PUT", "/api/v1/staff/institutions/clinic", `{"country":"cn","issuer":"NORTH"}`, 400, "bad-country"},
		{"boss", "PUT", "/api/v1/staff/institutions/clinic", `{"country":"CN","issuer":"NORTH","agreementUntil":"2028-01-01T00:00:00Z"}`, 400, "no-agreement"},
		{"boss", "PUT", "/api/v1/staff/institutions/clinic", `{"country":"CN","issuer":"NORTH","agreement":"in words","agreementUntil":"2026-04-01T00:00:00Z"}`, 400, "agreement-document"},
		{"boss", "PUT", "/api/v1/staff/institutions/fresh", `{"country":"CN","issuer":"NORTH","agreement":"in words"}`, 400, "agreement-document"},
		{"boss", "PUT", "/api/v1/staff/institutions/clinic/agreement?expires=2027-01-01", "no PDF", 400, "bad-agreement"},
		{"boss", "PUT", "/api/v1/staff/institutions/clinic/agreement?expires=2027-13-01", "%PDF-1.7", 400, "bad-date"},
		{"boss", "PUT", "/api/v1/staff/institutions/clinic/agreement?expires=2026-03-01", "%PDF-1.7", 400, "expired"},
		{"boss", "PUT", "/api/v1/staff/institutions/nowhere/agreement?expires=2027-01-01", "%PDF-1.7", 404, ""},
		{"privacy", "PUT", "/api/v1/staff/institutions/clinic/agreement?expires=2027-01-01", "%PDF-1.7", 403, "role-not-permitted"},
		{"dr-li", "GET", "/api/v1/staff/institutions/clinic/agreement", "", 403, "role-not-permitted"},
		{"boss", "GET", "/api/v1/staff/institutions/house/agreement", "", 404, ""},
	} {
		status, text, _ := h.ask(1, row.subject, row.method, row.path, row.body)
		if status != row.status || !strings.Contains(text, row.code) {
			t.Errorf("%s %s as %s: %d %s; want %d %s", row.method, row.path, row.subject, status, text, row.status, row.code)
		}
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	h := newHospital(t)
	h.staffed()
	outcomes := func(query, body string) string {
		t.Helper()
		var got struct{ Lines []vault.StaffImported }
		if err := json.Unmarshal([]byte(h.want(200, "boss", "POST", "/api/v1/staff/import"+query, body)), &got); err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, l := range got.Lines {
			list = append(list, strings.TrimSpace(l.Name+" "+l.Outcome+" "+l.Reason))
		}
		return strings.Join(list, ", ")
	}
	file := "\ufeffsubject,kind,name,roles,institution,country,trained,issuer,agreement\r\n" +
		"south,institution,South Clinic,,,SG,,SOUTH,\r\n" +
		"west,institution,West Clinic,,,SG,2030-01-01,WEST,CA-2\r\n" +
		"dr-who,,Who Testname,clinician quality,south,,2026-02-01,,\r\n" +
		"dr-li,,,,south,,,,\r\n" +
		"ct-1,service,,radiology,clinic,,,,\r\n" +
		"x,,,wizard,clinic,,,,\r\n" +
		"y,,,clinician,clinic,,yesterday,,\r\n" +
		"boss,,,clinician,,,,,\r\n" +
		"z,,,clinician\r\n" +
		"w,,,clinician,nowhere,,,,\r\n"
	want := "south added, west refused agreement-document, dr-who added, dr-li changed, ct-1 unchanged, x refused bad-roles, refused bad-date, boss refused own-entry, refused field-count, w refused no-institution"
	for range 2 {
		if got := outcomes("?dryRun=true", file); got != want {
			t.Errorf("dry run: %s; want %s", got, want)
		}
	}
	h.everywhere("after a dry run", "dr-who", "/api/v1/staff/me", 403, "not-on-register")
	if got := outcomes("", file); got != want {
		t.Errorf("import: %s; want %s", got, want)
	}
	h.everywhere("no agreement", "dr-who", "/api/v1/staff/me", 403, "agreement-expired")
	h.agree("south", "2029-12-31")
	h.everywhere("after the import", "dr-who", "/api/v1/staff/me", 200, "Who Testname")
	if got := outcomes("", file); got != strings.NewReplacer("added", "unchanged", "changed", "unchanged", "unchanged", "unchanged").Replace(want) {
		t.Errorf("import again: %s", got)
	}
	bundle := `{"resourceType":"Bundle","entry":[
		{"resource":{"resourceType":"Organization","id":"clinic","name":"North Clinic"}},
		{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Practitioner","id":"1","active":true,"identifier":[{"system":"urn:x","value":"77"},{"system":"urn:medvault:subject","value":"nurse-1"}],"name":[{"family":"Testname","given":["Nan"]}]}},
		{"resource":{"resourceType":"PractitionerRole","practitioner":{"reference":"urn:uuid:1"},"organization":{"reference":"Organization/clinic"},"code":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/practitioner-role","code":"nurse"}]}]}},
		{"resource":{"resourceType":"PractitionerRole","practitioner":{"reference":"Practitioner/none"}}},
		{"resource":{"resourceType":"Patient"}}]}`
	if got := outcomes("", bundle); got != "clinic unchanged, nurse-1 added, refused no-practitioner, refused resource-not-read" {
		t.Errorf("bundle: %s", got)
	}
	for _, bad := range []string{"", "name\nx\n", "subject,subject\n", "subject\n\"x", `{"resourceType":"Patient"}`, `{`} {
		if status, text, _ := h.ask(0, "boss", "POST", "/api/v1/staff/import", bad); status != 400 {
			t.Errorf("import of %q: %d %s; want 400", bad, status, text)
		}
	}
	for what, body := range map[string]string{"a file": file, "what cannot be read": "{"} {
		if status, text, _ := h.ask(0, "privacy", "POST", "/api/v1/staff/import", body); status != 403 {
			t.Errorf("import of %s by the dpo: %d %s; want 403, whatever it is", what, status, text)
		}
	}
}

// The only administrator's training ends like everybody's, and nobody is left to attest
// another: whoever runs the house does, for that one alone.
func TestTheLastAdministratorIsNotLockedOut(t *testing.T) {
	t.Parallel()
	h := newHospital(t)
	reattest := func(when, subject string, want bool) {
		t.Helper()
		if done, err := h.houses[1].ReattestAdmin(t.Context(), subject); err != nil || done != want {
			t.Errorf("%s: ReattestAdmin(%s) = %t, %v; want %t", when, subject, done, err, want)
		}
	}
	h.staffed()
	reattest("while all are trained", "boss", false)
	h.clock.set(began.AddDate(1, 1, 0))
	h.everywhere("a year later", "boss", "/api/v1/staff/people", 403, "training-expired")
	reattest("nobody of the register", "mallory", false)
	reattest("a clinician", "dr-li", false)
	reattest("an administrator", "boss", true)
	h.everywhere("attested", "boss", "/api/v1/staff/me", 200, "first-admin")
	reattest("while one can act", "boss-2", false)
}
