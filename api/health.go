package api

import (
	"context"
	"net/http"
	"strings"
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
	Missing []string `json:"missing,omitempty"` // the regions and key services that are missing, one a line
}

// readyz is 200 when documents can be stored and opened now, else 503. Unlike every
// other answer it tells the errors: they name regions and key services, and who
// watches the gateway has no token.
func (s *Server) readyz(c *gin.Context) {
	missing := s.ready.missing(c.Request.Context())
	if s.draining.Load() {
		missing = []string{"this gateway is shutting down"}
	}
	if len(missing) > 0 {
		c.Header("Retry-After", "10")
		answer.JSON(c, http.StatusServiceUnavailable, readyAnswer{Missing: missing})
		return
	}
	answer.JSON(c, http.StatusOK, readyAnswer{Ready: true})
}

// readiness asks the vault at most once a second, whoever watches.
type readiness struct {
	ask func(context.Context) error

	mu   sync.Mutex // held while asking: later watchers share the answer
	at   time.Time
	last []string
}

const (
	readyFresh   = time.Second
	readyTimeout = 5 * time.Second
)

func (r *readiness) missing(ctx context.Context) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() && time.Since(r.at) < readyFresh {
		return r.last
	}
	// A watcher that hangs up must not make the next one see a failure.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	r.last = nil
	if err := r.ask(ctx); err != nil {
		r.last = strings.Split(err.Error(), "\n") // errors.Join puts each on its line
	}
	r.at = time.Now()
	return r.last
}
