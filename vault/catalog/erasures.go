package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"medvault/vault/record"
)

// States of an erasure.
const (
	ErasureProposed  = "proposed"
	ErasureResealing = "resealing" // the patient's other documents get new keys first
	ErasureBurying   = "burying"   // the keys are dying; from here on there is no way back
	ErasureDone      = "done"
)

// Erasure is one order to destroy a patient's documents, or one of them.
type Erasure struct {
	ID         record.ObjectID // its record
	Patient    record.PatientToken
	Document   record.ObjectID // "" is all of the patient
	Anonymize  bool
	Basis      string // code
	Sweep      record.ObjectID
	ProposedBy string
	Proposed   time.Time
	State      string
	Approval   record.ObjectID // record of the approval: the tombstone
	ApprovedBy string
	Approved   time.Time // zero until then
	Generation uint32    // the last one whose keys die
	Certified  time.Time // zero until then
	// Certificate is the signed text of what was certified.
	Certificate []byte
}

const erasureColumns = "id, patient, document, anonymize, basis, sweep, proposed_by, proposed_at, state, approval, approved_by, approved_at, generation, certified_at, certificate"

// PutErasure writes an erasure as it stands.
func (t *Tx) PutErasure(ctx context.Context, e Erasure) error {
	if e.Certificate == nil {
		e.Certificate = []byte{} // NULL is not stored
	}
	anonymize := 0
	if e.Anonymize {
		anonymize = 1
	}
	var b builder
	b.add("INSERT INTO erasures ("+erasureColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, approval = excluded.approval, approved_by = excluded.approved_by, approved_at = excluded.approved_at,
generation = excluded.generation, certified_at = excluded.certified_at, certificate = excluded.certificate`,
		string(e.ID), string(e.Patient), string(e.Document), anonymize, e.Basis, string(e.Sweep), e.ProposedBy, millis(e.Proposed), e.State, string(e.Approval),
		e.ApprovedBy, millis(e.Approved), int64(e.Generation), millis(e.Certified), e.Certificate)
	_, err := t.exec(ctx, &b)
	return attempt(err, "put erasure %s", e.ID)
}

// Erasure reads one. Absent: ErrNotFound.
func (t *Tx) Erasure(ctx context.Context, id record.ObjectID) (Erasure, error) {
	e, err := scanErasure(t.tx.QueryRowContext(ctx, "SELECT "+erasureColumns+" FROM erasures WHERE id = $1", string(id)))
	return e, attempt(err, "erasure %s", id)
}

// ErasureFilter asks for erasures; fields that are empty exclude nothing.
type ErasureFilter struct {
	Patient record.PatientToken
	Sweep   record.ObjectID
	State   string
	Limit   int
}

// Erasures lists erasures, the newest first.
func (t *Tx) Erasures(ctx context.Context, f ErasureFilter) ([]Erasure, error) {
	var b builder
	b.add("SELECT " + erasureColumns + " FROM erasures WHERE 1 = 1")
	for _, w := range []struct{ column, value string }{{"patient", string(f.Patient)}, {"sweep", string(f.Sweep)}, {"state", f.State}} {
		if w.value != "" {
			b.add(" AND "+w.column+" = ?", w.value)
		}
	}
	b.add(" ORDER BY proposed_at DESC, id LIMIT ?", limit32(f.Limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "erasures")
	}
	defer rows.Close()
	var all []Erasure
	for rows.Next() {
		e, err := scanErasure(rows)
		if err != nil {
			return nil, attempt(err, "erasures")
		}
		all = append(all, e)
	}
	return all, attempt(rows.Err(), "erasures")
}

func scanErasure(row interface{ Scan(...any) error }) (e Erasure, err error) {
	var anonymize, proposed, approved, generation, certified int64
	err = row.Scan(&e.ID, &e.Patient, &e.Document, &anonymize, &e.Basis, &e.Sweep, &e.ProposedBy, &proposed, &e.State, &e.Approval,
		&e.ApprovedBy, &approved, &generation, &certified, &e.Certificate)
	e.Anonymize, e.Proposed, e.Generation = anonymize != 0, fromMillis(proposed), uint32(generation)
	e.Approved, e.Certified = fromMillis(approved), fromMillis(certified)
	return e, err
}

// ErasureRegion is how far an erasure is in one region. A zero time is not yet.
type ErasureRegion struct {
	Erasure   record.ObjectID
	Region    string
	Service   string // its key service
	Held      bool   // wraps of the patient may have lain there
	Tombstone time.Time
	Wraps     time.Time // since when none of the wraps lies there
	Versions  string    // JSON, see the vault
	Keys      time.Time // since when no copy of a wrap opens anything
	Objects   time.Time // since when all objects are ordered to go
}

// PutErasureRegion writes how far an erasure is in a region.
func (t *Tx) PutErasureRegion(ctx context.Context, r ErasureRegion) error {
	held := 0
	if r.Held {
		held = 1
	}
	var b builder
	b.add(`INSERT INTO erasure_regions (erasure, region, service, held, tombstone_at, wraps_at, versions, keys_at, objects_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (erasure, region) DO UPDATE SET service = excluded.service, held = excluded.held, tombstone_at = excluded.tombstone_at,
wraps_at = excluded.wraps_at, versions = excluded.versions, keys_at = excluded.keys_at, objects_at = excluded.objects_at`,
		string(r.Erasure), r.Region, r.Service, held, millis(r.Tombstone), millis(r.Wraps), r.Versions,
		millis(r.Keys), millis(r.Objects))
	_, err := t.exec(ctx, &b)
	return attempt(err, "erasure %s in %s", r.Erasure, r.Region)
}

// ErasureRegions lists how far an erasure is, by region.
func (t *Tx) ErasureRegions(ctx context.Context, erasure record.ObjectID) ([]ErasureRegion, error) {
	var b builder
	b.add("SELECT region, service, held, tombstone_at, wraps_at, versions, keys_at, objects_at FROM erasure_regions WHERE erasure = ? ORDER BY region", string(erasure))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "erasure %s by region", erasure)
	}
	defer rows.Close()
	var all []ErasureRegion
	for rows.Next() {
		r := ErasureRegion{Erasure: erasure}
		var held, tombstone, wraps, keys, objects int64
		if err := rows.Scan(&r.Region, &r.Service, &held, &tombstone, &wraps, &r.Versions, &keys, &objects); err != nil {
			return nil, attempt(err, "erasure %s by region", erasure)
		}
		r.Held, r.Tombstone, r.Wraps, r.Keys, r.Objects = held != 0, fromMillis(tombstone), fromMillis(wraps), fromMillis(keys), fromMillis(objects)
		all = append(all, r)
	}
	return all, attempt(rows.Err(), "erasure %s by region", erasure)
}

// Tombstone says up to which generation a patient's keys are destroyed.
type Tombstone struct {
	Patient    record.PatientToken
	Generation uint32
	Erasure    record.ObjectID // the last one
	Buried     time.Time
}

// Tombstone reads a patient's; none: ErrNotFound.
func (t *Tx) Tombstone(ctx context.Context, patient record.PatientToken) (Tombstone, error) {
	s := Tombstone{Patient: patient}
	var generation, buried int64
	err := t.tx.QueryRowContext(ctx, "SELECT generation, erasure, buried_at FROM tombstones WHERE patient = $1", string(patient)).Scan(&generation, &s.Erasure, &buried)
	s.Generation, s.Buried = uint32(generation), fromMillis(buried)
	return s, attempt(err, "tombstone of %s", patient)
}

// Dead says whether the keys of a patient's generation are destroyed, or about to be.
func (t *Tx) Dead(ctx context.Context, patient record.PatientToken, generation uint32) (dead bool, err error) {
	s, err := t.Tombstone(ctx, patient)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && generation <= s.Generation, err
}

// Bury makes the keys of a patient dead up to a generation, for this catalog: their wraps
// go, none is stored again, and what is sealed under them is superseded by the erasure. It
// returns the key services that had wraps. Only with the patient's row locked.
func (t *Tx) Bury(ctx context.Context, s Tombstone) (services []string, err error) {
	var b builder
	b.add(`INSERT INTO tombstones (patient, generation, erasure, buried_at) VALUES (?, ?, ?, ?)
ON CONFLICT (patient) DO UPDATE SET generation = excluded.generation, erasure = excluded.erasure, buried_at = excluded.buried_at WHERE tombstones.generation <= excluded.generation`,
		string(s.Patient), int64(s.Generation), string(s.Erasure), millis(s.Buried))
	if _, err := t.exec(ctx, &b); err != nil {
		return nil, attempt(err, "bury %s", s.Patient)
	}
	if services, err = t.wrappedBy(ctx, s); err != nil {
		return nil, attempt(err, "bury %s", s.Patient)
	}
	var wraps, objects, documents builder
	wraps.add("DELETE FROM wraps WHERE token = ? AND generation <= ?", string(s.Patient), int64(s.Generation))
	objects.add("UPDATE objects SET superseded_by = ?, footer = ? WHERE patient = ? AND generation <= ? AND superseded_by = ''",
		string(s.Erasure), []byte{}, string(s.Patient), int64(s.Generation))
	documents.add("DELETE FROM documents WHERE patient = ? AND id IN (SELECT id FROM objects WHERE patient = ? AND generation <= ?)",
		string(s.Patient), string(s.Patient), int64(s.Generation))
	for _, b := range []*builder{&wraps, &objects, &documents} {
		if _, err := t.exec(ctx, b); err != nil {
			return nil, attempt(err, "bury %s", s.Patient)
		}
	}
	return services, nil
}

func (t *Tx) wrappedBy(ctx context.Context, s Tombstone) (services []string, err error) {
	var b builder
	b.add("SELECT DISTINCT service FROM wraps WHERE token = ? AND generation <= ? ORDER BY service", string(s.Patient), int64(s.Generation))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		services = append(services, name)
	}
	return services, rows.Err()
}

// Forget removes whatever else the catalog knows of a patient who is erased: what they are
// found by, what they have said, who acts for them, emergencies, holds, birth dates. Which
// studies were theirs stays, so that who asks is told. Who treats them stays: that is in
// the log as well.
func (t *Tx) Forget(ctx context.Context, patient record.PatientToken) error {
	var keep builder
	keep.add("INSERT INTO buried_studies (study, patient) SELECT DISTINCT study, patient FROM documents WHERE patient = ? AND study <> '' ON CONFLICT DO NOTHING", string(patient))
	if _, err := t.exec(ctx, &keep); err != nil {
		return attempt(err, "forget %s", patient)
	}
	for _, table := range []string{"documents", "terms", "consents", "guardians", "minors", "breakglass", "holds", "corrections", "cares", "restrictions"} {
		var b builder
		b.add("DELETE FROM "+table+" WHERE patient = ?", string(patient))
		if _, err := t.exec(ctx, &b); err != nil {
			return attempt(err, "forget %s", patient)
		}
	}
	return nil
}

// BuriedStudy names the erased patients of whom a study was, by its mapped UID.
func (t *Tx) BuriedStudy(ctx context.Context, study string) ([]record.PatientToken, error) {
	var b builder
	b.add("SELECT patient FROM buried_studies WHERE study = ? ORDER BY patient", study)
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "whose study was")
	}
	defer rows.Close()
	var all []record.PatientToken
	for rows.Next() {
		var p record.PatientToken
		if err := rows.Scan(&p); err != nil {
			return nil, attempt(err, "whose study was")
		}
		all = append(all, p)
	}
	return all, attempt(rows.Err(), "whose study was")
}

// Remains counts what of a patient's dead objects a region is still to give up, and what
// locks keep there, with the end of the last lock; zero: one without a date, or none.
func (t *Tx) Remains(ctx context.Context, patient record.PatientToken, generation uint32, region string) (left, locked int64, until time.Time, err error) {
	var last int64
	err = t.tx.QueryRowContext(ctx, `SELECT COUNT(*), COUNT(l.object), COALESCE(MAX(l.locked_until), 0) FROM objects o
JOIN placements p ON p.key = o.class || '/' || substr(o.id, 1, 2) || '/' || o.id AND p.region = $3
LEFT JOIN locked_objects l ON l.object = o.id AND l.region = p.region WHERE o.patient = $1 AND o.generation <= $2`,
		string(patient), int64(generation), region).Scan(&left, &locked, &last)
	return left - locked, locked, fromMillis(last), attempt(err, "what remains of %s in %s", patient, region)
}

// Treatment is what a patient's retention is counted from.
type Treatment struct {
	Last       time.Time // of whatever was stored, and of whoever has treated them
	Ongoing    bool      // somebody treats them now
	Categories []string  // of the documents that are stored
	Documents  int64
}

// Treatment reads when a patient was last treated, as far as the catalog knows: when
// documents came and when care ended. A document that was superseded counts from when it
// first came. Nothing at all: ErrNotFound.
func (t *Tx) Treatment(ctx context.Context, patient record.PatientToken, now time.Time) (tr Treatment, err error) {
	var b builder
	b.add(`SELECT d.category, COUNT(*), MAX(COALESCE((SELECT MIN(p.created_at) FROM objects p WHERE p.superseded_by = d.id), o.created_at))
FROM documents d JOIN objects o ON o.id = d.id WHERE d.patient = ? GROUP BY d.category ORDER BY d.category`, string(patient))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return tr, attempt(err, "treatment of %s", patient)
	}
	defer rows.Close()
	for rows.Next() {
		var category string
		var n, at int64
		if err := rows.Scan(&category, &n, &at); err != nil {
			return tr, attempt(err, "treatment of %s", patient)
		}
		tr.Categories, tr.Documents = append(tr.Categories, category), tr.Documents+n
		tr.Last = later(tr.Last, fromMillis(at))
	}
	if err := rows.Err(); err != nil {
		return tr, attempt(err, "treatment of %s", patient)
	}
	cares, err := t.Cares(ctx, patient)
	for _, c := range cares {
		end := now
		for _, e := range []*time.Time{c.Until, c.Ended} {
			if e != nil && e.Before(end) {
				end = *e
			}
		}
		if end.Before(c.From) {
			continue // it never began
		}
		tr.Ongoing = tr.Ongoing || end.Equal(now)
		tr.Last = later(tr.Last, end)
	}
	if err == nil && tr.Last.IsZero() {
		err = sql.ErrNoRows
	}
	return tr, attempt(err, "treatment of %s", patient)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// StoredBefore lists active patients behind a token of whom nothing was stored at or after
// a time, in order of token: those whose retention may have ended.
func (t *Tx) StoredBefore(ctx context.Context, before time.Time, after record.PatientToken, limit int) ([]record.PatientToken, error) {
	var b builder
	b.add(`SELECT p.token FROM patients p WHERE p.state = 'active' AND p.token > ? AND p.created_at < ? AND NOT EXISTS (SELECT 1 FROM objects o JOIN documents d ON d.id = o.id
WHERE o.patient = p.token AND o.created_at >= ? AND NOT EXISTS (SELECT 1 FROM objects s WHERE s.superseded_by = o.id)) ORDER BY p.token LIMIT ?`,
		string(after), millis(before), millis(before), limit32(limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "whose retention may have ended")
	}
	defer rows.Close()
	var all []record.PatientToken
	for rows.Next() {
		var p record.PatientToken
		if err := rows.Scan(&p); err != nil {
			return nil, attempt(err, "whose retention may have ended")
		}
		all = append(all, p)
	}
	return all, attempt(rows.Err(), "whose retention may have ended")
}

// CountObjects counts the objects and records of a patient, those that are on their way
// out included.
func (t *Tx) CountObjects(ctx context.Context, patient record.PatientToken) (n int64, err error) {
	err = t.tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM objects WHERE patient = $1", string(patient)).Scan(&n)
	return n, attempt(err, "count the objects of %s", patient)
}

// Counting lists the objects and records of a patient, up to a generation of keys and
// behind an id, that nothing stands in the place of.
func (t *Tx) Counting(ctx context.Context, patient record.PatientToken, generation uint32, after record.ObjectID, limit int) ([]Object, error) {
	var b builder
	b.add("SELECT o.id FROM objects o WHERE o.patient = ? AND o.id > ? AND o.generation <= ? AND o.superseded_by = '' ORDER BY o.id LIMIT ?",
		string(patient), string(after), int64(generation), limit32(limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "what counts of %s", patient)
	}
	defer rows.Close()
	var ids []record.ObjectID
	for rows.Next() {
		var id record.ObjectID
		if err := rows.Scan(&id); err != nil {
			return nil, attempt(err, "what counts of %s", patient)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, attempt(err, "what counts of %s", patient)
	}
	all := make([]Object, len(ids))
	for i, id := range ids {
		if all[i], err = t.Object(ctx, id); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// RecordType tells the type of a record. Absent: ErrNotFound.
func (t *Tx) RecordType(ctx context.Context, id record.ObjectID) (kind string, err error) {
	err = t.tx.QueryRowContext(ctx, "SELECT record_type FROM objects WHERE id = $1", string(id)).Scan(&kind)
	return kind, attempt(err, "type of record %s", id)
}

// DropFooter forgets the sealed end of an object that is on its way out.
func (t *Tx) DropFooter(ctx context.Context, id record.ObjectID) error {
	var b builder
	b.add("UPDATE objects SET footer = ? WHERE id = ?", []byte{}, string(id))
	_, err := t.exec(ctx, &b)
	return attempt(err, "drop the footer of %s", id)
}

// DropErasure forgets an erasure that is known under another id.
func (t *Tx) DropErasure(ctx context.Context, id record.ObjectID) error {
	var b builder
	b.add("DELETE FROM erasures WHERE id = ?", string(id))
	_, err := t.exec(ctx, &b)
	return attempt(err, "drop erasure %s", id)
}

// Certified says whether it is certified that a generation of a patient's keys is destroyed
// with all that it opened.
func (t *Tx) Certified(ctx context.Context, patient record.PatientToken, generation uint32) (done bool, err error) {
	err = t.tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM erasures WHERE patient = $1 AND state = 'done' AND generation >= $2)",
		string(patient), int64(generation)).Scan(&done)
	return done, attempt(err, "what is certified of %s", patient)
}
