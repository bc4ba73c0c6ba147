package api_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"medvault/api"
	"medvault/api/answer"
	"medvault/api/identity"
	"medvault/api/transport"
	"medvault/vault"
	"medvault/vault/record"
)

// logged collects the log.
type logged struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(b)
}

func (l *logged) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.String()
}

// gateway is a server with a few routes of its own behind authentication.
type gateway struct {
	*api.Server
	token   string
	log     *logged
	refused *refusals
}

// refusals are the leaves that were left for callers turned away.
type refusals struct {
	mu   sync.Mutex
	list []string // actor, role and reason
	fail error
}

func (r *refusals) add(_ context.Context, who record.Actor, reason string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	r.list = append(r.list, who.ID+" "+string(who.Role)+" "+reason)
	return nil
}

const planted = "PLANTED-PATIENT-4711"

func newGateway(t *testing.T, change func(*api.Config)) gateway {
	t.Helper()
	token := identity.NewToken()
	auth, err := identity.NewStatic(map[string]record.Actor{token: identity.DevActor(record.RoleClinician)})
	if err != nil {
		t.Fatal(err)
	}
	g := gateway{token: token, log: &logged{}, refused: &refusals{}}
	cfg := api.Config{
		Vault: &vault.Vault{}, Auth: auth, PublicURL: "http://127.0.0.1:8042",
		Log:     slog.New(slog.NewJSONHandler(g.log, nil)),
		Ready:   func(context.Context) (bool, []string) { return true, nil },
		Refused: g.refused.add,
		Admit:   func(context.Context, record.Actor) error { return nil },
		Recognize: func(_ context.Context, a record.Actor) (record.Actor, []string, error) {
			return a, nil, nil
		},
		Mount: func(r gin.IRouter) {
			r.GET("/whoami/:patient", func(c *gin.Context) { answer.JSON(c, 200, answer.Actor(c)) })
			r.GET("/panic", func(*gin.Context) { panic("key of " + planted) })
			r.GET("/half/:how", func(c *gin.Context) {
				c.Status(200)
				io.WriteString(c.Writer, "half a body")
				c.Writer.Flush()
				switch c.Param("how") {
				case "error":
					answer.Error(c, record.ErrTampered)
				case "panic":
					panic(errors.New(planted))
				case "abort":
					panic(http.ErrAbortHandler)
				}
			})
			r.GET("/broken", func(c *gin.Context) { answer.Error(c, errors.New("region cn-north: connection refused")) })
		},
	}
	if change != nil {
		change(&cfg)
	}
	if g.Server, err = api.New(cfg); err != nil {
		t.Fatal(err)
	}
	return g
}

// do asks without a network.
func (g gateway) do(method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, r)
	return w
}

func (g gateway) bearer() string { return "Bearer " + g.token }

func TestAuthenticationStandsBeforeEveryFace(t *testing.T) {
	g := newGateway(t, nil)
	for _, path := range []string{"/dicomweb/studies", "/dicomweb/studies/1.2.3", "/api/v1/documents/x", "/api/v1/regions",
		"/api/v1/patients/x/care-team", "/api/v1/audit/verify", "/whoami/x"} {
		for _, auth := range []string{"", "Bearer wrong", "Basic eDp5"} {
			w := g.do("GET", path, "Authorization", auth)
			if w.Code != 401 || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer ") {
				t.Errorf("GET %s with %q: %d %q; want 401 and a challenge", path, auth, w.Code, w.Header().Get("WWW-Authenticate"))
			}
		}
	}
	var a record.Actor
	w := g.do("GET", "/whoami/x", "Authorization", g.bearer(), "Purpose-Of-Use", "HQUALIMP")
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || a.Role != record.RoleClinician || a.Purpose != record.PurposeQuality {
		t.Errorf("actor is %+v, %v", a, err)
	}
	if w := g.do("GET", "/whoami/x", "Authorization", g.bearer(), "Purpose-Of-Use", "FUN"); w.Code != 400 {
		t.Errorf("unknown purpose: %d; want 400", w.Code)
	}
	if w := g.do("GET", "/nowhere"); w.Code != 404 {
		t.Errorf("no such address: %d", w.Code)
	}
	if w := g.do("DELETE", "/healthz"); w.Code != 405 {
		t.Errorf("no such method: %d", w.Code)
	}
}

