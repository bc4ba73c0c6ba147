package api_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"medvault/imaging/imagingtest"
	"medvault/vault/record"
	"medvault/vault/vaulttest/promises"
)

// Everybody does everything to everybody for every purpose, over HTTP, and what comes of it
// is what the promises say. MEDVAULT_TEST_MATRIX=all asks every cell; otherwise one in sampled.
func TestTheMatrixThroughHTTP(t *testing.T) {
	if testing.Short() {
		t.Skip("it sets up a whole vault")
	}
	t.Parallel()
	began := time.Now()
	m := &matrix{world: newWorld(t), all: os.Getenv("MEDVAULT_TEST_MATRIX") == "all", cells: make(map[promises.Cell]bool)}
	ready := time.Now()
	work := make(chan *somebody)
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for who := range work {
				m.person(who)
			}
		})
	}
	for _, who := range m.people {
		work <- who
	}
	close(work)
	asking.Wait()
	allowed := 0
	for _, yes := range m.cells {
		if yes {
			allowed++
		}
	}
	t.Logf("%d acts of %d by %d persons asked over HTTP: %d different cells of the table, %d of them allowed; set up in %v, asked in %v",
		m.asked.Load(), m.closed.Load()+m.open.Load(), len(m.people), len(m.cells), allowed, ready.Sub(began).Round(time.Millisecond), time.Since(ready).Round(time.Millisecond))
	if len(m.cells) == allowed || allowed == 0 {
		t.Errorf("%d of %d cells are allowed: this tells nothing", allowed, len(m.cells))
	}
}

// How many cells there are to one that every run asks. Prime numbers, so that none of the
// loops below is always met at the same place.
const (
	sampled     = 199
	sampledOpen = 11
)

type matrix struct {
	*world
	all          bool
	closed, open atomic.Int64 // acts that were met, by what the promises say of them
	asked        atomic.Int64

	mu    sync.Mutex
	cells map[promises.Cell]bool // that were asked, and whether they are allowed
}

// due says whether the next act is to be done, of those that are allowed or not.
func (m *matrix) due(allowed bool) bool {
	if allowed {
		return m.open.Add(1)%sampledOpen == 0 || m.all
	}
	return m.closed.Add(1)%sampled == 0 || m.all
}

func (m *matrix) note(c promises.Cell, allowed bool) {
	m.asked.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cells[c] = allowed
}

func (m *matrix) person(who *somebody) {
	for _, purpose := range purposes() {
		m.house(who, purpose)
		m.rotates(who, purpose)
		m.search(who, purpose)
		for i, p := range m.patients {
			if who.standing != "good" && !m.tells(who, i, p) {
				continue
			}
			m.reads(who, p, purpose)
			m.acts(who, p, purpose)
		}
	}
}

// tells leaves out what tells nothing: somebody in bad standing does nothing whoever it is
// about, and to a patient or guardian one of the others is like another.
func (m *matrix) tells(who *somebody, i int, p *subject) bool {
	if who.standing == "self" {
		return who.own == p || who.guards == p || i%5 == 0
	}
	return p.name == "research" || p.name == "has said nothing" || p.name == "guarded child"
}

// house asks for what is about no patient.
func (m *matrix) house(who *somebody, purpose record.Purpose) {
	for action, do := range map[record.Action]func() (int, string){
		record.ActionRegions:     func() (int, string) { return m.ask(who, "GET", "/api/v1/regions", purpose, "", "") },
		record.ActionAuditRead:   func() (int, string) { return m.ask(who, "GET", "/api/v1/audit?limit=1", purpose, "", "") },
		record.ActionStaffManage: func() (int, string) { return m.same(who, purpose) },
	} {
		c := m.cell(who, nil, purpose, action)
		_, want, clause := promises.Decide(c)
		if !m.due(want) {
			continue
		}
		m.note(c, want)
		if status, text := do(); want != (status == 200) || !want && status != 403 {
			m.t.Errorf("%s does %s for %s: %d %.200s; want allowed %v by clause %s", who.id, action, purpose, status, text, want, clause)
		}
	}
}

// rotates asks for what only those are asked for who may not: a rotation is no small thing,
// and tested where it is done.
func (m *matrix) rotates(who *somebody, purpose record.Purpose) {
	c := m.cell(who, nil, purpose, record.ActionKeysRotate)
	_, may, clause := promises.Decide(c)
	if may || !m.due(may) {
		return
	}
	m.note(c, may)
	if status, text := m.ask(who, "POST", "/api/v1/keys/rotations", purpose, "", ""); status != 403 || strings.Contains(text, "rotation-credential") {
		m.t.Errorf("%s rotates keys for %s: %d %.200s; want a refusal by clause %s", who.id, purpose, status, text, clause)
	}
}

// same writes what the register says already of an institution without staff.
func (m *matrix) same(who *somebody, purpose record.Purpose) (int, string) {
	return m.ask(who, "PUT", "/api/v1/staff/institutions/annex", purpose, "", `{"country":"CN","issuer":"ANNEX","state":"active"}`)
}

// search asks for everything that can be found, and so about every patient at once.
func (m *matrix) search(who *somebody, purpose record.Purpose) {
	house := m.cell(who, nil, purpose, record.ActionSearch)
	_, may, clause := promises.Decide(house)
	if !m.due(may) {
		return
	}
	m.note(house, may)
	status, text := m.ask(who, "GET", "/dicomweb/studies?includefield=00100020&limit=1000", purpose, "", "")
	if may != (status == 200 || status == 204) || !may && status != 403 {
		m.t.Errorf("%s searches for %s: %d; want allowed %v by clause %s", who.id, purpose, status, may, clause)
	}
	for _, p := range m.patients {
		c := m.cell(who, p, purpose, record.ActionSearch)
		view, want, clause := promises.Decide(c)
		m.note(c, want)
		named, coded := strings.Contains(text, p.ID), strings.Contains(text, string(p.token))
		if named != (want && view == record.ViewOriginal) || coded != (want && view == record.ViewDeidentified) {
			m.t.Errorf("%s searches for %s: of who %s named %v, coded %v; want %v, view %q by clause %s: %+v", who.id, purpose, p.name, named, coded, want, view, clause, c)
		}
	}
}

