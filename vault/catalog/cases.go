package catalog

import (
	"context"
	"time"

	"medvault/vault/record"
)

// Case is one request about personal information. What it says beyond this is sealed in
// its record.
type Case struct {
	ID       record.ObjectID
	Revision int64
	Record   record.ObjectID // of this revision
	Patient  record.PatientToken
	Kind     string
	State    string
	Received time.Time
	OpenedBy string
	Assignee string
	Outcome  string

	Decided, Executed, Closed *time.Time
}

// PutCase writes a case; newer: whatever its revision, if it is later than the one that is
// there. Otherwise it must be the next: ErrChanged.
func (t *Tx) PutCase(ctx context.Context, c Case, newer bool) error {
	var b builder
	b.add("INSERT INTO cases (id, revision, record, patient, kind, state, received_at, opened_by, assignee, outcome, decided_at, executed_at, closed_at)"+
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", string(c.ID), c.Revision, string(c.Record), string(c.Patient), c.Kind, c.State, millis(c.Received),
		c.OpenedBy, c.Assignee, c.Outcome, optionalMillis(c.Decided), optionalMillis(c.Executed), optionalMillis(c.Closed))
	b.add(" ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, record = excluded.record, state = excluded.state, assignee = excluded.assignee," +
		" outcome = excluded.outcome, decided_at = excluded.decided_at, executed_at = excluded.executed_at, closed_at = excluded.closed_at")
	return attempt(t.putRevision(ctx, &b, "cases", c.Revision, newer), "case %s", c.ID)
}

const caseColumns = "id, revision, record, patient, kind, state, received_at, opened_by, assignee, outcome, decided_at, executed_at, closed_at"

// Case reads one. Unknown: ErrNotFound.
func (t *Tx) Case(ctx context.Context, id record.ObjectID) (Case, error) {
	c, err := caseOf(t.tx.QueryRowContext(ctx, "SELECT "+caseColumns+" FROM cases WHERE id = $1", string(id)))
	return c, attempt(err, "case %s", id)
}

// CaseFilter says which cases.
type CaseFilter struct {
	Closed   bool                  // those that are closed too
	Patients []record.PatientToken // nil: of all, and about nobody
	After    record.ObjectID       // the last one of the page before
	Limit    int
}

// Cases lists some, the oldest first.
func (t *Tx) Cases(ctx context.Context, f CaseFilter) ([]Case, error) {
	if f.Patients != nil && len(f.Patients) == 0 {
		return nil, nil
	}
	var b builder
	b.add("SELECT " + caseColumns + " FROM cases WHERE 1 = 1")
	if !f.Closed {
		b.add(" AND closed_at = 0")
	}
	if f.Patients != nil {
		b.add(" AND patient IN ")
		list(&b, f.Patients)
	}
	if f.After != "" {
		b.add(" AND (received_at, id) > (SELECT x.received_at, x.id FROM cases x WHERE x.id = ?)", string(f.After))
	}
	b.add(" ORDER BY received_at, id LIMIT ?", limit32(f.Limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "cases")
	}
	defer rows.Close()
	var all []Case
	for rows.Next() {
		c, err := caseOf(rows)
		if err != nil {
			return nil, attempt(err, "cases")
		}
		all = append(all, c)
	}
	return all, attempt(rows.Err(), "cases")
}

func caseOf(row scanner) (c Case, err error) {
	var received, decided, executed, closed int64
	err = row.Scan(&c.ID, &c.Revision, &c.Record, &c.Patient, &c.Kind, &c.State, &received, &c.OpenedBy, &c.Assignee, &c.Outcome, &decided, &executed, &closed)
	c.Received, c.Decided, c.Executed, c.Closed = fromMillis(received), optionalTime(decided), optionalTime(executed), optionalTime(closed)
	return c, err
}

// CaseNote says who wrote a note of a case, and when.
type CaseNote struct {
	ID    record.ObjectID
	Case  record.ObjectID
	Shown bool // to the requester
	At    time.Time
	By    string
}

