package vault

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"medvault/vault/catalog"
	"medvault/vault/record"
)

// Session is a person's log-in at the console. It lies in the catalog, so what ends it in
// one gateway ends it in all on the next request.
type Session struct {
	ID      record.ObjectID `json:"id"`
	Subject string          `json:"subject"`
	Role    record.Role     `json:"role"`
	Made    time.Time       `json:"made"`
	Used    time.Time       `json:"used"`    // to the minute
	Expires time.Time       `json:"expires"` // however much it is used
}

// Acts of a session, in the log.
const (
	ActionSessionBegun record.Action = "session.begun"
	ActionSessionEnded record.Action = "session.ended" // by its owner, or one too many; one that expires leaves no leaf
)

// SessionCredential begins the credential that names a session: session:ID.
const SessionCredential = "session:"

// sessionPrefix keeps the secrets of sessions apart from API tokens under the keyed hash.
const sessionPrefix = "mvs_"

// NewSession is what BeginSession takes.
type NewSession struct {
	Actor   record.Actor  // a person who was proven just now, with the names of what proved it
	Attempt string        // required, random: one attempt to log in leads to one session
	Life    time.Duration // required: the session's end, however much it is used
}

// BeginSession logs a person in, with a leaf. secret is kept nowhere but by the caller. A
// person has ten sessions at most: the oldest ends.
// An attempt that led to a session already: ErrUnauthenticated.
func (v *Vault) BeginSession(ctx context.Context, n NewSession) (s Session, secret string, err error) {
	if strings.HasPrefix(n.Actor.ID, servicePrefix) {
		return Session{}, "", record.Refuse(record.ErrDenied, "session-for-persons", "sessions are for persons; a machine sends its token")
	}
	var random [32]byte
	rand.Read(random[:]) // never fails: crypto/rand aborts the program instead
	secret = sessionPrefix + base64.RawURLEncoding.EncodeToString(random[:])
	now := v.cfg.Now()
	row := catalog.Session{ID: record.NewObjectID(), Digest: v.tokens.APIToken(secret), Login: v.tokens.APIToken("mvl_" + n.Attempt),
		Actor: n.Actor, Made: now, Used: now, Expires: now.Add(n.Life)}
	leaf := v.leaf(act{Actor: namedSession(row), Action: ActionSessionBegun, Object: row.ID}, allowed)
	err = v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		// Kept for a day longer: an attempt is not taken a second time meanwhile.
		if err := tx.ForgetSessions(ctx, now.Add(-24*time.Hour)); err != nil {
			return err
		}
		if err := tx.InsertSession(ctx, row); err != nil {
			return err
		}
		if err := v.endOldest(ctx, tx, n.Actor, now); err != nil {
			return err
		}
		return appendLeaf(ctx, tx, leaf)
	})
	switch {
	case errors.Is(err, catalog.ErrExist):
		return Session{}, "", record.Refuse(record.ErrUnauthenticated, "login-used", "this log-in was used already; begin again")
	case err != nil:
		return Session{}, "", unavailable("catalog", err)
	}
	return sessionOf(row), secret, nil
}

// maxSessions of a person at once: what somebody forgot elsewhere does not lie open for the
// whole of its time.
const maxSessions = 10

// endOldest ends the sessions of a person beyond the newest maxSessions, with a leaf each.
func (v *Vault) endOldest(ctx context.Context, tx *catalog.Tx, a record.Actor, now time.Time) error {
	open, err := tx.SessionsOf(ctx, a.ID, now)
	if err != nil || len(open) <= maxSessions {
		return err
	}
	for _, old := range open[maxSessions:] {
		if err := tx.EndSession(ctx, a.ID, old.ID, now); err != nil {
			return err
		}
		leaf := v.leaf(act{Actor: namedSession(old), Action: ActionSessionEnded, Object: old.ID}, allowed)
		leaf.Reason = "too-many-sessions"
		if err := appendLeaf(ctx, tx, leaf); err != nil {
			return err
		}
	}
	return nil
}

