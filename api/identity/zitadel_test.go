package identity_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

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

func (h hospital) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return map[string]any{"role": "radiology", "institution": "ward-3", "country": "CN"}, nil
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
	get := func(audience string) string {
		t.Helper()
		r, err := http.NewRequest(http.MethodPost, server.URL+"/oauth/token",
			strings.NewReader(url.Values{"grant_type": {"client_credentials"}, "scope": {audience}}.Encode()))
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
	want := record.Actor{ID: "sid1", Role: record.RoleRadiology, Institution: "ward-3", Issuer: "H1", Country: "CN"}
	if err != nil || a != want {
		t.Errorf("%+v, %v; want %+v", a, err, want)
	}
	if _, err := o.Authenticate(context.Background(), get("another-service")); !errors.Is(err, record.ErrUnauthenticated) {
		t.Errorf("a token for another service: %v; want no identity", err)
	}
}
