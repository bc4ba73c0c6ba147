package identity_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"medvault/api/answer"
	"medvault/api/identity"
	"medvault/vault/record"
)

// hospital is the storage of a real provider, whose one machine client gets JWTs
// with the claims the vault asks for.
type hospital struct{ *storage.Storage }

type jwtClient struct{ op.Client }

func (jwtClient) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

func (h hospital) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	c, err := h.Storage.ClientCredentials(ctx, id, secret)
	return jwtClient{c}, err
}

func (h hospital) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	return &oidc.JWTTokenRequest{Subject: id, Audience: []string{scopes[0]}, Scopes: scopes}, nil
}

// Scopes of the form claim=value become claims, so that a test can ask for any.
func (h hospital) GetPrivateClaimsFromScopes(_ context.Context, _, _ string, scopes []string) (map[string]any, error) {
	claims := map[string]any{"role": "radiology", "institution": "ward-3", "country": "CN"}
	for _, s := range scopes {
		if name, value, ok := strings.Cut(s, "="); ok {
			claims[name] = value
		}
	}
	return claims, nil
}

func TestTokensOfARealProvider(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.Start()
	defer server.Close()
	provider, err := op.NewProvider(&op.Config{CryptoKey: [32]byte{1}}, hospital{storage.NewStorage(storage.NewUserStore(server.URL))},
		op.StaticIssuer(server.URL), op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = provider
	get := func(scopes string) string {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, server.URL+"/oauth/token",
			strings.NewReader(url.Values{"grant_type": {"client_credentials"}, "scope": {scopes}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("sid1", "verysecret")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		var token struct {
			Access string `json:"access_token"`
		}
		if err := json.Unmarshal(body, &token); err != nil || token.Access == "" {
			t.Fatalf("token endpoint answered %d %s", answer.StatusCode, body)
		}
		return token.Access
	}
	o, err := identity.NewOIDC(context.Background(), identity.OIDCConfig{Issuer: server.URL, Audience: "medvault", PatientIssuer: "H1"})
	if err != nil {
		t.Fatal(err)
	}
	a, err := o.Authenticate(context.Background(), get("medvault"))
	if !strings.HasPrefix(a.Credentials, "jti:") || a.Issued == 0 {
		t.Errorf("credential %q, issued %d; want the provider's jti and time", a.Credentials, a.Issued)
	}
	a.Credentials, a.Issued = "", 0
	want := record.Actor{ID: "sid1", Role: record.RoleRadiology, Institution: "ward-3", Issuer: "H1", Country: "CN"}
	if err != nil || a != want {
		t.Errorf("%+v, %v; want %+v", a, err, want)
	}
	if _, err := o.Authenticate(context.Background(), get("another-service")); !errors.Is(err, record.ErrUnauthenticated) {
		t.Errorf("a token for another service: %v; want no identity", err)
	}

	with := func(change func(*identity.OIDCConfig)) *identity.OIDC {
		t.Helper()
		cfg := identity.OIDCConfig{Issuer: server.URL, Audience: "medvault", PatientIssuer: "H1"}
		change(&cfg)
		o, err := identity.NewOIDC(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	at := func(later time.Duration) func(*identity.OIDCConfig) {
		return func(c *identity.OIDCConfig) { c.Now = func() time.Time { return time.Now().Add(later) } }
	}
	as := func(*identity.OIDCConfig) {}
	token := get("medvault")
	life := remaining(t, token)
	for _, row := range []struct {
		name, token string
		with        func(*identity.OIDCConfig)
		code        string
	}{
		{"a clock behind within the skew", token, at(-20 * time.Second), ""},
		{"a clock too far behind", token, at(-2 * time.Minute), "token-early"},
		{"a clock ahead within the skew", token, at(life + 10*time.Second), ""},
		{"a clock too far ahead", token, at(life + 2*time.Minute), "token-expired"},
		{"a wider skew", token, func(c *identity.OIDCConfig) { at(life + 2*time.Minute)(c); c.Skew = 4 * time.Minute }, ""},
		{"another audience", token, func(c *identity.OIDCConfig) { c.Audience = "pacs" }, "token-invalid"},
		{"only algorithms it does not use", token, func(c *identity.OIDCConfig) { c.Algorithms = []string{"ES256"} }, "token-invalid"},
		{"an application that is listed", get("medvault azp=viewer"), func(c *identity.OIDCConfig) { c.Clients = []string{"viewer"} }, ""},
		{"an application that is not", get("medvault azp=game"), func(c *identity.OIDCConfig) { c.Clients = []string{"viewer"} }, "client-unknown"},
		{"an ID token", get("medvault typ=ID"), as, "token-type"},
		{"a token bound to a key nobody shows here", get("medvault cnf=x"), as, "token-invalid"},
		{"HMAC with the provider's public key", confused(t, server.URL, token), as, "token-invalid"},
	} {
		_, err := with(row.with).Authenticate(context.Background(), row.token)
		if (err == nil) != (row.code == "") || err != nil && answer.Code(err) != row.code {
			t.Errorf("%s: %v; want %q", row.name, err, row.code)
		}
	}
	elsewhere := httptest.NewServer(nil)
	defer elsewhere.Close()
	other, err := op.NewProvider(&op.Config{CryptoKey: [32]byte{1}}, hospital{storage.NewStorage(storage.NewUserStore(elsewhere.URL))},
		op.StaticIssuer(elsewhere.URL), op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere.Config.Handler = other
	stranger := with(func(c *identity.OIDCConfig) { c.Issuer = elsewhere.URL })
	if _, err := stranger.Authenticate(context.Background(), token); answer.Code(err) != "token-invalid" {
		t.Errorf("a token of another issuer: %v; want token-invalid", err)
	}
}

// remaining is how long a token is still good.
func remaining(t *testing.T, token string) time.Duration {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Exp int64 }
	if err := json.Unmarshal(text, &claims); err != nil || claims.Exp == 0 {
		t.Fatalf("claims %s: %v", text, err)
	}
	return time.Until(time.Unix(claims.Exp, 0))
}

// confused is the payload of a token under an HMAC whose key is the modulus that the
// provider publishes.
func confused(t *testing.T, issuer, token string) string {
	t.Helper()
	r, err := http.Get(issuer + "/keys")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var set struct{ Keys []struct{ N, Kid string } }
	if err := json.NewDecoder(r.Body).Decode(&set); err != nil || len(set.Keys) == 0 || set.Keys[0].N == "" {
		t.Fatalf("keys: %+v, %v", set, err)
	}
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT","kid":"` + set.Keys[0].Kid + `"}`))
	input := header + "." + strings.Split(token, ".")[1]
	modulus, err := base64.RawURLEncoding.DecodeString(set.Keys[0].N)
	if err != nil {
		t.Fatal(err)
	}
	h := hmac.New(sha256.New, modulus)
	h.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}
