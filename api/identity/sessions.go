package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"medvault/vault"
	"medvault/vault/record"
)

// CSRFHeader carries what a page of the console was given, in requests that change
// something; CSRFField does in a form of the console.
const (
	CSRFHeader = "X-CSRF-Token"
	CSRFField  = "csrf"
)

// SessionsConfig says how people stay logged in at the console.
type SessionsConfig struct {
	Vault     *vault.Vault  // required
	PublicURL string        // required: the one origin of the console
	Idle      time.Duration // default 15 min: without a request the session ends
	Absolute  time.Duration // default 8 h: the session ends however much it is used
}

// Sessions believes the cookies of the console. A nil *Sessions believes none. The cookie
// holds 256 random bits of which the vault keeps a keyed hash.
type Sessions struct {
	cfg    SessionsConfig
	cross  *http.CrossOriginProtection
	secure bool
}

// NewSessions checks cfg.
func NewSessions(cfg SessionsConfig) (*Sessions, error) {
	if cfg.Idle == 0 {
		cfg.Idle = 15 * time.Minute
	}
	if cfg.Absolute == 0 {
		cfg.Absolute = 8 * time.Hour
	}
	if cfg.Idle < time.Minute || cfg.Absolute < cfg.Idle || cfg.Absolute > 24*time.Hour {
		return nil, fmt.Errorf("sessions: idle is %v and absolute %v; want 1m <= idle <= absolute <= 24h", cfg.Idle, cfg.Absolute)
	}
	s := &Sessions{cfg: cfg, cross: http.NewCrossOriginProtection(), secure: strings.HasPrefix(cfg.PublicURL, "https://")}
	// A proxy in front may ask for another host than browsers do.
	if err := s.cross.AddTrustedOrigin(cfg.PublicURL); err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	return s, nil
}

// Idle is how long a session lasts without a request.
func (s *Sessions) Idle() time.Duration { return s.cfg.Idle }

// cookieName: the prefix has browsers refuse a cookie of that name from anywhere but this
// very host over TLS, so that nobody next door can plant one.
func (s *Sessions) cookieName() string {
	if s.secure {
		return "__Host-medvault"
	}
	return "medvault-console" // loopback in clear
}

// Shown is the secret of the session that r names, "" where it names none.
func (s *Sessions) Shown(r *http.Request) string {
	if s == nil {
		return ""
	}
	found := r.CookiesNamed(s.cookieName())
	if len(found) == 0 {
		return ""
	}
	return found[0].Value
}

// Set logs a browser in. Strict: no other site's link or form brings the cookie along.
func (s *Sessions) Set(w http.ResponseWriter, secret string) {
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(), Value: secret, Path: "/", HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteStrictMode})
}

// Clear takes the cookie away.
func (s *Sessions) Clear(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(), Path: "/", MaxAge: -1, HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteStrictMode})
}

// Begin logs a in and gives the secret of the new session, never one the browser brought.
func (s *Sessions) Begin(ctx context.Context, a record.Actor, attempt string) (secret string, err error) {
	for id := range strings.FieldsSeq(a.Credentials) {
		switch {
		case strings.HasPrefix(id, x509Credential):
			return "", errToken("token-bound", "this token is bound to a certificate; a session would not be")
		case strings.HasPrefix(id, "token:"):
			return "", record.Refuse(record.ErrDenied, "session-for-persons", "sessions are for persons; a machine sends its token")
		}
	}
	_, secret, err = s.cfg.Vault.BeginSession(ctx, vault.NewSession{Actor: a, Attempt: attempt, Life: s.cfg.Absolute})
	return secret, err
}

// CSRF is what requests of this session that change something must carry. It follows
// from the secret, which no script can read, and tells nothing about it.
func CSRF(secret string) string { return derive(secret, "csrf") }

func derive(secret, use string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte("medvault console " + use))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// SameOrigin refuses what another site's page sends, by what the browser says of it.
func (s *Sessions) SameOrigin(r *http.Request) error {
	if err := s.cross.Check(r); err != nil {
		return errCrossOrigin()
	}
	return nil
}

func errCrossOrigin() error {
	return record.Refuse(record.ErrDenied, "cross-origin", "this request came from a page of another origin")
}

// FromSession is FromRequest for a request that shows a session. Requests that change
// something need the CSRF token, in the header or, to pages of the console, in a form; no
// request may come from another site, except to see a page of the console. A session
// beside an Authorization header is refused: which of the two acts must never be a guess.
func FromSession(r *http.Request, by *Sessions, certificates *Certificates, page bool) (record.Actor, error) {
	shown, err := certificates.shown(r)
	if err != nil {
		return record.Actor{}, err
	}
	a, err := by.prove(r, page)
	if err == nil {
		a, err = bound(a, shown)
	}
	if err != nil {
		return record.Actor{ID: a.ID, Credentials: a.Credentials}, err
	}
	return settle(r, a)
}

func (s *Sessions) prove(r *http.Request, page bool) (record.Actor, error) {
	if len(r.Header.Values("Authorization")) > 0 {
		return record.Actor{}, record.Refuse(record.ErrUnauthenticated, "token-ambiguous", "send a session or an Authorization header, not both")
	}
	if len(r.CookiesNamed(s.cookieName())) != 1 {
		return record.Actor{}, record.Refuse(record.ErrUnauthenticated, "token-ambiguous", "send one session")
	}
	// Before the session is looked at: a forged request must not keep it alive.
	secret := s.Shown(r)
	if err := s.ownPage(r, secret, page); err != nil {
		return record.Actor{}, err
	}
	a, _, err := s.cfg.Vault.ResumeSession(r.Context(), secret, s.cfg.Idle)
	return a, err
}

// ownPage refuses a request that no page of this session made.
func (s *Sessions) ownPage(r *http.Request, secret string, page bool) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
		if site := r.Header.Get("Sec-Fetch-Site"); !page && (site == "cross-site" || site == "same-site") {
			return errCrossOrigin()
		}
		return nil
	}
	if err := s.SameOrigin(r); err != nil {
		return err
	}
	sent := r.Header.Get(CSRFHeader)
	if sent == "" && page {
		sent = r.PostFormValue(CSRFField)
	}
	if subtle.ConstantTimeCompare([]byte(sent), []byte(CSRF(secret))) != 1 {
		return record.Refuse(record.ErrDenied, "csrf", "send the "+CSRFHeader+" of this session with requests that change something")
	}
	return nil
}

// SessionOf is the session that proved an actor; "" where none did.
func SessionOf(a record.Actor) record.ObjectID {
	for id := range strings.FieldsSeq(a.Credentials) {
		if session, ok := strings.CutPrefix(id, vault.SessionCredential); ok {
			return record.ObjectID(session)
		}
	}
	return ""
}

// End ends the session of that secret; one that is known no more has ended.
func (s *Sessions) End(ctx context.Context, secret string) error {
	a, session, err := s.cfg.Vault.ResumeSession(ctx, secret, s.cfg.Idle)
	if err == nil {
		err = s.cfg.Vault.EndSession(ctx, a, session.ID)
	}
	if errors.Is(err, record.ErrUnauthenticated) || errors.Is(err, record.ErrNotFound) {
		return nil
	}
	return err
}
