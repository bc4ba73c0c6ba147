package api_test

import (
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"medvault/api"
	"medvault/vault"
	"medvault/vault/record"
	"medvault/vault/vaulttest"
)

// from asks from an address.
func (g gateway) from(address, forwarded, auth string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/whoami/x", nil)
	r.RemoteAddr = address
	if forwarded != "" {
		r.Header.Set("X-Forwarded-For", forwarded)
	}
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, r)
	return w
}

func TestWhoGuessesTokensIsLockedOut(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *api.Config) { c.Limits = api.Limits{Failures: 5, Lockout: time.Hour} })
	const guesser, neighbour = "192.0.2.1:4000", "192.0.2.2:4000"
	if w := g.from(guesser, "", g.bearer()); w.Code != 200 {
		t.Fatalf("before: %d", w.Code)
	}
	for i := range 6 {
		if w := g.from(guesser, "", "Bearer guess"+strconv.Itoa(i)); w.Code != 401 {
			t.Errorf("guess %d: %d; want 401", i, w.Code)
		}
	}
	for i := range 3 {
		w := g.from(guesser, "", "Bearer another"+strconv.Itoa(i))
		if wait, err := strconv.Atoi(w.Header().Get("Retry-After")); w.Code != 429 || err != nil || wait < 3500 || wait > 3600 {
			t.Errorf("locked out: %d, Retry-After %q; want 429 and an hour", w.Code, w.Header().Get("Retry-After"))
		}
	}
	if w := g.from(guesser, "", g.bearer()); w.Code != 200 {
		t.Errorf("who had proven who they are behind the same address: %d; want 200", w.Code)
	}
	if w := g.from(neighbour, "", "Bearer guess"); w.Code != 401 {
		t.Errorf("another address: %d; want 401", w.Code)
	}
	want := []string{"  token-unknown", "  locked-out"}
	if !slices.Equal(g.refused.list, want) {
		t.Errorf("leaves %q; want %q: one a minute", g.refused.list, want)
	}
	if !strings.Contains(g.log.text(), `"address":"192.0.2.1"`) {
		t.Error("the request log does not say where the guesses came from")
	}
}

// The same bad credential from everywhere is one credential.
func TestACredentialIsLockedOutEverywhere(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *api.Config) { c.Limits = api.Limits{Failures: 5} })
	for i := range 6 {
		g.from("192.0.2."+strconv.Itoa(i)+":1", "", "Bearer stolen")
	}
	if w := g.from("192.0.2.99:1", "", "Bearer stolen"); w.Code != 429 {
		t.Errorf("from one more address: %d; want 429", w.Code)
	}
	for range 10 {
		if w := g.from("192.0.2.98:1", "", ""); w.Code != 401 {
			t.Errorf("nothing shown, nothing tried: %d; want 401", w.Code)
		}
	}
}

func TestForwardedAddressesAreBelievedFromProxiesOnly(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("fd00::/8")}
	for _, row := range []struct {
		name, peer, forwarded string
		locked, free          string // what a second request with this header meets
	}{
		{"no proxy: the header is nobody's", "192.0.2.1:1", "198.51.100.1", "198.51.100.2", ""},
		{"a proxy: the client it names", "10.0.0.7:1", "198.51.100.1", "198.51.100.1", "198.51.100.2"},
		{"what the client wrote itself stands further left", "10.0.0.7:1", "203.0.113.9, 198.51.100.1", "203.0.113.10, 198.51.100.1", "203.0.113.9, 198.51.100.2"},
		{"two proxies", "10.0.0.7:1", "198.51.100.1, 10.0.0.8", "198.51.100.1, 10.0.0.9", "198.51.100.2, 10.0.0.8"},
		{"rubbish is the proxy itself", "10.0.0.7:1", "not an address", "neither is this", "198.51.100.2"},
		{"a network of IPv6 is one", "[fd00::1]:1", "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"},
	} {
		g := newGateway(t, func(c *api.Config) { c.Limits = api.Limits{Failures: 3, Proxies: proxies} })
		for i := range 4 {
			g.from(row.peer, row.forwarded, "Bearer guess"+strconv.Itoa(i))
		}
		if w := g.from(row.peer, row.locked, "Bearer other"); w.Code != 429 {
			t.Errorf("%s: %d for %s; want 429", row.name, w.Code, row.locked)
		}
		if row.free != "" {
			if w := g.from(row.peer, row.free, "Bearer one more"); w.Code != 401 {
				t.Errorf("%s: %d for %s; want 401", row.name, w.Code, row.free)
			}
		}
	}
}

