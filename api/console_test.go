package api_test

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"medvault/api"
	"medvault/api/identity"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// twoConsoles are two gateways of one vault with consoles that take the tokens of people,
// and a clock.
type twoConsoles struct {
	one, two *httptest.Server
	vault    *vault.Vault
	tokens   map[record.Role]string
	log      *logged

	mu    sync.Mutex
	later time.Duration
}

func (g *twoConsoles) now() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return time.Now().Add(g.later)
}

func (g *twoConsoles) wait(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.later += d
}

func newConsoles(t *testing.T) *twoConsoles {
	t.Helper()
	g := &twoConsoles{tokens: make(map[record.Role]string), log: &logged{}}
	people := make(map[string]record.Actor)
	for _, role := range record.Roles() {
		g.tokens[role] = identity.NewToken()
		people[g.tokens[role]] = vaulttest.Actor(role)
	}
	auth, err := identity.NewStatic(people)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, into := range []**httptest.Server{&g.one, &g.two} {
		h := vaulttest.New(t, vaulttest.Options{Dir: dir, Now: g.now})
		g.vault = h.Vault
		*into = serveConsole(t, func(at string) api.Config {
			return api.Config{Vault: h.Vault, Auth: auth, PublicURL: at, Console: &api.Console{}, Log: slog.New(slog.NewJSONHandler(g.log, nil))}
		})
	}
	return g
}

