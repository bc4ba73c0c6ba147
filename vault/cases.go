package vault

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"medvault/vault/access"
	"medvault/vault/alarm"
	"medvault/vault/audit"
	"medvault/vault/catalog"
	"medvault/vault/record"
	"medvault/vault/rights"
)

// Case is something that people have to settle within a time: what somebody asks about
// personal information (vault/rights), a guardian who has to be asked for a child
// (CaseGuardianConsent), an emergency that has to be looked at (CaseBreakglass). The latter
// two follow from what is known and have no id of a case.
//
// A case of the first sort is a house record, whole at every revision: it names the
// patient by token and holds codes alone, so that it outlives the patient's erasure, as
// the proof of it must. What people wrote are notes, sealed under the patient's keys.
type Case struct {
	ID       record.ObjectID     `json:"id,omitempty"`
	Revision int64               `json:"revision,omitempty"`
	Patient  record.PatientToken `json:"patient,omitempty"`
	Type     string              `json:"type"`  // a rights.Kind, CaseGuardianConsent or CaseBreakglass
	State    string              `json:"state"` // a rights.State; else "waiting", or "refused": the guardian has refused
	Opened   time.Time           `json:"opened"`
	Received time.Time           `json:"received,omitzero"` // when the request arrived: the clocks run from then
	OpenedBy string              `json:"openedBy,omitempty"`

	Requester *Requester    `json:"requester,omitempty"` // left out of lists
	Assignee  string        `json:"assignee,omitempty"`
	Decision  *CaseDecision `json:"decision,omitempty"` // of lists the outcome alone

	Erasure    record.ObjectID `json:"erasure,omitempty"`  // by which a deletion was executed; its certificate is the proof
	Executed   *time.Time      `json:"executed,omitempty"` // when what was granted had been done
	ExecutedBy string          `json:"executedBy,omitempty"`
	Closed     *time.Time      `json:"closed,omitempty"`
	ClosedBy   string          `json:"closedBy,omitempty"`
	Calendar   string          `json:"calendar,omitempty"` // version of the working days when it was opened

	// What follows is computed when it is asked for.
	Response  *CaseClock `json:"response,omitempty"`
	Execution *CaseClock `json:"execution,omitempty"`
	Notes     []CaseNote `json:"notes,omitempty"` // left out of lists
}

// Requester is who asks.
type Requester struct {
	As       string     `json:"as"`                 // "patient", "guardian", "representative" or "other"
	Subject  string     `json:"subject,omitempty"`  // of their identity, where they have one
	Verified string     `json:"verified,omitempty"` // how it was made sure who they are: see verifications; "" is not
	By       string     `json:"by,omitempty"`       // who made sure
	At       *time.Time `json:"at,omitempty"`
}

// CaseDecision is how a case was decided.
type CaseDecision struct {
	Outcome rights.Outcome `json:"outcome"`
	Basis   string         `json:"basis,omitempty"` // the law by name and number, as PIPL-47
	At      time.Time      `json:"at"`
	By      string         `json:"by,omitempty"`
}

// CaseClock is how one of the promised times stands.
type CaseClock struct {
	Due         time.Time       `json:"due"`                   // the first moment that is too late
	Provisional bool            `json:"provisional,omitempty"` // the holidays of a year on the way are not known yet
	Standing    rights.Standing `json:"standing"`
}

// CaseNote is something that somebody wrote.
type CaseNote struct {
	ID        record.ObjectID `json:"id"`
	At        time.Time       `json:"at"`
	By        string          `json:"by"`
	Shown     bool            `json:"shown,omitempty"` // the requester sees it
	Text      string          `json:"text,omitempty"`
	Destroyed bool            `json:"destroyed,omitempty"` // with the keys of the patient
}

// Types of records of cases.
const (
	recordCase     = "case"
	recordCaseNote = "case-note"
)

// CaseBreakglass is the type of case in which an emergency has to be looked at; it is
// settled by ReviewBreakglass.
const CaseBreakglass = "break-glass"

// verifiedByLogin: they have proven themselves by their own identity, which is on record.
const verifiedByLogin = "login"

