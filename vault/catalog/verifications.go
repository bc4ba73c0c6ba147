package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"medvault/vault/record"
)

// Account is what a region must hold, and what it takes to prove it and to say whether
// it may lie there.
type Account struct {
	Object
	Placed  bool   // false: promised, the copy is still to be made
	Leaves  bool   // superseded: whether it still lies there does not matter
	Country string // of the patient; "" when the object is about none
}

// Accounts lists what a region must hold, in ascending byte order of key, up to limit
// behind the key after, with what a verification asks of every object; without tails
// Footer is left empty. See inRegion for the cost of a page.
func (t *Tx) Accounts(ctx context.Context, region, after string, tails bool, limit int) ([]Account, error) {
	footer := "o.footer"
	if !tails {
		footer = "NULL"
	}
	var b builder
	b.add(`SELECT o.id, o.class, o.patient, o.generation, o.seal, o.kind, o.size, o.sha256, `+footer+`, o.created_at, o.superseded_by, p.placed_at, COALESCE(c.country, '')
FROM placements p JOIN objects o ON o.id = p.object LEFT JOIN patients c ON c.token = o.patient
WHERE `+inRegion+` AND p.key > ? ORDER BY p.key LIMIT ?`, region, after, limit32(limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "accounts of %s", region)
	}
	defer rows.Close()
	var accounts []Account
	for rows.Next() {
		var a Account
		var sum []byte
		var placed, created int64
		if err := rows.Scan(&a.ID, &a.Class, &a.Patient, &a.Generation, &a.Seal, &a.Kind, &a.Size, &sum, &a.Footer, &created, &a.SupersededBy, &placed, &a.Country); err != nil {
			return nil, attempt(err, "accounts of %s", region)
		}
		if a.SHA256, err = sha256Of(sum); err != nil {
			return nil, attempt(err, "accounts of %s: %s", region, a.ID)
		}
		a.Placed, a.Leaves, a.Created = placed != 0, a.SupersededBy != "", fromMillis(created)
		accounts = append(accounts, a)
	}
	return accounts, attempt(rows.Err(), "accounts of %s", region)
}

// inRegion is p.region = ?, so written that SQLite reads a page of the placements p in
// their order. With = it takes an index by region and sorts all of them for every page,
// which makes a walk over a region quadratic. PostgreSQL reads both alike.
const inRegion = "NOT (p.region <> ?)"

// SetFooter replaces the tail that the catalog keeps of an object. Absent: ErrNotFound.
func (t *Tx) SetFooter(ctx context.Context, id record.ObjectID, footer []byte) error {
	var b builder
	b.add("UPDATE objects SET footer = ? WHERE id = ?", footer, string(id))
	return attempt(t.one(ctx, &b), "set the tail of %s", id)
}

