package identity_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"medvault/api/answer"
	"medvault/api/identity"
	"medvault/vault/record"
)

// issuer is a minimal OpenID Connect issuer: discovery, JWKS and a pen.
type issuer struct {
	*httptest.Server
	mu   sync.Mutex
	keys jose.JSONWebKeySet // public, as served
	down bool               // the JWKS answers 500
	asks int                // times the JWKS was fetched
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys",
			"authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token",
			// An issuer that offers weakness is not followed there.
			"id_token_signing_alg_values_supported": []string{"none", "HS256", "ES256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.asks++
		if i.down {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		json.NewEncoder(w).Encode(i.keys)
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

// pen signs tokens with one key.
type pen struct {
	kid string
	key *ecdsa.PrivateKey
}

func newPen(t *testing.T, kid string) pen {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pen{kid, key}
}

// publish replaces the served keys.
func (i *issuer) publish(pens ...pen) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys.Keys = nil
	for _, p := range pens {
		i.keys.Keys = append(i.keys.Keys, jose.JSONWebKey{Key: &p.key.PublicKey, KeyID: p.kid, Algorithm: "ES256", Use: "sig"})
	}
}

func (p pen) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: p.kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// claims of a clinician whose token is good now; changes set or, with nil, remove.
func (i *issuer) claims(changes map[string]any) map[string]any {
	c := map[string]any{"iss": i.URL, "aud": "medvault", "sub": "u-1", "iat": time.Now().Unix(),
		"exp": time.Now().Add(time.Hour).Unix(), "role": "clinician", "institution": "ward-3", "country": "CN"}
	for k, v := range changes {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

func (i *issuer) open(t *testing.T, change func(*identity.OIDCConfig)) *identity.OIDC {
	t.Helper()
	cfg := identity.OIDCConfig{Issuer: i.URL, Audience: "medvault", PatientIssuer: "hospital-a"}
	if change != nil {
		change(&cfg)
	}
	o, err := identity.NewOIDC(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOIDCTokens(t *testing.T) {
	i := newIssuer(t)
	p, stranger := newPen(t, "k1"), newPen(t, "k1")
	i.publish(p)
	o := i.open(t, nil)
	now := time.Now()
	good := p.sign(t, i.claims(nil))
	part := strings.Split(good, ".")
	enc := base64.RawURLEncoding.EncodeToString
	payload, err := json.Marshal(i.claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	admin, err := json.Marshal(i.claims(map[string]any{"role": "admin"}))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := p.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: raw}, nil)
	if err != nil {
		t.Fatal(err)
	}
	confused, err := jwt.Signed(secret).Claims(i.claims(nil)).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	signed := func(changes map[string]any) string { return p.sign(t, i.claims(changes)) }
	for _, row := range []struct {
		name, token string
		status      int
		code        string
	}{
		{"good", good, 200, ""},
		{"audience among several", signed(map[string]any{"aud": []string{"other", "medvault"}}), 200, ""},
		{"expired within the skew", signed(map[string]any{"exp": now.Add(-10 * time.Second).Unix()}), 200, ""},
		{"issued by a clock ahead within the skew", signed(map[string]any{"iat": now.Add(10 * time.Second).Unix()}), 200, ""},
		{"expired", signed(map[string]any{"exp": now.Add(-2 * time.Minute).Unix()}), 401, "token-expired"},
		{"no expiry", signed(map[string]any{"exp": nil}), 401, "token-expired"},
		{"not yet", signed(map[string]any{"nbf": now.Add(2 * time.Minute).Unix()}), 401, "token-early"},
		{"from the future", signed(map[string]any{"iat": now.Add(2 * time.Minute).Unix()}), 401, "token-early"},
		{"wrong audience", signed(map[string]any{"aud": "other"}), 401, "token-invalid"},
		{"no audience", signed(map[string]any{"aud": nil}), 401, "token-invalid"},
		{"wrong issuer", signed(map[string]any{"iss": "https://elsewhere.example"}), 401, "token-invalid"},
		{"no subject", signed(map[string]any{"sub": nil}), 401, "token-invalid"},
		{"another's key under the same name", stranger.sign(t, i.claims(nil)), 401, "token-invalid"},
		{"tampered payload", part[0] + "." + enc(admin) + "." + part[2], 401, "token-invalid"},
		{"cut signature", good[:len(good)-4], 401, "token-invalid"},
		{"no signature", part[0] + "." + part[1] + ".", 401, "token-invalid"},
		{"alg none", enc([]byte(`{"alg":"none"}`)) + "." + enc(payload) + ".", 401, "token-invalid"},
		{"alg HS256 with the public key", confused, 401, "token-invalid"},
		{"no token at all", "rubbish", 401, "token-invalid"},
		{"unknown role", signed(map[string]any{"role": "janitor"}), 403, "role-unknown"},
		{"no role", signed(map[string]any{"role": nil}), 403, "role-unknown"},
		{"role of a strange type", signed(map[string]any{"role": map[string]any{"clinician": true}}), 403, "role-unknown"},
		{"one known role among several", signed(map[string]any{"role": []string{"staff", "clinician"}}), 200, ""},
		{"two roles", signed(map[string]any{"role": []string{"clinician", "admin"}}), 403, "role-ambiguous"},
		{"unknown purpose", signed(map[string]any{"purpose_of_use": "FUN"}), 403, "purpose-unknown"},
		{"purposes", signed(map[string]any{"purpose_of_use": []string{"TREAT"}}), 403, "purpose-unknown"},
		{"country of a strange type", signed(map[string]any{"country": 86}), 403, "claim-unusable"},
	} {
		a, err := o.Authenticate(context.Background(), row.token)
		if row.status == 200 {
			if want := (record.Actor{ID: "u-1", Role: "clinician", Institution: "ward-3", Issuer: "hospital-a", Country: "CN"}); err != nil || a != want {
				t.Errorf("%s: %+v, %v; want %+v", row.name, a, err, want)
			}
			continue
		}
		if err == nil || answer.Status(err) != row.status || answer.Code(err) != row.code {
			t.Errorf("%s: %+v, %v; want %d %s", row.name, a, err, row.status, row.code)
		}
		if want := (record.Actor{ID: map[bool]string{true: "u-1"}[row.status == 403]}); a != want { // 403: proven, and of no use
			t.Errorf("%s: refused, and yet %+v; want %+v", row.name, a, want)
		}
		if err != nil && len(row.token) > 40 && strings.Contains(err.Error(), row.token[:20]) {
			t.Errorf("%s: the error tells the token", row.name)
		}
	}
}

func TestOIDCKeyRotation(t *testing.T) {
	i := newIssuer(t)
	old, next := newPen(t, "k1"), newPen(t, "k2")
	i.publish(old)
	o := i.open(t, nil)
	try := func(p pen) error {
		_, err := o.Authenticate(context.Background(), p.sign(t, i.claims(nil)))
		return err
	}
	if err := try(old); err != nil {
		t.Fatalf("first key: %v", err)
	}
	if err := try(next); !errors.Is(err, record.ErrUnauthenticated) {
		t.Fatalf("a key not published yet: %v; want no identity", err)
	}
	i.publish(old, next)
	soon(t, "the new key opens", func() bool { return try(next) == nil })
	asks := i.asks
	for range 5 {
		if err := try(next); err != nil {
			t.Fatal(err)
		}
	}
	if i.asks != asks {
		t.Errorf("known keys were fetched %d times", i.asks-asks)
	}
	i.publish(newPen(t, "k3")) // k1 and k2 are withdrawn
	soon(t, "a withdrawn key opens no more", func() bool {
		if err := try(newPen(t, "k4")); !errors.Is(err, record.ErrUnauthenticated) {
			t.Fatalf("unknown key: %v", err)
		}
		return errors.Is(try(old), record.ErrUnauthenticated)
	})
	i.mu.Lock()
	i.down = true
	i.mu.Unlock()
	soon(t, "keys out of reach: unavailable, the token may be good", func() bool {
		err := try(next)
		return errors.Is(err, record.ErrUnavailable) && answer.Status(err) == 503
	})
}

// soon tries until what has just been published has come through: a verification that
// meets a fetch begun before waits for that fetch, and sees the keys of before.
func soon(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not yet after ten seconds: %s", what)
		}
	}
}

func TestOIDCClaimNames(t *testing.T) {
	i := newIssuer(t)
	p := newPen(t, "k1")
	i.publish(p)
	o := i.open(t, func(c *identity.OIDCConfig) {
		c.Claims = identity.Claims{Role: "realm_access.roles", Institution: "https://hospital.example/ward"}
		c.Roles = map[string]record.Role{"arzt": record.RoleClinician}
		c.Country = "CN"
	})
	a, err := o.Authenticate(context.Background(), p.sign(t, i.claims(map[string]any{
		"country": nil, "role": "admin", "realm_access": map[string]any{"roles": []string{"offline", "arzt"}},
		"https://hospital.example/ward": "w", "purpose_of_use": "ETREAT", "patient_id_issuer": "H2"})))
	want := record.Actor{ID: "u-1", Role: record.RoleClinician, Institution: "w", Issuer: "H2", Country: "CN", Purpose: record.PurposeETreat}
	if err != nil || a != want {
		t.Errorf("%+v, %v; want %+v", a, err, want)
	}
}

func TestOIDCConfigIsChecked(t *testing.T) {
	i := newIssuer(t)
	for _, row := range []struct {
		name   string
		change func(*identity.OIDCConfig)
		says   string
	}{
		{"no issuer", func(c *identity.OIDCConfig) { c.Issuer = "" }, "issuer is required"},
		{"issuer in clear", func(c *identity.OIDCConfig) { c.Issuer = "http://login.example" }, "plain http"},
		{"no audience", func(c *identity.OIDCConfig) { c.Audience = "" }, "audience is required"},
		{"skew", func(c *identity.OIDCConfig) { c.Skew = time.Hour }, "skew"},
		{"role", func(c *identity.OIDCConfig) { c.Roles = map[string]record.Role{"x": "king"} }, "king"},
		{"algorithm", func(c *identity.OIDCConfig) { c.Algorithms = []string{"none"} }, "none"},
		{"issuer that says it is another", func(c *identity.OIDCConfig) { c.Issuer += "/" }, "discover"},
	} {
		cfg := identity.OIDCConfig{Issuer: i.URL, Audience: "medvault"}
		row.change(&cfg)
		if _, err := identity.NewOIDC(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: NewOIDC = %v; want %q", row.name, err, row.says)
		}
	}
}