func TestOneLogLineWithoutThePatient(t *testing.T) {
	g := newGateway(t, nil)
	id := uuid.NewString()
	for _, path := range []string{"/whoami/" + planted + "?PatientName=" + planted, "/panic", "/broken", "/" + planted} {
		before := len(g.log.text())
		w := g.do("GET", path, "Authorization", g.bearer(), "X-Request-Id", id, "Referer", "https://x/"+planted, "User-Agent", planted)
		if got := w.Header().Get("X-Request-Id"); got != id {
			t.Errorf("%s: request id %q; want %q", path, got, id)
		}
		lines := strings.Split(strings.TrimSpace(g.log.text()[before:]), "\n")
		requests := 0
		for _, line := range lines {
			var l map[string]any
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(err)
			}
			if l["request"] != id {
				t.Errorf("%s: line without the request id: %s", path, line)
			}
			if l["msg"] == "request" {
				requests++
				if int(l["status"].(float64)) != w.Code || int(l["bytes"].(float64)) != w.Body.Len() || l["route"] == "" {
					t.Errorf("%s: %s; want status %d and %d bytes", path, line, w.Code, w.Body.Len())
				}
			}
		}
		if requests != 1 {
			t.Errorf("%s: %d request lines; want 1", path, requests)
		}
	}
	text := g.log.text()
	if strings.Contains(text, planted) || strings.Contains(text, g.token) {
		t.Errorf("the log tells a patient or a token:\n%s", text)
	}
	for _, want := range []string{`"/whoami/:patient"`, `"unmatched"`, `"dev-clinician"`, "connection refused", "newGateway"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %s:\n%s", want, text)
		}
	}
	for _, sent := range []string{"", "4711", planted, strings.Repeat("9", 18), "{" + id + "}"} {
		w := g.do("GET", "/healthz", "X-Request-Id", sent)
		if got := w.Header().Get("X-Request-Id"); got == sent || uuid.Validate(got) != nil {
			t.Errorf("request id %q became %q; want a fresh one", sent, got)
		}
	}
}

func TestAPanicIsAnswered(t *testing.T) {
	g := newGateway(t, nil)
	w := g.do("GET", "/panic", "Authorization", g.bearer())
	if w.Code != 500 || !strings.Contains(w.Body.String(), `"internal"`) || strings.Contains(w.Body.String(), planted) {
		t.Errorf("a panic answered %d %s", w.Code, w.Body)
	}
}

// listening serves g on loopback until the test or stop ends it.
func (g gateway) listening(t *testing.T) (addr string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, l) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { stop() })
	return l.Addr().String(), stop
}