// verifications are the ways in which an officer makes sure who asks.
func verifications() []string {
	return []string{"id-document", "guardian-record", "notarized-authority", "call-back"}
}

// NewCase is a request to be put on record.
type NewCase struct {
	Type     rights.Kind         `json:"type"`
	Patient  record.PatientToken `json:"patient,omitempty"`  // required but for an inquiry or complaint
	Text     string              `json:"text,omitempty"`     // what they ask, in their words; sealed
	Received *time.Time          `json:"received,omitempty"` // by an officer: when it arrived; default now
	As       string              `json:"as,omitempty"`       // by an officer: who asks; default "patient"
	Verified string              `json:"verified,omitempty"` // by an officer: how it was made sure who they are
}

// maxText is how many characters a note may have.
const maxText = 4000

// oldest is how long ago a request may have arrived that is put on record now.
const oldest = 60 * 24 * time.Hour

// OpenCase puts on record what somebody asks. Patients and guardians ask for themselves;
// an officer for whoever came, called or wrote. Acts of the guard: case.request.
func (v *Vault) OpenCase(ctx context.Context, a record.Actor, n NewCase) (Case, error) {
	now := v.cfg.Now().UTC().Truncate(time.Millisecond)
	c := Case{ID: record.NewObjectID(), Revision: 1, Patient: n.Patient, Type: string(n.Type), State: string(rights.Open), Opened: now, Received: now,
		OpenedBy: a.ID, Calendar: v.cfg.Calendar.Version()}
	asking := act{Actor: a, Action: record.ActionCaseRequest}
	own := a.Role == record.RolePatient || a.Role == record.RoleGuardian
	if err := n.check(own, now); err != nil {
		return Case{}, err
	}
	if own {
		asking.Patient = n.Patient
		c.Requester = &Requester{As: string(a.Role), Subject: a.ID, Verified: verifiedByLogin, By: v.self().ID, At: &now}
	} else {
		c.Requester = &Requester{As: n.As}
		if c.Requester.As == "" {
			c.Requester.As = string(record.RolePatient)
		}
		if n.Verified != "" {
			c.Requester.Verified, c.Requester.By, c.Requester.At = n.Verified, a.ID, &now
		}
		if n.Received != nil {
			c.Received = n.Received.UTC()
		}
	}
	if err := v.may(ctx, asking); err != nil {
		return Case{}, err
	}
	if err := v.mustKnow(ctx, a, record.ActionCaseRequest, n.Patient); err != nil {
		return Case{}, err
	}
	if n.Text != "" { // first: a case that stands has its words
		if err := v.putNote(ctx, asking, c, n.Text, true); err != nil {
			return Case{}, err
		}
	}
	if err := v.putCase(ctx, asking, c, "opened"); err != nil {
		return Case{}, err
	}
	return v.tellCase(c), nil
}

// check is what is wrong with a request that is put on record.
func (n NewCase) check(own bool, now time.Time) error {
	refuse := func(code, advice string) error { return record.Refuse(record.ErrInvalid, code, advice) }
	switch {
	case !n.Type.Known():
		return refuse("bad-type", "type is access, correction, deletion, restriction, portability, access-log, inquiry or complaint")
	case (own || n.Type.NeedsPatient()) && n.Patient == "":
		return refuse("patient-missing", "name the patient by their token")
	case n.Patient != "" && !isToken(n.Patient):
		return refuse("bad-patient", "name the patient by their token")
	case !noteText(n.Text):
		return refuse("bad-text", "a text has at most 4000 characters")
	case own && (n.Received != nil || n.As != "" || n.Verified != ""):
		return refuse("officer-only", "received, as and verified are stated by an officer alone")
	case n.Received != nil && (n.Received.After(now) || n.Received.Before(now.Add(-oldest))):
		return refuse("bad-received", "received lies in the last sixty days")
	case n.As != "" && !slices.Contains([]string{"patient", "guardian", "representative", "other"}, n.As):
		return refuse("bad-requester", "as is patient, guardian, representative or other")
	case n.Verified != "" && !slices.Contains(verifications(), n.Verified):
		return refuse("bad-verification", "verified is "+strings.Join(verifications(), ", "))
	}
	return nil
}

