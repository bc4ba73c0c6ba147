package api_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"

	"medvault/api"
	"medvault/api/identity"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// provider is a real identity provider whose people log in at /login/username.
type provider struct {
	*httptest.Server
}

// hospital gives the console's client JWTs with the claims the vault asks for.
type hospital struct{ *storage.Storage }

type consoleClient struct {
	op.Client
	uris []string
}

func (consoleClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
func (c consoleClient) RedirectURIs() []string            { return c.uris }
func (c consoleClient) PostLogoutRedirectURIs() []string {
	return []string{strings.TrimSuffix(c.uris[0], "callback") + "login"}
}

func (h hospital) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	at, err := url.QueryUnescape(strings.TrimPrefix(id, "console "))
	if err != nil {
		return nil, err
	}
	return consoleClient{storage.WebClient(id, "verysecret"), []string{at + "/console/callback"}}, nil
}

func (hospital) AuthorizeClientIDSecret(_ context.Context, _, secret string) error {
	if secret != "verysecret" {
		return errors.New("wrong secret")
	}
	return nil
}

func (hospital) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return map[string]any{"role": "operator", "institution": "test-hospital", "country": "CN"}, nil
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.Start()
	t.Cleanup(server.Close)
	users := hospital{storage.NewStorage(storage.NewUserStore(server.URL))}
	o, err := op.NewProvider(&op.Config{CryptoKey: [32]byte{1}, CodeMethodS256: true}, users,
		op.StaticIssuer(server.URL), op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", o)
	mux.HandleFunc("/login/username", func(w http.ResponseWriter, r *http.Request) {
		id := r.FormValue("authRequestID")
		if err := users.CheckUsernamePassword("test-user2", "verysecure", id); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, op.AuthCallbackURL(o)(op.ContextWithIssuer(r.Context(), server.URL), id), http.StatusFound)
	})
	server.Config.Handler = mux
	return &provider{server}
}