// ResumeSession is whom a session proves, and notes that it was used. One that is not
// known, has ended, has expired or was not used for idle: ErrUnauthenticated. Whether
// the person or what proved them was revoked, Admit tells.
func (v *Vault) ResumeSession(ctx context.Context, secret string, idle time.Duration) (record.Actor, Session, error) {
	digest := v.tokens.APIToken(secret)
	var row catalog.Session
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		row, err = tx.SessionByDigest(ctx, digest)
		return err
	})
	now := v.cfg.Now()
	unknown := !strings.HasPrefix(secret, sessionPrefix) || errors.Is(err, catalog.ErrNotFound) ||
		err == nil && subtle.ConstantTimeCompare([]byte(row.Digest), []byte(digest)) != 1
	switch {
	case unknown:
		return record.Actor{}, Session{}, record.Refuse(record.ErrUnauthenticated, "session-unknown", "this session is not known here; log in")
	case err != nil:
		return record.Actor{}, Session{}, unavailable("catalog", err)
	case row.Ended != nil:
		return record.Actor{}, Session{}, record.Refuse(record.ErrUnauthenticated, "session-ended", "this session has ended; log in again")
	case !now.Before(row.Expires) || now.Sub(row.Used) >= idle:
		return record.Actor{}, Session{}, record.Refuse(record.ErrUnauthenticated, "session-expired", "this session has expired; log in again")
	}
	if now.Sub(row.Used) >= min(usedEvery, idle/4) {
		if err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.TouchSession(ctx, row.ID, now) }); err != nil {
			return record.Actor{}, Session{}, unavailable("catalog", err)
		}
	}
	return namedSession(row), sessionOf(row), nil
}

// namedSession is the actor of a session, who can be refused by what proved them at
// log-in and by the session itself.
func namedSession(row catalog.Session) record.Actor {
	a := row.Actor
	a.Credentials = strings.TrimSpace(a.Credentials + " " + SessionCredential + string(row.ID))
	return a
}

func sessionOf(row catalog.Session) Session {
	return Session{ID: row.ID, Subject: row.Actor.ID, Role: row.Actor.Role, Made: row.Made, Used: row.Used, Expires: row.Expires}
}

// OwnSessions lists the sessions of the person that could still be used, the newest first.
func (v *Vault) OwnSessions(ctx context.Context, a record.Actor, idle time.Duration) ([]Session, error) {
	var rows []catalog.Session
	now := v.cfg.Now()
	err := v.cfg.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		rows, err = tx.SessionsOf(ctx, a.ID, now)
		return err
	})
	if err != nil {
		return nil, unavailable("catalog", err)
	}
	list := make([]Session, 0, len(rows))
	for _, row := range rows {
		if now.Sub(row.Used) < idle {
			list = append(list, sessionOf(row))
		}
	}
	return list, nil
}

// EndSession ends a session of the person's own, with a leaf. Somebody else's, unknown or
// ended: ErrNotFound.
func (v *Vault) EndSession(ctx context.Context, a record.Actor, id record.ObjectID) error {
	if _, err := record.ParseObjectID(string(id)); err != nil { // what is no id stands in no leaf
		return v.inVain(ctx, act{Actor: a, Action: ActionSessionEnded}, record.ErrNotFound)
	}
	ending := act{Actor: a, Action: ActionSessionEnded, Object: id}
	leaf := v.leaf(ending, allowed)
	err := v.cfg.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if err := tx.EndSession(ctx, a.ID, id, v.cfg.Now()); err != nil {
			return notFound(err)
		}
		return appendLeaf(ctx, tx, leaf)
	})
	if err != nil && !errors.Is(err, record.ErrNotFound) {
		return unavailable("catalog", err)
	}
	return v.inVain(ctx, ending, err)
}
