package catalog

import (
	"context"
	"errors"
	"time"

	"medvault/keys"
	"medvault/vault/catalog/internal/query"
	"medvault/vault/record"
)

// Rebuild is how far this catalog has been made from a region.
type Rebuild struct {
	Region   string
	Started  time.Time
	Ended    time.Time // zero while it is under way or cut
	Phase    string
	Position string // the last key, or number, that this phase has done
	State    []byte // the vault's own
}

// Rebuilds lists the regions this catalog was made from, those under way included.
func (t *Tx) Rebuilds(ctx context.Context) ([]Rebuild, error) {
	var b builder
	b.add("SELECT region, started_at, ended_at, phase, position, state FROM rebuilds ORDER BY started_at, region")
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "rebuilds")
	}
	defer rows.Close()
	var all []Rebuild
	for rows.Next() {
		var r Rebuild
		var started, ended int64
		if err := rows.Scan(&r.Region, &started, &ended, &r.Phase, &r.Position, &r.State); err != nil {
			return nil, attempt(err, "rebuilds")
		}
		r.Started, r.Ended = fromMillis(started), fromMillis(ended)
		all = append(all, r)
	}
	return all, attempt(rows.Err(), "rebuilds")
}

// SetRebuild notes how far a rebuild is.
func (t *Tx) SetRebuild(ctx context.Context, r Rebuild) error {
	var b builder
	b.add("INSERT INTO rebuilds (region, started_at, ended_at, phase, position, state) VALUES (?, ?, ?, ?, ?, ?)"+
		" ON CONFLICT (region) DO UPDATE SET started_at = excluded.started_at, ended_at = excluded.ended_at, phase = excluded.phase,"+
		" position = excluded.position, state = excluded.state",
		r.Region, millis(r.Started), millis(r.Ended), r.Phase, r.Position, r.State)
	_, err := t.exec(ctx, &b)
	return attempt(err, "note the rebuild from %s", r.Region)
}

// Blank says whether nothing was ever written into this catalog but what a rebuild
// writes first: its own row.
func (t *Tx) Blank(ctx context.Context) (blank bool, err error) {
	var b builder
	b.add("SELECT NOT EXISTS (SELECT 1 FROM generations) AND NOT EXISTS (SELECT 1 FROM objects) AND NOT EXISTS (SELECT 1 FROM patients)" +
		" AND NOT EXISTS (SELECT 1 FROM audit_leaves) AND NOT EXISTS (SELECT 1 FROM audit_pending)")
	err = t.tx.QueryRowContext(ctx, b.text.String()).Scan(&blank)
	return blank, attempt(err, "look whether the catalog is empty")
}

// RebuildFinding is something that is not as the log or the region says; Data is the
// vault's own.
type RebuildFinding struct {
	Key, Type string
	Patient   record.PatientToken
	Data      []byte
}

