package transit_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"medvault/keys"
	"medvault/keys/keystest"
	"medvault/keys/transit"
)

// server is the test server and its administrator.
func server(t *testing.T) transit.Config {
	t.Helper()
	address, token := os.Getenv("MEDVAULT_TEST_TRANSIT"), os.Getenv("MEDVAULT_TEST_TRANSIT_TOKEN")
	if address == "" || token == "" {
		t.Skip("set MEDVAULT_TEST_TRANSIT and MEDVAULT_TEST_TRANSIT_TOKEN (scripts/test starts a server)")
	}
	return transit.Config{Name: "test", Address: address, Auth: transit.Auth{Token: transit.Fixed(token)}, Shards: 8}
}

// admin is a client with the administrator's token.
func admin(t *testing.T, c transit.Config) *api.Client {
	t.Helper()
	client, err := api.NewClient(&api.Config{Address: c.Address})
	if err != nil {
		t.Fatal(err)
	}
	token, _ := c.Auth.Token()
	client.SetToken(token)
	return client
}

// provision makes an engine of this test's own and removes it afterwards.
func provision(t *testing.T, c transit.Config, p transit.Provisioning) (transit.Config, transit.Roles) {
	t.Helper()
	var id [6]byte
	rand.Read(id[:])
	c.Mount = "test-" + hex.EncodeToString(id[:])
	p.Role = c.Mount
	roles, err := transit.Provision(t.Context(), c, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a := admin(t, c)
		_, one := a.Logical().Delete("auth/approle/role/" + p.Role)
		_, two := a.Logical().Delete("auth/approle/role/" + p.Role + "-rotation")
		if err := errors.Join(one, two, a.Sys().DeletePolicy(p.Role), a.Sys().DeletePolicy(p.Role+"-rotation"), a.Sys().Unmount(c.Mount)); err != nil {
			t.Error(err)
		}
	})
	return c, roles
}

