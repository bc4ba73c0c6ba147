package main

import (
	"fmt"
	"slices"
	"time"

	"medvault/api"
	"medvault/api/identity"
)

// ConsoleConfig has the gateways serve pages for people at publicURL/console; without a
// client ID there are none. The identity provider must know publicURL/console/callback as
// the redirect address of that client and, to log people out, publicURL/console/login.
type ConsoleConfig struct {
	ClientID         string        `yaml:"clientID"`
	ClientSecretFile Secret        `yaml:"clientSecretFile"` // default none: a public client, by PKCE alone
	Scopes           []string      `yaml:"scopes"`           // to ask for beside openid, as the audience may want
	Idle             time.Duration `yaml:"idle"`             // a session ends without a request for so long; default 15m
	Absolute         time.Duration `yaml:"absolute"`         // and at the latest after; default 8h
}

func (c ConsoleConfig) check(found *checks, id IdentityConfig) {
	if c.ClientID == "" {
		if c.ClientSecretFile != "" || len(c.Scopes) > 0 || c.Idle != 0 || c.Absolute != 0 {
			found.add("console.clientID", "missing; it is required")
		}
		return
	}
	if c.ClientSecretFile != "" {
		found.secret("console.clientSecretFile", c.ClientSecretFile)
	}
	if len(id.Clients) > 0 && !slices.Contains(id.Clients, c.ClientID) {
		found.add("console.clientID", "%q is not among identity.clients, so its tokens would be refused", c.ClientID)
	}
	_, err := identity.NewSessions(identity.SessionsConfig{PublicURL: "https://localhost", Idle: c.Idle, Absolute: c.Absolute})
	found.addIf("console", err)
}

// console is nil where none is configured.
func (c *Config) console(issuer *identity.OIDC) (*api.Console, error) {
	if c.Console.ClientID == "" {
		return nil, nil
	}
	secret := ""
	if c.Console.ClientSecretFile != "" {
		var err error
		if secret, err = c.Console.ClientSecretFile.Read(); err != nil {
			return nil, fmt.Errorf("console.clientSecretFile: %w", err)
		}
	}
	login, err := identity.NewLogin(identity.LoginConfig{OIDC: issuer, ClientID: c.Console.ClientID, ClientSecret: secret, PublicURL: c.PublicURL, Scopes: c.Console.Scopes})
	if err != nil {
		return nil, err
	}
	return &api.Console{Login: login, Idle: c.Console.Idle, Absolute: c.Console.Absolute}, nil
}
