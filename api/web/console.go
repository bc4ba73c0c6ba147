// Package web is the console: a few plain pages for people, in English and Chinese,
// without a script. A page shows what the same person gets from the API; it decides
// nothing. What names a patient travels in bodies, never in an address.
package web

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/api/identity"
	"medvault/vault"
	"medvault/vault/record"
)

// Config is what a console needs.
type Config struct {
	Vault    *vault.Vault       // required
	Sessions *identity.Sessions // required
	Login    *identity.Login    // nil: people give a token that Tokens believes, for development
	Tokens   identity.Authenticator
	// Enter proves who logs in as every request is proven: with the limits on guessing, the
	// revocations, the staff register and a leaf of each refusal. Required.
	Enter func(c *gin.Context, prove func() (record.Actor, error)) (record.Actor, error)
}

// Console serves the pages. Make it with New.
type Console struct{ cfg Config }

const policy = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

//go:embed pages
var files embed.FS

// New checks cfg.
func New(cfg Config) (*Console, error) {
	if cfg.Vault == nil || cfg.Sessions == nil || cfg.Enter == nil || cfg.Login == nil && cfg.Tokens == nil {
		return nil, errors.New("console: Vault, Sessions, Enter and Login or Tokens are required")
	}
	return &Console{cfg}, nil
}

// Register mounts the console under /console. known lets only people with a session past
// it, and answers others by Refuse.
func (w *Console) Register(r gin.IRouter, known gin.HandlerFunc) {
	open := r.Group("/console", w.mark)
	open.GET("/style.css", w.style)
	open.GET("/login", w.loginPage)
	open.POST("/login", w.sameOrigin, w.login)
	if w.cfg.Login != nil {
		open.GET("/callback", w.callback)
	}
	open.GET("", func(c *gin.Context) { c.Redirect(http.StatusSeeOther, "/console/") })

	in := open.Group("", limited, known)
	in.GET("/", w.home)
	in.GET("/studies", w.studies)
	in.POST("/studies", w.studies)
	in.GET("/regions", w.regions)
	in.GET("/access-log", w.accessLog)
	in.POST("/access-log", w.accessLog)
	in.GET("/mine", w.mine)
	in.POST("/mine/consents", w.say)
	in.POST("/mine/withdraw", w.withdraw)
	in.POST("/mine/cases", w.request)
	in.GET("/sessions", w.sessions)
	in.POST("/sessions/end", w.endSession)
	in.POST("/logout", w.logout)
}

// mark sets what every answer of the console carries beside what every answer does.
func (w *Console) mark(c *gin.Context) {
	c.Header("Content-Security-Policy", policy)
	c.Header("Referrer-Policy", "same-origin") // without any, browsers send forms with the origin "null"
	c.Header("X-Frame-Options", "DENY")
	c.Header("Cross-Origin-Opener-Policy", "same-origin")
	c.Header("Cross-Origin-Resource-Policy", "same-origin")
}

// limited bounds the forms of the console, which are small.
func limited(c *gin.Context) {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, 64<<10)
}

func (w *Console) sameOrigin(c *gin.Context) {
	limited(c)
	if err := w.cfg.Sessions.SameOrigin(c.Request); err != nil {
		w.Refuse(c, err)
	}
}

func (w *Console) style(c *gin.Context) {
	text, err := files.ReadFile("pages/style.css")
	if err != nil {
		panic(err) // embedded
	}
	c.Data(http.StatusOK, "text/css; charset=utf-8", text)
}

// Refuse answers with a page what answer.Error answers to programs. Whoever is not logged
// in (any more) is led to the log-in.
func (w *Console) Refuse(c *gin.Context, err error) {
	c.Error(err) // for the log line of the request
	c.Abort()
	if !errors.Is(err, record.ErrUnauthenticated) {
		w.render(c, answer.Status(err), "refused", refusedPage{Code: answer.Code(err), Message: answer.Message(err), RequestID: answer.RequestID(c)})
		return
	}
	w.cfg.Sessions.Clear(c.Writer)
	if c.Request.Method == http.MethodGet && c.FullPath() != "/console/callback" {
		c.Redirect(http.StatusSeeOther, "/console/login")
		return
	}
	w.render(c, http.StatusUnauthorized, "login", loginPage{Tokens: w.cfg.Login == nil, Message: answer.Message(err)})
}

