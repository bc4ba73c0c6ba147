package catalog

import (
	"context"

	"medvault/vault/record"
)

// KnownPending is the Known of a document that waits to be redacted.
const KnownPending = "pending"

// Report is what the catalog knows of a document that is redacted in the background.
type Report struct {
	ID     record.ObjectID
	Known  string          // KnownPending, or a keyed hash of what was known of the patient; "" when it depends on nothing
	Parent record.ObjectID // the document it was found in as an attachment; "" when it came by itself
}

// SetReport notes what a document's view depends on, and where it was found. Absent:
// ErrNotFound.
func (t *Tx) SetReport(ctx context.Context, r Report) error {
	var b builder
	b.add("UPDATE documents SET known = ?, parent = ? WHERE id = ?", r.Known, string(r.Parent), string(r.ID))
	return attempt(t.one(ctx, &b), "report %s", r.ID)
}

// SetKnown notes what a document's view depends on. Absent: ErrNotFound.
func (t *Tx) SetKnown(ctx context.Context, id record.ObjectID, known string) error {
	var b builder
	b.add("UPDATE documents SET known = ? WHERE id = ?", known, string(id))
	return attempt(t.one(ctx, &b), "report %s", id)
}

// Report reads what a document's view depends on. Absent: ErrNotFound.
func (t *Tx) Report(ctx context.Context, id record.ObjectID) (Report, error) {
	r := Report{ID: id}
	err := t.tx.QueryRowContext(ctx, "SELECT known, parent FROM documents WHERE id = $1", string(id)).Scan(&r.Known, &r.Parent)
	return r, attempt(err, "report %s", id)
}

// HasReports says whether a patient has any that depend on what is known.
func (t *Tx) HasReports(ctx context.Context, patient record.PatientToken) (bool, error) {
	var n int64
	err := t.tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM documents WHERE patient = $1 AND known <> '' LIMIT 1) AS found", string(patient)).Scan(&n)
	return n > 0, attempt(err, "reports of %s", patient)
}

// ReportsBut lists up to limit of a patient's reports behind an id that were redacted by
// something else than known, or not yet.
func (t *Tx) ReportsBut(ctx context.Context, patient record.PatientToken, known string, after record.ObjectID, limit int) ([]record.ObjectID, error) {
	var b builder
	b.add("SELECT id FROM documents WHERE patient = ? AND known <> '' AND known <> ? AND id > ? ORDER BY id LIMIT ?", string(patient), known, string(after), limit32(limit))
	return t.ids(ctx, &b, "reports")
}

// PendingReports lists up to limit reports of anybody behind an id that wait to be
// redacted.
func (t *Tx) PendingReports(ctx context.Context, after record.ObjectID, limit int) ([]record.ObjectID, error) {
	var b builder
	b.add("SELECT id FROM documents WHERE known = ? AND id > ? ORDER BY id LIMIT ?", KnownPending, string(after), limit32(limit))
	return t.ids(ctx, &b, "pending reports")
}

// Witnesses lists up to limit documents of a patient that together tell who that is: one
// of each series, and every one that belongs to none.
func (t *Tx) Witnesses(ctx context.Context, patient record.PatientToken, limit int) ([]record.ObjectID, error) {
	var b builder
	b.add("SELECT MIN(id) FROM documents WHERE patient = ? GROUP BY CASE WHEN series = '' THEN id ELSE series END ORDER BY 1 LIMIT ?", string(patient), limit32(limit))
	return t.ids(ctx, &b, "documents that tell of a patient")
}

// InSeries counts the documents of a series, by its mapped UID.
func (t *Tx) InSeries(ctx context.Context, patient record.PatientToken, series string) (n int64, err error) {
	err = t.tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM documents WHERE patient = $1 AND series = $2", string(patient), series).Scan(&n)
	return n, attempt(err, "documents of a series")
}

// DocumentQuery chooses documents to list. Every field that is set must hold.
type DocumentQuery struct {
	Patients []record.PatientToken // nil: of anybody
	Category string
	Kinds    []record.Kind
	Released bool            // only those whose de-identified view may be shown
	After    record.ObjectID // the last of the page before
	Limit    int
}

// ListDocuments lists documents by id, without terms.
func (t *Tx) ListDocuments(ctx context.Context, q DocumentQuery) ([]Document, error) {
	var b builder
	b.add("SELECT d.id FROM documents d JOIN objects o ON o.id = d.id WHERE d.id > ?", string(q.After))
	if q.Patients != nil {
		b.add(" AND d.patient IN ")
		list(&b, q.Patients)
	}
	if q.Category != "" {
		b.add(" AND d.category = ?", q.Category)
	}
	if len(q.Kinds) > 0 {
		b.add(" AND (1 = 0")
		for _, k := range q.Kinds {
			b.add(" OR o.kind = ?", int64(k))
		}
		b.add(")")
	}
	if q.Released {
		b.add(" AND d.held = ''")
	}
	b.add(" ORDER BY d.id LIMIT ?", limit32(q.Limit))
	ids, err := t.ids(ctx, &b, "documents")
	if err != nil {
		return nil, err
	}
	all := make([]Document, len(ids))
	for i, id := range ids {
		if all[i], err = t.Document(ctx, id); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (t *Tx) ids(ctx context.Context, b *builder, what string) ([]record.ObjectID, error) {
	rows, err := t.query(ctx, b)
	if err != nil {
		return nil, attempt(err, "%s", what)
	}
	defer rows.Close()
	var all []record.ObjectID
	for rows.Next() {
		var id record.ObjectID
		if err := rows.Scan(&id); err != nil {
			return nil, attempt(err, "%s", what)
		}
		all = append(all, id)
	}
	return all, attempt(rows.Err(), "%s", what)
}
