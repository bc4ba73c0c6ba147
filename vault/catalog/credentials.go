package catalog

import (
	"context"
	"fmt"
	"strings"
	"time"

	"medvault/vault/record"
)

// Revocation refuses a person or one credential, until it is lifted.
type Revocation struct {
	ID         record.ObjectID
	Subject    string    // one of the two
	Credential string    // is empty
	Before     time.Time // whole seconds: only what was issued up to then; zero: all
	Reason     string
	Made       time.Time
	By         string
	Lifted     *time.Time // nil: in force
	LiftedBy   string
}

// InsertRevocation writes a revocation. A known id: ErrExist.
func (t *Tx) InsertRevocation(ctx context.Context, r Revocation) error {
	var b builder
	b.add("INSERT INTO revocations (id, subject, credential, before_at, reason, made_at, made_by, lifted_at, lifted_by) VALUES (?, ?, ?, ?, ?, ?, ?, 0, '') ON CONFLICT DO NOTHING",
		string(r.ID), r.Subject, r.Credential, optionalUnix(r.Before), r.Reason, millis(r.Made), r.By)
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrExist
	}
	return attempt(err, "insert revocation %s", r.ID)
}

// LiftRevocation ends a revocation. Unknown or ended already: ErrNotFound.
func (t *Tx) LiftRevocation(ctx context.Context, id record.ObjectID, at time.Time, by string) error {
	var b builder
	b.add("UPDATE revocations SET lifted_at = ?, lifted_by = ? WHERE id = ? AND lifted_at = 0", millis(at), by, string(id))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return attempt(err, "lift revocation %s", id)
}

const revocationColumns = "SELECT id, subject, credential, before_at, reason, made_at, made_by, lifted_at, lifted_by FROM revocations"

// Revocations lists all, the newest first, lifted ones included.
func (t *Tx) Revocations(ctx context.Context) (list []Revocation, err error) {
	rows, err := t.tx.QueryContext(ctx, revocationColumns+" ORDER BY made_at DESC, id")
	if err != nil {
		return nil, attempt(err, "revocations")
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanRevocation(rows)
		if err != nil {
			return nil, attempt(err, "revocations")
		}
		list = append(list, r)
	}
	return list, attempt(rows.Err(), "revocations")
}

// Revocation reads one. Unknown: ErrNotFound.
func (t *Tx) Revocation(ctx context.Context, id record.ObjectID) (Revocation, error) {
	r, err := scanRevocation(t.tx.QueryRowContext(ctx, revocationColumns+" WHERE id = $1", string(id)))
	return r, attempt(err, "revocation %s", id)
}

type scanner interface{ Scan(into ...any) error }

func scanRevocation(row scanner) (r Revocation, err error) {
	var before, made, lifted int64
	err = row.Scan(&r.ID, &r.Subject, &r.Credential, &before, &r.Reason, &made, &r.By, &lifted, &r.LiftedBy)
	if before != 0 {
		r.Before = time.Unix(before, 0).UTC()
	}
	r.Made, r.Lifted = fromMillis(made), optionalTime(lifted)
	return r, err
}

// Revoked says whether the person, or one of the credentials that prove them, is
// refused. Within one transaction it asks once: a revocation that comes meanwhile is for
// the next.
func (t *Tx) Revoked(ctx context.Context, a record.Actor) (bool, error) {
	key := fmt.Sprint(a.Issued, "|", a.Credentials, "|", a.ID)
	if known, ok := t.revoked[key]; ok {
		return known, nil
	}
	var b builder
	b.add("SELECT COUNT(*) FROM revocations WHERE lifted_at = 0 AND subject = ? AND subject <> '' AND (before_at = 0 OR before_at >= ?)", a.ID, a.Issued)
	var n, m int64
	err := t.tx.QueryRowContext(ctx, b.text.String(), b.args...).Scan(&n)
	if credentials := strings.Fields(a.Credentials); err == nil && n == 0 && len(credentials) > 0 {
		var b builder
		b.add("SELECT COUNT(*) FROM revocations WHERE lifted_at = 0 AND credential <> '' AND (before_at = 0 OR before_at >= ?) AND credential IN ", a.Issued)
		list(&b, credentials)
		err = t.tx.QueryRowContext(ctx, b.text.String(), b.args...).Scan(&m)
	}
	if err != nil {
		return false, attempt(err, "revocations")
	}
	if t.revoked == nil {
		t.revoked = make(map[string]bool)
	}
	t.revoked[key] = n+m > 0
	return n+m > 0, nil
}