// one runs a statement that must change one row.
func (t *Tx) one(ctx context.Context, b *builder) error {
	n, err := t.exec(ctx, b)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// Verification is one run over the regions. State is the vault's own.
type Verification struct {
	ID       string
	Schedule string // "" when a person asked for it
	Actor    string
	Started  time.Time
	Ended    time.Time // zero while it is under way or cut
	State    []byte
	Report   []byte // signed; empty until it has ended
}

// InsertVerification writes a new one.
func (t *Tx) InsertVerification(ctx context.Context, v Verification) error {
	var b builder
	b.add("INSERT INTO verifications (id, schedule, actor, started_at, ended_at, state, report) VALUES (?, ?, ?, ?, 0, ?, ?)",
		v.ID, v.Schedule, v.Actor, millis(v.Started), v.State, []byte{})
	_, err := t.exec(ctx, &b)
	return attempt(err, "insert verification %s", v.ID)
}

// SaveVerification notes how far one is, with what it has found since: findings number
// from on. Ended or unknown: ErrNotFound.
func (t *Tx) SaveVerification(ctx context.Context, id string, state []byte, from int64, findings [][]byte) error {
	var b builder
	b.add("UPDATE verifications SET state = ? WHERE id = ? AND ended_at = 0", state, id)
	if err := t.one(ctx, &b); err != nil {
		return attempt(err, "save verification %s", id)
	}
	for i, data := range findings {
		var b builder
		// What a run found after it had last been saved, and before it was cut, is found again.
		b.add("INSERT INTO verification_findings (verification, n, data) VALUES (?, ?, ?) ON CONFLICT (verification, n) DO UPDATE SET data = excluded.data",
			id, from+int64(i), data)
		if _, err := t.exec(ctx, &b); err != nil {
			return attempt(err, "save findings of %s", id)
		}
	}
	return nil
}

// EndVerification writes the signed report. Ended before, or unknown: ErrNotFound.
func (t *Tx) EndVerification(ctx context.Context, id string, report []byte, at time.Time) error {
	var b builder
	b.add("UPDATE verifications SET report = ?, ended_at = ? WHERE id = ? AND ended_at = 0", report, millis(at), id)
	return attempt(t.one(ctx, &b), "end verification %s", id)
}

// SweepFindings forgets what verifications found that ended before; their numbers stay.
func (t *Tx) SweepFindings(ctx context.Context, before time.Time) error {
	var b builder
	b.add("DELETE FROM verification_findings WHERE verification IN (SELECT id FROM verifications WHERE ended_at <> 0 AND ended_at < ?)", millis(before))
	_, err := t.exec(ctx, &b)
	return attempt(err, "sweep findings")
}

const verificationColumns = "SELECT id, schedule, actor, started_at, ended_at, state, report FROM verifications "

// Verification reads one. Absent: ErrNotFound.
func (t *Tx) Verification(ctx context.Context, id string) (Verification, error) {
	var b builder
	b.add(verificationColumns+"WHERE id = ?", id)
	list, err := t.verifications(ctx, &b)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Verification{}, attempt(err, "verification %s", id)
	}
	return list[0], nil
}

// Verifications lists up to limit that started before, the newest first.
func (t *Tx) Verifications(ctx context.Context, before time.Time, limit int) ([]Verification, error) {
	var b builder
	b.add(verificationColumns+"WHERE started_at < ? ORDER BY started_at DESC, id DESC LIMIT ?", millis(before), limit32(limit))
	list, err := t.verifications(ctx, &b)
	return list, attempt(err, "verifications")
}

func (t *Tx) verifications(ctx context.Context, b *builder) (list []Verification, err error) {
	rows, err := t.query(ctx, b)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v Verification
		var started, ended int64
		if err := rows.Scan(&v.ID, &v.Schedule, &v.Actor, &started, &ended, &v.State, &v.Report); err != nil {
			return nil, err
		}
		v.Started, v.Ended = fromMillis(started), fromMillis(ended)
		list = append(list, v)
	}
	return list, rows.Err()
}

// VerificationFindings reads up to limit findings of a verification from number from on.
func (t *Tx) VerificationFindings(ctx context.Context, id string, from int64, limit int) (found [][]byte, err error) {
	var b builder
	b.add("SELECT data FROM verification_findings WHERE verification = ? AND n >= ? ORDER BY n LIMIT ?", id, from, limit32(limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "findings of %s", id)
	}
	defer rows.Close()
	for rows.Next() {
		var data []byte
		if err := rows.Scan(&data); err != nil {
			return nil, attempt(err, "findings of %s", id)
		}
		found = append(found, data)
	}
	return found, attempt(rows.Err(), "findings of %s", id)
}

// Verified says when a region was last verified to its end at a level.
type Verified struct {
	Region, Level     string
	At                time.Time
	Checked, Findings int64
	Verification      string
}

// SetVerified notes a verification that has ended.
func (t *Tx) SetVerified(ctx context.Context, v Verified) error {
	var b builder
	b.add(`INSERT INTO verified (region, level, at, checked, findings, verification) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (region, level) DO UPDATE SET at = excluded.at, checked = excluded.checked, findings = excluded.findings, verification = excluded.verification`,
		v.Region, v.Level, millis(v.At), v.Checked, v.Findings, v.Verification)
	_, err := t.exec(ctx, &b)
	return attempt(err, "verified %s", v.Region)
}