func open(t *testing.T, c transit.Config) *transit.Service {
	t.Helper()
	s, err := transit.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// as is c with the credential of a role.
func as(c transit.Config, l transit.Login) transit.Config {
	c.Auth = transit.Auth{RoleID: l.RoleID, SecretID: l.SecretID}
	return c
}

var patient = keys.Bound{Binding: keys.Binding{Kind: keys.Content, Token: "pabcdefghijklmnopqrstuvwxyz", Generation: 1}, DEK: keys.NewDEK()}

// roundTrip wraps and unwraps one key.
func roundTrip(t *testing.T, s keys.Wrapper) error {
	wraps, err := s.Wrap(t.Context(), []keys.Bound{patient})
	if err != nil {
		return err
	}
	deks, err := s.Unwrap(t.Context(), []keys.Bound{{Binding: patient.Binding, Wrap: wraps[0]}})
	if err == nil && !bytes.Equal(deks[0].Bytes(), patient.DEK.Bytes()) {
		return errors.New("another key came back")
	}
	return err
}

func TestService(t *testing.T) {
	config := server(t)
	keystest.Run(t, func(t *testing.T) keys.Wrapper {
		c, _ := provision(t, config, transit.Provisioning{})
		c.MaxBatch = 3 // so that batches are split
		return open(t, c)
	})
}

func TestApplicationAndRotationShareTheWork(t *testing.T) {
	c, roles := provision(t, server(t), transit.Provisioning{})
	application, rotation := open(t, as(c, roles.Application)), open(t, as(c, roles.Rotation))
	shard := application.Shard(patient.Binding)

	if err := application.Health(t.Context()); err != nil {
		t.Errorf("application: Health = %v", err)
	}
	wraps, err := application.Wrap(t.Context(), []keys.Bound{patient})
	if err != nil {
		t.Fatal(err)
	}
	sealed := []keys.Bound{{Binding: patient.Binding, Wrap: wraps[0]}}

	if _, err := application.Rotate(t.Context(), keys.Content, shard); !errors.Is(err, keys.ErrRefused) {
		t.Errorf("application: Rotate = %v; want ErrRefused", err)
	}
	if version, err := rotation.Rotate(t.Context(), keys.Content, shard); err != nil || version != 2 {
		t.Fatalf("rotation: Rotate = %d, %v", version, err)
	}
	if err := application.Trim(t.Context(), keys.Content, shard, 2); !errors.Is(err, keys.ErrRefused) {
		t.Errorf("application: Trim = %v; want ErrRefused", err)
	}
	if _, err := rotation.Unwrap(t.Context(), sealed); !errors.Is(err, keys.ErrRefused) {
		t.Errorf("rotation: Unwrap = %v; want ErrRefused", err)
	}
	if _, err := rotation.Wrap(t.Context(), []keys.Bound{patient}); !errors.Is(err, keys.ErrRefused) {
		t.Errorf("rotation: Wrap = %v; want ErrRefused", err)
	}
	moved, err := rotation.Rewrap(t.Context(), sealed)
	if err != nil || moved[0].Version != 2 {
		t.Fatalf("rotation: Rewrap = %v, %v", moved, err)
	}
	if err := rotation.Trim(t.Context(), keys.Content, shard, 2); err != nil {
		t.Errorf("rotation: Trim = %v", err)
	}
	if _, err := application.Unwrap(t.Context(), sealed); !errors.Is(err, keys.ErrRefused) {
		t.Errorf("application: Unwrap of a trimmed version = %v; want ErrRefused", err)
	}
	deks, err := application.Unwrap(t.Context(), []keys.Bound{{Binding: patient.Binding, Wrap: moved[0]}})
	if err != nil || !bytes.Equal(deks[0].Bytes(), patient.DEK.Bytes()) {
		t.Errorf("application: Unwrap of the rewrapped key = %v, or another key", err)
	}
}

func TestServiceWithBothCredentials(t *testing.T) {
	c, roles := provision(t, server(t), transit.Provisioning{})
	c = as(c, roles.Application)
	c.Rotation = &transit.Auth{RoleID: roles.Rotation.RoleID, SecretID: roles.Rotation.SecretID}
	s := open(t, c)
	shard := s.Shard(patient.Binding)
	wraps, err := s.Wrap(t.Context(), []keys.Bound{patient})
	if err != nil {
		t.Fatal(err)
	}
	if version, err := s.Rotate(t.Context(), keys.Content, shard); err != nil || version != 2 {
		t.Fatalf("Rotate = %d, %v; want 2", version, err)
	}
	moved, err := s.Rewrap(t.Context(), []keys.Bound{{Binding: patient.Binding, Wrap: wraps[0]}})
	if err != nil || moved[0].Version != 2 {
		t.Fatalf("Rewrap = %v, %v; want version 2", moved, err)
	}
	deks, err := s.Unwrap(t.Context(), []keys.Bound{{Binding: patient.Binding, Wrap: moved[0]}})
	if err != nil || !bytes.Equal(deks[0].Bytes(), patient.DEK.Bytes()) {
		t.Errorf("Unwrap = %v, or another key", err)
	}
	if err := s.Trim(t.Context(), keys.Content, shard, 2); err != nil {
		t.Errorf("Trim = %v", err)
	}
	if _, err := s.Unwrap(t.Context(), []keys.Bound{{Binding: patient.Binding, Wrap: wraps[0]}}); !errors.Is(err, keys.ErrRefused) {
		t.Errorf("Unwrap of a trimmed version = %v; want ErrRefused", err)
	}
}

// TestTLSIsTheConfigured: the service speaks the versions and suites it was given.
func TestTLSIsTheConfigured(t *testing.T) {
	var suite atomic.Uint32
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		suite.Store(uint32(r.TLS.CipherSuite))
		fmt.Fprint(w, `{"data":{"latest_version":3,"min_decryption_version":2}}`)
	}))
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.StartTLS()
	defer front.Close()
	roots := x509.NewCertPool()
	roots.AddCert(front.Certificate())
	c := transit.Config{Name: "test", Address: front.URL, Auth: transit.Auth{Token: transit.Fixed("t")}, Timeout: 2 * time.Second,
		TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12,
			CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}}}
	if _, _, err := open(t, c).Version(t.Context(), keys.Content, "00"); err != nil {
		t.Fatal(err)
	}
	if got := uint16(suite.Load()); got != tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 {
		t.Errorf("suite = %s; want the one configured", tls.CipherSuiteName(got))
	}
}

