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

func (p pen) sign(t *testing.T, claims map[string]any) string { return p.signWith(t, nil, claims) }

// signAs signs with a type in the header.
func (p pen) signAs(t *testing.T, kind string, claims map[string]any) string {
	return p.signWith(t, map[jose.HeaderKey]any{"typ": kind}, claims)
}

// signWith signs with further fields in the header.
func (p pen) signWith(t *testing.T, header map[jose.HeaderKey]any, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: p.kid}}, &jose.SignerOptions{ExtraHeaders: header})
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
		{"an access token by its header", p.signAs(t, "at+jwt", i.claims(nil)), 200, ""},
		{"the same by its media type", p.signAs(t, "application/at+JWT", i.claims(nil)), 200, ""},
		{"a logout token", p.signAs(t, "logout+jwt", i.claims(nil)), 401, "token-type"},
		{"a proof of possession", p.signAs(t, "dpop+jwt", i.claims(nil)), 401, "token-type"},
		{"an ID token of Keycloak", signed(map[string]any{"typ": "ID"}), 401, "token-type"},
		{"a refresh token of Keycloak", signed(map[string]any{"typ": "Refresh"}), 401, "token-type"},
		{"an access token of Keycloak", signed(map[string]any{"typ": "Bearer"}), 200, ""},
		{"an ID token of Cognito", signed(map[string]any{"token_use": "id"}), 401, "token-type"},
		{"a critical header nobody knows", p.signWith(t, map[jose.HeaderKey]any{"crit": []string{"exp"}, "exp": 1}, i.claims(nil)), 401, "token-invalid"},
		{"a key of its own in the header", stranger.signWith(t, map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: &stranger.key.PublicKey}}, i.claims(nil)), 401, "token-invalid"},
		{"keys elsewhere in the header", stranger.signWith(t, map[jose.HeaderKey]any{"jku": i.URL + "/other"}, i.claims(nil)), 401, "token-invalid"},
		{"bound to what nobody checks", signed(map[string]any{"cnf": map[string]any{"jkt": "x"}}), 401, "token-invalid"},
		{"bound to no hash", signed(map[string]any{"cnf": map[string]any{"x5t#S256": "x"}}), 401, "token-invalid"},
		{"two roles", signed(map[string]any{"role": []string{"clinician", "admin"}}), 403, "role-ambiguous"},
		{"unknown purpose", signed(map[string]any{"purpose_of_use": "FUN"}), 403, "purpose-unknown"},
		{"purposes", signed(map[string]any{"purpose_of_use": []string{"TREAT"}}), 403, "purpose-unknown"},
		{"country of a strange type", signed(map[string]any{"country": 86}), 403, "claim-unusable"},
	} {
		a, err := o.Authenticate(context.Background(), row.token)
		if named := strings.HasPrefix(a.Credentials, "jwt:") && len(a.Credentials) == len("jwt:")+32; named != (row.status != 401) {
			t.Errorf("%s: credential %q", row.name, a.Credentials)
		}
		a.Credentials, a.Issued = "", 0
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
	a.Credentials, a.Issued = "", 0
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

// What a token says of its own bounds, and the name under which it is revoked.
func TestOIDCScopesAndCredentials(t *testing.T) {
	i := newIssuer(t)
	p := newPen(t, "k1")
	i.publish(p)
	bounded := i.open(t, nil)
	strict := i.open(t, func(c *identity.OIDCConfig) { c.RequireScopes, c.Clients = true, []string{"viewer", "pacs"} })
	const patient = "paaaaaaaaaaaaaaaaaaaaaaaaaa"
	for _, row := range []struct {
		name   string
		claims map[string]any
		scopes string
		launch string
		strict string // why the strict vault refuses; "" takes it
	}{
		{"none", map[string]any{"azp": "viewer"}, "", "", "scopes-required"},
		{"none of SMART", map[string]any{"azp": "viewer", "scope": "openid profile launch/patient offline_access"}, "", "", "scopes-required"},
		{"some", map[string]any{"azp": "viewer", "scope": "openid user/ImagingStudy.rs fhirUser user/DocumentReference.r"}, "user/ImagingStudy.rs user/DocumentReference.r", "", ""},
		{"a list", map[string]any{"client_id": "pacs", "scope": []string{"system/ImagingStudy.c", "openid"}}, "system/ImagingStudy.c", "", ""},
		{"one that cannot be read bounds as well", map[string]any{"azp": "viewer", "scope": "user/everything"}, "user/everything", "", ""},
		{"of a patient", map[string]any{"azp": "viewer", "scope": "patient/*.r", "patient": patient}, "patient/*.r", patient, ""},
		{"of somebody else's patient", map[string]any{"azp": "viewer", "scope": "patient/*.r", "patient": "12345"}, "patient/*.r", "", ""},
		{"another application", map[string]any{"azp": "game", "scope": "user/*.r"}, "user/*.r", "", "client-unknown"},
		{"no application", map[string]any{"scope": "user/*.r"}, "user/*.r", "", "client-unknown"},
		{"an application of a strange type", map[string]any{"azp": []string{"viewer"}, "scope": "user/*.r"}, "user/*.r", "", "client-unknown"},
	} {
		token := p.sign(t, i.claims(row.claims))
		a, err := bounded.Authenticate(context.Background(), token)
		if err != nil || a.Scopes != row.scopes || string(a.Launch) != row.launch || a.Issued == 0 {
			t.Errorf("%s: %+v, %v; want scopes %q for %q", row.name, a, err, row.scopes, row.launch)
		}
		if _, err := strict.Authenticate(context.Background(), token); (err == nil) != (row.strict == "") || err != nil && answer.Code(err) != row.strict {
			t.Errorf("%s, strictly: %v; want %q", row.name, err, row.strict)
		}
	}
	for jti, want := range map[string]string{"a-1.b": "jti:a-1.b", "two words": "jwt:", strings.Repeat("x", 129): "jwt:", "": "jwt:"} {
		if a, err := bounded.Authenticate(context.Background(), p.sign(t, i.claims(map[string]any{"jti": jti}))); err != nil || !strings.HasPrefix(a.Credentials, want) || strings.Contains(a.Credentials, " ") {
			t.Errorf("jti %q: credential %q, %v; want %s", jti, a.Credentials, err, want)
		}
	}
}
