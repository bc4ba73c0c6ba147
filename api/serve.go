// Package api is the HTTP gateway: it knows who asks, mounts the faces, and sees that
// every request is answered, counted and logged once. It translates and decides
// nothing.
package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"medvault/api/credentials"
	"medvault/api/dicomweb"
	"medvault/api/documents"
	"medvault/api/erasures"
	"medvault/api/exports"
	"medvault/api/fhir"
	"medvault/api/identity"
	"medvault/api/incidents"
	"medvault/api/operations"
	"medvault/api/patients"
	"medvault/api/policy"
	"medvault/api/reviews"
	"medvault/api/rights"
	"medvault/api/staff"
	"medvault/api/transport"
	"medvault/api/web"
	"medvault/vault"
	"medvault/vault/record"
)

// Config is what a gateway is made of.
type Config struct {
	Vault     *vault.Vault           // required
	Auth      identity.Authenticator // required
	PublicURL string                 // required: where clients reach this gateway, as https://vault.example
	Log       *slog.Logger           // required
	TLS       *tls.Config            // from transport; nil: plain HTTP, on loopback only
	// Certificates says whom the certificates of connections prove; default nobody.
	Certificates *identity.Certificates
	Console      *Console             // pages for people; default none
	Limits       Limits               // default none
	Security     SecurityContact      // served as /.well-known/security.txt; default nobody
	Origins      []string             // browsers of these origins may call, as https://viewer.example; default none
	Registry     *prometheus.Registry // other rooms register their metrics on it; default a new one
	Grace        time.Duration        // how long requests may take to finish at shutdown; default 30 s
	BodyIdle     time.Duration        // how long a body may send nothing before it is cut off; default 1 min
	// Ready says whether documents can be stored and opened now, and what does not
	// answer; default Vault.Ready.
	Ready func(context.Context) (ready bool, missing []string)
	// Admit refuses who has proven who they are and is believed no more; default Vault.Admit.
	Admit func(context.Context, record.Actor) error
	// Recognize says who that is to the staff register, and what ends their access soon, a
	// reason and a time each; default Vault.Recognize.
	Recognize func(context.Context, record.Actor) (a record.Actor, ends []string, err error)
	// Refused writes down that a caller was turned away; default Vault.Refused.
	Refused func(ctx context.Context, who record.Actor, reason string) error
	// Receivers speak to other institutions' DICOMweb servers, which are pushed to; default
	// under the profile aes256. ReceiverTokens are the bearer tokens they ask for, by name.
	Receivers      *http.Client
	ReceiverTokens map[string]string
	// Mount adds further routes behind authentication; default none.
	Mount func(gin.IRouter)
}

// Server is one gateway. Make it with New.
type Server struct {
	cfg      Config
	handler  http.Handler
	metrics  metrics
	ready    readiness
	running  atomic.Int64 // requests now
	draining atomic.Bool  // no new request is taken
	knocks   knocks
	limit    *limiter
	sessions *identity.Sessions // nil: nobody has one
	console  *web.Console       // nil: none
}

const (
	// A client that has not sent its headers by then is let go. Bodies have no such
	// limit as a whole: see idleBodies.
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	// Requests that were cut off may take this long to notice.
	unwindTime = 5 * time.Second
)

// New checks cfg and mounts every face.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	s := &Server{cfg: cfg, ready: readiness{ask: cfg.Ready}, limit: newLimiter(cfg.Limits)}
	var err error
	if s.metrics, err = newMetrics(cfg.Registry); err != nil {
		return nil, fmt.Errorf("gateway: metrics: %w", err)
	}
	if err := s.openConsole(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	s.handler = s.routes()
	return s, nil
}