func TestHalfABodyNeverLooksWhole(t *testing.T) {
	g := newGateway(t, nil)
	addr, _ := g.listening(t)
	for _, how := range []string{"error", "panic", "abort"} {
		r, err := http.NewRequest("GET", "http://"+addr+"/half/"+how, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", g.bearer())
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(w.Body)
		w.Body.Close()
		if err == nil {
			t.Errorf("%s: the body ended cleanly after %q", how, body)
		}
	}
	if text := g.log.text(); strings.Count(text, `"broken":true`) != 3 || strings.Contains(text, planted) {
		t.Errorf("log of three broken answers:\n%s", text)
	}
}

func TestShutdownFinishesWhatItAccepted(t *testing.T) {
	started, done := make(chan bool), make(chan bool)
	g := newGateway(t, func(c *api.Config) {
		c.Mount = func(r gin.IRouter) {
			r.POST("/slow", func(c *gin.Context) {
				close(started)
				body, err := io.ReadAll(c.Request.Body)
				if err != nil || c.Request.Context().Err() != nil {
					answer.Error(c, errors.Join(err, c.Request.Context().Err()))
					return
				}
				answer.JSON(c, 200, len(body))
			})
		}
	})
	addr, stop := g.listening(t)
	body, pen := io.Pipe()
	r, err := http.NewRequest("POST", "http://"+addr+"/slow", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", g.bearer())
	go func() {
		defer close(done)
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Errorf("the accepted upload was cut: %v", err)
			return
		}
		defer w.Body.Close()
		if text, err := io.ReadAll(w.Body); err != nil || w.StatusCode != 200 || string(text) != "10" {
			t.Errorf("the accepted upload: %d %s, %v; want 200 10", w.StatusCode, text, err)
		}
	}()
	io.WriteString(pen, "01234")
	<-started
	stopped := make(chan error)
	go func() { stopped <- stop() }()
	for { // until the gateway takes nothing new
		c, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		c.Close()
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-stopped:
		t.Errorf("Serve returned before the upload had ended: %v", err)
	default:
	}
	if w := g.do("GET", "/readyz"); w.Code != 503 || !strings.Contains(w.Body.String(), "shutting down") {
		t.Errorf("readyz while shutting down: %d %s", w.Code, w.Body)
	}
	io.WriteString(pen, "56789")
	pen.Close()
	<-done
	if err := <-stopped; err != nil {
		t.Errorf("Serve = %v; want a clean end", err)
	}
}

func TestShutdownIsBounded(t *testing.T) {
	var unwound bool
	started := make(chan bool)
	g := newGateway(t, func(c *api.Config) {
		c.Grace = 50 * time.Millisecond
		c.Mount = func(r gin.IRouter) {
			r.GET("/forever", func(c *gin.Context) {
				close(started)
				<-c.Request.Context().Done()
				time.Sleep(20 * time.Millisecond)
				unwound = true
			})
		}
	})
	addr, stop := g.listening(t)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET /forever HTTP/1.1\r\nHost: x\r\nAuthorization: "+g.bearer()+"\r\n\r\n")
	<-started
	if err := stop(); err == nil || !strings.Contains(err.Error(), "1 requests were still running") {
		t.Errorf("Serve = %v; want an error that counts what was cut", err)
	}
	if !unwound {
		t.Error("Serve returned while the handler was still using what its caller closes next")
	}
	if _, err := bufio.NewReader(c).ReadString('\n'); err == nil {
		t.Error("the cut request got an answer")
	}
}

func TestInClearOnLoopbackOnly(t *testing.T) {
	g := newGateway(t, nil)
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Serve(context.Background(), l); err == nil || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("Serve = %v; want refused", err)
	}
	if _, err := l.Accept(); err == nil {
		t.Error("the refused listener still listens")
	}
}

func TestServeUnderBothProfiles(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	for _, row := range []struct {
		profile transport.Profile
		version uint16
		proto   string
	}{{transport.AES256, tls.VersionTLS12, "HTTP/1.1"}, {transport.Modern, tls.VersionTLS13, "HTTP/2.0"}} {
		g := newGateway(t, func(c *api.Config) {
			c.TLS = row.profile.Server(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
		})
		addr, stop := g.listening(t)
		w, err := row.profile.HTTPClient(roots).Get("https://" + addr + "/healthz")
		if err != nil {
			t.Fatalf("%s: %v", row.profile, err)
		}
		w.Body.Close()
		if w.TLS.Version != row.version || w.Proto != row.proto || w.Header.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s: %s over %s", row.profile, w.Proto, tls.VersionName(w.TLS.Version))
		}
		if row.profile == transport.AES256 && w.TLS.CipherSuite != tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 {
			t.Errorf("%s: %s", row.profile, tls.CipherSuiteName(w.TLS.CipherSuite))
		}
		if w, err := http.Get("http://" + addr + "/healthz"); err == nil {
			w.Body.Close()
			if w.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: plain HTTP was answered with %d", row.profile, w.StatusCode)
			}
		}
		if err := stop(); err != nil {
			t.Errorf("%s: Serve = %v", row.profile, err)
		}
	}
}

