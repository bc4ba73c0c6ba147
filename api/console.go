package api

import (
	"errors"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"medvault/api/identity"
	"medvault/api/web"
	"medvault/vault/record"
)

// Console has the gateway serve pages for people at /console.
type Console struct {
	// Login is where people log in. nil: they give a token of Config.Auth instead, which is
	// for development, on loopback in clear alone.
	Login    *identity.Login
	Idle     time.Duration // default 15 min
	Absolute time.Duration // default 8 h
}

func (s *Server) openConsole() (err error) {
	cfg := s.cfg.Console
	if cfg == nil {
		return nil
	}
	if cfg.Login == nil && (s.cfg.TLS != nil || strings.HasPrefix(s.cfg.PublicURL, "https://")) {
		return errors.New("console: a log-in by token is for loopback in clear; configure one at the identity provider")
	}
	s.sessions, err = identity.NewSessions(identity.SessionsConfig{Vault: s.cfg.Vault, PublicURL: s.cfg.PublicURL, Idle: cfg.Idle, Absolute: cfg.Absolute})
	if err != nil {
		return err
	}
	s.console, err = web.New(web.Config{Vault: s.cfg.Vault, Sessions: s.sessions, Login: cfg.Login, Tokens: s.cfg.Auth,
		Enter: func(c *gin.Context, prove func() (record.Actor, error)) (record.Actor, error) {
			a, _, err := s.enter(c, prove)
			return a, err
		}})
	return err
}
