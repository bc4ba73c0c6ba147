package catalog

import (
	"context"
	"time"

	"medvault/vault/record"
)

// Session is what is kept of somebody's log-in at the console. What the cookie holds is
// kept nowhere.
type Session struct {
	ID      record.ObjectID
	Digest  string       // keyed hash of the cookie's value
	Login   string       // keyed hash of the attempt that led here
	Actor   record.Actor // whole, as proven at log-in
	Made    time.Time
	Used    time.Time // as exactly as TouchSession is called
	Expires time.Time
	Ended   *time.Time
}

// InsertSession writes a session. A known digest, or an attempt that led to a session
// before: ErrExist.
func (t *Tx) InsertSession(ctx context.Context, s Session) error {
	var b builder
	b.add("INSERT INTO sessions (id, digest, login, subject, role, institution, issuer, country, purpose, scopes, launch, credentials, issued, made_at, used_at, expires_at, ended_at)"+
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
		string(s.ID), s.Digest, s.Login, s.Actor.ID, string(s.Actor.Role), s.Actor.Institution, s.Actor.Issuer, s.Actor.Country, string(s.Actor.Purpose),
		s.Actor.Scopes, string(s.Actor.Launch), s.Actor.Credentials, s.Actor.Issued, millis(s.Made), millis(s.Used), millis(s.Expires))
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrExist
	}
	return attempt(err, "insert session %s", s.ID)
}

const sessionColumns = "SELECT id, digest, login, subject, role, institution, issuer, country, purpose, scopes, launch, credentials, issued, made_at, used_at, expires_at, ended_at FROM sessions"

// SessionByDigest finds a session, ended and expired ones included. Unknown: ErrNotFound.
func (t *Tx) SessionByDigest(ctx context.Context, digest string) (Session, error) {
	s, err := scanSession(t.tx.QueryRowContext(ctx, sessionColumns+" WHERE digest = $1", digest))
	return s, attempt(err, "session")
}

// SessionsOf lists the sessions of a person that have neither ended nor expired, the
// newest first.
func (t *Tx) SessionsOf(ctx context.Context, subject string, now time.Time) (list []Session, err error) {
	rows, err := t.tx.QueryContext(ctx, sessionColumns+" WHERE subject = $1 AND ended_at = 0 AND expires_at > $2 ORDER BY made_at DESC, id", subject, millis(now))
	if err != nil {
		return nil, attempt(err, "sessions")
	}
	defer rows.Close()
	for rows.Next() {
		s, err := scanSession(rows)
		if err != nil {
			return nil, attempt(err, "sessions")
		}
		list = append(list, s)
	}
	return list, attempt(rows.Err(), "sessions")
}

func scanSession(row scanner) (s Session, err error) {
	var made, used, expires, ended int64
	err = row.Scan(&s.ID, &s.Digest, &s.Login, &s.Actor.ID, &s.Actor.Role, &s.Actor.Institution, &s.Actor.Issuer, &s.Actor.Country, &s.Actor.Purpose,
		&s.Actor.Scopes, &s.Actor.Launch, &s.Actor.Credentials, &s.Actor.Issued, &made, &used, &expires, &ended)
	s.Made, s.Used, s.Expires, s.Ended = fromMillis(made), fromMillis(used), fromMillis(expires), optionalTime(ended)
	return s, err
}

// TouchSession notes that a session was used.
func (t *Tx) TouchSession(ctx context.Context, id record.ObjectID, at time.Time) error {
	var b builder
	b.add("UPDATE sessions SET used_at = ? WHERE id = ? AND used_at < ?", millis(at), string(id), millis(at))
	_, err := t.exec(ctx, &b)
	return attempt(err, "note the use of session %s", id)
}

// EndSession ends a session of a person. Unknown, somebody else's or ended already:
// ErrNotFound.
func (t *Tx) EndSession(ctx context.Context, subject string, id record.ObjectID, at time.Time) error {
	var b builder
	b.add("UPDATE sessions SET ended_at = ? WHERE id = ? AND subject = ? AND ended_at = 0", millis(at), string(id), subject)
	n, err := t.exec(ctx, &b)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return attempt(err, "end session %s", id)
}

// ForgetSessions removes what had expired before.
func (t *Tx) ForgetSessions(ctx context.Context, before time.Time) error {
	var b builder
	b.add("DELETE FROM sessions WHERE expires_at < ?", millis(before))
	_, err := t.exec(ctx, &b)
	return attempt(err, "forget sessions")
}