// noteText says whether s may be a note.
func noteText(s string) bool { return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxText }

func isToken(p record.PatientToken) bool {
	_, err := record.ParsePatientToken(string(p))
	return err == nil
}

// mustKnow is nil for a patient of whom there is anything, and for nobody.
func (v *Vault) mustKnow(ctx context.Context, a record.Actor, action record.Action, p record.PatientToken) error {
	if p == "" {
		return nil
	}
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
		_, err := tx.Patient(ctx, p)
		return err
	})
	if errors.Is(err, catalog.ErrNotFound) {
		return v.absent(ctx, a, action)
	}
	if err != nil {
		return unavailable("catalog", err)
	}
	return nil
}

// putCase writes a revision of a case, with the leaf that tells what was done; did is a
// code.
func (v *Vault) putCase(ctx context.Context, doing act, c Case, did string) error {
	id := record.NewObjectID()
	err := v.putHouseRecord(ctx, doing, id, recordCase, c, func(tx *catalog.Tx) error {
		if err := tx.PutCase(ctx, c.row(id), false); err != nil {
			return err
		}
		leaf := v.leaf(doing, allowed)
		leaf.Patient, leaf.Object, leaf.Reason = c.Patient, c.ID, did
		if err := appendLeaf(ctx, tx, leaf); err != nil {
			return err
		}
		if c.Revision > 1 {
			return nil
		}
		told := v.tellCase(c)
		return v.raise(ctx, tx, alarm.Alarm{Kind: alarm.CaseOpened, About: string(c.ID), Detail: c.Type, Due: told.Response.Due}, "")
	})
	return outrun(err)
}

func (c Case) row(id record.ObjectID) catalog.Case {
	row := catalog.Case{ID: c.ID, Revision: c.Revision, Record: id, Patient: c.Patient, Kind: c.Type, State: c.State, Received: c.Received,
		OpenedBy: c.OpenedBy, Assignee: c.Assignee, Executed: c.Executed, Closed: c.Closed}
	if c.Decision != nil {
		row.Outcome, row.Decided = string(c.Decision.Outcome), &c.Decision.At
	}
	return row
}

// listedCase is what a list shows of a case.
func (v *Vault) listedCase(r catalog.Case) Case {
	c := Case{ID: r.ID, Revision: r.Revision, Patient: r.Patient, Type: r.Kind, State: r.State, Opened: r.Received.UTC(), Received: r.Received.UTC(),
		OpenedBy: r.OpenedBy, Assignee: r.Assignee, Executed: r.Executed, Closed: r.Closed}
	if r.Decided != nil {
		c.Decision = &CaseDecision{Outcome: rights.Outcome(r.Outcome), At: r.Decided.UTC()}
	}
	return v.tellCase(c)
}

// tellCase adds how the clocks stand now, by the calendar that is known now.
func (v *Vault) tellCase(c Case) Case {
	clock := rights.Kind(c.Type).Clock()
	var decided *time.Time
	executes := true // as long as it is not decided otherwise
	if c.Decision != nil {
		decided, executes = &c.Decision.At, c.Decision.Outcome.Executes()
	}
	c.Response = v.clockOf(c.Received, clock.Response, decided)
	if clock.Execution > 0 && executes {
		c.Execution = v.clockOf(c.Received, clock.Execution, c.Executed)
	}
	return c
}

func (v *Vault) clockOf(from time.Time, days int, done *time.Time) *CaseClock {
	due := v.cfg.Calendar.Deadline(from, days)
	soon := v.cfg.Calendar.Before(due.At, rights.SoonDays)
	return &CaseClock{Due: due.At.UTC(), Provisional: due.Provisional, Standing: rights.Stand(v.cfg.Now(), soon, due.At, done)}
}