// gateway is one whose console is a client of the provider.
func (p *provider) gateway(t *testing.T, v *vault.Vault, at string) *api.Server {
	t.Helper()
	client := "console " + url.QueryEscape(at)
	o, err := identity.NewOIDC(t.Context(), identity.OIDCConfig{Issuer: p.URL, Audience: client, PatientIssuer: "TEST"})
	if err != nil {
		t.Fatal(err)
	}
	login, err := identity.NewLogin(identity.LoginConfig{OIDC: o, ClientID: client, ClientSecret: "verysecret", PublicURL: at})
	if err != nil {
		t.Fatal(err)
	}
	s, err := api.New(api.Config{Vault: v, Auth: o, PublicURL: at, Console: &api.Console{Login: login}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// atProvider logs in there and gives what the provider sends the browser back with.
func (b browser) atProvider(where string) url.Values {
	b.t.Helper()
	for range 5 {
		p := b.get(where)
		next, err := p.Location()
		if err != nil {
			b.t.Fatalf("at the provider: %d %s", p.StatusCode, p.text)
		}
		if next.Path == "/console/callback" {
			return next.Query()
		}
		where = next.String()
	}
	b.t.Fatal("the provider leads nowhere")
	return nil
}

func TestConsoleLogin(t *testing.T) {
	t.Parallel()
	provider, h := newProvider(t), vaulttest.New(t, vaulttest.Options{})
	server := httptest.NewUnstartedServer(nil)
	server.Start()
	t.Cleanup(server.Close)
	server.Config.Handler = provider.gateway(t, h.Vault, server.URL).Handler()
	begin := func(b browser) string {
		t.Helper()
		p := b.do(http.MethodPost, server.URL+"/console/login?next=https://evil.example", url.Values{"next": {"https://evil.example"}})
		where := leads(p.text)
		if p.StatusCode != http.StatusOK || !strings.HasPrefix(where, provider.URL+"/authorize?") {
			t.Fatalf("log-in: %d to %q; want the provider", p.StatusCode, where)
		}
		return where
	}
	back := func(b browser, answer url.Values) page {
		return b.get(server.URL + "/console/callback?" + answer.Encode())
	}

	b := newBrowser(t)
	where := begin(b)
	asked, err := url.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"response_type": "code", "code_challenge_method": "S256", "prompt": "login", "redirect_uri": server.URL + "/console/callback"} {
		if got := asked.Query().Get(name); got != want {
			t.Errorf("%s is %q; want %q", name, got, want)
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if got := asked.Query().Get(name); len(got) != 43 {
			t.Errorf("%s is %q; want 256 bits", name, got)
		}
	}
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	attempt := b.client.Jar.Cookies(u)
	answer := b.atProvider(where)
	answer.Set("next", "https://evil.example")
	p := back(b, answer)
	if p.StatusCode != http.StatusOK || strings.Contains(p.text, "evil.example") || leads(p.text) != "/console/" {
		t.Fatalf("back: %d %s; want to be led to /console/ alone", p.StatusCode, p.text)
	}
	if p := b.get(server.URL + "/console/"); p.StatusCode != http.StatusOK || !strings.Contains(p.text, "id2") || !strings.Contains(p.text, "operator") {
		t.Errorf("home: %d %s", p.StatusCode, p.text)
	}

	was := newBrowser(t) // with the cookie of the session from before another log-in was begun
	was.client.Jar.SetCookies(u, b.client.Jar.Cookies(u))
	if p := was.get(server.URL + "/console/"); !strings.Contains(p.text, "id2") {
		t.Fatalf("the session in another browser = %d %s; want it open", p.StatusCode, p.text)
	}
	begin(b)
	if p := was.get(server.URL + "/console/"); strings.Contains(p.text, "id2") {
		t.Errorf("the session from before another log-in = %d; want it ended", p.StatusCode)
	}

	thief := newBrowser(t) // the same answer again
	if p := back(b, answer); p.StatusCode != http.StatusUnauthorized || !strings.Contains(p.text, "begun in this browser") {
		t.Errorf("the answer again: %d %s; want 401", p.StatusCode, p.text)
	}
	thief.client.Jar.SetCookies(u, attempt)
	if p := back(thief, answer); p.StatusCode != http.StatusUnauthorized || thief.session(server.URL) != nil {
		t.Errorf("the answer again, with the attempt's cookie: %d %s; want 401", p.StatusCode, p.text)
	}

	for name, change := range map[string]func(b browser, answer url.Values){
		"another state":         func(_ browser, a url.Values) { a.Set("state", asked.Query().Get("state")) },
		"no state":              func(_ browser, a url.Values) { a.Del("state") },
		"no code":               func(_ browser, a url.Values) { a.Del("code") },
		"another code":          func(_ browser, a url.Values) { a.Set("code", "x") },
		"another issuer":        func(_ browser, a url.Values) { a.Set("iss", "https://evil.example") },
		"a code of another one": func(_ browser, a url.Values) { c := newBrowser(t); a.Set("code", c.atProvider(begin(c)).Get("code")) },
		"another nonce":         func(browser, url.Values) {},
		"another browser": func(b browser, _ url.Values) {
			begin(b) // a new attempt takes the place of the cookie
		},
	} {
		b := newBrowser(t)
		where := begin(b)
		if name == "another nonce" {
			where = regexp.MustCompile(`nonce=[^&]+`).ReplaceAllString(where, "nonce=x")
		}
		answer := b.atProvider(where)
		change(b, answer)
		if p := back(b, answer); p.StatusCode != http.StatusUnauthorized || b.session(server.URL) != nil {
			t.Errorf("%s: %d %s; want 401", name, p.StatusCode, p.text)
		}
	}

	b = newBrowser(t)
	b.get(server.URL + "/console/login")
	if p := back(b, b.atProvider(begin(b))); p.StatusCode != http.StatusOK {
		t.Fatalf("log-in: %d %s", p.StatusCode, p.text)
	}
	p = b.do(http.MethodPost, server.URL+"/console/logout", url.Values{"csrf": {csrfOf(t, b.get(server.URL+"/console/"))}})
	if where := leads(p.text); !strings.HasPrefix(where, provider.URL+"/end_session?") || b.session(server.URL) != nil {
		t.Errorf("log-out leads to %q; want the provider's", where)
	}
	if p := b.get(leads(p.text)); p.StatusCode != http.StatusFound || p.Header.Get("Location") != server.URL+"/console/login" {
		t.Errorf("the provider's log-out: %d to %q; want to be led back", p.StatusCode, p.Header.Get("Location"))
	}
	a := vaulttest.Actor(record.RoleDPO)
	if _, err := h.Revoke(t.Context(), a, vault.NewRevocation{Subject: "id2", Reason: "left"}); err != nil {
		t.Fatal(err)
	}
	b = newBrowser(t)
	if p := back(b, b.atProvider(begin(b))); p.StatusCode != http.StatusUnauthorized || b.session(server.URL) != nil {
		t.Errorf("a revoked person logs in: %d %s; want 401", p.StatusCode, p.text)
	}
}