// Who asks for one id after the other to see which there are is stopped; others work on.
func TestWhoTriesIDsIsLockedOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, vaulttest.Options{}, func(c *api.Config) { c.Limits = api.Limits{Denials: 10} })
	there, _ := h.stored(t)
	token := h.tokens[record.RoleOperator]
	for i := range 11 {
		id := string(record.NewObjectID())
		if i%2 == 0 {
			id = there["id"]
		}
		if w := h.ask("GET", "/api/v1/documents/"+id, token, ""); w.Code != 404 {
			t.Fatalf("try %d: %d; want 404", i, w.Code)
		}
	}
	if w := h.ask("GET", "/api/v1/regions", token, ""); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("after eleven: %d; want 429", w.Code)
	}
	if w := h.ask("GET", "/api/v1/regions", h.tokens[record.RoleAdmin], ""); w.Code != 200 {
		t.Errorf("another person: %d; want 200", w.Code)
	}
	leaves, err := h.vault.AuditVerify(t.Context(), vaulttest.Actor(record.RoleAuditor))
	if err != nil || !leaves.Intact || leaves.Size < 13 {
		t.Errorf("the log: %+v, %v; want a leaf for each try", leaves, err)
	}
}

// Through the door: a revocation and a token that is taken away act on the next request.
func TestRevocationsAtTheDoor(t *testing.T) {
	t.Parallel()
	h := newHouse(t, vaulttest.Options{}, nil)
	admin, dpo := h.tokens[record.RoleAdmin], h.tokens[record.RoleDPO]
	made := h.ask("POST", "/api/v1/tokens", admin, `{"subject":"service:monitor","role":"operator","scopes":["system/Endpoint.r"],"expiresDays":30}`)
	if made.Code != 201 {
		t.Fatalf("make a token: %d %s", made.Code, made.Body)
	}
	secret := made.Body.String()[strings.Index(made.Body.String(), vault.APITokenPrefix):][:len(vault.APITokenPrefix)+43]
	if w := h.ask("GET", "/api/v1/regions", secret, ""); w.Code != 200 {
		t.Errorf("with its scope: %d %s; want 200", w.Code, w.Body)
	}
	if w := h.ask("GET", "/api/v1/verifications", secret, ""); w.Code == 401 || w.Code == 500 {
		t.Errorf("another list: %d %s", w.Code, w.Body)
	}
	if w := h.ask("POST", "/api/v1/regions/cn-north/orders", secret, `{"order":"freeze"}`); w.Code != 403 || !strings.Contains(w.Body.String(), "scope-not-granted") {
		t.Errorf("beyond its scope: %d %s; want 403 scope-not-granted", w.Code, w.Body)
	}
	for _, list := range []string{"/api/v1/tokens", "/api/v1/revocations"} {
		if w := h.ask("GET", list, dpo, ""); w.Code != 200 || strings.Contains(w.Body.String(), secret) {
			t.Errorf("GET %s: %d %s", list, w.Code, w.Body)
		}
	}
	if w := h.ask("DELETE", made.Header().Get("Location"), dpo, ""); w.Code != 204 {
		t.Errorf("revoke the token: %d %s", w.Code, w.Body)
	}
	if w := h.ask("GET", "/api/v1/regions", secret, ""); w.Code != 401 || !strings.Contains(w.Body.String(), "credential-revoked") {
		t.Errorf("a revoked token: %d %s; want 401", w.Code, w.Body)
	}
	operator := h.tokens[record.RoleOperator]
	w := h.ask("POST", "/api/v1/revocations", dpo, `{"subject":"operator-1","reason":"left"}`)
	if w.Code != 201 {
		t.Fatalf("revoke: %d %s", w.Code, w.Body)
	}
	if got := h.ask("GET", "/api/v1/openapi.json", operator, ""); got.Code != 401 {
		t.Errorf("a revoked person, at what needs no permission: %d; want 401", got.Code)
	}
	if got := h.ask("DELETE", w.Header().Get("Location"), admin, ""); got.Code != 204 {
		t.Errorf("lift: %d %s", got.Code, got.Body)
	}
	if got := h.ask("GET", "/api/v1/regions", operator, ""); got.Code != 200 {
		t.Errorf("reinstated: %d %s; want 200", got.Code, got.Body)
	}
}

// What is not there and what may not be known take about as long: run it and look.
//
//	go test ./api -run - -bench Denial -benchtime 300x
func BenchmarkDenial(b *testing.B) {
	h := newHouse(b, vaulttest.Options{}, nil)
	there, absent := h.stored(b)
	for _, route := range []string{"/api/v1/documents/:id", "/api/v1/patients/:token/care-team", "/dicomweb/studies/:study", "/api/v1/attestations/:object"} {
		for name, names := range map[string]map[string]string{"there": there, "absent": absent} {
			b.Run(strings.ReplaceAll(route[1:], "/", "_")+"/"+name, func(b *testing.B) {
				var took []time.Duration
				for b.Loop() {
					began := time.Now()
					if w := h.ask("GET", fill(route, names), h.tokens[record.RoleRadiology], ""); w.Code != 404 {
						b.Fatalf("%d; want 404", w.Code)
					}
					took = append(took, time.Since(began))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "median-µs")
			})
		}
	}
}
