package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"medvault/keys"
	"medvault/vault/record"
)

// Renewal is an order to rotate a shard, to move its wraps and to trim it. It is there
// until that is done.
type Renewal struct {
	Service string
	Kind    keys.Kind
	Shard   string
	Why     string    // code of the first order
	Ordered time.Time // when that was
	Orders  int64     // how often it was ordered
	Covered int64     // how many of these the rotation under way is for; 0: none is
	Base    int       // the shard's version before that rotation
	Target  int       // the version that it made; 0: not rotated yet
	Logged  bool      // the log says that what is older is trimmed
	Pending []byte    // what stood in the way at the last try; empty: nothing, or not tried
}

// OrderRenewal asks for a shard's renewal. What is under way already does not count: the
// shard is rotated once more after this transaction.
func (t *Tx) OrderRenewal(ctx context.Context, service string, kind keys.Kind, shard, why string) error {
	var b builder
	b.add(`INSERT INTO renewals (service, kind, shard, why, ordered_at, orders, covered, base, target, logged, pending)
VALUES (?, ?, ?, ?, ?, 1, 0, 0, 0, 0, ?) ON CONFLICT (service, kind, shard) DO UPDATE SET orders = renewals.orders + 1`,
		service, string(kind), shard, why, millis(t.c.now()), []byte{})
	_, err := t.exec(ctx, &b)
	return attempt(err, "order the renewal of %s/%s/%s", service, kind, shard)
}

// WithdrawRenewal takes back one order of which nothing has been done yet.
func (t *Tx) WithdrawRenewal(ctx context.Context, service string, kind keys.Kind, shard string) error {
	var b builder
	b.add("UPDATE renewals SET orders = orders - 1, covered = 0, base = 0 WHERE target = 0 AND service = ? AND kind = ? AND shard = ?", service, string(kind), shard)
	if _, err := t.exec(ctx, &b); err != nil {
		return attempt(err, "withdraw the renewal of %s/%s/%s", service, kind, shard)
	}
	b = builder{}
	b.add("DELETE FROM renewals WHERE orders <= 0 AND service = ? AND kind = ? AND shard = ?", service, string(kind), shard)
	_, err := t.exec(ctx, &b)
	return attempt(err, "withdraw the renewal of %s/%s/%s", service, kind, shard)
}

const renewalColumns = "SELECT service, kind, shard, why, ordered_at, orders, covered, base, target, logged, pending FROM renewals"

// Renewal reads the order about a shard. None: ErrNotFound.
func (t *Tx) Renewal(ctx context.Context, service string, kind keys.Kind, shard string) (Renewal, error) {
	r, err := renewal(t.tx.QueryRowContext(ctx, renewalColumns+" WHERE service = $1 AND kind = $2 AND shard = $3", service, string(kind), shard))
	return r, attempt(err, "renewal of %s/%s/%s", service, kind, shard)
}

// Renewals reads all orders.
func (t *Tx) Renewals(ctx context.Context) (list []Renewal, err error) {
	rows, err := t.tx.QueryContext(ctx, renewalColumns+" ORDER BY service, kind, shard")
	if err != nil {
		return nil, attempt(err, "renewals")
	}
	defer rows.Close()
	for rows.Next() {
		r, err := renewal(rows)
		if err != nil {
			return nil, attempt(err, "renewals")
		}
		list = append(list, r)
	}
	return list, attempt(rows.Err(), "renewals")
}

func renewal(row interface{ Scan(...any) error }) (r Renewal, err error) {
	var at, logged int64
	var kind string
	err = row.Scan(&r.Service, &kind, &r.Shard, &r.Why, &at, &r.Orders, &r.Covered, &r.Base, &r.Target, &logged, &r.Pending)
	r.Kind, r.Ordered, r.Logged = keys.Kind(kind), fromMillis(at), logged != 0
	return r, err
}

// SaveRenewal writes how far an order has come. Gone, or begun anew since it was read:
// ErrChanged.
func (t *Tx) SaveRenewal(ctx context.Context, was, now Renewal) error {
	if now.Pending == nil {
		now.Pending = []byte{} // NULL is not stored
	}
	logged := 0
	if now.Logged {
		logged = 1
	}
	var b builder
	b.add("UPDATE renewals SET covered = ?, base = ?, target = ?, logged = ?, pending = ?", now.Covered, now.Base, now.Target, logged, now.Pending)
	return t.ofRenewal(ctx, &b, was, "save")
}