// step changes a case: it is read, changed by do, which says what was done as a code, and
// written. Somebody who changes it at the same time is found out.
func (v *Vault) step(ctx context.Context, a record.Actor, id record.ObjectID, do func(c *Case) (did string, err error)) (Case, error) {
	working := act{Actor: a, Action: record.ActionCaseWork}
	if err := v.may(ctx, working); err != nil {
		return Case{}, err
	}
	c, err := v.wholeCase(ctx, id)
	if errors.Is(err, record.ErrNotFound) {
		return Case{}, v.absent(ctx, a, record.ActionCaseWork)
	}
	if err != nil {
		return Case{}, err
	}
	did, err := do(&c)
	if err != nil {
		return Case{}, err
	}
	c.Revision++
	if err := v.putCase(ctx, working, c, did); err != nil {
		return Case{}, err
	}
	return v.tellCase(c), nil
}

// wholeCase reads a case with what is sealed. Unknown: ErrNotFound.
func (v *Vault) wholeCase(ctx context.Context, id record.ObjectID) (Case, error) {
	var row catalog.Case
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		row, err = tx.Case(ctx, id)
		return notFound(err)
	})
	var c Case
	if err == nil {
		err = v.readHouseRecord(ctx, row.Record, &c)
	}
	return c, err
}

// CaseWork is what may be changed of a case before it is decided; what is "" stays.
type CaseWork struct {
	Assignee string       `json:"assignee,omitempty"`
	State    rights.State `json:"state,omitempty"`    // open, in-progress or waiting
	Verified string       `json:"verified,omitempty"` // how it was made sure who asks
}

// WorkOnCase assigns a case, says that it waits for the requester, or how it was made
// sure who that is. Acts of the guard: case.work.
func (v *Vault) WorkOnCase(ctx context.Context, a record.Actor, id record.ObjectID, w CaseWork) (Case, error) {
	switch {
	case w == CaseWork{}:
		return Case{}, record.Refuse(record.ErrInvalid, "nothing-to-change", "send assignee, state or verified")
	case !name(w.Assignee, 0, 255):
		return Case{}, record.Refuse(record.ErrInvalid, "bad-assignee", "name the assignee by the subject of their identity")
	case w.Verified != "" && !slices.Contains(verifications(), w.Verified):
		return Case{}, record.Refuse(record.ErrInvalid, "bad-verification", "verified is "+strings.Join(verifications(), ", "))
	case w.State != "" && !slices.Contains([]rights.State{rights.Open, rights.InProgress, rights.Waiting}, w.State):
		return Case{}, record.Refuse(record.ErrInvalid, "bad-state", "state is open, in-progress or waiting")
	}
	return v.step(ctx, a, id, func(c *Case) (string, error) {
		var did []string
		state := rights.State(c.State)
		if c.Decision != nil {
			return "", errDecided()
		}
		if w.Assignee != "" {
			c.Assignee, did = w.Assignee, append(did, "assigned")
			if state == rights.Open && w.State == "" {
				w.State = rights.InProgress
			}
		}
		if w.Verified != "" {
			now := v.cfg.Now().UTC().Truncate(time.Millisecond)
			if c.Requester == nil {
				c.Requester = &Requester{As: "other"}
			}
			c.Requester.Verified, c.Requester.By, c.Requester.At = w.Verified, a.ID, &now
			did = append(did, "verified-by-"+w.Verified)
		}
		if w.State != "" && w.State != state {
			if !rights.May(state, w.State, "") {
				return "", errDecided()
			}
			c.State, did = string(w.State), append(did, string(w.State))
		}
		return strings.Join(did, " "), nil
	})
}

func errDecided() error {
	return record.Refuse(record.ErrConflict, "case-decided", "this case is decided: what is new is another case")
}

// NewDecision is how a case is to be decided.
type NewDecision struct {
	Outcome rights.Outcome `json:"outcome"` // granted, partly-granted, refused, answered or withdrawn
	Basis   string         `json:"basis"`   // the law by name and number, as PIPL-47; required but for answered and withdrawn
	Answer  string         `json:"answer"`  // what the requester is told; sealed
}

// legalBasis is a name of a law and a number: nothing in which a patient could be named.
var legalBasis = regexp.MustCompile(`^[A-Za-z][A-Za-z-]{1,31}[- ](Art\. ?)?[0-9][0-9.()-]{0,11}$`)