// serveConsole serves a gateway that knows its own address.
func serveConsole(t *testing.T, config func(at string) api.Config) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.Start()
	t.Cleanup(server.Close)
	s, err := api.New(config(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = s.Handler()
	return server
}

// browser keeps cookies and follows nothing by itself.
type browser struct {
	t      *testing.T
	client *http.Client
}

func newBrowser(t *testing.T) browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return browser{t, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

type page struct {
	*http.Response
	text string
}

func (b browser) do(method, address string, form url.Values, headers ...string) page {
	b.t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{answer, string(text)}
}

func (b browser) get(address string, headers ...string) page {
	b.t.Helper()
	return b.do(http.MethodGet, address, nil, headers...)
}

// session is the session's cookie.
func (b browser) session(at string) *http.Cookie {
	b.t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.client.Jar.Cookies(u) {
		if c.Name == "medvault-console" {
			return c
		}
	}
	return nil
}

// login logs in with a token. Jars keep hosts apart, not ports: the other gateway is shown
// the same cookie.
func (b browser) login(at, token string) {
	b.t.Helper()
	if p := b.do(http.MethodPost, at+"/console/login", url.Values{"token": {token}}); p.StatusCode != http.StatusOK || b.session(at) == nil {
		b.t.Fatalf("log-in: %d %s", p.StatusCode, p.text)
	}
}

// leads is where a page goes on to by itself.
func leads(text string) string {
	found := regexp.MustCompile(`<meta http-equiv="refresh" content="0; url=([^"]+)">`).FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	return html.UnescapeString(found[1])
}

func csrfOf(t *testing.T, p page) string {
	t.Helper()
	found := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(p.text)
	if found == nil {
		t.Fatalf("no CSRF token on the page: %d %s", p.StatusCode, p.text)
	}
	return found[1]
}

func TestConsolePages(t *testing.T) {
	t.Parallel()
	g := newConsoles(t)
	for role, wants := range map[record.Role]map[string]string{
		record.RoleClinician: {"/console/": "clinician-1", "/console/studies": "Patient ID", "/console/sessions": "this session"},
		record.RoleOperator:  {"/console/": "operator-1", "/console/regions": "cn-north"},
		record.RoleAuditor:   {"/console/": "auditor-1", "/console/access-log": "Patient token"},
	} {
		b := newBrowser(t)
		b.login(g.one.URL, g.tokens[role])
		for path, want := range wants {
			p := b.get(g.one.URL + path)
			if p.StatusCode != http.StatusOK || !strings.Contains(p.text, want) {
				t.Errorf("%s %s: %d %s; want %q", role, path, p.StatusCode, p.text, want)
			}
			policy := p.Header.Get("Content-Security-Policy")
			for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self';"} {
				if !strings.Contains(policy, want) {
					t.Errorf("%s: policy %q; want %s", path, policy, want)
				}
			}
			if strings.Contains(policy, "unsafe") || strings.Contains(p.text, "<script") || strings.Contains(p.text, "style=") {
				t.Errorf("%s: something inline", path)
			}
			for name, want := range map[string]string{"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"} {
				if got := p.Header.Get(name); got != want {
					t.Errorf("%s: %s is %q; want %q", path, name, got, want)
				}
			}
			if chinese := b.get(g.one.URL+path, "Accept-Language", "zh-CN"); !strings.Contains(chinese.text, "退出") || chinese.Header.Get("Content-Language") != "zh" {
				t.Errorf("%s in Chinese: %s", path, chinese.text)
			}
		}
	}
	b := newBrowser(t)
	b.login(g.one.URL, g.tokens[record.RoleClinician])
	csrf := csrfOf(t, b.get(g.one.URL+"/console/"))
	const planted = "PLANTED-4711"
	if p := b.do(http.MethodPost, g.one.URL+"/console/studies", url.Values{"csrf": {csrf}, "patient": {planted}}); p.StatusCode != http.StatusOK {
		t.Errorf("search: %d %s", p.StatusCode, p.text)
	}
	if strings.Contains(g.log.text(), planted) || strings.Contains(g.log.text(), b.session(g.one.URL).Value) {
		t.Error("the request log holds what was searched for, or the session")
	}
	if p := b.get(g.one.URL + "/console/regions"); p.StatusCode != http.StatusForbidden || !strings.Contains(p.text, "<html") {
		t.Errorf("a page one may not see: %d %s; want 403", p.StatusCode, p.text)
	}
}

func TestConsoleSessionsAreBoundToTheirPages(t *testing.T) {
	t.Parallel()
	g := newConsoles(t)
	b := newBrowser(t)
	b.login(g.one.URL, g.tokens[record.RoleAdmin])
	csrf := csrfOf(t, b.get(g.one.URL+"/console/"))
	other := newBrowser(t)
	other.login(g.one.URL, g.tokens[record.RoleAdmin])
	foreign := csrfOf(t, other.get(g.one.URL+"/console/"))

	for name, row := range map[string]struct {
		method, path string
		headers      []string
		want         int
		code         string
	}{
		"reads the API":                 {"GET", "/api/v1/regions", nil, 200, ""},
		"reads from its own page":       {"GET", "/api/v1/regions", []string{"Sec-Fetch-Site", "same-origin"}, 200, ""},
		"reads from another site":       {"GET", "/api/v1/regions", []string{"Sec-Fetch-Site", "cross-site"}, 403, "cross-origin"},
		"reads from next door":          {"GET", "/api/v1/regions", []string{"Sec-Fetch-Site", "same-site"}, 403, "cross-origin"},
		"changes without a token":       {"POST", "/api/v1/keys/rotations", nil, 403, "csrf"},
		"with an empty token":           {"POST", "/api/v1/keys/rotations", []string{"X-CSRF-Token", ""}, 403, "csrf"},
		"with another session's token":  {"POST", "/api/v1/keys/rotations", []string{"X-CSRF-Token", foreign}, 403, "csrf"},
		"with the token, elsewhere":     {"POST", "/api/v1/keys/rotations", []string{"X-CSRF-Token", csrf, "Sec-Fetch-Site", "cross-site"}, 403, "cross-origin"},
		"with the token, other origin":  {"POST", "/api/v1/keys/rotations", []string{"X-CSRF-Token", csrf, "Origin", "https://evil.example"}, 403, "cross-origin"},
		"with a bearer token beside":    {"GET", "/api/v1/regions", []string{"Authorization", "Bearer " + g.tokens[record.RoleAdmin]}, 401, "token-ambiguous"},
		"with a wrong one beside":       {"GET", "/api/v1/regions", []string{"Authorization", "Bearer x"}, 401, "token-ambiguous"},
		"changes with the token":        {"POST", "/api/v1/keys/rotations", []string{"X-CSRF-Token", csrf, "Sec-Fetch-Site", "same-origin"}, 200, ""},
		"a form without a token":        {"POST", "/console/logout", nil, 403, "csrf"},
		"a form from elsewhere":         {"POST", "/console/logout", []string{"X-CSRF-Token", csrf, "Sec-Fetch-Site", "cross-site"}, 403, "cross-origin"},
		"a log-in form from elsewhere":  {"POST", "/console/login", []string{"Sec-Fetch-Site", "cross-site"}, 403, "cross-origin"},
		"a token to the API in a field": {"POST", "/api/v1/keys/rotations?csrf=" + csrf, nil, 403, "csrf"},
	} {
		p := b.do(row.method, g.one.URL+row.path, nil, row.headers...)
		if p.StatusCode/100 != row.want/100 || row.want >= 400 && p.StatusCode != row.want || !strings.Contains(p.text, row.code) {
			t.Errorf("%s: %d %s; want %d %s", name, p.StatusCode, p.text, row.want, row.code)
		}
	}
	if p := b.get(g.one.URL + "/console/"); p.StatusCode != http.StatusOK {
		t.Errorf("after what was forged: %d; want the session to live", p.StatusCode)
	}
}

func TestConsoleCookies(t *testing.T) {
	t.Parallel()
	h := vaulttest.New(t, vaulttest.Options{})
	b, provider := newBrowser(t), newProvider(t)
	s := provider.gateway(t, h.Vault, "https://vault.example")
	// A browser that comes over TLS, by a proxy in front.
	r := httptest.NewRequest(http.MethodPost, "/console/login", nil)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	attempt := w.Result().Cookies()
	if w.Code != http.StatusOK || len(attempt) != 1 {
		t.Fatalf("log-in: %d, cookies %v", w.Code, attempt)
	}
	if c := attempt[0]; c.Name != "__Host-medvault-login" || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 600 {
		t.Errorf("cookie of the attempt: %+v", c)
	}
	r = httptest.NewRequest(http.MethodGet, "/console/callback?"+b.atProvider(leads(w.Body.String())).Encode(), nil)
	r.AddCookie(attempt[0])
	w = httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	found := make(map[string]*http.Cookie)
	for _, c := range w.Result().Cookies() {
		found[c.Name] = c
	}
	if c := found["__Host-medvault"]; w.Code != http.StatusOK || c == nil || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode ||
		c.Path != "/" || c.Domain != "" || c.MaxAge != 0 || len(c.Value) < 43 {
		t.Errorf("session: %d, cookie %+v", w.Code, c)
	}
	if c := found["__Host-medvault-login"]; c == nil || c.MaxAge >= 0 {
		t.Errorf("the attempt's cookie is %+v; want it taken away", c)
	}
}

func TestConsoleSessionsEnd(t *testing.T) {
	t.Parallel()
	g := newConsoles(t)
	alive := func(b browser) bool {
		t.Helper()
		a, other := b.get(g.one.URL+"/api/v1/regions").StatusCode, b.get(g.two.URL+"/api/v1/regions").StatusCode
		if a != other || a != http.StatusOK && a != http.StatusUnauthorized {
			t.Errorf("one gateway answers %d, the other %d", a, other)
		}
		return a == http.StatusOK
	}
	in := func() browser {
		t.Helper()
		b := newBrowser(t)
		b.login(g.one.URL, g.tokens[record.RoleOperator])
		if !alive(b) {
			t.Fatal("a new session proves nobody")
		}
		return b
	}

	b := in()
	for range 4 { // used, it goes on
		g.wait(10 * time.Minute)
		if !alive(b) {
			t.Fatal("a session that is used ends")
		}
	}
	g.wait(15 * time.Minute)
	if alive(b) {
		t.Error("a session outlives 15 minutes without a request")
	}
	if p := b.get(g.one.URL + "/console/"); p.StatusCode != http.StatusSeeOther || p.Header.Get("Location") != "/console/login" || b.session(g.one.URL) != nil {
		t.Errorf("a page after that: %d to %q, cookie %v; want the log-in", p.StatusCode, p.Header.Get("Location"), b.session(g.one.URL))
	}

	b = in()
	for range 8 * 6 {
		g.wait(10 * time.Minute)
		b.get(g.two.URL + "/api/v1/regions")
	}
	if alive(b) {
		t.Error("a session outlives 8 hours")
	}

	b = in() // logged out in one gateway, it is over in the other
	kept := b.session(g.one.URL)
	if p := b.do(http.MethodPost, g.two.URL+"/console/logout", url.Values{"csrf": {csrfOf(t, b.get(g.two.URL+"/console/"))}}); p.StatusCode != http.StatusSeeOther || b.session(g.one.URL) != nil {
		t.Errorf("log-out: %d %s", p.StatusCode, p.text)
	}
	if p := newBrowser(t).get(g.one.URL+"/api/v1/regions", "Cookie", kept.Name+"="+kept.Value); p.StatusCode != http.StatusUnauthorized || !strings.Contains(p.text, "session-ended") {
		t.Errorf("the cookie after log-out: %d %s; want 401 session-ended", p.StatusCode, p.text)
	}

	b, other := in(), in() // one ends the other
	p := other.get(g.one.URL + "/console/sessions")
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(p.text)
	if id == nil {
		t.Fatalf("sessions: %s", p.text)
	}
	stranger := newBrowser(t)
	stranger.login(g.one.URL, g.tokens[record.RoleAuditor])
	if p := stranger.do(http.MethodPost, g.one.URL+"/console/sessions/end", url.Values{"csrf": {csrfOf(t, stranger.get(g.one.URL+"/console/"))}, "id": id[1:]}); p.StatusCode != http.StatusNotFound || !alive(b) {
		t.Errorf("somebody else ends a session: %d %s; want 404", p.StatusCode, p.text)
	}
	if p := other.do(http.MethodPost, g.one.URL+"/console/sessions/end", url.Values{"csrf": {csrfOf(t, p)}, "id": id[1:]}); p.StatusCode != http.StatusSeeOther || alive(b) || !alive(other) {
		t.Errorf("end of another session: %d; it lives: %v, this one lives: %v", p.StatusCode, alive(b), alive(other))
	}

	for name, revoke := range map[string]func(session string) vault.NewRevocation{
		"person":     func(string) vault.NewRevocation { return vault.NewRevocation{Subject: "operator-1"} },
		"session":    func(id string) vault.NewRevocation { return vault.NewRevocation{Credential: "session:" + id} },
		"credential": func(string) vault.NewRevocation { return vault.NewRevocation{Credential: g.credential(t)} },
	} {
		b := in()
		list, err := g.vault.OwnSessions(t.Context(), vaulttest.Actor(record.RoleOperator), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		n := revoke(string(list[0].ID))
		n.Reason = "lost"
		made, err := g.vault.Revoke(t.Context(), vaulttest.Actor(record.RoleDPO), n)
		if err != nil {
			t.Fatal(err)
		}
		if alive(b) {
			t.Errorf("%s revoked: the session lives", name)
		}
		if err := g.vault.Reinstate(t.Context(), vaulttest.Actor(record.RoleDPO), made.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// credential is how the log names the operator's token.
func (g *twoConsoles) credential(t *testing.T) string {
	t.Helper()
	auth, err := identity.NewStatic(map[string]record.Actor{g.tokens[record.RoleOperator]: vaulttest.Actor(record.RoleOperator)})
	if err != nil {
		t.Fatal(err)
	}
	a, err := auth.Authenticate(context.Background(), g.tokens[record.RoleOperator])
	if err != nil {
		t.Fatal(err)
	}
	return a.Credentials
}

func TestConsoleSessionsAreNotFixed(t *testing.T) {
	t.Parallel()
	g := newConsoles(t)
	b := newBrowser(t)
	b.login(g.one.URL, g.tokens[record.RoleOperator])
	before := b.session(g.one.URL)
	b.login(g.one.URL, g.tokens[record.RoleAuditor])
	after := b.session(g.one.URL)
	if before.Value == after.Value {
		t.Error("a log-in keeps the session's secret")
	}
	if p := newBrowser(t).get(g.one.URL+"/api/v1/regions", "Cookie", before.Name+"="+before.Value); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("the session from before: %d; want 401", p.StatusCode)
	}
	planted := "mvs_" + strings.Repeat("A", 43)
	p := newBrowser(t).do(http.MethodPost, g.one.URL+"/console/login", url.Values{"token": {g.tokens[record.RoleOperator]}}, "Cookie", before.Name+"="+planted)
	if p.StatusCode != http.StatusOK || strings.Contains(p.Header.Get("Set-Cookie"), planted) {
		t.Errorf("log-in with a planted session: %d, %s", p.StatusCode, p.Header.Get("Set-Cookie"))
	}
	for name, cookie := range map[string]string{
		"a planted session":           before.Name + "=" + planted,
		"two sessions":                after.Name + "=" + after.Value + "; " + after.Name + "=" + planted,
		"an API token":                before.Name + "=mvt_" + strings.Repeat("A", 43),
		"a person's token":            before.Name + "=" + g.tokens[record.RoleOperator],
		"a session of another length": before.Name + "=" + after.Value[:40],
	} {
		if p := newBrowser(t).get(g.one.URL+"/api/v1/regions", "Cookie", cookie); p.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d; want 401", name, p.StatusCode)
		}
	}
	if p := newBrowser(t).get(g.one.URL+"/api/v1/regions", "Authorization", "Bearer "+after.Value); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("a session as a bearer token: %d; want 401", p.StatusCode)
	}
	if p := newBrowser(t).do(http.MethodPost, g.one.URL+"/console/login", url.Values{"token": {"x"}}); p.StatusCode != http.StatusUnauthorized || p.Header.Get("Set-Cookie") != "" && strings.Contains(p.Header.Get("Set-Cookie"), "mvs_") {
		t.Errorf("a wrong token: %d %s", p.StatusCode, p.Header.Get("Set-Cookie"))
	}
}