// EndRenewal removes an order that is carried out. What was ordered while it was stays,
// to be begun. Gone, or begun anew since it was read: ErrChanged.
func (t *Tx) EndRenewal(ctx context.Context, was Renewal) (more bool, err error) {
	var orders int64
	err = t.tx.QueryRowContext(ctx, t.c.dialect.adapt("SELECT orders FROM renewals WHERE service = $1 AND kind = $2 AND shard = $3 FOR UPDATE"),
		was.Service, string(was.Kind), was.Shard).Scan(&orders)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrChanged
	}
	if err != nil {
		return false, attempt(err, "end the renewal of %s/%s/%s", was.Service, was.Kind, was.Shard)
	}
	var b builder
	if more = orders > was.Covered; more {
		b.add("UPDATE renewals SET orders = ?, covered = 0, base = 0, target = 0, logged = 0, pending = ?", orders-was.Covered, []byte{})
	} else {
		b.add("DELETE FROM renewals")
	}
	return more, t.ofRenewal(ctx, &b, was, "end")
}

func (t *Tx) ofRenewal(ctx context.Context, b *builder, was Renewal, what string) error {
	b.add(" WHERE service = ? AND kind = ? AND shard = ? AND covered = ? AND base = ? AND target = ?",
		was.Service, string(was.Kind), was.Shard, was.Covered, was.Base, was.Target)
	n, err := t.exec(ctx, b)
	if err == nil && n == 0 {
		err = ErrChanged
	}
	return attempt(err, "%s the renewal of %s/%s/%s", what, was.Service, was.Kind, was.Shard)
}

// MoveWrap is ReplaceWrap where an older version is there. Of two who move a wrap to the
// same version one wins, and the other gets ErrChanged: a version has one wrap of a key.
func (t *Tx) MoveWrap(ctx context.Context, r WrapRow) error {
	if err := t.lockShards(ctx, []WrapRow{r}); err != nil {
		return err
	}
	var b builder
	b.add("UPDATE wraps SET shard = ?, version = ?, blob = ? WHERE token = ? AND generation = ? AND kind = ? AND service = ? AND version < ?",
		r.Shard, r.Version, r.Blob, r.Token, int64(r.Generation), string(r.Kind), r.Service, r.Version)
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrChanged
	}
	return attempt(err, "move wrap of %s by %s", r.Token, r.Service)
}

// DeleteWrap forgets one service's wrap of a key. Absent is no error.
func (t *Tx) DeleteWrap(ctx context.Context, b keys.Binding, service string) error {
	var text builder
	text.add("DELETE FROM wraps WHERE token = ? AND generation = ? AND kind = ? AND service = ?", b.Token, int64(b.Generation), string(b.Kind), service)
	_, err := t.exec(ctx, &text)
	return attempt(err, "delete wrap of %s by %s", b.Token, service)
}

// InUse says whether a generation is its patient's current one, or opens an object that
// is not superseded. One that is destroyed is not in use.
func (t *Tx) InUse(ctx context.Context, p Patient, generation uint32) (used bool, err error) {
	if dead, err := t.Dead(ctx, p.Token, generation); err != nil || dead {
		return false, err
	}
	if p.Generation == generation {
		return true, nil
	}
	err = t.tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM objects WHERE patient = $1 AND generation = $2 AND superseded_by = '')",
		string(p.Token), int64(generation)).Scan(&used)
	return used, attempt(err, "generation %d of %s", generation, p.Token)
}

// HoldsAny says whether a region holds any object of a patient.
func (t *Tx) HoldsAny(ctx context.Context, region string, patient record.PatientToken) (holds bool, err error) {
	err = t.tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM objects o JOIN placements p ON p.key = o.class || '/' || substr(o.id, 1, 2) || '/' || o.id
WHERE o.patient = $1 AND p.region = $2 AND p.placed_at <> 0)`, string(patient), region).Scan(&holds)
	return holds, attempt(err, "objects of %s in %s", patient, region)
}