type refusedPage struct{ Code, Message, RequestID string }

type loginPage struct {
	Tokens  bool // the page asks for a token
	Message string
}

func (w *Console) loginPage(c *gin.Context) {
	w.render(c, http.StatusOK, "login", loginPage{Tokens: w.cfg.Login == nil})
}

func (w *Console) login(c *gin.Context) {
	if w.cfg.Login != nil {
		// Ended here: on the way back from the provider the browser keeps its cookie back.
		if err := w.cfg.Sessions.End(c.Request.Context(), w.cfg.Sessions.Shown(c.Request)); err != nil {
			w.Refuse(c, err)
			return
		}
		w.lead(c, "leaving", w.cfg.Login.Begin(c.Writer))
		return
	}
	token := c.PostForm("token")
	w.begin(c, identity.NewToken(), func(ctx context.Context) (record.Actor, error) {
		return w.cfg.Tokens.Authenticate(ctx, strings.TrimSpace(token))
	})
}

// callback takes people back from the identity provider. It leads to one page whatever
// the address says: no address that a request names is ever followed.
func (w *Console) callback(c *gin.Context) {
	attempt := w.cfg.Login.Attempt(c.Writer, c.Request)
	w.begin(c, attempt, func(ctx context.Context) (record.Actor, error) {
		return w.cfg.Login.Finish(ctx, attempt, c.Request.URL.Query())
	})
}

// begin ends the session that the browser came with, if any, and gives it a new one.
func (w *Console) begin(c *gin.Context, attempt string, prove func(context.Context) (record.Actor, error)) {
	ctx := c.Request.Context()
	a, err := w.cfg.Enter(c, func() (record.Actor, error) { return prove(ctx) })
	if err != nil {
		w.Refuse(c, err)
		return
	}
	if err := w.cfg.Sessions.End(ctx, w.cfg.Sessions.Shown(c.Request)); err != nil {
		w.Refuse(c, err)
		return
	}
	secret, err := w.cfg.Sessions.Begin(ctx, a, attempt)
	if err != nil {
		w.Refuse(c, err)
		return
	}
	w.cfg.Sessions.Set(c.Writer, secret)
	// No redirect: the browser still follows another site's, and would keep the cookie back.
	w.lead(c, "welcome", "/console/")
}

// lead shows a page that goes on to another by itself. The answer to a form is no
// redirect: where it leads in the end, over providers of providers, no policy for forms
// could name.
func (w *Console) lead(c *gin.Context, title, where string) {
	w.show(c, http.StatusOK, frame{Title: title, Next: where}, "lead")
}

func (w *Console) logout(c *gin.Context) {
	if err := w.cfg.Sessions.End(c.Request.Context(), w.cfg.Sessions.Shown(c.Request)); err != nil {
		w.Refuse(c, err)
		return
	}
	w.cfg.Sessions.Clear(c.Writer)
	c.Header("Clear-Site-Data", `"cache", "storage"`) // cookies would be those of the whole domain
	if w.cfg.Login != nil && w.cfg.Login.LogoutURL() != "" {
		w.lead(c, "leaving", w.cfg.Login.LogoutURL())
		return
	}
	c.Redirect(http.StatusSeeOther, "/console/login")
}

type sessionsPage struct {
	Current  record.ObjectID
	Sessions []vault.Session
	Idle     time.Duration
}

func (w *Console) sessions(c *gin.Context) {
	a := answer.Actor(c)
	list, err := w.cfg.Vault.OwnSessions(c.Request.Context(), a, w.cfg.Sessions.Idle())
	if err != nil {
		w.Refuse(c, err)
		return
	}
	w.render(c, http.StatusOK, "sessions", sessionsPage{Current: identity.SessionOf(a), Sessions: list, Idle: w.cfg.Sessions.Idle()})
}

// endSession ends another session of the same person.
func (w *Console) endSession(c *gin.Context) {
	if err := w.cfg.Vault.EndSession(c.Request.Context(), answer.Actor(c), record.ObjectID(c.PostForm("id"))); err != nil {
		w.Refuse(c, err)
		return
	}
	c.Redirect(http.StatusSeeOther, "/console/sessions")
}
