package catalog

import (
	"context"
	"time"

	"medvault/vault/audit"
	"medvault/vault/record"
)

// TraceFilter asks which patients acts of the log were about. Fields that are empty
// exclude nothing.
type TraceFilter struct {
	Actor, Address string
	Credential     []string // one of these: vault.Vault.CredentialNames
	Without        string   // leaves out what this actor did
	Object         record.ObjectID
	From, To       time.Time     // From is in the range, To is not
	Window         time.Duration // how long before From a read's leaf may stand that still covers reads within the range
}

// Trace is how often something was done with one patient.
type Trace struct {
	Patient     record.PatientToken
	Action      record.Action
	Acts        int64 // leaves: one stands for all reads of an object within its window
	First, Last time.Time
}

// Traces are the allowed acts about patients that fit, by patient and action. An object is
// followed through what superseded it, and what was done with a document that was moved
// since counts for whom it belongs to as well: a patient may be named twice. It asks the
// index alone, so that a million leaves are answered in a second. What is pending is not
// there yet.
func (t *Tx) Traces(ctx context.Context, f TraceFilter) ([]Trace, error) {
	var named, moved builder
	named.add("SELECT x.patient, x.action, COUNT(*), MIN(x.at), MAX(x.at) FROM audit_index x WHERE x.patient <> '' AND x.patient <> ? AND x.decision = ?",
		string(record.House), string(audit.Allow))
	f.bound(&named)
	named.add(" GROUP BY x.patient, x.action ORDER BY x.patient, x.action")
	moved.add("SELECT d.patient, x.action, COUNT(*), MIN(x.at), MAX(x.at) FROM audit_index x JOIN objects o ON o.id = x.object JOIN objects d ON d.id = o.superseded_by"+
		" WHERE x.object <> '' AND o.superseded_by <> '' AND d.record_type = '' AND d.patient <> x.patient AND x.patient <> '' AND x.decision = ?", string(audit.Allow))
	f.bound(&moved)
	moved.add(" GROUP BY d.patient, x.action ORDER BY d.patient, x.action")
	all, err := t.traces(ctx, &named)
	if err != nil {
		return nil, err
	}
	others, err := t.traces(ctx, &moved)
	return append(all, others...), err
}

func (f TraceFilter) bound(b *builder) {
	for _, c := range []struct{ column, value string }{{"actor", f.Actor}, {"address", f.Address}} {
		if c.value != "" {
			// The constant beside the parameter is what lets a partial index be used.
			b.add(" AND x."+c.column+" = ? AND x."+c.column+" <> ''", c.value)
		}
	}
	if id := string(f.Object); id != "" { // all that one document was ever sealed as
		b.add(" AND x.object <> '' AND x.object IN (SELECT CAST(? AS TEXT) UNION SELECT s.id FROM objects s WHERE s.superseded_by <> '' AND s.superseded_by = ?"+
			" UNION SELECT s.id FROM objects o JOIN objects d ON d.id = o.superseded_by AND d.record_type = '' JOIN objects s ON s.id = d.id OR s.superseded_by = d.id WHERE o.id = ?)", id, id, id)
	}
	if len(f.Credential) > 0 {
		b.add(" AND x.credential <> '' AND x.credential IN ")
		list(b, f.Credential)
	}
	if f.Without != "" {
		b.add(" AND x.actor <> ?", f.Without)
	}
	if !f.From.IsZero() {
		b.add(" AND x.at >= ? AND (x.at >= ? OR x.action IN (?, ?))", millis(f.From.Add(-f.Window)), millis(f.From), string(record.ActionRead), string(record.ActionSearch))
	}
	if !f.To.IsZero() {
		b.add(" AND x.at < ?", millis(f.To))
	}
}