// LastVerified lists the last verification of every level of every region.
func (t *Tx) LastVerified(ctx context.Context) (list []Verified, err error) {
	var b builder
	b.add("SELECT region, level, at, checked, findings, verification FROM verified ORDER BY region, level")
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "last verifications")
	}
	defer rows.Close()
	for rows.Next() {
		var v Verified
		var at int64
		if err := rows.Scan(&v.Region, &v.Level, &at, &v.Checked, &v.Findings, &v.Verification); err != nil {
			return nil, attempt(err, "last verifications")
		}
		v.At = fromMillis(at)
		list = append(list, v)
	}
	return list, attempt(rows.Err(), "last verifications")
}

// VerifySchedule is how far one line of the schedule is.
type VerifySchedule struct {
	Name         string
	Next         time.Time // zero: never run
	Runs         int64     // to their end
	Verification string    // the one under way; "" between two
}

// VerifySchedule reads one; one that never ran is zero but for its name.
func (t *Tx) VerifySchedule(ctx context.Context, name string) (VerifySchedule, error) {
	s := VerifySchedule{Name: name}
	var next int64
	err := t.tx.QueryRowContext(ctx, "SELECT next_at, runs, verification FROM verify_schedules WHERE name = $1", name).Scan(&next, &s.Runs, &s.Verification)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	s.Next = fromMillis(next)
	return s, attempt(err, "schedule of verifications")
}

// SetVerifySchedule writes one.
func (t *Tx) SetVerifySchedule(ctx context.Context, s VerifySchedule) error {
	var b builder
	b.add(`INSERT INTO verify_schedules (name, next_at, runs, verification) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET next_at = excluded.next_at, runs = excluded.runs, verification = excluded.verification`,
		s.Name, millis(s.Next), s.Runs, s.Verification)
	_, err := t.exec(ctx, &b)
	return attempt(err, "schedule of verifications")
}

// TakeLease makes owner the one who may do what is named, until then; renewing is taking
// it again. Somebody else's that is not over: ErrChanged.
func (t *Tx) TakeLease(ctx context.Context, name, owner string, lease time.Duration) error {
	now := t.c.now()
	var b builder
	b.add(`INSERT INTO leases (name, owner, until_at) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until_at = excluded.until_at WHERE leases.owner = ? OR leases.until_at <= ?`,
		name, owner, millis(now.Add(lease)), owner, millis(now))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrChanged
	}
	return attempt(err, "lease of %s", name)
}

// Leased says whether somebody holds a lease now.
func (t *Tx) Leased(ctx context.Context, name string) (held bool, err error) {
	err = t.tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM leases WHERE name = $1 AND until_at > $2)", name, millis(t.c.now())).Scan(&held)
	return held, attempt(err, "lease of %s", name)
}

// DropLease ends a lease. One that is not the owner's stays.
func (t *Tx) DropLease(ctx context.Context, name, owner string) error {
	var b builder
	b.add("DELETE FROM leases WHERE name = ? AND owner = ?", name, owner)
	_, err := t.exec(ctx, &b)
	return attempt(err, "lease of %s", name)
}

// Proposal is one person's word that something in quarantine may be deleted.
type Proposal struct {
	Item string
	By   string
	At   time.Time
}

// Propose writes a proposal; one that is there stays.
func (t *Tx) Propose(ctx context.Context, p Proposal) error {
	var b builder
	b.add("INSERT INTO quarantine_proposals (item, proposed_by, proposed_at) VALUES (?, ?, ?) ON CONFLICT (item) DO NOTHING", p.Item, p.By, millis(p.At))
	_, err := t.exec(ctx, &b)
	return attempt(err, "propose to delete %s", p.Item)
}

// Proposal reads the proposal about an item. None: ErrNotFound.
func (t *Tx) Proposal(ctx context.Context, item string) (Proposal, error) {
	p := Proposal{Item: item}
	var at int64
	err := t.tx.QueryRowContext(ctx, "SELECT proposed_by, proposed_at FROM quarantine_proposals WHERE item = $1", item).Scan(&p.By, &at)
	p.At = fromMillis(at)
	return p, attempt(err, "proposal about %s", item)
}

// DropProposal forgets a proposal.
func (t *Tx) DropProposal(ctx context.Context, item string) error {
	var b builder
	b.add("DELETE FROM quarantine_proposals WHERE item = ?", item)
	_, err := t.exec(ctx, &b)
	return attempt(err, "proposal about %s", item)
}
