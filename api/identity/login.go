package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"medvault/api/transport"
	"medvault/vault/record"
)

// LoginConfig says how the console is known at the issuer whose tokens are believed.
type LoginConfig struct {
	OIDC         *OIDC    // required
	ClientID     string   // required
	ClientSecret string   // default none: a public client
	PublicURL    string   // required: people come back to PublicURL/console/callback
	Scopes       []string // beside openid
}

// Login sends people to the issuer to log in, and takes them back: OAuth 2.0
// authorization code with PKCE (RFC 7636, S256 alone) and OpenID Connect's nonce. An
// attempt lies in one short-lived cookie of the browser that made it, and state, nonce
// and verifier follow from it; so any gateway can finish what another began.
type Login struct {
	cfg    LoginConfig
	oauth  oauth2.Config
	verify *oidc.IDTokenVerifier
	client *http.Client
	secure bool
}

// attemptLife is how long somebody may take at the issuer.
const attemptLife = 10 * time.Minute

// NewLogin checks cfg, and that the issuer offers what is needed.
func NewLogin(cfg LoginConfig) (*Login, error) {
	if cfg.OIDC == nil || cfg.ClientID == "" {
		return nil, errors.New("console: an issuer and a client ID are required")
	}
	found := cfg.OIDC.found
	for name, endpoint := range map[string]string{"authorization_endpoint": found.Authorize, "token_endpoint": found.Token} {
		if err := transport.CheckURL(endpoint); err != nil {
			return nil, fmt.Errorf("console: %s of the issuer: %w", name, err)
		}
	}
	if found.EndSession != "" {
		if err := transport.CheckURL(found.EndSession); err != nil {
			return nil, fmt.Errorf("console: end_session_endpoint of the issuer: %w", err)
		}
	}
	if len(found.Challenges) > 0 && !slices.Contains(found.Challenges, "S256") {
		return nil, errors.New("console: the issuer offers no PKCE with S256")
	}
	// Told, not tried: trying would send the code twice.
	style := oauth2.AuthStyleInParams
	if cfg.ClientSecret != "" && (len(found.Methods) == 0 || slices.Contains(found.Methods, "client_secret_basic")) {
		style = oauth2.AuthStyleInHeader
	}
	client := *cfg.OIDC.cfg.Client
	client.Timeout = fetchTimeout
	return &Login{
		cfg: cfg, client: &client, secure: strings.HasPrefix(cfg.PublicURL, "https://"),
		oauth: oauth2.Config{ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret, RedirectURL: cfg.PublicURL + "/console/callback",
			Scopes:   append([]string{oidc.ScopeOpenID}, cfg.Scopes...),
			Endpoint: oauth2.Endpoint{AuthURL: found.Authorize, TokenURL: found.Token, AuthStyle: style}},
		verify: oidc.NewVerifier(cfg.OIDC.cfg.Issuer, cfg.OIDC.keys, &oidc.Config{ClientID: cfg.ClientID,
			SupportedSigningAlgs: cfg.OIDC.cfg.Algorithms, Now: cfg.OIDC.verify.Now}),
	}, nil
}

func (l *Login) cookieName() string {
	if l.secure {
		return "__Host-medvault-login"
	}
	return "medvault-login"
}

// setAttempt keeps an attempt in the browser. Lax: the issuer's redirect must bring it.
func (l *Login) setAttempt(w http.ResponseWriter, value string, seconds int) {
	http.SetCookie(w, &http.Cookie{Name: l.cookieName(), Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: l.secure, SameSite: http.SameSiteLaxMode})
}

// Begin starts an attempt and says where the browser goes. People prove themselves anew
// each time, although the issuer may remember them: a session that was left idle must not
// come back by itself.
func (l *Login) Begin(w http.ResponseWriter) (where string) {
	var random [32]byte
	rand.Read(random[:]) // never fails: crypto/rand aborts the program instead
	attempt := base64.RawURLEncoding.EncodeToString(random[:]) + "." + strconv.FormatInt(l.cfg.OIDC.cfg.Now().Unix(), 10)
	l.setAttempt(w, attempt, int(attemptLife/time.Second))
	return l.oauth.AuthCodeURL(derive(attempt, "state"), oidc.Nonce(derive(attempt, "nonce")),
		oauth2.S256ChallengeOption(derive(attempt, "verifier")), oauth2.SetAuthURLParam("prompt", "login"))
}

