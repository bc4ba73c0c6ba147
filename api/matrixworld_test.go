package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"medvault/api"
	"medvault/api/identity"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
	"medvault/vault/vaulttest/promises"
)

// world is one vault behind a listening server, with somebody of every kind and a patient
// of every kind, and what each of them is, so that the promises can be asked.
type world struct {
	t        *testing.T
	vault    *vaulttest.House
	url      string
	client   *http.Client
	now      time.Time
	people   []*somebody
	patients []*subject
	fresh    int // patients made up while storing
}

// somebody is whoever asks, and how they stand.
type somebody struct {
	id, token, standing string
	role                record.Role
	abroad              bool
	treats, essential   bool            // every patient
	emergency           bool            // breaks the glass where it can be broken
	opened              map[string]bool // patients for whom it is broken
	own, guards         *subject        // of patients and guardians
}

// subject is a patient with a plain image, one that is held, and a report.
type subject struct {
	name, number, state string // state as in promises.Cell
	imagingtest.Patient
	token             record.PatientToken
	plain, held, page record.ObjectID
	image             []byte
	said              []saying
	minor, guarded    bool
}

// saying is what a patient has said.
type saying struct{ purpose, decision, country string }

// says whether a saying about a purpose is about another one too: treatment holds emergency
// treatment, operations hold quality, and "*" is every use but the patient's own affairs.
func (s saying) about(p record.Purpose) bool {
	switch s.purpose {
	case "*":
		return p != "PATRQT" && p != "HCOMPL"
	case "TREAT":
		return p == "TREAT" || p == "ETREAT"
	case "HOPERAT":
		return p == "HOPERAT" || p == "HQUALIMP"
	}
	return s.purpose == string(p)
}

func (s *subject) refuses(p record.Purpose) bool {
	for _, said := range s.said {
		if said.decision != "permit" && said.about(p) {
			return true
		}
	}
	return false
}

