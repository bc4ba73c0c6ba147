package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"medvault/api"
	"medvault/api/identity"
	"medvault/imaging/imagingtest"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
	"medvault/vault/vaulttest/promises"
)

// ward is two gateways of one vault, with a register of staff, patients, and what the
// promises make of them.
type ward struct {
	t        *testing.T
	gateways []house
	people   []*person
	patients []*patientFile
	care     map[[2]string]string // person and patient to the relationship
	clock    atomic.Int64         // unix nanoseconds: the gateways' own work reads it too
	admin    *person
	dpo      *person
}

// person is one member of the staff, and how they stand.
type person struct {
	id, token, country string
	role               record.Role
	suspended          bool
	trainedUntil       time.Time
}

// patientFile is a patient with one document.
type patientFile struct {
	imagingtest.Patient
	stored, evidence vault.Receipt
	said             map[string]string // what they have said to the consent's id
	minor            bool
}

// What a patient may say in these tests.
const (
	saysResearch = `{"purpose":"HRESCH","evidence":"%s"}`
	saysAbroad   = `{"purpose":"TREAT","country":"SG","reading":true,"evidence":"%s"}`
	saysNoUse    = `{"purpose":"*","decision":"refuse"}%.0s`
	saysNoTreat  = `{"purpose":"TREAT","decision":"restrict"}%.0s`
)

func (w *ward) now() time.Time { return time.Unix(0, w.clock.Load()) }

func newWard(t *testing.T, gateways int) *ward {
	t.Helper()
	w := &ward{t: t, care: make(map[[2]string]string)}
	w.clock.Store(time.Now().UnixNano())
	o := vaulttest.Options{Dir: t.TempDir(), Register: true, Now: w.now}
	actors := make(map[string]record.Actor)
	for _, role := range []record.Role{"radiology", "clinician", "quality", "researcher", "operator", "dpo", "reviewer", "auditor", "admin"} {
		w.enlist(actors, &person{id: string(role) + "-1", role: role, country: "CN", trainedUntil: w.now().AddDate(0, 6, 0)})
	}
	for _, role := range []record.Role{"clinician", "quality", "researcher"} {
		w.enlist(actors, &person{id: string(role) + "-abroad", role: role, country: "SG", trainedUntil: w.now().AddDate(0, 6, 0)})
		w.enlist(actors, &person{id: string(role) + "-late", role: role, country: "CN", trainedUntil: w.now().Add(-time.Hour)})
	}
	w.enlist(actors, &person{id: "clinician-soon", role: "clinician", country: "CN", trainedUntil: w.now().Add(12 * time.Hour)})
	for range gateways {
		auth, err := identity.NewStatic(actors)
		if err != nil {
			t.Fatal(err)
		}
		h := house{vault: vaulttest.New(t, o)}
		if h.Server, err = api.New(api.Config{Vault: h.vault.Vault, Auth: auth, PublicURL: "http://127.0.0.1:8042", Log: slog.New(slog.DiscardHandler)}); err != nil {
			t.Fatal(err)
		}
		w.gateways = append(w.gateways, h)
	}
	w.register()
	return w
}

func (w *ward) enlist(actors map[string]record.Actor, p *person) {
	p.token = identity.NewToken()
	actors[p.token] = record.Actor{ID: p.id, Role: p.role}
	w.people = append(w.people, p)
	switch p.id {
	case "admin-1":
		w.admin = p
	case "dpo-1":
		w.dpo = p
	}
}

// register puts everybody on the staff register.
func (w *ward) register() {
	w.t.Helper()
	v, ctx := w.gateways[0].vault, w.t.Context()
	if _, err := v.BeginStaff(ctx, "admin-1", vault.StaffInstitution{ID: "test-hospital", Country: "CN", Issuer: "TEST", State: "active"}); err != nil {
		w.t.Fatal(err)
	}
	root := record.Actor{ID: "admin-1", Role: record.RoleAdmin, Purpose: record.PurposeSystem}
	for _, p := range w.people {
		if p == w.admin {
			continue
		}
		_, err := v.AddStaff(ctx, root, vault.StaffPerson{Subject: p.id, Roles: []record.Role{p.role}, Institution: "test-hospital", Country: p.country,
			Trainings: []vault.Training{{At: p.trainedUntil.AddDate(-1, 0, 0)}}})
		if err != nil {
			w.t.Fatalf("%s: %v", p.id, err)
		}
	}
}