// Attempt takes the attempt of a browser that comes back, out of its cookie; "" is none.
func (l *Login) Attempt(w http.ResponseWriter, r *http.Request) string {
	found := r.CookiesNamed(l.cookieName())
	if len(found) != 1 {
		return ""
	}
	l.setAttempt(w, "", -1)
	return found[0].Value
}

// Finish proves who comes back with the answer of the issuer, by the access token that
// their code gives. The tokens are kept nowhere.
func (l *Login) Finish(ctx context.Context, attempt string, answer url.Values) (record.Actor, error) {
	began, err := l.begun(attempt)
	if err != nil {
		return record.Actor{}, err
	}
	issuer := l.cfg.OIDC.cfg.Issuer
	switch {
	case subtle.ConstantTimeCompare([]byte(answer.Get("state")), []byte(derive(attempt, "state"))) != 1:
		return record.Actor{}, errLogin()
	case answer.Has("iss") && answer.Get("iss") != issuer: // RFC 9207: another issuer's answer
		return record.Actor{}, errLogin()
	case answer.Get("code") == "":
		return record.Actor{}, errToken("login-refused", "the identity provider did not log you in; try again")
	}
	tokens, err := l.oauth.Exchange(context.WithValue(ctx, oauth2.HTTPClient, l.client), answer.Get("code"), oauth2.VerifierOption(derive(attempt, "verifier")))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < http.StatusInternalServerError:
		return record.Actor{}, errToken("login-refused", "the identity provider did not log you in; try again")
	case err != nil: // its text may quote the answer
		return record.Actor{}, record.Refuse(record.ErrUnavailable, "issuer-unavailable", "the identity provider does not answer now; try again")
	}
	subject, err := l.identified(ctx, tokens, attempt, began)
	if err != nil {
		return record.Actor{}, err
	}
	a, err := l.cfg.OIDC.Authenticate(ctx, tokens.AccessToken)
	if err == nil && a.ID != subject {
		return record.Actor{}, errToken("token-invalid", "the ID token and the access token name different people")
	}
	return a, err
}

// begun is when an attempt began.
func (l *Login) begun(attempt string) (time.Time, error) {
	random, at, _ := strings.Cut(attempt, ".")
	seconds, err := strconv.ParseInt(at, 10, 64)
	began := time.Unix(seconds, 0)
	if raw, bad := base64.RawURLEncoding.DecodeString(random); err != nil || bad != nil || len(raw) != 32 {
		return time.Time{}, errLogin()
	}
	if age := l.cfg.OIDC.cfg.Now().Sub(began); age > attemptLife || age < -l.cfg.OIDC.cfg.Skew {
		return time.Time{}, errLogin()
	}
	return began, nil
}

// identified checks the ID token: it answers this attempt, and the person was asked to
// prove themselves since it began, as far as the issuer says when that was.
func (l *Login) identified(ctx context.Context, tokens *oauth2.Token, attempt string, began time.Time) (subject string, err error) {
	text, _ := tokens.Extra("id_token").(string)
	id, err := l.verify.Verify(ctx, text)
	if err != nil { // its text quotes the token's issuer and audience
		return "", errToken("token-invalid", "the identity provider's answer proves nothing here; try again")
	}
	var claims struct {
		AuthTime int64 `json:"auth_time"`
	}
	switch err := id.Claims(&claims); {
	case err != nil:
		return "", errToken("token-invalid", "the claims of the ID token cannot be read")
	case subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(derive(attempt, "nonce"))) != 1:
		return "", errLogin()
	case id.AccessTokenHash != "" && id.VerifyAccessToken(tokens.AccessToken) != nil:
		return "", errToken("token-invalid", "the access token is not the one that the ID token names")
	case claims.AuthTime != 0 && time.Unix(claims.AuthTime, 0).Before(began.Add(-l.cfg.OIDC.cfg.Skew)):
		return "", errToken("login-old", "the identity provider did not ask who you are; log out there and try again")
	}
	return id.Subject, nil
}

// LogoutURL is where the issuer logs people out (OpenID Connect RP-Initiated Logout); ""
// where it does not.
func (l *Login) LogoutURL() string {
	if l.cfg.OIDC.found.EndSession == "" {
		return ""
	}
	u, err := url.Parse(l.cfg.OIDC.found.EndSession)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", l.cfg.ClientID)
	q.Set("post_logout_redirect_uri", l.cfg.PublicURL+"/console/login")
	u.RawQuery = q.Encode()
	return u.String()
}

// errLogin is the refusal of an answer that belongs to no attempt of this browser.
func errLogin() error {
	return errToken("login-unknown", "this log-in was not begun in this browser, or too long ago; begin again")
}