// permits says whether something written permits a purpose; "*" is not research.
func (s *subject) permits(p record.Purpose, country string) bool {
	for _, said := range s.said {
		if said.decision == "permit" && said.country == country && said.about(p) && (p != "HRESCH" || said.purpose == "HRESCH") {
			return !s.refuses(p)
		}
	}
	return false
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Now()}
	o := vaulttest.Options{Dir: t.TempDir(), Register: true, Now: func() time.Time { return w.now }}
	w.vault = vaulttest.New(t, o)
	w.admitAll()
	w.enlistAll()
	actors := make(map[string]record.Actor)
	for _, p := range w.people {
		p.token, p.opened = identity.NewToken(), make(map[string]bool)
		actors[p.token] = record.Actor{ID: p.id, Role: p.role}
		if p.standing == "self" { // who is on no register: the identity says where they are
			actors[p.token] = record.Actor{ID: p.id, Role: p.role, Country: "CN"}
		}
	}
	auth, err := identity.NewStatic(actors)
	if err != nil {
		t.Fatal(err)
	}
	server, err := api.New(api.Config{Vault: w.vault.Vault, Auth: auth, PublicURL: "http://127.0.0.1:8042", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	listening := httptest.NewServer(server.Handler())
	t.Cleanup(listening.Close)
	w.url, w.client = listening.URL, listening.Client()
	w.register()
	w.sayAll()
	w.relate()
	w.freezeAndErase(o.Dir)
	return w
}

func (w *world) admitAll() {
	w.t.Helper()
	permit := func(purpose, country string) saying { return saying{purpose, "permit", country} }
	refuse := func(purpose string) saying { return saying{purpose, "refuse", ""} }
	adult, child := "19700101", w.now.AddDate(-9, 0, 0).Format("20060102")
	for i, s := range []subject{
		{name: "has said nothing", state: "active"},
		{name: "research", state: "active", said: []saying{permit("HRESCH", "")}},
		{name: "treated abroad", state: "active", said: []saying{permit("TREAT", "SG")}},
		{name: "researched abroad", state: "active", said: []saying{permit("HRESCH", "SG")}},
		{name: "all of it abroad", state: "active", said: []saying{permit("*", "SG")}},
		{name: "home and abroad", state: "active", said: []saying{permit("HRESCH", ""), permit("TREAT", "SG"), permit("HRESCH", "SG")}},
		{name: "no use", state: "active", said: []saying{permit("HRESCH", ""), permit("TREAT", "SG"), refuse("*")}},
		{name: "no treatment", state: "active", said: []saying{permit("HRESCH", ""), {"TREAT", "restrict", ""}}},
		{name: "no quality", state: "active", said: []saying{refuse("HOPERAT")}},
		{name: "no research", state: "active", said: []saying{permit("HRESCH", ""), refuse("HRESCH")}},
		{name: "child", state: "active", minor: true},
		{name: "guarded child", state: "active", minor: true, guarded: true, said: []saying{permit("TREAT", "")}},
		{name: "guarded child, research", state: "active", minor: true, guarded: true, said: []saying{permit("TREAT", ""), permit("HRESCH", "")}},
		{name: "frozen", state: "frozen", said: []saying{permit("HRESCH", "")}},
		{name: "erased", state: "erased", said: []saying{permit("HRESCH", "")}},
	} {
		s.number, s.Patient = strconv.Itoa(i), imagingtest.NewPatient(uint64(100+i))
		if s.BirthDate = adult; s.minor {
			s.BirthDate = child
		}
		small := imagingtest.Options{Study: 1, Series: 1, Instance: 1, Rows: 16, Columns: 16}
		s.image = imagingtest.CT(s.Patient, small)
		small.Study, small.BurnedIn = 2, "YES"
		plain := w.put(vault.Upload{Body: bytes.NewReader(s.image)})
		s.token, s.plain = plain.Patient, plain.ID
		s.held = w.put(vault.Upload{Body: bytes.NewReader(imagingtest.CT(s.Patient, small))}).ID
		s.page = w.put(vault.Upload{Body: bytes.NewReader(imagingtest.Report(s.Patient)), PatientID: s.ID, Issuer: s.Issuer, Title: "report"}).ID
		w.patients = append(w.patients, &s)
	}
	nobody := &subject{name: "nobody", Patient: imagingtest.NewPatient(99), token: "p" + record.PatientToken(strings.Repeat("a", 26))}
	nobody.plain = record.ObjectID(strings.Repeat("0", 32))
	nobody.held, nobody.page = nobody.plain, nobody.plain
	w.patients = append(w.patients, nobody)
}

func (w *world) put(up vault.Upload) vault.Receipt {
	w.t.Helper()
	r, err := w.vault.Put(w.t.Context(), record.Actor{ID: "local:setup", Role: record.RoleRadiology, Purpose: record.PurposeTreat, Country: "CN", Inside: true}, up)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) enlistAll() {
	staff := []record.Role{"radiology", "clinician", "quality", "researcher", "operator", "dpo", "reviewer", "auditor", "admin"}
	for _, role := range staff {
		w.people = append(w.people, &somebody{id: string(role) + "-1", role: role, standing: "good"})
	}
	for _, role := range []record.Role{"clinician", "quality", "researcher", "radiology"} {
		w.people = append(w.people, &somebody{id: string(role) + "-abroad", role: role, standing: "good", abroad: true},
			&somebody{id: string(role) + "-treats", role: role, standing: "good", treats: true})
	}
	w.people = append(w.people,
		&somebody{id: "clinician-abroad-treats", role: "clinician", standing: "good", abroad: true, treats: true},
		&somebody{id: "clinician-essential", role: "clinician", standing: "good", treats: true, essential: true},
		&somebody{id: "clinician-emergency", role: "clinician", standing: "good", emergency: true},
		&somebody{id: "clinician-treats-emergency", role: "clinician", standing: "good", treats: true, emergency: true},
		&somebody{id: "clinician-essential-emergency", role: "clinician", standing: "good", treats: true, essential: true, emergency: true},
		&somebody{id: "operator-treats", role: "operator", standing: "good", treats: true})
	for _, role := range staff {
		for _, standing := range []string{"training-expired", "agreement-expired", "suspended", "not-on-register"} {
			w.people = append(w.people, &somebody{id: string(role) + "-" + standing, role: role, standing: standing})
		}
	}
	for _, p := range w.patients {
		if p.state != "" {
			w.people = append(w.people, &somebody{id: "self-" + p.number, role: "patient", standing: "self", own: p},
				&somebody{id: "guardian-" + p.number, role: "guardian", standing: "self", guards: p})
		}
	}
}

// register puts the staff on the register.
func (w *world) register() {
	w.t.Helper()
	ctx := w.t.Context()
	if _, err := w.vault.BeginStaff(ctx, "admin-1", vault.StaffInstitution{ID: "test-hospital", Country: "CN", Issuer: "TEST", State: "active"}); err != nil {
		w.t.Fatal(err)
	}
	root := record.Actor{ID: "admin-1", Role: record.RoleAdmin, Purpose: record.PurposeSystem}
	// Whose agreement has ended, or was never made: the staff of both are refused.
	if _, err := w.vault.PutInstitution(ctx, root, vault.StaffInstitution{ID: "partner", Country: "CN", Issuer: "PARTNER", State: "active"}); err != nil {
		w.t.Fatal(err)
	}
	for _, p := range w.people {
		if p.id == "admin-1" || p.standing == "not-on-register" || p.standing == "self" {
			continue
		}
		entry := vault.StaffPerson{Subject: p.id, Roles: []record.Role{p.role}, Institution: "test-hospital", Country: "CN", Trainings: []vault.Training{{At: w.now.AddDate(0, -6, 0)}}}
		if p.abroad {
			entry.Country = "SG"
		}
		switch p.standing {
		case "training-expired":
			entry.Trainings[0].At = w.now.AddDate(-1, 0, -1)
		case "agreement-expired":
			entry.Institution = "partner"
		case "suspended":
			entry.State = "suspended"
		}
		if _, err := w.vault.AddStaff(ctx, root, entry); err != nil {
			w.t.Fatalf("%s: %v", p.id, err)
		}
	}
}

func (w *world) sayAll() {
	w.t.Helper()
	dpo := w.named("dpo-1")
	for _, p := range w.people {
		relation, of := "self", p.own
		if p.guards != nil {
			relation, of = "mother", p.guards
		}
		if of != nil {
			w.must(dpo, "POST", of.path("guardians"), fmt.Sprintf(`{"subject":%q,"relation":%q,"evidence":%q}`, p.id, relation, of.page))
		}
	}
	for _, p := range w.patients {
		for _, s := range p.said {
			body := map[string]any{"purpose": s.purpose, "decision": s.decision}
			if s.decision == "permit" {
				body["evidence"] = p.page
			}
			if s.country != "" {
				body["country"], body["reading"] = s.country, true
			}
			if p.minor {
				body["guardian"] = "guardian-" + p.number
			}
			text, err := json.Marshal(body)
			if err != nil {
				w.t.Fatal(err)
			}
			w.must(dpo, "POST", p.path("consents"), string(text))
		}
	}
}

// relate states who treats whom, and breaks the glass where it can be broken.
func (w *world) relate() {
	w.t.Helper()
	admin := w.named("admin-1")
	for _, who := range w.people {
		for _, p := range w.patients {
			if p.state == "" {
				continue
			}
			if who.treats {
				w.must(admin, "POST", p.path("care-team"), fmt.Sprintf(`{"clinician":%q,"essential":%v}`, who.id, who.essential))
			}
			if who.emergency {
				status, _ := w.ask(who, "POST", "/api/v1/breakglass", "ETREAT", "", fmt.Sprintf(`{"patient":%q,"reason":"unconscious, allergies unknown"}`, p.token))
				who.opened[p.ID] = status == 201
				if want := !p.minor || who.essential; who.opened[p.ID] != want {
					w.t.Errorf("%s breaks the glass for who %s: %d; want broken %v", who.id, p.name, status, want)
				}
			}
		}
	}
}

// freezeAndErase sets the states that are set by cases and incidents.
func (w *world) freezeAndErase(dir string) {
	w.t.Helper()
	index, err := catalog.Open(w.t.Context(), catalog.Config{DSN: "sqlite:" + filepath.Join(dir, "catalog.db")})
	if err != nil {
		w.t.Fatal(err)
	}
	defer index.Close()
	for _, p := range w.patients {
		if p.state != "frozen" && p.state != "erased" {
			continue
		}
		if err := index.Update(w.t.Context(), func(tx *catalog.Tx) error {
			row, err := tx.LockPatient(w.t.Context(), p.token)
			if err != nil {
				return err
			}
			row.State = p.state
			return tx.UpdatePatient(w.t.Context(), row)
		}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) named(id string) *somebody {
	for _, p := range w.people {
		if p.id == id {
			return p
		}
	}
	w.t.Fatalf("nobody is called %s", id)
	return nil
}

func (s *subject) path(of string) string { return "/api/v1/patients/" + string(s.token) + "/" + of }

// cell is what the promises are asked about an act; p may be nil.
func (w *world) cell(who *somebody, p *subject, purpose record.Purpose, action record.Action) promises.Cell {
	c := promises.Cell{Role: who.role, Standing: who.standing, Purpose: purpose, Action: action, About: "house"}
	if p == nil {
		return c
	}
	country := ""
	if who.abroad {
		country = "SG"
	}
	c.About, c.State, c.Minor, c.GuardianConsent = "patient", p.state, p.minor, p.guarded
	if p.state == "" { // whoever is not here has said nothing, and nobody treats them
		c.Kept = who.abroad
		return c
	}
	c.Treats, c.Essential, c.Emergency = who.treats, who.essential, purpose == "ETREAT" && who.opened[p.ID]
	c.Own, c.Guardian = who.own == p, who.guards == p
	c.Refused, c.Research = p.refuses(purpose), p.permits("HRESCH", country)
	if action == record.ActionExport { // to an institution at home: agreed to there, too
		c.Research = c.Research && p.permits("HRESCH", "")
	}
	c.Kept = who.abroad && !p.permits(purpose, country)
	return c
}

// ask sends one request, and returns the status and the body.
func (w *world) ask(who *somebody, method, path string, purpose record.Purpose, contentType, body string) (int, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+who.token)
	if purpose != "" {
		r.Header.Set("Purpose-Of-Use", string(purpose))
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	got, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body) // to its end: the connection is used again
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return got.StatusCode, string(text)
}

func (w *world) must(by *somebody, method, path, body string) {
	w.t.Helper()
	if status, text := w.ask(by, method, path, "", "", body); status/100 != 2 {
		w.t.Fatalf("%s %s by %s: %d %s", method, path, by.id, status, text)
	}
}

// stow is the body of a STOW-RS request with one instance.
func stow(t *testing.T, instance []byte) (contentType, body string) {
	t.Helper()
	var out bytes.Buffer
	parts := multipart.NewWriter(&out)
	part, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/dicom"}})
	if err == nil {
		_, err = part.Write(instance)
	}
	if err == nil {
		err = parts.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return `multipart/related; type="application/dicom"; boundary=` + parts.Boundary(), out.String()
}