func TestReadyNamesWhatIsMissing(t *testing.T) {
	missing := []string{"region cn-east: unreachable", "key service transit-north: sealed"}
	asked := 0
	g := newGateway(t, func(c *api.Config) {
		c.Ready = func(context.Context) (bool, []string) { asked++; return false, missing }
	})
	for range 3 {
		w := g.do("GET", "/readyz")
		if want := `{"ready":false,"missing":["region cn-east: unreachable","key service transit-north: sealed"]}`; w.Code != 503 || w.Body.String() != want || w.Header().Get("Retry-After") == "" {
			t.Errorf("readyz: %d %s; want 503 %s", w.Code, w.Body, want)
		}
	}
	if asked != 1 {
		t.Errorf("the vault was asked %d times within a second; want once", asked)
	}
	if w := g.do("GET", "/healthz"); w.Code != 200 {
		t.Errorf("healthz: %d; the process lives", w.Code)
	}
	degraded := newGateway(t, func(c *api.Config) {
		c.Ready = func(context.Context) (bool, []string) { return true, missing[:1] }
	})
	if w := degraded.do("GET", "/readyz"); w.Code != 200 || w.Body.String() != `{"ready":true,"missing":["region cn-east: unreachable"]}` {
		t.Errorf("readyz with enough regions: %d %s", w.Code, w.Body)
	}
	if w := newGateway(t, nil).do("GET", "/readyz"); w.Code != 200 || w.Body.String() != `{"ready":true}` {
		t.Errorf("readyz: %d %s", w.Code, w.Body)
	}
}

func TestMetricsCountByRoute(t *testing.T) {
	g := newGateway(t, nil)
	g.do("GET", "/whoami/"+planted, "Authorization", g.bearer())
	g.do("GET", "/whoami/"+planted)
	g.do(planted, "/"+planted)
	text := g.do("GET", "/metrics").Body.String()
	for _, want := range []string{
		`medvault_http_requests_total{method="GET",route="/whoami/:patient",status="200"} 1`,
		`medvault_http_requests_total{method="GET",route="/whoami/:patient",status="401"} 1`,
		`medvault_http_requests_total{method="other",route="unmatched",status="404"} 1`,
		`medvault_http_request_duration_seconds_count{method="GET",route="/whoami/:patient"} 2`,
		"go_goroutines",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(text, planted) {
		t.Error("metrics tell a patient")
	}
}

func TestCORS(t *testing.T) {
	const viewer = "https://viewer.example"
	preflight := []string{"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization"}
	closed := newGateway(t, nil)
	if w := closed.do("OPTIONS", "/dicomweb/studies", append(preflight, "Origin", viewer)...); w.Header().Get("Access-Control-Allow-Origin") != "" || w.Code < 400 {
		t.Errorf("no origin is configured, and yet %d %v", w.Code, w.Header())
	}
	g := newGateway(t, func(c *api.Config) { c.Origins = []string{viewer} })
	w := g.do("OPTIONS", "/dicomweb/studies/1.2.3/series", append(preflight, "Origin", viewer)...)
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != viewer {
		t.Errorf("preflight: %d %v", w.Code, w.Header())
	}
	for _, name := range []string{"Authorization", "Accept", "Content-Type", "Purpose-Of-Use", "Reason"} {
		if !strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), name) {
			t.Errorf("preflight does not allow %s", name)
		}
	}
	w = g.do("GET", "/whoami/x", "Authorization", g.bearer(), "Origin", viewer)
	for _, name := range []string{"Warning", "ETag", "Content-Location"} {
		if !strings.Contains(w.Header().Get("Access-Control-Expose-Headers"), name) {
			t.Errorf("answers do not expose %s", name)
		}
	}
	w = g.do("OPTIONS", "/dicomweb/studies", append(preflight, "Origin", "https://evil.example")...)
	if w.Header().Get("Access-Control-Allow-Origin") != "" || w.Header().Get("Vary") != "Origin" {
		t.Errorf("another origin: %v", w.Header())
	}
}

func TestNewChecks(t *testing.T) {
	good := api.Config{Vault: &vault.Vault{}, Auth: &identity.Static{}, PublicURL: "https://vault.example", Log: slog.New(slog.DiscardHandler)}
	if _, err := api.New(good); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*api.Config){
		"Vault":            func(c *api.Config) { c.Vault = nil },
		"Auth":             func(c *api.Config) { c.Auth = nil },
		"Log":              func(c *api.Config) { c.Log = nil },
		"PublicURL":        func(c *api.Config) { c.PublicURL = "" },
		"plain http":       func(c *api.Config) { c.PublicURL = "http://vault.example" },
		"Origins":          func(c *api.Config) { c.Origins = []string{"*"} },
		"and nothing more": func(c *api.Config) { c.Origins = []string{"https://viewer.example/"} },
	} {
		bad := good
		change(&bad)
		if _, err := api.New(bad); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("New = %v; want an error that says %s", err, says)
		}
	}
}
