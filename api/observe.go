package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"medvault/api/answer"
	"medvault/vault/record"
)

const requestIDHeader = "X-Request-Id"

// observe stands outermost: it names the request, and counts and logs it once,
// however it ends. Neither the log nor a metric gets a path, a query or a header of
// the client: they may hold a patient.
func (s *Server) observe(c *gin.Context) {
	start := time.Now()
	s.running.Add(1)
	s.metrics.inFlight.Inc()
	answer.SetRequestID(c, requestID(c.GetHeader(requestIDHeader)))
	c.Header(requestIDHeader, answer.RequestID(c))
	if o := s.cfg.Vault.Officer(); o.Email != "" {
		answer.SetOfficer(c, o)
	}
	defer func() {
		broken := s.recover(c, recover())
		s.metrics.count(c, time.Since(start), broken)
		s.line(c, time.Since(start), broken)
		s.metrics.inFlight.Dec()
		s.running.Add(-1)
		if broken {
			panic(http.ErrAbortHandler) // breaks the connection: half a body must not look whole
		}
	}()
	c.Next()
}

// requestID keeps a client's id when it is a UUID: anything freer could carry a name
// or a number of a patient into the log.
func requestID(sent string) string {
	if len(sent) == 36 && uuid.Validate(sent) == nil {
		return strings.ToLower(sent)
	}
	return uuid.NewString()
}

// recover turns a panic into an answer, where there can still be one, and says
// whether the connection must be broken instead.
func (s *Server) recover(c *gin.Context, panicked any) (broken bool) {
	if panicked == nil {
		return false
	}
	if err, ok := panicked.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		return true
	}
	s.cfg.Log.Error("panic", "request", answer.RequestID(c), "type", fmt.Sprintf("%T", panicked), "at", frames())
	if c.Writer.Written() {
		return true
	}
	answer.Error(c, errPanic)
	return false
}

var errPanic = errors.New("the handler panicked")

// frames names the functions a panic came through. The values in a trace, and of the
// panic itself, may be a patient's.
func frames() []string {
	pc := make([]uintptr, 64)
	it := runtime.CallersFrames(pc[:runtime.Callers(1, pc)])
	var at []string
	panicking := false
	for {
		f, more := it.Next()
		if panicking && !strings.HasPrefix(f.Function, "runtime.") {
			at = append(at, fmt.Sprintf("%s:%d", f.Function, f.Line))
		}
		panicking = panicking || f.Function == "runtime.gopanic"
		if !more || len(at) == 16 {
			return at
		}
	}
}

// line is the one log line of a request.
func (s *Server) line(c *gin.Context, took time.Duration, broken bool) {
	a := answer.Actor(c)
	status := c.Writer.Status()
	attrs := []slog.Attr{
		slog.String("request", answer.RequestID(c)),
		slog.String("method", method(c)),
		slog.String("route", route(c)),
		slog.Int("status", status),
		slog.Int("bytes", max(0, c.Writer.Size())),
		slog.Duration("took", took),
		slog.String("actor", a.ID),
		slog.String("role", string(a.Role)),
		slog.String("purpose", string(a.Purpose)),
	}
	level := slog.LevelInfo
	if broken {
		attrs = append(attrs, slog.Bool("broken", true))
		level = slog.LevelWarn
	}
	codes, causes := told(c)
	if status == http.StatusUnauthorized || status == http.StatusTooManyRequests {
		attrs = append(attrs, slog.String("address", s.limit.address(c.Request))) // for whoever looks into an attack
	}
	if len(codes) > 0 {
		attrs = append(attrs, slog.Any("codes", codes))
	}
	if len(causes) > 0 {
		attrs = append(attrs, slog.Any("causes", causes))
		level = slog.LevelError
	}
	s.cfg.Log.LogAttrs(c.Request.Context(), level, "request", attrs...)
}

// told lists what became of the request's errors: the code of each, and the text of
// those that are ours to mend, which by the rule of the house holds no patient.
func told(c *gin.Context) (codes, causes []string) {
	const atMost = 8 // a store request may fail a thousand instances for one reason
	for _, e := range c.Errors {
		if code := answer.Code(e.Err); len(codes) < atMost && !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
		if answer.Status(e.Err) >= http.StatusInternalServerError && len(causes) < atMost {
			causes = append(causes, e.Err.Error())
		}
	}
	return codes, causes
}

// route is the pattern a request matched, never its path.
func route(c *gin.Context) string {
	if p := c.FullPath(); p != "" {
		return p
	}
	return "unmatched"
}

// method is one of a few words; a client may send any.
func method(c *gin.Context) string {
	switch m := c.Request.Method; m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// secure sets what every answer carries; a face may say more.
func (s *Server) secure(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Referrer-Policy", "no-referrer")
	if s.cfg.TLS != nil {
		c.Header("Strict-Transport-Security", "max-age=31536000")
	}
}

// absent answers an address that is none, as a document that is none.
func absent(c *gin.Context) { answer.Error(c, record.ErrNotFound) }

func methodNotAllowed(c *gin.Context) {
	c.AbortWithStatusJSON(http.StatusMethodNotAllowed, answer.Problem{Code: "method-not-allowed",
		Message: "this address does not take this method", RequestID: answer.RequestID(c)})
}