func TestNobodyWithoutAdministrationMakesKeys(t *testing.T) {
	c, roles := provision(t, server(t), transit.Provisioning{})
	for name, login := range map[string]transit.Login{"application": roles.Application, "rotation": roles.Rotation} {
		client := admin(t, c)
		secret, _ := login.SecretID()
		token, err := client.Logical().Write("auth/approle/login", map[string]any{"role_id": login.RoleID, "secret_id": secret})
		if err != nil {
			t.Fatal(err)
		}
		client.SetToken(token.Auth.ClientToken)
		for _, path := range []string{"keys/medvault-content-08", "encrypt/medvault-content-08", "keys/other", "config/keys", "keys/medvault-content-00/import_version"} {
			_, err := client.Logical().Write(c.Mount+"/"+path, map[string]any{"plaintext": "AAAA", "context": "AAAA", "derived": true})
			if response := new(api.ResponseError); !errors.As(err, &response) || response.StatusCode != 403 {
				t.Errorf("%s: write %s = %v; want 403", name, path, err)
			}
		}
		for _, parameter := range []string{"exportable", "deletion_allowed", "allow_plaintext_backup"} {
			_, err := client.Logical().Write(c.Mount+"/keys/medvault-content-00/config", map[string]any{parameter: true})
			if response := new(api.ResponseError); !errors.As(err, &response) || response.StatusCode != 403 {
				t.Errorf("%s: set %s = %v; want 403", name, parameter, err)
			}
		}
		if _, err := client.Logical().Delete(c.Mount + "/keys/medvault-content-00"); err == nil {
			t.Errorf("%s: a key could be deleted", name)
		}
		if _, err := client.Logical().Read(c.Mount + "/export/encryption-key/medvault-content-00"); err == nil {
			t.Errorf("%s: a key could be exported", name)
		}
	}
	// Not even the administrator makes one by writing to it.
	_, err := admin(t, c).Logical().Write(c.Mount+"/encrypt/medvault-content-08", map[string]any{"plaintext": "AAAA", "context": "AAAA"})
	if err == nil {
		t.Error("encrypt made a key; disable_upsert is not set")
	}
}

func TestMissingKey(t *testing.T) {
	c, roles := provision(t, server(t), transit.Provisioning{})
	wraps, err := open(t, c).Wrap(t.Context(), []keys.Bound{patient})
	if err != nil {
		t.Fatal(err)
	}
	c.Prefix = "medvault-other-"
	for name, s := range map[string]*transit.Service{"administrator": open(t, c), "application": open(t, as(c, roles.Application))} {
		if _, err := s.Wrap(t.Context(), []keys.Bound{patient}); !errors.Is(err, keys.ErrNoKey) {
			t.Errorf("%s: Wrap = %v; want ErrNoKey", name, err)
		}
		if _, err := s.Unwrap(t.Context(), []keys.Bound{{Binding: patient.Binding, Wrap: wraps[0]}}); !errors.Is(err, keys.ErrNoKey) {
			t.Errorf("%s: Unwrap = %v; want ErrNoKey", name, err)
		}
		if err := s.Health(t.Context()); !errors.Is(err, keys.ErrNoKey) {
			t.Errorf("%s: Health = %v; want ErrNoKey", name, err)
		}
	}
}

func TestShortLivedTokensAreRenewedAndReplaced(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	t.Parallel()
	c, roles := provision(t, server(t), transit.Provisioning{TokenTTL: 2 * time.Second, TokenMaxTTL: 5 * time.Second})
	proxy, seen := counting(t, c.Address)
	c.Address = proxy
	s := open(t, as(c, roles.Application))
	for start := time.Now(); time.Since(start) < 10*time.Second; time.Sleep(100 * time.Millisecond) {
		if err := roundTrip(t, s); err != nil {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
	}
	if logins, renewals := seen.logins.Load(), seen.renewals.Load(); logins < 2 || renewals < 3 {
		t.Errorf("%d logins and %d renewals in 10 s with tokens of 2 s, 5 s at most; want at least 2 and 3", logins, renewals)
	}
}

// seen counts what passes a proxy.
type seen struct{ logins, renewals atomic.Int64 }

func counting(t *testing.T, address string) (string, *seen) {
	t.Helper()
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	counts, proxy := new(seen), httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "approle/login"):
			counts.logins.Add(1)
		case strings.HasSuffix(r.URL.Path, "renew-self"):
			counts.renewals.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return front.URL, counts
}

func TestRevokedTokenIsReplacedAtOnce(t *testing.T) {
	c, roles := provision(t, server(t), transit.Provisioning{})
	proxy, seen := counting(t, c.Address)
	direct := c
	c.Address = proxy
	s := open(t, as(c, roles.Application))
	if err := roundTrip(t, s); err != nil {
		t.Fatal(err)
	}
	revokeAll(t, direct)
	if err := roundTrip(t, s); err != nil {
		t.Errorf("after the token was revoked: %v", err)
	}
	if seen.logins.Load() != 2 {
		t.Errorf("%d logins; want 2", seen.logins.Load())
	}
}