// AddRebuildFinding notes a finding of the rebuild from a region. One of the same key
// and type stays as it is.
func (t *Tx) AddRebuildFinding(ctx context.Context, region string, f RebuildFinding) error {
	var b builder
	b.add("INSERT INTO rebuild_findings (region, key, type, patient, data) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		region, f.Key, f.Type, string(f.Patient), f.Data)
	_, err := t.exec(ctx, &b)
	return attempt(err, "note a finding about %s", f.Key)
}

// DropRebuildFinding takes a finding back.
func (t *Tx) DropRebuildFinding(ctx context.Context, region, key, kind string) error {
	var b builder
	b.add("DELETE FROM rebuild_findings WHERE region = ? AND key = ? AND type = ?", region, key, kind)
	_, err := t.exec(ctx, &b)
	return attempt(err, "take a finding about %s back", key)
}

// ForgetRebuild forgets what an earlier rebuild from a region has found.
func (t *Tx) ForgetRebuild(ctx context.Context, region string) error {
	var b builder
	b.add("DELETE FROM rebuild_findings WHERE region = ?", region)
	_, err := t.exec(ctx, &b)
	return attempt(err, "forget the rebuild from %s", region)
}

// RebuildFindings lists findings behind a key and type, in their order; of one type, or
// of all when kind is "".
func (t *Tx) RebuildFindings(ctx context.Context, region, kind string, after RebuildFinding, limit int) ([]RebuildFinding, error) {
	var b builder
	b.add("SELECT key, type, patient, data FROM rebuild_findings WHERE region = ? AND (key > ? OR (key = ? AND type > ?))",
		region, after.Key, after.Key, after.Type)
	if kind != "" {
		b.add(" AND type = ?", kind)
	}
	b.add(" ORDER BY key, type LIMIT ?", limit32(limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "findings of a rebuild")
	}
	defer rows.Close()
	var all []RebuildFinding
	for rows.Next() {
		var f RebuildFinding
		if err := rows.Scan(&f.Key, &f.Type, &f.Patient, &f.Data); err != nil {
			return nil, attempt(err, "findings of a rebuild")
		}
		all = append(all, f)
	}
	return all, attempt(rows.Err(), "findings of a rebuild")
}

// CommitOf reads the leaf that commits an object. None: ErrNotFound.
func (t *Tx) CommitOf(ctx context.Context, id record.ObjectID) (data []byte, err error) {
	var b builder
	b.add("SELECT l.data FROM audit_commits c JOIN audit_leaves l ON l.n = c.n WHERE c.object = ?", string(id))
	err = t.tx.QueryRowContext(ctx, b.text.String(), b.args...).Scan(&data)
	return data, attempt(err, "commit leaf of %s", id)
}

// Unaccounted lists objects that the log commits and of which the catalog has no row,
// behind an id, with their commit leaves.
func (t *Tx) Unaccounted(ctx context.Context, after record.ObjectID, limit int) (ids []record.ObjectID, leaves [][]byte, err error) {
	var b builder
	b.add("SELECT c.object, l.data FROM audit_commits c JOIN audit_leaves l ON l.n = c.n LEFT JOIN objects o ON o.id = c.object"+
		" WHERE c.object > ? AND o.id IS NULL ORDER BY c.object LIMIT ?", string(after), limit32(limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, nil, attempt(err, "objects that only the log knows")
	}
	defer rows.Close()
	for rows.Next() {
		var id record.ObjectID
		var leaf []byte
		if err := rows.Scan(&id, &leaf); err != nil {
			return nil, nil, attempt(err, "objects that only the log knows")
		}
		ids, leaves = append(ids, id), append(leaves, leaf)
	}
	return ids, leaves, attempt(rows.Err(), "objects that only the log knows")
}

// Leave writes the row that remains of an object in whose place another stands, whether
// it was in the catalog or not. What it had superseded leads to the newest.
func (t *Tx) Leave(ctx context.Context, o Object) error {
	old, successor := o.ID, o.SupersededBy
	o.Footer = nil
	err := t.insertObject(ctx, o, "")
	if err != nil && !errors.Is(err, ErrExist) {
		return attempt(err, "leave %s", old)
	}
	var b, c builder
	b.add("UPDATE objects SET superseded_by = ? WHERE id = ? OR superseded_by = ?", string(successor), string(old), string(old))
	c.add("DELETE FROM documents WHERE id = ?", string(old))
	if _, err := t.exec(ctx, &b); err != nil {
		return attempt(err, "leave %s", old)
	}
	if _, err := t.exec(ctx, &c); err != nil {
		return attempt(err, "leave %s", old)
	}
	err = t.q.DeleteTerms(ctx, query.DeleteTermsParams{Patient: string(o.Patient), Owner: string(old)})
	return attempt(err, "leave %s", old)
}

// Return takes back that another stands in the place of an object: the row goes, so that
// it can be written anew.
func (t *Tx) Return(ctx context.Context, id record.ObjectID) error {
	var b builder
	b.add("DELETE FROM objects WHERE id = ? AND superseded_by <> ''", string(id))
	return attempt(t.one(ctx, &b), "return %s", id)
}

// Leaving lists superseded objects that may lie in a region still, behind an id; not those
// that a rebuild keeps beside what stands in their place.
func (t *Tx) Leaving(ctx context.Context, keptAs string, after record.ObjectID, limit int) ([]record.ObjectID, error) {
	var b builder
	b.add("SELECT o.id FROM objects o WHERE o.superseded_by <> '' AND o.id > ?"+
		" AND EXISTS (SELECT 1 FROM placements p WHERE p.key = o.class || '/' || substr(o.id, 1, 2) || '/' || o.id)"+
		" AND NOT EXISTS (SELECT 1 FROM rebuild_findings f WHERE f.key = o.class || '/' || substr(o.id, 1, 2) || '/' || o.id AND f.type = ?)"+
		" ORDER BY o.id LIMIT ?", string(after), keptAs, limit32(limit))
	ids, err := t.objectIDs(ctx, &b)
	return ids, attempt(err, "objects on their way out")
}

// Sample picks up to n documents at random.
func (t *Tx) Sample(ctx context.Context, n int) ([]Document, error) {
	var b builder
	b.add("SELECT id FROM documents ORDER BY random() LIMIT ?", limit32(n))
	ids, err := t.objectIDs(ctx, &b)
	if err != nil {
		return nil, attempt(err, "sample of documents")
	}
	sample := make([]Document, len(ids))
	for i, id := range ids {
		if sample[i], err = t.Document(ctx, id); err != nil {
			return nil, err
		}
	}
	return sample, nil
}

// Records lists records of a type behind an id.
func (t *Tx) Records(ctx context.Context, recordType string, after record.ObjectID, limit int) ([]Object, error) {
	var b builder
	b.add("SELECT id FROM objects WHERE record_type = ? AND id > ? ORDER BY id LIMIT ?", recordType, string(after), limit32(limit))
	ids, err := t.objectIDs(ctx, &b)
	if err != nil {
		return nil, attempt(err, "records of type %s", recordType)
	}
	records := make([]Object, len(ids))
	for i, id := range ids {
		if records[i], err = t.Object(ctx, id); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// TakeWrap stores a wrap that was found in a region, unless one of its shard's same or a
// newer version is there.
func (t *Tx) TakeWrap(ctx context.Context, r WrapRow) error {
	there, err := t.Wraps(ctx, r.Token, r.Generation)
	if err != nil {
		return err
	}
	for _, old := range there {
		if old.Service != r.Service || old.Kind != r.Kind {
			continue
		}
		if old.Version >= r.Version {
			return nil
		}
		return t.ReplaceWrap(ctx, r)
	}
	return t.AddWraps(ctx, []WrapRow{r})
}

// Tally is what a catalog holds.
type Tally struct {
	Patients, Documents, Records, Wraps int64
}

// Count counts what the catalog holds: no superseded object, no house key.
func (t *Tx) Count(ctx context.Context) (n Tally, err error) {
	var b builder
	b.add("SELECT (SELECT COUNT(*) FROM patients), (SELECT COUNT(*) FROM documents),"+
		" (SELECT COUNT(*) FROM objects WHERE class = ?), (SELECT COUNT(*) FROM wraps WHERE kind <> ?)", ClassRecords, string(keys.House))
	err = t.tx.QueryRowContext(ctx, b.text.String(), b.args...).Scan(&n.Patients, &n.Documents, &n.Records, &n.Wraps)
	return n, attempt(err, "count")
}