// DecideCase decides a case, which stops its response clock. Nothing is granted to
// somebody of whom it was not made sure who they are. Acts of the guard: case.work.
func (v *Vault) DecideCase(ctx context.Context, a record.Actor, id record.ObjectID, d NewDecision) (Case, error) {
	if !noteText(d.Answer) {
		return Case{}, record.Refuse(record.ErrInvalid, "bad-text", "a text has at most 4000 characters")
	}
	now := v.cfg.Now().UTC().Truncate(time.Millisecond)
	return v.step(ctx, a, id, func(c *Case) (string, error) {
		switch {
		case !rights.May(rights.State(c.State), rights.Decided, ""):
			return "", errDecided()
		case !d.Outcome.Suits(rights.Kind(c.Type)):
			return "", record.Refuse(record.ErrInvalid, "bad-outcome", "outcome is granted, partly-granted, refused or withdrawn; of an inquiry or complaint answered, refused or withdrawn")
		case (d.Basis != "" || d.Outcome.Executes() || d.Outcome == rights.Refused) && !legalBasis.MatchString(d.Basis):
			return "", record.Refuse(record.ErrInvalid, "bad-basis", "name the legal basis by law and number, as PIPL-47")
		case d.Outcome.Executes() && (c.Requester == nil || c.Requester.Verified == ""):
			return "", record.Refuse(record.ErrConflict, "requester-unverified", "make sure who asks, and say how, before anything is granted")
		}
		if d.Answer != "" {
			if err := v.putNote(ctx, act{Actor: a, Action: record.ActionCaseWork}, *c, d.Answer, true); err != nil {
				return "", err
			}
		}
		c.Decision = &CaseDecision{Outcome: d.Outcome, Basis: d.Basis, At: now, By: a.ID}
		c.State = string(rights.Decided)
		return strings.TrimSpace(string(d.Outcome) + " " + d.Basis), nil
	})
}

// ExecuteCase says that what was granted has been done, which stops the execution clock.
// A restriction must be there, and a deletion approved: from then on it is carried out by
// itself, and its certificate says how far it is. Acts of the guard: case.work.
func (v *Vault) ExecuteCase(ctx context.Context, a record.Actor, id record.ObjectID) (Case, error) {
	now := v.cfg.Now().UTC().Truncate(time.Millisecond)
	return v.step(ctx, a, id, func(c *Case) (string, error) {
		if c.Decision == nil || !rights.May(rights.State(c.State), rights.Executed, c.Decision.Outcome) {
			return "", record.Refuse(record.ErrConflict, "nothing-granted", "only what was granted, and is not done yet, can be executed")
		}
		if c.Type == string(rights.Restriction) {
			if err := v.restrictedBy(ctx, *c); err != nil {
				return "", err
			}
		}
		if c.Type == string(rights.Deletion) {
			if err := v.erasedBy(ctx, c); err != nil {
				return "", err
			}
		}
		c.Executed, c.ExecutedBy, c.State = &now, a.ID, string(rights.Executed)
		return string(rights.Executed), nil
	})
}

// CloseCase closes a case that is decided, and executed where something was granted. Acts
// of the guard: case.work.
func (v *Vault) CloseCase(ctx context.Context, a record.Actor, id record.ObjectID) (Case, error) {
	now := v.cfg.Now().UTC().Truncate(time.Millisecond)
	return v.step(ctx, a, id, func(c *Case) (string, error) {
		if c.Decision == nil || !rights.May(rights.State(c.State), rights.Closed, c.Decision.Outcome) {
			return "", record.Refuse(record.ErrConflict, "case-not-done", "decide it first, and do what was granted")
		}
		c.Closed, c.ClosedBy, c.State = &now, a.ID, string(rights.Closed)
		return string(rights.Closed), nil
	})
}

