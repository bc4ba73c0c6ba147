package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/api/identity"
	"medvault/vault"
	"medvault/vault/record"
)

// vaultHeader tells whoever has proven who they are which vault answers: see
// vault.Vault.ID.
const vaultHeader = "Medvault-Vault"

// endsHeader warns whose access ends within 30 days: why, and when.
const endsHeader = "Medvault-Access-Ends"

// authenticate lets nobody unknown past it, and writes down whom it turned away.
func (s *Server) authenticate(c *gin.Context) { s.pass(c, s.prove, answer.Error) }

// visit is authenticate for the pages of the console: by session alone.
func (s *Server) visit(c *gin.Context) {
	s.pass(c, func(c *gin.Context) (record.Actor, error) {
		if s.sessions.Shown(c.Request) == "" {
			return record.Actor{}, record.ErrUnauthenticated
		}
		return identity.FromSession(c.Request, s.sessions, s.cfg.Certificates, onPage)
	}, s.console.Refuse)
}

// prove is whom a request's token, certificate or session proves.
func (s *Server) prove(c *gin.Context) (record.Actor, error) {
	if s.sessions.Shown(c.Request) != "" {
		return identity.FromSession(c.Request, s.sessions, s.cfg.Certificates, !onPage)
	}
	return identity.FromRequest(c.Request, s.cfg.Auth, s.cfg.Certificates)
}

const onPage = true // of the console

func (s *Server) pass(c *gin.Context, prove func(*gin.Context) (record.Actor, error), refuse func(*gin.Context, error)) {
	a, soon, err := s.enter(c, func() (record.Actor, error) { return prove(c) })
	if err != nil {
		refuse(c, err)
		return
	}
	for _, end := range soon {
		c.Writer.Header().Add(endsHeader, end)
	}
	c.Header(vaultHeader, s.cfg.Vault.ID())
	answer.SetActor(c, a)
	c.Next()
	switch c.Writer.Status() {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		s.limit.denied(a, time.Now())
	}
}

// enter says who asks and what of their access ends soon. Whom it refuses has a leaf.
func (s *Server) enter(c *gin.Context, prove func() (record.Actor, error)) (a record.Actor, soon []string, err error) {
	if a, err = s.identify(c, prove); err == nil {
		a, soon, err = s.cfg.Recognize(c.Request.Context(), a)
	}
	if err != nil {
		if logErr := s.turnedAway(c, a, err); logErr != nil {
			err = fmt.Errorf("log a refusal: %w", logErr) // what cannot be logged is not answered
		}
	}
	return a, soon, err
}

// identify proves who asks, unless they are locked out, and that they are not revoked.
func (s *Server) identify(c *gin.Context, prove func() (record.Actor, error)) (record.Actor, error) {
	from := s.limit.caller(c.Request, s.sessions.Shown(c.Request))
	if wait := s.limit.admit(from, time.Now()); wait > 0 {
		return record.Actor{}, tooMany(c, wait)
	}
	a, err := prove()
	if err == nil {
		a.Address = s.addressOf(c.Request)
		err = s.cfg.Admit(c.Request.Context(), a)
	}
	if errors.Is(err, record.ErrUnauthenticated) {
		s.limit.failed(from, answer.Code(err) != answer.CodeNoIdentity, time.Now())
		return record.Actor{}, err
	}
	if err != nil {
		return record.Actor{ID: a.ID, Credentials: a.Credentials, Address: a.Address}, err
	}
	s.limit.succeeded(from, time.Now())
	if wait := s.limit.admitActor(a, time.Now()); wait > 0 {
		return record.Actor{ID: a.ID, Credentials: a.Credentials, Address: a.Address}, tooMany(c, wait)
	}
	return a, nil
}

// addressOf is the pseudonym of the address at the other end of the connection: behind a
// proxy that is the proxy's. Headers anybody can send are not asked.
func (s *Server) addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return s.cfg.Vault.BlindAddress(host)
}

// tooMany refuses for a while, and says for how long.
func tooMany(c *gin.Context, wait time.Duration) error {
	c.Header("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	return record.Refuse(record.ErrTooMany, "locked-out", "too many requests from here were refused; wait as long as Retry-After says")
}

// turnedAway leaves a leaf for a refusal. Of callers who proved nothing one leaf
// stands for all of that reason within a minute: anybody can knock, and must not fill
// the log. So it does for an actor who is locked out. The request log has a line with the
// code for each of them.
func (s *Server) turnedAway(c *gin.Context, who record.Actor, refused error) error {
	if answer.Status(refused) >= http.StatusInternalServerError {
		return nil // nobody was refused: it could not be told
	}
	reason := answer.Code(refused)
	who.Address = s.addressOf(c.Request)
	rare := who.ID == "" || errors.Is(refused, record.ErrTooMany)
	if rare && !s.knocks.first(reason+" "+who.ID, time.Now()) {
		return nil
	}
	// Whoever hangs up at once must be written down as well.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request.Context()), refusedTimeout)
	defer cancel()
	err := s.cfg.Refused(ctx, who, reason)
	if err != nil && rare {
		s.knocks.forget(reason + " " + who.ID) // the next one is the first
	}
	return err
}

const refusedTimeout = 10 * time.Second

// knocks remembers when a leaf was last left for unproven callers, by reason, and for
// actors who are locked out. Reasons are codes of ours: a few.
type knocks struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// first says whether none came for this reason in the minute before now.
func (k *knocks) first(reason string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at, ok := k.last[reason]; ok && now.Sub(at) < time.Minute {
		return false
	}
	if k.last == nil || len(k.last) > 10_000 {
		k.last = make(map[string]time.Time)
	}
	k.last[reason] = now
	return true
}

func (k *knocks) forget(reason string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.last, reason)
}

// recognize asks the vault's staff register.
func recognize(v *vault.Vault) func(context.Context, record.Actor) (record.Actor, []string, error) {
	return func(ctx context.Context, a record.Actor) (record.Actor, []string, error) {
		a, soon, err := v.Recognize(ctx, a)
		if err == nil && a.Role == record.RoleInterface {
			err = record.Refuse(record.ErrDenied, "role-not-permitted", "a hospital's system says by HL7 v2 who treats whom, and nothing else")
		}
		var ends []string
		for _, w := range soon {
			ends = append(ends, w.Reason+" "+w.At.UTC().Format(time.RFC3339))
		}
		return a, ends, err
	}
}