// revokeAll revokes every token of this test's roles.
func revokeAll(t *testing.T, c transit.Config) {
	t.Helper()
	a := admin(t, c)
	list, err := a.Logical().List("auth/token/accessors")
	if err != nil {
		t.Fatal(err)
	}
	revoked := 0
	for _, accessor := range list.Data["keys"].([]any) {
		token, err := a.Auth().Token().LookupAccessor(accessor.(string))
		if err != nil || !strings.Contains(fmt.Sprint(token.Data["policies"]), c.Mount) {
			continue // another test's, or gone meanwhile
		}
		if err := a.Auth().Token().RevokeAccessor(accessor.(string)); err != nil {
			t.Fatal(err)
		}
		revoked++
	}
	if revoked == 0 {
		t.Fatal("no token of this test found")
	}
}

func TestBadLoginIsToldAndTriedAgain(t *testing.T) {
	c, roles := provision(t, server(t), transit.Provisioning{})
	c = as(c, roles.Application)
	good := c.Auth.SecretID
	var mended atomic.Bool
	c.Auth.SecretID = func() (string, error) {
		if mended.Load() {
			return good()
		}
		return "0f0f0f0f-not-the-secret-id", nil
	}
	s := open(t, c)
	err := roundTrip(t, s)
	if !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), "AppRole") || strings.Contains(err.Error(), "0f0f") {
		t.Errorf("with a wrong secret id: %v; want ErrUnavailable naming AppRole and no secret", err)
	}
	mended.Store(true)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if err = roundTrip(t, s); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("10 s after the secret id was mended: %v", err)
		}
	}
}

func TestUnavailable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	listener.Close()
	sealed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"errors":["Vault is sealed"]}`)
	}))
	defer sealed.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"data":{"batch_resu`) }))
	defer broken.Close()
	hanging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer hanging.Close()

	logins := map[string]transit.Auth{
		"token":   {Token: transit.Fixed("t")},
		"approle": {RoleID: "r", SecretID: transit.Fixed("s")},
	}
	for name, address := range map[string]string{"closed": closed, "sealed": sealed.URL, "broken": broken.URL, "hanging": hanging.URL} {
		for how, auth := range logins {
			t.Run(name+"/"+how, func(t *testing.T) {
				t.Parallel()
				s := open(t, transit.Config{Name: "test", Address: address, Auth: auth, Timeout: 500 * time.Millisecond})
				unwrap := []keys.Bound{{Binding: patient.Binding, Wrap: keys.Wrap{Shard: "00", Version: 1, Blob: "vault:v1:AAAA"}}}
				for what, do := range map[string]func() error{
					"Wrap":    func() error { return roundTrip(t, s) },
					"Unwrap":  func() error { _, err := s.Unwrap(t.Context(), unwrap); return err },
					"Rewrap":  func() error { _, err := s.Rewrap(t.Context(), unwrap); return err },
					"Version": func() error { _, _, err := s.Version(t.Context(), keys.Content, "00"); return err },
					"Trim":    func() error { return s.Trim(t.Context(), keys.Content, "00", 2) },
					"Health":  func() error { return s.Health(t.Context()) },
				} {
					if err := do(); !errors.Is(err, keys.ErrUnavailable) {
						t.Errorf("%s = %v; want ErrUnavailable", what, err)
					}
				}
			})
		}
	}
}