// admit stores a patient's document, and what they have said in writing.
func (w *ward) admit(seed uint64, born string, says ...string) *patientFile {
	w.t.Helper()
	p := &patientFile{Patient: imagingtest.NewPatient(seed), said: make(map[string]string)}
	p.BirthDate = born
	v, by := w.gateways[0].vault, record.Actor{ID: "radiology-1", Role: record.RoleRadiology, Purpose: record.PurposeTreat}
	var err error
	if p.stored, err = v.Put(w.t.Context(), by, vault.Upload{Body: bytes.NewReader(imagingtest.CT(p.Patient, imagingtest.Options{Study: 1, Series: 1, Instance: 1}))}); err != nil {
		w.t.Fatal(err)
	}
	if p.evidence, err = v.Put(w.t.Context(), by, vault.Upload{Body: bytes.NewReader(imagingtest.Report(p.Patient)), PatientID: p.ID, Issuer: p.Issuer, Title: "consent"}); err != nil {
		w.t.Fatal(err)
	}
	for _, said := range says {
		w.say(0, p, said)
	}
	w.patients = append(w.patients, p)
	return p
}

// ask is one request to a gateway, in 201, 200 or 204.
func (w *ward) must(gateway int, by *person, method, path, body string) map[string]any {
	w.t.Helper()
	got := w.gateways[gateway].ask(method, path, by.token, body)
	if got.Code/100 != 2 {
		w.t.Fatalf("%s %s by %s: %d %s", method, path, by.id, got.Code, got.Body)
	}
	answer := make(map[string]any)
	if got.Body.Len() > 0 {
		if err := json.Unmarshal(got.Body.Bytes(), &answer); err != nil {
			w.t.Fatal(err)
		}
	}
	return answer
}

func (w *ward) say(gateway int, p *patientFile, what string) {
	w.t.Helper()
	made := w.must(gateway, w.dpo, "POST", "/api/v1/patients/"+string(p.stored.Patient)+"/consents", fmt.Sprintf(what, p.evidence.ID))
	p.said[what] = made["id"].(string)
}

func (w *ward) unsay(gateway int, p *patientFile, what string) {
	w.t.Helper()
	w.must(gateway, w.dpo, "DELETE", "/api/v1/patients/"+string(p.stored.Patient)+"/consents/"+p.said[what], "")
	delete(p.said, what)
}

func (w *ward) treat(gateway int, who *person, p *patientFile) {
	w.t.Helper()
	made := w.must(gateway, w.admin, "POST", "/api/v1/patients/"+string(p.stored.Patient)+"/care-team", `{"clinician":"`+who.id+`"}`)
	w.care[[2]string{who.id, p.ID}] = made["id"].(string)
}

func (w *ward) leave(gateway int, who *person, p *patientFile) {
	w.t.Helper()
	key := [2]string{who.id, p.ID}
	w.must(gateway, w.admin, "DELETE", "/api/v1/patients/"+string(p.stored.Patient)+"/care-team/"+w.care[key], "")
	delete(w.care, key)
}

// cell is what the promises are asked about an act.
func (w *ward) cell(who *person, p *patientFile, purpose record.Purpose, action record.Action) promises.Cell {
	c := promises.Cell{Role: who.role, Standing: "good", Purpose: purpose, Action: action, About: "house"}
	switch {
	case who.suspended:
		c.Standing = "suspended"
	case !w.now().Before(who.trainedUntil):
		c.Standing = "training-expired"
	}
	if p == nil {
		return c
	}
	treatment := purpose == "TREAT" || purpose == "ETREAT"
	own := purpose == "PATRQT" || purpose == "HCOMPL" // nobody's refusal touches these
	c.About, c.State, c.Minor = "patient", "active", p.minor
	_, c.Treats = w.care[[2]string{who.id, p.ID}]
	_, research := p.said[saysResearch]
	_, abroad := p.said[saysAbroad]
	_, none := p.said[saysNoUse]
	_, untreated := p.said[saysNoTreat]
	c.Refused = none && !own || untreated && treatment
	c.Research = research && who.country == "CN" && !none
	c.Kept = who.country != "CN" && !(abroad && treatment && !c.Refused)
	return c
}