func (c *Config) check() error {
	switch {
	case c.Vault == nil:
		return errors.New("config: Vault is required")
	case c.Auth == nil:
		return errors.New("config: Auth is required")
	case c.Log == nil:
		return errors.New("config: Log is required")
	}
	if err := transport.CheckURL(c.PublicURL); err != nil {
		return fmt.Errorf("config: PublicURL: %w", err)
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	for _, o := range c.Origins {
		if err := checkOrigin(o); err != nil {
			return fmt.Errorf("config: Origins: %w", err)
		}
	}
	if c.Registry == nil {
		c.Registry = prometheus.NewRegistry()
	}
	if c.Grace == 0 {
		c.Grace = 30 * time.Second
	}
	if c.BodyIdle == 0 {
		c.BodyIdle = time.Minute
	}
	if c.Refused == nil {
		c.Refused = c.Vault.Refused
	}
	if c.Recognize == nil {
		c.Recognize = recognize(c.Vault)
	}
	if c.Admit == nil {
		c.Admit = c.Vault.Admit
	}
	c.Auth = identity.Machines{Vault: c.Vault, People: c.Auth}
	if c.Ready == nil {
		c.Ready = c.Vault.Ready
	}
	return nil
}

// routes is the whole address space.
func (s *Server) routes() http.Handler {
	gin.SetMode(gin.ReleaseMode) // gin's debug mode prints routes and warnings to standard output
	r := gin.New()
	r.RedirectTrailingSlash = false
	r.HandleMethodNotAllowed = true
	r.ForwardedByClientIP = false
	r.Use(s.observe, s.secure, s.cors, s.idleBodies)
	r.NoRoute(absent)
	r.NoMethod(methodNotAllowed)

	r.GET("/healthz", health)
	r.GET("/readyz", s.readyz)
	r.GET("/.well-known/security.txt", s.securityTxt)
	r.GET("/metrics", gin.WrapH(promhttp.HandlerFor(s.cfg.Registry, promhttp.HandlerOpts{})))

	if s.console != nil {
		s.console.Register(r, s.visit)
	}
	known := r.Group("", s.authenticate)
	dicomweb.Register(known.Group("/dicomweb"), dicomweb.Config{Vault: s.cfg.Vault, BaseURL: s.cfg.PublicURL + "/dicomweb"})
	v1 := known.Group("/api/v1")
	documents.Register(v1, documents.Config{Vault: s.cfg.Vault})
	if s.cfg.Vault.ContentOnly() {
		return r // there is nothing else that it could do
	}
	patients.Register(v1, patients.Config{Vault: s.cfg.Vault})
	rights.RegisterOpen(r, rights.Config{Vault: s.cfg.Vault})
	rights.Register(v1, rights.Config{Vault: s.cfg.Vault})
	credentials.Register(v1, credentials.Config{Vault: s.cfg.Vault})
	policy.Register(v1, policy.Config{Vault: s.cfg.Vault})
	reviews.Register(v1, reviews.Config{Vault: s.cfg.Vault})
	staff.Register(v1, staff.Config{Vault: s.cfg.Vault})
	operations.Register(v1, operations.Config{Vault: s.cfg.Vault})
	exports.Register(v1, exports.Config{Vault: s.cfg.Vault, Receivers: s.cfg.Receivers, Tokens: s.cfg.ReceiverTokens})
	erasures.Register(v1, erasures.Config{Vault: s.cfg.Vault})
	incidents.Register(v1, incidents.Config{Vault: s.cfg.Vault})
	fhir.Register(known.Group("/fhir"), fhir.Config{Vault: s.cfg.Vault})
	if s.cfg.Mount != nil {
		s.cfg.Mount(known)
	}
	return r
}

// Handler is the gateway without a listener.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve answers on l until ctx ends, and closes l. Then it takes nothing new and
// finishes what it accepted, within Config.Grace; what runs longer is cut off, which
// is an error. In clear it serves on loopback only.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if err := transport.CheckListen(l.Addr().String(), s.cfg.TLS != nil); err != nil {
		return errors.Join(err, l.Close())
	}
	// Requests outlive ctx: its end asks for shutdown, not for their end.
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	server := s.server(work)
	ended := make(chan error, 1)
	go func() {
		if s.cfg.TLS != nil {
			ended <- server.ServeTLS(l, "", "")
		} else {
			ended <- server.Serve(l)
		}
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	grace, done := context.WithTimeout(work, s.cfg.Grace)
	defer done()
	err := server.Shutdown(grace)
	if err != nil {
		n := s.running.Load()
		cut()
		err = errors.Join(fmt.Errorf("shutdown: %d requests were still running after %v and were cut off", n, s.cfg.Grace), server.Close())
		s.awaitUnwinding()
	}
	<-ended
	return err
}

func (s *Server) server(work context.Context) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	if s.cfg.TLS != nil {
		for _, p := range s.cfg.TLS.NextProtos {
			if p == "h2" {
				protocols.SetHTTP2(true)
			}
		}
	}
	return &http.Server{
		Handler:           s.handler,
		TLSConfig:         s.cfg.TLS,
		Protocols:         protocols,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return work },
	}
}

// awaitUnwinding lets handlers that were cut off return before the caller closes
// what they use.
func (s *Server) awaitUnwinding() {
	for deadline := time.Now().Add(unwindTime); s.running.Load() > 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
}