// NoteOnCase adds what somebody wrote to a case; shown: the requester sees it. Acts of the
// guard: case.work.
func (v *Vault) NoteOnCase(ctx context.Context, a record.Actor, id record.ObjectID, said string, shown bool) error {
	if said == "" || !noteText(said) {
		return record.Refuse(record.ErrInvalid, "bad-text", "a note has between 1 and 4000 characters")
	}
	working := act{Actor: a, Action: record.ActionCaseWork}
	if err := v.may(ctx, working); err != nil {
		return err
	}
	c, err := v.wholeCase(ctx, id)
	if errors.Is(err, record.ErrNotFound) {
		return v.absent(ctx, a, record.ActionCaseWork)
	}
	if err != nil {
		return err
	}
	return v.putNote(ctx, working, c, said, shown)
}

// sealedNote is the record of a note.
type sealedNote struct {
	Case  record.ObjectID `json:"case"`
	Text  string          `json:"text"`
	Shown bool            `json:"shown,omitempty"`
	At    time.Time       `json:"at"`
	By    string          `json:"by"`
}

func (n sealedNote) row(id record.ObjectID) catalog.CaseNote {
	return catalog.CaseNote{ID: id, Case: n.Case, Shown: n.Shown, At: n.At, By: n.By}
}

// putNote seals a note under the keys of the patient whom the case is about, so that it
// dies with them; where there is none, or none that can be sealed under any more, it is a
// record of the house.
func (v *Vault) putNote(ctx context.Context, doing act, c Case, said string, shown bool) error {
	id := record.NewObjectID()
	n := sealedNote{Case: c.ID, Text: said, Shown: shown, At: v.cfg.Now().UTC().Truncate(time.Millisecond), By: doing.Actor.ID}
	change := func(tx *catalog.Tx) error { return tx.InsertCaseNote(ctx, n.row(id)) }
	state := ""
	if c.Patient != "" {
		err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) error {
			p, err := tx.Patient(ctx, c.Patient)
			state = p.State
			return notFound(err)
		})
		if err != nil {
			return err
		}
	}
	if state != catalog.Active {
		return v.putHouseRecord(ctx, doing, id, recordCaseNote, n, change)
	}
	doing.Patient, doing.Object = c.Patient, c.ID
	return v.putRecord(ctx, doing, id, recordCaseNote, n, change)
}

// CaseQuery asks for a part of the list.
type CaseQuery struct {
	Closed bool   // those that are closed too
	After  string // Next of the page before
	Limit  int    // default 500, at most 1000
}

// Cases lists what has to be settled: requests, the oldest first, emergencies that nobody
// has looked at (for those who may list them), and children whose guardians have to be
// asked. Patients and guardians see their own requests alone. Acts of the guard: case.list.
func (v *Vault) Cases(ctx context.Context, a record.Actor, q CaseQuery) (list []Case, next string, err error) {
	if q.Limit <= 0 || q.Limit > maxResults {
		q.Limit = 500
	}
	if err := v.comeOfAge(ctx); err != nil {
		return nil, "", unavailable("catalog", err)
	}
	if a.Role == record.RolePatient || a.Role == record.RoleGuardian {
		list, err = v.ownCases(ctx, a, q)
		return list, "", err
	}
	_, err = v.perform(ctx, act{Actor: a, Action: record.ActionCaseList}, func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) (err error) {
		list, next, err = v.pageOfCases(ctx, tx, a, q)
		return err
	})
	return list, next, err
}

// pageOfCases: After is the id of a request, or the token of a child.
func (v *Vault) pageOfCases(ctx context.Context, tx *catalog.Tx, a record.Actor, q CaseQuery) (list []Case, next string, err error) {
	list = []Case{}
	after, isChild := record.PatientToken(""), false
	if after, err = record.ParsePatientToken(q.After); err == nil {
		isChild = true
	}
	if !isChild {
		rows, err := tx.Cases(ctx, catalog.CaseFilter{Closed: q.Closed, After: record.ObjectID(q.After), Limit: q.Limit})
		if err != nil {
			return nil, "", err
		}
		for _, r := range rows {
			list = append(list, v.listedCase(r))
		}
		if len(rows) == q.Limit {
			return list, string(rows[len(rows)-1].ID), nil
		}
		if list, err = v.breakglassCases(ctx, tx, a, list); err != nil {
			return nil, "", err
		}
		after = ""
	}
	children, last, err := v.guardianCases(ctx, tx, after, q.Limit)
	return append(list, children...), string(last), err
}