// reads opens the patient's documents: only the original holds who it is.
func (m *matrix) reads(who *somebody, p *subject, purpose record.Purpose) {
	for _, doc := range []struct {
		id        record.ObjectID
		held, pdf bool
	}{{id: p.plain}, {id: p.held, held: true}, {id: p.page, held: true, pdf: true}} { // nobody has redacted the page
		c := m.cell(who, p, purpose, record.ActionRead)
		c.Held, c.PDF = doc.held, doc.pdf
		view, want, clause := promises.Decide(c)
		if !m.due(want) {
			continue
		}
		m.note(c, want)
		status, text := m.ask(who, "GET", "/api/v1/documents/"+string(doc.id), purpose, "", "")
		shown := strings.Contains(text, p.ID)
		if want != (status == 200) || !want && !refused(status) || !doc.pdf && shown != (want && view == record.ViewOriginal) || shown && !want {
			m.t.Errorf("%s reads for %s of who %s (held %v, page %v): %d, identity shown %v; want allowed %v, view %q by clause %s: %+v",
				who.id, purpose, p.name, doc.held, doc.pdf, status, shown, want, view, clause, c)
		}
	}
}

// acts does to a patient what is no reading.
func (m *matrix) acts(who *somebody, p *subject, purpose record.Purpose) {
	does := map[record.Action]func() (int, string){
		record.ActionStore: func() (int, string) { return m.store(who, p, purpose) },
		record.ActionExport: func() (int, string) {
			if who.standing == "self" { // a package of everything, without anybody else
				return m.ask(who, "POST", "/api/v1/exports", purpose, "", fmt.Sprintf(`{"patient":%q}`, p.token))
			}
			return m.ask(who, "POST", "/api/v1/exports", purpose, "", fmt.Sprintf(`{"patient":%q,"recipient":"partner"}`, p.token))
		},
		record.ActionCareList:    func() (int, string) { return m.ask(who, "GET", p.path("care-team"), purpose, "", "") },
		record.ActionConsentList: func() (int, string) { return m.ask(who, "GET", p.path("consents"), purpose, "", "") },
		record.ActionCareAdd: func() (int, string) {
			return m.ask(who, "POST", p.path("care-team"), purpose, "", `{"clinician":"somebody-else"}`)
		},
		// About a purpose that nobody here acts for.
		record.ActionConsentAdd: func() (int, string) {
			return m.ask(who, "POST", p.path("consents"), purpose, "", `{"purpose":"HPAYMT","decision":"refuse"}`)
		},
		record.ActionCareEnd: func() (int, string) {
			return m.ask(who, "DELETE", m.stated(p, "care-team", `{"clinician":"somebody-else"}`), purpose, "", "")
		},
		record.ActionConsentWithdraw: func() (int, string) {
			return m.ask(who, "DELETE", m.stated(p, "consents", `{"purpose":"HPAYMT","decision":"refuse"}`), purpose, "", "")
		},
	}
	for _, action := range slices.Sorted(maps.Keys(does)) {
		c := m.cell(who, p, purpose, action)
		view, want, clause := promises.Decide(c)
		if !m.due(want) {
			continue
		}
		m.note(c, want)
		status, text := does[action]()
		if want != (status/100 == 2) || !want && !refused(status) && !(action == record.ActionStore && status == 409) {
			m.t.Errorf("%s does %s for %s to who %s: %d %.300s; want allowed %v by clause %s: %+v", who.id, action, purpose, p.name, status, text, want, clause, c)
		}
		if named := strings.Contains(text, p.ID); named && view != record.ViewOriginal && action != record.ActionStore {
			m.t.Errorf("%s does %s for %s to who %s: the answer names the patient", who.id, action, purpose, p.name)
		}
	}
}

// stated is the path of something that was stated of a patient just now, for somebody to
// end it; of a patient of whom nothing can be stated, of what is not there.
func (m *matrix) stated(p *subject, of, body string) string {
	var made struct{ ID string }
	if status, text := m.ask(m.named("dpo-1"), "POST", p.path(of), "", "", body); status/100 == 2 {
		if err := json.Unmarshal([]byte(text), &made); err != nil || made.ID == "" {
			m.t.Fatalf("%s stated: %v in %.200s", of, err, text)
		}
	}
	return p.path(of) + "/" + cmp.Or(made.ID, strings.Repeat("0", 32))
}

// store sends what is here already; of nobody, the first document of somebody new.
func (m *matrix) store(who *somebody, p *subject, purpose record.Purpose) (int, string) {
	image := p.image
	if p.state == "" {
		m.mu.Lock()
		m.fresh++
		n := m.fresh
		m.mu.Unlock()
		image = imagingtest.CT(imagingtest.NewPatient(uint64(10_000+n)), imagingtest.Options{Study: 1, Series: 1, Instance: 1, Rows: 16, Columns: 16})
	}
	contentType, body := stow(m.t, image)
	return m.ask(who, "POST", "/dicomweb/studies", purpose, contentType, body)
}

// refused: forbidden, absent or erased.
func refused(status int) bool { return status == 403 || status == 404 || status == 410 }