// InsertCaseNote writes one. A known id: ErrExist.
func (t *Tx) InsertCaseNote(ctx context.Context, n CaseNote) error {
	shown := 0
	if n.Shown {
		shown = 1
	}
	var b builder
	b.add("INSERT INTO case_notes (id, case_id, shown, written_at, written_by) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
		string(n.ID), string(n.Case), shown, millis(n.At), n.By)
	changed, err := t.exec(ctx, &b)
	if err == nil && changed == 0 {
		err = ErrExist
	}
	return attempt(err, "note of case %s", n.Case)
}

// CaseNotes lists the notes of a case, the oldest first.
func (t *Tx) CaseNotes(ctx context.Context, id record.ObjectID) ([]CaseNote, error) {
	rows, err := t.tx.QueryContext(ctx, "SELECT id, case_id, shown, written_at, written_by FROM case_notes WHERE case_id = $1 ORDER BY written_at, id", string(id))
	if err != nil {
		return nil, attempt(err, "notes of case %s", id)
	}
	defer rows.Close()
	var all []CaseNote
	for rows.Next() {
		var n CaseNote
		var shown, at int64
		if err := rows.Scan(&n.ID, &n.Case, &shown, &at, &n.By); err != nil {
			return nil, attempt(err, "notes of case %s", id)
		}
		n.Shown, n.At = shown != 0, fromMillis(at)
		all = append(all, n)
	}
	return all, attempt(rows.Err(), "notes of case %s", id)
}

// Restriction keeps a patient's documents to storage and legal claims.
type Restriction struct {
	ID        record.ObjectID
	Patient   record.PatientToken
	Case      record.ObjectID // that was decided so
	From      time.Time
	By        string
	Ended     *time.Time
	EndedBy   string
	EndedCase record.ObjectID
}

// InsertRestriction writes one. A known id: ErrExist.
func (t *Tx) InsertRestriction(ctx context.Context, r Restriction) error {
	var b builder
	b.add("INSERT INTO restrictions (id, patient, case_id, from_at, set_by, ended_at, ended_by, ended_case) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
		string(r.ID), string(r.Patient), string(r.Case), millis(r.From), r.By, optionalMillis(r.Ended), r.EndedBy, string(r.EndedCase))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrExist
	}
	return attempt(err, "insert restriction %s", r.ID)
}

// EndRestriction ends one of the patient's. Unknown or ended already: ErrNotFound.
func (t *Tx) EndRestriction(ctx context.Context, patient record.PatientToken, id record.ObjectID, at time.Time, by string, decided record.ObjectID) error {
	var b builder
	b.add("UPDATE restrictions SET ended_at = ?, ended_by = ?, ended_case = ? WHERE patient = ? AND id = ? AND ended_at = 0",
		millis(at), by, string(decided), string(patient), string(id))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return attempt(err, "end restriction %s", id)
}

// Restrictions lists a patient's, the oldest first, those that ended included.
func (t *Tx) Restrictions(ctx context.Context, patient record.PatientToken) ([]Restriction, error) {
	rows, err := t.tx.QueryContext(ctx, "SELECT id, patient, case_id, from_at, set_by, ended_at, ended_by, ended_case FROM restrictions WHERE patient = $1 ORDER BY from_at, id", string(patient))
	if err != nil {
		return nil, attempt(err, "restrictions of %s", patient)
	}
	defer rows.Close()
	var all []Restriction
	for rows.Next() {
		var r Restriction
		var from, ended int64
		if err := rows.Scan(&r.ID, &r.Patient, &r.Case, &from, &r.By, &ended, &r.EndedBy, &r.EndedCase); err != nil {
			return nil, attempt(err, "restrictions of %s", patient)
		}
		r.From, r.Ended = fromMillis(from), optionalTime(ended)
		all = append(all, r)
	}
	return all, attempt(rows.Err(), "restrictions of %s", patient)
}

// Restricted says whether a patient's documents are for storage and legal claims alone.
func (t *Tx) Restricted(ctx context.Context, patient record.PatientToken) (bool, error) {
	n := 0
	err := t.tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM restrictions WHERE patient = $1 AND ended_at = 0", string(patient)).Scan(&n)
	return n > 0, attempt(err, "restrictions of %s", patient)
}