// breakglassCases adds the emergencies that nobody has looked at.
func (v *Vault) breakglassCases(ctx context.Context, tx *catalog.Tx, a record.Actor, list []Case) ([]Case, error) {
	if d, err := v.decide(ctx, tx, act{Actor: a, Action: record.ActionBreakglassList}); err != nil || !d.Allow {
		return list, err
	}
	waiting, err := tx.Breakglasses(ctx, true, "", maxResults)
	for _, g := range waiting {
		c := Case{ID: g.ID, Patient: g.Patient, Type: CaseBreakglass, State: string(rights.Waiting), Opened: g.Opened.UTC(), OpenedBy: g.Actor}
		c.Response = &CaseClock{Due: g.ReviewBy.UTC(), Standing: rights.Stand(v.cfg.Now(), g.ReviewBy, g.ReviewBy, nil)}
		list = append(list, c)
	}
	return list, err
}

// ownCases lists the requests about those whom a patient or guardian is on record for.
func (v *Vault) ownCases(ctx context.Context, a record.Actor, q CaseQuery) ([]Case, error) {
	var theirs []record.PatientToken
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		theirs, err = v.theirs(ctx, tx, a)
		return err
	})
	if err != nil {
		return nil, unavailable("catalog", err)
	}
	if len(theirs) == 0 {
		return nil, v.may(ctx, act{Actor: a, Action: record.ActionCaseList})
	}
	list := []Case{}
	for _, p := range theirs {
		var rows []catalog.Case
		_, err := v.perform(ctx, act{Actor: a, Action: record.ActionCaseList, Patient: p}, func(tx *catalog.Tx, _ access.Decision, _ *audit.Leaf) (err error) {
			rows, err = tx.Cases(ctx, catalog.CaseFilter{Closed: true, Patients: []record.PatientToken{p}, Limit: q.Limit})
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			c := v.listedCase(r)
			c.Assignee = "" // who works on it is the house's own
			list = append(list, c)
		}
	}
	return list, nil
}

// ReadCase tells a case with its notes; to a patient or guardian those that are shown to
// them. Acts of the guard: case.read. Unknown, or not theirs: ErrNotFound.
func (v *Vault) ReadCase(ctx context.Context, a record.Actor, id record.ObjectID) (Case, error) {
	reading := act{Actor: a, Action: record.ActionCaseRead}
	own := a.Role == record.RolePatient || a.Role == record.RoleGuardian
	var row catalog.Case
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		row, err = tx.Case(ctx, id)
		return notFound(err)
	})
	if errors.Is(err, record.ErrNotFound) || err == nil && own && row.Patient == "" {
		return Case{}, v.absent(ctx, a, record.ActionCaseRead)
	}
	if err != nil {
		return Case{}, unavailable("catalog", err)
	}
	if own {
		reading.Patient = row.Patient
	}
	var notes []catalog.CaseNote
	_, err = v.perform(ctx, reading, func(tx *catalog.Tx, _ access.Decision, leaf *audit.Leaf) (err error) {
		leaf.Patient, leaf.Object = row.Patient, id
		notes, err = tx.CaseNotes(ctx, id)
		return err
	})
	if err != nil {
		return Case{}, err
	}
	var c Case
	if err := v.readHouseRecord(ctx, row.Record, &c); err != nil {
		return c, err
	}
	if own {
		c.Assignee = ""
	}
	for _, n := range notes {
		if own && !n.Shown {
			continue
		}
		told := CaseNote{ID: n.ID, At: n.At.UTC(), By: n.By, Shown: n.Shown}
		var sealed sealedNote
		switch err := v.readHouseRecord(ctx, n.ID, &sealed); {
		case err == nil:
			told.Text = sealed.Text
		case errors.Is(err, record.ErrNotFound):
			told.Destroyed = true
		default:
			return c, err
		}
		c.Notes = append(c.Notes, told)
	}
	return v.tellCase(c), nil
}