func TestOnlyTheNamedAuthorityIsTrusted(t *testing.T) {
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"data":{"latest_version":3,"min_decryption_version":2}}`)
	}))
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes are meant to fail
	front.StartTLS()
	defer front.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	c := transit.Config{Name: "test", Address: front.URL, Auth: transit.Auth{Token: transit.Fixed("t")}, Timeout: 2 * time.Second}
	if _, _, err := open(t, c).Version(t.Context(), keys.Content, "00"); !errors.Is(err, keys.ErrUnavailable) {
		t.Errorf("with the system's authorities: %v; want ErrUnavailable", err)
	}
	c.CAFile = ca
	if current, oldest, err := open(t, c).Version(t.Context(), keys.Content, "00"); err != nil || current != 3 || oldest != 2 {
		t.Errorf("with the server's authority: %d, %d, %v; want 3, 2", current, oldest, err)
	}
}

func TestTakesNothingFromTheEnvironment(t *testing.T) {
	c, _ := provision(t, server(t), transit.Provisioning{})
	t.Setenv("VAULT_ADDR", "http://127.0.0.1:1")
	t.Setenv("VAULT_TOKEN", "other")
	t.Setenv("VAULT_NAMESPACE", "other")
	if err := roundTrip(t, open(t, c)); err != nil {
		t.Error(err)
	}
}

func TestProvisionAgainChangesNothing(t *testing.T) {
	c, first := provision(t, server(t), transit.Provisioning{})
	s := open(t, c)
	if _, err := s.Rotate(t.Context(), keys.Content, "03"); err != nil {
		t.Fatal(err)
	}
	again, err := transit.Provision(t.Context(), c, transit.Provisioning{Role: c.Mount})
	if err != nil {
		t.Fatal(err)
	}
	if again.Application.RoleID != first.Application.RoleID {
		t.Error("the role id changed")
	}
	if current, _, err := s.Version(t.Context(), keys.Content, "03"); err != nil || current != 2 {
		t.Errorf("Version = %d, %v; want 2", current, err)
	}
	for _, login := range []transit.Login{first.Application, again.Application} {
		if err := roundTrip(t, open(t, as(c, login))); err != nil {
			t.Error(err)
		}
	}

	if _, err := admin(t, c).Logical().Write(c.Mount+"/keys/plain-house", map[string]any{"derived": false}); err != nil {
		t.Fatal(err)
	}
	c.Prefix = "plain-"
	if _, err := transit.Provision(t.Context(), c, transit.Provisioning{Role: c.Mount}); err == nil || !strings.Contains(err.Error(), "plain-house is there already") {
		t.Errorf("Provision over a key that is not derived = %v; want an error naming it", err)
	}
}

func TestProvisionOfAllShardsIsQuick(t *testing.T) {
	c := server(t)
	c.Shards = 256
	start := time.Now()
	c, _ = provision(t, c, transit.Provisioning{})
	took := time.Since(start)
	t.Logf("513 keys in %v", took)
	if took > 30*time.Second {
		t.Errorf("513 keys took %v; want seconds", took)
	}
	if _, _, err := open(t, c).Version(t.Context(), keys.Identity, "ff"); err != nil {
		t.Error(err)
	}
}

func TestNewRefuses(t *testing.T) {
	token := transit.Auth{Token: transit.Fixed("t")}
	notPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(notPEM, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		config transit.Config
		words  string
	}{
		{transit.Config{Address: "http://h", Auth: token}, "name is required"},
		{transit.Config{Name: "n", Auth: token}, "address"},
		{transit.Config{Name: "n", Address: "h:8200", Auth: token}, "address"},
		{transit.Config{Name: "n", Address: "http://h"}, "token, or a role id"},
		{transit.Config{Name: "n", Address: "http://h", Auth: transit.Auth{RoleID: "r"}}, "token, or a role id"},
		{transit.Config{Name: "n", Address: "http://h", Auth: transit.Auth{Token: token.Token, RoleID: "r"}}, "not both"},
		{transit.Config{Name: "n", Address: "http://h", Auth: token, Rotation: &transit.Auth{RoleID: "r"}}, "rotation needs"},
		{transit.Config{Name: "n", Address: "http://h", Auth: token, Shards: 300}, "300 shards"},
		{transit.Config{Name: "n", Address: "http://h", Auth: token, MaxBatch: -1}, "batches"},
		{transit.Config{Name: "n", Address: "http://h", Auth: token, CAFile: "absent.pem"}, "CA file"},
		{transit.Config{Name: "n", Address: "http://h", Auth: token, CAFile: notPEM}, "no certificate"},
	}
	for _, row := range rows {
		if _, err := transit.New(row.config); err == nil || !strings.Contains(err.Error(), row.words) {
			t.Errorf("New(%+v) = %v; want an error saying %q", row.config, err, row.words)
		}
	}
}

func TestCredentialsHideThemselves(t *testing.T) {
	c := transit.Config{Auth: transit.Auth{Token: transit.Fixed("hvs.secret"), SecretID: transit.Fixed("hvs.secret")}}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if out := fmt.Sprintf(format, c); strings.Contains(out, "hvs.") || strings.Contains(out, hex.EncodeToString([]byte("hvs."))) {
			t.Errorf("Sprintf(%q) shows a credential: %s", format, out)
		}
	}
	for _, value := range []any{c, &c, c.Auth} {
		if _, err := json.Marshal(value); err == nil {
			t.Errorf("%T with credentials can be marshalled", value)
		}
	}
}
