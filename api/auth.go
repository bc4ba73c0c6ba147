package api

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/api/identity"
	"medvault/vault/record"
)

// vaultHeader tells whoever has proven who they are which vault answers: see
// vault.Vault.ID.
const vaultHeader = "Medvault-Vault"

// authenticate lets nobody unknown past it, and writes down whom it turned away.
func (s *Server) authenticate(c *gin.Context) {
	a, err := identity.FromRequest(c.Request, s.cfg.Auth)
	if err != nil {
		if logErr := s.turnedAway(c, a, err); logErr != nil {
			err = fmt.Errorf("log a refusal: %w", logErr) // what cannot be logged is not answered
		}
		answer.Error(c, err)
		return
	}
	c.Header(vaultHeader, s.cfg.Vault.ID())
	answer.SetActor(c, a)
}

// turnedAway leaves a leaf for a refusal. Of callers who proved nothing one leaf
// stands for all of that reason within a minute: anybody can knock, and must not fill
// the log. The request log has a line with the code for each of them.
func (s *Server) turnedAway(c *gin.Context, who record.Actor, refused error) error {
	if answer.Status(refused) >= http.StatusInternalServerError {
		return nil // nobody was refused: it could not be told
	}
	reason := answer.Code(refused)
	if who.ID == "" && !s.knocks.first(reason, time.Now()) {
		return nil
	}
	// Whoever hangs up at once must be written down as well.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request.Context()), refusedTimeout)
	defer cancel()
	err := s.cfg.Refused(ctx, who, reason)
	if err != nil && who.ID == "" {
		s.knocks.forget(reason) // the next one is the first
	}
	return err
}

const refusedTimeout = 10 * time.Second

// knocks remembers when a leaf was last left for unproven callers, by reason. Reasons
// are codes of ours: a few.
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
	if k.last == nil {
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