// reads compares a read through HTTP with the promises, byte by byte: only the original
// holds who the patient is.
func (w *ward) reads(gateway int, who *person, p *patientFile, purpose record.Purpose) (allowed bool) {
	w.t.Helper()
	view, want, clause := promises.Decide(w.cell(who, p, purpose, record.ActionRead))
	got := w.request(gateway, who, "/api/v1/documents/"+string(p.stored.ID), purpose)
	shown := strings.Contains(got.Body.String(), p.ID)
	if (got.Code == 200) != want || shown != (view == record.ViewOriginal) || !want && got.Code != 403 && got.Code != 404 {
		w.t.Errorf("gateway %d: %s reads for %s: %d, identity shown %v; want allowed %v, view %q by clause %s: %+v",
			gateway, who.id, purpose, got.Code, shown, want, view, clause, w.cell(who, p, purpose, record.ActionRead))
	}
	return want
}

func (w *ward) request(gateway int, who *person, path string, purpose record.Purpose) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Authorization", "Bearer "+who.token)
	r.Header.Set("Purpose-Of-Use", string(purpose))
	got := httptest.NewRecorder()
	w.gateways[gateway].Handler().ServeHTTP(got, r)
	return got
}

func purposes() []record.Purpose {
	return []record.Purpose{"TREAT", "ETREAT", "PATRQT", "HOPERAT", "HQUALIMP", "HRESCH", "HPAYMT", "HSYSADMIN", "HCOMPL"}
}