func (t *Tx) traces(ctx context.Context, b *builder) ([]Trace, error) {
	rows, err := t.query(ctx, b)
	if err != nil {
		return nil, attempt(err, "traces in the log")
	}
	defer rows.Close()
	var all []Trace
	for rows.Next() {
		var one Trace
		var first, last int64
		if err := rows.Scan(&one.Patient, &one.Action, &one.Acts, &first, &last); err != nil {
			return nil, attempt(err, "traces in the log")
		}
		one.First, one.Last = fromMillis(first), fromMillis(last)
		all = append(all, one)
	}
	return all, attempt(rows.Err(), "traces in the log")
}

// KnownPatients is since when every patient is known, those who were erased included.
func (t *Tx) KnownPatients(ctx context.Context) (map[record.PatientToken]time.Time, error) {
	rows, err := t.tx.QueryContext(ctx, "SELECT token, created_at FROM patients")
	if err != nil {
		return nil, attempt(err, "known patients")
	}
	defer rows.Close()
	known := make(map[record.PatientToken]time.Time)
	for rows.Next() {
		var p record.PatientToken
		var at int64
		if err := rows.Scan(&p, &at); err != nil {
			return nil, attempt(err, "known patients")
		}
		known[p] = fromMillis(at)
	}
	return known, attempt(rows.Err(), "known patients")
}

// LeafCount is how many leaves of an action, an actor and a decision there are.
type LeafCount struct {
	Action   record.Action
	Actor    string
	Decision audit.Decision
	Leaves   int64
}

// CountLeaves counts the leaves of a time by what an index of them knows. Limit actions to
// count only those.
func (t *Tx) CountLeaves(ctx context.Context, from, to time.Time) ([]LeafCount, error) {
	rows, err := t.tx.QueryContext(ctx, "SELECT action, actor, decision, COUNT(*) FROM audit_index WHERE at >= $1 AND at < $2"+
		" GROUP BY action, actor, decision ORDER BY action, actor, decision", millis(from), millis(to))
	if err != nil {
		return nil, attempt(err, "count leaves")
	}
	defer rows.Close()
	var all []LeafCount
	for rows.Next() {
		var n LeafCount
		if err := rows.Scan(&n.Action, &n.Actor, &n.Decision, &n.Leaves); err != nil {
			return nil, attempt(err, "count leaves")
		}
		all = append(all, n)
	}
	return all, attempt(rows.Err(), "count leaves")
}

// LastActs is when everybody last did anything that was allowed, by actor.
func (t *Tx) LastActs(ctx context.Context) (map[string]time.Time, error) {
	rows, err := t.tx.QueryContext(ctx, "SELECT actor, MAX(at) FROM audit_index WHERE decision = 'allow' GROUP BY actor")
	if err != nil {
		return nil, attempt(err, "last acts")
	}
	defer rows.Close()
	last := make(map[string]time.Time)
	for rows.Next() {
		var actor string
		var at int64
		if err := rows.Scan(&actor, &at); err != nil {
			return nil, attempt(err, "last acts")
		}
		last[actor] = fromMillis(at)
	}
	return last, attempt(rows.Err(), "last acts")
}

// Categories counts the documents of patients by category.
func (t *Tx) Categories(ctx context.Context, patients []record.PatientToken) (map[string]int64, error) {
	counts := make(map[string]int64)
	const most = 500 // parameters of one statement
	for len(patients) > 0 {
		some := patients[:min(most, len(patients))]
		patients = patients[len(some):]
		var b builder
		b.add("SELECT category, COUNT(*) FROM documents WHERE patient IN ")
		list(&b, some)
		b.add(" GROUP BY category")
		rows, err := t.query(ctx, &b)
		if err != nil {
			return nil, attempt(err, "categories")
		}
		for rows.Next() {
			var category string
			var n int64
			if err := rows.Scan(&category, &n); err != nil {
				rows.Close()
				return nil, attempt(err, "categories")
			}
			counts[category] += n
		}
		if err := rows.Err(); err != nil {
			return nil, attempt(err, "categories")
		}
	}
	return counts, nil
}