// APIToken is what is kept of an API token. The token itself is kept nowhere.
type APIToken struct {
	ID      record.ObjectID
	Digest  string // keyed hash of the token
	Actor   record.Actor
	Label   string
	Made    time.Time
	By      string
	Expires time.Time
	Used    *time.Time // to the minute; nil: never
	Ended   *time.Time // revoked
	EndedBy string
}

// InsertAPIToken writes an API token. Of its Actor the ID, Role, Institution, Issuer,
// Country, Purpose and Scopes are kept. A known id or digest: ErrExist.
func (t *Tx) InsertAPIToken(ctx context.Context, k APIToken) error {
	var b builder
	b.add("INSERT INTO api_tokens (id, digest, subject, role, institution, issuer, country, purpose, scopes, label, made_at, made_by, expires_at, used_at, ended_at, ended_by)"+
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '') ON CONFLICT DO NOTHING",
		string(k.ID), k.Digest, k.Actor.ID, string(k.Actor.Role), k.Actor.Institution, k.Actor.Issuer, k.Actor.Country, string(k.Actor.Purpose),
		k.Actor.Scopes, k.Label, millis(k.Made), k.By, millis(k.Expires))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrExist
	}
	return attempt(err, "insert API token %s", k.ID)
}

const tokenColumns = "SELECT id, digest, subject, role, institution, issuer, country, purpose, scopes, label, made_at, made_by, expires_at, used_at, ended_at, ended_by FROM api_tokens"

// APITokenByDigest finds a token, revoked and expired ones included. Unknown: ErrNotFound.
func (t *Tx) APITokenByDigest(ctx context.Context, digest string) (APIToken, error) {
	k, err := scanToken(t.tx.QueryRowContext(ctx, tokenColumns+" WHERE digest = $1", digest))
	return k, attempt(err, "API token")
}

// APITokens lists all, the newest first, those that have ended included.
func (t *Tx) APITokens(ctx context.Context) (list []APIToken, err error) {
	rows, err := t.tx.QueryContext(ctx, tokenColumns+" ORDER BY made_at DESC, id")
	if err != nil {
		return nil, attempt(err, "API tokens")
	}
	defer rows.Close()
	for rows.Next() {
		k, err := scanToken(rows)
		if err != nil {
			return nil, attempt(err, "API tokens")
		}
		list = append(list, k)
	}
	return list, attempt(rows.Err(), "API tokens")
}

func scanToken(row scanner) (k APIToken, err error) {
	var made, expires, used, ended int64
	err = row.Scan(&k.ID, &k.Digest, &k.Actor.ID, &k.Actor.Role, &k.Actor.Institution, &k.Actor.Issuer, &k.Actor.Country, &k.Actor.Purpose,
		&k.Actor.Scopes, &k.Label, &made, &k.By, &expires, &used, &ended, &k.EndedBy)
	k.Made, k.Expires, k.Used, k.Ended = fromMillis(made), fromMillis(expires), optionalTime(used), optionalTime(ended)
	return k, err
}

// EndAPIToken revokes a token. Unknown or revoked already: ErrNotFound.
func (t *Tx) EndAPIToken(ctx context.Context, id record.ObjectID, at time.Time, by string) error {
	var b builder
	b.add("UPDATE api_tokens SET ended_at = ?, ended_by = ? WHERE id = ? AND ended_at = 0", millis(at), by, string(id))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return attempt(err, "revoke API token %s", id)
}

// TouchAPIToken notes that a token was used.
func (t *Tx) TouchAPIToken(ctx context.Context, id record.ObjectID, at time.Time) error {
	var b builder
	b.add("UPDATE api_tokens SET used_at = ? WHERE id = ? AND used_at < ?", millis(at), string(id), millis(at))
	_, err := t.exec(ctx, &b)
	return attempt(err, "note the use of API token %s", id)
}

// optionalUnix is 0 for the zero time.
func optionalUnix(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}