// Whatever is given and taken away, by whom and through which gateway ever: what can be
// read is what the promises say, in every gateway, on the next request.
// MEDVAULT_PROMISES=N does N steps from another seed.
func TestNoSequenceOfCallsReadsWhatIsForbidden(t *testing.T) {
	t.Parallel()
	w := newWard(t, 2)
	w.admit(11, "19700101")
	w.admit(12, "19700101")
	w.admit(14, "19700101", saysResearch)
	steps, seed := 40, uint64(7)
	if n, err := strconv.Atoi(os.Getenv("MEDVAULT_PROMISES")); err == nil {
		steps, seed = n, uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d, %d steps", seed, steps)
	random := rand.New(rand.NewPCG(seed, seed))
	readers := make([]*person, 0, len(w.people))
	for _, p := range w.people {
		if p.role == "clinician" || p.role == "quality" || p.role == "researcher" {
			readers = append(readers, p)
		}
	}
	for step := range steps {
		who, p := readers[random.IntN(len(readers))], w.patients[random.IntN(len(w.patients))]
		if random.IntN(2) == 0 {
			who = readers[0] // the clinician at home, often
		}
		what := w.change(random, who, p)
		purpose := record.DefaultPurpose(who.role)
		for gateway := range w.gateways { // both, at once
			w.reads(gateway, who, p, purpose)
			other := readers[random.IntN(len(readers))]
			w.reads(gateway, other, w.patients[random.IntN(len(w.patients))], purposes()[random.IntN(len(purposes()))])
		}
		if t.Failed() {
			t.Fatalf("step %d: after %s of %s", step, what, who.id)
		}
	}
	w.everyFact()
}

// change gives or takes one fact.
func (w *ward) change(random *rand.Rand, who *person, p *patientFile) string {
	w.t.Helper()
	gateway := random.IntN(2)
	says := []string{saysResearch, saysAbroad, saysNoUse, saysNoTreat}
	switch random.IntN(7) {
	case 0, 1:
		if _, treats := w.care[[2]string{who.id, p.ID}]; treats {
			w.leave(gateway, who, p)
			return "care ended"
		}
		w.treat(gateway, who, p)
		return "care"
	case 2, 3:
		said := says[random.IntN(len(says))]
		if _, there := p.said[said]; there {
			w.unsay(gateway, p, said)
			return "withdrawal of " + said
		}
		w.say(gateway, p, said)
		return said
	case 4:
		w.suspend(gateway, who, !who.suspended)
		return fmt.Sprintf("suspended %v", who.suspended)
	case 5:
		w.stores(gateway, who, p)
		return "store"
	}
	w.revoke(gateway, who)
	return "revocation"
}

// stores compares a write with the promises: the patient's image once more, which changes
// nothing where it may be sent.
func (w *ward) stores(gateway int, who *person, p *patientFile) {
	w.t.Helper()
	contentType, body := stow(w.t, imagingtest.CT(p.Patient, imagingtest.Options{Study: 1, Series: 1, Instance: 1}))
	r := httptest.NewRequest("POST", "/dicomweb/studies", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+who.token)
	r.Header.Set("Purpose-Of-Use", string(record.PurposeTreat))
	r.Header.Set("Content-Type", contentType)
	got := httptest.NewRecorder()
	w.gateways[gateway].Handler().ServeHTTP(got, r)
	cell := w.cell(who, p, record.PurposeTreat, record.ActionStore)
	if _, want, clause := promises.Decide(cell); want != (got.Code == 200) {
		w.t.Errorf("gateway %d: %s stores: %d %s; want allowed %v by clause %s: %+v", gateway, who.id, got.Code, got.Body, want, clause, cell)
	}
}

func (w *ward) suspend(gateway int, who *person, suspended bool) {
	w.t.Helper()
	state := "active"
	if suspended {
		state = "suspended"
	}
	w.must(gateway, w.admin, "PATCH", "/api/v1/staff/people/"+who.id, `{"state":"`+state+`"}`)
	who.suspended = suspended
}

// revoke revokes a person, has them try in every gateway, and lifts it.
func (w *ward) revoke(gateway int, who *person) {
	w.t.Helper()
	made := w.must(gateway, w.dpo, "POST", "/api/v1/revocations", `{"subject":"`+who.id+`","reason":"lost"}`)
	for i := range w.gateways {
		got := w.request(i, who, "/api/v1/documents/"+string(w.patients[0].stored.ID), record.DefaultPurpose(who.role))
		if got.Code/100 == 2 {
			w.t.Errorf("gateway %d: %s reads although revoked", i, who.id)
		}
	}
	w.must(gateway, w.dpo, "DELETE", "/api/v1/revocations/"+made["id"].(string), "")
}

// everyFact takes away, one after the other, each thing that a read depends on.
func (w *ward) everyFact() {
	w.t.Helper()
	p := w.admit(13, "19700101")
	var clinician, researcher *person
	for _, who := range w.people {
		switch who.id {
		case "clinician-soon":
			clinician = who
		case "researcher-1":
			researcher = who
		}
	}
	for _, who := range []*person{clinician, researcher} {
		if who.suspended {
			w.suspend(0, who, false)
		}
	}
	closes := func(what string, who *person, give, take func()) {
		w.t.Helper()
		purpose := record.DefaultPurpose(who.role)
		give()
		for i := range w.gateways {
			if !w.reads(i, who, p, purpose) {
				w.t.Errorf("%s: gateway %d: not open although given", what, i)
			}
		}
		take()
		for i := range w.gateways {
			if w.reads(i, who, p, purpose) {
				w.t.Errorf("%s: gateway %d: open although taken away", what, i)
			}
		}
	}
	closes("relationship", clinician, func() { w.treat(0, clinician, p) }, func() { w.leave(1, clinician, p) })
	closes("consent", researcher, func() { w.say(0, p, saysResearch) }, func() { w.unsay(1, p, saysResearch) })
	w.treat(1, clinician, p)
	closes("use", clinician, func() {}, func() { w.say(1, p, saysNoTreat) })
	closes("standing", clinician, func() { w.unsay(0, p, saysNoTreat) }, func() { w.suspend(0, clinician, true) })
	closes("training", clinician, func() { w.suspend(1, clinician, false) }, func() { w.clock.Add(int64(13 * time.Hour)) })
}
