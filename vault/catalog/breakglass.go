package catalog

import (
	"context"
	"time"

	"medvault/vault/record"
)

// Breakglass is one emergency in which somebody was let at a patient's documents. Why is
// sealed in the record of the same id.
type Breakglass struct {
	ID         record.ObjectID
	Patient    record.PatientToken
	Actor      string
	Opened     time.Time
	Until      time.Time // when it closes
	ReviewBy   time.Time // when the review is due
	Reviewed   *time.Time
	ReviewedBy string
	Outcome    string
}

// InsertBreakglass writes one. A known id: ErrExist.
func (t *Tx) InsertBreakglass(ctx context.Context, g Breakglass) error {
	var b builder
	b.add(`INSERT INTO breakglass (id, patient, actor, opened_at, until_at, review_by, reviewed_at, reviewed_by, outcome)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`, string(g.ID), string(g.Patient), g.Actor, millis(g.Opened), millis(g.Until),
		millis(g.ReviewBy), optionalMillis(g.Reviewed), g.ReviewedBy, g.Outcome)
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrExist
	}
	return attempt(err, "insert break-glass %s", g.ID)
}

// ReviewBreakglass notes what came of looking at it. Unknown, or looked at already:
// ErrNotFound.
func (t *Tx) ReviewBreakglass(ctx context.Context, id record.ObjectID, at time.Time, by, outcome string) error {
	var b builder
	b.add("UPDATE breakglass SET reviewed_at = ?, reviewed_by = ?, outcome = ? WHERE id = ? AND reviewed_at = 0", millis(at), by, outcome, string(id))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return attempt(err, "review break-glass %s", id)
}

const breakglassColumns = "id, patient, actor, opened_at, until_at, review_by, reviewed_at, reviewed_by, outcome"

// Breakglass reads one. Unknown: ErrNotFound.
func (t *Tx) Breakglass(ctx context.Context, id record.ObjectID) (Breakglass, error) {
	g, err := breakglassOf(t.tx.QueryRowContext(ctx, "SELECT "+breakglassColumns+" FROM breakglass WHERE id = $1", string(id)))
	return g, attempt(err, "break-glass %s", id)
}

// LiveBreakglass finds the one by which an actor is let at a patient's documents at that
// time; one that was found unjustified lets nobody in any more. None: ErrNotFound.
func (t *Tx) LiveBreakglass(ctx context.Context, actor string, patient record.PatientToken, at time.Time) (Breakglass, error) {
	var b builder
	b.add("SELECT "+breakglassColumns+" FROM breakglass WHERE actor = ? AND patient = ? AND opened_at <= ? AND until_at > ? AND outcome <> 'unjustified'"+
		" ORDER BY until_at DESC LIMIT 1", actor, string(patient), millis(at), millis(at))
	g, err := breakglassOf(t.tx.QueryRowContext(ctx, b.text.String(), b.args...))
	return g, attempt(err, "break-glass of %s", patient)
}

// Breakglasses lists up to limit, the newest first; waiting: only those nobody has looked
// at. before is the id of the last one listed.
func (t *Tx) Breakglasses(ctx context.Context, waiting bool, before record.ObjectID, limit int) ([]Breakglass, error) {
	var b builder
	b.add("SELECT " + breakglassColumns + " FROM breakglass WHERE 1 = 1")
	if waiting {
		b.add(" AND reviewed_at = 0")
	}
	if before != "" {
		b.add(" AND (opened_at, id) < (SELECT x.opened_at, x.id FROM breakglass x WHERE x.id = ?)", string(before))
	}
	b.add(" ORDER BY opened_at DESC, id DESC LIMIT ?", limit32(limit))
	rows, err := t.query(ctx, &b)
	if err != nil {
		return nil, attempt(err, "break-glass list")
	}
	defer rows.Close()
	var all []Breakglass
	for rows.Next() {
		g, err := breakglassOf(rows)
		if err != nil {
			return nil, attempt(err, "break-glass list")
		}
		all = append(all, g)
	}
	return all, attempt(rows.Err(), "break-glass list")
}

// UnreviewedBreakglass counts those nobody has looked at, and of them those that are due.
func (t *Tx) UnreviewedBreakglass(ctx context.Context, at time.Time) (waiting, overdue int, err error) {
	err = t.tx.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM(CASE WHEN review_by <= $1 THEN 1 ELSE 0 END), 0) FROM breakglass WHERE reviewed_at = 0",
		millis(at)).Scan(&waiting, &overdue)
	return waiting, overdue, attempt(err, "break-glass reviews")
}

func breakglassOf(row scanner) (g Breakglass, err error) {
	var opened, until, due, reviewed int64
	err = row.Scan(&g.ID, &g.Patient, &g.Actor, &opened, &until, &due, &reviewed, &g.ReviewedBy, &g.Outcome)
	g.Opened, g.Until, g.ReviewBy, g.Reviewed = fromMillis(opened), fromMillis(until), fromMillis(due), optionalTime(reviewed)
	return g, err
}
