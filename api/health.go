package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
)

// health says that the process lives, and nothing about what it needs.
func health(c *gin.Context) { answer.JSON(c, http.StatusOK, gin.H{"status": "ok"}) }

// readyAnswer is the body of /readyz.
type readyAnswer struct {
	Ready   bool     `json:"ready"`
	Missing []string `json:"missing,omitempty"` // the regions and key services that do not answer
}

// readyz is 200 when documents can be stored and opened now, else 503. It names the
// regions and key services that do not answer, also while there are enough others;
// who watches the gateway has no token.
func (s *Server) readyz(c *gin.Context) {
	a := s.ready.now(c.Request.Context())
	if s.draining.Load() {
		a = readyAnswer{Missing: []string{"this gateway is shutting down"}}
	}
	status := http.StatusOK
	if !a.Ready {
		c.Header("Retry-After", "10")
		status = http.StatusServiceUnavailable
	}
	answer.JSON(c, status, a)
}

// readiness asks the vault at most once a second, whoever watches.
type readiness struct {
	ask func(context.Context) (ready bool, missing []string)

	mu   sync.Mutex // held while asking: later watchers share the answer
	at   time.Time
	last readyAnswer
}

const (
	readyFresh   = time.Second
	readyTimeout = 5 * time.Second
)

func (r *readiness) now(ctx context.Context) readyAnswer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() && time.Since(r.at) < readyFresh {
		return r.last
	}
	// A watcher that hangs up must not make the next one see a failure.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	r.last.Ready, r.last.Missing = r.ask(ctx)
	r.at = time.Now()
	return r.last
}
